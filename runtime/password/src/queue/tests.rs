//! A queue in a folder of its own, with a clock that stands until it is moved.

mod acknowledged;
mod bounds;
mod crash;
mod damaged;
mod erased;
mod mails;
mod model;
mod rows;
mod waiting;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{
    Acknowledgement, Action, AgentSequence, Answer, Category, Event, Operation, Policy, Preset,
    Reach, RecordId, Slot, SlotKey, UserKey,
};
use kakehi_engine::time::Timestamp;

use super::{Arrived, Picked, Queue, QueueOptions, StartCounts};
use crate::door::Clock;
use crate::mail::Audience;

pub(super) const LEASE: Duration = Duration::from_secs(60);

pub(super) struct StandingClock(AtomicI64);

impl StandingClock {
    pub(super) fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub(super) fn clock() -> Arc<StandingClock> {
    Arc::new(StandingClock(AtomicI64::new(1_775_000_000_000)))
}

pub(super) fn options(folder: &Path, policy: Policy) -> QueueOptions {
    QueueOptions {
        folder: folder.to_owned(),
        policy,
        records_max: 1000,
        bytes_max: 1_000_000,
        targets: ["cloud".into(), "wiki".into()].into(),
        audience: Audience::default(),
    }
}

pub(super) struct World {
    pub clock: Arc<StandingClock>,
    pub queue: Queue,
    pub counts: StartCounts,
    pub policy: Policy,
    pub home: tempfile::TempDir,
}

impl World {
    pub(super) fn new(preset: Preset) -> Self {
        Self::with(Policy::preset(preset, Some(60)), |_| ())
    }

    pub(super) fn with(policy: Policy, change: impl FnOnce(&mut QueueOptions)) -> Self {
        let home = tempfile::tempdir().expect("a folder for the test");
        let clock = clock();
        let mut options = options(home.path(), policy.clone());
        change(&mut options);
        let (queue, counts) = Queue::open(options, clock.clone()).expect("a new queue");
        Self { clock, queue, counts, policy, home }
    }

    /// Ends the process, as far as the queue can tell, and starts the next one.
    pub(super) fn restart(self) -> Self {
        let Self { clock, queue, policy, home, .. } = self;
        drop(queue);
        let options = options(home.path(), policy.clone());
        let (queue, counts) = Queue::open(options, clock.clone()).expect("the queue is there");
        Self { clock, queue, counts, policy, home }
    }

    pub(super) async fn capture(&self, user: &str, sequence: u64) -> Acknowledgement {
        let arrived = self.arrived(user, sequence);
        self.queue.capture(arrived).await.expect("there is room").acknowledgement
    }

    pub(super) fn arrived(&self, user: &str, sequence: u64) -> Arrived {
        arrived(user, sequence, self.clock.now())
    }

    /// Takes the oldest slot of the cloud, which must be there.
    pub(super) async fn pick(&self) -> Picked {
        let mut picked = self.queue.pick(&"cloud".into(), 1, LEASE).await.expect("a queue");
        picked.pop().expect("a slot is ready")
    }

    /// Lets the target answer request 1 well and request 2 as told. Gives what follows.
    pub(super) async fn answered(&self, picked: &Picked, answer: Answer) -> Vec<Action> {
        let Picked { slot, attempt, .. } = picked.clone();
        let found = Event::Found { slot: slot.clone(), attempt, answer: Answer::Ok };
        self.apply(found).await;
        self.apply(Event::Set { slot, attempt, answer, token: None }).await
    }

    pub(super) async fn apply(&self, event: Event) -> Vec<Action> {
        self.queue.apply(event).await.expect("a queue")
    }

    pub(super) fn slot(&self, user: &str) -> Slot {
        let slot = self.queue.read().slot(&key(user)).expect("a queue");
        slot.unwrap_or_default()
    }

    pub(super) fn sealed(&self, record: RecordId) -> Option<Vec<u8>> {
        self.queue.sealed(record).expect("a queue")
    }

    /// Records that are sealed.
    pub(super) fn records(&self) -> u64 {
        self.queue.read().status().expect("a queue").records
    }
}

pub(super) fn arrived(user: &str, sequence: u64, captured_at: Timestamp) -> Arrived {
    let targets: BTreeMap<ConnectorName, Reach> = [("cloud".into(), Reach::Deliver)].into();
    Arrived {
        sealed: marker(user, sequence),
        kid: *b"key-0001",
        origin: AgentSequence { agent: "dc1".into(), epoch: 1, sequence },
        captured_at,
        operation: Operation::Change,
        source: "ad".into(),
        user: UserKey::from(user),
        login: user.to_owned(),
        clamped: false,
        targets,
        echo: None,
    }
}

/// Stands for a ciphertext: it can be searched for, and it is as long as some are; every fifth is
/// longer.
pub(super) fn marker(user: &str, sequence: u64) -> Vec<u8> {
    let mut bytes = format!("<ciphertext {user} {sequence}>").into_bytes();
    let longest = if sequence.is_multiple_of(5) { 7900 } else { 700 };
    let filler = (sequence.wrapping_mul(37) % longest) as usize + 120;
    bytes.extend((0..filler).map(|i| (i as u64).wrapping_mul(sequence | 1) as u8));
    bytes
}

pub(super) fn key(user: &str) -> SlotKey {
    SlotKey { target: "cloud".into(), user: UserKey::from(user) }
}

pub(super) fn rejected() -> Answer {
    Answer::Rejected(Category::TooShort)
}

pub(super) fn unavailable() -> Answer {
    Answer::Unavailable { retry_after: None, server_error: false }
}
