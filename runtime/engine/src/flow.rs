//! Which value? What a rule answered for one object, and what of it is kept.

use std::borrow::Cow;

use crate::object::{AttributeName, Value};
use crate::rule::{Rule, RuleId, RuleTag};

/// What a rule contributes to one attribute (provisioning.md 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contribution {
    /// At least one value, none twice, none an empty text.
    Values(Vec<Value>),
    /// NULL: the next contributor may win.
    None,
    /// AuthoritativeNull: no value, and no later rule may contribute either.
    Block,
    /// IgnoreThisFlow: as if the flow did not exist; a value already there stays.
    Keep,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    pub attribute: AttributeName,
    pub contribution: Contribution,
}

/// First half of SHA-256 over a canonical form: 128 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 16]);

/// The kept outcome of one rule on one object, with the fingerprint of all that the rule saw.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleContribution {
    pub rule: RuleTag,
    /// Equal fingerprint: equal outcome, so the module need not be asked again (11.9).
    pub input: Fingerprint,
    pub outcome: Kept,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// Position in the list is the flow index.
    Flows(Vec<Flow>),
    /// The rule put the object out of its scope, and why.
    Skipped(String),
    /// Of a target object: values that were contributed to merged attributes, are not any more, and
    /// are still there. Never the answer of a rule.
    Withdrawn(Vec<Flow>),
}

/// What one rule is shown of one object: exactly its contract (G-06).
#[derive(Clone, Debug, PartialEq)]
pub struct RuleInput<'a> {
    pub class: &'a str,
    /// In order of name; no attribute without values.
    pub attributes: Vec<(&'a AttributeName, Cow<'a, [Value]>)>,
    pub imported: Vec<(&'a AttributeName, Cow<'a, [Value]>)>,
    /// In order of name.
    pub parameters: Vec<(&'a str, &'a str)>,
}

/// How a module failed apart from saying so (rules.md 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    Trap,
    Deadline,
    Stack,
    Memory,
    Fuel,
    Output,
    Abi,
    Start,
    ContractChanged,
    Now,
}

impl Trap {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Stack => "stack",
            Self::Memory => "memory",
            Self::Fuel => "fuel",
            Self::Output => "output",
            Self::Abi => "abi",
            Self::Start => "start",
            Self::ContractChanged => "contract-changed",
            Self::Now => "now",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum RuleOutcome {
    /// Already checked against the contract and converted (rules.md 3.1); every declared and
    /// enabled write is named at least once.
    Flows(Vec<Flow>),
    Skip(String),
    /// The module's own words; the attribute is one of its contract.
    Fail {
        attribute: Option<AttributeName>,
        message: String,
    },
    Trapped {
        trap: Trap,
        message: String,
    },
    BadContribution {
        attribute: AttributeName,
        message: String,
    },
}

/// The engine's only way to a module. Implemented by the host; faked in tests.
pub trait Rules {
    /// Asks one rule about a batch of objects.
    ///
    /// Takes: any number of inputs. Gives: one outcome for each, in the same order. One object's
    /// trap never touches another's outcome (G-08).
    fn apply(&self, id: RuleId, rule: &Rule, inputs: &[RuleInput<'_>]) -> Vec<RuleOutcome>;
}
