//! What a rule for Kakehi is written with in Rust.
//!
//! A rule is a type with two functions, [`Rule::describe`] and [`Rule::apply`], made visible to the
//! runtime by [`export!`]. What flows in: the configuration once, then one [`Entry`] per object.
//! What flows out: a [`Contract`], then one [`Verdict`] per object. Built natively, the same crate
//! runs under `cargo test`: log lines go to standard error and [`set_now`] sets the instant.

mod build;
mod entry;
mod host;
mod values;
/// The bindings that [`export!`] refers to; authors need only what stands in the crate's root.
#[doc(hidden)]
pub mod wit;

pub use build::{block, contract, fail, fail_at, keep, names, none, set, skip};
#[cfg(not(target_arch = "wasm32"))]
pub use host::set_now;
pub use host::{debug, error, info, now, warn};
pub use values::Values;
pub use wit::kakehi::rules::types::{
    Attribute, Contract, Contribution, Entry, Failure, Flow, Parameter, Value, Verdict,
};

/// A synchronization rule: a pure function of its configuration, one object, and perhaps the
/// instant.
///
/// Every object of a batch may meet the same instance, and what an instance remembers between
/// objects is undefined: keep nothing but what [`describe`](Self::describe) made of the
/// configuration.
pub trait Rule {
    /// Takes the manifest's `config` as JSON, `{}` if there is none. Called once in every instance,
    /// before anything else; must always give the same answer.
    ///
    /// Errors: what is wrong with the configuration, in words for the person who wrote it.
    fn describe(config: &str) -> Result<Contract, String>;

    /// Judges one object, of which it sees exactly what the contract names.
    fn apply(entry: &Entry) -> Verdict;
}

/// Makes a [`Rule`] the rule of this module. Once per crate, whose type is `cdylib` (and `rlib`,
/// for tests).
///
/// Natively it exports nothing, since two rules in one program would both be called `apply`.
#[macro_export]
macro_rules! export {
    ($rule:ty) => {
        const _: fn(&$crate::Entry) -> $crate::Verdict = <$rule as $crate::Rule>::apply;

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "an exported symbol cannot be declared safely")]
        const _: () = {
            struct Exported;

            impl $crate::wit::Guest for Exported {
                fn describe(config: String) -> Result<$crate::Contract, String> {
                    <$rule as $crate::Rule>::describe(&config)
                }

                fn apply(entry: $crate::Entry) -> $crate::Verdict {
                    <$rule as $crate::Rule>::apply(&entry)
                }
            }

    $crate::wit::export_rule!(Exported with_types_in $crate::wit);
        };
    };
}
