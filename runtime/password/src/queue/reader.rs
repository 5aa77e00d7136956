//! What can be seen of the queue beside its writer: counts, slots, audit; never a password.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{AuditKind, EchoToken, RecordId, Slot, SlotKey, State, UserKey};
use kakehi_engine::time::Timestamp;
use rusqlite::{Connection, Row};

use super::codes::{instant, integer, maybe_instant, maybe_integer, number, text, token, word};
use super::error::{QueueError, Result};
use super::mail;
use super::row::{self, SlotId};
use super::{cell, open, start};
use crate::mail::MailRow;

/// See [`Queue::read`](super::Queue::read) and [`QueueReader::open`].
pub struct QueueReader {
    sql: Mutex<Connection>,
}

/// The queue at a glance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Live slots of each target in each state; empty slots are not counted.
    pub slots: BTreeMap<ConnectorName, BTreeMap<State, u64>>,
    /// Sealed records that are kept, and their bytes.
    pub records: u64,
    pub bytes: u64,
    /// When the longest waiting live record of each target was captured.
    pub oldest: BTreeMap<ConnectorName, Timestamp>,
    pub paused: bool,
    pub paused_targets: Vec<ConnectorName>,
    pub paused_slots: u64,
    pub mails_waiting: u64,
    pub agents: Vec<AgentSeen>,
    /// Rows that were set aside at starts.
    pub set_aside: u64,
}

/// How far an agent has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentSeen {
    pub agent: Arc<str>,
    pub epoch: u64,
    pub sequence: u64,
    /// Numbers that never came, over all times, and when that was seen last.
    pub missing: u64,
    pub gap_at: Option<Timestamp>,
    pub seen_at: Timestamp,
}

/// One slot, as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub key: SlotKey,
    pub slot: Slot,
}

/// Which slots are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    pub target: Option<ConnectorName>,
    pub state: Option<State>,
    /// By user key, or by the name at the source.
    pub user: Option<String>,
    /// Empty slots as well.
    pub empty: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLine {
    pub at: Timestamp,
    pub slot: SlotKey,
    pub record: Option<RecordId>,
    pub episode: u64,
    pub kind: AuditKind,
}

// === impl QueueReader ===

impl QueueReader {
    /// Opens the queue of a folder beside its writer, or without one. Without a queue: an empty
    /// one, and nothing is made.
    pub fn open(folder: &Path) -> Result<Self> {
        Ok(Self { sql: Mutex::new(open::readable(folder)?) })
    }

    fn sql(&self) -> MutexGuard<'_, Connection> {
        // A thread that panicked only read.
        self.sql.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything on one page, from one consistent picture.
    pub fn status(&self) -> Result<Status> {
        let sql = self.sql();
        let picture = sql.unchecked_transaction()?;
        let (records, bytes) = start::kept(&picture)?;
        let mut queue =
            kakehi_engine::password::PasswordQueue::new(kakehi_engine::password::Policy::preset(
                kakehi_engine::password::Preset::Balanced,
                None,
            ));
        start::gates(&picture, &mut queue)?;
        Ok(Status {
            slots: slots(&picture)?,
            records,
            bytes,
            oldest: oldest(&picture)?,
            paused: queue.paused,
            paused_targets: queue.paused_targets.into_iter().collect(),
            paused_slots: count(&picture, "SELECT count(*) FROM pw_slot WHERE paused <> 0")?,
            mails_waiting: count(&picture, "SELECT count(*) FROM pw_mail WHERE done = 0")?,
            agents: agents(&picture)?,
            set_aside: count(&picture, "SELECT count(*) FROM pw_aside")?,
        })
    }

    /// Whether any password waits or is under way.
    pub fn has_records(&self) -> Result<bool> {
        let sql = self.sql();
        let mut statement = sql.prepare_cached("SELECT EXISTS (SELECT 1 FROM pw_sealed)")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Slots by target and user, at most `limit`, after the slot `after`.
    pub fn list(
        &self,
        filter: &ListFilter,
        after: Option<&SlotKey>,
        limit: usize,
    ) -> Result<Vec<Listed>> {
        let sql = self.sql();
        let mut statement = sql.prepare_cached(LIST)?;
        let mut rows = statement.query(rusqlite::params![
            after.map_or("", |key| key.target.as_str()),
            after.map_or("", |key| &*key.user.0),
            filter.target.as_ref().map(|target| target.as_str()),
            filter.state.map(super::codes::Code::code),
            filter.user.as_deref(),
            filter.empty || filter.state == Some(State::Empty),
            i64::try_from(limit).unwrap_or(i64::MAX),
        ])?;
        let mut found = vec![];
        while let Some(row) = rows.next()? {
            let stored = row::whole(&sql, row)?;
            found.push(Listed { key: stored.key, slot: stored.slot });
        }
        Ok(found)
    }

    /// One slot; `None`: nothing was ever captured for it.
    pub fn slot(&self, key: &SlotKey) -> Result<Option<Slot>> {
        Ok(row::load(&self.sql(), key)?.map(|stored| stored.slot))
    }

    /// What became of changes, newest first: of one user or of all.
    pub fn audit(
        &self,
        user: Option<&UserKey>,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<AuditLine>> {
        let sql = self.sql();
        let query = match user {
            Some(_) => AUDIT_OF_USER,
            None => AUDIT_OF_ALL,
        };
        let mut statement = sql.prepare_cached(query)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = match user {
            Some(user) => statement.query((since.0, limit, &*user.0))?,
            None => statement.query((since.0, limit))?,
        };
        let mut found = vec![];
        while let Some(row) = rows.next()? {
            found.push(audit_line(row)?);
        }
        Ok(found)
    }

    /// The sealed password of a record; `None`: it is gone.
    pub fn sealed(&self, record: RecordId) -> Result<Option<Vec<u8>>> {
        cell::read(&self.sql(), record)
    }

    /// What was delivered to a slot, as long as it counts; the newest first, with its number.
    pub fn echo_tokens(&self, slot: &SlotKey, now: Timestamp) -> Result<Vec<(u64, EchoToken)>> {
        let sql = self.sql();
        let mut statement = sql.prepare_cached(
            "SELECT number, token FROM pw_echo WHERE target = ?1 AND user = ?2 AND until > ?3
             ORDER BY number DESC",
        )?;
        let mut rows = statement.query((slot.target.as_str(), &*slot.user.0, now.0))?;
        let mut found = vec![];
        while let Some(row) = rows.next()? {
            found.push((row.get::<_, i64>("number")?.cast_unsigned(), token(row, "token")?));
        }
        Ok(found)
    }

    /// How many records were sealed for each key: one that is used is not retired (6.2).
    pub fn live_key_ids(&self) -> Result<BTreeMap<[u8; 8], u64>> {
        let sql = self.sql();
        let mut statement =
            sql.prepare_cached("SELECT kid, count(*) FROM pw_sealed GROUP BY kid")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        let mut found = BTreeMap::new();
        for row in rows {
            let (kid, count) = row?;
            found.insert(kid, count.cast_unsigned());
        }
        Ok(found)
    }

    /// Mails whose time has come, oldest first.
    pub fn due_mails(&self, now: Timestamp, limit: usize) -> Result<Vec<MailRow>> {
        mail::due(&self.sql(), now, limit)
    }

    /// When the next slot falls due; it may be in the past.
    pub(super) fn next_due(&self) -> Result<Option<Timestamp>> {
        let sql = self.sql();
        let mut statement = sql.prepare_cached(NEXT_DUE)?;
        Ok(statement.query_row([], |row| row.get::<_, Option<i64>>(0))?.map(Timestamp))
    }

    pub(super) fn due_ids(&self, now: Timestamp) -> Result<Vec<SlotId>> {
        let sql = self.sql();
        let mut statement = sql.prepare_cached(DUE)?;
        let ids = statement.query_map([now.0], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// Slots that have something to lose or are paused: of one target, or of all.
    pub(super) fn ids(&self, target: Option<&ConnectorName>) -> Result<Vec<SlotId>> {
        let sql = self.sql();
        let mut statement = sql.prepare_cached(
            "SELECT id FROM pw_slot
             WHERE (state <> 0 OR paused <> 0) AND (?1 IS NULL OR target = ?1) ORDER BY id",
        )?;
        let ids = statement.query_map([target.map(|target| target.as_str())], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// Slots that wait for a target to be back, longest waiting first.
    pub(super) fn ids_unavailable(&self, target: &ConnectorName) -> Result<Vec<SlotId>> {
        let sql = self.sql();
        let mut statement = sql.prepare_cached(UNAVAILABLE)?;
        let ids = statement.query_map([target.as_str()], |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    #[cfg(test)]
    pub(super) fn plan(&self, query: &str) -> Vec<String> {
        let sql = self.sql();
        let mut statement = sql.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let count = statement.parameter_count();
        let none = vec![rusqlite::types::Null; count];
        let rows = statement
            .query_map(rusqlite::params_from_iter(none), |row| row.get::<_, String>("detail"))
            .unwrap();
        rows.map(|row| row.unwrap()).collect()
    }
}

pub(super) const NEXT_DUE: &str = "SELECT min(due) FROM pw_slot WHERE due IS NOT NULL";
pub(super) const DUE: &str =
    "SELECT id FROM pw_slot WHERE due IS NOT NULL AND due <= ?1 ORDER BY due";
pub(super) const UNAVAILABLE: &str =
    "SELECT id FROM pw_slot WHERE state <> 0 AND target = ?1 AND state = 6 ORDER BY line";
const LIST: &str = "
SELECT * FROM pw_slot
WHERE (target, user) > (?1, ?2) AND (?3 IS NULL OR target = ?3) AND (?4 IS NULL OR state = ?4)
  AND (?5 IS NULL OR user = ?5 OR login = ?5) AND (?6 OR state <> 0 OR paused <> 0)
ORDER BY target, user LIMIT ?7";
const AUDIT_OF_USER: &str =
    "SELECT * FROM pw_audit WHERE user = ?3 AND at >= ?1 ORDER BY id DESC LIMIT ?2";
const AUDIT_OF_ALL: &str = "SELECT * FROM pw_audit WHERE at >= ?1 ORDER BY id DESC LIMIT ?2";

fn slots(sql: &Connection) -> Result<BTreeMap<ConnectorName, BTreeMap<State, u64>>> {
    let mut statement = sql.prepare_cached(
        "SELECT target, state, count(*) AS slots FROM pw_slot WHERE state <> 0
         GROUP BY target, state",
    )?;
    let mut rows = statement.query([])?;
    let mut found: BTreeMap<ConnectorName, BTreeMap<State, u64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let target = ConnectorName::from(text(row, "target")?);
        found.entry(target).or_default().insert(word(row, "state")?, number(row, "slots")?);
    }
    Ok(found)
}

fn oldest(sql: &Connection) -> Result<BTreeMap<ConnectorName, Timestamp>> {
    let mut statement = sql.prepare_cached(
        "SELECT target, min(captured_at) AS oldest FROM pw_record JOIN pw_slot ON slot = id
         WHERE place = 0 GROUP BY target",
    )?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        found.insert(ConnectorName::from(text(row, "target")?), instant(row, "oldest")?);
    }
    Ok(found)
}

fn agents(sql: &Connection) -> Result<Vec<AgentSeen>> {
    let mut statement = sql.prepare_cached("SELECT * FROM pw_agent ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut found = vec![];
    while let Some(row) = rows.next()? {
        found.push(AgentSeen {
            agent: text(row, "id")?.into(),
            epoch: number(row, "epoch")?,
            sequence: number(row, "sequence")?,
            missing: number(row, "missing")?,
            gap_at: maybe_instant(row, "gap_at")?,
            seen_at: instant(row, "seen_at")?,
        });
    }
    Ok(found)
}

fn audit_line(row: &Row<'_>) -> Result<AuditLine> {
    integer(row, "id")?;
    Ok(AuditLine {
        at: instant(row, "at")?,
        slot: row::key(row)?,
        record: maybe_integer(row, "record")?.map(RecordId),
        episode: number(row, "episode")?,
        kind: word(row, "kind")?,
    })
}

fn count(sql: &Connection, query: &str) -> Result<u64> {
    let mut statement = sql.prepare_cached(query)?;
    let found: i64 = statement.query_row([], |row| row.get(0))?;
    u64::try_from(found).map_err(|_| QueueError::Internal { what: "a count is negative" })
}
