//! `bench e2e`: a directory, a target, the product and its peers in one run. In: how much and how
//! often. Out: a table, goals met or missed, figures as JSON; an error if a count was wrong.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use super::arguments::EndToEnd;
use super::generate::{self, Shape};
use super::measure::{self, Cost};
use super::product::{ATTRIBUTES, BASE, CHANGED_ATTRIBUTE, CLASS, Product};
use super::report::{Report, Sample};
use super::sink::{Sink, Stats};
use super::slapd::{ADMIN, PASSWORD, Slapd};
use super::{BenchError, Result, machine};

/// Any seed would do; the same one makes runs comparable.
const SEED: u64 = 42;

/// Runs every round and prints the report.
pub fn run(wanted: &EndToEnd) -> Result<()> {
    let binary = Product::binary(wanted.kakehi.as_deref())?;
    let results = results_folder()?;
    // On the disk of the target folder: a temporary file system would make the product's syncs
    // free.
    let folder = tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(&results)
        .map_err(|error| BenchError::io("make a folder", error))?;
    let machine = machine::look(folder.path())?;
    let shape = Shape { users: wanted.users, groups: wanted.groups, big_group: 0, seed: SEED };
    let (source, digest) = source(folder.path(), shape)?;
    let sink = Sink::start()?;
    let bench = Bench { users: wanted.users as u64, binary, folder: folder.path(), source, sink };
    let mut report = Report::new(machine, shape, digest);
    for round in 0..wanted.rounds {
        eprintln!("round {} of {}", round + 1, wanted.rounds);
        // The order is turned, so that neither side always finds the warmer machine.
        if round % 2 == 0 {
            bench.product(round, &mut report)?;
            bench.peers(round, &mut report)?;
        } else {
            bench.peers(round, &mut report)?;
            bench.product(round, &mut report)?;
        }
    }
    println!("{report}");
    let file = results.join(format!("e2e-{}.json", wanted.users));
    report.save(&file).map_err(|error| BenchError::io("save the figures", error))?;
    println!("figures: {}", file.display());
    report.judge()
}

/// `<target>/bench`, found from this command's own place in the target folder.
pub fn results_folder() -> Result<PathBuf> {
    let broken = |error| BenchError::io("make the folder of results", error);
    let own = std::env::current_exe().map_err(broken)?;
    let target = own.ancestors().nth(2).unwrap_or(Path::new("."));
    let folder = target.join("bench");
    fs::create_dir_all(&folder).map_err(broken)?;
    Ok(folder)
}

/// Writes a directory and serves it. Gives the server and the digest of the directory.
pub fn source(folder: &Path, shape: Shape) -> Result<(Slapd, String)> {
    let path = folder.join("directory.ldif");
    eprintln!("loading {} users and {} groups", shape.users, shape.groups);
    let digest = File::create(&path)
        .and_then(|file| generate::write(shape, std::io::BufWriter::new(file)))
        .map_err(|error| BenchError::io("write the directory", error))?;
    Ok((Slapd::provider(&folder.join("provider"), &path)?, digest))
}

/// What stays through all rounds.
struct Bench<'a> {
    users: u64,
    binary: PathBuf,
    folder: &'a Path,
    source: Slapd,
    sink: Sink,
}

impl Bench<'_> {
    /// The product from an empty state to one change, in the order in which these happen to it.
    fn product(&self, round: usize, report: &mut Report) -> Result<()> {
        self.sink.reset()?;
        let folder = self.folder.join(format!("product-{round}"));
        let product = Product::install(&self.binary, &folder, &self.source, &self.sink)?;
        let users = self.users;

        let seen = self.scenario("initial", &product, false, report)?;
        report.count("initial: creates", seen.creates, users);
        report.count("initial: other writes", seen.writes() - seen.creates, 0);

        let seen = self.scenario("unchanged", &product, true, report)?;
        report.count("unchanged: requests", seen.requests(), 0);

        let seen = self.scenario("poll", &product, false, report)?;
        report.count("poll: requests", seen.requests(), 0);

        let person = generate::user_dn(self.users as usize / 2);
        self.source.replace(&person, CHANGED_ATTRIBUTE, &format!("round {round}"))?;
        let seen = self.scenario("one", &product, false, report)?;
        report.count("one: writes", seen.writes(), 1);
        Ok(())
    }

    /// Runs the product once. Gives what the sink saw of it.
    fn scenario(
        &self,
        name: &'static str,
        product: &Product,
        full: bool,
        report: &mut Report,
    ) -> Result<Stats> {
        let (source_before, sink_before) = self.servers_cpu_ms();
        let before = self.sink.stats()?;
        let began = Instant::now();
        let run = product.once(full)?;
        let after = self.sink.stats()?;
        let seen = after.since(&before);
        let (source_after, sink_after) = self.servers_cpu_ms();
        report.add(Sample {
            scenario: name,
            who: "kakehi",
            at_sink_ms: (seen.requests() > 0)
                .then(|| after.last_complete().duration_since(began).as_secs_f64() * 1000.0),
            cost: run.finished.cost,
            source_cpu_ms: source_after - source_before,
            sink_cpu_ms: sink_after - sink_before,
            sink: seen.clone(),
            state_bytes: product.state_bytes(),
            answer: run.answer,
        });
        Ok(seen)
    }

    /// Who else moves the same entries.
    fn peers(&self, round: usize, report: &mut Report) -> Result<()> {
        self.replica(round, report)?;
        let mut ldapsearch = Command::new("ldapsearch");
        ldapsearch
            .args(["-x", "-LLL", "-E", "pr=1000/noprompt", "-H", &self.source.url()])
            .args(["-D", ADMIN, "-w", PASSWORD, "-b", BASE, &format!("({}={})", CLASS.0, CLASS.1)])
            .args(ATTRIBUTES);
        let text = self.read("ldapsearch", &mut ldapsearch, report)?;
        let entries = text.lines().filter(|line| line.starts_with("dn:")).count() as u64;
        report.count("ldapsearch: entries", entries, self.users);

        let own = std::env::current_exe().map_err(|error| BenchError::io("find itself", error))?;
        let mut reader = Command::new(own);
        reader
            .args(["read", "--url", &self.source.url(), "--base", BASE])
            .args(["--filter", &format!("{}={}", CLASS.0, CLASS.1)])
            .args(["--attributes", &ATTRIBUTES.join(",")]);
        let text = self.read("bare reader", &mut reader, report)?;
        let counted: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        report.count("bare reader: entries", counted["entries"].as_u64().unwrap_or(0), self.users);
        Ok(())
    }

    /// OpenLDAP copying the whole directory to itself.
    fn replica(&self, round: usize, report: &mut Report) -> Result<()> {
        let folder = self.folder.join(format!("replica-{round}"));
        let (before, _) = self.servers_cpu_ms();
        let began = Instant::now();
        let replica = Slapd::replica(&folder, &self.source)?;
        let cost = Cost {
            wall_ms: began.elapsed().as_secs_f64() * 1000.0,
            cpu_ms: measure::cpu_ms(replica.process()),
            anonymous_bytes_max: measure::anonymous_bytes(replica.process()),
        };
        drop(replica);
        let (after, _) = self.servers_cpu_ms();
        report.add(Sample::of_peer("initial", "OpenLDAP replica", cost, after - before));
        fs::remove_dir_all(folder).map_err(|error| BenchError::io("remove a replica", error))
    }

    fn read(
        &self,
        who: &'static str,
        command: &mut Command,
        report: &mut Report,
    ) -> Result<String> {
        let (before, _) = self.servers_cpu_ms();
        let finished = measure::run(command)?.expect_success(who)?;
        let (after, _) = self.servers_cpu_ms();
        report.add(Sample::of_peer("unchanged", who, finished.cost, after - before));
        Ok(finished.stdout)
    }

    fn servers_cpu_ms(&self) -> (f64, f64) {
        (measure::cpu_ms(self.source.process()), measure::cpu_ms(self.sink.process()))
    }
}
