//! What a rule costs (G-20): a rule with its cases flows in; fuel, time, memory, output, the start
//! of an instance and compiling flow out.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use kakehi_host::{HostError, Measured};
use serde_json::{Value as Json, json};

use super::test::Wanted;
use super::{Setting, words};
use crate::config::finding::Finding;
use crate::manifest::cases::Case;
use crate::manifest::generation::alone::{Book, Ready};

/// Calls before any is counted: caches are warm, runtimes have grown.
const WARM_UP: usize = 256;
/// Calls of which the figures are: the 99th percentile leaves ten of them above it.
const CALLS: usize = 1_000;
/// Calls of one instance, as in the service by default.
const CALLS_PER_INSTANCE: usize = 256;
/// Instances whose start is measured.
const STARTS: usize = 20;
/// Characters of a case's name that a line has room for.
const NAME_CHARS_MAX: usize = 32;

/// What one rule costs.
#[derive(Debug)]
pub struct Bench {
    pub name: String,
    pub module: String,
    pub sha256: String,
    /// Packing and compiling, without a cache.
    pub compile: Duration,
    pub code_bytes: usize,
    /// Loading the same code from a cache, `describe` included.
    pub from_cache: Duration,
    /// An instance and its `describe`: the median.
    pub start: Duration,
    pub cases: Vec<Cost>,
}

/// What one case costs.
#[derive(Debug)]
pub struct Cost {
    pub name: String,
    /// On the metered engine, which is slower; all else on the plain one.
    pub fuel: Option<u64>,
    pub p50: Duration,
    pub p99: Duration,
    pub memory_bytes: usize,
    pub output_bytes: Option<usize>,
}

/// Measures one rule. Gives nothing where it cannot be loaded, which the findings tell.
pub fn bench(
    book: &mut Book,
    index: usize,
    setting: &Setting,
    wanted: Wanted<'_>,
) -> Result<(Option<Bench>, Vec<Finding>), HostError> {
    let cold = Setting { cache: None, ..setting.clone() };
    let host = cold.host(None)?;
    let (ready, findings) = book.load(index, &host, &setting.admission, setting.limits);
    let Some(plain) = ready else { return Ok((None, findings)) };
    let from_cache = from_cache(book, index, setting)?;
    let metered_host = cold.host(None)?;
    let (metered, _) = book.load(index, &metered_host, &setting.admission, setting.metered());
    let sheet = &book.sheets[index];
    let cases = sheet.cases().iter().enumerate();
    let cases = cases.filter(|(index, case)| wanted.holds(*index, case));
    let cases = cases.map(|(_, case)| cost(case, &plain, metered.as_ref())).collect();
    let bench = Bench {
        name: sheet.name().to_owned(),
        module: sheet.module().to_string(),
        sha256: plain.module.sha256.clone(),
        compile: plain.module.compile_time().unwrap_or_default(),
        code_bytes: plain.module.code_bytes(),
        from_cache: from_cache.unwrap_or_default(),
        start: start(&plain, sheet.cases()),
        cases,
    };
    Ok((Some(bench), findings))
}

/// How long a host needs that finds the code in its cache. `None`: the cache cannot be used here.
fn from_cache(
    book: &mut Book,
    index: usize,
    setting: &Setting,
) -> Result<Option<Duration>, HostError> {
    let Ok(folder) = tempfile::tempdir() else { return Ok(None) };
    let setting = Setting { cache: Some(folder.path().to_owned()), ..setting.clone() };
    let mut needed = None;
    for _ in 0..2 {
        // A new host each time: it knows of nothing but the cache.
        let host = setting.host(None)?;
        let begun = Instant::now();
        let (ready, _) = book.load(index, &host, &setting.admission, setting.limits);
        needed = ready.filter(|ready| ready.module.from_cache()).map(|_| begun.elapsed());
    }
    Ok(needed)
}

/// Starts instances by asking the first case, or an object without attributes.
fn start(ready: &Ready, cases: &[Case]) -> Duration {
    let empty = kakehi_engine::flow::RuleInput {
        class: ready.rule.cs_class.as_str(),
        attributes: vec![],
        imported: vec![],
        parameters: vec![],
    };
    let (input, now) = match cases.first() {
        Some(case) => (case.input(&ready.rule.contract), case.now),
        None => (empty, None),
    };
    let mut trial = ready.module.trial(&ready.rule);
    let mut starts = vec![];
    for _ in 0..STARTS {
        trial.renew();
        trial.ask(&ready.rule, &input, now);
        starts.extend(trial.start_time());
    }
    starts.sort_unstable();
    starts.get(starts.len() / 2).copied().unwrap_or_default()
}

fn cost(case: &Case, plain: &Ready, metered: Option<&Ready>) -> Cost {
    let ask = |ready: &Ready, calls: usize, each: &mut dyn FnMut(&Measured)| {
        let input = case.input(&ready.rule.contract);
        let mut trial = ready.module.trial(&ready.rule);
        for call in 0..calls {
            if call % CALLS_PER_INSTANCE == 0 {
                trial.renew();
            }
            each(&trial.ask(&ready.rule, &input, case.now));
        }
    };
    let mut fuel = None;
    if let Some(metered) = metered {
        // The second call of an instance is like all that follow.
        ask(metered, 2, &mut |measured| fuel = measured.fuel);
    }
    ask(plain, WARM_UP, &mut |_| {});
    let (mut times, mut memory_bytes, mut output_bytes) = (Vec::with_capacity(CALLS), 0, None);
    ask(plain, CALLS, &mut |measured| {
        times.push(measured.time);
        memory_bytes = memory_bytes.max(measured.memory_bytes);
        output_bytes = output_bytes.max(measured.output_bytes);
    });
    times.sort_unstable();
    Cost {
        name: case.name.clone(),
        fuel,
        p50: times[CALLS / 2],
        p99: times[CALLS - CALLS / 100],
        memory_bytes,
        output_bytes,
    }
}

// === impl Bench ===

impl Bench {
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}  {} {}", self.name, self.module, words::short(&self.sha256))?;
        let (compile, cached) = (words::time(self.compile), words::time(self.from_cache));
        let code = words::size(self.code_bytes);
        writeln!(out, "  compile   {compile}, {code} of code; {cached} from the cache")?;
        writeln!(out, "  instance  {} to start and describe itself", words::time(self.start))?;
        if self.cases.is_empty() {
            return writeln!(
                out,
                "  no test case to measure: write some under `tests` of the rule"
            );
        }
        writeln!(
            out,
            "  {:<NAME_CHARS_MAX$} {:>11} {:>9} {:>9} {:>10} {:>10}",
            "per object", "fuel", "ns p50", "ns p99", "memory", "output"
        )?;
        for cost in &self.cases {
            let fuel = cost.fuel.map_or_else(|| "-".to_owned(), words::count);
            let output = cost.output_bytes.map_or_else(|| "-".to_owned(), words::size);
            writeln!(
                out,
                "  {:<NAME_CHARS_MAX$} {fuel:>11} {:>9} {:>9} {:>10} {output:>10}",
                words::cut(&cost.name, NAME_CHARS_MAX),
                words::count(nanoseconds(cost.p50)),
                words::count(nanoseconds(cost.p99)),
                words::size(cost.memory_bytes),
            )?;
        }
        Ok(())
    }

    pub fn to_json(&self) -> Json {
        let cost = |cost: &Cost| {
            json!({
                "name": cost.name,
                "fuel": cost.fuel,
                "p50_ns": nanoseconds(cost.p50),
                "p99_ns": nanoseconds(cost.p99),
                "memory_bytes": cost.memory_bytes,
                "output_bytes": cost.output_bytes,
            })
        };
        json!({
            "rule": self.name,
            "module": self.module,
            "sha256": self.sha256,
            "compile_ns": nanoseconds(self.compile),
            "code_bytes": self.code_bytes,
            "from_cache_ns": nanoseconds(self.from_cache),
            "start_ns": nanoseconds(self.start),
            "calls": CALLS,
            "cases": self.cases.iter().map(cost).collect::<Vec<_>>(),
        })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
