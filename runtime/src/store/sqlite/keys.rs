//! The indexes by value: keys of metaverse objects and of unlinked objects flow in and are replaced
//! as a whole; look-ups flow out.

use std::collections::BTreeSet;

use kakehi_engine::view::IndexKey;

use super::Db;
use super::failure::Result;

/// Which index.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Metaverse objects by what inbound rules join by.
    Join = 0,
    /// Source objects that wait for a metaverse object.
    Waiting = 1,
    /// Target objects that nobody is linked to.
    Unlinked = 2,
}

/// Replaces all keys of one object. `new`: it cannot have any yet, so none are looked for.
pub(super) fn replace(db: &Db, kind: Kind, id: i64, keys: &[IndexKey], new: bool) -> Result<()> {
    let known = if new { BTreeSet::new() } else { of(db, kind, id)? };
    for key in keys.iter().filter(|key| !known.contains(key)) {
        db.sql
            .prepare_cached(
                "INSERT OR IGNORE INTO key (kind, scope, value, id) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((kind as i64, &key.scope, &key.value, id))?;
    }
    for key in known.iter().filter(|key| !keys.contains(key)) {
        db.sql
            .prepare_cached(
                "DELETE FROM key WHERE kind = ?1 AND scope = ?2 AND value = ?3 AND id = ?4",
            )?
            .execute((kind as i64, &key.scope, &key.value, id))?;
    }
    Ok(())
}

/// By id.
pub(super) fn with(db: &Db, kind: Kind, key: &IndexKey) -> Result<Vec<i64>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT id FROM key WHERE kind = ?1 AND scope = ?2 AND value = ?3 ORDER BY id",
    )?;
    let ids = statement.query_map((kind as i64, &key.scope, &key.value), |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn of(db: &Db, kind: Kind, id: i64) -> Result<BTreeSet<IndexKey>> {
    let mut statement =
        db.sql.prepare_cached("SELECT scope, value FROM key WHERE kind = ?1 AND id = ?2")?;
    let keys = statement.query_map((kind as i64, id), |row| {
        Ok(IndexKey { scope: row.get(0)?, value: row.get(1)? })
    })?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}
