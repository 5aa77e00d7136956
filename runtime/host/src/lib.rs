//! The wall around rules: WebAssembly modules go in, what they say of objects comes out (rules.md).
//!
//! [`Host::load`] turns the bytes of a module and its configuration into a [`LoadedModule`] with
//! its contract; [`check_contract`] holds the contract against the manifest; a [`Generation`] of
//! loaded modules answers the engine's [`Rules`](kakehi_engine::flow::Rules). A module is hostile
//! until proven: it has no imports but a log line and the instant of the run, a limit on
//! everything, and a fresh instance for every batch.

mod abi;
#[cfg(test)]
mod abuse;
mod contract;
mod convert;
mod engine;
mod error;
mod fault;
#[cfg(test)]
mod fixture;
mod instance;
mod limits;
mod log;
mod module;
mod ruleset;
mod text;
mod trial;

pub use contract::{CONTRACT_NAME_BYTES_MAX, CONTRACT_NAMES_MAX, DeclaredContract, check_contract};
pub use engine::{BATCH_OBJECTS_MAX, DESCRIBE_TIME_DEFAULT, Options};
pub use error::{HostError, LoadError};
pub use limits::{LimitFault, Limits};
pub use log::{GuestLevel, GuestLine, GuestLog, LogSink};
pub use module::anatomy::{Anatomy, anatomy};
pub use module::compile::COMPILE_TIME_DEFAULT;
pub use module::file::{MODULE_BYTES_MAX, check_pin, read_module};
pub use module::signature::{
    SIGNATURE_BYTES_MAX, SIGNATURE_SUFFIX, SignedBy, TrustedKeyError, TrustedKeys, check_signature,
    read_signature,
};
pub use module::{CONFIG_BYTES_MAX, Host, LoadedModule, ModuleSpec};
pub use ruleset::{Generation, RunRules};
pub use trial::{Measured, Trial};
