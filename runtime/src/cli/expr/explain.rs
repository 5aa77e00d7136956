//! `kakehi expr explain`.

use std::io::{self, Write};

use kakehi_expr::{Explained, Expression, Share};
use serde_json::{Value as Json, json};

use super::input::{Given, Source};
use super::{FAILED, INVALID, show};
use crate::cli::{Error, Outcome};

/// Exit codes as for `eval`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kakehi expr explain 'IIF(IsPresent([mail]) || [sn] = \"x\", [mail], NULL)' --attrs user.json

Each part stands on a line with its value, `*` before those that decided:
  IIF = \"a@example.com\"
    * || = True
        * IsPresent = True
              [mail] = \"a@example.com\"
          = not evaluated
      [mail] = \"a@example.com\"
      NULL not evaluated")]
pub struct Explain {
    /// The expression; `@FILE` reads it from a file, `-` from standard input
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    expression: String,
    #[command(flatten)]
    given: Given,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub fn execute(self) -> Outcome {
        let source = Source::read(&self.expression)?;
        let object = self.given.object(&source)?;
        let mut out = anstream::stdout().lock();
        let expression = match Expression::parse_untyped(&source.text) {
            Ok(expression) => expression.comparing(self.given.compare()),
            Err(errors) => {
                anstream::eprintln!("{}", show::errors_text(&source, &errors));
                if self.json {
                    let body = show::errors_json(&errors);
                    writeln!(out, "{body}").map_err(Error::Output)?;
                }
                return Ok(INVALID);
            }
        };
        let explained = expression.explain(&object);
        let written = match self.json {
            true => writeln!(out, "{:#}", to_json(&explained)),
            false => write(&mut out, &explained, 0),
        };
        written.map_err(Error::Output)?;
        let Share::Failed(error) = &explained.share else { return Ok(0) };
        anstream::eprintln!("{}", show::failure_text(&source, error));
        Ok(FAILED)
    }
}

fn write(out: &mut impl Write, explained: &Explained, depth: usize) -> io::Result<()> {
    let mark = if explained.decides { "* " } else { "  " };
    // The first line has nothing beside it to decide for.
    let indent = if depth == 0 { String::new() } else { "  ".repeat(depth * 2 - 1) + mark };
    let round = match &explained.round {
        Some((name, value)) => format!("{name} is {}: ", show::value_text(value)),
        None => String::new(),
    };
    let share = match &explained.share {
        Share::Value(value) => format!("= {}", show::computed_text(value)),
        Share::Failed(error) => format!("fails: {}", error.fault.to_string().escape_debug()),
        Share::Skipped => "not evaluated".to_owned(),
    };
    writeln!(out, "{indent}{round}{} {share}", explained.text)?;
    for part in &explained.parts {
        write(out, part, depth + 1)?;
    }
    match explained.left_out {
        0 => Ok(()),
        count => writeln!(out, "{}  ... {count} more", "  ".repeat(depth * 2 + 1)),
    }
}

fn to_json(explained: &Explained) -> Json {
    let mut body = json!({
        "text": explained.text,
        "line": explained.position.line,
        "column": explained.position.column,
        "evaluated": explained.share != Share::Skipped,
    });
    match &explained.share {
        Share::Value(value) => {
            if let (Json::Object(body), Json::Object(value)) =
                (&mut body, show::computed_json(value))
            {
                body.extend(value);
            }
        }
        Share::Failed(error) => body["error"] = show::failure_json(error),
        Share::Skipped => {}
    }
    body["decides"] = json!(explained.decides);
    if let Some((name, value)) = &explained.round {
        body["round"] = json!({"variable": name, "value": show::value_json(value)});
    }
    if !explained.parts.is_empty() {
        body["parts"] = explained.parts.iter().map(to_json).collect();
    }
    if explained.left_out > 0 {
        body["left_out"] = json!(explained.left_out);
    }
    body
}
