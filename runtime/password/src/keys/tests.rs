//! Keys: folders and lines flow in, pairs or what is wrong with them flow out.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_770_000_000);

/// A folder with one key, its ring, its public half.
pub(crate) fn pair(suite: Suite) -> (TempDir, KeyRing, PublicKey) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let public = new(folder.path(), suite, NOW).expect("a key can be made");
    let ring = KeyRing::load(folder.path()).expect("it can be loaded");
    (folder, ring, public)
}

#[test]
fn a_key_pair_is_two_private_files() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("keys");
    for suite in Suite::ALL {
        let public = new(&inner, suite, NOW).unwrap();
        for name in [file::private_name(public.id()), file::public_name(public.id())] {
            let mode = fs::metadata(inner.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
        }
        let loaded = PublicKey::load(&inner.join(file::public_name(public.id()))).unwrap();
        assert_eq!(loaded, public);
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        assert!(KeyRing::load(&inner).unwrap().holds(public.id()));
    }
    assert_eq!(fs::metadata(&inner).unwrap().permissions().mode() & 0o7777, 0o700);
    let left_over = fs::read_dir(&inner).unwrap().count();
    assert_eq!(left_over, 4, "nothing unfinished stays behind");
}

#[test]
fn the_newest_key_is_current_even_if_the_clock_went_back() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(list(&folder.path().join("none")).unwrap(), []);
    let first = new(folder.path(), Suite::X25519ChaCha, NOW).unwrap();
    let second = new(folder.path(), Suite::P256Aes, NOW.minus(3600)).unwrap();
    let shown: Vec<_> =
        list(folder.path()).unwrap().into_iter().map(|key| (key.id, key.current)).collect();
    assert_eq!(shown, [(first.id(), false), (second.id(), true)]);
    assert_eq!(KeyRing::load(folder.path()).unwrap().current(), &second);
}

#[test]
fn a_destroyed_key_is_gone() {
    let (folder, _, public) = pair(Suite::X25519ChaCha);
    let other = new(folder.path(), Suite::X25519ChaCha, NOW).unwrap();
    destroy(folder.path(), public.id()).unwrap();
    let ring = KeyRing::load(folder.path()).unwrap();
    assert!(!ring.holds(public.id()) && ring.holds(other.id()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    assert!(matches!(destroy(folder.path(), public.id()), Err(KeysError::NoSuchKey { .. })));
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let (folder, _, public) = pair(Suite::X25519ChaCha);
    let path = folder.path().join(file::private_name(public.id()));
    for mode in [0o644, 0o640, 0o604, 0o660, 0o620, 0o4600] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let result = KeyRing::load(folder.path()).map(|_| ());
        assert!(matches!(result, Err(KeysError::Permission { .. })), "{mode:o}");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(KeyRing::load(folder.path()).is_ok(), "{mode:o}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let result = KeyRing::load(folder.path()).map(|_| ());
    assert!(matches!(result, Err(KeysError::Permission { .. })));
}

#[test]
fn whose_key_file_is_safe() {
    // Mode, owner, group, this process: a service user 990, root 0, somebody else 1000.
    for (mode, owner, group, us, safe) in [
        (0o100_600, 990, 990, 990, true),
        (0o100_400, 990, 1000, 990, true),
        (0o100_640, 990, 990, 990, false),
        (0o100_600, 1000, 990, 990, false),
        (0o100_440, 0, 0, 990, true),
        (0o100_440, 0, 1000, 990, false),
        (0o100_444, 0, 0, 990, false),
        (0o100_460, 0, 0, 990, false),
        (0o100_400, 0, 0, 990, true),
        (0o100_440, 0, 0, 0, false),
        (0o100_600, 990, 990, 0, false),
    ] {
        let objection = file::objection(mode, owner, group, us);
        assert_eq!(objection.is_none(), safe, "{mode:o} {owner} {group} {us}: {objection:?}");
    }
}

#[test]
fn a_damaged_key_file_is_told_of() {
    let (folder, _, public) = pair(Suite::X25519ChaCha);
    let path = folder.path().join(file::private_name(public.id()));
    let good = fs::read_to_string(&path).unwrap();
    let other = "0123456789abcdef";
    for (bad, why) in [
        (String::new(), "it begins with something else"),
        (good.replace("x25519", "rsa"), "its kind is neither `x25519` nor `p256`"),
        (good.replace("x25519", "p256"), "its name, the key id in it and its bytes"),
        (good.replace(&public.id().to_string(), other), "its name, the key id in it"),
        (good.replace("1770000000000", "soon"), "its time of creation is no number"),
        (good.trim_end_matches("=\n").to_owned(), "its bytes are not base64 of a key"),
        (format!("{good} more"), "it has another number of words"),
        (good.repeat(20), "it is too long"),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = KeyRing::load(folder.path()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
        let secret = good.split(' ').next_back().unwrap().trim();
        assert!(!error.contains(secret), "an error never shows a key");
    }
}

#[test]
fn what_a_public_key_must_look_like() {
    let shape = |found| Err(PublicKeyError::Shape { found });
    let zero = STANDARD.encode([0_u8; 32]);
    let line = |suite, id, key: &str| format!("kakehi-password-key-v1 {suite} {id} {key}");
    let id = "0011223344556677";
    for (text, expected) in [
        (String::new(), shape("another beginning")),
        ("ssh-ed25519 AAAA".to_owned(), shape("another beginning")),
        (line("x25519", id, ""), shape("another number of words")),
        (line("x25519", id, "AA== comment"), shape("another number of words")),
        (line("rsa", id, "AA=="), Err(PublicKeyError::Suite("rsa".to_owned()))),
        (line("x25519", "+11223344556677f", "A"), shape("a key id that is not 16 hex digits")),
        (line("x25519", id, "%"), shape("a key that is not base64")),
        // A point of low order: every shared secret would be known to everybody.
        (line("x25519", id, &zero), Err(PublicKeyError::Bytes(Suite::X25519ChaCha))),
        (line("p256", id, &zero), Err(PublicKeyError::Bytes(Suite::P256Aes))),
    ] {
        assert_eq!(PublicKey::parse(&text), expected, "{text}");
    }
    let (_folder, _, public) = pair(Suite::P256Aes);
    let altered = public.to_string().replace(&public.id().to_string(), "0011223344556677");
    let told = PublicKey::parse(&altered).unwrap_err();
    assert_eq!(
        told,
        PublicKeyError::Id { told: KeyId([0, 17, 34, 51, 68, 85, 102, 119]), found: public.id() }
    );
    assert_eq!(PublicKey::parse(&format!("  {public}\r\n")), Ok(public));
}
