//! What is kept of what was done: exports that were carried out, decisions of people, and whether
//! anything may be sent at all (provisioning.md 11.13, 11.14).

use std::time::Duration;

use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::Export;
use kakehi_engine::object::AttributeMap;
use kakehi_engine::plan::PlanId;
use kakehi_engine::time::Timestamp;

use super::RunId;

/// For which plan and in which run exports are settled.
#[derive(Clone, Copy, Debug)]
pub struct Trail<'a> {
    pub plan: &'a PlanId,
    /// When the run began.
    pub run: Timestamp,
    /// Whether what is carried out is kept in the journal.
    pub keep: bool,
}

/// An export that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Later ones have greater numbers.
    pub seq: i64,
    pub at: Timestamp,
    /// `None` while the run goes on, and for one that a crash ended.
    pub run: Option<RunId>,
    pub plan: PlanId,
    /// Digests of rules and configuration that the plan was made with.
    pub ruleset: String,
    pub config: String,
    /// As it was sent: what could not be sent then is another entry. `rank` is not kept.
    pub export: Export,
    pub remote_id: Option<String>,
    /// What its single-valued attributes held before; of a delete, everything.
    pub before: AttributeMap,
}

/// A decision that is no export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub at: Timestamp,
    /// `uid 0 (root)`, `files`, `signal`.
    pub actor: String,
    pub kind: DecisionKind,
    pub plan: Option<PlanId>,
    /// Digests of rules and configuration that are in force after it.
    pub ruleset: String,
    pub config: String,
    /// A JSON object.
    pub details: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionKind {
    /// Other rules or another configuration are in force.
    Configuration,
    /// Staging mode was switched on or off.
    Staging,
    /// A reviewed plan was released.
    Apply,
    /// A plan was taken back.
    Undo,
}

impl DecisionKind {
    pub const ALL: [Self; 4] = [Self::Configuration, Self::Staging, Self::Apply, Self::Undo];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Staging => "staging",
            Self::Apply => "apply",
            Self::Undo => "undo",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Staging mode as it was switched on at run time: nothing is sent until it is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagingMode {
    pub since: Timestamp,
    pub by: String,
    pub why: String,
}

/// When an export has been sent so often that something works against it (provisioning.md 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repetition {
    /// What happened longer ago does not count.
    pub window: Duration,
    /// So often a value may change and come back; once more is held.
    pub flips: u64,
    /// So often the same value may be sent without sticking; once more is held.
    pub retries: u64,
}

/// An export that was held because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    pub object: CsId,
    pub message: String,
}
