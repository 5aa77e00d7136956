//! `config.yml` as it is typed: every key optional that has a default, nothing resolved.

pub(super) mod password;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::quantity::{Ceiling, Retention, Size, Span};
use super::yaml::{At, Entries};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Kakehi configuration")]
pub(super) struct ConfigRaw {
    /// The rules manifest, relative to this file.
    pub manifest: Option<PathBuf>,
    pub state: StateRaw,
    /// Directories that are read, by connector name.
    pub sources: Entries<SourceRaw>,
    /// Services that are written to, by connector name.
    pub targets: Entries<TargetRaw>,
    /// What credentials are for. The secrets themselves stand in `secret.yml`.
    pub credentials: Entries<CredentialRaw>,
    pub rules: RulesRaw,
    pub import: ImportRaw,
    pub run: RunRaw,
    pub audit: AuditRaw,
    pub log: LogRaw,
    pub control: ControlRaw,
    pub http: HttpRaw,
    /// Absent: passwords are not synchronized.
    pub password: Option<Box<password::PasswordRaw>>,
    /// Absent: no mail is sent.
    pub mail: Option<password::MailRaw>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ControlRaw {
    /// The Unix socket over which the service is told what to do; by default in the state's folder.
    pub socket: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct HttpRaw {
    /// Where `/metrics`, `/healthz` and `/readyz` answer, such as `127.0.0.1:9464`; by default
    /// nowhere.
    pub listen: Option<At<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StateRaw {
    /// The folder of everything the service remembers.
    pub path: Option<PathBuf>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SourceRaw {
    Ldap(Box<LdapRaw>),
    Ldif(LdifRaw),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LdapRaw {
    #[serde(default)]
    pub kind: LdapKindRaw,
    /// `ldaps://host`, `ldap://host:port` or `ldapi://%2Fpath`, in order of preference.
    pub urls: At<Vec<At<String>>>,
    /// Secure `ldap://` connections by STARTTLS before anything else is said.
    #[serde(default)]
    pub starttls: bool,
    #[serde(default)]
    pub tls: TlsRaw,
    /// Allow `ldap://` in clear to other machines.
    #[serde(default)]
    pub insecure: Option<At<bool>>,
    /// Absent: anonymous.
    #[serde(default)]
    pub bind: Option<At<BindRaw>>,
    /// Base DNs; each is read on its own.
    pub bases: At<Vec<At<String>>>,
    #[serde(default)]
    pub filter: Option<At<String>>,
    /// Attributes that hold DNs, beside those of which the schema says so.
    #[serde(default)]
    pub links: Vec<String>,
    #[serde(default)]
    pub limits: LdapLimitsRaw,
    #[serde(default)]
    pub timeouts: LdapTimeoutsRaw,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LdapKindRaw {
    OpenLdap,
    Generic,
    /// What the server says of itself.
    #[default]
    Auto,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsRaw {
    /// A PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// SHA-256 of the only certificate to accept, in hexadecimal.
    pub pin_sha256: Option<At<String>>,
}

/// Either `dn` and `credential`, or `external: true`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BindRaw {
    /// Who reads; a user principal name where the server takes one.
    pub dn: Option<String>,
    /// The name of a credential of the kind `ldap_bind`.
    pub credential: Option<At<String>>,
    /// SASL EXTERNAL: the Unix socket or the client certificate shows who we are.
    pub external: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LdapLimitsRaw {
    /// Entries in one page.
    pub page: Option<At<u32>>,
    /// Largest message that is accepted.
    pub message: Option<At<Size>>,
    /// Answers that may wait for us.
    pub window: Option<At<Size>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LdapTimeoutsRaw {
    /// Connecting, with TLS.
    pub connect: Option<At<Span>>,
    pub bind: Option<At<Span>>,
    pub first_answer: Option<At<Span>>,
    pub next_answer: Option<At<Span>>,
    /// A whole page.
    pub page: Option<At<Span>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LdifRaw {
    /// A file of entries, or a folder of files of changes.
    pub path: PathBuf,
    /// The attribute whose value never changes and is never used twice.
    pub anchor: At<String>,
    /// Attributes that hold DNs.
    #[serde(default)]
    pub links: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetRaw {
    /// What `/Users` is appended to: `https://scim.example.com/scim/v2`.
    pub base_url: At<String>,
    /// The name of a credential of the kind `scim_bearer`.
    pub credential: At<String>,
    #[serde(default)]
    pub profile: Option<At<String>>,
    /// A PEM file of authorities that are trusted besides the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    #[serde(default)]
    pub concurrency: ConcurrencyRaw,
    #[serde(default)]
    pub timeouts: TargetTimeoutsRaw,
    #[serde(default)]
    pub thresholds: ThresholdsRaw,
    /// Object types under the names that rules have for them, where these are not the target's.
    #[serde(default)]
    pub types: Entries<TypeNamesRaw>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TypeNamesRaw {
    /// What it is at the target: `User` or `Group`.
    pub resource: At<String>,
    /// From names in rules to attribute paths, such as `surname: name.familyName`; rules may write
    /// others, which are not sent.
    #[serde(default)]
    pub attributes: Entries<At<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConcurrencyRaw {
    /// Most requests under way at once; the profile's figure where it is absent.
    pub max: Option<At<u32>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TargetTimeoutsRaw {
    pub connect: Option<At<Span>>,
    /// From the first byte of a request to the last one of its answer.
    pub total: Option<At<Span>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ThresholdsRaw {
    /// Deletes and disables of one run together: at most so many.
    pub removals_max: Option<At<u64>>,
    /// ... and at most so many percent of the linked objects.
    pub removals_percent: Option<At<u64>>,
    /// So many are always allowed.
    pub removals_floor: Option<At<u64>>,
    /// Deletes alone; by default as `removals`: at most so many.
    pub deletes_max: Option<At<u64>>,
    /// ... and at most so many percent of the linked objects.
    pub deletes_percent: Option<At<u64>>,
    /// So many are always allowed.
    pub deletes_floor: Option<At<u64>>,
    /// Disables alone; by default as `removals`: at most so many.
    pub disables_max: Option<At<u64>>,
    /// ... and at most so many percent of the linked objects.
    pub disables_percent: Option<At<u64>>,
    /// So many are always allowed.
    pub disables_floor: Option<At<u64>>,
    /// Objects that get another name at the target: at most so many.
    pub renames_max: Option<At<u64>>,
    /// ... and at most so many percent of the linked objects.
    pub renames_percent: Option<At<u64>>,
    /// So many are always allowed.
    pub renames_floor: Option<At<u64>>,
    /// Objects that are replaced by one of another type: at most so many.
    pub type_changes_max: Option<At<u64>>,
    /// ... and at most so many percent of the linked objects.
    pub type_changes_percent: Option<At<u64>>,
    /// So many are always allowed.
    pub type_changes_floor: Option<At<u64>>,
    /// Members that one group loses: at most so many.
    pub member_removals_max: Option<At<u64>>,
    /// ... and at most so many percent of the members of the group.
    pub member_removals_percent: Option<At<u64>>,
    /// So many are always allowed.
    pub member_removals_floor: Option<At<u64>>,
    /// Objects that lose all values of one attribute: at most so many.
    pub clears_max: Option<At<u64>>,
    /// ... and at most so many percent of the linked objects.
    pub clears_percent: Option<At<u64>>,
    /// So many are always allowed.
    pub clears_floor: Option<At<u64>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialRaw {
    pub kind: CredentialKindRaw,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CredentialKindRaw {
    /// A bearer token of a SCIM service.
    ScimBearer,
    /// The password of a simple bind.
    LdapBind,
    /// The password of our account at the mail server.
    Smtp,
    /// The password of users that were created and have none of their own.
    InitialPassword,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RulesRaw {
    /// `pinned`: no module without its SHA-256. `signed`: besides, a minisign signature beside each
    /// module. `open`: for authors of rules.
    pub policy: Option<At<PolicyRaw>>,
    /// Whose signatures count under `signed`: minisign public keys, by a name for each.
    pub trusted_keys: Entries<At<String>>,
    /// The folder of compiled modules.
    pub cache: Option<PathBuf>,
    /// Objects given to a rule at once.
    pub batch: Option<At<u32>>,
    pub limits: RuleLimitsRaw,
    pub reload: ReloadRaw,
}

/// How a running service takes changed rules.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReloadRaw {
    /// Whether changed files are noticed; without it the service waits to be told.
    pub watch: Option<bool>,
    /// How long files must have been left alone before they are read.
    pub debounce: Option<At<Span>>,
    /// Rules that would change more objects at the targets are held for approval; or `off`.
    pub max_changes: Option<At<Ceiling>>,
    /// How many generations of rules are kept for going back.
    pub keep: Option<At<u32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PolicyRaw {
    Pinned,
    Signed,
    Open,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RuleLimitsRaw {
    /// Linear memory of one instance.
    pub memory: Option<At<Size>>,
    /// The fixed part of the time for one object.
    pub time: Option<At<Span>>,
    /// Output of one call.
    pub output: Option<At<Size>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ImportRaw {
    pub max_shrink: MaxShrinkRaw,
}

/// How much of a source a complete listing may make vanish.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct MaxShrinkRaw {
    pub objects: Option<At<u64>>,
    pub percent: Option<At<u64>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RunRaw {
    /// From one poll of the sources to the next.
    pub poll: Option<At<Span>>,
    /// How long a stop waits for requests under way.
    pub drain: Option<At<Span>>,
    /// A run with more failed objects is stopped.
    pub max_errors: Option<At<u64>>,
    /// Staging mode: everything but sending. `kakehi staging` switches it while the service runs.
    pub staging: bool,
    /// How long is kept what was sent and decided, for `kakehi audit` and `kakehi plan --undo`; or
    /// `off`.
    pub journal: Option<At<Retention>>,
    pub breaker: BreakerRaw,
    pub flapping: FlappingRaw,
    /// A value that was sent so often within `flapping.window` without sticking is held.
    pub confirm_retries: Option<At<u64>>,
}

/// A rule that fails for more objects than both figures allow ends the run.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BreakerRaw {
    /// So many may always fail ...
    pub failures: Option<At<u64>>,
    /// ... and so many percent of the objects that the rule saw.
    pub percent: Option<At<u64>>,
}

/// An attribute that something else writes too is held.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FlappingRaw {
    /// So often a value may go to and fro ...
    pub flips: Option<At<u64>>,
    /// ... within this time.
    pub window: Option<At<Span>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AuditRaw {
    /// Attributes of targets whose values `kakehi audit` shows as digests.
    pub secret: Vec<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogRaw {
    pub level: LevelRaw,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LevelRaw {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

/// `secret.yml` as it is typed. Without `Debug`: it holds secrets.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SecretFileRaw {
    pub credentials: Entries<At<SecretRaw>>,
}

/// Where one secret is: exactly one of the three.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SecretRaw {
    pub value: Option<String>,
    pub file: Option<PathBuf>,
    pub env: Option<String>,
}
