//! The lane of passwords at the edge: sealed captures flow in, set passwords and mails flow out.
//!
//! ```text
//! agent ──sealed──▶ spool ──▶ intake ──▶ queue (password.db) ──step()──▶ worker ──▶ target
//! ```
//!
//! It stands apart from everything else, so that a password can meet neither a rule nor a plan.

pub mod agent;
pub mod classify;
pub mod door;
mod durable;
pub mod echo;
pub mod envelope;
pub mod initial;
pub mod intake;
pub mod keys;
pub mod lane;
pub mod log;
pub mod mail;
pub mod metric;
pub mod precheck;
pub mod queue;
pub mod scrub;
pub mod secret;
pub mod simulate;
pub mod spool;
pub mod target;
pub mod words;
pub mod worker;
