//! What operators do to passwords that wait, on a running lane or on a queue that nobody runs
//! (password.md 11; T35, T36, T41).

use std::collections::BTreeSet;
use std::sync::Arc;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Event, Scope, UserKey};
use kakehi_password::keys::HeldKeys;
use kakehi_password::lane::Lane;
use kakehi_password::queue::{ListFilter, QueueError};
use serde::{Deserialize, Serialize};

use super::parts::{keys_failure, queue_failure};
use crate::service::control::Answer;
use crate::service::failure::{Failure, Kind};

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
        Ok(format!("{}: {of}", order.verb.as_str()))
    }

    fn scopes(&self, order: &Order) -> Result<Vec<Scope>, Failure> {
        let target = order.target.as_deref().map(ConnectorName::from);
        let Some(user) = &order.user else {
            return Ok(vec![target.map_or(Scope::All, Scope::Target)]);
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
            let message = format!("no password of a user `{user}` is known");
            return Err(Failure::new(Kind::Usage, "K0283", message)
                .hint("`kakehi password list --all` shows the names and keys there are"));
        }
        let users: BTreeSet<UserKey> = found.iter().map(|listed| listed.key.user.clone()).collect();
        Ok(match target {
            Some(_) => found.into_iter().map(|listed| Scope::Slot(listed.key)).collect(),
            None => users.into_iter().map(Scope::User).collect(),
        })
    }
}

/// What a queue could not do, in the words of its error.
pub fn failed(error: QueueError) -> Failure {
    queue_failure(error)
}
