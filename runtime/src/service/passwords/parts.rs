//! From the configuration of passwords to the parts of the lane.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::object::{ClassName, ConnectorName};
use kakehi_engine::password::{InitialPassword, MailMode};
use kakehi_password::classify::{RuleResult, RuleText, Rules};
use kakehi_password::door::{Contact, PasswordTarget, Users};
use kakehi_password::initial::Initial;
use kakehi_password::intake::{AgentRule, IntakeOptions};
use kakehi_password::keys::KeysError;
use kakehi_password::mail::{
    Audience, Caps, MailOptions, MailWorker, Security as MailSecurity, SmtpMailer, SmtpOptions,
    Templates,
};
use kakehi_password::precheck;
use kakehi_password::queue::{Queue, QueueError, QueueOptions};
use kakehi_password::secret::Password as Secret;
use kakehi_password::target::{DeliverAs, Find as HowToFind};
use kakehi_password::worker::TargetOptions;
use zeroize::Zeroizing;

use super::is_scim;
use super::users::{KnownUsers, Matching, ToldUsers, UserOptions};
use crate::config::Config;
use crate::config::mail::{Mail, Security};
use crate::config::password::{
    Find, Password, PasswordTarget as TargetConfig, PlacedAt, Style, Verdict,
};
use crate::connector::ldap::password::{
    ANSWER_MS_MAX, LdapPasswordOptions, LdapPasswords, LdapStyle,
};
use crate::delivery::scim::password::{ScimPasswordOptions, ScimPasswords, ScimStyle};
use crate::service::clock::SystemClock;
use crate::service::failure::{Failure, Kind};
use crate::service::world::{self, World};
use crate::store::sqlite::SqliteStore;

/// For one mail as a whole.
const MAIL_TIME: Duration = Duration::from_secs(60);

/// What is known of users: by the synchronization, or by captures alone.
#[derive(Clone)]
pub(super) enum Known {
    State(Arc<KnownUsers>),
    Told,
}

// === impl Known ===

impl Known {
    pub(super) fn users(&self) -> Arc<dyn Users> {
        match self {
            Self::State(users) => users.clone(),
            Self::Told => Arc::new(ToldUsers),
        }
    }

    pub(super) fn known(&self) -> Option<Arc<KnownUsers>> {
        match self {
            Self::State(users) => Some(Arc::clone(users)),
            Self::Told => None,
        }
    }
}

pub fn queue(config: &Config, password: &Password) -> QueueOptions {
    let mut policy = password.policy.clone();
    if config.mail.is_none() {
        // Nobody would ever send them.
        policy.mail = MailMode::Off;
    }
    QueueOptions {
        folder: config.state.path.clone(),
        policy,
        records_max: password.records_max,
        bytes_max: password.bytes_max.0,
        targets: password.targets.keys().cloned().collect(),
        audience: Audience::default(),
    }
}

pub(super) fn users(world: &World, config: &Password) -> Result<Known, Failure> {
    if world.config.sources.is_empty() {
        return Ok(Known::Told);
    }
    let store = SqliteStore::open_read_only(&world.config.state.path)?;
    let matching = |(name, target): (&ConnectorName, &TargetConfig)| {
        let (source, target) = (target.match_source.clone(), target.match_target.clone());
        (name.clone(), Matching { source, target })
    };
    let options = UserOptions {
        exclude: config.exclude.clone(),
        matching: config.targets.iter().map(matching).collect(),
        rules: world.generation.password_rules.clone(),
        contact: config.contact.clone(),
        sources: world.config.sources.keys().cloned().collect(),
    };
    Ok(Known::State(Arc::new(KnownUsers::new(Box::new(store), options))))
}

/// The targets of passwords that users are synchronized to.
pub(super) fn synchronized(config: &Password) -> BTreeSet<ConnectorName> {
    let scim = config.targets.iter().filter(|(_, target)| is_scim(&target.at));
    scim.map(|(name, _)| name.clone()).collect()
}

pub(super) fn intake(config: &Password) -> IntakeOptions {
    let intake = &config.intake;
    let agents = config.agents.iter().map(|(name, agent)| {
        (name.clone(), AgentRule { source: agent.source.clone(), uid: agent.uid })
    });
    let captured = config.captured();
    let all: BTreeSet<ConnectorName> = config.targets.keys().cloned().collect();
    let reaches = captured.iter().map(|source| ((*source).to_owned(), all.clone())).collect();
    let systems = config
        .targets
        .iter()
        .filter_map(|(name, target)| Some((target.system()?.to_owned(), name.clone())));
    let own = rustix::process::geteuid().as_raw();
    IntakeOptions {
        agents: agents.collect(),
        uids: intake.allow_uids.iter().copied().chain([0, own]).collect(),
        gids: intake.allow_gids.iter().copied().collect(),
        reaches,
        systems: systems.collect(),
        opaque_status: intake.opaque_status,
        per_agent_per_minute: intake.per_agent_per_minute,
        per_user_per_hour: intake.per_user_per_hour,
    }
}

pub(super) fn initial(config: &Config, password: &Password) -> Initial {
    let given = password.initial.as_ref().and_then(|name| config.credentials.get(name));
    match (password.policy.initial_password, given) {
        (InitialPassword::Random, _) => Initial::Random,
        (InitialPassword::PolicyDefault, Some(given)) => {
            Initial::Default(Arc::new(secret(given.secret.open())))
        }
        _ => Initial::None,
    }
}

/// A secret of the configuration as a password: a copy in guarded memory.
fn secret(text: &str) -> Secret {
    let mut copy = Zeroizing::new(String::with_capacity(text.len()));
    copy.push_str(text);
    Secret::new(copy)
}

// === targets ===

pub(super) fn target(
    world: &World,
    name: &ConnectorName,
    config: &TargetConfig,
) -> Result<TargetOptions, Failure> {
    let target: Arc<dyn PasswordTarget> = match &config.at {
        PlacedAt::Scim => Arc::new(scim(world, name, config)?),
        PlacedAt::Ldap(ldap) => {
            let ldap = world::ldap_options(
                &world.config,
                name,
                ldap,
                BTreeSet::new(),
                BTreeSet::<ClassName>::new(),
            );
            let options = LdapPasswordOptions {
                ldap,
                match_attribute: config.match_target.clone(),
                find: find(config.find),
                style: match config.style {
                    Style::UnicodePwd => LdapStyle::UnicodePwd,
                    Style::UserPassword => LdapStyle::UserPassword,
                    _ => LdapStyle::Exop,
                },
                deliver_as: deliver_as(config),
                classify: rules(name, config)?,
                precheck: precheck(name, config)?,
                answer_limit: Duration::from_millis(ANSWER_MS_MAX),
            };
            Arc::new(LdapPasswords::new(options).map_err(|error| unusable(name, &error))?)
        }
    };
    Ok(TargetOptions {
        target,
        concurrency: config.concurrency as usize,
        per_second: config.per_second,
    })
}

fn scim(
    world: &World,
    name: &ConnectorName,
    config: &TargetConfig,
) -> Result<ScimPasswords, Failure> {
    let target = &world.config.targets[name];
    let options = ScimPasswordOptions {
        match_attribute: config.match_target.clone(),
        find: find(config.find),
        style: match config.style {
            Style::PatchValue => ScimStyle::PatchValue,
            Style::Put => ScimStyle::Put,
            _ => ScimStyle::PatchPath,
        },
        deliver_as: deliver_as(config),
        classify: rules(name, config)?,
        precheck: precheck(name, config)?,
    };
    ScimPasswords::new(&world.scim_options(name, target)?, options)
        .map_err(|error| unusable(name, &error))
}

fn find(find: Find) -> HowToFind {
    match find {
        Find::Always => HowToFind::Always,
        Find::Cached => HowToFind::Cached,
    }
}

fn deliver_as(config: &TargetConfig) -> DeliverAs {
    DeliverAs::named(&config.deliver_as).unwrap_or_default()
}

/// What needs no call to be refused (O-35).
pub fn prechecked(config: &TargetConfig) -> Result<precheck::Rules, precheck::CharsetError> {
    Ok(precheck::Rules {
        length_min: config.length_min.map(|min| min as usize),
        length_max: config.length_max.map(|max| max as usize),
        bytes_max: None,
        charset: config.charset.parse()?,
    })
}

fn precheck(name: &ConnectorName, config: &TargetConfig) -> Result<precheck::Rules, Failure> {
    prechecked(config).map_err(|error| unusable(name, &error))
}

/// What is the status of HTTP at a service is the result code at a directory.
fn rules(name: &ConnectorName, config: &TargetConfig) -> Result<Rules, Failure> {
    let directory = !is_scim(&config.at);
    let texts: Vec<RuleText> = config
        .classify
        .iter()
        .map(|rule| RuleText {
            status: rule.status.filter(|_| !directory),
            code: rule.status.filter(|_| directory).map(u32::from),
            scim_type: rule.scim_type.clone(),
            detail_regex: rule.detail_regex.clone(),
            result: match rule.result {
                Verdict::Ok => RuleResult::Ok,
                Verdict::Rejected => RuleResult::Rejected,
                Verdict::NotFound => RuleResult::NotFound,
                Verdict::Ambiguous => RuleResult::Ambiguous,
                Verdict::Refused => RuleResult::Refused,
                Verdict::Unavailable => RuleResult::Unavailable,
                Verdict::Uncertain => RuleResult::Uncertain,
            },
            category: rule.category,
        })
        .collect();
    Rules::new(&texts).map_err(|error| unusable(name, &error))
}

fn unusable(name: &ConnectorName, error: &dyn std::error::Error) -> Failure {
    let message = format!("`password.targets.{name}` cannot be used: {error}");
    Failure::new(Kind::Config, "K0284", message)
}

// === mails ===

/// The worker of mails; `None` where none are sent.
pub(super) fn mails(
    config: &Config,
    password: &Password,
    queue: &Queue,
    known: Known,
) -> Result<Option<MailWorker>, Failure> {
    let (Some(mail), false) = (&config.mail, password.policy.mail == MailMode::Off) else {
        return Ok(None);
    };
    let templates = match &mail.templates {
        Some(folder) => Templates::load(folder),
        None => Templates::shipped(),
    };
    let templates = templates.map_err(|error| {
        Failure::new(Kind::Config, "K0285", format!("the mail templates cannot be used: {error}"))
    })?;
    let named = password
        .targets
        .iter()
        .filter_map(|(name, target)| Some((name.clone(), target.display_name.clone()?)));
    let options = MailOptions {
        audience: Audience::default(),
        admins: mail.admins.iter().map(|address| nameless(address)).collect(),
        target_names: named.collect::<BTreeMap<_, _>>(),
        contact: mail.contact.clone(),
        product: "Kakehi".to_owned(),
        utc_offset_minutes: mail.utc_offset_minutes,
        caps: Caps { per_hour: mail.per_hour, per_user_per_day: mail.per_user_per_day },
    };
    let mailer = Arc::new(mailer(config, mail)?);
    let rows = Arc::new(queue.clone());
    let clock = Arc::new(SystemClock);
    Ok(Some(MailWorker::new(rows, mailer, known.users(), templates, clock, options)))
}

fn mailer(config: &Config, mail: &Mail) -> Result<SmtpMailer, Failure> {
    let password = mail.credential.as_ref().and_then(|name| config.credentials.get(name));
    let options = SmtpOptions {
        host: mail.host.clone(),
        port: mail.port,
        security: match mail.security {
            Security::Starttls => MailSecurity::Starttls,
            Security::Tls => MailSecurity::Tls,
            Security::None => MailSecurity::None,
        },
        ca: mail.ca.clone(),
        user: mail.user.clone(),
        password: password.map(|credential| secret(credential.secret.open())),
        from: nameless(&mail.from),
        timeout: MAIL_TIME,
        hello: "localhost".to_owned(),
    };
    SmtpMailer::new(options).map_err(|error| {
        Failure::new(Kind::Config, "K0286", format!("`mail` cannot be used: {error}"))
    })
}

fn nameless(address: &str) -> Contact {
    Contact { address: address.to_owned(), display_name: String::new() }
}

// === failures ===

pub fn keys_failure(error: KeysError) -> Failure {
    let (kind, hint) = match &error {
        KeysError::Permission { .. } => (Kind::Permission, "chown and chmod the file"),
        KeysError::None { .. } => (Kind::Config, "make a key pair: `kakehi password keys new`"),
        _ => (Kind::Config, "look at the folder: `kakehi password keys list`"),
    };
    Failure::new(kind, "K0280", error.to_string()).hint(hint)
}

pub fn queue_failure(error: QueueError) -> Failure {
    let kind = match &error {
        error if error.is_temporary() => Kind::Temporary,
        _ => Kind::Config,
    };
    Failure::new(kind, "K0287", error.to_string())
}
