//! `kakehi rules bench`.

use std::io::Write as _;
use std::path::Path;

use serde_json::Value as Json;

use super::{Meant, heed, no_host};
use crate::authoring::bench::bench;
use crate::authoring::test::Wanted;
use crate::authoring::{Trouble, bench};
use crate::cli::{Error, Outcome};
use crate::service::failure::Failure;

#[derive(clap::Args)]
pub struct Bench {
    /// A rule of the installation, a file of rules or its folder
    #[arg(value_name = "RULE|FILE|DIR")]
    rules: String,
    /// Only this case: its number, counted from 1, or its name
    #[arg(long, value_name = "N|NAME")]
    case: Option<String>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub fn execute(self, config: &Path) -> Outcome {
        let meant = Meant::new(Some(&self.rules), config)?;
        let opened = meant.selection.open(&meant.manifest);
        let (mut book, findings) = opened.map_err(Failure::of_findings)?;
        heed(findings)?;
        let picked = meant.selection.pick(&book).map_err(Trouble::from)?;
        let wanted = Wanted(self.case.as_deref());
        let sheets: Vec<_> = picked.iter().map(|index| &book.sheets[*index]).collect();
        if let Some(refusal) = wanted.missing(&sheets) {
            return Err(Trouble::from(refusal).into());
        }
        let mut benches: Vec<bench::Bench> = vec![];
        for index in picked {
            let measured = bench(&mut book, index, &meant.setting, wanted);
            let (bench, findings) = measured.map_err(|error| no_host(&error))?;
            heed(findings)?;
            benches.extend(bench);
        }
        let mut out = anstream::stdout().lock();
        match self.json {
            true => {
                let all: Json = benches.iter().map(bench::Bench::to_json).collect();
                writeln!(out, "{all:#}")
            }
            false => benches.iter().try_for_each(|bench| bench.print(&mut out)),
        }
        .map_err(Error::Output)?;
        Ok(0)
    }
}
