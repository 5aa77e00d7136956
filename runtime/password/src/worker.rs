//! Delivery: slots that are ready flow in, requests flow out, answers flow back into the queue.
//!
//! One loop for each target. A slot is worked on by one task at a time (I9): request 1 finds the
//! user, request 2 sets the password. Only between the two is the record opened, and its text is
//! gone before the answer is looked at.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Action, Answer, EchoToken, Event, RecordId, SlotKey};
use kakehi_engine::time::Timestamp;
use tokio::sync::watch;

use crate::door::{PasswordTarget, RemoteUser, Reply, Users};
use crate::echo::{self, EchoKey};
use crate::envelope::{self, Envelope};
use crate::keys::HeldKeys;
use crate::lane::Lane;
use crate::queue::{Picked, QueueError};
use crate::secret::Password;
use crate::{log, metric};

/// How long an attempt is believed to be under way: longer than both of its requests may take.
const LEASE: Duration = Duration::from_secs(300);
/// A loop that was not woken looks by itself.
const LOOK: Duration = Duration::from_secs(1);

pub struct TargetOptions {
    pub target: Arc<dyn PasswordTarget>,
    /// Users worked on at once.
    pub concurrency: usize,
    /// Most users in a second.
    pub per_second: u32,
}

/// What every loop works with.
pub struct Parts {
    pub lane: Arc<Lane>,
    pub keys: Arc<HeldKeys>,
    pub echo: Arc<EchoKey>,
    pub users: Arc<dyn Users>,
    /// Nothing is sent now, whatever is ready: staging mode.
    pub held: Box<dyn Fn() -> bool + Send + Sync>,
}

/// The loop of one target.
pub struct Worker {
    parts: Arc<Parts>,
    options: TargetOptions,
    rate: DefaultDirectRateLimiter,
    /// Ids of users at the target, as far as they are remembered.
    known: Mutex<BTreeMap<SlotKey, String>>,
}

/// Ids that are remembered: for targets that need not look up who is known.
const KNOWN_MAX: usize = 100_000;

// === impl Worker ===

impl Worker {
    pub fn new(parts: Arc<Parts>, options: TargetOptions) -> Self {
        let per_second = NonZeroU32::new(options.per_second).unwrap_or(NonZeroU32::MIN);
        let rate = RateLimiter::direct(Quota::per_second(per_second));
        Self { parts, options, rate, known: Mutex::default() }
    }

    /// Works until told to stop; what is under way then is finished.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut under_way = FuturesUnordered::new();
        let name = self.options.target.name().clone();
        loop {
            let free = self.options.concurrency.saturating_sub(under_way.len());
            let stopping = *stop.borrow();
            if free > 0 && !stopping && !(self.parts.held)() {
                for picked in self.pick(&name, free).await {
                    under_way.push(self.attempt(picked));
                }
            }
            if stopping && under_way.is_empty() {
                return;
            }
            let full = under_way.len() >= self.options.concurrency;
            tokio::select! {
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                () = self.parts.lane.woken(&name), if !full && !stopping => {}
                () = tokio::time::sleep(LOOK), if !full && !stopping => {}
                changed = stop.changed(), if !stopping => {
                    // Whoever could say stop is gone: the end of the service.
                    if changed.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn pick(&self, target: &ConnectorName, free: usize) -> Vec<Picked> {
        match self.parts.lane.queue.pick(target, free, LEASE).await {
            Ok(picked) => picked,
            Err(error) => {
                tracing::error!(event_id = "PW052", %error, "the password queue failed");
                vec![]
            }
        }
    }

    /// Both requests for one user.
    async fn attempt(&self, picked: Picked) {
        let slot = picked.slot.clone();
        if let Err(error) = self.carried_out(picked).await {
            // The lease ends, and the slot is tried again (T37).
            tracing::error!(
                event_id = "PW052",
                %error,
                target.name = slot.target.as_str(),
                "an attempt could not be noted"
            );
        }
    }

    async fn carried_out(&self, picked: Picked) -> Result<(), QueueError> {
        let Picked { slot, attempt, login } = picked;
        let lease_ends = self.parts.lane.now().plus(LEASE.as_secs());
        self.rate.until_ready().await;
        let found = self.find(&slot, &login).await;
        let answer = match &found {
            Ok(_) => Answer::Ok,
            Err(reply) => reply.answer.clone(),
        };
        let event = Event::Found { slot: slot.clone(), attempt, answer };
        let actions = self.apply(event).await?;
        let set = actions.iter().find_map(|action| match action {
            Action::Set { record, unless_delivered, .. } => Some((*record, *unless_delivered)),
            _ => None,
        });
        let (Some((record, unless_delivered)), Ok(user)) = (set, found) else { return Ok(()) };
        // Somebody else may have the slot by now: nothing is sent any more (I9).
        if self.parts.lane.now() >= lease_ends {
            return Ok(());
        }
        let _setting = self.parts.lane.setting(&slot);
        let event = match self.set(&slot, record, unless_delivered, &user).await? {
            Sent::Answered { reply, token, captured_at } => {
                if reply.answer == Answer::Ok {
                    metric::delivered(age(self.parts.lane.now(), captured_at));
                    self.remember(slot.clone(), user);
                }
                Event::Set { slot: slot.clone(), attempt, answer: reply.answer, token: Some(token) }
            }
            Sent::Unopened { reason } => Event::Unopened { slot: slot.clone(), attempt, reason },
        };
        self.apply(event).await.map(|_| ())
    }

    /// Applies an event and does what only this target can do.
    async fn apply(&self, event: Event) -> Result<Vec<Action>, QueueError> {
        let actions = self.parts.lane.apply(event).await?;
        for action in &actions {
            match action {
                Action::CloseConnection { target } if target == self.options.target.name() => {
                    self.options.target.close_connections();
                }
                Action::ForgetRemoteId { slot } => {
                    self.known().remove(slot);
                }
                _ => {}
            }
        }
        Ok(actions)
    }

    /// Request 1.
    async fn find(&self, slot: &SlotKey, login: &str) -> Result<RemoteUser, Reply> {
        let Some(mut lookup) = self.parts.users.lookup(&slot.user, &slot.target, login) else {
            return Err(Reply { answer: Answer::NotFound, detail: None });
        };
        lookup.remote_id = lookup.remote_id.or_else(|| self.known().get(slot).cloned());
        let found = self.options.target.find(&lookup).await;
        let told = found.as_ref().map_or_else(|reply| reply.detail.as_deref(), |_| None);
        if let Some(detail) = told {
            log::detail(&slot.target, "find", detail);
        }
        let answer = found.as_ref().map_or_else(|reply| &reply.answer, |_| &Answer::Ok);
        if *answer != Answer::Ok {
            metric::attempt(&slot.target, answer);
        }
        found
    }

    /// Request 2. The password lives from here to the end of this function.
    async fn set(
        &self,
        slot: &SlotKey,
        record: RecordId,
        unless_delivered: bool,
        user: &RemoteUser,
    ) -> Result<Sent, QueueError> {
        let (password, captured_at) = match self.open(record)? {
            Ok(opened) => opened,
            Err(reason) => return Ok(Sent::Unopened { reason }),
        };
        let token = self.parts.echo.token(slot.target.as_str(), &slot.user.0, &password);
        let told_twice = unless_delivered
            && self
                .parts
                .lane
                .echo_tokens(slot)?
                .first()
                .is_some_and(|(_, t)| echo::same(t, &token));
        let reply = if told_twice {
            Reply { answer: Answer::Ok, detail: None }
        } else if let Some(category) = self.options.target.refuses(&password) {
            Reply { answer: Answer::Rejected(category), detail: None }
        } else {
            self.options.target.set(user, &password).await
        };
        metric::attempt(&slot.target, &reply.answer);
        if let Some(detail) = &reply.detail {
            log::detail(&slot.target, "set", detail);
        }
        Ok(Sent::Answered { reply, token, captured_at })
    }

    /// Opens a record. The inner error says why not, without anything of its content.
    fn open(&self, record: RecordId) -> Result<Result<(Password, Timestamp), String>, QueueError> {
        let Some(sealed) = self.parts.lane.queue.sealed(record)? else {
            return Ok(Err("its record is not there".to_owned()));
        };
        Ok(Envelope::parse(sealed).map_err(|error| error.to_string()).and_then(|envelope| {
            envelope::open(&self.parts.keys.ring(), &envelope)
                .map(|password| (password, envelope.metadata().captured_at()))
                .map_err(|error| error.to_string())
        }))
    }

    fn remember(&self, slot: SlotKey, user: RemoteUser) {
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(slot, user.id);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<SlotKey, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How request 2 went.
enum Sent {
    Answered { reply: Reply, token: EchoToken, captured_at: Timestamp },
    Unopened { reason: String },
}

fn age(now: Timestamp, since: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.0 - since.0).unwrap_or(0))
}
