//! A rule as a fragment of a manifest, in YAML.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::convert::{Converted, constant, policies};
use crate::model::{Direction, Flow, FlowSource, LinkType, MergeType, Rule, WITHOUT_VALUE};
use crate::notes::Plain;
use crate::read::Type;
use crate::yaml::{block, quoted, scalar};

/// Where the value of a flow is from, in the words of the declarative module.
pub fn source(flow: &Flow, kind: Option<Type>, schema: bool) -> Value {
    match &flow.source {
        FlowSource::Direct(sources) => json!({ "from": sources.first() }),
        FlowSource::Expression { text, .. } => json!({ "expr": text }),
        FlowSource::Constant(text) if text.is_empty() => json!({ "expr": "NULL" }),
        FlowSource::Constant(text) => json!({ "value": constant(text, kind, schema) }),
    }
}

/// The words that a manifest has for links.
pub fn link_word(link: LinkType) -> &'static str {
    match link {
        LinkType::Join => "join",
        LinkType::StickyJoin => "sticky-join",
        LinkType::Provision => "provision",
    }
}

/// The words that a manifest has for merging.
pub fn merge_word(merge: MergeType) -> &'static str {
    match merge {
        MergeType::Update | MergeType::Replace => "update",
        MergeType::Merge => "merge",
        MergeType::MergeCaseInsensitive => "merge-case-insensitive",
    }
}

/// The file of one rule.
pub fn text(converted: &Converted<'_>) -> String {
    let rule = converted.rule;
    let direction = match rule.direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    };
    let mut text = String::from("rules:\n");
    text.push_str(&format!("  - name: {}\n", quoted(&rule.name)));
    let mut key = |key: &str, value: &str| text.push_str(&format!("    {key}: {value}\n"));
    key("tag", &scalar(&converted.tag));
    if !rule.description.is_empty() {
        key("description", &block(&rule.description, 4));
    }
    if !converted.enabled {
        key("enabled", "false");
    }
    key("precedence", &rule.precedence.to_string());
    key("connector", &scalar(&converted.connector));
    key("direction", direction);
    key("from", &scalar(&rule.source_type));
    key("to", &scalar(&rule.target_type));
    key("link", link_word(rule.link));
    if rule.password_sync {
        key("password_sync", "true");
    }
    scope(rule, &mut text);
    join(rule, &mut text);
    writes(rule, &mut text);
    text.push_str("    module: builtin:declarative\n");
    flows(rule, &converted.plain, &mut text);
    text
}

fn scope(rule: &Rule, text: &mut String) {
    let groups = rule.scope.iter().filter(|group| !group.is_empty()).map(|group| {
        group.iter().map(|clause| {
            let value = if WITHOUT_VALUE.contains(&clause.operator.as_str()) {
                String::new()
            } else {
                format!(", value: {}", quoted(&clause.value))
            };
            let (attribute, operator) = (scalar(&clause.attribute), scalar(&clause.operator));
            format!("{{attr: {attribute}, op: {operator}{value}}}")
        })
    });
    list_of_lists("scope", groups, text);
}

fn join(rule: &Rule, text: &mut String) {
    let groups = rule.join.iter().filter(|group| !group.is_empty()).map(|group| {
        group.iter().map(|clause| {
            let case = if clause.case_sensitive { ", case_sensitive: true" } else { "" };
            format!("{{cs: {}, mv: {}{case}}}", scalar(&clause.cs), scalar(&clause.mv))
        })
    });
    list_of_lists("join", groups, text);
}

fn list_of_lists<G: Iterator<Item = String>>(
    key: &str,
    groups: impl Iterator<Item = G>,
    text: &mut String,
) {
    let mut begun = false;
    for group in groups {
        if !std::mem::replace(&mut begun, true) {
            text.push_str(&format!("    {key}:\n"));
        }
        for (index, item) in group.enumerate() {
            let lead = if index == 0 { "      - - " } else { "        - " };
            text.push_str(lead);
            text.push_str(&item);
            text.push('\n');
        }
    }
}

/// Where one attribute is merged or written once, all have to be named.
fn writes(rule: &Rule, text: &mut String) {
    let policies = policies(rule);
    if policies.values().all(|policy| *policy == (MergeType::Update, false)) {
        return;
    }
    text.push_str("    writes:\n");
    for (attribute, (merge, once)) in policies {
        let mut policy = vec![];
        if merge != MergeType::Update {
            policy.push(format!("merge: {}", merge_word(merge)));
        }
        if once {
            policy.push("apply_once: true".to_owned());
        }
        let _ = writeln!(text, "      {}: {{{}}}", scalar(attribute), policy.join(", "));
    }
}

fn flows(rule: &Rule, plain: &[Plain], text: &mut String) {
    if rule.flows.is_empty() {
        return;
    }
    text.push_str("    config:\n      flows:\n");
    for (flow, plain) in rule.flows.iter().zip(plain) {
        text.push_str(&format!("        - to: {}\n", scalar(&flow.to)));
        let (key, value) = match &plain.written {
            Value::Object(object) => match object.iter().next() {
                Some((key, Value::String(value))) if key == "from" => (key, scalar(value)),
                Some((key, Value::String(value))) => (key, block(value, 10)),
                Some((key, value)) => (key, value.to_string()),
                None => continue,
            },
            _ => continue,
        };
        text.push_str(&format!("          {key}: {value}\n"));
    }
}
