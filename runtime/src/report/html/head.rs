//! What is read first: what would happen, whether it may, and how to let it happen.

use std::fmt::{self, Write as _};

use serde_json::Value as Json;

use super::{Coded, Number, Several, Tally, Text, list, short, text, words_of_failure};

/// Operations in the order in which they are told, the gravest first: name in the plan, heading.
const OPERATIONS: [(&str, &str, bool); 9] = [
    ("delete", "Delete", true),
    ("disable", "Disable", true),
    ("member_remove", "Members out", true),
    ("attribute_cleared", "Cleared", true),
    ("type_change", "Type change", true),
    ("rename", "Rename", false),
    ("add", "Add", false),
    ("update", "Update", false),
    ("member_add", "Members in", false),
];

pub(super) fn write(document: &Json, tally: &Tally, out: &mut String) -> fmt::Result {
    let made = text(&document["made"]);
    writeln!(out, "<header>\n<h1>What this plan would do</h1>")?;
    writeln!(
        out,
        "<p class=\"dim\">Plan <span class=\"id\">{}</span>{}{}</p>",
        Text(text(&document["plan"])),
        if made.is_empty() { "" } else { ", made " },
        Text(made)
    )?;
    if words_of_failure(document) {
        failed(document, out)?;
        return writeln!(out, "</header>");
    }
    verdict(document, tally, out)?;
    counts(document, out)?;
    notes(document, out)?;
    navigation(document, tally, out)?;
    writeln!(out, "</header>")
}

fn failed(document: &Json, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "<div class=\"verdict bad\" role=\"alert\"><p><strong>This plan was not finished.</strong> \
         It ended as <code>{}</code>; what it would do is not known, and nothing can be \
         applied.</p>",
        Text(text(&document["failed"]))
    )?;
    for note in list(&document["notes"]) {
        writeln!(out, "<p>{}</p>", Text(text(note)))?;
    }
    writeln!(out, "</div>")
}

/// The sum over all targets.
fn total(document: &Json, operation: &str) -> u64 {
    let counts = document["counts"].as_object();
    let of_targets = counts.into_iter().flat_map(|targets| targets.values());
    of_targets.filter_map(|counts| counts[operation].as_u64()).sum()
}

fn verdict(document: &Json, tally: &Tally, out: &mut String) -> fmt::Result {
    let limits = list(&document["limits_exceeded"]);
    let sum = |names: &[&str]| names.iter().map(|name| total(document, name)).sum::<u64>();
    let changes = sum(&["add", "update", "rename", "disable", "delete"]);
    let removals = sum(&["disable", "delete"]);
    let stopped = text(&document["status"]).starts_with("stopped-error");
    let class = match () {
        () if !limits.is_empty() || stopped => "bad",
        () if removals > 0 || total(document, "member_remove") > 0 => "warn",
        () => "good",
    };
    writeln!(out, "<div class=\"verdict {class}\">")?;
    if changes == 0 {
        writeln!(out, "<p><strong>Nothing.</strong> Every target is as the rules want it.</p>")?;
    } else {
        write!(out, "<p><strong>{} would change.</strong> ", Several(changes, "object"))?;
        match removals {
            0 => write!(out, "None is deleted or disabled.")?,
            _ => write!(
                out,
                "{} would be taken away: {} deleted, {} disabled.",
                Several(removals, "object"),
                Number(total(document, "delete")),
                Number(total(document, "disable"))
            )?,
        }
        let cleared: u64 = tally.clears.values().map(|sample| sample.count).sum();
        let out_of_groups = total(document, "member_remove");
        if out_of_groups > 0 {
            let groups = Several(tally.member_removals.len() as u64, "group");
            write!(out, " {groups} would lose {}.", Several(out_of_groups, "member"))?;
        }
        if cleared > 0 {
            write!(out, " {} would be cleared.", Several(cleared, "value"))?;
        }
        writeln!(out, "</p>")?;
    }
    if !limits.is_empty() {
        writeln!(
            out,
            "<p><strong>A limit is exceeded.</strong> A run sends nothing to such a target; only \
             <code>kakehi apply</code> of this reviewed plan does.</p><ul>"
        )?;
        for limit in limits {
            writeln!(out, "<li>{}</li>", Coded(text(limit)))?;
        }
        writeln!(out, "</ul>")?;
    }
    if stopped {
        writeln!(out, "<p><strong>Too many objects have errors</strong>: a run would stop.</p>")?;
    }
    writeln!(out, "</div>")
}

fn counts(document: &Json, out: &mut String) -> fmt::Result {
    let Some(targets) = document["counts"].as_object().filter(|targets| !targets.is_empty()) else {
        return Ok(());
    };
    writeln!(
        out,
        "<div class=\"scroll\"><table><caption>Objects of each target</caption>\
         <thead><tr><th scope=\"col\">Target</th>"
    )?;
    for (_, heading, _) in OPERATIONS {
        write!(out, "<th scope=\"col\" class=\"num\">{heading}</th>")?;
    }
    writeln!(out, "</tr></thead><tbody>")?;
    for (target, counts) in targets {
        write!(out, "<tr><th scope=\"row\">{}</th>", Text(target))?;
        for (name, _, grave) in OPERATIONS {
            let number = counts[name].as_u64().unwrap_or(0);
            let class = match (number, grave) {
                (0, _) => "num zero",
                (_, true) => "num grave",
                (_, false) => "num",
            };
            write!(out, "<td class=\"{class}\">{}</td>", Number(number))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div>")?;
    others(targets, out)
}

/// Counts that have no column of their own.
fn others(targets: &serde_json::Map<String, Json>, out: &mut String) -> fmt::Result {
    for (target, counts) in targets {
        let known = |name: &str| OPERATIONS.iter().any(|(operation, ..)| *operation == name);
        let others: Vec<(&String, u64)> = counts
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| !known(name))
            .filter_map(|(name, number)| Some((name, number.as_u64().filter(|n| *n > 0)?)))
            .collect();
        for (name, number) in others {
            let name = name.replace('_', " ");
            let (number, target) = (Number(number), Text(target));
            writeln!(out, "<p class=\"small\">{target}: {number} {}</p>", Text(&name))?;
        }
    }
    Ok(())
}

fn notes(document: &Json, out: &mut String) -> fmt::Result {
    for note in list(&document["notes"]) {
        writeln!(out, "<p><strong>Note.</strong> {}</p>", Coded(text(note)))?;
    }
    Ok(())
}

fn navigation(document: &Json, tally: &Tally, out: &mut String) -> fmt::Result {
    let some = |key: &str| !list(&document[key]).is_empty();
    let links = [
        ("taken-away", "What is taken away", super::destructive::any(tally)),
        ("scopes", "Scopes", some("scopes")),
        ("links", "Links", some("links")),
        ("patterns", "Patterns", !tally.patterns().is_empty()),
        ("problems", "Problems", some("problems") || some("problems_fixed")),
        ("changes", "All changes", !tally.exports.is_empty()),
        ("writes", "By rule", !tally.writes.is_empty()),
        ("apply", "How to apply", true),
    ];
    writeln!(out, "<nav aria-label=\"On this page\">")?;
    for (anchor, name, _) in links.into_iter().filter(|(.., there)| *there) {
        writeln!(out, "<a href=\"#{anchor}\">{name}</a>")?;
    }
    writeln!(out, "</nav>")
}

pub(super) fn foot(document: &Json, out: &mut String) -> fmt::Result {
    writeln!(out, "<footer id=\"apply\"><h2>How to apply</h2>")?;
    if words_of_failure(document) {
        writeln!(out, "<p>A plan that was not finished cannot be applied.</p>")?;
    } else {
        writeln!(
            out,
            "<p>With the plan in <code>plan.json</code>, as <code>kakehi plan -o plan.json</code> \
             wrote it:</p><pre>kakehi apply plan.json</pre>\
             <p>It does exactly what stands here. If the data or the rules are others by then, it \
             is refused as stale and changes nothing.</p>"
        )?;
    }
    writeln!(out, "<h3>What it was made of</h3><dl class=\"small\">")?;
    for (key, name) in [
        ("plan", "plan"),
        ("parent", "follows the plan"),
        ("ruleset", "rules (SHA-256)"),
        ("config", "configuration (SHA-256)"),
        ("made", "made"),
        ("version", "by Kakehi"),
    ] {
        if let Some(value) = document[key].as_str().filter(|value| !value.is_empty()) {
            let value = if key == "config" { short(value) } else { value };
            writeln!(out, "<dt>{name}</dt><dd class=\"id\">{}</dd>", Text(value))?;
        }
    }
    writeln!(out, "</dl></footer>")
}
