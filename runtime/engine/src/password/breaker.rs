//! Leaving a target alone that does not answer: its answers flow in, whether it may be asked flows
//! out (password.md 9).

use std::time::Duration;

use super::slot::SlotKey;
use crate::time::Timestamp;

/// The longest time for which a target is left alone by our own choice.
const OPEN_MAX: Duration = Duration::from_secs(300);

/// The longest time for which a target may send us away: its clock may be wrong.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// What is known of the health of one target. Not stored: a new process asks anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// Unavailable answers in a row, over all slots.
    pub failures: u32,
    /// Until when nothing is tried; while a probe is under way, until when that is believed.
    pub open_until: Option<Timestamp>,
    /// The slot that tries whether the target is back; the others wait for it.
    pub probe: Option<SlotKey>,
    /// How often it opened within the present outage.
    pub opened: u32,
    /// The outage was told of (PW031 once for each).
    pub told: bool,
    /// The target refuses us, and that was told of (PW036 once for each).
    pub refused: bool,
    /// Deliveries since the last server error: whether the target serves others (T39).
    pub served: u64,
}

// === impl Breaker ===

impl Breaker {
    /// Whether the target may be asked.
    pub fn lets_through(&self, now: Timestamp) -> bool {
        self.open_until.is_none_or(|until| now >= until)
    }

    /// A slot was let through. While the target is believed to be down it is the only one.
    pub(super) fn picked(&mut self, slot: &SlotKey, lease_until: Timestamp) {
        if self.open_until.is_some() {
            self.probe = Some(slot.clone());
            self.open_until = Some(lease_until);
        }
    }

    /// Request 1 was answered well. Gives whether this let the others through again.
    ///
    /// It does not end the outage: a target may find users and still not set passwords. One that
    /// refuses us may do so for writing only.
    pub(super) fn found(&mut self) -> bool {
        let opens_gate = self.open_until.is_some() && !self.refused;
        if opens_gate {
            self.failures = 0;
            self.open_until = None;
            self.probe = None;
        }
        opens_gate
    }

    /// The target decided on a request. Gives whether this let the others through again.
    pub(super) fn answered(&mut self) -> bool {
        let was_open = self.open_until.is_some();
        *self = Self { served: self.served, ..Self::default() };
        was_open
    }

    /// The target did not answer, or sent us away. `at_once`: no more failures are waited for.
    /// Gives whether the breaker opened for the first time in this outage.
    pub(super) fn failed(&mut self, slot: &SlotKey, failure: Failure<'_>, now: Timestamp) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = match self.open_until {
            None => failure.at_once || self.failures >= failure.policy.breaker_after,
            // Answers to requests from before it opened say nothing new.
            Some(until) => self.probe.as_ref() == Some(slot) || now >= until,
        };
        if !opens {
            return false;
        }
        let doubled = failure.policy.breaker_open.saturating_mul(1 << self.opened.min(16));
        let pause =
            failure.retry_after.map_or(doubled.min(OPEN_MAX), |asked| asked.min(RETRY_AFTER_MAX));
        self.open_until = Some(later(now, pause));
        self.probe = None;
        self.opened = self.opened.saturating_add(1);
        self.opened == 1
    }

    /// An attempt ended without an answer: another slot may be the probe.
    pub(super) fn abandoned(&mut self, slot: &SlotKey, now: Timestamp) {
        if self.probe.as_ref() == Some(slot) {
            self.probe = None;
            self.open_until = Some(now);
        }
    }
}

/// What there is to know of a failure.
pub(super) struct Failure<'a> {
    pub policy: &'a super::policy::Policy,
    pub at_once: bool,
    pub retry_after: Option<Duration>,
}

/// So much later, to the millisecond.
pub(super) fn later(instant: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp(instant.0.saturating_add(by))
}
