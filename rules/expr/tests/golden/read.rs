//! Golden vectors as text: an expression, objects, and what it must come to for each.
//!
//! ```text
//! = Left([x], 3)
//! x='John' => 'Joh'
//! => ''
//! ```
//!
//! A line `= ...` names the expression of the lines below it; those are an object, `=>`, and the
//! value. An object is `name=value|value; name=value`, a list of one ends with `|`; `+name` is a
//! confirmed value, `%name` a parameter. A value is `'text'` (with `''`, `\n`, `\r`, `\t`),
//! `&'reference'`, `0xbytes`, `True`, `False`, a number; in results also a date, `NULL`, and
//! `error: words`. `#` begins a comment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use kakehi_expr::{Computed, Environment, Val};

/// 2026-01-31, the instant of every vector.
pub const NOW: i64 = 1_769_817_600;

pub struct Vector {
    /// File and line.
    pub place: String,
    pub expression: String,
    pub object: Object,
    pub expected: String,
}

#[derive(Clone, Debug, Default)]
pub struct Object {
    pub attributes: BTreeMap<String, Vec<Val>>,
    pub imported: BTreeMap<String, Vec<Val>>,
    pub parameters: BTreeMap<String, String>,
    lists: BTreeSet<String>,
}

/// All vectors, file by file.
pub fn vectors(folder: &Path) -> Vec<Vector> {
    let entries = fs::read_dir(folder).expect("the vectors are there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    files.sort();
    let mut vectors = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a text");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut expression = String::new();
        for (index, line) in text.lines().enumerate() {
            let place = format!("{name}:{}", index + 1);
            if let Some(rest) = line.strip_prefix("= ") {
                rest.trim_end().clone_into(&mut expression);
            } else if let Some((object, expected)) = line.split_once("=> ") {
                let object = read_object(object.trim(), &place);
                let expression = expression.clone();
                let expected = expected.trim_end().to_owned();
                vectors.push(Vector { place, expression, object, expected });
            } else {
                assert!(line.is_empty() || line.starts_with('#'), "{place}: {line}");
            }
        }
    }
    vectors
}

/// A value as the files write it.
pub fn written(computed: &Computed) -> String {
    match computed {
        Computed::Null => "NULL".to_owned(),
        Computed::AuthoritativeNull => "AuthoritativeNull".to_owned(),
        Computed::IgnoreThisFlow => "IgnoreThisFlow".to_owned(),
        Computed::One(value) => one(value),
        Computed::Many(values) => {
            let end = if values.len() == 1 { "|" } else { "" };
            values.iter().map(one).collect::<Vec<_>>().join("|") + end
        }
    }
}

fn one(value: &Val) -> String {
    let quoted = |text: &str| {
        let text = text.replace('\'', "''").replace('\n', "\\n");
        format!("'{}'", text.replace('\r', "\\r").replace('\t', "\\t"))
    };
    match value {
        Val::Text(text) => quoted(text),
        Val::Reference(text) => format!("&{}", quoted(text)),
        Val::Number(number) => number.to_string(),
        Val::Boolean(true) => "True".to_owned(),
        Val::Boolean(false) => "False".to_owned(),
        Val::Binary(bytes) => {
            bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
        }
        Val::Instant(instant) => instant.to_string(),
    }
}

fn read_object(text: &str, place: &str) -> Object {
    let mut object = Object::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').unwrap_or_else(|| panic!("{place}: {rest}"));
        let mut values = Vec::new();
        rest = after;
        let mut list = false;
        while !(rest.is_empty() || rest.starts_with("; ")) {
            let (value, after) = read_value(rest, place);
            values.push(value);
            rest = after;
            if let Some(after) = rest.strip_prefix('|') {
                (rest, list) = (after, true);
            }
        }
        rest = rest.strip_prefix("; ").unwrap_or(rest);
        match name.split_at(1) {
            ("+", name) => {
                object.imported.insert(name.to_owned(), values);
            }
            ("%", name) => {
                let text = match values.pop() {
                    Some(Val::Text(text)) => text,
                    other => panic!("{place}: {other:?}"),
                };
                object.parameters.insert(name.to_owned(), text);
            }
            _ => {
                if list {
                    object.lists.insert(name.to_owned());
                }
                object.attributes.insert(name.to_owned(), values);
            }
        }
    }
    object
}

fn read_value<'t>(text: &'t str, place: &str) -> (Val, &'t str) {
    if let Some(rest) = text.strip_prefix("&'") {
        let (text, rest) = read_text(rest, place);
        return (Val::Reference(text), rest);
    }
    if let Some(rest) = text.strip_prefix('\'') {
        let (text, rest) = read_text(rest, place);
        return (Val::Text(text), rest);
    }
    let end = text.find(['|', ';']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let value = match (word, word.strip_prefix("0x")) {
        ("True", _) => Val::Boolean(true),
        ("False", _) => Val::Boolean(false),
        (_, Some(hex)) => {
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
            Val::Binary((0..hex.len()).step_by(2).map(byte).collect())
        }
        _ => Val::Number(word.parse().unwrap_or_else(|_| panic!("{place}: {word}"))),
    };
    (value, rest)
}

fn read_text<'t>(text: &'t str, place: &str) -> (String, &'t str) {
    let mut value = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let next = letters.peek().map(|(_, next)| *next);
        match (letter, next) {
            ('\'', Some('\'')) => value.push('\''),
            ('\'', _) => return (value, &text[at + 1..]),
            ('\\', Some('n')) => value.push('\n'),
            ('\\', Some('r')) => value.push('\r'),
            ('\\', Some('t')) => value.push('\t'),
            (letter, _) => {
                value.push(letter);
                continue;
            }
        }
        letters.next();
    }
    panic!("{place}: a text without an end: {text}")
}

impl Environment for Object {
    fn attribute(&self, name: &str) -> Vec<Val> {
        self.attributes.get(name).cloned().unwrap_or_default()
    }

    fn imported(&self, name: &str) -> Vec<Val> {
        self.imported.get(name).cloned().unwrap_or_default()
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.get(name).cloned()
    }

    fn now(&self) -> i64 {
        NOW
    }

    fn multi_valued(&self, name: &str) -> bool {
        self.lists.contains(name)
    }
}
