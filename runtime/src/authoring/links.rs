//! The link audit: every link that would not be made now (R22). The state and the rules flow in;
//! those links with the values of both sides, and how many links there are, flow out.
//!
//! Links last although their criterion fails later, so none of these is wrong by itself.

use std::collections::BTreeMap;

use kakehi_engine::connector_space::{CsObject, Link, LinkOrigin, MvId};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::AttributeMap;
use kakehi_engine::preview::{self, Found, PairTest};
use kakehi_engine::rule::{ConnectorKind, Rule, RuleSet};
use kakehi_engine::view::View;
use serde_json::{Value as Json, json};

use crate::report::words;
use crate::store::{CheckedView, Store, StoreError};

/// Objects that are looked at together.
const OBJECTS_AT_ONCE: usize = 500;

/// Metaverse objects that are told by name.
const CANDIDATES_TOLD_MAX: usize = 5;

/// Audits every link. `shown`: how many of those that would not be made now are told.
///
/// Gives `links`, `not_now`, `by_rule` (connector, rule, origin, links, not_now) and `objects`.
pub fn audit(store: &dyn Store, rules: &RuleSet, shown: usize) -> Result<Json, StoreError> {
    let counts = store.link_counts()?;
    let ids = store.linked_objects()?;
    let view = store.view()?;
    let (mut failing, mut told) = (BTreeMap::<(String, String), u64>::new(), vec![]);
    for ids in ids.chunks(OBJECTS_AT_ONCE) {
        let objects = view.cs_objects(ids);
        let links = objects.iter().filter_map(|object| Some(object.link.as_ref()?.mv));
        let people: BTreeMap<MvId, MvObject> = view
            .mv_objects(&links.collect::<Vec<_>>())
            .into_iter()
            .map(|person| (person.id, person))
            .collect();
        for object in &objects {
            let Some(link) = &object.link else { continue };
            let Some(person) = people.get(&link.mv) else { continue };
            let Some(fault) = fault(as_view(&*view), object, link, person, rules) else {
                continue;
            };
            let key = (object.connector.to_string(), link.rule.to_string());
            *failing.entry(key).or_default() += 1;
            if told.len() < shown {
                told.push(fault);
            }
        }
    }
    view.check()?;
    let by_rule: Vec<Json> = counts
        .iter()
        .map(|count| {
            let key = (count.connector.to_string(), count.rule.to_string());
            json!({
                "connector": key.0, "rule": key.1, "origin": words::origin(count.origin),
                "links": count.links, "not_now": failing.get(&key).copied().unwrap_or(0),
            })
        })
        .collect();
    Ok(json!({
        "links": counts.iter().map(|count| count.links).sum::<u64>(),
        "not_now": failing.values().sum::<u64>(),
        "by_rule": by_rule,
        "objects": told,
    }))
}

fn as_view<'a>(view: &'a (dyn CheckedView + 'a)) -> &'a dyn View {
    view
}

/// Why a link would not be made now; `None` for one that would.
fn fault(
    view: &dyn View,
    object: &CsObject,
    link: &Link,
    person: &MvObject,
    rules: &RuleSet,
) -> Option<Json> {
    let Some(id) = rules.by_tag(&link.rule) else {
        return Some(told(object, link, person, "rule-gone", "there is no such rule any more"));
    };
    let rule = rules.rule(id);
    let connector = rules.connector(&object.connector)?;
    match connector.kind {
        ConnectorKind::Source => of_source(view, object, link, person, rule),
        ConnectorKind::Target => of_target(object, link, person, rule),
    }
}

fn of_source(
    view: &dyn View,
    object: &CsObject,
    link: &Link,
    person: &MvObject,
    rule: &Rule,
) -> Option<Json> {
    let attributes = preview::seen_inbound(object);
    let scope = preview::scope(&rule.scope, &attributes);
    if !scope.holds {
        let why = format!("out of scope: {}", words::why_out(&scope));
        return Some(told(object, link, person, "out-of-scope", &why));
    }
    let mut body = match preview::find(view, rule, &attributes) {
        Found::One(found) if found == link.mv => return None,
        Found::None { .. } if link.origin == LinkOrigin::Projected => return None,
        Found::None { .. } => {
            told(object, link, person, "criterion", "no join group holds any more")
        }
        Found::One(found) => {
            let others = candidates(view, &[found]);
            let why = format!("it would be linked to {} now", names(&others));
            let mut body = told(object, link, person, "another", &why);
            body["candidates"] = Json::Array(others);
            body
        }
        Found::Several(found) => {
            let others = candidates(view, &found);
            let why = format!("{} would match now: {}", found.len(), names(&others));
            let mut body = told(object, link, person, "ambiguous", &why);
            body["candidates"] = Json::Array(others);
            body
        }
    };
    let (_, tests) = preview::criteria(&rule.join, &attributes, &attributes_of(person));
    body["criteria"] = criteria_json(&tests);
    Some(body)
}

/// A target object that was only found, or that was created: would it be found again?
fn of_target(object: &CsObject, link: &Link, person: &MvObject, rule: &Rule) -> Option<Json> {
    if rule.join.is_empty() || object.anchor.is_none() {
        return None;
    }
    let (holds, tests) = preview::criteria(&rule.join, &object.attributes, &attributes_of(person));
    if holds {
        return None;
    }
    let why = match link.origin {
        LinkOrigin::Provisioned => "without the link it would not be found again",
        LinkOrigin::Joined | LinkOrigin::Projected => "no join group holds any more",
    };
    let mut body = told(object, link, person, "criterion", why);
    body["criteria"] = criteria_json(&tests);
    Some(body)
}

fn attributes_of(person: &MvObject) -> AttributeMap {
    let attributes = person.attributes.iter();
    attributes.map(|(name, attribute)| (name.clone(), attribute.values.clone())).collect()
}

fn told(object: &CsObject, link: &Link, person: &MvObject, kind: &str, why: &str) -> Json {
    json!({
        "connector": object.connector.as_str(),
        "type": object.class.as_str(),
        "name": words::cs_name(object),
        "mv": link.mv.0,
        "mv_name": words::mv_name(person),
        "rule": link.rule.to_string(),
        "origin": words::origin(link.origin),
        "kind": kind,
        "reason": why,
    })
}

fn candidates(view: &dyn View, ids: &[MvId]) -> Vec<Json> {
    let shown = &ids[..ids.len().min(CANDIDATES_TOLD_MAX)];
    let people = view.mv_objects(shown);
    people.iter().map(|mv| json!({"id": mv.id.0, "name": words::mv_name(mv)})).collect()
}

fn names(candidates: &[Json]) -> String {
    let name = |one: &Json| format!("{} `{}`", one["id"], one["name"].as_str().unwrap_or(""));
    candidates.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn criteria_json(tests: &[Vec<PairTest>]) -> Json {
    let pair = |test: &PairTest| {
        json!({
            "cs": test.clause.cs.as_str(), "cs_values": words::values_json(&test.cs),
            "mv": test.clause.mv.as_str(), "mv_values": words::values_json(&test.mv),
            "holds": test.holds, "text": words::pair(test),
        })
    };
    tests.iter().map(|group| group.iter().map(pair).collect::<Json>()).collect()
}
