//! A record under way: picked, looked up, set (T07 to T24, T37, T38).

use super::Turn;
use crate::password::action::{Action, AuditKind, Mail, MailKind, NoteKind};
use crate::password::breaker::{Failure, later};
use crate::password::event::{Answer, Category, Flight};
use crate::password::policy::MailMode;
use crate::password::slot::{AttemptId, EchoToken, Lease, State};
use crate::time::Timestamp;

/// Over which time deliveries are counted against loops.
const FLIPS_SECONDS: u64 = 3600;

// === impl Turn ===

impl Turn<'_> {
    /// T07, if the gate is open.
    pub(super) fn pick(&mut self, attempt: AttemptId, lease_until: Timestamp) {
        if self.slot.state != State::Ready {
            return;
        }
        if self.expired() {
            self.row(31);
            return self.expire();
        }
        let waits = self.slot.retry_at.is_some_and(|instant| self.now < instant);
        if waits || self.paused || !self.breaker.lets_through(self.now) || self.loop_cut() {
            return;
        }
        self.row(7);
        self.breaker.picked(self.key, lease_until);
        self.slot.state = State::Finding;
        self.slot.retry_at = None;
        self.slot.user_event = false;
        self.slot.lease = Some(Lease { attempt, deadline: lease_until });
        let (slot, login) = (self.key.clone(), self.slot.login.clone());
        self.actions.push(Action::Find { slot, attempt, login });
    }

    /// Pauses a slot whose password goes to and fro (5.8). The record stays.
    fn loop_cut(&mut self) -> bool {
        let hour_ago = self.now.minus(FLIPS_SECONDS);
        self.slot.flips.retain(|delivered| *delivered > hour_ago);
        let max = self.policy.max_flips_per_user_per_hour as usize;
        let Some(record) = self.slot.record.clone() else { return true };
        if record.delivered || self.slot.flips.len() < max {
            return false;
        }
        self.slot.paused = true;
        self.paused = true;
        self.freeze();
        self.note(NoteKind::LoopCut);
        self.audit(&record, AuditKind::LoopCut);
        true
    }

    /// Request 1 was answered.
    pub(super) fn found(&mut self, attempt: AttemptId, answer: Answer) {
        if !self.holds(attempt, State::Finding) {
            return;
        }
        // Nothing can have been changed by looking.
        let answer = match answer {
            Answer::Uncertain => Answer::Unavailable { retry_after: None, server_error: false },
            other => other,
        };
        let poison = self.weigh(&answer);
        if self.overtaken_in_flight(&answer) {
            return;
        }
        match answer {
            _ if self.slot.next.is_some() => {
                self.row(9);
                self.end(AuditKind::Superseded);
            }
            Answer::Ok => self.open_and_set(attempt),
            Answer::NotFound => self.not_found(10, 11),
            Answer::Rejected(_) | Answer::Ambiguous => self.look_up_rejected(),
            Answer::Refused => self.refused(),
            Answer::Unavailable { retry_after, .. } => self.unavailable(12, retry_after, poison),
            Answer::Uncertain => {}
        }
    }

    /// T08.
    fn open_and_set(&mut self, attempt: AttemptId) {
        let Some(record) = &self.slot.record else { return };
        // What was delivered last is what the target has only if nothing was sent since.
        let settled = !record.uncertain && self.slot.late_until.is_none();
        let unless_delivered = record.tied && !record.delivered && settled;
        let (slot, record) = (self.key.clone(), record.id);
        self.row(8);
        self.slot.state = State::Setting;
        self.actions.push(Action::Set { slot, attempt, record, unless_delivered });
    }

    /// Request 2 was answered.
    pub(super) fn set(&mut self, attempt: AttemptId, answer: Answer, token: Option<EchoToken>) {
        if !self.holds(attempt, State::Setting) {
            return;
        }
        let poison = self.weigh(&answer);
        if answer == Answer::Ok {
            self.row(if self.slot.next.is_some() { 16 } else { 15 });
            return self.delivered(AuditKind::Delivered, token);
        }
        if answer == Answer::Uncertain {
            self.row(21);
            self.uncertain();
            // It may have been set, and then it comes back from there.
            self.store_echo(token);
        }
        if answer == Answer::NotFound {
            self.row(23);
            self.actions.push(Action::ForgetRemoteId { slot: self.key.clone() });
        }
        let uncertain = self.slot.record.as_ref().is_some_and(|record| record.uncertain);
        let in_history = answer == Answer::Rejected(Category::History);
        if in_history && uncertain && self.slot.next.is_none() {
            self.row(22);
            return self.delivered(AuditKind::DeliveredPresumed, token);
        }
        if self.overtaken_in_flight(&answer) {
            return;
        }
        if self.slot.next.is_some() {
            self.row(17);
            return self.end(AuditKind::Superseded);
        }
        match answer {
            Answer::Rejected(category) => self.set_rejected(category),
            Answer::Ambiguous => self.set_rejected(Category::Other),
            Answer::NotFound => self.not_found(23, 23),
            Answer::Refused => self.refused(),
            Answer::Unavailable { retry_after, .. } => self.unavailable(20, retry_after, poison),
            Answer::Uncertain => self.unavailable(21, None, false),
            Answer::Ok => {}
        }
    }

    fn holds(&self, attempt: AttemptId, state: State) -> bool {
        let lease = self.slot.lease.is_some_and(|lease| lease.attempt == attempt);
        lease && self.slot.state == state
    }

    /// What an answer says of the target. Gives whether it is the last of many server errors for
    /// this slot while the target serves others (T39); then it says nothing of the target.
    fn weigh(&mut self, answer: &Answer) -> bool {
        let (retry_after, server_error) = match answer {
            Answer::Unavailable { retry_after, server_error } => (*retry_after, *server_error),
            Answer::Uncertain => (None, false),
            Answer::Refused => {
                self.target_refuses();
                return false;
            }
            Answer::Ok if self.slot.state == State::Finding => {
                if self.breaker.found() {
                    self.wake();
                }
                return false;
            }
            _ => {
                self.decided_on();
                return false;
            }
        };
        if self.poisoned(server_error) {
            return true;
        }
        let repeated = std::mem::replace(&mut self.breaker.told, true);
        self.note_again(NoteKind::Unreachable, repeated);
        let failure = Failure { policy: self.policy, at_once: false, retry_after };
        if self.breaker.failed(self.key, failure, self.now) {
            self.target_down();
        }
        false
    }

    /// The target decided on this slot's request.
    fn decided_on(&mut self) {
        self.slot.failures = 0;
        self.slot.server_errors = 0;
        if self.breaker.refused && self.slot.state == State::Finding {
            // It may refuse us for writing only.
            self.breaker.abandoned(self.key, self.now);
        } else if self.breaker.answered() {
            self.wake();
        }
    }

    fn poisoned(&mut self, server_error: bool) -> bool {
        if !server_error {
            self.slot.server_errors = 0;
            return false;
        }
        self.slot.server_errors = self.slot.server_errors.saturating_add(1);
        let serves_others = std::mem::take(&mut self.breaker.served) > 0;
        let poison = serves_others && self.slot.server_errors >= self.policy.poison_after;
        if poison {
            self.slot.server_errors = 0;
            self.slot.failures = 0;
            self.breaker.abandoned(self.key, self.now);
        }
        poison
    }

    /// T24: nothing will go through until our credential or the target's configuration is mended.
    fn target_refuses(&mut self) {
        let repeated = std::mem::replace(&mut self.breaker.refused, true);
        self.note_again(NoteKind::Refused, repeated);
        let failure = Failure { policy: self.policy, at_once: true, retry_after: None };
        if self.breaker.failed(self.key, failure, self.now) {
            self.target_down();
        }
    }

    fn wake(&mut self) {
        self.actions.push(Action::Wake { target: self.key.target.clone() });
    }

    fn target_down(&mut self) {
        let Some(record) = self.slot.record.as_ref() else { return };
        if self.policy.mail == MailMode::Off {
            return;
        }
        self.actions.push(Action::Mail(Mail {
            kind: MailKind::TargetDown,
            slot: self.key.clone(),
            episode: record.episode,
            attempt: record.rejects.saturating_add(1),
            category: None,
            expires: None,
        }));
    }

    /// T21, and T37 while request 2 was under way: it may be carried out yet.
    fn uncertain(&mut self) {
        let late_until = later(self.now, self.policy.uncertain_grace);
        if let Some(record) = &mut self.slot.record {
            record.uncertain = true;
            record.late_until = record.late_until.max(Some(late_until));
        }
        self.actions.push(Action::CloseConnection { target: self.key.target.clone() });
    }

    /// What was decided about the record while it was under way is done. It is not sent any more:
    /// only one that expired meanwhile goes on if its user was found.
    fn overtaken_in_flight(&mut self, answer: &Answer) -> bool {
        let (row, kind) = match self.slot.after_flight {
            None => return false,
            Some(Flight::Expired) if *answer == Answer::Ok => return false,
            Some(Flight::Expired) if self.slot.next.is_some() => return false,
            Some(Flight::Expired) => {
                self.row(32);
                self.expire();
                return true;
            }
            Some(Flight::UserDeleted) => (33, AuditKind::PurgedUserDeleted),
            Some(Flight::Purged) => (36, AuditKind::PurgedOperator),
            Some(Flight::Superseded) => {
                self.end(AuditKind::Superseded);
                return true;
            }
        };
        self.row(row);
        self.end(kind);
        true
    }

    /// T37: nobody works on the record any more.
    pub(super) fn lost(&mut self) {
        if !self.slot.state.in_flight() {
            return;
        }
        self.row(37);
        self.breaker.abandoned(self.key, self.now);
        if self.slot.state == State::Setting {
            self.uncertain();
        }
        // Any answer that is none.
        if self.overtaken_in_flight(&Answer::Uncertain) {
            return;
        }
        if self.slot.next.is_some() {
            return self.end(AuditKind::Superseded);
        }
        self.slot.state = State::Ready;
        self.slot.lease = None;
    }

    /// T38.
    pub(super) fn unopened(&mut self, attempt: AttemptId, reason: String) {
        let lease = self.slot.lease.is_some_and(|lease| lease.attempt == attempt);
        let Some(record) = self.slot.record.clone().filter(|_| lease) else { return };
        self.row(38);
        self.breaker.abandoned(self.key, self.now);
        self.note(NoteKind::Quarantined { reason });
        if self.overtaken_in_flight(&Answer::Uncertain) {
            return;
        }
        if self.slot.next.is_some() || record.delivered {
            return self.end(AuditKind::Superseded);
        }
        self.audit(&record, AuditKind::Quarantined);
        self.wait(State::Quarantined, None);
    }
}
