//! How results look: plans, runs and stories, for people and as JSON.

pub mod json;
mod plan;
mod preview;
mod story;

use std::io::Write;

use serde_json::json;

use crate::cli::{Error, Outcome};
use crate::service::RunId;
use crate::service::control::Answer;

pub use plan::{Report, export_text, foot_text};
pub use preview::preview;
pub use story::{disconnectors, story};

/// What the service answered: a result to stdout, an error to stderr.
pub fn answer(answer: &Answer) -> Outcome {
    match answer.exit {
        0 | 4 => {
            let mut out = anstream::stdout().lock();
            writeln!(out, "{}", answer.text).map_err(Error::Output)?;
            if let Some(run) = answer.run {
                writeln!(out, "`kakehi runs show {run}` tells more").map_err(Error::Output)?;
            }
        }
        _ => anstream::eprintln!("{}", answer.text),
    }
    Ok(answer.exit)
}

/// What a cycle did.
pub fn run(id: Option<RunId>, report: &crate::service::Report, as_json: bool) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    let written = if as_json {
        let mut body = report.to_json();
        body["run"] = json!(id.map(|id| id.0));
        writeln!(out, "{body:#}")
    } else {
        run_text(id, report, &mut out)
    };
    written.map_err(Error::Output)
}

/// The counts of a cycle in a few lines.
fn run_text(
    id: Option<RunId>,
    report: &crate::service::Report,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let seconds = (report.ended.0 - report.started.0) as f64 / 1000.0;
    match id {
        Some(id) => writeln!(out, "run {}: {} in {seconds:.1} s", id.0, report.status.as_str())?,
        None => writeln!(out, "nothing to do")?,
    }
    for (source, (entries, staged)) in &report.imported {
        writeln!(
            out,
            "  {source:<16} {entries} read, {} changed, {} gone",
            staged.changed, staged.deleted
        )?;
    }
    for (target, counts) in &report.counts {
        writeln!(out, "  {target:<16} {}", plan::counts_text(counts))?;
    }
    let delivered = &report.delivered;
    if delivered.done + delivered.held + delivered.waiting + delivered.in_doubt > 0 {
        writeln!(
            out,
            "  {} delivered, {} held, {} waiting, {} in doubt",
            delivered.done, delivered.held, delivered.waiting, delivered.in_doubt
        )?;
    }
    if report.problems > 0 {
        writeln!(out, "  {} objects with problems: `kakehi plan` names them", report.problems)?;
    }
    for note in &report.notes {
        writeln!(out, "  note: {note}")?;
    }
    Ok(())
}
