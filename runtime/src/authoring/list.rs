//! The rules of an installation at a glance: a rule set, the files it came from and what the last
//! runs left flow in; a table flows out.

use std::collections::BTreeMap;
use std::io::{self, Write};

use kakehi_engine::problem::{Problem, ProblemKind};
use kakehi_engine::rule::{Direction, Rule, RuleSet};
use kakehi_host::Limits;
use serde_json::{Value as Json, json};

use super::check::limits_json;
use super::words;
use crate::manifest::ModuleSource;
use crate::manifest::generation::alone::Book;
use crate::report::words as report;

/// What a rule's files say beside what the rule set says.
#[derive(Clone, Debug)]
struct Written {
    interface: Option<&'static str>,
    limits: Limits,
}

/// Everything that is listed.
pub struct Listing<'a> {
    rules: &'a RuleSet,
    written: BTreeMap<String, Written>,
    /// Name and place of rules that are turned off.
    disabled: Vec<(String, String)>,
    default: Limits,
    /// Objects by rule that its module could not judge; `None` where there is no state yet.
    traps: Option<BTreeMap<String, u64>>,
}

// === impl Listing ===

impl<'a> Listing<'a> {
    /// Takes: the rule set; its files, disabled rules included; what holds for rules that say
    /// nothing of limits; the problems that the last runs left.
    pub fn new(
        rules: &'a RuleSet,
        book: &mut Book,
        default: Limits,
        problems: Option<&[Problem]>,
    ) -> Self {
        let mut written = BTreeMap::new();
        let mut disabled = vec![];
        for index in 0..book.sheets.len() {
            let bytes = book.bytes(index).ok();
            let sheet = &book.sheets[index];
            let origin = sheet.origin();
            if !sheet.enabled {
                let place = format!("{}:{}", origin.file.display(), origin.mark.line);
                disabled.push((sheet.name().to_owned(), place));
                continue;
            }
            let api = match sheet.module() {
                ModuleSource::File { api, .. } => api.as_deref(),
                ModuleSource::Builtin(_) => None,
            };
            let anatomy = bytes.and_then(|bytes| kakehi_host::anatomy(&bytes, api).ok());
            let interface = anatomy.map(|anatomy| anatomy.interface);
            let limits = sheet.limits(default);
            written.insert(sheet.name().to_owned(), Written { interface, limits });
        }
        let traps = problems.map(|problems| {
            let mut traps = BTreeMap::<String, u64>::new();
            let trapped = |problem: &&Problem| problem.kind == ProblemKind::RuleTrap;
            for rule in problems.iter().filter(trapped).filter_map(|found| found.rule.as_ref()) {
                *traps.entry(rule.to_string()).or_default() += 1;
            }
            traps
        });
        Self { rules, written, disabled, default, traps }
    }

    fn traps(&self, rule: &Rule) -> Option<u64> {
        let traps = self.traps.as_ref()?;
        Some(traps.get(&rule.tag.to_string()).copied().unwrap_or(0))
    }

    /// What is out of the ordinary.
    fn notes(&self, rule: &Rule) -> String {
        let mut notes = vec![];
        notes.extend(rule.contract.volatile.then(|| "volat".to_owned()));
        let traps = self.traps(rule).filter(|traps| *traps > 0);
        notes.extend(traps.map(|traps| format!("{traps} traps")));
        notes.join(" ")
    }

    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{:>4} {:<3} {:<28} {:<10} {:<24} {:<11} {:<8} notes",
            "prec", "dir", "rule", "connector", "types", "link", "sha256"
        )?;
        for rule in &self.rules.rules {
            let written = self.written.get(&rule.name);
            let inbound = rule.direction == Direction::Inbound;
            let types = match inbound {
                true => format!("{} -> {}", rule.cs_class, rule.mv_class),
                false => format!("{} -> {}", rule.mv_class, rule.cs_class),
            };
            let line = format!(
                "{:>4} {:<3} {:<28} {:<10} {:<24} {:<11} {:<8} {}",
                rule.precedence,
                if inbound { "in" } else { "out" },
                words::cut(&rule.name, 28),
                words::cut(rule.connector.as_str(), 10),
                words::cut(&types, 24),
                report::link_type(rule.link),
                rule.module.sha256.get(..8).unwrap_or_default(),
                self.notes(rule),
            );
            writeln!(out, "{}", line.trim_end())?;
            if let Some(written) = written.filter(|written| written.limits != self.default) {
                writeln!(out, "         limits: {}", words::limits(&written.limits))?;
            }
        }
        for (name, place) in &self.disabled {
            writeln!(out, "   - off {name}, disabled at {place}")?;
        }
        Ok(())
    }

    pub fn to_json(&self) -> Json {
        let enabled = self.rules.rules.iter().map(|rule| {
            let written = self.written.get(&rule.name);
            let mut body = rule_json(rule);
            body["interface"] = json!(written.and_then(|written| written.interface));
            body["limits"] = json!(written.map(|written| limits_json(&written.limits)));
            body["traps"] = json!(self.traps(rule));
            body["enabled"] = json!(true);
            body
        });
        let disabled = self
            .disabled
            .iter()
            .map(|(name, place)| json!({"name": name, "place": place, "enabled": false}));
        enabled.chain(disabled).collect()
    }
}

/// What is needed to know a rule (R2).
fn rule_json(rule: &Rule) -> Json {
    let names = |names: &mut dyn Iterator<Item = String>| names.collect::<Vec<_>>();
    json!({
        "name": rule.name,
        "tag": rule.tag.to_string(),
        "direction": report::direction(rule.direction),
        "precedence": rule.precedence,
        "connector": rule.connector.as_str(),
        "connector_type": rule.cs_class.as_str(),
        "metaverse_type": rule.mv_class.as_str(),
        "link": report::link_type(rule.link),
        "module": rule.module.source,
        "module_sha256": rule.module.sha256,
        "config_sha256": rule.module.config_sha256,
        "reads": names(&mut rule.contract.reads.iter().map(ToString::to_string)),
        "writes": names(&mut rule.contract.writes.keys().map(ToString::to_string)),
        "volatile": rule.contract.volatile,
    })
}
