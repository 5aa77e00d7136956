//! A view that outcomes are laid over: what a few objects would become, without a copy of the
//! state.
//!
//! A [`View`] and the [`Outcome`]s of passes flow in; the view that the next pass would have flows
//! out. What it costs depends on what the passes changed, not on how much there is.

use std::collections::{BTreeMap, BTreeSet};

use crate::connector_space::{CsId, CsObject, MvId};
use crate::export::Export;
use crate::metaverse::MvObject;
use crate::object::{AttributeName, ClassName, ConnectorName, ReferenceKey};
use crate::problem::Problem;
use crate::view::{CsUpdate, IndexKey, LinkedObject, MvUpdate, Outcome, Phase, Resolved, View};

pub struct Overlay<'a> {
    view: &'a dyn View,
    /// `None`: forgotten.
    objects: BTreeMap<CsId, Option<CsObject>>,
    metaverse: BTreeMap<MvId, Option<MvObject>>,
    /// All keys of each object that an outcome named.
    joins: BTreeMap<MvId, Vec<IndexKey>>,
    waiting: BTreeMap<CsId, Vec<IndexKey>>,
    unlinked: BTreeMap<CsId, Vec<IndexKey>>,
    exports: BTreeMap<CsId, Option<Export>>,
    problems: BTreeMap<(Phase, i64), Vec<Problem>>,
    next: (CsId, MvId),
}

// === impl Overlay ===

impl<'a> Overlay<'a> {
    pub fn new(view: &'a dyn View) -> Self {
        Self {
            view,
            objects: BTreeMap::new(),
            metaverse: BTreeMap::new(),
            joins: BTreeMap::new(),
            waiting: BTreeMap::new(),
            unlinked: BTreeMap::new(),
            exports: BTreeMap::new(),
            problems: BTreeMap::new(),
            next: view.next_ids(),
        }
    }

    /// Lays an outcome over what there is. Where an object is named twice, the later entry counts.
    pub fn apply(&mut self, outcome: &Outcome) {
        for update in &outcome.cs {
            self.apply_cs(update);
        }
        for update in &outcome.mv {
            match update {
                MvUpdate::Put { object, keys } => {
                    self.next.1 = self.next.1.max(MvId(object.id.0 + 1));
                    self.joins.insert(object.id, keys.clone());
                    self.metaverse.insert(object.id, Some(object.clone()));
                }
                MvUpdate::Delete { id } => {
                    self.joins.insert(*id, vec![]);
                    self.metaverse.insert(*id, None);
                }
            }
        }
        for (id, export) in &outcome.exports {
            self.exports.insert(*id, export.clone());
        }
        for (phase, subject, problems) in &outcome.problems {
            self.problems.insert((*phase, *subject), problems.clone());
        }
    }

    fn apply_cs(&mut self, update: &CsUpdate) {
        match update {
            CsUpdate::Source { id, link, contributions, waiting } => {
                if let Some(mut object) = self.cs_objects(&[*id]).pop() {
                    object.link.clone_from(link);
                    object.contributions.clone_from(contributions);
                    self.objects.insert(*id, Some(object));
                }
                self.waiting.insert(*id, waiting.clone());
            }
            CsUpdate::Target { object, unlinked } => {
                self.next.0 = self.next.0.max(CsId(object.id.0 + 1));
                self.unlinked.insert(object.id, unlinked.clone());
                self.objects.insert(object.id, Some(object.clone()));
            }
            CsUpdate::Forget { id } => {
                self.waiting.insert(*id, vec![]);
                self.unlinked.insert(*id, vec![]);
                self.objects.insert(*id, None);
            }
        }
    }

    /// The pending export of an object, if an outcome had one; `Some(None)`: there is none any
    /// more.
    pub fn export(&self, id: CsId) -> Option<&Option<Export>> {
        self.exports.get(&id)
    }

    /// Objects whose pending export an outcome named, by id.
    pub fn exports(&self) -> impl Iterator<Item = (CsId, &Option<Export>)> {
        self.exports.iter().map(|(id, export)| (*id, export))
    }

    /// What went wrong with what was evaluated; `None`: it was not.
    pub fn problems(&self, phase: Phase, subject: i64) -> Option<&[Problem]> {
        self.problems.get(&(phase, subject)).map(Vec::as_slice)
    }

    /// Objects that an outcome named, by id.
    pub fn changed_cs(&self) -> impl Iterator<Item = CsId> {
        self.objects.keys().copied()
    }

    pub fn changed_mv(&self) -> impl Iterator<Item = MvId> {
        self.metaverse.keys().copied()
    }
}

/// Who has a key: those of the view that no outcome named, and those named that have it now.
fn merged<Id: Copy + Ord>(
    base: Vec<Id>,
    laid_over: &BTreeMap<Id, Vec<IndexKey>>,
    key: &IndexKey,
) -> Vec<Id> {
    let mut ids: BTreeSet<Id> = base.into_iter().filter(|id| !laid_over.contains_key(id)).collect();
    ids.extend(laid_over.iter().filter(|(_, keys)| keys.contains(key)).map(|(id, _)| *id));
    ids.into_iter().collect()
}

impl View for Overlay<'_> {
    fn cs_objects(&self, ids: &[CsId]) -> Vec<CsObject> {
        let below: Vec<CsId> =
            ids.iter().copied().filter(|id| !self.objects.contains_key(id)).collect();
        let mut objects = if below.is_empty() { vec![] } else { self.view.cs_objects(&below) };
        let ids: BTreeSet<CsId> = ids.iter().copied().collect();
        objects.extend(ids.iter().filter_map(|id| self.objects.get(id).cloned().flatten()));
        objects.sort_by_key(|object| object.id);
        objects
    }

    fn mv_objects(&self, ids: &[MvId]) -> Vec<MvObject> {
        let below: Vec<MvId> =
            ids.iter().copied().filter(|id| !self.metaverse.contains_key(id)).collect();
        let mut objects = if below.is_empty() { vec![] } else { self.view.mv_objects(&below) };
        let ids: BTreeSet<MvId> = ids.iter().copied().collect();
        objects.extend(ids.iter().filter_map(|id| self.metaverse.get(id).cloned().flatten()));
        objects.sort_by_key(|object| object.id);
        objects
    }

    fn linked(&self, ids: &[MvId]) -> BTreeMap<MvId, Vec<LinkedObject>> {
        let mut links = self.view.linked(ids);
        for linked in links.values_mut() {
            linked.retain(|linked| !self.objects.contains_key(&linked.cs));
        }
        for object in self.objects.values().flatten() {
            let mv = object.link.as_ref().map(|link| link.mv);
            if let Some(mv) = mv.filter(|mv| ids.contains(mv)) {
                let connector = object.connector.clone();
                links.entry(mv).or_default().push(LinkedObject { cs: object.id, connector });
            }
        }
        links.values_mut().for_each(|linked| linked.sort_by_key(|linked| linked.cs));
        links.retain(|_, linked| !linked.is_empty());
        links
    }

    fn join_candidates(&self, key: &IndexKey) -> Vec<MvId> {
        merged(self.view.join_candidates(key), &self.joins, key)
    }

    fn waiting(&self, key: &IndexKey) -> Vec<CsId> {
        merged(self.view.waiting(key), &self.waiting, key)
    }

    fn unlinked_targets(&self, connector: &ConnectorName, key: &IndexKey) -> Vec<CsId> {
        let mut ids = merged(self.view.unlinked_targets(connector, key), &self.unlinked, key);
        ids.retain(|id| match self.objects.get(id) {
            Some(Some(object)) => object.connector == *connector,
            Some(None) => false,
            None => true,
        });
        ids
    }

    fn resolve(&self, keys: &[ReferenceKey]) -> Vec<Option<Resolved>> {
        let mut answers = self.view.resolve(keys);
        for answer in &mut answers {
            let Some(resolved) = answer else { continue };
            match self.objects.get(&resolved.cs) {
                Some(Some(object)) => resolved.mv = object.link.as_ref().map(|link| link.mv),
                Some(None) => *answer = None,
                None => {}
            }
        }
        answers
    }

    fn targets_of(&self, ids: &[MvId], connector: &ConnectorName) -> Vec<Option<CsId>> {
        let mut answers = self.view.targets_of(ids, connector);
        answers.resize(ids.len(), None);
        for (answer, mv) in answers.iter_mut().zip(ids) {
            if answer.is_some_and(|id| self.objects.contains_key(&id)) {
                *answer = None;
            }
            let here = self.objects.values().flatten().find(|object| {
                object.connector == *connector
                    && object.link.as_ref().is_some_and(|link| link.mv == *mv)
            });
            *answer = match (*answer, here.map(|object| object.id)) {
                (Some(below), Some(over)) => Some(below.min(over)),
                (below, over) => below.or(over),
            };
        }
        answers
    }

    fn not_persisted(&self, connector: &ConnectorName) -> BTreeSet<(ClassName, AttributeName)> {
        self.view.not_persisted(connector)
    }

    fn next_ids(&self) -> (CsId, MvId) {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector_space::{Link, LinkOrigin};
    use crate::rule::RuleTag;
    use crate::testing::cs_object;

    /// A view of objects 1 and 2, of which 1 is linked to metaverse object 7.
    struct Below;

    fn linked_to(id: i64, mv: Option<i64>) -> CsObject {
        let (rule, origin) = (RuleTag("rule".into()), LinkOrigin::Joined);
        let link = mv.map(|mv| Link { mv: MvId(mv), rule, origin });
        CsObject { link, ..cs_object(id) }
    }

    impl View for Below {
        fn cs_objects(&self, ids: &[CsId]) -> Vec<CsObject> {
            let all = [linked_to(1, Some(7)), linked_to(2, None)];
            all.into_iter().filter(|object| ids.contains(&object.id)).collect()
        }
        fn mv_objects(&self, _: &[MvId]) -> Vec<MvObject> {
            vec![]
        }
        fn linked(&self, ids: &[MvId]) -> BTreeMap<MvId, Vec<LinkedObject>> {
            let one = LinkedObject { cs: CsId(1), connector: "forest-a".into() };
            ids.iter().filter(|id| id.0 == 7).map(|id| (*id, vec![one.clone()])).collect()
        }
        fn join_candidates(&self, _: &IndexKey) -> Vec<MvId> {
            vec![MvId(7)]
        }
        fn waiting(&self, _: &IndexKey) -> Vec<CsId> {
            vec![CsId(2)]
        }
        fn unlinked_targets(&self, _: &ConnectorName, _: &IndexKey) -> Vec<CsId> {
            vec![CsId(2)]
        }
        fn resolve(&self, keys: &[ReferenceKey]) -> Vec<Option<Resolved>> {
            keys.iter().map(|_| Some(Resolved { cs: CsId(1), mv: Some(MvId(7)) })).collect()
        }
        fn targets_of(&self, ids: &[MvId], _: &ConnectorName) -> Vec<Option<CsId>> {
            ids.iter().map(|id| (id.0 == 7).then_some(CsId(1))).collect()
        }
        fn not_persisted(&self, _: &ConnectorName) -> BTreeSet<(ClassName, AttributeName)> {
            BTreeSet::new()
        }
        fn next_ids(&self) -> (CsId, MvId) {
            (CsId(3), MvId(8))
        }
    }

    /// Lays one update over; who is linked to 7, who is its target, who waits, where a reference
    /// to object 1 leads.
    fn check(update: Option<CsUpdate>, linked: &[i64], target: Option<i64>, lead: Option<i64>) {
        let mut overlay = Overlay::new(&Below);
        overlay.apply(&Outcome { cs: update.into_iter().collect(), ..Outcome::default() });
        let connector = ConnectorName::from("forest-a");
        let links = overlay.linked(&[MvId(7)]).remove(&MvId(7)).unwrap_or_default();
        assert_eq!(links.iter().map(|one| one.cs.0).collect::<Vec<_>>(), linked);
        let targets = overlay.targets_of(&[MvId(7)], &connector);
        assert_eq!(targets, [target.map(CsId)]);
        let leads = overlay.resolve(&[ReferenceKey::of_dn(&connector, "CN=u1,DC=a")]);
        assert_eq!(leads[0].and_then(|resolved| resolved.mv), lead.map(MvId));
    }

    #[test]
    fn what_an_outcome_changed_is_seen_and_the_rest_shines_through() {
        let source = |id, mv| CsUpdate::Source {
            id: CsId(id),
            link: linked_to(id, mv).link,
            contributions: vec![],
            waiting: vec![],
        };
        check(None, &[1], Some(1), Some(7));
        check(Some(source(1, None)), &[], None, None);
        check(Some(source(2, Some(7))), &[1, 2], Some(1), Some(7));
        check(Some(CsUpdate::Forget { id: CsId(1) }), &[], None, None);
        let moved = CsUpdate::Target { object: linked_to(3, Some(7)), unlinked: vec![] };
        check(Some(moved), &[1, 3], Some(1), Some(7));
    }

    #[test]
    fn ids_go_on_behind_those_that_were_given_away() {
        let mut overlay = Overlay::new(&Below);
        let created = CsUpdate::Target { object: linked_to(9, None), unlinked: vec![] };
        overlay.apply(&Outcome { cs: vec![created], ..Outcome::default() });
        assert_eq!(overlay.next_ids(), (CsId(10), MvId(8)));
        let key = IndexKey { scope: "a~".into(), value: "x".into() };
        assert_eq!(overlay.unlinked_targets(&"forest-a".into(), &key), [CsId(2)]);
        overlay
            .apply(&Outcome { cs: vec![CsUpdate::Forget { id: CsId(2) }], ..Outcome::default() });
        assert!(overlay.unlinked_targets(&"forest-a".into(), &key).is_empty());
        assert!(overlay.waiting(&key).is_empty());
    }
}
