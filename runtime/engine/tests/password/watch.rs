//! The invariants I1 to I9 of password.md 5.4, held against every single step.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::password::{
    Acknowledgement, Action, AttemptId, AuditKind, Capture, Event, Mail, MailKind, MailMode,
    PasswordQueue, RecordId, Slot, SlotKey, State, Walk,
};
use kakehi_engine::time::Timestamp;

#[derive(Default)]
pub struct Watch {
    pub reached: BTreeSet<u8>,
    /// Place of each record among those that were accepted.
    accepted: BTreeMap<RecordId, u64>,
    delivered: BTreeMap<SlotKey, u64>,
    /// What was accepted last of each agent.
    numbers: BTreeMap<(SlotKey, String), (u64, u64)>,
    /// What became of the record in the slot; several slots hold one record.
    outcomes: BTreeMap<(SlotKey, RecordId), Vec<AuditKind>>,
    held: BTreeMap<RecordId, u32>,
    mails: BTreeSet<(SlotKey, u64, MailKind, u32)>,
    user_mails: BTreeMap<(SlotKey, u64), u32>,
    working: BTreeMap<SlotKey, (AttemptId, Timestamp)>,
    joined: bool,
    /// Nothing goes wrong any more, so that nothing may be given up either.
    pub calm: bool,
}

type Held = Result<(), String>;

fn hold(condition: bool, what: impl FnOnce() -> String) -> Held {
    if condition { Ok(()) } else { Err(what()) }
}

// === impl Watch ===

impl Watch {
    pub fn step(
        &mut self,
        event: &Event,
        before: &PasswordQueue,
        after: &PasswordQueue,
        walk: &Walk,
        now: Timestamp,
    ) -> Held {
        self.reached.extend(walk.rows.iter().map(|row| row.number));
        self.joined = matches!(event, Event::Joined { .. });
        if let Event::Joined { from, to } = event {
            // Two lines of captures become one: what was delivered of one says nothing of the
            // other.
            self.delivered.retain(|key, _| key.user != *from && key.user != *to);
            self.working.retain(|key, _| key.user != *from && key.user != *to);
        }
        if let Event::Found { attempt, .. }
        | Event::Set { attempt, .. }
        | Event::Unopened { attempt, .. } = event
        {
            // Its worker has answered. If request 2 follows, the action below says so.
            self.working.retain(|_, (holder, _)| holder != attempt);
        }
        for action in &walk.actions {
            self.action(event, action, after, now)?;
        }
        for (key, slot) in &after.slots {
            shape(key, slot)?;
            if let Some(old) = before.slots.get(key) {
                self.between(key, old, slot, walk, before, after)?;
            }
        }
        self.ciphertexts(after)
    }

    fn action(
        &mut self,
        event: &Event,
        action: &Action,
        after: &PasswordQueue,
        now: Timestamp,
    ) -> Held {
        match action {
            Action::Audit(entry) => {
                let Some(record) = entry.record else { return Ok(()) };
                if let (AuditKind::Queued, Event::Capture(capture)) = (entry.kind, event) {
                    let origin = &capture.order.origin;
                    let number = (origin.epoch, origin.sequence);
                    let agent = (entry.slot.clone(), origin.agent.to_string());
                    let last = self.numbers.insert(agent, number);
                    hold(last.is_none_or(|last| last < number), || {
                        format!("I1: {origin:?} is accepted after {last:?}")
                    })?;
                    let place = self.accepted.len() as u64;
                    self.accepted.entry(record).or_insert(place);
                    *self.held.entry(record).or_default() += 1;
                }
                if matches!(entry.kind, AuditKind::Delivered | AuditKind::DeliveredPresumed) {
                    let place = self.accepted[&record];
                    let last = self.delivered.insert(entry.slot.clone(), place);
                    hold(last.is_none_or(|last| last <= place), || {
                        format!("I1: {:?} of {:?} after a newer one", record, entry.slot)
                    })?;
                }
                // One that came too late never lived.
                if matches!(event, Event::Capture(capture) if capture.record == record)
                    && entry.kind == AuditKind::Expired
                {
                    return Ok(());
                }
                let given_up =
                    matches!(entry.kind, AuditKind::MaxRetries | AuditKind::DroppedNotFound);
                hold(!(self.calm && given_up), || format!("I6: {record:?} is given up"))?;
                self.outcomes.entry((entry.slot.clone(), record)).or_default().push(entry.kind);
            }
            Action::Purge(record) => {
                let held = self.held.get_mut(record);
                let left = held.and_then(|held| held.checked_sub(1).inspect(|left| *held = *left));
                hold(left.is_some(), || format!("I5: {record:?} is purged once more"))?;
            }
            Action::Mail(mail) => return self.mail(after, mail),
            Action::Find { slot, attempt, .. } => {
                let lease = after.slots[slot].lease.expect("a look-up has a lease");
                let other = self.working.insert(slot.clone(), (*attempt, lease.deadline));
                let alone = other.is_none_or(|(_, deadline)| now >= deadline);
                hold(alone, || format!("I9: two workers hold {slot:?}"))?;
            }
            Action::Set { slot, attempt, .. } => {
                let lease = after.slots[slot].lease.expect("a request has a lease");
                let other = self.working.insert(slot.clone(), (*attempt, lease.deadline));
                hold(lease.attempt == *attempt && other.is_none(), || {
                    format!("I9: {slot:?} is set by another worker")
                })?;
            }
            Action::Acknowledge(answer) => {
                let Event::Capture(capture) = event else {
                    return Err("I8: acknowledged without a capture".into());
                };
                return self.durable(capture, *answer, after);
            }
            _ => {}
        }
        Ok(())
    }

    /// I8: what is acknowledged as queued is kept, as far as nothing newer was there.
    fn durable(&self, capture: &Capture, answer: Acknowledgement, after: &PasswordQueue) -> Held {
        if answer != Acknowledgement::Queued {
            return Ok(());
        }
        let kept = after.slots.values().any(|slot| {
            [&slot.record, &slot.next].into_iter().flatten().any(|held| held.id == capture.record)
        });
        hold(kept, || format!("I8: {:?} is acknowledged and not kept", capture.record))
    }

    fn mail(&mut self, after: &PasswordQueue, mail: &Mail) -> Held {
        if mail.kind == MailKind::TargetDown {
            return Ok(());
        }
        let key = (mail.slot.clone(), mail.episode, mail.kind, mail.attempt);
        hold(self.mails.insert(key), || format!("N-05: {mail:?} is written twice"))?;
        let mails = self.user_mails.entry((mail.slot.clone(), mail.episode)).or_default();
        *mails += 1;
        let allowed = match after.policy.mail {
            MailMode::Off => 0,
            MailMode::Episode => 1,
            MailMode::EveryAttempt => u32::MAX,
        };
        hold(*mails <= allowed, || format!("I7: {mails} mails for {mail:?}"))
    }

    fn between(
        &self,
        key: &SlotKey,
        old: &Slot,
        new: &Slot,
        walk: &Walk,
        before: &PasswordQueue,
        after: &PasswordQueue,
    ) -> Held {
        let rows: Vec<u8> =
            walk.rows.iter().filter(|row| row.slot == *key).map(|row| row.number).collect();
        let took = |wanted: &[u8]| rows.iter().any(|row| wanted.contains(row));
        if let Some(record) = &new.record {
            let counted = record.rejects.wrapping_sub(rejects_before(before, key, record.id));
            let fits = counted == 0 || (counted == 1 && took(&[13, 18, 39]));
            hold(fits, || format!("I2: {key:?} has {} rejects at once", record.rejects))?;
        }
        let policy = &after.policy;
        for row in &rows {
            let enabled = match row {
                25 => policy.not_found.triggers.event,
                26 => policy.not_found.triggers.timer,
                27 => policy.rejected.triggers.event,
                28 => policy.rejected.triggers.timer,
                30 => policy.unavailable.triggers.event,
                _ => true,
            };
            hold(enabled, || format!("I4: T{row} is not among the triggers"))?;
        }
        let waited = matches!(old.state, State::WaitRejected | State::WaitUser);
        let same =
            old.record.as_ref().map(|held| held.id) == new.record.as_ref().map(|held| held.id);
        let moved = waited && same && new.state != old.state && !self.joined;
        hold(!moved || took(&[25, 26, 27, 28, 35]), || format!("I4: {key:?} without a trigger"))
    }

    /// I5 and I3: what slots hold is what was queued and not purged.
    fn ciphertexts(&self, after: &PasswordQueue) -> Held {
        let mut held: BTreeMap<RecordId, u32> = BTreeMap::new();
        for slot in after.slots.values() {
            for record in [&slot.record, &slot.next].into_iter().flatten() {
                *held.entry(record.id).or_default() += 1;
            }
        }
        for (record, count) in &self.held {
            let found = held.get(record).copied().unwrap_or(0);
            hold(found == *count, || {
                format!("I5: {record:?} is in {found} slots, and was purged from all but {count}")
            })?;
        }
        Ok(())
    }

    pub fn restarted(&mut self) {
        self.working.clear();
    }

    /// Whether the slot's newest capture was delivered, by the record's id.
    pub fn was_delivered(&self, key: &SlotKey, record: RecordId) -> bool {
        let outcomes = self.outcomes.get(&(key.clone(), record));
        outcomes.is_some_and(|outcomes| {
            outcomes
                .iter()
                .any(|kind| matches!(kind, AuditKind::Delivered | AuditKind::DeliveredPresumed))
        })
    }

    /// Nothing that was acknowledged is lost without a word, and nothing ends twice.
    pub fn all_ended_once(&self, after: &PasswordQueue) -> Held {
        let mut ends: BTreeMap<RecordId, (u32, u32)> = BTreeMap::new();
        for ((_, record), outcomes) in &self.outcomes {
            let (queued, ended) = ends.entry(*record).or_default();
            for outcome in outcomes {
                match outcome {
                    AuditKind::Queued => *queued += 1,
                    AuditKind::Delivered
                    | AuditKind::DeliveredPresumed
                    | AuditKind::Superseded
                    | AuditKind::Expired
                    | AuditKind::MaxRetries
                    | AuditKind::DroppedNotFound
                    | AuditKind::PurgedUserDeleted
                    | AuditKind::PurgedOperator => *ended += 1,
                    _ => {}
                }
            }
        }
        for (record, (queued, ended)) in ends {
            // What was never accepted has no end.
            let live = after.slots.values().any(|slot| {
                [&slot.record, &slot.next].into_iter().flatten().any(|held| held.id == record)
            });
            hold(queued == 0 || live || queued == ended, || {
                format!("I6: {record:?} was queued {queued} times and ended {ended} times")
            })?;
        }
        Ok(())
    }
}

/// How often a record was rejected so far; a new one never was. A join brings it from another key.
fn rejects_before(before: &PasswordQueue, key: &SlotKey, record: RecordId) -> u32 {
    let slots = before.slots.iter().filter(|(other, _)| other.target == key.target);
    let mut held = slots.flat_map(|(_, slot)| [&slot.record, &slot.next].into_iter().flatten());
    held.find(|held| held.id == record).map_or(0, |held| held.rejects)
}

/// I3, and what always belongs together.
fn shape(key: &SlotKey, slot: &Slot) -> Held {
    let flies = slot.state.in_flight();
    let what = |text: &str| format!("I3: {key:?} is {} {text}", slot.state.as_str());
    hold(slot.record.is_some() == (slot.state != State::Empty), || what("and its record is not"))?;
    hold(slot.next.is_none() || flies, || what("with one behind it"))?;
    hold(slot.lease.is_some() == flies, || what("and its lease is not"))?;
    hold(slot.after_flight.is_none() || flies, || what("and something is to follow"))?;
    let newest = slot.next.as_ref().or(slot.record.as_ref());
    let known = slot.high_water.as_ref().map(|order| &order.origin);
    let current = newest.is_none_or(|newest| known == Some(&newest.order.origin));
    let overtaken = slot.next.is_none() && slot.after_flight.is_some();
    hold(current || overtaken, || what("and holds what is not the newest"))
}
