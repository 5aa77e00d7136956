//! How expressions, values and faults look: as JSON, and for people with the line and a mark below.

use base64::Engine as _;
use kakehi_expr::{Computed, EvalError, ExprError, Position, Val, Warning};
use serde_json::{Value as Json, json};

use super::input::Source;

/// Characters of the line that are shown before and after a mark.
const BEFORE_MAX: usize = 70;
const AFTER_MAX: usize = 30;

/// The code of an expression that is none.
const INVALID: &str = "K0943";
/// The code of an expression that has no value for an object.
const FAILED: &str = "K0944";

/// `{"value": ...}`, with the kind of contribution where no value can say it.
pub fn computed_json(computed: &Computed) -> Json {
    match computed {
        Computed::Null => json!({"value": null}),
        Computed::One(value) => json!({"value": value_json(value)}),
        Computed::Many(values) => {
            json!({"value": values.iter().map(value_json).collect::<Vec<_>>()})
        }
        Computed::AuthoritativeNull => {
            json!({"value": null, "contribution": "authoritative-null"})
        }
        Computed::IgnoreThisFlow => json!({"value": null, "contribution": "ignore-this-flow"}),
    }
}

pub fn value_json(value: &Val) -> Json {
    match value {
        Val::Text(text) => json!(text),
        Val::Number(number) => json!(number),
        Val::Boolean(flag) => json!(flag),
        Val::Binary(bytes) => json!({"binary": base64(bytes)}),
        Val::Reference(text) => json!({"reference": text}),
        Val::Instant(instant) => json!(instant.to_string()),
    }
}

/// Values as the language writes them, several between ` | `.
pub fn computed_text(computed: &Computed) -> String {
    match computed {
        Computed::Null => "NULL".to_owned(),
        Computed::One(value) => value_text(value),
        Computed::Many(values) => values.iter().map(value_text).collect::<Vec<_>>().join(" | "),
        Computed::AuthoritativeNull => "AuthoritativeNull".to_owned(),
        Computed::IgnoreThisFlow => "IgnoreThisFlow".to_owned(),
    }
}

pub fn value_text(value: &Val) -> String {
    match value {
        // Line breaks and other controls would tear a list of values apart.
        Val::Text(text) => quoted(text),
        Val::Number(number) => number.to_string(),
        Val::Boolean(true) => "True".to_owned(),
        Val::Boolean(false) => "False".to_owned(),
        Val::Binary(bytes) => format!("binary {}", base64(bytes)),
        Val::Reference(text) => format!("reference {}", quoted(text)),
        Val::Instant(instant) => instant.to_string(),
    }
}

pub fn error_json(error: &ExprError) -> Json {
    json!({
        "code": INVALID,
        "kind": error.fault.kind(),
        "message": error.fault.to_string(),
        "line": error.position.line,
        "column": error.position.column,
        "hint": error.hint,
    })
}

pub fn warning_json(warning: &Warning) -> Json {
    json!({
        "kind": warning.kind,
        "message": warning.message,
        "line": warning.position.line,
        "column": warning.position.column,
        "hint": warning.hint,
    })
}

pub fn failure_json(error: &EvalError) -> Json {
    json!({
        "code": FAILED,
        "kind": "flow-error",
        "message": error.fault.to_string(),
        "line": error.position.line,
        "column": error.position.column,
    })
}

/// The first of them under `error`, and all if there are several.
pub fn errors_json(errors: &[ExprError]) -> Json {
    let mut body = json!({"error": errors.first().map(error_json)});
    if errors.len() > 1 {
        body["errors"] = errors.iter().map(error_json).collect();
    }
    body
}

pub fn errors_text(source: &Source, errors: &[ExprError]) -> String {
    errors.iter().map(|error| error_text(source, error)).collect::<Vec<_>>().join("\n")
}

pub fn error_text(source: &Source, error: &ExprError) -> String {
    let title = format!("error: {} ({INVALID})", plain(&error.fault.to_string()));
    marked(source, &title, error.position, error.hint.as_deref())
}

pub fn warning_text(source: &Source, warning: &Warning) -> String {
    let title = format!("warning: {} ({})", plain(&warning.message), warning.kind);
    marked(source, &title, warning.position, warning.hint)
}

pub fn failure_text(source: &Source, error: &EvalError) -> String {
    let title = format!("error: {} ({FAILED})", plain(&error.fault.to_string()));
    marked(source, &title, error.position, None)
}

/// What is wrong, where it is, and how to mend it.
fn marked(source: &Source, title: &str, position: Position, hint: Option<&str>) -> String {
    let Position { line, column } = position;
    let place = match &source.file {
        Some(file) => format!("{}:{line}:{column}", file.display()),
        None => format!("{line}:{column}"),
    };
    let mut text = format!("{title}\n  at: {place}");
    let line = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
    if let Some(line) = source.text.split('\n').nth(line) {
        let column = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1);
        let (shown, mark) = cut(line, column);
        text += &format!("\n  | {shown}\n  | {mark}^");
    }
    if let Some(hint) = hint {
        text += &format!("\n  hint: {hint}");
    }
    text
}

/// The part of a line around a column, and blanks as wide as what stands before the column.
fn cut(line: &str, column: usize) -> (String, String) {
    let letters: Vec<char> = line.chars().collect();
    let column = column.min(letters.len());
    let from = column.saturating_sub(BEFORE_MAX);
    let to = letters.len().min(column + AFTER_MAX);
    let clean = |letter: &char| if letter.is_control() { ' ' } else { *letter };
    let wide = |letter: char| matches!(letter, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{ffdc}');
    let mut shown: String = letters[from..to].iter().map(clean).collect();
    let blank = |letter: &char| if wide(*letter) { '\u{3000}' } else { ' ' };
    let mut mark: String = letters[from..column].iter().map(blank).collect();
    if from > 0 {
        shown.insert_str(0, "...");
        mark.insert_str(0, "   ");
    }
    if to < letters.len() {
        shown.push_str("...");
    }
    (shown, mark)
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\"\""),
            control if control.is_control() => quoted.extend(control.escape_default()),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A message that may repeat a value: without what a terminal would obey.
fn plain(message: &str) -> String {
    let clean = |letter: char| match letter {
        control if control.is_control() => control.escape_default().collect::<String>(),
        letter => letter.to_string(),
    };
    message.chars().map(clean).collect()
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use kakehi_expr::Analysis;

    use super::*;

    #[test]
    fn r32_a_fault_is_shown_in_its_line() {
        let text = "IIF(IsPresent([姓]),\n  [姓] & Left([mail], \"x\"), NULL)";
        let source = Source { text: text.to_owned(), file: None };
        let analysis = Analysis::of(text);
        let shown: Vec<String> =
            analysis.errors.iter().map(|error| error_text(&source, error)).collect();
        assert_eq!(
            shown,
            ["error: function `Left` takes a number as argument 2, found `x` (K0943)\n  \
              at: 2:22\n  \
              |   [姓] & Left([mail], \"x\"), NULL)\n  \
              |    \u{3000}                 ^"]
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let line = format!("{}x{}", "a".repeat(200), "b".repeat(200));
        let (shown, mark) = cut(&line, 200);
        assert_eq!(shown.len(), 3 + BEFORE_MAX + AFTER_MAX + 3);
        assert_eq!(shown.chars().nth(mark.chars().count()), Some('x'));
        assert_eq!(cut("a", 5), ("a".to_owned(), " ".to_owned()));
    }

    #[test]
    fn values_cannot_write_to_the_terminal() {
        assert_eq!(value_text(&Val::from("a\u{1b}[2J\n\"")), "\"a\\u{1b}[2J\\n\"\"\"");
        assert_eq!(plain("a\u{1b}b"), "a\\u{1b}b");
    }
}
