//! One rule with everything that is to know of it: its text, its precedence on each connector, its
//! contract, whom it is about now, and what it failed on.

use kakehi_engine::connector_space::CsObject;
use kakehi_engine::flow::Kept;
use kakehi_engine::preview;
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::{Direction, Rule, RuleSet, WritePolicy};
use kakehi_host::Limits;
use serde_json::{Value as Json, json};

use super::check::limits_json;
use crate::manifest::ModuleSource;
use crate::manifest::generation::alone::Sheet;
use crate::report::words;
use crate::store::{Store, StoreError};

/// Objects that are looked at together.
const OBJECTS_AT_ONCE: usize = 500;

/// Problems that are told.
const PROBLEMS_TOLD_MAX: usize = 5;

/// What stands in the files of a rule, told once for all of its connectors.
///
/// Takes: the rule on each of its connectors, at least one.
pub fn written(rules: &[&Rule], sheet: Option<&Sheet>, limits: Limits) -> Json {
    let Some(rule) = rules.first() else { return Json::Null };
    let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>();
    let contract = &rule.contract;
    let (source, target) = match rule.direction {
        Direction::Inbound => (&rule.cs_class, &rule.mv_class),
        Direction::Outbound => (&rule.mv_class, &rule.cs_class),
    };
    let mut body = json!({
        "name": rule.name,
        "description": rule.description,
        "direction": words::direction(rule.direction),
        "from": source.as_str(),
        "to": target.as_str(),
        "link": words::link_type(rule.link),
        "scope": words::scope(&rule.scope),
        "join": rule.join.iter().map(|group| words::join_group(group)).collect::<Vec<_>>(),
        "on_scope_exit": words::on_scope_exit(rule.on_scope_exit),
        "module": rule.module.source,
        "module_sha256": rule.module.sha256,
        "config_sha256": rule.module.config_sha256,
        "reads": names(&mut contract.reads.iter().map(ToString::to_string)),
        "reads_imported": names(&mut contract.reads_imported.iter().map(ToString::to_string)),
        "reads_parameters": contract.parameters,
        "writes": contract
            .writes
            .iter()
            .map(|(name, policy)| write_json(name.as_str(), *policy))
            .collect::<Vec<_>>(),
        "volatile": contract.volatile,
    });
    if rule.direction == Direction::Outbound {
        body["on_delete"] = json!(words::on_delete(rule.on_delete));
    }
    if let Some(sheet) = sheet {
        let origin = sheet.origin();
        body["place"] = json!(format!("{}:{}", origin.file.display(), origin.mark.line));
        body["limits"] = limits_json(&sheet.limits(limits));
        body["tests"] = json!(sheet.cases().len());
        let config: Json = serde_json::from_str(sheet.config()).unwrap_or_default();
        match flows(sheet, &config) {
            Some(flows) => body["flows"] = flows,
            None => body["config"] = config,
        }
    }
    body
}

fn write_json(name: &str, policy: WritePolicy) -> Json {
    json!({
        "attribute": name, "merge": words::merge(policy.merge),
        "apply_once": policy.apply_once, "enabled": policy.enabled,
    })
}

/// The flows of a declarative rule: to which attribute, and how.
fn flows(sheet: &Sheet, config: &Json) -> Option<Json> {
    let declarative =
        matches!(sheet.module(), ModuleSource::Builtin(name) if name == "builtin:declarative");
    let flows = config["flows"].as_array().filter(|_| declarative)?;
    let told = flows.iter().map(|flow| json!({"to": flow["to"], "is": flow_text(flow)}));
    Some(told.collect())
}

/// How a declarative flow gets its value, in words: `[attr]`, an expression, or a constant.
pub fn flow_text(flow: &Json) -> String {
    match (flow["from"].as_str(), flow["expr"].as_str()) {
        (Some(attribute), _) => format!("[{attribute}]"),
        (None, Some(expression)) => expression.to_owned(),
        (None, None) => flow["value"].to_string(),
    }
}

/// Whom a rule is about on one connector now: `in_scope`, `applies_to`, `links`, `of`.
pub fn now(store: &dyn Store, rules: &RuleSet, rule: &Rule) -> Result<Json, StoreError> {
    let counts = store.link_counts()?;
    let own = counts.iter().filter(|count| count.rule == rule.tag);
    let links: u64 = own.map(|count| count.links).sum();
    let (mut in_scope, mut applies, mut of) = (0_u64, 0_u64, 0_u64);
    match rule.direction {
        Direction::Inbound => {
            let ids = store.sources_of(&rule.connector, &rule.cs_class)?;
            for ids in ids.chunks(OBJECTS_AT_ONCE) {
                let view = store.view()?;
                for object in view.cs_objects(ids) {
                    of += 1;
                    let seen = preview::seen_inbound(&object);
                    in_scope += u64::from(rule.scope.holds(&seen));
                    applies += u64::from(says(&object, rule));
                }
                view.check()?;
            }
        }
        Direction::Outbound => {
            let ids = store.mv_of_class(&rule.mv_class)?;
            for ids in ids.chunks(OBJECTS_AT_ONCE) {
                let view = store.view()?;
                let targets = view.targets_of(ids, &rule.connector);
                let targets: Vec<_> = targets.into_iter().flatten().collect();
                applies +=
                    view.cs_objects(&targets).iter().filter(|one| says(one, rule)).count() as u64;
                for mut person in view.mv_objects(ids) {
                    of += 1;
                    // References are looked up only where the scope asks for them.
                    let asked: Vec<_> = rule.scope.attributes().cloned().collect();
                    person.attributes.retain(|name, _| asked.contains(name));
                    let seen = preview::seen_outbound(&*view, &person);
                    in_scope += u64::from(person.alive && rule.scope.holds(&seen));
                }
                view.check()?;
            }
        }
    }
    let connector = rules.connector(&rule.connector);
    Ok(json!({
        "connector": rule.connector.as_str(),
        "precedence": rule.precedence,
        "order": connector.map(|connector| connector.order),
        "parameters": rule.parameters,
        "objects": {"of": of, "in_scope": in_scope, "applies_to": applies, "links": links},
    }))
}

fn says(object: &CsObject, rule: &Rule) -> bool {
    object.contributions.iter().any(|contribution| {
        contribution.rule == rule.tag && matches!(contribution.outcome, Kept::Flows(_))
    })
}

/// What the rule failed on: how many objects, and some of them.
pub fn problems(
    store: &dyn Store,
    problems: &[Problem],
    rules: &[&Rule],
) -> Result<Json, StoreError> {
    let ours = |problem: &&Problem| {
        problem.rule.as_ref().is_some_and(|tag| rules.iter().any(|rule| rule.tag == *tag))
    };
    let own: Vec<&Problem> = problems.iter().filter(ours).collect();
    let shown: Vec<&Problem> = own.iter().copied().take(PROBLEMS_TOLD_MAX).collect();
    let ids: Vec<_> = shown.iter().map(|problem| problem.object).collect();
    let labels = store.labels(&ids)?;
    let told = shown.iter().zip(labels).map(|(problem, label)| {
        json!({
            "kind": problem.kind.as_str(), "object": format!("{}: {}", label.connector, label.name),
            "message": problem.message,
        })
    });
    Ok(json!({"count": own.len(), "some": told.collect::<Vec<_>>()}))
}
