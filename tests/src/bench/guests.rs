//! `bench guests`: what rules cost in each language. In: the conformance rule, built by each
//! language's tools. Out: the table of `guest-sdk/README.md`, as Markdown.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use kakehi::scaffold::{LANGUAGES, Language};
use kakehi_host::{Host, Limits, ModuleSpec, Options};

use super::{BenchError, Result};
use crate::guests::cases;
use crate::guests::run::{Cost, Stage};
use crate::guests::{conformance, root};

/// Objects that meet one instance, as in the product.
const BATCH: usize = 256;

/// Instances of which the best counts: the others were disturbed.
const ROUNDS: usize = 7;

/// What a language costs.
struct Line {
    built: Duration,
    module_bytes: usize,
    compiled: Duration,
    object: Cost,
}

pub fn run() -> Result<()> {
    let mut table = String::from(
        "| language | build, s | module, KiB | compile, ms | new instance, us | per object, us \
         | memory, KiB |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for language in LANGUAGES {
        match measure(language)? {
            Some(line) => row(&mut table, language, &line),
            None => eprintln!("skipped: {}: its tools are not installed", language.title),
        }
    }
    print!("{table}");
    Ok(())
}

fn row(table: &mut String, language: &Language, line: &Line) {
    let us = |time: Duration| time.as_nanos() as f64 / 1e3;
    let built = match language.build {
        Some(_) => format!("{:.1}", line.built.as_secs_f64()),
        None => "-".into(),
    };
    writeln!(
        table,
        "| {} | {built} | {:.1} | {:.0} | {:.0} | {:.1} | {} |",
        language.title,
        line.module_bytes as f64 / 1024.0,
        us(line.compiled) / 1e3,
        us(line.object.start),
        us(line.object.call),
        line.object.memory_bytes / 1024,
    )
    .expect("text grows");
}

/// Builds and measures; `None` if the language cannot be built here.
fn measure(language: &'static Language) -> Result<Option<Line>> {
    let (bytes, built, cases) = match language.build {
        Some(_) => {
            let Ok(built) = conformance(language.word).build() else { return Ok(None) };
            (built.bytes, built.took, "tests/guests/cases.yml")
        }
        None => {
            let files = language.template.iter();
            let rule = files.clone().find(|file| file.path == language.module);
            let text = rule.map_or("", |file| file.text);
            (text.as_bytes().to_vec(), Duration::ZERO, "guest-sdk/wat/template/cases.yml")
        }
    };
    let cases = cases::read(
        &std::fs::read_to_string(root().join(cases))
            .map_err(|error| BenchError::io(format!("read `{cases}`"), error))?,
    );
    let compiled = compile(&bytes)?;
    let actor =
        Stage::new().load(&bytes, "{}").map_err(|error| BenchError::answer("the host", error))?;
    // The first case alone: it takes the longest way through the rule.
    let object = actor.cost(&cases[0], ROUNDS, BATCH);
    Ok(Some(Line { built, module_bytes: bytes.len(), compiled, object }))
}

/// Loading without a cache, which is nearly all compiling.
fn compile(bytes: &[u8]) -> Result<Duration> {
    let host = Host::new(Options { workers: 1, ..Options::default() })
        .map_err(|error| BenchError::answer("the host", error))?;
    let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
    let spec = ModuleSpec { name: "bench", bytes, config: "{}", limits, api: None };
    let began = Instant::now();
    host.load(&spec).map_err(|error| BenchError::answer("the host", error))?;
    Ok(began.elapsed())
}
