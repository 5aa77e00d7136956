//! Why a command stopped: what a step could not do, and what mends it.

use std::fmt;

pub type Result<T> = std::result::Result<T, Failure>;

#[derive(Debug, PartialEq)]
pub struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), hint: None }
    }

    /// Says how to mend it.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Failure { hint: Some(hint.into()), ..self }
    }

    /// Names the step that failed.
    pub fn in_step(self, name: &str) -> Self {
        Failure { message: format!("step `{name}`: {}", self.message), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}
