//! Rule tests: a rule with its cases flows in, what became of each flows out, with what it cost and
//! what the rule said (G-14, G-20).

use std::io::{self, Write};

use kakehi_host::Measured;
use serde_json::{Value as Json, json};

use super::{Notebook, Refusal, words};
use crate::manifest::cases::{Answer, Case, CaseResult, Difference, Runner, answer, expectation};
use crate::manifest::generation::alone::{Ready, Sheet};

/// Characters of a case's name that a line has room for.
const NAME_CHARS_MAX: usize = 40;

/// One case and what became of it.
#[derive(Debug)]
pub struct CaseReport {
    pub case: Case,
    pub result: CaseResult,
    pub answer: Answer,
    /// Level and text.
    pub log: Vec<(&'static str, String)>,
}

/// A rule whose cases ran.
#[derive(Debug)]
pub struct RuleReport {
    pub name: String,
    pub module: String,
    pub sha256: String,
    pub cases: Vec<CaseReport>,
    /// What shuffling found.
    pub remembered: Vec<Difference>,
}

/// Which cases are meant: a number counted from 1, or a name.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a>(pub Option<&'a str>);

// === impl Wanted ===

impl Wanted<'_> {
    pub fn holds(self, index: usize, case: &Case) -> bool {
        self.0.is_none_or(|wanted| wanted == case.name || wanted.parse() == Ok(index + 1))
    }

    /// No case of these rules is meant: which could have been?
    pub fn missing(self, sheets: &[&Sheet]) -> Option<Refusal> {
        let wanted = self.0?;
        let cases = || sheets.iter().flat_map(|sheet| sheet.cases().iter().enumerate());
        if cases().any(|(index, case)| self.holds(index, case)) {
            return None;
        }
        let names = cases().map(|(_, case)| case.name.as_str());
        let hint = match crate::config::nearest::nearest(wanted, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "give its number, counted from 1, or its name".into(),
        };
        let message = format!("there is no test case `{wanted}`");
        Some(Refusal { usage: true, code: "K0921", message, hint })
    }
}

/// Runs cases of a rule. `notebook`: where the host of its module writes.
pub fn run(sheet: &Sheet, ready: &Ready, wanted: Wanted<'_>, notebook: &Notebook) -> RuleReport {
    let Ready { rule, module } = ready;
    let mut runner = Runner::new(rule, module);
    // Also the case that is looked at alone meets an instance that has seen all others.
    for case in sheet.cases().iter() {
        runner.used(case);
    }
    let mut cases = vec![];
    for (index, case) in sheet.cases().iter().enumerate() {
        if !wanted.holds(index, case) {
            continue;
        }
        notebook.take();
        let fresh = runner.fresh(case);
        let log = notebook.take();
        let used = runner.used(case);
        let answer = answer(&fresh.outcome, rule);
        let result = CaseResult::new(case, rule, fresh, &used.outcome);
        cases.push(CaseReport { case: case.clone(), result, answer, log });
    }
    RuleReport {
        name: rule.name.clone(),
        module: sheet.module().to_string(),
        sha256: module.sha256.clone(),
        cases,
        remembered: vec![],
    }
}

// === impl RuleReport ===

impl RuleReport {
    pub fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.result.passed()).count()
    }

    pub fn passed(&self) -> bool {
        self.failed() == 0 && self.remembered.is_empty()
    }

    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let module = format!("{} {}", self.module, words::short(&self.sha256));
        writeln!(out, "{}  {module}", self.name)?;
        if self.cases.is_empty() {
            writeln!(out, "  no test case: write some under `tests` of the rule")?;
        }
        for report in &self.cases {
            report.print(out)?;
        }
        for difference in &self.remembered {
            writeln!(out, "  failed  {difference}")?;
        }
        Ok(())
    }

    pub fn to_json(&self) -> Json {
        json!({
            "rule": self.name,
            "module": self.module,
            "sha256": self.sha256,
            "cases": self.cases.iter().map(CaseReport::to_json).collect::<Vec<_>>(),
            "remembered": self.remembered.iter().map(difference_json).collect::<Vec<_>>(),
        })
    }
}

// === impl CaseReport ===

impl CaseReport {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let verdict = if self.result.passed() { "ok" } else { "failed" };
        let name = words::cut(&self.case.name, NAME_CHARS_MAX);
        let cost = cost(&self.result.measured);
        writeln!(out, "  {verdict:<6}  {name:<NAME_CHARS_MAX$}  {cost}")?;
        if !self.result.passed() {
            let origin = &self.case.origin;
            writeln!(out, "          at {}:{}", origin.file.display(), origin.mark)?;
        }
        for difference in &self.result.differences {
            writeln!(out, "          {difference}")?;
        }
        for (level, text) in &self.log {
            writeln!(out, "          log {level}: {text}")?;
        }
        Ok(())
    }

    fn to_json(&self) -> Json {
        let log = self.log.iter().map(|(level, text)| json!({"level": level, "text": text}));
        let mut body = measured_json(&self.result.measured);
        let differences = self.result.differences.iter().map(difference_json);
        body["name"] = json!(self.case.name);
        body["file"] = json!(self.case.origin.file);
        body["line"] = json!(self.case.origin.mark.line);
        body["ok"] = json!(self.result.passed());
        body["differences"] = differences.collect();
        body["answer"] = json!(in_words(&self.answer));
        body["log"] = log.collect();
        body
    }
}

/// An answer as it would stand in a case.
pub fn in_words(answer: &Answer) -> String {
    match answer {
        Answer::Given(given) => {
            let (key, value) = expectation(given);
            format!("{key}: {value}")
        }
        Answer::Broken(why) => why.clone(),
    }
}

/// `1,204 fuel  7.4 us  64 KiB`.
pub fn cost(measured: &Measured) -> String {
    let fuel = measured.fuel.map_or_else(|| "-".to_owned(), words::count);
    let (time, memory) = (words::time(measured.time), words::size(measured.memory_bytes));
    format!("{fuel:>11} fuel {time:>10} {memory:>9}")
}

pub fn measured_json(measured: &Measured) -> Json {
    json!({
        "fuel": measured.fuel,
        "time_ns": u64::try_from(measured.time.as_nanos()).unwrap_or(u64::MAX),
        "memory_bytes": measured.memory_bytes,
        "output_bytes": measured.output_bytes,
    })
}

pub fn difference_json(difference: &Difference) -> Json {
    json!({ "what": difference.what, "expected": difference.expected, "got": difference.got })
}

/// Asks all cases of the rule in many orders, and adds what was found to its report.
pub fn shuffle(report: &mut RuleReport, sheet: &Sheet, ready: &Ready, seed: u64) {
    let Ready { rule, module } = ready;
    report.remembered = super::shuffle::shuffle(sheet.cases(), rule, module, seed);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::authoring::testing::{Desk, remembering, saying};

    #[test]
    fn g14_every_difference_is_told_with_what_was_expected_and_what_came() {
        let desk = Desk::new(
            "[{file: cases.yml}]",
            "- {name: fits, in: {dn: [CN=A, CN=B]}, out: {displayName: [CN=A, CN=B]}}\n\
             - {name: text, in: {dn: CN=A}, out: {displayName: CN=B}}\n\
             - {name: type, in: {dn: 512}, out: {displayName: '512'}}\n\
             - {name: unnamed, in: {dn: CN=A}, out: {}}\n\
             - {name: partial, in: {dn: CN=A}, out: {}, partial: true}\n\
             - {name: none, in: {dn: CN=A}, out: {displayName: ~}}\n\
             - {name: block, in: {dn: CN=A}, out: {displayName: {flow: block}}}\n\
             - {name: reference, in: {dn: {reference: CN=A}}, out: {displayName: CN=A}}\n\
             - {name: skip, in: {dn: CN=A}, skip: computer account}\n\
             - {name: fail, in: {dn: CN=A}, fail: {attribute: dn, message: dn is missing}}\n\
             - {name: misspelt, in: {dn: CN=A, mail: x}, imported: {dn: x},\n   \
             parameters: {p: 1}, now: 2026-04-01T00:00:00Z,\n   \
             out: {displayName: CN=A, displayNam: ~}}\n",
        );
        expect![[r#"
            text: `displayName`: expected "CN=B",
              got "CN=A"
            type: `displayName`: expected "512",
              got 512
            unnamed: `displayName`: expected ~,
              got "CN=A"
            none: `displayName`: expected ~,
              got "CN=A"
            block: `displayName`: expected {flow: block},
              got "CN=A"
            reference: `displayName`: expected "CN=A",
              got {reference: "CN=A"}
            skip: `verdict`: expected skip: "computer account",
              got out: {displayName: "CN=A"}
            fail: `verdict`: expected fail: {attribute: "dn", message: "dn is missing"},
              got out: {displayName: "CN=A"}
            misspelt: `in` names `mail`, which the rule does not read
            misspelt: `imported` names `dn`, which the rule does not read
            misspelt: `parameters` names `p`, which the rule does not read
            misspelt: `out` names `displayNam`, which the rule does not write;
              did you mean `displayName`?
            misspelt: `now` is given, but the rule does not ask for the instant
        "#]]
        .assert_eq(&desk.differences());
    }

    #[test]
    fn g05_a_rule_that_remembers_fails_its_cases() {
        let cases = "- {name: plain, in: {dn: CN=A}, out: {displayName: CN=A}}\n\
             - {name: double, in: {dn: [CN=C, CN=D]}, out: {displayName: [CN=C, CN=D]}}\n";
        let desk = Desk::with_module(&remembering(), "[{file: cases.yml}]", cases);
        expect![[r#"
            plain: `the rule remembers`: expected out: {displayName: "CN=A"},
              got out: {displayName: {flow: block}} after other objects
            double: `the rule remembers`: expected out: {displayName: ["CN=C", "CN=D"]},
              got out: {displayName: {flow: block}} after other objects
        "#]]
        .assert_eq(&desk.differences());
    }

    #[test]
    fn g20_a_report_names_fuel_time_and_memory_of_each_case() {
        let desk = Desk::new("[{in: {dn: CN=A}, out: {displayName: CN=A}}]", "");
        let report = desk.report();
        assert!(report.passed());
        let mut text = vec![];
        report.print(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.starts_with("names  rule.wat ") && text.contains("  ok      case 1"),
            "{text}"
        );
        assert!(text.contains(" fuel ") && text.contains("64 KiB"), "{text}");
        let body = report.to_json();
        assert!(body["cases"][0]["fuel"].as_u64().is_some_and(|fuel| fuel > 0), "{body}");
        assert_eq!(body["cases"][0]["memory_bytes"], 65_536);
    }

    #[test]
    fn what_a_rule_says_is_told_with_its_case() {
        let tests = "[{in: {dn: CN=A}, out: {displayName: CN=A}}]";
        let desk = Desk::with_module(&saying(), tests, "");
        assert_eq!(desk.report().cases[0].log, [("info", "displayName".to_owned())]);
    }

    #[test]
    fn a_case_is_called_by_number_or_by_name() {
        let tests = "[{in: {dn: CN=A}, out: {}}, {name: second, in: {dn: CN=A}, out: {}}]";
        let desk = Desk::new(tests, "");
        let (book, ready) = desk.open();
        let names = |wanted: &str| -> Vec<String> {
            let report = run(&book.sheets[0], &ready, Wanted(Some(wanted)), &desk.notebook);
            report.cases.into_iter().map(|case| case.case.name).collect()
        };
        assert_eq!(names("1"), ["case 1"]);
        assert_eq!(names("2"), ["second"]);
        assert_eq!(names("second"), ["second"]);
        let refusal = Wanted(Some("secnd")).missing(&[&book.sheets[0]]).unwrap();
        assert_eq!((refusal.code, refusal.hint.as_str()), ("K0921", "did you mean `second`?"));
        assert!(Wanted(None).missing(&[&book.sheets[0]]).is_none());
    }
}
