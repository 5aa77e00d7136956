//! Hostile modules and odd expressions by the thousand (rules.md 15.14, provisioning.md 17.2). In:
//! a seed. Out: what came of each execution, and every one that broke a promise: no panic, no hang,
//! no answer beyond the contract.
//!
//! An execution depends on its seed alone. Modules and texts are mutated with their structure in
//! view, since most flipped bytes end in the first parser; answers are written by a guest that
//! copies raw bytes and points anywhere.

mod answer;
mod corpus;
mod expression;
mod module;
mod mutate;
mod random;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use answer::Answers;
pub use expression::Expressions;
pub use module::Modules;
use random::Random;

/// Longest execution: the limits are far below, so one that takes longer escaped them.
const EXECUTION_TIME_MAX: Duration = Duration::from_secs(30);

/// Something that is given hostile input.
pub trait Target {
    fn name(&self) -> &'static str;

    /// Makes the input of an execution.
    fn input(&self, random: &mut Random) -> Vec<u8>;

    /// Tries it. Gives: what came of it, in a word or two. Errors: the promise that was broken.
    fn execute(&self, input: &[u8]) -> Result<String, String>;
}

/// What came of all executions.
#[derive(Default)]
pub struct Report {
    pub executions: u64,
    /// By target and outcome.
    pub outcomes: BTreeMap<(&'static str, String), u64>,
    pub broken: Vec<Broken>,
}

/// An execution that broke a promise.
pub struct Broken {
    pub target: &'static str,
    pub seed: u64,
    pub what: String,
    pub input: Vec<u8>,
}

// === impl Report ===

impl Report {
    /// Runs one execution and notes what came of it. If it has a file, it holds the input while
    /// that is executed: what ends the process leaves it there.
    pub fn execute(&mut self, target: &dyn Target, seed: u64, file: Option<&PathBuf>) {
        let input = target.input(&mut Random::new(seed));
        if let Some(file) = file {
            // Without the file the run goes on; only its last input would be lost.
            let _ = fs::write(file, &input);
        }
        let began = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| target.execute(&input)));
        let took = began.elapsed();
        let result = match result {
            Ok(Ok(_)) if took > EXECUTION_TIME_MAX => Err(format!("took {took:?}")),
            Ok(result) => result,
            Err(panic) => Err(format!("panicked: {}", words(&*panic))),
        };
        self.executions += 1;
        match result {
            Ok(outcome) => *self.outcomes.entry((target.name(), outcome)).or_default() += 1,
            Err(what) => self.broken.push(Broken { target: target.name(), seed, what, input }),
        }
    }

    /// Keeps the inputs of broken promises in a folder.
    pub fn save(&self, folder: &PathBuf) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for Broken { target, seed, input, .. } in &self.broken {
            fs::write(folder.join(format!("{target}-{seed}")), input)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} executions, {} distinct outcomes, {} broken promises",
            self.executions,
            self.outcomes.len(),
            self.broken.len()
        )?;
        for ((target, outcome), count) in &self.outcomes {
            writeln!(f, "{count:>10} {target}: {outcome}")?;
        }
        for Broken { target, seed, what, input } in &self.broken {
            writeln!(f, "broken: {target}, seed {seed}, {} bytes: {what}", input.len())?;
        }
        Ok(())
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(words), _) => words,
        (None, Some(words)) => words,
        (None, None) => "without a word",
    }
}
