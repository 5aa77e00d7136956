//! Target objects that no metaverse object has: those the view shows as unlinked, overlaid by what
//! the pass released and took so far.
//!
//! Metaverse objects have their turn by id. One finds what others before it released, whether they
//! were evaluated in the same pass or in an earlier one: the size of a batch decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::connector_space::{CsId, CsObject, MvId};
use crate::object::AttributeMap;
use crate::rule::{Connector, JoinGroup, Rule};
use crate::view::{IndexKey, View};

/// A target object that a dying metaverse object left.
pub(crate) struct Released {
    pub mv: MvId,
    pub object: CsObject,
    pub keys: Vec<IndexKey>,
}

pub(crate) struct Vacancies<'a> {
    view: &'a dyn View,
    target: &'a Connector,
    /// Released by the death of metaverse objects whose turn has not come, by metaverse id.
    to_come: VecDeque<&'a Released>,
    objects: BTreeMap<CsId, CsObject>,
    keys: BTreeMap<IndexKey, BTreeSet<CsId>>,
    taken: BTreeSet<CsId>,
}

// === impl Vacancies ===

impl<'a> Vacancies<'a> {
    /// `released`: by metaverse id, all of `target`.
    pub fn new(view: &'a dyn View, target: &'a Connector, released: Vec<&'a Released>) -> Self {
        Self {
            view,
            target,
            to_come: released.into(),
            objects: BTreeMap::new(),
            keys: BTreeMap::new(),
            taken: BTreeSet::new(),
        }
    }

    /// It is the turn of this metaverse object.
    pub fn advance_to(&mut self, mv: MvId) {
        while let Some(released) = self.to_come.pop_front_if(|released| released.mv < mv) {
            self.add(released.object.clone(), &released.keys);
        }
    }

    pub fn add(&mut self, object: CsObject, keys: &[IndexKey]) {
        for key in keys {
            self.keys.entry(key.clone()).or_default().insert(object.id);
        }
        self.taken.remove(&object.id);
        self.objects.insert(object.id, object);
    }

    pub fn take(&mut self, id: CsId) {
        self.taken.insert(id);
    }

    /// Objects that a rule's join criteria find: those of the first group that finds any, by id.
    pub fn find(&self, rule: &Rule, attributes: &AttributeMap) -> Vec<CsObject> {
        for group in &rule.join {
            let mut objects = self.objects(self.matching(group, attributes));
            objects.retain(|object| object.class == rule.cs_class && object.link.is_none());
            if !objects.is_empty() {
                return objects;
            }
        }
        vec![]
    }

    fn matching(&self, group: &JoinGroup, attributes: &AttributeMap) -> BTreeSet<CsId> {
        let mut found: Option<BTreeSet<CsId>> = None;
        for clause in group {
            let values = attributes.get(&clause.mv).into_iter().flatten();
            let matching: BTreeSet<CsId> = values
                .filter_map(|value| IndexKey::new(&clause.cs, clause.case_sensitive, value))
                .flat_map(|key| self.with_key(&key))
                .collect();
            found = Some(match found {
                None => matching,
                Some(before) => before.intersection(&matching).copied().collect(),
            });
        }
        found.unwrap_or_default()
    }

    fn with_key(&self, key: &IndexKey) -> BTreeSet<CsId> {
        let mut ids: BTreeSet<CsId> =
            self.view.unlinked_targets(&self.target.name, key).into_iter().collect();
        ids.extend(self.keys.get(key).into_iter().flatten());
        ids.retain(|id| !self.taken.contains(id));
        ids
    }

    fn objects(&self, ids: BTreeSet<CsId>) -> Vec<CsObject> {
        let stored: Vec<CsId> =
            ids.iter().copied().filter(|id| !self.objects.contains_key(id)).collect();
        let mut objects = if stored.is_empty() { vec![] } else { self.view.cs_objects(&stored) };
        objects.extend(ids.iter().filter_map(|id| self.objects.get(id)).cloned());
        objects.sort_by_key(|object| object.id);
        objects
    }
}
