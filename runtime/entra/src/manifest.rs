//! `manifest.yml`: connectors with their parameters, and the fragments in order of precedence.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::connectors::{Connector, Connectors};
use crate::convert::{Converted, Finding, Topic};
use crate::read::Export;
use crate::yaml::{quoted, scalar};

/// Parameters that every connector has without being given any.
const OWN: [&str; 2] = ["Connector.ID", "Connector.Name"];

/// Writes the manifest. Parameters that rules read and nothing says are noted, and stand there as a
/// comment to be filled in: a guess would end up in people's accounts.
pub fn text(
    export: &Export,
    connectors: &Connectors,
    converted: &[Converted<'_>],
    findings: &mut Vec<Finding>,
) -> String {
    let mut text = String::from(
        "# Imported from Entra Connect: import-report.md tells how, import.json leads back.\n\
         version: 1\nconnectors:\n",
    );
    let mut everywhere = BTreeMap::new();
    for (order, connector) in (1..).zip(connectors.all()) {
        let (name, kind) = (scalar(&connector.name), scalar(&connector.kind));
        let _ = write!(text, "  - name: {name}\n    kind: {kind}\n    order: {order}\n");
        let lines = parameters(export, connector, converted, &mut everywhere, findings);
        if lines.iter().any(|line| !line.trim_start().starts_with('#')) {
            text.push_str("    parameters:\n");
        } else if !lines.is_empty() {
            text.push_str("    # parameters:\n");
        }
        text.extend(lines);
    }
    if !everywhere.is_empty() {
        text.push_str("parameters:\n");
        for (name, value) in everywhere {
            let _ = writeln!(text, "  {}: {}", scalar(&name), quoted(value));
        }
    }
    text.push_str("compat: {on_multiple_match: provision}\ninclude:\n");
    for rule in converted {
        let _ = writeln!(text, "  - {}", quoted(&rule.path));
    }
    text
}

/// The lines of the parameters that rules on one connector read.
fn parameters<'e>(
    export: &'e Export,
    connector: &Connector,
    converted: &[Converted<'_>],
    everywhere: &mut BTreeMap<String, &'e str>,
    findings: &mut Vec<Finding>,
) -> Vec<String> {
    let of = converted.iter().filter(|rule| rule.connector == connector.name);
    let read: BTreeSet<&str> =
        of.flat_map(|rule| rule.parameters.iter().map(String::as_str)).collect();
    let global = export.metaverse.as_ref().map(|metaverse| &metaverse.parameters);
    let mut lines = vec![];
    for name in read {
        if OWN.contains(&name) && !connector.given.contains_key(name) {
            continue;
        }
        let known = connector.file.as_ref().and_then(|file| file.parameters.get(name));
        let value = match (connector.given.get(name), known) {
            (Some(given), _) => Some(given),
            (None, Some(values)) if values.len() == 1 => values.first(),
            (None, _) => None,
        };
        if let Some(value) = value {
            lines.push(format!("      {}: {}\n", scalar(name), quoted(value)));
        } else if let Some((name, value)) =
            global.and_then(|global| global.get_key_value(name)).filter(|_| known.is_none())
        {
            everywhere.insert(name.clone(), value.as_str());
        } else {
            lines.push(format!("      # {}: ''\n", scalar(name)));
            findings.push(missing(connector, name, known));
        }
    }
    lines
}

fn missing(connector: &Connector, name: &str, known: Option<&BTreeSet<String>>) -> Finding {
    let place = format!("connector `{}`", connector.name);
    let reason = match known {
        Some(values) => {
            let values: Vec<String> = values.iter().map(|value| format!("`{value}`")).collect();
            format!("`%{name}%` differs between its domains: {}", values.join(", "))
        }
        None => format!("rules read `%{name}%`, whose value is not in the export"),
    };
    let suggestion = format!(
        "fill it in in `manifest.yml`, or import again with `--parameter {}:{name}=VALUE`; the \
         manifest does not load before (K0510)",
        connector.name
    );
    Finding { topic: Topic::Unsettled, ..Finding::note(&place, reason).suggest(suggestion) }
}
