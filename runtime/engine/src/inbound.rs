//! From the connector space to the metaverse (provisioning.md 11.2): scope, join, transform,
//! resolve.
//!
//! Source objects flow in; links, contributions and metaverse objects flow out.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::connector_space::{CsId, CsObject, Link, LinkOrigin, MvId, Presence};
use crate::evaluate::{Answers, Subject, evaluate};
use crate::flow::{Kept, RuleContribution, Rules};
use crate::join::{self, LinkRule, Match};
use crate::joined::Joined;
use crate::object::{Anchor, AttributeMap, Value};
use crate::problem::{Problem, ProblemKind};
use crate::rule::{Direction, LinkType, RuleId, RuleSet, RuleTag};
use crate::time::Timestamp;
use crate::view::{CsUpdate, IndexKey, Outcome, Phase, View};

/// Evaluates source objects.
///
/// Takes: ids of queued source objects, any number. Gives: everything that changes; every id of
/// `ids` is done, whatever became of it, or queued anew. Errors: none; one object's failure is a
/// problem of that object.
pub fn inbound(
    view: &dyn View,
    ids: &[CsId],
    rules: &RuleSet,
    modules: &dyn Rules,
    now: Timestamp,
) -> Outcome {
    let mut pass = Pass {
        rules,
        joined: Joined::new(view, rules, now),
        outcome: Outcome { done_cs: ids.to_vec(), ..Outcome::default() },
        turns: BTreeMap::new(),
    };
    let objects = pass.load(view, ids);
    let scopes: Vec<Vec<RuleId>> = objects.iter().map(|object| pass.scope(object)).collect();
    let answers = pass.ask(&objects, &scopes, modules);
    for object in &objects {
        pass.joined.take_source(object);
    }
    for (object, answers) in objects.iter().zip(answers) {
        let keys = object.link.as_ref().map(|link| pass.joined.keys(link.mv));
        if pass.yields(object, &keys.unwrap_or_default()) {
            continue;
        }
        pass.outcome.counters.evaluated += 1;
        let problems = match object.presence {
            Presence::Deleted => pass.remove(object),
            _ => pass.place(object, answers),
        };
        pass.outcome.problems.push((Phase::Inbound, object.id.0, problems.into_iter().collect()));
    }
    pass.finish()
}

/// Resolves metaverse objects anew, of whose sources nothing has changed: other rules rank what
/// they said otherwise, or the grace of one that nothing keeps is over. No module is asked.
///
/// Takes: ids of metaverse objects, any number. Gives: everything that changes.
pub fn resolve(view: &dyn View, ids: &[MvId], rules: &RuleSet, now: Timestamp) -> Outcome {
    let mut outcome = Outcome { done_resolve: ids.to_vec(), ..Outcome::default() };
    let mut joined = Joined::new(view, rules, now);
    for mv in ids {
        if joined.class(*mv).is_none() {
            continue;
        }
        outcome.counters.resolved += 1;
        for (_, woken) in joined.settle(*mv) {
            outcome.dirty_cs.extend(woken.iter().map(|object| object.id));
        }
    }
    let (updates, touched) = joined.finish();
    outcome.mv = updates;
    outcome.dirty_mv.extend(touched);
    outcome
}

/// Place in the order of evaluation: connectors by index, objects by anchor (11.10).
type Turn = (u32, Option<Anchor>);

struct Pass<'a> {
    rules: &'a RuleSet,
    joined: Joined<'a>,
    outcome: Outcome,
    /// By join key: the first of those who were woken by it, and are looked at in a later pass.
    turns: BTreeMap<IndexKey, Turn>,
}

// === impl Pass ===

impl Pass<'_> {
    fn turn(&self, object: &CsObject) -> Turn {
        (self.joined.connector_order(&object.connector), object.anchor.clone())
    }

    /// Objects in the order of evaluation.
    fn load(&self, view: &dyn View, ids: &[CsId]) -> Vec<Rc<CsObject>> {
        let mut objects = view.cs_objects(ids);
        objects.retain(|object| matches!(object.presence, Presence::Imported | Presence::Deleted));
        objects.sort_by_cached_key(|object| self.turn(object));
        for object in &mut objects {
            if !object.dn.is_empty() {
                object.attributes.insert("dn".into(), vec![Value::text(object.dn.clone())]);
            }
        }
        objects.into_iter().map(Rc::new).collect()
    }

    /// The rules whose declarative scope holds; none for an object that no rule can link.
    fn scope(&self, object: &CsObject) -> Vec<RuleId> {
        if object.presence == Presence::Deleted {
            return vec![];
        }
        let in_scope: Vec<RuleId> = self
            .rules
            .of(Direction::Inbound, &object.connector)
            .filter(|(_, rule)| rule.cs_class == object.class)
            .filter(|(_, rule)| rule.scope.holds(&object.attributes))
            .map(|(id, _)| id)
            .collect();
        if in_scope.iter().any(|id| join::can_link(self.rules.rule(*id))) {
            in_scope
        } else {
            vec![]
        }
    }

    fn ask(
        &mut self,
        objects: &[Rc<CsObject>],
        scopes: &[Vec<RuleId>],
        modules: &dyn Rules,
    ) -> Vec<Answers> {
        let none = AttributeMap::new();
        let subjects: Vec<Subject<'_>> = objects
            .iter()
            .zip(scopes)
            .map(|(object, scope)| Subject {
                object: object.id,
                class: object.class.as_str(),
                attributes: &object.attributes,
                // What a source holds is what it confirmed: nothing is exported to it.
                imported: if object.presence == Presence::Deleted {
                    &none
                } else {
                    &object.attributes
                },
                kept: &object.contributions,
                rules: scope.clone(),
            })
            .collect();
        evaluate(&subjects, self.rules, modules, &mut self.outcome.counters)
    }

    /// The source no longer has the object: its contributions are recalled (11.6).
    fn remove(&mut self, object: &CsObject) -> Option<Problem> {
        if let Some(link) = &object.link {
            self.joined.unlink(object.id, link.mv);
            self.settle(link.mv);
        }
        self.outcome.repoint_cs.push(object.id);
        self.outcome.cs.push(CsUpdate::Forget { id: object.id });
        None
    }

    /// Links the object, or not, and takes its contributions in. On any problem everything about
    /// the object stays as it was (11.2 step 7).
    fn place(&mut self, object: &CsObject, answers: Answers) -> Option<Problem> {
        let contributions: Vec<RuleContribution> = match answers.into_iter().collect() {
            Ok(contributions) => contributions,
            Err(problem) => return Some(problem),
        };
        let in_scope = self.in_scope(&contributions);
        let link_rule = match join::link_rule(&in_scope, self.rules) {
            LinkRule::Conflict(ids) => return Some(self.conflict(object, &ids)),
            LinkRule::One(id) => Some(id),
            LinkRule::None => None,
        };
        let holds = |tag: &RuleTag| {
            let linking = |id: &&RuleId| join::can_link(self.rules.rule(**id));
            in_scope.iter().filter(linking).any(|id| self.rules.rule(*id).tag == *tag)
        };
        let kept_link = object.link.clone().filter(|link| holds(&link.rule));
        let link = match (kept_link, link_rule) {
            (Some(link), _) => Some(link),
            (None, Some(id)) => {
                let keys = join::waiting_keys(&self.rules.rule(id).join, &object.attributes);
                if self.yields(object, &keys.into_iter().collect()) {
                    return None;
                }
                match self.find(object, id) {
                    Ok(link) => link,
                    Err(problem) => {
                        self.wait_unchanged(object, id);
                        return Some(problem);
                    }
                }
            }
            (None, None) => None,
        };
        let waiting = match (&link, link_rule) {
            (None, Some(id)) => join::waiting_keys(&self.rules.rule(id).join, &object.attributes),
            _ => vec![],
        };
        self.take(object, link, contributions, waiting);
        None
    }

    fn in_scope(&self, contributions: &[RuleContribution]) -> Vec<RuleId> {
        contributions
            .iter()
            .filter(|contribution| matches!(contribution.outcome, Kept::Flows(_)))
            .filter_map(|contribution| self.rules.by_tag(&contribution.rule))
            .collect()
    }

    /// Looks for the metaverse object that an unlinked object belongs to, and creates it where the
    /// rule provisions. `Ok(None)`: a disconnector.
    fn find(&mut self, object: &CsObject, id: RuleId) -> Result<Option<Link>, Problem> {
        let rule = self.rules.rule(id);
        let joined = &self.joined;
        let found = join::find(&rule.join, &object.attributes, |key| joined.candidates(key, rule));
        let (mv, origin) = match found {
            Match::One(mv) => {
                let linked = self.joined.linked_from(mv, &object.connector);
                if let Some(other) = linked.filter(|other| *other != object.id) {
                    return Err(self.taken(object, id, other));
                }
                (mv, LinkOrigin::Joined)
            }
            Match::Several(candidates) if !self.rules.compat.multiple_match_provisions => {
                return Err(self.ambiguous(object, id, &candidates));
            }
            Match::None { present: false } => return Ok(None),
            _ if rule.link != LinkType::Provision => return Ok(None),
            _ => (self.joined.create(&rule.mv_class), LinkOrigin::Projected),
        };
        Ok(Some(Link { mv, rule: rule.tag.clone(), origin }))
    }

    /// An object leaves the turn to those before it who were woken by a key that it has a part in:
    /// else the size of a batch would decide who of two comes first. It comes again after them.
    ///
    /// `keys`: those of the metaverse object it is linked to, or those by which it looks for one.
    fn yields(&mut self, object: &CsObject, keys: &BTreeSet<IndexKey>) -> bool {
        let turn = self.turn(object);
        let yields = keys.iter().any(|key| self.turns.get(key).is_some_and(|first| *first < turn));
        if yields {
            self.outcome.dirty_cs.insert(object.id);
            for key in keys {
                self.turns.entry(key.clone()).or_insert_with(|| turn.clone());
            }
        }
        yields
    }

    /// An object whose place is taken or not certain stays as it is, and is looked at again as soon
    /// as that may be different.
    fn wait_unchanged(&mut self, object: &CsObject, id: RuleId) {
        let waiting = join::waiting_keys(&self.rules.rule(id).join, &object.attributes);
        self.joined.wait(object.id, &waiting);
        let (link, contributions) = (object.link.clone(), object.contributions.clone());
        self.outcome.cs.push(CsUpdate::Source { id: object.id, link, contributions, waiting });
    }

    fn take(
        &mut self,
        object: &CsObject,
        link: Option<Link>,
        mut contributions: Vec<RuleContribution>,
        waiting: Vec<IndexKey>,
    ) {
        let after = link.as_ref().map(|link| link.mv);
        // A disconnector contributes nothing, nor does a rule about another type of metaverse
        // object; what they said is asked anew when it joins.
        let class = after.and_then(|mv| self.joined.class(mv));
        contributions.retain(|contribution| {
            let rule = self.rules.by_tag(&contribution.rule).map(|id| self.rules.rule(id));
            rule.is_some_and(|rule| class.as_ref().is_some_and(|class| rule.is_about(class)))
        });
        if link == object.link && contributions == object.contributions && link.is_some() {
            return;
        }
        self.change(object, link, contributions, waiting);
        if let Some(mv) = after {
            self.settle(mv);
        }
    }

    fn change(
        &mut self,
        object: &CsObject,
        link: Option<Link>,
        contributions: Vec<RuleContribution>,
        waiting: Vec<IndexKey>,
    ) {
        let before = object.link.as_ref().map(|link| link.mv);
        let after = link.as_ref().map(|link| link.mv);
        if before != after {
            self.outcome.repoint_cs.push(object.id);
        }
        let changed = CsObject {
            link: link.clone(),
            contributions: contributions.clone(),
            ..object.without_rules()
        };
        if let Some(mv) = before.filter(|mv| Some(*mv) != after) {
            self.joined.unlink(object.id, mv);
            self.settle(mv);
        }
        self.joined.wait(object.id, &waiting);
        self.joined.put_source(changed);
        self.outcome.cs.push(CsUpdate::Source { id: object.id, link, contributions, waiting });
    }

    /// Resolves a touched metaverse object and wakes those who waited for its keys.
    fn settle(&mut self, mv: MvId) {
        for (key, woken) in self.joined.settle(mv) {
            let turns = woken.iter().map(|object| self.turn(object));
            let first = turns.chain(self.turns.get(&key).cloned()).min();
            self.turns.extend(first.map(|first| (key, first)));
            self.outcome.dirty_cs.extend(woken.iter().map(|object| object.id));
        }
    }

    fn finish(mut self) -> Outcome {
        let (updates, touched) = self.joined.finish();
        self.outcome.mv = updates;
        self.outcome.dirty_mv.extend(touched);
        self.outcome
    }

    fn problem(
        &self,
        object: &CsObject,
        id: RuleId,
        kind: ProblemKind,
        message: String,
    ) -> Problem {
        let rule = Some(self.rules.rule(id).tag.clone());
        Problem { kind, object: object.id, rule, attribute: None, message }
    }

    fn conflict(&self, object: &CsObject, ids: &[RuleId]) -> Problem {
        let names: Vec<String> =
            ids.iter().map(|id| format!("`{}`", self.rules.rule(*id).tag)).collect();
        let message = format!(
            "the join criteria of {} differ; at most one may be in scope",
            names.join(" and ")
        );
        self.problem(object, ids[0], ProblemKind::JoinRulesConflict, message)
    }

    fn taken(&self, object: &CsObject, id: RuleId, other: CsId) -> Problem {
        let message = format!(
            "the metaverse object it matches is already linked to another object of `{}` ({})",
            object.connector,
            self.joined.label(other),
        );
        self.problem(object, id, ProblemKind::AmbiguousConnector, message)
    }

    fn ambiguous(&self, object: &CsObject, id: RuleId, candidates: &[MvId]) -> Problem {
        let ids: Vec<String> = candidates.iter().take(5).map(|mv| mv.0.to_string()).collect();
        let message = format!("{} metaverse objects match: {}", candidates.len(), ids.join(", "));
        self.problem(object, id, ProblemKind::AmbiguousMatch, message)
    }
}
