//! What is acknowledged is durable, once, and survives a restart in every state.

use kakehi_engine::password::{Acknowledgement, Answer, AuditKind, EchoToken, Event, Scope, State};

use super::*;
use crate::queue::{Echo, QueueError};

fn kinds(world: &World) -> Vec<AuditKind> {
    let lines = world.queue.read().audit(None, Timestamp(0), 100).unwrap();
    lines.into_iter().rev().map(|line| line.kind).collect()
}

#[tokio::test]
async fn t01_t07_t15_a_capture_is_kept_given_out_and_delivered() {
    let world = World::new(Preset::Balanced);
    assert_eq!(world.capture("taro", 1).await, Acknowledgement::Queued);
    let waiting = world.slot("taro");
    let record = waiting.record.unwrap();
    assert_eq!((waiting.state, world.sealed(record.id)), (State::Ready, Some(marker("taro", 1))));
    let picked = world.pick().await;
    assert_eq!((&picked.slot, &*picked.login), (&key("taro"), "taro"));
    let actions = world.answered(&picked, Answer::Ok).await;
    assert!(actions.contains(&Action::Purge(record.id)));
    assert_eq!(world.slot("taro").state, State::Empty);
    assert_eq!(world.sealed(record.id), None);
    assert_eq!(kinds(&world), [AuditKind::Queued, AuditKind::Delivered]);
}

#[tokio::test]
async fn i08_l06_3_what_waits_survives_a_restart_in_every_state() {
    let mut world = World::new(Preset::Counted);
    let mut policy = world.policy.clone();
    policy.rejected.max = Some(3);
    policy.not_found.drop = false;
    world.policy = policy;
    let mut world = world.restart();
    for (sequence, user) in
        ["ready", "finding", "setting", "no-user", "refused", "away"].iter().enumerate()
    {
        if *user == "ready" {
            continue;
        }
        world.capture(user, sequence as u64).await;
        let picked = world.pick().await;
        let Picked { slot, attempt, .. } = picked.clone();
        let found = |answer| Event::Found { slot: slot.clone(), attempt, answer };
        match *user {
            "setting" => drop(world.apply(found(Answer::Ok)).await),
            "no-user" => drop(world.apply(found(Answer::NotFound)).await),
            "refused" => drop(world.answered(&picked, rejected()).await),
            "away" => drop(world.apply(found(unavailable())).await),
            _ => {}
        }
    }
    world.capture("ready", 90).await;
    let before: Vec<_> =
        ["no-user", "refused", "away", "ready"].map(|user| world.slot(user)).into();
    for _ in 0..2 {
        world = world.restart();
    }
    for (user, slot) in ["no-user", "refused", "away", "ready"].into_iter().zip(before) {
        assert_eq!(world.slot(user), slot, "{user}");
    }
    for user in ["finding", "setting"] {
        let slot = world.slot(user);
        assert_eq!((slot.state, slot.lease), (State::Ready, None), "{user}");
        let record = slot.record.unwrap();
        assert_eq!(record.uncertain, user == "setting");
        assert!(world.sealed(record.id).is_some());
    }
    assert_eq!((world.counts.read, world.counts.queued), (6, 6));
}

#[tokio::test]
async fn t37_a_restart_takes_back_what_was_under_way_and_its_late_answer_changes_nothing() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    let Picked { slot, attempt, .. } = world.pick().await;
    let world = world.restart();
    let next = world.pick().await;
    assert!(next.attempt > attempt, "numbers of attempts are never used again");
    world.apply(Event::Found { slot, attempt, answer: Answer::NotFound }).await;
    assert_eq!(world.slot("taro").state, State::Finding);
}

#[tokio::test]
async fn t02_a_capture_that_is_sent_again_is_told_as_that_and_not_kept_twice() {
    let world = World::new(Preset::Balanced);
    let arrived = world.arrived("taro", 7);
    for expected in [Acknowledgement::Queued, Acknowledgement::Duplicate] {
        let captured = world.queue.capture(arrived.clone()).await.unwrap();
        assert_eq!(captured.acknowledgement, expected);
    }
    let world = world.restart();
    let captured = world.queue.capture(arrived).await.unwrap();
    assert_eq!(captured.acknowledgement, Acknowledgement::Duplicate);
    assert_eq!(world.records(), 1);
    assert_eq!(world.capture("taro", 6).await, Acknowledgement::Stale);
}

#[tokio::test]
async fn i03_a_slot_has_one_live_record_and_one_next() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    world.pick().await;
    for sequence in 2..6 {
        world.capture("taro", sequence).await;
        assert_eq!(world.records(), 2, "the live one and the newest");
    }
    let slot = world.slot("taro");
    assert_eq!(slot.next.unwrap().order.origin.sequence, 5);
    assert_eq!(slot.record.unwrap().order.origin.sequence, 1);
}

#[tokio::test]
async fn one_ciphertext_serves_several_targets_until_the_last_lets_go() {
    let world = World::new(Preset::Balanced);
    let mut arrived = world.arrived("taro", 1);
    arrived.targets.insert("wiki".into(), Reach::Deliver);
    world.queue.capture(arrived).await.unwrap();
    let record = world.slot("taro").record.unwrap().id;
    let picked = world.pick().await;
    world.answered(&picked, Answer::Ok).await;
    assert!(world.sealed(record).is_some(), "the wiki has not got it yet");
    let picked = world.queue.pick(&"wiki".into(), 1, LEASE).await.unwrap().pop().unwrap();
    world.answered(&picked, Answer::Ok).await;
    assert_eq!((world.sealed(record), world.records()), (None, 0));
}

#[tokio::test]
async fn t03_an_agent_uses_an_echo_token_once() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    let Picked { slot, attempt, .. } = world.pick().await;
    world.apply(Event::Found { slot: slot.clone(), attempt, answer: Answer::Ok }).await;
    let token = Some(EchoToken([7; 32]));
    let set = Event::Set { slot: slot.clone(), attempt, answer: Answer::Ok, token };
    world.apply(set).await;
    let now = world.clock.now();
    let tokens = |now| world.queue.echo_tokens(&slot, now).unwrap();
    assert!(tokens(now) == [(1, EchoToken([7; 32]))]);
    let echo = |agent: &str, sequence| {
        let mut arrived = world.arrived("taro", sequence);
        arrived.origin.agent = agent.into();
        arrived.captured_at = now.plus(1000 * sequence);
        arrived.source = "cloud".into();
        arrived.targets = [("wiki".into(), Reach::Echo)].into();
        arrived.echo = Some(Echo { slot: slot.clone(), number: 1 });
        world.queue.capture(arrived)
    };
    for (agent, sequence, expected) in [
        ("dc1", 2, Acknowledgement::Echo),
        ("dc2", 3, Acknowledgement::Echo),
        ("dc1", 4, Acknowledgement::Queued),
    ] {
        let captured = echo(agent, sequence).await.unwrap();
        assert_eq!(captured.acknowledgement, expected, "{agent} {sequence}");
    }
    world.clock.forward(11 * 60);
    assert!(tokens(world.clock.now()).is_empty());
}

#[tokio::test]
async fn t03_several_deliveries_may_be_on_their_way_back() {
    let world = World::new(Preset::Balanced);
    // The last one is the first password again: it counts as the newest.
    for (sequence, token) in [(1, 7), (2, 8), (3, 9), (4, 7)] {
        world.capture("taro", sequence).await;
        let Picked { slot, attempt, .. } = world.pick().await;
        world.apply(Event::Found { slot: slot.clone(), attempt, answer: Answer::Ok }).await;
        let token = Some(EchoToken([token; 32]));
        world.apply(Event::Set { slot, attempt, answer: Answer::Ok, token }).await;
    }
    let (slot, now) = (key("taro"), world.clock.now());
    let tokens = world.queue.echo_tokens(&slot, now).unwrap();
    let tokens: Vec<(u64, u8)> = tokens.iter().map(|(number, t)| (*number, t.0[0])).collect();
    assert_eq!(tokens, [(4, 7), (3, 9), (2, 8)]);
    for (sequence, number, expected) in [
        (5, 3, Acknowledgement::Echo),
        // It was reported before, or never will be.
        (6, 2, Acknowledgement::Queued),
        (7, 3, Acknowledgement::Queued),
        (8, 4, Acknowledgement::Echo),
        (9, 1, Acknowledgement::Queued),
    ] {
        let mut arrived = world.arrived("taro", sequence);
        arrived.captured_at = now.plus(1000 * sequence);
        arrived.source = "cloud".into();
        arrived.targets = [("wiki".into(), Reach::Echo)].into();
        arrived.echo = Some(Echo { slot: slot.clone(), number });
        let captured = world.queue.capture(arrived).await.unwrap();
        assert_eq!(captured.acknowledgement, expected, "{sequence}");
    }
}

#[tokio::test]
async fn t41_pauses_are_durable_and_captures_are_still_taken() {
    let world = World::new(Preset::Balanced);
    world.apply(Event::Pause { scope: Scope::Target("cloud".into()) }).await;
    world.apply(Event::Pause { scope: Scope::Slot(key("hanako")) }).await;
    let world = world.restart();
    assert_eq!(world.capture("taro", 1).await, Acknowledgement::Queued);
    assert_eq!(world.capture("hanako", 2).await, Acknowledgement::Queued);
    let status = world.queue.read().status().unwrap();
    assert_eq!((status.paused_targets, status.paused_slots), (vec!["cloud".into()], 1));
    let cloud = "cloud".into();
    let pick = || world.queue.pick(&cloud, 10, LEASE);
    assert_eq!(pick().await.unwrap(), []);
    world.apply(Event::Resume { scope: Scope::Target("cloud".into()) }).await;
    let picked: Vec<_> = pick().await.unwrap().into_iter().map(|picked| picked.login).collect();
    assert_eq!(picked, ["taro"], "the other slot is paused by itself");
    world.apply(Event::Resume { scope: Scope::Slot(key("hanako")) }).await;
    assert_eq!(pick().await.unwrap().len(), 1);
}

#[tokio::test]
async fn joined_slots_take_everything_of_the_user_with_them() {
    let world = World::new(Preset::Balanced);
    world.capture("name:taro", 1).await;
    let record = world.slot("name:taro").record.unwrap().id;
    world.apply(Event::Joined { from: "name:taro".into(), to: "person:1".into() }).await;
    assert_eq!(world.slot("name:taro"), Slot::default());
    assert_eq!(world.slot("person:1").record.unwrap().id, record);
    assert_eq!(world.sealed(record), Some(marker("name:taro", 1)));
    let of = |user: &str| world.queue.read().audit(Some(&user.into()), Timestamp(0), 9).unwrap();
    assert_eq!((of("name:taro").len(), of("person:1").len()), (0, 1));
    assert_eq!(world.pick().await.slot, key("person:1"));
}

#[tokio::test]
async fn an_attempt_that_began_before_its_slot_was_joined_is_answered_where_it_is_now() {
    let world = World::new(Preset::Balanced);
    world.capture("name:taro", 1).await;
    let picked = world.pick().await;
    world.apply(Event::Joined { from: "name:taro".into(), to: "person:1".into() }).await;
    assert_eq!(world.slot("person:1").state, State::Finding);
    world.answered(&picked, Answer::Ok).await;
    assert_eq!((world.slot("person:1").state, world.records()), (State::Empty, 0));
}

#[tokio::test]
async fn numbers_of_an_agent_that_never_came_are_told() {
    let world = World::new(Preset::Balanced);
    for (sequence, expected) in [(1, None), (2, None), (6, Some((3, 3))), (5, None)] {
        let captured = world.queue.capture(world.arrived("taro", sequence)).await.unwrap();
        let gap = captured.gap.map(|gap| (gap.from, gap.count));
        assert_eq!(gap, expected, "after {sequence}");
    }
    let agents = world.queue.read().status().unwrap().agents;
    assert_eq!((agents[0].sequence, agents[0].missing), (6, 3));
}

#[tokio::test]
async fn a_second_process_is_refused_and_a_reader_is_not() {
    let world = World::new(Preset::Balanced);
    world.capture("taro", 1).await;
    let second = Queue::open(options(world.home.path(), world.policy.clone()), clock());
    assert!(matches!(second, Err(QueueError::Locked { .. })));
    let reader = Queue::open_read_only(world.home.path()).unwrap();
    assert_eq!(reader.status().unwrap().records, 1);
    world.capture("hanako", 2).await;
    assert_eq!(reader.status().unwrap().records, 2, "it sees what was committed since");
    let world = world.restart();
    let listed = reader.list(&Default::default(), None, 10).unwrap();
    let users: Vec<_> = listed.iter().map(|listed| listed.key.user.to_string()).collect();
    assert_eq!((users, world.records()), (vec!["hanako".into(), "taro".into()], 2));
}
