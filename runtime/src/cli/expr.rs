//! `kakehi expr`: the expression language without a rule around it, to try things out and to check
//! what others wrote. It needs no installation.

mod check;
mod eval;
mod explain;
mod input;
mod lint;
mod show;

use crate::cli::Outcome;

/// The exit code of an expression that is none (provisioning.md 14).
const INVALID: u8 = 78;

/// The exit code of an expression that has no value for this object: the object failed.
const FAILED: u8 = 4;

#[derive(clap::Subcommand)]
pub enum Expr {
    /// Compute the value of an expression for one object
    Eval(eval::Eval),
    /// Tell everything that is wrong with an expression, and what it reads
    Check(check::Check),
    /// As `check`, and what is hardly meant so
    Lint(lint::Lint),
    /// Show what each part of an expression came to, and which parts decided
    Explain(explain::Explain),
}

impl Expr {
    pub fn execute(self) -> Outcome {
        match self {
            Self::Eval(verb) => verb.execute(),
            Self::Check(verb) => verb.execute(),
            Self::Lint(verb) => verb.execute(),
            Self::Explain(verb) => verb.execute(),
        }
    }
}
