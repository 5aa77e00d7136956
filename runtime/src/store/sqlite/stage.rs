//! Import: batches of a source flow in and become rows; what did not change costs a digest and a
//! look-up and nothing else (PF-12). The state that covers a batch is stored with it (L-02).

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::CsId;
use kakehi_engine::fingerprint::fingerprint;
use kakehi_engine::object::{Anchor, AttributeMap, AttributeName, ConnectorName, Value, dn_key};
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::scope::MEMBERSHIPS;
use rusqlite::OptionalExtension;

use super::failure::{Failure, Result};
use super::ids::{self, Ids};
use super::object::{self, Known};
use super::{Db, body, codes, references, watched};
use crate::edge::{Batch, Change, Entry, Partial, SourceState};
use crate::store::{ShrinkLimit, Staged};

pub(super) fn source_states(
    db: &Db,
    connector: &ConnectorName,
) -> Result<BTreeMap<String, SourceState>> {
    let Some(connector) = db.names.connector_id(&db.sql, connector)? else {
        return Ok(BTreeMap::new());
    };
    let mut statement = db.sql.prepare_cached(
        "SELECT partition, state FROM source_state WHERE connector = ?1 AND state IS NOT NULL",
    )?;
    let mut rows = statement.query([connector])?;
    let mut states = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_str().map_err(object::column)?;
        let state =
            serde_json::from_str(text).map_err(|error| Failure::damaged("source state", error))?;
        states.insert(row.get(0)?, state);
    }
    Ok(states)
}

/// See [`Store::stage`](crate::store::Store::stage).
pub(super) fn stage(
    db: &Db,
    connector: &ConnectorName,
    batch: &Batch,
    limit: ShrinkLimit,
) -> Result<Staged> {
    if batch.changes.is_empty() && batch.next.is_none() {
        return Ok(Staged::default());
    }
    let mut staging = Staging::begin(db, connector, &batch.partition)?;
    for change in &batch.changes {
        staging.take(change, limit)?;
    }
    staging.end(batch.next.as_ref())
}

/// One batch on its way into the rows.
struct Staging<'a> {
    db: &'a Db,
    connector: i64,
    partition: i64,
    ids: Ids,
    staged: Staged,
    /// Faults of this batch, by anchor.
    faults: BTreeMap<&'a Anchor, Vec<(&'a AttributeName, &'a str)>>,
    /// Whether some object has a stored fault: only then shown objects are looked at for one.
    any_fault_stored: bool,
}

// === impl Staging ===

impl<'a> Staging<'a> {
    fn begin(db: &'a Db, connector: &ConnectorName, partition: &str) -> Result<Self> {
        let connector = db.names.make_connector(&db.sql, connector)?;
        let any_fault_stored = db
            .sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM problem WHERE phase = ?1)")?
            .query_row([codes::PHASE_IMPORT], |row| row.get(0))?;
        Ok(Self {
            db,
            connector,
            partition: partition_id(db, connector, partition)?,
            ids: Ids::begin(db, ids::OBJECT)?,
            staged: Staged::default(),
            faults: BTreeMap::new(),
            any_fault_stored,
        })
    }

    fn take(&mut self, change: &'a Change, limit: ShrinkLimit) -> Result<()> {
        match change {
            Change::FullBegin { generation, .. } => {
                self.db.listings.begin(self.partition, *generation);
                Ok(())
            }
            Change::Upsert(entry) => self.upsert(entry),
            Change::Partial(partial) => self.partial(partial),
            Change::Present { anchors } => {
                anchors.iter().try_for_each(|anchor| self.present(anchor))
            }
            Change::Delete { anchor } => self.delete(anchor),
            Change::FullEnd { generation } => self.sweep(*generation, limit),
            Change::Fault { anchor, attribute, message } => {
                self.faults.entry(anchor).or_default().push((attribute, message));
                Ok(())
            }
        }
    }

    fn end(mut self, next: Option<&SourceState>) -> Result<Staged> {
        self.store_faults()?;
        // A sweep that is held is to be met again: the next poll lists everything anew.
        let next = next.filter(|_| self.staged.held.is_none());
        if let Some(state) = next {
            store_state(self.db, self.partition, state)?;
        }
        self.ids.end(self.db)?;
        Ok(self.staged)
    }

    fn upsert(&mut self, entry: &'a Entry) -> Result<()> {
        if self.any_fault_stored {
            self.faults.entry(&entry.anchor).or_default();
        }
        self.put(entry)
    }

    fn put(&mut self, entry: &Entry) -> Result<()> {
        let mark = fingerprint(&entry.class, &entry.dn, &entry.attributes).0;
        let known = object::by_anchor(self.db, self.connector, &entry.anchor.0, &mark)?;
        let id = match known {
            Some(known) if known.same && known.presence == codes::IMPORTED => {
                self.staged.unchanged += 1;
                known.id
            }
            Some(known) => self.replace(&known, entry, &mark)?,
            None => self.insert(entry, &mark)?,
        };
        self.db.listings.stamp(self.partition, id);
        Ok(())
    }

    fn insert(&mut self, entry: &Entry, mark: &[u8]) -> Result<i64> {
        let (db, id) = (self.db, self.ids.take());
        db.sql
            .prepare_cached(
                "INSERT INTO object (id, connector, class, partition, presence, fingerprint, \
                 anchor, dn, dn_key, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute((
                id,
                self.connector,
                db.names.make_class(&db.sql, &entry.class)?,
                self.partition,
                codes::IMPORTED,
                mark,
                &entry.anchor.0,
                &entry.dn,
                key_of(&entry.dn, &entry.anchor),
                body::encode_attributes(&entry.attributes),
            ))?;
        for ((attribute, key), dn) in references::of_source(&entry.attributes) {
            references::insert(db, id, self.connector, &attribute, &key, dn.as_deref())?;
        }
        object::queue(db, self.connector, id)?;
        watched::queue_changed(db, self.connector, CsId(id), &BTreeSet::new())?;
        self.staged.changed += 1;
        Ok(id)
    }

    fn replace(&mut self, known: &Known, entry: &Entry, mark: &[u8]) -> Result<i64> {
        let (db, id) = (self.db, known.id);
        let members = watched::members(db, CsId(id))?;
        let key = key_of(&entry.dn, &entry.anchor);
        let old_key: Option<String> = db
            .sql
            .prepare_cached("SELECT dn_key FROM object WHERE id = ?1")?
            .query_row([id], |row| row.get(0))?;
        db.sql
            .prepare_cached(
                "UPDATE object SET class = ?2, partition = ?3, presence = ?4, fingerprint = ?5, \
                 dn = ?6, dn_key = ?7, body = ?8 WHERE id = ?1",
            )?
            .execute((
                id,
                db.names.make_class(&db.sql, &entry.class)?,
                self.partition,
                codes::IMPORTED,
                mark,
                &entry.dn,
                &key,
                body::encode_attributes(&entry.attributes),
            ))?;
        if let Some(old_key) = old_key.filter(|old_key| *old_key != key) {
            // A rename is not reported for those who refer to the object, and they still mean it
            // (L-01).
            references::follow(db, self.connector, &old_key, &key, &entry.dn)?;
            for key in [&old_key, &key] {
                references::queue_referrers(db, self.connector, key)?;
            }
        }
        let wanted = references::of_source(&entry.attributes);
        references::replace(db, id, self.connector, &wanted)?;
        object::queue(db, self.connector, id)?;
        watched::queue_changed(db, self.connector, CsId(id), &members)?;
        self.staged.changed += 1;
        Ok(id)
    }

    fn partial(&mut self, partial: &'a Partial) -> Result<()> {
        let Some(known) = self.find(&partial.anchor)? else {
            // Not whole and not known: the connector reads such an object by its id (L-54).
            return Ok(());
        };
        let Some(object) = object::load(self.db, CsId(known.id))? else {
            return Ok(());
        };
        let mut entry = Entry {
            anchor: partial.anchor.clone(),
            dn: partial.dn.clone().unwrap_or(object.dn),
            class: object.class,
            attributes: object.attributes,
        };
        entry.attributes.remove(MEMBERSHIPS);
        apply(partial, &mut entry.attributes);
        self.put(&entry)
    }

    /// Alive and unchanged. What was taken for deleted meanwhile is there again.
    fn present(&mut self, anchor: &Anchor) -> Result<()> {
        let Some(known) = self.find(anchor)? else {
            return Ok(());
        };
        self.db.listings.stamp(self.partition, known.id);
        if known.presence != codes::DELETED {
            self.staged.unchanged += 1;
            return Ok(());
        }
        self.set_presence(known.id, codes::IMPORTED)?;
        self.staged.changed += 1;
        Ok(())
    }

    fn delete(&mut self, anchor: &Anchor) -> Result<()> {
        match self.find(anchor)? {
            Some(known) if known.presence != codes::DELETED => self.remove(known.id),
            _ => Ok(()),
        }
    }

    /// An object that nothing hangs on goes at once; of any other the contributions are recalled
    /// first.
    fn remove(&mut self, id: i64) -> Result<()> {
        let idle: bool = self
            .db
            .sql
            .prepare_cached("SELECT mv IS NULL AND contributions = '[]' FROM object WHERE id = ?1")?
            .query_row([id], |row| row.get(0))?;
        self.staged.deleted += 1;
        if !idle {
            return self.set_presence(id, codes::DELETED);
        }
        let members = watched::members(self.db, CsId(id))?;
        object::forget(self.db, id)?;
        watched::queue_changed(self.db, self.connector, CsId(id), &members)
    }

    fn set_presence(&self, id: i64, presence: i64) -> Result<()> {
        let members = watched::members(self.db, CsId(id))?;
        self.db
            .sql
            .prepare_cached("UPDATE object SET presence = ?2 WHERE id = ?1")?
            .execute((id, presence))?;
        watched::queue_changed(self.db, self.connector, CsId(id), &members)?;
        object::queue(self.db, self.connector, id)
    }

    /// Removes what the listing did not show, within the limit (L-41, L-43).
    fn sweep(&mut self, generation: u64, limit: ShrinkLimit) -> Result<()> {
        let Some(seen) = self.db.listings.end(self.partition, generation) else {
            return Ok(());
        };
        let (mut known, mut gone) = (0, vec![]);
        {
            let mut statement = self.db.sql.prepare_cached(
                "SELECT id FROM object WHERE connector = ?1 AND partition = ?2 AND presence = ?3",
            )?;
            let mut rows = statement.query((self.connector, self.partition, codes::IMPORTED))?;
            while let Some(row) = rows.next()? {
                known += 1;
                let id = row.get(0)?;
                if !seen.contains(id) {
                    gone.push(id);
                }
            }
        }
        if exceeds(limit, gone.len() as u64, known) {
            self.staged.held = Some((gone.len() as u64, known));
            return Ok(());
        }
        gone.into_iter().try_for_each(|id| self.remove(id))
    }

    fn find(&self, anchor: &Anchor) -> Result<Option<Known>> {
        object::by_anchor(self.db, self.connector, &anchor.0, &[])
    }

    /// Replaces the decoding problems of the objects that were shown, where they differ.
    fn store_faults(&mut self) -> Result<()> {
        for (anchor, faults) in std::mem::take(&mut self.faults) {
            let Some(known) = self.find(anchor)? else {
                continue;
            };
            let stored: Vec<(String, String)> = self
                .db
                .sql
                .prepare_cached(
                    "SELECT attribute, message FROM problem \
                     WHERE phase = ?1 AND subject = ?2 ORDER BY ordinal",
                )?
                .query_map((codes::PHASE_IMPORT, known.id), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let same = stored.len() == faults.len()
                && stored.iter().zip(&faults).all(|((attribute, message), fault)| {
                    attribute == fault.0.as_str() && message == fault.1
                });
            if !same {
                self.replace_faults(known.id, &faults)?;
            }
        }
        Ok(())
    }

    fn replace_faults(&self, id: i64, faults: &[(&AttributeName, &str)]) -> Result<()> {
        self.db
            .sql
            .prepare_cached("DELETE FROM problem WHERE phase = ?1 AND subject = ?2")?
            .execute((codes::PHASE_IMPORT, id))?;
        let mut insert = self.db.sql.prepare_cached(
            "INSERT INTO problem (phase, subject, ordinal, kind, object, attribute, message) \
             VALUES (?1, ?2, ?3, ?4, ?2, ?5, ?6)",
        )?;
        let kind = ProblemKind::Decode.as_str();
        for (ordinal, (attribute, message)) in faults.iter().enumerate() {
            insert.execute((
                codes::PHASE_IMPORT,
                id,
                ordinal as i64,
                kind,
                attribute.as_str(),
                message,
            ))?;
        }
        Ok(())
    }
}

/// The key that references lead to: of the DN or, where there are no DNs, of the anchor.
fn key_of(dn: &str, anchor: &Anchor) -> String {
    if dn.is_empty() { dn_key(&anchor.to_string()) } else { dn_key(dn) }
}

fn partition_id(db: &Db, connector: i64, partition: &str) -> Result<i64> {
    let found = db
        .sql
        .prepare_cached("SELECT id FROM source_state WHERE connector = ?1 AND partition = ?2")?
        .query_row((connector, partition), |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    Ok(db
        .sql
        .prepare_cached("INSERT INTO source_state (connector, partition) VALUES (?1, ?2)")?
        .insert((connector, partition))?)
}

/// Writes the state only if it is another one: a batch without changes writes nothing.
fn store_state(db: &Db, partition: i64, state: &SourceState) -> Result<()> {
    let text =
        serde_json::to_string(state).map_err(|error| Failure::damaged("source state", error))?;
    let stored: Option<String> = db
        .sql
        .prepare_cached("SELECT state FROM source_state WHERE id = ?1")?
        .query_row([partition], |row| row.get(0))?;
    if stored.as_ref() != Some(&text) {
        db.sql
            .prepare_cached("UPDATE source_state SET state = ?2 WHERE id = ?1")?
            .execute((partition, text))?;
    }
    Ok(())
}

fn exceeds(limit: ShrinkLimit, gone: u64, known: u64) -> bool {
    !limit.accepted
        && (gone > limit.objects_max
            || gone.saturating_mul(100) > known.saturating_mul(limit.percent_max))
}

/// Carries a partial change out on the attributes of an object.
fn apply(partial: &Partial, attributes: &mut AttributeMap) {
    for (name, values) in &partial.set {
        attributes.insert(name.clone(), values.clone());
    }
    for (name, removed) in &partial.remove {
        let Some(values) = attributes.get_mut(name) else { continue };
        let removed: BTreeSet<_> = removed.iter().map(identity).collect();
        values.retain(|value| !removed.contains(&identity(value)));
    }
    for (name, added) in &partial.add {
        let values = attributes.entry(name.clone()).or_default();
        let known: BTreeSet<_> = values.iter().map(identity).collect();
        let new: Vec<_> =
            added.iter().filter(|value| !known.contains(&identity(value))).cloned().collect();
        values.extend(new);
    }
    attributes.retain(|_, values| !values.is_empty());
}

/// By what two values are the same: references by the key of their DN, whatever their spelling.
fn identity(value: &Value) -> Value {
    match value {
        Value::Reference(dn) => Value::Reference(dn_key(dn)),
        other => other.clone(),
    }
}
