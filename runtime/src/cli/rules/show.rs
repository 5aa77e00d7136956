//! `kakehi rules show`.

use std::io::{BufWriter, Result as Written, Write};
use std::path::Path;

use kakehi_engine::rule::Rule;
use serde_json::{Value as Json, json};

use super::named;
use crate::authoring::{Setting, show, words};
use crate::cli::render::json::{list, text};
use crate::cli::{Error, Outcome};
use crate::manifest::generation::alone::Book;
use crate::report::words::visible;
use crate::service::failure::Failure;
use crate::service::world;

#[derive(clap::Args)]
pub struct Show {
    /// A rule of the installation
    rule: String,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Show {
    pub fn execute(self, config: &Path) -> Outcome {
        let world = world::load_to_look(config)?;
        let rules = &world.generation.rules;
        let meant = named(&self.rule, rules)?;
        let meant: Vec<&Rule> = meant.iter().map(|id| rules.rule(*id)).collect();
        // The files of the generation that is in force: they are those that its rules came from.
        let (book, _) = Book::of_manifest(world.files.main()).map_err(Failure::of_findings)?;
        let name = meant.first().map(|rule| rule.name.clone()).unwrap_or_default();
        let sheet = book.sheets.iter().find(|sheet| sheet.name() == name);
        let setting = Setting::of(&world.config.rules).map_err(Failure::of_findings)?;
        let mut told = show::written(&meant, sheet, setting.limits);
        let store = world.read_only()?;
        let mut on = vec![];
        for rule in &meant {
            on.push(show::now(&*store, rules, rule)?);
        }
        told["on"] = json!(on);
        told["problems"] = show::problems(&*store, &store.problems()?, &meant)?;
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
    writeln!(out, "{}  {}", text(&told["name"]), text(&told["place"]))?;
    if !text(&told["description"]).is_empty() {
        writeln!(out, "  {}", visible(text(&told["description"])))?;
    }
    let (direction, link) = (text(&told["direction"]), text(&told["link"]));
    writeln!(out, "  {direction}, {} -> {}, {link}", text(&told["from"]), text(&told["to"]))?;
    for on in list(&told["on"]) {
        let objects = &on["objects"];
        writeln!(
            out,
            "  on {}: precedence {}; {} of {} objects in scope, applies to {}, made {} links",
            text(&on["connector"]),
            on["precedence"],
            objects["in_scope"],
            objects["of"],
            objects["applies_to"],
            objects["links"]
        )?;
    }
    for (heading, key, between) in [("scope", "scope", "or"), ("join", "join", "else")] {
        for (index, group) in list(&told[key]).iter().enumerate() {
            let heading = if index == 0 { heading } else { between };
            writeln!(out, "  {heading:<9} {}", text(group))?;
        }
    }
    writeln!(out, "  {:<9} {}", "leaving", text(&told["on_scope_exit"]))?;
    if let Some(on_delete) = told["on_delete"].as_str() {
        writeln!(out, "  {:<9} {on_delete}", "on delete")?;
    }
    let digest = words::short(text(&told["module_sha256"]));
    writeln!(out, "  {:<9} {} {digest}", "module", text(&told["module"]))?;
    for (heading, key) in [("reads", "reads"), ("imported", "reads_imported")] {
        let names: Vec<String> =
            list(&told[key]).iter().map(|name| text(name).to_owned()).collect();
        if !names.is_empty() {
            writeln!(out, "{}", words::listed(heading, &names))?;
        }
    }
    let writes: Vec<String> = list(&told["writes"]).iter().map(write).collect();
    writeln!(out, "{}", words::listed("writes", &writes))?;
    if let Json::Object(limits) = &told["limits"] {
        let limits: Vec<String> =
            limits.iter().map(|(name, value)| format!("{name} {value}")).collect();
        writeln!(out, "{}", words::listed("limits", &limits))?;
    }
    writeln!(out, "  {:<9} {}", "tests", told["tests"])?;
    for flow in list(&told["flows"]) {
        writeln!(out, "    {:<30} <- {}", text(&flow["to"]), text(&flow["is"]))?;
    }
    if let config @ Json::Object(_) = &told["config"] {
        writeln!(out, "  {:<9} {config}", "config")?;
    }
    let problems = &told["problems"];
    writeln!(out, "  {:<9} {}", "problems", problems["count"])?;
    for one in list(&problems["some"]) {
        let (kind, object) = (text(&one["kind"]), visible(text(&one["object"])));
        writeln!(out, "    {kind} {object}: {}", visible(text(&one["message"])))?;
    }
    Ok(())
}

fn write(write: &Json) -> String {
    let mut told = text(&write["attribute"]).to_owned();
    if text(&write["merge"]) != "update" {
        told.push_str(&format!(" ({})", text(&write["merge"])));
    }
    if write["apply_once"] == Json::Bool(true) {
        told.push_str(" (only once)");
    }
    if write["enabled"] == Json::Bool(false) {
        told.push_str(" (turned off)");
    }
    told
}
