//! Ids from counters that only count up: an id is never used again, even when its row is long gone.

use rusqlite::OptionalExtension;

use super::Db;
use super::failure::Result;

/// One counter during one transaction.
pub(super) struct Ids {
    key: &'static str,
    first: i64,
    next: i64,
}

pub(super) const OBJECT: &str = "next_object";
pub(super) const MV: &str = "next_mv";

// === impl Ids ===

impl Ids {
    pub(super) fn begin(db: &Db, key: &'static str) -> Result<Self> {
        let next = next(db, key)?;
        Ok(Self { key, first: next, next })
    }

    pub(super) fn take(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    /// An id was given by somebody who counted on from [`next`].
    pub(super) fn note(&mut self, id: i64) {
        self.next = self.next.max(id + 1);
    }

    /// Whether no row can stand under this id from before the transaction.
    pub(super) fn is_new(&self, id: i64) -> bool {
        id >= self.first
    }

    pub(super) fn end(self, db: &Db) -> Result<()> {
        if self.next != self.first {
            db.sql
                .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
                .execute((self.key, self.next))?;
        }
        Ok(())
    }
}

/// The first id that was never given.
pub(super) fn next(db: &Db, key: &str) -> Result<i64> {
    let stored = db
        .sql
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(stored.unwrap_or(1))
}
