//! The fuzzing command: how long and from which seed in, counts out, exit code 1 if a promise was
//! broken.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kakehi_tests::fuzz::{Answers, Modules, Report, Target};
use kakehi_tests::guests::target;

/// Hostile answers are a hundred times faster than hostile modules.
const ANSWERS_PER_MODULE: u64 = 50;

const USAGE: &str = "usage: fuzz host [--seconds N] [--seed S]";

fn main() -> ExitCode {
    let (seconds, seed) = match arguments(std::env::args().skip(1)) {
        Ok(found) => found,
        Err(message) => {
            eprintln!("error: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Panics are counted, not printed one by one.
    std::panic::set_hook(Box::new(|_| {}));
    let (modules, answers) = (Modules::new(), Answers::new());
    let folder = target().join("fuzz");
    let mut report = Report::default();
    if let Err(error) = report.save(&folder) {
        eprintln!("error: cannot use `{}`: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    let last = folder.join("last-input");
    let (began, wanted) = (Instant::now(), Duration::from_secs(seconds));
    let mut next = seed;
    while began.elapsed() < wanted {
        report.execute(&modules as &dyn Target, next, Some(&last));
        for number in 0..ANSWERS_PER_MODULE {
            report.execute(&answers, next.wrapping_mul(ANSWERS_PER_MODULE) + number, None);
        }
        next += 1;
    }
    println!("seeds from {seed}, {} s\n{report}", began.elapsed().as_secs());
    if let Err(error) = report.save(&folder) {
        eprintln!("error: cannot keep the inputs in `{}`: {error}", folder.display());
    }
    if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Gives: seconds, seed.
fn arguments(mut words: impl Iterator<Item = String>) -> Result<(u64, u64), String> {
    match words.next().as_deref() {
        Some("host") => {}
        other => return Err(format!("unknown target `{}`", other.unwrap_or_default())),
    }
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
    Ok((seconds, seed))
}
