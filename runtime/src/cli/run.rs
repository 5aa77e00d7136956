//! `kakehi run`.

use std::path::Path;

use crate::cli::Outcome;
use crate::service::{supervise, world};

#[derive(clap::Args)]
pub struct Run {}

impl Run {
    #[expect(clippy::unused_self, reason = "every verb is executed alike")]
    pub fn execute(self, config: &Path) -> Outcome {
        supervise::run(&world::load(config)?)?;
        Ok(0)
    }
}
