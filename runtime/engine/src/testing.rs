//! Small parts for the engine's own tests.

use crate::connector_space::{CsId, CsObject, Presence};
use crate::object::{Anchor, AttributeMap, Value};

pub fn values(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| Value::text(*text)).collect()
}

/// An object of `forest-a` without attributes.
pub fn cs_object(id: i64) -> CsObject {
    CsObject {
        id: CsId(id),
        connector: "forest-a".into(),
        class: "user".into(),
        anchor: Some(Anchor(id.to_string().into_bytes())),
        dn: format!("CN=u{id},DC=a"),
        presence: Presence::Imported,
        attributes: AttributeMap::new(),
        link: None,
        contributions: vec![],
        deprovisioned: false,
    }
}
