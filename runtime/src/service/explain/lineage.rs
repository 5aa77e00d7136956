//! Who won each attribute, who lost, and why: also those who did not come to speak.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::CsObject;
use kakehi_engine::flow::{Contribution, Kept};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::precedence::{LineageEntry, Role, lineage};
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::{Direction, Rule, RuleSet};
use serde_json::{Map, Value as Json, json};

use super::{Teller, label};
use crate::report::words;
use crate::service::overheard::{State, Verdict};

// === impl Teller ===

impl Teller<'_> {
    /// Every attribute that the object has or that some rule could give it, by name.
    pub(super) fn attributes(
        &self,
        mv: &MvObject,
        sources: &[CsObject],
        problems: &[Problem],
    ) -> Map<String, Json> {
        let story = lineage(sources, self.rules);
        let verdicts: Vec<(&CsObject, Vec<Verdict<'_>>)> =
            sources.iter().map(|object| (object, self.verdicts(object, problems))).collect();
        let writers = self
            .rules
            .rules
            .iter()
            .filter(|rule| rule.direction == Direction::Inbound && rule.is_about(&mv.class));
        let written = writers.flat_map(|rule| rule.contract.writes.keys());
        let names: BTreeSet<&AttributeName> =
            mv.attributes.keys().chain(story.keys()).chain(written).collect();
        let mut attributes = Map::new();
        for name in names {
            let entries = story.get(name).map_or(&[][..], Vec::as_slice);
            let held = mv.attributes.get(name);
            let values = held.map_or(&[][..], |held| held.values.as_slice());
            let retained = held.is_some_and(|held| held.winner.retained);
            let mut body = attribute(values, retained, (name, entries), sources, self.rules);
            if let (true, Some(held)) = (retained, held) {
                body["retained_from"] = json!(held.winner.rule.to_string());
            }
            let silent = self.silent(mv, name, entries, &verdicts);
            if let (false, Json::Array(losers)) = (silent.is_empty(), &mut body["losers"]) {
                losers.extend(silent);
            }
            if let Some(references) = self.references(values) {
                body["references"] = references;
            }
            attributes.insert(name.to_string(), body);
        }
        attributes
    }

    /// Rules that may write an attribute and said nothing of it: out of scope, skipped, failed, or
    /// without an object to speak of.
    fn silent(
        &self,
        mv: &MvObject,
        name: &AttributeName,
        entries: &[LineageEntry],
        verdicts: &[(&CsObject, Vec<Verdict<'_>>)],
    ) -> Vec<Json> {
        let mut silent = vec![];
        for (index, rule) in self.rules.rules.iter().enumerate() {
            let policy = rule.contract.writes.get(name);
            let (Some(policy), Direction::Inbound) = (policy, rule.direction) else { continue };
            let spoke = entries.iter().any(|entry| entry.rule.0 as usize == index);
            if !rule.is_about(&mv.class) || spoke {
                continue;
            }
            let own = verdicts.iter().flat_map(|(object, all)| {
                all.iter().filter(|one| one.rule.tag == rule.tag).map(move |one| (*object, one))
            });
            let before = silent.len();
            for (object, verdict) in own {
                let reason = match verdict.state {
                    State::Applies if !policy.enabled => "the manifest turns this flow off".into(),
                    State::Applies => "its module said nothing of it".into(),
                    state => format!("{}: {}", state.as_str(), verdict.reason),
                };
                silent.push(loser(rule, Some(object), verdict.state.as_str(), &reason));
            }
            if silent.len() == before {
                let reason = format!("no linked {} object of `{}`", rule.cs_class, rule.connector);
                silent.push(loser(rule, None, "no object", &reason));
            }
        }
        silent
    }
}

fn loser(rule: &Rule, object: Option<&CsObject>, role: &str, reason: &str) -> Json {
    json!({
        "rule": rule.name,
        "tag": rule.tag.to_string(),
        "precedence": rule.precedence,
        "module": rule.module.source,
        "module_sha256": rule.module.sha256,
        "source": object.map(label),
        "flow": Json::Null,
        "values": [],
        "role": role,
        "reason": reason,
    })
}

/// One attribute: its values, the winner, those merged with it, the losers.
pub(crate) fn attribute(
    values: &[Value],
    retained: bool,
    (name, entries): (&AttributeName, &[LineageEntry]),
    objects: &[CsObject],
    rules: &RuleSet,
) -> Json {
    let mut flows = Flows::default();
    let told: Vec<(Role, Json)> = entries
        .iter()
        .map(|entry| {
            let flow = flows.next(entry, name, objects, rules);
            (entry.role, entry_json(entry, flow, objects, rules))
        })
        .collect();
    let (winners, losers): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|(role, _)| matches!(role, Role::Winner | Role::Merged));
    let bodies = |list: Vec<(Role, Json)>| list.into_iter().map(|(_, body)| body);
    let mut winners = bodies(winners);
    let mut body = json!({
        "values": words::values_json(values),
        "winner": winners.next(),
        "losers": bodies(losers).collect::<Vec<_>>(),
    });
    let merged: Vec<Json> = winners.collect();
    if !merged.is_empty() {
        body["merged"] = Json::Array(merged);
    }
    if retained {
        body["retained"] = json!(true);
    }
    body
}

/// Counts the flows of each rule and object to one attribute: a rule may have several.
#[derive(Default)]
struct Flows(BTreeMap<(u32, i64), usize>);

// === impl Flows ===

impl Flows {
    /// The index of an entry's flow among all flows of its rule.
    fn next(
        &mut self,
        entry: &LineageEntry,
        name: &AttributeName,
        objects: &[CsObject],
        rules: &RuleSet,
    ) -> Option<usize> {
        let seen = self.0.entry((entry.rule.0, entry.object.0)).or_default();
        *seen += 1;
        let object = objects.iter().find(|object| object.id == entry.object)?;
        let tag = &rules.rule(entry.rule).tag;
        let kept = object.contributions.iter().find(|kept| kept.rule == *tag)?;
        let Kept::Flows(flows) = &kept.outcome else { return None };
        let places = flows.iter().enumerate().filter(|(_, flow)| flow.attribute == *name);
        places.map(|(index, _)| index).nth(*seen - 1)
    }
}

fn entry_json(
    entry: &LineageEntry,
    flow: Option<usize>,
    objects: &[CsObject],
    rules: &RuleSet,
) -> Json {
    let rule = rules.rule(entry.rule);
    let object = objects.iter().find(|object| object.id == entry.object);
    let mut body = loser(rule, object, role(entry.role), reason(entry.role));
    body["flow"] = json!(flow);
    if let Contribution::Values(values) = &entry.contribution {
        body["values"] = words::values_json(values);
    }
    body
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Winner => "winner",
        Role::Merged => "merged",
        Role::Outranked => "outranked",
        Role::Nothing => "null",
        Role::Ignored => "ignored",
        Role::Blocks => "authoritative null",
        Role::Blocked => "blocked",
    }
}

fn reason(role: Role) -> &'static str {
    match role {
        Role::Winner => "lowest precedence number with a value",
        Role::Merged => "merged",
        Role::Outranked => "a lower precedence number has a value",
        Role::Nothing => "it has no value: NULL",
        Role::Ignored => "ignores this flow",
        Role::Blocks => "authoritative null: there is to be no value",
        Role::Blocked => "behind an authoritative null",
    }
}
