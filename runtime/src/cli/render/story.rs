//! The story of one object, for people: what it has, from whom, and who lost.

use std::io::{Result, Write};

use serde_json::Value as Json;

/// Prints what `explain --json` gives as a document.
pub fn story(story: &Json, out: &mut impl Write) -> Result<()> {
    match &story["metaverse"] {
        Json::Null => writeln!(out, "not in the metaverse")?,
        mv => writeln!(out, "metaverse {} {}", text(&mv["type"]), mv["id"])?,
    }
    for source in list(&story["sources"]) {
        object("source", source, out)?;
    }
    attributes(&story["attributes"], out)?;
    for target in list(&story["targets"]) {
        writeln!(out)?;
        object("target", target, out)?;
        if let Json::Object(pending) = &target["pending"] {
            writeln!(out, "    pending {}", text(&pending["op"]))?;
            if let Json::Object(held) = &pending["held"] {
                let (until, message) = (text(&held["until"]), text(&held["message"]));
                writeln!(out, "    held until {until}: {message}")?;
            }
        }
        attributes(&target["attributes"], out)?;
    }
    for problem in list(&story["problems"]) {
        writeln!(out, "problem {}: {}", text(&problem["kind"]), text(&problem["message"]))?;
    }
    Ok(())
}

fn object(kind: &str, object: &Json, out: &mut impl Write) -> Result<()> {
    write!(
        out,
        "{kind} {}/{} {}",
        text(&object["connector"]),
        text(&object["type"]),
        name(object)
    )?;
    match &object["link"] {
        Json::Null => writeln!(out, ", not linked")?,
        link => writeln!(out, ", {} by `{}`", text(&link["origin"]), text(&link["rule"]))?,
    }
    for rule in list(&object["rules"]) {
        if rule["in_scope"] == Json::Bool(false) {
            let (rule, why) = (text(&rule["rule"]), text(&rule["reason"]));
            writeln!(out, "    out of scope of `{rule}`: {why}")?;
        }
    }
    Ok(())
}

fn attributes(attributes: &Json, out: &mut impl Write) -> Result<()> {
    let Json::Object(attributes) = attributes else { return Ok(()) };
    for (name, story) in attributes {
        writeln!(out, "  {name} = {}", values(&story["values"]))?;
        if let winner @ Json::Object(_) = &story["winner"] {
            writeln!(out, "      by {}", contributor(winner))?;
        }
        for other in list(&story["merged"]) {
            writeln!(out, "      and {}", contributor(other))?;
        }
        for loser in list(&story["losers"]) {
            let said = values(&loser["values"]);
            writeln!(out, "      not {}: {said} ({})", contributor(loser), text(&loser["reason"]))?;
        }
    }
    Ok(())
}

/// Characters of a module's digest that are enough to tell modules apart by eye.
const DIGEST_SHOWN: usize = 12;

fn contributor(entry: &Json) -> String {
    let digest: String = text(&entry["module_sha256"]).chars().take(DIGEST_SHOWN).collect();
    let (rule, precedence) = (text(&entry["rule"]), &entry["precedence"]);
    let from = match &entry["source"] {
        Json::Null => String::new(),
        source => format!(" from {} {}", text(&source["connector"]), name(source)),
    };
    format!("`{rule}` (precedence {precedence}, {} {digest}){from}", text(&entry["module"]))
}

fn name(object: &Json) -> &str {
    object["dn"].as_str().or_else(|| object["anchor"].as_str()).unwrap_or("(no id yet)")
}

fn values(values: &Json) -> String {
    let shown: Vec<String> = list(values).iter().map(ToString::to_string).collect();
    if shown.is_empty() { "nothing".into() } else { shown.join(", ") }
}

fn list(value: &Json) -> &[Json] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or("")
}
