//! `kakehi plan`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::cli::explain::{nothing, several};
use crate::cli::{Error, Outcome, render};
use crate::report::read;
use crate::report::tally::Tally;
use crate::service::clock::SystemClock;
use crate::service::explain::InForce;
use crate::service::failure::{Failure, Kind};
use crate::service::world::World;
use crate::service::{Clock as _, PollMode, Status, explain, once, preview, world};

/// Differences were found (terraform's 2 is taken by clap).
const CHANGES_EXIT_CODE: u8 = 3;

/// Names that are offered where nothing was found.
const NEAR_SHOWN_MAX: usize = 5;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Plan {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Read everything anew, not only what changed
    #[arg(long, conflicts_with = "object")]
    full: bool,
    /// Only one object, step by step, from what was read last: a DN, an id, a login name, a mail
    /// address
    #[arg(long, value_name = "KEY", conflicts_with_all = ["output", "html"])]
    object: Option<String>,
    /// Write the plan to a file, for `kakehi apply`
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the plan as a page that needs nothing else, to be read and kept
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Every object in the page, not only some of each kind
    #[arg(long, requires = "html")]
    all: bool,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
    /// With the rules of another manifest; without PATH, with those that lie on the disk, also
    /// while an earlier generation stands in for them
    #[arg(long, value_name = "PATH")]
    candidate: Option<Option<PathBuf>>,
    /// Exit with 3 if there is something to change
    #[arg(long)]
    detailed_exitcode: bool,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show a plan that was saved with `-o`
    Show(Show),
}

#[derive(clap::Args)]
struct Show {
    /// A plan, as `kakehi plan -o FILE` wrote it
    plan: PathBuf,
    /// Write it as a page instead
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Every object in the page, not only some of each kind
    #[arg(long, requires = "html")]
    all: bool,
}

// === impl Plan ===

impl Plan {
    pub fn execute(self, config: &Path) -> Outcome {
        if let Some(Verb::Show(show)) = &self.verb {
            return show.execute();
        }
        let world = self.world(config)?;
        if let Some(key) = &self.object {
            return self.preview(key, &world);
        }
        let mode = if self.full { PollMode::Full } else { PollMode::Delta };
        let planned = once::plan(&world, mode)?;
        let report = render::Report::new(&planned)?;
        if let Some(path) = &self.output {
            to_file(path, |file| report.json(file))?;
        }
        if let Some(path) = &self.html {
            to_file(path, |file| report.html(self.all, file))?;
        }
        let mut out = BufWriter::new(anstream::stdout());
        if self.json {
            report.json(&mut out)?;
        } else {
            report.text(&mut out)?;
        }
        out.flush().map_err(Error::Output)?;
        Ok(self.exit_code(&planned))
    }

    fn world(&self, config: &Path) -> Result<World, Failure> {
        match (&self.candidate, &self.object) {
            (Some(Some(path)), _) => world::load_manifest(config, path),
            (Some(None), _) => world::load_files(config),
            (None, Some(_)) => world::load_to_look(config),
            (None, None) => world::load(config),
        }
    }

    /// A plan that a limit would stop is a plan all the same: it is there to be reviewed. What
    /// could not be read makes it incomplete, and that is told.
    fn exit_code(&self, planned: &once::Planned) -> u8 {
        match planned.report.status {
            Status::Unavailable | Status::Refused => planned.report.status.exit_code(),
            Status::RuleBroken | Status::ErrorLimit => planned.report.status.exit_code(),
            _ if self.detailed_exitcode && planned.plan.exports() > 0 => CHANGES_EXIT_CODE,
            _ => 0,
        }
    }

    fn preview(&self, key: &str, world: &World) -> Outcome {
        let store = world.read_only()?;
        let mut found = store.explain(key)?;
        if found.len() > 1 {
            return Err(several(key, &found.iter().map(explain::hit).collect::<Vec<_>>()).into());
        }
        let Some(found) = found.pop() else {
            return Err(nothing(key, &store.nearest(key, NEAR_SHOWN_MAX)?).into());
        };
        let mut notes = vec!["made of what was read last; nothing was asked or written".to_owned()];
        if self.candidate.is_some() {
            let text = "with the candidate's rules; all other objects are as the rules in force \
                        left them";
            notes.push(text.to_owned());
        }
        let rules = &world.generation.rules;
        let asks = rules.rules.iter().any(|rule| rule.scope.member_groups().next().is_some());
        if asks && self.candidate.is_some() {
            let text = "of ISMEMBEROF only those groups are known that the rules in force ask for";
            notes.push(text.to_owned());
        }
        let now = SystemClock.now();
        let modules = world.generation.modules.at(now);
        let in_force = InForce { rules, modules: &modules, now };
        let told = preview::preview(&*store, found, in_force, &notes)?;
        let mut out = BufWriter::new(anstream::stdout());
        match self.json {
            true => writeln!(out, "{told:#}"),
            false => render::preview(&told, &mut out),
        }
        .and_then(|()| out.flush())
        .map_err(Error::Output)?;
        Ok(0)
    }
}

// === impl Show ===

impl Show {
    fn execute(&self) -> Outcome {
        let unreadable = |why: &dyn std::fmt::Display| {
            let message = format!("cannot read the plan `{}`: {why}", self.plan.display());
            Failure::new(Kind::Usage, "K0983", message).hint("`kakehi plan -o FILE` writes one")
        };
        let file = File::open(&self.plan).map_err(|error| unreadable(&error))?;
        let mut out = BufWriter::new(anstream::stdout());
        let (mut tally, mut written) = (Tally::new(self.all), Ok(()));
        let document = read::plan(std::io::BufReader::new(file), &mut |export| {
            if self.html.is_some() {
                tally.take(export);
            } else if written.is_ok() {
                written = render::export_text(export, &mut out);
            }
        })
        .map_err(|error| unreadable(&error))?;
        written.map_err(Error::Output)?;
        match &self.html {
            Some(path) => to_file(path, |file| {
                let page = crate::report::html::page(&document, &tally);
                file.write_all(page.as_bytes()).map_err(Error::Output)
            })?,
            None => render::foot_text(&document, &mut out).map_err(Error::Output)?,
        }
        out.flush().map_err(Error::Output)?;
        Ok(0)
    }
}

/// Writes a file that is wanted as a result.
fn to_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = File::create(path).map_err(|error| {
        let message = format!("cannot write `{}`: {error}", path.display());
        Failure::new(Kind::Usage, "K0984", message).hint("name a file in a folder that exists")
    })?;
    let mut file = BufWriter::new(file);
    write(&mut file)?;
    file.flush().map_err(Error::Output)
}
