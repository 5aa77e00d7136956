//! Runs cases: each in a fresh instance and in one that has seen the others, which must agree
//! (G-05, G-14).

use std::sync::Arc;

use kakehi_engine::flow::RuleOutcome;
use kakehi_engine::rule::Rule;
use kakehi_host::{LoadedModule, Measured, Trial};

use super::Case;
use super::judge::{Difference, judge, unfit};
use super::show::{self, Answer};

/// So many differences stand in one line; `kakehi rules test` shows all.
const IN_SHORT_MAX: usize = 3;

/// What became of one case; without differences it passed.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// The answer of the fresh instance.
    pub measured: Measured,
    pub differences: Vec<Difference>,
    /// Another expectation would mend all of it.
    pub differs_only_in_its_answer: bool,
}

/// Two instances of a module, one of them renewed for every case.
pub struct Runner<'a> {
    rule: &'a Rule,
    fresh: Trial,
    used: Trial,
}

// === impl CaseResult ===

impl CaseResult {
    /// Takes the answers of a fresh instance and of a used one.
    pub fn new(case: &Case, rule: &Rule, fresh: Measured, used: &RuleOutcome) -> Self {
        let mut differences = unfit(case, &rule.contract);
        let fits = differences.is_empty() && fresh.outcome == *used;
        let judged = judge(case, &fresh.outcome, rule);
        let differs_only_in_its_answer = fits && !judged.is_empty();
        differences.extend(judged);
        if fresh.outcome != *used {
            differences.push(remembers(rule, &fresh.outcome, used));
        }
        Self { measured: fresh, differences, differs_only_in_its_answer }
    }

    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    pub fn in_short(&self) -> String {
        let shown = self.differences.iter().take(IN_SHORT_MAX).map(ToString::to_string);
        let mut text = shown.collect::<Vec<_>>().join("; ");
        if self.differences.len() > IN_SHORT_MAX {
            text += &format!("; and {} more", self.differences.len() - IN_SHORT_MAX);
        }
        text
    }
}

/// Two answers to one object: something is kept between objects, which no rule may rely on.
pub fn remembers(rule: &Rule, fresh: &RuleOutcome, used: &RuleOutcome) -> Difference {
    let shown = |outcome| match show::answer(outcome, rule) {
        Answer::Given(answer) => {
            let (key, value) = show::expectation(&answer);
            format!("{key}: {value}")
        }
        Answer::Broken(why) => why,
    };
    let mut difference = Difference::new("the rule remembers", &shown(fresh), &shown(used));
    difference.got += " after other objects";
    difference
}

// === impl Runner ===

impl<'a> Runner<'a> {
    pub fn new(rule: &'a Rule, module: &Arc<LoadedModule>) -> Self {
        Self { rule, fresh: module.trial(rule), used: module.trial(rule) }
    }

    /// Asks in an instance that has seen nothing, and ends it.
    pub fn fresh(&mut self, case: &Case) -> Measured {
        let measured = self.fresh.ask(self.rule, &case.input(&self.rule.contract), case.now);
        self.fresh.renew();
        measured
    }

    /// Asks in the instance that has seen whatever was asked of it before.
    pub fn used(&mut self, case: &Case) -> Measured {
        self.used.ask(self.rule, &case.input(&self.rule.contract), case.now)
    }

    /// The used instance begins anew.
    pub fn renew(&mut self) {
        self.used.renew();
    }
}

/// Runs all cases of a rule. Gives one result each, in order.
pub fn run(cases: &[Case], rule: &Rule, module: &Arc<LoadedModule>) -> Vec<CaseResult> {
    let mut runner = Runner::new(rule, module);
    // So that also the first case meets an instance that has seen all others.
    for case in cases {
        runner.used(case);
    }
    let mut result = |case: &Case| {
        let fresh = runner.fresh(case);
        let used = runner.used(case);
        CaseResult::new(case, rule, fresh, &used.outcome)
    };
    cases.iter().map(&mut result).collect()
}
