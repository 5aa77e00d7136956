//! The one place that looks at the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use kakehi_engine::time::Timestamp;

use crate::edge::Clock;

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the door that everybody else uses")]
    fn now(&self) -> Timestamp {
        // A clock before 1970 is a broken clock; zero keeps the order of things.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl kakehi_password::door::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }
}
