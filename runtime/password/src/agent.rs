//! Capture agents: they stand where passwords are changed. A password flows in, sealed captures
//! flow out, to the intake or, while it is away, to the spool.
//!
//! ```text
//! CLI, Samba hook ──▶ seal ──▶ intake ──202──▶ done
//!                       │         │ away
//! slapd ──▶ pending ────┴──▶ spool ──flush──▶ intake
//! ```
//!
//! The source is told of success only when the capture is durable somewhere (password.md 8).

pub mod client;
mod dn;
pub mod flush;
mod input;
mod ldif;
pub mod precheck;
pub mod samba;
pub mod send;
pub mod slapd_sock;
#[cfg(test)]
mod testing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::password::Operation;

use crate::door::Clock;
use crate::envelope::{self, Envelope, KeyType, Metadata, SealError};
use crate::keys::{KeysError, PublicKey};
use crate::secret::Password;
use crate::spool::{Spool, SpoolError, SpoolLimits};

use client::{Address, AddressError, Intake, SendError, Status};

/// Longest time that a new capture spends on shipping those before it. It is in the spool by then.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(20);

/// What every agent is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The connector whose users' passwords it captures.
    pub source: String,
    /// Its own id: what its certificate says, or what the runtime knows its system user by.
    pub agent: String,
    /// The public key, as `kakehi password keys new` wrote it.
    pub key: PathBuf,
    /// Folder of its spool, of this agent alone.
    pub spool: PathBuf,
    pub limits: SpoolLimits,
    pub intake: Address,
}

/// An agent, ready to capture.
pub struct Agent {
    source: String,
    name: String,
    key: PublicKey,
    spool: Spool,
    limits: SpoolLimits,
    intake: Intake,
    clock: Arc<dyn Clock>,
}

/// A password change, without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key_type: KeyType,
    pub user_key: String,
    pub login: String,
    /// When the source noted it; `None`: now.
    pub captured_at_ms: Option<u64>,
    pub operation: Operation,
}

/// Where a capture is, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// At the intake.
    Acknowledged(Status),
    /// In the spool, and why.
    Spooled { why: String },
    /// Beside the spool: the intake refused it and always will.
    SetAside { why: String },
}

/// How a command of an agent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The process ends with it: 0 done, 1 unexpected, 2 usage, 75 not now, 77 not permitted, 78
    /// wrongly configured.
    pub code: u8,
    /// One line for whoever called.
    pub text: String,
}

/// The number of a capture: epoch and sequence.
pub type Number = (u64, u64);

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the public key cannot be used: {0}")]
    Key(#[from] KeysError),
    #[error("the intake cannot be used: {0}")]
    Address(#[from] AddressError),
    #[error("the spool cannot be used: {0}")]
    Spool(#[from] SpoolError),
    #[error("the password cannot be sealed: {0}")]
    Seal(#[from] SealError),
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn done(text: impl Into<String>) -> Self {
        Self { code: 0, text: text.into() }
    }

    pub(crate) fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

// === impl AgentError ===

impl AgentError {
    /// The exit code that says it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Key(KeysError::Permission { .. }) => 77,
            Self::Key(_) | Self::Address(_) => 78,
            Self::Spool(_) => 75,
            Self::Seal(_) => 1,
        }
    }
}

impl From<AgentError> for Outcome {
    fn from(error: AgentError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

// === impl Agent ===

impl Agent {
    /// Reads key and certificates, opens the spool. Nothing is connected.
    pub fn new(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        Ok(Self {
            source: options.source.clone(),
            name: options.agent.clone(),
            key: PublicKey::load(&options.key)?,
            spool: Spool::open(&options.spool, options.limits)?,
            limits: options.limits,
            intake: Intake::new(&options.intake)?,
            clock,
        })
    }

    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// A number that no other capture of this agent has.
    pub fn number(&self) -> Result<Number, AgentError> {
        Ok(self.spool.next_sequence()?)
    }

    /// Seals a capture. The password is not needed any more afterwards.
    pub fn seal(
        &self,
        change: &Change,
        (agent_epoch, sequence): Number,
        password: &Password,
    ) -> Result<Envelope, AgentError> {
        let now = || u64::try_from(self.clock.now().0).unwrap_or(0);
        let metadata = Metadata {
            source: self.source.clone(),
            key_type: change.key_type,
            user_key: change.user_key.clone(),
            login: change.login.clone(),
            agent: self.name.clone(),
            agent_epoch,
            sequence,
            captured_at_ms: change.captured_at_ms.unwrap_or_else(now),
            operation: change.operation,
        };
        Ok(envelope::seal(&self.key, &metadata, password)?)
    }

    /// Brings a capture to the intake, or to the spool if that is away or older ones wait there.
    ///
    /// Gives where it is; it is durable there.
    /// Errors: neither took it.
    pub async fn hand_over(&self, envelope: &Envelope) -> Result<Taken, AgentError> {
        if self.spool.len()? > 0 {
            return self.queue_behind(envelope).await;
        }
        match self.intake.send(envelope).await {
            Ok(status) => Ok(Taken::Acknowledged(status)),
            Err(error @ SendError::Away { .. }) => {
                self.spool.put(envelope)?;
                Ok(Taken::Spooled { why: error.to_string() })
            }
            // As the flush does with it: one place decides what is set aside.
            Err(SendError::Refused { .. }) => self.queue_behind(envelope).await,
        }
    }

    /// Captures of one agent arrive in their order.
    async fn queue_behind(&self, envelope: &Envelope) -> Result<Taken, AgentError> {
        self.spool.put(envelope)?;
        let flushing = flush::flush(&self.spool, &self.intake, self.clock.now());
        let Ok(flushed) = tokio::time::timeout(FLUSH_TIME_MAX, flushing).await else {
            return Ok(Taken::Spooled { why: "older ones come first".into() });
        };
        let flushed = flushed?;
        let metadata = envelope.metadata();
        let number = (metadata.agent_epoch, metadata.sequence);
        if let Some((_, status)) = flushed.shipped.iter().find(|(at, _)| *at == number) {
            return Ok(Taken::Acknowledged(status.clone()));
        }
        if let Some((_, why)) = flushed.set_aside.iter().find(|(at, _)| *at == number) {
            return Ok(Taken::SetAside { why: why.clone() });
        }
        let why = flushed.stopped.map_or_else(|| "older ones come first".into(), |s| s.to_string());
        Ok(Taken::Spooled { why })
    }
}
