//! Cases of rules as data (rules.md 10.2): YAML in, objects and what is expected of them out.
//!
//! This reader is the tests' own: it judges the product's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kakehi_engine::flow::{Contribution, RuleInput, RuleOutcome};
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::time::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

/// One object, and what the rule must say of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    #[serde(default = "user")]
    class: String,
    #[serde(rename = "in")]
    input: Map<String, Json>,
    #[serde(default)]
    imported: Map<String, Json>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    now: Option<String>,
    out: Option<Map<String, Json>>,
    #[serde(default)]
    partial: bool,
    skip: Option<String>,
    fail: Option<Fail>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fail {
    attribute: Option<String>,
    message: String,
}

/// The object of a case.
pub struct Object {
    class: String,
    attributes: Vec<(AttributeName, Vec<Value>)>,
    imported: Vec<(AttributeName, Vec<Value>)>,
    parameters: BTreeMap<String, String>,
}

fn user() -> String {
    "user".into()
}

/// Reads a list of cases.
pub fn read(text: &str) -> Vec<Case> {
    serde_yaml::from_str(text).expect("cases in their form")
}

// === impl Case ===

impl Case {
    pub fn object(&self) -> Object {
        Object {
            class: self.class.clone(),
            attributes: attributes(&self.input),
            imported: attributes(&self.imported),
            parameters: self.parameters.clone(),
        }
    }

    /// The instant of the case; the epoch where it does not matter.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.now.as_deref().map_or(0, unix_seconds))
    }

    /// What is different from what is expected; `writes` are all that the contract names.
    pub fn differences(&self, outcome: &RuleOutcome, writes: &[AttributeName]) -> Vec<String> {
        let wrong = |expected: String| vec![format!("expected {expected}, got {outcome:?}")];
        match (outcome, &self.out, &self.skip, &self.fail) {
            (RuleOutcome::Flows(_), Some(out), None, None) => {
                let flows = contributions(outcome);
                let named = out.iter().map(|(name, json)| (name.as_str(), contribution(json)));
                let others = writes.iter().map(AttributeName::as_str);
                let others = others
                    .filter(|name| !self.partial && !out.contains_key(*name))
                    .map(|name| (name, Contribution::None));
                let differs = |(name, expected): (&str, Contribution)| {
                    let got = flows.get(name).unwrap_or(&&Contribution::None);
                    (**got != expected)
                        .then(|| format!("{name}: expected {expected:?}, got {got:?}"))
                };
                named.chain(others).filter_map(differs).collect()
            }
            (RuleOutcome::Skip(reason), None, Some(skip), None) if reason == skip => vec![],
            (RuleOutcome::Fail { attribute, message }, None, None, Some(fail))
                if attribute.as_ref().map(AttributeName::as_str) == fail.attribute.as_deref()
                    && *message == fail.message =>
            {
                vec![]
            }
            _ => wrong(format!("{:?} {:?} {:?}", self.out, self.skip, self.fail)),
        }
    }
}

// === impl Object ===

impl Object {
    /// What the rule is shown, sorted as the engine does.
    pub fn input(&self) -> RuleInput<'_> {
        RuleInput {
            class: &self.class,
            attributes: sorted(&self.attributes),
            imported: sorted(&self.imported),
            parameters: self
                .parameters
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        }
    }
}

fn sorted(of: &[(AttributeName, Vec<Value>)]) -> Vec<(&AttributeName, Cow<'_, [Value]>)> {
    let mut list: Vec<_> =
        of.iter().map(|(name, values)| (name, Cow::Borrowed(values.as_slice()))).collect();
    list.sort_by_key(|(name, _)| name.as_str());
    list
}

fn contributions(outcome: &RuleOutcome) -> BTreeMap<&str, &Contribution> {
    let RuleOutcome::Flows(flows) = outcome else { return BTreeMap::new() };
    flows.iter().map(|flow| (flow.attribute.as_str(), &flow.contribution)).collect()
}

fn attributes(of: &Map<String, Json>) -> Vec<(AttributeName, Vec<Value>)> {
    of.iter().map(|(name, json)| (name.as_str().into(), values(json))).collect()
}

fn contribution(json: &Json) -> Contribution {
    match (json, json.get("flow").and_then(Json::as_str)) {
        (_, Some("block")) => Contribution::Block,
        (_, Some("keep")) => Contribution::Keep,
        (Json::Null, _) => Contribution::None,
        _ => Contribution::Values(values(json)),
    }
}

fn values(json: &Json) -> Vec<Value> {
    match json {
        Json::Array(list) => list.iter().map(value).collect(),
        one => vec![value(one)],
    }
}

fn value(json: &Json) -> Value {
    let text = |key: &str| json.get(key).and_then(Json::as_str);
    match (json, text("binary"), text("reference")) {
        (_, Some(bytes), _) => Value::Binary(STANDARD.decode(bytes).expect("base64")),
        (_, _, Some(target)) => Value::Reference(target.into()),
        (Json::String(text), ..) => Value::Text(text.clone()),
        (Json::Bool(flag), ..) => Value::Boolean(*flag),
        (Json::Number(number), ..) => Value::Integer(number.as_i64().expect("64 bits")),
        _ => panic!("no value: {json}"),
    }
}

/// Takes `2026-09-21T14:13:20Z`. Source of the arithmetic: days from 1 March of year 0, so that the
/// day that leap years have more comes last.
fn unix_seconds(text: &str) -> i64 {
    let part = |from: usize, to: usize| text[from..to].parse::<i64>().expect("digits");
    assert!(text.len() == 20 && text.ends_with('Z'), "`{text}` is not a time in UTC");
    let (month, day) = (part(5, 7), part(8, 10));
    let year = part(0, 4) - i64::from(month <= 2);
    let months_since_march = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400;
    let days = days + (153 * months_since_march + 2) / 5 + day - 1 - 719_468;
    days * 86_400 + part(11, 13) * 3_600 + part(14, 16) * 60 + part(17, 19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for seconds in [-1, 0, 1_790_000_000, 951_782_400, 4_102_444_799] {
            let text = Timestamp::from_unix_seconds(seconds).rfc3339();
            assert_eq!(unix_seconds(&text), seconds, "{text}");
        }
    }
}
