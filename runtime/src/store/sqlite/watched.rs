//! Groups by whose members scopes go (ISMEMBEROF): who is a member flows to whoever loads an
//! object, who joined or left flows onto the queue.

use std::collections::BTreeSet;

use kakehi_engine::connector_space::CsId;
use kakehi_engine::object::{AttributeMap, ReferenceKey, Value};
use kakehi_engine::scope::MEMBERSHIPS;

use super::failure::Result;
use super::{Db, codes, object};

/// From here on these groups are watched, and no others.
pub(super) fn set(db: &Db, groups: &BTreeSet<ReferenceKey>) -> Result<()> {
    db.sql.prepare_cached("DELETE FROM watched")?.execute([])?;
    for group in groups {
        let connector = db.names.make_connector(&db.sql, &group.connector)?;
        db.sql
            .prepare_cached("INSERT INTO watched (connector, dn_key) VALUES (?1, ?2)")?
            .execute((connector, &group.key))?;
    }
    Ok(())
}

/// Adds the watched groups of an object with this key to its attributes.
pub(super) fn load_into(
    db: &Db,
    connector: i64,
    key: &str,
    attributes: &mut AttributeMap,
) -> Result<()> {
    let mut statement = db.sql.prepare_cached(
        "SELECT DISTINCT watched.dn_key FROM watched \
         JOIN object ON object.connector = watched.connector \
           AND object.dn_key = watched.dn_key AND object.presence = ?3 \
         JOIN reference ON reference.connector = watched.connector \
           AND reference.target_key = ?2 AND reference.object = object.id \
         WHERE watched.connector = ?1 ORDER BY 1",
    )?;
    let groups = statement.query_map((connector, key, codes::IMPORTED), |row| row.get(0))?;
    let groups: Vec<Value> = groups.map(|key| Ok(Value::Text(key?))).collect::<Result<_>>()?;
    if !groups.is_empty() {
        attributes.insert(MEMBERSHIPS.into(), groups);
    }
    Ok(())
}

/// The members that an object has as a watched group; none where it is no such group, or not there.
pub(super) fn members(db: &Db, group: CsId) -> Result<BTreeSet<String>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT reference.target_key FROM watched \
         JOIN object ON object.connector = watched.connector AND object.dn_key = watched.dn_key \
         JOIN reference ON reference.object = object.id \
         WHERE object.id = ?1 AND object.presence = ?2",
    )?;
    let keys = statement.query_map((group.0, codes::IMPORTED), |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// Queues whoever was a member and is not any more, or the other way round.
pub(super) fn queue_changed(
    db: &Db,
    connector: i64,
    group: CsId,
    before: &BTreeSet<String>,
) -> Result<()> {
    for key in members(db, group)?.symmetric_difference(before) {
        let found: Option<i64> = {
            let mut statement = db.sql.prepare_cached(
                "SELECT id FROM object WHERE connector = ?1 AND dn_key = ?2 AND presence = ?3",
            )?;
            let mut rows = statement.query((connector, key, codes::IMPORTED))?;
            rows.next()?.map(|row| row.get(0)).transpose()?
        };
        if let Some(id) = found {
            object::queue(db, connector, id)?;
        }
    }
    Ok(())
}
