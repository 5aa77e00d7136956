//! Who gets a slot, and what time brings.

use std::collections::BTreeSet;

use kakehi_engine::password::{Scope, State};

use super::*;
use crate::queue::{mail, reader, work};

#[tokio::test]
async fn i09_two_workers_never_hold_one_slot() {
    let world = World::new(Preset::Balanced);
    for n in 1..=60 {
        world.capture(&format!("user{n}"), n).await;
    }
    let cloud: ConnectorName = "cloud".into();
    let workers = (0..12).map(|_| world.queue.pick(&cloud, 7, LEASE));
    let mut slots = BTreeSet::new();
    let mut attempts = BTreeSet::new();
    for picked in futures_util::future::join_all(workers).await {
        for Picked { slot, attempt, .. } in picked.unwrap() {
            assert!(slots.insert(slot) && attempts.insert(attempt));
        }
    }
    assert_eq!(slots.len(), 60);
}

#[tokio::test]
async fn the_oldest_comes_first_and_a_limit_is_kept() {
    let world = World::new(Preset::Balanced);
    for (sequence, user) in ["e", "d", "c", "b", "a"].into_iter().enumerate() {
        world.capture(user, sequence as u64 + 1).await;
    }
    let picked = world.queue.pick(&"cloud".into(), 3, LEASE).await.unwrap();
    let users: Vec<_> = picked.iter().map(|picked| &*picked.login).collect();
    assert_eq!(users, ["e", "d", "c"]);
    assert_eq!(world.queue.pick(&"wiki".into(), 3, LEASE).await.unwrap(), []);
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_left_alone() {
    let world = World::new(Preset::Balanced);
    for n in 1..=20 {
        world.capture(&format!("user{n}"), n).await;
    }
    let mut asked = 0;
    while let Some(Picked { slot, attempt, .. }) =
        world.queue.pick(&"cloud".into(), 1, LEASE).await.unwrap().pop()
    {
        asked += 1;
        world.apply(Event::Found { slot, attempt, answer: unavailable() }).await;
    }
    assert_eq!(asked, 5, "the breaker opened");
    assert_eq!(world.queue.breakers().await.unwrap()["cloud"].failures, 5);
    let next = world.queue.tend().await.unwrap().next.unwrap();
    assert!(next <= world.clock.now().plus(30), "it is told when to come again");
    world.clock.forward(31);
    let probes = world.queue.pick(&"cloud".into(), 9, LEASE).await.unwrap();
    assert_eq!(probes.len(), 1, "one tries whether it is back");
}

#[tokio::test]
async fn o23_t29_what_waits_for_a_target_is_tried_when_its_time_comes() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    let Picked { slot, attempt, .. } = world.pick().await;
    world.apply(Event::Found { slot, attempt, answer: unavailable() }).await;
    let tended = world.queue.tend().await.unwrap();
    let next = tended.next.unwrap();
    assert!(next > world.clock.now() && next <= world.clock.now().plus(6), "{next:?}");
    assert_eq!(world.slot("taro").state, State::WaitUnavailable);
    world.clock.forward(6);
    world.queue.tend().await.unwrap();
    let slot = world.slot("taro");
    assert_eq!((slot.state, slot.record.unwrap().rejects), (State::Ready, 0));
}

#[tokio::test]
async fn t37_a_lease_that_ends_gives_the_slot_back() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    world.pick().await;
    assert!(world.queue.pick(&"cloud".into(), 1, LEASE).await.unwrap().is_empty());
    world.clock.forward(61);
    world.queue.tend().await.unwrap();
    assert_eq!(world.pick().await.slot, key("taro"));
}

#[tokio::test]
async fn d09_what_expired_while_nobody_ran_is_told_at_the_start() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    world.clock.forward(80 * 3600);
    world.capture("hanako", 2).await;
    let world = world.restart();
    let counts = &world.counts;
    assert_eq!((counts.read, counts.expired, counts.queued), (2, 1, 1));
    assert!(counts.actions.iter().any(|action| matches!(action, Action::Note(_))));
}

#[tokio::test]
async fn slots_of_a_target_that_is_not_configured_are_counted() {
    let world = World::new(Preset::Balanced);
    let mut arrived = world.arrived("taro", 1);
    arrived.targets = [("gone".into(), Reach::Deliver)].into();
    world.queue.capture(arrived).await.unwrap();
    let world = world.restart();
    assert_eq!(world.counts.orphaned, 1);
}

#[tokio::test]
async fn the_queue_is_told_at_a_glance() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    let first = world.clock.now();
    world.clock.forward(5);
    world.capture("hanako", 2).await;
    world.pick().await;
    world.apply(Event::Pause { scope: Scope::All }).await;
    let status = world.queue.read().status().unwrap();
    let cloud = &status.slots["cloud"];
    assert_eq!((cloud[&State::Ready], cloud[&State::Finding]), (1, 1));
    assert_eq!((status.records, status.paused), (2, true));
    assert_eq!(status.oldest["cloud"], first);
    assert_eq!(world.queue.live_key_ids().unwrap(), [(*b"key-0001", 2)].into());
}

/// No question that is asked all the time reads more than it gives.
#[tokio::test]
async fn nothing_on_the_hot_path_looks_at_every_slot() {
    let world = World::new(Preset::Balanced);
    for query in
        [work::WAITING, work::HOLDER, reader::NEXT_DUE, reader::DUE, reader::UNAVAILABLE, mail::DUE]
    {
        let plan = world.queue.read().plan(query);
        let searches = plan.iter().all(|step| step.starts_with("SEARCH"));
        assert!(searches, "{query}: {plan:?}");
    }
}
