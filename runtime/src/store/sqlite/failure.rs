//! What can fail inside the store: SQLite's errors and damaged rows flow in, the store's errors,
//! which name the operation, flow out.

use std::fmt;

use crate::store::StoreError;

/// An error that does not know yet during which operation it arose.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Damaged(String),
}

pub(super) type Result<T> = std::result::Result<T, Failure>;

// === impl Failure ===

impl Failure {
    /// `what` of the row cannot be understood, and why not.
    pub(super) fn damaged(what: &str, why: impl fmt::Display) -> Self {
        Self::Damaged(format!("{what}: {why}"))
    }

    /// `action` fills the gap in "cannot ... the state".
    pub(super) fn during(self, action: &'static str) -> StoreError {
        match self {
            Self::Sqlite(source) => StoreError::Sqlite { action, source },
            Self::Damaged(what) => StoreError::Damaged { what },
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
