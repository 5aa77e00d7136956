//! Values in test cases (rules.md 10.2): what stands in YAML flows in, values of the engine flow
//! out.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use kakehi_engine::flow::Contribution;
use kakehi_engine::object::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

const EMPTY_LIST: &str = "an empty list says nothing: write `~` for no value";

/// The values of an attribute that a case shows to the rule; none for `~`.
#[derive(Debug)]
pub(in crate::manifest) struct GivenRaw(pub Vec<Value>);

/// What a case expects the rule to contribute to an attribute.
#[derive(Debug)]
pub(in crate::manifest) struct ExpectedRaw(pub Contribution);

/// One value, where nothing else can stand: in a list.
struct One(Value);

enum Written {
    None,
    One(Value),
    Many(Vec<Value>),
    Flow(Contribution),
}

// === impl GivenRaw ===

impl<'de> Deserialize<'de> for GivenRaw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(WrittenVisitor)? {
            Written::None => Ok(Self(vec![])),
            Written::One(value) => Ok(Self(vec![value])),
            Written::Many(values) => Ok(Self(values)),
            Written::Flow(_) => {
                Err(D::Error::custom("`flow` is what a rule answers: it stands only in `out`"))
            }
        }
    }
}

impl JsonSchema for GivenRaw {
    fn schema_name() -> Cow<'static, str> {
        "Given".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "null" }, one_schema(), { "type": "array", "items": one_schema() },
        ]})
    }
}

// === impl ExpectedRaw ===

impl<'de> Deserialize<'de> for ExpectedRaw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(WrittenVisitor)? {
            Written::None => Contribution::None,
            Written::One(value) => Contribution::Values(vec![value]),
            Written::Many(values) => Contribution::Values(values),
            Written::Flow(contribution) => contribution,
        }))
    }
}

impl JsonSchema for ExpectedRaw {
    fn schema_name() -> Cow<'static, str> {
        "Expected".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let flow = json_schema!({ "enum": ["block", "keep"] });
        json_schema!({ "anyOf": [
            { "type": "null" }, one_schema(), { "type": "array", "items": one_schema() },
            { "type": "object", "properties": { "flow": flow }, "required": ["flow"],
              "additionalProperties": false },
        ]})
    }
}

fn one_schema() -> Schema {
    let form = |key: &str| {
        json_schema!({
            "type": "object", "properties": { key: { "type": "string" } }, "required": [key],
            "additionalProperties": false,
        })
    };
    json_schema!({ "anyOf": [
        { "type": ["string", "integer", "boolean"] }, form("binary"), form("reference"),
    ]})
}

// === impl One ===

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(WrittenVisitor)? {
            Written::One(value) => Ok(Self(value)),
            Written::None | Written::Many(_) | Written::Flow(_) => {
                Err(D::Error::custom("a list holds single values, none of them `~`"))
            }
        }
    }
}

struct WrittenVisitor;

// === impl WrittenVisitor ===

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, a Boolean, `{binary: ...}` or `{reference: ...}`")
    }

    fn visit_unit<E>(self) -> Result<Written, E> {
        Ok(Written::None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Written, E> {
        Ok(Written::One(Value::text(text)))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Written, E> {
        Ok(Written::One(Value::Boolean(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Written, E> {
        Ok(Written::One(Value::Integer(number)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Written, E> {
        let message = format_args!("`{number}` is no whole number: put quotation marks around it");
        Err(E::custom(message))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Written, A::Error> {
        let mut values = vec![];
        while let Some(One(value)) = list.next_element()? {
            values.push(value);
        }
        match values.is_empty() {
            true => Err(A::Error::custom(EMPTY_LIST)),
            false => Ok(Written::Many(values)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Written, A::Error> {
        let form =
            "a mapping is `{binary: base64}`, `{reference: text}`, or in `out` `{flow: ...}`";
        let Some((kind, text)) = map.next_entry::<String, String>()? else {
            return Err(A::Error::custom(form));
        };
        let written = match (kind.as_str(), text.as_str()) {
            ("binary", _) => Written::One(Value::Binary(bytes(&text).map_err(A::Error::custom)?)),
            ("reference", _) => Written::One(Value::Reference(text)),
            ("flow", "block") => Written::Flow(Contribution::Block),
            ("flow", "keep") => Written::Flow(Contribution::Keep),
            ("flow", _) => {
                let message = format_args!("`flow: {text}` is unknown: write `block` or `keep`");
                return Err(A::Error::custom(message));
            }
            _ => return Err(A::Error::custom(form)),
        };
        match map.next_key::<String>()? {
            Some(_) => Err(A::Error::custom(form)),
            None => Ok(written),
        }
    }
}

/// Takes base64 with its padding, broken over lines or not.
fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    let digits: String = text.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD
        .decode(digits)
        .map_err(|_| "`binary` holds no base64 with its padding")
}
