//! The far end of OpenLDAP's sock overlay (password.md 8.3). What slapd is about to write, and how
//! that ended, flows in; captures of what it did write flow out to the spool and on to the intake.
//!
//! ```text
//! slapd ──MODIFY, ADD, EXTENDED──▶ pending (durable) ──CONTINUE──▶ slapd
//! slapd ──RESULT 0─────────────▶ pending ──▶ spool ──▶ intake
//! slapd ──RESULT other, or none▶ pending ──▶ erased
//! ```
//!
//! While nobody listens, slapd fails every write that the overlay covers. So this process knows
//! nothing but a disk: whether a runtime answers is of no account to a write (O-12).

mod connection;
mod exop;
mod listen;
mod message;
mod pending;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kakehi_engine::time::Timestamp;
use tokio::net::UnixListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::flush::{self, Stop};
use super::{Agent, AgentError, Change, Outcome, input};
use crate::envelope::KeyType;
use crate::spool::SpoolError;

use connection::Reply;
pub use listen::{Listen, ListenError, MODE};
use message::{OperationId, Useless, Write};
use pending::{Pending, Verdict};

/// Connections that are read side by side; slapd has at most as many as it has threads.
const CONNECTIONS_MAX: usize = 256;

/// How often pending captures are looked at.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

/// Pause after the intake was away, doubled up to the longest.
const SHIP_PAUSE_MIN: Duration = Duration::from_secs(1);
const SHIP_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Longest wait for open connections when it is to stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// What the shim is told besides what every agent is.
#[derive(Clone, Debug)]
pub struct Options {
    pub listen: Listen,
    /// Folder of captures whose operation is not decided; on the disk of the spool.
    pub pending: PathBuf,
    pub when_full: WhenFull,
}

/// What becomes of a write whose capture cannot be kept: no room, or no disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// slapd refuses it, with 52: both directories keep the old password.
    #[default]
    Refuse,
    /// It passes without a capture; the log says so.
    LetPass,
}

#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("`{}` cannot be used for pending captures: {source}", path.display())]
    Pending { path: PathBuf, source: io::Error },
}

/// The shim, not yet listening.
pub struct Shim {
    agent: Agent,
    pending: Mutex<Pending>,
    when_full: WhenFull,
    /// Something went to the spool.
    promoted: Notify,
    /// What is decided could not be settled; said once.
    stuck: AtomicBool,
}

/// Why a capture was not kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("no more captures fit into the spool")]
    Full,
    #[error("{0}")]
    Agent(#[from] AgentError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// `kakehi password slapd-sock`: listens until `stop`.
///
/// Exit codes: 0 stopped; 78 it cannot listen or keep anything where it is told to.
pub async fn run(agent: Agent, options: &Options, stop: impl Future<Output = ()>) -> Outcome {
    match open(agent, options) {
        Ok((shim, listener)) => {
            shim.serve(listener, stop).await;
            Outcome::done("stopped")
        }
        Err(error) => Outcome::new(78, error.to_string()),
    }
}

/// Takes up what is pending, then listens. Must be called within a tokio runtime.
pub fn open(agent: Agent, options: &Options) -> Result<(Arc<Shim>, UnixListener), ShimError> {
    let at = |source| ShimError::Pending { path: options.pending.clone(), source };
    let (pending, strange) = Pending::open(&options.pending, agent.clock.now()).map_err(at)?;
    for path in strange {
        let file = path.display();
        tracing::warn!(target: "kakehi::password", %file, "it is no pending capture; left alone");
    }
    let bad = |error| ShimError::Listen(ListenError::Inherited(error));
    let listener = options.listen.open()?;
    listener.set_nonblocking(true).map_err(bad)?;
    let listener = UnixListener::from_std(listener).map_err(bad)?;
    let shim = Shim {
        agent,
        pending: Mutex::new(pending),
        when_full: options.when_full,
        promoted: Notify::new(),
        stuck: AtomicBool::new(false),
    };
    Ok((Arc::new(shim), listener))
}

// === impl Shim ===

impl Shim {
    /// Listens, settles and ships until `stop`. What is pending then is taken up the next time.
    pub async fn serve(self: Arc<Self>, listener: UnixListener, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        {
            let (settle, ship) = (self.settle_for_ever(), self.ship_for_ever());
            let accept = self.accept_for_ever(&listener, &mut connections);
            tokio::pin!(stop);
            tokio::select! {
                () = &mut stop => {}
                () = accept => {}
                () = settle => {}
                () = ship => {}
            }
        }
        drop(listener);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIME_MAX, drained).await.is_err() {
            tracing::warn!(target: "kakehi::password", "stopped while slapd still spoke");
        }
        self.settle().await;
    }

    async fn accept_for_ever(
        self: &Arc<Self>,
        listener: &UnixListener,
        connections: &mut JoinSet<()>,
    ) {
        // Counted over restarts of slapd, not of ours: a result that we read again is no newer.
        let mut arrival = 0;
        loop {
            while connections.try_join_next().is_some() {}
            if connections.len() >= CONNECTIONS_MAX {
                connections.join_next().await;
            }
            match listener.accept().await {
                Ok((stream, _)) => {
                    arrival += 1;
                    connections.spawn(connection::serve(self.clone(), stream, arrival));
                }
                Err(error) => {
                    tracing::error!(target: "kakehi::password", "cannot accept slapd: {error}");
                    // No file is free, for example: it will not get better at once.
                    tokio::time::sleep(SHIP_PAUSE_MIN).await;
                }
            }
        }
    }

    /// Keeps a password that slapd is about to write. When it says to continue, the capture
    /// survives a crash.
    async fn capture(self: &Arc<Self>, id: OperationId, write: Write) -> Reply {
        let kept = self.on_disk(move |shim| shim.keep(id, write)).await;
        match (kept, self.when_full) {
            (Ok(()), _) => Reply::Continue,
            (Err(error), WhenFull::Refuse) => {
                tracing::error!(
                    target: "kakehi::password", connection = id.connection,
                    operation = id.message, "a password change was refused: {error}"
                );
                Reply::Unavailable
            }
            (Err(error), WhenFull::LetPass) => {
                tracing::error!(
                    target: "kakehi::password", connection = id.connection,
                    operation = id.message, "a password change is lost: {error}"
                );
                Reply::Continue
            }
        }
    }

    fn keep(&self, id: OperationId, write: Write) -> Result<(), KeepError> {
        let password = match input::password(write.password) {
            Ok(password) => password,
            Err(error) => {
                tracing::warn!(
                    target: "kakehi::password", event_id = "PW026",
                    connection = id.connection, operation = id.message,
                    "a new password was not captured: {error}"
                );
                return Ok(());
            }
        };
        let change = Change {
            key_type: KeyType::Dn,
            user_key: write.dn,
            login: write.login,
            captured_at_ms: None,
            operation: write.operation,
        };
        // Taken before the number: numbers grow in the order in which captures are kept.
        let mut pending = self.pending();
        if self.is_full(&pending)? {
            return Err(KeepError::Full);
        }
        let envelope = match self.agent.seal(&change, self.agent.number()?, &password) {
            Err(error @ AgentError::Seal(_)) => {
                tracing::warn!(
                    target: "kakehi::password", connection = id.connection,
                    operation = id.message, "a new password was not captured: {error}"
                );
                return Ok(());
            }
            sealed => sealed?,
        };
        pending.hold(id, envelope, self.now())?;
        Ok(())
    }

    /// What is pending may all have to go to the spool.
    fn is_full(&self, pending: &Pending) -> Result<bool, KeepError> {
        let (spool, limits) = (&self.agent.spool, self.agent.limits);
        let records = spool.len().map_err(AgentError::from)?.saturating_add(pending.len());
        let bytes = spool.bytes().map_err(AgentError::from)?.saturating_add(pending.bytes());
        let room = crate::envelope::ENVELOPE_BYTES_MAX as u64;
        Ok(records >= limits.records_max || bytes.saturating_add(room) > limits.bytes_max)
    }

    async fn ended(self: &Arc<Self>, id: OperationId, code: u32, arrival: u64) {
        let noted = self.on_disk(move |shim| shim.pending().ended(id, code, arrival, shim.now()));
        if let Err(error) = noted.await {
            tracing::error!(target: "kakehi::password", "cannot note a result: {error}");
        }
    }

    fn not_captured(&self, id: Option<OperationId>, why: Useless) {
        // The hash that an extended operation writes after it was captured.
        if id.is_some_and(|id| self.pending().holds(id)) {
            return;
        }
        tracing::warn!(
            target: "kakehi::password", connection = id.map(|id| id.connection),
            operation = id.map(|id| id.message), "a new password was not captured: {why}"
        );
    }

    async fn settle_for_ever(self: &Arc<Self>) {
        loop {
            self.settle().await;
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }

    async fn settle(self: &Arc<Self>) {
        let settled = self.on_disk(|shim| shim.settle_decided()).await;
        let was_stuck = self.stuck.swap(settled.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (settled, was_stuck) {
            tracing::error!(target: "kakehi::password", "captures stay pending: {error}");
        }
    }

    fn settle_decided(&self) -> Result<(), KeepError> {
        let mut pending = self.pending();
        for (key, verdict) in pending.decided(self.now()) {
            let (OperationId { connection, message }, sequence) = key;
            match verdict {
                Verdict::Committed => {
                    let Some(envelope) = pending.envelope(key) else { continue };
                    self.agent.spool.put(envelope).map_err(AgentError::from)?;
                    self.promoted.notify_one();
                }
                Verdict::Refused(code) => tracing::debug!(
                    target: "kakehi::password", connection,
                    operation = message, code, "the directory refused; the capture is erased"
                ),
                Verdict::Unknown => tracing::warn!(
                    target: "kakehi::password", connection,
                    operation = message, sequence,
                    "no result came; the capture is erased"
                ),
            }
            pending.release(key)?;
        }
        Ok(())
    }

    async fn ship_for_ever(&self) {
        let mut pause = SHIP_PAUSE_MIN;
        loop {
            let (wait, why) = self.ship().await;
            let Some(why) = why else {
                pause = SHIP_PAUSE_MIN;
                // Also without anything new: what is too old is to go.
                let _ = tokio::time::timeout(SHIP_PAUSE_MAX, self.promoted.notified()).await;
                continue;
            };
            // Said once per outage, then in the detail.
            if pause == SHIP_PAUSE_MIN {
                tracing::warn!(target: "kakehi::password", "captures wait in the spool: {why}");
            } else {
                tracing::debug!(target: "kakehi::password", "captures wait in the spool: {why}");
            }
            tokio::time::sleep(wait.max(pause)).await;
            pause = (pause * 2).min(SHIP_PAUSE_MAX);
        }
    }

    /// Ships what there is. Gives a shortest pause and why something is left, if it is.
    async fn ship(&self) -> (Duration, Option<String>) {
        match flush::flush(&self.agent.spool, &self.agent.intake, self.now()).await {
            Ok(flushed) => match flushed.stopped {
                None => (Duration::ZERO, None),
                Some(stop @ Stop::Away { retry_after, .. }) => {
                    (retry_after.unwrap_or_default().min(SHIP_PAUSE_MAX), Some(stop.to_string()))
                }
                Some(stop @ Stop::NotPermitted { .. }) => (SHIP_PAUSE_MAX, Some(stop.to_string())),
            },
            Err(error) => (SHIP_PAUSE_MAX, Some(error.to_string())),
        }
    }

    /// Runs what waits for the disk where nobody else waits for it.
    async fn on_disk<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, KeepError>
    where
        T: Send + 'static,
        E: Send + 'static,
        KeepError: From<E>,
    {
        let shim = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&shim)).await;
        Ok(done.map_err(|error| io::Error::other(error.to_string()))??)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // What a panic left is on the disk as well.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.agent.clock.now()
    }
}

impl From<SpoolError> for KeepError {
    fn from(error: SpoolError) -> Self {
        Self::Agent(error.into())
    }
}

#[cfg(test)]
mod tests;
