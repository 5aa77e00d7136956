//! The command line: parse, call, print (service.md 2). Results go to stdout, everything else to
//! stderr.

mod apply;
mod audit;
mod config;
mod demo;
mod explain;
mod expr;
mod import;
mod once;
mod password;
mod plan;
mod render;
mod rules;
mod run;
mod runs;
mod staging;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::service::failure::Failure;

/// Directory sync runtime: LDAP directories in, SCIM services out, rules in WebAssembly between.
#[derive(Parser)]
#[command(name = "kakehi", version, arg_required_else_help = true)]
struct Arguments {
    /// The configuration file
    #[arg(
        long,
        global = true,
        env = "KAKEHI_CONFIG",
        default_value = "/etc/kakehi/config.yml",
        value_name = "FILE"
    )]
    config: PathBuf,

    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show the product in a minute, without any server
    Demo(demo::Demo),
    /// Synchronize continuously, until told to stop
    Run(run::Run),
    /// One cycle: read the sources, apply the rules, deliver
    Once(once::Once),
    /// Show what a cycle would do; write nothing anywhere
    Plan(plan::Plan),
    /// Carry a reviewed plan out, and nothing else
    Apply(apply::Apply),
    /// Tell why an object has the values it has
    Explain(explain::Explain),
    /// What was sent and decided: when, by which rule, by whom
    Audit(audit::Audit),
    /// Staging mode: everything but sending
    #[command(subcommand)]
    Staging(staging::Staging),
    /// Passwords: what waits, keys, agents
    #[command(subcommand)]
    Password(password::Password),
    /// Objects, queues and the last runs
    Status(status::Status),
    /// The configuration
    #[command(subcommand)]
    Config(config::Config),
    /// The synchronization rules
    #[command(subcommand)]
    Rules(rules::Rules),
    /// The expression language of rules: try it out, check what was written
    #[command(subcommand)]
    Expr(expr::Expr),
    /// The runs there were
    #[command(subcommand)]
    Runs(runs::Runs),
    /// Make a manifest of another product's rules
    #[command(subcommand)]
    Import(import::Import),
    /// Give an imported manifest back in the form it came in
    #[command(subcommand)]
    Export(import::Export),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.config;
    let result = match arguments.verb {
        Verb::Demo(verb) => verb.execute(),
        Verb::Run(verb) => verb.execute(&config),
        Verb::Once(verb) => verb.execute(&config),
        Verb::Plan(verb) => verb.execute(&config),
        Verb::Apply(verb) => verb.execute(&config),
        Verb::Explain(verb) => verb.execute(&config),
        Verb::Audit(verb) => verb.execute(&config),
        Verb::Staging(verb) => verb.execute(&config),
        Verb::Password(verb) => verb.execute(&config),
        Verb::Status(verb) => verb.execute(&config),
        Verb::Config(verb) => verb.execute(&config),
        Verb::Rules(verb) => verb.execute(&config),
        Verb::Expr(verb) => verb.execute(),
        Verb::Runs(verb) => verb.execute(&config),
        Verb::Import(verb) => verb.execute(),
        Verb::Export(verb) => verb.execute(),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(Error::Failure(failure)) => {
            anstream::eprintln!("{failure}");
            ExitCode::from(failure.kind.exit_code())
        }
        // Whoever reads our output has seen enough, as `head` does.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Error::Output(error)) => {
            anstream::eprintln!("error: cannot write the result: {error} (K0002)");
            ExitCode::from(1)
        }
    }
}

/// Why a command ended without its result.
enum Error {
    Failure(Box<Failure>),
    /// stdout, or a file that was named for the result.
    Output(std::io::Error),
}

/// The exit code of a command that did its work.
type Outcome = Result<u8, Error>;

impl<E: Into<Failure>> From<E> for Error {
    fn from(error: E) -> Self {
        Self::Failure(Box::new(error.into()))
    }
}
