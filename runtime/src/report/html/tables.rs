//! What moves apart from single values: scopes, links, patterns, problems, and who writes what.

use std::fmt::{self, Write as _};

use serde_json::Value as Json;

use super::{Coded, Number, Several, Tally, Text, list, more, text};

pub(super) fn scopes(document: &Json, out: &mut String) -> fmt::Result {
    let scopes = list(&document["scopes"]);
    if scopes.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section id=\"scopes\"><h2>Objects that enter or leave the scope of a rule</h2>"
    )?;
    for one in scopes {
        let (entering, leaving) = (&one["entering"], &one["leaving"]);
        writeln!(
            out,
            "<details><summary>{}: <span>{} enter, {} leave</span></summary><div>",
            Text(text(&one["rule"])),
            Number(count(entering)),
            Number(count(leaving))
        )?;
        for (name, moved) in [("Enter", entering), ("Leave", leaving)] {
            if count(moved) > 0 {
                writeln!(out, "<h3>{name}</h3>")?;
                names(moved, out)?;
            }
        }
        writeln!(out, "</div></details>")?;
    }
    writeln!(out, "</section>")
}

pub(super) fn links(document: &Json, out: &mut String) -> fmt::Result {
    let links = list(&document["links"]);
    if links.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section id=\"links\"><h2>Links that come and go</h2>")?;
    for one in links {
        writeln!(
            out,
            "<details><summary>{} by {}: <span>{}</span></summary><div>",
            Text(text(&one["kind"])),
            Text(text(&one["rule"])),
            Number(count(one))
        )?;
        names(one, out)?;
        writeln!(out, "</div></details>")?;
    }
    writeln!(out, "</section>")
}

fn count(counted: &Json) -> u64 {
    counted["count"].as_u64().unwrap_or(0)
}

fn names(counted: &Json, out: &mut String) -> fmt::Result {
    let some = list(&counted["some"]);
    writeln!(out, "<ul class=\"names\">")?;
    for name in some {
        writeln!(out, "<li><bdi>{}</bdi></li>", Text(text(name)))?;
    }
    writeln!(out, "</ul>")?;
    match count(counted).saturating_sub(some.len() as u64) {
        0 => Ok(()),
        rest => writeln!(out, "<p class=\"dim small\">and {} more</p>", Number(rest)),
    }
}

pub(super) fn patterns(tally: &Tally, out: &mut String) -> fmt::Result {
    let patterns = tally.patterns();
    if patterns.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section id=\"patterns\"><h2>How values change</h2>\n<table class=\"stack\">\
         <caption>The most frequent kinds of change, each with one example</caption><thead><tr>\
         <th scope=\"col\" class=\"num\">Values</th><th scope=\"col\">Attribute</th>\
         <th scope=\"col\">What changes</th><th scope=\"col\">Example</th></tr></thead><tbody>"
    )?;
    for one in &patterns {
        let (old, new) = (text(&one["example"]["old"]), text(&one["example"]["new"]));
        writeln!(
            out,
            "<tr><td class=\"num\" data-label=\"Values\">{}</td>\
             <td data-label=\"Attribute\">{}: {}</td><td data-label=\"What changes\">{}</td>\
             <td data-label=\"Example\"><del><bdi>{}</bdi></del> \u{2192} \
             <ins><bdi>{}</bdi></ins></td></tr>",
            Number(count(one)),
            Text(text(&one["connector"])),
            Text(text(&one["attribute"])),
            Text(text(&one["pattern"])),
            Text(old),
            Text(new)
        )?;
    }
    writeln!(out, "</tbody></table></section>")
}

/// Problems that are shown of each list.
const PROBLEMS_SHOWN_MAX: usize = 200;

pub(super) fn problems(document: &Json, out: &mut String) -> fmt::Result {
    let new = list(&document["problems_new"]);
    let fixed = list(&document["problems_fixed"]);
    let all = list(&document["problems"]);
    if all.is_empty() && fixed.is_empty() {
        return Ok(());
    }
    let old: Vec<&Json> = all.iter().filter(|one| !new.contains(one)).collect();
    writeln!(out, "<section id=\"problems\"><h2>Objects with problems</h2>")?;
    writeln!(
        out,
        "<p>Such an object keeps what it has until its problem is solved; it holds nobody up.</p>"
    )?;
    table("New with this plan", &new.iter().collect::<Vec<_>>(), out)?;
    table("Solved by it", &fixed.iter().collect::<Vec<_>>(), out)?;
    table("There before", &old, out)?;
    writeln!(out, "</section>")
}

fn table(heading: &str, problems: &[&Json], out: &mut String) -> fmt::Result {
    if problems.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<h3>{heading}: {}</h3>\n<table class=\"stack\"><thead><tr><th scope=\"col\">Object</th>\
         <th scope=\"col\">Kind</th><th scope=\"col\">Rule</th><th scope=\"col\">What</th></tr>\
         </thead><tbody>",
        Number(problems.len() as u64)
    )?;
    for one in problems.iter().take(PROBLEMS_SHOWN_MAX) {
        writeln!(
            out,
            "<tr><th scope=\"row\"><bdi>{}</bdi></th><td data-label=\"Kind\"><code>{}</code></td>\
             <td data-label=\"Rule\">{}</td><td data-label=\"What\">{}</td></tr>",
            Text(text(&one["object"])),
            Text(text(&one["kind"])),
            Text(text(&one["rule"])),
            Coded(text(&one["message"]))
        )?;
    }
    writeln!(out, "</tbody></table>")?;
    match problems.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
        0 => Ok(()),
        rest => writeln!(out, "<p class=\"dim small\">and {} more</p>", Number(rest as u64)),
    }
}

/// Rows of the table of rules and attributes.
const WRITES_SHOWN_MAX: usize = 300;

pub(super) fn writes(tally: &Tally, out: &mut String) -> fmt::Result {
    if tally.writes.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section id=\"writes\"><h2>By rule and attribute</h2>\n<details><summary>{}: who \
         writes what, how often</summary><div><table class=\"stack\"><thead><tr>\
         <th scope=\"col\">Rule</th><th scope=\"col\">Attribute</th>\
         <th scope=\"col\" class=\"num\">Objects</th></tr></thead><tbody>",
        Several(tally.writes.len() as u64, "row")
    )?;
    let mut rows: Vec<_> = tally.writes.iter().collect();
    rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for ((connector, rule, attribute), number) in rows.iter().take(WRITES_SHOWN_MAX) {
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td data-label=\"Attribute\">{}: {}</td>\
             <td class=\"num\" data-label=\"Objects\">{}</td></tr>",
            Text(rule),
            Text(connector),
            Text(attribute),
            Number(**number)
        )?;
    }
    writeln!(out, "</tbody></table>")?;
    more(rows.len().saturating_sub(WRITES_SHOWN_MAX) as u64, "rows", out)?;
    writeln!(out, "</div></details></section>")
}
