//! The sealed form of a captured password (password.md 6.1).

use kakehi_engine::password::Operation;

/// What is known of a capture besides the password: authenticated, not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The connector that the agent watches.
    pub source: String,
    /// What `user_key` is.
    pub key_type: KeyType,
    pub user_key: String,
    /// What the user is called there.
    pub login: String,
    pub agent: String,
    pub agent_epoch: u64,
    pub sequence: u64,
    /// Milliseconds since 1970: when the source noted the change where it does (pwdLastSet,
    /// pwdChangedTime), else when the agent saw it.
    pub captured_at_ms: u64,
    pub operation: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// objectGUID or entryUUID as text: `5a6f...-....`.
    Guid,
    Dn,
    /// The login name itself.
    Login,
}
