//! Envelopes: sealed, opened, cut, altered, made up.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::keys::tests::pair;

fn password(text: &str) -> Password {
    Password::new(Zeroizing::new(text.to_owned()))
}

fn metadata() -> Metadata {
    Metadata {
        source: "corp".into(),
        key_type: KeyType::Guid,
        user_key: "5a6f2d0e-1b2c-4d3e-8f90-a1b2c3d4e5f6".into(),
        login: "山田 太郎".into(),
        agent: "dc1".into(),
        agent_epoch: 1_770_000_000_000,
        sequence: 42,
        captured_at_ms: 1_770_000_000_123,
        operation: Operation::Reset,
    }
}

/// The password as text, or what went wrong; passwords themselves are never compared by printing.
fn opens_to(keys: &KeyRing, envelope: &Envelope, text: &str) -> Result<bool, String> {
    open(keys, envelope).map(|it| it.expose() == text).map_err(|error| error.to_string())
}

#[test]
fn o06_a_sealed_password_is_in_no_byte_and_opens_again() {
    for suite in Suite::ALL {
        let (_folder, keys, public) = pair(suite);
        for text in ["correct horse", "パスワード🔑", &"長".repeat(300), &"x".repeat(4096)]
        {
            let envelope = seal(&public, &metadata(), &password(text)).unwrap();
            let bytes = envelope.as_bytes().to_vec();
            assert!(bytes.len() <= ENVELOPE_BYTES_MAX);
            assert!(!bytes.windows(8).any(|part| text.as_bytes().windows(8).any(|it| it == part)));
            let read = Envelope::parse(bytes).unwrap();
            assert_eq!(read, envelope);
            assert_eq!(read.metadata(), &metadata());
            assert_eq!((read.suite(), read.key_id()), (suite, public.id()));
            assert_eq!(opens_to(&keys, &read, text), Ok(true));
        }
    }
}

#[test]
fn the_longest_of_everything_fits() {
    let longest = Metadata {
        source: "s".repeat(NAME_BYTES_MAX),
        key_type: KeyType::Login,
        user_key: "u".repeat(USER_KEY_BYTES_MAX),
        login: "l".repeat(LOGIN_BYTES_MAX),
        agent: "a".repeat(NAME_BYTES_MAX),
        agent_epoch: i64::MAX as u64,
        sequence: i64::MAX as u64,
        captured_at_ms: i64::MAX as u64,
        operation: Operation::Create,
    };
    let (_folder, keys, public) = pair(Suite::P256Aes);
    let text = "p".repeat(PASSWORD_BYTES_MAX);
    let envelope = seal(&public, &longest, &password(&text)).unwrap();
    assert!(envelope.as_bytes().len() <= ENVELOPE_BYTES_MAX);
    let read = Envelope::parse(envelope.into_bytes()).unwrap();
    assert_eq!(read.metadata(), &longest);
    assert_eq!(opens_to(&keys, &read, &text), Ok(true));
}

#[test]
fn what_cannot_be_sealed_says_why() {
    let (_folder, _, public) = pair(Suite::X25519ChaCha);
    let refused = |change: fn(&mut Metadata)| {
        let mut changed = metadata();
        change(&mut changed);
        seal(&public, &changed, &password("x")).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        seal(&public, &metadata(), &password("")).map(|_| ()),
        Err(SealError::Empty),
        "an empty password would open an account to everybody"
    );
    let long = password(&"x".repeat(4097));
    let result = seal(&public, &metadata(), &long).map(|_| ());
    assert_eq!(result, Err(SealError::TooLong { bytes: 4097 }));
    for (found, wanted) in [
        (refused(|it| it.source.clear()), "source_id is empty"),
        (refused(|it| it.agent = "a".repeat(256)), "agent_id has 256 bytes, more than 255"),
        (refused(|it| it.user_key = "長".repeat(683)), "user_key has 2049 bytes, more than 2048"),
        (refused(|it| it.sequence = 1 << 63), "seq is beyond 2^63-1"),
    ] {
        assert!(found.contains(wanted), "{found}");
    }
}

#[test]
fn m3_every_altered_bit_is_noticed() {
    for suite in Suite::ALL {
        let (_folder, keys, public) = pair(suite);
        let envelope = seal(&public, &metadata(), &password("geheim-é")).unwrap();
        for at in 0..envelope.as_bytes().len() {
            for bit in 0..8 {
                let mut bytes = envelope.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                if let Ok(altered) = Envelope::parse(bytes) {
                    assert!(open(&keys, &altered).is_err(), "byte {at}, bit {bit}");
                }
            }
        }
    }
}

#[test]
fn t38_a_record_that_cannot_be_opened_says_why() {
    let (_folder, keys, public) = pair(Suite::X25519ChaCha);
    let (_other_folder, other_keys, other) = pair(Suite::P256Aes);
    let envelope = seal(&public, &metadata(), &password("secret")).unwrap();
    assert_eq!(open(&other_keys, &envelope).err(), Some(OpenError::UnknownKey(public.id())));
    assert_eq!(opens_to(&keys, &envelope, "secret"), Ok(true));

    // A's sealed part under B's name (M3).
    let mut to_another = metadata();
    to_another.user_key = "5a6f2d0e-1b2c-4d3e-8f90-a1b2c3d4e5f7".into();
    let mut bytes = layout::write(public.suite(), public.id(), &to_another).unwrap();
    bytes.extend_from_slice(&envelope.as_bytes()[envelope.sealed_at..]);
    let moved = Envelope::parse(bytes).unwrap();
    assert_eq!(open(&keys, &moved).err(), Some(OpenError::Broken));

    let mut bytes = layout::write(Suite::X25519ChaCha, other.id(), &metadata()).unwrap();
    bytes.extend_from_slice(&envelope.as_bytes()[envelope.sealed_at..]);
    let wrong_suite = Envelope::parse(bytes).unwrap();
    assert!(matches!(open(&other_keys, &wrong_suite), Err(OpenError::Suite { .. })));
}

#[test]
fn sealed_bytes_that_are_no_text_are_refused_after_opening() {
    let (_folder, keys, public) = pair(Suite::X25519ChaCha);
    let mut bytes = layout::write(public.suite(), public.id(), &metadata()).unwrap();
    let sealed_at = bytes.len();
    let authenticated = layout::authenticated(&bytes, sealed_at).to_vec();
    bytes.extend(public.suite().seal(public.bytes(), &authenticated, b"\xff\xfe").unwrap());
    let envelope = Envelope::parse(bytes).unwrap();
    assert_eq!(open(&keys, &envelope).err(), Some(OpenError::NotText(NotText::Utf8)));
}

#[test]
fn a_cut_envelope_says_where_it_ends() {
    let (_folder, _, public) = pair(Suite::P256Aes);
    let envelope = seal(&public, &metadata(), &password("x")).unwrap();
    let whole = envelope.as_bytes();
    for length in 0..whole.len() {
        let error = Envelope::parse(whole[..length].to_vec()).unwrap_err();
        assert!(matches!(error, EnvelopeError::Short { at, .. } if at == length), "{error}");
    }
    let long = [whole, &[0; ENVELOPE_BYTES_MAX]].concat();
    assert!(matches!(Envelope::parse(long), Err(EnvelopeError::TooLong { .. })));
    let too_much = [whole, &[0; PASSWORD_BYTES_MAX]].concat();
    assert!(matches!(Envelope::parse(too_much), Err(EnvelopeError::FieldTooLong { .. })));
}

#[test]
fn m4_what_only_kakehi_may_say_is_told_apart() {
    assert!(!metadata().is_ours());
    assert!(Metadata { operation: Operation::Initial, ..metadata() }.is_ours());
    assert!(Metadata { agent: INITIAL_AGENT.into(), ..metadata() }.is_ours());
}

#[test]
fn key_ids_are_sixteen_digits() {
    let id = KeyId([0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff]);
    assert_eq!(id.to_string(), "00010203fcfdfeff");
    assert_eq!(KeyId::from_text("00010203FCFDFEFF"), Some(id));
    for bad in ["", "00010203fcfdfef", "+0010203fcfdfeff", "00010203fcfdfeff0", "g0010203fcfdfeff"]
    {
        assert_eq!(KeyId::from_text(bad), None);
    }
}

fn any_metadata() -> impl Strategy<Value = Metadata> {
    let operations =
        vec![Operation::Change, Operation::Reset, Operation::Create, Operation::Initial];
    let key_types = vec![KeyType::Guid, KeyType::Dn, KeyType::Login];
    (
        (".{1,40}", ".{1,60}", ".{0,60}", ".{1,40}"),
        (0..1_u64 << 63, 0..1_u64 << 63, 0..1_u64 << 63),
        (prop::sample::select(operations), prop::sample::select(key_types)),
    )
        .prop_map(|(texts, numbers, (operation, key_type))| Metadata {
            source: texts.0,
            key_type,
            user_key: texts.1,
            login: texts.2,
            agent: texts.3,
            agent_epoch: numbers.0,
            sequence: numbers.1,
            captured_at_ms: numbers.2,
            operation,
        })
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_again(metadata in any_metadata(), p256 in any::<bool>()) {
        let suite = Suite::ALL[usize::from(p256)];
        let mut bytes = layout::write(suite, KeyId([9; 8]), &metadata).unwrap();
        bytes.extend(vec![0; suite.encapsulated_bytes() + TAG_BYTES + 1]);
        let read = Envelope::parse(bytes).unwrap();
        prop_assert_eq!(read.metadata(), &metadata);
        prop_assert_eq!(read.suite(), suite);
    }

    #[test]
    fn no_bytes_make_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Envelope::parse(bytes.clone());
        // The same behind a good beginning, where more of the code is reached.
        let mut near = layout::write(Suite::P256Aes, KeyId([0; 8]), &metadata()).unwrap();
        near.truncate(bytes.len());
        near.extend_from_slice(&bytes[..bytes.len().min(90)]);
        if let Ok(envelope) = Envelope::parse(near.clone()) {
            prop_assert_eq!(envelope.into_bytes(), near);
        }
    }

    #[test]
    fn no_mutation_makes_parsing_panic(
        at in 0_usize..300,
        bytes in prop::collection::vec(any::<u8>(), 0..9),
    ) {
        let mut near = layout::write(Suite::X25519ChaCha, KeyId([0; 8]), &metadata()).unwrap();
        near.extend([7; 60]);
        let at = at.min(near.len());
        let end = (at + bytes.len()).min(near.len());
        near.splice(at..end, bytes);
        if let Ok(envelope) = Envelope::parse(near.clone()) {
            let written = layout::write(envelope.suite(), envelope.key_id(), envelope.metadata());
            prop_assert_eq!(&written.unwrap()[..], &near[..envelope.sealed_at]);
        }
    }
}
