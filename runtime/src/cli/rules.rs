//! `kakehi rules`: what a command means is in `authoring`; here it is called and printed.

mod bench;
mod check;
mod generate;
mod impact;
mod links;
mod list;
mod lock;
mod new;
mod schema;
mod show;
mod test;

use std::path::{Path, PathBuf};

use kakehi_engine::rule::{RuleId, RuleSet};
use kakehi_host::HostError;

use crate::authoring::select::{Selection, no_rule};
use crate::authoring::{Refusal, Setting, Trouble};
use crate::cli::{Error, Outcome};
use crate::config::finding::Finding;
use crate::service::failure::{Failure, Kind};

/// The exit code of a check, a test or a lock that failed (rules.md 10.1).
const FAILED: u8 = 78;

#[derive(clap::Subcommand)]
pub enum Rules {
    /// The rules in order of precedence, as they apply to each connector
    List(list::List),
    /// One rule: its text, whom it is about now, what it failed on
    Show(show::Show),
    /// Links that would not be made now, with the values of both sides
    Links(links::Links),
    /// What hangs on a rule: what it wins, who would take over, who reads it
    Impact(impact::Impact),
    /// Load rules with their modules: what they are, and everything that is wrong
    Check(check::Check),
    /// Run the test cases of rules
    Test(test::Test),
    /// Measure what rules cost
    Bench(bench::Bench),
    /// Write the SHA-256 of each module beside its path
    Lock(lock::Lock),
    /// Begin a rule of your own: source, SDK, test cases, manifest fragment
    New(new::New),
    /// Begin with the default rules, cut down to what directories hold
    Generate(generate::Generate),
    /// What a source may hold, as `generate` takes it
    Schema(schema::Schema),
}

impl Rules {
    pub fn execute(self, config: &Path) -> Outcome {
        match self {
            Self::List(verb) => verb.execute(config),
            Self::Show(verb) => verb.execute(config),
            Self::Links(verb) => verb.execute(config),
            Self::Impact(verb) => verb.execute(config),
            Self::Check(verb) => verb.execute(config),
            Self::Test(verb) => verb.execute(config),
            Self::Bench(verb) => verb.execute(config),
            Self::Lock(verb) => verb.execute(config),
            // It needs no installation.
            Self::New(verb) => verb.execute(),
            Self::Generate(verb) => verb.execute(config),
            Self::Schema(verb) => verb.execute(config),
        }
    }
}

/// Which rules a command is about, and how they are loaded.
struct Meant {
    selection: Selection,
    /// The installation's; for a file of rules, that file.
    manifest: PathBuf,
    setting: Setting,
}

// === impl Meant ===

impl Meant {
    /// Reads the configuration only where a rule of the installation is meant.
    fn new(argument: Option<&str>, config: &Path) -> Result<Self, Error> {
        let selection = Selection::of(argument).map_err(Trouble::from)?;
        if let Selection::File(path) = &selection {
            let manifest = path.clone();
            return Ok(Self { selection, manifest, setting: Setting::alone() });
        }
        let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
        let setting = Setting::of(&config.rules).map_err(Failure::of_findings)?;
        Ok(Self { selection, manifest: config.manifest, setting })
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Findings(findings) => Self::of_findings(findings),
            Trouble::Refusal(Refusal { usage, code, message, hint }) => {
                let kind = if usage { Kind::Usage } else { Kind::Config };
                Self::new(kind, code, message).hint(hint)
            }
        }
    }
}

/// The rules of a name, or of a name and a connector: `NAME@CONNECTOR`.
///
/// Errors: no rule has it.
fn named(name: &str, rules: &RuleSet) -> Result<Vec<RuleId>, Error> {
    let ids = (0..).map(RuleId).zip(&rules.rules);
    let meant = ids.filter(|(_, rule)| rule.name == name || &*rule.tag.0 == name);
    let meant: Vec<RuleId> = meant.map(|(id, _)| id).collect();
    match meant.is_empty() {
        true => {
            let known = rules.rules.iter().map(|rule| rule.name.as_str());
            Err(Trouble::from(no_rule(name, known)).into())
        }
        false => Ok(meant),
    }
}

fn no_host(error: &HostError) -> Failure {
    Failure::new(Kind::Internal, "K0500", format!("cannot start the rule host: {error}"))
}

/// Errors among findings end a command; warnings go to stderr, beside its result.
fn heed(findings: Vec<Finding>) -> Result<(), Failure> {
    if findings.iter().any(Finding::is_error) {
        return Err(Failure::of_findings(findings));
    }
    for warning in findings {
        anstream::eprintln!("{warning}");
    }
    Ok(())
}
