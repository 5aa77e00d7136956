//! Decisions that are no exports, and the mode in which nothing is sent.

use kakehi_engine::plan::PlanId;
use kakehi_engine::time::Timestamp;
use rusqlite::{OptionalExtension, Row};
use serde::{Deserialize, Serialize};

use super::Db;
use super::failure::{Failure, Result};
use crate::store::{Decision, DecisionKind, StagingMode};

pub(super) fn note(db: &Db, decision: &Decision) -> Result<()> {
    db.sql
        .prepare_cached(
            "INSERT INTO decision (at, actor, kind, plan, ruleset, config, details) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            decision.at.0,
            &decision.actor,
            decision.kind.as_str(),
            decision.plan.as_ref().map(|plan| &plan.0),
            &decision.ruleset,
            &decision.config,
            &decision.details,
        ))?;
    Ok(())
}

/// Since then, oldest first. People make so few of them that all fit into memory.
pub(super) fn decisions(db: &Db, since: Timestamp) -> Result<Vec<Decision>> {
    list(db, "WHERE at >= ?1 ORDER BY seq", [since.0])
}

/// The last one that put rules and configuration into force.
pub(super) fn last_configuration(db: &Db) -> Result<Option<Decision>> {
    let kind = DecisionKind::Configuration.as_str();
    Ok(list(db, "WHERE kind = ?1 ORDER BY seq DESC LIMIT 1", [kind])?.pop())
}

/// Forgets what is older, but for the configuration in force.
pub(super) fn forget(db: &Db, before: Timestamp) -> Result<()> {
    let old = db
        .sql
        .prepare_cached("SELECT 1 FROM decision WHERE at < ?1 LIMIT 2")?
        .query_map([before.0], |_| Ok(()))?
        .count();
    if old > 1 {
        db.sql
            .prepare_cached(
                "DELETE FROM decision WHERE at < ?1 AND seq < \
                 (SELECT max(seq) FROM decision WHERE kind = ?2)",
            )?
            .execute((before.0, DecisionKind::Configuration.as_str()))?;
    }
    Ok(())
}

fn list(db: &Db, condition: &str, parameters: impl rusqlite::Params) -> Result<Vec<Decision>> {
    let statement =
        format!("SELECT at, actor, kind, plan, ruleset, config, details FROM decision {condition}");
    let mut statement = db.sql.prepare_cached(&statement)?;
    let mut rows = statement.query(parameters)?;
    let mut list = vec![];
    while let Some(row) = rows.next()? {
        list.push(decision(row)?);
    }
    Ok(list)
}

fn decision(row: &Row<'_>) -> Result<Decision> {
    let kind: String = row.get(2)?;
    Ok(Decision {
        at: Timestamp(row.get(0)?),
        actor: row.get(1)?,
        kind: DecisionKind::parse(&kind).ok_or_else(|| Failure::damaged("decision", &kind))?,
        plan: row.get::<_, Option<String>>(3)?.map(PlanId),
        ruleset: row.get(4)?,
        config: row.get(5)?,
        details: row.get(6)?,
    })
}

#[derive(Serialize, Deserialize)]
struct Stored {
    since: i64,
    by: String,
    why: String,
}

pub(super) fn staging(db: &Db) -> Result<Option<StagingMode>> {
    let mut statement = db.sql.prepare_cached("SELECT value FROM meta WHERE key = 'staging'")?;
    let text: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    let Some(text) = text else { return Ok(None) };
    let Stored { since, by, why } =
        serde_json::from_str(&text).map_err(|error| Failure::damaged("staging mode", error))?;
    Ok(Some(StagingMode { since: Timestamp(since), by, why }))
}

pub(super) fn set_staging(db: &Db, mode: Option<&StagingMode>) -> Result<()> {
    let Some(StagingMode { since, by, why }) = mode else {
        db.sql.prepare_cached("DELETE FROM meta WHERE key = 'staging'")?.execute([])?;
        return Ok(());
    };
    let stored = Stored { since: since.0, by: by.clone(), why: why.clone() };
    let text = serde_json::to_string(&stored).expect("texts and a number can be written as JSON");
    db.sql
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('staging', ?1)")?
        .execute([text])?;
    Ok(())
}
