//! The journal: an export that is carried out flows in, with what was there before; what was done
//! flows out, for the audit and for taking it back. One row for each export, however large it is.

use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::export::{AttributeChange, Export, ExportOp};
use kakehi_engine::object::{AttributeMap, Value};
use kakehi_engine::plan::PlanId;
use kakehi_engine::time::Timestamp;
use rusqlite::{OptionalExtension, Row};

use super::failure::{Failure, Result};
use super::{Db, SqliteStore, body, decided, export, object};
use crate::store::{PendingExport, RunId, Sent, StoreError, Trail};

/// Entries that are read before they are passed on, so that memory does not grow with the journal.
const PASSED_AT_ONCE: i64 = 256;

/// Entries that are forgotten in one step: enough to keep up, too few to hold up a run.
const FORGOTTEN_AT_ONCE: i64 = 2_000;

/// The columns that [`sent`] reads.
macro_rules! columns {
    () => {
        "journal.seq, at, (SELECT max(id) FROM run WHERE run.started = journal.run), \
         journal.plan, coalesce(plan.ruleset, ''), coalesce(plan.config, ''), object, connector, \
         class, mv, op, type_change, anchor, match_key, remote_id, decided, changes, before \
         FROM journal LEFT JOIN plan ON plan.digest = journal.plan "
    };
}

/// Notes an export before what it does is written to what is known of its object. `sent`: its
/// changes, in their order, where not all of them were carried out.
pub(super) fn note(
    db: &Db,
    export: &Export,
    sent: Option<&[AttributeChange]>,
    trail: &Trail<'_>,
    now: Timestamp,
) -> Result<()> {
    if !trail.keep {
        return Ok(());
    }
    let before = before(db, export)?;
    // The row of the export has most of it in the form in which it is kept.
    db.sql
        .prepare_cached(
            "INSERT INTO journal (at, run, plan, object, connector, class, mv, op, type_change, \
             anchor, match_key, remote_id, decided, changes, before) \
             SELECT ?2, ?3, ?4, object, pending_export.connector, pending_export.class, \
             pending_export.mv, op, type_change, pending_export.anchor, match_key, \
             CAST(object.anchor AS TEXT), decided, coalesce(?5, changes), ?6 \
             FROM pending_export LEFT JOIN object ON object.id = pending_export.object \
             WHERE object = ?1",
        )?
        .execute((
            export.object.0,
            now.0,
            trail.run.0,
            &trail.plan.0,
            sent.map(body::encode_changes),
            body::encode_values(&before),
        ))?;
    Ok(())
}

/// What the object held of what the export replaces. A delta needs no picture of what it changes:
/// that would cost what the whole group costs.
fn before(db: &Db, export: &Export) -> Result<AttributeMap> {
    match export.op {
        ExportOp::Add => return Ok(AttributeMap::new()),
        ExportOp::Delete => {
            let object = object::load(db, export.object)?;
            return Ok(object.map(|object| object.attributes).unwrap_or_default());
        }
        ExportOp::Update | ExportOp::Rename | ExportOp::Disable => {}
    }
    let replaced = || export.changes.iter().filter(|change| change.replace.is_some());
    if replaced().next().is_none() {
        return Ok(AttributeMap::new());
    }
    let mut held = object::plain_attributes(db, export.object.0)?;
    let mut before = AttributeMap::new();
    for change in replaced() {
        let mut values = held.remove(&change.attribute).unwrap_or_default();
        values.extend(references(db, export.object, change.attribute.as_str())?);
        if !values.is_empty() {
            before.insert(change.attribute.clone(), values);
        }
    }
    Ok(before)
}

fn references(db: &Db, object: CsId, attribute: &str) -> Result<Vec<Value>> {
    let mut statement = db
        .sql
        .prepare_cached("SELECT target_key FROM reference WHERE object = ?1 AND attribute = ?2")?;
    let keys = statement
        .query_map((object.0, attribute), |row| row.get::<_, String>(0).map(Value::Reference))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}

/// Passes what was sent since then by, oldest first.
pub(super) fn each_sent(
    store: &SqliteStore,
    since: Timestamp,
    each: &mut dyn FnMut(Sent),
) -> std::result::Result<(), StoreError> {
    let mut last = -1;
    loop {
        let page = store.read("read the journal of", |db| {
            let statement = concat!(
                "SELECT ",
                columns!(),
                "WHERE journal.seq > ?1 AND at >= ?2 ORDER BY journal.seq LIMIT ?3"
            );
            list(db, statement, (last, since.0, PASSED_AT_ONCE))
        })?;
        let Some(end) = page.last() else { return Ok(()) };
        last = end.seq;
        page.into_iter().for_each(&mut *each);
    }
}

/// Passes what a plan did by, all entries of one object at once, the newest first.
pub(super) fn each_sent_by(
    store: &SqliteStore,
    plan: &PlanId,
    each: &mut dyn FnMut(Vec<Sent>),
) -> std::result::Result<(), StoreError> {
    const ACTION: &str = "read the journal of";
    let mut last = -1;
    loop {
        let objects = store.read(ACTION, |db| {
            let mut statement = db.sql.prepare_cached(
                "SELECT DISTINCT object FROM journal WHERE plan = ?1 AND object > ?2 \
                 ORDER BY object LIMIT ?3",
            )?;
            let ids =
                statement.query_map((&plan.0, last, PASSED_AT_ONCE), |row| row.get::<_, i64>(0))?;
            Ok(ids.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        let Some(end) = objects.last() else { return Ok(()) };
        last = *end;
        for object in objects {
            each(store.read(ACTION, |db| {
                let statement = concat!(
                    "SELECT ",
                    columns!(),
                    "WHERE journal.plan = ?1 AND object = ?2 ORDER BY journal.seq DESC"
                );
                list(db, statement, (&plan.0, object))
            })?);
        }
    }
}

/// What was sent of one object since then, oldest first.
pub(super) fn of_object(db: &Db, object: i64, since: Timestamp) -> Result<Vec<Sent>> {
    let statement =
        concat!("SELECT ", columns!(), "WHERE object = ?1 AND at >= ?2 ORDER BY journal.seq");
    list(db, statement, (object, since.0))
}

/// Forgets some of what is older. Gives whether there may be more.
pub(super) fn forget(db: &Db, before: Timestamp) -> Result<bool> {
    let oldest = "SELECT at FROM journal ORDER BY seq LIMIT 1";
    let oldest: Option<i64> =
        db.sql.prepare_cached(oldest)?.query_row([], |row| row.get(0)).optional()?;
    if oldest.is_none_or(|at| at >= before.0) {
        return Ok(false);
    }
    let forgotten = db
        .sql
        .prepare_cached(
            "DELETE FROM journal WHERE seq IN \
             (SELECT seq FROM journal ORDER BY seq LIMIT ?2) AND at < ?1",
        )?
        .execute((before.0, FORGOTTEN_AT_ONCE))?;
    Ok(forgotten as i64 == FORGOTTEN_AT_ONCE)
}

/// Puts exports that take others back in the place of what is pending of their objects.
pub(super) fn stage_undo(db: &Db, undoes: &PlanId, exports: &[Export]) -> Result<()> {
    for one in exports {
        export::put(db, one, false)?;
        db.sql
            .prepare_cached(
                "UPDATE pending_export SET undoes = ?2, attempts = 0, next_try = NULL, \
                 hold_kind = NULL, hold_message = NULL, type_change = 0 \
                 WHERE object = ?1 AND intent IS NULL",
            )?
            .execute((one.object.0, &undoes.0))?;
    }
    Ok(())
}

/// Removes what is left of taking a plan back; the next pass computes what rules want instead.
pub(super) fn forget_undo(db: &Db) -> Result<()> {
    let mut statement = db.sql.prepare_cached(
        "SELECT object FROM pending_export WHERE undoes IS NOT NULL AND intent IS NULL",
    )?;
    let left = statement.query_map([], |row| row.get::<_, i64>(0))?;
    for id in left.collect::<rusqlite::Result<Vec<_>>>()? {
        if let Some(PendingExport { export, .. }) = export::of_object(db, CsId(id))? {
            super::delivery::compute_anew(db, &export)?;
        }
    }
    Ok(())
}

fn list(db: &Db, statement: &str, parameters: impl rusqlite::Params) -> Result<Vec<Sent>> {
    let mut statement = db.sql.prepare_cached(statement)?;
    let mut rows = statement.query(parameters)?;
    let mut list = vec![];
    while let Some(row) = rows.next()? {
        list.push(sent(db, row)?);
    }
    Ok(list)
}

/// Reads a row of [`columns`].
fn sent(db: &Db, row: &Row<'_>) -> Result<Sent> {
    let op: String = row.get(10)?;
    let text = |column: usize| row.get_ref(column)?.as_str().map_err(object::column);
    let export = Export {
        object: CsId(row.get(6)?),
        connector: db.names.connector(&db.sql, row.get(7)?)?,
        class: db.names.class(&db.sql, row.get(8)?)?,
        mv: row.get::<_, Option<i64>>(9)?.map(MvId),
        op: ExportOp::parse(&op).ok_or_else(|| Failure::damaged("operation", &op))?,
        type_change: row.get(11)?,
        anchor: row.get(12)?,
        match_key: row.get(13)?,
        by: decided::decode(db, text(15)?)?,
        changes: body::decode_changes(text(16)?)?,
        rank: 0,
    };
    Ok(Sent {
        seq: row.get(0)?,
        at: Timestamp(row.get(1)?),
        run: row.get::<_, Option<i64>>(2)?.map(RunId),
        plan: PlanId(row.get(3)?),
        ruleset: row.get(4)?,
        config: row.get(5)?,
        export,
        remote_id: row.get(14)?,
        before: body::decode_attributes(text(17)?)?,
    })
}
