//! What operators and the state of a target change (T29, T35, T36, T41).

use super::{Turn, Walk, each};
use crate::password::action::AuditKind;
use crate::password::event::{Flight, Scope};
use crate::password::queue::PasswordQueue;
use crate::password::slot::State;
use crate::time::Timestamp;

/// T41. Captures are still taken; nothing is picked.
pub(super) fn pause(queue: &mut PasswordQueue, scope: &Scope, now: Timestamp, out: &mut Walk) {
    match scope {
        Scope::All => queue.paused = true,
        Scope::Target(target) => {
            queue.paused_targets.insert(target.clone());
        }
        Scope::User(_) => {}
        Scope::Slot(slot) => {
            queue.slots.entry(slot.clone()).or_default();
        }
    }
    let own = matches!(scope, Scope::User(_) | Scope::Slot(_));
    each(
        queue,
        now,
        out,
        |key| scope.covers(key),
        |turn| {
            turn.row(41);
            turn.slot.paused |= own;
            turn.paused = true;
            turn.freeze();
        },
    );
}

/// Ends a pause of exactly this scope: a target that is paused by itself stays so when everything
/// goes on.
pub(super) fn resume(queue: &mut PasswordQueue, scope: &Scope, now: Timestamp, out: &mut Walk) {
    match scope {
        Scope::All => queue.paused = false,
        Scope::Target(target) => {
            queue.paused_targets.remove(target);
        }
        Scope::User(_) | Scope::Slot(_) => {
            for (_, slot) in queue.slots.iter_mut().filter(|(key, _)| scope.covers(key)) {
                slot.paused = false;
                // Whoever resumes a slot has looked at its loop.
                slot.flips.clear();
            }
        }
    }
    each(queue, now, out, |key| scope.covers(key), |turn| turn.thaw());
}

// === impl Turn ===

impl Turn<'_> {
    /// T35.
    pub(super) fn retry(&mut self) {
        match self.slot.state {
            State::WaitUser | State::WaitRejected | State::WaitUnavailable | State::Quarantined => {
                self.retry_by(35)
            }
            State::Empty | State::Ready | State::Finding | State::Setting => {}
        }
    }

    /// T36.
    pub(super) fn purge(&mut self) {
        self.remove(36, AuditKind::PurgedOperator, Flight::Purged);
    }

    /// T29: the target answers again.
    pub(super) fn recovered(&mut self) {
        if self.slot.state == State::WaitUnavailable && self.triggers().timer {
            self.retry_by(29);
        }
    }

    /// T29, whatever the triggers are: what was wrong is mended.
    pub(super) fn credential_reloaded(&mut self) {
        if self.slot.state == State::WaitUnavailable {
            self.retry_by(29);
        }
    }

    /// Expiry stands still from now on, if it does in a pause.
    pub(super) fn freeze(&mut self) {
        if self.freezes() && self.slot.record.is_some() && self.slot.frozen_since.is_none() {
            self.slot.frozen_since = Some(self.now);
        }
    }

    fn thaw(&mut self) {
        if self.paused {
            return;
        }
        if let Some(since) = self.slot.frozen_since.take() {
            let stood = u64::try_from(self.now.0.saturating_sub(since.0)).unwrap_or(0);
            self.slot.frozen_ms = self.slot.frozen_ms.saturating_add(stood);
        }
    }
}
