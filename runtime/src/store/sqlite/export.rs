//! Pending exports as rows: passes put them, plans bind them, and they are passed by in order of
//! delivery.

use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::export::{AttributeChange, Export, ExportOp};
use kakehi_engine::object::Value;
use kakehi_engine::plan::{Plan, PlanId};
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::time::Timestamp;
use rusqlite::{OptionalExtension, Row};

use super::failure::{Failure, Result};
use super::{Db, SqliteStore, body, codes, decided, matching, object};
use crate::store::{Due, Hold, PendingExport, StoreError, Wave};

/// How many exports are read before they are passed on: the store is not held while somebody looks
/// at them, and memory does not grow with the plan.
const EXPORTS_PASSED_AT_ONCE: i64 = 256;

/// What can be delivered at `?1`: no hold, no doubt, and of adds those that the target has nothing
/// for. An add that something was found for is never sent (DV-07). What takes another plan back is
/// never part of what rules want.
macro_rules! due {
    () => {
        "(next_try IS NULL OR next_try <= ?1) AND intent IS NULL AND undoes IS NULL \
         AND (op <> 'add' OR matched = 0)"
    };
}

/// The columns that [`pending`] reads.
macro_rules! columns {
    () => {
        "pending_export.object, pending_export.connector, pending_export.class, \
         pending_export.mv, op, rank, changes, pending_export.anchor, match_key, wave, \
         object.anchor, attempts, next_try, hold_kind, hold_message, intent IS NOT NULL, \
         type_change, decided, undoes \
         FROM pending_export LEFT JOIN object ON object.id = pending_export.object "
    };
}
pub(super) use columns;

/// Which wave an export belongs to.
pub(super) fn wave_of(export: &Export) -> Wave {
    match export.op {
        ExportOp::Disable => Wave::Disable,
        ExportOp::Add => Wave::Add(export.rank),
        ExportOp::Delete => Wave::Delete,
        ExportOp::Update if export.changes.iter().all(of_references) => Wave::References,
        ExportOp::Update | ExportOp::Rename => Wave::Update,
    }
}

/// Puts an export in the place of the one that the object had. The same change again keeps its
/// plan, its match and its hold. `new`: the object cannot have one yet.
pub(super) fn put(db: &Db, export: &Export, new: bool) -> Result<()> {
    let changes = body::encode_changes(&export.changes);
    if !new {
        // What was sent stays as it is until its outcome is known; then the difference is made
        // anew.
        if outdate_doubt(db, export.object.0)? {
            return Ok(());
        }
        if is_same(db, export, &changes)? {
            return retouch(db, export);
        }
    }
    db.sql
        .prepare_cached(
            // One half of a change of type stays one, whatever else becomes of it.
            "INSERT OR REPLACE INTO pending_export (object, connector, wave, rank, op, class, mv, \
             anchor, match_key, changes, decided, type_change) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, \
             ?12 OR coalesce((SELECT type_change FROM pending_export WHERE object = ?1), 0))",
        )?
        .execute((
            export.object.0,
            db.names.make_connector(&db.sql, &export.connector)?,
            codes::wave_code(wave_of(export)),
            export.rank,
            export.op.as_str(),
            db.names.make_class(&db.sql, &export.class)?,
            export.mv.map(|mv| mv.0),
            &export.anchor,
            &export.match_key,
            changes,
            decided::encode(db, &export.by)?,
            export.type_change,
        ))?;
    Ok(())
}

/// Removes the export of an object, unless its outcome is unknown.
pub(super) fn remove(db: &Db, object: i64) -> Result<()> {
    if !outdate_doubt(db, object)? {
        db.sql.prepare_cached("DELETE FROM pending_export WHERE object = ?1")?.execute([object])?;
    }
    Ok(())
}

/// Notes that a pass wanted something else of an object whose export is in doubt. Gives whether it
/// is.
pub(super) fn outdate_doubt(db: &Db, object: i64) -> Result<bool> {
    let noted = db
        .sql
        .prepare_cached(
            "UPDATE pending_export SET outdated = 1 WHERE object = ?1 AND intent IS NOT NULL",
        )?
        .execute([object])?;
    Ok(noted > 0)
}

/// See [`Store::each_export`](crate::store::Store::each_export).
pub(super) fn each_export(
    store: &SqliteStore,
    due: Due,
    each: &mut dyn FnMut(PendingExport),
) -> std::result::Result<(), StoreError> {
    const ACTION: &str = "read pending exports from";
    for connector in store.read(ACTION, connectors_by_name)? {
        for wave in store.read(ACTION, |db| waves(db, connector))? {
            let mut last = -1;
            loop {
                let page = store.read(ACTION, |db| page(db, (connector, wave), due, last))?;
                let Some(end) = page.last() else { break };
                last = end.export.object.0;
                page.into_iter().for_each(&mut *each);
            }
        }
    }
    Ok(())
}

/// The waves of a connector that have exports, in their order.
fn waves(db: &Db, connector: i64) -> Result<Vec<i64>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT DISTINCT wave FROM pending_export WHERE connector = ?1 ORDER BY wave",
    )?;
    let waves = statement.query_map([connector], |row| row.get(0))?;
    Ok(waves.collect::<rusqlite::Result<_>>()?)
}

/// The next exports of a wave of a connector behind an object: the index leads straight to them.
fn page(db: &Db, wave: (i64, i64), due: Due, last: i64) -> Result<Vec<PendingExport>> {
    match due {
        Due::At(now) => list(
            db,
            concat!(
                "SELECT ",
                columns!(),
                "WHERE pending_export.connector = ?2 AND wave = ?3 \
                 AND pending_export.object > ?4 AND ",
                due!(),
                " ORDER BY pending_export.object LIMIT ?5"
            ),
            (now.0, wave.0, wave.1, last, EXPORTS_PASSED_AT_ONCE),
        ),
        Due::Undo => list(
            db,
            concat!(
                "SELECT ",
                columns!(),
                "WHERE pending_export.connector = ?1 AND wave = ?2 \
                 AND pending_export.object > ?3 AND undoes IS NOT NULL \
                 ORDER BY pending_export.object LIMIT ?4"
            ),
            (wave.0, wave.1, last, EXPORTS_PASSED_AT_ONCE),
        ),
        Due::All => list(
            db,
            concat!(
                "SELECT ",
                columns!(),
                "WHERE pending_export.connector = ?1 AND wave = ?2 \
                 AND pending_export.object > ?3 AND undoes IS NULL \
                 ORDER BY pending_export.object LIMIT ?4"
            ),
            (wave.0, wave.1, last, EXPORTS_PASSED_AT_ONCE),
        ),
    }
}

pub(super) fn list(
    db: &Db,
    statement: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<PendingExport>> {
    let mut statement = db.sql.prepare_cached(statement)?;
    let mut rows = statement.query(parameters)?;
    let mut exports = vec![];
    while let Some(row) = rows.next()? {
        exports.push(pending(db, row)?);
    }
    Ok(exports)
}

pub(super) fn of_object(db: &Db, object: CsId) -> Result<Option<PendingExport>> {
    let statement = concat!("SELECT ", columns!(), "WHERE pending_export.object = ?1");
    Ok(list(db, statement, [object.0])?.pop())
}

/// Numbers of all connectors, in order of their names.
pub(super) fn connectors_by_name(db: &Db) -> Result<Vec<i64>> {
    let mut statement = db.sql.prepare_cached("SELECT id FROM connector ORDER BY name")?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn save_plan(db: &Db, plan: &Plan, now: Timestamp) -> Result<()> {
    // The same plan saved again becomes the newest again.
    db.sql
        .prepare_cached(
            "INSERT OR REPLACE INTO plan (digest, parent, ruleset, config, saved, exports) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            &plan.id.0,
            plan.basis.parent.as_ref().map(|parent| &parent.0),
            &plan.basis.ruleset.0,
            &plan.basis.config,
            now.0,
            plan.exports() as i64,
        ))?;
    let bind = match plan.basis.undoes {
        None => concat!("UPDATE pending_export SET plan = ?2 WHERE ", due!()),
        Some(_) => {
            "UPDATE pending_export SET plan = ?2 \
             WHERE undoes IS NOT NULL AND intent IS NULL AND ?1 IS NOT NULL"
        }
    };
    db.sql.prepare_cached(bind)?.execute((now.0, &plan.id.0))?;
    matching::look_up_again(db)
}

/// See [`Store::unbind`](crate::store::Store::unbind).
pub(super) fn unbind(db: &Db, objects: &[CsId]) -> Result<()> {
    for object in objects {
        db.sql
            .prepare_cached("UPDATE pending_export SET plan = NULL WHERE object = ?1")?
            .execute([object.0])?;
    }
    Ok(())
}

pub(super) fn last_plan(db: &Db) -> Result<Option<PlanId>> {
    let mut statement =
        db.sql.prepare_cached("SELECT digest FROM plan ORDER BY seq DESC LIMIT 1")?;
    Ok(statement.query_row([], |row| row.get(0).map(PlanId)).optional()?)
}

fn of_references(change: &AttributeChange) -> bool {
    let mut values =
        change.add.iter().chain(&change.remove).chain(change.replace.iter().flatten()).peekable();
    values.peek().is_some() && values.all(Value::is_reference)
}

fn is_same(db: &Db, export: &Export, changes: &str) -> Result<bool> {
    let mut statement = db.sql.prepare_cached(
        "SELECT op, class, changes FROM pending_export WHERE object = ?1 AND undoes IS NULL",
    )?;
    let mut rows = statement.query([export.object.0])?;
    let Some(row) = rows.next()? else {
        return Ok(false);
    };
    let class = db.names.class(&db.sql, row.get(1)?)?;
    let (op, known) = (row.get_ref(0)?, row.get_ref(2)?);
    Ok(class == export.class
        && op.as_str().map_err(object::column)? == export.op.as_str()
        && known.as_str().map_err(object::column)? == changes)
}

/// Writes what says for whom the same change is done.
fn retouch(db: &Db, export: &Export) -> Result<()> {
    db.sql
        .prepare_cached(
            "UPDATE pending_export SET mv = ?2, anchor = ?3, match_key = ?4, rank = ?5, \
             wave = ?6, decided = ?7 WHERE object = ?1",
        )?
        .execute((
            export.object.0,
            export.mv.map(|mv| mv.0),
            &export.anchor,
            &export.match_key,
            export.rank,
            codes::wave_code(wave_of(export)),
            decided::encode(db, &export.by)?,
        ))?;
    Ok(())
}

/// Reads a row of [`columns`].
fn pending(db: &Db, row: &Row<'_>) -> Result<PendingExport> {
    let op: String = row.get(4)?;
    let export = Export {
        object: CsId(row.get(0)?),
        connector: db.names.connector(&db.sql, row.get(1)?)?,
        class: db.names.class(&db.sql, row.get(2)?)?,
        mv: row.get::<_, Option<i64>>(3)?.map(MvId),
        op: ExportOp::parse(&op).ok_or_else(|| Failure::damaged("operation", &op))?,
        rank: row.get(5)?,
        changes: body::decode_changes(row.get_ref(6)?.as_str().map_err(object::column)?)?,
        anchor: row.get(7)?,
        match_key: row.get(8)?,
        type_change: row.get(16)?,
        by: decided::decode(db, row.get_ref(17)?.as_str().map_err(object::column)?)?,
    };
    Ok(PendingExport {
        export,
        wave: codes::wave(row.get(9)?)?,
        remote_id: row.get::<_, Option<Vec<u8>>>(10)?.map(object::remote_id_text).transpose()?,
        attempts: row.get(11)?,
        hold: hold(row)?,
        in_doubt: row.get(15)?,
        undoes: row.get::<_, Option<String>>(18)?.map(PlanId),
    })
}

fn hold(row: &Row<'_>) -> Result<Option<Hold>> {
    let Some(until) = row.get::<_, Option<i64>>(12)? else {
        return Ok(None);
    };
    let kind: String = row.get(13)?;
    Ok(Some(Hold {
        until: Timestamp(until),
        kind: ProblemKind::parse(&kind).ok_or_else(|| Failure::damaged("problem", &kind))?,
        message: row.get(14)?,
    }))
}
