//! `kakehi expr check`.

use std::collections::BTreeSet;
use std::io::Write;

use kakehi_expr::{Analysis, Reads};
use serde_json::{Value as Json, json};

use super::input::Source;
use super::{INVALID, show};
use crate::cli::{Error, Outcome};

/// Exit codes: 0 it is an expression; 78 it is none, or it has a value for no object.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  kakehi expr check 'IIF(IsPresent([mail]), LCase([mail]), NULL)'
  kakehi expr check @cloud-filtered.txt --json")]
pub struct Check {
    /// The expression; `@FILE` reads it from a file, `-` from standard input
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    expression: String,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn execute(self) -> Outcome {
        judge(&self.expression, self.json, false)
    }
}

/// Prints all that is wrong with an expression, with warnings if they are asked for.
pub fn judge(argument: &str, as_json: bool, with_warnings: bool) -> Outcome {
    let source = Source::read(argument)?;
    let Analysis { expression, errors, mut warnings } = Analysis::of(&source.text);
    if !with_warnings {
        warnings.clear();
    }
    let mut out = anstream::stdout().lock();
    for error in &errors {
        anstream::eprintln!("{}", show::error_text(&source, error));
    }
    for warning in &warnings {
        anstream::eprintln!("{}", show::warning_text(&source, warning));
    }
    let reads = expression.as_ref().map(kakehi_expr::Expression::reads);
    let written = if as_json {
        let mut body = json!({
            "valid": errors.is_empty(),
            "errors": errors.iter().map(show::error_json).collect::<Vec<_>>(),
            "reads": reads.map(reads_json),
        });
        if with_warnings {
            body["warnings"] = warnings.iter().map(show::warning_json).collect();
        }
        writeln!(out, "{body:#}")
    } else {
        match reads {
            Some(reads) if errors.is_empty() => writeln!(out, "ok: {}", reads_text(reads)),
            _ => Ok(()),
        }
    };
    written.map_err(Error::Output)?;
    Ok(if errors.is_empty() { 0 } else { INVALID })
}

fn reads_json(reads: &Reads) -> Json {
    json!({
        "attributes": reads.attributes,
        "imported": reads.imported,
        "parameters": reads.parameters,
        "volatile": reads.volatile,
    })
}

fn reads_text(reads: &Reads) -> String {
    let list = |open: &str, names: &BTreeSet<String>, close: &str| {
        names.iter().map(|name| format!("{open}{name}{close}")).collect::<Vec<_>>()
    };
    let mut all = list("[", &reads.attributes, "]");
    all.extend(list("ImportedValue(\"", &reads.imported, "\")"));
    all.extend(list("%", &reads.parameters, "%"));
    if reads.volatile {
        all.push("Now()".to_owned());
    }
    if all.is_empty() { "reads nothing".to_owned() } else { format!("reads {}", all.join(", ")) }
}
