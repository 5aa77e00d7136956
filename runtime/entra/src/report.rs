//! `import-report.md`: counts and findings for the administrator who decides.

use std::fmt::Write as _;

use crate::connectors::Connectors;
use crate::convert::{Counts, Finding, Topic};
use crate::read::Export;

/// Each topic with its heading and what it means.
const TOPICS: [(Topic, &str, &str); 5] = [
    (
        Topic::Disabled,
        "Rules that were disabled",
        "They cannot be carried over as they are. Each stands in its fragment with \
         `enabled: false`.",
    ),
    (Topic::Unsettled, "To be settled first", "The manifest does not load before."),
    (
        Topic::NotDelivered,
        "Rules that do nothing yet",
        "Sources are read and SCIM targets are written to; rules the other way round are kept.",
    ),
    (
        Topic::Unlisted,
        "Attributes that are read and not listed",
        "Nothing has to be done: what an expression reads is taken from the expression itself.",
    ),
    (Topic::Note, "Notes", "Worth knowing."),
];

pub fn text(
    export: &Export,
    connectors: &Connectors,
    counts: &Counts,
    findings: &[Finding],
) -> String {
    let mut text = String::from("# Import of a rule set of Entra Connect\n\n");
    text.push_str(&counts.to_string());
    text.push_str("\n\n");
    table(counts, &mut text);
    text.push_str("\n## Connectors\n\n| name | kind | identifier | in the export |\n");
    text.push_str("|---|---|---|---|\n");
    for connector in connectors.all() {
        let original = connector.file.as_ref().map_or("", |file| file.name.as_str());
        let (name, kind, id) = (&connector.name, &connector.kind, &connector.id);
        let _ = writeln!(text, "| {name} | {kind} | {{{id}}} | {} |", cell(original));
    }
    for (topic, title, meaning) in TOPICS {
        let about: Vec<&Finding> =
            findings.iter().filter(|finding| finding.topic == topic).collect();
        if about.is_empty() {
            continue;
        }
        let _ = write!(text, "\n## {title} ({})\n\n{meaning}\n", about.len());
        for finding in about {
            entry(finding, &mut text);
        }
    }
    if !export.skipped.is_empty() {
        text.push_str("\n## Files that hold no rules\n\n");
        for file in &export.skipped {
            let _ = writeln!(text, "- {}", cell(file));
        }
    }
    text
}

fn table(counts: &Counts, text: &mut String) {
    text.push_str("| what | how many |\n|---|---|\n");
    for (what, number) in [
        ("rules", counts.rules.0),
        ("flows", counts.flows.0),
        ("direct flows", counts.direct),
        ("expressions", counts.expressions.1),
        ("distinct expressions", counts.distinct_expressions),
        ("constants", counts.constant),
        ("expressions that parse", counts.expressions.0),
        ("scope clauses", counts.scope_clauses),
        ("join clauses", counts.join_clauses),
        ("disabled rules", counts.disabled),
        ("of those, disabled by the import", counts.disabled_by_import),
        ("rules that do nothing yet", counts.not_delivered),
        ("expressions with unlisted attributes", counts.unlisted),
    ] {
        let _ = writeln!(text, "| {what} | {number} |");
    }
}

fn entry(finding: &Finding, text: &mut String) {
    let _ = write!(text, "\n- **{}**: {}\n", cell(&finding.place), finding.reason);
    if !finding.suggestion.is_empty() {
        let _ = writeln!(text, "  - suggestion: {}", finding.suggestion);
    }
    if let Some(expression) = &finding.expression {
        // Indented by six, text is verbatim below an item of a list.
        text.push('\n');
        for line in expression.lines() {
            let _ = writeln!(text, "      {line}");
        }
    }
}

/// Names come from the export and may hold what a table or a list is made of.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
