//! Bounds, and commands that share a commit without sharing their faults.

use kakehi_engine::password::{Answer, Scope};
use kakehi_engine::password::{AuditKind, State};

use super::*;
use crate::queue::QueueError;
use crate::queue::work::Work;

#[tokio::test]
async fn a_full_queue_refuses_keeps_what_it_has_and_takes_again_after_a_delivery() {
    let policy = Policy::preset(Preset::Balanced, Some(60));
    let world = World::with(policy, |options| options.records_max = 10);
    let mut told = vec![];
    for sequence in 1..=10 {
        let arrived = world.arrived(&format!("user{sequence}"), sequence);
        let captured = world.queue.capture(arrived).await.unwrap();
        told.push(captured.nearly_full);
    }
    let expected: Vec<_> = (1..=10).map(|count| count == 8).collect();
    assert_eq!(told, expected, "PW044 at 80 %, once");
    let one_more = world.arrived("late", 11);
    let refused = world.queue.capture(one_more.clone()).await.unwrap_err();
    assert!(matches!(refused, QueueError::Full { records: 10, .. }) && refused.is_temporary());
    assert_eq!((world.records(), world.slot("late")), (10, Slot::default()));
    let audits = world.queue.read().audit(None, Timestamp(0), 100).unwrap();
    assert!(audits.iter().all(|line| line.kind == AuditKind::Queued && line.slot != key("late")));
    assert_eq!(
        world.capture("user3", 12).await.as_str(),
        "queued",
        "a newer password in the place of an older one"
    );
    world.answered(&world.pick().await, Answer::Ok).await;
    assert_eq!(world.queue.capture(one_more).await.unwrap().acknowledgement.as_str(), "queued");
    assert_eq!(world.records(), 10);
}

#[tokio::test]
async fn bytes_are_bounded_as_records_are() {
    let policy = Policy::preset(Preset::Balanced, Some(60));
    let world = World::with(policy, |options| options.bytes_max = 1000);
    let mut taken = 0;
    let refused = loop {
        taken += 1;
        let arrived = world.arrived(&format!("user{taken}"), taken);
        if let Err(refused) = world.queue.capture(arrived).await {
            break refused;
        }
    };
    assert!(matches!(refused, QueueError::Full { .. }), "{refused}");
    let status = world.queue.read().status().unwrap();
    assert!(status.bytes <= 1000 && status.records == taken - 1, "{status:?}");
}

#[tokio::test]
async fn what_waits_together_is_committed_together() {
    let world = World::new(Preset::Balanced);
    let commits = || world.queue.inner.told.lock().unwrap().commits;
    let (enter, entered) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let queue = world.queue.clone();
    let hold = queue.write(move |_| {
        enter.send(()).unwrap();
        left.recv().unwrap();
        Ok(())
    });
    let before = commits();
    let together = async {
        // The writer is busy with the first command until all others wait.
        tokio::task::yield_now().await;
        entered.recv().unwrap();
        let captures =
            (0..200).map(|n| world.queue.capture(world.arrived(&format!("user{n}"), n + 1)));
        let all = futures_util::future::join_all(captures);
        let release = async {
            tokio::task::yield_now().await;
            leave.send(()).unwrap();
        };
        futures_util::join!(all, release).0
    };
    let (held, captured) = futures_util::join!(hold, together);
    held.unwrap();
    assert!(captured.iter().all(|captured| captured.is_ok()));
    assert_eq!(commits() - before, 2, "the one that was held, and one for all others");
}

#[tokio::test]
async fn a_command_that_fails_or_panics_takes_back_its_own_work_only() {
    let world = World::new(Preset::Balanced);
    let queue = &world.queue;
    let note = |user: &'static str, sequence| world.arrived(user, sequence);
    let (first, fails, panics, last) = (note("a", 1), note("b", 2), note("c", 3), note("d", 4));
    let failing = move |work: &mut Work<'_>| {
        work.capture(fails)?;
        Err::<(), _>(QueueError::Internal { what: "as the test wants it" })
    };
    let panicking = move |work: &mut Work<'_>| -> Result<(), QueueError> {
        work.capture(panics)?;
        panic!("as the test wants it");
    };
    let (first, failed, panicked, last) = futures_util::join!(
        queue.capture(first),
        queue.write(failing),
        queue.write(panicking),
        queue.capture(last)
    );
    assert!(first.is_ok() && last.is_ok());
    assert!(matches!(failed, Err(QueueError::Internal { .. })));
    assert!(matches!(panicked, Err(QueueError::Internal { what: "a command panicked" })));
    assert_eq!(world.records(), 2);
    let world = world.restart();
    let state = |user| world.slot(user).state;
    assert_eq!(
        ["a", "b", "c", "d"].map(state),
        [State::Ready, State::Empty, State::Empty, State::Ready]
    );
}

#[tokio::test]
async fn a_large_scope_is_worked_on_in_parts_and_all_of_it_is() {
    let policy = Policy::preset(Preset::Balanced, Some(60));
    let world = World::with(policy, |options| {
        (options.records_max, options.bytes_max) = (5000, 50_000_000)
    });
    let many = crate::queue::CHUNK as u64 * 2 + 7;
    let captures = (1..=many).map(|n| world.queue.capture(world.arrived(&format!("u{n}"), n)));
    for captured in futures_util::future::join_all(captures).await {
        captured.unwrap();
    }
    let actions = world.apply(Event::Purge { scope: Scope::Target("cloud".into()) }).await;
    let purged = actions.iter().filter(|action| matches!(action, Action::Purge(_))).count();
    assert_eq!((purged as u64, world.records()), (many, 0));
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_no_end() {
    let world = World::new(Preset::Balanced);
    world.capture("first", 1).await;
    let pages = |most: i64| {
        world.queue.write(move |work| {
            work.sql.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
            Ok(())
        })
    };
    // SQLite takes no number below what the file has.
    pages(1).await.unwrap();
    let mut taken = vec!["first".to_owned()];
    let refused = loop {
        let user = format!("user{}", taken.len());
        match world.queue.capture(world.arrived(&user, taken.len() as u64 + 1)).await {
            Ok(_) => taken.push(user),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, QueueError::DiskFull), "{refused}");
    assert!(refused.is_temporary());
    pages(1_000_000).await.unwrap();
    world.capture("last", 900).await;
    let world = world.restart();
    taken.push("last".into());
    for user in &taken {
        let record = world.slot(user).record.unwrap();
        assert!(world.sealed(record.id).is_some(), "{user}");
    }
    assert_eq!(world.records(), taken.len() as u64);
}
