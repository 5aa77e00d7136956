//! The connector space: what each connected system showed, how it is linked, what it contributes.

use crate::flow::RuleContribution;
use crate::object::{Anchor, AttributeMap, ClassName, ConnectorName};
use crate::rule::RuleTag;

/// Id of a connector-space object, unique over all connectors, given by the store, never used
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CsId(pub i64);

/// Id of a metaverse object, given by the engine from a counter of the store, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MvId(pub i64);

/// How a link came about (provisioning.md 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkOrigin {
    /// Found by join criteria.
    Joined,
    /// The metaverse object was created for this object.
    Projected,
    /// This object was created for the metaverse object.
    Provisioned,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub mv: MvId,
    /// The rule that made it; it lasts while that rule's scope holds (R22).
    pub rule: RuleTag,
    pub origin: LinkOrigin,
}

/// What kind of row an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Seen in the connected system.
    Imported,
    /// To be created there: no anchor yet.
    ExportOnly,
    /// Only known because another object refers to it.
    Placeholder,
    /// The connected system no longer has it; what hung on it is still to be recalled.
    Deleted,
}

/// One object of one connector.
#[derive(Clone, Debug, PartialEq)]
pub struct CsObject {
    pub id: CsId,
    pub connector: ConnectorName,
    pub class: ClassName,
    /// `None` until the target has created it.
    pub anchor: Option<Anchor>,
    /// As the server writes it; empty where the system has no DNs.
    pub dn: String,
    pub presence: Presence,
    /// What the system holds, as confirmed; references included. Of a target object: only what
    /// rules manage.
    pub attributes: AttributeMap,
    pub link: Option<Link>,
    /// Of a source object: the outcomes of its inbound rules, in order of precedence.
    /// Of a target object: those of the outbound rules for it.
    pub contributions: Vec<RuleContribution>,
    /// A target object that was taken out of service: disabled, or waiting for its deletion.
    pub deprovisioned: bool,
}

// === impl CsObject ===

impl CsObject {
    /// What the system showed of it, without its link and what rules said.
    pub(crate) fn without_rules(&self) -> Self {
        Self {
            id: self.id,
            connector: self.connector.clone(),
            class: self.class.clone(),
            anchor: self.anchor.clone(),
            dn: self.dn.clone(),
            presence: self.presence,
            attributes: self.attributes.clone(),
            link: None,
            contributions: vec![],
            deprovisioned: self.deprovisioned,
        }
    }
}
