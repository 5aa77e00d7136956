//! Case files with the rule's present answers: reports of failed cases flow in; the files flow out
//! with what was expected replaced, and everything else as it was written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kakehi_engine::flow::Contribution;

use super::Refusal;
use super::edit::{self, Edit};
use super::scan;
use super::test::{CaseReport, RuleReport};
use crate::config::yaml::{self, At, Node, Shape};
use crate::config::{as_text, read_file};
use crate::manifest::cases::{Answer, Case, Expectation, Form, written};

/// Widest line that brackets are kept in.
const LINE_CHARS_MAX: usize = 100;

/// What blessing came to.
#[derive(Debug, Default)]
pub struct Blessing {
    /// Cases that were rewritten, by file.
    pub files: BTreeMap<PathBuf, Vec<String>>,
    /// Cases that were not, and why.
    pub left: Vec<(String, String)>,
}

/// Rewrites the case files of rules whose cases failed. A file is written whole or not at all.
pub fn bless(reports: &[RuleReport]) -> Result<Blessing, Refusal> {
    let mut blessing = Blessing::default();
    let mut by_file = BTreeMap::<&Path, Vec<(&Case, Expectation)>>::new();
    let failed = reports.iter().flat_map(|rule| rule.cases.iter().map(move |case| (rule, case)));
    for (rule, report) in failed.filter(|(_, report)| !report.result.passed()) {
        let name = format!("{}: {}", rule.name, report.case.name);
        match present(report) {
            Ok(answer) => {
                let of_file = by_file.entry(&report.case.origin.file).or_default();
                let twice = of_file.iter().find(|(case, _)| case.origin == report.case.origin);
                match twice {
                    None => of_file.push((&report.case, answer)),
                    Some((_, first)) if *first == answer => {}
                    Some(_) => {
                        let why = "another rule that shares the file answers otherwise";
                        blessing.left.push((name, why.to_owned()));
                    }
                }
            }
            Err(why) => blessing.left.push((name, why)),
        }
    }
    for (path, cases) in by_file {
        match rewritten(path, &cases) {
            Some(text) => {
                edit::replace(path, &text)?;
                let names = cases.iter().map(|(case, _)| case.name.clone()).collect();
                blessing.files.insert(path.to_owned(), names);
            }
            None => blessing.left.extend(cases.iter().map(|(case, answer)| {
                let (key, value) = written(answer, Form::Yaml);
                let why = format!("it cannot be edited in place; it answers {key}: {value}");
                (format!("{}: {}", path.display(), case.name), why)
            })),
        }
    }
    Ok(blessing)
}

/// What a case is to expect from now on, or why it cannot.
fn present(report: &CaseReport) -> Result<Expectation, String> {
    let Answer::Given(answer) = &report.answer else {
        return Err("a rule that breaks gives no answer to expect".into());
    };
    if !report.result.differs_only_in_its_answer {
        return Err("the case itself is at fault, or the rule remembers".into());
    }
    let answer = kept_short(answer, &report.case.expectation);
    if !report.case.filed {
        let (key, value) = written(&answer, Form::Yaml);
        return Err(format!(
            "it stands beside its rule, where nothing is rewritten: {key}: {value}"
        ));
    }
    Ok(answer)
}

/// Leaves out what the case leaves out: none where it is not named, and what is not of interest to
/// a partial one.
fn kept_short(answer: &Expectation, old: &Expectation) -> Expectation {
    let Expectation::Flows { flows, .. } = answer else { return answer.clone() };
    let (named, partial) = match old {
        Expectation::Flows { flows, partial } => (Some(flows), *partial),
        _ => (None, false),
    };
    let kept = |(name, contribution): &(&_, &Contribution)| {
        let named = named.is_some_and(|named| named.contains_key(*name));
        named || !partial && **contribution != Contribution::None
    };
    let flows = flows.iter().filter(kept).map(|(name, flow)| (name.clone(), flow.clone()));
    Expectation::Flows { flows: flows.collect(), partial }
}

/// The text of a file with these cases changed; `None` where it is written in a way that we do not
/// know, or has changed since it was read.
fn rewritten(path: &Path, cases: &[(&Case, Expectation)]) -> Option<String> {
    let text = as_text(read_file(path).ok()?).ok()?;
    let root = yaml::parse(&text).ok()?;
    let Shape::List(items) = &root.shape else { return None };
    let mut expected = root.clone();
    let mut edits = vec![];
    for (case, answer) in cases {
        let index = items.iter().position(|item| item.mark == case.origin.mark)?;
        let item = &items[index];
        let Shape::Map(entries) = &item.shape else { return None };
        let verdict =
            |(key, _): &(At<String>, Node)| matches!(key.value.as_str(), "out" | "skip" | "fail");
        let place = entries.iter().position(verdict)?;
        let (key, node) = &entries[place];
        edits.push(replacement(&text, item, key, node, answer)?);
        let (name, value) = written(answer, Form::Json);
        let new = (At { value: name.to_owned(), mark: key.mark }, yaml::parse(&value).ok()?);
        let Shape::List(items) = &mut expected.shape else { return None };
        let Shape::Map(entries) = &mut items[index].shape else { return None };
        entries[place] = new;
    }
    let new = edit::edited(&text, edits);
    yaml::parse(&new).is_ok_and(|found| scan::same(&found, &expected)).then_some(new)
}

fn replacement(
    text: &str,
    item: &Node,
    key: &At<String>,
    node: &Node,
    answer: &Expectation,
) -> Option<Edit> {
    let start = scan::offset(text, key.mark)?;
    let inside = text[scan::offset(text, item.mark)?..].starts_with('{');
    if inside {
        let end = scan::value(text, value_at(text, start)?, true)?.end;
        let form = if text[start..].starts_with('"') { Form::Json } else { Form::Yaml };
        let (name, value) = written(answer, form);
        let name = if form == Form::Json { format!("\"{name}\"") } else { name.to_owned() };
        return Some(Edit { range: start..end, text: format!("{name}: {value}") });
    }
    let below = node.mark.line > key.mark.line;
    let end = match below {
        true => block_end(text, start, key.mark.column)?,
        false => scan::value(text, value_at(text, start)?, false)?.end,
    };
    let (name, value) = written(answer, Form::Yaml);
    let column = key.mark.column as usize - 1;
    let line = format!("{name}: {value}");
    let text = match answer {
        Expectation::Flows { flows, .. }
            if !flows.is_empty() && (below || column + line.chars().count() > LINE_CHARS_MAX) =>
        {
            in_lines(text, name, answer, column)
        }
        _ => line,
    };
    Some(Edit { range: start..end, text })
}

/// An `out` with a line for each attribute.
fn in_lines(text: &str, name: &str, answer: &Expectation, column: usize) -> String {
    let Expectation::Flows { flows, .. } = answer else { return String::new() };
    let indent = format!("{}{}", scan::line_break(text), " ".repeat(column + 2));
    let line = |(attribute, flow): (&kakehi_engine::object::AttributeName, &Contribution)| {
        let name = crate::manifest::cases::key(attribute.as_str());
        format!("{indent}{name}: {}", crate::manifest::cases::contribution(flow))
    };
    format!("{name}:{}", flows.iter().map(line).collect::<String>())
}

/// Where the value behind a key begins.
fn value_at(text: &str, key: usize) -> Option<usize> {
    let behind = scan::behind_key(text, key)?;
    let rest = &text[behind..];
    Some(behind + (rest.len() - rest.trim_start().len()))
}

/// The end of the lines that belong to the key of this column: those that stand further in, without
/// blank lines and comments behind them.
fn block_end(text: &str, key: usize, column: u32) -> Option<usize> {
    let mut end = None;
    let mut at = scan::line_end(text, key);
    while at < text.len() {
        let begin = at + if text[at..].starts_with("\r\n") { 2 } else { 1 };
        let line_end = scan::line_end(text, begin);
        let line = &text[begin..line_end];
        let indent = line.chars().take_while(|letter| *letter == ' ').count();
        let nothing = line.trim().is_empty() || line.trim_start().starts_with('#');
        if !nothing && indent < column as usize {
            break;
        }
        if !nothing {
            end = Some(begin + line.trim_end().len());
        }
        at = line_end;
    }
    end
}

#[cfg(test)]
mod tests;
