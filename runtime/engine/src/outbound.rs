//! From the metaverse to the connector spaces of the targets (provisioning.md 11.5): which target object
//! should there be, what should it hold, how does that differ from what the target is known to hold?
//!
//! Metaverse objects flow in; links to target objects and pending exports flow out.

use std::collections::{BTreeMap, BTreeSet};

use crate::connector_space::{CsId, CsObject, Link, LinkOrigin, MvId, Presence};
use crate::evaluate::{Answers, Subject, evaluate};
use crate::flow::{Kept, RuleContribution, Rules};
use crate::join;
use crate::metaverse::MvObject;
use crate::object::{AttributeMap, ReferenceKey, Value};
use crate::problem::{Problem, ProblemKind};
use crate::provision::{self, Departure};
use crate::rule::{Connector, ConnectorKind, Direction, LinkType, RuleId, RuleSet};
use crate::target::{self, Desired};
use crate::view::{CsUpdate, IndexKey, MvUpdate, Outcome, Phase, View};

/// Evaluates metaverse objects for every target.
///
/// Takes: ids of queued metaverse objects, any number. Gives: everything that changes; every id of `ids`
/// is done. Errors: none; one object's failure is a problem of that object.
pub fn outbound(view: &dyn View, ids: &[MvId], rules: &RuleSet, modules: &dyn Rules) -> Outcome {
    let mut outcome = Outcome { done_mv: ids.to_vec(), ..Outcome::default() };
    let (alive, dying): (Vec<_>, Vec<_>) =
        view.mv_objects(ids).into_iter().partition(|object| object.alive);
    provision::take_down(view, &dying, rules, &mut outcome);
    let subjects = resolved(view, &alive);
    let mut problems: BTreeMap<MvId, Vec<Problem>> =
        alive.iter().map(|object| (object.id, vec![])).collect();
    for target in rules.targets() {
        let next = outcome.next_cs_id(view);
        let mut pass = Pass::new(view, rules, target, next);
        pass.run(&alive, &subjects, modules, &mut outcome, &mut problems);
    }
    outcome.counters.evaluated += ids.len() as u64;
    outcome
        .problems
        .extend(problems.into_iter().map(|(mv, problems)| (Phase::Outbound, mv.0, problems)));
    outcome
}

/// The attributes of each object as outbound rules see them: references as metaverse ids, those that lead
/// nowhere left out, those that lead to one object collapsed (11.7).
fn resolved(view: &dyn View, objects: &[MvObject]) -> Vec<AttributeMap> {
    let references = |object: &MvObject| -> Vec<ReferenceKey> {
        let values = object.attributes.values().flat_map(|attribute| &attribute.values);
        values.filter_map(reference_key).collect()
    };
    let keys: Vec<ReferenceKey> =
        objects.iter().flat_map(references).collect::<BTreeSet<_>>().into_iter().collect();
    let answers = view.resolve(&keys);
    let leads_to: BTreeMap<ReferenceKey, MvId> = keys
        .into_iter()
        .zip(answers)
        .filter_map(|(key, answer)| Some((key, answer?.mv?)))
        .collect();
    objects.iter().map(|object| with_ids(object, &leads_to)).collect()
}

fn reference_key(value: &Value) -> Option<ReferenceKey> {
    match value {
        Value::Reference(key) => ReferenceKey::parse(key),
        _ => None,
    }
}

fn with_ids(object: &MvObject, leads_to: &BTreeMap<ReferenceKey, MvId>) -> AttributeMap {
    let mut attributes = AttributeMap::new();
    for (name, attribute) in &object.attributes {
        let mut seen = BTreeSet::new();
        let values: Vec<Value> = attribute
            .values
            .iter()
            .filter_map(|value| match value {
                Value::Reference(_) => {
                    let id = *leads_to.get(&reference_key(value)?)?;
                    seen.insert(id).then(|| Value::Reference(id.0.to_string()))
                }
                other => Some(other.clone()),
            })
            .collect();
        if !values.is_empty() {
            attributes.insert(name.clone(), values);
        }
    }
    attributes
}

/// The pass for one target.
struct Pass<'a> {
    view: &'a dyn View,
    rules: &'a RuleSet,
    target: &'a Connector,
    not_persisted: BTreeSet<(crate::object::ClassName, crate::object::AttributeName)>,
    next: CsId,
    /// Unlinked target objects that this pass linked.
    taken: BTreeSet<CsId>,
}

/// What a metaverse object has, or is to have, at the target.
enum Place {
    Nothing,
    Keep { object: CsObject, link: Link },
    Leave { object: CsObject, departure: Departure },
}

// === impl Pass ===

impl<'a> Pass<'a> {
    fn new(view: &'a dyn View, rules: &'a RuleSet, target: &'a Connector, next: CsId) -> Self {
        let not_persisted = view.not_persisted(&target.name);
        Self { view, rules, target, not_persisted, next, taken: BTreeSet::new() }
    }

    fn run(
        &mut self,
        objects: &[MvObject],
        attributes: &[AttributeMap],
        modules: &dyn Rules,
        outcome: &mut Outcome,
        problems: &mut BTreeMap<MvId, Vec<Problem>>,
    ) {
        let ids: Vec<MvId> = objects.iter().map(|object| object.id).collect();
        let known = self.known(&ids);
        let answers = self.ask(objects, attributes, &known, modules, outcome);
        let mut placed = vec![];
        for (((object, attributes), known), answers) in
            objects.iter().zip(attributes).zip(known).zip(answers)
        {
            match self.place(object, attributes, known, answers) {
                Ok((place, contributions)) => placed.push((object, place, contributions)),
                Err(problem) => problems.entry(object.id).or_default().push(problem),
            }
        }
        let homes = self.homes(&placed);
        for (object, place, contributions) in placed {
            match place {
                Place::Nothing => {}
                Place::Leave { object, departure } => {
                    let stays = departure == Departure::Disable;
                    provision::leave(object, departure, stays, self.target, self.rules, outcome);
                }
                Place::Keep { object: target, link } => {
                    let job = Job { mv: object, target, link, contributions, homes: &homes };
                    if let Err(problem) = self.export(job, outcome) {
                        problems.entry(object.id).or_default().push(problem);
                    }
                }
            }
        }
    }

    /// The target object of each metaverse object, where there is one.
    fn known(&self, ids: &[MvId]) -> Vec<Option<CsObject>> {
        let targets = self.view.targets_of(ids, &self.target.name);
        let present: Vec<CsId> = targets.iter().flatten().copied().collect();
        let mut objects: BTreeMap<CsId, CsObject> =
            self.view.cs_objects(&present).into_iter().map(|object| (object.id, object)).collect();
        targets.into_iter().map(|id| objects.remove(&id?)).collect()
    }

    fn ask(
        &self,
        objects: &[MvObject],
        attributes: &[AttributeMap],
        known: &[Option<CsObject>],
        modules: &dyn Rules,
        outcome: &mut Outcome,
    ) -> Vec<Answers> {
        let nothing = AttributeMap::new();
        let subjects: Vec<Subject<'_>> = objects
            .iter()
            .zip(attributes)
            .zip(known)
            .map(|((object, attributes), known)| Subject {
                object: self.named(object, known.as_ref()),
                class: object.class.as_str(),
                attributes,
                imported: known.as_ref().map_or(&nothing, |known| &known.attributes),
                kept: known.as_ref().map_or(&[], |known| known.contributions.as_slice()),
                rules: self.scope(object, attributes),
            })
            .collect();
        evaluate(&subjects, self.rules, modules, &mut outcome.counters)
    }

    /// Who is named in problems: the target object, else the source of some attribute.
    fn named(&self, object: &MvObject, known: Option<&CsObject>) -> CsId {
        let source = || object.attributes.values().next().map(|attribute| attribute.winner.source);
        known.map(|known| known.id).or_else(source).unwrap_or(CsId(0))
    }

    fn scope(&self, object: &MvObject, attributes: &AttributeMap) -> Vec<RuleId> {
        let in_scope: Vec<RuleId> = self
            .rules
            .of(Direction::Outbound, &self.target.name)
            .filter(|(_, rule)| rule.mv_class == object.class && rule.scope.holds(attributes))
            .map(|(id, _)| id)
            .collect();
        if in_scope.iter().any(|id| join::can_link(self.rules.rule(*id))) {
            in_scope
        } else {
            vec![]
        }
    }

    /// Decides whether the object has a place at the target (11.5 steps 1 to 4).
    fn place(
        &mut self,
        object: &MvObject,
        attributes: &AttributeMap,
        known: Option<CsObject>,
        answers: Answers,
    ) -> Result<(Place, Vec<RuleContribution>), Problem> {
        let contributions = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let linking: Vec<RuleId> = contributions
            .iter()
            .filter(|contribution| matches!(contribution.outcome, Kept::Flows(_)))
            .filter_map(|contribution| self.rules.by_tag(&contribution.rule))
            .filter(|id| join::can_link(self.rules.rule(*id)))
            .collect();
        self.one_class(object, known.as_ref(), &linking)?;
        let place = match known {
            Some(known) => self.stay(known, &linking),
            None => self.find(object, attributes, &linking)?,
        };
        Ok((place, contributions))
    }

    /// Two target types for one object: only one may be in scope.
    fn one_class(
        &self,
        object: &MvObject,
        known: Option<&CsObject>,
        linking: &[RuleId],
    ) -> Result<(), Problem> {
        let provisioning: Vec<RuleId> = linking
            .iter()
            .copied()
            .filter(|id| self.rules.rule(*id).link == LinkType::Provision)
            .collect();
        let classes: BTreeSet<_> =
            provisioning.iter().map(|id| &self.rules.rule(*id).cs_class).collect();
        if classes.len() < 2 {
            return Ok(());
        }
        let names: Vec<String> = classes.iter().map(|class| format!("`{class}`")).collect();
        let rule = provisioning.last().map(|id| self.rules.rule(*id).tag.clone());
        let message = format!("rules in scope want it as {}", names.join(" and as "));
        let (kind, object) = (ProblemKind::ProvisionConflict, self.named(object, known));
        Err(Problem { kind, object, rule, attribute: None, message })
    }

    /// The object is at the target: does a rule still want it there?
    fn stay(&self, known: CsObject, linking: &[RuleId]) -> Place {
        let of_class = |id: &&RuleId| self.rules.rule(**id).cs_class == known.class;
        let Some(link) = known.link.clone() else { return Place::Nothing };
        let still = linking.iter().find(|id| self.rules.rule(**id).tag == link.rule);
        // The link passes to the first rule that would make it too (provisioning.md 18).
        match still.or_else(|| linking.iter().find(of_class)) {
            Some(id) => {
                let link = Link { rule: self.rules.rule(*id).tag.clone(), ..link };
                Place::Keep { object: known, link }
            }
            None => {
                let departure = Departure::of(&known, self.target, self.rules);
                Place::Leave { object: known, departure }
            }
        }
    }

    /// The object is not linked at the target: is it there unlinked, or is it to be created?
    fn find(
        &mut self,
        object: &MvObject,
        attributes: &AttributeMap,
        linking: &[RuleId],
    ) -> Result<Place, Problem> {
        for id in linking {
            let found = self.unlinked(*id, attributes);
            if found.len() > 1 {
                let message = format!("{} objects of the target match", found.len());
                let (kind, named) = (ProblemKind::AmbiguousMatch, self.named(object, None));
                let rule = Some(self.rules.rule(*id).tag.clone());
                return Err(Problem { kind, object: named, rule, attribute: None, message });
            }
            if let Some(found) = found.into_iter().next() {
                self.taken.insert(found.id);
                let rule = self.rules.rule(*id).tag.clone();
                let link = Link { mv: object.id, rule, origin: LinkOrigin::Joined };
                return Ok(Place::Keep { object: found, link });
            }
        }
        let provisions = |id: &&RuleId| self.rules.rule(**id).link == LinkType::Provision;
        Ok(linking.iter().find(provisions).map_or(Place::Nothing, |id| self.create(object, *id)))
    }

    fn unlinked(&self, id: RuleId, attributes: &AttributeMap) -> Vec<CsObject> {
        let rule = self.rules.rule(id);
        for group in &rule.join {
            let mut found: Option<BTreeSet<CsId>> = None;
            for clause in group {
                let values = attributes.get(&clause.mv).into_iter().flatten();
                let keys = values
                    .filter_map(|value| IndexKey::new(&clause.cs, clause.case_sensitive, value));
                let matching: BTreeSet<CsId> = keys
                    .flat_map(|key| self.view.unlinked_targets(&self.target.name, &key))
                    .filter(|id| !self.taken.contains(id))
                    .collect();
                found = Some(match found {
                    None => matching,
                    Some(before) => before.intersection(&matching).copied().collect(),
                });
            }
            let ids: Vec<CsId> = found.unwrap_or_default().into_iter().collect();
            let mut objects = self.view.cs_objects(&ids);
            objects.retain(|object| object.class == rule.cs_class && object.link.is_none());
            if !objects.is_empty() {
                return objects;
            }
        }
        vec![]
    }

    fn create(&mut self, object: &MvObject, id: RuleId) -> Place {
        let rule = self.rules.rule(id);
        let link = Link { mv: object.id, rule: rule.tag.clone(), origin: LinkOrigin::Provisioned };
        let created = CsObject {
            id: self.next,
            connector: self.target.name.clone(),
            class: rule.cs_class.clone(),
            anchor: None,
            dn: String::new(),
            presence: Presence::ExportOnly,
            attributes: AttributeMap::new(),
            link: None,
            contributions: vec![],
            deprovisioned: false,
        };
        self.next = CsId(self.next.0 + 1);
        Place::Keep { object: created, link }
    }

    /// Where references to metaverse objects lead at this target: what was there, and what this pass adds.
    fn homes(&self, placed: &[(&MvObject, Place, Vec<RuleContribution>)]) -> BTreeMap<MvId, CsId> {
        let mut wanted: BTreeSet<MvId> = BTreeSet::new();
        for (_, place, contributions) in placed {
            if matches!(place, Place::Keep { .. }) {
                wanted.extend(contributions.iter().flat_map(target::referenced));
            }
        }
        let wanted: Vec<MvId> = wanted.into_iter().collect();
        let found = self.view.targets_of(&wanted, &self.target.name);
        let mut homes: BTreeMap<MvId, CsId> =
            wanted.into_iter().zip(found).filter_map(|(mv, cs)| Some((mv, cs?))).collect();
        for (mv, place, _) in placed {
            match place {
                Place::Keep { object, .. } => {
                    homes.insert(mv.id, object.id);
                }
                // A disabled object still is somebody to refer to; one that goes is not.
                Place::Leave { departure, .. } if *departure != Departure::Disable => {
                    homes.remove(&mv.id);
                }
                Place::Leave { .. } | Place::Nothing => {}
            }
        }
        homes
    }

    /// What the object should hold, and the difference to what it holds (11.5 steps 5 to 8).
    fn export(&self, job: Job<'_>, outcome: &mut Outcome) -> Result<(), Problem> {
        let Job { mv, mut target, link, contributions, homes } = job;
        let class = self.target.classes.get(&target.class).cloned().unwrap_or_default();
        let desired = Desired::of(&target, &contributions, &class, self.rules, homes).map_err(
            |(rule, attribute, message)| Problem {
                kind: ProblemKind::MultiToSingle,
                object: self.named(mv, Some(&target)),
                rule: Some(self.rules.rule(rule).tag.clone()),
                attribute: Some(attribute),
                message,
            },
        )?;
        outcome.counters.omitted_references += desired.omitted;
        let arrived = target.link.is_none();
        let export = desired.export(&target, &class, &self.not_persisted, mv.id);
        outcome.exports.push((target.id, export));
        if arrived {
            outcome.repoint_mv.push(mv.id);
        }
        if arrived
            || target.link.as_ref() != Some(&link)
            || target.contributions != contributions
            || target.deprovisioned
        {
            target.link = Some(link);
            target.contributions = contributions;
            target.deprovisioned = false;
            outcome.cs.push(CsUpdate::Target { object: target, unlinked: vec![] });
        }
        Ok(())
    }
}

struct Job<'a> {
    mv: &'a MvObject,
    target: CsObject,
    link: Link,
    contributions: Vec<RuleContribution>,
    homes: &'a BTreeMap<MvId, CsId>,
}

impl Outcome {
    /// The first connector-space id that neither the store nor this outcome has given away.
    fn next_cs_id(&self, view: &dyn View) -> CsId {
        let used = self.cs.iter().filter_map(|update| match update {
            CsUpdate::Target { object, .. } => Some(object.id.0 + 1),
            _ => None,
        });
        CsId(used.max().unwrap_or(0).max(view.next_ids().0.0))
    }

    /// Takes a metaverse object off the books.
    pub(crate) fn delete_mv(&mut self, id: MvId) {
        self.mv.push(MvUpdate::Delete { id });
        self.problems.push((Phase::Outbound, id.0, vec![]));
    }
}

/// Whether a connector is one that exports go to.
pub(crate) fn is_target(rules: &RuleSet, name: &crate::object::ConnectorName) -> bool {
    rules.connector(name).is_some_and(|connector| connector.kind == ConnectorKind::Target)
}
