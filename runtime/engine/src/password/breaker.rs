//! Leaving a target alone that does not answer.

use super::slot::SlotKey;
use crate::time::Timestamp;

/// What is known of the health of one target. Not stored: a new process asks anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Unavailable answers in a row, over all slots.
    pub failures: u32,
    /// Until when nothing is tried.
    pub open_until: Option<Timestamp>,
    /// The slot that tries whether the target is back; the others wait for it.
    pub probe: Option<SlotKey>,
    /// The outage was told of (PW031, PW036 once for each).
    pub told: bool,
    /// Deliveries since the last server error: whether the target serves others (T39).
    pub served: u64,
}
