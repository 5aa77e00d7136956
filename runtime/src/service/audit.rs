//! What the audit is told besides exports: who put which configuration into force, who switched
//! staging mode, who released or took back a plan (provisioning.md 11.14).

use std::os::unix::fs::MetadataExt as _;

use kakehi_engine::plan::PlanId;
use kakehi_engine::rule::RulesRecord;
use serde_json::{Value as Json, json};

use crate::edge::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::failure::Failure;
use crate::service::world::World;
use crate::store::{Decision, DecisionKind, Store};

/// Where the names of users are, on every system that has no directory of its own for them.
const PASSWD: &str = "/etc/passwd";

/// A user as the audit names them: `uid 0 (root)`.
pub fn user(uid: u32) -> String {
    let names = std::fs::read_to_string(PASSWD).unwrap_or_default();
    let name = names.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    match name {
        Some(name) => format!("uid {uid} ({name})"),
        None => format!("uid {uid}"),
    }
}

/// The user of this process.
pub fn own_user() -> String {
    match std::fs::metadata("/proc/self") {
        Ok(process) => user(process.uid()),
        Err(_) => "unknown".to_owned(),
    }
}

/// Notes a decision about the world that is in force.
pub(crate) fn note(
    store: &dyn Store,
    world: &World,
    kind: DecisionKind,
    actor: &str,
    plan: Option<&PlanId>,
    details: &Json,
) -> Result<(), Failure> {
    let decision = Decision {
        at: SystemClock.now(),
        actor: actor.to_owned(),
        kind,
        plan: plan.cloned(),
        ruleset: world.generation.rules.digest.0.clone(),
        config: world.config.digest(),
        details: details.to_string(),
    };
    Ok(store.note_decision(&decision)?)
}

/// Notes that a world came into force, if it is another one than the last. `plan`: what informed
/// whoever decided it. Before anything is evaluated with it: then it is known which rules differ.
pub(crate) fn note_world(
    store: &dyn Store,
    world: &World,
    by: &str,
    actor: &str,
    plan: Option<&PlanId>,
) -> Result<(), Failure> {
    let last = store.last_configuration()?;
    let shown = world.config.show();
    let ruleset = &world.generation.rules.digest.0;
    let before = last.as_ref().and_then(|last| serde_json::from_str::<Json>(&last.details).ok());
    let before = before.map(|details| details["shown"].clone());
    if before.as_ref() == Some(&shown) && last.is_some_and(|last| last.ruleset == *ruleset) {
        return Ok(());
    }
    let now = RulesRecord::of(&world.generation.rules, SystemClock.now());
    let rules: Vec<String> = match store.rules_record()? {
        Some(record) => record.differences(&now).into_iter().map(ToString::to_string).collect(),
        None => now.rules.keys().map(ToString::to_string).collect(),
    };
    let mut keys = vec![];
    differences(before.as_ref().unwrap_or(&Json::Null), &shown, "", &mut keys);
    let details = json!({ "by": by, "rules": rules, "keys": keys, "shown": shown });
    note(store, world, DecisionKind::Configuration, actor, plan, &details)
}

/// Paths at which two documents differ.
fn differences(before: &Json, after: &Json, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Json::Object(before), Json::Object(after)) => {
            let names: std::collections::BTreeSet<&String> =
                before.keys().chain(after.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let of = |map: &serde_json::Map<String, Json>| map.get(name).cloned();
                let (before, after) = (of(before), of(after));
                differences(
                    &before.unwrap_or(Json::Null),
                    &after.unwrap_or(Json::Null),
                    &path,
                    found,
                );
            }
        }
        _ if before == after => {}
        // The first configuration differs from nothing in everything.
        (Json::Null, _) if path.is_empty() => {}
        _ => found.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_differ_are_named_by_their_paths() {
        let before = json!({"a": {"b": 1, "c": [1]}, "d": 1});
        let after = json!({"a": {"b": 2, "c": [1]}, "e": {"f": 1}});
        let mut keys = vec![];
        differences(&before, &after, "", &mut keys);
        assert_eq!(keys, ["a.b", "d", "e"]);
    }

    #[test]
    fn users_have_a_number_and_where_there_is_one_a_name() {
        assert!(own_user().starts_with("uid "), "{}", own_user());
        assert_eq!(user(4_294_967_294), "uid 4294967294");
    }
}
