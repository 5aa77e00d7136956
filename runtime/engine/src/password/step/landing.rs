//! Where a record comes down after its flight: delivered, waiting, or gone (T10 to T23, T39).

use std::time::Duration;

use super::Turn;
use crate::password::action::{Action, AuditKind, Mail, MailKind, NoteKind};
use crate::password::breaker::later;
use crate::password::event::Category;
use crate::password::policy::{MailMode, StateKind};
use crate::password::slot::{EchoToken, Record, State};
use crate::time::Timestamp;

// === impl Turn ===

impl Turn<'_> {
    /// What was sent to a system may come back from there as a capture (5.8).
    pub(super) fn store_echo(&mut self, token: Option<EchoToken>) {
        if let Some(token) = token {
            let (slot, until) = (self.key.clone(), later(self.now, self.policy.echo_ttl));
            self.actions.push(Action::StoreEcho { slot, token, until });
        }
    }

    /// T15, T16, T22. A request with an older password may still be carried out: then the record
    /// stays and is sent once more when that is over (5.6). It is delivered already, so that this
    /// second time is neither audited nor told, whatever comes of it.
    pub(super) fn delivered(&mut self, kind: AuditKind, token: Option<EchoToken>) {
        let now = self.now;
        let still = |until: Option<Timestamp>| until.filter(|until| now < *until);
        let Some(record) = self.slot.record.as_mut() else { return };
        record.late_until = still(record.late_until);
        let record = record.clone();
        if !record.delivered {
            self.note(match kind {
                AuditKind::DeliveredPresumed => NoteKind::DeliveredPresumed,
                _ => NoteKind::Delivered,
            });
            self.slot.flips.push(self.now);
        }
        self.breaker.served = self.breaker.served.saturating_add(1);
        self.store_echo(token);
        let late = still(self.slot.late_until);
        self.slot.late_until = late;
        let stays = self.slot.next.is_none() && self.slot.after_flight.is_none();
        if late.is_none() || !stays || record.delivered {
            return self.end(kind);
        }
        self.audit(&record, kind);
        self.slot.record = Some(Record { delivered: true, ..record });
        self.slot.state = State::Ready;
        self.slot.lease = None;
        self.slot.retry_at = late;
    }

    /// T10, T11, T23.
    pub(super) fn not_found(&mut self, hold: u8, drop: u8) {
        if self.was_delivered() {
            return;
        }
        self.note(NoteKind::NotFound);
        if self.policy.not_found.drop {
            self.land(drop);
            return self.end(AuditKind::DroppedNotFound);
        }
        self.land(hold);
        let interval = self.policy.not_found.interval;
        self.wait(State::WaitUser, self.policy.not_found.triggers.timer.then_some(interval));
    }

    /// T13, T14: not the user's fault, so that no mail is written.
    pub(super) fn look_up_rejected(&mut self) {
        if self.was_delivered() {
            return;
        }
        self.note(NoteKind::LookupRejected);
        match self.grant() {
            true => {
                self.row(13);
                self.wait_rejected();
            }
            false => {
                self.row(14);
                self.give_up();
            }
        }
    }

    /// T18, T19.
    pub(super) fn set_rejected(&mut self, category: Category) {
        if !self.was_delivered() {
            self.note(NoteKind::Rejected(category));
            self.rejected(category);
        }
    }

    fn rejected(&mut self, category: Category) {
        if self.grant() {
            self.row(18);
            self.wait_rejected();
            return self.mail(MailKind::Rejected, Some(category));
        }
        self.row(19);
        self.mail(MailKind::MaxRetries, Some(category));
        self.give_up();
    }

    /// Counts the rejection, if another attempt is granted after it (D-01).
    fn grant(&mut self) -> bool {
        let max = self.policy.rejected.max;
        let Some(record) = &mut self.slot.record else { return false };
        let grants = max.is_none_or(|max| record.rejects < max);
        if grants {
            record.rejects = record.rejects.saturating_add(1);
        }
        grants
    }

    fn wait_rejected(&mut self) {
        let rejected = &self.policy.rejected;
        self.wait(State::WaitRejected, rejected.triggers.timer.then_some(rejected.interval));
    }

    fn give_up(&mut self) {
        let retries = self.slot.record.as_ref().map_or(0, |record| record.rejects);
        self.note(NoteKind::GaveUp { retries });
        self.end(AuditKind::MaxRetries);
    }

    /// T12, T20, T21; T39 if it was the last of too many server errors.
    pub(super) fn unavailable(&mut self, row: u8, retry_after: Option<Duration>, poison: bool) {
        self.land(row);
        if poison {
            self.row(39);
            if !self.was_delivered() {
                self.note(NoteKind::Poison);
                self.rejected(Category::Other);
            }
            return;
        }
        self.slot.failures = self.slot.failures.saturating_add(1);
        let retry_at = self.backoff(retry_after);
        self.wait_until(State::WaitUnavailable, retry_at);
    }

    /// T24. Nothing is counted: no record is to blame.
    pub(super) fn refused(&mut self) {
        self.row(24);
        let timer = self.policy.unavailable.triggers.timer;
        let retry_at = self.breaker.open_until.filter(|_| timer);
        self.wait_until(State::WaitUnavailable, retry_at);
    }

    /// The second sending of a record that was delivered before is over, however it ended.
    fn was_delivered(&mut self) -> bool {
        let delivered = self.slot.record.as_ref().is_some_and(|record| record.delivered);
        if delivered {
            self.end(AuditKind::Delivered);
        }
        delivered
    }

    pub(super) fn wait(&mut self, state: State, pause: Option<Duration>) {
        self.wait_until(state, pause.map(|pause| later(self.now, pause)));
    }

    fn wait_until(&mut self, state: State, retry_at: Option<Timestamp>) {
        self.slot.state = state;
        self.slot.lease = None;
        self.slot.retry_at = retry_at;
        if self.expired() {
            self.row(32);
            self.expire();
        } else if self.slot.user_event {
            self.user_event();
        }
    }

    /// A row that may have been taken already.
    fn land(&mut self, row: u8) {
        if !self.rows.contains(&row) {
            self.row(row);
        }
    }

    /// The record leaves the slot, and what came meanwhile takes its place. Nothing happens where
    /// there is none.
    pub(super) fn end(&mut self, kind: AuditKind) {
        if let Some(record) = self.slot.record.take() {
            if !record.delivered {
                self.audit(&record, kind);
            }
            self.actions.push(Action::Purge(record.id));
            self.slot.late_until = self.slot.late_until.max(record.late_until);
        }
        match self.slot.next.take() {
            Some(next) => self.begin(next),
            None => self.clear(State::Empty),
        }
    }

    pub(super) fn begin(&mut self, record: Record) {
        self.slot.record = Some(record);
        self.clear(State::Ready);
        self.freeze();
    }

    pub(super) fn clear(&mut self, state: State) {
        self.slot.state = state;
        self.slot.lease = None;
        self.slot.retry_at = None;
        self.slot.after_flight = None;
        self.slot.user_event = false;
        self.slot.failures = 0;
        self.slot.server_errors = 0;
        self.slot.frozen_since = None;
        self.slot.frozen_ms = 0;
    }

    pub(super) fn drop_next(&mut self, kind: AuditKind) {
        if let Some(next) = self.slot.next.take() {
            self.audit(&next, kind);
            self.actions.push(Action::Purge(next.id));
        }
    }

    /// A mail to the user, as far as the policy wants one (D-11, I7).
    pub(super) fn mail(&mut self, kind: MailKind, category: Option<Category>) {
        let expires = self.expires(match kind {
            MailKind::Rejected => StateKind::Rejected,
            _ => StateKind::Ready,
        });
        let expires = expires.filter(|_| kind == MailKind::Rejected);
        let Some(record) = &mut self.slot.record else { return };
        let mailed = std::mem::replace(&mut record.mailed, true);
        let wanted = match self.policy.mail {
            MailMode::Off => false,
            MailMode::Episode => !mailed,
            MailMode::EveryAttempt => true,
        };
        // A rejection that waits is counted already.
        let counted = u32::from(kind != MailKind::Rejected);
        let attempt = record.rejects.saturating_add(counted);
        let (slot, episode) = (self.key.clone(), record.episode);
        if wanted {
            let mail = Mail { kind, slot, episode, attempt, category, expires };
            self.actions.push(Action::Mail(mail));
        }
    }
}
