//! What the synchronization says of a user (T25, T27, T30, T33, T34, T40).

use super::{Turn, Walk, turn};
use crate::password::action::{Action, AuditEntry, AuditKind, Mail, MailKind, NoteKind};
use crate::password::event::{Flight, UserEvent};
use crate::password::policy::{InitialPassword, MailMode};
use crate::password::queue::PasswordQueue;
use crate::password::slot::{SlotKey, State};
use crate::time::Timestamp;

/// A user was exported to a target, or nothing had to be.
pub(super) fn spoken_of(
    queue: &mut PasswordQueue,
    slot: &SlotKey,
    what: UserEvent,
    now: Timestamp,
    out: &mut Walk,
) {
    let given = matches!(
        queue.policy.initial_password,
        InitialPassword::PolicyDefault | InitialPassword::Random
    );
    if what == UserEvent::Added && given {
        // Whoever is created before the first capture has no slot yet.
        queue.slots.entry(slot.clone()).or_default();
    }
    turn(queue, slot, now, out, |turn| match turn.slot.state {
        State::Empty if what == UserEvent::Added && given => turn.initial_password(),
        _ => turn.user_event(),
    });
}

// === impl Turn ===

impl Turn<'_> {
    /// T25, T27, T30.
    pub(super) fn user_event(&mut self) {
        let row = match self.slot.state {
            State::WaitUser => 25,
            State::WaitRejected => 27,
            State::WaitUnavailable => 30,
            State::Finding | State::Setting => {
                self.slot.user_event = true;
                return;
            }
            State::Empty | State::Ready | State::Quarantined => return,
        };
        if self.triggers().event {
            self.retry_by(row);
        }
        self.slot.user_event = false;
    }

    /// T40.
    fn initial_password(&mut self) {
        self.row(40);
        // Counted as a life of its own, so that its mail is not taken for another one's.
        self.slot.episode += 1;
        let (slot, episode) = (self.key.clone(), self.slot.episode);
        self.actions.push(Action::SetInitialPassword { slot: slot.clone() });
        self.actions.push(Action::Audit(AuditEntry {
            slot: slot.clone(),
            record: None,
            episode,
            kind: AuditKind::InitialPassword,
        }));
        self.note(NoteKind::InitialPassword);
        if self.policy.mail != MailMode::Off {
            self.actions.push(Action::Mail(Mail {
                kind: MailKind::DefaultUsed,
                slot,
                episode,
                attempt: 1,
                category: None,
                expires: None,
            }));
        }
    }

    /// T34.
    pub(super) fn renamed(&mut self, login: &str) {
        self.row(34);
        login.clone_into(&mut self.slot.login);
        self.user_event();
    }

    /// T33.
    pub(super) fn user_deleted(&mut self) {
        self.remove(33, AuditKind::PurgedUserDeleted, Flight::UserDeleted);
    }

    /// Takes everything out of the slot, what is under way after its flight (T33, T36).
    pub(super) fn remove(&mut self, row: u8, kind: AuditKind, flight: Flight) {
        if self.slot.record.is_none() {
            return;
        }
        self.row(row);
        self.drop_next(kind);
        match self.slot.state.in_flight() {
            true => self.slot.after_flight = Some(flight),
            false => self.end(kind),
        }
    }
}
