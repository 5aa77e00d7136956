//! Purged ciphertext is in no file any more, whichever way the record left (I5).

use std::fs;

use kakehi_engine::password::{Answer, Event, Scope, State, UserEvent};
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};

use super::*;
use crate::queue::Erasure;

/// Whether a file of the queue holds the marker.
fn found(world: &World, user: &str, sequence: u64) -> bool {
    let marker = marker(user, sequence);
    let needle = &marker[marker.len() - 100..];
    files(world).iter().any(|bytes| bytes.windows(needle.len()).any(|part| part == needle))
}

fn files(world: &World) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(world.home.path()).unwrap();
    entries.map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// Sets one password and lets it leave by `way`.
async fn leaves(way: &str, policy: Policy, capture_again: bool) {
    let world = World::with(policy, |_| ());
    world.capture("other", 500).await;
    world.apply(Event::Pause { scope: Scope::Slot(key("other")) }).await;
    world.capture("taro", 1).await;
    assert!(found(&world, "taro", 1), "{way}: the search finds what is there");
    match way {
        "delivered" => drop(world.answered(&world.pick().await, Answer::Ok).await),
        "presumed" => {
            world.answered(&world.pick().await, Answer::Uncertain).await;
            world.apply(Event::Retry { scope: Scope::All }).await;
            let history = Answer::Rejected(Category::History);
            drop(world.answered(&world.pick().await, history).await);
        }
        "superseded" => drop(world.capture("taro", 2).await),
        "superseded in flight" => {
            let picked = world.pick().await;
            world.capture("taro", 2).await;
            drop(world.answered(&picked, rejected()).await);
        }
        "expired" | "too old" => {
            if way == "expired" {
                world.answered(&world.pick().await, rejected()).await;
            }
            world.clock.forward(73 * 3600);
            world.capture("other", 501).await;
            drop(world.queue.tend().await.unwrap());
        }
        "max retries" => {
            for _ in 0..2 {
                world.answered(&world.pick().await, rejected()).await;
                world.clock.forward(60);
                world.queue.tend().await.unwrap();
            }
        }
        "not found" => {
            let Picked { slot, attempt, .. } = world.pick().await;
            drop(world.apply(Event::Found { slot, attempt, answer: Answer::NotFound }).await);
        }
        "purged" => drop(world.apply(Event::Purge { scope: Scope::Slot(key("taro")) }).await),
        "user deleted" => drop(world.apply(Event::Deleted { user: "taro".into() }).await),
        "filtered" => {
            let mut arrived = world.arrived("taro", 3);
            arrived.targets = [("cloud".into(), Reach::Filtered)].into();
            drop(world.queue.capture(arrived).await.unwrap());
        }
        other => panic!("{other}?"),
    }
    let newer = world.slot("taro").record.map(|record| record.order.origin.sequence);
    assert_eq!(newer, capture_again.then_some(2), "{way}: it left");
    let erasure = world.queue.checkpoint_if_dirty().await.unwrap();
    assert_eq!(erasure, Erasure::Clean, "{way}");
    assert!(!found(&world, "taro", 1), "{way}: it is still in a file");
    let other = world.slot("other").record.unwrap().order.origin.sequence;
    assert!(found(&world, "other", other), "{way}: the other one is not");
}

#[tokio::test]
async fn i05_whichever_way_a_record_leaves_it_is_in_no_file() {
    let balanced = || Policy::preset(Preset::Balanced, Some(60));
    let counted = || {
        let mut policy = Policy::preset(Preset::Counted, Some(60));
        policy.rejected.max = Some(1);
        policy
    };
    for way in ["delivered", "presumed", "expired", "too old", "purged", "user deleted", "filtered"]
    {
        leaves(way, balanced(), false).await;
    }
    for way in ["superseded", "superseded in flight"] {
        leaves(way, balanced(), true).await;
    }
    for way in ["max retries", "not found"] {
        leaves(way, counted(), false).await;
    }
}

#[tokio::test]
async fn i05_an_idle_queue_erases_by_itself() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    world.answered(&world.pick().await, Answer::Ok).await;
    while world.queue.erasure() != Erasure::Clean {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!found(&world, "taro", 1));
}

#[tokio::test]
async fn i05_a_reader_in_the_way_is_told_and_erasing_is_tried_again() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    let reader =
        rusqlite::Connection::open(world.home.path().join("password.db")).expect("the file");
    reader.execute_batch("BEGIN; SELECT count(*) FROM pw_slot;").unwrap();
    world.answered(&world.pick().await, Answer::Ok).await;
    let since = world.clock.now();
    let erasure = world.queue.checkpoint_if_dirty().await.unwrap();
    assert_eq!(erasure, Erasure::Blocked { since });
    assert_eq!(world.capture("hanako", 2).await.as_str(), "queued", "captures go on");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(world.queue.checkpoint_if_dirty().await.unwrap(), Erasure::Clean);
    assert!(!found(&world, "taro", 1));
}

#[tokio::test]
async fn i05_what_a_crash_left_in_the_log_is_erased_by_the_next_start() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    // A reader keeps the log, as a crash does.
    let reader =
        rusqlite::Connection::open(world.home.path().join("password.db")).expect("the file");
    reader.execute_batch("BEGIN; SELECT count(*) FROM pw_slot;").unwrap();
    world.answered(&world.pick().await, Answer::Ok).await;
    let World { queue, home, policy, clock, counts } = world;
    drop(queue);
    reader.execute_batch("COMMIT").unwrap();
    let queue = Queue::open(options(home.path(), policy.clone()), clock.clone()).unwrap().0;
    let world = World { queue, home, policy, clock, counts };
    assert_eq!(world.queue.erasure(), Erasure::Clean);
    assert!(!found(&world, "taro", 1));
    drop(reader);
}

/// Users that come, change and go in any order, so that pages are split, joined and used again.
fn history() -> impl Strategy<Value = Vec<(u8, u8)>> {
    proptest::collection::vec((any::<u8>(), 0..3_u8), 50..400)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn i05_no_history_leaves_ciphertext_behind(history in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new(Preset::Balanced);
            let mut live = BTreeMap::new();
            let mut gone = vec![];
            let numbered: Vec<_> = (1..).zip(history).collect();
            for together in numbered.chunks(10) {
                let asked = together.iter().map(|(sequence, (user, what))| {
                    let user = format!("user{user}");
                    if *what == 0 {
                        gone.extend(live.remove(&user).map(|old| (user.clone(), old)));
                    } else {
                        let old = live.insert(user.clone(), *sequence);
                        gone.extend(old.map(|old| (user.clone(), old)));
                    }
                    one(&world, user, *sequence, *what == 0)
                });
                let asked: Vec<_> = asked.collect();
                futures_util::future::join_all(asked).await;
            }
            assert_eq!(world.records(), live.len() as u64);
            assert_eq!(world.queue.checkpoint_if_dirty().await.unwrap(), Erasure::Clean);
            let files = files(&world).concat();
            let holds = |user: &str, sequence| {
                let marker = format!("<ciphertext {user} {sequence}>");
                memmem(&files, marker.as_bytes())
            };
            for (user, sequence) in gone {
                assert!(!holds(&user, sequence), "{user} {sequence} is still there");
            }
            for (user, sequence) in live {
                assert!(holds(&user, sequence), "{user} {sequence} is not there");
            }
        });
    }
}

async fn one(world: &World, user: String, sequence: u64, purge: bool) {
    if purge {
        world.apply(Event::Purge { scope: Scope::Slot(key(&user)) }).await;
    } else {
        world.capture(&user, sequence).await;
    }
}

fn memmem(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|part| part == needle)
}

#[tokio::test]
async fn n04_a_user_that_was_added_gets_what_waits() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    let Picked { slot, attempt, .. } = world.pick().await;
    world.apply(Event::Found { slot: slot.clone(), attempt, answer: Answer::NotFound }).await;
    assert_eq!(world.slot("taro").state, State::WaitUser);
    world.apply(Event::User { slot, what: UserEvent::Added }).await;
    assert_eq!(world.slot("taro").state, State::Ready);
}
