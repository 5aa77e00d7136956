//! The engine's view of the state: ids and keys flow in, objects flow out, all of one moment.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::MutexGuard;

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{AttributeName, ClassName, ConnectorName, ReferenceKey};
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::{IndexKey, LinkedObject, Resolved, View};
use rusqlite::OptionalExtension;

use super::failure::{Failure, Result};
use super::keys::{self, Kind};
use super::{Db, body, codes, ids, object};
use crate::store::{CheckedView, StoreError};

/// Holds the connection: nothing can be written while a view is open.
pub(super) struct SqliteView<'a> {
    db: MutexGuard<'a, Db>,
    failed: RefCell<Option<Failure>>,
}

// === impl SqliteView ===

impl<'a> SqliteView<'a> {
    pub(super) fn begin(db: MutexGuard<'a, Db>) -> Result<Self> {
        // One read transaction instead of one for each look-up.
        db.sql.execute_batch("BEGIN")?;
        Ok(Self { db, failed: RefCell::new(None) })
    }

    /// What was read, or nothing; the first failure is remembered.
    fn checked<T: Default>(&self, read: impl FnOnce(&Db) -> Result<T>) -> T {
        read(&self.db).unwrap_or_else(|failure| {
            self.failed.borrow_mut().get_or_insert(failure);
            T::default()
        })
    }
}

impl Drop for SqliteView<'_> {
    fn drop(&mut self) {
        // Nothing was written, so there is nothing to lose if this fails; the next transaction
        // would say so.
        let _ = self.db.sql.execute_batch("COMMIT");
    }
}

impl CheckedView for SqliteView<'_> {
    fn check(&self) -> std::result::Result<(), StoreError> {
        self.failed.take().map_or(Ok(()), |failure| Err(failure.during("read")))
    }
}

impl View for SqliteView<'_> {
    fn cs_objects(&self, ids: &[CsId]) -> Vec<CsObject> {
        self.checked(|db| {
            let ids: BTreeSet<CsId> = ids.iter().copied().collect();
            ids.into_iter().filter_map(|id| object::load(db, id).transpose()).collect()
        })
    }

    fn mv_objects(&self, ids: &[MvId]) -> Vec<MvObject> {
        self.checked(|db| {
            let ids: BTreeSet<MvId> = ids.iter().copied().collect();
            ids.into_iter().filter_map(|id| mv_object(db, id).transpose()).collect()
        })
    }

    fn linked(&self, ids: &[MvId]) -> BTreeMap<MvId, Vec<LinkedObject>> {
        self.checked(|db| {
            let mut links = BTreeMap::new();
            for id in ids {
                let linked = linked_objects(db, *id)?;
                if !linked.is_empty() {
                    links.insert(*id, linked);
                }
            }
            Ok(links)
        })
    }

    fn join_candidates(&self, key: &IndexKey) -> Vec<MvId> {
        self.checked(|db| Ok(keys::with(db, Kind::Join, key)?.into_iter().map(MvId).collect()))
    }

    fn waiting(&self, key: &IndexKey) -> Vec<CsId> {
        self.checked(|db| Ok(keys::with(db, Kind::Waiting, key)?.into_iter().map(CsId).collect()))
    }

    fn unlinked_targets(&self, connector: &ConnectorName, key: &IndexKey) -> Vec<CsId> {
        self.checked(|db| {
            let Some(connector) = db.names.connector_id(&db.sql, connector)? else {
                return Ok(vec![]);
            };
            let mut ids = vec![];
            for id in keys::with(db, Kind::Unlinked, key)? {
                if connector_of(db, id)? == Some(connector) {
                    ids.push(CsId(id));
                }
            }
            Ok(ids)
        })
    }

    fn resolve(&self, keys: &[ReferenceKey]) -> Vec<Option<Resolved>> {
        let mut answers =
            self.checked(|db| keys.iter().map(|key| resolve(db, key)).collect::<Result<Vec<_>>>());
        answers.resize(keys.len(), None);
        answers
    }

    fn targets_of(&self, ids: &[MvId], connector: &ConnectorName) -> Vec<Option<CsId>> {
        let mut answers = self.checked(|db| {
            let Some(connector) = db.names.connector_id(&db.sql, connector)? else {
                return Ok(vec![]);
            };
            ids.iter().map(|id| target_of(db, *id, connector)).collect::<Result<Vec<_>>>()
        });
        answers.resize(ids.len(), None);
        answers
    }

    fn not_persisted(&self, connector: &ConnectorName) -> BTreeSet<(ClassName, AttributeName)> {
        self.checked(|db| {
            let Some(connector) = db.names.connector_id(&db.sql, connector)? else {
                return Ok(BTreeSet::new());
            };
            let mut statement = db
                .sql
                .prepare_cached("SELECT class, attribute FROM learned WHERE connector = ?1")?;
            let mut rows = statement.query([connector])?;
            let mut learned = BTreeSet::new();
            while let Some(row) = rows.next()? {
                let class = db.names.class(&db.sql, row.get(0)?)?;
                learned.insert((class, row.get::<_, String>(1)?.into()));
            }
            Ok(learned)
        })
    }

    fn next_ids(&self) -> (CsId, MvId) {
        let next = |key| self.checked(|db| Ok(Some(ids::next(db, key)?)));
        // A failed read gives ids that nothing is stored under: its outcome may not be used anyway.
        let free = |id: Option<i64>| id.unwrap_or(i64::MAX / 2);
        (CsId(free(next(ids::OBJECT))), MvId(free(next(ids::MV))))
    }
}

pub(super) fn mv_object(db: &Db, id: MvId) -> Result<Option<MvObject>> {
    let mut statement =
        db.sql.prepare_cached("SELECT class, alive, body, orphaned FROM mv WHERE id = ?1")?;
    let mut rows = statement.query([id.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let class = db.names.class(&db.sql, row.get(0)?)?;
    let attributes = body::decode_mv(row.get_ref(2)?.as_str().map_err(object::column)?)?;
    let orphaned = row.get::<_, Option<i64>>(3)?.map(Timestamp);
    Ok(Some(MvObject { id, class, attributes, alive: row.get(1)?, orphaned }))
}

pub(super) fn linked_objects(db: &Db, id: MvId) -> Result<Vec<LinkedObject>> {
    let mut statement =
        db.sql.prepare_cached("SELECT id, connector FROM object WHERE mv = ?1 ORDER BY id")?;
    let mut rows = statement.query([id.0])?;
    let mut linked = vec![];
    while let Some(row) = rows.next()? {
        let connector = db.names.connector(&db.sql, row.get(1)?)?;
        linked.push(LinkedObject { cs: CsId(row.get(0)?), connector });
    }
    Ok(linked)
}

/// Two objects can have one DN while the older one was not swept yet: the one that was seen counts,
/// of several the newest.
fn resolve(db: &Db, key: &ReferenceKey) -> Result<Option<Resolved>> {
    let Some(connector) = db.names.connector_id(&db.sql, &key.connector)? else {
        return Ok(None);
    };
    let found = db
        .sql
        .prepare_cached(
            "SELECT id, mv FROM object WHERE connector = ?1 AND dn_key = ?2 \
             ORDER BY presence = ?3 DESC, id DESC LIMIT 1",
        )?
        .query_row((connector, &key.key, codes::IMPORTED), |row| {
            let mv: Option<i64> = row.get(1)?;
            Ok(Resolved { cs: CsId(row.get(0)?), mv: mv.map(MvId) })
        })
        .optional()?;
    Ok(found)
}

fn target_of(db: &Db, mv: MvId, connector: i64) -> Result<Option<CsId>> {
    let found = db
        .sql
        .prepare_cached(
            "SELECT id FROM object WHERE mv = ?1 AND connector = ?2 ORDER BY id LIMIT 1",
        )?
        .query_row((mv.0, connector), |row| row.get(0).map(CsId))
        .optional()?;
    Ok(found)
}

fn connector_of(db: &Db, id: i64) -> Result<Option<i64>> {
    let mut statement = db.sql.prepare_cached("SELECT connector FROM object WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}
