//! Runs cases: each in a fresh instance and in one that has seen the others, which must agree
//! (G-05, G-14).

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use kakehi_engine::flow::{RuleInput, RuleOutcome, Rules as _};
use kakehi_engine::rule::{Rule, RuleId};
use kakehi_engine::time::Timestamp;
use kakehi_host::{Generation, LoadedModule};

use super::Case;
use super::judge::{Difference, judge, unfit};
use super::show::{self, Answer};

/// So many differences stand in one line; `kakehi rules test` shows all.
const IN_SHORT_MAX: usize = 3;

/// What became of one case; without differences it passed.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseResult {
    pub outcome: RuleOutcome,
    pub differences: Vec<Difference>,
}

// === impl CaseResult ===

impl CaseResult {
    /// Takes the answers of a fresh instance and of a used one.
    pub fn new(case: &Case, rule: &Rule, fresh: RuleOutcome, used: &RuleOutcome) -> Self {
        let mut differences = unfit(case, &rule.contract);
        differences.extend(judge(case, &fresh, rule));
        if fresh != *used {
            differences.push(remembers(rule, &fresh, used));
        }
        Self { outcome: fresh, differences }
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
    difference.got += " once it has seen other objects";
    difference
}

/// Runs all cases of a rule. Gives one result each, in order.
pub fn run(cases: &[Case], rule: &Rule, module: &Arc<LoadedModule>) -> Vec<CaseResult> {
    let generation = Generation::new(vec![Arc::clone(module)]);
    let ask = |now: Timestamp, inputs: &[RuleInput<'_>]| {
        generation.at(now).apply(RuleId(0), rule, inputs)
    };
    let inputs: Vec<RuleInput<'_>> = cases.iter().map(|case| case.input(&rule.contract)).collect();
    // The instant stands still within a call, so cases of one instant make one.
    let mut by_instant = BTreeMap::<Timestamp, Vec<usize>>::new();
    for (index, case) in cases.iter().enumerate() {
        by_instant.entry(case.at()).or_default().push(index);
    }
    let mut results: Vec<Option<CaseResult>> = cases.iter().map(|_| None).collect();
    for (now, indexes) in by_instant {
        // Twice over, so that also the first case meets an instance that has seen all others.
        let twice: Vec<RuleInput<'_>> =
            indexes.iter().chain(&indexes).map(|index| inputs[*index].clone()).collect();
        let used = ask(now, &twice);
        for (place, index) in indexes.iter().enumerate() {
            let fresh = ask(now, slice::from_ref(&inputs[*index])).pop();
            let used = used.get(indexes.len() + place);
            if let (Some(fresh), Some(used)) = (fresh, used) {
                results[*index] = Some(CaseResult::new(&cases[*index], rule, fresh, used));
            }
        }
    }
    results.into_iter().map(|result| result.expect("the host answers for every input")).collect()
}
