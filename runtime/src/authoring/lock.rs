//! Pins: the files of a manifest and the modules they name flow in; the same files with the hash of
//! every module flow out (G-13). Works on what is written, so also where the manifest cannot be
//! loaded: that is when pins are stale.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::edit::{self, Edit};
use super::{Refusal, Trouble, scan, select};
use crate::config::finding::Findings;
use crate::config::yaml::{self, At, Mark, Node, Shape};
use crate::manifest::files::Files;

const PURPOSE: &str = "cannot lock the modules";
const UNREADABLE: &str = "K0301";
const SYNTAX: &str = "K0302";
const NOT_EDITABLE: &str = "K0923";

/// One module of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub rule: String,
    pub file: PathBuf,
    pub module: String,
    /// What is written; `None` where nothing is.
    pub old: Option<String>,
    /// What the module has.
    pub new: String,
}

/// What locking would do, or did.
#[derive(Debug)]
pub struct Lock {
    /// In the order of the files; none for built-in modules.
    pub pins: Vec<Pin>,
    /// New texts of the files that change.
    texts: Vec<(PathBuf, String)>,
}

// === impl Pin ===

impl Pin {
    pub fn changed(&self) -> bool {
        self.old.as_ref().is_none_or(|old| !old.eq_ignore_ascii_case(&self.new))
    }
}

// === impl Lock ===

impl Lock {
    /// Takes a manifest or a file of rules, and the rule that is meant; `None`: all of them.
    ///
    /// Errors: a file or a module that cannot be read, or a place that cannot be edited; then
    /// nothing is to be written.
    pub fn of(main: &Path, rule: Option<&str>) -> Result<Self, Trouble> {
        let mut files = Files::of(main);
        let mut findings = Findings::new(main, PURPOSE);
        let mut lock = Self { pins: vec![], texts: vec![] };
        let mut names = BTreeSet::new();
        let mut pages = vec![];
        if let Some(page) = Page::read(main, &mut files, &mut findings) {
            for path in page.includes(main) {
                pages.extend(Page::read(&path, &mut files, &mut findings));
            }
            pages.push(page);
        }
        for page in pages {
            names.extend(page.entries().into_iter().map(|entry| entry.rule));
            lock.page(&page, rule, &mut files, &mut findings);
        }
        if findings.has_errors() {
            return Err(findings.into_sorted().into());
        }
        match rule {
            Some(rule) if !names.contains(rule) => {
                Err(select::no_rule(rule, names.iter().map(String::as_str)).into())
            }
            _ => Ok(lock),
        }
    }

    pub fn changes(&self) -> usize {
        self.pins.iter().filter(|pin| pin.changed()).count()
    }

    /// Writes the files that change, each in one step.
    pub fn write(&self) -> Result<(), Refusal> {
        self.texts.iter().try_for_each(|(path, text)| edit::replace(path, text))
    }

    fn page(
        &mut self,
        page: &Page,
        rule: Option<&str>,
        files: &mut Files,
        findings: &mut Findings,
    ) {
        let (mut edits, mut expected, mut known) = (vec![], page.root.clone(), true);
        let meant = |entry: &Entry<'_>| rule.is_none_or(|rule| entry.rule == rule);
        for entry in page.entries().into_iter().filter(meant) {
            let Some(module) = entry.path.and_then(Node::as_text) else { continue };
            let what = format!("rule `{}`", entry.rule);
            let bytes = match files.module(&page.path, module) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let draft = findings.error(error.code, error.message).at(entry.node.mark);
                    let draft = draft.file(&page.path).what(what);
                    if let Some(hint) = error.hint {
                        draft.hint(hint);
                    }
                    continue;
                }
            };
            let new: String =
                Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let old = entry.pin.and_then(|(_, node)| node.as_text()).map(str::to_owned);
            let pin = Pin {
                rule: entry.rule.clone(),
                file: page.path.clone(),
                module: module.to_owned(),
                old,
                new,
            };
            if pin.changed() {
                match edit(&page.text, &entry, &pin.new) {
                    Some(edit) => edits.push(edit),
                    None => {
                        known = false;
                        refuse(&pin, entry.node.mark, findings);
                    }
                }
                expect(&mut expected, entry.index, &pin.new);
            }
            self.pins.push(pin);
        }
        if edits.is_empty() || !known {
            return;
        }
        let text = edit::edited(&page.text, edits);
        match yaml::parse(&text) {
            Ok(found) if scan::same(&found, &expected) => {
                self.texts.push((page.path.clone(), text))
            }
            _ => {
                for pin in self.pins.iter().filter(|pin| pin.file == page.path && pin.changed()) {
                    refuse(pin, Mark::START, findings);
                }
            }
        }
    }
}

fn refuse(pin: &Pin, mark: Mark, findings: &mut Findings) {
    findings
        .error(NOT_EDITABLE, "the module is written in a way that cannot be edited in place")
        .at(mark)
        .file(&pin.file)
        .what(format!("rule `{}`", pin.rule))
        .hint(format!("write it by hand: `sha256: {}`", pin.new));
}

/// One file of rules.
struct Page {
    path: PathBuf,
    text: String,
    root: Node,
}

/// The module of one rule, as it is written.
struct Entry<'a> {
    /// Among `rules`.
    index: usize,
    rule: String,
    node: &'a Node,
    path_key: Option<&'a At<String>>,
    path: Option<&'a Node>,
    pin: Option<(&'a At<String>, &'a Node)>,
}

// === impl Page ===

impl Page {
    fn read(path: &Path, files: &mut Files, findings: &mut Findings) -> Option<Self> {
        let text = match files.text(path) {
            Ok(text) => text,
            Err(why) => {
                findings.error(UNREADABLE, format_args!("cannot read the file: {why}")).file(path);
                return None;
            }
        };
        match yaml::parse(&text) {
            Ok(root) => Some(Self { path: path.to_owned(), text, root }),
            Err(error) => {
                findings
                    .error(SYNTAX, format_args!("no valid YAML: {error}"))
                    .at(error.mark.unwrap_or(Mark::START))
                    .file(path);
                None
            }
        }
    }

    fn includes(&self, main: &Path) -> Vec<PathBuf> {
        let folder = main.parent().unwrap_or(Path::new(""));
        let list = self.root.get("include").map(|node| &node.shape);
        let Some(Shape::List(items)) = list else { return vec![] };
        items.iter().filter_map(Node::as_text).map(|name| folder.join(name)).collect()
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        let Some(Shape::List(rules)) = self.root.get("rules").map(|node| &node.shape) else {
            return vec![];
        };
        let entry = |(index, rule): (usize, &'_ Node)| -> Option<(usize, String)> {
            let name = rule.get("name").and_then(Node::as_text);
            let name = name.map_or_else(|| format!("rule {}", index + 1), str::to_owned);
            Some((index, name))
        };
        let named = rules.iter().enumerate().filter_map(entry);
        named
            .filter_map(|(index, rule)| {
                let node = rules[index].get("module")?;
                let entries = match &node.shape {
                    Shape::Map(entries) => entries.as_slice(),
                    _ => &[],
                };
                let of = |name: &str| entries.iter().find(|(key, _)| key.value == name);
                let path = of("path");
                Some(Entry {
                    index,
                    rule,
                    node,
                    path_key: path.map(|(key, _)| key),
                    path: path.map(|(_, node)| node),
                    pin: of("sha256").map(|(key, node)| (key, node)),
                })
            })
            .collect()
    }
}

/// What has to be written where; `None` where it is written in a way we do not know.
fn edit(text: &str, entry: &Entry<'_>, hash: &str) -> Option<Edit> {
    let inside = text[scan::offset(text, entry.node.mark)?..].starts_with('{');
    match entry.pin {
        Some((key, node)) => replaced(text, key, node, inside, hash),
        None => inserted(text, entry.path_key?, entry.path?, inside, hash),
    }
}

fn replaced(text: &str, key: &At<String>, node: &Node, inside: bool, hash: &str) -> Option<Edit> {
    let behind = scan::behind_key(text, scan::offset(text, key.mark)?)?;
    let rest = &text[behind..];
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let at = behind + blanks;
    let nothing = matches!(node.shape, Shape::Null) && !rest[blanks..].starts_with(['~', 'n', 'N']);
    if nothing {
        return Some(Edit { range: behind..behind, text: format!(" {}", plain(hash)) });
    }
    let range = scan::value(text, at, inside)?;
    let mark = text[range.clone()].chars().next().filter(|mark| matches!(mark, '"' | '\''));
    let text = mark.map_or_else(|| plain(hash), |mark| format!("{mark}{hash}{mark}"));
    Some(Edit { range, text })
}

fn inserted(text: &str, key: &At<String>, path: &Node, inside: bool, hash: &str) -> Option<Edit> {
    let key_at = scan::offset(text, key.mark)?;
    let end = scan::value(text, scan::offset(text, path.mark)?, inside)?.end;
    let json = text[key_at..].starts_with('"');
    let entry = match json {
        true => format!("\"sha256\": \"{hash}\""),
        false => format!("sha256: {}", plain(hash)),
    };
    if inside {
        return Some(Edit { range: end..end, text: format!(", {entry}") });
    }
    // Below the line of the path, with whatever stands behind it.
    let end = scan::line_end(text, end);
    let indent = " ".repeat(key.mark.column as usize - 1);
    let text = format!("{}{indent}{entry}", scan::line_break(text));
    Some(Edit { range: end..end, text })
}

/// A hash without quotation marks, unless YAML would take it for a number.
fn plain(hash: &str) -> String {
    let letters = hash.chars().filter(char::is_ascii_alphabetic);
    match letters.clone().count() < 2 && letters.clone().all(|letter| letter == 'e') {
        true => format!("\"{hash}\""),
        false => hash.to_owned(),
    }
}

/// The tree as it is to be: the pin of one rule set, or put behind the path.
fn expect(root: &mut Node, index: usize, hash: &str) {
    let Some(rules) = child(root, "rules") else { return };
    let Shape::List(rules) = &mut rules.shape else { return };
    let Some(module) = rules.get_mut(index).and_then(|rule| child(rule, "module")) else { return };
    let Shape::Map(entries) = &mut module.shape else { return };
    let mark = Mark::START;
    let pin = Node { mark, shape: Shape::Text(hash.to_owned()) };
    match entries.iter_mut().find(|(key, _)| key.value == "sha256") {
        Some((_, node)) => *node = pin,
        None => {
            let path = entries.iter().position(|(key, _)| key.value == "path");
            let place = path.map_or(entries.len(), |path| path + 1);
            entries.insert(place, (At { value: "sha256".into(), mark }, pin));
        }
    }
}

fn child<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    let Shape::Map(entries) = &mut node.shape else { return None };
    entries.iter_mut().find(|(name, _)| name.value == key).map(|(_, node)| node)
}

#[cfg(test)]
mod tests;
