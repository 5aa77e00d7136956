//! `password` and `mail` as they are typed.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::LdapRaw;
use crate::config::quantity::{Loose, Retention, Size, Span};
use crate::config::yaml::{At, Entries};

/// Passwords that are captured in sources and set at targets.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct PasswordRaw {
    /// What holds for every key that is not written: `balanced`, `counted` or `evented`.
    pub preset: PresetRaw,
    /// Who decides over passwords: the sources, the targets (nothing is captured), or both (a
    /// password may be changed on either side).
    pub authority: AuthorityRaw,
    /// For how many minutes a password is kept that could not be delivered; `-1`: for ever.
    pub expiry: Option<At<Loose>>,
    /// After which a password is gone, whatever it waits for; or `off`.
    pub hard_max_age: Option<At<Retention>>,
    /// What a password must wait for to expire.
    pub expiry_states: Option<Vec<StateRaw>>,
    /// Whether the time of a pause does not count.
    pub pause_freezes_expiry: Option<bool>,
    pub retry: RetryRaw,
    /// Mails to users whose password was not taken.
    pub mail: Option<MailModeRaw>,
    /// Captures of different agents that are closer than this are ordered by their arrival.
    pub skew_window: Option<At<Span>>,
    /// For how long a server may still carry out a request that was given up.
    pub uncertain_grace: Option<At<Span>>,
    /// For how long a delivered password that comes back from its target is known as an echo.
    pub echo_ttl: Option<At<Span>>,
    /// More deliveries for one user at one target within an hour are a loop.
    pub max_flips_per_user_per_hour: Option<At<u32>>,
    pub initial_password: InitialRaw,
    pub breaker: PasswordBreakerRaw,
    /// The folder of the key pairs that passwords are sealed to.
    pub keys: Option<PathBuf>,
    pub queue: PasswordQueueRaw,
    pub intake: IntakeRaw,
    /// Who captures passwords, by the name that stands in its captures and its certificate.
    pub agents: Entries<AgentRaw>,
    /// Where passwords are set: targets by their names, or directories with their own address.
    pub targets: Entries<PasswordTargetRaw>,
    /// Users whose passwords are never captured; by default those with `adminCount: "1"`.
    pub exclude: Option<ExcludeRaw>,
    /// The attribute of a person that mails go to, and the one that it is called by.
    pub contact: ContactRaw,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum PresetRaw {
    #[default]
    Balanced,
    Counted,
    Evented,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum AuthorityRaw {
    #[default]
    Source,
    Target,
    Both,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum StateRaw {
    Ready,
    NotFound,
    Rejected,
    Unavailable,
    Quarantined,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum TriggerRaw {
    Timer,
    Event,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RetryRaw {
    pub rejected: RejectedRaw,
    pub unavailable: UnavailableRaw,
    pub not_found: NotFoundRaw,
    /// Server errors in a row for one user, while the target serves others, that count as one
    /// rejection.
    pub poison_after: Option<At<u32>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct RejectedRaw {
    /// What starts another attempt.
    pub triggers: Option<Vec<TriggerRaw>>,
    /// Attempts after the first one.
    pub max: Option<At<u32>>,
    pub interval: Option<At<Span>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct UnavailableRaw {
    pub triggers: Option<Vec<TriggerRaw>>,
    pub backoff: BackoffRaw,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct BackoffRaw {
    pub initial: Option<At<Span>>,
    pub max: Option<At<Span>>,
    /// Part of the pause by which it may differ: from 0 to 1.
    pub jitter: Option<At<f64>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct NotFoundRaw {
    /// Whether the password of a user that the target does not know is kept.
    pub action: Option<NotFoundActionRaw>,
    pub triggers: Option<Vec<TriggerRaw>>,
    pub interval: Option<At<Span>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum NotFoundActionRaw {
    Drop,
    Hold,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum MailModeRaw {
    EveryAttempt,
    Episode,
    Off,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct InitialRaw {
    /// What users get that were created and for whom no password waits.
    pub mode: InitialModeRaw,
    /// With `policy_default`: the name of a credential of the kind `initial_password`.
    pub credential: Option<At<String>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum InitialModeRaw {
    #[default]
    None,
    PolicyDefault,
    Random,
}

/// A target that is not available so often in a row is left alone for a while.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct PasswordBreakerRaw {
    pub after: Option<At<u32>>,
    pub open: Option<At<Span>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct PasswordQueueRaw {
    /// When so many passwords wait, further ones are refused; agents keep them.
    pub max_records: Option<At<u64>>,
    pub max_bytes: Option<At<Size>>,
}

/// Where captured passwords arrive.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct IntakeRaw {
    /// The Unix socket for agents on this machine; by default in the state's folder.
    pub socket: Option<PathBuf>,
    /// Users and groups of this machine that may deliver, besides root and the service's own.
    pub allow_uids: Vec<u32>,
    pub allow_gids: Vec<u32>,
    /// Where agents of other machines arrive, over TLS: `0.0.0.0:8443`; by default nowhere.
    pub listen: Option<At<String>>,
    /// PEM files: what the service shows, and its key, which only the service may read.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// The authority that signed the certificates of the agents.
    pub client_ca: Option<PathBuf>,
    /// Agents of other machines are told no more than that a capture was taken.
    pub opaque_status: bool,
    /// Captures of one agent within a minute, and of one user within an hour.
    pub per_agent_per_minute: Option<At<u32>>,
    pub per_user_per_hour: Option<At<u32>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct AgentRaw {
    /// The directory that it watches: a source, or a name of its own where nothing is synchronized.
    pub source: At<String>,
    /// The only user of this machine that may deliver under this name.
    #[serde(default)]
    pub uid: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct PasswordTargetRaw {
    /// What people call it, in mails.
    pub display_name: Option<String>,
    #[serde(rename = "match")]
    pub matching: MatchRaw,
    /// `cached`: a user whose id is known is not looked up first.
    pub find: Option<FindRaw>,
    /// How the password is set: `patch_path`, `patch_value` or `put`; at directories
    /// `unicode_pwd`, `exop` or `user_password`.
    pub style: Option<At<StyleRaw>>,
    /// `plain`, or a hash that the target takes.
    pub deliver_as: Option<At<String>>,
    /// Characters that the target takes: `any`, `ascii`, `latin1`, or the characters themselves.
    pub charset: Option<At<String>>,
    pub length: LengthRaw,
    /// What answers mean, before what is known of all servers.
    pub classify: Vec<At<ClassifyRaw>>,
    /// Users worked on at once.
    pub concurrency: Option<At<u32>>,
    /// Most requests in a second.
    pub per_second: Option<At<u32>>,
    /// A directory: its address, and who writes.
    pub ldap: Option<Box<LdapRaw>>,
    /// The source that is the same system: what is captured there is not delivered here.
    pub system: Option<At<String>>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct MatchRaw {
    /// The attribute at the source; by default the login name that the agent tells.
    pub source: Option<String>,
    /// The attribute at the target that must be equal.
    pub target: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum FindRaw {
    Always,
    Cached,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum StyleRaw {
    PatchPath,
    PatchValue,
    Put,
    UnicodePwd,
    Exop,
    UserPassword,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct LengthRaw {
    pub min: Option<u32>,
    pub max: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ClassifyRaw {
    /// The HTTP status, or the LDAP result code.
    #[serde(default)]
    pub status: Option<u16>,
    #[serde(default)]
    pub scim_type: Option<String>,
    /// A regular expression that the server's text must contain.
    #[serde(default)]
    pub detail_regex: Option<String>,
    pub result: ResultRaw,
    #[serde(default)]
    pub category: Option<CategoryRaw>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ResultRaw {
    Ok,
    Rejected,
    NotFound,
    Ambiguous,
    Refused,
    Unavailable,
    Uncertain,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum CategoryRaw {
    TooShort,
    Complexity,
    History,
    Charset,
    Blocklisted,
    Other,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ExcludeRaw {
    pub attribute: String,
    /// `none`: nobody is left out.
    pub value: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct ContactRaw {
    pub address: Option<String>,
    pub name: Option<String>,
}

/// The mail server, and who is told what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct MailRaw {
    pub host: At<String>,
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub security: SecurityRaw,
    /// A PEM file of the authorities to trust instead of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    #[serde(default)]
    pub user: Option<String>,
    /// The name of a credential of the kind `smtp`.
    #[serde(default)]
    pub credential: Option<At<String>>,
    /// The address that mails come from.
    pub from: At<String>,
    /// Administrators, who learn of outages.
    #[serde(default)]
    pub admins: Vec<At<String>>,
    /// A folder of templates of one's own.
    #[serde(default)]
    pub templates: Option<PathBuf>,
    /// Whom users may ask, as it stands in the mails.
    #[serde(default)]
    pub contact: Option<String>,
    /// The time zone of the mails, such as `+09:00`.
    #[serde(default)]
    pub utc_offset: Option<At<String>>,
    #[serde(default)]
    pub per_hour: Option<At<u32>>,
    #[serde(default)]
    pub per_user_per_day: Option<At<u32>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum SecurityRaw {
    #[default]
    Starttls,
    Tls,
    /// In clear: to this machine only.
    None,
}
