//! The metaverse while a pass changes it: what the view holds, overlaid by what the pass did so
//! far.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::connector_space::{CsId, CsObject, MvId};
use crate::metaverse::{MvAttribute, MvObject, Winner};
use crate::object::{AttributeName, ClassName, ConnectorName};
use crate::precedence::{self, Resolution};
use crate::rule::{LinkType, Rule, RuleSet};
use crate::time::Timestamp;
use crate::view::{IndexKey, LinkedObject, MvUpdate, View};

/// One metaverse object in work.
struct Work {
    /// As the view holds it; `None` for one that this pass created.
    before: Option<MvObject>,
    /// The keys that the view's join index has of it.
    indexed: BTreeSet<IndexKey>,
    now: MvObject,
    links: Vec<LinkedObject>,
    keys: BTreeSet<IndexKey>,
    /// A source object left it: whoever found its place taken may try again.
    vacated: bool,
}

pub(crate) struct Joined<'a> {
    view: &'a dyn View,
    rules: &'a RuleSet,
    now: Timestamp,
    work: RefCell<BTreeMap<MvId, Work>>,
    /// Source objects as this pass left them, and those that had to be read.
    sources: BTreeMap<CsId, Rc<CsObject>>,
    /// Keys of objects in work, which the view's index may not have yet.
    index: BTreeMap<IndexKey, BTreeSet<MvId>>,
    waiting: BTreeMap<IndexKey, BTreeSet<CsId>>,
    join_attributes: BTreeMap<ClassName, BTreeSet<(AttributeName, bool)>>,
    next: MvId,
}

// === impl Joined ===

impl<'a> Joined<'a> {
    pub fn new(view: &'a dyn View, rules: &'a RuleSet, now: Timestamp) -> Self {
        Self {
            view,
            rules,
            now,
            work: RefCell::default(),
            sources: BTreeMap::new(),
            index: BTreeMap::new(),
            waiting: BTreeMap::new(),
            join_attributes: BTreeMap::new(),
            next: view.next_ids().1,
        }
    }

    pub fn connector_order(&self, name: &ConnectorName) -> u32 {
        self.rules.connector(name).map_or(u32::MAX, |connector| connector.order)
    }

    /// Makes an object of the batch known, and loads what it is linked to.
    pub fn take_source(&mut self, object: &Rc<CsObject>) {
        self.sources.insert(object.id, Rc::clone(object));
        if let Some(link) = &object.link {
            self.load(link.mv);
        }
    }

    pub fn put_source(&mut self, object: CsObject) {
        if let Some(link) = &object.link {
            self.load(link.mv);
            let mut work = self.work.borrow_mut();
            let links = &mut work.get_mut(&link.mv).expect("it was loaded above").links;
            if !links.iter().any(|linked| linked.cs == object.id) {
                links.push(LinkedObject { cs: object.id, connector: object.connector.clone() });
                links.sort_by_key(|linked| linked.cs);
            }
        }
        self.sources.insert(object.id, Rc::new(object));
    }

    pub fn unlink(&mut self, object: CsId, mv: MvId) {
        self.load(mv);
        if let Some(work) = self.work.borrow_mut().get_mut(&mv) {
            work.links.retain(|linked| linked.cs != object);
            work.vacated = true;
        }
        if let Some(source) = self.sources.get_mut(&object) {
            Rc::make_mut(source).link = None;
        }
    }

    /// A new, still empty metaverse object.
    pub fn create(&mut self, class: &ClassName) -> MvId {
        let id = self.next;
        self.next = MvId(id.0 + 1);
        let (class, attributes) = (class.clone(), BTreeMap::new());
        let now = MvObject { id, class, attributes, alive: false, orphaned: None };
        let (indexed, keys) = (BTreeSet::new(), BTreeSet::new());
        let work = Work { before: None, indexed, now, links: vec![], keys, vacated: false };
        self.work.borrow_mut().insert(id, work);
        id
    }

    /// The type of a metaverse object; `None` for one that does not exist.
    pub fn class(&self, mv: MvId) -> Option<ClassName> {
        self.load(mv);
        Some(self.work.borrow().get(&mv)?.now.class.clone())
    }

    /// The join keys of a metaverse object.
    pub fn keys(&self, mv: MvId) -> BTreeSet<IndexKey> {
        self.load(mv);
        self.work.borrow().get(&mv).map_or_else(BTreeSet::new, |work| work.keys.clone())
    }

    /// Metaverse objects with this key that a rule is about.
    pub fn candidates(&self, key: &IndexKey, rule: &Rule) -> BTreeSet<MvId> {
        let mut found: BTreeSet<MvId> = self.view.join_candidates(key).into_iter().collect();
        found.extend(self.index.get(key).into_iter().flatten());
        for id in &found {
            self.load(*id);
        }
        let work = self.work.borrow();
        // The view's index may be older than what this pass did.
        found.retain(|id| {
            work.get(id)
                .is_some_and(|work| rule.is_about(&work.now.class) && work.keys.contains(key))
        });
        found
    }

    /// The object of this connector that a metaverse object is linked to, if any.
    pub fn linked_from(&self, mv: MvId, connector: &ConnectorName) -> Option<CsId> {
        self.load(mv);
        let work = self.work.borrow();
        let linked = work.get(&mv)?.links.iter().find(|linked| linked.connector == *connector)?;
        Some(linked.cs)
    }

    pub fn wait(&mut self, object: CsId, keys: &[IndexKey]) {
        for key in keys {
            self.waiting.entry(key.clone()).or_default().insert(object);
        }
    }

    pub fn label(&self, id: CsId) -> String {
        let known = self.sources.get(&id).cloned();
        match known.or_else(|| self.view.cs_objects(&[id]).pop().map(Rc::new)) {
            Some(object) if !object.dn.is_empty() => object.dn.clone(),
            Some(object) => object.anchor.as_ref().map_or_else(String::new, ToString::to_string),
            None => format!("object {}", id.0),
        }
    }

    /// Resolves every attribute of a touched object anew. Gives those who wait for what changed, by
    /// key: for a key that it got, but also for one that it lost and for a place that was left,
    /// since what was ambiguous may not be so any more.
    ///
    /// Source: provisioning.md 11.2 step 8, 11.4.
    pub fn settle(&mut self, mv: MvId) -> Vec<(IndexKey, Vec<CsObject>)> {
        self.load(mv);
        self.load_sources(mv);
        let mut work = self.work.borrow_mut();
        let work = work.get_mut(&mv).expect("it was loaded above");
        let mut objects: Vec<&CsObject> = work
            .links
            .iter()
            .filter_map(|linked| self.sources.get(&linked.cs).map(|one| &**one))
            .collect();
        let rules = self.rules;
        let order = |object: &CsObject| {
            rules.connector(&object.connector).map_or(u32::MAX, |connector| connector.order)
        };
        objects.sort_by(|a, b| (order(a), &a.anchor).cmp(&(order(b), &b.anchor)));
        let kept = objects.iter().any(|object| keeps(object, rules));
        work.live_on(kept, rules, self.now);
        if kept {
            work.now.attributes = resolve(&objects, &work.now.attributes, rules);
        } else if !work.now.alive {
            work.now.attributes = BTreeMap::new();
        }
        let join_attributes = self
            .join_attributes
            .entry(work.now.class.clone())
            .or_insert_with(|| rules.join_attributes(&work.now.class));
        let keys = keys(&work.now, join_attributes);
        let mut woken = vec![];
        for key in keys.union(&work.keys) {
            let (has, had) = (keys.contains(key), work.keys.contains(key));
            if has && !had {
                self.index.entry(key.clone()).or_default().insert(mv);
            }
            if has != had || work.vacated {
                let mut ids: BTreeSet<CsId> = self.view.waiting(key).into_iter().collect();
                ids.extend(self.waiting.get(key).into_iter().flatten());
                ids.retain(|id| !work.links.iter().any(|linked| linked.cs == *id));
                if !ids.is_empty() {
                    let ids: Vec<CsId> = ids.into_iter().collect();
                    woken.push((key.clone(), self.view.cs_objects(&ids)));
                }
            }
        }
        work.vacated = false;
        work.keys = keys;
        woken
    }

    /// Everything that changed, and the objects whose change concerns targets.
    pub fn finish(&mut self) -> (Vec<MvUpdate>, Vec<MvId>) {
        let (mut updates, mut touched) = (vec![], vec![]);
        for (id, work) in std::mem::take(&mut *self.work.borrow_mut()) {
            let old = work.before.as_ref();
            // Other rules may join by other attributes, of an object that is as it was.
            if old == Some(&work.now) && work.keys == work.indexed {
                continue;
            }
            if old.is_none_or(|old| differs(old, &work.now)) {
                touched.push(id);
            }
            let keys = work.keys.into_iter().collect();
            updates.push(MvUpdate::Put { object: work.now, keys });
        }
        (updates, touched)
    }

    fn load(&self, mv: MvId) {
        if self.work.borrow().contains_key(&mv) {
            return;
        }
        let Some(object) = self.view.mv_objects(&[mv]).pop() else { return };
        let links = self.view.linked(&[mv]).remove(&mv).unwrap_or_default();
        let is_source = |linked: &LinkedObject| {
            let connector = self.rules.connector(&linked.connector);
            connector.is_none_or(|c| c.kind == crate::rule::ConnectorKind::Source)
        };
        let links = links.into_iter().filter(is_source).collect();
        // Not every key need be there: the rules may have begun to join by another attribute.
        let mut indexed = keys(&object, &self.rules.join_attributes(&object.class));
        indexed.retain(|key| self.view.join_candidates(key).contains(&mv));
        let (before, keys) = (Some(object.clone()), indexed.clone());
        let work = Work { before, indexed, now: object, links, keys, vacated: false };
        self.work.borrow_mut().insert(mv, work);
    }

    fn load_sources(&mut self, mv: MvId) {
        let work = self.work.borrow();
        let Some(work) = work.get(&mv) else { return };
        let missing: Vec<CsId> = work
            .links
            .iter()
            .map(|linked| linked.cs)
            .filter(|id| !self.sources.contains_key(id))
            .collect();
        if missing.is_empty() {
            return;
        }
        for object in self.view.cs_objects(&missing) {
            self.sources.insert(object.id, Rc::new(object));
        }
    }
}

// === impl Work ===

impl Work {
    /// An object that nothing keeps lives on for the grace period of its type, with the values it
    /// had (P-13). One that never was anything else has nothing to live on with.
    fn live_on(&mut self, kept: bool, rules: &RuleSet, now: Timestamp) {
        let grace = rules.grace_seconds.get(&self.now.class).copied().unwrap_or(0);
        let known = self.before.as_ref().is_some_and(|before| before.alive);
        self.now.orphaned = match kept {
            false if grace > 0 && known => self.now.orphaned.or(Some(now)),
            _ => None,
        };
        self.now.alive = kept || self.now.orphaned.is_some_and(|since| now < since.plus(grace));
    }
}

/// Whether the link of an object keeps its metaverse object alive (11.3). A rule that the set no
/// longer has keeps nothing.
fn keeps(object: &CsObject, rules: &RuleSet) -> bool {
    let Some(link) = &object.link else { return false };
    rules.by_tag(&link.rule).is_some_and(|id| rules.rule(id).link != LinkType::Join)
}

fn resolve(
    objects: &[&CsObject],
    before: &BTreeMap<AttributeName, MvAttribute>,
    rules: &RuleSet,
) -> BTreeMap<AttributeName, MvAttribute> {
    let pairs = objects.iter().map(|object| (*object, object.contributions.as_slice()));
    let mut attributes = BTreeMap::new();
    for (name, contributors) in precedence::contributors(pairs, rules) {
        let merge = precedence::merge_of(name, &contributors, rules);
        match precedence::resolve(&contributors, merge, precedence::in_metaverse) {
            Resolution::Values { values, winner } => {
                let winner = contributors[winner];
                let rule = rules.rule(winner.rule).tag.clone();
                let winner = Winner { rule, source: winner.object.id, retained: false };
                attributes.insert(name.clone(), MvAttribute { values, winner });
            }
            Resolution::Keep => {
                if let Some(kept) = before.get(name) {
                    let mut kept = kept.clone();
                    kept.winner.retained = true;
                    attributes.insert(name.clone(), kept);
                }
            }
            Resolution::Remove => {}
        }
    }
    attributes
}

fn keys(
    object: &MvObject,
    join_attributes: &BTreeSet<(AttributeName, bool)>,
) -> BTreeSet<IndexKey> {
    let mut keys = BTreeSet::new();
    for (name, case_sensitive) in join_attributes {
        for value in object.attributes.get(name).iter().flat_map(|attribute| &attribute.values) {
            keys.extend(IndexKey::new(name, *case_sensitive, value));
        }
    }
    keys
}

/// Whether a target could care: another winner of the same values changes lineage only (11.4).
fn differs(a: &MvObject, b: &MvObject) -> bool {
    a.alive != b.alive
        || a.attributes.len() != b.attributes.len()
        || a.attributes
            .iter()
            .zip(&b.attributes)
            .any(|((name, x), (other, y))| name != other || x.values != y.values)
}
