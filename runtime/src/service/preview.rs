//! One object's plan before it happens (P-01): what the store found and a rule set flow in; scope,
//! join, contributions, the metaverse before and after, exports and everything that would be taken
//! away as a consequence flow out.
//!
//! It is the real evaluation. Its outcomes are laid over what was read, and nothing is written.

mod cascade;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::AttributeName;
use kakehi_engine::precedence::lineage;
use kakehi_engine::preview::{self, Linking};
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::{Direction, Rule, RuleId};
use kakehi_engine::view::{Outcome, Phase, View};
use serde_json::{Map, Value as Json, json};

use crate::report::words;
use crate::service::explain::disconnectors::join_json;
use crate::service::explain::{as_view, attribute, object_json};
use crate::service::overheard::{
    AllSaid, InForce, Session, State, Verdict, add_failures, verdicts,
};
use crate::service::reasons::is_source;
use crate::store::{Explained, PendingExport, Store, StoreError};

/// Others that refer to the object and are looked at with it: its groups.
const REFERRERS_MAX: usize = 200;

/// Objects that are evaluated at most: those that wait for the object, those that refer to it.
const EVALUATED_MAX: usize = 500;

/// What is known before the evaluation.
struct Given {
    found: Explained,
    /// Metaverse objects that refer to it.
    referrers: Vec<MvId>,
    pending: BTreeMap<CsId, PendingExport>,
}

/// Evaluates one object. `notes`: what the reader has to know of how it was done.
pub fn preview(
    store: &dyn Store,
    found: Explained,
    in_force: InForce<'_>,
    notes: &[String],
) -> Result<Json, StoreError> {
    let referrers = match &found.mv {
        Some(mv) => store.referrers(mv.id, REFERRERS_MAX)?,
        None => vec![],
    };
    let pending = found.exports.iter().cloned().map(|one| (one.export.object, one)).collect();
    let given = Given { found, referrers, pending };
    let view = store.view()?;
    let mut evaluation = Evaluation::new(as_view(&*view), in_force, &given);
    evaluation.run();
    let mut body = evaluation.to_json();
    body["notes"] = json!(notes);
    body["ruleset"] = json!(in_force.rules.digest.0);
    view.check()?;
    Ok(body)
}

/// One object on its way through the rules.
struct Evaluation<'a> {
    below: &'a dyn View,
    session: Session<'a>,
    given: &'a Given,
    /// What rules said, and where a joining rule looked before it was decided.
    inbound: BTreeMap<CsId, (AllSaid, Json)>,
    outbound: BTreeMap<MvId, AllSaid>,
    /// Metaverse objects that belong to the story, apart from those that only refer to it.
    people: BTreeSet<MvId>,
    /// How many were left out.
    left_out: usize,
}

// === impl Evaluation ===

impl<'a> Evaluation<'a> {
    fn new(below: &'a dyn View, in_force: InForce<'a>, given: &'a Given) -> Self {
        Self {
            below,
            session: Session::new(below, in_force),
            given,
            inbound: BTreeMap::new(),
            outbound: BTreeMap::new(),
            people: given.found.mv.iter().map(|mv| mv.id).collect(),
            left_out: 0,
        }
    }

    /// The object's sources, then its metaverse object, then whoever is touched by that.
    fn run(&mut self) {
        let mut sources: VecDeque<CsId> = self.sources().iter().map(|object| object.id).collect();
        let mut people: VecDeque<MvId> = self.people.iter().copied().collect();
        let mut evaluated = 0;
        while evaluated < EVALUATED_MAX {
            evaluated += 1;
            let outcome = if let Some(id) = sources.pop_front() {
                self.source(id)
            } else if let Some(id) = people.pop_front() {
                let (said, outcome) = self.session.outbound(id);
                self.outbound.entry(id).or_insert(said);
                outcome
            } else {
                break;
            };
            sources.extend(outcome.dirty_cs.iter().filter(|id| !self.inbound.contains_key(*id)));
            let new = outcome.dirty_mv.iter().filter(|id| !people.contains(id)).copied();
            people.extend(new.collect::<Vec<_>>());
            self.people.extend(outcome.dirty_mv.iter().copied());
            if !outcome.repoint_mv.is_empty() || !outcome.repoint_cs.is_empty() {
                let waiting = self.given.referrers.iter().copied();
                let waiting = waiting.filter(|mv| !people.contains(mv));
                people.extend(waiting.collect::<Vec<_>>());
            }
        }
        self.left_out = sources.len() + people.len();
    }

    fn source(&mut self, id: CsId) -> Outcome {
        let join = match self.session.overlay.cs_objects(&[id]).pop() {
            Some(object) => self.looked(&object),
            None => Json::Null,
        };
        let (said, outcome) = self.session.inbound(id);
        self.inbound.entry(id).or_insert((said, join));
        outcome
    }

    /// The source objects of what was found, in order of evaluation.
    fn sources(&self) -> Vec<CsObject> {
        let rules = self.session.rules;
        let order = |object: &CsObject| rules.connector(&object.connector).map(|c| c.order);
        let mut sources: Vec<CsObject> = self
            .given
            .found
            .objects
            .iter()
            .filter(|object| is_source(object, rules))
            .cloned()
            .collect();
        sources.sort_by_key(|object| (order(object), object.anchor.clone()));
        sources
    }

    fn inbound_rules(&self, object: &CsObject) -> Vec<(RuleId, &'a Rule)> {
        let rules = self.session.rules.of(Direction::Inbound, &object.connector);
        rules.filter(|(_, rule)| rule.cs_class == object.class).collect()
    }

    /// Where the joining rule looks for a metaverse object, and what it finds.
    fn looked(&self, object: &CsObject) -> Json {
        let attributes = preview::seen_inbound(object);
        let in_scope: Vec<RuleId> = self
            .inbound_rules(object)
            .into_iter()
            .filter(|(_, rule)| rule.scope.holds(&attributes))
            .map(|(id, _)| id)
            .collect();
        let Linking::One(id) = preview::linking(&in_scope, self.session.rules) else {
            return Json::Null;
        };
        let rule = self.session.rules.rule(id);
        let groups = preview::join_inbound(&self.session.overlay, rule, &attributes);
        json!({"rule": rule.name, "groups": join_json(&groups, |mv| mv.0)})
    }

    fn to_json(&self) -> Json {
        let people: Vec<Json> = self.people.iter().filter_map(|id| self.person(*id)).collect();
        let sources = self.sources();
        json!({
            "sources": sources.iter().map(|object| self.source_json(object)).collect::<Json>(),
            "metaverse": people,
            "targets": self.people.iter().flat_map(|id| self.targets(*id)).collect::<Json>(),
            "cascade": self.cascade(),
            "left_out": self.left_out,
        })
    }

    fn source_json(&self, before: &CsObject) -> Json {
        let now = self.session.overlay.cs_objects(&[before.id]).pop();
        let mut body = object_json(before);
        let link = now.as_ref().map(object_json).map(|now| now["link"].clone());
        body["link_after"] = link.unwrap_or_default();
        let nothing = (AllSaid::new(), Json::Null);
        let (said, join) = self.inbound.get(&before.id).unwrap_or(&nothing);
        let problems = self.session.overlay.problems(Phase::Inbound, before.id.0);
        let told = self.verdicts(before, said, problems.unwrap_or_default());
        body["rules"] = told.iter().map(Verdict::to_json).collect();
        body["join"] = join.clone();
        body["outcome"] = json!(link_outcome(before, now.as_ref()));
        body["problems"] = problems_json(problems.unwrap_or_default());
        body
    }

    fn verdicts(
        &self,
        object: &CsObject,
        said: &AllSaid,
        problems: &[Problem],
    ) -> Vec<Verdict<'a>> {
        let mut said = said.clone();
        add_failures(&mut said, problems);
        let rules = self.inbound_rules(object).into_iter().map(|(_, rule)| rule);
        verdicts(rules, &preview::seen_inbound(object), &said)
    }

    /// One metaverse object, before and after; `None` for one that neither was nor is.
    fn person(&self, id: MvId) -> Option<Json> {
        let before = self.below.mv_objects(&[id]).pop();
        let after = self.session.overlay.mv_objects(&[id]).pop();
        let named = after.as_ref().or(before.as_ref())?;
        let state = match (&before, &after) {
            (None, _) => "new",
            (Some(_), None) => "ends",
            (Some(_), Some(after)) if !after.alive => "ends",
            (Some(before), Some(after)) if before == after => "stays as it is",
            _ => "changes",
        };
        Some(json!({
            "id": id.0,
            "type": named.class.as_str(),
            "name": before.as_ref().or(after.as_ref()).map(words::mv_name),
            "state": state,
            "attributes": self.attributes(id, before.as_ref(), after.as_ref()),
        }))
    }

    fn attributes(
        &self,
        id: MvId,
        before: Option<&MvObject>,
        after: Option<&MvObject>,
    ) -> Map<String, Json> {
        let linked = self.session.overlay.linked(&[id]).remove(&id).unwrap_or_default();
        let ids: Vec<CsId> = linked.into_iter().map(|linked| linked.cs).collect();
        let rules = self.session.rules;
        let order = |object: &CsObject| rules.connector(&object.connector).map(|c| c.order);
        let mut sources = self.session.overlay.cs_objects(&ids);
        sources.retain(|object| is_source(object, rules));
        sources.sort_by_key(|object| (order(object), object.anchor.clone()));
        let story = lineage(&sources, rules);
        let values = |object: Option<&MvObject>, name: &AttributeName| {
            let attribute = object.and_then(|object| object.attributes.get(name));
            attribute.map(|attribute| attribute.values.clone()).unwrap_or_default()
        };
        let held = |object: Option<&MvObject>| -> BTreeSet<AttributeName> {
            object.into_iter().flat_map(|object| object.attributes.keys().cloned()).collect()
        };
        let mut names = held(before);
        names.extend(held(after));
        names.extend(story.keys().cloned());
        let told = names.into_iter().map(|name| {
            let entries = story.get(&name).map_or(&[][..], Vec::as_slice);
            let (old, new) = (values(before, &name), values(after, &name));
            let mut body = attribute(&new, false, (&name, entries), &sources, rules);
            body["before"] = words::values_json(&old);
            body["changed"] = json!(old != new);
            (name.to_string(), body)
        });
        told.collect()
    }

    /// What each target gets of a metaverse object, with its rules.
    fn targets(&self, id: MvId) -> Vec<Json> {
        let Some(said) = self.outbound.get(&id) else { return vec![] };
        let person = self.session.overlay.mv_objects(&[id]).pop();
        let problems = self.session.overlay.problems(Phase::Outbound, id.0).unwrap_or_default();
        let mut said = said.clone();
        add_failures(&mut said, problems);
        let mut told = vec![];
        for target in self.session.rules.targets() {
            let rules = self.session.rules.of(Direction::Outbound, &target.name);
            let rules = rules.map(|(_, rule)| rule);
            let told_rules: Vec<Verdict<'_>> = match &person {
                Some(person) if person.alive => {
                    let seen = preview::seen_outbound(&self.session.overlay, person);
                    verdicts(rules.filter(|rule| rule.is_about(&person.class)), &seen, &said)
                }
                _ => vec![],
            };
            let places: BTreeSet<CsId> = self
                .below
                .targets_of(&[id], &target.name)
                .into_iter()
                .chain(self.session.overlay.targets_of(&[id], &target.name))
                .flatten()
                .collect();
            let rules: Json = told_rules.iter().map(Verdict::to_json).collect();
            if places.is_empty() {
                let out = told_rules.iter().filter(|one| preview::can_link(one.rule));
                let out = out.filter(|one| one.state != State::Applies);
                let why: Vec<String> =
                    out.map(|one| format!("`{}`: {}", one.rule.name, one.reason)).collect();
                told.push(json!({
                    "connector": target.name.as_str(), "mv": id.0, "state": "not there",
                    "rules": rules, "why": why, "export": Json::Null,
                    "problems": problems_json(problems),
                }));
            }
            for place in places {
                let mut body = self.place(place);
                body["mv"] = json!(id.0);
                body["rules"] = rules.clone();
                body["problems"] = problems_json(problems);
                told.push(body);
            }
        }
        told
    }

    /// One target object, before and after.
    fn place(&self, id: CsId) -> Json {
        let before = self.below.cs_objects(&[id]).pop();
        let after = self.session.overlay.cs_objects(&[id]).pop();
        let Some(named) = after.as_ref().or(before.as_ref()) else { return json!({}) };
        let mut body = object_json(named);
        body["state"] = json!(match (&before, &after) {
            (None, _) => "is created",
            (Some(_), None) => "is forgotten: it was never created",
            (Some(before), Some(after)) if before.link.is_some() && after.link.is_none() => {
                "is let go"
            }
            _ => "stays linked",
        });
        let earlier = self.given.pending.get(&id).map(|pending| &pending.export);
        let export = match self.session.overlay.export(id) {
            Some(export) => export.as_ref(),
            None => earlier,
        };
        body["export"] = export.map_or(Json::Null, |export| {
            let mut body = self.export_json(export, named);
            // What waits already is no news.
            body["pending_already"] = json!(earlier == Some(export));
            body
        });
        body
    }
}

/// What becomes of a source object's link.
fn link_outcome(before: &CsObject, now: Option<&CsObject>) -> String {
    let was = before.link.as_ref();
    let is = now.and_then(|now| now.link.as_ref());
    match (was, is, now) {
        (_, _, None) => "forgotten: the directory does not have it any more".into(),
        (Some(was), Some(is), _) if was.mv == is.mv => {
            format!("stays linked to {} by `{}`", is.mv.0, is.rule)
        }
        (Some(was), Some(is), _) => {
            format!("leaves {} and is linked to {} by `{}`", was.mv.0, is.mv.0, is.rule)
        }
        (None, Some(is), _) => {
            format!("{} to {} by `{}`", words::origin(is.origin), is.mv.0, is.rule)
        }
        (Some(was), None, _) => format!("leaves {}", was.mv.0),
        (None, None, _) => "stays without link".into(),
    }
}

fn problems_json(problems: &[Problem]) -> Json {
    let told = problems.iter().map(|problem| {
        json!({
            "kind": problem.kind.as_str(),
            "rule": problem.rule.as_ref().map(ToString::to_string),
            "attribute": problem.attribute.as_ref().map(ToString::to_string),
            "message": problem.message,
        })
    });
    told.collect()
}
