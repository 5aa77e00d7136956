//! Two keys that turned out to be one person: two slots of each target become one (password.md 4).
//!
//! A flight goes on. Of two flights the one of the slot that stays does; the other one is given up
//! as if its worker had been lost.

use super::{Turn, Walk, slot_key, turn};
use crate::object::ConnectorName;
use crate::password::action::{Action, AuditKind, NoteKind};
use crate::password::order::{Relation, relation};
use crate::password::queue::PasswordQueue;
use crate::password::slot::{Order, Record, Slot, SlotKey, State, UserKey};
use crate::time::Timestamp;

pub(super) fn join(
    queue: &mut PasswordQueue,
    from: &UserKey,
    to: &UserKey,
    now: Timestamp,
    out: &mut Walk,
) {
    if from == to {
        return;
    }
    let of_from = |key: &&SlotKey| key.user == *from;
    let targets: Vec<ConnectorName> =
        queue.slots.keys().filter(of_from).map(|key| key.target.clone()).collect();
    for target in targets {
        let (old, new) = (slot_key(&target, from), slot_key(&target, to));
        let both = queue.slots.get(&new).is_some_and(|slot| slot.state.in_flight());
        if both {
            turn(queue, &old, now, out, |turn| turn.lost());
        }
        let Some(slot) = queue.slots.remove(&old) else { continue };
        if let Some(breaker) = queue.targets.get_mut(&target)
            && breaker.probe.as_ref() == Some(&old)
        {
            breaker.probe = Some(new.clone());
        }
        queue.slots.entry(new.clone()).or_default();
        turn(queue, &new, now, out, |turn| turn.take_in(slot));
    }
}

// === impl Turn ===

impl Turn<'_> {
    fn take_in(&mut self, mut from: Slot) {
        for origin in &from.seen {
            self.slot.saw(origin);
        }
        self.slot.episode = self.slot.episode.max(from.episode);
        self.slot.paused |= from.paused;
        self.slot.flips.append(&mut from.flips);
        self.slot.flips.sort();
        self.slot.late_until = self.slot.late_until.max(from.late_until);
        let newer_name = match (&from.high_water, &self.slot.high_water.clone()) {
            (Some(theirs), Some(ours)) => self.is_newer(theirs, ours),
            (Some(_), None) => true,
            (None, _) => self.slot.login.is_empty(),
        };
        if newer_name {
            self.slot.high_water = from.high_water.take();
            self.slot.login = std::mem::take(&mut from.login);
        }
        self.take_records(from);
    }

    /// Only the newest capture of both is sent from now on. What is under way flies to its end
    /// before, and request 2 does not follow any more if it is not the newest.
    fn take_records(&mut self, mut from: Slot) {
        let ours_flies = self.slot.state.in_flight();
        let mut ours = self.slot.record.take();
        let mut theirs = from.record.take().map(|record| self.moved(record));
        let behind = from.next.take().map(|next| self.moved(next));
        let flying = if ours_flies {
            ours.take()
        } else if from.state.in_flight() {
            self.as_it_was(&from);
            theirs.take()
        } else {
            None
        };
        let newest = self.slot.high_water.clone().map(|order| order.origin);
        let is_newest = |record: &Record| newest.as_ref() == Some(&record.order.origin);
        let is_theirs =
            theirs.as_ref().is_some_and(is_newest) && !ours.as_ref().is_some_and(is_newest);
        let flies = flying.as_ref().is_some_and(is_newest);
        let waiting = [ours, theirs, self.slot.next.take(), behind].into_iter().flatten();
        let (mut newest, mut rest): (Vec<_>, Vec<_>) =
            waiting.partition(|record| !flies && is_newest(record));
        rest.extend(newest.drain(1.min(newest.len())..));
        rest.iter().for_each(|record| self.let_go(record));
        let newest = newest.pop();
        match flying {
            Some(flying) => {
                if !flies && newest.is_none() {
                    self.sent_no_more();
                }
                (self.slot.record, self.slot.next) = (Some(flying), newest);
            }
            None if newest.is_none() => self.clear(State::Empty),
            None => {
                if is_theirs {
                    self.as_it_was(&from);
                }
                self.slot.record = newest;
            }
        }
    }

    fn let_go(&mut self, record: &Record) {
        if !record.delivered {
            self.audit(record, AuditKind::Superseded);
        }
        self.slot.late_until = self.slot.late_until.max(record.late_until);
        self.actions.push(Action::Purge(record.id));
    }

    /// A record from another slot: its number there may be taken here.
    fn moved(&mut self, record: Record) -> Record {
        self.slot.episode += 1;
        Record { episode: self.slot.episode, ..record }
    }

    /// Everything that belongs to the record that moved here.
    fn as_it_was(&mut self, from: &Slot) {
        self.slot.state = from.state;
        self.slot.lease = from.lease;
        self.slot.retry_at = from.retry_at;
        self.slot.after_flight = from.after_flight;
        self.slot.user_event = from.user_event;
        self.slot.failures = from.failures;
        self.slot.server_errors = from.server_errors;
        self.slot.frozen_since = from.frozen_since;
        self.slot.frozen_ms = from.frozen_ms;
    }

    fn is_newer(&mut self, one: &Order, other: &Order) -> bool {
        let relation = relation(one, other, self.policy.skew_window);
        if relation == (Relation::Newer { tied: true }) {
            self.note(NoteKind::Tied);
        }
        matches!(relation, Relation::Newer { .. })
    }
}
