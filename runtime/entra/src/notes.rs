//! `import.json`: what the way back needs and a manifest does not carry.
//!
//! A note is about what the import wrote. Where a person has changed that since, the note is not
//! used.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::connectors::Connectors;
use crate::convert::Converted;
use crate::model::{FlowSource, MergeType, NO_ID, Rule};

pub const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    pub version: u32,
    pub connectors: Vec<ConnectorNote>,
    pub rules: Vec<RuleNote>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorNote {
    pub name: String,
    pub id: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleNote {
    pub tag: String,
    pub connector: String,
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    pub immutable_tag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precedence_after: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precedence_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_delete: Option<String>,
    /// The rule was enabled, and the import disabled it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disabled_by_import: bool,
    /// Groups without a clause, which a manifest cannot hold.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub empty_scope_groups: usize,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub empty_join_groups: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clauses: Vec<ClauseNote>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flows: Vec<FlowNote>,
}

/// The value of a clause whose operator takes none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClauseNote {
    pub attribute: String,
    pub operator: String,
    pub value: String,
}

/// What the export said of a flow beyond the fragment.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowNote {
    pub to: String,
    /// Which of the flows to this attribute, from 0.
    pub nth: usize,
    /// What the fragment says where its value is from: `{"expr": ...}`, `{"from": ...}`.
    pub written: Value,
    /// `<src>` of an expression, or of a flow with several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once_as: Option<String>,
}

/// Where the value of a flow is from, as the fragment has it, and what goes without saying of it.
#[derive(Debug)]
pub struct Plain {
    pub written: Value,
    pub merge: MergeType,
    pub once: bool,
}

pub fn text(connectors: &Connectors, converted: &[Converted<'_>]) -> String {
    let notes = Notes {
        version: VERSION,
        connectors: connectors
            .all()
            .map(|connector| ConnectorNote {
                name: connector.name.clone(),
                id: connector.id.clone(),
            })
            .collect(),
        rules: converted.iter().map(rule_note).collect(),
    };
    let mut text = serde_json::to_string_pretty(&notes).unwrap_or_default();
    text.push('\n');
    text
}

fn rule_note(converted: &Converted<'_>) -> RuleNote {
    let rule = converted.rule;
    let unless = |text: &str, usual: &str| (text != usual).then(|| text.to_owned());
    let empty = |groups: usize, filled: usize| groups - filled;
    let clauses = rule.scope.iter().flatten().filter(|clause| {
        crate::model::WITHOUT_VALUE.contains(&clause.operator.as_str()) && !clause.value.is_empty()
    });
    RuleNote {
        tag: converted.tag.clone(),
        connector: converted.connector.clone(),
        id: rule.id.clone(),
        internal_id: rule.internal_id.clone().filter(|id| *id != rule.id),
        version: rule.version.clone().filter(|version| version != "1"),
        immutable_tag: rule.immutable_tag.clone(),
        precedence_after: unless(&rule.precedence_after, NO_ID),
        precedence_before: unless(&rule.precedence_before, NO_ID),
        soft_delete: unless(&rule.soft_delete, "00:00:00"),
        disabled_by_import: converted.disabled_by_import,
        empty_scope_groups: empty(
            rule.scope.len(),
            rule.scope.iter().filter(|group| !group.is_empty()).count(),
        ),
        empty_join_groups: empty(
            rule.join.len(),
            rule.join.iter().filter(|group| !group.is_empty()).count(),
        ),
        clauses: clauses
            .map(|clause| ClauseNote {
                attribute: clause.attribute.clone(),
                operator: clause.operator.clone(),
                value: clause.value.clone(),
            })
            .collect(),
        flows: flow_notes(rule, &converted.plain),
    }
}

/// A note for each flow of which the fragment does not say everything.
fn flow_notes(rule: &Rule, plain: &[Plain]) -> Vec<FlowNote> {
    let mut notes = vec![];
    for (index, (flow, plain)) in rule.flows.iter().zip(plain).enumerate() {
        let nth = rule.flows[..index].iter().filter(|other| other.to == flow.to).count();
        let (usual_sources, usual_constant) = usual(&plain.written);
        let (sources, constant) = match &flow.source {
            FlowSource::Direct(sources) => (sources.clone(), None),
            FlowSource::Expression { listed, .. } => (listed.clone(), None),
            FlowSource::Constant(text) => (vec![], Some(text.clone())),
        };
        let note = FlowNote {
            to: flow.to.clone(),
            nth,
            written: plain.written.clone(),
            sources: (sources != usual_sources).then_some(sources),
            constant: constant.filter(|text| Some(text) != usual_constant.as_ref()),
            merge: (flow.merge != plain.merge).then(|| flow.merge.to_string()),
            once: (flow.once != plain.once).then_some(flow.once),
            once_as: flow.once_as.clone(),
        };
        let says = note.sources.is_some() || note.constant.is_some();
        if says || note.merge.is_some() || note.once.is_some() || note.once_as.is_some() {
            notes.push(note);
        }
    }
    notes
}

/// What an export would list and hold for a flow as the fragment has it.
pub fn usual(written: &Value) -> (Vec<String>, Option<String>) {
    if let Some(from) = written.get("from").and_then(Value::as_str) {
        return (vec![from.to_owned()], None);
    }
    if let Some(expr) = written.get("expr").and_then(Value::as_str) {
        return (reads(expr), None);
    }
    let constant = written.get("value").map(|value| match value {
        Value::Bool(flag) => if *flag { "True" } else { "False" }.to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    (vec![], constant)
}

/// The attributes of the source object that an expression reads, in order of name (C6).
pub fn reads(expression: &str) -> Vec<String> {
    kakehi_expr::Expression::parse(expression)
        .map(|parsed| parsed.reads().attributes.iter().cloned().collect())
        .unwrap_or_default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
