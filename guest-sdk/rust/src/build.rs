//! Building a rule's answers: a contract, flows, verdicts.

use crate::{Contract, Contribution, Failure, Flow, Values, Verdict};

/// A contract of attributes read and attributes written; its other fields are empty:
/// `Contract { volatile: true, ..contract(["mail"], ["userName"]) }`.
pub fn contract(
    reads: impl IntoIterator<Item = impl Into<String>>,
    writes: impl IntoIterator<Item = impl Into<String>>,
) -> Contract {
    Contract {
        reads: names(reads),
        reads_imported: vec![],
        parameters: vec![],
        writes: names(writes),
        volatile: false,
    }
}

/// A list of names, for the fields of a contract.
pub fn names(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    names.into_iter().map(Into::into).collect()
}

/// These values flow to the attribute; no values mean [`none`].
pub fn set(attribute: &str, values: impl Into<Values>) -> Flow {
    match values.into().0 {
        values if values.is_empty() => none(attribute),
        values => flow(attribute, Contribution::Values(values)),
    }
}

/// Nothing flows: the next rule may contribute; without one the attribute is removed.
pub fn none(attribute: &str) -> Flow {
    flow(attribute, Contribution::None)
}

/// Nothing flows, and no rule of lower precedence may contribute either.
pub fn block(attribute: &str) -> Flow {
    flow(attribute, Contribution::Block)
}

/// As if there were no such flow: a value already there stays.
pub fn keep(attribute: &str) -> Flow {
    flow(attribute, Contribution::Keep)
}

/// The object is out of this rule's scope. `explain` shows the reason.
pub fn skip(reason: impl Into<String>) -> Verdict {
    Verdict::Skip(reason.into())
}

/// The object cannot be mapped: it keeps its last good state and is reported.
pub fn fail(message: impl Into<String>) -> Verdict {
    Verdict::Fail(Failure { attribute: None, message: message.into() })
}

/// Like [`fail`], naming the attribute of the contract that is at fault.
pub fn fail_at(attribute: &str, message: impl Into<String>) -> Verdict {
    Verdict::Fail(Failure { attribute: Some(attribute.into()), message: message.into() })
}

fn flow(attribute: &str, contribution: Contribution) -> Flow {
    Flow { attribute: attribute.into(), contribution }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;

    #[test]
    fn whatever_stands_for_values_can_be_set() {
        let text = |text: &str| Contribution::Values(vec![Value::Text(text.into())]);
        for (flow, contribution) in [
            (set("a", "x"), text("x")),
            (set("a", Some("x".to_owned())), text("x")),
            (
                set("a", Some(&Value::Boolean(true))),
                Contribution::Values(vec![Value::Boolean(true)]),
            ),
            (set("a", ["x"].into_iter().collect::<Values>()), text("x")),
            (set("a", None::<i64>), Contribution::None),
            (set("a", Vec::<Value>::new()), Contribution::None),
            (keep("a"), Contribution::Keep),
            (block("a"), Contribution::Block),
        ] {
            assert_eq!(flow, Flow { attribute: "a".into(), contribution });
        }
    }
}
