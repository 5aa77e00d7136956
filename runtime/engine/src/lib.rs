//! The decisions of Kakehi, and nothing else: no I/O, no clock, no randomness (style.md S-01).
//!
//! What flows in: what directories showed ([`connector_space`]), the rules ([`rule`]), an instant.
//! What flows out: [`view::Outcome`]s, and of them a [`plan::Plan`]. Read [`synchronize`] first.

pub mod connector_space;
mod dn;
mod evaluate;
pub mod export;
pub mod fingerprint;
pub mod flow;
pub mod guard;
mod inbound;
mod join;
mod joined;
pub mod metaverse;
pub mod object;
mod outbound;
pub mod overlay;
pub mod password;
pub mod plan;
pub mod precedence;
pub mod preview;
pub mod problem;
mod provision;
pub mod repetition;
pub mod rule;
pub mod scope;
pub mod synchronize;
mod target;
#[cfg(test)]
mod testing;
pub mod time;
pub mod undo;
mod vacancy;
pub mod view;
