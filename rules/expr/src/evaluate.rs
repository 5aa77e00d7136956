//! A tree and one object to a value: operators, lists, and the functions that choose what to
//! evaluate.
//!
//! Scalar operations map over lists: several lists must have one length, single values and NULL
//! are repeated. A mapped operation that gives NULL for a value gives no value there.

use std::borrow::Cow;

use crate::builtin::{ARGUMENTS_MAX, Arguments, Body, Builtin, Lazy, Read};
use crate::calendar::Instant;
use crate::error::{EvalError, Fault, Position};
use crate::syntax::{Arithmetic, Comparison, Kind, Logic, Node, Step};
use crate::value::{Data, Val};
use crate::{
    Compare, Environment, PRODUCED_VALUE_BYTES_MAX, PRODUCED_VALUES_MAX, STEP_BYTES, STEPS_MAX,
};

/// One evaluation for one object. It may evaluate several trees, and counts for all of them.
pub(crate) struct Evaluation<'e> {
    environment: &'e dyn Environment,
    compare: Compare,
    /// Variables in force, innermost last.
    variables: Vec<(&'e str, Data)>,
    /// Values made so far in lists, and rounds of `Select` and `Where`.
    produced: usize,
    steps: usize,
}

// === impl Evaluation ===

impl<'e> Evaluation<'e> {
    pub fn new(environment: &'e dyn Environment, compare: Compare) -> Self {
        Self { environment, compare, variables: Vec::new(), produced: 0, steps: 0 }
    }

    pub fn node(&mut self, node: &'e Node) -> Result<Data, EvalError> {
        let at = |fault| EvalError { position: node.position, fault };
        self.work(1).map_err(at)?;
        match &node.kind {
            Kind::Constant(data) => self.copied(data).map_err(at),
            Kind::Result(special) => Ok(Data::Special(*special)),
            Kind::Word(word) => Ok(Data::One(Val::from(*word))),
            Kind::Attribute(name) => {
                let values = self.environment.attribute(name);
                self.data(name, values).map_err(at)
            }
            Kind::Parameter(name) => match self.environment.parameter(name) {
                Some(value) => Ok(Data::One(Val::Text(value))),
                None => Err(at(Fault::NoParameter(name.clone()))),
            },
            Kind::Variable(name) => self.variable(name).map_err(at),
            Kind::Negate(inner) => {
                let inner = self.node(inner)?;
                self.map(&[Cow::Owned(inner)], negate).map_err(at)
            }
            Kind::Logic(logic, parts) => self.logic(*logic, parts),
            Kind::Compare(first, steps) => {
                let mode = self.compare;
                self.chain(first, steps, |operator, pair| {
                    compare(operator, pair, mode).map(|holds| Some(Val::Boolean(holds)))
                })
            }
            Kind::Arithmetic(first, steps) => self.chain(first, steps, compute),
            Kind::Call(function, arguments) => self.call(node.position, function, arguments),
            // No expression with such a part is given out.
            Kind::Refused(_) => Ok(Data::Null),
        }
    }

    /// What was done so far.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Binds a variable until [`Self::unbind`].
    pub fn bind(&mut self, variable: &'e Node, data: Data) {
        let name = match &variable.kind {
            Kind::Variable(name) => name.as_str(),
            _ => "",
        };
        self.variables.push((name, data));
    }

    pub fn unbind(&mut self) {
        self.variables.pop();
    }

    /// The values of an attribute, which were made for this evaluation.
    fn data(&mut self, name: &str, values: Vec<Val>) -> Result<Data, Fault> {
        let data = match <[Val; 1]>::try_from(values) {
            Ok([value]) if !self.environment.multi_valued(name) => Data::One(value),
            Ok(value) => Data::Many(value.into()),
            Err(values) => values.into(),
        };
        self.work(weight(&data))?;
        Ok(data)
    }

    fn copied(&mut self, data: &Data) -> Result<Data, Fault> {
        self.work(weight(data))?;
        Ok(data.clone())
    }

    /// The checker has seen that every variable is bound.
    fn variable(&mut self, name: &str) -> Result<Data, Fault> {
        let found = self.variables.iter().rposition(|(bound, _)| *bound == name);
        let Some(index) = found else { return Ok(Data::Null) };
        self.work(weight(&self.variables[index].1))?;
        Ok(self.variables[index].1.clone())
    }

    /// Stops at the first part that decides (C2).
    fn logic(&mut self, logic: Logic, parts: &'e [Node]) -> Result<Data, EvalError> {
        let decisive = logic == Logic::Or;
        for part in parts {
            if self.condition(part)? == decisive {
                return Ok(Data::One(Val::Boolean(decisive)));
            }
        }
        Ok(Data::One(Val::Boolean(!decisive)))
    }

    fn condition(&mut self, node: &'e Node) -> Result<bool, EvalError> {
        let data = self.node(node)?;
        data.holds().map_err(|fault| EvalError { position: node.position, fault })
    }

    fn chain<O: Copy>(
        &mut self,
        first: &'e Node,
        steps: &'e [Step<O>],
        apply: impl Fn(O, &Arguments<'_>) -> Result<Option<Val>, Fault>,
    ) -> Result<Data, EvalError> {
        let mut left = self.node(first)?;
        for step in steps {
            let right = self.node(&step.right)?;
            let pair = [Cow::Owned(left), Cow::Owned(right)];
            left = self
                .map(&pair, |pair| apply(step.operator, pair))
                .map_err(|fault| EvalError { position: step.position, fault })?;
        }
        Ok(left)
    }

    fn call(
        &mut self,
        position: Position,
        function: &'static Builtin,
        arguments: &'e [Node],
    ) -> Result<Data, EvalError> {
        let at = |fault| EvalError { position, fault };
        match function.body {
            Body::Scalar(body) => {
                let arguments = self.shared(arguments)?;
                self.map(&arguments, body).map_err(at)
            }
            Body::Spread(body) => {
                let arguments = self.all(arguments)?;
                self.spread(&arguments, body).map_err(at)
            }
            Body::Whole(body) => {
                let arguments = self.all(arguments)?;
                self.work(arguments.iter().map(weight).sum()).map_err(at)?;
                let result = body(&arguments).map_err(at)?;
                if let Data::Many(values) = &result {
                    self.produce(values.len()).map_err(at)?;
                }
                Ok(result)
            }
            Body::Lazy(Lazy::Iif) => self.iif(position, arguments),
            Body::Lazy(Lazy::Switch) => self.switch(arguments),
            Body::Lazy(Lazy::With) => {
                let value = self.node(&arguments[1])?;
                self.bound(&arguments[0], value, &arguments[2])
            }
            Body::Lazy(Lazy::Select) => self.select(position, arguments),
            Body::Lazy(Lazy::Where) => self.filter(position, arguments),
            Body::Read(read) => self.read(read, arguments).map_err(at),
            Body::Unsupported(reason) => Err(at(Fault::Raised(reason.to_owned()))),
        }
    }

    fn all(&mut self, nodes: &'e [Node]) -> Result<Vec<Data>, EvalError> {
        nodes.iter().map(|node| self.node(node)).collect()
    }

    /// As [`Self::all`], but constants are lent and not copied.
    fn shared(&mut self, nodes: &'e [Node]) -> Result<Vec<Cow<'e, Data>>, EvalError> {
        nodes
            .iter()
            .map(|node| match &node.kind {
                Kind::Constant(data) => Ok(Cow::Borrowed(data)),
                _ => self.node(node).map(Cow::Owned),
            })
            .collect()
    }

    /// Applies a scalar operation to every value of its arguments. The result is a list if one of
    /// them is.
    fn map(
        &mut self,
        arguments: &[Cow<'_, Data>],
        apply: impl Fn(&Arguments<'_>) -> Result<Option<Val>, Fault>,
    ) -> Result<Data, Fault> {
        let mut lists: [&[Val]; ARGUMENTS_MAX] = [&[]; ARGUMENTS_MAX];
        let mut length = None;
        for (list, argument) in lists.iter_mut().zip(arguments) {
            *list = argument.values()?;
            if matches!(**argument, Data::Many(_)) {
                length = Some(common_length(length, list.len())?);
            }
        }
        let nth = |index| {
            Arguments::new(lists.iter().map(move |list: &&[Val]| match list {
                [one] => Some(one),
                many => many.get(index),
            }))
        };
        let Some(length) = length else {
            let arguments = nth(0);
            let result = short_enough(apply(&arguments)?)?;
            self.work(arguments.bytes() / STEP_BYTES + effort(result.as_ref()))?;
            return Ok(Data::from(result));
        };
        self.produce(length)?;
        let mut values = Vec::with_capacity(length);
        for index in 0..length {
            let arguments = nth(index);
            let result = short_enough(apply(&arguments)?)?;
            self.work(arguments.bytes() / STEP_BYTES + effort(result.as_ref()))?;
            values.extend(result);
        }
        Ok(values.into())
    }

    /// As [`Self::map`] over the first argument, for a function that makes a list of each value.
    fn spread(
        &mut self,
        arguments: &[Data],
        apply: fn(&[Data]) -> Result<Data, Fault>,
    ) -> Result<Data, Fault> {
        self.work(arguments.iter().map(weight).sum())?;
        let mut arguments = arguments.to_vec();
        let mut spread = Vec::new();
        for value in std::mem::replace(&mut arguments[0], Data::Null).into_values()? {
            arguments[0] = Data::One(value);
            let values = apply(&arguments)?.into_values()?;
            self.produce(values.len())?;
            spread.extend(values);
        }
        let spread = Data::from(spread);
        self.work(weight(&spread))?;
        Ok(spread)
    }

    /// A condition of several values selects value by value; each branch is evaluated at most once.
    fn iif(&mut self, position: Position, arguments: &'e [Node]) -> Result<Data, EvalError> {
        let at = |fault| EvalError { position, fault };
        let condition = self.node(&arguments[0])?;
        let conditions = match &condition {
            Data::Many(conditions) if conditions.len() > 1 => conditions,
            _ => {
                let holds = condition.holds().map_err(at)?;
                return self.node(&arguments[if holds { 1 } else { 2 }]);
            }
        };
        let holds: Vec<bool> =
            conditions.iter().map(Val::boolean).collect::<Result<_, _>>().map_err(at)?;
        let mut branches = [Data::Null, Data::Null];
        for (index, wanted) in [(0, true), (1, false)] {
            if holds.contains(&wanted) {
                branches[index] = self.node(&arguments[index + 1])?;
            }
        }
        self.produce(holds.len()).map_err(at)?;
        choose(&holds, &branches).map_err(at)
    }

    fn switch(&mut self, arguments: &'e [Node]) -> Result<Data, EvalError> {
        for pair in arguments.chunks(2) {
            if self.condition(&pair[0])? {
                return self.node(&pair[1]);
            }
        }
        Ok(Data::Null)
    }

    fn select(&mut self, position: Position, arguments: &'e [Node]) -> Result<Data, EvalError> {
        let at = |fault| EvalError { position, fault };
        let mut selected = Vec::new();
        for value in self.node(&arguments[1])?.into_values().map_err(at)? {
            self.produce(1).map_err(at)?;
            let data = self.bound(&arguments[0], Data::One(value), &arguments[2])?;
            let values = data.into_values().map_err(at)?;
            self.produce(values.len()).map_err(at)?;
            selected.extend(values);
        }
        Ok(selected.into())
    }

    fn filter(&mut self, position: Position, arguments: &'e [Node]) -> Result<Data, EvalError> {
        let at = |fault| EvalError { position, fault };
        let mut kept = Vec::new();
        for value in self.node(&arguments[1])?.into_values().map_err(at)? {
            self.produce(1).map_err(at)?;
            let condition = self.bound(&arguments[0], Data::One(value.clone()), &arguments[2])?;
            if condition.holds().map_err(at)? {
                kept.push(value);
            }
        }
        Ok(kept.into())
    }

    /// Evaluates `body` while `variable` stands for `data`.
    fn bound(&mut self, variable: &'e Node, data: Data, body: &'e Node) -> Result<Data, EvalError> {
        self.bind(variable, data);
        let result = self.node(body);
        self.unbind();
        result
    }

    /// The checker has seen that the name of an attribute stands there literally.
    fn read(&mut self, read: Read, arguments: &[Node]) -> Result<Data, Fault> {
        let name = match arguments.first().and_then(Node::constant) {
            Some(Data::One(Val::Text(name))) => name.as_str(),
            _ => "",
        };
        match read {
            Read::ImportedValue => {
                let values = self.environment.imported(name);
                self.data(name, values)
            }
            Read::ValueCount => {
                let count = i64::try_from(self.environment.value_count(name));
                count
                    .map(|count| Data::One(Val::Number(count)))
                    .map_err(|_| Fault::Overflow("ValueCount"))
            }
            Read::Now => Instant::from_unix(self.environment.now())
                .map(|now| Data::One(Val::Instant(now)))
                .ok_or(Fault::Overflow("Now")),
        }
    }

    fn produce(&mut self, values: usize) -> Result<(), Fault> {
        self.produced += values;
        if self.produced > PRODUCED_VALUES_MAX {
            return Err(Fault::TooManyValues(PRODUCED_VALUES_MAX));
        }
        Ok(())
    }

    fn work(&mut self, steps: usize) -> Result<(), Fault> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err(Fault::TooManySteps(STEPS_MAX));
        }
        Ok(())
    }
}

/// The steps that copying or reading values takes.
fn weight(data: &Data) -> usize {
    match data {
        Data::Null | Data::Special(_) => 0,
        Data::One(value) => effort(Some(value)),
        Data::Many(values) => values.iter().map(|value| effort(Some(value))).sum(),
    }
}

fn effort(value: Option<&Val>) -> usize {
    value.map_or(1, |value| 1 + value.bytes() / STEP_BYTES)
}

/// The length of lists that are mapped together; a list of one value goes with any.
fn common_length(known: Option<usize>, length: usize) -> Result<usize, Fault> {
    match known {
        None | Some(1) => Ok(length),
        Some(known) if known == length || length == 1 => Ok(known),
        Some(known) => Err(Fault::LengthsDiffer(known, length)),
    }
}

/// Takes, for each condition, the value of its branch at the same place; NULL gives none.
fn choose(holds: &[bool], branches: &[Data; 2]) -> Result<Data, Fault> {
    let (then, otherwise) = (branches[0].values()?, branches[1].values()?);
    for branch in [then, otherwise] {
        if branch.len() > 1 {
            common_length(Some(holds.len()), branch.len())?;
        }
    }
    let pick = |(index, holds): (usize, &bool)| match if *holds { then } else { otherwise } {
        [one] => Some(one.clone()),
        many => many.get(index).cloned(),
    };
    Ok(holds.iter().enumerate().filter_map(pick).collect::<Vec<_>>().into())
}

fn short_enough(value: Option<Val>) -> Result<Option<Val>, Fault> {
    match value {
        Some(value) if value.bytes() > PRODUCED_VALUE_BYTES_MAX => {
            Err(Fault::ValueTooLong(PRODUCED_VALUE_BYTES_MAX))
        }
        value => Ok(value),
    }
}

fn negate(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let Some(number) = arguments.number(0)? else { return Ok(None) };
    number
        .checked_neg()
        .map(|number| Some(Val::Number(number)))
        .ok_or(Fault::Overflow("arithmetic"))
}

/// NULL equals only NULL and has no order. A Boolean on either side compares as Boolean, a number
/// as number; else texts by their code points, case-sensitive unless the mode says otherwise.
fn compare(operator: Comparison, pair: &Arguments<'_>, mode: Compare) -> Result<bool, Fault> {
    let (left, right) = match (pair.value(0), pair.value(1)) {
        (Some(left), Some(right)) => (left, right),
        (None, None) => return Ok(operator == Comparison::Equal),
        _ => return Ok(operator == Comparison::NotEqual),
    };
    let order = match (left, right) {
        (Val::Boolean(_), _) | (_, Val::Boolean(_)) => left.boolean()?.cmp(&right.boolean()?),
        (Val::Number(_), _) | (_, Val::Number(_)) => left.number()?.cmp(&right.number()?),
        (Val::Binary(_), _) | (_, Val::Binary(_)) => left.binary()?.cmp(right.binary()?),
        (Val::Instant(_), _) | (_, Val::Instant(_)) => left.instant()?.cmp(&right.instant()?),
        _ => match (mode, left.text()?, right.text()?) {
            (Compare::Binary, left, right) => left.cmp(&right),
            (Compare::Text, left, right) => folded(&left).cmp(folded(&right)),
        },
    };
    Ok(match operator {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

/// Letter by letter, so that no allocation depends on the values.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

/// NULL makes a computation NULL, but is empty to `&`.
fn compute(operator: Arithmetic, pair: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let operation: fn(i64, i64) -> Option<i64> = match operator {
        Arithmetic::Concatenate => return concatenate(pair).map(Some),
        Arithmetic::Add => i64::checked_add,
        Arithmetic::Subtract => i64::checked_sub,
        Arithmetic::Multiply => i64::checked_mul,
    };
    let (Some(left), Some(right)) = (pair.number(0)?, pair.number(1)?) else { return Ok(None) };
    operation(left, right).map(|n| Some(Val::Number(n))).ok_or(Fault::Overflow("arithmetic"))
}

fn concatenate(pair: &Arguments<'_>) -> Result<Val, Fault> {
    match (pair.value(0), pair.value(1)) {
        (Some(Val::Binary(left)), Some(Val::Binary(right))) => {
            return Ok(Val::Binary([left.as_slice(), right].concat()));
        }
        (Some(Val::Binary(only)), None) | (None, Some(Val::Binary(only))) => {
            return Ok(Val::Binary(only.clone()));
        }
        _ => {}
    }
    let left = pair.text_or_empty(0)?;
    Ok(Val::Text(left.into_owned() + &pair.text_or_empty(1)?))
}

#[cfg(test)]
mod tests {
    use crate::error::Fault;
    use crate::testing::{Object, check, computed};
    use crate::{Compare, Expression, Outcome, STEPS_MAX};

    /// From an exported default configuration, as it stands there but for the line breaks.
    const CLOUD_FILTERED: &str = r#"IIF(IsPresent([isCriticalSystemObject])
        || IsPresent([sAMAccountName]) = False || [sAMAccountName] = "SUPPORT_388945a0"
        || Left([mailNickname], 14) = "SystemMailbox{" || Left([sAMAccountName], 4) = "AAD_"
        || (Left([mailNickname], 4) = "CAS_" && (InStr([mailNickname], "}") > 0))
        || (Left([sAMAccountName], 4) = "CAS_" && (InStr([sAMAccountName], "}") > 0))
        || Left([sAMAccountName], 5) = "MSOL_"
        || CBool(IIF(IsPresent([msExchRecipientTypeDetails]),
             BitAnd([msExchRecipientTypeDetails],&H21C07000) > 0,NULL))
        || CBool(InStr(DNComponent(CRef([dn]),1),"\\0ACNF:")>0), True, NULL)"#;

    #[test]
    fn r42_r43_cloud_filtered() {
        for (difference, expected) in [
            ("", "NULL"),
            ("isCriticalSystemObject=True", "True"),
            ("isCriticalSystemObject=False", "True"),
            ("sAMAccountName='SUPPORT_388945a0'", "True"),
            ("sAMAccountName=''", "True"),
            ("sAMAccountName='AAD_0123'", "True"),
            ("sAMAccountName='MSOL_0123'", "True"),
            ("sAMAccountName='CAS_{abc}'", "True"),
            ("sAMAccountName='CAS_abc'", "NULL"),
            ("mailNickname='SystemMailbox{1f05}'", "True"),
            ("mailNickname='CAS_{abc}'", "True"),
            ("mailNickname=''", "NULL"),
            ("msExchRecipientTypeDetails=1", "NULL"),
            ("msExchRecipientTypeDetails=8192", "True"),
            ("msExchRecipientTypeDetails='16777216'", "True"),
            ("dn='CN=John Doe\\0ACNF:1f05,DC=a'", "True"),
        ] {
            let normal = "sAMAccountName='jdoe'; mailNickname='jdoe'; dn='CN=John Doe,DC=a'";
            check(CLOUD_FILTERED, &format!("{normal}; {difference}"), expected);
        }
        check(CLOUD_FILTERED, "dn='CN=John Doe,DC=a'", "True");
    }

    #[test]
    fn c01_three_tiers_and_flat_arithmetic() {
        check("2*(5+3)", "", "16");
        check("2+3*5", "", "25");
        check("10-2-3", "", "5");
        check("--7", "", "7");
        check("1+1 = 2 && 3 > 2", "", "True");
        check("\"a\" & \"b\" = \"ab\"", "", "True");
        check("1 < 2 = True", "", "True");
    }

    #[test]
    fn arithmetic_needs_numbers_that_fit() {
        check("[x]+1", "x='41'", "42");
        check("[x]+1", "", "NULL");
        check("[x]+1", "x='a'", "error: `a` is not a number at 1:4");
        check(
            "2*[x]",
            "x=9223372036854775807",
            "error: arithmetic: the result does not fit at 1:2",
        );
        check(
            "-[x]",
            "x=-9223372036854775808",
            "error: arithmetic: the result does not fit at 1:1",
        );
        check("9223372036854775807+1", "", "error: arithmetic: the result does not fit at 1:20");
    }

    #[test]
    fn concatenation_joins_texts_or_bytes_and_passes_over_null() {
        check("\"a\" & [x] & 1 & True", "", "'a1True'");
        check("[x] & NULL", "", "''");
        check("[x] & [y] & NULL", "x=0x01ff", "0x01ff");
        check("[x] & [x]", "x=0x01ff", "0x01ff01ff");
        check(
            "\"a\" & [x]",
            "x=0x01",
            "error: a binary value of 1 bytes is not a text: use `ConvertToBase64` at 1:5",
        );
        check("\"x500:\" & [x]", "x='a'|'b'", "'x500:a' | 'x500:b'");
    }

    #[test]
    fn null_compares_as_nothing() {
        for (expression, expected) in [
            ("NULL = 1", "False"),
            ("NULL = NULL", "True"),
            ("NULL <> 1", "True"),
            ("NULL <> NULL", "False"),
            ("NULL < 1", "False"),
            ("NULL >= 1", "False"),
            ("IIF(NULL, 1, 2)", "2"),
            ("NULL || True", "True"),
            ("NULL && True", "False"),
        ] {
            check(expression, "", expected);
        }
    }

    #[test]
    fn the_type_of_either_side_decides_a_comparison() {
        check("[x] = True", "x='true'", "True");
        check("[x] = 10", "x='10'", "True");
        check("[x] > 9", "x='10'", "True");
        check("[x] > \"9\"", "x='10'", "False");
        check("[x] = \"TEST\"", "x='test'", "False");
        check("[x] = 10", "x='a'", "error: `a` is not a number at 1:5");
        check("[x] = True", "x='jdoe'", "error: `jdoe` is not a Boolean at 1:5");
        check("[x] = [x]", "x=0x01", "True");
        check("CDate(\"2026-01-01\") < Now()", "", "True");
    }

    #[test]
    fn c02_only_what_decides_is_evaluated() {
        check("True || Error(\"no\")", "", "True");
        check("False && Error(\"no\")", "", "False");
        check("IIF(True, 1, Error(\"no\"))", "", "1");
        check("Switch(False, Error(\"no\"), True, 2, True, Error(\"no\"))", "", "2");
        check("Switch(False, 1)", "", "NULL");
        check("Error(\"no\") || True", "", "error: no");
    }

    #[test]
    fn scalar_functions_map_over_lists() {
        let addresses = "p='SIP:a'|'smtp:b'";
        check("IIF(InStr([p],\"SIP:\")=1,NULL,[p])", addresses, "'smtp:b'");
        check("IIF(InStr([p],\"SIP:\")=1,\"x\",[p])", addresses, "'x' | 'smtp:b'");
        check("[p] & [q]", "p='a'|'b'; q='1'|'2'", "'a1' | 'b2'");
        check(
            "[p] & [q]",
            "p='a'|'b'; q='1'|'2'|'3'",
            "error: lists of different length: 2 and 3 values at 1:5",
        );
        check(
            "IIF(InStr([p],\"a\")=1,[q],NULL)",
            "p='a'|'b'; q='1'|'2'|'3'",
            "error: lists of different length: 2 and 3 values at 1:1",
        );
        check("[p] && True", addresses, "error: several values where one is expected at 1:1");
    }

    #[test]
    fn variables_select_filter_and_name() {
        let addresses = "p='SIP:a'|'smtp:b'";
        check("Select($v,[p],LCase($v))", addresses, "'sip:a' | 'smtp:b'");
        check("Select($v,[p],IIF(Left($v,4)=\"SIP:\",Mid($v,5),NULL))", addresses, "'a'");
        check("Where($v,[p],InStr($v,\"smtp:\")=1)", addresses, "'smtp:b'");
        check("With($n,Len([x]),$n*$n)", "x='abc'", "9");
        check("With($n,1,With($n,2,$n)&$n)", "", "'21'");
        check("Where($v,[p],True)", "", "NULL");
    }

    #[test]
    fn results_are_told_apart() {
        check("IIF([x]=1,IgnoreThisFlow,AuthoritativeNull)", "x=1", "IgnoreThisFlow");
        check("IIF([x]=1,IgnoreThisFlow,AuthoritativeNull)", "", "AuthoritativeNull");
        check("Switch([x]=1,AuthoritativeNull)", "x=1", "AuthoritativeNull");
        check("CRLF", "", "'\r\n'");
        check(
            "IIF([x]=\"a\",IgnoreThisFlow,1)",
            "x='a'|'b'",
            "error: `IgnoreThisFlow` can only be a result, not part of a computation at 1:1",
        );
    }

    #[test]
    fn a_flow_makes_nothing_of_empty_texts() {
        for (attributes, expected) in [
            ("", Outcome::Null),
            ("x=''", Outcome::Null),
            ("x=''|''", Outcome::Null),
            ("x=''|'a'", Outcome::Values(vec!["a".into()])),
            ("x=&''", Outcome::Null),
            ("x=0", Outcome::Values(vec![0.into()])),
            ("x=False", Outcome::Values(vec![false.into()])),
        ] {
            let expression = Expression::parse("[x]").unwrap();
            assert_eq!(
                expression.evaluate(&Object::read(attributes)),
                Ok(expected),
                "{attributes}"
            );
        }
    }

    #[test]
    fn texts_compare_without_case_where_that_is_asked_for() {
        for (expression, binary, text) in [
            ("[x] = \"TARO\"", "False", "True"),
            ("[x] <> \"TARO\"", "True", "False"),
            ("[x] < \"U\"", "False", "True"),
            ("[x] = \"ＴＡＲＯ\"", "False", "False"),
            ("InStr([x],\"A\")", "0", "0"),
            ("Contains([x],\"A\")", "0", "0"),
        ] {
            let object = Object::read("x='taro'");
            let parsed = Expression::parse(expression).unwrap();
            let value =
                |compare| computed(&parsed.clone().comparing(compare).compute(&object).unwrap());
            assert_eq!(value(Compare::Binary), binary, "{expression}");
            assert_eq!(value(Compare::Text), text, "{expression}");
        }
    }

    #[test]
    fn the_work_is_limited() {
        let long = |name: &str, count: usize| {
            let values: Vec<String> = (0..count).map(|n| format!("'{name}{n:06}'")).collect();
            format!("{name}={}", values.join("|"))
        };
        let search = "Count(Where($v,[a],Contains([b],$v)>0))";
        check(search, &format!("{}; {}", long("a", 1000), long("b", 4000)), "0");
        let position = match Expression::parse(search).unwrap().compute(&Object::read(&format!(
            "{}; {}",
            long("a", 9000),
            long("b", 9000)
        ))) {
            Err(error) => error,
            Ok(value) => panic!("{value:?}"),
        };
        assert_eq!(position.fault, Fault::TooManySteps(STEPS_MAX));
        let padded = "Select($v,[a],PadLeft($v,1000000,\"x\"))";
        let error = Expression::parse(padded).unwrap().compute(&Object::read(&long("a", 1000)));
        assert_eq!(error.map_err(|error| error.fault), Err(Fault::TooManySteps(STEPS_MAX)));
    }

    #[test]
    fn reads_from_outside_the_object() {
        check(
            "[sAMAccountName] & \"@\" & %Domain.FQDN%",
            "sAMAccountName='a'; %Domain.FQDN='b.example'",
            "'a@b.example'",
        );
        check("%Domain.FQDN%", "", "error: parameter `%Domain.FQDN%` has no value here at 1:1");
        check("ImportedValue(\"p\")", "p='new'; +p='old'", "'old'");
        check("ImportedValue(\"p\")", "p='new'", "NULL");
        check("[sn;lang-ja] & [msDS-Key]", "sn;lang-ja='山田'; msDS-Key='1'", "'山田1'");
    }

    #[test]
    fn the_number_and_size_of_produced_values_is_limited() {
        let many: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
        let many = format!("p={}", many.join("|"));
        check("Trim([p])", &many, "error: more than 10000 values produced at 1:1");
        check("Select($v,[p],$v)", &many, "error: more than 10000 values produced at 1:1");
        check("Count([p])", &many, "10001");
        let doubled = "With($a,PadLeft(\"\",1000000,\"x\"),Len($a & $a))";
        check(doubled, "", "error: a value of more than 1048576 bytes produced at 1:40");
    }
}
