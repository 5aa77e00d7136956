//! What happens to the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use super::slot::{AttemptId, EchoToken, Operation, Order, RecordId, SlotKey, UserKey};
use crate::object::ConnectorName;
use crate::time::Timestamp;

/// What happened. Slots that an event is about must be in the queue; one that is not is empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A password was captured (T01-T06). Its ciphertext is to be stored in the same transaction,
    /// if any slot keeps it afterwards.
    Capture(Capture),
    /// A worker is free for this slot (T07). Nothing happens where the gate is closed.
    Pick {
        slot: SlotKey,
        attempt: AttemptId,
        lease_until: Timestamp,
    },
    /// Request 1 was answered (T08-T14, T24). An attempt that began before its slot was joined to
    /// another one is found by its number, among the slots of its target.
    Found {
        slot: SlotKey,
        attempt: AttemptId,
        answer: Answer,
    },
    /// Request 2 was answered (T15-T24).
    Set {
        slot: SlotKey,
        attempt: AttemptId,
        answer: Answer,
        /// Of the password that was sent.
        token: Option<EchoToken>,
    },
    /// The record cannot be opened (T38); `reason` for the log, without anything of its content.
    Unopened {
        slot: SlotKey,
        attempt: AttemptId,
        reason: String,
    },
    /// The process began anew: nobody works on this slot any more (T37).
    Restarted {
        slot: SlotKey,
    },
    /// The slot's `due` has come (T26, T28, T29, T31, T32, T37).
    Due {
        slot: SlotKey,
    },
    /// The synchronization speaks of a user at a target (T25, T27, T30, T40).
    User {
        slot: SlotKey,
        what: UserEvent,
    },
    /// The user's name at the source is another one: all of its slots (T34).
    Renamed {
        user: UserKey,
        login: String,
    },
    /// The source has no such user any more (T33).
    Deleted {
        user: UserKey,
    },
    /// Two keys turned out to be one person: the slots of `from` are those of `to` from now on. Of
    /// two live records of one target the newer one stays.
    Joined {
        from: UserKey,
        to: UserKey,
    },
    /// The target answered again after an outage (T29): the slots in the queue that wait for it.
    Recovered {
        target: ConnectorName,
    },
    /// The target is asked with another credential from now on (T29).
    CredentialReloaded {
        target: ConnectorName,
    },
    /// Operators (T35, T36, T41). Slots in the queue are meant, as far as `scope` covers them.
    Retry {
        scope: Scope,
    },
    Purge {
        scope: Scope,
    },
    Pause {
        scope: Scope,
    },
    Resume {
        scope: Scope,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    pub record: RecordId,
    pub order: Order,
    pub operation: Operation,
    pub source: ConnectorName,
    pub user: UserKey,
    pub login: String,
    /// The agent's clock was ahead, and its time was cut (PW027).
    pub clamped: bool,
    /// Where it would go: every target that takes passwords of this source; the source's own
    /// system as [`Reach::Origin`] if passwords are delivered to it as well.
    pub targets: BTreeMap<ConnectorName, Reach>,
}

/// What a capture means for one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Deliver,
    /// The user's password is not for this target (T04).
    Filtered,
    /// We delivered this password to the system it was captured in (T03).
    Echo,
    /// The system it was captured in, where that takes passwords too: nothing is sent there (split
    /// horizon), but what waits for it is older than what it has.
    Origin,
}

/// What a target answered, or how it failed (password.md 9). The variant decides, never a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Ok,
    Rejected(Category),
    NotFound,
    /// Several users match. Counts as a rejection.
    Ambiguous,
    /// Our credential, our certificate check or our configuration is refused (T24).
    Refused,
    /// Nothing was sent, or nothing was done.
    Unavailable {
        retry_after: Option<Duration>,
        /// The server answered, with an error of its own (5xx).
        server_error: bool,
    },
    /// Sent, and the outcome is unknown (T21).
    Uncertain,
}

/// Why a password was rejected, as far as a rule can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    TooShort,
    Complexity,
    History,
    Charset,
    Blocklisted,
    Other,
}

/// What was decided about a record while it is under way; it happens after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flight {
    /// T32.
    Expired,
    /// T33.
    UserDeleted,
    /// T36.
    Purged,
    /// T03, T04: a newer capture that is not for this target overtook it.
    Superseded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserEvent {
    /// Its add was exported.
    Added,
    /// Its modify was exported, or it was evaluated and nothing was to be changed.
    Settled,
}

/// What an operator speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Target(ConnectorName),
    User(UserKey),
    Slot(SlotKey),
}

// === impl Category ===

impl Category {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::Complexity => "complexity",
            Self::History => "history",
            Self::Charset => "charset",
            Self::Blocklisted => "blocklisted",
            Self::Other => "other",
        }
    }
}

// === impl Scope ===

impl Scope {
    pub fn covers(&self, slot: &SlotKey) -> bool {
        match self {
            Self::All => true,
            Self::Target(target) => *target == slot.target,
            Self::User(user) => *user == slot.user,
            Self::Slot(wanted) => wanted == slot,
        }
    }
}
