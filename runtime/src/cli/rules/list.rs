//! `kakehi rules list`.

use std::io::Write as _;
use std::path::Path;

use crate::authoring::Setting;
use crate::authoring::list::Listing;
use crate::cli::{Error, Outcome};
use crate::manifest::generation::alone::Book;
use crate::service::failure::Failure;
use crate::service::world;

#[derive(clap::Args)]
pub struct List {
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub fn execute(self, config: &Path) -> Outcome {
        let world = world::load(config)?;
        let (mut book, _) = Book::alone(&world.config.manifest).map_err(Failure::of_findings)?;
        // Without any run there is no state to read, which is no fault here.
        let problems = world.read_only().ok().and_then(|store| store.problems().ok());
        let limits = Setting::of(&world.config.rules).map_err(Failure::of_findings)?.limits;
        let rules = &world.generation.rules;
        let listing = Listing::new(rules, &mut book, limits, problems.as_deref());
        let mut out = anstream::stdout().lock();
        match self.json {
            true => writeln!(out, "{:#}", listing.to_json()),
            false => listing.print(&mut out),
        }
        .map_err(Error::Output)?;
        Ok(0)
    }
}
