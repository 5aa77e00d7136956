//! What the user sees when a command cannot do its work (style.md S-09 to S-11).

use std::fmt;

use crate::config::finding::{self, Finding};
use crate::edge::{DirectoryError, TargetError};
use crate::store::StoreError;
use crate::sync::SyncError;

/// Decides the exit code (S-10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Internal,
    Usage,
    /// A safety limit: a stale plan.
    Limit,
    Temporary,
    Permission,
    Config,
}

impl Kind {
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Limit => 5,
            Self::Temporary => 75,
            Self::Permission => 77,
            Self::Config => 78,
        }
    }
}

/// An error at the boundary, complete for its reader.
#[derive(Debug)]
pub struct Failure {
    pub kind: Kind,
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
    /// Everything that is wrong with the configuration, instead of one message.
    pub findings: Vec<Finding>,
}

// === impl Failure ===

impl Failure {
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: None, findings: vec![] }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn of_findings(findings: Vec<Finding>) -> Self {
        let kind = match finding::exit_code(&findings) {
            77 => Kind::Permission,
            _ => Kind::Config,
        };
        Self { kind, code: "K0100", message: String::new(), hint: None, findings }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        if !self.message.is_empty() {
            write!(f, "error: {} ({})", self.message, self.code)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = chain(&error);
        match error {
            StoreError::Locked { .. } => Self::new(Kind::Temporary, "K0201", message)
                .hint("a daemon or another command works on it; wait for it, or stop it"),
            StoreError::Newer { .. } => Self::new(Kind::Config, "K0202", message)
                .hint("use the version that wrote it, or a later one"),
            StoreError::Io { ref source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                Self::new(Kind::Permission, "K0203", message)
                    .hint("run the command as the user who owns the state directory")
            }
            StoreError::Damaged { .. } => Self::new(Kind::Internal, "K0205", message)
                .hint("restore the state directory from a backup"),
            StoreError::Sqlite { .. } | StoreError::Io { .. } => {
                Self::new(Kind::Internal, "K0204", message)
            }
        }
    }
}

impl From<DirectoryError> for Failure {
    fn from(error: DirectoryError) -> Self {
        let message = chain(&error);
        match error {
            DirectoryError::Unavailable { .. } => Self::new(Kind::Temporary, "K0601", message),
            DirectoryError::Refused { .. } => Self::new(Kind::Permission, "K0602", message)
                .hint("check the bind DN and its password in secret.yml"),
            DirectoryError::Tls { .. } => Self::new(Kind::Permission, "K0603", message)
                .hint("check `tls.ca` or `tls.pin_sha256` of the source"),
            DirectoryError::Protocol { .. } => Self::new(Kind::Temporary, "K0604", message),
            DirectoryError::Limit { hint, .. } => {
                Self::new(Kind::Temporary, "K0605", message).hint(hint)
            }
            DirectoryError::Config { hint, .. } => {
                Self::new(Kind::Config, "K0606", message).hint(hint)
            }
            DirectoryError::Sink(_) => Self::new(Kind::Internal, "K0607", message),
        }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        let message = chain(&error);
        match error {
            TargetError::Unavailable { .. } | TargetError::InDoubt { .. } => {
                Self::new(Kind::Temporary, "K0701", message)
            }
            TargetError::Refused { .. } => Self::new(Kind::Permission, "K0702", message)
                .hint("check the credential of the target in secret.yml"),
            TargetError::Rejected { .. } | TargetError::Protocol { .. } => {
                Self::new(Kind::Temporary, "K0703", message)
            }
        }
    }
}

impl From<SyncError> for Failure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Store(error) => error.into(),
            SyncError::Directory(error) => error.into(),
            SyncError::Target(error) => error.into(),
            error @ SyncError::StalePlan { .. } => {
                Self::new(Kind::Limit, "K0801", error.to_string())
                    .hint("make a new plan with `kakehi plan -o plan.json` and review it")
            }
            error @ SyncError::Staging => Self::new(Kind::Limit, "K0230", error.to_string()).hint(
                "`kakehi staging status` says why; after `kakehi staging off` apply it again",
            ),
            error @ SyncError::NothingSent { .. } => {
                Self::new(Kind::Usage, "K0231", error.to_string()).hint(
                    "`kakehi audit` lists what was sent, for as long as `run.journal` keeps it",
                )
            }
            error @ SyncError::Lost { .. } => Self::new(Kind::Internal, "K0001", error.to_string()),
        }
    }
}

/// A message with the causes behind it, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}
