//! Exported files flow in, in whatever of the three formats; rules, connectors and schema flow out,
//! or everything that is wrong with all of the files.

mod connector;
mod json;
mod rule_xml;
mod script;
mod xml;

use std::collections::BTreeMap;

pub use self::connector::{ConnectorFile, Metaverse, Type};
use crate::fault::{Fault, RULES, XML};
use crate::model::Rule;
use crate::text;

/// A file of an export, not decoded yet.
#[derive(Clone, Debug)]
pub struct File {
    /// As messages shall name it; its end tells the format.
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Export {
    /// In order of precedence, direction, name.
    pub rules: Vec<Rule>,
    pub connectors: Vec<ConnectorFile>,
    pub metaverse: Option<Metaverse>,
    /// Files that hold nothing of interest.
    pub skipped: Vec<String>,
    pub counted: Counted,
}

/// What the readers saw, before anything was made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub rules: usize,
    pub flows: usize,
    pub expressions: usize,
}

/// Takes the files of one or several exports, in any order. Errors: all faults of all files.
pub fn read(files: &[File]) -> Result<Export, Vec<Fault>> {
    let mut export = Export::default();
    let mut faults = vec![];
    for file in files {
        match text::decode(&file.name, &file.bytes) {
            Ok(text) => one(&file.name, &text, &mut export, &mut faults),
            Err(fault) => faults.push(fault),
        }
    }
    let mut first = BTreeMap::<&str, &Rule>::new();
    for rule in &export.rules {
        if let Some(other) = first.insert(&rule.id, rule) {
            let message = format!("the rule `{}` ({}) stands twice", rule.name, rule.id);
            let hint = format!("it is in `{}` as well: name one of the two", other.origin.file);
            faults.push(
                Fault::new(RULES, message).at(&rule.origin.file, rule.origin.line).hint(hint),
            );
        }
    }
    if export.rules.is_empty() && faults.is_empty() {
        faults.push(Fault::new(RULES, "there is no rule in what was named").hint(
            "name the folder with `SynchronizationRules`, a `.ps1` script of the rules editor, or \
             the `.json` of `Get-ADSyncRule | ConvertTo-Json -Depth 8`",
        ));
    }
    if !faults.is_empty() {
        faults.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        return Err(faults);
    }
    export.rules.sort_by(|a, b| {
        let key = |rule: &Rule| (rule.precedence, rule.direction);
        key(a).cmp(&key(b)).then_with(|| (&a.name, &a.id).cmp(&(&b.name, &b.id)))
    });
    Ok(export)
}

fn one(file: &str, text: &str, export: &mut Export, faults: &mut Vec<Fault>) {
    let end = file.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match end.as_str() {
        "ps1" => export.rules.extend(script::rules(file, text, &mut export.counted, faults)),
        "json" => export.rules.extend(json::rules(file, text, &mut export.counted, faults)),
        "xml" => match xml::parse(file, text) {
            Ok(document) => root(file, document.root_element(), export, faults),
            Err(fault) => faults.push(fault),
        },
        _ => faults.push(
            Fault::new(RULES, format!("`.{end}` is no format of exported rules"))
                .at(file, 0)
                .hint("name a folder, a `.ps1` or a `.json` file"),
        ),
    }
}

fn root(file: &str, root: roxmltree::Node<'_, '_>, export: &mut Export, faults: &mut Vec<Fault>) {
    match root.tag_name().name() {
        "synchronizationRule" => {
            export.counted.rules += 1;
            export.rules.extend(rule_xml::rule(file, root, &mut export.counted, faults));
        }
        "saved-ma-configuration" | "ma-data" => {
            let data = xml::child(root, "ma-data").unwrap_or(root);
            match connector::connector(data) {
                Some(connector) => export.connectors.push(connector),
                None => faults.push(
                    Fault::new(XML, "the connector has no `id`")
                        .at(file, xml::line(data))
                        .hint("the file is damaged or cut short: export it again"),
                ),
            }
        }
        "saved-mv-configuration" => export.metaverse = Some(connector::metaverse(root)),
        other if file.contains("SynchronizationRule") => faults.push(
            Fault::new(XML, format!("the file holds a `{other}`, no `synchronizationRule`"))
                .at(file, 1)
                .hint("take files that are no rules out of the folder of the rules"),
        ),
        _ => export.skipped.push(file.to_owned()),
    }
}
