//! Is the answer the expected one? A case and an outcome flow in, every difference flows out.

use std::collections::BTreeMap;

use kakehi_engine::flow::{Contribution, RuleOutcome};
use kakehi_engine::object::AttributeName;
use kakehi_engine::rule::{Contract, Rule};

use super::show::{self, Answer};
use super::{Case, Expectation};
use crate::config::nearest::nearest;

/// Longest shown part of a value: enough to see what it is.
const SHOWN_CHARS_MAX: usize = 200;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// An attribute, or `verdict`, `fail`, `in` ...
    pub what: String,
    /// In the form of a test case; empty where the case itself is at fault.
    pub expected: String,
    pub got: String,
}

// === impl Difference ===

impl Difference {
    pub fn new(what: impl Into<String>, expected: &str, got: &str) -> Self {
        Self { what: what.into(), expected: cut(expected), got: cut(got) }
    }

    fn of_case(what: &str, why: String) -> Self {
        Self { what: what.to_owned(), expected: String::new(), got: why }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.expected.is_empty() {
            true => write!(f, "`{}` {}", self.what, self.got),
            false => write!(f, "`{}`: expected {}, got {}", self.what, self.expected, self.got),
        }
    }
}

/// What of a case the rule can never see or answer, so that the case would show nothing.
pub fn unfit(case: &Case, contract: &Contract) -> Vec<Difference> {
    let mut found = vec![];
    let mut foreign = |part: &str, why: &str, name: &str, known: &mut dyn Iterator<Item = &str>| {
        let known: Vec<&str> = known.collect();
        if !known.contains(&name) {
            let nearest = nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
            let why =
                format!("names `{name}`, which the rule {why}{}", nearest.unwrap_or_default());
            found.push(Difference::of_case(part, why));
        }
    };
    let name = AttributeName::as_str;
    for attribute in case.attributes.keys() {
        foreign("in", "does not read", name(attribute), &mut contract.reads.iter().map(name));
    }
    for attribute in case.imported.keys() {
        let known = &mut contract.reads_imported.iter().map(name);
        foreign("imported", "does not read", name(attribute), known);
    }
    for parameter in case.parameters.keys() {
        let known = &mut contract.parameters.iter().map(String::as_str);
        foreign("parameters", "does not read", parameter, known);
    }
    if let Expectation::Flows { flows, .. } = &case.expectation {
        for attribute in flows.keys() {
            foreign(
                "out",
                "does not write",
                name(attribute),
                &mut contract.writes.keys().map(name),
            );
        }
    }
    if case.now.is_some() && !contract.volatile {
        let why = "is given, but the rule does not ask for the instant".to_owned();
        found.push(Difference::of_case("now", why));
    }
    found
}

/// Every difference between what a case expects and what the rule answered.
pub fn judge(case: &Case, outcome: &RuleOutcome, rule: &Rule) -> Vec<Difference> {
    let answer = match show::answer(outcome, rule) {
        Answer::Given(answer) => answer,
        Answer::Broken(why) => {
            return vec![Difference::new("verdict", &verdict(&case.expectation), &why)];
        }
    };
    match (&case.expectation, &answer) {
        (Expectation::Flows { flows, partial }, Expectation::Flows { flows: got, .. }) => {
            let named = |attribute: &&AttributeName| !partial || flows.contains_key(*attribute);
            let mut attributes: Vec<_> = flows.keys().chain(got.keys()).filter(named).collect();
            attributes.sort();
            attributes.dedup();
            let differs = |name: &AttributeName| {
                let of = |flows: &BTreeMap<AttributeName, Contribution>| {
                    flows.get(name).cloned().unwrap_or(Contribution::None)
                };
                let (expected, got) = (of(flows), of(got));
                (expected != got).then(|| {
                    let shown = show::contribution;
                    Difference::new(name.as_str(), &shown(&expected), &shown(&got))
                })
            };
            attributes.into_iter().filter_map(differs).collect()
        }
        (expected, got) if expected == got => vec![],
        (expected, got) => vec![Difference::new("verdict", &verdict(expected), &verdict(got))],
    }
}

/// `skip: "computer account"`.
fn verdict(expectation: &Expectation) -> String {
    let (key, value) = show::expectation(expectation);
    format!("{key}: {value}")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
