//! Answers and expectations in the form of test cases: what is printed can be written down.

use std::collections::BTreeMap;

use base64::Engine as _;
use kakehi_engine::flow::{Contribution, Flow, RuleOutcome};
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::rule::{Merge, Rule};
use serde_json::Value as Json;

use super::Expectation;

/// What a rule answered, as far as a case can expect it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Given(Expectation),
    /// `rule-trap: deadline: ...`, which no case can want.
    Broken(String),
}

/// An outcome in the words of a case: of several flows to one attribute, what they come to.
pub fn answer(outcome: &RuleOutcome, rule: &Rule) -> Answer {
    Answer::Given(match outcome {
        RuleOutcome::Flows(flows) => {
            Expectation::Flows { flows: effective(flows, rule), partial: false }
        }
        RuleOutcome::Skip(reason) => Expectation::Skip(reason.clone()),
        RuleOutcome::Fail { attribute, message } => {
            Expectation::Fail { attribute: attribute.clone(), message: message.clone() }
        }
        RuleOutcome::Trapped { trap, message } => {
            return Answer::Broken(format!("rule-trap: {}: {message}", trap.as_str()));
        }
        RuleOutcome::BadContribution { attribute, message } => {
            return Answer::Broken(format!("bad-contribution: `{attribute}`: {message}"));
        }
    })
}

/// What the flows of one rule come to, by attribute, as if no other rule contributed
/// (provisioning.md 11.4).
fn effective(flows: &[Flow], rule: &Rule) -> BTreeMap<AttributeName, Contribution> {
    let mut found = BTreeMap::<AttributeName, Contribution>::new();
    for Flow { attribute, contribution } in flows {
        let policy = rule.contract.writes.get(attribute);
        let merges = policy.is_some_and(|policy| policy.merge != Merge::Update);
        match (found.get_mut(attribute), contribution) {
            (Some(Contribution::Values(known)), Contribution::Values(more)) if merges => {
                let new: Vec<Value> =
                    more.iter().filter(|value| !known.contains(value)).cloned().collect();
                known.extend(new);
            }
            (Some(Contribution::Values(_) | Contribution::Block), _) => {}
            (Some(Contribution::Keep), Contribution::None) => {}
            _ => {
                found.insert(attribute.clone(), contribution.clone());
            }
        }
    }
    found
}

/// How keys and none are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Yaml,
    /// Which is YAML, too.
    Json,
}

/// A contribution as it stands in `out`.
pub fn contribution(contribution: &Contribution) -> String {
    Form::Yaml.contribution(contribution)
}

/// An expectation as the key and the value of a case: `("skip", "\"computer account\"")`.
pub fn expectation(expectation: &Expectation) -> (&'static str, String) {
    written(expectation, Form::Yaml)
}

pub fn written(expectation: &Expectation, form: Form) -> (&'static str, String) {
    match expectation {
        Expectation::Flows { flows, .. } => {
            let flow = |(name, value): (&AttributeName, &Contribution)| {
                format!("{}: {}", form.key(name.as_str()), form.contribution(value))
            };
            ("out", format!("{{{}}}", flows.iter().map(flow).collect::<Vec<_>>().join(", ")))
        }
        Expectation::Skip(reason) => ("skip", quoted(reason)),
        Expectation::Fail { attribute: None, message } => {
            ("fail", format!("{{{}: {}}}", form.key("message"), quoted(message)))
        }
        Expectation::Fail { attribute: Some(attribute), message } => {
            let attribute = form.one(&Value::text(attribute.as_str()));
            let (first, second) = (form.key("attribute"), form.key("message"));
            ("fail", format!("{{{first}: {attribute}, {second}: {}}}", quoted(message)))
        }
    }
}

/// An attribute and its values as they stand in `in`.
pub fn given(name: &AttributeName, values: &[Value]) -> String {
    let values = Contribution::Values(values.to_vec());
    format!("{}: {}", key(name.as_str()), contribution(&values))
}

/// A name without quotation marks where it needs none.
pub fn key(name: &str) -> String {
    Form::Yaml.key(name)
}

/// A text in JSON's quotation marks, which mean the same in YAML. No character in it can steer a
/// terminal: JSON leaves some of those as they are.
pub fn quoted(text: &str) -> String {
    let json = Json::from(text).to_string();
    let mut quoted = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter.is_control() {
            true => quoted.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => quoted.push(letter),
        }
    }
    quoted
}

// === impl Form ===

impl Form {
    fn key(self, name: &str) -> String {
        let plain = self == Self::Yaml
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
            && !["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
                .contains(&name.to_ascii_lowercase().as_str());
        if plain { name.to_owned() } else { quoted(name) }
    }

    fn contribution(self, contribution: &Contribution) -> String {
        match contribution {
            Contribution::None if self == Self::Json => "null".to_owned(),
            Contribution::None => "~".to_owned(),
            Contribution::Block => format!("{{{}: {}}}", self.key("flow"), self.key("block")),
            Contribution::Keep => format!("{{{}: {}}}", self.key("flow"), self.key("keep")),
            Contribution::Values(values) => match values.as_slice() {
                [value] => self.one(value),
                values => {
                    let values: Vec<String> = values.iter().map(|value| self.one(value)).collect();
                    format!("[{}]", values.join(", "))
                }
            },
        }
    }

    fn one(self, value: &Value) -> String {
        match value {
            Value::Text(text) => quoted(text),
            Value::Integer(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            Value::Binary(bytes) => {
                let digits = base64::engine::general_purpose::STANDARD.encode(bytes);
                format!("{{{}: {}}}", self.key("binary"), quoted(&digits))
            }
            Value::Reference(text) => {
                format!("{{{}: {}}}", self.key("reference"), quoted(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_yaml_that_no_terminal_obeys() {
        assert_eq!(quoted("a\u{1b}[2J\u{9b}\u{7f}\"太\""), r#""a\u001b[2J\u009b\u007f\"太\"""#);
        for (name, shown) in [
            ("mail", "mail"),
            ("sn;lang-ja", "\"sn;lang-ja\""),
            ("no", "\"no\""),
            ("emails[type eq \"work\"].value", r#""emails[type eq \"work\"].value""#),
        ] {
            assert_eq!(key(name), shown);
        }
    }
}
