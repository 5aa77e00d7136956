//! The rules manifest: `manifest.yml` and what it includes flow in; rules, each of one connector
//! and with one precedence, flow out, or every finding.
//!
//! What modules say of themselves is not known here yet: [`generation`] binds both together.

pub mod builtin;
pub mod cases;
mod check;
mod codes;
mod expand;
pub mod files;
pub mod generation;
mod outline;
mod raw;
mod read;
mod rule;
mod scope;

use std::collections::BTreeMap;

use kakehi_engine::object::{ClassName, ConnectorName};
use kakehi_engine::rule::Compat;
use kakehi_engine::scope::Scope;

pub use self::expand::{GROUPS_FROM, PRECEDENCE_MAX};
use self::files::Files;
use self::raw::{FragmentRaw, KindRaw, ManifestRaw, OnMultipleMatchRaw, StringCompareRaw};
use self::rule::RuleDraft;
pub use self::rule::{BUILTINS, ModuleSource, Origin, RuleLimits};
use crate::config::finding::{Finding, Findings};
use crate::config::system::SystemKind;
use crate::config::yaml::Mark;

const PURPOSE: &str = "cannot load the rules manifest";

/// A connector as the manifest sees it.
#[derive(Clone, Debug)]
pub struct ManifestConnector {
    pub name: ConnectorName,
    pub kind: SystemKind,
    /// Unique.
    pub order: u32,
    /// Every parameter that holds on it, by name without the percent signs.
    pub parameters: BTreeMap<String, String>,
    mark: Mark,
}

/// A rule on one connector, its module not loaded yet.
#[derive(Clone, Debug)]
pub struct ManifestRule {
    draft: RuleDraft,
    connector: ConnectorName,
    order: u32,
    precedence: u32,
    scope: Scope,
    parameters: BTreeMap<String, String>,
    /// It goes the way that its connector does not: it is checked and shown, no more.
    idle: bool,
}

/// A manifest that holds by itself.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// In their order.
    pub connectors: Vec<ManifestConnector>,
    /// In order of direction, precedence, connector.
    pub rules: Vec<ManifestRule>,
    pub compat: Compat,
    /// Of each metaverse type that lives on without a link that keeps it.
    pub grace_seconds: BTreeMap<ClassName, u64>,
}

/// Reads a manifest with everything it includes, and checks all that needs no module and no target.
///
/// Gives: the manifest and its warnings. Errors: everything that is wrong, warnings included, in
/// the order of the files. Faults of form hide those of meaning, which would only follow from them.
pub fn load(files: &mut Files) -> Result<(Manifest, Vec<Finding>), Vec<Finding>> {
    let mut findings = Findings::new(files.main(), PURPOSE);
    let read = read::read(files, &mut findings);
    let (raw, located) = match read {
        Some(read) if !findings.has_errors() => read,
        _ => return Err(findings.into_sorted()),
    };
    let connectors = expand::connectors(&raw, &mut findings);
    let mut rules = expand::rules(&raw, &located, &connectors, &mut findings);
    rules.sort_by_key(|rule| (rule.draft.direction, rule.precedence, rule.order));
    if raw.compat.string_compare == StringCompareRaw::Text {
        rules.iter_mut().for_each(|rule| rule.draft.compare_as_text());
    }
    check::types(&raw, &rules, &mut findings);
    let compat = Compat {
        multiple_match_provisions: raw.compat.on_multiple_match == OnMultipleMatchRaw::Provision,
    };
    let seconds = |raw: &raw::MvTypeRaw| raw.grace_period.as_ref().map(|at| at.value.0.as_secs());
    let types = raw.metaverse.types.0.iter();
    let grace_seconds = types
        .filter_map(|(name, raw)| Some((name.value.as_str().into(), seconds(raw)?)))
        .filter(|(_, seconds)| *seconds > 0)
        .collect();
    let manifest = Manifest { connectors, rules, compat, grace_seconds };
    check::check(&manifest, &mut findings);
    match findings.has_errors() {
        true => Err(findings.into_sorted()),
        false => Ok((manifest, findings.into_sorted())),
    }
}

/// JSON Schema (draft 2020-12) of `manifest.yml`.
pub fn schema() -> serde_json::Value {
    crate::config::schema::of::<ManifestRaw>()
}

/// JSON Schema (draft 2020-12) of a file that a manifest includes.
pub fn fragment_schema() -> serde_json::Value {
    crate::config::schema::of::<FragmentRaw>()
}

impl From<KindRaw> for SystemKind {
    fn from(raw: KindRaw) -> Self {
        match raw {
            KindRaw::Ad => Self::Ad,
            KindRaw::OpenLdap => Self::OpenLdap,
            KindRaw::Ldap => Self::Ldap,
            KindRaw::Ldif => Self::Ldif,
            KindRaw::Scim => Self::Scim,
        }
    }
}

// === impl ManifestRule ===

impl ManifestRule {
    pub fn name(&self) -> &str {
        &self.draft.name
    }

    pub fn connector(&self) -> &ConnectorName {
        &self.connector
    }

    pub fn precedence(&self) -> u32 {
        self.precedence
    }

    pub fn module(&self) -> &ModuleSource {
        &self.draft.module
    }

    /// Whether it does nothing, since its connector goes the other way.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// Whether passwords of the objects in scope are synchronized.
    pub fn password_sync(&self) -> bool {
        self.draft.password_sync
    }
}
