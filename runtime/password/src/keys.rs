//! Key pairs of the lane: a folder flows in, a ring of private keys for opening and public keys for
//! agents flow out (password.md 6.2).
//!
//! A pair is two files: `<kid>.key`, which only the service may read, and `<kid>.pub`, one line
//! that agents are given. Several pairs are loaded at once; new captures are sealed to the newest.

mod file;
mod held;
mod public;

use std::io;
use std::path::{Path, PathBuf};

use kakehi_engine::time::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

pub(crate) use self::file::objection;
pub use self::held::HeldKeys;
pub use self::public::{PublicKey, PublicKeyError};
use crate::durable;
use crate::envelope::{KeyId, PRIVATE_BYTES, Suite};
use crate::secret::Cell;

/// Most key pairs in a folder: each stays only until its last record is gone.
pub const KEYS_MAX: usize = 64;

/// One private key. Its bytes are in the memory of secrets.
pub(crate) struct PrivateKey {
    public: PublicKey,
    created: Timestamp,
    bytes: Cell,
}

/// All private keys that envelopes may be opened with; at least one.
pub struct KeyRing {
    /// The newest is the last.
    keys: Vec<PrivateKey>,
}

/// What is told of a key pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    pub id: KeyId,
    pub suite: Suite,
    pub created: Timestamp,
    /// New captures are to be sealed to this one.
    pub current: bool,
    pub public: PublicKey,
}

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Exit code 77.
    #[error(
        "the private key {path} is not safe: {reason}; it must be a regular file of mode 0600 or \
         0400 that belongs to the user of this process"
    )]
    Permission { path: PathBuf, reason: String },
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is no private key: {reason}; restore it from a backup or remove it")]
    Malformed { path: PathBuf, reason: String },
    #[error("{path} is no public key")]
    Public { path: PathBuf, source: PublicKeyError },
    #[error("there is no key in {folder}: make one with `kakehi password keys new`")]
    None { folder: PathBuf },
    #[error("there is no key {id} in {folder}: `kakehi password keys list` shows which there are")]
    NoSuchKey { folder: PathBuf, id: KeyId },
    #[error("more than {KEYS_MAX} keys in {folder}: retire those that no record needs any more")]
    TooMany { folder: PathBuf },
    #[error("the system gives no random bytes")]
    Random,
}

/// Makes a key pair that is current from now on. The folder is made if it is not there.
/// Errors: files that cannot be read or written, a folder that is full.
/// Source: password.md 6.2.
pub fn new(folder: &Path, suite: Suite, now: Timestamp) -> Result<PublicKey, KeysError> {
    durable::private_folder(folder).map_err(io_error("make the folder", folder))?;
    let present = file::read_all(folder)?;
    if present.len() >= KEYS_MAX {
        return Err(KeysError::TooMany { folder: folder.to_owned() });
    }
    // A clock that was set back must not leave an older pair the current one.
    let newest = present.last().map_or(Timestamp(i64::MIN), |key| key.created);
    let created = now.max(Timestamp(newest.0.saturating_add(1)));
    let mut seed = Zeroizing::new([0; PRIVATE_BYTES]);
    SystemRandom::new().fill(&mut *seed).map_err(|_| KeysError::Random)?;
    let (bytes, public) = suite.derive(&*seed);
    let public = PublicKey::of_pair(suite, public);
    file::write(folder, &PrivateKey { public: public.clone(), created, bytes })?;
    Ok(public)
}

/// Every key pair of the folder, the current one last; none if the folder is not there.
/// Errors: as [`KeyRing::load`].
pub fn list(folder: &Path) -> Result<Vec<KeyInfo>, KeysError> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let keys = file::read_all(folder)?;
    let last = keys.len().saturating_sub(1);
    let info = |(at, key): (usize, PrivateKey)| KeyInfo {
        id: key.public.id(),
        suite: key.public.suite(),
        created: key.created,
        current: at == last,
        public: key.public,
    };
    Ok(keys.into_iter().enumerate().map(info).collect())
}

/// Destroys a key pair: nobody opens what was sealed to it from then on, in no backup either.
/// Whoever calls it has made sure that no live record needs it.
/// Errors: no such key; a file that cannot be overwritten or removed.
/// Source: password.md 6.2.
pub fn destroy(folder: &Path, id: KeyId) -> Result<(), KeysError> {
    let private = folder.join(file::private_name(id));
    match durable::shred(&private) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KeysError::NoSuchKey { folder: folder.to_owned(), id });
        }
        Err(source) => return Err(io_error("destroy", &private)(source)),
    }
    let public = folder.join(file::public_name(id));
    match std::fs::remove_file(&public) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &public)(error));
        }
        _ => {}
    }
    durable::sync_folder(folder).map_err(io_error("sync", folder))
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let path = path.to_owned();
    move |source| KeysError::Io { what, path, source }
}

// === impl KeyRing ===

impl KeyRing {
    /// Reads every private key of a folder.
    /// Errors: [`KeysError::Permission`] where somebody else may read one; a file that is none; no
    /// key at all. One bad file is an error for all: a record that needs it would be quarantined.
    /// Source: password.md 6.2.
    pub fn load(folder: &Path) -> Result<Self, KeysError> {
        let keys = file::read_all(folder)?;
        if keys.is_empty() {
            return Err(KeysError::None { folder: folder.to_owned() });
        }
        Ok(Self { keys })
    }

    /// What new captures are to be sealed to.
    pub fn current(&self) -> &PublicKey {
        &self.keys.last().expect("a ring is made of one key at least").public
    }

    /// The public halves, the current one last.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().map(|key| &key.public)
    }

    pub fn holds(&self, id: KeyId) -> bool {
        self.private(id).is_some()
    }

    pub(crate) fn private(&self, id: KeyId) -> Option<&PrivateKey> {
        self.keys.iter().find(|key| key.public.id() == id)
    }
}

// === impl PrivateKey ===

impl PrivateKey {
    pub(crate) fn suite(&self) -> Suite {
        self.public.suite()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.bytes()
    }
}

#[cfg(test)]
pub(crate) mod tests;
