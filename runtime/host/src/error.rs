//! Why a module or the host itself cannot be used.

use crate::text::{GUEST_TEXT_BYTES_MAX, clean};

/// Longest message: room for words of a module at their longest, and ours around them.
const MESSAGE_BYTES_MAX: usize = 2 * GUEST_TEXT_BYTES_MAX;

/// Why a module was refused, or a warning about it (rules.md 6). The caller adds rule, file and
/// line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct LoadError {
    /// `K0501` to `K0515`.
    pub code: &'static str,
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl LoadError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        // Much of it is quoted from modules: names of imports, versions, words.
        let message = clean(&message.into(), MESSAGE_BYTES_MAX);
        Self { code, message, hint: None }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Why there is no host at all.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("cannot set up the WebAssembly engine: {message}")]
    Engine { message: String },
    #[error("cannot start the thread that keeps the deadlines of rules")]
    Ticker(#[source] std::io::Error),
}
