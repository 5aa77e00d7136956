//! The spool: order, limits, damage, several users of it at once.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread;

use kakehi_engine::password::Operation;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::envelope::{KeyType, Suite, seal};
use crate::keys::{PublicKey, tests::pair};
use crate::secret::Password;

const HOUR_MS: u64 = 3_600_000;

fn envelope(key: &PublicKey, sequence: u64, captured_at_ms: u64) -> Envelope {
    let metadata = Metadata {
        source: "corp".into(),
        key_type: KeyType::Login,
        user_key: format!("user{sequence}"),
        login: String::new(),
        agent: "dc1".into(),
        agent_epoch: 1,
        sequence,
        captured_at_ms,
        operation: Operation::Change,
    };
    let password = Password::new(Zeroizing::new("Geheim-秘密".to_owned()));
    seal(key, &metadata, &password).expect("it can be sealed")
}

fn key() -> PublicKey {
    pair(Suite::X25519ChaCha).2
}

fn spool(limits: SpoolLimits) -> (TempDir, Spool) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let spool = Spool::open(&folder.path().join("spool"), limits).expect("it can be opened");
    (folder, spool)
}

fn sequences(spooled: &[Spooled]) -> Vec<u64> {
    spooled.iter().map(|it| it.envelope().metadata().sequence).collect()
}

#[test]
fn l06_1_durable_before_hand_off() {
    let (folder, spool) = spool(SpoolLimits::default());
    let key = key();
    for sequence in [5, 3, 9] {
        let envelope = envelope(&key, sequence, 0);
        spool.put(&envelope).unwrap();
        // Seen by somebody who opens the folder now, as after a crash of this process.
        let again = Spool::open(&folder.path().join("spool"), SpoolLimits::default()).unwrap();
        assert_eq!(again.oldest(10).unwrap().last().unwrap().envelope(), &envelope);
    }
    assert_eq!(sequences(&spool.oldest(10).unwrap()), [5, 3, 9], "the order of arrival");
    assert_eq!(sequences(&spool.oldest(2).unwrap()), [5, 3]);
    let inside = folder.path().join("spool");
    assert_eq!(fs::metadata(&inside).unwrap().permissions().mode() & 0o7777, 0o700);
    for name in spool.names().unwrap() {
        assert_eq!(fs::metadata(inside.join(&name)).unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = fs::read(inside.join(&name)).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"Geheim"), "no password at rest");
    }
}

#[test]
fn a_full_spool_refuses_and_drops_nothing() {
    let limits = SpoolLimits { records_max: 2, ..SpoolLimits::default() };
    let (_folder, spool) = spool(limits);
    let key = key();
    for sequence in 1..=2 {
        spool.put(&envelope(&key, sequence, 0)).unwrap();
    }
    let refused = spool.put(&envelope(&key, 3, 0));
    assert!(matches!(refused, Err(SpoolError::Full { records: 2, .. })));
    let waiting = spool.oldest(10).unwrap();
    assert_eq!(sequences(&waiting), [1, 2]);
    spool.remove(waiting[0].clone()).unwrap();
    spool.remove(waiting[0].clone()).unwrap();
    assert_eq!(spool.len().unwrap(), 1, "removing twice is removing once");
    spool.put(&envelope(&key, 4, 0)).unwrap();
    assert_eq!(sequences(&spool.oldest(10).unwrap()), [2, 4]);
}

#[test]
fn a_spool_with_too_many_bytes_refuses() {
    let key = key();
    let length = envelope(&key, 1, 0).as_bytes().len() as u64;
    let limits = SpoolLimits { bytes_max: length * 2, ..SpoolLimits::default() };
    let (_folder, spool) = spool(limits);
    spool.put(&envelope(&key, 1, 0)).unwrap();
    spool.put(&envelope(&key, 2, 0)).unwrap();
    assert_eq!(spool.bytes().unwrap(), length * 2);
    assert!(matches!(spool.put(&envelope(&key, 3, 0)), Err(SpoolError::Full { .. })));
}

#[test]
fn a_number_is_not_used_again_when_the_spool_was_empty() {
    let (folder, spool) = spool(SpoolLimits::default());
    let key = key();
    spool.put(&envelope(&key, 1, 0)).unwrap();
    let first = spool.oldest(1).unwrap().remove(0);
    spool.remove(first.clone()).unwrap();
    assert!(spool.is_empty().unwrap());
    let again = Spool::open(&folder.path().join("spool"), SpoolLimits::default()).unwrap();
    again.put(&envelope(&key, 2, 0)).unwrap();
    // Whoever still holds the first one cannot remove the second by it.
    spool.remove(first).unwrap();
    assert_eq!(sequences(&again.oldest(1).unwrap()), [2]);
}

#[test]
fn l03_old_captures_expire_by_their_own_time_and_are_told_of() {
    let limits = SpoolLimits { age_max: Duration::from_secs(3600), ..SpoolLimits::default() };
    let (_folder, spool) = spool(limits);
    let key = key();
    for (sequence, captured) in [(1, 10 * HOUR_MS), (2, 9 * HOUR_MS), (3, 99 * HOUR_MS)] {
        spool.put(&envelope(&key, sequence, captured)).unwrap();
    }
    let at = |ms: u64| Timestamp(i64::try_from(ms).unwrap());
    assert_eq!(spool.expire(at(10 * HOUR_MS)).unwrap(), []);
    let gone = spool.expire(at(10 * HOUR_MS + 1)).unwrap();
    assert_eq!(gone.iter().map(|it| it.sequence).collect::<Vec<_>>(), [2]);
    assert_eq!(sequences(&spool.oldest(9).unwrap()), [1, 3]);
    let gone = spool.expire(at(12 * HOUR_MS)).unwrap();
    assert_eq!(gone.iter().map(|it| it.sequence).collect::<Vec<_>>(), [1]);
    assert_eq!(spool.len().unwrap(), 1);
}

#[test]
fn l02_a_damaged_file_is_set_aside_and_holds_nothing_up() {
    let (folder, spool) = spool(SpoolLimits::default());
    let inside = folder.path().join("spool");
    let key = key();
    for sequence in 1..=3 {
        spool.put(&envelope(&key, sequence, 0)).unwrap();
    }
    let names = spool.names().unwrap();
    fs::write(inside.join(&names[0]), b"half a rec").unwrap();
    fs::write(inside.join("note.txt"), b"of an administrator").unwrap();
    assert_eq!(sequences(&spool.oldest(9).unwrap()), [2, 3]);
    assert_eq!(spool.set_aside_count().unwrap(), 1);
    let kept = fs::read(inside.join(CORRUPT).join(&names[0])).unwrap();
    assert_eq!(kept, b"half a rec", "never lost silently");
    let reason = inside.join(CORRUPT).join(format!("{}.reason", names[0]));
    assert!(fs::read_to_string(reason).unwrap().contains("not of version 1"));

    let refused = spool.oldest(1).unwrap().remove(0);
    spool.set_aside(refused, "the intake answered 400").unwrap();
    assert_eq!(spool.set_aside_count().unwrap(), 2);
    assert_eq!(sequences(&spool.oldest(9).unwrap()), [3]);
    assert_eq!(spool.len().unwrap(), 1);
    assert!(inside.join("note.txt").exists(), "what is not ours is left alone");
}

#[test]
fn what_a_crash_left_unfinished_is_swept_out() {
    let (folder, spool) = spool(SpoolLimits::default());
    let inside = folder.path().join("spool");
    spool.put(&envelope(&key(), 1, 0)).unwrap();
    drop(spool);
    fs::write(inside.join(".new-abc"), b"half").unwrap();
    fs::write(inside.join("ledger"), b"torn").unwrap();
    let spool = Spool::open(&inside, SpoolLimits::default()).unwrap();
    assert!(!inside.join(".new-abc").exists());
    assert_eq!(spool.len().unwrap(), 1);
    spool.put(&envelope(&key(), 2, 0)).unwrap();
    assert_eq!(sequences(&spool.oldest(9).unwrap()), [1, 2], "numbers go on above what is there");
}

#[test]
fn numbers_of_an_agent_never_repeat() {
    let (folder, spool) = spool(SpoolLimits::default());
    let inside = folder.path().join("spool");
    let first = spool.next_sequence().unwrap();
    let second = spool.next_sequence().unwrap();
    assert!(first < second && first.0 == second.0 && first.0 > 0);
    let third = Spool::open(&inside, SpoolLimits::default()).unwrap().next_sequence().unwrap();
    assert_eq!(third, (first.0, second.1 + 1));
    // A ledger that is lost begins a new epoch, and that is a later one.
    drop(spool);
    fs::remove_file(inside.join("ledger")).unwrap();
    let anew = Spool::open(&inside, SpoolLimits::default()).unwrap().next_sequence().unwrap();
    assert!(anew.0 >= first.0 && anew.1 == 1, "{anew:?} is above {first:?}");
}

#[test]
fn many_may_use_one_spool_at_once() {
    let (folder, spool) = spool(SpoolLimits::default());
    let inside = folder.path().join("spool");
    // Two handles, as of two processes, and two threads on each.
    let other = Spool::open(&inside, SpoolLimits::default()).unwrap();
    let handles = [Arc::new(spool), Arc::new(other)];
    let key = key();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let (spool, key) = (Arc::clone(&handles[worker % 2]), key.clone());
            thread::spawn(move || {
                (0..10)
                    .map(|_| {
                        let (_, sequence) = spool.next_sequence().unwrap();
                        spool.put(&envelope(&key, sequence, 0)).unwrap();
                        sequence
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut given: Vec<u64> = workers.into_iter().flat_map(|it| it.join().unwrap()).collect();
    given.sort_unstable();
    assert_eq!(given, (1..=40).collect::<Vec<_>>());
    let mut found = sequences(&handles[0].oldest(100).unwrap());
    found.sort_unstable();
    assert_eq!(found, given);
    assert_eq!(handles[1].len().unwrap(), 40);
}
