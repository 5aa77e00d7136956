//! What operators do to passwords that wait, on a running lane or on a queue that nobody runs
//! (password.md 11; T35, T36, T41).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Event, Scope, UserKey};
use kakehi_password::envelope::{KeyId, Suite};
use kakehi_password::keys::{self, HeldKeys, PublicKey};
use kakehi_password::lane::Lane;
use kakehi_password::precheck;
use kakehi_password::queue::{ListFilter, Queue, QueueError};
use serde::{Deserialize, Serialize};

pub use super::parts::keys_failure;
use super::parts::{self, queue_failure};
use crate::config::Config;
use crate::edge::Clock;
use crate::service::clock::SystemClock;
use crate::service::control::Answer;
use crate::service::failure::{Failure, Kind};
use crate::service::once::runtime;

/// Slots that one name may stand for.
const MEANT_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct Order {
    pub verb: Verb,
    /// Of this target only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of this user only: what it is called, or its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Retry,
    Purge,
    Pause,
    Resume,
    /// Read the key pairs again.
    ReloadKeys,
}

pub struct Operator {
    pub lane: Arc<Lane>,
    /// Of a running service.
    pub keys: Option<Arc<HeldKeys>>,
}

// === impl Verb ===

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Purge => "purge",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::ReloadKeys => "reload keys",
        }
    }

    fn event(self, scope: Scope) -> Option<Event> {
        Some(match self {
            Self::Retry => Event::Retry { scope },
            Self::Purge => Event::Purge { scope },
            Self::Pause => Event::Pause { scope },
            Self::Resume => Event::Resume { scope },
            Self::ReloadKeys => return None,
        })
    }
}

// === impl Operator ===

impl Operator {
    /// Carries an order out. Gives what whoever gave it is told.
    pub async fn order(&self, order: &Order) -> Answer {
        self.ordered(order).await.map_or_else(|failure| Answer::of(&failure), Answer::done)
    }

    async fn ordered(&self, order: &Order) -> Result<String, Failure> {
        if order.verb == Verb::ReloadKeys {
            if let Some(keys) = &self.keys {
                keys.reload().map_err(keys_failure)?;
            }
            return Ok("the key pairs were read again".to_owned());
        }
        let scopes = self.scopes(order)?;
        for scope in scopes {
            if let Some(event) = order.verb.event(scope) {
                self.lane.apply(event).await.map_err(queue_failure)?;
            }
        }
        let of = match (&order.target, &order.user) {
            (None, None) => "everything".to_owned(),
            (Some(target), None) => format!("target `{target}`"),
            (None, Some(user)) => format!("user `{user}`"),
            (Some(target), Some(user)) => format!("user `{user}` at target `{target}`"),
        };
        let status = self.lane.queue.read().status().map_err(queue_failure)?;
        let still = match (order.verb, status.paused_slots) {
            (Verb::Resume, paused) if paused > 0 => {
                format!("; {paused} users were paused by name, or by the guard against loops")
            }
            _ => String::new(),
        };
        Ok(format!("{}: {of}{still}", order.verb.as_str()))
    }

    fn scopes(&self, order: &Order) -> Result<Vec<Scope>, Failure> {
        let target = order.target.as_deref().map(ConnectorName::from);
        let Some(user) = &order.user else {
            let mut scopes = vec![target.clone().map_or(Scope::All, Scope::Target)];
            if order.verb == Verb::Resume && target.is_none() {
                // Whoever says all means also what was paused by name.
                let status = self.lane.queue.read().status().map_err(queue_failure)?;
                scopes.extend(status.paused_targets.into_iter().map(Scope::Target));
            }
            return Ok(scopes);
        };
        let filter = ListFilter {
            target: target.clone(),
            user: Some(user.clone()),
            // An account may be paused before anything waits for it.
            empty: true,
            state: None,
        };
        let found = self.lane.queue.read().list(&filter, None, MEANT_MAX).map_err(queue_failure)?;
        if found.is_empty() {
            return Err(unknown_user(user));
        }
        let users: BTreeSet<UserKey> = found.iter().map(|listed| listed.key.user.clone()).collect();
        Ok(match target {
            Some(_) => found.into_iter().map(|listed| Scope::Slot(listed.key)).collect(),
            None => users.into_iter().map(Scope::User).collect(),
        })
    }
}

/// Carries an order out on the queue of a service that does not run.
pub fn on_queue(config: &Config, order: &Order) -> Result<Answer, Failure> {
    let Some(password) = &config.password else { return Err(none()) };
    let clock = Arc::new(SystemClock);
    let options = parts::queue(config, password);
    runtime()?.block_on(async {
        let (queue, _) = Queue::open(options, clock.clone()).map_err(failed)?;
        let lane = Arc::new(Lane::new(queue, clock, [], None));
        Ok(Operator { lane, keys: None }.order(order).await)
    })
}

/// What a queue could not do, in the words of its error.
pub fn failed(error: QueueError) -> Failure {
    queue_failure(error)
}

pub fn unknown_user(user: &str) -> Failure {
    Failure::new(Kind::Usage, "K0283", format!("no password of a user `{user}` is known"))
        .hint("`kakehi password list --all` shows the names and keys there are")
}

fn none() -> Failure {
    Failure::new(Kind::Config, "K0288", "no passwords are synchronized")
        .hint("add `password` to the configuration")
}

// === key pairs ===

/// Makes a key pair; the folder is made for our own user where it is missing.
pub fn new_key(folder: &Path, suite: Suite) -> Result<PublicKey, Failure> {
    keys::new(folder, suite, Clock::now(&SystemClock)).map_err(keys_failure)
}

/// How many passwords wait that were sealed for each key.
pub fn live_keys(config: &Config) -> Result<BTreeMap<[u8; 8], u64>, Failure> {
    let reader = Queue::open_read_only(&config.state.path).map_err(failed)?;
    reader.live_key_ids().map_err(failed)
}

/// Destroys a private key, unless something waits that only it opens (6.2).
pub fn retire(config: &Config, id: KeyId) -> Result<(), Failure> {
    let folder = &config.password.as_ref().ok_or_else(none)?.keys;
    let refused = |message: String| Failure::new(Kind::Limit, "K0295", message);
    let waiting = live_keys(config)?.get(&id.0).copied().unwrap_or(0);
    if waiting > 0 {
        let message = format!("{waiting} passwords wait that only the key {id} opens");
        return Err(refused(message)
            .hint("wait until they are delivered or expired, or `kakehi password purge` them"));
    }
    let known = keys::list(folder).map_err(keys_failure)?;
    match known.iter().find(|key| key.id == id) {
        None => {
            let failure = Failure::new(Kind::Usage, "K0291", format!("there is no key {id}"));
            Err(failure.hint("`kakehi password keys list` shows them"))
        }
        Some(key) if key.current && known.len() > 1 => {
            Err(refused(format!("the key {id} is the one that agents seal to"))
                .hint("`kakehi password keys new` makes another one first; give it to the agents"))
        }
        Some(key) if key.current => Err(refused(format!("the key {id} is the only one"))
            .hint("`kakehi password keys new` makes another one first; give it to the agents")),
        Some(_) => keys::destroy(folder, id).map_err(keys_failure),
    }
}

/// The file of the public key that new captures are to be sealed to.
pub fn current_key_file(folder: &Path) -> Result<PathBuf, Failure> {
    let known = keys::list(folder).map_err(keys_failure)?;
    let current = known.iter().find(|key| key.current).ok_or_else(|| {
        Failure::new(Kind::Config, "K0280", format!("`{}` holds no key", folder.display()))
            .hint("make a key pair: `kakehi password keys new`")
    })?;
    Ok(folder.join(format!("{}.pub", current.id)))
}

/// What a target takes, or what all of them take: the narrowest of each.
///
/// Errors: a sentence.
pub fn precheck_rules(config: &Path, target: Option<&str>) -> Result<Vec<precheck::Rules>, String> {
    let (config, _) = crate::config::load(config)
        .map_err(|findings| findings.first().map(ToString::to_string).unwrap_or_default())?;
    let password = config.password.ok_or("no passwords are synchronized")?;
    let meant = password
        .targets
        .iter()
        .filter(|(name, _)| target.is_none_or(|target| name.as_str() == target));
    let rules: Result<Vec<_>, _> = meant.map(|(_, target)| parts::prechecked(target)).collect();
    let rules = rules.map_err(|error| error.to_string())?;
    match rules.is_empty() {
        true => Err("there is no such target".to_owned()),
        false => Ok(rules),
    }
}
