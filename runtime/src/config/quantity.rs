//! Durations, sizes and ceilings as people write them: `60s`, `500ms`, `16MiB`, `off`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// A duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Written")]
pub struct Span(pub Duration);

/// A size in bytes: a whole number and `B`, `KiB`, `MiB` or `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Written")]
pub struct Size(pub u64);

/// At most so many; `off`: any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Ceiling(pub Option<u64>);

/// For how long something is kept; `off`, or `0`: it is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Written")]
pub struct Retention(pub Option<Duration>);

#[derive(Debug, thiserror::Error)]
#[error("`{written}` is no {what}: write a whole number and its unit, such as {examples}")]
pub struct QuantityError {
    written: String,
    what: &'static str,
    examples: &'static str,
}

/// A scalar as it was written: a text, a number, or nothing (`null`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loose(pub Option<String>);

/// What was written in place of a quantity: with a number alone the unit is missing, not the
/// quotes.
#[derive(Debug)]
struct Written(String);

/// From the smallest to the largest, in milliseconds.
const SPAN_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 4] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Takes a number and a unit without a space between them. Gives their product.
fn product(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit())?;
    let number: u64 = text[..end].parse().ok()?;
    let (_, factor) = units.iter().find(|(unit, _)| *unit == &text[end..])?;
    number.checked_mul(*factor)
}

/// The largest unit that divides the amount.
fn written(amount: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = |(_, factor): &&(&str, u64)| amount > 0 && amount.is_multiple_of(*factor);
    let (unit, factor) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    write!(f, "{}{unit}", amount / factor)
}

// === impl Written ===

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl Visitor<'_> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number with its unit")
    }

    fn visit_str<E>(self, text: &str) -> Result<Written, E> {
        Ok(Written(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Written, E> {
        Ok(Written(number.to_string()))
    }
}

// === impl Loose ===

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl Visitor<'_> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose(None))
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose(Some(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Loose, E> {
        Ok(Loose(Some(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
        Ok(Loose(Some(number.to_string())))
    }
}

impl JsonSchema for Loose {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Loose".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "null"] })
    }
}

// === impl Retention ===

impl Retention {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Some(Duration::from_secs(seconds)))
    }
}

impl TryFrom<Written> for Retention {
    type Error = QuantityError;

    fn try_from(Written(written): Written) -> Result<Self, QuantityError> {
        if written == "off" || written == "0" {
            return Ok(Self(None));
        }
        match product(&written, &SPAN_UNITS) {
            Some(0) => Ok(Self(None)),
            Some(millis) => Ok(Self(Some(Duration::from_millis(millis)))),
            None => {
                let (what, examples) = ("time to keep something", "`30d` or `12h`, or `off`");
                Err(QuantityError { written, what, examples })
            }
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(time) => Span(time).fmt(f),
            None => f.write_str("off"),
        }
    }
}

// === impl Span ===

impl Span {
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl std::str::FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::try_from(Written(text.to_owned()))
    }
}

impl TryFrom<Written> for Span {
    type Error = QuantityError;

    fn try_from(Written(written): Written) -> Result<Self, QuantityError> {
        match product(&written, &SPAN_UNITS) {
            Some(millis) => Ok(Self::from_millis(millis)),
            None => Err(QuantityError {
                written,
                what: "duration",
                examples: "`60s`, `500ms` or `15m`",
            }),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        written(millis, &SPAN_UNITS, f)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" })
    }
}

// === impl Size ===

impl TryFrom<Written> for Size {
    type Error = QuantityError;

    fn try_from(Written(written): Written) -> Result<Self, QuantityError> {
        match product(&written, &SIZE_UNITS) {
            Some(bytes) => Ok(Self(bytes)),
            None => Err(QuantityError { written, what: "size", examples: "`64KiB` or `16MiB`" }),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        written(self.0, &SIZE_UNITS, f)
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" })
    }
}

// === impl Ceiling ===

impl TryFrom<Written> for Ceiling {
    type Error = String;

    fn try_from(Written(written): Written) -> Result<Self, String> {
        match written.as_str() {
            "off" => Ok(Self(None)),
            number => number.parse().map(|number| Self(Some(number))).map_err(|_| {
                format!("`{written}` is no ceiling: write a whole number such as `100`, or `off`")
            }),
        }
    }
}

impl fmt::Display for Ceiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("off"),
        }
    }
}

impl JsonSchema for Ceiling {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ceiling".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "const": "off" }] })
    }
}

impl JsonSchema for Retention {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Retention".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d)|off)$" }, { "const": 0 }
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_written_with_their_unit() {
        for (text, millis, shown) in [
            ("500ms", 500, "500ms"),
            ("60s", 60_000, "1m"),
            ("90s", 90_000, "90s"),
            ("24h", 86_400_000, "1d"),
            ("0s", 0, "0ms"),
        ] {
            let span = Span::try_from(Written(text.to_owned())).unwrap();
            assert_eq!((span, span.to_string().as_str()), (Span::from_millis(millis), shown));
        }
        for (text, bytes) in [("16MiB", 16 << 20), ("1KiB", 1024), ("100B", 100)] {
            let size = Size::try_from(Written(text.to_owned())).unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, text));
        }
    }

    #[test]
    fn a_ceiling_is_a_number_or_off() {
        for (text, ceiling) in [("off", None), ("0", Some(0)), ("100", Some(100))] {
            let read = Ceiling::try_from(Written(text.to_owned())).unwrap();
            assert_eq!((read, read.to_string().as_str()), (Ceiling(ceiling), text));
        }
        assert!(Ceiling::try_from(Written("none".to_owned())).is_err());
        assert!(Ceiling::try_from(Written("-1".to_owned())).is_err());
    }

    #[test]
    fn something_is_kept_for_a_time_or_not_at_all() {
        for (text, shown) in [("30d", "30d"), ("off", "off"), ("0", "off"), ("0s", "off")] {
            let read = Retention::try_from(Written(text.to_owned())).unwrap();
            assert_eq!(read.to_string(), shown, "{text}");
        }
        assert!(Retention::try_from(Written("30".to_owned())).is_err());
    }

    #[test]
    fn what_has_no_unit_or_overflows_is_refused() {
        for text in ["60", "s", "60 s", "1.5s", "-1s", "18446744073709551615d", "", "1S"] {
            assert!(Span::try_from(Written(text.to_owned())).is_err(), "{text}");
        }
        assert_eq!(
            Size::try_from(Written("16MB".to_owned())).unwrap_err().to_string(),
            "`16MB` is no size: write a whole number and its unit, such as `64KiB` or `16MiB`"
        );
    }
}
