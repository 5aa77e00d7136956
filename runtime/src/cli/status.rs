//! `kakehi status`.

use std::io::Write;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::cli::{Error, Outcome};
use crate::service::{RunRecord, Totals, Troubles, world};

#[derive(clap::Args)]
pub struct Status {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub fn execute(self, config: &Path) -> Outcome {
        let world = world::load(config)?;
        let store = world.read_only()?;
        let (totals, last) = (store.totals()?, store.runs(1)?.into_iter().next());
        let mut out = anstream::stdout().lock();
        let written = if self.json {
            writeln!(out, "{:#}", to_json(&totals, last.as_ref()))
        } else {
            text(&totals, last.as_ref(), &mut out)
        };
        written.map_err(Error::Output)?;
        Ok(0)
    }
}

fn to_json(totals: &Totals, last: Option<&RunRecord>) -> Json {
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
        "last_run": last.map(|run| json!({
            "id": run.id.0, "verb": run.verb, "status": run.status,
            "started": run.started.rfc3339(),
            "ended": run.ended.rfc3339(),
        })),
    })
}

fn text(totals: &Totals, last: Option<&RunRecord>, out: &mut impl Write) -> std::io::Result<()> {
    for (name, (all, linked)) in &totals.objects {
        writeln!(out, "{name:<20} {all:>9} objects, {linked} linked")?;
    }
    writeln!(out, "{:<20} {:>9} objects", "metaverse", totals.metaverse)?;
    let Totals { queued, pending, troubles, .. } = totals;
    let Troubles { held, in_doubt, problems } = troubles;
    writeln!(out, "{queued} queued, {pending} pending, {held} held, {in_doubt} in doubt")?;
    writeln!(out, "{problems} objects with problems")?;
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
