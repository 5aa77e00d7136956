//! What a plan takes away, with names and reasons: it stands before everything else.

use std::fmt::{self, Write as _};

use serde_json::Value as Json;

use super::{Coded, Number, Plain, Tally, Text, Value, Values, list, more, text};
use crate::report::tally::Sample;

pub(super) fn any(tally: &Tally) -> bool {
    let grave = |op: &str| ["delete", "disable", "rename"].contains(&op);
    tally.exports.keys().any(|(_, op)| grave(op))
        || !tally.member_removals.is_empty()
        || !tally.clears.is_empty()
}

pub(super) fn write(tally: &Tally, out: &mut String) -> fmt::Result {
    writeln!(out, "<section id=\"taken-away\"><h2>What is taken away</h2>")?;
    if !any(tally) {
        return writeln!(
            out,
            "<p>Nothing: no object is deleted, disabled or renamed, no member leaves a group, no \
             value is cleared.</p></section>"
        );
    }
    for (op, heading) in [("delete", "Deleted"), ("disable", "Disabled")] {
        for ((connector, _), sample) in tally.exports.iter().filter(|((_, of), _)| of == op) {
            gone((connector, op, heading), sample, tally, out)?;
        }
    }
    member_removals(tally, out)?;
    for ((connector, _), sample) in tally.exports.iter().filter(|((_, of), _)| of == "rename") {
        renamed(connector, sample, out)?;
    }
    clears(tally, out)?;
    writeln!(out, "</section>")
}

/// A longer list is folded: what follows must not be far away.
const OPEN_MAX: u64 = 30;

fn gone(
    (connector, op, heading): (&str, &str, &str),
    sample: &Sample,
    tally: &Tally,
    out: &mut String,
) -> fmt::Result {
    let number = Number(sample.count);
    writeln!(out, "<h3>{heading} at {}: {number}</h3>", Text(connector))?;
    let of = |key: &(String, String, String)| key.0 == connector && key.1 == op;
    let mut causes: Vec<_> = tally.causes.iter().filter(|(key, _)| of(key)).collect();
    causes.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    if !causes.is_empty() {
        writeln!(out, "<ul>")?;
        for ((.., cause), count) in causes.iter().take(CAUSES_SHOWN_MAX) {
            writeln!(out, "<li>{}: {}</li>", Number(**count), Coded(cause))?;
        }
        writeln!(out, "</ul>")?;
        more(causes.len().saturating_sub(CAUSES_SHOWN_MAX) as u64, "reasons", out)?;
    }
    let open = if sample.count <= OPEN_MAX { " open" } else { "" };
    writeln!(
        out,
        "<details{open}><summary>Who, one by one</summary><div><table class=\"stack\"><thead><tr>\
         <th scope=\"col\">Who</th><th scope=\"col\">Type</th><th scope=\"col\">Why</th>\
         <th scope=\"col\">Provisioned by</th></tr></thead><tbody>"
    )?;
    for one in &sample.some {
        let why = one["reason"].as_str().unwrap_or("its rule no longer wants it there");
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td data-label=\"Type\">{}</td>\
             <td data-label=\"Why\">{}</td><td data-label=\"Provisioned by\">{}</td></tr>",
            Who(one),
            Text(text(&one["class"])),
            Coded(why),
            Text(text(&one["rule"]))
        )?;
    }
    writeln!(out, "</tbody></table>")?;
    more(sample.more(), "objects", out)?;
    writeln!(out, "</div></details>")
}

/// Reasons that are told of one kind.
const CAUSES_SHOWN_MAX: usize = 30;

/// What an object is called at the target, and who that is.
struct Who<'a>(&'a Json);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, name) = (text(&self.0["match"]), text(&self.0["name"]));
        write!(f, "<bdi>{}</bdi>", Text(if key.is_empty() { name } else { key }))?;
        match name.is_empty() || name == key || key.is_empty() {
            true => Ok(()),
            false => write!(f, " <span class=\"dim\"><bdi>{}</bdi></span>", Text(name)),
        }
    }
}

fn member_removals(tally: &Tally, out: &mut String) -> fmt::Result {
    if tally.member_removals.is_empty() {
        return Ok(());
    }
    let all: u64 = tally.member_removals.values().map(|(count, _)| count).sum();
    let open = if tally.member_removals.len() as u64 <= OPEN_MAX { " open" } else { "" };
    writeln!(
        out,
        "<h3>Members that leave groups, and values that leave other lists: {}</h3>\n\
         <details{open}><summary>From which, one by one: those that lose most stand first</summary>\
         <div><table class=\"stack\"><thead><tr><th scope=\"col\">Group or object</th>\
         <th scope=\"col\">Attribute</th><th scope=\"col\" class=\"num\">Leave</th>\
         <th scope=\"col\" class=\"num\">Of</th><th scope=\"col\">Who</th></tr></thead><tbody>",
        Number(all)
    )?;
    let mut groups: Vec<_> = tally.member_removals.iter().collect();
    groups.sort_by(|a, b| b.1.0.cmp(&a.1.0).then(a.0.cmp(b.0)));
    for ((connector, _), (count, of)) in groups {
        let before = of["old_count"].as_u64().unwrap_or(0);
        let grave = if *count * 2 >= before { " grave" } else { "" };
        writeln!(
            out,
            "<tr><th scope=\"row\">{}: <bdi>{}</bdi></th><td data-label=\"Attribute\">{}</td>\
             <td class=\"num{grave}\" data-label=\"Leave\">{}</td>\
             <td class=\"num\" data-label=\"Of\">{}</td><td data-label=\"Who\">{}</td></tr>",
            Text(connector),
            Text(text(&of["name"])),
            Text(text(&of["attribute"])),
            Number(*count),
            Number(before),
            Values(&of["removed"])
        )?;
    }
    writeln!(out, "</tbody></table></div></details>")
}

fn renamed(connector: &str, sample: &Sample, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "<h3>Renamed at {}: {}</h3>\n<table class=\"stack\"><thead><tr>\
         <th scope=\"col\">Attribute</th><th scope=\"col\">Before</th><th scope=\"col\">After</th>\
         <th scope=\"col\">Rule</th></tr></thead><tbody>",
        Text(connector),
        Number(sample.count)
    )?;
    for one in &sample.some {
        let key = text(&one["match"]);
        let naming = list(&one["changes"])
            .iter()
            .find(|change| list(&change["replace"]).first().and_then(Json::as_str) == Some(key));
        let Some(change) = naming else { continue };
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td data-label=\"Before\"><del>{}</del></td>\
             <td data-label=\"After\"><ins>{}</ins></td><td data-label=\"Rule\">{}</td></tr>",
            Text(text(&change["attribute"])),
            Values(&change["old"]),
            Values(&change["replace"]),
            Text(text(&change["rule"]))
        )?;
    }
    writeln!(out, "</tbody></table>")?;
    more(sample.more(), "objects", out)
}

fn clears(tally: &Tally, out: &mut String) -> fmt::Result {
    if tally.clears.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h3>Values that are cleared</h3>")?;
    for ((connector, class, attribute), sample) in &tally.clears {
        writeln!(
            out,
            "<details><summary>{} of {}/{}: <strong>{}</strong></summary><div>\
             <table class=\"stack\"><thead><tr><th scope=\"col\">Object</th>\
             <th scope=\"col\">Value</th><th scope=\"col\">Why</th></tr></thead><tbody>",
            Text(attribute),
            Text(connector),
            Text(class),
            Number(sample.count)
        )?;
        for one in &sample.some {
            writeln!(
                out,
                "<tr><th scope=\"row\"><bdi>{}</bdi></th>\
                 <td data-label=\"Value\"><del>{}</del></td><td data-label=\"Why\">{}</td></tr>",
                Text(text(&one["name"])),
                Values(&one["old"]),
                Why(one)
            )?;
        }
        writeln!(out, "</tbody></table>")?;
        more(sample.more(), "values", out)?;
        writeln!(out, "</div></details>")?;
    }
    Ok(())
}

/// Who said that there is to be no value.
struct Why<'a>(&'a Json);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let losers = list(&self.0["losers"]);
        if losers.is_empty() {
            return f.write_str("no rule gives a value any more");
        }
        for (index, loser) in losers.iter().enumerate() {
            let and = if index > 0 { "; " } else { "" };
            let (rule, reason) = (text(&loser["rule"]), text(&loser["reason"]));
            write!(f, "{and}<span title=\"{}\">{}</span>", Plain(reason), Text(rule))?;
            write!(f, ": {}", Text(reason))?;
            for value in list(&loser["values"]).iter().take(1) {
                write!(f, " ({})", Value(value))?;
            }
        }
        Ok(())
    }
}
