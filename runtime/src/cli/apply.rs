//! `kakehi apply`.

use std::path::{Path, PathBuf};

use kakehi_engine::plan::PlanId;

use crate::cli::{Outcome, render};
use crate::service::control::{self, Request};
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
        let plan = read(&self.plan)?;
        let (loaded, _) = crate::config::load(config).map_err(Failure::of_findings)?;
        let request = Request::Apply { plan: plan.id.0.clone(), ruleset: plan.ruleset.clone() };
        if let Some(answer) = control::ask(&loaded.control, &request)? {
            return render::answer(&answer);
        }
        let in_force = world::load(config);
        let world = match in_force {
            Ok(world) if world.generation.rules.digest.0 == plan.ruleset => world,
            // Made with the files that are held back, which this plan releases.
            other => match world::load_files(config) {
                Ok(world) if world.generation.rules.digest.0 == plan.ruleset => world,
                _ => other?,
            },
        };
        let (run, report) = once::apply(&world, &plan.id)?;
        render::run(run, &report, self.json)?;
        Ok(report.status.exit_code())
    }
}

/// What a file of a plan says of itself.
struct Reviewed {
    id: PlanId,
    ruleset: String,
}

fn read(path: &Path) -> Result<Reviewed, Failure> {
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
    let text = |key: &str| plan.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    match (text("plan"), text("ruleset")) {
        (Some(id), Some(ruleset)) => Ok(Reviewed { id: PlanId(id), ruleset }),
        _ => Err(unreadable("it is no plan: `plan` or `ruleset` is missing".into())),
    }
}
