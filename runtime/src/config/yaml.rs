//! YAML: text flows in, a [`Node`] tree with positions flows out, and of it typed values with every
//! flaw.
//!
//! The only place that names the YAML crate. Reading goes in two steps, so that all flaws of a file
//! are found at once: the text becomes a tree, then [`decode`] takes typed values from the tree
//! and, where one does not fit, notes it, puts it aside and goes on.

mod decode;
mod node;

pub use decode::{Flaw, FlawKind, decode};
pub use node::{At, Entries, Mark, Node, Shape, Step};

use serde_yaml::options::{DuplicateKeyPolicy, MergeKeyPolicy};

/// Why a text is no YAML.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    pub message: String,
    pub mark: Option<Mark>,
}

/// Takes one YAML document. Gives its tree; keys that stand twice are both in it, for [`decode`] to
/// refuse.
///
/// Errors: the first break of syntax. An empty document is an empty mapping.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_yaml::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        with_snippet: false,
    };
    let node: Node = serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let mark = error.location().map(Mark::from);
        let message = match &error {
            serde_yaml::Error::MultipleDocuments { .. } => "more than one document".to_owned(),
            error => without_place(&error.render()),
        };
        SyntaxError { message, mark }
    })?;
    Ok(match node.shape {
        Shape::Null => Node { mark: Mark::START, shape: Shape::Map(vec![]) },
        _ => node,
    })
}

impl From<serde_yaml::Location> for Mark {
    fn from(location: serde_yaml::Location) -> Self {
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self { line: number(location.line()), column: number(location.column()) }
    }
}

/// The crate appends its own place to the message; ours stands on a line of its own.
fn without_place(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    match first.find(" at line ") {
        Some(end) => first[..end].to_owned(),
        None => first.to_owned(),
    }
}

impl<'de> serde::Deserialize<'de> for Node {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_yaml::Spanned::<Shape>::deserialize(deserializer)?;
        Ok(Self { mark: spanned.referenced.into(), shape: spanned.value })
    }
}

impl<'de> serde::Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

// === impl ShapeVisitor ===

impl<'de> serde::de::Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_some<D: serde::Deserializer<'de>>(self, inner: D) -> Result<Shape, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Shape, E> {
        Ok(Shape::Boolean(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Shape, E> {
        Ok(Shape::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Shape, E> {
        i64::try_from(number)
            .map(Shape::Integer)
            .map_err(|_| E::custom(format_args!("the number `{number}` is too large")))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Shape, E> {
        Ok(Shape::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Shape, E> {
        Ok(Shape::Text(text.to_owned()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Shape, A::Error> {
        let mut list = vec![];
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Shape::List(list))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<Shape, A::Error> {
        let mut map = vec![];
        while let Some(key) = entries.next_key::<serde_yaml::Spanned<String>>()? {
            let key = At { value: key.value, mark: key.referenced.into() };
            map.push((key, entries.next_value()?));
        }
        Ok(Shape::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(node) => node.to_string(),
            Err(error) => match error.mark {
                Some(mark) => format!("{mark} {error}"),
                None => error.to_string(),
            },
        }
    }

    #[test]
    fn every_value_and_key_knows_where_it_stands() {
        let text = "a: 1\nb:\n  - no\n  - 'x'\n  - {c: 2_000, d: true}\ne: ~\nf: 010\n";
        assert_eq!(
            shown(text),
            concat!(
                "1:1 {1:1 a: 1:4 1, 2:1 b: 3:3 [3:5 \"no\", 4:5 \"x\", ",
                "5:5 {5:6 c: 5:9 2000, 5:16 d: 5:19 true}], 6:1 e: 6:4 ~, 7:1 f: 7:4 \"010\"}"
            )
        );
    }

    #[test]
    fn doubled_keys_are_kept_for_the_decoder_to_refuse() {
        assert_eq!(shown("a: 1\na: 2\n"), "1:1 {1:1 a: 1:4 1, 2:1 a: 2:4 2}");
    }

    #[test]
    fn an_empty_file_is_an_empty_mapping() {
        assert_eq!(shown("# nothing\n"), "1:1 {}");
    }

    #[test]
    fn broken_syntax_is_told_with_its_place() {
        for (text, expected) in [
            ("a: [1\nb: 2\n", "2:2 illegal placement of ':' indicator"),
            ("a: b: c\n", "1:5 mapping values are not allowed in this context"),
            ("a: \"x\n", "2:1 invalid indentation in multiline quoted scalar"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn a_second_document_is_refused() {
        assert_eq!(shown("a: 1\n---\nb: 2\n"), "3:1 more than one document");
    }
}
