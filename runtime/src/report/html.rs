//! A plan as one HTML file: the document of a plan and the tally of its exports flow in; a page
//! that needs nothing from anywhere flows out (P-20).
//!
//! Everything that comes from data goes through [`Text`]: it is the one place that writes it.

mod changes;
mod destructive;
mod head;
mod tables;

use std::fmt::{self, Write as _};

use base64::Engine as _;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::tally::Tally;
use super::words;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/filter.js");

/// The page. `document`: what `plan --json` gives, its exports aside.
pub fn page(document: &Json, tally: &Tally) -> String {
    let mut page = String::new();
    let done = write_page(document, tally, &mut page);
    done.expect("a text can always grow");
    page
}

fn write_page(document: &Json, tally: &Tally, out: &mut String) -> fmt::Result {
    let plan = text(&document["plan"]);
    let script = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT));
    writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    // No request to anywhere, and no script but ours, whatever a value may hold.
    writeln!(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'sha256-{script}'\">"
    )?;
    writeln!(
        out,
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>Plan {}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>",
        Text(short(plan))
    )?;
    head::write(document, tally, out)?;
    writeln!(out, "<main>")?;
    if !words_of_failure(document) {
        destructive::write(tally, out)?;
        tables::scopes(document, out)?;
        tables::links(document, out)?;
        tables::patterns(tally, out)?;
        tables::problems(document, out)?;
        changes::write(tally, out)?;
        tables::writes(tally, out)?;
    } else {
        tables::problems(document, out)?;
    }
    writeln!(out, "</main>")?;
    head::foot(document, out)?;
    writeln!(out, "<script>{SCRIPT}</script>\n</body>\n</html>")
}

/// Whether the plan was not finished, so that no number of it means anything (P-18).
fn words_of_failure(document: &Json) -> bool {
    document["failed"].is_string()
}

/// A text from data: escaped, and with nothing in it that is not seen.
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if words::is_hidden(c) => {
                    write!(f, "<span class=\"hidden-char\">U+{:04X}</span>", u32::from(c))?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A text from data in which names stand in backticks: they are set apart.
pub struct Coded<'a>(pub &'a str);

impl fmt::Display for Coded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.split('`').collect();
        // An odd one out belongs to a value.
        if parts.len().is_multiple_of(2) {
            return write!(f, "{}", Text(self.0));
        }
        for (index, part) in parts.iter().enumerate() {
            match index.is_multiple_of(2) {
                true => write!(f, "{}", Text(part))?,
                false => write!(f, "<q><bdi>{}</bdi></q>", Text(part))?,
            }
        }
        Ok(())
    }
}

/// `1 object`, `1,204 objects`.
struct Several<'a>(u64, &'a str);

impl fmt::Display for Several<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{s}", Number(self.0), self.1)
    }
}

/// A text from data for an attribute of an element, where no element may stand.
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in words::visible(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A value, with a direction of its own: Hebrew in it turns nothing around it.
struct Value<'a>(&'a Json);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Json::String(text) if text.trim() != text.as_str() || text.is_empty() => {
                write!(f, "<bdi>{}</bdi>", Text(&format!("\"{text}\"")))
            }
            Json::String(text) => write!(f, "<bdi>{}</bdi>", Text(text)),
            other => write!(f, "<code>{}</code>", Text(&words::told(other))),
        }
    }
}

/// Values that are shown of one list; of more only the number.
const VALUES_SHOWN_MAX: usize = 200;

/// Values, separated by commas.
struct Values<'a>(&'a Json);

impl fmt::Display for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = list(self.0);
        for (index, value) in values.iter().take(VALUES_SHOWN_MAX).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}", Value(value))?;
        }
        match values.len().saturating_sub(VALUES_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(f, " <span class=\"dim\">and {} more</span>", Number(more as u64)),
        }
    }
}

/// `1,204`.
struct Number(u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// The beginning of a digest: enough to tell two apart.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or("")
}

/// The line under a list of which only a part is shown.
fn more(number: u64, what: &str, out: &mut String) -> fmt::Result {
    match number {
        0 => Ok(()),
        _ => writeln!(
            out,
            "<p class=\"dim small\">and {} more {what}: <code>--all</code> shows every one</p>",
            Number(number)
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn p20_hostile_values_stay_values() {
        let evil = "\"><script>alert(1)</script><img src=x onerror='y'>&\u{202e}\u{7}";
        let export = json!({
            "connector": evil, "op": "delete", "class": evil, "match": evil, "name": evil,
            "reason": evil, "cause": evil, "rule": evil, "anchor": evil,
            "changes": [{"attribute": evil, "old": [evil], "replace": [evil], "rule": evil,
                         "losers": [{"rule": evil, "values": [evil], "reason": evil}]},
                        {"attribute": evil, "remove": [evil], "add": [evil]},
                        {"attribute": evil, "clear": true, "old": [evil], "replace": []}],
            "metaverse": [{"attribute": evil, "old": [evil], "new": [evil], "rule": evil}],
        });
        let mut tally = Tally::new(true);
        for op in ["delete", "disable", "rename", "update", "add"] {
            let mut export = export.clone();
            export["op"] = json!(op);
            tally.take(&export);
        }
        let counted = json!({"count": 1, "some": [evil]});
        let document = json!({
            "plan": evil, "parent": evil, "ruleset": evil, "config": evil, "made": evil,
            "version": evil, "status": evil, "notes": [evil], "limits_exceeded": [evil],
            "counts": {evil: {"add": 1, "delete": 1, evil: 2}},
            "scopes": [{"rule": evil, "entering": counted, "leaving": counted}],
            "links": [{"kind": evil, "rule": evil, "count": 1, "some": [evil]}],
            "problems": [{"kind": evil, "object": evil, "rule": evil, "message": evil}],
            "problems_new": [{"kind": evil, "object": evil, "rule": evil, "message": evil}],
            "problems_fixed": [{"kind": evil, "object": evil, "rule": evil, "message": evil}],
        });
        let page = page(&document, &tally);
        assert_eq!(page.matches("<script>").count(), 1, "only ours");
        assert_eq!(page.matches("<img").count(), 0);
        assert!(!page.contains('\u{202e}') && !page.contains('\u{7}'));
        assert!(page.contains("<span class=\"hidden-char\">U+202E</span>"));
        assert!(!page.contains("http://") && !page.contains("https://"), "it asks nobody");
    }

    #[test]
    fn p18_a_plan_that_failed_shows_no_numbers() {
        let mut tally = Tally::new(false);
        tally.take(&json!({"connector": "cloud", "op": "delete", "match": "ann", "changes": []}));
        let document = json!({"plan": "1", "failed": "stopped-rule-broken", "notes": ["why"],
                              "counts": {"cloud": {"delete": 1}}});
        let page = page(&document, &tally);
        assert!(page.contains("This plan was not finished") && page.contains("why"), "{page}");
        assert!(!page.contains("ann"), "{page}");
    }
}
