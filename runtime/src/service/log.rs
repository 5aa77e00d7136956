//! Logs go to stderr: readable on a terminal, JSON elsewhere (service.md 5).

use std::io::IsTerminal;

use kakehi_host::GuestLog;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets logging up for this process; a second call changes nothing.
///
/// `level`: of our own events. Libraries speak from `warn` on: what they log at `info` is not
/// checked for names and values.
pub fn start(level: &str) {
    let filter = EnvFilter::new(format!("warn,kakehi={level}"));
    let registry = tracing_subscriber::registry().with(filter);
    if std::io::stderr().is_terminal() {
        let layer =
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        let _ = registry.with(layer).try_init();
    } else {
        let layer = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_writer(std::io::stderr);
        let _ = registry.with(layer).try_init();
    }
}

/// A line that a rule logged. It may hold values, so it is only for those who ask for `debug`.
pub fn guest(log: GuestLog) {
    match log {
        GuestLog::Line(line) => tracing::debug!(
            rule.name = &*line.rule,
            guest.level = line.level.as_str(),
            "a rule says: {}",
            line.text
        ),
        GuestLog::Dropped { rule, lines } => tracing::debug!(
            event_id = "RL006",
            rule.name = &*rule,
            lines,
            "a rule logged more than it may"
        ),
    }
}
