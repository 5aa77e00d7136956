//! Files and rows that are not as they should be.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kakehi_engine::password::{Scope, State};
use rusqlite::Connection;

use super::*;
use crate::queue::{QueueError, schema};

fn refusal(folder: &Path) -> QueueError {
    match Queue::open(options(folder, Policy::preset(Preset::Balanced, None)), clock()) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// Changes the tables while no process has them.
fn change(world: World, statements: &str) -> World {
    let World { clock, queue, counts, policy, home } = world;
    drop(queue);
    let sql = Connection::open(home.path().join("password.db")).unwrap();
    sql.pragma_update(None, "ignore_check_constraints", true).unwrap();
    sql.execute_batch(statements).unwrap();
    drop(sql);
    let queue = Queue::open(options(home.path(), policy.clone()), clock.clone());
    let (queue, new) = queue.unwrap();
    drop(counts);
    World { clock, queue, counts: new, policy, home }
}

#[test]
fn a_file_that_is_no_queue_is_refused_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("password.db"), vec![b'x'; 9000]).unwrap();
    let error = refusal(home.path()).to_string();
    assert!(error.contains("damaged") && error.contains("hint: "), "{error}");
}

#[tokio::test]
async fn l02_a_torn_page_is_found_at_the_start() {
    let world = World::new(Preset::Balanced);
    for n in 1..200 {
        world.capture(&format!("user{n}"), n).await;
    }
    let World { queue, home, .. } = world;
    drop(queue);
    let path = home.path().join("password.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 8192 * 4096;
    bytes[middle..middle + 4096].fill(0xAA);
    fs::write(&path, bytes).unwrap();
    assert!(matches!(refusal(home.path()), QueueError::Damaged { .. }));
}

#[test]
fn a_newer_queue_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let policy = Policy::preset(Preset::Balanced, None);
    drop(Queue::open(options(home.path(), policy), clock()).unwrap());
    let path = home.path().join("password.db");
    let sql = Connection::open(&path).unwrap();
    sql.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(sql);
    assert!(matches!(refusal(home.path()), QueueError::Newer { found, .. } if found == 2));
    let reader = Queue::open_read_only(home.path());
    assert!(matches!(reader, Err(QueueError::Newer { .. })));
}

#[test]
fn the_files_are_for_our_own_user_alone_and_kept_as_measured() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("state");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let policy = Policy::preset(Preset::Balanced, None);
    let (queue, _) = Queue::open(options(&folder, policy), clock()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let mut names = vec![];
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    assert!(names.contains(&"password.db-wal".to_owned()), "{names:?}");
    let pragmas =
        queue.read_pragmas(&["journal_mode", "synchronous", "secure_delete", "temp_store"]);
    assert_eq!(pragmas, ["wal", "2", "1", "2"]);
}

#[test]
fn without_a_queue_there_is_nothing_to_read_and_nothing_is_made() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("state");
    assert_eq!(Queue::open_read_only(&folder).unwrap().status().unwrap().records, 0);
    assert!(!folder.exists());
}

#[tokio::test]
async fn l02_rows_that_cannot_be_read_are_set_aside_and_all_others_go_on() {
    let world = World::new(Preset::Balanced);
    for (sequence, user) in ["whole", "state", "record", "sealed", "flips"].iter().enumerate() {
        world.capture(user, sequence as u64 + 1).await;
    }
    let world = change(
        world,
        "UPDATE pw_slot SET state = 99 WHERE user = 'state';
         UPDATE pw_record SET operation = 99
           WHERE slot = (SELECT id FROM pw_slot WHERE user = 'record');
         DELETE FROM pw_sealed WHERE record =
           (SELECT record FROM pw_record JOIN pw_slot ON id = slot WHERE user = 'sealed');
         UPDATE pw_slot SET flips = x'00' WHERE user = 'flips';",
    );
    assert_eq!(world.counts.set_aside.len(), 4, "{:?}", world.counts.set_aside);
    let state = |user| world.slot(user).state;
    assert_eq!(state("whole"), State::Ready);
    assert_eq!((state("state"), state("flips")), (State::Quarantined, State::Quarantined));
    assert_eq!((state("record"), state("sealed")), (State::Empty, State::Empty));
    assert!(world.slot("sealed").high_water.is_some(), "nothing older comes after it");
    assert_eq!(world.records(), 3, "what no slot holds is not kept");
    assert_eq!(world.counts.quarantined, 2);
    let status = world.queue.read().status().unwrap();
    assert_eq!(status.set_aside, 4);
    world.apply(Event::Retry { scope: Scope::User("state".into()) }).await;
    assert_eq!(world.slot("state").state, State::Ready);
}

#[tokio::test]
async fn a_row_that_is_damaged_later_holds_nobody_up() {
    let world = World::new(Preset::Balanced);
    world.capture("broken", 1).await;
    world.capture("whole", 2).await;
    let sql = Connection::open(world.home.path().join("password.db")).unwrap();
    sql.execute_batch("UPDATE pw_slot SET flips = x'00' WHERE user = 'broken'").unwrap();
    drop(sql);
    assert_eq!(world.pick().await.slot, key("whole"));
    assert_eq!(world.queue.tend().await.unwrap().set_aside.len(), 1);
    assert_eq!(world.slot("broken").state, State::Quarantined);
    assert_eq!(world.capture("broken", 3).await.as_str(), "queued");
}
