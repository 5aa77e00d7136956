//! Ships the spool: what waits there flows to the intake, oldest first.

use std::fmt;
use std::time::Duration;

use kakehi_engine::time::Timestamp;

use super::client::{Intake, SendError, Status};
use super::{Agent, Number, Outcome};
use crate::spool::{Spool, SpoolError};

/// How many are read at a time.
const BATCH: usize = 64;

/// What a flush did.
#[derive(Debug, Default)]
pub struct Flushed {
    /// Captures that the intake has now, in the order they went.
    pub shipped: Vec<(Number, Status)>,
    /// Captures that it will never take, kept beside the spool, and why.
    pub set_aside: Vec<(Number, String)>,
    /// Captures that were older than the spool keeps them; they are gone.
    pub expired: usize,
    /// Why it ended before the spool was empty.
    pub stopped: Option<Stop>,
}

/// Why the rest stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The intake is away, or wants a pause.
    Away { why: String, retry_after: Option<Duration> },
    /// It does not let this agent in, or not for this source: someone has to mend that.
    NotPermitted { status: u16, text: String },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away { why, .. } => write!(f, "the intake is away: {why}"),
            Self::NotPermitted { status, text } => {
                write!(f, "the intake does not admit this agent ({status}): {text}")
            }
        }
    }
}

/// Ships everything, or as much as goes.
///
/// Errors: the spool cannot be read or written. What was shipped before stays shipped; nothing is
/// lost, and what the intake took is at most sent a second time, which it knows.
pub async fn flush(spool: &Spool, intake: &Intake, now: Timestamp) -> Result<Flushed, SpoolError> {
    let mut flushed = Flushed { expired: expire(spool, now)?, ..Flushed::default() };
    loop {
        let batch = spool.oldest(BATCH)?;
        if batch.is_empty() {
            return Ok(flushed);
        }
        for spooled in batch {
            let metadata = spooled.envelope().metadata();
            let number = (metadata.agent_epoch, metadata.sequence);
            match intake.send(spooled.envelope()).await {
                Ok(status) => {
                    spool.remove(spooled)?;
                    flushed.shipped.push((number, status));
                }
                Err(SendError::Away { why, retry_after }) => {
                    flushed.stopped = Some(Stop::Away { why, retry_after });
                    return Ok(flushed);
                }
                Err(SendError::Refused { status: status @ (401 | 403), text }) => {
                    flushed.stopped = Some(Stop::NotPermitted { status, text });
                    return Ok(flushed);
                }
                Err(SendError::Refused { status: status @ (400 | 413), text }) => {
                    let why = format!("{status} {text}");
                    tracing::error!(
                        target: "kakehi::password",
                        sequence = number.1, "the intake never takes a capture: {why}"
                    );
                    spool.set_aside(spooled, &why)?;
                    flushed.set_aside.push((number, why));
                }
                // 404, a redirection: whoever answers there is no intake.
                Err(SendError::Refused { status, text }) => {
                    let why = format!("what answers is no intake: {status} {text}");
                    flushed.stopped = Some(Stop::Away { why, retry_after: None });
                    return Ok(flushed);
                }
            }
        }
    }
}

fn expire(spool: &Spool, now: Timestamp) -> Result<usize, SpoolError> {
    let expired = spool.expire(now)?;
    for metadata in &expired {
        tracing::error!(
            target: "kakehi::password",
            epoch = metadata.agent_epoch, sequence = metadata.sequence,
            captured_at_ms = metadata.captured_at_ms,
            "a capture is older than the spool keeps them; it was removed"
        );
    }
    Ok(expired.len())
}

/// `kakehi password flush`.
///
/// Exit codes: 0 the spool is empty; 75 the rest waits; 77 the intake does not admit this agent.
pub async fn run(agent: &Agent) -> Outcome {
    let flushed = match flush(&agent.spool, &agent.intake, agent.clock.now()).await {
        Ok(flushed) => flushed,
        Err(error) => return super::AgentError::from(error).into(),
    };
    let Flushed { shipped, set_aside, expired, stopped } = flushed;
    let mut text = format!("{} shipped", shipped.len());
    if !set_aside.is_empty() {
        text += &format!(", {} refused and set aside", set_aside.len());
    }
    if expired > 0 {
        text += &format!(", {expired} too old and removed");
    }
    match stopped {
        None => Outcome::done(text),
        Some(stop @ Stop::Away { .. }) => Outcome::new(75, format!("{text}; {stop}")),
        Some(stop @ Stop::NotPermitted { .. }) => Outcome::new(77, format!("{text}; {stop}")),
    }
}
