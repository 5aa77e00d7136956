//! The service: picks the real parts, hands them to each other, and keeps them going.

pub mod audit;
pub mod clock;
pub mod control;
pub mod explain;
pub mod failure;
pub mod generations;
mod http;
pub mod log;
mod metrics;
pub mod once;
mod overheard;
pub mod passwords;
mod picture;
pub mod preview;
pub mod reasons;
mod reload;
pub mod schema;
pub mod staging;
pub mod supervise;
mod watch;
pub mod world;

// What the command line is given to print: it names no room behind this one.
pub use crate::delivery::receiver::Receiver;
pub use crate::edge::{Clock, PollMode, SourceSchema};
pub use crate::store::{
    Decision, DecisionKind, RunId, RunRecord, Sent, StagingMode, Store, StoreError, Totals,
    Troubles,
};
pub use crate::sync::undo::Left;
pub use crate::sync::{Report, Status, counts_json, exports_of};
