//! The vectors that agents of other makers are tested with (docs/password-agent.md): recorded
//! envelopes flow in, and every one opens to its password, or says why it does not. They were
//! sealed by another implementation than the one under test.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakehi_engine::password::Operation;
use kakehi_password::envelope::{self, Envelope, KeyType, Metadata, OpenError, SealError};
use kakehi_password::keys::{KeyRing, PublicKey};
use kakehi_password::secret::{NotText, Password};
use serde_json::Value;
use tempfile::TempDir;
use zeroize::Zeroizing;

const VECTORS: &str = include_str!("vectors/envelope-v1.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).expect("the vectors are JSON")
}

fn list<'a>(vectors: &'a Value, name: &str) -> &'a [Value] {
    let list = vectors[name].as_array().expect("each part is a list");
    assert!(!list.is_empty(), "{name}");
    list
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name} in {vector}"))
}

fn bytes(vector: &Value, name: &str) -> Vec<u8> {
    let digits = text(vector, name);
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn units(vector: &Value, name: &str) -> Vec<u16> {
    let bytes = bytes(vector, name);
    bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

fn metadata(vector: &Value) -> Metadata {
    let open = &vector["metadata"];
    let number = |name: &str| open[name].as_u64().expect("a number");
    Metadata {
        source: text(open, "source_id").into(),
        key_type: KeyType::from_text(text(open, "key_type")).expect("a kind of key"),
        user_key: text(open, "user_key").into(),
        login: text(open, "login_name").into(),
        agent: text(open, "agent_id").into(),
        agent_epoch: number("agent_epoch"),
        sequence: number("seq"),
        captured_at_ms: number("captured_at_ms"),
        operation: match text(open, "op") {
            "change" => Operation::Change,
            "reset" => Operation::Reset,
            "create" => Operation::Create,
            other => panic!("{other}"),
        },
    }
}

/// The private keys of the vectors, as files of the product.
fn keys(vectors: &Value) -> (TempDir, KeyRing) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for key in list(vectors, "keys") {
        let line = text(key, "public_line");
        let public: PublicKey = line.parse().expect("a public key");
        assert_eq!(public.to_string(), line);
        assert_eq!(public.id().to_string(), text(key, "kid"));
        let private = STANDARD.encode(bytes(key, "private_hex"));
        let (suite, id) = (public.suite(), public.id());
        let path = folder.path().join(format!("{id}.key"));
        let mut file: File = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .expect("a file can be made");
        writeln!(file, "kakehi-password-private-key-v1 {suite} {id} 1767225600000 {private}")
            .expect("it can be written");
    }
    let ring = KeyRing::load(folder.path()).expect("the keys can be loaded");
    (folder, ring)
}

fn told(envelope: &Envelope, keys: &KeyRing) -> Result<Password, OpenError> {
    envelope::open(keys, envelope)
}

#[test]
fn l06_2_recorded_envelopes_open_to_the_passwords_they_were_made_of() {
    let vectors = vectors();
    let (_folder, keys) = keys(&vectors);
    for vector in list(&vectors, "sealed") {
        let name = text(vector, "name");
        let recorded = bytes(vector, "envelope_hex");
        let envelope = Envelope::parse(recorded.clone()).unwrap();
        assert_eq!(envelope.metadata(), &metadata(vector), "{name}");
        assert_eq!(envelope.suite() as u64, vector["suite"].as_u64().unwrap(), "{name}");
        assert_eq!(envelope.key_id().to_string(), text(vector, "kid"), "{name}");
        assert_eq!(envelope.as_bytes(), recorded, "{name}");
        let opened = told(&envelope, &keys).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(opened.expose() == text(vector, "password"), "{name}");
        let from_utf16 = Password::from_utf16(&units(vector, "password_utf16_hex"));
        let same = from_utf16.is_ok_and(|it| it.expose() == opened.expose());
        assert!(same, "{name}");
    }
}

#[test]
fn what_we_seal_has_the_open_part_of_the_recorded_envelopes() {
    let vectors = vectors();
    for key in list(&vectors, "keys") {
        let public: PublicKey = text(key, "public_line").parse().unwrap();
        let of_key = |it: &&Value| text(it, "kid") == public.id().to_string();
        for vector in list(&vectors, "sealed").iter().filter(of_key) {
            let secret = Password::new(Zeroizing::new(text(vector, "password").to_owned()));
            let ours = envelope::seal(&public, &metadata(vector), &secret).unwrap();
            let recorded = bytes(vector, "envelope_hex");
            let open = 2 + usize::from(u16::from_be_bytes([recorded[0], recorded[1]]));
            assert_eq!(ours.as_bytes()[..open], recorded[..open], "{}", text(vector, "name"));
            assert_eq!(ours.as_bytes().len(), recorded.len());
            assert_ne!(ours.as_bytes()[open..], recorded[open..], "each is sealed anew");
        }
    }
}

#[test]
fn m3_altered_envelopes_stay_shut() {
    let vectors = vectors();
    let (_folder, keys) = keys(&vectors);
    for vector in list(&vectors, "unopenable") {
        let name = text(vector, "name");
        let envelope = Envelope::parse(bytes(vector, "envelope_hex")).unwrap();
        let why = match told(&envelope, &keys) {
            Err(OpenError::Broken) => "broken",
            Err(OpenError::UnknownKey(_)) => "unknown_key",
            Err(OpenError::Suite { .. }) => "suite",
            Err(OpenError::NotText(NotText::Utf8)) => "not_text",
            Err(OpenError::NotText(NotText::Utf16)) => "not_utf16",
            Ok(_) => "opened",
        };
        assert_eq!(why, text(vector, "why"), "{name}");
    }
}

#[test]
fn malformed_envelopes_say_what_is_wrong() {
    let vectors = vectors();
    for vector in list(&vectors, "malformed") {
        let error = Envelope::parse(bytes(vector, "envelope_hex")).unwrap_err().to_string();
        let name = text(vector, "name");
        assert!(error.contains(text(vector, "error")), "{name}: {error}");
    }
}

#[test]
fn pw026_unpaired_surrogates_are_refused() {
    let vectors = vectors();
    for vector in list(&vectors, "refused_utf16") {
        let result = Password::from_utf16(&units(vector, "utf16_hex"));
        assert!(matches!(result, Err(NotText::Utf16)), "{}", text(vector, "name"));
    }
}

#[test]
fn the_page_for_agents_tells_of_these_vectors_and_limits() {
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/password-agent.md"))
            .unwrap();
    for wanted in [
        "tests/vectors/envelope-v1.json".to_owned(),
        text(&vectors(), "info").to_owned(),
        format!("{} bytes", envelope::ENVELOPE_BYTES_MAX),
        format!("{} bytes", envelope::PASSWORD_BYTES_MAX),
        format!("{} bytes", envelope::USER_KEY_BYTES_MAX),
        format!("{} bytes", envelope::LOGIN_BYTES_MAX),
        format!("{} bytes", envelope::NAME_BYTES_MAX),
    ] {
        assert!(page.contains(&wanted), "the page does not tell `{wanted}`");
    }
    // An error that the page promises to agents.
    let long = Password::new(Zeroizing::new("x".repeat(envelope::PASSWORD_BYTES_MAX + 1)));
    let vectors = vectors();
    let public: PublicKey = text(&list(&vectors, "keys")[0], "public_line").parse().unwrap();
    let result = envelope::seal(&public, &metadata(&list(&vectors, "sealed")[0]), &long);
    assert!(matches!(result, Err(SealError::TooLong { bytes: 4097 })));
}
