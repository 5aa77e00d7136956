//! The first look at a queue: rows that cannot be read are set aside, work that nobody does any
//! more is taken back, and what fell due meanwhile happens (L-02, T37).

use std::collections::BTreeSet;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{
    Action, AuditKind, Event, PasswordQueue, RecordId, Scope, Slot, State,
};
use rusqlite::{Connection, OptionalExtension};

use super::cell;
use super::codes::{Code, text};
use super::error::Result;
use super::row::{self, SlotId, Stored};
use super::work::Work;

/// What was found when the queue was opened (PW001), and what followed from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartCounts {
    /// Slots with a live record, as the file had them.
    pub read: u64,
    /// Records that had expired meanwhile.
    pub expired: u64,
    /// Slots whose record cannot be opened or whose row could not be read.
    pub quarantined: u64,
    /// Slots with a live record that wait now, quarantined ones included.
    pub queued: u64,
    /// Rows that could not be read, and what was wrong with them.
    pub set_aside: Vec<String>,
    /// Live slots of targets that are not configured any more: nobody delivers them.
    pub orphaned: u64,
    pub actions: Vec<Action>,
}

/// Gates and numbers as they were left.
pub(super) fn gates(sql: &Connection, queue: &mut PasswordQueue) -> Result<()> {
    queue.paused = meta(sql, "paused")? != 0;
    let mut statement = sql.prepare("SELECT target FROM pw_gate")?;
    let targets = statement.query_map([], |row| row.get::<_, String>(0))?;
    for target in targets {
        queue.paused_targets.insert(target?.into());
    }
    Ok(())
}

/// A single number; 0 if it was never stored.
pub(super) fn meta(sql: &Connection, name: &str) -> Result<u64> {
    let mut statement = sql.prepare_cached("SELECT value FROM pw_meta WHERE key = ?1")?;
    let value: Option<i64> = statement.query_row([name], |row| row.get(0)).optional()?;
    Ok(value.unwrap_or_default().cast_unsigned())
}

/// How many records are kept, and their bytes.
pub(super) fn kept(sql: &Connection) -> Result<(u64, u64)> {
    let sum = "SELECT count(*), coalesce(sum(bytes), 0) FROM pw_sealed";
    let (records, bytes): (i64, i64) =
        sql.query_row(sum, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((records.cast_unsigned(), bytes.cast_unsigned()))
}

// === impl Work ===

impl Work<'_> {
    /// Makes the queue one that a new process can go on with.
    pub(super) fn start(&mut self) -> Result<StartCounts> {
        let mut counts = StartCounts { read: self.count_live("")?, ..StartCounts::default() };
        for id in self.ids("SELECT id FROM pw_slot ORDER BY id")? {
            self.check(id)?;
        }
        self.drop_orphaned_ciphertext()?;
        for id in self.ids("SELECT id FROM pw_slot WHERE state IN (2, 3) ORDER BY id")? {
            let event = |slot| Event::Restarted { slot };
            counts.actions.extend(self.raise(id, event)?);
        }
        self.thaw(&mut counts)?;
        // All that wait, not only what was due by the policy of the last process: a shorter expiry
        // holds for them too.
        let mut due =
            self.ids_at("SELECT id FROM pw_slot WHERE state <> 0 OR due <= ?1 ORDER BY due")?;
        for id in due.drain(..) {
            counts.actions.extend(self.raise(id, |slot| Event::Due { slot })?);
        }
        counts.expired = count_audits(&counts.actions, AuditKind::Expired);
        counts.quarantined = self.count_live("AND state = 7")?;
        counts.queued = self.count_live("")?;
        counts.set_aside = std::mem::take(&mut self.memory.set_aside);
        Ok(counts)
    }

    /// Raises an event for one slot by its number; nothing happens if it is gone.
    pub(super) fn raise(
        &mut self,
        id: SlotId,
        event: impl FnOnce(kakehi_engine::password::SlotKey) -> Event,
    ) -> Result<Vec<Action>> {
        match self.load_by_id(id)? {
            Some(stored) => self.apply(event(stored.key), &[]),
            None => Ok(vec![]),
        }
    }

    /// Reads one slot; one that cannot be read is replaced by what can be saved of it.
    fn check(&mut self, id: SlotId) -> Result<()> {
        let Some(stored) = self.load_by_id(id)? else { return Ok(()) };
        if self.missing_ciphertext(&stored)? {
            self.set_aside(id, "its ciphertext is missing")?;
        }
        Ok(())
    }

    /// Notes what was wrong with a slot, and keeps of it what can be kept.
    pub(super) fn set_aside(&mut self, id: SlotId, why: &str) -> Result<()> {
        let (target, user) = self.names(id)?;
        let reason = format!("slot {id}: {why}");
        self.sql.execute(
            "INSERT INTO pw_aside VALUES (NULL, ?1, ?2, ?3, ?4)",
            (self.now.0, &target, &user, &reason),
        )?;
        self.memory.set_aside.push(reason);
        self.save(id)
    }

    /// What can be saved of a damaged slot: the newest capture that was decided on, and a live
    /// record that can be read, in quarantine. Everything else of it is gone.
    fn save(&mut self, id: SlotId) -> Result<()> {
        let mut statement = self.sql.prepare_cached("SELECT * FROM pw_slot WHERE id = ?1")?;
        let mut rows = statement.query([id])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let key = row::key(row).ok();
        let high_water = row::high_water(row).ok().flatten();
        let seen = row::seen(row).unwrap_or_default();
        let login = text(row, "login").unwrap_or_default();
        let episode: i64 = row.get("episode").unwrap_or_default();
        drop(rows);
        let record = row::live_record(self.sql, id).ok().flatten();
        let record = match record {
            Some(record) if cell::has(self.sql, record.id)? => Some(record),
            _ => None,
        };
        let let_go = self.ids_of("SELECT record FROM pw_record WHERE slot = ?1", id)?;
        row::remove(self.sql, id)?;
        if let Some(key) = key {
            let high_water = high_water.or_else(|| record.as_ref().map(|kept| kept.order.clone()));
            let state = if record.is_some() { State::Quarantined } else { State::Empty };
            let episode = episode.cast_unsigned();
            let slot = Slot { state, high_water, seen, episode, record, login, ..Slot::default() };
            row::store(self.sql, &key, &slot, None, self.now)?;
            // It says itself until when it is kept.
            self.apply(Event::Due { slot: key }, &[])?;
        }
        for record in let_go {
            self.let_go(RecordId(record))?;
        }
        Ok(())
    }

    fn missing_ciphertext(&self, stored: &Stored) -> Result<bool> {
        let slot = &stored.slot;
        for record in slot.record.iter().chain(&slot.next) {
            if !cell::has(self.sql, record.id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ciphertext and records that no slot holds must not be kept (I5).
    fn drop_orphaned_ciphertext(&mut self) -> Result<()> {
        self.sql.execute("DELETE FROM pw_record WHERE slot NOT IN (SELECT id FROM pw_slot)", [])?;
        let orphans = "SELECT record FROM pw_sealed
                       WHERE record NOT IN (SELECT record FROM pw_record)";
        for record in self.ids(orphans)? {
            self.let_go(RecordId(record))?;
        }
        cell::wipe_lost(self.sql)?;
        Ok(())
    }

    /// Expiry goes on where a process ended before it had resumed all slots.
    fn thaw(&mut self, counts: &mut StartCounts) -> Result<()> {
        if self.memory.queue.paused {
            return Ok(());
        }
        let frozen =
            self.ids("SELECT id FROM pw_slot WHERE frozen_since IS NOT NULL ORDER BY id")?;
        if !frozen.is_empty() {
            let event = Event::Resume { scope: Scope::All };
            counts.actions.extend(self.apply(event, &frozen)?);
        }
        Ok(())
    }

    fn names(&self, id: SlotId) -> Result<(Option<String>, Option<String>)> {
        let mut statement =
            self.sql.prepare_cached("SELECT target, user FROM pw_slot WHERE id = ?1")?;
        Ok(statement.query_row([id], |row| Ok((row.get(0).ok(), row.get(1).ok())))?)
    }

    fn count_live(&self, and: &str) -> Result<u64> {
        let count =
            format!("SELECT count(*) FROM pw_slot WHERE state <> {} {and}", State::Empty.code());
        let found: i64 = self.sql.query_row(&count, [], |row| row.get(0))?;
        Ok(found.cast_unsigned())
    }

    fn ids(&self, query: &str) -> Result<Vec<i64>> {
        let mut statement = self.sql.prepare(query)?;
        let ids = statement.query_map([], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    fn ids_at(&self, query: &str) -> Result<Vec<i64>> {
        self.ids_of(query, self.now.0)
    }

    fn ids_of(&self, query: &str, value: i64) -> Result<Vec<i64>> {
        let mut statement = self.sql.prepare(query)?;
        let ids = statement.query_map([value], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }
}

fn count_audits(actions: &[Action], kind: AuditKind) -> u64 {
    let of_kind = |action: &&Action| matches!(action, Action::Audit(entry) if entry.kind == kind);
    actions.iter().filter(of_kind).count() as u64
}

/// Live slots of targets that are not configured.
pub(super) fn orphaned(sql: &Connection, targets: &BTreeSet<ConnectorName>) -> Result<u64> {
    let mut statement =
        sql.prepare("SELECT target, count(*) FROM pw_slot WHERE state <> 0 GROUP BY target")?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
    let mut found = 0;
    for row in rows {
        let (target, count) = row?;
        if !targets.contains(target.as_str()) {
            found += count.cast_unsigned();
        }
    }
    Ok(found)
}
