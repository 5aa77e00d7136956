//! Rows of the connector space: how one is read as the engine's object, queued, and forgotten with
//! all that belongs to it.

use kakehi_engine::connector_space::{CsId, CsObject, Link, MvId};
use kakehi_engine::object::{Anchor, AttributeMap};
use kakehi_engine::rule::RuleTag;
use rusqlite::{OptionalExtension, Row};

use super::failure::{Failure, Result};
use super::{Db, body, codes, references, watched};

/// What is known of an object without reading its body.
pub(super) struct Known {
    pub id: i64,
    pub presence: i64,
    /// Whether the fingerprint is the one that was asked about.
    pub same: bool,
}

/// The object with this anchor. Reads the index alone.
pub(super) fn by_anchor(
    db: &Db,
    connector: i64,
    anchor: &[u8],
    fingerprint: &[u8],
) -> Result<Option<Known>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT id, presence, fingerprint FROM object WHERE connector = ?1 AND anchor = ?2",
    )?;
    let known = statement
        .query_row((connector, anchor), |row| {
            let same = row.get_ref(2)?.as_bytes_or_null()? == Some(fingerprint);
            Ok(Known { id: row.get(0)?, presence: row.get(1)?, same })
        })
        .optional()?;
    Ok(known)
}

/// The whole object, references among its attributes; `None` if there is no such row.
pub(super) fn load(db: &Db, id: CsId) -> Result<Option<CsObject>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT connector, class, presence, anchor, dn, mv, link_rule, link_origin, deprovisioned, \
         body, contributions, dn_key FROM object WHERE id = ?1",
    )?;
    let mut rows = statement.query([id.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let mut attributes = body::decode_attributes(row.get_ref(9)?.as_str().map_err(column)?)?;
    references::load_into(db, id.0, &mut attributes)?;
    if let Some(key) = row.get_ref(11)?.as_str_or_null().map_err(column)? {
        watched::load_into(db, row.get(0)?, key, &mut attributes)?;
    }
    Ok(Some(CsObject {
        id,
        connector: db.names.connector(&db.sql, row.get(0)?)?,
        class: db.names.class(&db.sql, row.get(1)?)?,
        anchor: row.get::<_, Option<Vec<u8>>>(3)?.map(Anchor),
        dn: row.get(4)?,
        presence: codes::presence(row.get(2)?)?,
        attributes,
        link: link(row, 5)?,
        contributions: body::decode_contributions(row.get_ref(10)?.as_str().map_err(column)?)?,
        deprovisioned: row.get(8)?,
    }))
}

/// The attributes of a row without its references.
pub(super) fn plain_attributes(db: &Db, id: i64) -> Result<AttributeMap> {
    let mut statement = db.sql.prepare_cached("SELECT body FROM object WHERE id = ?1")?;
    let text: Option<String> = statement.query_row([id], |row| row.get(0)).optional()?;
    text.map_or(Ok(AttributeMap::new()), |text| body::decode_attributes(&text))
}

/// The metaverse object that an object is linked to.
pub(super) fn linked_to(db: &Db, id: i64) -> Result<Option<i64>> {
    let mut statement = db.sql.prepare_cached("SELECT mv FROM object WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?.flatten())
}

pub(super) fn remote_ids(db: &Db, ids: &[CsId]) -> Result<Vec<Option<String>>> {
    ids.iter().map(|id| remote_id(db, *id)).collect()
}

pub(super) fn queue(db: &Db, connector: i64, id: i64) -> Result<()> {
    db.sql
        .prepare_cached("INSERT OR IGNORE INTO object_queue (connector, object) VALUES (?1, ?2)")?
        .execute((connector, id))?;
    Ok(())
}

/// Puts a metaverse object on the queue, if it still exists.
pub(super) fn queue_mv(db: &Db, mv: Option<i64>) -> Result<()> {
    db.sql
        .prepare_cached("INSERT OR IGNORE INTO mv_queue (mv) SELECT id FROM mv WHERE id = ?1")?
        .execute([mv])?;
    Ok(())
}

/// Takes an object off its queue, whichever connector it belongs to.
pub(super) fn unqueue(db: &Db, id: i64) -> Result<()> {
    // There are a handful of connectors: each is a look-up, where a second index would be a second
    // write.
    db.sql
        .prepare_cached(
            "DELETE FROM object_queue \
             WHERE connector IN (SELECT id FROM connector) AND object = ?1",
        )?
        .execute([id])?;
    Ok(())
}

/// Removes an object with its references, keys, problems and its pending export.
pub(super) fn forget(db: &Db, id: i64) -> Result<()> {
    unqueue(db, id)?;
    for statement in [
        "DELETE FROM reference WHERE object = ?1",
        "DELETE FROM key WHERE kind IN (1, 2) AND id = ?1",
        "DELETE FROM pending_export WHERE object = ?1",
        "DELETE FROM problem WHERE phase IN (0, 1) AND subject = ?1",
        "DELETE FROM object WHERE id = ?1",
    ] {
        db.sql.prepare_cached(statement)?.execute([id])?;
    }
    Ok(())
}

/// Names the column type in the error of a value that is no text.
pub(super) fn column(error: rusqlite::types::FromSqlError) -> Failure {
    Failure::damaged("column", error)
}

fn remote_id(db: &Db, id: CsId) -> Result<Option<String>> {
    let mut statement = db.sql.prepare_cached("SELECT anchor FROM object WHERE id = ?1")?;
    let anchor: Option<Vec<u8>> =
        statement.query_row([id.0], |row| row.get(0)).optional()?.flatten();
    anchor.map(remote_id_text).transpose()
}

/// Remote ids come in as text, so they are text.
pub(super) fn remote_id_text(anchor: Vec<u8>) -> Result<String> {
    String::from_utf8(anchor).map_err(|error| Failure::damaged("remote id", error))
}

/// The link of a row, whose three columns stand side by side from `first`.
pub(super) fn link(row: &Row<'_>, first: usize) -> Result<Option<Link>> {
    let (mv, rule, origin): (Option<i64>, Option<String>, Option<i64>) =
        (row.get(first)?, row.get(first + 1)?, row.get(first + 2)?);
    let (Some(mv), Some(rule), Some(origin)) = (mv, rule, origin) else {
        return Ok(None);
    };
    let (mv, rule) = (MvId(mv), RuleTag(rule.into()));
    Ok(Some(Link { mv, rule, origin: codes::origin(origin)? }))
}
