//! What a newer rule set asks for (provisioning.md 11.9). Two records and the newer rules flow in;
//! for each object it then says what has to be done: nothing, resolving its attributes anew without
//! asking any rule, or evaluating it. Which modules an evaluation asks is decided by fingerprints.

use std::collections::{BTreeMap, BTreeSet};

use super::{Direction, RuleId, RuleMark, RuleSet, RuleTag, RulesRecord};
use crate::connector_space::CsObject;
use crate::flow::{Contribution, Kept};
use crate::metaverse::MvObject;
use crate::object::{AttributeMap, AttributeName, ClassName, ConnectorName, Value};

/// What one object needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    #[default]
    Nothing,
    /// Its metaverse object's attributes are to be resolved anew.
    Resolve,
    /// It is to pass its rules.
    Evaluate,
}

/// The way from one rule set to another.
#[derive(Debug, Default)]
pub struct Revision<'a> {
    rules: Option<&'a RuleSet>,
    everything: bool,
    /// By what inbound rules read.
    sources: BTreeMap<(ConnectorName, ClassName), Changes>,
    /// By what outbound rules read.
    metaverse: BTreeMap<ClassName, Changes>,
    /// Types of metaverse objects of which every one is to be resolved anew.
    resolved: BTreeSet<ClassName>,
    /// Types of which every one is to pass its outbound rules.
    evaluated: BTreeSet<ClassName>,
}

/// What differs in the rules about one type of object.
#[derive(Debug, Default)]
struct Changes {
    /// Rules that are new or answer otherwise: they are asked where they are in scope.
    answering: Vec<RuleId>,
    /// Rules whose scope is another: what enters or leaves it.
    rescoped: Vec<(RuleId, RuleTag)>,
    /// Rules that are no more.
    gone: BTreeSet<RuleTag>,
    /// Rules that may link otherwise: what is not linked and in their scope.
    relinking: Vec<RuleId>,
    /// Rules whose join criteria may contradict those of another: everything in their scope.
    conflicting: Vec<RuleId>,
    /// Rules whose links keep other objects alive than before.
    keeping: BTreeSet<RuleTag>,
    /// Rules whose values are merged otherwise.
    merging: BTreeSet<RuleTag>,
    /// Rules that changed places, with the attributes that both write.
    swapped: Vec<Swap>,
}

#[derive(Debug)]
struct Swap {
    rules: [RuleTag; 2],
    /// Whether both can speak of one connector-space object; else one stands for the pair.
    together: bool,
    attributes: BTreeSet<AttributeName>,
}

// === impl Revision: what differs ===

impl<'a> Revision<'a> {
    /// From the rules that `before` remembers to `rules`, of which `after` is the record. Without
    /// `before`: everything.
    pub fn new(before: Option<&RulesRecord>, after: &RulesRecord, rules: &'a RuleSet) -> Self {
        let mut revision = Self { rules: Some(rules), ..Self::default() };
        match before {
            Some(before) if before.compat == after.compat => revision.compare(before, after),
            _ => revision.everything = true,
        }
        revision
    }

    fn compare(&mut self, before: &RulesRecord, after: &RulesRecord) {
        let all = |record: &RulesRecord| -> BTreeSet<ClassName> {
            record.rules.values().map(|mark| mark.mv_class.clone()).collect()
        };
        let known = |name: &&ConnectorName| before.sources.contains(name);
        let kept = |name: &&ConnectorName| after.sources.contains(name);
        if before.sources.iter().filter(kept).ne(after.sources.iter().filter(known)) {
            self.resolved.extend(all(after));
        }
        let reindexed = |class: &&ClassName| {
            before.indexes.get(*class).is_some_and(|index| *index != after.indexes[*class])
        };
        self.resolved.extend(after.indexes.keys().filter(reindexed).cloned());
        for (target, classes) in &after.targets {
            if before.targets.get(target).is_some_and(|known| known != classes) {
                let of_target = |mark: &&RuleMark| mark.connector == *target;
                let marks = after.rules.values().filter(of_target);
                self.evaluated.extend(marks.map(|mark| mark.mv_class.clone()));
            }
        }
        for tag in before.differences(after) {
            match (before.rules.get(tag), after.rules.get(tag)) {
                (Some(old), Some(new)) if old.same_place(new) => self.changed(tag, old, new),
                (old, new) => {
                    if let Some(old) = old {
                        self.changes(old).gone.insert(tag.clone());
                    }
                    if let Some(new) = new {
                        self.added(tag, new);
                    }
                }
            }
        }
        self.conflicts(before, after);
        self.swaps(before, after);
    }

    fn added(&mut self, tag: &RuleTag, new: &RuleMark) {
        let id = self.id(tag);
        let changes = self.changes(new);
        changes.answering.push(id);
        if new.links {
            changes.relinking.push(id);
        }
    }

    fn changed(&mut self, tag: &RuleTag, old: &RuleMark, new: &RuleMark) {
        let id = self.id(tag);
        let links = old.links || new.links;
        let changes = self.changes(new);
        if (&old.answers, old.period) != (&new.answers, new.period) {
            changes.answering.push(id);
        }
        if old.scope != new.scope {
            changes.rescoped.push((id, tag.clone()));
        }
        if old.links != new.links {
            changes.gone.insert(tag.clone());
        }
        if old.link != new.link {
            changes.keeping.insert(tag.clone());
        }
        if links && (old.join != new.join || old.link != new.link) {
            changes.relinking.push(id);
        }
        if old.policies != new.policies {
            changes.merging.insert(tag.clone());
        }
    }

    /// Join criteria of one connector and type that differ are an error of every object in whose
    /// scope they meet, linked or not (R23, C3). Where they met before, their objects have problems
    /// and are evaluated anyway.
    fn conflicts(&mut self, before: &RulesRecord, after: &RulesRecord) {
        let joining = |mark: &&RuleMark| mark.direction == Direction::Inbound && mark.links;
        for (tag, mark) in after.rules.iter().filter(|(_, mark)| joining(mark)) {
            if before.rules.get(tag).is_some_and(|old| old.join == mark.join) {
                continue;
            }
            let beside = |other: &&RuleMark| {
                (&other.connector, &other.cs_class) == (&mark.connector, &mark.cs_class)
                    && other.join != mark.join
            };
            if after.rules.values().filter(joining).any(|other| beside(&other)) {
                let id = self.id(tag);
                self.changes(mark).conflicting.push(id);
            }
        }
    }

    fn swaps(&mut self, before: &RulesRecord, after: &RulesRecord) {
        let kept: Vec<(&RuleTag, u32, &RuleMark)> = after
            .rules
            .iter()
            .filter_map(|(tag, new)| {
                let old = before.rules.get(tag).filter(|old| old.same_place(new))?;
                Some((tag, old.precedence, new))
            })
            .collect();
        for (index, (tag, old, new)) in kept.iter().enumerate() {
            for (other_tag, other_old, other) in &kept[index + 1..] {
                let turned = old.cmp(other_old) != new.precedence.cmp(&other.precedence);
                if turned && meet(new, other) {
                    self.swap([tag, other_tag], new, other);
                }
            }
        }
    }

    fn swap(&mut self, tags: [&RuleTag; 2], one: &RuleMark, other: &RuleMark) {
        let attributes: BTreeSet<_> = one.writes.intersection(&other.writes).cloned().collect();
        if attributes.is_empty() {
            return;
        }
        let together = one.connector == other.connector;
        let rules = tags.map(Clone::clone);
        self.changes(one).swapped.push(Swap { rules, together, attributes });
    }

    fn changes(&mut self, mark: &RuleMark) -> &mut Changes {
        match mark.direction {
            Direction::Inbound => {
                let place = (mark.connector.clone(), mark.cs_class.clone());
                self.sources.entry(place).or_default()
            }
            Direction::Outbound => self.metaverse.entry(mark.mv_class.clone()).or_default(),
        }
    }

    fn rules(&self) -> &'a RuleSet {
        self.rules.expect("`new` sets it")
    }

    fn id(&self, tag: &RuleTag) -> RuleId {
        self.rules().by_tag(tag).expect("the record is that of the rules")
    }
}

/// Whether two rules can contribute to one object: inbound, through two sources or as two rules of
/// one type; outbound, at one target.
fn meet(one: &RuleMark, other: &RuleMark) -> bool {
    if one.direction != other.direction {
        return false;
    }
    let (any, connectors) = (super::ANY_CLASS, one.connector == other.connector);
    let classes = one.mv_class == other.mv_class
        || [&one.mv_class, &other.mv_class].iter().any(|class| class.as_str() == any);
    match one.direction {
        Direction::Inbound => classes && (!connectors || one.cs_class == other.cs_class),
        Direction::Outbound => classes && connectors && one.cs_class == other.cs_class,
    }
}

// === impl Revision: what it asks for ===

impl Revision<'_> {
    /// Every object is to be evaluated.
    pub fn is_everything(&self) -> bool {
        self.everything
    }

    /// Nothing differs that could change a result.
    pub fn is_nothing(&self) -> bool {
        !self.everything
            && self.sources.is_empty()
            && self.metaverse.is_empty()
            && self.resolved.is_empty()
            && self.evaluated.is_empty()
    }

    /// Connectors and types of the source objects that have to be looked through, and whether it
    /// needs their attributes or only what rules said of them.
    pub fn sources(&self) -> impl Iterator<Item = (&ConnectorName, &ClassName, bool)> {
        self.sources
            .iter()
            .map(|((connector, class), changes)| (connector, class, changes.need_attributes()))
    }

    /// Types of the metaverse objects that have to be looked through.
    pub fn metaverse(&self) -> impl Iterator<Item = &ClassName> {
        self.metaverse.keys().filter(|class| !self.evaluated.contains(*class))
    }

    /// Types of the metaverse objects that are all to be resolved anew.
    pub fn resolved(&self) -> impl Iterator<Item = &ClassName> {
        self.resolved.iter()
    }

    /// Types of the metaverse objects that are all to pass their outbound rules.
    pub fn evaluated(&self) -> impl Iterator<Item = &ClassName> {
        self.evaluated.iter()
    }

    /// What a source object needs.
    pub fn source(&self, object: &CsObject) -> Need {
        let place = (object.connector.clone(), object.class.clone());
        let Some(changes) = self.sources.get(&place) else { return Need::Nothing };
        let rules = self.rules();
        let holds = |id: RuleId| rules.rule(id).scope.holds(&object.attributes);
        changes.need(object, |_| true, holds, Need::Resolve)
    }

    /// What a metaverse object needs whose target objects are these.
    pub fn joined(&self, object: &MvObject, targets: &[CsObject]) -> Need {
        let Some(changes) = self.metaverse.get(&object.class) else { return Need::Nothing };
        let rules = self.rules();
        let attributes: AttributeMap = object
            .attributes
            .iter()
            .map(|(name, attribute)| (name.clone(), attribute.values.clone()))
            .collect();
        let holds = |id: RuleId| {
            let scope = &rules.rule(id).scope;
            // Whether a reference leads anywhere is not known here.
            let refers = |name: &AttributeName| {
                attributes.get(name).is_some_and(|values| values.iter().any(Value::is_reference))
            };
            scope.attributes().any(refers) || scope.holds(&attributes)
        };
        let needs = |target: &CsObject| {
            let about = |id: RuleId| rules.rule(id).connector == target.connector;
            changes.need(target, about, holds, Need::Evaluate)
        };
        let homeless = |id: RuleId| {
            let connector = &rules.rule(id).connector;
            !targets.iter().any(|target| target.connector == *connector)
        };
        if changes.tested().any(|id| homeless(id) && holds(id)) {
            return Need::Evaluate;
        }
        targets.iter().map(needs).max().unwrap_or_default()
    }
}

// === impl Changes ===

impl Changes {
    fn need_attributes(&self) -> bool {
        !(self.answering.is_empty()
            && self.rescoped.is_empty()
            && self.relinking.is_empty()
            && self.conflicting.is_empty())
    }

    /// Rules whose scope has to be tested.
    fn tested(&self) -> impl Iterator<Item = RuleId> {
        let rescoped = self.rescoped.iter().map(|(id, _)| id);
        let others = self.answering.iter().chain(&self.relinking).chain(&self.conflicting);
        others.chain(rescoped).copied()
    }

    /// `object`: whose contributions tell what rules said before. `about`: rules that speak of it.
    /// `lesser`: what is enough where no rule has to be tested again.
    fn need(
        &self,
        object: &CsObject,
        about: impl Fn(RuleId) -> bool,
        holds: impl Fn(RuleId) -> bool,
        lesser: Need,
    ) -> Need {
        let said = |tag: &RuleTag| object.contributions.iter().any(|kept| kept.rule == *tag);
        let by = |tag: &RuleTag| object.link.as_ref().is_some_and(|link| link.rule == *tag);
        let now = |id: RuleId| about(id) && holds(id);
        let turned = |(id, tag): &(RuleId, RuleTag)| about(*id) && holds(*id) != said(tag);
        let asked = match object.link {
            Some(_) => {
                let asked = self.answering.iter().chain(&self.conflicting);
                asked.copied().any(now) || self.rescoped.iter().any(turned)
            }
            None => self.tested().any(now),
        };
        if asked || self.gone.iter().any(|tag| said(tag) || by(tag)) {
            return Need::Evaluate;
        }
        let again = self.keeping.iter().any(by)
            || self.merging.iter().any(said)
            || self.swapped.iter().any(|swap| swap.concerns(object));
        if again { lesser } else { Need::Nothing }
    }
}

// === impl Swap ===

impl Swap {
    /// Whether the object is one that both rules speak of, or through which they meet.
    fn concerns(&self, object: &CsObject) -> bool {
        let [one, other] = &self.rules;
        let (mut ours, mut theirs) = (spoken(object, one), spoken(object, other));
        match self.together {
            true => {
                let theirs: BTreeSet<&AttributeName> = theirs.collect();
                ours.any(|name| self.attributes.contains(name) && theirs.contains(name))
            }
            false => ours.chain(&mut theirs).any(|name| self.attributes.contains(name)),
        }
    }
}

/// Attributes of which a rule said anything of this object.
fn spoken<'a>(object: &'a CsObject, rule: &'a RuleTag) -> impl Iterator<Item = &'a AttributeName> {
    let kept = object.contributions.iter().filter(move |kept| kept.rule == *rule);
    let flows = kept.flat_map(|kept| match &kept.outcome {
        Kept::Flows(flows) => flows.as_slice(),
        Kept::Skipped(_) | Kept::Withdrawn(_) => &[],
    });
    flows
        .filter(|flow| !matches!(flow.contribution, Contribution::None))
        .map(|flow| &flow.attribute)
}
