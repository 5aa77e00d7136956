//! Bits and numbers.

use super::Arguments;
use crate::error::Fault;
use crate::value::Val;

/// NULL if either side is: `BitAnd([flags],2)=0` must not hold for an object without flags.
pub(super) fn bit_and(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    bits(arguments, |left, right| left & right)
}

pub(super) fn bit_or(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    bits(arguments, |left, right| left | right)
}

/// Some bit of the mask is set.
pub(super) fn is_bit_set(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let common = bits(arguments, |value, mask| value & mask)?;
    Ok(Some(Val::Boolean(common.is_some_and(|common| common != Val::Number(0)))))
}

pub(super) fn c_num(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    Ok(arguments.number(0)?.map(Val::Number))
}

/// NULL is False, which the default `cloudFiltered` relies on.
pub(super) fn c_bool(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let flag = arguments.value(0).map_or(Ok(false), Val::boolean)?;
    Ok(Some(Val::Boolean(flag)))
}

fn bits(arguments: &Arguments<'_>, combine: fn(i64, i64) -> i64) -> Result<Option<Val>, Fault> {
    let (left, right) = (arguments.number(0)?, arguments.number(1)?);
    Ok(left.zip(right).map(|(left, right)| Val::Number(combine(left, right))))
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn bits() {
        check("BitAnd(&HF, &HF7)", "", "7");
        check("BitAnd(-1, &HFF)", "", "255");
        check("BitAnd([uac],2)", "uac=514", "2");
        check("BitAnd([uac],2)", "uac='514'", "2");
        check("BitAnd([uac],2)", "", "NULL");
        check("BitAnd([uac],2)", "uac='x'", "error: `x` is not a number at 1:1");
        check("BitAnd([n],6)", "n=1|2|4", "0 | 2 | 4");
        check("BitOr(1, 6)", "", "7");
        check("BitOr(NULL, 6)", "", "NULL");
        check("IsBitSet(&HF,4)", "", "True");
        check("IsBitSet(&HF,16)", "", "False");
        check("IsBitSet([n],16)", "", "False");
    }

    #[test]
    fn numbers() {
        check("CNum(\"130543797300000000\")", "", "130543797300000000");
        check("CNum(\" -5 \")", "", "-5");
        check("CNum(\"5x\")", "", "error: `5x` is not a number at 1:1");
        check("CNum(\"\")", "", "error: `` is not a number at 1:1");
        check("CNum(True)", "", "error: `True` is not a number at 1:1");
        check("CNum([n])", "", "NULL");
    }

    #[test]
    fn booleans() {
        check("CBool(2)", "", "True");
        check("CBool(0)", "", "False");
        check("CBool(\"TRUE\")", "", "True");
        check("CBool(\"false\")", "", "False");
        check("CBool(NULL)", "", "False");
        check("CBool([flag])", "flag=True", "True");
        check("CBool(\"jdoe\")", "", "error: `jdoe` is not a Boolean at 1:1");
        check("CBool(\"1\")", "", "error: `1` is not a Boolean at 1:1");
    }
}
