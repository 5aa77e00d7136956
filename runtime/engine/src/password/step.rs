//! One step of the state machine: an event flows in, what follows flows out, and the rows of the
//! transition table that were taken (password.md 5.3).
//!
//! Overlaps: what was decided about a record while it was under way comes first, a waiting `next`
//! second, the answer itself last. A delivery is a delivery in any case.

mod capture;
mod due;
mod flight;
mod join;
mod landing;
mod operator;
mod user;

use super::action::{Action, AuditEntry, AuditKind, Note, NoteKind};
use super::breaker::Breaker;
use super::event::Event;
use super::policy::Policy;
use super::queue::PasswordQueue;
use super::slot::{AttemptId, Record, Slot, SlotKey, State, UserKey};
use crate::object::ConnectorName;
use crate::time::Timestamp;

/// Applies one event. Gives what follows from it, in order; slots that changed are changed in
/// `queue`, and those that a join took in are gone from it.
///
/// Source: password.md 5.3, rows T01 to T41; its overlaps: a waiting `next` decides first, what
/// falls due in flight is done after the answer.
pub fn step(queue: &mut PasswordQueue, event: Event, now: Timestamp) -> Vec<Action> {
    walk(queue, event, now).actions
}

/// [`step`], and which rows of the table it took.
pub fn walk(queue: &mut PasswordQueue, event: Event, now: Timestamp) -> Walk {
    let mut walk = Walk::default();
    let out = &mut walk;
    match event {
        Event::Capture(capture) => capture::capture(queue, &capture, now, out),
        Event::Pick { slot, attempt, lease_until } => {
            turn(queue, &slot, now, out, |turn| turn.pick(attempt, lease_until));
        }
        Event::Found { slot, attempt, answer } => {
            let slot = holder(queue, slot, attempt);
            turn(queue, &slot, now, out, |turn| turn.found(attempt, answer));
        }
        Event::Set { slot, attempt, answer, token } => {
            let slot = holder(queue, slot, attempt);
            turn(queue, &slot, now, out, |turn| turn.set(attempt, answer, token));
        }
        Event::Unopened { slot, attempt, reason } => {
            let slot = holder(queue, slot, attempt);
            turn(queue, &slot, now, out, |turn| turn.unopened(attempt, reason));
        }
        Event::Restarted { slot } => turn(queue, &slot, now, out, |turn| turn.lost()),
        Event::Due { slot } => turn(queue, &slot, now, out, |turn| turn.due()),
        Event::User { slot, what } => user::spoken_of(queue, &slot, what, now, out),
        Event::Renamed { user, login } => {
            each(queue, now, out, |key| key.user == user, |turn| turn.renamed(&login));
        }
        Event::Deleted { user } => {
            each(queue, now, out, |key| key.user == user, |turn| turn.user_deleted());
        }
        Event::Joined { from, to } => join::join(queue, &from, &to, now, out),
        Event::Recovered { target } => {
            each(queue, now, out, |key| key.target == target, |turn| turn.recovered());
        }
        Event::CredentialReloaded { target } => {
            queue.targets.remove(&target);
            each(queue, now, out, |key| key.target == target, |turn| turn.credential_reloaded());
        }
        Event::Retry { scope } => {
            each(queue, now, out, |key| scope.covers(key), |turn| turn.retry())
        }
        Event::Purge { scope } => {
            each(queue, now, out, |key| scope.covers(key), |turn| turn.purge())
        }
        Event::Pause { scope } => operator::pause(queue, &scope, now, out),
        Event::Resume { scope } => operator::resume(queue, &scope, now, out),
    }
    walk
}

/// What one event led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Walk {
    pub actions: Vec<Action>,
    /// In the order in which they were taken; empty if the event changed nothing.
    pub rows: Vec<Row>,
}

/// A row of the transition table that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub slot: SlotKey,
    /// 1 to 41: T01 to T41.
    pub number: u8,
    /// Before the event and after it.
    pub from: State,
    pub to: State,
}

/// One slot while an event is applied to it.
struct Turn<'a> {
    policy: &'a Policy,
    now: Timestamp,
    key: &'a SlotKey,
    slot: &'a mut Slot,
    breaker: &'a mut Breaker,
    /// Everything, the target or the slot is paused.
    paused: bool,
    rows: Vec<u8>,
    actions: &'a mut Vec<Action>,
}

/// Applies `change` to one slot, if there is one, and says when it is due again.
fn turn(
    queue: &mut PasswordQueue,
    key: &SlotKey,
    now: Timestamp,
    out: &mut Walk,
    change: impl FnOnce(&mut Turn<'_>),
) {
    let paused = queue.paused(key);
    let PasswordQueue { policy, slots, targets, .. } = queue;
    let Some(slot) = slots.get_mut(key) else { return };
    let from = slot.state;
    let breaker = targets.entry(key.target.clone()).or_default();
    let actions = &mut out.actions;
    let mut turn = Turn { policy, now, key, slot, breaker, paused, rows: vec![], actions };
    change(&mut turn);
    turn.slot.due = turn.next_due();
    let (rows, to) = (std::mem::take(&mut turn.rows), turn.slot.state);
    out.rows.extend(rows.into_iter().map(|number| Row { slot: key.clone(), number, from, to }));
    if targets.get(&key.target).is_some_and(|breaker| *breaker == Breaker::default()) {
        targets.remove(&key.target);
    }
}

/// Applies `change` to every slot of the queue that is meant.
fn each(
    queue: &mut PasswordQueue,
    now: Timestamp,
    out: &mut Walk,
    meant: impl Fn(&SlotKey) -> bool,
    change: impl Fn(&mut Turn<'_>),
) {
    let keys: Vec<SlotKey> = queue.slots.keys().filter(|key| meant(key)).cloned().collect();
    for key in keys {
        turn(queue, &key, now, out, &change);
    }
}

/// The slot that holds the attempt: the one it began in, or the one that took that in since.
fn holder(queue: &PasswordQueue, began_in: SlotKey, attempt: AttemptId) -> SlotKey {
    let holds = |slot: &Slot| slot.lease.is_some_and(|lease| lease.attempt == attempt);
    if queue.slots.get(&began_in).is_some_and(holds) {
        return began_in;
    }
    let moved = queue.slots.iter().find(|(key, slot)| key.target == began_in.target && holds(slot));
    moved.map_or(began_in, |(key, _)| key.clone())
}

// === impl PasswordQueue ===

impl PasswordQueue {
    /// Whether a worker that picks the slot now gets work: it is ready and its gate is open.
    pub fn pickable(&self, key: &SlotKey, now: Timestamp) -> bool {
        let healthy = |breaker: &Breaker| breaker.lets_through(now);
        let ready = |slot: &Slot| {
            slot.state == State::Ready && slot.retry_at.is_none_or(|instant| now >= instant)
        };
        self.slots.get(key).is_some_and(ready)
            && !self.paused(key)
            && self.targets.get(&key.target).is_none_or(healthy)
    }

    /// Whether an operator or the guard against loops holds the slot.
    pub fn paused(&self, key: &SlotKey) -> bool {
        self.paused
            || self.paused_targets.contains(&key.target)
            || self.slots.get(key).is_some_and(|slot| slot.paused)
    }
}

// === impl Walk ===

impl Walk {
    fn note(&mut self, kind: NoteKind, target: Option<&ConnectorName>, login: &str) {
        let (target, login) = (target.cloned(), Some(login.to_owned()));
        self.actions.push(Action::Note(Note { kind, slot: None, target, login, repeated: false }));
    }
}

// === impl Turn ===

impl Turn<'_> {
    fn row(&mut self, number: u8) {
        self.rows.push(number);
    }

    fn note(&mut self, kind: NoteKind) {
        self.note_again(kind, false);
    }

    fn note_again(&mut self, kind: NoteKind, repeated: bool) {
        self.actions.push(Action::Note(Note {
            kind,
            slot: Some(self.key.clone()),
            target: Some(self.key.target.clone()),
            login: Some(self.slot.login.clone()).filter(|login| !login.is_empty()),
            repeated,
        }));
    }

    fn audit(&mut self, record: &Record, kind: AuditKind) {
        self.audit_of(record.id, record.episode, kind);
    }

    fn audit_of(&mut self, record: super::slot::RecordId, episode: u64, kind: AuditKind) {
        let (slot, record) = (self.key.clone(), Some(record));
        self.actions.push(Action::Audit(AuditEntry { slot, record, episode, kind }));
    }
}

/// The slot of a user at a target.
fn slot_key(target: &ConnectorName, user: &UserKey) -> SlotKey {
    SlotKey { target: target.clone(), user: user.clone() }
}

#[cfg(test)]
mod tests;
