//! What newer rules ask for: a revision flows in, rows are looked through without asking a rule,
//! and what has to be done again flows onto the queues (provisioning.md 11.9).

use kakehi_engine::connector_space::{CsId, CsObject, MvId, Presence};
use kakehi_engine::object::{AttributeMap, ClassName, ConnectorName};
use kakehi_engine::rule::{Need, Revision};
use kakehi_engine::time::Timestamp;

use super::failure::Result;
use super::{Db, body, codes, object, references, view, watched};

/// Queues what a revision asks for. Gives how many objects were looked through.
pub(super) fn queue(db: &Db, revision: &Revision<'_>) -> Result<u64> {
    if revision.is_everything() {
        db.sql.execute_batch(
            "INSERT OR IGNORE INTO object_queue (connector, object) \
               SELECT connector, id FROM object WHERE partition IS NOT NULL; \
             INSERT OR IGNORE INTO mv_queue (mv) SELECT id FROM mv; \
             INSERT OR IGNORE INTO resolve_queue SELECT id FROM mv;",
        )?;
        return Ok(0);
    }
    if revision.is_nothing() {
        return Ok(0);
    }
    for class in revision.resolved() {
        of_class(db, "INSERT OR IGNORE INTO resolve_queue", class)?;
    }
    for class in revision.evaluated() {
        of_class(db, "INSERT OR IGNORE INTO mv_queue (mv)", class)?;
    }
    let mut sifted = 0;
    for (connector, class, attributes) in revision.sources() {
        sifted += sources(db, revision, (connector, class), attributes)?;
    }
    for class in revision.metaverse() {
        sifted += metaverse(db, revision, class)?;
    }
    troubled(db)?;
    Ok(sifted)
}

/// See [`Store::queue_orphans`](crate::store::Store::queue_orphans).
pub(super) fn queue_orphans(db: &Db, class: &ClassName, until: Timestamp) -> Result<()> {
    db.sql
        .prepare_cached(
            "INSERT OR IGNORE INTO resolve_queue SELECT id FROM mv \
             WHERE class = (SELECT id FROM class WHERE name = ?1) AND orphaned <= ?2",
        )?
        .execute((class.as_str(), until.0))?;
    Ok(())
}

fn of_class(db: &Db, insert: &str, class: &ClassName) -> Result<()> {
    let any = class.as_str() == kakehi_engine::rule::ANY_CLASS;
    let statement = format!(
        "{insert} SELECT id FROM mv \
         WHERE ?2 OR class = (SELECT id FROM class WHERE name = ?1) ORDER BY id"
    );
    db.sql.prepare_cached(&statement)?.execute((class.as_str(), any))?;
    Ok(())
}

/// What could not be evaluated before may be possible now, and what rules said of it is not known.
fn troubled(db: &Db) -> Result<()> {
    db.sql
        .prepare_cached(
            "INSERT OR IGNORE INTO object_queue (connector, object) \
             SELECT object.connector, object.id FROM problem \
             JOIN object ON object.id = problem.subject \
             WHERE problem.phase = ?1 AND object.partition IS NOT NULL",
        )?
        .execute([codes::PHASE_INBOUND])?;
    db.sql
        .prepare_cached(
            "INSERT OR IGNORE INTO mv_queue (mv) \
             SELECT mv.id FROM problem JOIN mv ON mv.id = problem.subject \
             WHERE problem.phase = ?1 ORDER BY mv.id",
        )?
        .execute([codes::PHASE_OUTBOUND])?;
    Ok(())
}

fn sources(
    db: &Db,
    revision: &Revision<'_>,
    (connector, class): (&ConnectorName, &ClassName),
    attributes: bool,
) -> Result<u64> {
    let mut sifted = 0;
    let Some(number) = db.names.connector_id(&db.sql, connector)? else { return Ok(0) };
    let mut statement = db.sql.prepare_cached(
        "SELECT id, mv, link_rule, link_origin, contributions, body, dn, dn_key FROM object \
         WHERE connector = ?1 AND class = (SELECT id FROM class WHERE name = ?2) \
           AND partition IS NOT NULL AND presence = ?3",
    )?;
    let mut rows = statement.query((number, class.as_str(), codes::IMPORTED))?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let mut read = AttributeMap::new();
        if attributes {
            read = body::decode_attributes(row.get_ref(5)?.as_str().map_err(object::column)?)?;
            references::load_into(db, id, &mut read)?;
            if let Some(key) = row.get_ref(7)?.as_str_or_null().map_err(object::column)? {
                watched::load_into(db, number, key, &mut read)?;
            }
        }
        let found = CsObject {
            id: CsId(id),
            connector: connector.clone(),
            class: class.clone(),
            anchor: None,
            dn: row.get(6)?,
            presence: Presence::Imported,
            attributes: read,
            link: object::link(row, 1)?,
            contributions: body::decode_contributions(
                row.get_ref(4)?.as_str().map_err(object::column)?,
            )?,
            deprovisioned: false,
        };
        sifted += 1;
        match (revision.source(&found), &found.link) {
            (Need::Evaluate, _) => object::queue(db, number, id)?,
            (Need::Resolve, Some(link)) => queue_resolve(db, link.mv)?,
            (Need::Resolve, None) | (Need::Nothing, _) => {}
        }
    }
    Ok(sifted)
}

fn metaverse(db: &Db, revision: &Revision<'_>, class: &ClassName) -> Result<u64> {
    let mut sifted = 0;
    let mut statement = db.sql.prepare_cached(
        "SELECT id FROM mv WHERE class = (SELECT id FROM class WHERE name = ?1) ORDER BY id",
    )?;
    let mut rows = statement.query([class.as_str()])?;
    while let Some(row) = rows.next()? {
        let id = MvId(row.get(0)?);
        let Some(found) = view::mv_object(db, id)? else { continue };
        let mut targets = vec![];
        for linked in view::linked_objects(db, id)? {
            // What rules of a source said is not about a target.
            targets.extend(target(db, linked.cs)?);
        }
        sifted += 1;
        if revision.joined(&found, &targets) == Need::Evaluate {
            object::queue_mv(db, Some(id.0))?;
        }
    }
    Ok(sifted)
}

/// An object of a target, without its attributes; `None` for one of a source.
fn target(db: &Db, id: CsId) -> Result<Option<CsObject>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT connector, class, presence, mv, link_rule, link_origin, contributions FROM object \
         WHERE id = ?1 AND partition IS NULL",
    )?;
    let mut rows = statement.query([id.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(CsObject {
        id,
        connector: db.names.connector(&db.sql, row.get(0)?)?,
        class: db.names.class(&db.sql, row.get(1)?)?,
        anchor: None,
        dn: String::new(),
        presence: codes::presence(row.get(2)?)?,
        attributes: AttributeMap::new(),
        link: object::link(row, 3)?,
        contributions: body::decode_contributions(
            row.get_ref(6)?.as_str().map_err(object::column)?,
        )?,
        deprovisioned: false,
    }))
}

fn queue_resolve(db: &Db, mv: MvId) -> Result<()> {
    db.sql.prepare_cached("INSERT OR IGNORE INTO resolve_queue VALUES (?1)")?.execute([mv.0])?;
    Ok(())
}
