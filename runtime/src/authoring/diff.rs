//! What differs between two manifests: their files flow in; rules that were added, removed and
//! changed, field by field, flow out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::show::flow_text;
use super::words::short;
use crate::config::finding::Finding;
use crate::manifest::files::Files;
use crate::manifest::{Manifest, ManifestRule, ModuleSource};
use crate::report::words;

/// A manifest as it is compared: sections, in them things by name, in them fields.
pub type Outline = BTreeMap<&'static str, BTreeMap<String, Map<String, Json>>>;

/// Takes the files of a manifest. Errors: everything that is wrong with it.
pub fn outline(files: &mut Files) -> Result<Outline, Vec<Finding>> {
    let (manifest, _) = crate::manifest::load(files)?;
    let rules = manifest.rules.iter().map(|rule| (rule.tag(), rule_fields(rule, files))).collect();
    Ok(BTreeMap::from([
        ("connector", connectors(&manifest)),
        ("rule", rules),
        ("setting", settings(&manifest)),
    ]))
}

fn connectors(manifest: &Manifest) -> BTreeMap<String, Map<String, Json>> {
    let mut connectors = BTreeMap::new();
    for connector in &manifest.connectors {
        let mut fields = object(json!({
            "kind": connector.kind.to_string(), "order": connector.order,
        }));
        for (name, value) in &connector.parameters {
            fields.insert(format!("parameter {name}"), json!(value));
        }
        connectors.insert(connector.name.to_string(), fields);
    }
    connectors
}

fn settings(manifest: &Manifest) -> BTreeMap<String, Map<String, Json>> {
    let several = match manifest.compat.multiple_match_provisions {
        true => "provision",
        false => "error",
    };
    let compat = object(json!({"on_multiple_match": several}));
    BTreeMap::from([("compat".to_owned(), compat)])
}

fn rule_fields(rule: &ManifestRule, files: &mut Files) -> Map<String, Json> {
    let (cs, mv) = rule.classes();
    let mut fields = object(json!({
        "name": rule.name(),
        "description": rule.description(),
        "direction": words::direction(rule.direction()),
        "type on the connector": cs,
        "type in the metaverse": mv,
        "precedence": rule.precedence(),
        "link": words::link_type(rule.link()),
        "scope": words::scope(rule.scope()),
        "join": rule.join().iter().map(|group| words::join_group(group)).collect::<Vec<_>>(),
        "on_scope_exit": words::on_scope_exit(rule.on_scope_exit()),
        "module": rule.module().to_string(),
        "password_sync": rule.password_sync(),
        "test cases": rule.cases(),
    }));
    let mut add = |name: String, value: Json| fields.insert(name, value);
    if let Some(on_delete) = rule.on_delete() {
        add("on_delete".into(), json!(words::on_delete(on_delete)));
    }
    if let ModuleSource::File { path, .. } = rule.module() {
        let bytes = files.module(&rule.origin().file, path).ok();
        let digest = bytes.map(|bytes| -> String {
            Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
        });
        add("module sha256".into(), json!(digest));
    }
    let limits = rule.limits();
    for (name, value) in [
        ("limit memory", limits.memory_bytes.map(|bytes| json!(bytes))),
        ("limit time", limits.time.map(|time| json!(format!("{time:?}")))),
        ("limit output", limits.output_bytes.map(|bytes| json!(bytes))),
        ("limit fuel", limits.fuel.map(|fuel| json!(fuel))),
        ("recheck", rule.recheck().map(|recheck| json!(format!("{recheck:?}")))),
    ] {
        if let Some(value) = value {
            add(name.into(), value);
        }
    }
    for (name, policy) in rule.writes().into_iter().flatten() {
        let mut told = vec![words::merge(policy.merge)];
        told.extend(policy.apply_once.then_some("only once"));
        told.extend((!policy.enabled).then_some("turned off"));
        add(format!("write {name}"), json!(told.join(", ")));
    }
    config(rule, &mut fields);
    fields
}

/// Flows of a declarative rule by attribute; of any other module its configuration key by key.
fn config(rule: &ManifestRule, fields: &mut Map<String, Json>) {
    let config: Json = serde_json::from_str(rule.config()).unwrap_or_default();
    for (key, value) in config.as_object().into_iter().flatten() {
        let flows = value.as_array().filter(|_| key == "flows");
        match (rule.module(), flows) {
            (ModuleSource::Builtin(name), Some(flows)) if name == "builtin:declarative" => {
                for flow in flows {
                    let name = format!("flow {}", flow["to"].as_str().unwrap_or_default());
                    match fields.get_mut(&name) {
                        // Of several flows to one attribute the order counts.
                        Some(Json::Array(texts)) => texts.push(json!(flow_text(flow))),
                        _ => {
                            fields.insert(name, json!([flow_text(flow)]));
                        }
                    }
                }
            }
            _ => {
                fields.insert(format!("config {key}"), value.clone());
            }
        }
    }
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// What leads from one manifest to another, in order of section and name: `section`, `name`,
/// `change` (`added`, `removed`, `changed`), and `fields` with `field`, `old`, `new`.
pub fn diff(old: &Outline, new: &Outline) -> Vec<Json> {
    let empty = BTreeMap::new();
    let mut changes = vec![];
    for section in ["setting", "connector", "rule"] {
        let (was, is) = (old.get(section).unwrap_or(&empty), new.get(section).unwrap_or(&empty));
        let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for name in names {
            let change = match (was.get(name), is.get(name)) {
                (None, _) => "added",
                (_, None) => "removed",
                (Some(_), Some(_)) => "changed",
            };
            let fields = fields(was.get(name), is.get(name));
            if !fields.is_empty() {
                changes.push(json!({
                    "section": section, "name": name, "change": change, "fields": fields,
                }));
            }
        }
    }
    changes
}

fn fields(was: Option<&Map<String, Json>>, is: Option<&Map<String, Json>>) -> Vec<Json> {
    let keys = |map: Option<&Map<String, Json>>| -> BTreeSet<String> {
        map.into_iter().flat_map(|map| map.keys().cloned()).collect()
    };
    let value = |map: Option<&Map<String, Json>>, key: &str| {
        map.and_then(|map| map.get(key)).cloned().unwrap_or_default()
    };
    let mut told = vec![];
    for key in keys(was).union(&keys(is)) {
        let (old, new) = (value(was, key), value(is, key));
        if old != new {
            told.push(json!({"field": key, "old": old, "new": new}));
        }
    }
    told
}

/// The changes as an administrator reads them.
pub fn print(changes: &[Json], out: &mut dyn Write) -> io::Result<()> {
    if changes.is_empty() {
        return writeln!(out, "no difference");
    }
    for change in changes {
        let text = |key: &str| change[key].as_str().unwrap_or_default();
        let sign = match text("change") {
            "added" => '+',
            "removed" => '-',
            _ => '~',
        };
        writeln!(out, "{sign} {} {}", text("section"), words::visible(text("name")))?;
        for field in change["fields"].as_array().into_iter().flatten() {
            print_field(field, text("change"), out)?;
        }
    }
    Ok(())
}

fn print_field(field: &Json, change: &str, out: &mut dyn Write) -> io::Result<()> {
    let name = field["field"].as_str().unwrap_or_default();
    let (old, new) = (&field["old"], &field["new"]);
    // A rule as a whole is told by what it is about, not by its defaults.
    let idle = |value: &Json| {
        matches!(value, Json::Null | Json::Bool(false))
            || value == &json!("")
            || value == &json!([])
    };
    if change != "changed" && (idle(old) && idle(new)) {
        return Ok(());
    }
    let told = |value: &Json| match (name, value) {
        ("module sha256", Json::String(digest)) => short(digest).to_owned(),
        (_, Json::String(text)) => words::visible(text).into_owned(),
        (_, other) => words::told(other),
    };
    if let (Some(was), Some(is), true) = (old.as_array(), new.as_array(), change == "changed") {
        writeln!(out, "    {name}")?;
        let (gone, came) = (
            was.iter().filter(|one| !is.contains(one)),
            is.iter().filter(|one| !was.contains(one)),
        );
        gone.clone().try_for_each(|one| writeln!(out, "      - {}", told(one)))?;
        came.clone().try_for_each(|one| writeln!(out, "      + {}", told(one)))?;
        if gone.count() + came.count() == 0 {
            writeln!(out, "      in another order")?;
        }
        return Ok(());
    }
    let list = |value: &Json| match value {
        Json::Array(values) => values.iter().map(told).collect::<Vec<_>>().join(" / "),
        other => told(other),
    };
    match (idle(old), idle(new)) {
        (true, _) if change == "added" || old.is_null() => {
            writeln!(out, "    {name}: {}", list(new))
        }
        (_, true) if change == "removed" => writeln!(out, "    {name}: {}", list(old)),
        (_, _) if new.is_null() => writeln!(out, "    {name}: {} -> (none)", list(old)),
        _ => writeln!(out, "    {name}: {} -> {}", list(old), list(new)),
    }
}
