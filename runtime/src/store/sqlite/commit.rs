//! Outcomes of passes: what the engine wants written flows in and is stored in one transaction; the
//! queues of what it has to look at next flow out.

use kakehi_engine::connector_space::{CsId, CsObject, Link, MvId};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::problem::Problem;
use kakehi_engine::view::{CsUpdate, IndexKey, MvUpdate, Outcome, Phase};
use rusqlite::OptionalExtension;

use super::failure::Result;
use super::ids::{self, Ids};
use super::keys::{self, Kind};
use super::{Db, body, codes, export, object, references};

pub(super) fn queued_cs(db: &Db, limit: usize) -> Result<Vec<CsId>> {
    let mut queued = vec![];
    // By name: numbers of connectors depend on which was read first.
    for connector in export::connectors_by_name(db)? {
        let mut statement = db.sql.prepare_cached(
            "SELECT object FROM object_queue WHERE connector = ?1 ORDER BY object LIMIT ?2",
        )?;
        let rest = (limit - queued.len()) as i64;
        let ids = statement.query_map((connector, rest), |row| row.get(0).map(CsId))?;
        for id in ids {
            queued.push(id?);
        }
    }
    Ok(queued)
}

pub(super) fn queued_mv(db: &Db, limit: usize) -> Result<Vec<MvId>> {
    let mut statement = db.sql.prepare_cached("SELECT mv FROM mv_queue ORDER BY seq LIMIT ?1")?;
    let ids = statement.query_map([limit as i64], |row| row.get(0).map(MvId))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn queued_resolve(db: &Db, limit: usize) -> Result<Vec<MvId>> {
    let mut statement =
        db.sql.prepare_cached("SELECT mv FROM resolve_queue ORDER BY mv LIMIT ?1")?;
    let ids = statement.query_map([limit as i64], |row| row.get(0).map(MvId))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Stores an outcome.
///
/// What goes is removed last: whoever refers to it is found by rows that go with it.
pub(super) fn commit(db: &Db, outcome: &Outcome) -> Result<()> {
    let mut pass =
        Pass { db, objects: Ids::begin(db, ids::OBJECT)?, mvs: Ids::begin(db, ids::MV)? };
    outcome.done_cs.iter().try_for_each(|id| object::unqueue(db, id.0))?;
    outcome.done_mv.iter().try_for_each(|id| unqueue_mv(db, id.0))?;
    outcome.done_resolve.iter().try_for_each(|id| unqueue_resolve(db, id.0))?;
    outcome.cs.iter().try_for_each(|update| pass.keep_cs(update))?;
    outcome.mv.iter().try_for_each(|update| pass.keep_mv(update))?;
    for (id, export) in &outcome.exports {
        match export {
            Some(export) => export::put(db, export, pass.objects.is_new(id.0))?,
            None => export::remove(db, id.0)?,
        }
    }
    outcome.dirty_cs.iter().try_for_each(|id| queue_cs(db, id.0))?;
    outcome.dirty_mv.iter().try_for_each(|id| object::queue_mv(db, Some(id.0)))?;
    outcome.repoint_cs.iter().try_for_each(|id| queue_referrers_of(db, id.0))?;
    outcome.repoint_mv.iter().try_for_each(|id| queue_referrers_of_mv(db, id.0))?;
    outcome.cs.iter().try_for_each(|update| forget_cs(db, update))?;
    outcome.mv.iter().try_for_each(|update| forget_mv(db, update))?;
    for (phase, subject, problems) in &outcome.problems {
        replace_problems(db, *phase, *subject, problems)?;
    }
    pass.objects.end(db)?;
    pass.mvs.end(db)
}

/// One outcome on its way into the rows.
struct Pass<'a> {
    db: &'a Db,
    objects: Ids,
    mvs: Ids,
}

// === impl Pass ===

impl Pass<'_> {
    fn keep_cs(&mut self, update: &CsUpdate) -> Result<()> {
        match update {
            CsUpdate::Source { id, link, contributions, waiting } => {
                let (mv, rule, origin) = link_columns(link.as_ref());
                self.db
                    .sql
                    .prepare_cached(
                        "UPDATE object SET mv = ?2, link_rule = ?3, link_origin = ?4, \
                         contributions = ?5 WHERE id = ?1",
                    )?
                    .execute((id.0, mv, rule, origin, body::encode_contributions(contributions)))?;
                keys::replace(self.db, Kind::Waiting, id.0, waiting, false)
            }
            CsUpdate::Target { object, unlinked } => self.keep_target(object, unlinked),
            CsUpdate::Forget { .. } => Ok(()),
        }
    }

    fn keep_target(&mut self, object: &CsObject, unlinked: &[IndexKey]) -> Result<()> {
        let (db, id) = (self.db, object.id.0);
        let (mv, rule, origin) = link_columns(object.link.as_ref());
        let connector = db.names.make_connector(&db.sql, &object.connector)?;
        let class = db.names.make_class(&db.sql, &object.class)?;
        // Of a known object only what the engine decides is written.
        db.sql
            .prepare_cached(
                "INSERT INTO object (id, connector, class, presence, mv, link_rule, link_origin, \
                 deprovisioned, contributions) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                 ON CONFLICT (id) DO UPDATE SET class = excluded.class, mv = excluded.mv, \
                 link_rule = excluded.link_rule, link_origin = excluded.link_origin, \
                 deprovisioned = excluded.deprovisioned, contributions = excluded.contributions",
            )?
            .execute((
                id,
                connector,
                class,
                codes::presence_code(object.presence),
                mv,
                rule,
                origin,
                object.deprovisioned,
                body::encode_contributions(&object.contributions),
            ))?;
        let new = self.objects.is_new(id);
        self.objects.note(id);
        keys::replace(db, Kind::Unlinked, id, unlinked, new)
    }

    fn keep_mv(&mut self, update: &MvUpdate) -> Result<()> {
        let MvUpdate::Put { object, keys } = update else { return Ok(()) };
        let MvObject { id, class, attributes, alive, orphaned } = object;
        let db = self.db;
        let class = db.names.make_class(&db.sql, class)?;
        db.sql
            .prepare_cached(
                "INSERT INTO mv (id, class, alive, body, orphaned) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (id) DO UPDATE SET class = excluded.class, alive = excluded.alive, \
                 body = excluded.body, orphaned = excluded.orphaned",
            )?
            .execute((
                id.0,
                class,
                alive,
                body::encode_mv(attributes),
                orphaned.map(|since| since.0),
            ))?;
        let new = self.mvs.is_new(id.0);
        self.mvs.note(id.0);
        keys::replace(db, Kind::Join, id.0, keys, new)
    }
}

fn link_columns(link: Option<&Link>) -> (Option<i64>, Option<&str>, Option<i64>) {
    match link {
        Some(link) => (Some(link.mv.0), Some(&*link.rule.0), Some(codes::origin_code(link.origin))),
        None => (None, None, None),
    }
}

/// An object whose export is in doubt stays until the doubt is resolved: the target may have it.
fn forget_cs(db: &Db, update: &CsUpdate) -> Result<()> {
    match update {
        CsUpdate::Forget { id } if !export::outdate_doubt(db, id.0)? => object::forget(db, id.0),
        _ => Ok(()),
    }
}

fn forget_mv(db: &Db, update: &MvUpdate) -> Result<()> {
    let MvUpdate::Delete { id } = update else {
        return Ok(());
    };
    unqueue_mv(db, id.0)?;
    unqueue_resolve(db, id.0)?;
    keys::replace(db, Kind::Join, id.0, &[], false)?;
    for statement in
        ["DELETE FROM problem WHERE phase = 2 AND subject = ?1", "DELETE FROM mv WHERE id = ?1"]
    {
        db.sql.prepare_cached(statement)?.execute([id.0])?;
    }
    Ok(())
}

fn unqueue_mv(db: &Db, id: i64) -> Result<()> {
    db.sql.prepare_cached("DELETE FROM mv_queue WHERE mv = ?1")?.execute([id])?;
    Ok(())
}

fn unqueue_resolve(db: &Db, id: i64) -> Result<()> {
    db.sql.prepare_cached("DELETE FROM resolve_queue WHERE mv = ?1")?.execute([id])?;
    Ok(())
}

fn queue_cs(db: &Db, id: i64) -> Result<()> {
    db.sql
        .prepare_cached(
            "INSERT OR IGNORE INTO object_queue (connector, object) \
             SELECT connector, id FROM object WHERE id = ?1",
        )?
        .execute([id])?;
    Ok(())
}

/// Queues the metaverse objects of all source objects that refer to this one.
fn queue_referrers_of(db: &Db, id: i64) -> Result<()> {
    let mut statement =
        db.sql.prepare_cached("SELECT connector, dn_key FROM object WHERE id = ?1")?;
    let key: Option<(i64, Option<String>)> =
        statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match key {
        Some((connector, Some(key))) => references::queue_referrers(db, connector, &key),
        _ => Ok(()),
    }
}

fn queue_referrers_of_mv(db: &Db, mv: i64) -> Result<()> {
    let mut statement = db.sql.prepare_cached(
        "SELECT connector, dn_key FROM object WHERE mv = ?1 AND dn_key IS NOT NULL",
    )?;
    let mut rows = statement.query([mv])?;
    while let Some(row) = rows.next()? {
        references::queue_referrers(db, row.get(0)?, &row.get::<_, String>(1)?)?;
    }
    Ok(())
}

fn replace_problems(db: &Db, phase: Phase, subject: i64, problems: &[Problem]) -> Result<()> {
    let phase = codes::phase_code(phase);
    db.sql
        .prepare_cached("DELETE FROM problem WHERE phase = ?1 AND subject = ?2")?
        .execute((phase, subject))?;
    for (ordinal, problem) in problems.iter().enumerate() {
        db.sql
            .prepare_cached(
                "INSERT INTO problem (phase, subject, ordinal, kind, object, rule, attribute, \
                 message) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute((
                phase,
                subject,
                ordinal as i64,
                problem.kind.as_str(),
                problem.object.0,
                problem.rule.as_ref().map(|rule| &*rule.0),
                problem.attribute.as_ref().map(|attribute| attribute.as_str()),
                &problem.message,
            ))?;
    }
    Ok(())
}
