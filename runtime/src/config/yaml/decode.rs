//! From the tree to typed values, noting every flaw on the way.
//!
//! A tree and a type flow in; the value and all flaws flow out. serde stops at the first value that
//! does not fit. So the faulty value is noted and withdrawn from the tree, and the decoding begins
//! anew until it passes: each pass finds one more flaw, and derived types stay as simple as they
//! are.

mod access;
mod error;

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Deserializer, Visitor};

use self::access::{List, Map, Position, Variant};
use self::error::{DecodeError, Fault, did_you_mean, listed, unknown_key_hint};
use super::node::{AT, At, Mark, Node, Shape, Step};
use crate::config::nearest::nearest;

/// So many flaws are told of one file: enough to mend in one go, too few to flood a terminal.
pub const FLAWS_MAX: usize = 100;

/// What kind of flaw it is; whoever reports it gives it its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlawKind {
    UnknownKey,
    DoubledKey,
    MissingKey,
    /// A value of the wrong type or form.
    Value,
}

#[derive(Clone, Debug)]
pub struct Flaw {
    pub kind: FlawKind,
    pub message: String,
    pub mark: Mark,
    /// The way from the root to the faulty value.
    pub path: Vec<Step>,
    pub hint: Option<String>,
}

/// Takes a tree, from which faulty values are withdrawn. Gives the typed value, and the flaws in
/// the order of the file, at most [`FLAWS_MAX`].
///
/// With flaws, the value lacks what they are about; it is `None` where nothing was left.
pub fn decode<T: DeserializeOwned>(root: &mut Node) -> (Option<T>, Vec<Flaw>) {
    let mut flaws = vec![];
    withdraw_doubled(root, &mut vec![], &mut flaws);
    loop {
        let error = match T::deserialize(Value(root)) {
            Ok(value) => {
                flaws.sort_by_key(|flaw: &Flaw| flaw.mark);
                return (Some(value), flaws);
            }
            Err(error) => error,
        };
        let path: Vec<Step> = error.path.into_iter().rev().collect();
        if !error.follows {
            let mark = error.mark.unwrap_or(root.mark);
            let Fault { kind, message, hint } = *error.fault;
            flaws.push(Flaw { kind, message, mark, path: path.clone(), hint });
        }
        let stop = path.is_empty() || flaws.len() >= FLAWS_MAX;
        if stop || !withdraw(root, &path) {
            flaws.sort_by_key(|flaw| flaw.mark);
            return (None, flaws);
        }
    }
}

/// Keys that stand twice are flaws everywhere, also where any key is allowed.
fn withdraw_doubled(node: &mut Node, path: &mut Vec<Step>, flaws: &mut Vec<Flaw>) {
    match &mut node.shape {
        Shape::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(Step::Index(index));
                withdraw_doubled(item, path, flaws);
                path.pop();
            }
        }
        Shape::Map(entries) => {
            let mut seen = BTreeMap::<String, Mark>::new();
            entries.retain_mut(|(key, value)| {
                path.push(Step::Key(key.value.clone()));
                let first = seen.get(&key.value).copied();
                match first {
                    Some(first) => flaws.push(Flaw {
                        kind: FlawKind::DoubledKey,
                        message: format!("the key `{}` stands twice", key.value),
                        mark: key.mark,
                        path: path.clone(),
                        hint: Some(format!("it stands in line {} already", first.line)),
                    }),
                    None => {
                        seen.insert(key.value.clone(), key.mark);
                        withdraw_doubled(value, path, flaws);
                    }
                }
                path.pop();
                first.is_none()
            });
        }
        _ => {}
    }
}

/// Whether something was there to withdraw.
fn withdraw(node: &mut Node, path: &[Step]) -> bool {
    let Some((step, rest)) = path.split_first() else {
        let there = !matches!(node.shape, Shape::Withdrawn);
        node.shape = Shape::Withdrawn;
        return there;
    };
    let child = match (step, &mut node.shape) {
        (Step::Key(name), Shape::Map(entries)) => {
            entries.iter_mut().find(|(key, _)| key.value == *name).map(|(_, value)| value)
        }
        (Step::Index(index), Shape::List(items)) => items.get_mut(*index),
        _ => None,
    };
    child.is_some_and(|child| withdraw(child, rest))
}

/// The deserializer of one node.
#[derive(Clone, Copy)]
struct Value<'a>(&'a Node);

// === impl Value ===

impl<'a> Value<'a> {
    fn mismatch(self, expected: &str) -> DecodeError {
        let found = self.0.described();
        DecodeError::new(FlawKind::Value, format!("expected {expected}, found {found}"))
            .at(self.0.mark)
    }

    fn entries(self) -> Result<&'a [(At<String>, Node)], DecodeError> {
        match &self.0.shape {
            Shape::Map(entries) => Ok(entries),
            _ => Err(self.mismatch("a mapping")),
        }
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let mut entries = self.entries()?.iter();
        let access = Map { entries: &mut entries, current: None };
        visitor.visit_map(access).map_err(|error| error.at(self.0.mark))
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let Shape::List(items) = &self.0.shape else { return Err(self.mismatch("a list")) };
        visitor.visit_seq(List { items, index: 0 }).map_err(|mut error: DecodeError| {
            // A list may only be too short for what was withdrawn from it.
            let withdrawn = items.iter().any(|item| matches!(item.shape, Shape::Withdrawn));
            error.follows |= error.path.is_empty() && withdrawn;
            error.at(self.0.mark)
        })
    }
}

macro_rules! whole_numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.0.shape {
                Shape::Integer(number) => {
                    visitor.visit_i64(number).map_err(|error: DecodeError| error.at(self.0.mark))
                }
                _ => Err(self.mismatch("a whole number")),
            }
        })*
    };
}

macro_rules! texts {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match &self.0.shape {
                Shape::Text(text) => {
                    visitor.visit_str(text).map_err(|error: DecodeError| error.at(self.0.mark))
                }
                Shape::Boolean(_) | Shape::Integer(_) | Shape::Float(_) => Err(self
                    .mismatch("a text")
                    .hint(Some("put it between quotation marks".to_owned()))),
                _ => Err(self.mismatch("a text")),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let result = match &self.0.shape {
            Shape::Null | Shape::Withdrawn => visitor.visit_unit(),
            Shape::Boolean(flag) => visitor.visit_bool(*flag),
            Shape::Integer(number) => visitor.visit_i64(*number),
            Shape::Float(number) => visitor.visit_f64(*number),
            Shape::Text(text) => visitor.visit_str(text),
            Shape::List(_) => self.list(visitor),
            Shape::Map(_) => self.map(visitor),
        };
        result.map_err(|error: DecodeError| error.at(self.0.mark))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.shape {
            Shape::Boolean(flag) => visitor.visit_bool(flag),
            _ => Err(self.mismatch("`true` or `false`")),
        }
    }

    whole_numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    texts! { deserialize_str deserialize_string deserialize_char deserialize_identifier }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.shape {
            Shape::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self).map_err(|error: DecodeError| error.at(self.0.mark))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match name {
            AT => visitor.visit_seq(Position { mark: self.0.mark, value: self, next: 0 }),
            _ => self.list(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let entries = self.entries()?;
        let stray = entries.iter().find(|(key, value)| {
            !matches!(value.shape, Shape::Withdrawn) && !fields.contains(&&*key.value)
        });
        if let Some((key, _)) = stray {
            let hint = unknown_key_hint(&key.value, fields);
            let message = format!("unknown key `{}`", key.value);
            return Err(DecodeError::new(FlawKind::UnknownKey, message)
                .hint(Some(hint))
                .at(key.mark)
                .under(Step::Key(key.value.clone())));
        }
        self.map(visitor).map_err(|mut error| {
            let withdrawn = |(key, value): &(At<String>, Node)| {
                matches!(value.shape, Shape::Withdrawn)
                    && error.fault.message == format!("the key `{}` is missing", key.value)
            };
            let here = error.path.is_empty() && error.fault.kind == FlawKind::MissingKey;
            error.follows |= here && entries.iter().any(withdrawn);
            error
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let (name, mark, content) = match &self.0.shape {
            Shape::Text(name) => (name, self.0.mark, None),
            Shape::Map(entries) if entries.len() == 1 => {
                (&entries[0].0.value, entries[0].0.mark, Some(&entries[0].1))
            }
            _ => return Err(self.mismatch(&format!("one of {}", listed(variants)))),
        };
        if content.is_some_and(|content| matches!(content.shape, Shape::Withdrawn)) {
            let mut error = DecodeError::new(FlawKind::Value, String::new());
            error.follows = true;
            return Err(error);
        }
        if !variants.contains(&name.as_str()) {
            let message = format!("unknown value `{name}`, expected one of {}", listed(variants));
            return Err(DecodeError::new(FlawKind::Value, message)
                .hint(nearest(name, variants.iter().copied()).map(did_you_mean))
                .at(mark));
        }
        let variant = Variant { name, content };
        visitor.visit_enum(variant).map_err(|error: DecodeError| error.at(mark))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        f32 f64 bytes byte_buf unit unit_struct tuple
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::{Entries, parse};
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Root {
        #[expect(dead_code, reason = "only whether it decodes is of interest")]
        name: At<String>,
        #[serde(default)]
        count: Option<u32>,
        #[serde(default)]
        way: Option<Way>,
        #[serde(default)]
        items: Entries<Item>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Way {
        Up,
        Down(Item),
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        size: At<u32>,
        #[serde(default)]
        #[expect(dead_code, reason = "only whether it decodes is of interest")]
        flag: bool,
    }

    fn flaws(text: &str) -> Vec<String> {
        let (_, flaws) = decode::<Root>(&mut parse(text).unwrap());
        flaws
            .iter()
            .map(|flaw| match &flaw.hint {
                Some(hint) => format!("{} {} ({hint})", flaw.mark, flaw.message),
                None => format!("{} {}", flaw.mark, flaw.message),
            })
            .collect()
    }

    #[test]
    fn values_come_with_their_positions() {
        let text =
            "name: x\ncount: 3\nway: {down: {size: 2}}\nitems:\n  a: {size: 5, flag: true}\n";
        let (root, flaws) = decode::<Root>(&mut parse(text).unwrap());
        assert!(flaws.is_empty(), "{flaws:?}");
        let root = root.unwrap();
        assert_eq!(root.count, Some(3));
        assert!(matches!(root.way, Some(Way::Down(item)) if item.size.value == 2));
        let (key, item) = &root.items.0[0];
        assert_eq!((key.value.as_str(), key.mark.to_string()), ("a", "5:3".to_owned()));
        assert_eq!((item.size.value, item.size.mark.to_string()), (5, "5:13".to_owned()));
        assert!(matches!(decode::<Way>(&mut parse("up").unwrap()).0, Some(Way::Up)));
    }

    #[test]
    fn all_flaws_of_a_file_are_found_at_once() {
        let text = "nme: x\ncount: -1\nway: upp\nitems:\n  a: {size: big, flag: 1}\n  b: {}\n  \
                    b: {size: 1}\n  c: {size: 1, siez: 2, zzzzzzzz: 3}\n";
        assert_eq!(
            flaws(text),
            [
                "1:1 unknown key `nme` (did you mean `name`?)",
                "1:1 the key `name` is missing",
                "2:8 expected a whole number, zero or greater, found `-1`",
                "3:6 unknown value `upp`, expected one of `up`, `down` (did you mean `up`?)",
                "5:13 expected a whole number, found the text `big`",
                "5:24 expected `true` or `false`, found the number `1`",
                "6:6 the key `size` is missing",
                "7:3 the key `b` stands twice (it stands in line 6 already)",
                "8:16 unknown key `siez` (did you mean `size`?)",
                "8:25 unknown key `zzzzzzzz` (known here are `size`, `flag`)",
            ]
        );
    }

    #[test]
    fn a_missing_key_that_was_only_faulty_is_told_once() {
        assert_eq!(
            flaws("name: 5\n"),
            ["1:7 expected a text, found the number `5` (put it between quotation marks)",]
        );
    }
}
