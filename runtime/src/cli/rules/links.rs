//! `kakehi rules links`.

use std::io::{BufWriter, Result as Written, Write};
use std::path::Path;

use serde_json::Value as Json;

use crate::authoring::links::audit;
use crate::cli::render::json::{list, text};
use crate::cli::{Error, Outcome};
use crate::service::world;

/// Links that are told, unless all are wanted.
const SHOWN_MAX: usize = 200;

#[derive(clap::Args)]
pub struct Links {
    /// Tell every link that would not be made now
    #[arg(long)]
    all: bool,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

impl Links {
    pub fn execute(self, config: &Path) -> Outcome {
        let world = world::load_to_look(config)?;
        let shown = if self.all { usize::MAX } else { SHOWN_MAX };
        let told = audit(&*world.read_only()?, &world.generation.rules, shown)?;
        let mut out = BufWriter::new(anstream::stdout());
        match self.json {
            true => writeln!(out, "{told:#}"),
            false => print(&told, &mut out),
        }
        .and_then(|()| out.flush())
        .map_err(Error::Output)?;
        Ok(0)
    }
}

fn print(told: &Json, out: &mut impl Write) -> Written<()> {
    writeln!(out, "{:>8} {:>8}  origin       rule", "links", "not now")?;
    for rule in list(&told["by_rule"]) {
        // JSON pads nothing.
        let (links, not_now) = (rule["links"].to_string(), rule["not_now"].to_string());
        let (origin, name) = (text(&rule["origin"]), text(&rule["rule"]));
        writeln!(out, "{links:>8} {not_now:>8}  {origin:<12} {name}")?;
    }
    let objects = list(&told["objects"]);
    for one in objects {
        let (connector, class, name) =
            (text(&one["connector"]), text(&one["type"]), text(&one["name"]));
        writeln!(out, "{connector}/{class} {name} = {} {}", one["mv"], text(&one["mv_name"]))?;
        let (origin, rule) = (text(&one["origin"]), text(&one["rule"]));
        writeln!(out, "    {origin} by `{rule}`; {}", text(&one["reason"]))?;
        for pair in list(&one["criteria"]).iter().flat_map(list) {
            let holds = if pair["holds"] == Json::Bool(true) { "holds" } else { "differs" };
            writeln!(out, "      {holds}: {}", text(&pair["text"]))?;
        }
    }
    let not_now = told["not_now"].as_u64().unwrap_or(0);
    match not_now.saturating_sub(objects.len() as u64) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more: `--all` tells them"),
    }
}
