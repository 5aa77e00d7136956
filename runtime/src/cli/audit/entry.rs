//! One entry of the audit: an export that was carried out, or a decision, flows in; a document
//! flows out, which is also what people read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::export::{AttributeChange, ExportOp};
use kakehi_engine::object::{AttributeName, ConnectorName, Value};
use kakehi_engine::plan::PlanId;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::report::words::value_json;
use crate::service::{Decision, Sent, Store, StoreError};

/// Digits of the digest that stands for a secret value: enough to tell values apart.
const SECRET_DIGITS: usize = 16;

/// The objects that a person means.
pub(super) struct Meant {
    key: String,
    ids: BTreeSet<CsId>,
}

// === impl Meant ===

impl Meant {
    pub fn of(store: &dyn Store, key: &str) -> Result<Self, StoreError> {
        let found = store.explain(key)?;
        let ids = found.iter().flat_map(|found| &found.objects).map(|object| object.id).collect();
        Ok(Self { key: key.to_owned(), ids })
    }

    /// Objects that are gone are known by what they were called.
    pub fn is(&self, sent: &Sent) -> bool {
        let called = [&sent.export.anchor, &sent.export.match_key];
        self.ids.contains(&sent.export.object)
            || called.contains(&&self.key)
            || sent.remote_id.as_ref() == Some(&self.key)
    }
}

/// What entries are told with.
pub(super) struct Names<'a> {
    store: &'a dyn Store,
    secret: &'a BTreeSet<AttributeName>,
    /// The sources that are configured.
    known: BTreeSet<ConnectorName>,
    /// Who released a plan.
    released: BTreeMap<PlanId, String>,
}

// === impl Names ===

impl<'a> Names<'a> {
    pub fn new(
        store: &'a dyn Store,
        config: &'a Config,
        released: BTreeMap<PlanId, String>,
    ) -> Self {
        let known = config.sources.keys().cloned().collect();
        Self { store, secret: &config.audit.secret, known, released }
    }

    pub fn sent(&self, sent: &Sent) -> Result<Json, StoreError> {
        let export = &sent.export;
        let mut changes = vec![];
        for (place, change) in export.changes.iter().enumerate() {
            let touched =
                change.replace.is_some() || !change.add.is_empty() || !change.remove.is_empty();
            if touched {
                let by = export.by.get(place).and_then(Option::as_ref).map(ToString::to_string);
                changes.push(self.change(change, sent, by)?);
            }
        }
        if export.op == ExportOp::Delete {
            let by = export.by.first().and_then(Option::as_ref).map(ToString::to_string);
            for (name, values) in &sent.before {
                let old = self.values(name, values)?;
                changes
                    .push(json!({"attribute": name.as_str(), "old": old, "new": [], "rule": by}));
            }
        }
        let actor = self.released.get(&sent.plan).map_or("the rules", String::as_str);
        Ok(json!({
            "at": sent.at.rfc3339(),
            "kind": "sent",
            "actor": actor,
            "run": sent.run.map(|run| run.0),
            "plan": sent.plan.0,
            "ruleset": sent.ruleset,
            "config": sent.config,
            "connector": export.connector.as_str(),
            "op": export.op.as_str(),
            "type_change": export.type_change,
            "class": export.class.as_str(),
            "anchor": export.anchor,
            "match": export.match_key,
            "remote_id": sent.remote_id,
            "sources": self.sources(export.mv)?,
            "changes": changes,
        }))
    }

    fn change(
        &self,
        change: &AttributeChange,
        sent: &Sent,
        rule: Option<String>,
    ) -> Result<Json, StoreError> {
        let name = &change.attribute;
        let attribute = name.as_str();
        let Some(replace) = &change.replace else {
            let (add, remove) =
                (self.values(name, &change.add)?, self.values(name, &change.remove)?);
            return Ok(json!({"attribute": attribute, "add": add, "remove": remove, "rule": rule}));
        };
        let old = sent.before.get(name).map_or(&[][..], Vec::as_slice);
        let (old, new) = (self.values(name, old)?, self.values(name, replace)?);
        Ok(json!({"attribute": attribute, "old": old, "new": new, "rule": rule}))
    }

    fn values(&self, name: &AttributeName, values: &[Value]) -> Result<Vec<Json>, StoreError> {
        if self.secret.contains(name) {
            return Ok(values.iter().map(|value| json!(digest(value))).collect());
        }
        let id = |value: &Value| match value {
            Value::Reference(id) => id.parse().ok().map(CsId),
            _ => None,
        };
        values
            .iter()
            .map(|value| match id(value) {
                Some(id) => Ok(json!(self.store.target_names(&[id])?.pop())),
                None => Ok(value_json(value)),
            })
            .collect()
    }

    /// The source objects behind a target object, as far as they are still linked.
    fn sources(&self, mv: Option<MvId>) -> Result<Vec<String>, StoreError> {
        let Some(mv) = mv else { return Ok(vec![]) };
        let linked = self.store.view()?.linked(&[mv]).remove(&mv).unwrap_or_default();
        let of_source = |connector: &ConnectorName| self.known.contains(connector);
        let sources = linked.iter().filter(|linked| of_source(&linked.connector));
        let ids: Vec<CsId> = sources.map(|linked| linked.cs).collect();
        let labels = self.store.labels(&ids)?;
        Ok(labels.iter().map(|label| format!("{}: {}", label.connector, label.name)).collect())
    }
}

/// Stands for a value that nobody may read here, and tells whether two are the same.
fn digest(value: &Value) -> String {
    let digest = Sha256::digest(value_json(value).to_string());
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{}", &digits[..SECRET_DIGITS])
}

pub(super) fn decision(decision: &Decision) -> Json {
    let mut details: Json = serde_json::from_str(&decision.details).unwrap_or_else(|_| json!({}));
    // The whole configuration is kept for comparing, not for reading.
    if let Json::Object(details) = &mut details {
        details.remove("shown");
    }
    json!({
        "at": decision.at.rfc3339(),
        "kind": decision.kind.as_str(),
        "actor": decision.actor,
        "plan": decision.plan.as_ref().map(|plan| &plan.0),
        "ruleset": decision.ruleset,
        "config": decision.config,
        "details": details,
    })
}

/// Prints what the JSON tells.
pub(super) fn text(entry: &Json, out: &mut dyn Write) -> std::io::Result<()> {
    let said = |name: &str| entry[name].as_str().unwrap_or("");
    write!(out, "{}  ", said("at"))?;
    if said("kind") != "sent" {
        writeln!(out, "{} by {}: {}", said("kind"), said("actor"), entry["details"])?;
        if let Some(plan) = entry["plan"].as_str() {
            writeln!(out, "      plan {plan}")?;
        }
        return Ok(());
    }
    let (op, connector, class) = (said("op"), said("connector"), said("class"));
    writeln!(out, "{op} {connector}/{class} {}", said("match"))?;
    let run = entry["run"].as_i64().map_or("(unfinished)".to_owned(), |run| run.to_string());
    writeln!(out, "      run {run}, plan {}, by {}", said("plan"), said("actor"))?;
    for source in entry["sources"].as_array().into_iter().flatten() {
        writeln!(out, "      source {}", source.as_str().unwrap_or(""))?;
    }
    for change in entry["changes"].as_array().into_iter().flatten() {
        let (name, rule) = (change["attribute"].as_str().unwrap_or(""), &change["rule"]);
        let rule = rule.as_str().map_or(String::new(), |rule| format!("  (`{rule}`)"));
        match change.get("old") {
            Some(old) => {
                writeln!(out, "      {name}: {} -> {}{rule}", list(old), list(&change["new"]))?
            }
            None => {
                let (add, remove) = (list(&change["add"]), list(&change["remove"]));
                writeln!(out, "      {name}: + {add} - {remove}{rule}")?;
            }
        }
    }
    Ok(())
}

/// Values that are printed; of more only the number.
const VALUES_SHOWN_MAX: usize = 8;

fn list(values: &Json) -> String {
    let values = values.as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<String> =
        values.iter().take(VALUES_SHOWN_MAX).map(ToString::to_string).collect();
    match values.len() {
        0 => "nothing".to_owned(),
        number if number > VALUES_SHOWN_MAX => {
            format!("{} and {} more", shown.join(", "), number - VALUES_SHOWN_MAX)
        }
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_told_apart_and_not_told() {
        let (one, other) = (digest(&Value::text("hunter2")), digest(&Value::text("hunter3")));
        assert_ne!(one, other);
        assert_eq!(one.len(), "sha256:".len() + SECRET_DIGITS);
        assert!(!one.contains("hunter"));
    }
}
