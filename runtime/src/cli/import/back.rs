//! `kakehi export entra`: an imported manifest flows in, the XML of an export flows out.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{files, refusal};
use crate::cli::{Error, Outcome};
use crate::config::yaml;
use crate::manifest::files::Files;
use crate::service::failure::{Failure, Kind};

const NO_NOTES: &str = "K0964";

#[derive(clap::Args)]
pub struct Back {
    /// The folder that `kakehi import entra` made
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The folder of the XML; it must be empty, or not exist yet
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Back {
    pub fn execute(self) -> Outcome {
        files::refuse_full(&self.output)?;
        let notes = self.folder.join("import.json");
        let notes = fs::read_to_string(&notes).map_err(|error| {
            let message = format!("cannot read `{}`: {error}", notes.display());
            Failure::new(Kind::Usage, NO_NOTES, message)
                .hint("name a folder that `kakehi import entra` made")
        })?;
        let fragments = fragments(&self.folder)?;
        let written = kakehi_entra::back(&fragments, &notes)
            .map_err(|faults| refusal("cannot export the rules", &self.folder, faults))?;
        files::write(&self.output, &written.files)?;
        let mut out = anstream::stdout().lock();
        let mut print = || -> std::io::Result<()> {
            let (rules, flows) = (written.files.len(), written.flows);
            if self.json {
                let result = json!({ "rules": rules, "flows": flows, "losses": written.losses });
                return writeln!(out, "{result:#}");
            }
            for loss in &written.losses {
                writeln!(out, "{loss}")?;
            }
            writeln!(out, "written to {}", self.output.display())?;
            writeln!(out, "rules {rules}, flows {flows}")
        };
        print().map_err(Error::Output)?;
        Ok(0)
    }
}

/// The rules of a manifest as they are typed, a list for each file. The manifest must hold by
/// itself, so that nobody exports half of a rule.
fn fragments(folder: &Path) -> Result<Vec<(String, Value)>, Failure> {
    let main = folder.join("manifest.yml");
    crate::manifest::load(&mut Files::of(&main)).map_err(Failure::of_findings)?;
    let manifest = typed(&main)?;
    let mut fragments = vec![];
    for include in manifest.get("include").and_then(Value::as_array).into_iter().flatten() {
        if let Some(include) = include.as_str() {
            let path = folder.join(include);
            fragments.push((path.display().to_string(), typed(&path)?));
        }
    }
    if let Some(own) = manifest.get("rules") {
        fragments.push((main.display().to_string(), json!({ "rules": own })));
    }
    Ok(fragments)
}

/// A file that was loaded before, without what types would make of it.
fn typed(path: &Path) -> Result<Value, Failure> {
    let read = || -> Result<Value, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let mut node = yaml::parse(&text).map_err(|error| error.to_string())?;
        yaml::decode(&mut node).0.ok_or_else(|| "nothing is left of it".to_owned())
    };
    read().map_err(|why| {
        let message = format!("cannot read `{}`: {why}", path.display());
        Failure::new(Kind::Config, NO_NOTES, message).hint("run the command again")
    })
}
