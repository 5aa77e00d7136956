//! The control socket: a request per line flows in, an answer per line flows out (service.md 7).
//!
//! Whoever may open the socket may ask; who did is logged.

mod client;
mod server;

use serde::{Deserialize, Serialize};

pub use self::client::ask;
pub use self::server::serve;
use crate::service::failure::Failure;
use crate::service::once::Reviewed;
use crate::service::passwords;

/// Longest line that is read from either side: the marks of 200,000 exports.
const LINE_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Take the files as they are now.
    Reload,
    /// Go back to a generation; without a number, to the one before.
    Rollback { generation: Option<u64> },
    /// Carry out a reviewed plan that was made with these rules.
    Apply {
        plan: String,
        ruleset: String,
        #[serde(default)]
        config: String,
        /// The plan that it takes back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undoes: Option<String>,
        #[serde(default)]
        max_drift: u64,
        /// Of the exports of the plan, where some of them may have moved.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        marks: Vec<String>,
    },
    /// Switch staging mode.
    Staging { on: bool },
    /// Do something about passwords that wait.
    Password(passwords::operator::Order),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The exit code for whoever asked.
    pub exit: u8,
    /// What happened, or the whole text of the error.
    pub text: String,
    /// The run that was made, if one was and left a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
}

// === impl Request ===

impl Request {
    /// What was asked, for the log.
    fn as_str(&self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Rollback { .. } => "rollback",
            Self::Apply { undoes: None, .. } => "apply",
            Self::Apply { undoes: Some(_), .. } => "undo",
            Self::Staging { on: true } => "staging on",
            Self::Staging { on: false } => "staging off",
            Self::Password(order) => order.verb.as_str(),
        }
    }
}

impl From<Reviewed> for Request {
    fn from(reviewed: Reviewed) -> Self {
        let Reviewed { plan, ruleset, config, undoes, max_drift, marks } = reviewed;
        let undoes = undoes.map(|undoes| undoes.0);
        Self::Apply { plan: plan.0, ruleset, config, undoes, max_drift, marks }
    }
}

// === impl Answer ===

impl Answer {
    pub fn done(text: String) -> Self {
        Self { exit: 0, text, run: None }
    }

    pub fn of(failure: &Failure) -> Self {
        Self { exit: failure.kind.exit_code(), text: failure.to_string(), run: None }
    }
}
