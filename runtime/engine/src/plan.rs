//! The plan: an immutable head over the exports it covers, in their order of delivery.
//!
//! The exports of a first synchronization can outgrow memory, so they pass through a
//! [`PlanBuilder`] one by one; the head that remains counts them and binds them by digest.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::export::Export;
use crate::guard::{Held, Tally, Trip};
use crate::object::{ConnectorName, Value};
use crate::rule::{RuleSet, RulesetDigest};

/// Digest of the plan's content, its parent included.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(pub String);

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a plan does to one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub add: u64,
    pub update: u64,
    pub rename: u64,
    pub disable: u64,
    pub delete: u64,
    /// Values added to and removed from attributes that hold several references.
    pub member_add: u64,
    pub member_remove: u64,
    /// Objects that are replaced by one of another type; their deletes, disables and adds are
    /// counted as such besides.
    pub type_change: u64,
    /// Attributes of existing objects that lose all their values.
    pub attribute_cleared: u64,
}

impl Counts {
    /// Names and numbers in the order in which they are always shown.
    pub fn named(&self) -> [(&'static str, u64); 9] {
        [
            ("add", self.add),
            ("update", self.update),
            ("rename", self.rename),
            ("disable", self.disable),
            ("delete", self.delete),
            ("member_add", self.member_add),
            ("member_remove", self.member_remove),
            ("type_change", self.type_change),
            ("attribute_cleared", self.attribute_cleared),
        ]
    }

    pub fn add(&mut self, other: &Self) {
        let Self {
            add,
            update,
            rename,
            disable,
            delete,
            member_add,
            member_remove,
            type_change,
            attribute_cleared,
        } = other;
        self.add += add;
        self.update += update;
        self.rename += rename;
        self.disable += disable;
        self.delete += delete;
        self.member_add += member_add;
        self.member_remove += member_remove;
        self.type_change += type_change;
        self.attribute_cleared += attribute_cleared;
    }

    pub fn exports(&self) -> u64 {
        self.add + self.update + self.rename + self.disable + self.delete
    }
}

/// What a plan was made of, apart from the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanBasis {
    /// The last plan that was carried out on this state.
    pub parent: Option<PlanId>,
    pub ruleset: RulesetDigest,
    /// Digest of the configuration without secrets.
    pub config: String,
    /// The plan whose exports this one takes back, if it is not made of what rules want.
    pub undoes: Option<PlanId>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub id: PlanId,
    pub basis: PlanBasis,
    /// One entry for every target, also where nothing changes.
    pub counts: BTreeMap<ConnectorName, Counts>,
    /// Limits that the plan would exceed. Nothing of such a target is sent but by approval.
    pub trips: Vec<Trip>,
}

impl Plan {
    pub fn exports(&self) -> u64 {
        self.counts.values().map(Counts::exports).sum()
    }
}

/// Makes a plan of exports that pass by.
pub struct PlanBuilder<'a> {
    rules: &'a RuleSet,
    basis: PlanBasis,
    tallies: BTreeMap<ConnectorName, Tally>,
    digest: Sha256,
}

// === impl PlanBuilder ===

impl<'a> PlanBuilder<'a> {
    pub fn new(rules: &'a RuleSet, basis: PlanBasis) -> Self {
        let tallies =
            rules.targets().map(|target| (target.name.clone(), Tally::default())).collect();
        let mut digest = Sha256::new();
        for part in [basis.parent.as_ref().map_or("", |id| &id.0), &basis.ruleset.0, &basis.config]
        {
            text(&mut digest, part);
        }
        if let Some(undoes) = &basis.undoes {
            text(&mut digest, &undoes.0);
        }
        Self { rules, basis, tallies, digest }
    }

    /// Takes the next export, in order of delivery: the order is part of the plan. `held` is asked
    /// only where it decides whether a limit is exceeded.
    pub fn add(&mut self, export: &Export, held: &mut Held<'_>) {
        let target = self.rules.connector(&export.connector);
        self.tallies.entry(export.connector.clone()).or_default().add(export, target, held);
        digest_export(&mut self.digest, export);
    }

    /// Whether the limits in percent of the linked objects have anything to measure.
    pub fn needs_linked(&self) -> bool {
        let tallies = self
            .rules
            .targets()
            .filter_map(|target| Some((target, self.tallies.get(&target.name)?)));
        tallies.into_iter().any(|(target, tally)| tally.needs_linked(target))
    }

    /// `linked`: how many objects of each target are linked now, for the limits in percent.
    pub fn finish(self, linked: &BTreeMap<ConnectorName, u64>) -> Plan {
        let trips = crate::guard::trips(self.rules, &self.tallies, linked);
        let id = PlanId(hex(&self.digest.finalize()[..16]));
        let counts = self.tallies.into_iter().map(|(name, tally)| (name, tally.counts)).collect();
        Plan { id, basis: self.basis, counts, trips }
    }
}

/// A mark of one export, of its object and of all that it changes: 16 hexadecimal digits by which
/// it is known again in another plan.
pub fn export_mark(export: &Export) -> String {
    let mut digest = Sha256::new();
    digest_export(&mut digest, export);
    hex(&digest.finalize()[..8])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest_export(digest: &mut Sha256, export: &Export) {
    let op = export.op.as_str();
    for part in
        [export.connector.as_str(), export.class.as_str(), op, &export.anchor, &export.match_key]
    {
        text(digest, part);
    }
    digest.update((export.changes.len() as u64).to_be_bytes());
    for change in &export.changes {
        text(digest, change.attribute.as_str());
        for (mark, list) in
            [(0u8, Some(&change.add)), (1, Some(&change.remove)), (2, change.replace.as_ref())]
        {
            let Some(list) = list else { continue };
            digest.update([mark]);
            digest.update((list.len() as u64).to_be_bytes());
            for value in list {
                digest_value(digest, value);
            }
        }
    }
}

fn text(digest: &mut Sha256, text: &str) {
    digest.update((text.len() as u64).to_be_bytes());
    digest.update(text.as_bytes());
}

/// Feeds one value, with its type and length, so that no two lists of values look alike.
pub(crate) fn digest_value(digest: &mut Sha256, value: &Value) {
    let (mark, bytes): (u8, &[u8]) = match value {
        Value::Text(text) => (0, text.as_bytes()),
        Value::Binary(bytes) => (1, bytes),
        Value::Integer(number) => {
            digest.update([2]);
            return digest.update(number.to_be_bytes());
        }
        Value::Boolean(flag) => return digest.update([3, u8::from(*flag)]),
        Value::Reference(key) => (4, key.as_bytes()),
    };
    digest.update([mark]);
    digest.update((bytes.len() as u64).to_be_bytes());
    digest.update(bytes);
}
