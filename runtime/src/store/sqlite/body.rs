//! Bodies: the JSON in which attributes, contributions, metaverse objects and changes stand in
//! their rows (performance.md 6). Streamed both ways, without a tree in between.
//!
//! `{"mail":["a@example.com"]}`, names sorted; text, integers and booleans as such, binary values
//! as `{"b64":"..."}`, references as `{"ref":"..."}`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::AttributeChange;
use kakehi_engine::flow::{Contribution, Fingerprint, Flow, Kept, RuleContribution};
use kakehi_engine::metaverse::{MvAttribute, Winner};
use kakehi_engine::object::{AttributeMap, AttributeName, Value};
use kakehi_engine::rule::RuleTag;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::failure::{Failure, Result};

/// Attributes of a metaverse object, as the engine has them.
pub(super) type MvAttributes = std::collections::BTreeMap<AttributeName, MvAttribute>;

/// The attributes without their references, which stand in rows of their own.
pub(super) fn encode_attributes(attributes: &AttributeMap) -> String {
    encode(&PlainAttributes(attributes))
}

pub(super) fn decode_attributes(body: &str) -> Result<AttributeMap> {
    let ReadAttributes(attributes) = decode("attributes", body)?;
    Ok(attributes)
}

pub(super) fn encode_contributions(contributions: &[RuleContribution]) -> String {
    let rows: Vec<_> = contributions.iter().map(ContributionRow::of).collect();
    encode(&rows)
}

pub(super) fn decode_contributions(body: &str) -> Result<Vec<RuleContribution>> {
    let rows: Vec<ContributionRow> = decode("contributions", body)?;
    rows.into_iter().map(ContributionRow::back).collect()
}

pub(super) fn encode_mv(attributes: &MvAttributes) -> String {
    encode(&MvBody(attributes))
}

pub(super) fn decode_mv(body: &str) -> Result<MvAttributes> {
    let ReadMvBody(attributes) = decode("metaverse object", body)?;
    Ok(attributes)
}

pub(super) fn encode_changes(changes: &[AttributeChange]) -> String {
    let rows: Vec<_> = changes
        .iter()
        .map(|change| ChangeRow {
            attribute: change.attribute.as_str().into(),
            add: Values::shown(&change.add),
            remove: Values::shown(&change.remove),
            replace: change.replace.as_deref().map(Values::shown),
        })
        .collect();
    encode(&rows)
}

pub(super) fn decode_changes(body: &str) -> Result<Vec<AttributeChange>> {
    let rows: Vec<ChangeRow> = decode("changes", body)?;
    let back = |row: ChangeRow| AttributeChange {
        attribute: row.attribute.as_ref().into(),
        add: row.add.back(),
        remove: row.remove.back(),
        replace: row.replace.map(Values::back),
    };
    Ok(rows.into_iter().map(back).collect())
}

/// Names that a thread keeps for the next body; more than any installation has.
const SHARED_NAMES_MAX: usize = 4096;

thread_local! {
    static NAMES: RefCell<HashSet<Arc<str>>> = RefCell::default();
}

/// A name as every body has it: the same few names come again in each.
fn shared(name: &str) -> Arc<str> {
    NAMES.with_borrow_mut(|names| match names.get(name) {
        Some(known) => Arc::clone(known),
        None => {
            let new: Arc<str> = name.into();
            if names.len() < SHARED_NAMES_MAX {
                names.insert(Arc::clone(&new));
            }
            new
        }
    })
}

fn encode(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("names are strings and writing to memory cannot fail")
}

fn decode<'a, T: Deserialize<'a>>(what: &str, body: &'a str) -> Result<T> {
    serde_json::from_str(body).map_err(|error| Failure::damaged(what, error))
}

// === Values ===

/// A list of values: borrowed to be written, owned when read.
#[derive(Default)]
struct Values<'a>(Cow<'a, [Value]>);

struct Shown<'a>(&'a Value);

struct Read(Value);

impl<'a> Values<'a> {
    fn shown(values: &'a [Value]) -> Self {
        Self(values.into())
    }

    fn back(self) -> Vec<Value> {
        self.0.into_owned()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Shown))
    }
}

impl<'de> Deserialize<'de> for Values<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Vec<Value>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of values")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<Vec<Value>, A::Error> {
                let mut values = Vec::with_capacity(1);
                while let Some(Read(value)) = list.next_element()? {
                    values.push(value);
                }
                Ok(values)
            }
        }
        Ok(Self(deserializer.deserialize_seq(List)?.into()))
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let wrapped = |serializer: S, kind: &str, text: &str| {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(kind, text)?;
            map.end()
        };
        match self.0 {
            Value::Text(text) => serializer.serialize_str(text),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Boolean(flag) => serializer.serialize_bool(*flag),
            Value::Binary(bytes) => wrapped(serializer, "b64", &STANDARD.encode(bytes)),
            Value::Reference(key) => wrapped(serializer, "ref", key),
        }
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(OneValue).map(Self)
    }
}

struct OneValue;

impl<'de> Visitor<'de> for OneValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_string<E>(self, text: String) -> std::result::Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> std::result::Result<Value, E> {
        i64::try_from(number).map(Value::Integer).map_err(E::custom)
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<Value, E> {
        Ok(Value::Boolean(flag))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let Some((kind, text)) = map.next_entry::<String, String>()? else {
            return Err(A::Error::custom("a value without a kind"));
        };
        match kind.as_str() {
            "b64" => STANDARD.decode(text).map(Value::Binary).map_err(A::Error::custom),
            "ref" => Ok(Value::Reference(text)),
            other => Err(A::Error::unknown_field(other, &["b64", "ref"])),
        }
    }
}

// === Attributes ===

struct PlainAttributes<'a>(&'a AttributeMap);

struct PlainValues<'a>(&'a [Value]);

struct ReadAttributes(AttributeMap);

impl Serialize for PlainAttributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, values) in self.0 {
            if values.iter().any(|value| !value.is_reference()) {
                map.serialize_entry(name.as_str(), &PlainValues(values))?;
            }
        }
        map.end()
    }
}

impl Serialize for PlainValues<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for value in self.0.iter().filter(|value| !value.is_reference()) {
            list.serialize_element(&Shown(value))?;
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for ReadAttributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let values = deserializer.deserialize_map(ByName(PhantomData::<Values<'static>>))?;
        Ok(Self(values.into_iter().map(|(name, values)| (name, values.back())).collect()))
    }
}

/// Reads an object whose names are attributes, in its order.
struct ByName<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ByName<T> {
    type Value = Vec<(AttributeName, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("attributes by name")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut map: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        let mut read = vec![];
        while let Some((name, value)) = map.next_entry::<Name<'de>, T>()? {
            read.push((shared(&name.0).into(), value));
        }
        Ok(read)
    }
}

/// A name that is copied only where its JSON has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

// === Metaverse objects ===

struct MvBody<'a>(&'a MvAttributes);

struct ReadMvBody(MvAttributes);

/// One attribute with its winner.
#[derive(Serialize, Deserialize)]
struct MvRow<'a> {
    values: Values<'a>,
    #[serde(borrow)]
    rule: Cow<'a, str>,
    source: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retained: bool,
}

impl Serialize for MvBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, attribute)| {
            let MvAttribute { values, winner } = attribute;
            let row = MvRow {
                values: Values::shown(values),
                rule: winner.rule.0.as_ref().into(),
                source: winner.source.0,
                retained: winner.retained,
            };
            (name.as_str(), row)
        }))
    }
}

impl<'de> Deserialize<'de> for ReadMvBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let rows = deserializer.deserialize_map(ByName(PhantomData::<MvRow<'de>>))?;
        let back = |(name, row): (AttributeName, MvRow<'_>)| {
            let winner = Winner {
                rule: RuleTag(shared(&row.rule)),
                source: CsId(row.source),
                retained: row.retained,
            };
            (name, MvAttribute { values: row.values.back(), winner })
        };
        Ok(Self(rows.into_iter().map(back).collect()))
    }
}

// === Contributions ===

#[derive(Serialize, Deserialize)]
struct ContributionRow<'a> {
    #[serde(borrow)]
    rule: Cow<'a, str>,
    /// Hexadecimal.
    input: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skipped: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flows: Option<Vec<FlowRow<'a>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    withdrawn: Option<Vec<FlowRow<'a>>>,
}

/// `values` for a value; else `is` says which kind of nothing.
#[derive(Serialize, Deserialize)]
struct FlowRow<'a> {
    #[serde(borrow)]
    to: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Values<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is: Option<Nothing>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Nothing {
    None,
    Block,
    Keep,
}

impl<'a> ContributionRow<'a> {
    fn of(contribution: &'a RuleContribution) -> Self {
        let rows = |flows: &'a [Flow]| Some(flows.iter().map(FlowRow::of).collect());
        let (skipped, flows, withdrawn) = match &contribution.outcome {
            Kept::Skipped(why) => (Some(why.as_str().into()), None, None),
            Kept::Flows(flows) => (None, rows(flows), None),
            Kept::Withdrawn(flows) => (None, None, rows(flows)),
        };
        let input = format!("{:032x}", u128::from_be_bytes(contribution.input.0)).into();
        Self { rule: contribution.rule.0.as_ref().into(), input, skipped, flows, withdrawn }
    }

    fn back(self) -> Result<RuleContribution> {
        let input = u128::from_str_radix(&self.input, 16)
            .map_err(|error| Failure::damaged("contributions", error))?;
        let back = |rows: Vec<FlowRow<'_>>| -> Result<Vec<Flow>> {
            rows.into_iter().map(FlowRow::back).collect()
        };
        let outcome = match (self.skipped, self.withdrawn) {
            (Some(why), _) => Kept::Skipped(why.into_owned()),
            (None, Some(withdrawn)) => Kept::Withdrawn(back(withdrawn)?),
            (None, None) => Kept::Flows(back(self.flows.unwrap_or_default())?),
        };
        Ok(RuleContribution {
            rule: RuleTag(shared(&self.rule)),
            input: Fingerprint(input.to_be_bytes()),
            outcome,
        })
    }
}

impl<'a> FlowRow<'a> {
    fn of(flow: &'a Flow) -> Self {
        let (values, is) = match &flow.contribution {
            Contribution::Values(values) => (Some(Values::shown(values)), None),
            Contribution::None => (None, Some(Nothing::None)),
            Contribution::Block => (None, Some(Nothing::Block)),
            Contribution::Keep => (None, Some(Nothing::Keep)),
        };
        Self { to: flow.attribute.as_str().into(), values, is }
    }

    fn back(self) -> Result<Flow> {
        let contribution = match (self.values, self.is) {
            (Some(values), _) => Contribution::Values(values.back()),
            (None, Some(Nothing::None)) => Contribution::None,
            (None, Some(Nothing::Block)) => Contribution::Block,
            (None, Some(Nothing::Keep)) => Contribution::Keep,
            (None, None) => return Err(Failure::damaged("contributions", "a flow of nothing")),
        };
        Ok(Flow { attribute: shared(&self.to).into(), contribution })
    }
}

// === Changes ===

#[derive(Serialize, Deserialize)]
struct ChangeRow<'a> {
    #[serde(borrow)]
    attribute: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    add: Values<'a>,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    remove: Values<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replace: Option<Values<'a>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            ".*".prop_map(Value::Text),
            any::<i64>().prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Boolean),
            any::<Vec<u8>>().prop_map(Value::Binary),
            ".*".prop_map(Value::Reference),
        ]
    }

    fn values() -> impl Strategy<Value = Vec<Value>> {
        prop::collection::vec(value(), 0..4)
    }

    fn contribution() -> impl Strategy<Value = Contribution> {
        prop_oneof![
            values().prop_map(Contribution::Values),
            Just(Contribution::None),
            Just(Contribution::Block),
            Just(Contribution::Keep),
        ]
    }

    fn kept() -> impl Strategy<Value = Kept> {
        let flow = || {
            (".*", contribution())
                .prop_map(|(name, contribution)| Flow { attribute: name.into(), contribution })
        };
        let flows = || prop::collection::vec(flow(), 0..4);
        prop_oneof![
            flows().prop_map(Kept::Flows),
            flows().prop_map(Kept::Withdrawn),
            ".*".prop_map(Kept::Skipped),
        ]
    }

    proptest! {
        #[test]
        fn attributes_come_back_without_their_references(
            map in prop::collection::btree_map(".*", values(), 0..6),
        ) {
            let attributes: AttributeMap =
                map.into_iter().map(|(name, values)| (name.into(), values)).collect();
            let mut plain = attributes.clone();
            plain.values_mut().for_each(|values| values.retain(|value| !value.is_reference()));
            plain.retain(|_, values| !values.is_empty());
            prop_assert_eq!(decode_attributes(&encode_attributes(&attributes)).unwrap(), plain);
        }

        #[test]
        fn contributions_come_back(
            rows in prop::collection::vec((".*", any::<[u8; 16]>(), kept()), 0..4),
        ) {
            let contributions: Vec<_> = rows
                .into_iter()
                .map(|(rule, input, outcome)| RuleContribution {
                    rule: RuleTag(rule.into()),
                    input: Fingerprint(input),
                    outcome,
                })
                .collect();
            let body = encode_contributions(&contributions);
            prop_assert_eq!(decode_contributions(&body).unwrap(), contributions);
        }

        #[test]
        fn metaverse_objects_come_back(
            map in prop::collection::btree_map(
                ".*", (values(), ".*", any::<i64>(), any::<bool>()), 0..6,
            ),
        ) {
            let attributes: MvAttributes = map
                .into_iter()
                .map(|(name, (values, rule, source, retained))| {
                    let rule = RuleTag(rule.into());
                    let winner = Winner { rule, source: CsId(source), retained };
                    (name.into(), MvAttribute { values, winner })
                })
                .collect();
            prop_assert_eq!(decode_mv(&encode_mv(&attributes)).unwrap(), attributes);
        }

        #[test]
        fn changes_come_back(
            rows in prop::collection::vec(
                (".*", values(), values(), prop::option::of(values())), 0..4,
            ),
        ) {
            let changes: Vec<_> = rows
                .into_iter()
                .map(|(name, add, remove, replace)| AttributeChange {
                    attribute: name.into(), add, remove, replace,
                })
                .collect();
            prop_assert_eq!(decode_changes(&encode_changes(&changes)).unwrap(), changes);
        }
    }

    #[test]
    fn bodies_have_the_shape_that_an_operator_queries() {
        let attributes = AttributeMap::from([
            ("mail".into(), vec![Value::text("a@example.com")]),
            ("uidNumber".into(), vec![Value::Integer(7)]),
            ("member".into(), vec![Value::Reference("cn=x".into())]),
            ("objectSid".into(), vec![Value::Binary(vec![1, 2])]),
            ("on".into(), vec![Value::Boolean(true)]),
        ]);
        assert_eq!(
            encode_attributes(&attributes),
            concat!(
                r#"{"mail":["a@example.com"],"objectSid":[{"b64":"AQI="}],"#,
                r#""on":[true],"uidNumber":[7]}"#,
            ),
        );
    }

    #[test]
    fn damaged_bodies_are_refused() {
        for body in ["", "{", r#"{"a":"b"}"#, r#"{"a":[{"x":"y"}]}"#, r#"{"a":[{"b64":"%"}]}"#] {
            assert!(decode_attributes(body).is_err(), "{body}");
        }
    }
}
