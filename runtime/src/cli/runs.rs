//! `kakehi runs`.

use std::io::Write;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::{Error, Outcome};
use crate::service::failure::{Failure, Kind};
use crate::service::world;
use crate::service::{RunId, RunRecord};

#[derive(clap::Subcommand)]
pub enum Runs {
    /// The newest runs
    List {
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
    },
    /// One run with everything that was counted, and the problems there are now
    Show {
        /// Its number, as `runs list` shows it
        id: i64,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

impl Runs {
    pub fn execute(self, config: &Path) -> Outcome {
        let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
        let store = world::state_read_only(&config)?;
        let mut out = anstream::stdout().lock();
        let written = match self {
            Self::List { limit, json } => {
                let runs = store.runs(limit)?;
                if json {
                    writeln!(out, "{:#}", runs.iter().map(to_json).collect::<Json>())
                } else {
                    runs.iter().try_for_each(|run| line(run, &mut out))
                }
            }
            Self::Show { id, json } => {
                let run = store.run(RunId(id))?.ok_or_else(|| {
                    Failure::new(Kind::Usage, "K0902", format!("there is no run {id}"))
                        .hint("`kakehi runs list` shows the runs there are")
                })?;
                if json { writeln!(out, "{:#}", to_json(&run)) } else { show(&run, &mut out) }
            }
        };
        written.map_err(Error::Output)?;
        Ok(0)
    }
}

fn details(run: &RunRecord) -> Json {
    serde_json::from_str(&run.details).unwrap_or(Json::Null)
}

fn to_json(run: &RunRecord) -> Json {
    json!({
        "id": run.id.0,
        "verb": run.verb,
        "status": run.status,
        "started": run.started.rfc3339(),
        "ended": run.ended.rfc3339(),
        "plan": run.plan.as_ref().map(|plan| plan.0.clone()),
        "ruleset": run.ruleset,
        "config": run.config,
        "details": details(run),
    })
}

fn line(run: &RunRecord, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{:>6}  {}  {:<5} {}", run.id.0, run.started.rfc3339(), run.verb, run.status)
}

fn show(run: &RunRecord, out: &mut impl Write) -> std::io::Result<()> {
    line(run, out)?;
    writeln!(out, "rules {}", run.ruleset)?;
    writeln!(out, "{:#}", details(run))
}
