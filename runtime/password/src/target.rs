//! What every target is told about passwords, whatever it speaks: how users are looked up, and the
//! form in which a password is handed over (password.md 9).

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, pbkdf2};
use zeroize::Zeroizing;

use crate::secret::Password;

/// Rounds of PBKDF2-HMAC-SHA256, as OWASP's password storage sheet asks for since 2023.
const PBKDF2_ROUNDS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not zero");

/// Bytes of a salt: as many as every reader of these forms takes.
const SALT_BYTES: usize = 16;

/// Whether request 1 may be left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Find {
    /// Every password is preceded by a look-up.
    #[default]
    Always,
    /// Not where the user's id at the target is known already.
    Cached,
}

/// The form in which a password is handed over. A target that is given a hash cannot check its
/// policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliverAs {
    #[default]
    Plain,
    /// `{SSHA512}` and base64 of the digest and the salt behind it, as OpenLDAP's pw-sha2 and
    /// 389-ds read it.
    Ssha512,
    /// `{PBKDF2-SHA256}rounds$salt$key` in base64 with `.` for `+` and without padding, as
    /// OpenLDAP's pw-pbkdf2 reads it.
    Pbkdf2Sha256,
}

/// The system gives no random bytes: no salt can be made.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes for a salt")]
pub struct NoSalt;

// === impl Find ===

impl Find {
    pub const NAMES: [&str; 2] = ["always", "cached"];

    pub fn named(name: &str) -> Option<Self> {
        match name {
            "always" => Some(Self::Always),
            "cached" => Some(Self::Cached),
            _ => None,
        }
    }
}

// === impl DeliverAs ===

impl DeliverAs {
    pub const NAMES: [&str; 3] = ["plain", "ssha512", "pbkdf2_sha256"];

    pub fn named(name: &str) -> Option<Self> {
        match name {
            "plain" => Some(Self::Plain),
            "ssha512" => Some(Self::Ssha512),
            "pbkdf2_sha256" => Some(Self::Pbkdf2Sha256),
            _ => None,
        }
    }

    /// What is sent for a password: itself, or its hash with a new salt.
    ///
    /// Errors: [`NoSalt`].
    pub fn form(self, password: &Password) -> Result<Zeroizing<String>, NoSalt> {
        let text = password.expose();
        match self {
            Self::Plain => Ok(copied(text)),
            Self::Ssha512 => Ok(Zeroizing::new(ssha512(text.as_bytes(), &salt()?))),
            Self::Pbkdf2Sha256 => {
                Ok(Zeroizing::new(pbkdf2_sha256(text.as_bytes(), &salt()?, PBKDF2_ROUNDS)))
            }
        }
    }
}

/// A copy that never grows: what `String` left behind when it moved would not be overwritten.
fn copied(text: &str) -> Zeroizing<String> {
    let mut copy = Zeroizing::new(String::with_capacity(text.len()));
    copy.push_str(text);
    copy
}

fn salt() -> Result<[u8; SALT_BYTES], NoSalt> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| NoSalt)?;
    Ok(salt)
}

fn ssha512(password: &[u8], salt: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA512);
    context.update(password);
    context.update(salt);
    let hash = [context.finish().as_ref(), salt].concat();
    format!("{{SSHA512}}{}", STANDARD.encode(hash))
}

fn pbkdf2_sha256(password: &[u8], salt: &[u8], rounds: NonZeroU32) -> String {
    let mut key = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password, &mut key);
    let text = |bytes| STANDARD.encode(bytes).trim_end_matches('=').replace('+', ".");
    format!("{{PBKDF2-SHA256}}{rounds}${}${}", text(salt), text(&key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::new(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn names_and_forms_belong_together() {
        assert!(Find::NAMES.iter().all(|name| Find::named(name).is_some()));
        assert!(DeliverAs::NAMES.iter().all(|name| DeliverAs::named(name).is_some()));
        assert_eq!(DeliverAs::named("md5"), None);
        assert_eq!(Find::named("never"), None);
    }

    #[test]
    fn a_plain_password_is_itself() {
        let text = "パスワード\u{1f511}\"\\";
        assert_eq!(*DeliverAs::Plain.form(&password(text)).unwrap(), text);
    }

    /// Compared with Python's `hashlib`.
    #[test]
    fn hashes_are_those_that_others_compute() {
        let salt: Vec<u8> = (0..16).collect();
        let text = "正しい馬".as_bytes();
        assert_eq!(ssha512(text, &salt), SSHA512);
        let rounds = NonZeroU32::new(1000).unwrap();
        assert_eq!(pbkdf2_sha256(text, &salt, rounds), PBKDF2);
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let form = |kind: DeliverAs| kind.form(&password("secret")).unwrap();
        assert_ne!(*form(DeliverAs::Ssha512), *form(DeliverAs::Ssha512));
        assert!(!form(DeliverAs::Pbkdf2Sha256).contains("secret"));
    }

    const SSHA512: &str = concat!(
        "{SSHA512}ATbplHMvLCVFOqNWuz908BDADiMiK7fHIih0WTwxXS28oJA/ArIroAVn+XhdrDXU/2lveom",
        "xDd1vTK8CLxU8CwABAgMEBQYHCAkKCwwNDg8="
    );
    const PBKDF2: &str = concat!(
        "{PBKDF2-SHA256}1000$AAECAwQFBgcICQoLDA0ODw$U4UigPPBHwDhZSXmC",
        "d7laRYu61sRvWqWlynpB6lRbuM"
    );
}
