//! A public key and the one line it is written as: what agents get and may pin.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{KeysError, io_error};
use crate::envelope::{KeyId, Suite};

/// What the line begins with.
const WORD: &str = "kakehi-password-key-v1";

/// Longest line that is looked at; a P-256 key needs 140 bytes.
const LINE_BYTES_MAX: u64 = 1024;

/// What passwords are sealed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    suite: Suite,
    id: KeyId,
    bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    #[error(
        "a public key is one line `{WORD} <x25519|p256> <key id> <base64>`, and this has {found}"
    )]
    Shape { found: &'static str },
    #[error("unknown kind of key `{0}`: `x25519` and `p256` are known")]
    Suite(String),
    #[error("the bytes of the key are no {0} key")]
    Bytes(Suite),
    #[error("the key id in the line is {told}, but these bytes have {found}: the line was altered")]
    Id { told: KeyId, found: KeyId },
}

// === impl PublicKey ===

impl PublicKey {
    /// Reads the text form; white space around it does not matter.
    /// Errors: what is wrong with the line; a key that nothing can be sealed to.
    pub fn parse(text: &str) -> Result<Self, PublicKeyError> {
        let shape = |found| PublicKeyError::Shape { found };
        let mut words = text.split_ascii_whitespace();
        if words.next() != Some(WORD) {
            return Err(shape("another beginning"));
        }
        let [Some(suite), Some(id), Some(bytes), None] = std::array::from_fn(|_| words.next())
        else {
            return Err(shape("another number of words"));
        };
        let suite = Suite::from_text(suite)
            .ok_or_else(|| PublicKeyError::Suite(suite.chars().take(20).collect()))?;
        let told = KeyId::from_text(id).ok_or(shape("a key id that is not 16 hex digits"))?;
        let bytes = STANDARD.decode(bytes).map_err(|_| shape("a key that is not base64"))?;
        if !suite.is_usable(&bytes) {
            return Err(PublicKeyError::Bytes(suite));
        }
        let key = Self::of_pair(suite, bytes);
        let found = key.id;
        if told == found { Ok(key) } else { Err(PublicKeyError::Id { told, found }) }
    }

    /// Reads a file with one key.
    pub fn load(path: &Path) -> Result<Self, KeysError> {
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(LINE_BYTES_MAX).read_to_string(&mut text))
            .map_err(io_error("read the public key", path))?;
        Self::parse(&text).map_err(|source| KeysError::Public { path: path.to_owned(), source })
    }

    /// Of bytes that a private key gave.
    pub(super) fn of_pair(suite: Suite, bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes);
        let mut id = KeyId([0; 8]);
        id.0.copy_from_slice(&digest[..8]);
        Self { suite, id, bytes }
    }

    pub fn suite(&self) -> Suite {
        self.suite
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// X25519: 32 bytes; P-256: 65 bytes, an uncompressed point.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WORD} {} {} {}", self.suite, self.id, STANDARD.encode(&self.bytes))
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}
