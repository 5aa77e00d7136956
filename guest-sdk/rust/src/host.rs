//! What a rule may ask of the runtime: a log line, and the instant of the run if it is volatile.
//! Natively, lines go to standard error and the instant is what a test set.

#[cfg(not(target_arch = "wasm32"))]
pub use native::set_now;

#[cfg(not(target_arch = "wasm32"))]
use native as runtime;

#[cfg(target_arch = "wasm32")]
use crate::wit::kakehi::rules::host as runtime;

use crate::wit::kakehi::rules::host::Level;

/// The instant of the run in Unix seconds, the same for every object of it. Only a rule whose
/// contract says `volatile` may ask; another one traps.
pub fn now() -> i64 {
    runtime::now()
}

/// A line for the author of the rule. It never changes a result; lines beyond 64 per batch are
/// dropped.
pub fn debug(message: &str) {
    runtime::log(Level::Debug, message);
}

/// Like [`debug`], at level info.
pub fn info(message: &str) {
    runtime::log(Level::Info, message);
}

/// Like [`debug`], at level warn.
pub fn warn(message: &str) {
    runtime::log(Level::Warn, message);
}

/// Like [`debug`], at level error. To report the object itself, answer [`fail`](crate::fail).
pub fn error(message: &str) {
    runtime::log(Level::Error, message);
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::Cell;
    use std::io::Write as _;

    use super::Level;

    thread_local! {
        // Per thread, so that tests that run side by side do not share their instant.
        static NOW: Cell<i64> = const { Cell::new(0) };
    }

    /// Sets what [`now`](super::now) answers on this thread, in Unix seconds. Until then it is 0.
    pub fn set_now(unix_seconds: i64) {
        NOW.set(unix_seconds);
    }

    pub fn now() -> i64 {
        NOW.get()
    }

    pub fn log(level: Level, message: &str) {
        // A line that cannot be written must not change the verdict.
        let _ = writeln!(std::io::stderr(), "{level:?}: {message}");
    }
}
