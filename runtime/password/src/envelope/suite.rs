//! HPKE in base mode (RFC 9180) with the two suites of envelope v1; the only file that names the
//! crate. Keys and plain bytes flow in, sealed bytes flow out, and back.

use std::fmt;

use hpke::aead::{AeadTag, AesGcm256, ChaCha20Poly1305};
use hpke::inout::InOutBuf;
use hpke::kdf::HkdfSha256;
use hpke::kem::{DhP256HkdfSha256, X25519HkdfSha256};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::Aead};

use crate::secret::Cell;

/// What the keys of one envelope are derived for, so that they serve for nothing else.
const INFO: &[u8] = b"kakehi/password/v1";

/// Bytes of a private key, in both suites.
pub const PRIVATE_BYTES: usize = 32;

/// Bytes of a tag, in both suites.
pub(crate) const TAG_BYTES: usize = 16;

/// Which algorithms. The number stands in the envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// X25519-HKDF-SHA256, HKDF-SHA256, ChaCha20-Poly1305.
    #[default]
    X25519ChaCha = 1,
    /// P-256, HKDF-SHA256, AES-256-GCM: for those who may use FIPS algorithms only.
    P256Aes = 2,
}

/// Calls one of the generic functions below with the algorithms of a suite.
macro_rules! with_suite {
    ($suite:expr, $function:ident($($argument:expr),*)) => {
        match $suite {
            Suite::X25519ChaCha => $function::<X25519HkdfSha256, ChaCha20Poly1305>($($argument),*),
            Suite::P256Aes => $function::<DhP256HkdfSha256, AesGcm256>($($argument),*),
        }
    };
}

fn seal<K: Kem, A: Aead>(public: &[u8], authenticated: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let public = K::PublicKey::from_bytes(public).ok()?;
    let (encapsulated, mut context) =
        hpke::setup_sender::<A, HkdfSha256, K>(&OpModeS::Base, &public, INFO).ok()?;
    let encapsulated = encapsulated.to_bytes();
    // From the memory of secrets straight into ciphertext: no copy of the password is made.
    let mut sealed = vec![0; encapsulated.len() + plain.len() + TAG_BYTES];
    let (head, rest) = sealed.split_at_mut(encapsulated.len());
    let (cipher, tail) = rest.split_at_mut(plain.len());
    let buffer = InOutBuf::new(plain, cipher).ok()?;
    let tag = context.seal_inout_detached(buffer, authenticated).ok()?;
    head.copy_from_slice(&encapsulated);
    tail.copy_from_slice(&tag.to_bytes());
    Some(sealed)
}

fn open<K: Kem, A: Aead>(private: &[u8], authenticated: &[u8], sealed: &[u8]) -> Option<Cell> {
    let private = K::PrivateKey::from_bytes(private).ok()?;
    let (encapsulated, rest) = sealed.split_at_checked(K::EncappedKey::size())?;
    let (cipher, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_BYTES)?)?;
    let encapsulated = K::EncappedKey::from_bytes(encapsulated).ok()?;
    let tag = AeadTag::<A>::from_bytes(tag).ok()?;
    let mut context =
        hpke::setup_receiver::<A, HkdfSha256, K>(&OpModeR::Base, &private, &encapsulated, INFO)
            .ok()?;
    let mut plain = Cell::zeroed(cipher.len());
    let buffer = InOutBuf::new(cipher, plain.bytes_mut()).ok()?;
    context.open_inout_detached(buffer, authenticated, &tag).ok()?;
    Some(plain)
}

/// Some well-formed public keys agree on nothing (points of low order): sealing shows it.
fn is_usable<K: Kem, A: Aead>(public: &[u8]) -> bool {
    seal::<K, A>(public, b"", b"").is_some()
}

fn derive<K: Kem>(seed: &[u8]) -> (Cell, Vec<u8>) {
    let (private, public) = K::derive_keypair(seed);
    let mut cell = Cell::zeroed(PRIVATE_BYTES);
    private.write_exact(cell.bytes_mut());
    (cell, public.to_bytes().to_vec())
}

fn public_of<K: Kem>(private: &[u8]) -> Option<Vec<u8>> {
    let private = K::PrivateKey::from_bytes(private).ok()?;
    Some(K::sk_to_pk(&private).to_bytes().to_vec())
}

// === impl Suite ===

impl Suite {
    pub const ALL: [Self; 2] = [Self::X25519ChaCha, Self::P256Aes];

    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| *suite as u8 == number)
    }

    /// As keys and configurations call it: `x25519`, `p256`.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::X25519ChaCha => "x25519",
            Self::P256Aes => "p256",
        }
    }

    /// Bytes of a public key, and of an encapsulated one.
    pub(crate) fn encapsulated_bytes(self) -> usize {
        match self {
            Self::X25519ChaCha => 32,
            Self::P256Aes => 65,
        }
    }

    /// Gives the encapsulated key, the ciphertext and the tag. `None`: not with this key.
    pub(super) fn seal(self, public: &[u8], open: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        with_suite!(self, seal(public, open, plain))
    }

    /// `None`: something is not as it was sealed. Why is not told, since nobody could act on it.
    pub(super) fn open(self, private: &[u8], authenticated: &[u8], sealed: &[u8]) -> Option<Cell> {
        with_suite!(self, open(private, authenticated, sealed))
    }

    pub(crate) fn is_usable(self, public: &[u8]) -> bool {
        with_suite!(self, is_usable(public))
    }

    /// A key pair of a seed of [`PRIVATE_BYTES`] random bytes.
    pub(crate) fn derive(self, seed: &[u8]) -> (Cell, Vec<u8>) {
        match self {
            Self::X25519ChaCha => derive::<X25519HkdfSha256>(seed),
            Self::P256Aes => derive::<DhP256HkdfSha256>(seed),
        }
    }

    /// `None`: these bytes are no private key.
    pub(crate) fn public_of(self, private: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::X25519ChaCha => public_of::<X25519HkdfSha256>(private),
            Self::P256Aes => public_of::<DhP256HkdfSha256>(private),
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
