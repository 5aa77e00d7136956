//! Every kind of change in full: a part of each, or all of them.

use std::fmt::{self, Write as _};

use serde_json::Value as Json;

use super::{Coded, Number, Tally, Text, Value, Values, list, more, text};

/// Operations in the order in which they are told.
const ORDER: [&str; 5] = ["delete", "disable", "rename", "add", "update"];

pub(super) fn write(tally: &Tally, out: &mut String) -> fmt::Result {
    if tally.exports.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section id=\"changes\"><h2>All changes</h2>")?;
    writeln!(
        out,
        "<label class=\"small\"><input class=\"filter\" type=\"search\" data-rows=\"rows\" \
         placeholder=\"Show only those that hold ...\" aria-label=\"Show only changes that hold \
         this text\"></label>\n<div id=\"rows\">"
    )?;
    for wanted in ORDER {
        for ((connector, op), sample) in tally.exports.iter().filter(|((_, op), _)| op == wanted) {
            writeln!(
                out,
                "<h3><span class=\"op {op}\">{op}</span> {}: {}</h3>",
                Text(connector),
                Number(sample.count),
                op = known(op)
            )?;
            for one in &sample.some {
                export(one, out)?;
            }
            more(sample.more(), "objects", out)?;
        }
    }
    writeln!(out, "</div></section>")
}

/// The name of an operation, which is one of ours whatever a file says.
fn known(op: &str) -> &'static str {
    ORDER.into_iter().find(|known| *known == op).unwrap_or("update")
}

fn export(one: &Json, out: &mut String) -> fmt::Result {
    let (key, name) = (text(&one["match"]), text(&one["name"]));
    write!(out, "<details><summary><bdi>{}</bdi>", Text(if key.is_empty() { name } else { key }))?;
    if !name.is_empty() && name != key && !key.is_empty() {
        write!(out, " <span class=\"dim\"><bdi>{}</bdi></span>", Text(name))?;
    }
    let changes = list(&one["changes"]);
    let names: Vec<&str> = changes.iter().map(|change| text(&change["attribute"])).collect();
    let told: Vec<&str> = names.iter().copied().take(ATTRIBUTES_TOLD_MAX).collect();
    let rest = match names.len().saturating_sub(told.len()) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    writeln!(
        out,
        " <span class=\"dim small\">{}{rest}</span></summary><div>",
        Text(&told.join(", "))
    )?;
    if let Some(reason) = one["reason"].as_str() {
        writeln!(out, "<p><strong>Why:</strong> {}</p>", Coded(reason))?;
    }
    if !changes.is_empty() {
        attributes(changes, out)?;
    }
    metaverse(list(&one["metaverse"]), out)?;
    writeln!(
        out,
        "<p class=\"dim small\">{} {}, by {}</p></div></details>",
        Text(text(&one["class"])),
        Text(text(&one["anchor"])),
        Text(one["rule"].as_str().unwrap_or("no rule"))
    )
}

/// Attributes that are named on the line of an object.
const ATTRIBUTES_TOLD_MAX: usize = 4;

fn attributes(changes: &[Json], out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "<table class=\"stack\"><thead><tr><th scope=\"col\">Attribute</th>\
         <th scope=\"col\">Before</th><th scope=\"col\">After</th><th scope=\"col\">Rule</th></tr>\
         </thead><tbody>"
    )?;
    for change in changes {
        let (before, after) = (Before(change), After(change));
        write!(
            out,
            "<tr><th scope=\"row\">{}</th><td data-label=\"Before\">{before}</td>\
             <td data-label=\"After\">{after}</td><td data-label=\"Rule\">{}",
            Text(text(&change["attribute"])),
            Text(text(&change["rule"]))
        )?;
        for loser in list(&change["losers"]) {
            write!(
                out,
                "<br><span class=\"dim small\">not {}: {}",
                Text(text(&loser["rule"])),
                Text(text(&loser["reason"]))
            )?;
            for value in list(&loser["values"]).iter().take(1) {
                write!(out, " ({})", Value(value))?;
            }
            write!(out, "</span>")?;
        }
        writeln!(out, "</td></tr>")?;
    }
    writeln!(out, "</tbody></table>")
}

struct Before<'a>(&'a Json);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = self.0;
        match (list(&change["old"]), list(&change["remove"]), change["old_count"].as_u64()) {
            ([], [], Some(count)) if count > 0 => {
                write!(f, "<span class=\"dim\">{} values</span>", Number(count))
            }
            ([], [], _) => f.write_str("<span class=\"dim\">nothing</span>"),
            ([], _, _) => write!(f, "<del>\u{2212} {}</del>", Values(&change["remove"])),
            _ => write!(f, "<del>{}</del>", Values(&change["old"])),
        }
    }
}

struct After<'a>(&'a Json);

impl fmt::Display for After<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = self.0;
        match (list(&change["replace"]), list(&change["add"])) {
            ([], []) if change["clear"] == Json::Bool(true) => {
                f.write_str("<span class=\"dim\">cleared</span>")
            }
            ([], []) => Ok(()),
            ([], _) => write!(f, "<ins>+ {}</ins>", Values(&change["add"])),
            _ => write!(f, "<ins>{}</ins>", Values(&change["replace"])),
        }
    }
}

/// What had changed of the person: where the change comes from.
fn metaverse(moved: &[Json], out: &mut String) -> fmt::Result {
    if moved.is_empty() {
        return Ok(());
    }
    writeln!(out, "<p class=\"small\">In the metaverse:</p><ul class=\"small\">")?;
    for one in moved {
        write!(
            out,
            "<li>{}: <del>{}</del> \u{2192} ",
            Text(text(&one["attribute"])),
            Values(&one["old"])
        )?;
        match list(&one["new"]).is_empty() {
            true => write!(out, "<span class=\"dim\">nothing</span>")?,
            false => write!(out, "<ins>{}</ins>", Values(&one["new"]))?,
        }
        match one["rule"].as_str() {
            Some(rule) => writeln!(out, " <span class=\"dim\">by {}</span></li>", Text(rule))?,
            None => writeln!(out, "</li>")?,
        }
    }
    writeln!(out, "</ul>")
}
