//! `kakehi run`.

use std::path::Path;

use crate::cli::Outcome;
use crate::service::supervise;

#[derive(clap::Args)]
pub struct Run {}

impl Run {
    #[expect(clippy::unused_self, reason = "every verb is executed alike")]
    pub fn execute(self, config: &Path) -> Outcome {
        supervise::run(config)?;
        Ok(0)
    }
}
