//! `kakehi apply`.

use std::path::{Path, PathBuf};

use kakehi_engine::plan::PlanId;

use crate::cli::{Outcome, render};
use crate::service::failure::{Failure, Kind};
use crate::service::{once, world};

#[derive(clap::Args)]
pub struct Apply {
    /// A plan, as `kakehi plan -o FILE` wrote it
    plan: PathBuf,
    /// Print the run record as JSON
    #[arg(long)]
    json: bool,
}

impl Apply {
    pub fn execute(self, config: &Path) -> Outcome {
        let id = plan_id(&self.plan)?;
        let (run, report) = once::apply(&world::load(config)?, &id)?;
        render::run(run, &report, self.json)?;
        Ok(report.status.exit_code())
    }
}

fn plan_id(path: &Path) -> Result<PlanId, Failure> {
    let unreadable = |why: String| {
        Failure::new(
            Kind::Usage,
            "K0802",
            format!("cannot read the plan `{}`: {why}", path.display()),
        )
        .hint("`kakehi plan -o FILE` writes one")
    };
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let plan: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    let id = plan.get("plan").and_then(serde_json::Value::as_str);
    id.map(|id| PlanId(id.to_owned())).ok_or_else(|| unreadable("it has no plan id".into()))
}
