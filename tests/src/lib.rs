//! What the tests share: servers that stand in for the world, and short ways to talk to them.

pub mod agents;
pub mod bench;
pub mod certificates;
pub mod company;
pub mod daemon;
pub mod fuzz;
pub mod guests;
pub mod installation;
pub mod office;
pub mod product;
pub mod receiver;
pub mod samba;
pub mod scenario;
pub mod scim;
pub mod scim_server;
pub mod scim_stub;
pub mod slapd;
pub mod smtp;

use sha2::{Digest, Sha256};

/// SHA-256 in lower-case hexadecimal, as pins are written.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
