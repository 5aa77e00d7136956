//! Presence, and functions of whole lists.

use std::collections::HashSet;

use crate::PRODUCED_VALUE_BYTES_MAX;
use crate::error::{Fault, Shown};
use crate::value::{Data, Val};

type Answer = Result<Data, Fault>;

/// Neither NULL nor "". Its value does not count: a present False is present (R44).
pub(super) fn is_present(arguments: &[Data]) -> Answer {
    Ok(flag(!arguments[0].is_empty()?))
}

pub(super) fn is_null_or_empty(arguments: &[Data]) -> Answer {
    Ok(flag(arguments[0].is_empty()?))
}

pub(super) fn is_null(arguments: &[Data]) -> Answer {
    Ok(flag(arguments[0].values()?.is_empty()))
}

/// The place, from 1, of the first value that contains the text; 0 if none does. References match
/// as a whole.
pub(super) fn contains(arguments: &[Data]) -> Answer {
    let folded = match arguments.get(2) {
        Some(mode) => mode.single()? == Some(&"CaseInsensitive".into()),
        None => false,
    };
    let fold = |text: &str| if folded { text.to_lowercase() } else { text.to_owned() };
    let Some(part) = arguments[1].single()? else { return number(0) };
    let part = fold(&part.text()?);
    for (index, value) in arguments[0].values()?.iter().enumerate() {
        let text = fold(&value.text()?);
        let hit = match value {
            Val::Reference(_) => text == part,
            _ => text.contains(&part),
        };
        if hit {
            return number(index + 1);
        }
    }
    number(0)
}

pub(super) fn count(arguments: &[Data]) -> Answer {
    number(arguments[0].values()?.len())
}

pub(super) fn item(arguments: &[Data]) -> Answer {
    let index = index(arguments)?;
    let values = arguments[0].values()?;
    match at(values, index) {
        Some(value) => Ok(Data::One(value)),
        None => Err(Fault::NoItem { index, count: values.len() }),
    }
}

pub(super) fn item_or_null(arguments: &[Data]) -> Answer {
    Ok(at(arguments[0].values()?, index(arguments)?).into())
}

/// One text of all values, a space between them if nothing else is given.
pub(super) fn join(arguments: &[Data]) -> Answer {
    let delimiter = match arguments.get(1) {
        Some(delimiter) => delimiter.single()?.map_or(Ok("".into()), Val::text)?,
        None => " ".into(),
    };
    let mut joined: Option<String> = None;
    for value in arguments[0].values()? {
        let text = value.text()?;
        joined = Some(match joined {
            Some(before) => before + &delimiter + &text,
            None => text.into_owned(),
        });
        if joined.as_ref().is_some_and(|text| text.len() > PRODUCED_VALUE_BYTES_MAX) {
            return Err(Fault::ValueTooLong(PRODUCED_VALUE_BYTES_MAX));
        }
    }
    Ok(joined.into())
}

/// The parts of one text between a delimiter of one character; with a limit, the last part holds
/// the rest.
pub(super) fn split(arguments: &[Data]) -> Answer {
    let delimiter = arguments[1].single()?.map_or(Ok("".into()), Val::text)?;
    if delimiter.chars().count() != 1 {
        let value = Shown::from(&*delimiter);
        return Err(Fault::OutOfRange { argument: 2, value, wanted: "one character" });
    }
    let limit = match arguments.get(2) {
        Some(limit) => limit.single()?.map(Val::number).transpose()?,
        None => None,
    };
    // As in VBA, a negative limit is none.
    let limit = limit.and_then(super::size).unwrap_or(usize::MAX);
    let Some(text) = arguments[0].single()? else { return Ok(Data::Null) };
    let text = text.text()?;
    let parts = text.splitn(limit, &*delimiter).take(crate::PRODUCED_VALUES_MAX + 1);
    Ok(parts.map(Val::from).collect::<Vec<_>>().into())
}

/// The first of each set of equal values, in order.
pub(super) fn remove_duplicates(arguments: &[Data]) -> Answer {
    let mut seen = HashSet::new();
    let firsts = arguments[0].values()?.iter().filter(|value| seen.insert(*value));
    Ok(firsts.cloned().collect::<Vec<_>>().into())
}

fn index(arguments: &[Data]) -> Result<i64, Fault> {
    arguments[1].single()?.map_or(Ok(0), Val::number)
}

fn at(values: &[Val], index: i64) -> Option<Val> {
    values.get(super::size(index)?.checked_sub(1)?).cloned()
}

fn flag(flag: bool) -> Data {
    Data::One(Val::Boolean(flag))
}

fn number(count: usize) -> Answer {
    i64::try_from(count)
        .map(|count| Data::One(Val::Number(count)))
        .map_err(|_| Fault::Overflow("Count"))
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn r44_presence_counts_and_not_the_value() {
        for (attributes, present, null) in [
            ("", "False", "True"),
            ("x=''", "False", "False"),
            ("x=False", "True", "False"),
            ("x=0x", "True", "False"),
            ("x='a'|'b'", "True", "False"),
        ] {
            check("IsPresent([x])", attributes, present);
            check("IsNullOrEmpty([x]) = False", attributes, present);
            check("IsNull([x])", attributes, null);
        }
    }

    #[test]
    fn contains() {
        let addresses = "p='smtp:a@x'|'SMTP:b@x'";
        check("Contains([p],\"SMTP:\")", addresses, "2");
        check("Contains([p],\"SMTP:\",CaseSensitive)", addresses, "2");
        check("Contains([p],\"SMTP:\",CaseInsensitive)", addresses, "1");
        check("Contains([p],\"x500:\")", addresses, "0");
        check("Contains([p],\"a\")", "", "0");
        check("Contains([p],NULL)", addresses, "0");
        check("Contains([m],\"cn=a\")", "m=&'cn=ab'|&'cn=a'", "2");
    }

    #[test]
    fn counting_and_picking() {
        check("Count([p])", "p='a'|'b'", "2");
        check("Count([p])", "", "0");
        check("Item([p],2)", "p='a'|'b'", "'b'");
        check("Item([p],1)", "p='a'", "'a'");
        check("Item([p],3)", "p='a'|'b'", "error: no item 3: 2 values at 1:1");
        check("Item([p],0)", "p='a'|'b'", "error: no item 0: 2 values at 1:1");
        check("Item([p],1)", "", "error: no item 1: 0 values at 1:1");
        check("ItemOrNull([p],3)", "p='a'|'b'", "NULL");
        check("ItemOrNull([p],2)", "p='a'|'b'", "'b'");
        check("ValueCount(\"p\")", "p='a'|'b'", "2");
        check("ValueCount(\"p\")", "", "0");
    }

    #[test]
    fn joining_and_splitting() {
        check("Join([p],\";\")", "p='a'|'b'", "'a;b'");
        check("Join([p])", "p='a'|'b'", "'a b'");
        check("Join([p],\";\")", "", "NULL");
        check("Split(\"a;b;c\",\";\")", "", "'a' | 'b' | 'c'");
        check("Split(\"a;b;c\",\";\",2)", "", "'a' | 'b;c'");
        check("Split(\"a;b\",\";\",-1)", "", "'a' | 'b'");
        check("Split([p],\";\")", "", "NULL");
        check("Split([p],\";\",2)", "p='a;b;c'|'d'", "'a' | 'b;c' | 'd'");
        check("Split(\"a\",\";;\")", "", "error: argument 2 is `;;`, must be one character at 1:1");
        check("Count(Split(\"筧、水\",\"、\"))", "", "2");
    }

    #[test]
    fn duplicates() {
        check("RemoveDuplicates([p])", "p='a'|'b'|'a'|'A'", "'a' | 'b' | 'A'");
        check("RemoveDuplicates(Trim([p]))", "p='a '|'a'", "'a'");
        check("RemoveDuplicates([p])", "", "NULL");
    }
}
