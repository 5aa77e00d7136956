//! What a dry run changes, noted by the database itself: a private copy of the state flows in; how
//! everything that was changed had been before flows out.
//!
//! The notes lie in temporary tables, which end with the connection.

use kakehi_engine::connector_space::{CsId, CsObject, Link, MvId};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{Anchor, AttributeMap};
use kakehi_engine::problem::{Problem, ProblemKind};
use kakehi_engine::rule::RuleTag;
use rusqlite::{OptionalExtension, Row};

use super::failure::{Failure, Result};
use super::{Db, SqliteStore, body, codes, object};
use crate::store::StoreError;

/// The first note of an object counts: it is how the object was in the beginning. Only what the
/// rules decide is looked at, so that a listing without news notes nothing.
const TABLES: &str = "
CREATE TEMP TABLE was_object (
  id INTEGER PRIMARY KEY, connector INTEGER, class INTEGER, presence INTEGER, anchor BLOB, dn TEXT,
  mv INTEGER, link_rule TEXT, link_origin INTEGER, deprovisioned INTEGER, contributions TEXT
);
CREATE TEMP TABLE was_mv (id INTEGER PRIMARY KEY, class INTEGER, alive INTEGER, body TEXT);
CREATE TEMP TABLE was_problem AS SELECT * FROM main.problem;

CREATE TEMP TRIGGER note_new_object AFTER INSERT ON main.object BEGIN
  INSERT OR IGNORE INTO was_object (id) VALUES (new.id);
END;
CREATE TEMP TRIGGER note_object AFTER UPDATE ON main.object
WHEN old.mv IS NOT new.mv OR old.link_rule IS NOT new.link_rule
  OR old.contributions IS NOT new.contributions OR old.presence IS NOT new.presence
  OR old.deprovisioned IS NOT new.deprovisioned
BEGIN
  INSERT OR IGNORE INTO was_object VALUES (old.id, old.connector, old.class, old.presence,
    old.anchor, old.dn, old.mv, old.link_rule, old.link_origin, old.deprovisioned,
    old.contributions);
END;
CREATE TEMP TRIGGER note_gone_object AFTER DELETE ON main.object BEGIN
  INSERT OR IGNORE INTO was_object VALUES (old.id, old.connector, old.class, old.presence,
    old.anchor, old.dn, old.mv, old.link_rule, old.link_origin, old.deprovisioned,
    old.contributions);
END;
CREATE TEMP TRIGGER note_new_mv AFTER INSERT ON main.mv BEGIN
  INSERT OR IGNORE INTO was_mv (id) VALUES (new.id);
END;
CREATE TEMP TRIGGER note_mv AFTER UPDATE ON main.mv BEGIN
  INSERT OR IGNORE INTO was_mv VALUES (old.id, old.class, old.alive, old.body);
END;
CREATE TEMP TRIGGER note_gone_mv AFTER DELETE ON main.mv BEGIN
  INSERT OR IGNORE INTO was_mv VALUES (old.id, old.class, old.alive, old.body);
END;
";

/// How problems of one table lie in no other.
macro_rules! only_in {
    ($one:literal, $other:literal) => {
        concat!(
            "SELECT kind, object, rule, attribute, message FROM ",
            $one,
            " AS one WHERE NOT EXISTS (SELECT 1 FROM ",
            $other,
            " AS other WHERE other.phase = one.phase AND other.subject = one.subject \
             AND other.kind = one.kind AND other.rule IS one.rule \
             AND other.attribute IS one.attribute) ORDER BY phase, subject, ordinal"
        )
    };
}

// === impl SqliteStore ===

impl SqliteStore {
    /// From here on notes how everything was that is changed.
    pub fn keep_journal(&self) -> std::result::Result<(), StoreError> {
        let kept = self.db().sql.execute_batch(TABLES).map_err(Failure::from);
        kept.map_err(|failure| failure.during("keep a journal of"))
    }
}

fn is_kept(db: &Db) -> Result<bool> {
    let mut statement =
        db.sql.prepare_cached("SELECT 1 FROM temp.sqlite_master WHERE name = 'was_object'")?;
    Ok(statement.exists([])?)
}

pub(super) fn changed_objects(db: &Db) -> Result<Vec<CsId>> {
    if !is_kept(db)? {
        return Ok(vec![]);
    }
    let mut statement = db.sql.prepare_cached("SELECT id FROM temp.was_object ORDER BY id")?;
    let ids = statement.query_map([], |row| row.get(0).map(CsId))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn object_before(db: &Db, id: CsId) -> Result<Option<CsObject>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT connector, class, presence, anchor, dn, mv, link_rule, link_origin, deprovisioned, \
         contributions FROM temp.was_object WHERE id = ?1 AND connector IS NOT NULL",
    )?;
    let mut rows = statement.query([id.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(CsObject {
        id,
        connector: db.names.connector(&db.sql, row.get(0)?)?,
        class: db.names.class(&db.sql, row.get(1)?)?,
        presence: codes::presence(row.get(2)?)?,
        anchor: row.get::<_, Option<Vec<u8>>>(3)?.map(Anchor),
        dn: row.get(4)?,
        attributes: AttributeMap::new(),
        link: link(row)?,
        deprovisioned: row.get(8)?,
        contributions: body::decode_contributions(
            row.get_ref(9)?.as_str().map_err(object::column)?,
        )?,
    }))
}

fn link(row: &Row<'_>) -> Result<Option<Link>> {
    let parts: (Option<i64>, Option<String>, Option<i64>) = (row.get(5)?, row.get(6)?, row.get(7)?);
    let (Some(mv), Some(rule), Some(origin)) = parts else { return Ok(None) };
    Ok(Some(Link { mv: MvId(mv), rule: RuleTag(rule.into()), origin: codes::origin(origin)? }))
}

pub(super) fn mv_before(db: &Db, id: MvId) -> Result<Option<MvObject>> {
    if !is_kept(db)? {
        return Ok(None);
    }
    let found: Option<(i64, bool, String)> = db
        .sql
        .prepare_cached(
            "SELECT class, alive, body FROM temp.was_mv WHERE id = ?1 AND class IS NOT NULL",
        )?
        .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((class, alive, text)) = found else { return Ok(None) };
    let class = db.names.class(&db.sql, class)?;
    Ok(Some(MvObject { id, class, attributes: body::decode_mv(&text)?, alive, orphaned: None }))
}

/// Problems that came, and problems that went.
pub(super) fn problems_moved(db: &Db) -> Result<(Vec<Problem>, Vec<Problem>)> {
    if !is_kept(db)? {
        return Ok((vec![], vec![]));
    }
    let came = problems(db, only_in!("main.problem", "temp.was_problem"))?;
    let went = problems(db, only_in!("temp.was_problem", "main.problem"))?;
    Ok((came, went))
}

fn problems(db: &Db, statement: &str) -> Result<Vec<Problem>> {
    let mut statement = db.sql.prepare_cached(statement)?;
    let mut rows = statement.query([])?;
    let mut problems = vec![];
    while let Some(row) = rows.next()? {
        let kind: String = row.get(0)?;
        problems.push(Problem {
            kind: ProblemKind::parse(&kind).ok_or_else(|| Failure::damaged("problem", &kind))?,
            object: CsId(row.get(1)?),
            rule: row.get::<_, Option<String>>(2)?.map(|tag| RuleTag(tag.into())),
            attribute: row.get::<_, Option<String>>(3)?.map(Into::into),
            message: row.get(4)?,
        });
    }
    Ok(problems)
}
