//! The state in memory: the store's contract in its plainest form, without indexes where looking
//! through everything will do. [`View`] flows out to the engine, [`Outcome`]s flow back in.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::{CsId, CsObject, MvId, Presence};
use kakehi_engine::export::{AttributeChange, Export, ExportOp, apply};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{Anchor, AttributeName, ClassName, ConnectorName, ReferenceKey, Value};
use kakehi_engine::plan::{Plan, PlanBasis, PlanBuilder};
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::{Need, Revision, RulesRecord};
use kakehi_engine::synchronize::{inbound, outbound, resolve};
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::{
    Counters, CsUpdate, IndexKey, LinkedObject, MvUpdate, Outcome, Phase, Resolved, View,
};

use crate::model::Entry;
use crate::rulebook::Rulebook;

/// More passes than any drain of a small world needs: two rules that undo each other would run for
/// ever.
const PASSES_MAX: usize = 10_000;

/// A pending export, and whether a request for it was begun and never settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    pub export: Export,
    pub in_doubt: bool,
}

#[derive(Clone, Default)]
pub struct World {
    pub cs: BTreeMap<CsId, CsObject>,
    pub mv: BTreeMap<MvId, MvObject>,
    pub exports: BTreeMap<CsId, Pending>,
    pub problems: BTreeMap<(Phase, i64), Vec<Problem>>,
    /// Everything counted since the world began.
    pub counters: Counters,
    join_keys: BTreeMap<MvId, BTreeSet<IndexKey>>,
    waiting: BTreeMap<CsId, BTreeSet<IndexKey>>,
    unlinked: BTreeMap<CsId, BTreeSet<IndexKey>>,
    queued_cs: BTreeSet<CsId>,
    queued_mv: BTreeSet<MvId>,
    queued_resolve: BTreeSet<MvId>,
    /// The instant of the next run.
    pub now: Timestamp,
    /// Of the rules that everything not queued was evaluated with.
    record: Option<RulesRecord>,
    /// Ids given away so far.
    last_cs: i64,
    last_mv: i64,
}

impl View for World {
    fn cs_objects(&self, ids: &[CsId]) -> Vec<CsObject> {
        let ids: BTreeSet<&CsId> = ids.iter().collect();
        ids.into_iter().filter_map(|id| self.cs.get(id)).cloned().collect()
    }

    fn mv_objects(&self, ids: &[MvId]) -> Vec<MvObject> {
        let ids: BTreeSet<&MvId> = ids.iter().collect();
        ids.into_iter().filter_map(|id| self.mv.get(id)).cloned().collect()
    }

    fn linked(&self, ids: &[MvId]) -> BTreeMap<MvId, Vec<LinkedObject>> {
        let mut linked: BTreeMap<MvId, Vec<LinkedObject>> = BTreeMap::new();
        for (cs, mv) in self.links().filter(|(_, mv)| ids.contains(mv)) {
            let object = LinkedObject { cs: cs.id, connector: cs.connector.clone() };
            linked.entry(mv).or_default().push(object);
        }
        linked
    }

    fn join_candidates(&self, key: &IndexKey) -> Vec<MvId> {
        holders(&self.join_keys, key)
    }

    fn waiting(&self, key: &IndexKey) -> Vec<CsId> {
        holders(&self.waiting, key)
    }

    fn unlinked_targets(&self, connector: &ConnectorName, key: &IndexKey) -> Vec<CsId> {
        let mut ids = holders(&self.unlinked, key);
        ids.retain(|id| self.cs[id].connector == *connector);
        ids
    }

    fn resolve(&self, keys: &[ReferenceKey]) -> Vec<Option<Resolved>> {
        let mut known: BTreeMap<ReferenceKey, Resolved> = BTreeMap::new();
        for object in self.cs.values() {
            if object.presence == Presence::Imported && !object.dn.is_empty() {
                let key = ReferenceKey::of_dn(&object.connector, &object.dn);
                let mv = object.link.as_ref().map(|link| link.mv);
                known.insert(key, Resolved { cs: object.id, mv });
            }
        }
        keys.iter().map(|key| known.get(key).copied()).collect()
    }

    fn targets_of(&self, ids: &[MvId], connector: &ConnectorName) -> Vec<Option<CsId>> {
        let homes: BTreeMap<MvId, CsId> = self
            .links()
            .filter(|(cs, _)| cs.connector == *connector)
            .map(|(cs, mv)| (mv, cs.id))
            .collect();
        ids.iter().map(|id| homes.get(id).copied()).collect()
    }

    fn not_persisted(&self, _: &ConnectorName) -> BTreeSet<(ClassName, AttributeName)> {
        BTreeSet::new()
    }

    fn next_ids(&self) -> (CsId, MvId) {
        (CsId(self.last_cs + 1), MvId(self.last_mv + 1))
    }
}

fn holders<Id: Copy + Ord>(keys: &BTreeMap<Id, BTreeSet<IndexKey>>, key: &IndexKey) -> Vec<Id> {
    keys.iter().filter(|(_, keys)| keys.contains(key)).map(|(id, _)| *id).collect()
}

// === impl World: import ===

impl World {
    /// Takes a complete listing of a source in: what it does not show is gone.
    pub fn import<'a>(
        &mut self,
        connector: &ConnectorName,
        entries: impl IntoIterator<Item = &'a Entry>,
    ) {
        let mut absent: BTreeSet<CsId> = self
            .cs
            .values()
            .filter(|object| object.connector == *connector)
            .map(|object| object.id)
            .collect();
        for entry in entries {
            absent.remove(&self.stage(connector, entry));
        }
        for id in absent {
            self.stage_deletion(id);
        }
    }

    fn stage(&mut self, connector: &ConnectorName, entry: &Entry) -> CsId {
        let same = |object: &&CsObject| {
            object.connector == *connector && object.anchor.as_ref() == Some(&entry.anchor)
        };
        let before = self.cs.values().find(same).cloned();
        let mut object = before.clone().unwrap_or_else(|| {
            self.last_cs += 1;
            blank(CsId(self.last_cs), connector, &entry.class)
        });
        object.anchor = Some(entry.anchor.clone());
        object.dn.clone_from(&entry.dn);
        object.presence = Presence::Imported;
        object.attributes.clone_from(&entry.attributes);
        let id = object.id;
        if before.as_ref() != Some(&object) {
            self.requeue_referrers_of_source(id);
            self.cs.insert(id, object);
            self.queued_cs.insert(id);
            self.requeue_referrers_of_source(id);
        }
        id
    }

    fn stage_deletion(&mut self, id: CsId) {
        let object = self.cs.get_mut(&id).expect("it was found above");
        if object.presence != Presence::Deleted {
            object.presence = Presence::Deleted;
            self.queued_cs.insert(id);
        }
    }
}

fn blank(id: CsId, connector: &ConnectorName, class: &ClassName) -> CsObject {
    CsObject {
        id,
        connector: connector.clone(),
        class: class.clone(),
        anchor: None,
        dn: String::new(),
        presence: Presence::Imported,
        attributes: BTreeMap::new(),
        link: None,
        contributions: vec![],
        deprovisioned: false,
    }
}

// === impl World: synchronize ===

impl World {
    /// Drains the queues. `batch`: how many objects each pass takes.
    pub fn sync(&mut self, rules: &Rulebook, batch: usize) {
        self.adopt(rules);
        self.queue_orphans(rules);
        for _ in 0..PASSES_MAX {
            let outcome = if !self.queued_cs.is_empty() {
                let ids = self.next_sources(rules, batch);
                inbound(self, &ids, &rules.set, rules, self.now)
            } else if !self.queued_resolve.is_empty() {
                let ids: Vec<MvId> = self.queued_resolve.iter().copied().take(batch).collect();
                resolve(self, &ids, &rules.set, self.now)
            } else if !self.queued_mv.is_empty() {
                let ids: Vec<MvId> = self.queued_mv.iter().copied().take(batch).collect();
                outbound(self, &ids, &rules.set, rules)
            } else {
                return;
            };
            self.commit(&outcome);
        }
        panic!("the queues do not become empty");
    }

    /// Queues what other rules ask for than those of the last time.
    fn adopt(&mut self, rules: &Rulebook) {
        let record = RulesRecord::of(&rules.set, self.now);
        let before = self.record.replace(record.clone());
        if before.as_ref() == Some(&record) {
            return;
        }
        let revision = Revision::new(before.as_ref(), &record, &rules.set);
        if revision.is_everything() {
            return self.requeue_all(rules);
        }
        if !revision.is_nothing() {
            self.requeue_troubled();
        }
        let classes: BTreeSet<&ClassName> = revision.resolved().collect();
        let resolved = self.mv.values().filter(|object| classes.contains(&object.class));
        self.queued_resolve.extend(resolved.map(|object| object.id));
        let classes: BTreeSet<&ClassName> = revision.evaluated().collect();
        let evaluated = self.mv.values().filter(|object| classes.contains(&object.class));
        self.queued_mv.extend(evaluated.map(|object| object.id));
        for object in self.cs.values().filter(|object| object.presence == Presence::Imported) {
            match (revision.source(object), &object.link) {
                (Need::Evaluate, _) => {
                    self.queued_cs.insert(object.id);
                }
                (Need::Resolve, Some(link)) => {
                    self.queued_resolve.insert(link.mv);
                }
                _ => {}
            }
        }
        for object in self.mv.values() {
            let targets: Vec<CsObject> = self
                .links()
                .filter(|(cs, mv)| *mv == object.id && rules.order(&cs.connector).is_none())
                .map(|(cs, _)| cs.clone())
                .collect();
            if revision.joined(object, &targets) == Need::Evaluate {
                self.queued_mv.insert(object.id);
            }
        }
    }

    fn requeue_troubled(&mut self) {
        for (phase, subject) in self.problems.keys() {
            match phase {
                Phase::Inbound => self.queued_cs.insert(CsId(*subject)),
                Phase::Outbound => self.queued_mv.insert(MvId(*subject)),
            };
        }
    }

    fn queue_orphans(&mut self, rules: &Rulebook) {
        let due = |object: &&MvObject| {
            let grace = rules.set.grace_seconds.get(&object.class).copied().unwrap_or(0);
            object.orphaned.is_some_and(|since| since.plus(grace) <= self.now)
        };
        self.queued_resolve.extend(self.mv.values().filter(due).map(|object| object.id));
    }

    /// Everything is looked at again.
    pub fn requeue_all(&mut self, rules: &Rulebook) {
        let is_source = |object: &&CsObject| rules.order(&object.connector).is_some();
        self.queued_cs = self.cs.values().filter(is_source).map(|object| object.id).collect();
        self.queued_mv = self.mv.keys().copied().collect();
        self.queued_resolve = self.mv.keys().copied().collect();
    }

    /// Forgets what rules said, so that every rule is asked again; links stay.
    pub fn forget_contributions(&mut self, rules: &Rulebook) {
        for object in self.cs.values_mut() {
            object.contributions.clear();
        }
        self.requeue_all(rules);
    }

    /// In the order of evaluation, which does not depend on the order of import (11.10).
    fn next_sources(&self, rules: &Rulebook, batch: usize) -> Vec<CsId> {
        let mut queued: Vec<&CsObject> = self.cs_of(&self.queued_cs).collect();
        queued.sort_by_key(|object| (rules.order(&object.connector), &object.anchor));
        let mut ids: Vec<CsId> = queued.into_iter().map(|object| object.id).collect();
        // One that was forgotten while it was queued still has to leave the queue.
        ids.extend(self.queued_cs.iter().filter(|id| !self.cs.contains_key(id)));
        ids.truncate(batch);
        ids
    }

    fn cs_of<'a>(&'a self, ids: &'a BTreeSet<CsId>) -> impl Iterator<Item = &'a CsObject> {
        ids.iter().filter_map(|id| self.cs.get(id))
    }

    fn commit(&mut self, outcome: &Outcome) {
        for id in &outcome.done_cs {
            self.queued_cs.remove(id);
        }
        for id in &outcome.done_mv {
            self.queued_mv.remove(id);
        }
        for id in &outcome.done_resolve {
            self.queued_resolve.remove(id);
        }
        // Whoever referred to an object is found by what held before as well as by what holds
        // after.
        self.repoint(outcome);
        for update in &outcome.cs {
            self.update_cs(update);
        }
        for update in &outcome.mv {
            self.update_mv(update);
        }
        self.repoint(outcome);
        for (id, export) in &outcome.exports {
            match export {
                Some(export) => {
                    let pending = Pending { export: export.clone(), in_doubt: false };
                    self.exports.insert(*id, pending);
                }
                None => {
                    self.exports.remove(id);
                }
            }
        }
        for (phase, id, problems) in &outcome.problems {
            if problems.is_empty() {
                self.problems.remove(&(*phase, *id));
            } else {
                self.problems.insert((*phase, *id), problems.clone());
            }
        }
        self.queued_cs.extend(&outcome.dirty_cs);
        self.queued_mv.extend(&outcome.dirty_mv);
        self.counters.add(&outcome.counters);
    }

    fn update_cs(&mut self, update: &CsUpdate) {
        match update {
            CsUpdate::Source { id, link, contributions, waiting } => {
                let object = self.cs.get_mut(id).expect("only known objects are updated");
                object.link.clone_from(link);
                object.contributions.clone_from(contributions);
                set_keys(&mut self.waiting, *id, waiting);
            }
            CsUpdate::Target { object, unlinked } => {
                self.last_cs = self.last_cs.max(object.id.0);
                let stored = self.cs.entry(object.id).or_insert_with(|| object.clone());
                stored.link.clone_from(&object.link);
                stored.contributions.clone_from(&object.contributions);
                stored.deprovisioned = object.deprovisioned;
                set_keys(&mut self.unlinked, object.id, unlinked);
            }
            CsUpdate::Forget { id } => self.forget(*id),
        }
    }

    fn update_mv(&mut self, update: &MvUpdate) {
        match update {
            MvUpdate::Put { object, keys } => {
                self.last_mv = self.last_mv.max(object.id.0);
                self.mv.insert(object.id, object.clone());
                set_keys(&mut self.join_keys, object.id, keys);
            }
            MvUpdate::Delete { id } => {
                self.mv.remove(id);
                self.join_keys.remove(id);
            }
        }
    }

    pub fn forget(&mut self, id: CsId) {
        self.cs.remove(&id);
        self.waiting.remove(&id);
        self.unlinked.remove(&id);
        self.exports.remove(&id);
        self.problems.remove(&(Phase::Inbound, id.0));
    }

    fn repoint(&mut self, outcome: &Outcome) {
        for id in &outcome.repoint_cs {
            self.requeue_referrers_of_source(*id);
        }
        for mv in &outcome.repoint_mv {
            let sources: Vec<CsId> =
                self.links().filter(|(_, linked)| linked == mv).map(|(cs, _)| cs.id).collect();
            for source in sources {
                self.requeue_referrers_of_source(source);
            }
        }
    }

    fn requeue_referrers_of_source(&mut self, id: CsId) {
        let Some(object) = self.cs.get(&id).filter(|object| !object.dn.is_empty()) else { return };
        let key = ReferenceKey::of_dn(&object.connector, &object.dn).to_string();
        let refers = |object: &&MvObject| {
            let values = object.attributes.values().flat_map(|attribute| &attribute.values);
            values.into_iter().any(|value| *value == Value::Reference(key.clone()))
        };
        let referrers: Vec<MvId> =
            self.mv.values().filter(refers).map(|object| object.id).collect();
        self.queued_mv.extend(referrers);
    }

    pub fn queue_mv(&mut self, mv: MvId) {
        self.queued_mv.insert(mv);
    }
}

fn set_keys<Id: Ord>(index: &mut BTreeMap<Id, BTreeSet<IndexKey>>, id: Id, keys: &[IndexKey]) {
    if keys.is_empty() {
        index.remove(&id);
    } else {
        index.insert(id, keys.iter().cloned().collect());
    }
}

// === impl World: plan and confirmation ===

impl World {
    pub fn links(&self) -> impl Iterator<Item = (&CsObject, MvId)> {
        self.cs.values().filter_map(|object| Some((object, object.link.as_ref()?.mv)))
    }

    /// The exports in the order in which they are delivered.
    pub fn plan(&self, rules: &Rulebook) -> Plan {
        let ruleset = rules.set.digest.clone();
        let basis = PlanBasis { parent: None, ruleset, config: String::new(), undoes: None };
        let mut builder = PlanBuilder::new(&rules.set, basis);
        for pending in self.exports.values() {
            builder.add(&pending.export, &mut |export, name| self.held(export.object, name));
        }
        builder.finish(&self.linked_targets(rules))
    }

    pub fn linked_targets(&self, rules: &Rulebook) -> BTreeMap<ConnectorName, u64> {
        let mut linked = BTreeMap::new();
        for target in rules.set.targets() {
            let of_target = self.links().filter(|(cs, _)| cs.connector == target.name);
            linked.insert(target.name.clone(), of_target.count() as u64);
        }
        linked
    }

    fn held(&self, id: CsId, name: &AttributeName) -> u64 {
        let values = self.cs.get(&id).and_then(|object| object.attributes.get(name));
        values.map_or(0, Vec::len) as u64
    }

    /// How many removals the limits of a target allow now.
    pub fn removals_allowed(&self, rules: &Rulebook, target: &ConnectorName) -> u64 {
        let connector = rules.set.connector(target).expect("a target of the rule set");
        connector.thresholds.removals.allowed(self.linked_targets(rules)[target])
    }

    /// Some changes of an export were carried out; `remaining` could not be sent yet.
    pub fn settle(
        &mut self,
        id: CsId,
        remote_id: &str,
        sent: &[AttributeChange],
        remaining: Vec<AttributeChange>,
    ) {
        let Some(mut pending) = self.exports.remove(&id) else { return };
        let object = self.cs.get_mut(&id).expect("an export has an object");
        for change in sent {
            apply(change, &mut object.attributes);
        }
        object.anchor = Some(Anchor(remote_id.as_bytes().to_vec()));
        object.presence = Presence::Imported;
        if !remaining.is_empty() {
            pending.export.op = ExportOp::Update;
            pending.export.changes = remaining;
            self.exports.insert(id, Pending { export: pending.export, in_doubt: false });
        }
    }

    /// A deletion was carried out: the target dropped every reference to the object with it.
    pub fn settle_deletion(&mut self, id: CsId) {
        self.forget(id);
        let gone = Value::Reference(id.0.to_string());
        for object in self.cs.values_mut() {
            for values in object.attributes.values_mut() {
                values.retain(|value| *value != gone);
            }
            object.attributes.retain(|_, values| !values.is_empty());
        }
    }
}
