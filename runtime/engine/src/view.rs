//! What the engine reads, and what it wants written. It reads through [`View`] and writes nothing:
//! the whole effect of a pass is its [`Outcome`], so a dry run cannot differ from a run.

use std::collections::{BTreeMap, BTreeSet};

use crate::connector_space::{CsId, CsObject, Link, MvId};
use crate::export::Export;
use crate::flow::RuleContribution;
use crate::metaverse::MvObject;
use crate::object::{AttributeName, ClassName, ConnectorName, ReferenceKey, Value};
use crate::problem::Problem;
use crate::rule::RuleTag;

/// A key of one of the indexes by value.
///
/// `scope` says of which attribute and whether case counts; `value` is the value, folded if it does
/// not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey {
    pub scope: String,
    pub value: String,
}

impl IndexKey {
    /// Gives `None` for a value that cannot be a key: an empty text.
    pub fn new(attribute: &AttributeName, case_sensitive: bool, value: &Value) -> Option<Self> {
        let value = match value {
            Value::Binary(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            other => {
                let text = other.as_text()?;
                if case_sensitive { text.into_owned() } else { text.to_lowercase() }
            }
        };
        if value.is_empty() {
            return None;
        }
        let mark = if case_sensitive { "=" } else { "~" };
        Some(Self { scope: format!("{attribute}{mark}"), value })
    }
}

/// Where a reference leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub cs: CsId,
    pub mv: Option<MvId>,
}

/// A link as seen from the metaverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedObject {
    pub cs: CsId,
    pub connector: ConnectorName,
}

/// A consistent picture of the state. Called synchronously; an object that is not there is left
/// out.
///
/// A view that fails to read answers as if nothing were there and remembers the failure: whoever
/// made it must ask it before believing the outcome.
pub trait View {
    /// Takes ids in any order. Gives what exists of them, by id. References are among the
    /// attributes.
    fn cs_objects(&self, ids: &[CsId]) -> Vec<CsObject>;
    fn mv_objects(&self, ids: &[MvId]) -> Vec<MvObject>;
    /// Links of each metaverse object, by id of the linked object. Without links: no entry.
    fn linked(&self, ids: &[MvId]) -> BTreeMap<MvId, Vec<LinkedObject>>;
    /// Metaverse objects with this value, by id.
    fn join_candidates(&self, key: &IndexKey) -> Vec<MvId>;
    /// Source objects that wait for a metaverse object with this value, by id.
    fn waiting(&self, key: &IndexKey) -> Vec<CsId>;
    /// Unlinked objects of a target with this value, by id.
    fn unlinked_targets(&self, connector: &ConnectorName, key: &IndexKey) -> Vec<CsId>;
    /// One answer for each key, in the same order.
    fn resolve(&self, keys: &[ReferenceKey]) -> Vec<Option<Resolved>>;
    /// The object of `connector` that each metaverse object is linked to; one answer each, in
    /// order.
    fn targets_of(&self, ids: &[MvId], connector: &ConnectorName) -> Vec<Option<CsId>>;
    /// Attributes that this target was seen not to keep: they are not written any more (delivery.md
    /// 7).
    fn not_persisted(&self, connector: &ConnectorName) -> BTreeSet<(ClassName, AttributeName)>;
    /// The first free ids. The engine counts on from there.
    fn next_ids(&self) -> (CsId, MvId);
}

/// What became of one connector-space object in a pass.
#[derive(Clone, Debug, PartialEq)]
pub enum CsUpdate {
    /// A source object after its inbound rules.
    Source {
        id: CsId,
        link: Option<Link>,
        contributions: Vec<RuleContribution>,
        /// Keys under which it waits for a metaverse object: while it is not linked, or cannot be
        /// linked as its rules want.
        waiting: Vec<IndexKey>,
    },
    /// A target object after the outbound rules, new ones (`ExportOnly`) included. `anchor`, `dn`
    /// and the confirmed attributes of a known object stay as they are in the store.
    Target {
        object: CsObject,
        /// Keys under which it can be found again: only while it is not linked.
        unlinked: Vec<IndexKey>,
    },
    /// The object is forgotten, with everything that belongs to it.
    Forget { id: CsId },
}

#[derive(Clone, Debug, PartialEq)]
pub enum MvUpdate {
    /// New or changed, with all its keys in the join index.
    Put {
        object: MvObject,
        keys: Vec<IndexKey>,
    },
    Delete {
        id: MvId,
    },
}

/// Which half of the way a problem arose on: a pass replaces the problems of its own half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Inbound,
    Outbound,
}

/// What was counted during a pass (11.9, performance.md 10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub evaluated: u64,
    /// Metaverse objects resolved anew without asking any rule.
    pub resolved: u64,
    /// Module calls per rule.
    pub calls: BTreeMap<RuleTag, u64>,
    /// Objects whose call failed, per rule: for the circuit breaker.
    pub failures: BTreeMap<RuleTag, u64>,
    /// Outcomes taken over because nothing the rule reads had changed.
    pub reused: u64,
    /// References to objects that the target does not have.
    pub omitted_references: u64,
}

impl Counters {
    pub fn add(&mut self, other: &Self) {
        self.evaluated += other.evaluated;
        self.resolved += other.resolved;
        self.reused += other.reused;
        self.omitted_references += other.omitted_references;
        for (tag, calls) in &other.calls {
            *self.calls.entry(tag.clone()).or_default() += calls;
        }
        for (tag, failures) in &other.failures {
            *self.failures.entry(tag.clone()).or_default() += failures;
        }
    }
}

/// Everything that one pass wants written, in one transaction. Where an object is named twice, the
/// later entry is what counts: one metaverse object may take over what another left in the same
/// pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub cs: Vec<CsUpdate>,
    pub mv: Vec<MvUpdate>,
    /// The pending export of each target object that was looked at: `None` means there is none any
    /// more.
    pub exports: Vec<(CsId, Option<Export>)>,
    /// Problems by what was evaluated: a `CsId` inbound, a `MvId` outbound. An empty list clears.
    pub problems: Vec<(Phase, i64, Vec<Problem>)>,
    /// To be taken off the queues: what this pass has dealt with.
    pub done_cs: Vec<CsId>,
    pub done_mv: Vec<MvId>,
    pub done_resolve: Vec<MvId>,
    /// To be put on the queues, after the taking off.
    pub dirty_cs: BTreeSet<CsId>,
    pub dirty_mv: BTreeSet<MvId>,
    /// Source objects whose link changed: whoever refers to them is to be looked at again.
    pub repoint_cs: Vec<CsId>,
    /// Metaverse objects that came to or went from a target: whoever refers to them, likewise.
    pub repoint_mv: Vec<MvId>,
    pub counters: Counters,
}
