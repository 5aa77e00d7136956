//! Detached minisign signatures of modules. In: a module's bytes, the text of its signature, the
//! keys that the configuration trusts. Out: who signed, or K0515 with what is wrong.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{Error, PublicKey, Signature};

use super::file::read_inside;
use crate::error::LoadError;
use crate::text::{GUEST_TEXT_BYTES_MAX, clean};

/// What is appended to a module's file name, as minisign does it itself.
pub const SIGNATURE_SUFFIX: &str = ".minisig";

/// Largest signature file: two comments of at most 8 KiB each and 300 bytes of signatures.
pub const SIGNATURE_BYTES_MAX: usize = 32 * 1024;

/// Length of a public key in base64.
const PUBLIC_KEY_CHARS: usize = 56;

/// Length of a secret key in base64.
const SECRET_KEY_CHARS: usize = 212;

/// Where the id of the key lies in a key and in a signature, behind the algorithm.
const KEY_ID: std::ops::Range<usize> = 2..10;

/// The keys whose signatures count, each with the name that the configuration gives it.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<TrustedKey>);

#[derive(Clone, Debug)]
struct TrustedKey {
    name: String,
    /// As minisign prints it.
    id: String,
    key: PublicKey,
}

/// Why a text cannot be trusted as a key. The text itself is not repeated: it may be a secret one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a minisign public key: {why}")]
pub struct TrustedKeyError {
    pub name: String,
    pub why: &'static str,
    /// How to mend it.
    pub hint: &'static str,
}

/// Who signed a module, and what they said that they signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// The name of the key in the configuration.
    pub key: String,
    /// The comment that the signature covers: at most 1 KiB, control characters escaped.
    pub comment: String,
}

// === impl TrustedKeys ===

impl TrustedKeys {
    /// Takes: name and public key in base64, the second line of a `.pub` file, any number of them.
    /// Errors: every text that is no such key, or that stands there twice.
    pub fn parse(keys: &[(&str, &str)]) -> Result<Self, Vec<TrustedKeyError>> {
        let mut trusted: Vec<TrustedKey> = vec![];
        let mut errors = vec![];
        for (name, text) in keys {
            match parse_key(text) {
                Ok((_, key)) if trusted.iter().any(|known| known.key == key) => {
                    let (why, hint) = ("it stands there twice", "take one of the two away");
                    errors.push(TrustedKeyError { name: (*name).into(), why, hint });
                }
                Ok((id, key)) => trusted.push(TrustedKey { name: (*name).into(), id, key }),
                Err((why, hint)) => {
                    errors.push(TrustedKeyError { name: (*name).into(), why, hint });
                }
            }
        }
        if errors.is_empty() { Ok(Self(trusted)) } else { Err(errors) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Gives the key with its id, or what is wrong with the text and how to mend it.
fn parse_key(text: &str) -> Result<(String, PublicKey), (&'static str, &'static str)> {
    const SECOND_LINE: &str = "take the second line of the `.pub` file that `minisign -G` wrote";
    let text = text.trim();
    if text.is_empty() {
        return Err(("it is empty", SECOND_LINE));
    }
    if text.starts_with("untrusted comment:") {
        return Err(("it is a whole file", SECOND_LINE));
    }
    if text.len() == SECRET_KEY_CHARS {
        return Err((
            "it has the length of a secret key",
            "a secret key must not stand here: make a new pair and use its public key",
        ));
    }
    if text.len() != PUBLIC_KEY_CHARS {
        return Err(("it does not have 56 characters", SECOND_LINE));
    }
    match (key_id(text), PublicKey::from_base64(text)) {
        (Some(id), Ok(key)) => Ok((id, key)),
        (_, Err(Error::UnsupportedAlgorithm)) => {
            Err(("its first bytes are not those of such a key", SECOND_LINE))
        }
        _ => Err(("it is not base64", SECOND_LINE)),
    }
}

/// The id in a key or signature, as minisign prints it.
fn key_id(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text).ok()?;
    Some(bytes.get(KEY_ID)?.iter().rev().map(|byte| format!("{byte:02X}")).collect())
}

/// Reads the signature of the module at `path`, which is relative to the folder of the manifest.
///
/// Errors: K0515 if it is missing, unreadable, too large, or outside the folder.
pub fn read_signature(folder: &Path, path: &str) -> Result<String, LoadError> {
    let path = format!("{path}{SIGNATURE_SUFFIX}");
    let fault = |why: &str| not_signed(&format!("cannot read its signature `{path}`: {why}"));
    let bytes = read_inside(folder, &path, SIGNATURE_BYTES_MAX).map_err(|why| {
        let (why, hint) = why.into_parts();
        let error = fault(&why);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error.with_hint("sign it: `minisign -S -m MODULE`, which writes it there"),
        }
    })?;
    String::from_utf8(bytes).map_err(|_| fault("it is not text").with_hint(SIGN_AGAIN))
}

const SIGN_AGAIN: &str = "review the module, then sign it again: `minisign -S -m MODULE`";

/// Holds a module against its signature.
///
/// Signatures over the module itself instead of its hash, as minisign made them before 0.9, are
/// refused. Errors: K0515.
pub fn check_signature(
    bytes: &[u8],
    signature_text: &str,
    trusted: &TrustedKeys,
) -> Result<SignedBy, LoadError> {
    let malformed = || not_signed("its signature is not one of minisign").with_hint(SIGN_AGAIN);
    let signature = Signature::decode(signature_text).map_err(|_| malformed())?;
    let id = signature_text.lines().nth(1).and_then(key_id).ok_or_else(malformed)?;
    let mut refused = foreign_key(&id, trusted);
    for TrustedKey { name, id: known, key } in &trusted.0 {
        if *known != id {
            continue;
        }
        refused = match key.verify(bytes, &signature, false) {
            Ok(()) => {
                let comment = clean(signature.trusted_comment(), GUEST_TEXT_BYTES_MAX);
                return Ok(SignedBy { key: name.clone(), comment });
            }
            Err(Error::UnexpectedAlgorithm) => {
                not_signed("its signature is of the old kind, without a hash")
                    .with_hint("sign it again without `-l`, with minisign 0.9 or newer")
            }
            Err(_) => not_signed(&format!(
                "the key `{name}` signed other bytes, or the signature was changed"
            ))
            .with_hint(SIGN_AGAIN),
        };
    }
    Err(refused)
}

fn foreign_key(id: &str, trusted: &TrustedKeys) -> LoadError {
    let known: Vec<String> =
        trusted.0.iter().map(|key| format!("`{}` ({})", key.name, key.id)).collect();
    let known = if known.is_empty() { "none".into() } else { known.join(", ") };
    not_signed(&format!("its signature is by the key {id}; trusted: {known}"))
        .with_hint("sign it with a trusted key, or add the key to `rules.trusted_keys`")
}

fn not_signed(why: &str) -> LoadError {
    LoadError::new("K0515", format!("the module is not signed by a trusted key: {why}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use expect_test::{Expect, expect};

    use super::*;
    use crate::fixture::folded;

    // Made once by minisign 0.11; the secret keys are gone.
    const MODULE: &[u8] = b"a rule module";
    const TEAM: &str = "RWTccs3TqC6vbHj5MwMih8rumjaYBOGHmZlQEY47r0hAcYGs+U4nsMK3";
    const OTHER: &str = "RWTXhnFt4OG1jH6QwLojWqC8CFbKimW4bjnibjzRx45QnzxnFtgkKI8R";
    const BY_TEAM: &str = "untrusted comment: signature from minisign secret key
RUTccs3TqC6vbM+nhTA0dnOn8wv5PArM+bd1yQ659yUH16k6vliGxP90bc8FY354P8hho3RFj/9+CTZrfDWU/aaWi/U5cJydZQY=
trusted comment: rule of the team
mGNvW8JAsM39+fQuD90Xt6dPStv97RpfT/ad/2GcA78/mFAbazFCFG+to15uEi7GWBTzjUnnqr344IFZn8nuAg==
";
    const BY_OTHER: &str = "untrusted comment: signature from minisign secret key
RUTXhnFt4OG1jAOOEerIcvHx38/ua1rB+R8hcTOkF716azDcVktY5ELgPiKkMLC7VMQKcrPNQQoFEnVUvzlLuG8PY0mbrukxEQ8=
trusted comment: timestamp:1795310491	file:rule.wasm	hashed
woCUercKuXwWoMqrntIL63SWr6RBKwAdNFTBR8ODdmPk/q7543c6+2N/UbO+CMGl6r/yUBWcqodU4bTnKKJ9Bg==
";
    const OLD_KIND: &str = "untrusted comment: signature from minisign secret key
RWTccs3TqC6vbJR5AzTag9UIKmsyfvcfvLG+8/FokQ154Kl8iOWdW5+GmNjuZni0+jknPQFKt52gyj6hv6UXvm/F1ZYn8n72MAo=
trusted comment: old style
4uuqeO7wTcjLxI3mDDS46l4ckMyZtyJbg32im0guaI1zed8rY0MgWRi9TteRUGq1zcy25iWnoR8Q33lFCnPlAA==
";

    fn team() -> TrustedKeys {
        TrustedKeys::parse(&[("team", TEAM)]).expect("minisign made it")
    }

    fn check(bytes: &[u8], signature: &str, expected: &Expect) {
        let found = match check_signature(bytes, signature, &team()) {
            Ok(SignedBy { key, comment }) => format!("signed by {key}: {comment}\n"),
            Err(error) => {
                let hint = error.hint.clone().unwrap_or_default();
                format!("{error}\nhint: {hint}\n")
            }
        };
        expected.assert_eq(&folded(&found));
    }

    #[test]
    fn a_signature_by_a_trusted_key_names_it() {
        check(
            MODULE,
            BY_TEAM,
            &expect![[r#"
            signed by team: rule of the team
        "#]],
        );
        let both = TrustedKeys::parse(&[("team", TEAM), ("other", OTHER)]).unwrap();
        let signed = check_signature(MODULE, BY_OTHER, &both).unwrap();
        assert_eq!(signed.key, "other");
        assert_eq!(signed.comment, "timestamp:1795310491\\tfile:rule.wasm\\thashed");
        assert!(check_signature(MODULE, &BY_TEAM.replace('\n', "\r\n"), &team()).is_ok());
    }

    #[test]
    fn k0515_other_keys_bytes_and_kinds_are_refused() {
        check(
            MODULE,
            BY_OTHER,
            &expect![[r#"
                the module is not signed by a trusted key: its signature is by the key
                8CB5E1E06D7186D7; trusted: `team` (6CAF2EA8D3CD72DC) (K0515)
                hint: sign it with a trusted key, or add the key to `rules.trusted_keys`
            "#]],
        );
        let changed = expect![[r#"
            the module is not signed by a trusted key: the key `team` signed other bytes, or
            the signature was changed (K0515)
            hint: review the module, then sign it again: `minisign -S -m MODULE`
        "#]];
        check(b"a rule modulf", BY_TEAM, &changed);
        check(MODULE, &BY_TEAM.replace("rule of", "rule by"), &changed);
        check(MODULE, &BY_TEAM.replace("mGNv", "mGNw"), &changed);
        check(
            MODULE,
            OLD_KIND,
            &expect![[r#"
                the module is not signed by a trusted key: its signature is of the old kind,
                without a hash (K0515)
                hint: sign it again without `-l`, with minisign 0.9 or newer
            "#]],
        );
    }

    #[test]
    fn k0515_what_is_no_signature_is_refused() {
        let lines: Vec<&str> = BY_TEAM.lines().collect();
        for text in [
            String::new(),
            "\n\n\n\n".into(),
            lines[..3].join("\n"),
            BY_TEAM.replace("RUTccs3T", "RUTccs3"),
            BY_TEAM.replace("RUTccs3T", "AAAAAAAA"),
            BY_TEAM.replace("trusted comment: rule", "comment: rule"),
            "\u{0}".repeat(1000),
        ] {
            let error = check_signature(MODULE, &text, &team()).unwrap_err();
            assert_eq!(error.code, "K0515", "{text}");
            assert!(error.message.ends_with("not one of minisign"), "{text}: {error}");
        }
        let error = check_signature(MODULE, BY_TEAM, &TrustedKeys::default()).unwrap_err();
        assert!(error.message.ends_with("trusted: none"), "{error}");
    }

    #[test]
    fn every_text_that_is_no_key_is_found_and_none_is_repeated() {
        let secret = "RWQAAEIy".repeat(27)[..SECRET_KEY_CHARS].to_owned();
        let file = format!("untrusted comment: minisign public key\n{TEAM}");
        let errors = TrustedKeys::parse(&[
            ("empty", " "),
            ("file", &file),
            ("secret", &secret),
            ("short", &TEAM[1..]),
            ("odd", &TEAM.replace('+', "#")),
            ("foreign", &TEAM.replace("RWT", "AAA")),
            ("good", &format!(" {TEAM}\n")),
            ("again", TEAM),
        ])
        .unwrap_err();
        let found: String =
            errors.iter().map(|error| format!("{error}; {}\n", error.hint)).collect();
        expect![[r#"
            `empty` is not a minisign public key: it is empty; take the second line of the
            `.pub` file that `minisign -G` wrote
            `file` is not a minisign public key: it is a whole file; take the second line of
            the `.pub` file that `minisign -G` wrote
            `secret` is not a minisign public key: it has the length of a secret key; a
            secret key must not stand here: make a new pair and use its public key
            `short` is not a minisign public key: it does not have 56 characters; take the
            second line of the `.pub` file that `minisign -G` wrote
            `odd` is not a minisign public key: it is not base64; take the second line of
            the `.pub` file that `minisign -G` wrote
            `foreign` is not a minisign public key: its first bytes are not those of such a
            key; take the second line of the `.pub` file that `minisign -G` wrote
            `again` is not a minisign public key: it stands there twice; take one of the two
            away
        "#]]
        .assert_eq(&folded(&found));
    }

    #[test]
    fn k0515_the_signature_lies_beside_the_module_and_is_small() {
        let folder = tempfile::tempdir().unwrap();
        let read = || read_signature(folder.path(), "rule.wasm");
        let error = read().unwrap_err();
        assert_eq!(error.code, "K0515");
        assert!(error.message.contains("`rule.wasm.minisig`"), "{error}");
        let file = folder.path().join("rule.wasm.minisig");
        fs::write(&file, BY_TEAM).unwrap();
        assert_eq!(read().as_deref(), Ok(BY_TEAM));
        for (bytes, fine) in [(SIGNATURE_BYTES_MAX, true), (SIGNATURE_BYTES_MAX + 1, false)] {
            fs::write(&file, " ".repeat(bytes)).unwrap();
            assert_eq!(read().is_ok(), fine);
        }
        fs::write(&file, b"\xff").unwrap();
        assert!(read().unwrap_err().message.ends_with("it is not text"));
    }
}
