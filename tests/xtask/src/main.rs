//! The two commands that do everything on a fresh machine: `cargo demo` and `cargo verify`
//! (aliases in `.cargo/config.toml`). In: one word. Out: progress on the terminal, an exit code.
//!
//! This crate has no dependencies, so that it is built in seconds before anything else exists.

use std::process::ExitCode;

mod demo;
mod failure;
mod guest_tools;
mod packages;
mod python;
mod step;
mod tally;
mod verify;
mod wasm_path;
mod workspace;

/// Exit code of a command line that was not understood (style.md S-10).
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["demo"] => demo::run(),
        ["verify"] => verify::run(),
        _ => {
            eprintln!("error: usage: `cargo demo` or `cargo verify`; neither takes an argument");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
