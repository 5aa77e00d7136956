//! From the metaverse to the connector spaces of the targets (provisioning.md 11.5): which target
//! object should there be, what should it hold, how does that differ from what the target is known
//! to hold?
//!
//! Metaverse objects flow in; links to target objects and pending exports flow out.

use std::collections::{BTreeMap, BTreeSet};

use crate::connector_space::{CsId, CsObject, Link, LinkOrigin, MvId, Presence};
use crate::evaluate::{Answers, Subject, evaluate};
use crate::flow::{Kept, RuleContribution, Rules};
use crate::join;
use crate::metaverse::MvObject;
use crate::object::{AttributeMap, AttributeName, ClassName, ReferenceKey, Value};
use crate::problem::{Problem, ProblemKind};
use crate::provision::{self, Departure};
use crate::rule::{Connector, Direction, LinkType, RuleId, RuleSet, TargetClass};
use crate::target::Desired;
use crate::vacancy::{Released, Vacancies};
use crate::view::{CsUpdate, MvUpdate, Outcome, Phase, View};

/// Evaluates metaverse objects for every target.
///
/// Takes: ids of queued metaverse objects, any number. Gives: everything that changes; every id of
/// `ids` is done. Errors: none; one object's failure is a problem of that object.
pub fn outbound(view: &dyn View, ids: &[MvId], rules: &RuleSet, modules: &dyn Rules) -> Outcome {
    let mut outcome = Outcome { done_mv: ids.to_vec(), ..Outcome::default() };
    let (alive, dying): (Vec<_>, Vec<_>) =
        view.mv_objects(ids).into_iter().partition(|object| object.alive);
    let released = provision::take_down(view, &dying, rules, &mut outcome);
    let attributes = resolved(view, &alive);
    let mut problems: BTreeMap<MvId, Vec<Problem>> =
        alive.iter().map(|object| (object.id, vec![])).collect();
    for target in rules.targets() {
        let next = outcome.next_cs_id(view);
        let of_target = released.iter().filter(|released| released.object.connector == target.name);
        let mut pass = Pass::new(view, rules, target, next, of_target);
        pass.run(&alive, &attributes, modules, &mut outcome, &mut problems);
    }
    outcome.counters.evaluated += ids.len() as u64;
    outcome
        .problems
        .extend(problems.into_iter().map(|(mv, problems)| (Phase::Outbound, mv.0, problems)));
    outcome
}

/// The attributes of each object as outbound rules see them: references as metaverse ids, those
/// that lead nowhere left out, those that lead to one object collapsed (11.7).
pub(crate) fn resolved(view: &dyn View, objects: &[MvObject]) -> Vec<AttributeMap> {
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
    not_persisted: BTreeSet<(ClassName, AttributeName)>,
    next: CsId,
    /// Stands for types that the configuration does not describe.
    unknown_class: TargetClass,
    vacancies: Vacancies<'a>,
    /// Metaverse objects that lost their place at the target in this pass.
    gone: BTreeSet<MvId>,
}

/// What a metaverse object is to have at the target.
struct Job<'a> {
    mv: &'a MvObject,
    target: CsObject,
    link: Link,
    contributions: Vec<RuleContribution>,
    desired: Desired,
}

// === impl Pass ===

impl<'a> Pass<'a> {
    fn new(
        view: &'a dyn View,
        rules: &'a RuleSet,
        target: &'a Connector,
        next: CsId,
        released: impl Iterator<Item = &'a Released>,
    ) -> Self {
        let not_persisted = view.not_persisted(&target.name);
        let released: Vec<&Released> = released.collect();
        let gone = released.iter().map(|released| released.mv).collect();
        let vacancies = Vacancies::new(view, target, released);
        let unknown_class = TargetClass::default();
        Self { view, rules, target, not_persisted, next, unknown_class, vacancies, gone }
    }

    fn run(
        &mut self,
        objects: &'a [MvObject],
        attributes: &[AttributeMap],
        modules: &dyn Rules,
        outcome: &mut Outcome,
        problems: &mut BTreeMap<MvId, Vec<Problem>>,
    ) {
        let ids: Vec<MvId> = objects.iter().map(|object| object.id).collect();
        let known = self.known(&ids);
        let answers = self.ask(objects, attributes, &known, modules, outcome);
        let mut jobs = vec![];
        for (((object, attributes), known), answers) in
            objects.iter().zip(attributes).zip(known).zip(answers)
        {
            self.vacancies.advance_to(object.id);
            match self.place(object, attributes, known, answers, outcome) {
                Ok(job) => jobs.extend(job),
                Err(problem) => problems.entry(object.id).or_default().push(problem),
            }
        }
        let homes = self.homes(&jobs);
        for job in jobs {
            self.export(job, &homes, outcome);
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
            .filter(|(_, rule)| rule.is_about(&object.class) && rule.scope.holds(attributes))
            .map(|(id, _)| id)
            .collect();
        if in_scope.iter().any(|id| join::can_link(self.rules.rule(*id))) {
            in_scope
        } else {
            vec![]
        }
    }

    /// Decides whether the object has a place at the target, and what it is to hold there (11.5).
    /// On any problem everything about the object stays as it was.
    fn place(
        &mut self,
        object: &'a MvObject,
        attributes: &AttributeMap,
        known: Option<CsObject>,
        answers: Answers,
        outcome: &mut Outcome,
    ) -> Result<Option<Job<'a>>, Problem> {
        let contributions = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let linking: Vec<RuleId> = contributions
            .iter()
            .filter(|contribution| matches!(contribution.outcome, Kept::Flows(_)))
            .filter_map(|contribution| self.rules.by_tag(&contribution.rule))
            .filter(|id| join::can_link(self.rules.rule(*id)))
            .collect();
        self.one_class(object, known.as_ref(), &linking)?;
        let (leaving, home) = match known {
            Some(known) => match self.kept_link(&known, &linking) {
                Some(link) => (None, Some((known, link))),
                None => (Some(known), self.find(object, attributes, &linking)?),
            },
            None => (None, self.find(object, attributes, &linking)?),
        };
        let replaced = home.is_some();
        let job = match home {
            Some((target, link)) => Some(self.job(object, target, link, contributions)?),
            None => None,
        };
        if let Some(known) = leaving {
            self.leave(known, replaced, outcome);
        }
        if let Some(job) = &job {
            self.vacancies.take(job.target.id);
            self.next = self.next.max(CsId(job.target.id.0 + 1));
        }
        Ok(job)
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

    /// The object is at the target: the link that keeps it there, if a rule still wants it.
    fn kept_link(&self, known: &CsObject, linking: &[RuleId]) -> Option<Link> {
        let link = known.link.as_ref()?;
        let still = linking.iter().find(|id| self.rules.rule(**id).tag == link.rule);
        let of_class = |id: &&RuleId| self.rules.rule(**id).cs_class == known.class;
        // The link passes to the first rule that would make it too (provisioning.md 18).
        let id = still.or_else(|| linking.iter().find(of_class))?;
        Some(Link { rule: self.rules.rule(*id).tag.clone(), ..link.clone() })
    }

    /// No rule wants the object at the target as it is there. `replaced`: but as another.
    fn leave(&mut self, known: CsObject, replaced: bool, outcome: &mut Outcome) {
        let departure = Departure::of(&known, self.target, self.rules);
        let stays_linked = departure == Departure::Disable && !replaced;
        if !stays_linked {
            self.gone.extend(known.link.as_ref().map(|link| link.mv));
        }
        let left =
            provision::leave(known, departure, stays_linked, self.target, self.rules, outcome);
        if let Some((object, keys)) = left {
            self.vacancies.add(object, &keys);
        }
    }

    /// The object is not linked at the target: is it there unlinked, or is it to be created?
    fn find(
        &self,
        object: &MvObject,
        attributes: &AttributeMap,
        linking: &[RuleId],
    ) -> Result<Option<(CsObject, Link)>, Problem> {
        for id in linking {
            let rule = self.rules.rule(*id);
            let found = self.vacancies.find(rule, attributes);
            if found.len() > 1 {
                let message = format!("{} objects of the target match", found.len());
                let (kind, named) = (ProblemKind::AmbiguousMatch, self.named(object, None));
                let rule = Some(rule.tag.clone());
                return Err(Problem { kind, object: named, rule, attribute: None, message });
            }
            if let Some(found) = found.into_iter().next() {
                let (mv, rule) = (object.id, rule.tag.clone());
                return Ok(Some((found, Link { mv, rule, origin: LinkOrigin::Joined })));
            }
        }
        let provisions = |id: &&RuleId| self.rules.rule(**id).link == LinkType::Provision;
        Ok(linking.iter().find(provisions).map(|id| self.create(object, *id)))
    }

    fn create(&self, object: &MvObject, id: RuleId) -> (CsObject, Link) {
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
        (created, link)
    }

    /// What the object is to hold, apart from where its references lead.
    fn job(
        &self,
        mv: &'a MvObject,
        target: CsObject,
        link: Link,
        mut contributions: Vec<RuleContribution>,
    ) -> Result<Job<'a>, Problem> {
        // A rule about another type of target object says nothing about this one.
        contributions.retain(|contribution| {
            let rule = self.rules.by_tag(&contribution.rule).map(|id| self.rules.rule(id));
            rule.is_some_and(|rule| rule.cs_class == target.class)
        });
        let desired = Desired::of(&target, &contributions, self.class(&target), self.rules)
            .map_err(|misfit| Problem {
                kind: ProblemKind::MultiToSingle,
                object: self.named(mv, Some(&target)),
                rule: Some(self.rules.rule(misfit.rule).tag.clone()),
                attribute: Some(misfit.attribute),
                message: misfit.message,
            })?;
        Ok(Job { mv, target, link, contributions, desired })
    }

    fn class(&self, object: &CsObject) -> &TargetClass {
        self.target.classes.get(&object.class).unwrap_or(&self.unknown_class)
    }

    /// Where references to metaverse objects lead at this target: what was there, and what this
    /// pass adds. A disabled object still is somebody to refer to; one that goes is not.
    fn homes(&self, jobs: &[Job<'_>]) -> BTreeMap<MvId, CsId> {
        let wanted: BTreeSet<MvId> = jobs.iter().flat_map(|job| job.desired.referenced()).collect();
        let wanted: Vec<MvId> = wanted.into_iter().collect();
        let found = self.view.targets_of(&wanted, &self.target.name);
        let mut homes: BTreeMap<MvId, CsId> =
            wanted.into_iter().zip(found).filter_map(|(mv, cs)| Some((mv, cs?))).collect();
        homes.retain(|mv, _| !self.gone.contains(mv));
        homes.extend(jobs.iter().map(|job| (job.mv.id, job.target.id)));
        homes
    }

    /// Stages the difference between what the object should hold and what it holds (11.5 step 8).
    fn export(&self, job: Job<'_>, homes: &BTreeMap<MvId, CsId>, outcome: &mut Outcome) {
        let Job { mv, mut target, link, contributions, mut desired } = job;
        outcome.counters.omitted_references += desired.resolve(homes);
        let export = desired.export(&target, self.class(&target), &self.not_persisted, mv.id);
        outcome.exports.push((target.id, export));
        if target.link.is_none() {
            outcome.repoint_mv.push(mv.id);
        }
        let contributions = desired.with_leftovers(contributions, &target, self.rules);
        let link = Some(link);
        if target.link != link
            || target.contributions != contributions
            || target.deprovisioned != desired.revives
        {
            target.link = link;
            target.contributions = contributions;
            target.deprovisioned = desired.revives;
            outcome.cs.push(CsUpdate::Target { object: target, unlinked: vec![] });
        }
    }
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
