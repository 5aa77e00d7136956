//! What went wrong with one object. Problems are results, not failures: the run goes on (S-14).

use std::fmt;

use crate::connector_space::CsId;
use crate::object::AttributeName;
use crate::rule::RuleTag;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    JoinRulesConflict,
    AmbiguousMatch,
    AmbiguousConnector,
    FlowError,
    RuleTrap,
    BadContribution,
    MergeTypeConflict,
    ProvisionConflict,
    MultiToSingle,
    /// A value of a directory that does not fit its type (L-12).
    Decode,
    DuplicateValue,
    InvalidValue,
    TooLarge,
    TargetMissing,
    StaleVersion,
    ExportedChangeNotReimported,
    /// An attribute goes to and fro between two owners (provisioning.md 11.8).
    Flapping,
    /// Not tried for now.
    Held,
}

impl ProblemKind {
    pub const ALL: [Self; 18] = [
        Self::JoinRulesConflict,
        Self::AmbiguousMatch,
        Self::AmbiguousConnector,
        Self::FlowError,
        Self::RuleTrap,
        Self::BadContribution,
        Self::MergeTypeConflict,
        Self::ProvisionConflict,
        Self::MultiToSingle,
        Self::Decode,
        Self::DuplicateValue,
        Self::InvalidValue,
        Self::TooLarge,
        Self::TargetMissing,
        Self::StaleVersion,
        Self::ExportedChangeNotReimported,
        Self::Flapping,
        Self::Held,
    ];

    /// The searchable name (provisioning.md 12).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JoinRulesConflict => "join-rules-conflict",
            Self::AmbiguousMatch => "ambiguous-match",
            Self::AmbiguousConnector => "ambiguous-connector",
            Self::FlowError => "flow-error",
            Self::RuleTrap => "rule-trap",
            Self::BadContribution => "bad-contribution",
            Self::MergeTypeConflict => "merge-type-conflict",
            Self::ProvisionConflict => "provision-conflict",
            Self::MultiToSingle => "multi-to-single",
            Self::Decode => "decode",
            Self::DuplicateValue => "duplicate-value",
            Self::InvalidValue => "invalid-value",
            Self::TooLarge => "too-large",
            Self::TargetMissing => "target-missing",
            Self::StaleVersion => "stale-version",
            Self::ExportedChangeNotReimported => "exported-change-not-reimported",
            Self::Flapping => "flapping",
            Self::Held => "held",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub kind: ProblemKind,
    pub object: CsId,
    pub rule: Option<RuleTag>,
    pub attribute: Option<AttributeName>,
    /// What and why, for an administrator; may hold values, so it is not for the log.
    pub message: String,
}
