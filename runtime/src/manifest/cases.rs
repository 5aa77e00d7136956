//! Rule tests as data (rules.md 10.2): `tests` of a rule and the files that it names flow in; typed
//! cases flow out, and what a rule makes of them.

pub(crate) mod instant;
mod judge;
mod read;
mod run;
mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kakehi_engine::flow::{Contribution, RuleInput};
use kakehi_engine::object::{AttributeMap, AttributeName};
use kakehi_engine::rule::{Contract, Rule};
use kakehi_engine::time::Timestamp;
use kakehi_host::LoadedModule;

pub use self::judge::{Difference, judge, unfit};
pub(super) use self::read::of;
pub use self::run::{CaseResult, Runner, remembers, run};
pub use self::show::{
    Answer, Form, answer, contribution, expectation, given, key, quoted, written,
};
use super::codes::CASE_FAILED;
use super::rule::{Origin, RuleDraft};
use crate::config::finding::Findings;

/// An object as a rule sees it, and what the rule must answer.
#[derive(Clone, Debug)]
pub struct Case {
    /// As it was called, else `case 3`, counted over all cases of the rule.
    pub name: String,
    pub origin: Origin,
    /// Whether it stands in a file of cases, which may be rewritten; else beside its rule.
    pub filed: bool,
    pub class: String,
    pub attributes: AttributeMap,
    pub imported: AttributeMap,
    pub parameters: BTreeMap<String, String>,
    pub now: Option<Timestamp>,
    pub expectation: Expectation,
}

/// What a rule must answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    Flows {
        flows: BTreeMap<AttributeName, Contribution>,
        /// Writes that are not named may be anything; else they must be none.
        partial: bool,
    },
    Skip(String),
    Fail {
        attribute: Option<AttributeName>,
        message: String,
    },
}

// === impl Case ===

impl Case {
    /// What the rule is shown: nothing beyond its contract (G-06).
    pub fn input(&self, contract: &Contract) -> RuleInput<'_> {
        let select = |attributes: &BTreeSet<AttributeName>, all| -> Vec<_> {
            let shown = |(name, _): &(&AttributeName, _)| attributes.contains(*name);
            AttributeMap::iter(all)
                .filter(shown)
                .map(|(name, values)| (name, values.into()))
                .collect()
        };
        let known = |(name, _): &(&String, _)| contract.parameters.contains(*name);
        let parameters = self.parameters.iter().filter(known);
        RuleInput {
            class: &self.class,
            attributes: select(&contract.reads, &self.attributes),
            imported: select(&contract.reads_imported, &self.imported),
            parameters: parameters.map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }
}

/// Runs the cases of a rule that is being loaded, and notes those that fail (rules.md 5.2, step 9).
pub(super) fn check(
    draft: &RuleDraft,
    rule: &Rule,
    module: &Arc<LoadedModule>,
    findings: &mut Findings,
) {
    for (case, result) in draft.cases.iter().zip(run(&draft.cases, rule, module)) {
        if result.passed() {
            continue;
        }
        let hint = format!("`kakehi rules test '{}' --case '{}'` shows it", draft.name, case.name);
        findings
            .error(CASE_FAILED, format_args!("its test failed: {}", result.in_short()))
            .at(case.origin.mark)
            .file(&case.origin.file)
            .what(format!("rule `{}`, case `{}`", draft.name, case.name))
            .hint(hint);
    }
}
