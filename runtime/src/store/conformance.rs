//! The conformance suite of the store: every operation as its docstring says, against `&dyn Store`.
//! Stories flow in as batches, outcomes and settlements; what the store then shows is compared.

mod delivery;
mod import;
mod journal;
mod passes;
mod records;
mod target;

use std::collections::BTreeMap;

use kakehi_engine::connector_space::{CsId, CsObject, Link, LinkOrigin, MvId, Presence};
use kakehi_engine::export::{AttributeChange, Export, ExportOp};
use kakehi_engine::metaverse::{MvAttribute, MvObject, Winner};
use kakehi_engine::object::{AttributeMap, ConnectorName, Value};
use kakehi_engine::plan::{Counts, Plan, PlanBasis, PlanId};
use kakehi_engine::rule::{RuleTag, RulesetDigest};
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::{CsUpdate, IndexKey, MvUpdate, Outcome};

use super::sqlite::SqliteStore;
use super::{ShrinkLimit, Staged, Store};
use crate::edge::{Batch, Change, Entry, SourceState};

const NOW: Timestamp = Timestamp(1_000_000);

const UNLIMITED: ShrinkLimit =
    ShrinkLimit { objects_max: u64::MAX, percent_max: 100, accepted: true };

/// A store in a folder of its own, which goes with it.
struct Home {
    folder: tempfile::TempDir,
    store: SqliteStore,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("state")).unwrap();
        Self { folder, store }
    }

    fn store(&self) -> &dyn Store {
        &self.store
    }

    /// The files as they are on the disk now, with the store never closed: what a crash leaves.
    fn crashed(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        for name in ["state.db", "state.db-wal"] {
            std::fs::copy(self.folder.path().join("state").join(name), state.join(name)).unwrap();
        }
        let store = SqliteStore::open(&state).unwrap();
        Self { folder, store }
    }

    /// Everything that is on the disk.
    fn bytes(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for file in std::fs::read_dir(self.folder.path().join("state")).unwrap() {
            let path = file.unwrap().path();
            // SQLite's shared memory holds locks of readers, and no state.
            if path.extension().is_none_or(|extension| extension != "db-shm") {
                files.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
        files
    }
}

fn ldap() -> ConnectorName {
    "ldap".into()
}

fn cloud() -> ConnectorName {
    "cloud".into()
}

fn texts(attributes: &[(&str, &[&str])]) -> AttributeMap {
    let values = |values: &[&str]| values.iter().map(|value| Value::text(*value)).collect();
    attributes.iter().map(|(name, list)| ((*name).into(), values(list))).collect()
}

fn references(attribute: &str, targets: &[&str]) -> AttributeMap {
    let values = targets.iter().map(|target| Value::Reference((*target).into())).collect();
    AttributeMap::from([(attribute.into(), values)])
}

fn entry(anchor: &str, dn: &str, attributes: AttributeMap) -> Entry {
    Entry {
        anchor: kakehi_engine::object::Anchor(anchor.into()),
        dn: dn.into(),
        class: "user".into(),
        attributes,
    }
}

fn user(anchor: &str, mail: &str) -> Change {
    Change::Upsert(entry(anchor, &format!("CN={anchor},DC=x"), texts(&[("mail", &[mail])])))
}

fn group(anchor: &str, members: &[&str]) -> Change {
    Change::Upsert(entry(anchor, &format!("CN={anchor},DC=x"), references("member", members)))
}

fn stage(store: &dyn Store, changes: Vec<Change>) -> Staged {
    stage_in(store, "dc=x", changes, UNLIMITED)
}

fn stage_in(
    store: &dyn Store,
    partition: &str,
    changes: Vec<Change>,
    limit: ShrinkLimit,
) -> Staged {
    let batch = Batch { partition: partition.into(), changes, next: None };
    store.stage(&ldap(), &batch, limit).unwrap()
}

fn listing(generation: u64, shown: Vec<Change>) -> Vec<Change> {
    let mut changes = vec![Change::FullBegin { generation, reason: "operator" }];
    changes.extend(shown);
    changes.push(Change::FullEnd { generation });
    changes
}

fn state(generation: u64) -> SourceState {
    SourceState { cookie: Some(vec![generation as u8]), generation, ..SourceState::default() }
}

/// Objects by what they are called: `CN=` of the DN, else the anchor.
fn ids(store: &dyn Store) -> BTreeMap<String, CsId> {
    let ids: Vec<CsId> = (1..100).map(CsId).collect();
    let objects = store.view().unwrap().cs_objects(&ids);
    let name = |object: &CsObject| match object.dn.strip_prefix("CN=") {
        Some(rest) => rest.split(',').next().unwrap_or(rest).to_owned(),
        None => object.anchor.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    objects.iter().map(|object| (name(object), object.id)).collect()
}

fn object(store: &dyn Store, id: CsId) -> Option<CsObject> {
    store.view().unwrap().cs_objects(&[id]).pop()
}

fn queued(store: &dyn Store) -> (Vec<CsId>, Vec<MvId>) {
    (store.queued_cs(100).unwrap(), store.queued_mv(100).unwrap())
}

/// Takes everything off the queues, as a pass does that wants nothing.
fn drain(store: &dyn Store) {
    let (done_cs, done_mv) = queued(store);
    store.commit(&Outcome { done_cs, done_mv, ..Outcome::default() }).unwrap();
}

fn link(mv: i64) -> Link {
    Link { mv: MvId(mv), rule: RuleTag("in@ldap".into()), origin: LinkOrigin::Projected }
}

fn linked_source(id: CsId, mv: Option<i64>) -> CsUpdate {
    CsUpdate::Source { id, link: mv.map(link), contributions: vec![], waiting: vec![] }
}

fn person(id: i64, mail: &str) -> MvUpdate {
    let winner = Winner { rule: RuleTag("in@ldap".into()), source: CsId(1), retained: false };
    let mail_attribute = MvAttribute { values: vec![Value::text(mail)], winner };
    MvUpdate::Put {
        object: MvObject {
            id: MvId(id),
            class: "person".into(),
            attributes: BTreeMap::from([("mail".into(), mail_attribute)]),
            alive: true,
            orphaned: None,
        },
        keys: vec![IndexKey { scope: "mail~".into(), value: mail.into() }],
    }
}

/// A target object as the engine makes it: to be created, for a metaverse object.
fn provisioned(id: i64, mv: i64) -> CsUpdate {
    CsUpdate::Target {
        object: CsObject {
            id: CsId(id),
            connector: cloud(),
            class: "User".into(),
            anchor: None,
            dn: String::new(),
            presence: Presence::ExportOnly,
            attributes: AttributeMap::new(),
            link: Some(Link { origin: LinkOrigin::Provisioned, ..link(mv) }),
            contributions: vec![],
            deprovisioned: false,
        },
        unlinked: vec![],
    }
}

fn replace(attribute: &str, value: Value) -> AttributeChange {
    AttributeChange {
        attribute: attribute.into(),
        add: vec![],
        remove: vec![],
        replace: Some(vec![value]),
    }
}

fn add(attribute: &str, values: &[&str]) -> AttributeChange {
    let add = values.iter().map(|value| Value::Reference((*value).into())).collect();
    AttributeChange { attribute: attribute.into(), add, remove: vec![], replace: None }
}

fn export(id: i64, op: ExportOp, changes: Vec<AttributeChange>) -> Export {
    Export {
        connector: cloud(),
        object: CsId(id),
        class: "User".into(),
        mv: Some(MvId(id)),
        op,
        rank: 0,
        changes,
        anchor: format!("anchor-{id}"),
        match_key: format!("user-{id}"),
        type_change: false,
        by: vec![],
    }
}

fn user_name(id: i64) -> Vec<AttributeChange> {
    vec![replace("userName", Value::text(format!("user-{id}")))]
}

/// A pass that provisions one target object for each id, with a metaverse object of the same
/// number.
fn provision(store: &dyn Store, ids: &[i64]) {
    let outcome = Outcome {
        cs: ids.iter().map(|id| provisioned(*id, *id)).collect(),
        mv: ids.iter().map(|id| person(*id, &format!("{id}@x"))).collect(),
        exports: ids
            .iter()
            .map(|id| (CsId(*id), Some(export(*id, ExportOp::Add, user_name(*id)))))
            .collect(),
        ..Outcome::default()
    };
    store.commit(&outcome).unwrap();
    let looked_up: Vec<_> = ids.iter().map(|id| (CsId(*id), vec![])).collect();
    store.matched(&looked_up).unwrap();
}

fn put_export(store: &dyn Store, export: Export) {
    let exports = vec![(export.object, Some(export))];
    store.commit(&Outcome { exports, ..Outcome::default() }).unwrap();
}

fn plan(id: &str) -> Plan {
    let counts = Counts { add: 1, ..Counts::default() };
    Plan {
        id: PlanId(id.into()),
        basis: PlanBasis {
            parent: None,
            ruleset: RulesetDigest("rules".into()),
            config: "config".into(),
            undoes: None,
        },
        counts: BTreeMap::from([(cloud(), counts)]),
        trips: vec![],
    }
}
