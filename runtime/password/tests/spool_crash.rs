//! A spool whose processes are killed: one child writes captures and says so, one ships them, each
//! is killed in the middle, and nothing that was promised is missing (L-06, O-33).
//!
//! No test harness: the program calls itself as the child that is to be killed.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use kakehi_engine::password::Operation;
use kakehi_engine::time::Timestamp;
use kakehi_password::envelope::{KeyType, Metadata, Suite, seal};
use kakehi_password::keys::{self, PublicKey};
use kakehi_password::secret::Password;
use kakehi_password::spool::{Spool, SpoolLimits};
use zeroize::Zeroizing;

/// Captures that a child tells of before it is killed.
const TOLD: usize = 25;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.as_slice() {
        [_, role, folder, key] if role == "child-writes" => write(Path::new(folder), key),
        [_, role, folder, _] if role == "child-ships" => ship(Path::new(folder)),
        _ => {
            o33_what_was_promised_outlives_the_agent();
            l06_3_the_spool_survives_a_crash_during_shipping();
            writeln!(stdout(), "two tests of crashes ... ok").expect("it can be told");
        }
    }
}

fn o33_what_was_promised_outlives_the_agent() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let spool = folder.path().join("spool");
    let promised = filled(folder.path(), &spool);
    let waiting = numbers(&spool);
    assert!(promised.is_subset(&waiting), "promised {promised:?}, kept {waiting:?}");
    assert!(promised.len() == 2 * TOLD, "no number was given twice: {promised:?}");
}

fn l06_3_the_spool_survives_a_crash_during_shipping() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let spool = folder.path().join("spool");
    let promised = filled(folder.path(), &spool);
    let shipped: BTreeSet<_> = until_killed("child-ships", &spool, "").into_iter().collect();
    let left = numbers(&spool);
    let seen: BTreeSet<_> = shipped.union(&left).copied().collect();
    assert!(seen.is_superset(&promised), "shipped {shipped:?}, left {left:?}");
    let opened = Spool::open(&spool, SpoolLimits::default()).expect("it opens");
    assert_eq!(opened.len().expect("it counts"), left.len() as u64);
    assert_eq!(opened.set_aside_count().expect("it counts"), 0, "nothing is half written");
}

/// Fills a spool by two writers, one after the other, each killed while it writes; gives what they
/// told of.
fn filled(folder: &Path, spool: &Path) -> BTreeSet<(u64, u64)> {
    let key = keys::new(&folder.join("keys"), Suite::X25519ChaCha, Timestamp(0))
        .expect("a key can be made")
        .to_string();
    (0..2).flat_map(|_| until_killed("child-writes", spool, &key)).collect()
}

/// Runs a child, kills it once it told of enough captures, and gives those.
fn until_killed(role: &str, spool: &Path, key: &str) -> Vec<(u64, u64)> {
    let mut child = Command::new(env::current_exe().expect("we have a name"))
        .arg(role)
        .arg(spool)
        .arg(key)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child starts");
    let lines = BufReader::new(child.stdout.take().expect("it has an output")).lines();
    let told: Vec<(u64, u64)> = lines
        .take(TOLD)
        .map(|line| {
            let line = line.expect("a line");
            let (epoch, sequence) = line.split_once(' ').expect("two numbers");
            (epoch.parse().expect("a number"), sequence.parse().expect("a number"))
        })
        .collect();
    kill(child);
    told
}

fn kill(mut child: Child) {
    child.kill().expect("it can be killed");
    let status = child.wait().expect("it ends");
    assert!(!status.success(), "it was killed, and did not end by itself: {status}");
}

fn numbers(spool: &Path) -> BTreeSet<(u64, u64)> {
    let spool = Spool::open(spool, SpoolLimits::default()).expect("it opens after a crash");
    let waiting = spool.oldest(usize::MAX).expect("it can be read");
    let number = |it: &kakehi_password::spool::Spooled| {
        (it.envelope().metadata().agent_epoch, it.envelope().metadata().sequence)
    };
    waiting.iter().map(number).collect()
}

/// Captures without an end. Each is told of after it was put.
fn write(folder: &Path, key: &str) {
    let public: PublicKey = key.parse().expect("a key");
    let spool = Spool::open(folder, SpoolLimits::default()).expect("it opens");
    loop {
        let (agent_epoch, sequence) = spool.next_sequence().expect("a number");
        let metadata = Metadata {
            source: "corp".into(),
            key_type: KeyType::Login,
            user_key: format!("user{sequence}"),
            login: String::new(),
            agent: "dc1".into(),
            agent_epoch,
            sequence,
            captured_at_ms: 0,
            operation: Operation::Change,
        };
        let password = Password::new(Zeroizing::new(format!("secret {sequence}")));
        let envelope = seal(&public, &metadata, &password).expect("it is sealed");
        spool.put(&envelope).expect("it is kept");
        tell(agent_epoch, sequence);
    }
}

/// Ships without an end: tells of a capture, as an intake that answered would know of it, and only
/// then removes it.
fn ship(folder: &Path) {
    let spool = Spool::open(folder, SpoolLimits::default()).expect("it opens");
    loop {
        for spooled in spool.oldest(10).expect("it can be read") {
            let metadata = spooled.envelope().metadata();
            tell(metadata.agent_epoch, metadata.sequence);
            spool.remove(spooled).expect("it is removed");
        }
    }
}

fn tell(epoch: u64, sequence: u64) {
    let mut output = stdout();
    // The parent may be gone already; then so are we in a moment.
    let _ = writeln!(output, "{epoch} {sequence}").and_then(|()| output.flush());
}
