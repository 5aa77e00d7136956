//! The service: picks the real parts, hands them to each other, and keeps them going.

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
mod picture;
pub mod preview;
pub mod reasons;
mod reload;
pub mod schema;
pub mod supervise;
mod watch;
pub mod world;

// What the command line is given to print: it names no room behind this one.
pub use crate::delivery::receiver::Receiver;
pub use crate::edge::{Clock, PollMode, SourceSchema};
pub use crate::store::{RunId, RunRecord, StoreError, Totals, Troubles};
pub use crate::sync::{Report, Status, counts_json, exports_of};
