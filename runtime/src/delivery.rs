//! Delivery: writes of a saved plan flow in, requests to a target flow out, and what the target
//! really shows afterwards comes back (delivery.md).

pub mod receiver;
pub mod renamed;
pub mod scim;
