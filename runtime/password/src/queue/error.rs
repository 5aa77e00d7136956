//! What can fail in the queue: what, where, and how to mend it.

use std::path::PathBuf;

/// An operation on the queue that did not happen. Nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error(
        "cannot open the password queue `{}`: another process has it open\n  \
         hint: stop the other service, or look at the queue with `kakehi password status`",
        path.display()
    )]
    Locked { path: PathBuf },
    #[error(
        "cannot open the password queue `{}`: it has version {found}, and this program knows \
         {known}\n  hint: install the newer Kakehi again; nothing was changed",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error(
        "cannot open the password queue `{}`: the file is damaged: {what}\n  \
         hint: stop the service, move the file and those beside it (`-wal`, `-shm`) away, and \
         start again; agents send what they still hold, other users set their passwords again",
        path.display()
    )]
    Damaged { path: PathBuf, what: String },
    /// Nothing is dropped to make room: the agent keeps the capture and comes again.
    #[error("the password queue is full: {records} records, {bytes} bytes")]
    Full { records: u64, bytes: u64 },
    #[error("a record of {bytes} bytes is longer than the {max} that an envelope may have")]
    TooLong { bytes: usize, max: usize },
    #[error(
        "the disk of the password queue is full\n  hint: make room; agents keep their captures"
    )]
    DiskFull,
    #[error("cannot {action} the password queue")]
    Sqlite { action: &'static str, source: rusqlite::Error },
    /// One row cannot be understood; the next start sets it aside.
    #[error("a row of the password queue is damaged: {what}")]
    Row { what: String },
    /// What others did in the same commit took this with it; it may be tried again.
    #[error("the password queue could not store it: {reason}")]
    RolledBack { reason: String },
    #[error("the password queue failed inside: {what}")]
    Internal { what: &'static str },
    #[error("the password queue is closed")]
    Closed,
}

pub(super) type Result<T> = std::result::Result<T, QueueError>;

// === impl QueueError ===

impl QueueError {
    /// The same request may succeed later, without anybody mending anything in the request.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Full { .. } | Self::DiskFull | Self::RolledBack { .. } => true,
            Self::Closed | Self::Sqlite { .. } | Self::Io { .. } | Self::Locked { .. } => true,
            Self::Newer { .. } | Self::Damaged { .. } => false,
            Self::Row { .. } | Self::Internal { .. } | Self::TooLong { .. } => false,
        }
    }

    /// The same for one more who waited for the same commit.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::DiskFull => Self::DiskFull,
            other => Self::RolledBack { reason: other.to_string() },
        }
    }

    pub(super) fn row(what: impl Into<String>) -> Self {
        Self::Row { what: what.into() }
    }
}

impl From<rusqlite::Error> for QueueError {
    fn from(source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Sqlite { action: "use", source },
        }
    }
}
