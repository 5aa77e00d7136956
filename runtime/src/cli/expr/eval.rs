//! `kakehi expr eval`.

use std::io::Write;

use kakehi_expr::Expression;
use serde_json::json;

use super::input::{Given, Source};
use super::{FAILED, INVALID, show};
use crate::cli::{Error, Outcome};

/// Exit codes: 0 a value, NULL among them; 4 the expression has no value for this object; 78 it is
/// no expression.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kakehi expr eval 'Left(\"John Doe\", 3)'
  kakehi expr eval 'LCase([mail])' --attrs user.json --json
  echo '{\"p\": [\"SMTP:a@x\", \"smtp:b@x\"]}' | kakehi expr eval \
'IIF(InStr([p],\"SMTP:\")=1,NULL,[p])' --attrs -
  kakehi expr eval @cloud-filtered.txt --attrs user.json --param Domain.FQDN=a.example

The value is shown before a flow makes a contribution of it: there \"\" contributes NULL.")]
pub struct Eval {
    /// The expression; `@FILE` reads it from a file, `-` from standard input
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    expression: String,
    #[command(flatten)]
    given: Given,
    /// Print `{"value": ...}` or `{"error": ...}`
    #[arg(long)]
    json: bool,
}

impl Eval {
    pub fn execute(self) -> Outcome {
        let source = Source::read(&self.expression)?;
        let object = self.given.object(&source)?;
        let (text, body, code) = match Expression::parse_untyped(&source.text) {
            Err(errors) => {
                (show::errors_text(&source, &errors), show::errors_json(&errors), INVALID)
            }
            Ok(expression) => match expression.comparing(self.given.compare()).compute(&object) {
                Err(error) => {
                    let text = show::failure_text(&source, &error);
                    (text, json!({"error": show::failure_json(&error)}), FAILED)
                }
                Ok(value) => (show::computed_text(&value), show::computed_json(&value), 0),
            },
        };
        let mut out = anstream::stdout().lock();
        if code != 0 {
            anstream::eprintln!("{text}");
        }
        let written = match (self.json, code) {
            (true, _) => writeln!(out, "{body}"),
            (false, 0) => writeln!(out, "{text}"),
            (false, _) => Ok(()),
        };
        written.map_err(Error::Output)?;
        Ok(code)
    }
}
