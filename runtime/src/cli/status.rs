//! `kakehi status`.

use std::io::Write;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::{Error, Outcome};
use crate::service::failure::Failure;
use crate::service::generations::{Generations, Index};
use crate::service::{RunRecord, Totals, Troubles, staging, world};

#[derive(clap::Args)]
pub struct Status {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub fn execute(self, config: &Path) -> Outcome {
        let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
        let store = world::state_read_only(&config)?;
        let rules = Generations::of(&config.state.path).index()?;
        let (totals, last) = (store.totals()?, store.runs(1)?.into_iter().next());
        let staging = staging::describe(&config, store.staging()?.as_ref());
        let mut out = anstream::stdout().lock();
        let written = if self.json {
            let mut body = to_json(&totals, last.as_ref(), &rules);
            body["staging"] = json!(staging.is_some());
            writeln!(out, "{body:#}")
        } else {
            let mode = staging.iter().try_for_each(|staging| writeln!(out, "{staging}"));
            mode.and_then(|()| text(&totals, last.as_ref(), &rules, &mut out))
        };
        written.map_err(Error::Output)?;
        Ok(0)
    }
}

fn to_json(totals: &Totals, last: Option<&RunRecord>, rules: &Index) -> Json {
    let objects: serde_json::Map<String, Json> = totals
        .objects
        .iter()
        .map(|(name, (all, linked))| (name.to_string(), json!({"objects": all, "linked": linked})))
        .collect();
    json!({
        "connectors": objects,
        "metaverse": totals.metaverse,
        "queued": totals.queued,
        "pending": totals.pending,
        "held": totals.troubles.held,
        "in_doubt": totals.troubles.in_doubt,
        "problems": totals.troubles.problems,
        "generation": rules.active,
        "stand_in": rules.stand_in,
        "last_reload": rules.last_reload,
        "last_run": last.map(|run| json!({
            "id": run.id.0, "verb": run.verb, "status": run.status,
            "started": run.started.rfc3339(),
            "ended": run.ended.rfc3339(),
        })),
    })
}

fn text(
    totals: &Totals,
    last: Option<&RunRecord>,
    rules: &Index,
    out: &mut impl Write,
) -> std::io::Result<()> {
    for (name, (all, linked)) in &totals.objects {
        writeln!(out, "{name:<20} {all:>9} objects, {linked} linked")?;
    }
    writeln!(out, "{:<20} {:>9} objects", "metaverse", totals.metaverse)?;
    let Totals { queued, pending, troubles, .. } = totals;
    let Troubles { held, in_doubt, problems } = troubles;
    writeln!(out, "{queued} queued, {pending} pending, {held} held, {in_doubt} in doubt")?;
    writeln!(out, "{problems} objects with problems")?;
    generation(rules, out)?;
    match last {
        Some(run) => writeln!(
            out,
            "last run {}: {} at {}, {}",
            run.id.0,
            run.verb,
            run.started.rfc3339(),
            run.status
        ),
        None => writeln!(out, "no run yet"),
    }
}

/// Which rules are in force, and why not those on the disk.
fn generation(rules: &Index, out: &mut impl Write) -> std::io::Result<()> {
    let Some(active) = rules.active else { return Ok(()) };
    let since = rules.kept(active).map_or("", |kept| kept.since.as_str());
    writeln!(out, "generation {active} of the rules since {since}")?;
    if let Some(stand_in) = &rules.stand_in {
        writeln!(out, "  it stands in for the files on disk: {}", stand_in.why)?;
    }
    match &rules.last_reload {
        Some(last) if last.outcome != "active" => {
            writeln!(out, "  the reload at {} was {}:", last.at, last.outcome)?;
            last.text.lines().try_for_each(|line| writeln!(out, "    {line}"))
        }
        _ => Ok(()),
    }
}
