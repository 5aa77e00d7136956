//! Mails are written with what they tell of, once.

use kakehi_engine::password::Scope;

use super::*;
use crate::mail::{Kind, Recipient};

async fn reject_twice(preset: Preset) -> World {
    let mut policy = Policy::preset(preset, Some(60));
    policy.rejected.triggers.timer = true;
    let world = World::with(policy, |options| {
        options.audience.admins.insert(Kind::Rejected);
    });
    world.capture("taro", 1).await;
    for _ in 0..2 {
        world.answered(&world.pick().await, rejected()).await;
        world.apply(Event::Retry { scope: Scope::All }).await;
    }
    world
}

fn waiting(world: &World) -> Vec<(Kind, Recipient, u32)> {
    let mails = world.queue.due_mails(world.clock.now(), 100).unwrap();
    mails.into_iter().map(|mail| (mail.kind, mail.recipient, mail.attempt)).collect()
}

#[tokio::test]
async fn i07_d11_an_episode_has_one_mail_for_each_recipient() {
    let world = reject_twice(Preset::Balanced).await;
    let expected = [(Kind::Rejected, Recipient::User, 0), (Kind::Rejected, Recipient::Admins, 0)];
    assert_eq!(waiting(&world), expected);
    world.capture("taro", 2).await;
    world.answered(&world.pick().await, rejected()).await;
    assert_eq!(waiting(&world).len(), 4, "a new password is a new episode");
}

#[tokio::test]
async fn n20_every_attempt_has_its_mail() {
    let world = reject_twice(Preset::Evented).await;
    let attempts: Vec<_> = waiting(&world).into_iter().map(|(.., attempt)| attempt).collect();
    assert_eq!(attempts, [1, 1, 2, 2]);
}

#[tokio::test]
async fn a_mail_waits_survives_a_restart_and_is_done_once() {
    let world = reject_twice(Preset::Balanced).await;
    let world = world.restart();
    let mails = world.queue.due_mails(world.clock.now(), 1).unwrap();
    let [mail] = mails.as_slice() else { panic!("one was asked for") };
    assert_eq!((&*mail.login, mail.category), ("taro", Some(Category::TooShort)));
    world.queue.mail_failed(mail.id, world.clock.now().plus(30)).await.unwrap();
    assert_eq!(waiting(&world).len(), 1, "it waits");
    world.clock.forward(30);
    let again = world.queue.due_mails(world.clock.now(), 9).unwrap();
    assert_eq!(again.len(), 2);
    for mail in again {
        world.queue.mail_sent(mail.id).await.unwrap();
    }
    assert_eq!(waiting(&world), []);
    world.answered(&world.pick().await, rejected()).await;
    assert_eq!(waiting(&world), [], "what was sent is not written once more");
    assert!(world.queue.mail_sent(99).await.is_err());
}

#[tokio::test]
async fn what_is_old_is_cleared_away() {
    let world = reject_twice(Preset::Balanced).await;
    for mail in world.queue.due_mails(world.clock.now(), 9).unwrap() {
        world.queue.mail_dropped(mail.id).await.unwrap();
    }
    let count = |table: &str| -> i64 {
        let sql = rusqlite::Connection::open(world.home.path().join("password.db")).unwrap();
        sql.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    world.queue.tend().await.unwrap();
    assert!(count("pw_mail") > 0 && count("pw_audit") > 0 && count("pw_slot") == 1);
    world.clock.forward(91 * 86_400);
    world.queue.tend().await.unwrap();
    let lines = world.queue.read().audit(None, Timestamp(0), 9).unwrap();
    assert_eq!((count("pw_mail"), lines.len()), (0, 1), "only what its expiry led to");
    assert_eq!(count("pw_slot"), 1, "what was decided on last is known");
    world.clock.forward(401 * 86_400);
    world.queue.tend().await.unwrap();
    assert_eq!(count("pw_slot"), 0);
}
