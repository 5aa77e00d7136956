//! Lines that guests write for their authors. What flows in: anything; what flows out: at most 64
//! cleaned lines per instance, and how many were dropped.

use std::sync::Arc;

use crate::text::{GUEST_TEXT_BYTES_MAX, clean};

/// Most lines of one instance that are passed on: enough to debug, too few to flood.
const LOG_LINES_MAX: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuestLevel {
    Debug,
    Info,
    Warn,
    Error,
}

impl GuestLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One line of a guest. It may hold attribute values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestLine {
    /// The tag of the rule; while a module loads, the name in its
    /// [`ModuleSpec`](crate::ModuleSpec).
    pub rule: Arc<str>,
    pub level: GuestLevel,
    /// At most 1 KiB, control characters escaped.
    pub text: String,
}

/// What a [`LogSink`] is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuestLog {
    Line(GuestLine),
    /// An instance ended that had written this many lines too many.
    Dropped {
        rule: Arc<str>,
        lines: u64,
    },
}

/// Takes guests' lines, from any worker thread.
pub type LogSink = Arc<dyn Fn(GuestLog) + Send + Sync>;

/// The log of one instance.
pub(crate) struct InstanceLog {
    rule: Arc<str>,
    sink: Option<LogSink>,
    lines: u64,
}

impl InstanceLog {
    pub(crate) fn new(rule: Arc<str>, sink: Option<LogSink>) -> Self {
        Self { rule, sink, lines: 0 }
    }

    pub(crate) fn write(&mut self, level: GuestLevel, text: &str) {
        self.lines += 1;
        if let Some(sink) = &self.sink
            && self.lines <= LOG_LINES_MAX
        {
            let text = clean(text, GUEST_TEXT_BYTES_MAX);
            sink(GuestLog::Line(GuestLine { rule: self.rule.clone(), level, text }));
        }
    }
}

impl Drop for InstanceLog {
    fn drop(&mut self) {
        let lines = self.lines.saturating_sub(LOG_LINES_MAX);
        if let Some(sink) = &self.sink
            && lines > 0
        {
            sink(GuestLog::Dropped { rule: self.rule.clone(), lines });
        }
    }
}
