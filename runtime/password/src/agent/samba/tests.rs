//! The hook with what Samba hands over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::agent::testing::{FakeIntake, World};

const GUID: &str = "59f8a873-3c58-4dcc-805e-5fb0f079ce5c";
/// As pwdLastSet counts.
const SET_AT: i64 = 134_398_078_341_119_430;

/// LDIF as Samba writes it, folded.
fn ldif(account: &str, set_at: i64, version: u32, password: &str) -> String {
    let encoded = STANDARD.encode(password);
    let (first, rest) = encoded.split_at(encoded.len().min(10));
    format!(
        "dn: CN=alice,CN=Users,DC=ad,DC=example,DC=test
objectGUID: {GUID}
objectSid: S-1-5-21-1044981279-1651064090-3574244144-1102
# unicodePwd::: REDACTED SECRET ATTRIBUTE
sAMAccountName: {account}
userPrincipalName: alice@ad.example.test
pwdLastSet: {set_at}
msDS-KeyVersionNumber: {version}
virtualClearTextUTF8:: {first}
 {rest}

"
    )
}

async fn hooked(world: &World, ldif: &str) -> (u8, String) {
    let options = Options { state: world.path("samba.db") };
    let outcome = samba_hook(&world.agent(), &options, &mut ldif.as_bytes()).await;
    (outcome.code, outcome.text)
}

fn done(text: &str) -> (u8, String) {
    (0, format!("DONE-EXIT: {text}"))
}

#[tokio::test]
async fn o03_creation_reset_and_change_are_captured_and_nothing_else() {
    let world = World::new();
    let fake = FakeIntake::listen(&world.socket(), &[]);
    let (one, two, three) = (SET_AT, SET_AT + 10_000_000, SET_AT + 20_000_000);
    for (text, expected) in [
        (ldif("alice", one, 2, "first"), "queued"),
        // Told again, renamed, disabled, a change demanded: the password is the same.
        (ldif("alice", one, 2, "first"), "nothing to do"),
        (ldif("alice2", one, 2, "first"), "nothing to do"),
        (ldif("alice2", 0, 2, "first"), "nothing to do"),
        (ldif("alice2", two, 3, "second"), "queued"),
        (ldif("alice2", 0, 4, "third"), "queued"),
        (ldif("alice2", three, 4, "third"), "nothing to do"),
    ] {
        assert_eq!(hooked(&world, &text).await, done(expected), "{text}");
    }
    let got: Vec<_> = fake.got().iter().map(|envelope| world.told(envelope)).collect();
    assert_eq!(
        got,
        [
            format!("Create {GUID} alice 1 first"),
            format!("Change {GUID} alice2 2 second"),
            format!("Reset {GUID} alice2 3 third"),
        ]
    );
    let at: Vec<_> = fake.got().iter().map(|envelope| envelope.metadata().captured_at_ms).collect();
    assert_eq!(at, [1_795_334_234_111, 1_795_334_235_111, crate::agent::testing::NOW.0 as u64]);
}

#[tokio::test]
async fn l06_2_non_ascii_arrives_unharmed() {
    let world = World::new();
    let fake = FakeIntake::listen(&world.socket(), &[]);
    let long = "長い合言葉".repeat(60);
    for (version, password) in [(2, "ひみつ😀é"), (3, " with space "), (4, "é"), (5, &long)]
    {
        assert_eq!(hooked(&world, &ldif("花子", 0, version, password)).await, done("queued"));
    }
    let got: Vec<_> = fake.got().iter().map(|envelope| world.told(envelope)).collect();
    assert_eq!(got[0], format!("Create {GUID} 花子 1 ひみつ😀é"));
    assert_eq!(got[1], format!("Reset {GUID} 花子 2  with space "));
    // Decomposed: not normalised.
    assert_eq!(got[2], format!("Reset {GUID} 花子 3 é"));
    assert_eq!(got[3], format!("Reset {GUID} 花子 4 {long}"));
}

#[tokio::test]
async fn what_carries_no_password_does_not_stop_samba() {
    let world = World::new();
    let deleted = format!(
        "dn:: Q049YQpERUw6\nobjectGUID: {GUID}\nsAMAccountName: alice\nisDeleted: TRUE\n\
         msDS-KeyVersionNumber: 4\n"
    );
    let without = format!("dn: CN=Guest\nobjectGUID: {GUID}\npwdLastSet: 0\n");
    let binary = "msDS-KeyVersionNumber: 9\nvirtualClearTextUTF8:: /////w==\n";
    let binary = format!("dn: CN=a\nobjectGUID: {GUID}\nsAMAccountName: a\n{binary}");
    for (text, expected) in [
        (&deleted, "DONE-EXIT: deleted, nothing to do"),
        (&without, "DONE-EXIT: no virtualClearTextUTF8, nothing captured"),
        (&binary, "DONE-EXIT: not captured: the password is not valid UTF-8"),
    ] {
        let (code, told) = hooked(&world, text).await;
        assert_eq!(code, 0, "{told}");
        assert!(told.starts_with(expected), "{told}");
    }
    assert!(world.agent().spool().is_empty().unwrap());
}

#[tokio::test]
async fn an_account_that_comes_back_under_its_guid_is_captured_anew() {
    let world = World::new();
    let _fake = FakeIntake::listen(&world.socket(), &[]);
    assert_eq!(hooked(&world, &ldif("alice", SET_AT, 2, "first")).await, done("queued"));
    let deleted = format!("dn: x\nobjectGUID: {GUID}\nisDeleted: TRUE\n");
    assert_eq!(hooked(&world, &deleted).await, done("deleted, nothing to do"));
    assert_eq!(hooked(&world, &ldif("alice", SET_AT, 2, "first")).await, done("queued"));
}

#[tokio::test]
async fn l06_1_samba_goes_on_only_when_the_capture_is_durable() {
    let mut world = World::new();
    world.limits.records_max = 1;
    let (code, told) = hooked(&world, &ldif("alice", SET_AT, 2, "first-Marker")).await;
    assert_eq!(code, 0);
    assert!(told.starts_with("DONE-EXIT: spooled: the intake is away"), "{told}");
    let expected = format!("Create {GUID} alice 1 first-Marker");
    assert_eq!(world.spooled(&world.agent()), [expected.as_str()]);
    // Neither takes it: Samba stops, and comes again with the same account.
    let next = ldif("alice", SET_AT + 10_000_000, 3, "second-Marker");
    for _ in 0..2 {
        let (code, told) = hooked(&world, &next).await;
        assert_eq!(code, 75, "{told}");
        assert!(!told.contains("DONE-EXIT") && !told.contains("Marker"), "{told}");
    }
    let fake = FakeIntake::listen(&world.socket(), &[]);
    assert_eq!(crate::agent::flush::run(&world.agent()).await.code, 0);
    assert_eq!(hooked(&world, &next).await, done("queued"));
    let second = format!("Change {GUID} alice 2 second-Marker");
    let got: Vec<_> = fake.got().iter().map(|envelope| world.told(envelope)).collect();
    assert_eq!(got, [expected, second]);
}

#[tokio::test]
async fn a_crash_after_the_hand_over_repeats_the_same_capture() {
    let world = World::new();
    let fake = FakeIntake::listen(&world.socket(), &[]);
    let text = ldif("alice", SET_AT, 2, "first");
    assert_eq!(hooked(&world, &text).await, done("queued"));
    // As the state is if the process ends between the hand-over and the second mark.
    let seen = Seen::open(&world.path("samba.db")).unwrap();
    let mark = Mark { safe: false, ..seen.get(GUID).unwrap().unwrap() };
    seen.put(GUID, &mark).unwrap();
    fake.say((202, None, r#"{"status":"duplicate"}"#));
    assert_eq!(hooked(&world, &text).await, done("duplicate"));
    let numbers: Vec<_> = fake
        .got()
        .iter()
        .map(|envelope| (envelope.metadata().agent_epoch, envelope.metadata().sequence))
        .collect();
    assert_eq!(numbers[0], numbers[1]);
}

#[tokio::test]
async fn ldif_that_says_too_little_is_an_error_that_says_what() {
    let world = World::new();
    let password = "virtualClearTextUTF8: Marker-1";
    for (text, expected) in [
        (String::new(), "objectGUID: name it in `--attributes`"),
        ("objectGUID: nonsense\n".into(), "objectGUID cannot be read: it is no GUID"),
        (format!("objectGUID: {GUID}\npwdLastSet: x\n"), "pwdLastSet cannot be read"),
        (format!("objectGUID: {GUID}\n{password}\n"), "it has no sAMAccountName"),
        (format!("objectGUID: {GUID}\nsAMAccountName: a\n{password}"), "no msDS-KeyVersionNumber"),
        (format!("objectGUID: {GUID}\nvirtualClearTextUTF8:: ?\n"), "it is not base64"),
        ("a: b\n".repeat(300_000), "longer than"),
    ] {
        let (code, told) = hooked(&world, &text).await;
        assert_eq!(code, 75, "{told}");
        assert!(told.contains(expected) && !told.contains("Marker"), "{told}");
    }
}

#[tokio::test]
async fn o06_no_password_lies_in_any_file() {
    let world = World::new();
    let (code, _) = hooked(&world, &ldif("alice", SET_AT, 2, "Marker-in-the-clear")).await;
    assert_eq!(code, 0);
    let encoded = STANDARD.encode("Marker-in-the-clear");
    let mut folders = vec![world.folder.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            for marker in ["Marker-in-the-clear", encoded.as_str()] {
                let found = bytes.windows(marker.len()).any(|part| part == marker.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
    assert!(files > 4, "only {files} files");
}
