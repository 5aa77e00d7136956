//! The types of the newest interface version: the only ones that the rest of the host knows.

pub(crate) use super::since_v0_1_0::types::{
    Attribute, Contract, Contribution, Entry, Failure, Flow, Parameter, ValueParam,
    ValueResult as Value, Verdict,
};
