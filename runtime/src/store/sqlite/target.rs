//! Objects of targets: what a target showed flows in as confirmed state, with ids that last.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::Export;
use kakehi_engine::object::{AttributeMap, AttributeName, ClassName, ConnectorName, Value};
use kakehi_engine::rule::{Direction, RuleSet};
use kakehi_engine::view::IndexKey;

use super::failure::Result;
use super::ids::{self, Ids};
use super::keys::{self, Kind};
use super::{Db, body, codes, object, references};
use crate::edge::RemoteObject;

/// See [`Store::stage_target`](crate::store::Store::stage_target).
pub(super) fn stage_target(
    db: &Db,
    connector: &ConnectorName,
    objects: &[RemoteObject],
    rules: &RuleSet,
) -> Result<Vec<CsId>> {
    let mut classes = BTreeMap::new();
    let number = db.names.make_connector(&db.sql, connector)?;
    let mut staging = Staging { db, connector: number, ids: Ids::begin(db, ids::OBJECT)? };
    let mut staged = vec![];
    for remote in objects {
        let class = classes
            .entry(&remote.class)
            .or_insert_with(|| Managed::of(rules, connector, &remote.class));
        staged.push(CsId(staging.take(remote, class)?));
    }
    staging.ids.end(db)?;
    Ok(staged)
}

/// Gives a created or changed object the id that the target answered with. Gives `false` if that id
/// belongs to an object that something else is linked to.
pub(super) fn take_id(db: &Db, export: &Export, remote_id: &str) -> Result<bool> {
    let connector = db.names.make_connector(&db.sql, &export.connector)?;
    let known = object::by_anchor(db, connector, remote_id.as_bytes(), &[])?;
    if let Some(known) = known.filter(|known| known.id != export.object.0)
        && !absorb(db, export.object, CsId(known.id))?
    {
        return Ok(false);
    }
    db.sql
        .prepare_cached("UPDATE object SET anchor = ?2, presence = ?3, label = ?4 WHERE id = ?1")?
        .execute((export.object.0, remote_id.as_bytes(), codes::IMPORTED, &export.match_key))?;
    Ok(true)
}

/// Makes `found` one with `object`: its anchor, its confirmed attributes and all that refers to it.
/// Gives `false`, and does nothing, if `found` is linked or another one took it.
pub(super) fn absorb(db: &Db, object: CsId, found: CsId) -> Result<bool> {
    let free: bool = db
        .sql
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM object WHERE id = ?1 AND mv IS NULL)")?
        .query_row([found.0], |row| row.get(0))?;
    if !free {
        return Ok(false);
    }
    db.sql
        .prepare_cached(
            "UPDATE object SET (presence, anchor, label, body) = \
             (SELECT presence, anchor, label, body FROM object WHERE id = ?2) WHERE id = ?1",
        )?
        .execute((object.0, found.0))?;
    db.sql.prepare_cached("DELETE FROM reference WHERE object = ?1")?.execute([object.0])?;
    db.sql
        .prepare_cached("UPDATE reference SET object = ?1 WHERE object = ?2")?
        .execute((object.0, found.0))?;
    db.sql
        .prepare_cached(
            "UPDATE OR REPLACE reference SET target_key = ?1 \
             WHERE target_key = ?2 AND connector = (SELECT connector FROM object WHERE id = ?3)",
        )?
        .execute((object.0.to_string(), found.0.to_string(), found.0))?;
    object::forget(db, found.0)?;
    Ok(true)
}

/// How many values of an attribute an object holds. References are counted, not read.
pub(super) fn held(db: &Db, object: CsId, attribute: &AttributeName) -> Result<u64> {
    let references: i64 = db
        .sql
        .prepare_cached("SELECT count(*) FROM reference WHERE object = ?1 AND attribute = ?2")?
        .query_row((object.0, attribute.as_str()), |row| row.get(0))?;
    let plain = object::plain_attributes(db, object.0)?;
    Ok(references.unsigned_abs() + plain.get(attribute).map_or(0, Vec::len) as u64)
}

/// Whether an object is linked to a metaverse object that exists.
pub(super) fn is_wanted(db: &Db, object: CsId) -> Result<bool> {
    let wanted = db
        .sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM object JOIN mv ON mv.id = object.mv \
             WHERE object.id = ?1)",
        )?
        .query_row([object.0], |row| row.get(0))?;
    Ok(wanted)
}

/// An object left its target, and with it the references to it: whoever had one is looked at again.
pub(super) fn drop_referrers(db: &Db, export: &Export) -> Result<()> {
    let connector = db.names.make_connector(&db.sql, &export.connector)?;
    let key = export.object.0.to_string();
    references::queue_referrers(db, connector, &key)?;
    db.sql
        .prepare_cached("DELETE FROM reference WHERE connector = ?1 AND target_key = ?2")?
        .execute((connector, key))?;
    Ok(())
}

/// The target does not have the object: it is to be created, again.
pub(super) fn not_there(db: &Db, object: CsId) -> Result<()> {
    db.sql
        .prepare_cached(
            "UPDATE object SET presence = ?2, anchor = NULL, body = '{}' WHERE id = ?1",
        )?
        .execute((object.0, codes::EXPORT_ONLY))?;
    db.sql.prepare_cached("DELETE FROM reference WHERE object = ?1")?.execute([object.0])?;
    Ok(())
}

/// Writes the confirmed attributes of an object; those that are references stand in their rows.
pub(super) fn store_body(db: &Db, id: i64, attributes: &AttributeMap) -> Result<()> {
    db.sql
        .prepare_cached("UPDATE object SET body = ?2 WHERE id = ?1")?
        .execute((id, canonical(attributes)))?;
    Ok(())
}

/// What of one object type is kept and found again.
struct Managed {
    attributes: BTreeSet<AttributeName>,
    naming: Option<AttributeName>,
    /// Attributes by which an unlinked object is found, and whether case counts.
    keys: BTreeSet<(AttributeName, bool)>,
}

// === impl Managed ===

impl Managed {
    fn of(rules: &RuleSet, connector: &ConnectorName, class: &ClassName) -> Self {
        let (mut attributes, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for (_, rule) in rules.of(Direction::Outbound, connector) {
            if rule.cs_class == *class {
                attributes.extend(rule.contract.writes.keys().cloned());
                let clauses = rule.join.iter().flatten();
                keys.extend(clauses.map(|clause| (clause.cs.clone(), clause.case_sensitive)));
            }
        }
        let known = rules.connector(connector).and_then(|target| target.classes.get(class));
        let naming = known.and_then(|class| class.naming.clone());
        if let Some(class) = known {
            attributes.extend(class.disable.iter().map(|(attribute, _)| attribute.clone()));
            for attribute in &class.match_by {
                keys.extend([false, true].map(|exact| (attribute.clone(), exact)));
            }
        }
        attributes.extend(naming.clone());
        attributes.extend(keys.iter().map(|(attribute, _)| attribute.clone()));
        Self { attributes, naming, keys }
    }

    fn label(&self, attributes: &AttributeMap) -> Option<String> {
        let value = attributes.get(self.naming.as_ref()?)?.first()?;
        Some(value.as_text()?.into_owned())
    }

    fn keys_of(&self, attributes: &AttributeMap) -> Vec<IndexKey> {
        let mut keys = BTreeSet::new();
        for (attribute, exact) in &self.keys {
            let values = attributes.get(attribute).into_iter().flatten();
            keys.extend(values.filter_map(|value| IndexKey::new(attribute, *exact, value)));
        }
        keys.into_iter().collect()
    }
}

struct Staging<'a> {
    db: &'a Db,
    connector: i64,
    ids: Ids,
}

/// A row as it was before the target showed the object.
struct Before {
    class: i64,
    presence: i64,
    body: String,
    label: Option<String>,
    mv: Option<i64>,
}

// === impl Staging ===

impl Staging<'_> {
    fn take(&mut self, remote: &RemoteObject, managed: &Managed) -> Result<i64> {
        let db = self.db;
        let class = db.names.make_class(&db.sql, &remote.class)?;
        let id = self.find_or_make(&remote.remote_id, class)?;
        let kept = self.kept(remote, managed)?;
        let (body, label) = (canonical(&kept), managed.label(&remote.attributes));
        let before = before(db, id)?;
        let mut differs = references::replace(db, id, self.connector, &rows(&kept))?;
        if before.class != class
            || before.presence != codes::IMPORTED
            || before.body != body
            || before.label != label
        {
            db.sql
                .prepare_cached(
                    "UPDATE object SET class = ?2, presence = ?3, body = ?4, label = ?5 \
                     WHERE id = ?1",
                )?
                .execute((id, class, codes::IMPORTED, body, label))?;
            differs = true;
        }
        match before.mv {
            Some(mv) if differs => object::queue_mv(db, Some(mv))?,
            Some(_) => {}
            None => keys::replace(db, Kind::Unlinked, id, &managed.keys_of(&kept), false)?,
        }
        Ok(id)
    }

    /// The managed attributes, with ids of our objects for remote ids.
    fn kept(&mut self, remote: &RemoteObject, managed: &Managed) -> Result<AttributeMap> {
        let mut kept = AttributeMap::new();
        for (attribute, values) in &remote.attributes {
            if !managed.attributes.contains(attribute) {
                continue;
            }
            let mut translated = Vec::with_capacity(values.len());
            for value in values {
                translated.push(match value {
                    Value::Reference(remote_id) => {
                        Value::Reference(self.referenced(remote_id)?.to_string())
                    }
                    other => other.clone(),
                });
            }
            kept.insert(attribute.clone(), translated);
        }
        Ok(kept)
    }

    /// An object that is only referred to has no type until the target shows it.
    fn referenced(&mut self, remote_id: &str) -> Result<i64> {
        let class = self.db.names.make_class(&self.db.sql, &ClassName::from(""))?;
        self.find_or_make(remote_id, class)
    }

    fn find_or_make(&mut self, remote_id: &str, class: i64) -> Result<i64> {
        let (db, anchor) = (self.db, remote_id.as_bytes());
        if let Some(known) = object::by_anchor(db, self.connector, anchor, &[])? {
            return Ok(known.id);
        }
        let id = self.ids.take();
        db.sql
            .prepare_cached(
                "INSERT INTO object (id, connector, class, presence, anchor) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((id, self.connector, class, codes::PLACEHOLDER, anchor))?;
        Ok(id)
    }
}

fn before(db: &Db, id: i64) -> Result<Before> {
    let mut statement = db
        .sql
        .prepare_cached("SELECT class, presence, body, label, mv FROM object WHERE id = ?1")?;
    let before = statement.query_row([id], |row| {
        Ok(Before {
            class: row.get(0)?,
            presence: row.get(1)?,
            body: row.get(2)?,
            label: row.get(3)?,
            mv: row.get(4)?,
        })
    })?;
    Ok(before)
}

fn rows(attributes: &AttributeMap) -> references::Rows {
    references::references(attributes)
        .map(|(attribute, key)| ((attribute.clone(), key.to_owned()), None))
        .collect()
}

/// Sorted values: a target may answer in any order, and the same answer is the same body.
fn canonical(attributes: &AttributeMap) -> String {
    let mut sorted = attributes.clone();
    sorted.values_mut().for_each(|values| values.sort_unstable());
    body::encode_attributes(&sorted)
}
