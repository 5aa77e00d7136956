//! `password`: what was typed flows in; a policy, an intake and targets flow out (password.md 5.1,
//! 7.4, 9).

mod intake;
mod policy;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{INITIAL_AGENT, Policy};

pub use self::intake::{Agent, Intake, Remote};
pub use self::target::{At as PlacedAt, Classify, Find, PasswordTarget, Style, Verdict};
use super::check::{Bounds, within};
use super::credential::{CredentialKind, Credentials};
use super::finding::Findings;
use super::quantity::{Size, Span};
use super::raw::password::{AuthorityRaw, InitialModeRaw, PasswordRaw};

/// Where key pairs lie in the folder of the state.
pub const KEYS: &str = "password-keys";
/// The socket of the intake in the folder of the state.
pub const SOCKET: &str = "password.sock";
/// Passwords that may wait: one for every employee of a large company.
pub const RECORDS: Bounds<u64> = Bounds { default: 100_000, min: 1, max: 10_000_000 };
/// Room for them: records are below a kilobyte.
pub const BYTES: Bounds<Size> =
    Bounds { default: Size(256 << 20), min: Size(64 << 10), max: Size(16 << 30) };
/// Whose passwords are left out (M4): accounts that Active Directory protects.
pub const EXCLUDE: (&str, &str) = ("adminCount", "1");

const NO_CAPTURE: &str = "K0260";
const NO_LOOP_GUARD: &str = "K0261";
const BOTH_SIDES: &str = "K0262";
const NO_DEFAULT: &str = "K0263";
const TWO_SOURCES: &str = "K0264";
const NO_TARGET: &str = "K0265";
const ONLY_EVENTS: &str = "K0266";
const OUR_NAME: &str = "K0279";

/// How passwords are synchronized.
pub struct Password {
    pub policy: Policy,
    pub preset: &'static str,
    pub authority: Authority,
    pub keys: PathBuf,
    pub records_max: u64,
    pub bytes_max: Size,
    pub intake: Intake,
    pub agents: BTreeMap<String, Agent>,
    pub targets: BTreeMap<ConnectorName, PasswordTarget>,
    /// Attribute and value of users that are left out.
    pub exclude: Option<(String, String)>,
    /// The credential with the password of new users.
    pub initial: Option<String>,
    /// Attributes of a person: its mail address, and its name.
    pub contact: (String, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    Source,
    Target,
    Both,
}

/// What the rest of the configuration says that passwords hang on.
pub(super) struct Around<'a> {
    pub folder: &'a Path,
    pub state: &'a Path,
    pub sources: &'a BTreeSet<String>,
    pub targets: &'a BTreeSet<String>,
    pub poll: Span,
    pub credentials: &'a Credentials<'a>,
}

// === impl Authority ===

impl Authority {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Both => "both",
        }
    }
}

impl From<AuthorityRaw> for Authority {
    fn from(raw: AuthorityRaw) -> Self {
        match raw {
            AuthorityRaw::Source => Self::Source,
            AuthorityRaw::Target => Self::Target,
            AuthorityRaw::Both => Self::Both,
        }
    }
}

// === impl Password ===

impl Password {
    /// The systems that passwords are captured in.
    pub fn captured(&self) -> BTreeSet<&str> {
        self.agents.values().map(|agent| agent.source.as_str()).collect()
    }

    /// Where a password captured in `source` goes: everywhere but to where it came from.
    pub fn reaches(&self, source: &str) -> BTreeSet<ConnectorName> {
        let elsewhere = |(_, target): &(_, &PasswordTarget)| target.system() != Some(source);
        self.targets.iter().filter(elsewhere).map(|(name, _)| name.clone()).collect()
    }

    /// Attributes of sources that are read for passwords alone.
    pub fn source_attributes(&self) -> BTreeSet<String> {
        let matched = self.targets.values().filter_map(|target| target.match_source.clone());
        let excluded = self.exclude.iter().map(|(attribute, _)| attribute.clone());
        let contact = [self.contact.0.clone(), self.contact.1.clone()];
        matched.chain(excluded).chain(contact).collect()
    }
}

/// Takes what was typed. Notes what is wrong; the result is only of use without errors.
pub(super) fn password(
    mut raw: PasswordRaw,
    around: &Around<'_>,
    findings: &mut Findings,
) -> Password {
    let authority = Authority::from(raw.authority);
    let polled = (!around.sources.is_empty()).then_some(around.poll.0.as_secs());
    let policy = policy::policy(&mut raw, polled, findings);
    let preset = policy::preset_name(raw.preset);
    let initial = initial(&raw, around, findings);
    let mut agents = BTreeMap::new();
    for (name, agent) in raw.agents.0 {
        if name.value == INITIAL_AGENT {
            findings
                .error(OUR_NAME, format_args!("no agent may be called `{INITIAL_AGENT}`"))
                .at(name.mark)
                .hint("initial passwords are told under this name; take another one");
        }
        agents.insert(name.value.clone(), intake::agent(agent));
    }
    let mut targets = BTreeMap::new();
    for (name, target) in raw.targets.0 {
        let target = target::target(&name, target, around, findings);
        targets.insert(name.value.into(), target);
    }
    let exclude = match raw.exclude {
        Some(raw) if raw.value == "none" => None,
        Some(raw) => Some((raw.attribute, raw.value)),
        None => Some((EXCLUDE.0.to_owned(), EXCLUDE.1.to_owned())),
    };
    let password = Password {
        preset,
        authority,
        keys: raw.keys.map_or_else(|| around.state.join(KEYS), |keys| around.folder.join(keys)),
        records_max: within(
            findings,
            "password.queue.max_records",
            raw.queue.max_records,
            &RECORDS,
        ),
        bytes_max: within(findings, "password.queue.max_bytes", raw.queue.max_bytes, &BYTES),
        intake: intake::intake(raw.intake, around, findings),
        agents,
        targets,
        exclude,
        initial,
        contact: (
            raw.contact.address.unwrap_or_else(|| "mail".to_owned()),
            raw.contact.name.unwrap_or_else(|| "displayName".to_owned()),
        ),
        policy,
    };
    check(&password, around, findings);
    password
}

fn initial(raw: &PasswordRaw, around: &Around<'_>, findings: &mut Findings) -> Option<String> {
    let wanted = raw.initial_password.mode == InitialModeRaw::PolicyDefault;
    match &raw.initial_password.credential {
        Some(credential) => {
            around.credentials.claim(credential, CredentialKind::InitialPassword, findings);
            Some(credential.value.clone())
        }
        None if wanted => {
            findings
                .error(NO_DEFAULT, "`password.initial_password` has no password to give")
                .hint("add `credential`, of the kind `initial_password`, or take `mode: random`");
            None
        }
        None => None,
    }
}

/// What only shows when everything is together (O-02).
fn check(password: &Password, around: &Around<'_>, findings: &mut Findings) {
    let guarded =
        !password.policy.echo_ttl.is_zero() && password.policy.max_flips_per_user_per_hour > 0;
    match password.authority {
        Authority::Target if !password.agents.is_empty() => findings
            .error(NO_CAPTURE, "`password.authority` is `target`, but passwords are captured")
            .hint("remove `password.agents`, or let the source decide: `authority: source`"),
        Authority::Both if !guarded => findings
            .error(NO_LOOP_GUARD, "passwords flow both ways without a guard against loops")
            .hint("leave `echo_ttl` and `max_flips_per_user_per_hour` above zero"),
        Authority::Both => findings
            .warning(BOTH_SIDES, "passwords may be changed on both sides")
            .hint("see to it that the password policies of both sides agree"),
        _ => {}
    };
    if password.targets.is_empty() {
        findings
            .error(NO_TARGET, "`password.targets` is empty: no password would go anywhere")
            .hint("name a target: `targets: {cloud: {}}`");
    }
    // Without rules nobody knows which of their users are one person.
    let captured = password.captured();
    let joined = captured.iter().all(|source| around.sources.contains(*source));
    for name in password.targets.keys() {
        let feeding = captured.iter().filter(|source| password.reaches(source).contains(name));
        if feeding.count() > 1 && !joined {
            findings
                .error(TWO_SOURCES, format_args!("two sources set passwords at `{name}`"))
                .hint("list both under `sources`, so that rules join their users");
        }
    }
    if around.sources.is_empty() && policy::waits_for_events_only(&password.policy) {
        findings
            .warning(ONLY_EVENTS, "nothing is polled, so nothing retries what waits for an event")
            .hint("add `timer` to the `triggers` under `password.retry`");
    }
}
