//! `kakehi expr lint`.

use super::check::judge;
use crate::cli::Outcome;

/// Exit codes: 0 it is an expression, with warnings or without; 78 it is none.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kakehi expr lint '2+3*5'
  kakehi expr lint 'FormatDateTime(DateFromNum([accountExpires]), \"d.M.yyyy\")' --json")]
pub struct Lint {
    /// The expression; `@FILE` reads it from a file, `-` from standard input
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    expression: String,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Lint {
    pub fn execute(self) -> Outcome {
        judge(&self.expression, self.json, true)
    }
}
