//! `kakehi plan`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use kakehi_engine::plan::PlanId;

use crate::cli::{Error, Outcome, render};
use crate::service::PollMode;
use crate::service::Status;
use crate::service::{once, world};

/// Differences were found (terraform's 2 is taken by clap).
const CHANGES_EXIT_CODE: u8 = 3;

/// Not everything can be taken back.
const SOME_LEFT_EXIT_CODE: u8 = 4;

#[derive(clap::Args)]
pub struct Plan {
    /// Read everything anew, not only what changed
    #[arg(long)]
    full: bool,
    /// Write the plan to a file, for `kakehi apply`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
    /// With the rules that lie on the disk, also while an earlier generation stands in for them
    #[arg(long)]
    candidate: bool,
    /// The reverse of what this plan did, from the journal; `kakehi audit` tells the ids
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["full", "candidate"])]
    undo: Option<String>,
    /// Exit with 3 if there is something to change
    #[arg(long)]
    detailed_exitcode: bool,
}

impl Plan {
    pub fn execute(self, config: &Path) -> Outcome {
        let mode = if self.full { PollMode::Full } else { PollMode::Delta };
        let world = if self.candidate { world::load_files(config)? } else { world::load(config)? };
        let planned = match &self.undo {
            Some(plan) => once::plan_undo(&world, &PlanId(plan.clone()))?,
            None => once::plan(&world, mode)?,
        };
        if let Some(path) = &self.output {
            let mut file = BufWriter::new(File::create(path).map_err(Error::Output)?);
            render::plan_json(&planned, &mut file)?;
            file.flush().map_err(Error::Output)?;
        }
        let mut out = BufWriter::new(anstream::stdout());
        if self.json {
            render::plan_json(&planned, &mut out)?;
        } else {
            render::plan_text(&planned, &mut out)?;
        }
        out.flush().map_err(Error::Output)?;
        Ok(self.exit_code(&planned))
    }

    /// A plan that a limit would stop is a plan all the same: it is there to be reviewed. What
    /// could not be read makes it incomplete, and that is told.
    fn exit_code(&self, planned: &once::Planned) -> u8 {
        match planned.report.status {
            Status::Unavailable | Status::Refused => planned.report.status.exit_code(),
            Status::RuleBroken | Status::ErrorLimit => planned.report.status.exit_code(),
            _ if !planned.left.is_empty() => SOME_LEFT_EXIT_CODE,
            _ if self.detailed_exitcode && planned.plan.exports() > 0 => CHANGES_EXIT_CODE,
            _ => 0,
        }
    }
}
