//! The tree of a YAML document: values that know where they stand.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A position in a file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    pub line: u32,
    pub column: u32,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    pub value: T,
    pub mark: Mark,
}

/// A mapping with free keys, in the order of the file; no key is there twice.
#[derive(Clone, Debug)]
pub struct Entries<T>(pub Vec<(At<String>, T)>);

#[derive(Clone, Debug)]
pub struct Node {
    pub mark: Mark,
    pub shape: Shape,
}

#[derive(Clone, Debug)]
pub enum Shape {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(At<String>, Node)>),
    /// Was found faulty and reported; what holds it goes on without it.
    Withdrawn,
}

/// One step from a node to a value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// How [`At`] asks the decoder for the position; any other deserializer refuses it.
pub(super) const AT: &str = "$at";

// === impl Mark ===

impl Mark {
    pub const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

// === impl Node ===

impl Node {
    /// The entry of a mapping with this key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Shape::Map(entries) = &self.shape else { return None };
        entries.iter().find(|(name, _)| name.value == key).map(|(_, value)| value)
    }

    /// The value at the end of a way; `None` where the way leads nowhere.
    pub fn at(&self, path: &[Step]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match (step, &node.shape) {
            (Step::Key(key), _) => node.get(key),
            (Step::Index(index), Shape::List(items)) => items.get(*index),
            (Step::Index(_), _) => None,
        })
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What a person would call the value: ``the number `5` ``, `a list`.
    pub(super) fn described(&self) -> String {
        match &self.shape {
            Shape::Null | Shape::Withdrawn => "nothing".to_owned(),
            Shape::Boolean(flag) => format!("`{flag}`"),
            Shape::Integer(number) => format!("the number `{number}`"),
            Shape::Float(number) => format!("the number `{number}`"),
            Shape::Text(text) => format!("the text `{text}`"),
            Shape::List(_) => "a list".to_owned(),
            Shape::Map(_) => "a mapping".to_owned(),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.mark)?;
        match &self.shape {
            Shape::Null => f.write_str("~"),
            Shape::Withdrawn => f.write_str("!"),
            Shape::Boolean(flag) => write!(f, "{flag}"),
            Shape::Integer(number) => write!(f, "{number}"),
            Shape::Float(number) => write!(f, "{number}"),
            Shape::Text(text) => write!(f, "{text:?}"),
            Shape::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Shape::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {}: {value}", key.mark, key.value)?;
                }
                f.write_str("}")
            }
        }
    }
}

// === impl At ===

impl<T> At<T> {
    pub fn as_ref(&self) -> At<&T> {
        At { value: &self.value, mark: self.mark }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple_struct(AT, 3, AtVisitor(PhantomData))
    }
}

struct AtVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AtVisitor<T> {
    type Value = At<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line, a column and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
        let absent = || serde::de::Error::custom("the decoder gives no position");
        let line = parts.next_element()?.ok_or_else(absent)?;
        let column = parts.next_element()?.ok_or_else(absent)?;
        let value = parts.next_element()?.ok_or_else(absent)?;
        Ok(At { value, mark: Mark { line, column } })
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

// === impl Entries ===

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Entries<T>, A::Error> {
        let mut map = vec![];
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Entries(map))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Entries_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <std::collections::BTreeMap<String, T>>::json_schema(generator)
    }
}
