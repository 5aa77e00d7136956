//! Engine types to interface types and back. What flows back is checked: nothing undeclared comes
//! out.

use std::borrow::Cow;
use std::collections::HashSet;

use kakehi_engine::flow::{Contribution, Flow, RuleInput, RuleOutcome};
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::rule::{Direction, Rule};

use crate::abi::latest;
use crate::contract::{CONTRACT_NAME_BYTES_MAX, DeclaredContract};
use crate::text::{GUEST_TEXT_BYTES_MAX, clean};

/// Shows an object to whoever asks a guest about it. Nothing of it is copied here.
pub(crate) fn with_entry<R>(input: &RuleInput<'_>, ask: impl FnOnce(latest::Entry<'_>) -> R) -> R {
    let all = input.attributes.iter().chain(&input.imported);
    let mut values = Vec::with_capacity(count_values(input));
    for (_, own) in all {
        values.extend(own.iter().map(value_in));
    }
    let mut rest = values.as_slice();
    let (attributes, imported) =
        (list(&input.attributes, &mut rest), list(&input.imported, &mut rest));
    let parameter = |(name, value)| latest::Parameter { name, value };
    let parameters: Vec<_> = input.parameters.iter().copied().map(parameter).collect();
    ask(latest::Entry {
        class: input.class,
        attributes: &attributes,
        imported: &imported,
        parameters: &parameters,
    })
}

/// Gives each attribute its values, which stand at the beginning of `rest` in the same order.
fn list<'a>(
    attributes: &'a [(&AttributeName, Cow<'_, [Value]>)],
    rest: &mut &'a [latest::ValueParam<'a>],
) -> Vec<latest::Attribute<'a>> {
    let attribute = |(name, own): &'a (&AttributeName, Cow<'_, [Value]>)| {
        let (values, others) = rest.split_at(own.len());
        *rest = others;
        latest::Attribute { name: name.as_str(), values }
    };
    attributes.iter().map(attribute).collect()
}

/// How many values an object has, on which its deadline depends.
pub(crate) fn count_values(input: &RuleInput<'_>) -> usize {
    input.attributes.iter().chain(&input.imported).map(|(_, values)| values.len()).sum()
}

/// What a verdict means to the engine.
///
/// Takes: the verdict of a guest that was shown `input`. Gives: for `flow`, the flows of enabled
/// writes in the guest's order, then `None` for each enabled write that it did not name, in order
/// of name.
pub(crate) fn outcome(
    verdict: latest::Verdict,
    declared: &DeclaredContract,
    rule: &Rule,
    input: &RuleInput<'_>,
) -> RuleOutcome {
    match verdict {
        latest::Verdict::Flow(flows) => match Checker::new(rule, input).flows(flows) {
            Ok(flows) => RuleOutcome::Flows(flows),
            Err(BadContribution { attribute, message }) => {
                RuleOutcome::BadContribution { attribute, message }
            }
        },
        latest::Verdict::Skip(reason) => RuleOutcome::Skip(clean(&reason, GUEST_TEXT_BYTES_MAX)),
        latest::Verdict::Fail(latest::Failure { attribute, message }) => match attribute {
            Some(attribute) if !declared.names(&attribute) => {
                // A foreign name is only shown: the engine takes the attribute for one it knows.
                let message = format!("{message} (attribute `{attribute}`)");
                let message = clean(&message, GUEST_TEXT_BYTES_MAX);
                RuleOutcome::Fail { attribute: None, message }
            }
            attribute => RuleOutcome::Fail {
                attribute: attribute.map(AttributeName::from),
                message: clean(&message, GUEST_TEXT_BYTES_MAX),
            },
        },
    }
}

struct BadContribution {
    attribute: AttributeName,
    message: String,
}

/// Holds what a guest contributed against what it may.
struct Checker<'a> {
    rule: &'a Rule,
    input: &'a RuleInput<'a>,
    /// The references that the entry held, gathered when first needed.
    shown_references: Option<HashSet<&'a str>>,
}

// === impl Checker ===

impl<'a> Checker<'a> {
    fn new(rule: &'a Rule, input: &'a RuleInput<'a>) -> Self {
        Self { rule, input, shown_references: None }
    }

    fn flows(mut self, flows: Vec<latest::Flow>) -> Result<Vec<Flow>, BadContribution> {
        let mut checked: Vec<Flow> = Vec::with_capacity(flows.len());
        for latest::Flow { attribute, contribution } in flows {
            let Some((attribute, policy)) =
                self.rule.contract.writes.get_key_value(attribute.as_str())
            else {
                return Err(BadContribution {
                    attribute: clean(&attribute, CONTRACT_NAME_BYTES_MAX).into(),
                    message: "the contract does not name it in `writes`".into(),
                });
            };
            if policy.enabled {
                let contribution = self.contribution(attribute, contribution)?;
                checked.push(Flow { attribute: attribute.clone(), contribution });
            }
        }
        let mut named: Vec<AttributeName> =
            checked.iter().map(|flow| flow.attribute.clone()).collect();
        named.sort_unstable();
        let unnamed = self
            .rule
            .contract
            .writes
            .iter()
            .filter(|(attribute, policy)| policy.enabled && named.binary_search(attribute).is_err())
            .map(|(attribute, _)| Flow {
                attribute: attribute.clone(),
                contribution: Contribution::None,
            });
        checked.extend(unnamed);
        Ok(checked)
    }

    fn contribution(
        &mut self,
        attribute: &AttributeName,
        contribution: latest::Contribution,
    ) -> Result<Contribution, BadContribution> {
        let values = match contribution {
            latest::Contribution::Values(values) => values,
            latest::Contribution::None => return Ok(Contribution::None),
            latest::Contribution::Block => return Ok(Contribution::Block),
            latest::Contribution::Keep => return Ok(Contribution::Keep),
        };
        let values: Vec<Value> =
            values.into_iter().map(value_out).filter(|value| !is_empty_text(value)).collect();
        let values = without_repetitions(values);
        self.check_references(attribute, &values)?;
        Ok(if values.is_empty() { Contribution::None } else { Contribution::Values(values) })
    }

    /// Outbound, a reference is a metaverse id: a guest can pass on what it saw, not make up
    /// others.
    fn check_references(
        &mut self,
        attribute: &AttributeName,
        values: &[Value],
    ) -> Result<(), BadContribution> {
        if self.rule.direction == Direction::Inbound {
            return Ok(());
        }
        for value in values {
            let Value::Reference(target) = value else {
                continue;
            };
            let input = self.input;
            let shown = self.shown_references.get_or_insert_with(|| references(input));
            if !shown.contains(target.as_str()) {
                let target = clean(target, CONTRACT_NAME_BYTES_MAX);
                return Err(BadContribution {
                    attribute: attribute.clone(),
                    message: format!("the entry did not hold the reference `{target}`"),
                });
            }
        }
        Ok(())
    }
}

fn references<'a>(input: &'a RuleInput<'a>) -> HashSet<&'a str> {
    input
        .attributes
        .iter()
        .chain(&input.imported)
        .flat_map(|(_, values)| values.iter())
        .filter_map(|value| match value {
            Value::Reference(target) => Some(target.as_str()),
            _ => None,
        })
        .collect()
}

/// The first of each value, in order.
fn without_repetitions(mut values: Vec<Value>) -> Vec<Value> {
    if values.len() < 2 {
        // Most attributes have one value, and a set would cost more than the rest of this file.
        return values;
    }
    let mut seen = HashSet::with_capacity(values.len());
    let mut first = values.iter().map(|value| seen.insert(value)).collect::<Vec<_>>().into_iter();
    values.retain(|_| first.next().unwrap_or(false));
    values
}

fn is_empty_text(value: &Value) -> bool {
    matches!(value, Value::Text(text) | Value::Reference(text) if text.is_empty())
}

fn value_in(value: &Value) -> latest::ValueParam<'_> {
    match value {
        Value::Text(text) => latest::ValueParam::Text(text),
        Value::Binary(bytes) => latest::ValueParam::Binary(bytes),
        Value::Integer(number) => latest::ValueParam::Integer(*number),
        Value::Boolean(flag) => latest::ValueParam::Boolean(*flag),
        Value::Reference(target) => latest::ValueParam::Reference(target),
    }
}

fn value_out(value: latest::Value) -> Value {
    match value {
        latest::Value::Text(text) => Value::Text(text),
        latest::Value::Binary(bytes) => Value::Binary(bytes),
        latest::Value::Integer(number) => Value::Integer(number),
        latest::Value::Boolean(flag) => Value::Boolean(flag),
        latest::Value::Reference(target) => Value::Reference(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{object, rule};

    fn declared() -> DeclaredContract {
        DeclaredContract {
            reads: vec!["dn".into()],
            writes: vec!["a".into(), "b".into(), "off".into()],
            ..DeclaredContract::default()
        }
    }

    /// What becomes of a verdict on an object that holds the reference `7`.
    fn check(direction: Direction, verdict: latest::Verdict, expected: &RuleOutcome) {
        let rule = rule(direction, &[("a", true), ("b", true), ("off", false)]);
        let (dn, values) = (AttributeName::from("dn"), [Value::Reference("7".into())]);
        let input = object("user", &dn, &values);
        assert_eq!(outcome(verdict, &declared(), &rule, &input), *expected);
    }

    fn set(attribute: &str, values: Vec<latest::Value>) -> latest::Flow {
        flow(attribute, latest::Contribution::Values(values))
    }

    fn flow(attribute: &str, contribution: latest::Contribution) -> latest::Flow {
        latest::Flow { attribute: attribute.into(), contribution }
    }

    fn text(text: &str) -> latest::Value {
        latest::Value::Text(text.into())
    }

    fn check_flows(flows: Vec<latest::Flow>, expected: &[(&str, Contribution)]) {
        let expected = expected
            .iter()
            .map(|(attribute, contribution)| Flow {
                attribute: (*attribute).into(),
                contribution: contribution.clone(),
            })
            .collect();
        let verdict = latest::Verdict::Flow(flows);
        check(Direction::Inbound, verdict, &RuleOutcome::Flows(expected));
    }

    /// What becomes of a value in a guest that gives back what it is shown.
    fn echoed(value: latest::ValueParam<'_>) -> latest::Value {
        match value {
            latest::ValueParam::Text(text) => latest::Value::Text(text.into()),
            latest::ValueParam::Binary(bytes) => latest::Value::Binary(bytes.into()),
            latest::ValueParam::Integer(number) => latest::Value::Integer(number),
            latest::ValueParam::Boolean(flag) => latest::Value::Boolean(flag),
            latest::ValueParam::Reference(target) => latest::Value::Reference(target.into()),
        }
    }

    #[test]
    fn values_cross_the_wall_both_ways_unchanged() {
        for value in [
            Value::text("山田"),
            Value::Binary(vec![0, 0xff]),
            Value::Integer(i64::MIN),
            Value::Boolean(true),
            Value::Reference("CN=Taro".into()),
        ] {
            assert_eq!(value_out(echoed(value_in(&value))), value);
        }
    }

    #[test]
    fn an_entry_shows_what_the_input_holds() {
        let (name, values) = (AttributeName::from("mail"), [Value::text("a"), Value::text("b")]);
        let input = RuleInput {
            imported: vec![(&name, Cow::Borrowed(&values[..1]))],
            parameters: vec![("Domain.FQDN", "corp.example")],
            ..object("user", &name, &values)
        };
        assert_eq!(count_values(&input), 3);
        with_entry(&input, |entry| {
            assert_eq!(entry.class, "user");
            assert_eq!(entry.attributes[0].name, "mail");
            assert_eq!(entry.attributes[0].values.len(), 2);
            assert_eq!(entry.imported[0].values.len(), 1);
            assert_eq!(entry.parameters[0].name, "Domain.FQDN");
            assert_eq!(entry.parameters[0].value, "corp.example");
        });
    }

    #[test]
    fn a_write_that_no_flow_names_is_none() {
        check_flows(vec![], &[("a", Contribution::None), ("b", Contribution::None)]);
        check_flows(
            vec![flow("b", latest::Contribution::Keep)],
            &[("b", Contribution::Keep), ("a", Contribution::None)],
        );
    }

    #[test]
    fn empty_and_repeated_values_are_dropped_and_an_empty_list_is_none() {
        let values = |values: &[&str]| {
            Contribution::Values(values.iter().copied().map(Value::text).collect())
        };
        check_flows(
            vec![
                set("a", vec![text("x"), text(""), text("y"), text("x")]),
                set("b", vec![text("")]),
                set("a", vec![]),
            ],
            &[("a", values(&["x", "y"])), ("b", Contribution::None), ("a", Contribution::None)],
        );
    }

    #[test]
    fn position_is_the_flow_index_and_a_disabled_write_is_dropped() {
        check_flows(
            vec![
                flow("a", latest::Contribution::Keep),
                set("off", vec![text("x")]),
                flow("b", latest::Contribution::Block),
                flow("a", latest::Contribution::Block),
            ],
            &[("a", Contribution::Keep), ("b", Contribution::Block), ("a", Contribution::Block)],
        );
    }

    #[test]
    fn g06_an_undeclared_write_is_refused_whatever_it_contributes() {
        let verdict = latest::Verdict::Flow(vec![flow("c\u{1b}", latest::Contribution::Keep)]);
        let expected = RuleOutcome::BadContribution {
            attribute: "c\\u{1b}".into(),
            message: "the contract does not name it in `writes`".into(),
        };
        check(Direction::Inbound, verdict, &expected);
    }

    #[test]
    fn outbound_only_references_that_the_entry_held_are_passed_on() {
        let verdict = |target: &str| {
            let reference = latest::Value::Reference(target.into());
            latest::Verdict::Flow(vec![set("a", vec![reference]), set("b", vec![])])
        };
        let passed = |target: &str| {
            let values = Contribution::Values(vec![Value::Reference(target.into())]);
            RuleOutcome::Flows(vec![
                Flow { attribute: "a".into(), contribution: values },
                Flow { attribute: "b".into(), contribution: Contribution::None },
            ])
        };
        check(Direction::Outbound, verdict("7"), &passed("7"));
        check(Direction::Inbound, verdict("8"), &passed("8"));
        let refused = RuleOutcome::BadContribution {
            attribute: "a".into(),
            message: "the entry did not hold the reference `8`".into(),
        };
        check(Direction::Outbound, verdict("8"), &refused);
    }

    #[test]
    fn a_failure_names_only_attributes_of_the_contract() {
        let fail = |attribute: Option<&str>| {
            latest::Verdict::Fail(latest::Failure {
                attribute: attribute.map(str::to_owned),
                message: "missing\n".into(),
            })
        };
        for (attribute, named, message) in [
            (None, None, "missing\\n"),
            (Some("dn"), Some("dn"), "missing\\n"),
            (Some("b"), Some("b"), "missing\\n"),
            (Some("c"), None, "missing\\n (attribute `c`)"),
        ] {
            let attribute_out = named.map(AttributeName::from);
            let expected = RuleOutcome::Fail { attribute: attribute_out, message: message.into() };
            check(Direction::Inbound, fail(attribute), &expected);
        }
    }

    #[test]
    fn a_reason_is_cut_at_1_kib() {
        let reason = "x".repeat(GUEST_TEXT_BYTES_MAX + 1);
        let expected = format!("{}…", "x".repeat(GUEST_TEXT_BYTES_MAX - 3));
        check(Direction::Inbound, latest::Verdict::Skip(reason), &RuleOutcome::Skip(expected));
    }
}
