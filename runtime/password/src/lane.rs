//! The queue with what follows from it: an event flows in, log lines, counts and wake-ups flow out;
//! requests are left to the worker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Acknowledgement, Action, EchoToken, Event, SlotKey, UserKey};
use kakehi_engine::time::Timestamp;
use tokio::sync::{Notify, watch};

use crate::door::Clock;
use crate::mail::MailWorker;
use crate::queue::{Arrived, Erasure, Queue, QueueError};
use crate::{log, metric, words};

pub struct Lane {
    pub queue: Queue,
    clock: Arc<dyn Clock>,
    /// Whoever works for a target is woken here.
    targets: BTreeMap<ConnectorName, Arc<Notify>>,
    /// Whoever tends the queue is woken here: something may be due sooner than it thought.
    tended: Notify,
    /// Whoever sends mails, if mails are sent.
    mails: Option<Arc<MailWorker>>,
    /// Slots whose password is being set at this moment.
    setting: watch::Sender<BTreeSet<SlotKey>>,
}

/// A password is being set, until this is dropped.
pub struct Setting<'a> {
    lane: &'a Lane,
    slot: SlotKey,
}

impl Drop for Setting<'_> {
    fn drop(&mut self) {
        self.lane.setting.send_modify(|setting| {
            setting.remove(&self.slot);
        });
    }
}

// === impl Lane ===

impl Lane {
    pub fn new(
        queue: Queue,
        clock: Arc<dyn Clock>,
        targets: impl IntoIterator<Item = ConnectorName>,
        mails: Option<Arc<MailWorker>>,
    ) -> Self {
        let targets = targets.into_iter().map(|name| (name, Arc::new(Notify::new()))).collect();
        Self {
            queue,
            clock,
            targets,
            tended: Notify::new(),
            mails,
            setting: watch::Sender::default(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Stores a capture. Gives what its agent is told, once it is stored (I8).
    ///
    /// `aliases`: what the person's slots were kept under before it was known who it is.
    pub async fn capture(
        &self,
        arrived: Arrived,
        aliases: &[UserKey],
    ) -> Result<Acknowledgement, QueueError> {
        for alias in aliases {
            self.join(alias, &arrived.user).await?;
        }
        let targets: Vec<ConnectorName> = arrived.targets.keys().cloned().collect();
        let captured = self.queue.capture(arrived).await?;
        if captured.nearly_full {
            log::say(&words::nearly_full(NEARLY_FULL_PERCENT));
        }
        if let Some(gap) = &captured.gap {
            log::say(&words::gap(&gap.agent, gap.count));
        }
        self.follow(&captured.actions);
        for target in &targets {
            self.wake(target);
        }
        self.tended.notify_one();
        Ok(captured.acknowledgement)
    }

    /// Two keys are one person from now on.
    pub async fn join(&self, from: &UserKey, to: &UserKey) -> Result<(), QueueError> {
        let event = Event::Joined { from: from.clone(), to: to.clone() };
        self.apply(event).await.map(|_| ())
    }

    /// Applies an event. Gives what followed; what is not a request is done.
    pub async fn apply(&self, event: Event) -> Result<Vec<Action>, QueueError> {
        let actions = self.queue.apply(event).await?;
        self.follow(&actions);
        for target in recovered(&actions) {
            let event = Event::Recovered { target: target.clone() };
            let more = self.queue.apply(event).await?;
            self.follow(&more);
        }
        self.wake_all();
        self.tended.notify_one();
        Ok(actions)
    }

    /// The tokens of what was delivered here, while they count; the newest first.
    pub fn echo_tokens(&self, slot: &SlotKey) -> Result<Vec<(u64, EchoToken)>, QueueError> {
        self.queue.echo_tokens(slot, self.now())
    }

    /// From now on, until what is given is dropped, a password is being set here.
    pub fn setting(&self, slot: &SlotKey) -> Setting<'_> {
        self.setting.send_modify(|setting| {
            setting.insert(slot.clone());
        });
        Setting { lane: self, slot: slot.clone() }
    }

    /// Waits until no password is being set here, at most so long: before that nobody can tell
    /// whether one that comes from there is an echo (5.8). Gives whether it came to that.
    pub async fn settled(&self, slot: &SlotKey, at_most: std::time::Duration) -> bool {
        let mut setting = self.setting.subscribe();
        let settled = setting.wait_for(|setting| !setting.contains(slot));
        tokio::time::timeout(at_most, settled).await.is_ok()
    }

    /// Whether a password waits or is under way here.
    pub fn is_live(&self, slot: &SlotKey) -> Result<bool, QueueError> {
        Ok(self.queue.read().slot(slot)?.is_some_and(|slot| slot.record.is_some()))
    }

    /// Does what is due, for ever: retries, expiries, leases that ended, erased pages.
    pub async fn tend(&self) {
        let mut told_blocked = false;
        loop {
            let wait = match self.queue.tend().await {
                Ok(tended) => {
                    self.follow(&tended.actions);
                    if !tended.actions.is_empty() {
                        self.wake_all();
                    }
                    for row in &tended.set_aside {
                        log::say(&words::set_aside(row));
                    }
                    tended.next
                }
                Err(error) => {
                    tracing::error!(event_id = "PW052", %error, "the password queue failed");
                    None
                }
            };
            let wait = wait.map_or(IDLE, |next| until(self.now(), next).min(IDLE));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // Nothing falls due at once: what many events bring is looked at together.
                () = self.tended.notified() => tokio::time::sleep(TOGETHER.min(wait)).await,
            }
            let blocked = matches!(self.queue.erasure(), Erasure::Blocked { .. });
            if blocked && !told_blocked {
                log::say(&words::purge_blocked());
            }
            told_blocked = blocked;
        }
    }

    /// Something may be ready for a target.
    pub fn wake(&self, target: &ConnectorName) {
        if let Some(notify) = self.targets.get(target) {
            notify.notify_one();
        }
    }

    pub fn wake_all(&self) {
        for notify in self.targets.values() {
            notify.notify_one();
        }
    }

    /// Waits until something may be ready for a target.
    pub async fn woken(&self, target: &ConnectorName) {
        match self.targets.get(target) {
            Some(notify) => notify.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Logs and counts what followed, and wakes whoever sends mails.
    pub fn follow(&self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Note(note) => log::note(note),
                Action::Mail(_) => {
                    if let Some(mails) = &self.mails {
                        mails.wake();
                    }
                }
                Action::Wake { target } => {
                    if let Some(mails) = &self.mails {
                        mails.recovered(target);
                    }
                }
                Action::Audit(entry) => metric::outcome(entry),
                _ => {}
            }
        }
    }
}

/// When the queue says that it is nearly full (password.md 7.1).
const NEARLY_FULL_PERCENT: u64 = 80;

/// Events whose due times are looked at in one go.
const TOGETHER: std::time::Duration = std::time::Duration::from_millis(100);

/// How long the queue is left alone at most: a missed wake-up costs no more.
const IDLE: std::time::Duration = std::time::Duration::from_secs(1);

fn until(now: Timestamp, next: Timestamp) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(next.0 - now.0).unwrap_or(0))
}

fn recovered(actions: &[Action]) -> impl Iterator<Item = &ConnectorName> {
    actions.iter().filter_map(|action| match action {
        Action::Wake { target } => Some(target),
        _ => None,
    })
}
