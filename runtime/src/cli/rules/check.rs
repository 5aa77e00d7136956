//! `kakehi rules check`.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::{Meant, no_host};
use crate::authoring::check::{Facts, facts};
use crate::authoring::select::Selection;
use crate::authoring::words;
use crate::cli::{Error, Outcome};
use crate::config::finding::{self, Finding};
use crate::service::world;

#[derive(clap::Args)]
pub struct Check {
    /// A rule of the installation, a file of rules or its folder; otherwise all rules
    #[arg(value_name = "RULE|FILE|DIR")]
    rules: Option<String>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn execute(self, config: &Path) -> Outcome {
        let meant = Meant::new(self.rules.as_deref(), config)?;
        let (facts, findings) = self.look(&meant, config)?;
        let mut out = anstream::stdout().lock();
        let failed = findings.iter().any(Finding::is_error);
        if self.json {
            let shown = |finding: &Finding| {
                json!({
                    "error": finding.is_error(),
                    "code": finding.code,
                    "message": finding.message,
                    "place": finding.place.as_ref().map(ToString::to_string),
                    "hint": finding.hint,
                })
            };
            let body = json!({
                "rules": facts.iter().map(Facts::to_json).collect::<Vec<_>>(),
                "findings": findings.iter().map(shown).collect::<Vec<_>>(),
            });
            writeln!(out, "{body:#}").map_err(Error::Output)?;
        } else {
            print(&facts, &findings, &mut out).map_err(Error::Output)?;
        }
        Ok(if failed { finding::exit_code(&findings) } else { 0 })
    }

    /// Everything at once: also what is wrong between the rules, where all of them are meant.
    fn look(&self, meant: &Meant, config: &Path) -> Result<(Vec<Facts>, Vec<Finding>), Error> {
        let mut findings = match meant.selection {
            Selection::All => match world::load(config) {
                Ok(world) => world.warnings,
                Err(failure) if failure.findings.is_empty() => return Err(failure.into()),
                Err(failure) => failure.findings,
            },
            Selection::Rule(_) | Selection::File(_) => vec![],
        };
        let host = meant.setting.host(None).map_err(|error| no_host(&error))?;
        let mut all = vec![];
        match meant.selection.open(&meant.manifest) {
            Ok((mut book, found)) => {
                findings.extend(found);
                let picked = meant.selection.pick(&book);
                for index in picked.map_err(crate::authoring::Trouble::from)? {
                    let (facts, found) = facts(&mut book, index, &host, &meant.setting);
                    all.push(facts);
                    findings.extend(found);
                }
            }
            Err(found) => findings.extend(found),
        }
        findings.sort_by(|a, b| a.place.cmp(&b.place));
        // What the whole manifest tells, each of its rules tells again.
        let mut told: Vec<Finding> = vec![];
        for finding in findings {
            if !told.contains(&finding) {
                told.push(finding);
            }
        }
        Ok((all, told))
    }
}

fn print(facts: &[Facts], findings: &[Finding], out: &mut dyn Write) -> std::io::Result<()> {
    for facts in facts {
        facts.print(out)?;
    }
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    let warnings = findings.len() - errors;
    let verdict = if errors == 0 { "ok" } else { "failed" };
    let counted = [(facts.len(), "rule"), (errors, "error"), (warnings, "warning")]
        .map(|(number, what)| words::counted(number, what));
    writeln!(out, "{verdict}: {}", counted.join(", "))
}
