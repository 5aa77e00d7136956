//! A process that is killed at any point of a commit loses nothing that it acknowledged (I8).
//!
//! The process is this test program once more, in a folder that says where it is to die.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU32;

use kakehi_engine::password::{Answer, State};
use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::queue::Erasure;
use crate::queue::writer::{Hook, Point};

const PLAN: &str = "plan";
const TOLD: &str = "told";
const QUEUE: &str = "queue";

const POINTS: [Point; 4] =
    [Point::BeforeCommit, Point::AfterCommit, Point::BeforeErasing, Point::AfterErasing];

/// Dies as under `kill -9` when a point is reached for the `nth` time.
fn deadly(point: Point, nth: u32) -> Hook {
    let reached = AtomicU32::new(0);
    Arc::new(move |here| {
        if here == point && reached.fetch_add(1, Ordering::SeqCst) + 1 == nth {
            kill_process(getpid(), Signal::KILL).expect("a process may end itself");
        }
    })
}

fn name(user: u64) -> String {
    format!("user{user}")
}

fn tell(told: &File, what: &str, user: u64) {
    let mut told = told;
    told.write_all(format!("{what} {user}\n").as_bytes()).expect("the test's own file");
}

/// Takes sixty captures, some at once, and delivers every third one. Says what it was told.
async fn live(queue: &Queue, told: &File, now: Timestamp) {
    let capture = |user: u64| async move {
        queue.capture(arrived(&name(user), user, now)).await.expect("there is room");
        tell(told, "captured", user);
    };
    for first in (1..60).step_by(6) {
        futures_util::future::join_all((first..first + 6).map(capture)).await;
        for Picked { slot, attempt, .. } in
            queue.pick(&"cloud".into(), 2, LEASE).await.expect("a queue")
        {
            let user = slot.user.to_string().trim_start_matches("user").parse().expect("ours");
            let found = Event::Found { slot: slot.clone(), attempt, answer: Answer::Ok };
            queue.apply(found).await.expect("a queue");
            let set = Event::Set { slot, attempt, answer: Answer::Ok, token: None };
            queue.apply(set).await.expect("a queue");
            tell(told, "delivered", user);
        }
    }
}

/// Not a test by itself: what the test below starts, in a folder with a plan.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Ok(plan) = fs::read_to_string(PLAN) else { return };
    let (point, nth) = plan.split_once(' ').unwrap();
    let (point, nth) = (POINTS[point.parse::<usize>().unwrap()], nth.parse().unwrap());
    let clock = clock();
    let options = options(Path::new(QUEUE), Policy::preset(Preset::Balanced, None));
    let (queue, _) = Queue::open_with(options, clock.clone(), deadly(point, nth)).unwrap();
    let told = File::create(TOLD).unwrap();
    live(&queue, &told, clock.now()).await;
}

/// Runs the process until it dies. Gives what it was told.
fn killed(home: &Path, point: usize, nth: u32) -> BTreeMap<String, BTreeSet<u64>> {
    fs::write(home.join(PLAN), format!("{point} {nth}")).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "queue::tests::crash::the_process_that_is_killed"])
        .current_dir(home)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let by_commit = matches!(POINTS[point], Point::BeforeCommit | Point::AfterCommit);
    // How often the log is cut hangs on how busy the machine is; how often is committed does not.
    assert!(status.signal() == Some(9) || (!by_commit && status.success()), "{status}");
    let mut told: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for line in fs::read_to_string(home.join(TOLD)).unwrap_or_default().lines() {
        let (what, user) = line.split_once(' ').unwrap();
        told.entry(what.to_owned()).or_default().insert(user.parse().unwrap());
    }
    told
}

#[tokio::test]
async fn i01_i08_l06_4_whatever_was_acknowledged_survives_a_kill_at_every_commit_point() {
    let mut deliveries = 0;
    for (point, nth) in (0..POINTS.len()).flat_map(|point| [1, 2, 7, 20].map(|nth| (point, nth))) {
        let home = tempfile::tempdir().unwrap();
        let told = killed(home.path(), point, nth);
        let delivered = told.get("delivered").cloned().unwrap_or_default();
        deliveries += delivered.len();
        let folder = home.path().join(QUEUE);
        let options = options(&folder, Policy::preset(Preset::Balanced, None));
        let (queue, counts) = Queue::open(options, clock()).unwrap();
        let place = format!("{:?} {nth}", POINTS[point]);
        assert_eq!(counts.set_aside, [""; 0], "{place}");
        let mut kept = 0;
        for user in 1..=60 {
            let slot = queue.read().slot(&key(&name(user))).unwrap().unwrap_or_default();
            let sealed = slot.record.as_ref().and_then(|record| queue.sealed(record.id).unwrap());
            kept += u64::from(sealed.is_some());
            assert_eq!(sealed.is_some(), slot.state != State::Empty, "{place}: user {user}");
            assert!(sealed.is_none_or(|sealed| sealed == marker(&name(user), user)));
            let captured = told.get("captured").is_some_and(|users| users.contains(&user));
            assert!(!captured || slot.high_water.is_some(), "{place}: user {user} is lost");
            if delivered.contains(&user) {
                assert_eq!(slot.state, State::Empty, "{place}: user {user} was delivered");
            } else if captured && slot.state == State::Empty {
                // Nobody was told of the delivery, but it was committed.
                let lines = queue.read().audit(Some(&slot_user(user)), Timestamp(0), 1).unwrap();
                assert_eq!(lines[0].kind.as_str(), "DELIVERED", "{place}: user {user}");
            }
        }
        assert_eq!(queue.read().status().unwrap().records, kept, "{place}");
        assert_eq!(queue.checkpoint_if_dirty().await.unwrap(), Erasure::Clean);
        let file = fs::read(folder.join("password.db")).unwrap();
        for user in delivered {
            let marker = format!("<ciphertext {} {user}>", name(user));
            let there = file.windows(marker.len()).any(|part| part == marker.as_bytes());
            assert!(!there, "{place}: the ciphertext of user {user}");
        }
    }
    assert!(deliveries > 20, "the processes lived long enough to say something: {deliveries}");
}

fn slot_user(user: u64) -> UserKey {
    UserKey::from(name(user))
}
