//! What came of a benchmark. In: one sample per scenario, participant and round. Out: a table of
//! medians, ratios within the run, goals met or missed, the product's own stages, and JSON.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::generate::Shape;
use super::machine::Machine;
use super::measure::Cost;
use super::sink::Stats;
use super::{BenchError, Result};

/// Goals of the whole way of a change, as ratios inside one run wherever that is possible: absolute
/// times differ by 20 % from run to run.
const INITIAL_TO_REPLICA_MAX: f64 = 2.0;
const UNCHANGED_TO_READER_MAX: f64 = 3.0;
const POLL_MS_MAX: f64 = 5.0;
const ANONYMOUS_MIB_MAX: f64 = 256.0;

const MIB: f64 = 1024.0 * 1024.0;

/// The product's stages, in the order of the flow.
const STAGES: [&str; 4] = ["import", "synchronize", "plan", "deliver"];

/// One measured run of one participant.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    pub scenario: &'static str,
    pub who: &'static str,
    /// From the start of the process to the last request complete at the sink; `None` without one.
    pub at_sink_ms: Option<f64>,
    pub cost: Cost,
    pub source_cpu_ms: f64,
    pub sink_cpu_ms: f64,
    pub sink: Stats,
    /// What the product keeps on disk afterwards.
    pub state_bytes: u64,
    /// What the product printed.
    pub answer: Value,
}

impl Sample {
    /// A participant that asks nothing of the sink.
    pub fn of_peer(
        scenario: &'static str,
        who: &'static str,
        cost: Cost,
        source_cpu_ms: f64,
    ) -> Sample {
        Sample {
            scenario,
            who,
            at_sink_ms: None,
            cost,
            source_cpu_ms,
            sink_cpu_ms: 0.0,
            sink: Stats::default(),
            state_bytes: 0,
            answer: Value::Null,
        }
    }

    /// The time that counts: to the sink where something arrived there, else to the end.
    fn wall_ms(&self) -> f64 {
        self.at_sink_ms.unwrap_or(self.cost.wall_ms)
    }

    /// A figure of one of the product's stages.
    fn stage(&self, stage: &str, figure: &str) -> Option<f64> {
        self.answer["stages"][stage][figure].as_f64()
    }
}

/// One of the aims.
#[derive(Debug, PartialEq, Serialize)]
struct Goal {
    what: &'static str,
    found: f64,
    at_most: f64,
    met: bool,
}

pub struct Report {
    machine: Machine,
    shape: Shape,
    directory_sha256: String,
    samples: Vec<Sample>,
    wrong: Vec<String>,
}

impl Report {
    pub fn new(machine: Machine, shape: Shape, directory_sha256: String) -> Report {
        Report { machine, shape, directory_sha256, samples: Vec::new(), wrong: Vec::new() }
    }

    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Notes a count, which must be exact.
    pub fn count(&mut self, what: &str, found: u64, wanted: u64) {
        if found != wanted {
            self.wrong.push(format!("{what}: {found} instead of {wanted}"));
        }
    }

    /// Errors: a count was wrong, so that the figures are of no use. A missed goal is no error.
    pub fn judge(self) -> Result<()> {
        if self.wrong.is_empty() { Ok(()) } else { Err(BenchError::Counts(self.wrong)) }
    }

    pub fn save(&self, file: &Path) -> io::Result<()> {
        let document = json!({
            "machine": self.machine,
            "directory": {
                "users": self.shape.users,
                "groups": self.shape.groups,
                "seed": self.shape.seed,
                "sha256": self.directory_sha256,
            },
            "samples": self.samples,
            "goals": self.goals(),
            "wrong": self.wrong,
        });
        fs::write(file, format!("{document:#}\n"))
    }

    /// Scenario and participant of every row, as they came first.
    fn rows(&self) -> Vec<(&'static str, &'static str)> {
        let mut rows = Vec::new();
        for sample in &self.samples {
            let row = (sample.scenario, sample.who);
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
        rows.sort_by_key(|(scenario, _)| {
            self.samples.iter().position(|sample| sample.scenario == *scenario)
        });
        rows
    }

    fn figures(
        &self,
        (scenario, who): (&str, &str),
        figure: impl Fn(&Sample) -> Option<f64>,
    ) -> Option<Spread> {
        let samples = self.samples.iter();
        let samples = samples.filter(|sample| sample.scenario == scenario && sample.who == who);
        Spread::of(samples.filter_map(figure).collect())
    }

    fn goals(&self) -> Vec<Goal> {
        let wall = |scenario, who| {
            let spread = self.figures((scenario, who), |sample| Some(sample.wall_ms()));
            spread.map(|spread| spread.median)
        };
        let ratio = |scenario, peer| Some(wall(scenario, "kakehi")? / wall(scenario, peer)?);
        let memory = |scenario| {
            let row = (scenario, "kakehi");
            self.figures(row, |sample| Some(sample.cost.anonymous_bytes_max as f64 / MIB))
        };
        let memory_max = ["initial", "unchanged"].iter().filter_map(|scenario| memory(scenario));
        let memory_max = memory_max.map(|spread| spread.max).reduce(f64::max);
        // Starting a process is no part of a poll: the service polls without.
        let poll = self.figures(("poll", "kakehi"), |sample| sample.stage("import", "wall_ms"));
        let poll = poll.map(|spread| spread.median);
        [
            (
                "initial, times OpenLDAP's replica",
                ratio("initial", "OpenLDAP replica"),
                INITIAL_TO_REPLICA_MAX,
            ),
            (
                "unchanged, times the bare reader",
                ratio("unchanged", "bare reader"),
                UNCHANGED_TO_READER_MAX,
            ),
            ("poll, ms", poll, POLL_MS_MAX),
            ("anonymous memory, MiB", memory_max, ANONYMOUS_MIB_MAX),
        ]
        .into_iter()
        .filter_map(|(what, found, at_most)| {
            let found = found?;
            Some(Goal { what, found, at_most, met: found <= at_most })
        })
        .collect()
    }

    fn write_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10} {:<17} {:>24} {:>9} {:>9} {:>9} {:>9} {:>9} {:>8}",
            "scenario",
            "who",
            "wall s [min-max]",
            "cpu s",
            "slapd s",
            "sink s",
            "anon MiB",
            "users/cpu",
            "requests"
        )?;
        for row in self.rows() {
            let middle = |figure: &dyn Fn(&Sample) -> f64| {
                self.figures(row, |sample| Some(figure(sample))).map_or(0.0, |all| all.median)
            };
            let wall = self.figures(row, |sample| Some(sample.wall_ms() / 1000.0));
            let wall = wall.map_or_else(String::new, |wall| wall.to_string());
            let cpu = middle(&|sample| sample.cost.cpu_ms / 1000.0);
            // What is done with one user, or with none, is not told per user.
            let whole = row.0 == "initial" || row.0 == "unchanged";
            let rate = if whole && cpu > 0.0 {
                format!("{:.0}", self.shape.users as f64 / cpu)
            } else {
                "-".to_owned()
            };
            writeln!(
                f,
                "{:<10} {:<17} {wall:>24} {cpu:>9.2} {:>9.2} {:>9.2} {:>9.1} {rate:>9} {:>8}",
                row.0,
                row.1,
                middle(&|sample| sample.source_cpu_ms / 1000.0),
                middle(&|sample| sample.sink_cpu_ms / 1000.0),
                middle(&|sample| sample.cost.anonymous_bytes_max as f64 / MIB),
                middle(&|sample| sample.sink.requests() as f64),
            )?;
        }
        Ok(())
    }

    fn write_state(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = ("initial", "kakehi");
        let bytes = self.figures(row, |sample| Some(sample.state_bytes as f64));
        match bytes {
            None => Ok(()),
            Some(bytes) => {
                let per_user = bytes.median / self.shape.users as f64;
                writeln!(f, "state on disk: {per_user:.0} bytes per user")
            }
        }
    }

    fn write_stages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (scenario, who) in self.rows() {
            for stage in STAGES {
                let figure = |name: &str| {
                    let row = (scenario, who);
                    self.figures(row, |sample| sample.stage(stage, name)).map(|all| all.median)
                };
                if let Some(wall) = figure("wall_ms") {
                    let cpu = figure("cpu_ms")
                        .map_or_else(String::new, |cpu| format!(", cpu {cpu:.1} ms"));
                    writeln!(f, "stage {scenario}/{stage}: wall {wall:.1} ms{cpu}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = &self.machine;
        writeln!(
            f,
            "{} users, {} groups, directory sha256 {}",
            self.shape.users, self.shape.groups, self.directory_sha256
        )?;
        writeln!(
            f,
            "{} cores of {}, Linux {}, load {}, fdatasync of 4 KiB {} us, slapd {}, {} build",
            machine.cores,
            machine.processor,
            machine.kernel,
            machine.load_average,
            machine.fdatasync_us,
            machine.slapd,
            if machine.optimised { "release" } else { "development" },
        )?;
        self.write_table(f)?;
        self.write_state(f)?;
        self.write_stages(f)?;
        for goal in self.goals() {
            let verdict = if goal.met { "met" } else { "missed" };
            writeln!(
                f,
                "goal {verdict}: {}: {:.2}, at most {}",
                goal.what, goal.found, goal.at_most
            )?;
        }
        self.wrong.iter().try_for_each(|wrong| writeln!(f, "wrong count: {wrong}"))
    }
}

/// Median, smallest and largest of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// `None` without figures. Of an even number, the lower of the two in the middle.
    fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        Some(Spread { median: figures[(figures.len() - 1) / 2], min, max })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} [{:.3}-{:.3}]", self.median, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(samples: &[(&'static str, &'static str, f64)]) -> Report {
        let machine = Machine {
            cores: 2,
            processor: "p".into(),
            kernel: "k".into(),
            load_average: "l".into(),
            fdatasync_us: 1,
            slapd: "s".into(),
            optimised: true,
        };
        let shape = Shape { users: 10, groups: 0, big_group: 0, seed: 1 };
        let mut report = Report::new(machine, shape, "d".into());
        for (scenario, who, wall_ms) in samples {
            let cost = Cost { wall_ms: *wall_ms, ..Cost::default() };
            report.add(Sample::of_peer(scenario, who, cost, 0.0));
        }
        report
    }

    #[test]
    fn a_goal_is_a_ratio_of_medians() {
        let report = report(&[
            ("initial", "kakehi", 900.0),
            ("initial", "kakehi", 150.0),
            ("initial", "kakehi", 100.0),
            ("initial", "OpenLDAP replica", 100.0),
        ]);
        let goals = report.goals();
        assert_eq!(goals[0].found, 1.5);
        assert!(goals[0].met);
        assert!(goals.iter().all(|goal| !goal.what.starts_with("unchanged")));
    }

    #[test]
    fn a_wrong_count_is_an_error_and_a_missed_goal_is_not() {
        let mut slow =
            report(&[("initial", "kakehi", 900.0), ("initial", "OpenLDAP replica", 1.0)]);
        assert!(!slow.goals()[0].met);
        slow.count("creates", 10, 10);
        assert!(slow.judge().is_ok());

        let mut wrong = report(&[]);
        wrong.count("creates", 9, 10);
        let error = wrong.judge().err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("wrong counts: creates: 9 instead of 10"));
    }
}
