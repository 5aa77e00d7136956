//! The control socket: a request per line flows in, an answer per line flows out (service.md 7).
//!
//! Whoever may open the socket may ask; who did is logged.

mod client;
mod server;

use serde::{Deserialize, Serialize};

pub use self::client::ask;
pub use self::server::serve;
use crate::service::failure::Failure;

/// Longest line that is read from either side.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Take the files as they are now.
    Reload,
    /// Go back to a generation; without a number, to the one before.
    Rollback { generation: Option<u64> },
    /// Carry out a reviewed plan that was made with these rules.
    Apply { plan: String, ruleset: String },
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

// === impl Answer ===

impl Answer {
    pub fn done(text: String) -> Self {
        Self { exit: 0, text, run: None }
    }

    pub fn of(failure: &Failure) -> Self {
        Self { exit: failure.kind.exit_code(), text: failure.to_string(), run: None }
    }
}
