//! `kakehi apply`.

use std::io::Write;
use std::path::{Path, PathBuf};

use kakehi_engine::plan::PlanId;

use crate::cli::{Error, Outcome, render};
use crate::service::control::{self, Request};
use crate::service::failure::{Failure, Kind};
use crate::service::once::Reviewed;
use crate::service::{once, world};

#[derive(clap::Args)]
pub struct Apply {
    /// A plan, as `kakehi plan -o FILE` wrote it
    plan: PathBuf,
    /// So many exports may have come, gone or changed since; what was not reviewed is not sent
    #[arg(long, value_name = "EXPORTS", default_value_t = MAX_DRIFT)]
    max_drift: u64,
    /// Print the run record as JSON
    #[arg(long)]
    json: bool,
}

/// Nothing may have moved (provisioning.md 13).
const MAX_DRIFT: u64 = 0;

impl Apply {
    pub fn execute(self, config: &Path) -> Outcome {
        let reviewed = read(&self.plan, self.max_drift)?;
        let (loaded, _) = crate::config::load(config).map_err(Failure::of_findings)?;
        let in_force = world::load(config);
        let (ruleset, undoes) = (reviewed.ruleset.clone(), reviewed.undoes.is_some());
        let request = Request::from(reviewed);
        if let Some(answer) = control::ask(&loaded.control, &request)? {
            return render::answer(&answer);
        }
        let reviewed = read(&self.plan, self.max_drift)?;
        let world = match in_force {
            Ok(world) if undoes || world.generation.rules.digest.0 == ruleset => world,
            // Made with the files that are held back, which this plan releases.
            other => match world::load_files(config) {
                Ok(world) if world.generation.rules.digest.0 == ruleset => world,
                _ => other?,
            },
        };
        let (run, report) = once::apply(&world, &reviewed)?;
        render::run(run, &report, self.json)?;
        if undoes && !self.json {
            let text = "staging mode is on: nothing else is sent until `kakehi staging off`";
            writeln!(anstream::stdout(), "{text}").map_err(Error::Output)?;
        }
        Ok(report.status.exit_code())
    }
}

fn read(path: &Path, max_drift: u64) -> Result<Reviewed, Failure> {
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
    let (Some(id), Some(ruleset)) = (text("plan"), text("ruleset")) else {
        return Err(unreadable("it is no plan: `plan` or `ruleset` is missing".into()));
    };
    let mark = |export: &serde_json::Value| Some(export.get("mark")?.as_str()?.to_owned());
    let marks: Option<Vec<String>> = match max_drift {
        0 => Some(vec![]),
        _ => plan
            .get("exports")
            .and_then(serde_json::Value::as_array)
            .and_then(|exports| exports.iter().map(mark).collect()),
    };
    let Some(marks) = marks else {
        return Err(unreadable("its exports have no marks to compare others with".into()));
    };
    let (config, undoes) = (text("config").unwrap_or_default(), text("undoes").map(PlanId));
    Ok(Reviewed { plan: PlanId(id), ruleset, config, undoes, max_drift, marks })
}
