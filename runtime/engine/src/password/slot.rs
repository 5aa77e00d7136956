//! What is kept of one user at one target.

use std::fmt;
use std::sync::Arc;

use crate::object::ConnectorName;
use crate::time::Timestamp;

/// Whom a password belongs to, over all sources: a person of the metaverse where there is one, else
/// source and key. Compared and stored, never shown to be understood.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserKey(pub Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    pub target: ConnectorName,
    pub user: UserKey,
}

/// Under which the sealed password is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub i64);

/// One attempt to deliver. An answer to another one than the present is of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// HMAC of a delivered password (password.md 5.8): 32 bytes that say nothing without their key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EchoToken(pub [u8; 32]);

/// What an agent numbers its captures by. `epoch` grows when it starts to count anew.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentSequence {
    pub agent: Arc<str>,
    pub epoch: u64,
    pub sequence: u64,
}

/// The place of a capture among all captures of its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub origin: AgentSequence,
    /// When the source noted the change where it does, else when the agent saw it; not later than
    /// its arrival plus five minutes (password.md 7.4).
    pub captured_at: Timestamp,
    /// The number of its arrival, over all captures.
    pub arrival: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Change,
    Reset,
    Create,
    /// Nobody chose it: the password of a user that was created without one (5.7).
    Initial,
}

/// The agent that initial passwords are told by: whatever another one ever tells is newer.
pub const INITIAL_AGENT: &str = "kakehi";

/// A password that waits, or is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub id: RecordId,
    /// Its number among the records that ever lived in the slot: the unit in which mails are
    /// counted (I7).
    pub episode: u64,
    pub order: Order,
    pub operation: Operation,
    /// From which system it came.
    pub source: ConnectorName,
    /// How often it was refused (I2).
    pub rejects: u32,
    /// A request with it may have been carried out without our knowing (T21).
    pub uncertain: bool,
    /// Its order was decided by arrival alone, against another agent's clock: the two may be the
    /// same change, told twice.
    pub tied: bool,
    /// Until when a server may still carry out a request with it that was given up (5.6).
    pub late_until: Option<Timestamp>,
    /// It was delivered and audited as that; it is here only to be sent once more (5.6).
    pub delivered: bool,
    /// Its user got the one mail of its episode (I7).
    pub mailed: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    #[default]
    Empty,
    Ready,
    /// Request 1 is under way.
    Finding,
    /// Request 2 is under way.
    Setting,
    WaitUser,
    WaitRejected,
    WaitUnavailable,
    Quarantined,
}

/// Who works on a slot, and until when it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub attempt: AttemptId,
    pub deadline: Timestamp,
}

/// One user at one target. It stays when it is empty: what was delivered last must be known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    pub state: State,
    /// The newest capture that was decided on.
    pub high_water: Option<Order>,
    /// The last capture of each agent that was decided on, by name of the agent: told again after
    /// another agent's capture, it is still known.
    pub seen: Vec<AgentSequence>,
    /// Counts the records that ever lived here.
    pub episode: u64,
    pub record: Option<Record>,
    /// What came while the record was under way (T06).
    pub next: Option<Record>,
    /// When something happens by itself: a retry, an expiry, a lease that ends. Whoever keeps the
    /// slot raises [`Event::Due`](super::Event::Due) then. `None`: nothing does.
    pub due: Option<Timestamp>,
    /// When the record is tried again by itself, if its state permits.
    pub retry_at: Option<Timestamp>,
    pub lease: Option<Lease>,
    /// What the user is called at the source, for looking it up at the target.
    pub login: String,
    /// What is to become of the record after its flight (T32, T33, T36, and T03, T04).
    pub after_flight: Option<super::Flight>,
    /// The synchronization spoke of the user while the record was under way: what the target
    /// answers may be older than that, so that the record does not wait for the next time.
    pub user_event: bool,
    /// Until when a server may still carry out a request with an earlier record (5.6); kept when it
    /// is over, until the next delivery, because such a request may have been carried out.
    pub late_until: Option<Timestamp>,
    /// Unavailable answers in a row: what the pause grows by.
    pub failures: u32,
    /// Server errors in a row: for the poison rule (T39).
    pub server_errors: u32,
    /// Paused by an operator, or by the guard against loops.
    pub paused: bool,
    /// When passwords were delivered within the last hour, oldest first: against loops (5.8).
    pub flips: Vec<Timestamp>,
    /// While expiry stands still (`pause_freezes_expiry`): since when; and for how long it stood,
    /// in milliseconds.
    pub frozen_since: Option<Timestamp>,
    pub frozen_ms: u64,
}

// === impl State ===

impl State {
    /// A request is under way.
    pub fn in_flight(self) -> bool {
        matches!(self, Self::Finding | Self::Setting)
    }

    /// As the transition table names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "EMPTY",
            Self::Ready => "READY",
            Self::Finding => "FINDING",
            Self::Setting => "SETTING",
            Self::WaitUser => "WAIT_USER",
            Self::WaitRejected => "WAIT_REJECTED",
            Self::WaitUnavailable => "WAIT_UNAVAILABLE",
            Self::Quarantined => "QUARANTINED",
        }
    }
}

// === impl UserKey ===

impl From<&str> for UserKey {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for UserKey {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl fmt::Debug for EchoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EchoToken")
    }
}
