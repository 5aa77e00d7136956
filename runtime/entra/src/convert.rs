//! What becomes of each rule: exported rules flow in; fragments, counts and everything that is
//! worth telling flow out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kakehi_expr::{ExprError, Expression, SyntaxFault};

use crate::connectors::{Connectors, slug};
use crate::fragment;
use crate::model::{
    Direction, Flow, FlowSource, MergeType, NO_ID, OPERATORS, Rule, WITHOUT_VALUE, boolean,
};
use crate::notes::{Plain, reads};
use crate::read::{Export, Type};

/// Something that a person should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub topic: Topic,
    /// ``rule `In from AD - User Join` ``, ``connector `corp` ``.
    pub place: String,
    /// The expression that it is about, verbatim.
    pub expression: Option<String>,
    pub reason: String,
    /// Empty where nothing has to be done.
    pub suggestion: String,
}

/// In the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The rule is `enabled: false` for it.
    Disabled,
    /// The manifest does not load until it is settled.
    Unsettled,
    /// The rule is checked and shown, and does nothing.
    NotDelivered,
    /// An expression reads what the export does not list (C6).
    Unlisted,
    Note,
}

/// A rule on its way into the manifest.
#[derive(Debug)]
pub struct Converted<'a> {
    pub rule: &'a Rule,
    pub tag: String,
    /// The name of its connector.
    pub connector: String,
    /// Of its fragment, below the folder of the manifest.
    pub path: String,
    pub text: String,
    pub enabled: bool,
    pub disabled_by_import: bool,
    /// What its fragment says of each of its flows, in their order.
    pub plain: Vec<Plain>,
    /// Names between percent signs that it reads.
    pub parameters: BTreeSet<String>,
    pub expressions_parsed: usize,
}

/// What an import amounts to. Of two numbers, the first is what arrived, the second what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub rules: (usize, usize),
    pub flows: (usize, usize),
    pub expressions: (usize, usize),
    pub direct: usize,
    pub constant: usize,
    pub distinct_expressions: usize,
    pub scope_clauses: usize,
    pub join_clauses: usize,
    pub disabled: usize,
    pub disabled_by_import: usize,
    pub not_delivered: usize,
    pub unlisted: usize,
}

/// Converts every rule, in the order of the export.
pub fn convert<'a>(
    export: &'a Export,
    connectors: &Connectors,
    findings: &mut Vec<Finding>,
) -> Vec<Converted<'a>> {
    let mut tags = BTreeSet::new();
    let mut paths = BTreeSet::new();
    let mut converted = vec![];
    conflicts(&export.rules, findings);
    for rule in &export.rules {
        let Some(connector) = connectors.of(&rule.connector) else { continue };
        let usual = if rule.immutable_tag.is_empty() { &rule.id } else { &rule.immutable_tag };
        let mut tag = usual.clone();
        if !tags.insert((tag.clone(), connector.name.clone())) {
            tag.clone_from(&rule.id);
            let what = format!("another rule on `{}` has its tag `{usual}`", connector.name);
            let suggestion = format!("it goes by its identifier `{tag}` instead");
            findings.push(Finding::of(rule, Topic::Note, what).suggest(suggestion));
        }
        let stem = format!("rules/{:03}-{}", rule.precedence, slug(&rule.name));
        let numbered = (2..).map(|number| format!("{stem}-{number}.yml"));
        let path = std::iter::once(format!("{stem}.yml"))
            .chain(numbered)
            .find(|path| paths.insert(path.clone()))
            .unwrap_or_default();
        let target = connector.is_target();
        if target != (rule.direction == Direction::Outbound) {
            let what = match rule.direction {
                Direction::Inbound => "it reads the cloud, which nothing reads from yet",
                Direction::Outbound => "it writes to a directory, which nothing is delivered to",
            };
            let remedy = "it is checked and shown, and does nothing; keep it for the way back";
            findings.push(Finding::of(rule, Topic::NotDelivered, what).suggest(remedy));
        }
        converted.push(one(export, rule, connector, tag, path, findings));
    }
    converted
}

fn one<'a>(
    export: &Export,
    rule: &'a Rule,
    connector: &crate::connectors::Connector,
    tag: String,
    path: String,
    findings: &mut Vec<Finding>,
) -> Converted<'a> {
    let before = findings.len();
    let mut parameters = BTreeSet::new();
    let mut expressions_parsed = 0;
    for flow in &rule.flows {
        let FlowSource::Expression { text, listed } = &flow.source else { continue };
        match Expression::parse(text) {
            Ok(parsed) => {
                expressions_parsed += 1;
                parameters.extend(parsed.reads().parameters.iter().cloned());
                unlisted(rule, flow, text, listed, findings);
            }
            Err(error) => {
                // A function that is known and not there still parses.
                let known = matches!(error.fault, SyntaxFault::Unsupported { .. });
                expressions_parsed += usize::from(known);
                findings.push(refused(rule, flow, text, &error));
            }
        }
    }
    scope(rule, &mut parameters, findings);
    broken_flows(rule, findings);
    remarks(rule, findings);
    let disabling = findings[before..].iter().any(|finding| finding.topic == Topic::Disabled);
    let policies = policies(rule);
    let types = match rule.direction {
        Direction::Inbound => export.metaverse.as_ref().map(|metaverse| &metaverse.types),
        Direction::Outbound => connector.file.as_ref().map(|file| &file.types),
    };
    let types = types.filter(|types| !types.is_empty());
    let kind = |flow: &Flow| match types {
        Some(types) => types.get(&flow.to),
        None => None,
    };
    let plain = |flow: &Flow| {
        let (merge, once) = policies[flow.to.as_str()];
        Plain { written: fragment::source(flow, kind(flow), types.is_some()), merge, once }
    };
    let mut converted = Converted {
        rule,
        tag,
        connector: connector.name.clone(),
        path,
        text: String::new(),
        enabled: !rule.disabled && !disabling,
        disabled_by_import: disabling && !rule.disabled,
        plain: rule.flows.iter().map(plain).collect(),
        parameters,
        expressions_parsed,
    };
    converted.text = fragment::text(&converted);
    converted
}

/// How each attribute is merged and whether it is written once: a manifest says it per attribute.
pub fn policies(rule: &Rule) -> BTreeMap<&str, (MergeType, bool)> {
    let mut policies = BTreeMap::new();
    for flow in &rule.flows {
        let merge = match flow.merge {
            MergeType::Replace => MergeType::Update,
            merge => merge,
        };
        policies.entry(flow.to.as_str()).or_insert((merge, flow.once));
    }
    policies
}

/// Two rules of one place or name are both kept.
fn conflicts(rules: &[Rule], findings: &mut Vec<Finding>) {
    let mut places = BTreeMap::new();
    let mut names = BTreeMap::new();
    for rule in rules {
        if let Some(other) = places.insert((rule.direction, rule.precedence), rule)
            && !rule.disabled
            && !other.disabled
        {
            let what = format!("it has the precedence {} of `{}`", rule.precedence, other.name);
            let remedy = "give one of the two a number of its own: the manifest does not load \
                          before (K0320)";
            findings.push(Finding::of(rule, Topic::Unsettled, what).suggest(remedy));
        }
        if let Some(other) = names.insert((&rule.name, &rule.connector), rule) {
            let what = format!("another rule of its connector has its name ({})", other.id);
            findings.push(Finding::of(rule, Topic::Note, what).suggest("both are kept"));
        }
    }
}

fn unlisted(rule: &Rule, flow: &Flow, text: &str, listed: &[String], findings: &mut Vec<Finding>) {
    let missing: Vec<String> = reads(text)
        .into_iter()
        .filter(|name| !listed.iter().any(|known| known.eq_ignore_ascii_case(name)))
        .map(|name| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        let what =
            format!("flow to `{}`: the export does not list {}", flow.to, missing.join(", "));
        findings.push(Finding::of(rule, Topic::Unlisted, what).expression(text));
    }
}

fn refused(rule: &Rule, flow: &Flow, text: &str, error: &ExprError) -> Finding {
    let suggestion = match (&error.hint, &error.fault) {
        (_, SyntaxFault::Unsupported { .. }) => {
            "leave the rule disabled if nobody needs the attribute; else compute it in a module \
             of your own (`kakehi rules new`) and set `enabled: true`"
                .to_owned()
        }
        (Some(hint), _) => hint.clone(),
        (None, _) => "mend the expression and set `enabled: true`".to_owned(),
    };
    let what = format!("flow to `{}`: {error}", flow.to);
    Finding::of(rule, Topic::Disabled, what).expression(text).suggest(suggestion)
}

fn scope(rule: &Rule, parameters: &mut BTreeSet<String>, findings: &mut Vec<Finding>) {
    let mut disable = |what: String, suggestion: &str| {
        findings.push(Finding::of(rule, Topic::Disabled, what).suggest(suggestion));
    };
    for clause in rule.scope.iter().flatten() {
        let operator = clause.operator.as_str();
        if !OPERATORS.contains(&operator) {
            disable(
                format!("unknown operator `{operator}` on `{}`", clause.attribute),
                "write the clause with another operator and set `enabled: true`",
            );
        } else if operator.ends_with("MEMBEROF") && rule.direction == Direction::Outbound {
            disable(
                format!("the operator `{operator}` asks for a group of a directory"),
                "let an inbound rule set an attribute, test that, and set `enabled: true`",
            );
        }
        let mask = operator.starts_with("ISBIT") && !clause.value.contains('%');
        if mask && clause.value.trim().parse::<i64>().is_err() {
            disable(
                format!("the mask of `{operator}` is no number: `{}`", clause.value),
                "write the bits as one decimal number and set `enabled: true`",
            );
        }
        if !WITHOUT_VALUE.contains(&operator) {
            parameters.extend(parameters_of(&clause.value));
        }
    }
    let empty = |groups: usize, filled: usize| groups > filled;
    let scoped = rule.scope.iter().filter(|group| !group.is_empty()).count();
    if empty(rule.scope.len(), scoped) && scoped > 0 {
        disable(
            "a group of its scope has no clause, so that it would hold for every object".to_owned(),
            "take the other groups out if that is meant, and set `enabled: true`",
        );
    }
    let joined = rule.join.iter().filter(|group| !group.is_empty()).count();
    if empty(rule.join.len(), joined) {
        disable(
            "a group of its join rules has no pair".to_owned(),
            "say what is to be equal, and set `enabled: true`",
        );
    }
}

/// Names between percent signs, as the manifest fills them in.
fn parameters_of(text: &str) -> Vec<String> {
    let mut found = vec![];
    let mut rest = text;
    let named = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_');
    while let Some((_, after)) = rest.split_once('%') {
        rest = match after.split_once('%') {
            Some((name, behind)) if !name.is_empty() && name.chars().all(named) => {
                found.push(name.to_owned());
                behind
            }
            _ => after,
        };
    }
    found
}

fn broken_flows(rule: &Rule, findings: &mut Vec<Finding>) {
    let policies = policies(rule);
    let mut told = BTreeSet::new();
    for flow in &rule.flows {
        if let FlowSource::Direct(sources) = &flow.source
            && sources.len() > 1
        {
            let what = format!(
                "the direct flow to `{}` has {} sources: `{}`",
                flow.to,
                sources.len(),
                sources.join("`, `")
            );
            let remedy = "keep the one that is meant, and set `enabled: true`";
            findings.push(Finding::of(rule, Topic::Disabled, what).suggest(remedy));
        }
        let merge = if flow.merge == MergeType::Replace { MergeType::Update } else { flow.merge };
        if policies[flow.to.as_str()] != (merge, flow.once) && told.insert(&flow.to) {
            let what = format!("flows to `{}` are merged or applied differently", flow.to);
            let remedy = "a manifest says it once per attribute: split the rule in two";
            findings.push(Finding::of(rule, Topic::Disabled, what).suggest(remedy));
        }
    }
}

fn remarks(rule: &Rule, findings: &mut Vec<Finding>) {
    let mut note = |what: String, suggestion: &str| {
        findings.push(Finding::of(rule, Topic::Note, what).suggest(suggestion));
    };
    if rule.soft_delete != "00:00:00" {
        let what = format!("objects are kept for {} after they are gone", rule.soft_delete);
        note(what, "a delay is not carried over; it is kept for the way back");
    }
    if rule.precedence == 0 && rule.precedence_before != NO_ID {
        let what = format!("it is to be inserted before the rule {}", rule.precedence_before);
        note(what, "give it a free number below that of the rule");
    }
    for name in &rule.unknown {
        note(format!("the export has a `{name}` that this program does not know"), "it is lost");
    }
    for flow in &rule.flows {
        match &flow.source {
            FlowSource::Constant(text) if text.is_empty() => {
                let what = format!("the constant for `{}` is empty", flow.to);
                note(what, "it contributes nothing (`expr: 'NULL'`)");
            }
            _ => {}
        }
    }
}

/// What the numbers of the report are.
pub fn count(export: &Export, converted: &[Converted<'_>], findings: &[Finding]) -> Counts {
    let flows = || converted.iter().flat_map(|converted| &converted.rule.flows);
    let of = |holds: fn(&FlowSource) -> bool| flows().filter(|flow| holds(&flow.source)).count();
    let told = |topic| findings.iter().filter(|finding| finding.topic == topic).count();
    let distinct: BTreeSet<&str> = flows()
        .filter_map(|flow| match &flow.source {
            FlowSource::Expression { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    Counts {
        rules: (converted.len(), export.counted.rules),
        flows: (
            converted.iter().map(|converted| converted.plain.len()).sum(),
            export.counted.flows,
        ),
        expressions: (
            converted.iter().map(|converted| converted.expressions_parsed).sum(),
            export.counted.expressions,
        ),
        direct: of(|source| matches!(source, FlowSource::Direct(_))),
        constant: of(|source| matches!(source, FlowSource::Constant(_))),
        distinct_expressions: distinct.len(),
        scope_clauses: converted.iter().flat_map(|it| it.rule.scope.iter().flatten()).count(),
        join_clauses: converted.iter().flat_map(|it| it.rule.join.iter().flatten()).count(),
        disabled: converted.iter().filter(|converted| !converted.enabled).count(),
        disabled_by_import: converted.iter().filter(|it| it.disabled_by_import).count(),
        not_delivered: told(Topic::NotDelivered),
        unlisted: told(Topic::Unlisted),
    }
}

/// A constant in the type of its attribute. Without a schema, truth values are taken for such.
pub fn constant(text: &str, kind: Option<Type>, schema: bool) -> serde_json::Value {
    match kind {
        Some(Type::Integer) => match text.trim().parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => text.into(),
        },
        Some(Type::Other) => text.into(),
        None if schema => text.into(),
        Some(Type::Boolean) | None => match boolean(text) {
            Some(flag) => flag.into(),
            None => text.into(),
        },
    }
}

// === impl Topic ===

impl Topic {
    /// Stable, for programs that read findings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Unsettled => "unsettled",
            Self::NotDelivered => "not-delivered",
            Self::Unlisted => "unlisted",
            Self::Note => "note",
        }
    }
}

// === impl Counts ===

impl fmt::Display for Counts {
    /// One line with the numbers that decide.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rules, flows, expressions, disabled, .. } = self;
        write!(f, "rules {}/{}, flows {}/{}", rules.0, rules.1, flows.0, flows.1)?;
        write!(f, ", expressions {}/{}, disabled {disabled}", expressions.0, expressions.1)
    }
}

// === impl Finding ===

impl Finding {
    pub fn of(rule: &Rule, topic: Topic, reason: impl Into<String>) -> Self {
        Self { topic, place: format!("rule `{}`", rule.name), ..Self::note("", reason) }
    }

    pub fn note(place: &str, reason: impl Into<String>) -> Self {
        Self {
            topic: Topic::Note,
            place: place.to_owned(),
            expression: None,
            reason: reason.into(),
            suggestion: String::new(),
        }
    }

    #[must_use]
    pub fn expression(mut self, text: &str) -> Self {
        self.expression = Some(text.to_owned());
        self
    }

    #[must_use]
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = suggestion.into();
        self
    }
}
