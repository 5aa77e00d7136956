//! The way back: a manifest's fragments and the notes of the import flow in, the XML of an export
//! flows out.
//!
//! The fragments decide. The notes add what a manifest does not say, wherever the fragment still
//! says what the import wrote.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Output;
use crate::fault::{Fault, NOT_EXPRESSIBLE, NOTES};
use crate::fragment::{link_word, merge_word};
use crate::model::{
    Direction, Flow, FlowSource, JoinClause, LinkType, MergeType, NO_ID, Origin, Rule, ScopeClause,
    WITHOUT_VALUE,
};
use crate::notes::{FlowNote, Notes, RuleNote, VERSION, usual};
use crate::write;

/// What an export wrote.
#[derive(Debug)]
pub struct Written {
    /// One for each rule.
    pub files: Vec<Output>,
    pub flows: usize,
    /// What the manifest says and an export has no words for, a sentence each.
    pub losses: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FragmentIn {
    #[serde(default)]
    rules: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleIn {
    name: String,
    tag: Option<String>,
    #[serde(default)]
    description: String,
    enabled: Option<bool>,
    precedence: u32,
    connector: String,
    direction: String,
    from: String,
    to: String,
    link: String,
    #[serde(default)]
    scope: Vec<Vec<ClauseIn>>,
    #[serde(default)]
    join: Vec<Vec<JoinIn>>,
    #[serde(default)]
    writes: Value,
    #[serde(default)]
    password_sync: bool,
    module: Value,
    #[serde(default)]
    config: ConfigIn,
    // The original has no words for these.
    on_scope_exit: Option<IgnoredAny>,
    on_delete: Option<IgnoredAny>,
    limits: Option<IgnoredAny>,
    tests: Option<IgnoredAny>,
    recheck: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClauseIn {
    attr: String,
    op: String,
    value: Option<Value>,
    #[serde(default)]
    case_sensitive: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinIn {
    cs: String,
    mv: String,
    #[serde(default)]
    case_sensitive: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigIn {
    #[serde(default)]
    flows: Vec<BTreeMap<String, Value>>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WriteIn<'a> {
    merge: Option<&'a str>,
    apply_once: bool,
    enabled: Option<bool>,
}

/// Makes the XML of every rule.
///
/// Takes: the files of the manifest as JSON, each with its name, and the text of `import.json`.
/// Errors: every rule that an export cannot hold, and notes that do not fit.
pub fn back(fragments: &[(String, Value)], notes: &str) -> Result<Written, Vec<Fault>> {
    let notes: Notes = match serde_json::from_str(notes) {
        Ok(Notes { version, .. }) if version != VERSION => {
            let message = format!("`import.json` has the version {version}, known is {VERSION}");
            return Err(vec![Fault::new(NOTES, message).hint("use the program that wrote it")]);
        }
        Ok(notes) => notes,
        Err(error) => {
            let message = format!("`import.json` is not what an import wrote: {error}");
            return Err(vec![Fault::new(NOTES, message).hint("restore it, or import again")]);
        }
    };
    let mut written = Written { files: vec![], flows: 0, losses: vec![] };
    let mut faults = vec![];
    for (file, fragment) in fragments {
        let refuse = |message: String| {
            let hint = "only rules of `builtin:declarative` on one connector with a precedence \
                        have a form there";
            Fault::new(NOT_EXPRESSIBLE, message).at(file, 0).hint(hint)
        };
        let rules = match FragmentIn::deserialize(fragment) {
            Ok(fragment) => fragment.rules,
            Err(error) => {
                faults.push(refuse(format!("the file is no list of rules: {error}")));
                continue;
            }
        };
        for rule in &rules {
            match one(rule, &notes, &mut written.losses) {
                Ok(rule) => {
                    written.flows += rule.flows.len();
                    let path =
                        format!("SynchronizationRules/SynchronizationRule_{{{}}}.xml", rule.id);
                    written.files.push(Output { path, text: write::xml(&rule) });
                }
                Err(why) => {
                    let name = rule.get("name").and_then(Value::as_str).unwrap_or("?");
                    faults.push(refuse(format!("an export cannot hold the rule `{name}`: {why}")));
                }
            }
        }
    }
    written.files.sort_by(|a, b| a.path.cmp(&b.path));
    if written.files.windows(2).any(|pair| pair[0].path == pair[1].path) {
        let message = "two rules would have one identifier";
        faults.push(Fault::new(NOT_EXPRESSIBLE, message).hint("give each a `tag` of its own"));
    }
    if faults.is_empty() { Ok(written) } else { Err(faults) }
}

fn one(raw: &Value, notes: &Notes, losses: &mut Vec<String>) -> Result<Rule, String> {
    let raw = RuleIn::deserialize(raw).map_err(|error| error.to_string())?;
    if raw.module.as_str() != Some("builtin:declarative") {
        return Err("it has a module of its own".to_owned());
    }
    for (key, lost) in [
        ("on_scope_exit", raw.on_scope_exit.is_some()),
        ("on_delete", raw.on_delete.is_some()),
        ("limits", raw.limits.is_some()),
        ("tests", raw.tests.is_some()),
        ("recheck", raw.recheck.is_some()),
    ] {
        if lost {
            losses.push(format!("`{key}` of the rule `{}` is left out", raw.name));
        }
    }
    let tag = raw.tag.as_ref().unwrap_or(&raw.name);
    let note = notes.rules.iter().find(|note| note.tag == *tag && note.connector == raw.connector);
    let connector = notes
        .connectors
        .iter()
        .find(|connector| connector.name == raw.connector)
        .ok_or_else(|| format!("the connector `{}` came with no import", raw.connector))?;
    let word = |key: &str, word: &str| format!("`{key}` has no counterpart: `{word}`");
    let links = [LinkType::Join, LinkType::StickyJoin, LinkType::Provision];
    let link = links.into_iter().find(|link| link_word(*link) == raw.link);
    let kept = |text: Option<&String>, usual: &str| text.map_or(usual, String::as_str).to_owned();
    let rule = Rule {
        origin: Origin::default(),
        id: note.map_or_else(|| made_up_id(tag, &connector.id), |note| note.id.clone()),
        internal_id: note.and_then(|note| note.internal_id.clone()),
        version: note.and_then(|note| note.version.clone()),
        immutable_tag: note.map(|note| note.immutable_tag.clone()).unwrap_or_default(),
        direction: Direction::from_word(&raw.direction)
            .ok_or_else(|| word("direction", &raw.direction))?,
        disabled: raw.enabled == Some(false) && !note.is_some_and(|note| note.disabled_by_import),
        connector: connector.id.clone(),
        source_type: raw.from.clone(),
        target_type: raw.to.clone(),
        link: link.ok_or_else(|| word("link", &raw.link))?,
        precedence: raw.precedence,
        precedence_after: kept(note.and_then(|note| note.precedence_after.as_ref()), NO_ID),
        precedence_before: kept(note.and_then(|note| note.precedence_before.as_ref()), NO_ID),
        soft_delete: kept(note.and_then(|note| note.soft_delete.as_ref()), "00:00:00"),
        password_sync: raw.password_sync,
        flows: flows(&raw, note)?,
        scope: scope(&raw, note)?,
        join: join(&raw, note),
        unknown: vec![],
        description: raw.description,
        name: raw.name,
    };
    match holdable(&rule) {
        true => Ok(rule),
        false => Err("a text holds a character that XML has no form for".to_owned()),
    }
}

/// A rule that was never exported gets an identifier that is always the same.
fn made_up_id(tag: &str, connector: &str) -> String {
    let digest = Sha256::digest(format!("{connector}\n{tag}"));
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    // Version 8 of RFC 9562: made from whatever its maker wants.
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn scope(raw: &RuleIn, note: Option<&RuleNote>) -> Result<Vec<Vec<ScopeClause>>, String> {
    let mut groups = vec![];
    for group in &raw.scope {
        let mut clauses = vec![];
        for clause in group {
            if clause.case_sensitive {
                return Err(format!("the clause on `{}` is `case_sensitive`", clause.attr));
            }
            let noted = || {
                let clauses = note.into_iter().flat_map(|note| &note.clauses);
                let mut same = clauses
                    .filter(|noted| noted.attribute == clause.attr && noted.operator == clause.op);
                same.next().map(|noted| noted.value.clone()).unwrap_or_default()
            };
            let operator = crate::model::operator(&clause.op);
            clauses.push(ScopeClause {
                attribute: clause.attr.clone(),
                value: match &clause.value {
                    Some(value) => scalar(value)?,
                    None if WITHOUT_VALUE.contains(&operator.as_str()) => noted(),
                    None => String::new(),
                },
                operator,
            });
        }
        groups.push(clauses);
    }
    let empty = note.map_or(0, |note| note.empty_scope_groups);
    groups.extend(std::iter::repeat_n(vec![], empty));
    Ok(groups)
}

fn join(raw: &RuleIn, note: Option<&RuleNote>) -> Vec<Vec<JoinClause>> {
    let clause = |clause: &JoinIn| JoinClause {
        cs: clause.cs.clone(),
        mv: clause.mv.clone(),
        case_sensitive: clause.case_sensitive,
    };
    let groups = raw.join.iter().map(|group| group.iter().map(clause).collect());
    let empty = note.map_or(0, |note| note.empty_join_groups);
    groups.chain(std::iter::repeat_n(vec![], empty)).collect()
}

fn flows(raw: &RuleIn, note: Option<&RuleNote>) -> Result<Vec<Flow>, String> {
    let mut seen = BTreeMap::<&str, usize>::new();
    let mut flows = vec![];
    for flow in &raw.config.flows {
        let to = flow.get("to").and_then(Value::as_str).ok_or("a flow without `to`")?;
        let nth = seen.entry(to).or_default();
        let written: Value = flow
            .iter()
            .filter(|(key, _)| *key != "to")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let noted = note
            .into_iter()
            .flat_map(|note| &note.flows)
            .find(|noted| noted.to == to && noted.nth == *nth && noted.written == written);
        *nth += 1;
        let (merge, once) = policy(raw, to)?;
        flows.push(Flow {
            to: to.to_owned(),
            source: source(to, &written, noted)?,
            merge: noted
                .and_then(|noted| MergeType::from_word(noted.merge.as_ref()?))
                .filter(|noted| {
                    raw.enabled == Some(false) || merge_word(*noted) == merge_word(merge)
                })
                .unwrap_or(merge),
            once: noted.and_then(|noted| noted.once).unwrap_or(once),
            once_as: noted
                .and_then(|noted| noted.once_as.clone())
                .filter(|word| crate::model::boolean(word) == Some(once)),
        });
    }
    Ok(flows)
}

fn source(to: &str, written: &Value, noted: Option<&FlowNote>) -> Result<FlowSource, String> {
    if let Some(constant) = noted.and_then(|noted| noted.constant.as_ref()) {
        return Ok(FlowSource::Constant(constant.clone()));
    }
    let (sources, constant) = usual(written);
    let sources = noted.and_then(|noted| noted.sources.clone()).unwrap_or(sources);
    let single = written.as_object().is_some_and(|written| written.len() == 1);
    match (written.get("from"), written.get("expr"), written.get("value")) {
        (Some(Value::String(_)), None, None) if single => Ok(FlowSource::Direct(sources)),
        (None, Some(Value::String(text)), None) if single => {
            Ok(FlowSource::Expression { text: text.clone(), listed: sources })
        }
        (None, None, Some(Value::Bool(_) | Value::Number(_) | Value::String(_))) if single => {
            Ok(FlowSource::Constant(constant.unwrap_or_default()))
        }
        _ => Err(format!("the flow to `{to}` is neither `from`, `expr` nor one `value`")),
    }
}

/// How an attribute is merged, and whether it is written once.
fn policy(raw: &RuleIn, attribute: &str) -> Result<(MergeType, bool), String> {
    let policy = match &raw.writes {
        Value::Object(writes) => writes.get(attribute).map(WriteIn::deserialize).transpose(),
        _ => Ok(None),
    };
    let policy = policy.map_err(|error| error.to_string())?.unwrap_or_default();
    if policy.enabled == Some(false) {
        return Err(format!("the flow to `{attribute}` is disabled alone"));
    }
    let merges = [MergeType::Update, MergeType::Merge, MergeType::MergeCaseInsensitive];
    let word = policy.merge.unwrap_or("update");
    let merge = merges.into_iter().find(|merge| merge_word(*merge) == word);
    let unknown = || format!("`{attribute}` is merged in an unknown way: `{word}`");
    Ok((merge.ok_or_else(unknown)?, policy.apply_once))
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(if *flag { "True" } else { "False" }.to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("the value of a clause is no single value".to_owned()),
    }
}

fn holdable(rule: &Rule) -> bool {
    let flows = rule.flows.iter().all(|flow| {
        let text = match &flow.source {
            FlowSource::Direct(_) => true,
            FlowSource::Constant(text) | FlowSource::Expression { text, .. } => write::holds(text),
        };
        text && write::holds(&flow.to)
    });
    let clauses = rule.scope.iter().flatten().all(|clause| write::holds(&clause.value));
    flows && clauses && write::holds(&rule.name) && write::holds(&rule.description)
}
