//! The password state machine: what happened flows in, what is to be done flows out (password.md
//! 5).
//!
//! No password is here: a record is the number under which the sealed password is kept. Nothing is
//! done here either: [`step`] changes the slots of a [`PasswordQueue`] and says in [`Action`]s what
//! follows. Whoever calls it stores the changed slots and everything that is to be kept in one
//! transaction, and carries the rest out after that (I8).

mod action;
mod breaker;
mod event;
pub mod expiry;
mod order;
mod policy;
mod queue;
mod slot;
mod step;

pub use self::action::{
    Acknowledgement, Action, AuditEntry, AuditKind, Mail, MailKind, Note, NoteKind,
};
pub use self::breaker::Breaker;
pub use self::event::{Answer, Capture, Category, Event, Flight, Reach, Scope, UserEvent};
pub use self::policy::{
    Backoff, InitialPassword, MailMode, NotFound, Policy, Preset, Rejected, StateKind, Triggers,
    Unavailable,
};
pub use self::queue::PasswordQueue;
pub use self::slot::{
    AgentSequence, AttemptId, EchoToken, INITIAL_AGENT, Lease, Operation, Order, Record, RecordId,
    Slot, SlotKey, State, UserKey,
};
pub use self::step::{Row, Walk, step, walk};
