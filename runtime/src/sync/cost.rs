//! What rules cost while a run asks them (G-20): questions flow through to the modules, times and
//! traps flow into the report.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kakehi_engine::flow::{RuleInput, RuleOutcome, Rules};
use kakehi_engine::rule::{Rule, RuleId, RuleTag};

/// What one rule cost in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleCost {
    /// Objects that its module was asked about.
    pub asked: u64,
    /// While the run waited for its answers.
    pub wall: Duration,
    pub traps: u64,
    /// What the first of them was.
    pub first_trap: Option<String>,
}

pub(crate) type RuleCosts = BTreeMap<RuleTag, RuleCost>;

/// Passes questions on and notes what they cost.
pub(crate) struct Costed<'a> {
    rules: &'a dyn Rules,
    costs: RefCell<RuleCosts>,
}

// === impl Costed ===

impl<'a> Costed<'a> {
    pub fn new(rules: &'a dyn Rules) -> Self {
        Self { rules, costs: RefCell::default() }
    }

    pub fn into_costs(self) -> RuleCosts {
        self.costs.into_inner()
    }
}

impl Rules for Costed<'_> {
    fn apply(&self, id: RuleId, rule: &Rule, inputs: &[RuleInput<'_>]) -> Vec<RuleOutcome> {
        let begun = Instant::now();
        let outcomes = self.rules.apply(id, rule, inputs);
        let wall = begun.elapsed();
        let mut costs = self.costs.borrow_mut();
        let cost = costs.entry(rule.tag.clone()).or_default();
        cost.asked += inputs.len() as u64;
        cost.wall += wall;
        for outcome in &outcomes {
            if let RuleOutcome::Trapped { trap, message } = outcome {
                cost.traps += 1;
                cost.first_trap.get_or_insert_with(|| format!("{}: {message}", trap.as_str()));
            }
        }
        outcomes
    }
}

impl RuleCost {
    pub(crate) fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.wall += other.wall;
        self.traps += other.traps;
        self.first_trap = self.first_trap.take().or(other.first_trap);
    }
}
