//! Tokens of delivered passwords (password.md 5.8): a system, a user and a password flow in, 32
//! bytes flow out that are the same for the same three and say nothing without the key.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kakehi_engine::password::EchoToken;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::durable;
use crate::keys;
use crate::secret::Password;

/// The file in the folder of keys.
const FILE: &str = "echo.key";

const KEY_BYTES: usize = 32;

/// What SHA-256 works on at a time.
const BLOCK_BYTES: usize = 64;

/// What the key is used for, so that its tokens mean nothing elsewhere.
const PURPOSE: &str = "kakehi/echo/v1";

/// The key of the tokens. It is kept apart from the database, so that whoever steals that cannot
/// try passwords against the tokens in it.
pub struct EchoKey(hmac::Key);

#[derive(Debug, thiserror::Error)]
pub enum EchoKeyError {
    /// Exit code 77.
    #[error("the key {path} is not safe: {reason}; it must be of mode 0600 or 0400 and ours")]
    Permission { path: PathBuf, reason: String },
    #[error("{path} must have {KEY_BYTES} bytes: remove it, and a new one is made")]
    Length { path: PathBuf },
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("the system gives no random bytes")]
    Random,
}

/// Whether two tokens are of the same password, in a time that does not tell how much of them is.
pub fn same(a: &EchoToken, b: &EchoToken) -> bool {
    a.0.ct_eq(&b.0).into()
}

// === impl EchoKey ===

impl EchoKey {
    /// Reads the key of a folder, and makes it if there is none: old tokens then match nothing,
    /// which at worst delivers a password once more.
    pub fn load(folder: &Path) -> Result<Self, EchoKeyError> {
        let path = folder.join(FILE);
        let io_error = |what| {
            let path = path.clone();
            move |source| EchoKeyError::Io { what, path, source }
        };
        if !path.exists() {
            durable::private_folder(folder).map_err(io_error("make the folder of"))?;
            let mut bytes = Zeroizing::new([0; KEY_BYTES]);
            SystemRandom::new().fill(&mut *bytes).map_err(|_| EchoKeyError::Random)?;
            match durable::write_new(folder, FILE, &*bytes) {
                // Another process was faster; then its key is ours.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => result.map_err(io_error("make"))?,
            }
        }
        let file = File::open(&path).map_err(io_error("read"))?;
        let status = file.metadata().map_err(io_error("read"))?;
        let us = rustix::process::geteuid().as_raw();
        if let Some(reason) = keys::objection(status.mode(), status.uid(), status.gid(), us) {
            return Err(EchoKeyError::Permission { path, reason });
        }
        // One byte more than it should have, to notice that it has more.
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(io_error("read"))?;
        if bytes.len() != KEY_BYTES {
            return Err(EchoKeyError::Length { path });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The token of a password that a user has at a system. Each part goes in with its length, so
    /// that no part can borrow bytes from its neighbour.
    pub fn token(&self, system: &str, user_key: &str, password: &Password) -> EchoToken {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [PURPOSE, system, user_key, password.expose()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        // The end of the password waits in the context for its block to be full, and nobody wipes
        // the context: these zeros take its place before the context is copied anywhere.
        context.update(&[0; BLOCK_BYTES]);
        let mut token = EchoToken([0; 32]);
        token.0.copy_from_slice(context.sign().as_ref());
        token
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn password(text: &str) -> Password {
        Password::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn t03_the_same_password_gives_the_same_token_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("keys");
        let token = EchoKey::load(&inner).unwrap().token("crm", "guid:1", &password("pässword"));
        let again = EchoKey::load(&inner).unwrap();
        assert!(same(&token, &again.token("crm", "guid:1", &password("pässword"))));
        for (system, user, text) in [
            ("crm", "guid:1", "pässworD"),
            ("crm", "guid:2", "pässword"),
            ("erp", "guid:1", "pässword"),
            ("crmg", "uid:1", "pässword"),
            ("crm", "guid:1p", "ässword"),
            ("crm", "guid:1", ""),
        ] {
            assert!(!same(&token, &again.token(system, user, &password(text))), "{system} {user}");
        }
        let mode = fs::metadata(inner.join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
    }

    #[test]
    fn another_key_gives_another_token() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let token = |folder: &Path| EchoKey::load(folder).unwrap().token("s", "u", &password("p"));
        assert!(!same(&token(a.path()), &token(b.path())));
    }

    #[test]
    fn an_unsafe_or_cut_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        EchoKey::load(folder.path()).unwrap();
        let path = folder.path().join(FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let result = EchoKey::load(folder.path()).map(|_| ());
        assert!(matches!(result, Err(EchoKeyError::Permission { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for length in [0, 31, 33, 64] {
            fs::write(&path, vec![1; length]).unwrap();
            let result = EchoKey::load(folder.path()).map(|_| ());
            assert!(matches!(result, Err(EchoKeyError::Length { .. })), "{length}");
        }
    }
}
