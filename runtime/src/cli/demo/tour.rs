//! The tour: a first synchronization, some changes, why a person looks as they do.

use std::io::{Result as Written, Write};
use std::path::Path;

use crate::cli::demo::files;
use crate::cli::{Error, render};
use crate::service::Clock as _;
use crate::service::PollMode;
use crate::service::Receiver;
use crate::service::clock::SystemClock;
use crate::service::explain;
use crate::service::explain::InForce;
use crate::service::{once, world};

/// Whom the tour asks about in the end.
const SOMEBODY: &str = "taro.yamada@a.example";

/// Writes the files, starts the service and shows everything. `keep`: the folder stays.
pub fn run(folder: &Path, keep: bool) -> Result<(), Error> {
    let service = Receiver::start(files::TOKEN).map_err(Error::Output)?;
    files::write(folder, &service.base_url()).map_err(Error::Output)?;
    let tour = Tour { folder, service };
    tour.first()?;
    tour.changes()?;
    tour.explain()?;
    tour.end(keep)
}

/// Starts the service of a kept demo again and waits until it is not needed any more.
pub fn serve(folder: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(files::service_state(folder)).map_err(Error::Output)?;
    let held =
        serde_json::from_str(&text).map_err(|error| Error::Output(std::io::Error::other(error)))?;
    let service = Receiver::resume(files::TOKEN, &held).map_err(Error::Output)?;
    let config = files::config(folder);
    let text = std::fs::read_to_string(&config).map_err(Error::Output)?;
    let lines: Vec<String> = text
        .lines()
        .map(|line| match line.split_once("base_url:") {
            Some((indent, _)) => format!("{indent}base_url: {}", service.base_url()),
            None => line.to_owned(),
        })
        .collect();
    files::put(&config, &(lines.join("\n") + "\n")).map_err(Error::Output)?;
    let mut out = anstream::stdout();
    let config = config.display();
    writeln!(out, "the service answers at {}; end it with ctrl-c", service.base_url())
        .and_then(|()| writeln!(out, "edit {}/directory/forest-a.ldif, then", folder.display()))
        .and_then(|()| writeln!(out, "  kakehi --config {config} plan"))
        .and_then(|()| writeln!(out, "  kakehi --config {config} once"))
        .map_err(Error::Output)?;
    once::until_interrupted()?;
    std::fs::write(files::service_state(folder), service.state().to_string()).map_err(Error::Output)
}

struct Tour<'a> {
    folder: &'a Path,
    service: Receiver,
}

// === impl Tour ===

impl Tour<'_> {
    fn first(&self) -> Result<(), Error> {
        heading(
            "Two forests, never synchronized. What would happen? (kakehi plan)",
            "accounts in forest-a, their mailboxes in forest-r; system accounts stay out",
        )?;
        self.plan()?;
        heading("Now for real. (kakehi once)", "")?;
        self.once()?;
        heading("Again: there is nothing to do.", "")?;
        self.once()
    }

    fn changes(&self) -> Result<(), Error> {
        self.edit().map_err(Error::Output)?;
        heading(
            "Monday morning: some changes, and a changed rule.",
            "hanako.suzuki marries and is renamed; john.miller is disabled; ana.souza is deleted;\n\
             emily.clark joins the sales group; the rule in Rust now puts family names first",
        )?;
        self.plan()?;
        heading("Only the differences are sent.", "")?;
        let before = self.service.requests().len();
        self.once()?;
        let mut out = anstream::stdout().lock();
        for request in &self.service.requests()[before..] {
            if request.method != "GET" {
                let body = String::from_utf8_lossy(&request.body);
                writeln!(out, "  {} {} {body}", request.method, request.path)
                    .map_err(Error::Output)?;
            }
        }
        Ok(())
    }

    fn edit(&self) -> Written<()> {
        let forest = self.folder.join("directory/forest-a.ldif");
        let manifest = self.folder.join("manifest.yml");
        files::edit(
            &forest,
            "userPrincipalName: hanako.suzuki@",
            "userPrincipalName: hanako.sato@",
        )?;
        let john = "userPrincipalName: john.miller@a.example\nuserAccountControl: ";
        files::edit(&forest, &format!("{john}512"), &format!("{john}514"))?;
        files::remove_record(&forest, "sAMAccountName: ana.souza")?;
        let sales = "description: Sales department\n";
        let emily = "member: CN=Emily Clark,OU=People,DC=a,DC=example\n";
        files::edit(&forest, sales, &format!("{sales}{emily}"))?;
        files::edit(&manifest, "{order: auto}", "{order: family-first}")
    }

    fn explain(&self) -> Result<(), Error> {
        heading(
            &format!("Why does {SOMEBODY} look like this? (kakehi explain)"),
            "every value: its rule, the module that computed it, its source, and who lost",
        )?;
        let world = world::load(&files::config(self.folder))?;
        let store = world.read_only()?;
        let found = store.explain(SOMEBODY)?;
        let now = SystemClock.now();
        let modules = world.generation.modules.at(now);
        let in_force = InForce { rules: &world.generation.rules, modules: &modules, now };
        let mut out = anstream::stdout().lock();
        for story in explain::stories(&*store, &found, in_force)? {
            render::story(&story, false, &mut out).map_err(Error::Output)?;
        }
        Ok(())
    }

    fn end(self, keep: bool) -> Result<(), Error> {
        if !keep {
            return heading("Play on: kakehi demo --keep DIR", "");
        }
        let state = self.service.state().to_string();
        std::fs::write(files::service_state(self.folder), state).map_err(Error::Output)?;
        heading(
            &format!("Everything is in {}.", self.folder.display()),
            &format!("play on with: kakehi demo --keep {}", self.folder.display()),
        )
    }

    fn plan(&self) -> Result<(), Error> {
        let planned = once::plan(&world::load(&files::config(self.folder))?, PollMode::Delta)?;
        render::Report::new(&planned)?.text(&mut anstream::stdout().lock())
    }

    fn once(&self) -> Result<(), Error> {
        let world = world::load(&files::config(self.folder))?;
        let (run, report) = once::once(&world, PollMode::Delta)?;
        render::run(run, &report, false)
    }
}

fn heading(text: &str, more: &str) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "\n== {text}").map_err(Error::Output)?;
    for line in more.lines() {
        writeln!(out, "   {line}").map_err(Error::Output)?;
    }
    writeln!(out).map_err(Error::Output)
}
