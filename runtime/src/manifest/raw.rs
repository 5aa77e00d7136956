//! `manifest.yml` as it is typed: every key optional that has a default, nothing resolved or
//! expanded.

mod scalar;
mod value;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::scalar::{ModuleRaw, Scalar, WritesRaw};
pub(super) use self::value::{ExpectedRaw, GivenRaw};
use crate::config::quantity::{Size, Span};
use crate::config::yaml::{At, Entries};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Kakehi rules manifest")]
pub(super) struct ManifestRaw {
    /// The version of this format: 1.
    pub version: At<u32>,
    /// Files with more rules, relative to this one and inside its folder, in this order.
    #[serde(default)]
    pub include: Vec<At<String>>,
    /// The connectors of `config.yml`, in the order in which they were added.
    pub connectors: Vec<ConnectorRaw>,
    #[serde(default)]
    pub metaverse: MetaverseRaw,
    /// Values for `%name%` on every connector.
    #[serde(default)]
    pub parameters: Entries<Scalar>,
    /// Blocks of precedence, the strongest first, counted from 100.
    #[serde(default)]
    pub groups: Vec<At<String>>,
    #[serde(default)]
    pub rules: Vec<RuleRaw>,
    #[serde(default)]
    pub compat: CompatRaw,
}

/// An included file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Kakehi rules")]
pub(super) struct FragmentRaw {
    #[serde(default)]
    pub rules: Vec<RuleRaw>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectorRaw {
    pub name: At<String>,
    pub kind: At<KindRaw>,
    /// Place in the order; where no connector has one, the place in the list.
    #[serde(default)]
    pub order: Option<At<u32>>,
    /// Values for `%name%` on this connector; they win over those for all.
    #[serde(default)]
    pub parameters: Entries<Scalar>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum KindRaw {
    Ad,
    OpenLdap,
    /// Any directory that speaks LDAP.
    Ldap,
    Ldif,
    Scim,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MetaverseRaw {
    pub types: Entries<MvTypeRaw>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MvTypeRaw {
    /// How long an object stays, with its values, without a link that keeps it.
    pub grace_period: Option<At<Span>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleRaw {
    pub name: At<String>,
    /// The stable identity of the rule; its name where it is absent.
    #[serde(default)]
    pub tag: Option<At<String>>,
    #[serde(default)]
    pub description: String,
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// One of `groups`; instead of `precedence`.
    #[serde(default)]
    pub group: Option<At<String>>,
    /// Lower wins; unique in its direction; instead of `group`.
    #[serde(default)]
    pub precedence: Option<At<u32>>,
    /// The connector it is for; instead of `for_each`.
    #[serde(default)]
    pub connector: Option<At<String>>,
    /// Every connector of a kind, in their order; instead of `connector`.
    #[serde(default)]
    pub for_each: Option<At<ForEachRaw>>,
    pub direction: DirectionRaw,
    /// Object type that is read: of the connector (inbound) or of the metaverse (outbound).
    pub from: At<String>,
    /// Object type that is written: of the metaverse (inbound, `*` for any that is joined) or of
    /// the connector (outbound).
    pub to: At<String>,
    pub link: LinkRaw,
    /// Groups of clauses: one group must hold, and in it every clause.
    #[serde(default)]
    pub scope: Vec<At<Vec<ClauseRaw>>>,
    /// Groups of pairs, tried in order: in a group every pair must be equal.
    #[serde(default)]
    pub join: Vec<At<Vec<JoinRaw>>>,
    #[serde(default)]
    pub on_scope_exit: OnScopeExitRaw,
    /// What becomes of the target object; by default it is disabled where its type can be.
    #[serde(default)]
    pub on_delete: Option<OnDeleteRaw>,
    pub module: At<ModuleRaw>,
    /// Handed to the module as JSON.
    #[serde(default)]
    pub config: Option<At<serde_json::Value>>,
    /// What the module may write: names, or a mapping from names to how they are merged.
    #[serde(default)]
    pub writes: Option<At<WritesRaw>>,
    #[serde(default)]
    pub limits: RuleLimitsRaw,
    /// Cases for `kakehi rules test`.
    #[serde(default)]
    pub tests: Vec<At<TestRaw>>,
    /// How often a rule that depends on the time is asked again.
    #[serde(default)]
    pub recheck: Option<At<Span>>,
    /// Whether passwords of the objects in scope are synchronized.
    #[serde(default)]
    pub password_sync: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForEachRaw {
    pub kind: KindRaw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DirectionRaw {
    Inbound,
    Outbound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LinkRaw {
    Join,
    /// Keeps the metaverse object alive, creates none.
    StickyJoin,
    /// Creates the object where none matches.
    Provision,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClauseRaw {
    pub attr: At<String>,
    /// `EQUAL`, `NOTEQUAL`, `ISNULL`, `ISBITSET` ...
    pub op: At<String>,
    /// With `%parameters%` of the connector.
    #[serde(default)]
    pub value: Option<At<Scalar>>,
    #[serde(default)]
    pub case_sensitive: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinRaw {
    /// The attribute in the connector space.
    pub cs: String,
    /// The attribute in the metaverse.
    pub mv: String,
    #[serde(default)]
    pub case_sensitive: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnScopeExitRaw {
    /// The values stay at the target.
    #[default]
    Release,
    Clear,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnDeleteRaw {
    Disable,
    Delete,
    Keep,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ModuleFileRaw {
    /// Inside the manifest's folder.
    pub path: At<String>,
    /// SHA-256 of the file, in hexadecimal; `kakehi rules lock` writes it.
    #[serde(default)]
    pub sha256: Option<At<String>>,
    /// The interface version, where the module does not say it itself.
    #[serde(default)]
    pub api: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WriteRaw {
    pub merge: MergeRaw,
    /// Only when the target object is created.
    pub apply_once: bool,
    pub enabled: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum MergeRaw {
    #[default]
    Update,
    /// The values of all rules together.
    Merge,
    MergeCaseInsensitive,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RuleLimitsRaw {
    pub memory: Option<At<Size>>,
    pub time: Option<At<Span>>,
    pub output: Option<At<Size>>,
    /// For one object.
    pub fuel: Option<u64>,
}

/// One case: an object as the rule sees it, and what the rule must answer (rules.md 10.2).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Kakehi rule test case")]
pub(super) struct TestRaw {
    pub name: Option<String>,
    /// A file with a list of more cases, relative to this file; alone.
    pub file: Option<At<String>>,
    /// The object type; by default `from` of the rule.
    pub class: Option<String>,
    /// Attributes that the rule reads.
    pub r#in: Option<Entries<GivenRaw>>,
    /// Confirmed attributes, of what the rule reads of those.
    pub imported: Entries<GivenRaw>,
    /// Values of the parameters that the rule reads.
    pub parameters: Entries<Scalar>,
    /// The instant of the run in UTC, for rules that ask for it: `2026-04-01T00:00:00Z`.
    pub now: Option<At<String>>,
    /// What the rule must contribute; instead of `skip` and `fail`.
    pub out: Option<Entries<ExpectedRaw>>,
    /// Whether writes that `out` does not name may be anything.
    pub partial: bool,
    /// The reason for which the rule must skip the object.
    pub skip: Option<String>,
    /// How the rule must refuse the object.
    pub fail: Option<FailRaw>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FailRaw {
    #[serde(default)]
    pub attribute: Option<String>,
    pub message: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CompatRaw {
    pub on_multiple_match: OnMultipleMatchRaw,
    pub string_compare: StringCompareRaw,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnMultipleMatchRaw {
    #[default]
    Error,
    /// As if nothing had matched.
    Provision,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StringCompareRaw {
    /// Case counts.
    #[default]
    Binary,
    /// It does not.
    Text,
}

fn enabled() -> bool {
    true
}
