//! The sealed form of a captured password, envelope v1 (password.md 6.1): a password and what is
//! known of it flow in at the agent, bytes flow out; the worker turns them back into the password.
//!
//! The bytes are a contract with agents of other makers: `docs/password-agent.md`.

mod layout;
mod suite;

use std::fmt;

use kakehi_engine::password::{INITIAL_AGENT, Operation};
use kakehi_engine::time::Timestamp;

pub(crate) use self::suite::TAG_BYTES;
pub use self::suite::{PRIVATE_BYTES, Suite};
use crate::keys::{KeyRing, PublicKey};
use crate::secret::{NotText, Password};

/// Largest envelope: what the intake reads at most. Every envelope within the limits below fits.
pub const ENVELOPE_BYTES_MAX: usize = 8 * 1024;

/// Longest password: above 1,300 characters of any script. Beyond it somebody fills our memory.
pub const PASSWORD_BYTES_MAX: usize = 4096;

/// Longest name of a source, and of an agent.
pub const NAME_BYTES_MAX: usize = 255;

/// Longest user key: room for a deep DN.
pub const USER_KEY_BYTES_MAX: usize = 2048;

/// Longest login name: userPrincipalName has at most 1024 characters.
pub const LOGIN_BYTES_MAX: usize = 1024;

/// What is known of a capture besides the password: authenticated, not secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The connector that the agent watches.
    pub source: String,
    /// What `user_key` is.
    pub key_type: KeyType,
    pub user_key: String,
    /// What the user is called there. May be empty where the agent does not know it.
    pub login: String,
    pub agent: String,
    pub agent_epoch: u64,
    pub sequence: u64,
    /// Milliseconds since 1970: when the source noted the change where it does (pwdLastSet,
    /// pwdChangedTime), else when the agent saw it. It decides the order among agents, and is
    /// authenticated like all else; there is no second instant beside it.
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

/// Which key pair: the first eight bytes of SHA-256 of the public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 8]);

/// One sealed capture: its bytes, and what they say openly. Every envelope in memory was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    bytes: Vec<u8>,
    suite: Suite,
    key_id: KeyId,
    metadata: Metadata,
    /// Where the encapsulated key begins.
    sealed_at: usize,
}

/// The bytes are no envelope. The agent is at fault: sending them again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the envelope has {bytes} bytes, more than {ENVELOPE_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("the envelope ends at byte {at}, within {field}")]
    Short { field: &'static str, at: usize },
    #[error("the envelope is not of version 1: it does not begin with `KKPW1` after its length")]
    Version,
    #[error("unknown suite {0}: 1 is X25519 with ChaCha20-Poly1305, 2 is P-256 with AES-256-GCM")]
    Suite(u8),
    #[error("unknown operation {0}: 1 is change, 2 is reset, 3 is create, 4 is ours")]
    Operation(u8),
    #[error("unknown key type: it must be `guid`, `dn` or `login`")]
    KeyType,
    #[error("{field} is not UTF-8")]
    NotText { field: &'static str },
    #[error("{field} is empty, but has to tell something")]
    Empty { field: &'static str },
    #[error("{field} has {bytes} bytes, more than {max}")]
    FieldTooLong { field: &'static str, bytes: usize, max: usize },
    #[error("{field} is beyond 2^63-1")]
    NumberTooLarge { field: &'static str },
    #[error("the length of the open part says {told} bytes, but its fields have {found}")]
    Length { told: usize, found: usize },
}

/// Nothing was sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the password is empty: no target may be set to an empty one")]
    Empty,
    #[error("the password has {bytes} bytes, more than {PASSWORD_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("this capture cannot be described: {0}")]
    Metadata(#[from] EnvelopeError),
    #[error("the public key {0} cannot be used: fetch it again with `kakehi password keys list`")]
    Key(KeyId),
}

/// The envelope stays shut. None of these goes away by trying again (T38).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("no private key {0} is loaded: it was retired, or the agent has a foreign key")]
    UnknownKey(KeyId),
    #[error("the key {key} is for {of_key}, but the envelope says {of_envelope}")]
    Suite { key: KeyId, of_key: Suite, of_envelope: Suite },
    #[error("the seal is broken: the envelope was altered, or made for another key")]
    Broken,
    #[error(transparent)]
    NotText(#[from] NotText),
}

/// Seals a password to a public key; only the holder of the private key opens it again.
/// Takes: a password of 1 to [`PASSWORD_BYTES_MAX`] bytes, metadata within the limits of its
/// fields. Two calls never give the same bytes.
/// Errors: one of these limits, or a key that no agreement can be made with.
/// Source: password.md 6.1; RFC 9180, base mode.
pub fn seal(
    key: &PublicKey,
    metadata: &Metadata,
    password: &Password,
) -> Result<Envelope, SealError> {
    let plain = password.expose().as_bytes();
    if plain.is_empty() {
        return Err(SealError::Empty);
    }
    if plain.len() > PASSWORD_BYTES_MAX {
        return Err(SealError::TooLong { bytes: plain.len() });
    }
    let suite = key.suite();
    let mut bytes = layout::write(suite, key.id(), metadata)?;
    let sealed_at = bytes.len();
    let sealed = suite
        .seal(key.bytes(), layout::authenticated(&bytes, sealed_at), plain)
        .ok_or(SealError::Key(key.id()))?;
    bytes.extend_from_slice(&sealed);
    Ok(Envelope { bytes, suite, key_id: key.id(), metadata: metadata.clone(), sealed_at })
}

/// Opens an envelope. The password appears in the memory of secrets and nowhere else.
/// Errors: no such key, or anything about the envelope is not as it was sealed.
/// Source: password.md 6.1.
pub fn open(keys: &KeyRing, envelope: &Envelope) -> Result<Password, OpenError> {
    let key = envelope.key_id;
    let private = keys.private(key).ok_or(OpenError::UnknownKey(key))?;
    if private.suite() != envelope.suite {
        let (of_key, of_envelope) = (private.suite(), envelope.suite);
        return Err(OpenError::Suite { key, of_key, of_envelope });
    }
    let authenticated = layout::authenticated(&envelope.bytes, envelope.sealed_at);
    let sealed = &envelope.bytes[envelope.sealed_at..];
    let plain =
        envelope.suite.open(private.bytes(), authenticated, sealed).ok_or(OpenError::Broken)?;
    Ok(Password::from_cell(plain)?)
}

// === impl Envelope ===

impl Envelope {
    /// Reads what an envelope says openly. Whether its seal is whole shows when it is opened.
    /// Errors: what does not fit the layout; never a panic, whatever the bytes.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, EnvelopeError> {
        let layout::Open { suite, key_id, metadata, sealed_at } = layout::read(&bytes)?;
        Ok(Self { bytes, suite, key_id, metadata, sealed_at })
    }

    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// What is stored, spooled and sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

// === impl Metadata ===

impl Metadata {
    pub fn captured_at(&self) -> Timestamp {
        Timestamp(i64::try_from(self.captured_at_ms).unwrap_or(i64::MAX))
    }

    /// Whether it says that Kakehi itself made the password (5.7). Such envelopes are only stored;
    /// one that comes in from outside is a forgery, and the intake refuses it.
    pub fn is_ours(&self) -> bool {
        self.operation == Operation::Initial || self.agent == INITIAL_AGENT
    }
}

// === impl KeyType ===

impl KeyType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guid => "guid",
            Self::Dn => "dn",
            Self::Login => "login",
        }
    }

    pub fn from_text(text: &str) -> Option<Self> {
        [Self::Guid, Self::Dn, Self::Login].into_iter().find(|it| it.as_str() == text)
    }
}

// === impl KeyId ===

impl KeyId {
    /// Sixteen hexadecimal digits, in either case.
    pub fn from_text(text: &str) -> Option<Self> {
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self(u64::from_str_radix(text, 16).ok()?.to_be_bytes()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests;
