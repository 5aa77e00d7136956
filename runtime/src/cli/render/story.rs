//! The story of one object, for people: what it has, from whom, who lost, and why it is not
//! elsewhere.

use std::io::{Result, Write};

use serde_json::Value as Json;

use super::json::{list, text};
use super::plan::change_text;
use crate::report::words::{told, visible};

/// Prints what `explain --json` gives as a document. `closely`: of one attribute, so that also
/// those rules are told that had no say in it.
pub fn story(story: &Json, closely: bool, out: &mut impl Write) -> Result<()> {
    let name = visible(text(&story["name"]));
    match &story["metaverse"] {
        Json::Null => writeln!(out, "{name}: not in the metaverse")?,
        mv => writeln!(out, "{name}: metaverse {} {}", text(&mv["type"]), mv["id"])?,
    }
    let sources = list(&story["sources"]);
    let manner = Manner { closely, sources: sources.iter().map(identity).collect() };
    for (index, source) in sources.iter().enumerate() {
        object(&format!("[{}] source", index + 1), source, out)?;
        if let not_linked @ Json::Object(_) = &source["not_linked"] {
            lone(not_linked, out)?;
        }
    }
    attributes(&story["attributes"], &manner, out)?;
    for place in list(&story["targets"]) {
        writeln!(out)?;
        target(place, &manner, out)?;
    }
    for problem in list(&story["problems"]) {
        let (kind, message) = (text(&problem["kind"]), visible(text(&problem["message"])));
        match problem["rule"].as_str() {
            Some(rule) => writeln!(out, "problem {kind} of `{rule}`: {message}")?,
            None => writeln!(out, "problem {kind}: {message}")?,
        }
    }
    Ok(())
}

/// Prints what `explain --disconnectors --json` gives.
pub fn disconnectors(told: &Json, out: &mut impl Write) -> Result<()> {
    let count = told["count"].as_u64().unwrap_or(0);
    writeln!(out, "{count} source objects are not linked")?;
    if let Json::Object(reasons) = &told["reasons"] {
        for (reason, number) in reasons {
            writeln!(out, "  {number:>8}  {reason}")?;
        }
    }
    let objects = list(&told["objects"]);
    for object in objects {
        let (connector, class) = (text(&object["connector"]), text(&object["type"]));
        writeln!(out, "{connector}/{class} {}", visible(text(&object["name"])))?;
        lone(&object["not_linked"], out)?;
    }
    match count.saturating_sub(objects.len() as u64) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more: `--all` tells them"),
    }
}

/// Why an object is not linked, with what it looked for.
fn lone(not_linked: &Json, out: &mut impl Write) -> Result<()> {
    writeln!(out, "    {}: {}", text(&not_linked["kind"]), text(&not_linked["reason"]))?;
    for candidate in list(&not_linked["candidates"]) {
        let (class, id) = (text(&candidate["type"]), &candidate["id"]);
        writeln!(out, "      candidate {class} {id} {}", text(&candidate["name"]))?;
    }
    Ok(())
}

fn target(place: &Json, manner: &Manner, out: &mut impl Write) -> Result<()> {
    match text(&place["state"]) {
        "absent" => writeln!(out, "target {}: not there", text(&place["connector"]))?,
        state => {
            object("target", place, out)?;
            if state != "present" {
                writeln!(out, "    {state}")?;
            }
        }
    }
    for why in list(&place["why"]) {
        writeln!(out, "    why: {}", text(&why["reason"]))?;
    }
    if let Json::Object(pending) = &place["pending"] {
        writeln!(out, "    pending {}", text(&pending["op"]))?;
        for change in pending["changes"].as_array().into_iter().flatten() {
            change_text(change, out)?;
        }
    }
    attributes(&place["attributes"], manner, out)
}

fn object(kind: &str, object: &Json, out: &mut impl Write) -> Result<()> {
    let (connector, class) = (text(&object["connector"]), text(&object["type"]));
    write!(out, "{kind} {connector}/{class} {}", visible(text(&object["name"])))?;
    match &object["link"] {
        Json::Null => writeln!(out, ", not linked")?,
        link => writeln!(out, ", {} by `{}`", text(&link["origin"]), text(&link["rule"]))?,
    }
    for rule in list(&object["rules"]) {
        if rule["in_scope"] == Json::Bool(false) {
            let (state, why) = (text(&rule["state"]), text(&rule["reason"]));
            writeln!(out, "    `{}` {state}: {why}", text(&rule["rule"]))?;
        }
    }
    Ok(())
}

/// How attributes are told.
struct Manner {
    /// Of one attribute: also those rules that had no say in it, and which module it was.
    closely: bool,
    /// DN or anchor of each source, in order: they are told by their numbers.
    sources: Vec<String>,
}

fn attributes(attributes: &Json, manner: &Manner, out: &mut impl Write) -> Result<()> {
    let Json::Object(attributes) = attributes else { return Ok(()) };
    for (name, story) in attributes {
        let losers: Vec<&Json> = list(&story["losers"])
            .iter()
            .filter(|loser| manner.closely || !loser["flow"].is_null())
            .collect();
        if !manner.closely && losers.is_empty() && list(&story["values"]).is_empty() {
            continue;
        }
        writeln!(out, "  {name} = {}", values(&story["values"]))?;
        if story["retained"] == Json::Bool(true) {
            let rule = text(&story["retained_from"]);
            writeln!(out, "      retained from an earlier run: it was given by `{rule}`")?;
        } else if let winner @ Json::Object(_) = &story["winner"] {
            writeln!(out, "      by {}", manner.contributor(winner))?;
        }
        for other in list(&story["merged"]) {
            writeln!(out, "      and {}", manner.contributor(other))?;
        }
        self::losers(&losers, manner, out)?;
        references(&story["references"], out)?;
    }
    Ok(())
}

/// Those who have nothing to say share a line, unless they are looked at closely.
fn losers(losers: &[&Json], manner: &Manner, out: &mut impl Write) -> Result<()> {
    let silent = |loser: &&&Json| !manner.closely && loser["role"] == "null";
    for loser in losers.iter().filter(|loser| !silent(loser)) {
        let (who, why) = (manner.contributor(loser), text(&loser["reason"]));
        match list(&loser["values"]).is_empty() {
            true => writeln!(out, "      not {who}: {why}")?,
            false => writeln!(out, "      not {who}: {} ({why})", values(&loser["values"]))?,
        }
    }
    let names: Vec<String> =
        losers.iter().filter(silent).map(|loser| manner.contributor(loser)).collect();
    match names.is_empty() {
        true => Ok(()),
        false => writeln!(out, "      NULL: {}", names.join(", ")),
    }
}

/// References that do not arrive.
fn references(told: &Json, out: &mut impl Write) -> Result<()> {
    let Json::Object(told) = told else { return Ok(()) };
    let unresolved = &told["unresolved"];
    let lost = list(&unresolved["some"]);
    for reference in lost {
        let (to, why) = (text(&reference["to"]), text(&reference["reason"]));
        writeln!(out, "      leads nowhere: {to}: {why}")?;
    }
    more(unresolved, lost.len(), out)?;
    let Json::Object(targets) = &told["targets"] else { return Ok(()) };
    for (target, states) in targets {
        for (state, meaning) in [("omitted", "is not there"), ("deferred", "is to be created")] {
            let some = list(&states[state]["some"]);
            for name in some {
                writeln!(out, "      {state} at {target}: {} {meaning}", visible(text(name)))?;
            }
            more(&states[state], some.len(), out)?;
        }
    }
    Ok(())
}

fn more(counted: &Json, shown: usize, out: &mut impl Write) -> Result<()> {
    match counted["count"].as_u64().unwrap_or(0).saturating_sub(shown as u64) {
        0 => Ok(()),
        more => writeln!(out, "      and {more} more"),
    }
}

/// Characters of a module's digest that are enough to tell modules apart by eye.
const DIGEST_SHOWN: usize = 12;

// === impl Manner ===

impl Manner {
    fn contributor(&self, entry: &Json) -> String {
        let (rule, precedence) = (text(&entry["rule"]), &entry["precedence"]);
        let place = match &entry["source"] {
            Json::Null => None,
            source => self.sources.iter().position(|known| *known == identity(source)),
        };
        let from = place.map(|index| format!(" from [{}]", index + 1)).unwrap_or_default();
        let flow = match entry["flow"].as_u64() {
            Some(index) => format!(", flow {}", index + 1),
            None => String::new(),
        };
        let module = text(&entry["module"]);
        let module = match (self.closely, module.starts_with("builtin:")) {
            (true, _) => {
                let digest: String =
                    text(&entry["module_sha256"]).chars().take(DIGEST_SHOWN).collect();
                format!(", {module} {digest}")
            }
            (false, false) => format!(", {module}"),
            (false, true) => String::new(),
        };
        format!("`{rule}` ({precedence}{flow}{module}){from}")
    }
}

/// What tells a source from all others.
fn identity(object: &Json) -> String {
    format!("{} {}", text(&object["connector"]), name(object))
}

fn name(object: &Json) -> String {
    let name = object["dn"].as_str().or_else(|| object["anchor"].as_str());
    visible(name.unwrap_or("(no id yet)")).into_owned()
}

fn values(values: &Json) -> String {
    let shown: Vec<String> = list(values).iter().map(told).collect();
    if shown.is_empty() { "nothing".into() } else { shown.join(", ") }
}
