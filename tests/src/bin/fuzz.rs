//! The fuzzing command: how long and from which seed in, counts out, exit code 1 if a promise was
//! broken.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kakehi_tests::fuzz::{Answers, Expressions, Modules, Report};
use kakehi_tests::guests::target;

/// Hostile answers are a hundred times faster than hostile modules.
const ANSWERS_PER_MODULE: u64 = 50;

const USAGE: &str = "usage: fuzz host|expr [--seconds N] [--seed S]";

/// Expressions between two looks at the clock.
const EXPRESSIONS_PER_ROUND: u64 = 100;

/// What is tried.
enum Verb {
    Host,
    Expr,
}

fn main() -> ExitCode {
    let (verb, seconds, seed) = match arguments(std::env::args().skip(1)) {
        Ok(found) => found,
        Err(message) => {
            eprintln!("error: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Panics are counted, not printed one by one.
    std::panic::set_hook(Box::new(|_| {}));
    let folder = target().join("fuzz");
    let mut report = Report::default();
    if let Err(error) = report.save(&folder) {
        eprintln!("error: cannot use `{}`: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    let wanted = Duration::from_secs(seconds);
    match verb {
        Verb::Host => host(&mut report, &folder, wanted, seed),
        Verb::Expr => expressions(&mut report, wanted, seed),
    }
    println!("seeds from {seed}, {seconds} s\n{report}");
    if let Err(error) = report.save(&folder) {
        eprintln!("error: cannot keep the inputs in `{}`: {error}", folder.display());
    }
    if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn host(report: &mut Report, folder: &Path, wanted: Duration, seed: u64) {
    let (modules, answers) = (Modules::new(), Answers::new());
    let last = folder.join("last-input");
    let (began, mut next) = (Instant::now(), seed);
    while began.elapsed() < wanted {
        report.execute(&modules, next, Some(&last));
        for number in 0..ANSWERS_PER_MODULE {
            report.execute(&answers, next.wrapping_mul(ANSWERS_PER_MODULE) + number, None);
        }
        next += 1;
    }
}

fn expressions(report: &mut Report, wanted: Duration, seed: u64) {
    let target = Expressions::new();
    let (began, mut next) = (Instant::now(), seed);
    while began.elapsed() < wanted {
        for number in 0..EXPRESSIONS_PER_ROUND {
            report.execute(&target, next + number, None);
        }
        next += EXPRESSIONS_PER_ROUND;
    }
}

/// Gives: what is tried, seconds, seed.
fn arguments(mut words: impl Iterator<Item = String>) -> Result<(Verb, u64, u64), String> {
    let verb = match words.next().as_deref() {
        Some("host") => Verb::Host,
        Some("expr") => Verb::Expr,
        other => return Err(format!("unknown target `{}`", other.unwrap_or_default())),
    };
    let (mut seconds, mut seed) = (60, 1);
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{name}` needs a value"))?;
        let number = value.parse().map_err(|_| format!("`{name} {value}` is no number"))?;
        match name.as_str() {
            "--seconds" => seconds = number,
            "--seed" => seed = number,
            _ => return Err(format!("unknown option `{name}`")),
        }
    }
    Ok((verb, seconds, seed))
}
