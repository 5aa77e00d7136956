//! `kakehi rules impact`.

use std::io::{BufWriter, Result as Written, Write};
use std::path::Path;

use serde_json::Value as Json;

use super::named;
use crate::authoring::impact::impact;
use crate::cli::render::json::{list, text};
use crate::cli::{Error, Outcome};
use crate::service::world;

#[derive(clap::Args)]
pub struct Impact {
    /// A rule of the installation
    rule: String,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Impact {
    pub fn execute(self, config: &Path) -> Outcome {
        let world = world::load_to_look(config)?;
        let rules = &world.generation.rules;
        let meant = named(&self.rule, rules)?;
        let told = impact(&*world.read_only()?, rules, &meant)?;
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
    writeln!(out, "{} ({})", text(&told["rule"]), text(&told["direction"]))?;
    for on in list(&told["on"]) {
        writeln!(out, "  on {}, precedence {}", text(&on["connector"]), on["precedence"])?;
    }
    writeln!(out, "  applies to {} objects, made {} links", told["applies_to"], told["links"])?;
    if let Some(only) = told["only_keeper_of"].as_u64().filter(|only| *only > 0) {
        writeln!(out, "  {only} metaverse objects end without it: nothing else keeps them")?;
    }
    for attribute in list(&told["attributes"]) {
        let (name, wins) = (text(&attribute["attribute"]), &attribute["wins"]);
        writeln!(out, "  {name}: wins {wins}, says nothing {}", attribute["silent"])?;
        for loses in list(&attribute["loses_to"]) {
            writeln!(out, "      loses {} to `{}`", loses["count"], text(&loses["rule"]))?;
        }
        for falls in list(&attribute["falls_to"]) {
            let (count, same) = (&falls["count"], &falls["same_value"]);
            match falls["rule"].as_str() {
                Some(rule) => {
                    writeln!(out, "      without it {count} fall to `{rule}`, {same} unchanged")?;
                }
                None => writeln!(out, "      without it {count} have no value")?,
            }
        }
        for reader in list(&attribute["read_by"]) {
            let purpose = match text(&reader["for"]) {
                "reads" => "is read by",
                "scope" => "decides the scope of",
                _ => "joins for",
            };
            let (rule, connector) = (text(&reader["rule"]), text(&reader["connector"]));
            writeln!(out, "      {purpose} `{rule}` ({connector})")?;
        }
    }
    let without = &told["if_disabled"];
    writeln!(
        out,
        "disabled, it would change {} objects and at most {} target objects; exactly: disable it \
         in a copy of the manifest, then `kakehi plan --candidate COPY`",
        without["objects"], without["exports_at_most"]
    )
}
