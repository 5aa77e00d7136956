//! Real entries before a rule: what the store knows of an object flows in; what the rule is shown
//! of it and answers flows out, in the form of a test case.
//!
//! What the rule is shown is not built here: the engine asks as it would in a run, and is
//! overheard.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::flow::{RuleInput, RuleOutcome, Rules};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{AttributeMap, AttributeName, ClassName, ConnectorName, ReferenceKey};
use kakehi_engine::rule::{ConnectorKind, Direction, Rule, RuleId, RuleSet};
use kakehi_engine::synchronize;
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::{IndexKey, LinkedObject, Resolved, View};
use kakehi_host::Measured;
use serde_json::{Value as Json, json};

use super::Notebook;
use super::test::{cost, in_words, measured_json};
use crate::manifest::cases::{Answer, answer, given, quoted};
use crate::manifest::generation::alone::Ready;
use crate::store::{Explained, Store, StoreError};

/// What a rule was shown of one object, and what it answered.
#[derive(Debug)]
pub struct Seen {
    /// `CN=...` or an anchor, and the connector.
    pub object: String,
    pub connector: String,
    /// Nothing where the object is not in the rule's scope.
    pub verdict: Option<Verdict>,
}

#[derive(Debug)]
pub struct Verdict {
    input: Input,
    now: Option<Timestamp>,
    pub answer: Answer,
    measured: Measured,
    log: Vec<(&'static str, String)>,
}

/// A [`RuleInput`] that outlives the call.
#[derive(Clone, Debug, Default)]
struct Input {
    class: String,
    attributes: AttributeMap,
    imported: AttributeMap,
    parameters: BTreeMap<String, String>,
}

/// Shows real objects to a rule.
///
/// Takes: what the store found for a key, the rules in force, and the rule with its module loaded
/// to be asked. Gives: one entry for each object that the rule could be about, in order.
pub fn see(
    store: &dyn Store,
    found: &[Explained],
    rules: &RuleSet,
    ready: &Ready,
    now: Timestamp,
    notebook: &Notebook,
) -> Result<Vec<Seen>, StoreError> {
    let mut seen = vec![];
    for explained in found {
        for (object, connector, asked) in overheard(store, explained, rules, &ready.rule)? {
            let rule = rules
                .rules
                .iter()
                .find(|rule| rule.name == ready.rule.name && rule.connector.as_str() == connector);
            let verdict = match (asked, rule) {
                (Some(input), Some(rule)) => Some(ask(input, rule, ready, now, notebook)),
                _ => None,
            };
            seen.push(Seen { object, connector, verdict });
        }
    }
    Ok(seen)
}

fn ask(input: Input, rule: &Rule, ready: &Ready, now: Timestamp, notebook: &Notebook) -> Verdict {
    let mut trial = ready.module.trial(rule);
    notebook.take();
    let measured = trial.ask(rule, &input.as_shown(), Some(now));
    let log = notebook.take();
    let answer = answer(&measured.outcome, rule);
    let now = rule.contract.volatile.then_some(now);
    Verdict { input, now, answer, measured, log }
}

type Overheard = (String, String, Option<Input>);

/// What the engine asks the rule about an object and its person.
fn overheard(
    store: &dyn Store,
    explained: &Explained,
    rules: &RuleSet,
    wanted: &Rule,
) -> Result<Vec<Overheard>, StoreError> {
    let view = store.view()?;
    let forgetful = Forgetful(&*view);
    let recorder = Recorder { name: &wanted.name, heard: RefCell::default() };
    let mut all = vec![];
    match wanted.direction {
        Direction::Inbound => {
            for object in explained.objects.iter().filter(|object| is_source(object, rules)) {
                // What the rule is asked does not depend on the instant.
                let now = Timestamp::default();
                synchronize::inbound(&forgetful, &[object.id], rules, &recorder, now);
                let heard = recorder.heard.take();
                let connector = object.connector.as_str();
                let on =
                    |rule: &&Rule| rule.name == wanted.name && rule.connector == object.connector;
                if rules.rules.iter().any(|rule| on(&rule)) {
                    all.push((label(object), connector.to_owned(), last(heard, connector)));
                }
            }
        }
        Direction::Outbound => {
            if let Some(mv) = &explained.mv {
                synchronize::outbound(&forgetful, &[mv.id], rules, &recorder);
                let heard = recorder.heard.take();
                for rule in rules.rules.iter().filter(|rule| rule.name == wanted.name) {
                    let connector = rule.connector.as_str();
                    let object = format!("metaverse {} {}", mv.class, mv.id.0);
                    all.push((object, connector.to_owned(), last(heard.clone(), connector)));
                }
            }
        }
    }
    view.check()?;
    Ok(all)
}

fn last(heard: Vec<(String, Input)>, connector: &str) -> Option<Input> {
    heard.into_iter().rev().find(|(asked, _)| asked == connector).map(|(_, input)| input)
}

fn is_source(object: &CsObject, rules: &RuleSet) -> bool {
    let connector = rules.connector(&object.connector);
    connector.is_some_and(|connector| connector.kind == ConnectorKind::Source)
}

fn label(object: &CsObject) -> String {
    let anchor = || object.anchor.as_ref().map(ToString::to_string).unwrap_or_default();
    if object.dn.is_empty() { anchor() } else { object.dn.clone() }
}

/// Listens to what the engine asks of one rule, and answers nothing of use: its outcome is dropped.
struct Recorder<'a> {
    name: &'a str,
    heard: RefCell<Vec<(String, Input)>>,
}

impl Rules for Recorder<'_> {
    fn apply(&self, _: RuleId, rule: &Rule, inputs: &[RuleInput<'_>]) -> Vec<RuleOutcome> {
        if rule.name == self.name {
            let connector = rule.connector.as_str();
            let heard = inputs.iter().map(|input| (connector.to_owned(), Input::of(input)));
            self.heard.borrow_mut().extend(heard);
        }
        inputs.iter().map(|_| RuleOutcome::Skip("only looked at".into())).collect()
    }
}

/// A view in which no rule has answered yet, so that each is asked.
struct Forgetful<'a>(&'a dyn View);

impl View for Forgetful<'_> {
    fn cs_objects(&self, ids: &[CsId]) -> Vec<CsObject> {
        let mut objects = self.0.cs_objects(ids);
        objects.iter_mut().for_each(|object| object.contributions.clear());
        objects
    }

    fn mv_objects(&self, ids: &[MvId]) -> Vec<MvObject> {
        self.0.mv_objects(ids)
    }

    fn linked(&self, ids: &[MvId]) -> BTreeMap<MvId, Vec<LinkedObject>> {
        self.0.linked(ids)
    }

    fn join_candidates(&self, key: &IndexKey) -> Vec<MvId> {
        self.0.join_candidates(key)
    }

    fn waiting(&self, key: &IndexKey) -> Vec<CsId> {
        self.0.waiting(key)
    }

    fn unlinked_targets(&self, connector: &ConnectorName, key: &IndexKey) -> Vec<CsId> {
        self.0.unlinked_targets(connector, key)
    }

    fn resolve(&self, keys: &[ReferenceKey]) -> Vec<Option<Resolved>> {
        self.0.resolve(keys)
    }

    fn targets_of(&self, ids: &[MvId], connector: &ConnectorName) -> Vec<Option<CsId>> {
        self.0.targets_of(ids, connector)
    }

    fn not_persisted(&self, connector: &ConnectorName) -> BTreeSet<(ClassName, AttributeName)> {
        self.0.not_persisted(connector)
    }

    fn next_ids(&self) -> (CsId, MvId) {
        self.0.next_ids()
    }
}

// === impl Input ===

impl Input {
    fn of(input: &RuleInput<'_>) -> Self {
        let owned = |attributes: &[(&AttributeName, Cow<'_, [_]>)]| -> AttributeMap {
            attributes.iter().map(|(name, values)| ((*name).clone(), values.to_vec())).collect()
        };
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            class: input.class.to_owned(),
            attributes: owned(&input.attributes),
            imported: owned(&input.imported),
            parameters: input.parameters.iter().map(text).collect(),
        }
    }

    fn as_shown(&self) -> RuleInput<'_> {
        let parameters = self.parameters.iter();
        RuleInput {
            class: &self.class,
            attributes: self.attributes.iter().map(|(name, v)| (name, v.into())).collect(),
            imported: self.imported.iter().map(|(name, v)| (name, v.into())).collect(),
            parameters: parameters.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }
}

// === impl Seen ===

impl Seen {
    /// A test case that can be kept, with what it cost as comments.
    pub fn print(&self, rule: &str, out: &mut dyn Write) -> io::Result<()> {
        let Self { object, connector, .. } = self;
        let Some(Verdict { input, now, answer, measured, log }) = &self.verdict else {
            return writeln!(out, "# {object} on {connector}: not in the scope of `{rule}`");
        };
        writeln!(out, "# {connector}: {}", cost(measured).trim_start())?;
        for (level, text) in log {
            writeln!(out, "# log {level}: {text}")?;
        }
        writeln!(out, "- name: {}", quoted(object))?;
        writeln!(out, "  class: {}", quoted(&input.class))?;
        for (key, attributes) in [("in", &input.attributes), ("imported", &input.imported)] {
            if !attributes.is_empty() || key == "in" {
                let shown = attributes.iter().map(|(name, values)| given(name, values));
                writeln!(out, "  {key}: {{{}}}", shown.collect::<Vec<_>>().join(", "))?;
            }
        }
        if !input.parameters.is_empty() {
            let shown = input.parameters.iter();
            let shown = shown.map(|(name, value)| format!("{}: {}", quoted(name), quoted(value)));
            writeln!(out, "  parameters: {{{}}}", shown.collect::<Vec<_>>().join(", "))?;
        }
        if let Some(now) = now {
            writeln!(out, "  now: {}", now.rfc3339())?;
        }
        match answer {
            Answer::Given(_) => writeln!(out, "  {}", in_words(answer)),
            Answer::Broken(why) => writeln!(out, "  # {why}"),
        }
    }

    pub fn to_json(&self) -> Json {
        let mut body = json!({"object": self.object, "connector": self.connector});
        let Some(verdict) = &self.verdict else {
            body["in_scope"] = json!(false);
            return body;
        };
        let shown = |attributes: &AttributeMap| -> Vec<String> {
            attributes.iter().map(|(name, values)| given(name, values)).collect()
        };
        let log = verdict.log.iter().map(|(level, text)| json!({"level": level, "text": text}));
        body["in_scope"] = json!(true);
        body["class"] = json!(verdict.input.class);
        body["in"] = json!(shown(&verdict.input.attributes));
        body["imported"] = json!(shown(&verdict.input.imported));
        body["parameters"] = json!(verdict.input.parameters);
        body["answer"] = json!(in_words(&verdict.answer));
        body["cost"] = measured_json(&verdict.measured);
        body["log"] = log.collect();
        body
    }
}
