//! The rule set: what the manifest says, in the form the engine works with.
//!
//! A [`RuleSet`] is made once, validated, and never changes; the engine trusts what the loader
//! checked.

mod digest;
mod record;
mod revision;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

pub use self::record::{RuleMark, RulesRecord};
pub use self::revision::{Need, Revision};
use crate::object::{AttributeName, ClassName, ConnectorName, Value};
use crate::scope::{MEMBER_ATTRIBUTES, Scope};

/// SHA-256 of everything that decides a result: manifest, modules, their configuration (S-05).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RulesetDigest(pub String);

impl fmt::Display for RulesetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RulesetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Position of a rule in its [`RuleSet`]: valid for one generation only, never stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// The stable identity of a rule across generations, `name@connector`. This is what is stored.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleTag(pub std::sync::Arc<str>);

impl fmt::Display for RuleTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RuleTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Connector space to metaverse.
    Inbound,
    /// Metaverse to connector space.
    Outbound,
}

/// What a link by this rule does for the metaverse object (provisioning.md 11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkType {
    Join,
    /// Keeps the metaverse object alive, creates none.
    StickyJoin,
    /// Creates the metaverse object (inbound) or the target object (outbound) where none matches.
    Provision,
}

/// What becomes of a target object whose outbound Provision rule no longer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// Set the class's disable attribute; the object stays.
    Disable,
    Delete,
    /// Leave it as it is and forget the link.
    Keep,
}

/// What becomes of the values of a rule that leaves scope while the target object stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnScopeExit {
    #[default]
    Release,
    Clear,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    #[default]
    Update,
    /// Union of exact values.
    Merge,
    MergeCaseInsensitive,
}

/// How one attribute that a rule may write is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WritePolicy {
    pub merge: Merge,
    /// Only in the pending add of a target object.
    pub apply_once: bool,
    /// A disabled flow is dropped by the host's side of the wall.
    pub enabled: bool,
}

impl Default for WritePolicy {
    fn default() -> Self {
        Self { merge: Merge::Update, apply_once: false, enabled: true }
    }
}

/// What a module, so configured, declared (rules.md 3.3), narrowed by the manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contract {
    pub reads: BTreeSet<AttributeName>,
    pub reads_imported: BTreeSet<AttributeName>,
    pub parameters: BTreeSet<String>,
    pub writes: BTreeMap<AttributeName, WritePolicy>,
    pub volatile: bool,
    /// After how many seconds the answer may be another by time alone: on whole multiples since
    /// 1970, which meets midnight in every time zone. Only of volatile rules.
    pub recheck_seconds: Option<u32>,
}

/// One pair of a join group: source side in the connector space, right side in the metaverse.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JoinClause {
    pub cs: AttributeName,
    pub mv: AttributeName,
    pub case_sensitive: bool,
}

/// Clauses that must all hold.
pub type JoinGroup = Vec<JoinClause>;

/// Where a rule's decisions come from: for lineage, never for deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleIdentity {
    /// `builtin:declarative` or the path in the manifest.
    pub source: String,
    /// SHA-256 of the module's bytes, lower-case hexadecimal.
    pub sha256: String,
    /// SHA-256 of its configuration, lower-case hexadecimal.
    pub config_sha256: String,
}

/// One synchronization rule on one connector (R7, R8).
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub tag: RuleTag,
    pub name: String,
    pub description: String,
    pub direction: Direction,
    pub connector: ConnectorName,
    /// Object type on the connector's side.
    pub cs_class: ClassName,
    /// Object type in the metaverse; [`ANY_CLASS`] for all of them.
    pub mv_class: ClassName,
    /// Lower wins (R6); unique in its direction.
    pub precedence: u32,
    pub link: LinkType,
    pub scope: Scope,
    pub join: Vec<JoinGroup>,
    pub on_scope_exit: OnScopeExit,
    pub on_delete: OnDelete,
    pub contract: Contract,
    /// Values of the parameters that the contract names, for this connector.
    pub parameters: BTreeMap<String, String>,
    pub module: ModuleIdentity,
}

/// The metaverse type of rules that are about every type, such as one that joins foreign security
/// principals to whatever they stand for.
pub const ANY_CLASS: &str = "*";

/// Whether a connector is read, written, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorKind {
    Source,
    Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Text,
    Binary,
    Integer,
    Boolean,
    /// Another object of the same target.
    Reference,
}

/// What the engine must know of an object type of a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TargetClass {
    /// A change of it is a rename: `userName`, `displayName` of a group.
    pub naming: Option<AttributeName>,
    /// The attribute and the value that disable an object: `active`, `false`.
    pub disable: Option<(AttributeName, Value)>,
    /// Attributes that may have several values. All others are single-valued.
    pub multi_valued: BTreeSet<AttributeName>,
    /// Types of attributes; those that are not named here are text.
    pub types: BTreeMap<AttributeName, ValueType>,
    /// Objects of a lower rank are created before those of a higher one: users before groups.
    pub rank: u8,
    /// Attributes by which an existing object is found before one is created, in order.
    pub match_by: Vec<AttributeName>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Connector {
    pub name: ConnectorName,
    pub kind: ConnectorKind,
    /// Position in the order in which connectors were added (R36): decides between equal rules.
    pub order: u32,
    /// Only for targets.
    pub classes: BTreeMap<ClassName, TargetClass>,
    pub thresholds: Thresholds,
}

/// How much one run may take away from a target (provisioning.md 11.13, delivery.md 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Deletes and disables together: at most so many ...
    pub removals_max: u64,
    /// ... and at most so many percent of the linked objects, but never fewer than
    /// `removals_floor`.
    pub removals_percent: u64,
    pub removals_floor: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { removals_max: 500, removals_percent: 5, removals_floor: 5 }
    }
}

/// Behaviour that an imported configuration may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compat {
    /// Several metaverse objects match: go on to the link type instead of reporting (C7).
    pub multiple_match_provisions: bool,
}

/// All rules and connectors of one generation.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSet {
    pub digest: RulesetDigest,
    /// In order of `order`.
    pub connectors: Vec<Connector>,
    /// In order of direction, precedence, connector order. `RuleId` is the index.
    pub rules: Vec<Rule>,
    pub compat: Compat,
    /// How many seconds an object of a metaverse type lives on without a link that keeps it
    /// (P-13); types that are not named die at once.
    pub grace_seconds: BTreeMap<ClassName, u64>,
    tags: HashMap<RuleTag, RuleId>,
}

// === impl Rule ===

impl Rule {
    /// Whether it speaks of metaverse objects of this type.
    pub fn is_about(&self, mv_class: &ClassName) -> bool {
        self.mv_class == *mv_class || self.mv_class.as_str() == ANY_CLASS
    }
}

// === impl RuleSet ===

impl RuleSet {
    /// A rule set that knows its digest. Connectors and rules in their orders.
    pub fn new(
        connectors: Vec<Connector>,
        rules: Vec<Rule>,
        compat: Compat,
        grace_seconds: BTreeMap<ClassName, u64>,
    ) -> Self {
        let digest = RulesetDigest(String::new());
        let number = |(index, rule): (usize, &Rule)| (rule.tag.clone(), RuleId(index as u32));
        let tags = rules.iter().enumerate().map(number).collect();
        let mut set = Self { digest, connectors, rules, compat, grace_seconds, tags };
        set.digest = digest::of(&set);
        set
    }

    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    /// The rule with this tag, if this generation still has it.
    pub fn by_tag(&self, tag: &RuleTag) -> Option<RuleId> {
        self.tags.get(tag).copied()
    }

    pub fn connector(&self, name: &ConnectorName) -> Option<&Connector> {
        self.connectors.iter().find(|connector| connector.name == *name)
    }

    /// In their order.
    pub fn sources(&self) -> impl Iterator<Item = &Connector> {
        self.connectors.iter().filter(|connector| connector.kind == ConnectorKind::Source)
    }

    pub fn targets(&self) -> impl Iterator<Item = &Connector> {
        self.connectors.iter().filter(|connector| connector.kind == ConnectorKind::Target)
    }

    /// Rules of one direction and connector, in order of precedence.
    pub fn of(
        &self,
        direction: Direction,
        connector: &ConnectorName,
    ) -> impl Iterator<Item = (RuleId, &Rule)> {
        self.rules
            .iter()
            .enumerate()
            .filter(move |(_, rule)| rule.direction == direction && rule.connector == *connector)
            .map(|(index, rule)| (RuleId(index as u32), rule))
    }

    /// Every attribute of a source that some rule reads, matches or filters by: what a directory is
    /// asked for. `dn` is not among them: it belongs to every entry.
    pub fn source_attributes(&self, connector: &ConnectorName) -> BTreeSet<AttributeName> {
        let mut names = BTreeSet::new();
        for (_, rule) in self.of(Direction::Inbound, connector) {
            names.extend(rule.contract.reads.iter().cloned());
            names.extend(rule.contract.reads_imported.iter().cloned());
            names.extend(rule.scope.attributes().cloned());
            if rule.scope.member_groups().next().is_some() {
                names.extend(MEMBER_ATTRIBUTES.map(AttributeName::from));
            }
            names.extend(rule.join.iter().flatten().map(|clause| clause.cs.clone()));
        }
        names.remove("dn");
        names
    }

    /// The object types of a connector that some rule is about, in name order.
    pub fn cs_classes(&self, connector: &ConnectorName) -> BTreeSet<ClassName> {
        self.rules
            .iter()
            .filter(|rule| rule.connector == *connector)
            .map(|rule| rule.cs_class.clone())
            .collect()
    }

    /// Metaverse attributes by which inbound rules join objects of one type: the join index holds
    /// them. With each: whether some rule compares it exactly.
    pub fn join_attributes(&self, mv_class: &ClassName) -> BTreeSet<(AttributeName, bool)> {
        self.rules
            .iter()
            .filter(|rule| rule.direction == Direction::Inbound && rule.is_about(mv_class))
            .flat_map(|rule| rule.join.iter().flatten())
            .map(|clause| (clause.mv.clone(), clause.case_sensitive))
            .collect()
    }
}
