//! Interface versions. A version is found once, when a module loads; from then on everybody speaks
//! to [`RuleModule`] and the types of [`latest`], and nobody sees which version stands behind them.

pub(crate) mod latest;
mod since_v0_1_0;

use wasmtime::component::Component;
use wasmtime::{Engine, Store};

use crate::error::LoadError;
use crate::instance::GuestState;

/// What this program can speak, for messages.
const KNOWN: &str = "0.1";

/// One released minor version; its patch versions only add functions that a guest may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    V0_1,
}

impl Version {
    /// Takes the text after `@` or of `module.api`: `0.1` or `0.1.3`. Errors: K0505.
    pub(crate) fn parse(text: &str) -> Result<Self, LoadError> {
        let mut parts = text.splitn(3, '.');
        match (parts.next(), parts.next()) {
            (Some("0"), Some("1")) => Ok(Self::V0_1),
            _ => Err(LoadError::new(
                "K0505",
                format!("needs `kakehi:rules` {text}, this program knows {KNOWN}"),
            )
            .with_hint("update Kakehi, or build the module with an SDK of a known version")),
        }
    }

    /// Finds the version by the marker that core modules without imports export:
    /// `kakehi_rules_0_1`.
    pub(crate) fn of_marker(export: &str) -> Option<Result<Self, LoadError>> {
        let version = export.strip_prefix("kakehi_rules_")?;
        Some(Self::parse(&version.replace('_', ".")))
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1",
        }
    }

    /// The text of the interface, with which bare core modules are packed.
    pub(crate) fn wit(self) -> &'static str {
        match self {
            Self::V0_1 => since_v0_1_0::WIT,
        }
    }

    /// What `kakehi:rules/host` of this version offers, types and functions.
    pub(crate) fn host_items(self) -> &'static [&'static str] {
        match self {
            Self::V0_1 => &["level", "log", "now"],
        }
    }

    /// Links a compiled component. Errors: an export that is missing or of another type.
    pub(crate) fn adapt(
        self,
        engine: &Engine,
        component: &Component,
    ) -> wasmtime::Result<Box<dyn RuleModule>> {
        match self {
            Self::V0_1 => since_v0_1_0::adapt(engine, component),
        }
    }
}

/// A compiled module of some version.
pub(crate) trait RuleModule: Send + Sync {
    /// Makes an instance in a store that is its own. Errors: what wasmtime says.
    fn start(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Box<dyn RuleInstance>>;
}

/// An instance of a module of some version. After an error it must not be called again.
pub(crate) trait RuleInstance {
    fn describe(
        &self,
        store: &mut Store<GuestState>,
        config: &str,
    ) -> wasmtime::Result<Result<latest::Contract, String>>;

    fn apply(
        &self,
        store: &mut Store<GuestState>,
        entry: latest::Entry<'_>,
    ) -> wasmtime::Result<latest::Verdict>;
}
