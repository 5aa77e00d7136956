//! The preview of one object, for people: what `plan --object --json` gives flows in.

use std::io::{Result, Write};

use serde_json::Value as Json;

use super::json::{list, text};
use super::plan::change_text;
use crate::report::words::{told, visible};

pub fn preview(told: &Json, out: &mut impl Write) -> Result<()> {
    let cascade = list(&told["cascade"]);
    if !cascade.is_empty() {
        writeln!(out, "taken away")?;
        for one in cascade {
            writeln!(out, "  ! {}", text(&one["text"]))?;
        }
        writeln!(out)?;
    }
    for source in list(&told["sources"]) {
        self::source(source, out)?;
    }
    for person in list(&told["metaverse"]) {
        self::person(person, out)?;
    }
    for target in list(&told["targets"]) {
        self::target(target, out)?;
    }
    match told["left_out"].as_u64().unwrap_or(0) {
        0 => {}
        more => writeln!(out, "{more} objects that it touches were not looked at")?,
    }
    for note in list(&told["notes"]) {
        writeln!(out, "note: {}", text(note))?;
    }
    Ok(())
}

fn source(source: &Json, out: &mut impl Write) -> Result<()> {
    let (connector, class) = (text(&source["connector"]), text(&source["type"]));
    writeln!(out, "source {connector}/{class} {}", visible(text(&source["name"])))?;
    rules(&source["rules"], out)?;
    if let join @ Json::Object(_) = &source["join"] {
        writeln!(out, "  join by `{}`", text(&join["rule"]))?;
        for (index, group) in list(&join["groups"]).iter().enumerate() {
            let clauses: Vec<String> = list(&group["clauses"])
                .iter()
                .map(|clause| {
                    let (cs, mv) = (text(&clause["cs"]), text(&clause["mv"]));
                    format!("{cs} = {mv}: {}", values(&clause["values"]))
                })
                .collect();
            let found: Vec<String> = list(&group["found"]).iter().map(Json::to_string).collect();
            let found = if found.is_empty() { "nobody".into() } else { found.join(", ") };
            writeln!(out, "    {}. {} finds {found}", index + 1, clauses.join(" and "))?;
        }
    }
    writeln!(out, "  link: {}", text(&source["outcome"]))?;
    problems(&source["problems"], out)
}

fn rules(rules: &Json, out: &mut impl Write) -> Result<()> {
    for rule in list(rules) {
        let (name, precedence, state) =
            (text(&rule["name"]), rule["precedence"].to_string(), text(&rule["state"]));
        writeln!(out, "  {precedence:>5} `{name}` {state}")?;
        let groups = list(&rule["scope"]["groups"]);
        for (index, group) in groups.iter().enumerate() {
            for clause in list(group) {
                let mark = if clause["holds"] == Json::Bool(true) { "yes" } else { "NO " };
                let or = if groups.len() > 1 { format!("{}. ", index + 1) } else { String::new() };
                let (attribute, operator) = (text(&clause["attribute"]), text(&clause["operator"]));
                let value = match operator {
                    "ISNULL" | "ISNOTNULL" => String::new(),
                    _ => format!(" {}", told(&clause["value"])),
                };
                let actual = values(&clause["actual"]);
                writeln!(out, "        {mark} {or}{attribute} {operator}{value}: it is {actual}")?;
            }
        }
        if !matches!(state, "applies" | "out of scope") {
            writeln!(out, "        {}", text(&rule["reason"]))?;
        }
    }
    Ok(())
}

fn person(person: &Json, out: &mut impl Write) -> Result<()> {
    let (class, id, state) = (text(&person["type"]), &person["id"], text(&person["state"]));
    writeln!(out, "metaverse {class} {id} {}: {state}", visible(text(&person["name"])))?;
    for (name, story) in person["attributes"].as_object().into_iter().flatten() {
        let (before, after) = (values(&story["before"]), values(&story["values"]));
        let mark = if story["changed"] == Json::Bool(true) { '*' } else { ' ' };
        if mark == ' ' && list(&story["values"]).is_empty() {
            continue;
        }
        match mark {
            '*' => writeln!(out, "  * {name}: {before} -> {after}")?,
            _ => writeln!(out, "    {name} = {after}")?,
        }
        if let winner @ Json::Object(_) = &story["winner"] {
            writeln!(out, "        by {}", contributor(winner))?;
        }
        for loser in list(&story["losers"]) {
            let (who, why) = (contributor(loser), text(&loser["reason"]));
            match list(&loser["values"]).is_empty() {
                true => writeln!(out, "        not {who}: {why}")?,
                false => writeln!(out, "        not {who}: {} ({why})", values(&loser["values"]))?,
            }
        }
    }
    Ok(())
}

fn contributor(entry: &Json) -> String {
    let from = entry["source"]["connector"].as_str().unwrap_or("");
    format!("{} `{}` from {from}", entry["precedence"], text(&entry["rule"]))
}

fn target(target: &Json, out: &mut impl Write) -> Result<()> {
    let connector = text(&target["connector"]);
    match target["name"].as_str() {
        Some(name) => writeln!(
            out,
            "target {connector}/{} {} {}",
            text(&target["type"]),
            visible(name),
            text(&target["state"])
        )?,
        None => writeln!(out, "target {connector}: {}", text(&target["state"]))?,
    }
    rules(&target["rules"], out)?;
    match &target["export"] {
        Json::Null => writeln!(out, "  nothing to send")?,
        export => {
            let already = match export["pending_already"] == Json::Bool(true) {
                true => " (it waits already)",
                false => "",
            };
            writeln!(out, "  {}{already}", text(&export["op"]))?;
            for change in list(&export["changes"]) {
                change_text(change, out)?;
            }
        }
    }
    problems(&target["problems"], out)
}

fn problems(problems: &Json, out: &mut impl Write) -> Result<()> {
    for problem in list(problems) {
        let (kind, message) = (text(&problem["kind"]), visible(text(&problem["message"])));
        writeln!(out, "  problem {kind}: {message}")?;
    }
    Ok(())
}

fn values(values: &Json) -> String {
    let shown: Vec<String> = list(values).iter().map(told).collect();
    if shown.is_empty() { "absent".into() } else { shown.join(", ") }
}
