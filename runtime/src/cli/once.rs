//! `kakehi once`.

use std::path::Path;

use crate::cli::{Outcome, render};
use crate::service::PollMode;
use crate::service::{once, world};

#[derive(clap::Args)]
pub struct Once {
    /// Read everything anew, not only what changed
    #[arg(long)]
    full: bool,
    /// Print the run record as JSON
    #[arg(long)]
    json: bool,
}

impl Once {
    pub fn execute(self, config: &Path) -> Outcome {
        let mode = if self.full { PollMode::Full } else { PollMode::Delta };
        let (run, report) = once::once(&world::load(config)?, mode)?;
        render::run(run, &report, self.json)?;
        Ok(report.status.exit_code())
    }
}
