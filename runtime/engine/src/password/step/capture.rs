//! What a captured password does to the slots of its user (T01 to T06).

use super::{Turn, Walk, slot_key, turn};
use crate::password::action::{Acknowledgement, Action, AuditKind, NoteKind};
use crate::password::event::{Capture, Flight, Reach};
use crate::password::order::Relation;
use crate::password::queue::PasswordQueue;
use crate::password::slot::{Record, State};
use crate::time::Timestamp;

pub(super) fn capture(
    queue: &mut PasswordQueue,
    capture: &Capture,
    now: Timestamp,
    out: &mut Walk,
) {
    if capture.clamped {
        out.note(NoteKind::ClockAhead, None, &capture.login);
    }
    let mut answer = Acknowledgement::Filtered;
    let echo = capture.targets.values().any(|reach| *reach == Reach::Echo);
    for (target, reach) in &capture.targets {
        // Our own delivery says nothing new to the system it went to.
        if echo && (*reach == Reach::Origin || *target == capture.source) {
            continue;
        }
        let key = slot_key(target, &capture.user);
        queue.slots.entry(key.clone()).or_default();
        turn(queue, &key, now, out, |turn| {
            answer = answer.min(turn.capture(capture, *reach));
        });
    }
    out.actions.push(Action::Acknowledge(answer));
}

// === impl Turn ===

impl Turn<'_> {
    fn capture(&mut self, capture: &Capture, reach: Reach) -> Acknowledgement {
        let relation = self.slot.relation(&capture.order, self.policy.skew_window);
        self.slot.saw(&capture.order.origin);
        let tied = match relation {
            Relation::Newer { tied } => tied,
            Relation::Same | Relation::Older => return self.known(capture, reach, relation),
        };
        match reach {
            Reach::Echo => return self.echo(capture),
            Reach::Origin => {
                self.overtaken();
                self.decided(capture);
                return Acknowledgement::Filtered;
            }
            Reach::Filtered => {
                self.row(4);
                self.overtaken();
                return self.aside(
                    capture,
                    AuditKind::Filtered,
                    NoteKind::Filtered,
                    Acknowledgement::Filtered,
                );
            }
            Reach::Deliver => {}
        }
        if tied {
            self.note(NoteKind::Tied);
        }
        if self.too_old(capture.order.captured_at) {
            self.overtaken();
            return self.aside(
                capture,
                AuditKind::Expired,
                NoteKind::Expired,
                Acknowledgement::Expired,
            );
        }
        self.accept(capture, tied);
        Acknowledgement::Queued
    }

    /// T02. The system it was captured in has no part in the answer.
    fn known(&mut self, capture: &Capture, reach: Reach, relation: Relation) -> Acknowledgement {
        if reach == Reach::Origin {
            return Acknowledgement::Filtered;
        }
        self.row(2);
        let (kind, answer) = match relation {
            Relation::Same => (AuditKind::Duplicate, Acknowledgement::Duplicate),
            _ => (AuditKind::Stale, Acknowledgement::Stale),
        };
        self.audit_of(capture.record, self.slot.episode, kind);
        self.note(NoteKind::StaleOrDuplicate);
        answer
    }

    /// T03. Our own delivery came back from the system it went to, so that what this system said
    /// before holds no more. What another system said stays: it may be what was delivered.
    fn echo(&mut self, capture: &Capture) -> Acknowledgement {
        self.row(3);
        let same = |record: &Option<Record>| {
            record.as_ref().is_none_or(|record| record.source == capture.source)
        };
        let (of_record, of_next) = (same(&self.slot.record), same(&self.slot.next));
        if of_record && of_next {
            self.overtaken();
            self.decided(capture);
        }
        self.aside_known(capture, AuditKind::Echo, NoteKind::Echo, Acknowledgement::Echo)
    }

    /// T01, T05, T06.
    fn accept(&mut self, capture: &Capture, tied: bool) {
        self.decided(capture);
        self.slot.episode += 1;
        let record = Record {
            id: capture.record,
            episode: self.slot.episode,
            order: capture.order.clone(),
            operation: capture.operation,
            source: capture.source.clone(),
            rejects: 0,
            uncertain: false,
            tied,
            late_until: None,
            delivered: false,
            mailed: false,
        };
        self.audit(&record, AuditKind::Queued);
        self.note(NoteKind::Queued);
        if self.slot.state.in_flight() {
            self.row(6);
            self.drop_next(AuditKind::Superseded);
            self.slot.next = Some(record);
            return;
        }
        self.row(if self.slot.state == State::Empty { 1 } else { 5 });
        self.end(AuditKind::Superseded);
        self.begin(record);
    }

    /// A newer capture is not for this target, or too old itself: what came before it must not be
    /// set any more (T03, T04).
    fn overtaken(&mut self) {
        self.drop_next(AuditKind::Superseded);
        if !self.slot.state.in_flight() {
            self.end(AuditKind::Superseded);
        } else {
            self.sent_no_more();
        }
    }

    /// The record under way is not the newest any more, and nothing follows it.
    pub(super) fn sent_no_more(&mut self) {
        if matches!(self.slot.after_flight, None | Some(Flight::Expired)) {
            self.slot.after_flight = Some(Flight::Superseded);
        }
    }

    fn decided(&mut self, capture: &Capture) {
        self.slot.high_water = Some(capture.order.clone());
        self.slot.login.clone_from(&capture.login);
    }

    fn aside(
        &mut self,
        capture: &Capture,
        kind: AuditKind,
        note: NoteKind,
        answer: Acknowledgement,
    ) -> Acknowledgement {
        self.decided(capture);
        self.aside_known(capture, kind, note, answer)
    }

    /// Tells of a capture that is not kept.
    fn aside_known(
        &mut self,
        capture: &Capture,
        kind: AuditKind,
        note: NoteKind,
        answer: Acknowledgement,
    ) -> Acknowledgement {
        self.audit_of(capture.record, self.slot.episode, kind);
        self.note(note);
        answer
    }
}
