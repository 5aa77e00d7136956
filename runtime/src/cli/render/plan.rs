//! A plan, for people, as JSON and as a page. Exports pass by one at a time: a plan may be larger
//! than memory.

use std::io::Write;

use kakehi_engine::plan::Counts;
use serde_json::Value as Json;

use super::json::{list, text};
use crate::cli::Error;
use crate::report::html;
use crate::report::tally::Tally;
use crate::report::words::{told, visible};
use crate::service::StoreError;
use crate::service::exports_of;
use crate::service::once::Planned;
use crate::service::reasons::{Reasons, document};

/// A plan with everything that there is to say of it.
pub struct Report<'a> {
    planned: &'a Planned,
    reasons: Reasons<'a>,
    /// The document without the exports.
    head: Json,
}

// === impl Report ===

impl<'a> Report<'a> {
    pub fn new(planned: &'a Planned) -> Result<Self, Error> {
        let (reasons, moves) = Reasons::new(&*planned.store, &planned.rules)?;
        let head = document::head(planned, &moves)?;
        Ok(Self { planned, reasons, head })
    }

    /// Passes the document of each export by; none where the plan failed part-way.
    fn each(&self, each: &mut dyn FnMut(&Json) -> std::io::Result<()>) -> Result<(), Error> {
        if document::failed(self.planned.report.status) {
            return Ok(());
        }
        let mut failed: Result<(), Error> = Ok(());
        exports_of(&*self.planned.store, &self.planned.report, &mut |pending| {
            if failed.is_ok() {
                failed = self
                    .reasons
                    .export(&pending.export)
                    .map_err(Error::from)
                    .and_then(|export| each(&export).map_err(Error::Output));
            }
        })
        .map_err(|error: StoreError| Error::from(error))?;
        failed
    }

    /// One document: the head, `exports`, and `summary`, which counts what they do.
    pub fn json(&self, out: &mut impl Write) -> Result<(), Error> {
        let head = self.head.to_string();
        write!(out, "{},\"exports\":[", head.strip_suffix('}').unwrap_or(&head))
            .map_err(Error::Output)?;
        let (mut tally, mut first) = (Tally::new(false), true);
        self.each(&mut |export| {
            tally.take(export);
            let comma = if first { "" } else { "," };
            first = false;
            write!(out, "{comma}\n{export}")
        })?;
        writeln!(out, "],\"summary\":{}}}", tally.to_json()).map_err(Error::Output)
    }

    pub fn text(&self, out: &mut impl Write) -> Result<(), Error> {
        self.each(&mut |export| export_text(export, out))?;
        foot_text(&self.head, out).map_err(Error::Output)
    }

    /// `all`: every export, not only some of each kind.
    pub fn html(&self, all: bool, out: &mut impl Write) -> Result<(), Error> {
        let mut tally = Tally::new(all);
        self.each(&mut |export| {
            tally.take(export);
            Ok(())
        })?;
        out.write_all(html::page(&self.head, &tally).as_bytes()).map_err(Error::Output)
    }
}

/// `3 add, 1 rename`, or `nothing to do`.
pub fn counts_text(counts: &Counts) -> String {
    numbers_text(counts.named().into_iter())
}

fn numbers_text<'n>(numbers: impl Iterator<Item = (&'n str, u64)>) -> String {
    let parts: Vec<String> = numbers
        .filter(|(_, number)| *number > 0)
        .map(|(name, number)| format!("{number} {}", name.replace('_', " ")))
        .collect();
    if parts.is_empty() { "nothing to do".into() } else { parts.join(", ") }
}

/// The end of a plan: its number, what each target gets, what is in the way.
pub fn foot_text(head: &Json, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "plan {}", visible(text(&head["plan"])))?;
    if let Some(status) = head["failed"].as_str() {
        writeln!(out, "  not finished: {}; what it would do is not known", visible(status))?;
    }
    for (target, counts) in head["counts"].as_object().into_iter().flatten() {
        // In the order in which counts are always shown, which a JSON object does not keep.
        let known = Counts::default().named().map(|(name, _)| name);
        let counts = counts.as_object().cloned().unwrap_or_default();
        let others = counts.keys().map(String::as_str).filter(|name| !known.contains(name));
        let names = known.into_iter().chain(others);
        let numbers =
            names.filter_map(|name| Some((name, counts.get(name).and_then(Json::as_u64)?)));
        writeln!(out, "  {:<16} {}", visible(target), visible(&numbers_text(numbers)))?;
    }
    for (heading, key) in [("limit", "limits_exceeded"), ("note", "notes")] {
        for line in list(&head[key]) {
            writeln!(out, "  {heading}: {}", visible(text(line)))?;
        }
    }
    for problem in list(&head["problems"]) {
        let (kind, object) = (text(&problem["kind"]), visible(text(&problem["object"])));
        writeln!(out, "  problem: {kind} {object}: {}", visible(text(&problem["message"])))?;
    }
    Ok(())
}

/// One export in some lines.
pub fn export_text(export: &Json, out: &mut impl Write) -> std::io::Result<()> {
    let op = text(&export["op"]);
    let sign = match op {
        "add" => '+',
        "delete" => '-',
        _ => '~',
    };
    let (connector, class) = (text(&export["connector"]), text(&export["class"]));
    writeln!(out, "{sign} {op:<8} {connector}/{class} {}", visible(text(&export["match"])))?;
    for change in list(&export["changes"]) {
        change_text(change, out)?;
    }
    match export["reason"].as_str() {
        Some(reason) => writeln!(out, "      because {}", visible(reason)),
        None => Ok(()),
    }
}

/// Values of one attribute that are shown in full; of more only the number.
const VALUES_SHOWN_MAX: usize = 8;

pub fn change_text(change: &Json, out: &mut impl Write) -> std::io::Result<()> {
    let name = visible(text(&change["attribute"]));
    let values = |key: &str| {
        let values = list(&change[key]);
        let shown: Vec<String> = values.iter().take(VALUES_SHOWN_MAX).map(told).collect();
        match values.len().saturating_sub(VALUES_SHOWN_MAX) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    let was = match list(&change["old"]).is_empty() {
        true => String::new(),
        false => format!(" (was {})", values("old")),
    };
    if change["clear"] == Json::Bool(true) {
        writeln!(out, "      {name}: cleared{was}")?;
    }
    if !list(&change["replace"]).is_empty() {
        writeln!(out, "      {name} = {}{was}", values("replace"))?;
    }
    for (sign, key) in [('+', "add"), ('-', "remove")] {
        if !list(&change[key]).is_empty() {
            writeln!(out, "      {name} {sign} {}", values(key))?;
        }
    }
    Ok(())
}
