//! A plan that was saved: its file flows in; its exports pass by one at a time, and the rest flows
//! out as one document.

use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

/// Reads the document of a plan. `each`: takes the exports, in their order.
///
/// Gives everything but the exports. Errors: it is no JSON, or no plan.
pub fn plan(from: impl Read, each: &mut dyn FnMut(&Json)) -> Result<Json, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_reader(from);
    let document = reader.deserialize_map(Document { each })?;
    reader.end()?;
    match document["plan"].is_string() && document["counts"].is_object() {
        true => Ok(document),
        false => Err(serde_json::Error::custom("it is no plan: `plan` or `counts` is missing")),
    }
}

struct Document<'a> {
    each: &'a mut dyn FnMut(&Json),
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plan")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut document = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "exports" => map.next_value_seed(Exports { each: &mut *self.each })?,
                _ => {
                    document.insert(key, map.next_value()?);
                }
            }
        }
        Ok(Json::Object(document))
    }
}

struct Exports<'a> {
    each: &'a mut dyn FnMut(&Json),
}

impl<'de> DeserializeSeed<'de> for Exports<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Exports<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of exports")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(export) = list.next_element::<Json>()? {
            (self.each)(&export);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_pass_by_and_the_rest_remains() {
        let text =
            r#"{"plan":"1","counts":{},"exports":[{"op":"add"},{"op":"delete"}],"notes":[]}"#;
        let mut seen = vec![];
        let document = plan(text.as_bytes(), &mut |export| seen.push(export["op"].clone()));
        assert_eq!(seen, ["add", "delete"]);
        assert!(document.unwrap().get("exports").is_none());
        for broken in [
            "",
            "[]",
            "{}",
            "{\"plan\":1}",
            "{\"plan\":\"1\",\"exports\":3}",
            text.trim_end_matches('}'),
        ] {
            assert!(plan(broken.as_bytes(), &mut |_| {}).is_err(), "{broken}");
        }
    }
}
