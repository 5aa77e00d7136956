//! Records: runs and problems as they are shown, and totals for `status`.

use std::collections::BTreeMap;

use kakehi_engine::connector_space::CsId;
use kakehi_engine::object::ConnectorName;
use kakehi_engine::plan::PlanId;
use kakehi_engine::problem::{Problem, ProblemKind};
use kakehi_engine::rule::RuleTag;
use kakehi_engine::time::Timestamp;
use rusqlite::{OptionalExtension, Row};

use super::failure::{Failure, Result};
use super::{Db, codes};
use crate::store::{RunId, RunRecord, Totals, Troubles};

/// Stores a new run. Its id is given here; the one in `run` is not looked at.
pub(super) fn record_run(db: &Db, run: &RunRecord) -> Result<RunId> {
    let id = db
        .sql
        .prepare_cached(
            "INSERT INTO run (verb, started, ended, status, plan, ruleset, config, details) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .insert((
            &run.verb,
            run.started.0,
            run.ended.0,
            &run.status,
            run.plan.as_ref().map(|plan| &plan.0),
            &run.ruleset,
            &run.config,
            &run.details,
        ))?;
    Ok(RunId(id))
}

pub(super) fn runs(db: &Db, limit: usize) -> Result<Vec<RunRecord>> {
    let mut statement = db.sql.prepare_cached("SELECT * FROM run ORDER BY id DESC LIMIT ?1")?;
    let runs = statement.query_map([limit as i64], record)?;
    Ok(runs.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn run(db: &Db, id: RunId) -> Result<Option<RunRecord>> {
    let mut statement = db.sql.prepare_cached("SELECT * FROM run WHERE id = ?1")?;
    Ok(statement.query_row([id.0], record).optional()?)
}

pub(super) fn problems(db: &Db) -> Result<Vec<Problem>> {
    problems_where(db, "TRUE", [])
}

/// The problems of one evaluated thing.
pub(super) fn problems_of(db: &Db, phase: i64, subject: i64) -> Result<Vec<Problem>> {
    problems_where(db, "phase = ?1 AND subject = ?2", [phase, subject])
}

pub(super) fn linked(db: &Db) -> Result<BTreeMap<ConnectorName, u64>> {
    // Of an object that is still to be created nothing can be removed.
    let mut statement = db.sql.prepare_cached(
        "SELECT connector, count(*) FROM object WHERE mv IS NOT NULL AND presence <> ?1 \
         AND connector NOT IN (SELECT connector FROM source_state) GROUP BY connector",
    )?;
    let mut rows = statement.query([codes::EXPORT_ONLY])?;
    let mut linked = BTreeMap::new();
    while let Some(row) = rows.next()? {
        linked.insert(db.names.connector(&db.sql, row.get(0)?)?, count(row, 1)?);
    }
    Ok(linked)
}

pub(super) fn totals(db: &Db) -> Result<Totals> {
    let counted = |statement: &str| -> Result<u64> {
        Ok(db.sql.prepare_cached(statement)?.query_row([], |row| count(row, 0))?)
    };
    Ok(Totals {
        objects: objects(db)?,
        metaverse: counted("SELECT count(*) FROM mv")?,
        pending: counted("SELECT count(*) FROM pending_export")?,
        troubles: troubles(db)?,
        queued: counted(
            "SELECT (SELECT count(*) FROM object_queue) + (SELECT count(*) FROM mv_queue)",
        )?,
    })
}

pub(super) fn troubles(db: &Db) -> Result<Troubles> {
    let counted = |statement: &str| -> Result<u64> {
        Ok(db.sql.prepare_cached(statement)?.query_row([], |row| count(row, 0))?)
    };
    Ok(Troubles {
        problems: counted("SELECT count(*) FROM problem")?,
        held: counted("SELECT count(*) FROM pending_export WHERE next_try IS NOT NULL")?,
        in_doubt: counted("SELECT count(*) FROM pending_export WHERE intent IS NOT NULL")?,
    })
}

fn objects(db: &Db) -> Result<BTreeMap<ConnectorName, (u64, u64)>> {
    let mut objects: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    // Two counts, each of them from an index alone.
    for (statement, linked) in [
        ("SELECT connector, count(*) FROM object GROUP BY connector", false),
        ("SELECT connector, count(*) FROM object WHERE mv IS NOT NULL GROUP BY connector", true),
    ] {
        let mut statement = db.sql.prepare_cached(statement)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let entry = objects.entry(db.names.connector(&db.sql, row.get(0)?)?).or_default();
            *(if linked { &mut entry.1 } else { &mut entry.0 }) = count(row, 1)?;
        }
    }
    Ok(objects)
}

/// SQLite counts with a sign.
fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::unsigned_abs)
}

fn problems_where<const N: usize>(
    db: &Db,
    condition: &str,
    parameters: [i64; N],
) -> Result<Vec<Problem>> {
    let mut statement = db.sql.prepare_cached(&format!(
        "SELECT kind, object, rule, attribute, message FROM problem WHERE {condition} \
         ORDER BY phase, subject, ordinal"
    ))?;
    let mut rows = statement.query(rusqlite::params_from_iter(parameters))?;
    let mut problems = vec![];
    while let Some(row) = rows.next()? {
        problems.push(problem(row)?);
    }
    Ok(problems)
}

fn problem(row: &Row<'_>) -> Result<Problem> {
    let kind: String = row.get(0)?;
    Ok(Problem {
        kind: ProblemKind::parse(&kind).ok_or_else(|| Failure::damaged("problem", &kind))?,
        object: CsId(row.get(1)?),
        rule: row.get::<_, Option<String>>(2)?.map(|tag| RuleTag(tag.into())),
        attribute: row.get::<_, Option<String>>(3)?.map(Into::into),
        message: row.get(4)?,
    })
}

fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    Ok(RunRecord {
        id: RunId(row.get("id")?),
        verb: row.get("verb")?,
        started: Timestamp(row.get("started")?),
        ended: Timestamp(row.get("ended")?),
        status: row.get("status")?,
        plan: row.get::<_, Option<String>>("plan")?.map(PlanId),
        ruleset: row.get("ruleset")?,
        config: row.get("config")?,
        details: row.get("details")?,
    })
}
