//! When something happens by itself: retries, expiry, leases (T26, T28, T29, T31, T32, T37).

use std::time::Duration;

use super::Turn;
use crate::password::action::{AuditKind, MailKind, NoteKind};
use crate::password::breaker::{RETRY_AFTER_MAX, later};
use crate::password::event::Flight;
use crate::password::policy::{StateKind, Triggers};
use crate::password::slot::{SlotKey, State};
use crate::time::Timestamp;

// === impl Turn ===

impl Turn<'_> {
    /// The slot's `due` has come.
    pub(super) fn due(&mut self) {
        let over = |instant: Option<Timestamp>| instant.is_some_and(|instant| self.now >= instant);
        if self.slot.state.in_flight() {
            let lost = over(self.slot.lease.map(|lease| lease.deadline));
            let expired = over(self.expires(StateKind::Ready));
            if expired && self.slot.after_flight.is_none() {
                self.row(32);
                self.slot.after_flight = Some(Flight::Expired);
            }
            if lost {
                self.lost();
            }
            return;
        }
        if self.expired() {
            self.row(31);
            return self.expire();
        }
        if !over(self.slot.retry_at) {
            return;
        }
        match self.slot.state {
            State::Ready => self.slot.retry_at = None,
            State::WaitUser => self.retry_by(26),
            State::WaitRejected => self.retry_by(28),
            State::WaitUnavailable => self.retry_by(29),
            _ => {}
        }
    }

    /// A record that waits is tried again.
    pub(super) fn retry_by(&mut self, row: u8) {
        self.row(row);
        self.slot.state = State::Ready;
        self.slot.retry_at = None;
    }

    /// What starts another attempt in the present state.
    pub(super) fn triggers(&self) -> Triggers {
        match self.slot.state {
            State::WaitUser => self.policy.not_found.triggers,
            State::WaitRejected => self.policy.rejected.triggers,
            State::WaitUnavailable => self.policy.unavailable.triggers,
            _ => Triggers::default(),
        }
    }

    /// The record is too old for the state it is in.
    pub(super) fn expired(&self) -> bool {
        let kind = kind_of(self.slot.state);
        kind.and_then(|kind| self.expires(kind)).is_some_and(|instant| self.now >= instant)
    }

    /// T31, and T32 after the flight.
    pub(super) fn expire(&mut self) {
        if self.slot.record.as_ref().is_some_and(|record| !record.delivered) {
            self.note(NoteKind::Expired);
            self.mail(MailKind::Expired, None);
        }
        self.end(AuditKind::Expired);
    }

    /// When the record leaves if it is in such a state; `None`: not for its age.
    pub(super) fn expires(&self, kind: StateKind) -> Option<Timestamp> {
        let captured_at = self.slot.record.as_ref()?.order.captured_at;
        let by_state = self
            .expiry_of(kind, captured_at)
            .map(|instant| later(instant, Duration::from_millis(self.slot.frozen_ms)));
        let by_state = by_state.filter(|_| self.slot.frozen_since.is_none());
        earlier(by_state, self.policy.hard_max_age.map(|age| later(captured_at, age)))
    }

    /// A capture that would be over before it was ever tried.
    pub(super) fn too_old(&self, captured_at: Timestamp) -> bool {
        let by_state = self.expiry_of(StateKind::Ready, captured_at);
        let by_state = by_state.filter(|_| !self.freezes());
        let hard = self.policy.hard_max_age.map(|age| later(captured_at, age));
        earlier(by_state, hard).is_some_and(|instant| self.now >= instant)
    }

    fn expiry_of(&self, kind: StateKind, captured_at: Timestamp) -> Option<Timestamp> {
        let counts = self.policy.expiry_states.contains(&kind);
        self.policy.expiry.filter(|_| counts).map(|age| later(captured_at, age))
    }

    /// Expiry stands still, because the slot is paused. `hard_max_age` never does.
    pub(super) fn freezes(&self) -> bool {
        self.policy.pause_freezes_expiry && self.paused
    }

    /// When the next attempt after an unavailable answer is due by time, if it is.
    pub(super) fn backoff(&self, retry_after: Option<Duration>) -> Option<Timestamp> {
        let backoff = &self.policy.unavailable.backoff;
        let doublings = self.slot.failures.saturating_sub(1).min(16);
        let pause = backoff.initial.saturating_mul(1 << doublings).min(backoff.max);
        let pause = match retry_after {
            Some(asked) => asked.clamp(Duration::from_secs(1), RETRY_AFTER_MAX),
            None => jittered(pause, backoff.jitter_percent, self.key, self.slot.failures),
        };
        self.policy.unavailable.triggers.timer.then(|| later(self.now, pause))
    }

    /// When something happens by itself next.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let state = self.slot.state;
        if state.in_flight() {
            let expires = self.expires(StateKind::Ready);
            let expires = expires.filter(|_| self.slot.after_flight.is_none());
            return earlier(self.slot.lease.map(|lease| lease.deadline), expires);
        }
        let expires = kind_of(state).and_then(|kind| self.expires(kind));
        let retry = match (state, self.slot.retry_at) {
            (State::Ready, None) => self.breaker.open_until.filter(|until| *until > self.now),
            (State::Ready, Some(retry_at)) => Some(retry_at),
            (_, retry_at) => retry_at.filter(|_| self.triggers().timer),
        };
        earlier(retry, expires)
    }
}

fn kind_of(state: State) -> Option<StateKind> {
    match state {
        State::Empty | State::Finding | State::Setting => None,
        State::Ready => Some(StateKind::Ready),
        State::WaitUser => Some(StateKind::NotFound),
        State::WaitRejected => Some(StateKind::Rejected),
        State::WaitUnavailable => Some(StateKind::Unavailable),
        State::Quarantined => Some(StateKind::Quarantined),
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

/// Spreads retries of many slots, the same way every time: which share of `percent` is added or
/// taken away follows from the slot and from how often it failed (FNV-1a).
fn jittered(pause: Duration, percent: u32, slot: &SlotKey, failures: u32) -> Duration {
    let text = [slot.target.as_str().as_bytes(), slot.user.0.as_bytes()].concat();
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = text.iter().chain(&failures.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, mix);
    let span = pause.as_millis() * u128::from(percent.min(100)) / 100;
    let millis = pause.as_millis() - span + u128::from(hash >> 32) % (2 * span + 1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}
