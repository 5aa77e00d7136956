//! The codes of findings about a manifest. A code, once given, keeps its meaning.

use crate::config::finding::FlawCodes;

pub(super) const FLAWS: FlawCodes = FlawCodes {
    unreadable: "K0301",
    syntax: "K0302",
    unknown_key: "K0303",
    doubled_key: "K0304",
    missing_key: "K0305",
    value: "K0306",
};
pub(super) const VERSION: &str = "K0307";
pub(super) const INCLUDE: &str = "K0308";
pub(super) const PRECEDENCE_RANGE: &str = "K0309";
pub(super) const UNKNOWN_CONNECTOR: &str = "K0310";
pub(super) const UNKNOWN_GROUP: &str = "K0311";
pub(super) const UNKNOWN_OPERATOR: &str = "K0312";
pub(super) const CLAUSE_VALUE: &str = "K0313";
pub(super) const MASK: &str = "K0314";
pub(super) const UNKNOWN_PARAMETER: &str = "K0315";
pub(super) const UNKNOWN_MODULE: &str = "K0316";
pub(super) const EITHER_OR: &str = "K0317";
pub(super) const DIRECTION: &str = "K0318";
pub(super) const UNKNOWN_TYPE: &str = "K0319";
pub(super) const SAME_PRECEDENCE: &str = "K0320";
pub(super) const SAME_NAME: &str = "K0321";
pub(super) const NO_KEEPER: &str = "K0322";
pub(super) const CONNECTORS_DIFFER: &str = "K0323";
pub(super) const DOUBLED: &str = "K0324";
pub(super) const TEST_FORM: &str = "K0325";
pub(super) const EMPTY_GROUP: &str = "K0326";
pub(super) const BAD_PATH: &str = "K0327";
pub(super) const UNKNOWN_CLASS: &str = "K0328";
pub(super) const MERGE_CLASH: &str = "K0329";
pub(super) const CANNOT_DISABLE: &str = "K0330";
pub(super) const MEMBERS_OUTBOUND: &str = "K0331";
pub(super) const CONFIG_FORM: &str = "K0332";
pub(super) const LIMIT: &str = "K0333";
pub(super) const ANY_TYPE_JOINS: &str = "K0334";

/// Step 9 of loading a rule (rules.md 5.2).
pub(super) const CASE_FAILED: &str = "K0512";

/// Warnings.
pub(super) const NO_CONNECTOR: &str = "K0340";
pub(super) const MANY_VALUES: &str = "K0341";
pub(super) const MANY_BITS: &str = "K0342";
pub(super) const NO_ANCHOR: &str = "K0343";
pub(super) const UNUSED_GROUP: &str = "K0344";
pub(super) const UNUSED_WRITE: &str = "K0345";
pub(super) const RECHECK: &str = "K0346";
pub(super) const MODULE_NOTE: &str = "K0347";
pub(super) const OPEN_TO_ALL: &str = "K0348";
pub(super) const IDLE: &str = "K0349";
pub(super) const NOT_TAKEN: &str = "K0967";
