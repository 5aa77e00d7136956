//! The metaverse: the joined view, with the winner of every attribute.

use std::collections::BTreeMap;

use crate::connector_space::{CsId, MvId};
use crate::object::{AttributeName, ClassName, Value};
use crate::rule::RuleTag;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq)]
pub struct MvObject {
    pub id: MvId,
    pub class: ClassName,
    pub attributes: BTreeMap<AttributeName, MvAttribute>,
    /// Whether some link still keeps it (provisioning.md 11.3). One that nothing keeps has no
    /// attributes any more and is taken down by the next outbound pass.
    pub alive: bool,
    /// Since when nothing keeps it, while it lives on for its period of grace (P-13).
    pub orphaned: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct MvAttribute {
    /// At least one. References are [`ReferenceKey`](crate::object::ReferenceKey)s in text form.
    pub values: Vec<Value>,
    pub winner: Winner,
}

/// Whose contribution an attribute holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Winner {
    pub rule: RuleTag,
    /// The source object.
    pub source: CsId,
    /// Kept from an earlier run because the flow said IgnoreThisFlow.
    pub retained: bool,
}
