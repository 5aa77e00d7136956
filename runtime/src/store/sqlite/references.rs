//! References as rows: one member is one row, so that a change of a group costs its changed members
//! (PF-14), and whoever refers to an object is found from the object.

use std::collections::BTreeMap;

use kakehi_engine::object::{AttributeMap, AttributeName, Value, dn_key};

use super::Db;
use super::failure::Result;

/// What the references of one object lead to: by attribute and key, with the spelling where it
/// differs.
pub(super) type Rows = BTreeMap<(AttributeName, String), Option<String>>;

/// The references of an entry of a source, which are DNs.
pub(super) fn of_source(attributes: &AttributeMap) -> Rows {
    let mut rows = Rows::new();
    for (attribute, dn) in references(attributes) {
        let key = dn_key(dn);
        let spelling = (key != dn).then(|| dn.to_owned());
        rows.insert((attribute.clone(), key), spelling);
    }
    rows
}

pub(super) fn references(
    attributes: &AttributeMap,
) -> impl Iterator<Item = (&AttributeName, &str)> {
    attributes.iter().flat_map(|(attribute, values)| {
        values.iter().filter_map(move |value| match value {
            Value::Reference(text) => Some((attribute, text.as_str())),
            _ => None,
        })
    })
}

/// Adds the references of an object to its attributes, in order of attribute and key.
pub(super) fn load_into(db: &Db, object: i64, attributes: &mut AttributeMap) -> Result<()> {
    let mut statement = db.sql.prepare_cached(
        "SELECT attribute, coalesce(dn, target_key) FROM reference WHERE object = ?1 \
         ORDER BY attribute, target_key",
    )?;
    let mut rows = statement.query([object])?;
    while let Some(row) = rows.next()? {
        let (attribute, value) = (row.get_ref(0)?, Value::Reference(row.get(1)?));
        let attribute = attribute.as_str().map_err(rusqlite::Error::from)?;
        match attributes.get_mut(attribute) {
            Some(values) => values.push(value),
            None => {
                attributes.insert(attribute.into(), vec![value]);
            }
        }
    }
    Ok(())
}

/// Makes the rows of an object the wanted ones by writing the difference. Gives whether there was
/// one.
pub(super) fn replace(db: &Db, object: i64, connector: i64, wanted: &Rows) -> Result<bool> {
    let known = of(db, object)?;
    let mut differs = false;
    for (place, dn) in wanted.iter().filter(|(place, dn)| known.get(*place) != Some(*dn)) {
        insert(db, object, connector, &place.0, &place.1, dn.as_deref())?;
        differs = true;
    }
    for place in known.keys().filter(|place| !wanted.contains_key(*place)) {
        remove(db, object, &place.0, &place.1)?;
        differs = true;
    }
    Ok(differs)
}

/// Writes one reference, over one that leads to the same object.
pub(super) fn insert(
    db: &Db,
    object: i64,
    connector: i64,
    attribute: &AttributeName,
    key: &str,
    dn: Option<&str>,
) -> Result<()> {
    db.sql
        .prepare_cached(
            "INSERT OR REPLACE INTO reference (object, attribute, target_key, connector, dn) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((object, attribute.as_str(), key, connector, dn))?;
    Ok(())
}

pub(super) fn remove(db: &Db, object: i64, attribute: &AttributeName, key: &str) -> Result<()> {
    db.sql
        .prepare_cached(
            "DELETE FROM reference WHERE object = ?1 AND attribute = ?2 AND target_key = ?3",
        )?
        .execute((object, attribute.as_str(), key))?;
    Ok(())
}

/// All references of one attribute of an object.
pub(super) fn clear(db: &Db, object: i64, attribute: &AttributeName) -> Result<()> {
    db.sql
        .prepare_cached("DELETE FROM reference WHERE object = ?1 AND attribute = ?2")?
        .execute((object, attribute.as_str()))?;
    Ok(())
}

/// Lets the references to a renamed object follow it, and queues the objects that hold them: their
/// rules see its new name. Where another object has the old name by now, the references are that
/// one's.
pub(super) fn follow(
    db: &Db,
    connector: i64,
    old_key: &str,
    new_key: &str,
    new_dn: &str,
) -> Result<()> {
    let taken = db
        .sql
        .prepare_cached("SELECT 1 FROM object WHERE connector = ?1 AND dn_key = ?2")?
        .exists((connector, old_key))?;
    if taken {
        return Ok(());
    }
    db.sql
        .prepare_cached(
            "INSERT OR IGNORE INTO object_queue (connector, object) \
             SELECT connector, object FROM reference WHERE connector = ?1 AND target_key = ?2",
        )?
        .execute((connector, old_key))?;
    let spelling = (new_key != new_dn).then_some(new_dn);
    db.sql
        .prepare_cached(
            "UPDATE OR REPLACE reference SET target_key = ?3, dn = ?4 \
             WHERE connector = ?1 AND target_key = ?2",
        )?
        .execute((connector, old_key, new_key, spelling))?;
    Ok(())
}

/// Queues the metaverse objects of all objects of a connector that refer to this key.
pub(super) fn queue_referrers(db: &Db, connector: i64, key: &str) -> Result<()> {
    db.sql
        .prepare_cached(
            "INSERT OR IGNORE INTO mv_queue (mv) \
             SELECT referrer.mv FROM reference \
             JOIN object AS referrer ON referrer.id = reference.object \
             WHERE reference.connector = ?1 AND reference.target_key = ?2 \
               AND referrer.mv IS NOT NULL",
        )?
        .execute((connector, key))?;
    Ok(())
}

fn of(db: &Db, object: i64) -> Result<Rows> {
    let mut statement = db
        .sql
        .prepare_cached("SELECT attribute, target_key, dn FROM reference WHERE object = ?1")?;
    let rows = statement.query_map([object], |row| {
        let attribute = AttributeName::from(row.get_ref(0)?.as_str()?);
        Ok(((attribute, row.get(1)?), row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
