//! What follows from what happened.

use super::event::Category;
use super::slot::{AttemptId, EchoToken, RecordId, SlotKey};
use crate::object::ConnectorName;
use crate::time::Timestamp;

/// Something to do. `Purge`, `Audit`, `Mail` and `StoreEcho` belong to the transaction that stores
/// the slots; everything else happens after it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// What the capturing agent is told.
    Acknowledge(Acknowledgement),
    /// Send request 1.
    Find {
        slot: SlotKey,
        attempt: AttemptId,
        login: String,
    },
    /// Open the record and send request 2. `unless_delivered`: not if the user's last echo token of
    /// this target is of the same password; then the answer is `Ok`.
    Set {
        slot: SlotKey,
        attempt: AttemptId,
        record: RecordId,
        unless_delivered: bool,
    },
    /// A slot let go of the record, once for each slot that had it. Unless another slot has it
    /// still, the ciphertext must not be found any more (I5).
    Purge(RecordId),
    Audit(AuditEntry),
    /// A line in the log.
    Note(Note),
    /// A mail, written down now and sent later.
    Mail(Mail),
    /// Keep a token of what was delivered.
    StoreEcho {
        slot: SlotKey,
        token: EchoToken,
        until: Timestamp,
    },
    /// The connection may still carry an old request.
    CloseConnection {
        target: ConnectorName,
    },
    /// The id by which the user was known at the target is no longer right.
    ForgetRemoteId {
        slot: SlotKey,
    },
    /// A user was created and no password waits for it (T40, 5.7).
    SetInitialPassword {
        slot: SlotKey,
    },
    /// The target answers again: raise `Recovered` for the slots that wait for it.
    Wake {
        target: ConnectorName,
    },
}

/// The answer to a capture, over all of its targets: the first of these that holds for any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acknowledgement {
    Queued,
    Echo,
    Expired,
    Stale,
    Duplicate,
    Filtered,
}

/// One line of the audit; never with anything secret (O-07).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub slot: SlotKey,
    /// `None`: an initial password.
    pub record: Option<RecordId>,
    pub episode: u64,
    pub kind: AuditKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuditKind {
    Queued,
    Duplicate,
    Stale,
    Echo,
    Filtered,
    Delivered,
    DeliveredPresumed,
    Superseded,
    Expired,
    MaxRetries,
    DroppedNotFound,
    Quarantined,
    PurgedUserDeleted,
    PurgedOperator,
    InitialPassword,
    LoopCut,
}

/// One event of the log, `PW...` (password.md 11).
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    pub kind: NoteKind,
    pub slot: Option<SlotKey>,
    pub target: Option<ConnectorName>,
    /// What the user is called at the source: the find key (L-08).
    pub login: Option<String>,
    /// An outage was told of already: only for those who ask for details (O-27).
    pub repeated: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum NoteKind {
    /// PW010
    Delivered,
    /// PW011
    DeliveredPresumed,
    /// PW020
    Queued,
    /// PW021
    StaleOrDuplicate,
    /// PW022
    Tied,
    /// PW023
    Echo,
    /// PW024
    Filtered,
    /// PW025
    LoopCut,
    /// PW027
    ClockAhead,
    /// PW030
    NotFound,
    /// PW031
    Unreachable,
    /// PW032
    Rejected(Category),
    /// PW033
    LookupRejected,
    /// PW034
    GaveUp { retries: u32 },
    /// PW035
    Poison,
    /// PW036
    Refused,
    /// PW040
    Expired,
    /// PW042
    InitialPassword,
    /// PW050
    Quarantined { reason: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub kind: MailKind,
    pub slot: SlotKey,
    pub episode: u64,
    /// The rejections of the record with this one, counted from 1; for `every_attempt` mails.
    pub attempt: u32,
    pub category: Option<Category>,
    /// When the cached password expires, if it does.
    pub expires: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MailKind {
    Rejected,
    Expired,
    MaxRetries,
    DefaultUsed,
    /// To administrators: a target is down, or refuses us.
    TargetDown,
}

// === impl Acknowledgement ===

impl Acknowledgement {
    /// As the intake answers it (password.md 7.4).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Echo => "echo",
            Self::Expired => "expired",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::Filtered => "filtered",
        }
    }
}

// === impl AuditKind ===

impl AuditKind {
    /// As it stands in the audit: outcomes in capitals, answers to captures in small letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Echo => "echo",
            Self::Filtered => "filtered",
            Self::Delivered => "DELIVERED",
            Self::DeliveredPresumed => "DELIVERED_PRESUMED",
            Self::Superseded => "SUPERSEDED",
            Self::Expired => "EXPIRED",
            Self::MaxRetries => "MAX_RETRIES",
            Self::DroppedNotFound => "DROPPED_NOT_FOUND",
            Self::Quarantined => "QUARANTINED",
            Self::PurgedUserDeleted => "PURGED_USER_DELETED",
            Self::PurgedOperator => "PURGED_OPERATOR",
            Self::InitialPassword => "INITIAL_PASSWORD",
            Self::LoopCut => "LOOP_CUT",
        }
    }
}

// === impl MailKind ===

impl MailKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxRetries => "max_retries",
            Self::DefaultUsed => "default_used",
            Self::TargetDown => "target_down",
        }
    }
}
