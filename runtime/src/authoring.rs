//! What authors of rules work with (rules.md 10): a rule, a file of rules or an installation's
//! manifest flows in; what a rule is, answers and costs flows out, and text files are mended.
//!
//! Nothing is printed here but through a writer that the caller gives.

pub mod bench;
pub mod bless;
pub mod check;
pub mod diff;
pub mod edit;
pub mod impact;
pub mod links;
pub mod list;
pub mod lock;
pub mod object;
pub mod scan;
pub mod select;
pub mod show;
pub mod shuffle;
pub mod test;
#[cfg(test)]
mod testing;
pub mod words;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kakehi_host::{GuestLog, Host, HostError, Limits, Options};

use crate::config::environment::cache_home;
use crate::config::finding::Finding;
use crate::config::rules::Rules;
use crate::manifest::generation::Admission;

/// Why an author's command cannot be carried out as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of the command line; else of what the files hold.
    pub usage: bool,
    pub code: &'static str,
    pub message: String,
    pub hint: String,
}

/// Why there is no result.
#[derive(Debug)]
pub enum Trouble {
    Refusal(Refusal),
    /// Everything that is wrong with the files.
    Findings(Vec<Finding>),
}

/// How rules are loaded.
#[derive(Clone)]
pub struct Setting {
    pub admission: Admission,
    /// What a rule may take where it says nothing else.
    pub limits: Limits,
    /// Where compiled modules are kept.
    pub cache: Option<PathBuf>,
}

/// What guests wrote since it was last taken.
#[derive(Clone, Default)]
pub struct Notebook(Arc<Mutex<Vec<(&'static str, String)>>>);

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl From<Vec<Finding>> for Trouble {
    fn from(findings: Vec<Finding>) -> Self {
        Self::Findings(findings)
    }
}

// === impl Setting ===

impl Setting {
    /// As an installation is configured. Errors: keys that are none.
    pub fn of(rules: &Rules) -> Result<Self, Vec<Finding>> {
        let bytes =
            |size: crate::config::quantity::Size| usize::try_from(size.0).unwrap_or(usize::MAX);
        let limits = Limits {
            memory_bytes: bytes(rules.memory),
            time: rules.time.0,
            output_bytes: bytes(rules.output),
            ..Limits::default()
        };
        let admission = Admission::of(rules)?;
        Ok(Self { admission, limits, cache: Some(rules.cache.clone()) })
    }

    /// For files without an installation: their author is about to say what the hash is. Compiled
    /// code is kept in the author's own cache: some languages take seconds to compile.
    pub fn alone() -> Self {
        let cache = cache_home().map(|home| home.join("kakehi"));
        Self { admission: Admission::Open, limits: Limits::default(), cache }
    }

    /// Limits under which fuel is counted, whether or not it is limited.
    pub fn metered(&self) -> Limits {
        Limits { fuel: Some(self.limits.fuel.unwrap_or(u64::MAX)), ..self.limits }
    }

    /// A host of one worker: authors ask one object at a time.
    pub fn host(&self, notebook: Option<&Notebook>) -> Result<Host, HostError> {
        let log = notebook.cloned().map(|notebook| -> kakehi_host::LogSink {
            Arc::new(move |log| notebook.take_down(log))
        });
        Host::new(Options { cache: self.cache.clone(), workers: 1, log, ..Options::default() })
    }
}

// === impl Notebook ===

impl Notebook {
    fn take_down(&self, log: GuestLog) {
        let line = match log {
            GuestLog::Line(line) => (line.level.as_str(), line.text),
            GuestLog::Dropped { lines, .. } => ("warn", format!("and {lines} more lines")),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Level and text of each line.
    pub fn take(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
