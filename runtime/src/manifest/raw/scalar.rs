//! Values that may be written in more than one form.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{ModuleFileRaw, WriteRaw};
use crate::config::yaml::{At, Entries};

/// A text, also written as a number or a Boolean: `2`, `True`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manifest) struct Scalar(pub String);

/// `builtin:declarative`, or a file.
#[derive(Debug)]
pub(in crate::manifest) enum ModuleRaw {
    Builtin(String),
    File(ModuleFileRaw),
}

/// Names, or names with how each is merged.
#[derive(Debug)]
pub(in crate::manifest) struct WritesRaw(pub Vec<(At<String>, WriteRaw)>);

// === impl Scalar ===

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or a Boolean")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar(if flag { "True" } else { "False" }.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}

// === impl ModuleRaw ===

impl<'de> Deserialize<'de> for ModuleRaw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ModuleVisitor)
    }
}

struct ModuleVisitor;

impl<'de> Visitor<'de> for ModuleVisitor {
    type Value = ModuleRaw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`builtin:declarative` or a mapping with `path` and `sha256`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ModuleRaw, E> {
        Ok(ModuleRaw::Builtin(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ModuleRaw, A::Error> {
        ModuleFileRaw::deserialize(MapAccessDeserializer::new(map)).map(ModuleRaw::File)
    }
}

impl JsonSchema for ModuleRaw {
    fn schema_name() -> Cow<'static, str> {
        "Module".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = generator.subschema_for::<ModuleFileRaw>();
        json_schema!({ "anyOf": [{ "type": "string", "pattern": "^builtin:" }, file] })
    }
}

// === impl WritesRaw ===

impl<'de> Deserialize<'de> for WritesRaw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WritesVisitor)
    }
}

struct WritesVisitor;

impl<'de> Visitor<'de> for WritesVisitor {
    type Value = WritesRaw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of attributes or a mapping from attributes to their treatment")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<WritesRaw, A::Error> {
        let names = Vec::<At<String>>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(WritesRaw(names.into_iter().map(|name| (name, WriteRaw::default())).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WritesRaw, A::Error> {
        Entries::<WriteRaw>::deserialize(MapAccessDeserializer::new(map))
            .map(|entries| WritesRaw(entries.0))
    }
}

impl JsonSchema for WritesRaw {
    fn schema_name() -> Cow<'static, str> {
        "Writes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<Vec<String>>();
        let treated = generator.subschema_for::<Entries<WriteRaw>>();
        json_schema!({ "anyOf": [names, treated] })
    }
}
