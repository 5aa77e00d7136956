//! One command inside the writer's transaction: the slots that an event speaks of are loaded, the
//! state machine steps, what changed is stored, and what belongs to the transaction is done.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{
    Acknowledgement, Action, AttemptId, AuditEntry, Capture, EchoToken, Event, Mail, MailMode,
    Order, PasswordQueue, Reach, RecordId, Slot, SlotKey, UserKey, step,
};
use kakehi_engine::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::codes::Code;
use super::error::{QueueError, Result};
use super::row::{self, SlotId, Stored};
use super::{Arrived, Captured, Echo, Picked, agent, cell, mail};
use crate::mail::Audience;

/// So many slots in a row that a worker may not have are looked at before it gets none.
const REFUSED_MAX: usize = 64;

/// Deliveries to one slot whose echoes may be on their way at once: more than a loop guard lets
/// pass, and no room for more.
const ECHOES_MAX: i64 = 64;

/// Parts of what may be kept from which on a queue is nearly full, and when it no longer is.
const NEARLY_FULL_PERCENT: u64 = 80;
const RELAXED_PERCENT: u64 = 70;

/// What the writer knows without asking the tables. A command that fails leaves it as it was.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// Policy, gates and breakers; its slots are those of the present event.
    pub queue: PasswordQueue,
    pub audience: Audience,
    pub records_max: u64,
    pub bytes_max: u64,
    /// The numbers given out last.
    pub arrival: u64,
    pub attempt: u64,
    /// What is kept now.
    pub records: u64,
    pub bytes: u64,
    /// Something was purged since the log was cut.
    pub dirty: bool,
    pub nearly_full: bool,
    /// Rows that could not be read, since they were told of last.
    pub set_aside: Vec<String>,
    /// When old rows were cleared away last.
    pub cleared_at: Option<Timestamp>,
}

pub(super) struct Work<'a> {
    pub sql: &'a Connection,
    pub memory: &'a mut Memory,
    pub now: Timestamp,
}

// === impl Memory ===

impl Memory {
    pub(super) fn store_counters(&self, sql: &Connection, before: &Self) -> Result<()> {
        for (name, now, then) in
            [("arrival", self.arrival, before.arrival), ("attempt", self.attempt, before.attempt)]
        {
            if now != then {
                store_meta(sql, name, now)?;
            }
        }
        Ok(())
    }

    fn percent(&self) -> u64 {
        let part = |have: u64, most: u64| have.saturating_mul(100) / most.max(1);
        part(self.records, self.records_max).max(part(self.bytes, self.bytes_max))
    }
}

pub(super) fn store_meta(sql: &Connection, name: &str, value: u64) -> Result<()> {
    sql.prepare_cached("INSERT OR REPLACE INTO pw_meta VALUES (?1, ?2)")?
        .execute((name, value.cast_signed()))?;
    Ok(())
}

// === impl Work ===

impl Work<'_> {
    /// Stores a capture. Gives its answer and what follows from it.
    pub(super) fn capture(&mut self, arrived: Arrived) -> Result<Captured> {
        let Arrived { sealed, kid, origin, captured_at, operation, .. } = arrived;
        let Arrived { source, user, login, clamped, mut targets, echo, .. } = arrived;
        if let Some(echo) = echo
            && !self.use_echo(&echo, &origin.agent)?
        {
            // This agent told of it already: a second time is a change of its own.
            for reach in targets.values_mut().filter(|reach| **reach == Reach::Echo) {
                *reach = Reach::Deliver;
            }
        }
        self.memory.arrival += 1;
        let arrival = self.memory.arrival;
        let record = RecordId(arrival.cast_signed());
        let gap = agent::count(self.sql, &origin, self.now)?;
        let mut set = vec![];
        for target in targets.keys() {
            let key = SlotKey { target: target.clone(), user: user.clone() };
            let stored = self.load(&key)?;
            set.push((key, stored));
        }
        let order = Order { origin, captured_at, arrival };
        let capture = Capture { record, order, operation, source, user, login, clamped, targets };
        let (records, bytes) = (self.memory.records, self.memory.bytes);
        let sealed = Sealed { record, kid, bytes: sealed };
        let actions = self.step(set, Event::Capture(capture), Some(&sealed))?;
        self.still_room(records, bytes)?;
        let acknowledgement = acknowledgement(&actions)?;
        Ok(Captured { acknowledgement, actions, nearly_full: self.nearly_full(), gap })
    }

    /// Applies an event to the slots it speaks of; those of a scope are given by `chunk`.
    pub(super) fn apply(&mut self, event: Event, chunk: &[SlotId]) -> Result<Vec<Action>> {
        let set = self.working_set(&event, chunk)?;
        let joined = match &event {
            Event::Joined { from, to } => Some((from.clone(), to.clone())),
            _ => None,
        };
        let actions = self.step(set, event, None)?;
        if let Some((from, to)) = joined {
            self.rename(&from, &to)?;
        }
        Ok(actions)
    }

    /// Gives the oldest slots of a target that may be worked on to a worker (T07).
    pub(super) fn pick(
        &mut self,
        target: &ConnectorName,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Picked>> {
        let mut picked = vec![];
        let queue = &self.memory.queue;
        if queue.paused || queue.paused_targets.contains(target) {
            return Ok(picked);
        }
        let mut refused = 0;
        for id in self.waiting(target, limit.saturating_add(REFUSED_MAX))? {
            if picked.len() >= limit || refused >= REFUSED_MAX || self.left_alone(target) {
                break;
            }
            let Some(stored) = self.load_by_id(id)? else { continue };
            let slot = stored.key.clone();
            self.memory.attempt += 1;
            let attempt = AttemptId(self.memory.attempt);
            let lease_until = Timestamp(
                self.now.0.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)),
            );
            let event = Event::Pick { slot: slot.clone(), attempt, lease_until };
            let actions = self.step(vec![(slot, Some(stored))], event, None)?;
            let found = actions.into_iter().find_map(|action| match action {
                Action::Find { slot, attempt, login } => Some(Picked { slot, attempt, login }),
                _ => None,
            });
            refused += usize::from(found.is_none());
            picked.extend(found);
        }
        Ok(picked)
    }

    /// Marks a token as seen by an agent, and those before it, whose echoes can come no more: an
    /// agent tells in order. Gives whether it may be used.
    fn use_echo(&self, echo: &Echo, agent: &str) -> Result<bool> {
        let (target, user) = (echo.slot.target.as_str(), &*echo.slot.user.0);
        let number = echo.number.cast_signed();
        let mut live = self.sql.prepare_cached(
            "SELECT 1 FROM pw_echo WHERE target = ?1 AND user = ?2 AND number = ?3 AND until > ?4",
        )?;
        if !live.exists((target, user, number, self.now.0))? {
            return Ok(false);
        }
        let mut mark = self.sql.prepare_cached(
            "INSERT INTO pw_echo_use VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET number = excluded.number WHERE number < excluded.number",
        )?;
        Ok(mark.execute((target, user, agent, number))? == 1)
    }

    fn waiting(&self, target: &ConnectorName, limit: usize) -> Result<Vec<SlotId>> {
        let mut statement = self.sql.prepare_cached(WAITING)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let ids = statement.query_map((target.as_str(), self.now.0, limit), |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    fn left_alone(&self, target: &ConnectorName) -> bool {
        let breaker = self.memory.queue.targets.get(target);
        breaker.is_some_and(|breaker| !breaker.lets_through(self.now))
    }

    fn working_set(&mut self, event: &Event, chunk: &[SlotId]) -> Result<WorkingSet> {
        use kakehi_engine::password::Scope;
        match event {
            Event::Capture(_) => Err(QueueError::Internal { what: "a capture without ciphertext" }),
            Event::Pick { slot, .. }
            | Event::Restarted { slot }
            | Event::Due { slot }
            | Event::User { slot, .. }
            | Event::Retry { scope: Scope::Slot(slot) }
            | Event::Purge { scope: Scope::Slot(slot) }
            | Event::Pause { scope: Scope::Slot(slot) }
            | Event::Resume { scope: Scope::Slot(slot) } => {
                Ok(vec![(slot.clone(), self.load(slot)?)])
            }
            Event::Found { slot, attempt, .. }
            | Event::Set { slot, attempt, .. }
            | Event::Unopened { slot, attempt, .. } => self.holders(slot, *attempt),
            Event::Renamed { user, .. }
            | Event::Deleted { user }
            | Event::Retry { scope: Scope::User(user) }
            | Event::Purge { scope: Scope::User(user) }
            | Event::Pause { scope: Scope::User(user) }
            | Event::Resume { scope: Scope::User(user) } => self.of_user(user),
            Event::Joined { from, to } => {
                let mut set = self.of_user(from)?;
                set.extend(self.of_user(to)?);
                Ok(set)
            }
            Event::Recovered { .. }
            | Event::CredentialReloaded { .. }
            | Event::Retry { .. }
            | Event::Purge { .. }
            | Event::Pause { .. }
            | Event::Resume { .. } => self.of_chunk(chunk),
        }
    }

    /// The slot that an attempt began in, and the one that took it in since, if one did.
    fn holders(&mut self, slot: &SlotKey, attempt: AttemptId) -> Result<WorkingSet> {
        let began = self.load(slot)?;
        let holds = |stored: &Stored| stored.slot.lease.is_some_and(|held| held.attempt == attempt);
        let mut set = vec![];
        if !began.as_ref().is_some_and(holds) {
            let mut statement = self.sql.prepare_cached(HOLDER)?;
            let moved: Option<SlotId> = statement
                .query_row((attempt.0.cast_signed(), slot.target.as_str()), |row| row.get(0))
                .optional()?;
            set = self.of_chunk(moved.as_slice())?;
        }
        set.extend(began.map(|stored| (slot.clone(), Some(stored))));
        Ok(set)
    }

    /// Every slot of one user, at whatever target.
    fn of_user(&mut self, user: &UserKey) -> Result<WorkingSet> {
        let mut statement =
            self.sql.prepare_cached("SELECT id FROM pw_slot WHERE user = ?1 ORDER BY id")?;
        let ids = statement.query_map([&*user.0], |row| row.get(0))?;
        let ids: Vec<SlotId> = ids.collect::<rusqlite::Result<_>>()?;
        self.of_chunk(&ids)
    }

    fn of_chunk(&mut self, chunk: &[SlotId]) -> Result<WorkingSet> {
        let mut set = vec![];
        for id in chunk {
            let stored = self.load_by_id(*id)?;
            set.extend(stored.map(|stored| (stored.key.clone(), Some(stored))));
        }
        Ok(set)
    }

    fn load(&mut self, key: &SlotKey) -> Result<Option<Stored>> {
        match row::load(self.sql, key) {
            Err(QueueError::Row { what }) => {
                if let Some(id) = row::id(self.sql, key)? {
                    self.set_aside(id, &what)?;
                }
                row::load(self.sql, key)
            }
            result => result,
        }
    }

    pub(super) fn load_by_id(&mut self, id: SlotId) -> Result<Option<Stored>> {
        match row::load_by_id(self.sql, id) {
            Err(QueueError::Row { what }) => {
                self.set_aside(id, &what)?;
                // What was saved of it has another number.
                Ok(None)
            }
            result => result,
        }
    }

    fn step(
        &mut self,
        set: WorkingSet,
        event: Event,
        sealed: Option<&Sealed>,
    ) -> Result<Vec<Action>> {
        let queue = &mut self.memory.queue;
        let gates = (queue.paused, queue.paused_targets.clone());
        let mut before = BTreeMap::new();
        for (key, stored) in set {
            let slot = stored.as_ref().map(|stored| stored.slot.clone()).unwrap_or_default();
            queue.slots.insert(key.clone(), slot);
            before.extend(stored.map(|stored| (key, stored)));
        }
        let actions = step(queue, event, self.now);
        let after = std::mem::take(&mut queue.slots);
        if gates != (queue.paused, queue.paused_targets.clone()) {
            self.store_gates()?;
        }
        let gone = self.store(&before, &after)?;
        self.carry_out(&actions, &after, &before)?;
        if let Some(sealed) = sealed {
            self.keep(sealed, &after)?;
        }
        for record in gone {
            self.let_go(record)?;
        }
        Ok(actions)
    }

    /// Writes what changed. Gives the records that a slot let go of.
    fn store(
        &self,
        before: &BTreeMap<SlotKey, Stored>,
        after: &BTreeMap<SlotKey, Slot>,
    ) -> Result<BTreeSet<RecordId>> {
        let mut gone = BTreeSet::new();
        for (key, stored) in before {
            gone.extend(held(&stored.slot));
            if !after.contains_key(key) {
                row::remove(self.sql, stored.id)?;
            }
        }
        for (key, slot) in after {
            let stored = before.get(key);
            let same = match stored {
                Some(stored) => stored.slot == *slot,
                None => *slot == Slot::default(),
            };
            if !same {
                row::store(self.sql, key, slot, stored, self.now)?;
            }
        }
        for record in after.values().flat_map(held) {
            gone.remove(&record);
        }
        Ok(gone)
    }

    /// What belongs to the transaction of the transition. Ciphertext is not let go of here but by
    /// what the slots still hold: several may hold one record.
    fn carry_out(
        &mut self,
        actions: &[Action],
        after: &BTreeMap<SlotKey, Slot>,
        before: &BTreeMap<SlotKey, Stored>,
    ) -> Result<()> {
        for action in actions {
            match action {
                Action::Audit(entry) => self.audit(entry)?,
                Action::Mail(mail) => {
                    let slot = after.get(&mail.slot);
                    let slot = slot.or_else(|| before.get(&mail.slot).map(|stored| &stored.slot));
                    self.mail(mail, slot.map_or("", |slot| &slot.login))?;
                }
                Action::StoreEcho { slot, token, until } => self.store_echo(slot, token, *until)?,
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn audit(&self, entry: &AuditEntry) -> Result<()> {
        let AuditEntry { slot, record, episode, kind } = entry;
        self.sql
            .prepare_cached("INSERT INTO pw_audit VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute((
                self.now.0,
                slot.target.as_str(),
                &*slot.user.0,
                record.map(|record| record.0),
                episode.cast_signed(),
                kind.code(),
            ))?;
        Ok(())
    }

    fn mail(&self, mail: &Mail, login: &str) -> Result<()> {
        let each = self.memory.queue.policy.mail == MailMode::EveryAttempt;
        for recipient in mail::recipients(&self.memory.audience, mail.kind) {
            mail::write(self.sql, mail, recipient, login, each, self.now)?;
        }
        Ok(())
    }

    fn store_echo(&self, slot: &SlotKey, token: &EchoToken, until: Timestamp) -> Result<()> {
        let (target, user) = (slot.target.as_str(), &*slot.user.0);
        // Above all that were used, also of those that are cleared.
        let mut last = self.sql.prepare_cached(
            "SELECT coalesce(max(number), 0) FROM
               (SELECT number FROM pw_echo WHERE target = ?1 AND user = ?2
                UNION ALL SELECT number FROM pw_echo_use WHERE target = ?1 AND user = ?2)",
        )?;
        let last: i64 = last.query_row((target, user), |row| row.get(0))?;
        self.sql
            .prepare_cached(
                "DELETE FROM pw_echo WHERE target = ?1 AND user = ?2
                   AND (token = ?3 OR until <= ?4 OR number <= ?5)",
            )?
            .execute((target, user, token.0, self.now.0, last - ECHOES_MAX))?;
        self.sql.prepare_cached("INSERT INTO pw_echo VALUES (?1, ?2, ?3, ?4, ?5)")?.execute((
            target,
            user,
            last + 1,
            token.0,
            until.0,
        ))?;
        Ok(())
    }

    /// Stores the ciphertext of a capture if any slot kept it.
    fn keep(&mut self, sealed: &Sealed, after: &BTreeMap<SlotKey, Slot>) -> Result<()> {
        if !after.values().flat_map(held).any(|record| record == sealed.record) {
            return Ok(());
        }
        cell::keep(self.sql, sealed.record, sealed.kid, &sealed.bytes)?;
        self.memory.records += 1;
        self.memory.bytes += sealed.bytes.len() as u64;
        Ok(())
    }

    /// Wipes the ciphertext of a record that no slot holds any more (I5).
    pub(super) fn let_go(&mut self, record: RecordId) -> Result<()> {
        let mut held = self.sql.prepare_cached("SELECT 1 FROM pw_record WHERE record = ?1")?;
        if held.exists([record.0])? {
            return Ok(());
        }
        let bytes = cell::wipe(self.sql, record)?;
        if let Some(bytes) = bytes {
            self.memory.records = self.memory.records.saturating_sub(1);
            self.memory.bytes = self.memory.bytes.saturating_sub(bytes);
            self.memory.dirty = true;
        }
        Ok(())
    }

    fn store_gates(&self) -> Result<()> {
        let queue = &self.memory.queue;
        store_meta(self.sql, "paused", u64::from(queue.paused))?;
        self.sql.execute("DELETE FROM pw_gate", [])?;
        let mut insert = self.sql.prepare_cached("INSERT INTO pw_gate VALUES (?1)")?;
        for target in &queue.paused_targets {
            insert.execute([target.as_str()])?;
        }
        Ok(())
    }

    /// What is kept of a user beside the slots goes by another key from now on.
    fn rename(&self, from: &UserKey, to: &UserKey) -> Result<()> {
        if from == to {
            return Ok(());
        }
        for change in [
            "UPDATE OR IGNORE pw_echo SET user = ?2 WHERE user = ?1",
            "UPDATE OR IGNORE pw_echo_use SET user = ?2 WHERE user = ?1",
            "DELETE FROM pw_echo WHERE user = ?1",
            "DELETE FROM pw_echo_use WHERE user = ?1",
            "UPDATE OR IGNORE pw_mail SET user = ?2 WHERE user = ?1",
            "UPDATE pw_audit SET user = ?2 WHERE user = ?1",
        ] {
            let mut statement = self.sql.prepare_cached(change)?;
            if statement.parameter_count() == 1 {
                statement.execute([&*from.0])?;
            } else {
                statement.execute((&*from.0, &*to.0))?;
            }
        }
        Ok(())
    }

    /// Nothing is dropped to make room. What made nothing longer is always taken.
    fn still_room(&self, records: u64, bytes: u64) -> Result<()> {
        let memory = &self.memory;
        let grown = memory.records > records || memory.bytes > bytes;
        if grown && (memory.records > memory.records_max || memory.bytes > memory.bytes_max) {
            return Err(QueueError::Full { records, bytes });
        }
        Ok(())
    }

    /// Whether the queue became nearly full just now.
    fn nearly_full(&mut self) -> bool {
        let percent = self.memory.percent();
        if percent < RELAXED_PERCENT {
            self.memory.nearly_full = false;
        }
        let newly = percent >= NEARLY_FULL_PERCENT && !self.memory.nearly_full;
        self.memory.nearly_full |= newly;
        newly
    }
}

/// The oldest slots that a worker may have. Partial indexes are used only where their condition
/// stands in the query.
pub(super) const WAITING: &str = "
SELECT id FROM pw_slot
WHERE state <> 0 AND target = ?1 AND state = 1 AND paused = 0
  AND (retry_at IS NULL OR retry_at <= ?2)
ORDER BY line LIMIT ?3";

/// The slot that holds an attempt, at whatever user.
pub(super) const HOLDER: &str =
    "SELECT id FROM pw_slot WHERE attempt IS NOT NULL AND attempt = ?1 AND target = ?2";

/// Slots that an event speaks of; `None`: not in the tables yet.
type WorkingSet = Vec<(SlotKey, Option<Stored>)>;

/// A ciphertext on its way into the tables.
struct Sealed {
    record: RecordId,
    kid: [u8; 8],
    bytes: Vec<u8>,
}

fn held(slot: &Slot) -> impl Iterator<Item = RecordId> + '_ {
    slot.record.iter().chain(&slot.next).map(|record| record.id)
}

fn acknowledgement(actions: &[Action]) -> Result<Acknowledgement> {
    let found = actions.iter().find_map(|action| match action {
        Action::Acknowledge(answer) => Some(*answer),
        _ => None,
    });
    found.ok_or(QueueError::Internal { what: "a capture was not answered" })
}
