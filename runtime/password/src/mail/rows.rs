//! What is to be mailed: rows that were written down with a transition flow in, their fate flows
//! back to where they are kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Category, UserKey};
use kakehi_engine::time::Timestamp;

use super::Kind;

/// A mail that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailRow {
    /// By which the keeper knows it.
    pub id: i64,
    pub kind: Kind,
    pub recipient: Recipient,
    pub target: ConnectorName,
    pub user: UserKey,
    /// What the user is called at the source.
    pub login: String,
    pub episode: u64,
    /// Of the record, counted from 1.
    pub attempt: u32,
    pub category: Option<Category>,
    /// When the cached password expires, if it does.
    pub expires: Option<Timestamp>,
    /// When it was written down: what happened, happened then.
    pub created: Timestamp,
}

/// Who is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recipient {
    User,
    /// Every administrator of the configuration, each with a mail of their own.
    Admins,
}

/// Why a mail is never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// The server will never take it.
    Refused,
    /// It is too old to be of use.
    Aged,
    /// Too many mails; it would be too old before its turn came.
    Capped,
    /// There is no address.
    NoAddress,
    /// The outage was told of already.
    Merged,
    /// Such mails are not wanted.
    Off,
}

/// Where rows are kept.
#[async_trait]
pub trait MailRows: Send + Sync {
    /// Rows whose time has come, oldest first.
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<MailRow>, RowsError>;

    /// It was taken: the row is done.
    async fn sent(&self, id: i64) -> Result<(), RowsError>;

    /// It waits until then.
    async fn failed(&self, id: i64, next_try: Timestamp) -> Result<(), RowsError>;

    /// It is given up: the row is done.
    async fn dropped(&self, id: i64, why: Dropped) -> Result<(), RowsError>;
}

#[derive(Debug, thiserror::Error)]
#[error("the mails that wait cannot be read or written")]
pub struct RowsError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Rows in memory, for mails that nobody misses after a restart.
#[derive(Debug, Default)]
pub struct MemoryRows {
    rows: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    last_id: i64,
    rows: BTreeMap<i64, (Timestamp, MailRow)>,
}

/// Most rows in memory: one per target and outage is the use of it.
const ROWS_MAX: usize = 10_000;

// === impl Recipient ===

impl Recipient {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admins => "admin",
        }
    }
}

// === impl Dropped ===

impl Dropped {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Aged => "aged",
            Self::Capped => "capped",
            Self::NoAddress => "no_address",
            Self::Merged => "merged",
            Self::Off => "off",
        }
    }
}

// === impl MemoryRows ===

impl MemoryRows {
    /// Takes a row under an id of its own, which it gives. A full memory takes none: 0.
    pub fn push(&self, mut row: MailRow) -> i64 {
        let mut waiting = self.lock();
        if waiting.rows.len() >= ROWS_MAX {
            return 0;
        }
        waiting.last_id += 1;
        row.id = waiting.last_id;
        let (id, created) = (row.id, row.created);
        waiting.rows.insert(id, (created, row));
        id
    }

    pub fn len(&self) -> usize {
        self.lock().rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing is half done under this lock.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MailRows for MemoryRows {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<MailRow>, RowsError> {
        let waiting = self.lock();
        let due = waiting.rows.values().filter(|(next_try, _)| *next_try <= now);
        Ok(due.map(|(_, row)| row.clone()).take(limit).collect())
    }

    async fn sent(&self, id: i64) -> Result<(), RowsError> {
        self.lock().rows.remove(&id);
        Ok(())
    }

    async fn failed(&self, id: i64, next_try: Timestamp) -> Result<(), RowsError> {
        if let Some((when, _)) = self.lock().rows.get_mut(&id) {
            *when = next_try;
        }
        Ok(())
    }

    async fn dropped(&self, id: i64, _why: Dropped) -> Result<(), RowsError> {
        self.sent(id).await
    }
}
