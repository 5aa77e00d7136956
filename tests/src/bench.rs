//! Measuring the product (performance.md 9). In: a command line. Out: figures on stdout, what is
//! said about them on stderr, exit code 1 if a count was wrong. Timing never decides.

use std::fmt;
use std::io::{self, BufWriter};
use std::process::ExitCode;

mod arguments;
mod change;
mod end_to_end;
mod generate;
mod guests;
mod machine;
mod measure;
mod passwords;
mod product;
mod reader;
mod report;
mod rules;
mod sink;
mod slapd;
mod wire;

use arguments::Command;

/// Exit code of a command line that was not understood (style.md S-10).
const EXIT_USAGE: u8 = 2;

const USAGE: &str = "\
usage: bench gen  [--users N] [--groups N] [--big-group N] [--seed S]
       bench e2e  [--users N] [--groups N] [--rounds R] [--kakehi PATH]
       bench change [--users N] [--big-group N] [--kakehi PATH]
       bench read --url URL --base DN --filter ATTRIBUTE=VALUE [--attributes A,B]
       bench sink
       bench guests
       bench passwords [--count N] [--concurrency N] [--kakehi PATH]
       bench rules [--objects N] [--rounds R] [--way native|host|Lua|rhai]";

/// Carries one command line out.
pub fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let command = match arguments::parse(arguments) {
        Ok(command) => command,
        Err(message) => {
            eprintln!("error: {message}\n{USAGE}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let outcome = match command {
        Command::Generate(shape) => print_directory(shape),
        Command::EndToEnd(wanted) => end_to_end::run(&wanted),
        Command::Change(wanted) => change::run(&wanted),
        Command::Read(request) => reader::run(&request),
        Command::Sink => sink::run(),
        Command::Guests => guests::run(),
        Command::Passwords(wanted) => passwords::run(&wanted),
        Command::Rules(wanted) => rules::run(&wanted),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_directory(shape: generate::Shape) -> Result<()> {
    let digest = generate::write(shape, BufWriter::new(io::stdout().lock()))
        .map_err(|error| BenchError::io("write the directory", error))?;
    eprintln!("sha256 {digest}");
    Ok(())
}

type Result<T> = std::result::Result<T, BenchError>;

/// Why a measurement could not be made, or must not be believed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("cannot {doing}: {source}")]
    Io { doing: String, source: io::Error },
    #[error("`{program}` ended with {status}: {said}")]
    Ended { program: String, status: String, said: String },
    #[error("{who} did not answer as expected: {what}")]
    Answer { who: &'static str, what: String },
    /// The figures are of no use: the work was not done, or more was done than asked for.
    #[error("wrong counts: {}", .0.join("; "))]
    Counts(Vec<String>),
}

impl BenchError {
    fn io(doing: impl fmt::Display, source: io::Error) -> Self {
        BenchError::Io { doing: doing.to_string(), source }
    }

    fn answer(who: &'static str, what: impl fmt::Display) -> Self {
        BenchError::Answer { who, what: what.to_string() }
    }
}
