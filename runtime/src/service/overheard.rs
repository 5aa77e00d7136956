//! One object's way through the rules, overheard: the engine asks as it would in a run, its outcome
//! is laid over the state that was read, and what each rule said is remembered. Nothing is written.

use std::cell::RefCell;
use std::collections::BTreeMap;

use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::flow::{Flow, Kept, RuleContribution, RuleInput, RuleOutcome, Rules};
use kakehi_engine::object::AttributeMap;
use kakehi_engine::overlay::Overlay;
use kakehi_engine::preview::{self, ScopeTest};
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::{Rule, RuleId, RuleSet, RuleTag};
use kakehi_engine::synchronize;
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::{Outcome, View};
use serde_json::{Value as Json, json};

use crate::report::words;

/// What a rule said of one object.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Flows(Vec<Flow>),
    Skipped(String),
    Failed(String),
}

pub type AllSaid = BTreeMap<RuleTag, Said>;

/// Rules with what answers for them, at one instant.
#[derive(Clone, Copy)]
pub struct InForce<'a> {
    pub rules: &'a RuleSet,
    pub modules: &'a dyn Rules,
    pub now: Timestamp,
}

/// The rules of a set before objects, one object at a time.
pub struct Session<'a> {
    pub overlay: Overlay<'a>,
    pub rules: &'a RuleSet,
    in_force: InForce<'a>,
}

// === impl Session ===

impl<'a> Session<'a> {
    pub fn new(view: &'a dyn View, in_force: InForce<'a>) -> Self {
        Self { overlay: Overlay::new(view), rules: in_force.rules, in_force }
    }

    /// Evaluates a source object. Gives what its rules said, those that were not asked again
    /// included.
    pub fn inbound(&mut self, id: CsId) -> (AllSaid, Outcome) {
        let mut kept = vec![];
        for object in self.overlay.cs_objects(&[id]) {
            kept = object.contributions;
        }
        let recorder = Recorder { inner: self.in_force.modules, heard: RefCell::default() };
        let now = self.in_force.now;
        let outcome = synchronize::inbound(&self.overlay, &[id], self.rules, &recorder, now);
        self.overlay.apply(&outcome);
        (said(&kept, recorder.heard.take()), outcome)
    }

    /// Evaluates a metaverse object for every target.
    pub fn outbound(&mut self, id: MvId) -> (AllSaid, Outcome) {
        let mut kept = vec![];
        for target in self.rules.targets() {
            let ids = self.overlay.targets_of(&[id], &target.name);
            let ids: Vec<CsId> = ids.into_iter().flatten().collect();
            for object in self.overlay.cs_objects(&ids) {
                kept.extend(object.contributions);
            }
        }
        let recorder = Recorder { inner: self.in_force.modules, heard: RefCell::default() };
        let outcome = synchronize::outbound(&self.overlay, &[id], self.rules, &recorder);
        self.overlay.apply(&outcome);
        (said(&kept, recorder.heard.take()), outcome)
    }
}

/// What is kept of earlier answers, overruled by what was heard now.
fn said(kept: &[RuleContribution], heard: AllSaid) -> AllSaid {
    let mut all = kept_said(kept);
    all.extend(heard);
    all
}

/// What is kept of a rule's answers.
pub fn kept_said(kept: &[RuleContribution]) -> AllSaid {
    let said = |contribution: &RuleContribution| {
        let said = match &contribution.outcome {
            Kept::Flows(flows) => Said::Flows(flows.clone()),
            Kept::Skipped(why) => Said::Skipped(why.clone()),
            // What is still to be taken back is no answer.
            Kept::Withdrawn(_) => return None,
        };
        Some((contribution.rule.clone(), said))
    };
    kept.iter().filter_map(said).collect()
}

/// Adds that rules failed, as their problems tell.
pub fn add_failures(said: &mut AllSaid, problems: &[Problem]) {
    for problem in problems {
        if let Some(rule) = &problem.rule {
            let why = format!("{}: {}", problem.kind, words::visible(&problem.message));
            said.insert(rule.clone(), Said::Failed(why));
        }
    }
}

/// Passes questions on and remembers the answers.
struct Recorder<'a> {
    inner: &'a dyn Rules,
    heard: RefCell<AllSaid>,
}

impl Rules for Recorder<'_> {
    fn apply(&self, id: RuleId, rule: &Rule, inputs: &[RuleInput<'_>]) -> Vec<RuleOutcome> {
        let outcomes = self.inner.apply(id, rule, inputs);
        for outcome in &outcomes {
            let said = match outcome {
                RuleOutcome::Flows(flows) => Said::Flows(flows.clone()),
                RuleOutcome::Skip(why) => Said::Skipped(why.clone()),
                RuleOutcome::Fail { attribute: Some(name), message } => {
                    Said::Failed(format!("`{name}`: {message}"))
                }
                RuleOutcome::Fail { attribute: None, message } => Said::Failed(message.clone()),
                RuleOutcome::Trapped { trap, message } => {
                    Said::Failed(format!("{}: {message}", trap.as_str()))
                }
                RuleOutcome::BadContribution { attribute, message } => {
                    Said::Failed(format!("`{attribute}`: {message}"))
                }
            };
            self.heard.borrow_mut().insert(rule.tag.clone(), said);
        }
        outcomes
    }
}

/// Where a rule stands to one object.
pub struct Verdict<'a> {
    pub rule: &'a Rule,
    pub scope: ScopeTest,
    pub state: State,
    /// Why it does not apply; empty where it does.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Applies,
    OutOfScope,
    /// The module put the object out of the rule's scope.
    Skipped,
    Failed,
    /// No rule in scope can link the object, so none is asked.
    NotAsked,
    /// It was not asked, or what it said is not kept: the object is not linked.
    Idle,
}

/// Holds rules against an object, in their order.
///
/// Takes: the rules of the object's type; what the object shows them; what is known of their
/// answers.
pub fn verdicts<'a>(
    rules: impl Iterator<Item = &'a Rule>,
    attributes: &AttributeMap,
    said: &AllSaid,
) -> Vec<Verdict<'a>> {
    let tested: Vec<(&Rule, ScopeTest)> =
        rules.map(|rule| (rule, preview::scope(&rule.scope, attributes))).collect();
    let linking = tested.iter().any(|(rule, test)| test.holds && preview::can_link(rule));
    let verdict = |(rule, scope): (&'a Rule, ScopeTest)| {
        let (state, reason) = match said.get(&rule.tag) {
            _ if !scope.holds => (State::OutOfScope, words::why_out(&scope)),
            _ if !linking => {
                (State::NotAsked, "no rule that joins or provisions is in scope".to_owned())
            }
            Some(Said::Flows(_)) => (State::Applies, String::new()),
            Some(Said::Skipped(why)) => (State::Skipped, words::visible(why).into_owned()),
            Some(Said::Failed(why)) => (State::Failed, words::visible(why).into_owned()),
            None => (State::Idle, "it contributes once the object is linked".to_owned()),
        };
        Verdict { rule, scope, state, reason }
    };
    tested.into_iter().map(verdict).collect()
}

// === impl Verdict ===

impl Verdict<'_> {
    pub fn to_json(&self) -> Json {
        let mut body = json!({
            "rule": self.rule.tag.to_string(),
            "name": self.rule.name,
            "precedence": self.rule.precedence,
            "link": words::link_type(self.rule.link),
            "type": self.rule.cs_class.as_str(),
            "in_scope": self.state == State::Applies,
            "state": self.state.as_str(),
            "known": true,
            "scope": words::scope_json(&self.scope),
        });
        if !self.reason.is_empty() {
            body["reason"] = json!(self.reason);
        }
        body
    }
}

// === impl State ===

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applies => "applies",
            Self::OutOfScope => "out of scope",
            Self::Skipped => "skipped by its module",
            Self::Failed => "failed",
            Self::NotAsked => "not asked",
            Self::Idle => "idle",
        }
    }
}
