//! Where captures arrive: a sealed password flows in, an acknowledgement flows out once it is
//! stored (password.md 7.4).
//!
//! What is decided here is who may speak for whom, how often, and whom a capture is about. Nothing
//! is opened, except where an echo has to be told from a change (5.8).

mod limits;
pub mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Acknowledgement, AgentSequence, Reach, SlotKey};
use kakehi_engine::time::Timestamp;

use self::limits::RateLimits;
use crate::door::{Person, Users};
use crate::echo::EchoKey;
use crate::envelope::{self, Envelope};
use crate::keys::HeldKeys;
use crate::lane::Lane;
use crate::queue::{Arrived, Echo, QueueError};

/// Longest accepted capture: room for long DNs and passwords, none for filling our memory.
pub const BODY_BYTES_MAX: usize = 8 * 1024;
/// How far an agent's clock may be ahead; later times are cut (PW027).
const AHEAD_MAX: Duration = Duration::from_secs(300);
/// How long a capture waits for the end of a delivery to the system it comes from: longer than a
/// server needs, shorter than an agent waits.
const SETTLED: Duration = Duration::from_secs(5);
/// When an agent should come again that could not be served.
const AGAIN: Duration = Duration::from_secs(5);

/// Who may deliver what.
#[derive(Clone, Debug)]
pub struct IntakeOptions {
    pub agents: BTreeMap<String, AgentRule>,
    /// Local users and groups that may deliver.
    pub uids: BTreeSet<u32>,
    pub gids: BTreeSet<u32>,
    /// For each source, where its passwords go; its own system included.
    pub reaches: BTreeMap<String, BTreeSet<ConnectorName>>,
    /// For each source that is a target as well: under which name.
    pub systems: BTreeMap<String, ConnectorName>,
    /// Remote agents learn no more than that a capture was taken (M15).
    pub opaque_status: bool,
    pub per_agent_per_minute: u32,
    pub per_user_per_hour: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRule {
    pub source: String,
    pub uid: Option<u32>,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// By the kernel's word.
    Local { uid: u32, gid: u32 },
    /// The agents that its certificate is made out to.
    Remote { agents: BTreeSet<String> },
}

/// What the agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// An HTTP status.
    pub status: u16,
    /// `queued`, `stale` ... or what is wrong.
    pub text: String,
    pub retry_after: Option<Duration>,
}

pub struct Intake {
    options: IntakeOptions,
    lane: Arc<Lane>,
    keys: Arc<HeldKeys>,
    echo: Arc<EchoKey>,
    users: Arc<dyn Users>,
    limits: RateLimits,
}

// === impl Answer ===

impl Answer {
    fn taken(acknowledgement: Acknowledgement) -> Self {
        Self { status: 202, text: acknowledgement.as_str().to_owned(), retry_after: None }
    }

    fn refused(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), retry_after: None }
    }

    fn later(status: u16, text: impl Into<String>, retry_after: Duration) -> Self {
        Self { status, text: text.into(), retry_after: Some(retry_after) }
    }
}

// === impl Intake ===

impl Intake {
    pub fn new(
        options: IntakeOptions,
        lane: Arc<Lane>,
        keys: Arc<HeldKeys>,
        echo: Arc<EchoKey>,
        users: Arc<dyn Users>,
    ) -> Self {
        let limits = RateLimits::new(options.per_agent_per_minute, options.per_user_per_hour);
        Self { options, lane, keys, echo, users, limits }
    }

    /// The public key that agents seal to, one line.
    pub fn public_key(&self) -> String {
        self.keys.ring().current().to_string()
    }

    /// Whether a local user may speak here at all.
    pub fn admits(&self, uid: u32, gid: u32) -> bool {
        self.options.uids.contains(&uid) || self.options.gids.contains(&gid)
    }

    /// Takes one capture. The answer 202 is given only when it is stored (I8).
    pub async fn take(&self, peer: &Peer, body: Vec<u8>) -> Answer {
        let remote = matches!(peer, Peer::Remote { .. });
        let mut agent = "unknown".to_owned();
        let answer = self.taken(peer, body, &mut agent).await;
        // Only agents that are known by configuration are labels: nobody else can make one up.
        crate::metric::intake(&agent, &answer);
        match remote && self.options.opaque_status && answer.status == 202 {
            true => Answer { text: "taken".to_owned(), ..answer },
            false => answer,
        }
    }

    async fn taken(&self, peer: &Peer, body: Vec<u8>, agent: &mut String) -> Answer {
        if body.len() > BODY_BYTES_MAX {
            return Answer::refused(413, format!("more than {BODY_BYTES_MAX} bytes"));
        }
        let envelope = match Envelope::parse(body) {
            Ok(envelope) => envelope,
            Err(error) => return Answer::refused(400, error.to_string()),
        };
        let metadata = envelope.metadata();
        if let Err(refusal) = self.allowed(peer, &metadata.agent, &metadata.source) {
            return refusal;
        }
        if metadata.is_ours() {
            return Answer::refused(403, "initial passwords are ours to give");
        }
        agent.clone_from(&metadata.agent);
        if !self.keys.ring().holds(envelope.key_id()) {
            let text = "it is sealed to a key that is not here; fetch the present one from \
                        /v1/password-keys";
            return Answer::refused(400, text);
        }
        let Some(targets) = self.options.reaches.get(&metadata.source) else {
            return Answer::refused(403, "no target takes passwords of this source");
        };
        if let Some(wait) = self.limits.over(&metadata.agent, &metadata.source, &metadata.user_key)
        {
            return Answer::later(429, "too many captures", wait);
        }
        let person = match self.users.person(metadata, metadata.operation, targets) {
            Ok(person) => person,
            Err(error) => return Answer::later(503, error.to_string(), AGAIN),
        };
        if let Some(system) = self.options.systems.get(&metadata.source) {
            let slot = SlotKey { target: system.clone(), user: person.key.clone() };
            if !self.lane.settled(&slot, SETTLED).await {
                return Answer::later(503, "a password is being set there just now", AGAIN);
            }
        }
        match self.store(envelope, targets, person).await {
            Ok(acknowledgement) => Answer::taken(acknowledgement),
            Err(QueueError::Full { .. }) => Answer::later(503, "the queue is full", AGAIN),
            Err(error) => {
                tracing::error!(event_id = "PW052", error = %error, "a capture was not stored");
                Answer::later(503, "it could not be stored", AGAIN)
            }
        }
    }

    fn allowed(&self, peer: &Peer, agent: &str, source: &str) -> Result<(), Answer> {
        let Some(rule) = self.options.agents.get(agent) else {
            return Err(Answer::refused(403, format!("no agent `{agent}` is configured")));
        };
        let known = match peer {
            Peer::Local { uid, .. } => rule.uid.is_none_or(|wanted| wanted == *uid || *uid == 0),
            Peer::Remote { agents } => agents.contains(agent),
        };
        if !known {
            return Err(Answer::refused(403, format!("you are not the agent `{agent}`")));
        }
        if rule.source != source {
            let text = format!("the agent `{agent}` watches `{}`, not `{source}`", rule.source);
            return Err(Answer::refused(403, text));
        }
        Ok(())
    }

    async fn store(
        &self,
        envelope: Envelope,
        targets: &BTreeSet<ConnectorName>,
        person: Person,
    ) -> Result<Acknowledgement, QueueError> {
        let metadata = envelope.metadata().clone();
        let echo = self.echo(&envelope, &person)?;
        let own = self.options.systems.get(&metadata.source);
        let reach = |target: &ConnectorName| match &echo {
            _ if own == Some(target) => Reach::Origin,
            Some(_) => Reach::Echo,
            None if person.privileged || !person.targets.contains(target) => Reach::Filtered,
            None => Reach::Deliver,
        };
        let targets = targets.iter().map(|target| (target.clone(), reach(target))).collect();
        let (captured_at, clamped) = self.not_ahead(metadata.captured_at());
        let arrived = Arrived {
            kid: envelope.key_id().0,
            sealed: envelope.into_bytes(),
            origin: AgentSequence {
                agent: metadata.agent.into(),
                epoch: metadata.agent_epoch,
                sequence: metadata.sequence,
            },
            captured_at,
            operation: metadata.operation,
            source: metadata.source.into(),
            user: person.key,
            login: metadata.login,
            clamped,
            targets,
            echo,
        };
        self.lane.capture(arrived, &person.aliases).await
    }

    /// Cuts a time that lies ahead (7.4): a wrong clock must neither lose a password nor win the
    /// ordering for ever.
    fn not_ahead(&self, captured: Timestamp) -> (Timestamp, bool) {
        let latest = self.lane.now().plus(AHEAD_MAX.as_secs());
        (captured.min(latest), captured > latest)
    }

    /// Where we delivered this password, if that is the system it was captured in (T03). Only where
    /// that may be is the capture opened.
    fn echo(&self, envelope: &Envelope, person: &Person) -> Result<Option<Echo>, QueueError> {
        let Some(system) = self.options.systems.get(&envelope.metadata().source) else {
            return Ok(None);
        };
        let slot = SlotKey { target: system.clone(), user: person.key.clone() };
        let tokens = self.lane.echo_tokens(&slot)?;
        if tokens.is_empty() {
            return Ok(None);
        }
        let Ok(password) = envelope::open(&self.keys.ring(), envelope) else { return Ok(None) };
        let own = self.echo.token(system.as_str(), &slot.user.0, &password);
        let known = tokens.iter().find(|(_, token)| crate::echo::same(token, &own));
        Ok(known.map(|(number, _)| Echo { slot, number: *number }))
    }
}
