//! What does not fit, on its way up through the tree: words for people, the place, and the path.

use std::fmt;

use serde::de;

use super::FlawKind;
use crate::config::nearest::nearest;
use crate::config::yaml::node::{Mark, Step};

#[derive(Debug)]
pub(super) struct Fault {
    pub kind: FlawKind,
    pub message: String,
    pub hint: Option<String>,
}

/// An error on its way up through the tree, gathering its path.
#[derive(Debug)]
pub(super) struct DecodeError {
    pub fault: Box<Fault>,
    pub mark: Option<Mark>,
    /// From the faulty value upwards.
    pub path: Vec<Step>,
    /// It is only the consequence of a flaw already noted.
    pub follows: bool,
}

// === impl DecodeError ===

impl DecodeError {
    pub fn new(kind: FlawKind, message: String) -> Self {
        let fault = Box::new(Fault { kind, message, hint: None });
        Self { fault, mark: None, path: vec![], follows: false }
    }

    pub fn hint(mut self, hint: Option<String>) -> Self {
        self.fault.hint = hint;
        self
    }

    /// The innermost place wins.
    pub fn at(mut self, mark: Mark) -> Self {
        self.mark.get_or_insert(mark);
        self
    }

    pub fn under(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self::new(FlawKind::Value, message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(FlawKind::MissingKey, format!("the key `{field}` is missing"))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(FlawKind::UnknownKey, format!("unknown key `{field}`"))
            .hint(Some(unknown_key_hint(field, known)))
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_value(found, expected)
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Signed(number) => format!("`{number}`"),
            de::Unexpected::Unsigned(number) => format!("`{number}`"),
            de::Unexpected::Str(text) => format!("the text `{text}`"),
            de::Unexpected::Bool(flag) => format!("`{flag}`"),
            de::Unexpected::Seq => "a list".to_owned(),
            de::Unexpected::Map => "a mapping".to_owned(),
            de::Unexpected::Unit => "nothing".to_owned(),
            found => found.to_string(),
        };
        let expected = match expected.to_string().as_str() {
            "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, zero or greater".to_owned(),
            other => other.to_owned(),
        };
        Self::new(FlawKind::Value, format!("expected {expected}, found {found}"))
    }
}

pub(super) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

pub(super) fn unknown_key_hint(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(name) => did_you_mean(name),
        None => format!("known here are {}", listed(known)),
    }
}
