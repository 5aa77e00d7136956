//! From `tests` as typed, and the files they name, to cases, noting every fault.

use std::path::Path;

use kakehi_engine::flow::Contribution;
use kakehi_engine::object::{AttributeMap, AttributeName};

use super::{Case, Expectation, instant};
use crate::config::finding::Findings;
use crate::config::yaml::{self, At, Entries, Mark, Node, Shape};
use crate::manifest::codes::{FLAWS, TEST_FORM};
use crate::manifest::files::Files;
use crate::manifest::raw::{FailRaw, GivenRaw, RuleRaw, TestRaw};
use crate::manifest::rule::{Origin, Spot};

/// Cases of one rule: they run at every load.
const CASES_MAX: usize = 2_000;

/// The cases of a rule of `file`, in order: those of a file stand where it is named.
pub(in crate::manifest) fn of(
    rule: &RuleRaw,
    file: &Path,
    files: &mut Files,
    findings: &mut Findings,
) -> Vec<Case> {
    let class = rule.from.value.as_str();
    let mut reader = Reader { rule: &rule.name.value, class, findings, cases: vec![] };
    for test in &rule.tests {
        match &test.value.file {
            Some(name) => reader.file(file, name, test, files),
            None => reader.case(file, false, test),
        }
    }
    let Reader { cases, .. } = reader;
    if cases.len() > CASES_MAX {
        let message = format_args!("the rule has more than {CASES_MAX} test cases");
        Spot { file, name: &rule.name.value, enabled: rule.enabled }
            .error(findings, TEST_FORM, message, rule.name.mark)
            .hint("they run at every load: keep those that show something of their own");
    }
    cases
}

struct Reader<'a> {
    rule: &'a str,
    class: &'a str,
    findings: &'a mut Findings,
    cases: Vec<Case>,
}

// === impl Reader ===

impl Reader<'_> {
    fn file(&mut self, naming: &Path, name: &At<String>, test: &At<TestRaw>, files: &mut Files) {
        if !stands_alone(&test.value) {
            self.fault(naming, test.mark, "`file` does not stand alone", FORM_HINT);
            return;
        }
        let path = naming.parent().unwrap_or(Path::new("")).join(&name.value);
        let text = match files.text(&path) {
            Ok(text) => text,
            Err(why) => {
                let message = format!("cannot read the test cases `{}`: {why}", name.value);
                Spot { file: naming, name: self.rule, enabled: true }
                    .error(self.findings, FLAWS.unreadable, message, name.mark)
                    .hint(
                        "the path is relative to the file that names it, and stays inside the \
                         manifest's folder",
                    );
                return;
            }
        };
        let node = match yaml::parse(&text) {
            Ok(node) => node,
            Err(error) => {
                let mark = error.mark.unwrap_or(Mark::START);
                let message = format!("no valid YAML: {error}");
                Spot { file: &path, name: self.rule, enabled: true }.error(
                    self.findings,
                    FLAWS.syntax,
                    message,
                    mark,
                );
                return;
            }
        };
        self.list(&path, node);
    }

    fn list(&mut self, path: &Path, mut node: Node) {
        let empty = match &node.shape {
            Shape::List(items) => items.is_empty(),
            Shape::Map(entries) => entries.is_empty(),
            _ => false,
        };
        if empty {
            let hint = "write a list: `- {in: {...}, out: {...}}`";
            return self.fault(path, Mark::START, "the file has no test case", hint);
        }
        if !matches!(node.shape, Shape::List(_)) {
            let hint = "write `- {in: {...}, out: {...}}`, without a key above the cases";
            return self.fault(path, node.mark, "the file is no list of test cases", hint);
        }
        let (tests, flaws) = yaml::decode::<Vec<At<TestRaw>>>(&mut node);
        for flaw in flaws {
            let what = Some(format!("rule `{}`", self.rule));
            self.findings.flaw(flaw, FLAWS, what).file(path);
        }
        for test in tests.iter().flatten() {
            match &test.value.file {
                Some(file) => {
                    let hint = "name every file under `tests` of the rule";
                    self.fault(path, file.mark, "a file of test cases names another", hint);
                }
                None => self.case(path, true, test),
            }
        }
    }

    fn case(&mut self, file: &Path, filed: bool, test: &At<TestRaw>) {
        let TestRaw { name, class, r#in, imported, parameters, now, .. } = &test.value;
        let (Some(given), Some(expectation)) = (r#in, expectation(&test.value)) else {
            let message = "a test case is incomplete or contradictory";
            return self.fault(file, test.mark, message, FORM_HINT);
        };
        let instant = now.as_ref().and_then(|now| instant::parse(&now.value));
        if let (Some(now), None) = (now, instant) {
            let message = format!("`now` is no instant in UTC: `{}`", now.value);
            self.fault(file, now.mark, &message, "write it as `2026-04-01T00:00:00Z`");
        }
        let number = self.cases.len() + 1;
        self.cases.push(Case {
            name: name.clone().unwrap_or_else(|| format!("case {number}")),
            origin: Origin { file: file.to_owned(), mark: test.mark },
            filed,
            class: class.as_deref().unwrap_or(self.class).to_owned(),
            attributes: attributes(given),
            imported: attributes(imported),
            parameters: parameters
                .0
                .iter()
                .map(|(name, value)| (name.value.clone(), value.0.clone()))
                .collect(),
            now: instant,
            expectation,
        });
    }

    fn fault(&mut self, file: &Path, mark: Mark, message: &str, hint: &str) {
        Spot { file, name: self.rule, enabled: true }
            .error(self.findings, TEST_FORM, message, mark)
            .hint(hint);
    }
}

const FORM_HINT: &str = "write `in` and one of `out`, `skip` and `fail`; or `file` alone";

/// Whether nothing but `file` is there.
fn stands_alone(test: &TestRaw) -> bool {
    let TestRaw { name, file: _, class, r#in, imported, parameters, now, .. } = test;
    let TestRaw { out, partial, skip, fail, .. } = test;
    let texts = name.is_none() && class.is_none() && skip.is_none() && now.is_none();
    let given = r#in.is_some() || !imported.0.is_empty() || !parameters.0.is_empty();
    texts && !given && out.is_none() && fail.is_none() && !partial
}

/// `None` unless there is exactly one.
fn expectation(test: &TestRaw) -> Option<Expectation> {
    let TestRaw { out, skip, fail, partial, .. } = test;
    match (out, skip, fail) {
        (Some(out), None, None) => {
            let flows = out.0.iter();
            let flow = |(name, expected): &(At<String>, _)| (named(name), contribution(expected));
            Some(Expectation::Flows { flows: flows.map(flow).collect(), partial: *partial })
        }
        (None, Some(reason), None) if !partial => Some(Expectation::Skip(reason.clone())),
        (None, None, Some(FailRaw { attribute, message })) if !partial => Some(Expectation::Fail {
            attribute: attribute.as_deref().map(AttributeName::from),
            message: message.clone(),
        }),
        _ => None,
    }
}

fn contribution(expected: &crate::manifest::raw::ExpectedRaw) -> Contribution {
    expected.0.clone()
}

fn named(name: &At<String>) -> AttributeName {
    name.value.as_str().into()
}

/// Without those that have no value.
fn attributes(given: &Entries<GivenRaw>) -> AttributeMap {
    let with_values = given.0.iter().filter(|(_, values)| !values.0.is_empty());
    with_values.map(|(name, values)| (named(name), values.0.clone())).collect()
}
