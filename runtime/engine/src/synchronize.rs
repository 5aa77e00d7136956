//! The product on one page.
//!
//! ```text
//! what directories showed ──inbound──▶ metaverse ──outbound──▶ pending exports ──▶ plan
//! ```
//!
//! Source objects whose content or rules changed are queued. [`inbound`] takes some of them: it
//! tests scope, asks the rules, joins or provisions, and resolves who wins each attribute.
//! Metaverse objects that changed by it are queued in turn, and [`outbound`] takes some of those:
//! it decides which target object each should have, what that should hold, and stages the
//! difference to what the target is known to hold. When the queues are empty, the pending exports
//! are the plan.
//!
//! Where rules only rank otherwise what was said, [`resolve`] does what [`inbound`] does last, and
//! asks no rule. What newer rules ask for says [`Revision`](crate::rule::Revision).
//!
//! All are functions of what a [`View`](crate::view::View) shows; what they want written is their
//! [`Outcome`](crate::view::Outcome). So a dry run is a run whose outcomes land in a copy.

pub use crate::inbound::{inbound, resolve};
pub use crate::outbound::outbound;
