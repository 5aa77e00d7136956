//! The one helper of this crate's tests: an expression, an object as text, the expected outcome.

use std::collections::BTreeMap;

use crate::{Environment, Expression, Outcome, Val};

/// Parses, evaluates and compares.
///
/// Takes attributes as `name=value|value; name=value`, where a value is `'text'`, `&'reference'`,
/// `0xhexadecimal`, `True`, `False` or a number; names starting with `+` are confirmed values, with
/// `%` parameters. The outcome is written the same way, with ` | ` between values, a date in
/// ISO 8601, or as `NULL`, `AuthoritativeNull`, `IgnoreThisFlow`, `error: ...`.
pub(crate) fn check(expression: &str, attributes: &str, expected: &str) {
    let outcome = match Expression::parse(expression) {
        Err(error) => format!("error: {error}"),
        Ok(parsed) => match parsed.evaluate(&Object::read(attributes)) {
            Err(error) => format!("error: {error}"),
            Ok(Outcome::Null) => "NULL".to_owned(),
            Ok(Outcome::AuthoritativeNull) => "AuthoritativeNull".to_owned(),
            Ok(Outcome::IgnoreThisFlow) => "IgnoreThisFlow".to_owned(),
            Ok(Outcome::Values(values)) => {
                values.iter().map(written).collect::<Vec<_>>().join(" | ")
            }
        },
    };
    assert_eq!(outcome, expected, "{expression} of {attributes}");
}

/// Parses an expression that must be refused and compares message and hint.
pub(crate) fn refused(expression: &str, message: &str, hint: &str) {
    let error = match Expression::parse(expression) {
        Ok(_) => panic!("accepted: {expression}"),
        Err(error) => error,
    };
    assert_eq!((error.to_string().as_str(), error.hint.as_deref().unwrap_or("")), (message, hint));
}

/// An object written as text.
struct Object {
    values: BTreeMap<String, Vec<Val>>,
}

// === impl Object ===

impl Object {
    fn read(text: &str) -> Self {
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
