//! `kakehi import entra` and `kakehi export entra`: what an export means is in `kakehi-entra`; here
//! files are read and written, and counts printed.

mod back;
mod files;

use std::io::Write;
use std::path::{Path, PathBuf};

use kakehi_entra::{Argument, Fault, Imported, Parameter, Topic};
use serde_json::json;

use crate::cli::{Error, Outcome};
use crate::config::finding::Findings;
use crate::config::yaml::Mark;
use crate::service::failure::Failure;

#[derive(clap::Subcommand)]
pub enum Import {
    /// Rules of Entra Connect or AADSync
    Entra(Entra),
}

#[derive(clap::Args)]
pub struct Entra {
    /// Folders of exports, scripts of the rules editor (.ps1), or rules as JSON
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The name of a connector, and its kind where the export does not tell: GUID=NAME[:KIND]
    #[arg(long = "connector", value_name = "GUID=NAME", value_parser = Argument::parse)]
    connectors: Vec<Argument>,
    /// A value of `%KEY%` on a connector: NAME:KEY=VALUE
    #[arg(long = "parameter", value_name = "NAME:KEY=VALUE", value_parser = Parameter::parse)]
    parameters: Vec<Parameter>,
    /// The folder of the new manifest; it must be empty, or not exist yet
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Print counts and findings as JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
pub enum Export {
    /// The rules of an imported manifest, as Entra Connect exports them
    Entra(back::Back),
}

impl Import {
    pub fn execute(self) -> Outcome {
        let Self::Entra(verb) = self;
        files::refuse_full(&verb.output)?;
        let given = files::read(&verb.paths)?;
        let imported = kakehi_entra::import(&given, &verb.connectors, &verb.parameters)
            .map_err(|faults| refusal("cannot import the rules", &verb.output, faults))?;
        files::write(&verb.output, &imported.files)?;
        let mut out = anstream::stdout().lock();
        let printed = match verb.json {
            true => writeln!(out, "{:#}", as_json(&imported)),
            false => print(&imported, &verb.output, &mut out),
        };
        printed.map_err(Error::Output)?;
        Ok(0)
    }
}

impl Export {
    pub fn execute(self) -> Outcome {
        let Self::Entra(verb) = self;
        verb.execute()
    }
}

/// All that is wrong, in the form in which a configuration tells it.
fn refusal(purpose: &'static str, place: &Path, faults: Vec<Fault>) -> Failure {
    let mut findings = Findings::new(place, purpose);
    for fault in faults {
        let mut draft = findings.error(fault.code, &fault.message);
        if !fault.file.is_empty() {
            draft = draft.file(Path::new(&fault.file));
        }
        if fault.line > 0 {
            draft = draft.at(Mark { line: fault.line, column: 1 });
        }
        draft.hint(fault.hint);
    }
    Failure::of_findings(findings.into_sorted())
}

/// What has to be looked at comes with its reason, the rest as a count; the report has all of it.
fn print(imported: &Imported, folder: &Path, out: &mut impl Write) -> std::io::Result<()> {
    for (name, kind, id) in &imported.connectors {
        writeln!(out, "connector {name} ({kind}) is {{{id}}}")?;
    }
    for finding in &imported.findings {
        let lead = match finding.topic {
            Topic::Disabled => "disabled",
            Topic::Unsettled => "to settle",
            Topic::NotDelivered | Topic::Unlisted | Topic::Note => continue,
        };
        writeln!(out, "{lead}: {}: {}", finding.place, finding.reason)?;
        if !finding.suggestion.is_empty() {
            writeln!(out, "  hint: {}", finding.suggestion)?;
        }
    }
    let counts = &imported.counts;
    let report = folder.join("import-report.md");
    writeln!(out, "written to {}; look through {}", folder.display(), report.display())?;
    if imported.files.iter().any(|file| file.path == "config-targets.yml") {
        let piece = folder.join("config-targets.yml");
        writeln!(out, "put `types` of {} below the target in config.yml", piece.display())?;
    }
    if counts.not_delivered > 0 {
        writeln!(
            out,
            "{} rules do nothing yet, since their connectors go the other way",
            counts.not_delivered
        )?;
    }
    writeln!(out, "{counts}")
}

fn as_json(imported: &Imported) -> serde_json::Value {
    let counts = &imported.counts;
    let pair = |(done, all): (usize, usize)| json!({ "imported": done, "exported": all });
    let findings = imported.findings.iter().map(|finding| {
        json!({
            "topic": finding.topic.as_str(),
            "place": finding.place,
            "expression": finding.expression,
            "reason": finding.reason,
            "suggestion": finding.suggestion,
        })
    });
    let connectors = imported
        .connectors
        .iter()
        .map(|(name, kind, id)| json!({ "name": name, "kind": kind, "id": id }));
    json!({
        "rules": pair(counts.rules),
        "flows": pair(counts.flows),
        "expressions": pair(counts.expressions),
        "direct": counts.direct,
        "constant": counts.constant,
        "distinct_expressions": counts.distinct_expressions,
        "scope_clauses": counts.scope_clauses,
        "join_clauses": counts.join_clauses,
        "disabled": counts.disabled,
        "disabled_by_import": counts.disabled_by_import,
        "not_delivered": counts.not_delivered,
        "unlisted": counts.unlisted,
        "connectors": connectors.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
    })
}
