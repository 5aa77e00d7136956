//! The one helper of this crate's tests: an expression, an object as text, the expected outcome.

use std::collections::BTreeMap;

use crate::{Analysis, Computed, Environment, Expression, Val};

/// Parses, evaluates and compares.
///
/// Takes attributes as `name=value|value; name=value`, where a value is `'text'`, `&'reference'`,
/// `0xhexadecimal`, `True`, `False` or a number; names starting with `+` are confirmed values, with
/// `%` parameters. The outcome is written the same way, with ` | ` between values, a date in
/// ISO 8601, or as `NULL`, `AuthoritativeNull`, `IgnoreThisFlow`, `error: ...`.
pub(crate) fn check(expression: &str, attributes: &str, expected: &str) {
    let outcome = match Expression::parse_untyped(expression) {
        Err(errors) => format!("error: {}", errors[0]),
        Ok(parsed) => match parsed.compute(&Object::read(attributes)) {
            Err(error) => format!("error: {error}"),
            Ok(value) => computed(&value),
        },
    };
    assert_eq!(outcome, expected, "{expression} of {attributes}");
}

pub(crate) fn computed(value: &Computed) -> String {
    match value {
        Computed::Null => "NULL".to_owned(),
        Computed::AuthoritativeNull => "AuthoritativeNull".to_owned(),
        Computed::IgnoreThisFlow => "IgnoreThisFlow".to_owned(),
        Computed::One(value) => written(value),
        Computed::Many(values) => values.iter().map(written).collect::<Vec<_>>().join(" | "),
    }
}

/// Parses an expression that must be refused and compares message and hint.
pub(crate) fn refused(expression: &str, message: &str, hint: &str) {
    refused_for(expression, &[(message, hint)]);
}

/// As [`refused`], for all that is wrong.
pub(crate) fn refused_for(expression: &str, expected: &[(&str, &str)]) {
    let errors = Analysis::of(expression).errors;
    let found: Vec<(String, String)> = errors
        .iter()
        .map(|error| (error.to_string(), error.hint.clone().unwrap_or_default()))
        .collect();
    let found: Vec<(&str, &str)> =
        found.iter().map(|(message, hint)| (message.as_str(), hint.as_str())).collect();
    assert_eq!(found, expected, "{expression}");
}

/// An object written as text.
pub(crate) struct Object {
    values: BTreeMap<String, Vec<Val>>,
}

// === impl Object ===

impl Object {
    pub fn read(text: &str) -> Self {
        let values = text.split("; ").filter_map(|part| part.split_once('='));
        let values = values
            .map(|(name, values)| (name.to_owned(), values.split('|').map(value).collect()))
            .collect();
        Self { values }
    }

    fn get(&self, name: &str) -> Vec<Val> {
        self.values.get(name).cloned().unwrap_or_default()
    }
}

impl Environment for Object {
    fn attribute(&self, name: &str) -> Vec<Val> {
        self.get(name)
    }

    fn imported(&self, name: &str) -> Vec<Val> {
        self.get(&format!("+{name}"))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        match self.get(&format!("%{name}")).pop()? {
            Val::Text(text) => Some(text),
            _ => None,
        }
    }

    /// 2026-01-31.
    fn now(&self) -> i64 {
        1_769_817_600
    }
}

fn value(text: &str) -> Val {
    if let Some(hex) = text.strip_prefix("0x") {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        return Val::Binary((0..hex.len()).step_by(2).map(byte).collect());
    }
    match (text, text.strip_prefix("&'"), text.strip_prefix('\'')) {
        ("True", ..) => Val::Boolean(true),
        ("False", ..) => Val::Boolean(false),
        (_, Some(reference), _) => Val::Reference(reference.trim_end_matches('\'').to_owned()),
        (_, _, Some(text)) => Val::from(text.strip_suffix('\'').unwrap()),
        _ => Val::Number(text.parse().unwrap()),
    }
}

fn written(value: &Val) -> String {
    match value {
        Val::Text(text) => format!("'{text}'"),
        Val::Reference(text) => format!("&'{text}'"),
        Val::Number(number) => number.to_string(),
        Val::Boolean(true) => "True".to_owned(),
        Val::Boolean(false) => "False".to_owned(),
        Val::Binary(bytes) => {
            bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        }
        Val::Instant(instant) => instant.to_string(),
    }
}
