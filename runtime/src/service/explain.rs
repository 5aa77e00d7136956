//! Why does a person look as they do? The stored lineage, told with the rules that are in force.

use kakehi_engine::connector_space::{CsObject, Presence};
use kakehi_engine::flow::{Contribution, Kept};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::precedence::{LineageEntry, Role, lineage};
use kakehi_engine::rule::{ConnectorKind, RuleSet};
use serde_json::{Map, Value as Json, json};

use crate::store::Explained;

/// Everything known of one object, as `explain --json` shows it.
///
/// Takes what the store found and the rules in force. Gives an object with `metaverse`,
/// `attributes` (by name: values, winner, losers), `sources` and `targets`.
pub fn to_json(found: &Explained, rules: &RuleSet) -> Json {
    let (sources, targets) = sides(found, rules);
    let attributes = match &found.mv {
        Some(mv) => attributes(mv, &sources, rules),
        None => Map::new(),
    };
    json!({
        "metaverse": found.mv.as_ref().map(|mv| json!({"id": mv.id.0, "type": mv.class.as_str()})),
        "attributes": attributes,
        "sources": sources.iter().map(|object| object_json(object, rules)).collect::<Vec<_>>(),
        "targets": targets
            .iter()
            .map(|object| target_json(object, found, rules))
            .collect::<Vec<_>>(),
        "problems": found.problems.iter().map(problem_json).collect::<Vec<_>>(),
    })
}

/// Source objects in order of evaluation, and target objects.
fn sides(found: &Explained, rules: &RuleSet) -> (Vec<CsObject>, Vec<CsObject>) {
    let order = |object: &CsObject| rules.connector(&object.connector).map(|c| c.order);
    let is_target = |object: &&CsObject| {
        let connector = rules.connector(&object.connector);
        connector.is_some_and(|connector| connector.kind == ConnectorKind::Target)
    };
    let (mut targets, mut sources): (Vec<CsObject>, Vec<CsObject>) =
        found.objects.iter().cloned().partition(|object| is_target(&object));
    sources.sort_by_key(|object| (order(object), object.anchor.clone()));
    targets.sort_by_key(|object| (order(object), object.anchor.clone()));
    (sources, targets)
}

fn attributes(mv: &MvObject, sources: &[CsObject], rules: &RuleSet) -> Map<String, Json> {
    let story = lineage(sources, rules);
    let mut attributes = Map::new();
    for (name, held) in &mv.attributes {
        let entries = story.get(name).map_or(&[][..], Vec::as_slice);
        attributes.insert(
            name.to_string(),
            attribute(&held.values, held.winner.retained, entries, sources, rules),
        );
    }
    // An attribute that nobody won has a story too: who said nothing, who forbade it.
    for (name, entries) in &story {
        if !mv.attributes.contains_key(name) {
            attributes.insert(name.to_string(), attribute(&[], false, entries, sources, rules));
        }
    }
    attributes
}

fn attribute(
    values: &[Value],
    retained: bool,
    entries: &[LineageEntry],
    objects: &[CsObject],
    rules: &RuleSet,
) -> Json {
    let (winners, losers): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| matches!(entry.role, Role::Winner | Role::Merged));
    let mut body = json!({
        "values": values.iter().map(value_json).collect::<Vec<_>>(),
        "winner": winners.first().map(|entry| entry_json(entry, objects, rules)),
        "losers": losers.iter().map(|entry| entry_json(entry, objects, rules)).collect::<Vec<_>>(),
    });
    if winners.len() > 1 {
        let merged = winners[1..].iter().map(|entry| entry_json(entry, objects, rules));
        body["merged"] = merged.collect();
    }
    if retained {
        body["retained"] = json!(true);
    }
    body
}

fn entry_json(entry: &LineageEntry, objects: &[CsObject], rules: &RuleSet) -> Json {
    let rule = rules.rule(entry.rule);
    let object = objects.iter().find(|object| object.id == entry.object);
    let values = match &entry.contribution {
        Contribution::Values(values) => values.iter().map(value_json).collect(),
        _ => vec![],
    };
    json!({
        "rule": rule.name,
        "precedence": rule.precedence,
        "module": rule.module.source,
        "module_sha256": rule.module.sha256,
        "source": object.map(label),
        "values": values,
        "reason": reason(entry.role),
    })
}

fn reason(role: Role) -> &'static str {
    match role {
        Role::Winner => "lowest precedence number with a value",
        Role::Merged => "merged",
        Role::Outranked => "a lower precedence number has a value",
        Role::Nothing => "no value",
        Role::Ignored => "ignores this flow",
        Role::Blocks => "authoritative null: there is to be no value",
        Role::Blocked => "behind an authoritative null",
    }
}

fn label(object: &CsObject) -> Json {
    let anchor = object.anchor.as_ref().map(ToString::to_string);
    json!({
        "connector": object.connector.as_str(),
        "type": object.class.as_str(),
        "dn": (!object.dn.is_empty()).then_some(&object.dn),
        "anchor": anchor,
    })
}

fn object_json(object: &CsObject, rules: &RuleSet) -> Json {
    let mut body = label(object);
    body["link"] = match &object.link {
        Some(link) => json!({"rule": link.rule.to_string(), "origin": origin(link.origin)}),
        None => Json::Null,
    };
    body["rules"] = object
        .contributions
        .iter()
        .map(|contribution| {
            let known = rules.by_tag(&contribution.rule).is_some();
            match &contribution.outcome {
                Kept::Flows(_) => json!({
                    "rule": contribution.rule.to_string(), "in_scope": true, "known": known,
                }),
                Kept::Skipped(why) => json!({
                    "rule": contribution.rule.to_string(), "in_scope": false, "known": known,
                    "reason": why,
                }),
                Kept::Withdrawn(_) => json!({
                    "rule": contribution.rule.to_string(), "withdrawing": true, "known": known,
                }),
            }
        })
        .collect();
    body
}

fn origin(origin: kakehi_engine::connector_space::LinkOrigin) -> &'static str {
    use kakehi_engine::connector_space::LinkOrigin;
    match origin {
        LinkOrigin::Joined => "joined",
        LinkOrigin::Projected => "projected",
        LinkOrigin::Provisioned => "provisioned",
    }
}

fn target_json(object: &CsObject, found: &Explained, rules: &RuleSet) -> Json {
    let mut body = object_json(object, rules);
    body["state"] = json!(match object.presence {
        Presence::ExportOnly => "to be created",
        _ if object.deprovisioned => "deprovisioned",
        _ => "present",
    });
    let story = lineage(std::slice::from_ref(object), rules);
    let attributes: Map<String, Json> = names(object, &story)
        .into_iter()
        .map(|name| {
            let values = object.attributes.get(&name).map_or(&[][..], Vec::as_slice);
            let entries = story.get(&name).map_or(&[][..], Vec::as_slice);
            let body = attribute(values, false, entries, std::slice::from_ref(object), rules);
            (name.to_string(), body)
        })
        .collect();
    body["attributes"] = Json::Object(attributes);
    let pending = found.exports.iter().find(|pending| pending.export.object == object.id);
    body["pending"] = pending.map_or(Json::Null, |pending| {
        json!({
            "op": pending.export.op.as_str(),
            "attempts": pending.attempts,
            "held": pending.hold.as_ref().map(|hold| json!({
                "until": hold.until.rfc3339(), "kind": hold.kind.as_str(), "message": hold.message,
            })),
        })
    });
    body
}

fn names(
    object: &CsObject,
    story: &std::collections::BTreeMap<AttributeName, Vec<LineageEntry>>,
) -> std::collections::BTreeSet<AttributeName> {
    object.attributes.keys().chain(story.keys()).cloned().collect()
}

fn problem_json(problem: &kakehi_engine::problem::Problem) -> Json {
    json!({
        "kind": problem.kind.as_str(),
        "rule": problem.rule.as_ref().map(ToString::to_string),
        "attribute": problem.attribute.as_ref().map(ToString::to_string),
        "message": problem.message,
    })
}

/// A value as JSON shows it: binary as `{"b64": "..."}`.
pub fn value_json(value: &Value) -> Json {
    use base64::Engine as _;
    match value {
        Value::Text(text) | Value::Reference(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Boolean(flag) => json!(flag),
        Value::Binary(bytes) => {
            json!({"b64": base64::engine::general_purpose::STANDARD.encode(bytes)})
        }
    }
}
