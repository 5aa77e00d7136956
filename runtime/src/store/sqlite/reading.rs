//! For those who look: lists of ids, and names that were perhaps meant.

use std::collections::BTreeSet;

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{Anchor, ClassName, ConnectorName};
use kakehi_engine::problem::Problem;
use rusqlite::Params;

use super::failure::Result;
use super::{Db, SqliteStore, codes, explain, export, noted};
use crate::config::nearest::nearest as nearest_name;
use crate::store::reading::{LinkCount, Reading};
use crate::store::{PendingExport, StoreError};

/// Keys of one index that are held against a misspelt name.
const KEYS_COMPARED_MAX: i64 = 5_000;

/// Letters in the beginning that are taken to be right.
const LETTERS_RIGHT: usize = 2;

impl Reading for SqliteStore {
    fn nearest(&self, text: &str, limit: usize) -> std::result::Result<Vec<String>, StoreError> {
        self.read("search", |db| nearest(db, text, limit))
    }

    fn unlinked_sources(
        &self,
        connector: Option<&ConnectorName>,
    ) -> std::result::Result<Vec<CsId>, StoreError> {
        self.read("list objects of", |db| unlinked_sources(db, connector))
    }

    fn linked_objects(&self) -> std::result::Result<Vec<CsId>, StoreError> {
        self.read("list the links of", |db| {
            ids(db, "SELECT id FROM object WHERE mv IS NOT NULL ORDER BY id", [])
                .map(|ids| ids.into_iter().map(CsId).collect())
        })
    }

    fn link_counts(&self) -> std::result::Result<Vec<LinkCount>, StoreError> {
        self.read("count the links of", link_counts)
    }

    fn mv_of_class(&self, class: &ClassName) -> std::result::Result<Vec<MvId>, StoreError> {
        self.read("list objects of", |db| {
            let wanted = "SELECT mv.id FROM mv JOIN class ON class.id = mv.class \
                          WHERE class.name = ?1 ORDER BY mv.id";
            Ok(ids(db, wanted, [class.as_str()])?.into_iter().map(MvId).collect())
        })
    }

    fn sources_of(
        &self,
        connector: &ConnectorName,
        class: &ClassName,
    ) -> std::result::Result<Vec<CsId>, StoreError> {
        self.read("list objects of", |db| {
            let wanted = "SELECT object.id FROM object \
                          JOIN connector ON connector.id = object.connector \
                          JOIN class ON class.id = object.class \
                          WHERE connector.name = ?1 AND class.name = ?2 AND presence = ?3 \
                          ORDER BY object.id";
            let found = ids(db, wanted, (connector.as_str(), class.as_str(), codes::IMPORTED))?;
            Ok(found.into_iter().map(CsId).collect())
        })
    }

    fn with_anchor(
        &self,
        connector: &ConnectorName,
        anchors: &[Anchor],
    ) -> std::result::Result<Vec<CsId>, StoreError> {
        self.read("search", |db| {
            let wanted = "SELECT object.id FROM object \
                          JOIN connector ON connector.id = object.connector \
                          WHERE connector.name = ?1 AND object.anchor = ?2";
            let mut found = vec![];
            for anchor in anchors {
                found.extend(ids(db, wanted, (connector.as_str(), &anchor.0))?);
            }
            found.sort_unstable();
            Ok(found.into_iter().map(CsId).collect())
        })
    }

    fn referrers(&self, mv: MvId, limit: usize) -> std::result::Result<Vec<MvId>, StoreError> {
        self.read("read references from", |db| {
            let wanted = "SELECT DISTINCT referrer.mv FROM object \
                          JOIN reference ON reference.connector = object.connector \
                            AND reference.target_key = object.dn_key \
                          JOIN object AS referrer ON referrer.id = reference.object \
                          WHERE object.mv = ?1 AND referrer.mv IS NOT NULL \
                          ORDER BY referrer.mv LIMIT ?2";
            Ok(ids(db, wanted, (mv.0, limit as i64))?.into_iter().map(MvId).collect())
        })
    }

    fn pending_of(&self, ids: &[CsId]) -> std::result::Result<Vec<PendingExport>, StoreError> {
        self.read("read pending exports from", |db| {
            ids.iter().filter_map(|id| export::of_object(db, *id).transpose()).collect()
        })
    }

    fn changed_objects(&self) -> std::result::Result<Vec<CsId>, StoreError> {
        self.read("read the notes of", noted::changed_objects)
    }

    fn objects_before(
        &self,
        ids: &[CsId],
    ) -> std::result::Result<Vec<Option<CsObject>>, StoreError> {
        self.read("read the notes of", |db| {
            ids.iter().map(|id| noted::object_before(db, *id)).collect()
        })
    }

    fn mv_before(&self, id: MvId) -> std::result::Result<Option<MvObject>, StoreError> {
        self.read("read the notes of", |db| noted::mv_before(db, id))
    }

    fn problems_moved(&self) -> std::result::Result<(Vec<Problem>, Vec<Problem>), StoreError> {
        self.read("read the notes of", noted::problems_moved)
    }
}

fn ids(db: &Db, statement: &str, parameters: impl Params) -> Result<Vec<i64>> {
    let mut statement = db.sql.prepare_cached(statement)?;
    let ids = statement.query_map(parameters, |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn unlinked_sources(db: &Db, connector: Option<&ConnectorName>) -> Result<Vec<CsId>> {
    let wanted = match connector {
        Some(name) => db.names.connector_id(&db.sql, name)?.unwrap_or(-1),
        None => 0,
    };
    let statement = "SELECT id FROM object WHERE mv IS NULL AND presence = ?1 \
                     AND connector IN (SELECT connector FROM source_state) \
                     AND (?2 = 0 OR connector = ?2) ORDER BY id";
    Ok(ids(db, statement, (codes::IMPORTED, wanted))?.into_iter().map(CsId).collect())
}

fn link_counts(db: &Db) -> Result<Vec<LinkCount>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT connector, link_rule, link_origin, count(*) FROM object \
         WHERE mv IS NOT NULL AND link_rule IS NOT NULL AND link_origin IS NOT NULL \
         GROUP BY connector, link_rule, link_origin ORDER BY connector, link_rule, link_origin",
    )?;
    let mut rows = statement.query([])?;
    let mut counts = vec![];
    while let Some(row) = rows.next()? {
        counts.push(LinkCount {
            connector: db.names.connector(&db.sql, row.get(0)?)?,
            rule: kakehi_engine::rule::RuleTag(row.get::<_, String>(1)?.into()),
            origin: codes::origin(row.get(2)?)?,
            links: row.get::<_, i64>(3)?.unsigned_abs(),
        });
    }
    Ok(counts)
}

/// Keys that begin like the text and are near to it, then names that hold it.
fn nearest(db: &Db, text: &str, limit: usize) -> Result<Vec<String>> {
    let folded = text.to_lowercase();
    let beginning: String = folded.chars().take(LETTERS_RIGHT).collect();
    let mut found: Vec<String> = vec![];
    if !beginning.is_empty() {
        let mut lists = vec![];
        for (kind, scope) in scopes(db)? {
            lists.push(keys_from(db, (kind, &scope), &beginning)?);
        }
        lists.push(explain::names_beginning(db, &beginning, KEYS_COMPARED_MAX as usize)?);
        for mut keys in lists {
            while let Some(near) = nearest_name(&folded, keys.iter().map(String::as_str)) {
                let near = near.to_owned();
                keys.retain(|key| *key != near);
                if !found.contains(&near) {
                    found.push(near);
                }
                if found.len() >= limit {
                    return Ok(found);
                }
            }
        }
    }
    for name in explain::names_holding(db, &folded, limit)? {
        if found.len() < limit && !found.contains(&name) {
            found.push(name);
        }
    }
    Ok(found)
}

/// Every attribute that is indexed, with the kind of its index: one step into the index for each.
pub(super) fn scopes(db: &Db) -> Result<Vec<(i64, String)>> {
    let mut next = db.sql.prepare_cached(
        "SELECT kind, scope FROM key WHERE (kind, scope) > (?1, ?2) ORDER BY kind, scope LIMIT 1",
    )?;
    let mut scopes: Vec<(i64, String)> = vec![];
    let mut last = (-1, String::new());
    loop {
        let mut rows = next.query((last.0, &last.1))?;
        let Some(row) = rows.next()? else { return Ok(scopes) };
        last = (row.get(0)?, row.get(1)?);
        scopes.push(last.clone());
    }
}

fn keys_from(db: &Db, (kind, scope): (i64, &str), beginning: &str) -> Result<BTreeSet<String>> {
    let end = format!("{beginning}\u{10ffff}");
    let mut statement = db.sql.prepare_cached(
        "SELECT value FROM key WHERE kind = ?1 AND scope = ?2 AND value >= ?3 AND value < ?4 \
         LIMIT ?5",
    )?;
    let keys =
        statement.query_map((kind, scope, beginning, end, KEYS_COMPARED_MAX), |row| row.get(0))?;
    Ok(keys.collect::<rusqlite::Result<_>>()?)
}
