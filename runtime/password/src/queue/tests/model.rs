//! The queue in its tables does what the state machine does with all slots in memory: every event
//! finds the slots that it speaks of, and nothing is lost between two of them.

use std::collections::BTreeSet;

use kakehi_engine::password::{
    Capture, NotFound, Order, PasswordQueue, Scope, State, UserEvent, step,
};
use proptest::collection;
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};

use super::*;
use crate::queue::ListFilter;

/// Targets and users of the small world, by number.
const TARGETS: [&str; 2] = ["cloud", "wiki"];
const USERS: [&str; 4] = ["a", "b", "c", "d"];

/// What happens next, and three numbers that say to whom and how.
type Move = (u8, u8, u8, u8);

struct Pair {
    world: Option<World>,
    model: PasswordQueue,
    arrivals: u64,
    attempts: Vec<Picked>,
}

fn policy(number: u8) -> Policy {
    let preset = [Preset::Balanced, Preset::Counted, Preset::Evented][usize::from(number % 3)];
    let policy = Policy::preset(preset, Some(60));
    let not_found = NotFound { drop: number.is_multiple_of(2), ..policy.not_found.clone() };
    let mut policy = Policy { pause_freezes_expiry: number > 127, not_found, ..policy };
    policy.rejected.max = Some(2);
    policy
}

fn answer(number: u8) -> Answer {
    match number % 8 {
        0..=2 => Answer::Ok,
        3 => rejected(),
        4 => Answer::NotFound,
        5 => Answer::Uncertain,
        6 => Answer::Refused,
        _ => Answer::Unavailable { retry_after: None, server_error: number > 127 },
    }
}

fn scope(a: u8, b: u8, c: u8) -> Scope {
    match a % 4 {
        0 => Scope::All,
        1 => Scope::Target(target(b)),
        2 => Scope::User(user(c)),
        _ => Scope::Slot(slot(b, c)),
    }
}

fn target(number: u8) -> ConnectorName {
    TARGETS[usize::from(number) % TARGETS.len()].into()
}

fn user(number: u8) -> UserKey {
    USERS[usize::from(number) % USERS.len()].into()
}

fn slot(target_number: u8, user_number: u8) -> SlotKey {
    SlotKey { target: target(target_number), user: user(user_number) }
}

/// What must be alike. When a ready slot is looked at again hangs on the health of its target the
/// last time that an event spoke of the slot; of the slots in memory, some speak of more than meant.
fn essence(slot: &Slot) -> Slot {
    let unsure = slot.state == State::Ready && slot.retry_at.is_none();
    Slot { due: slot.due.filter(|_| !unsure), ..slot.clone() }
}

// === impl Pair ===

impl Pair {
    fn new(policy: Policy) -> Self {
        let model = PasswordQueue::new(policy.clone());
        let world = Some(World::with(policy, |_| ()));
        Self { world, model, arrivals: 0, attempts: vec![] }
    }

    fn world(&self) -> &World {
        self.world.as_ref().expect("it is away only during a restart")
    }

    fn now(&self) -> Timestamp {
        self.world().clock.now()
    }

    async fn go(&mut self, (what, a, b, c): Move) {
        match what % 16 {
            0..=3 => self.capture(a, b, c).await,
            4..=5 => self.pick(a, b).await,
            6..=9 => self.answer(a, b).await,
            10 => {
                let event = Event::User {
                    slot: slot(a, b),
                    what: if c > 127 { UserEvent::Added } else { UserEvent::Settled },
                };
                self.both(event).await;
            }
            11 => {
                let event = match a % 3 {
                    0 => Event::Renamed { user: user(b), login: format!("login{c}") },
                    1 => Event::Deleted { user: user(b) },
                    _ => Event::Joined { from: user(b), to: user(c) },
                };
                self.both(event).await;
            }
            12 => {
                let scope = scope(b, c, a / 4);
                let event = match a % 4 {
                    0 => Event::Retry { scope },
                    1 => Event::Purge { scope },
                    2 => Event::Pause { scope },
                    _ => Event::Resume { scope },
                };
                self.both(event).await;
            }
            13 => {
                let event = match a % 2 {
                    0 => Event::Recovered { target: target(b) },
                    _ => Event::CredentialReloaded { target: target(b) },
                };
                self.both(event).await;
            }
            14 => self.tend(i64::from(a) * i64::from(b % 32)).await,
            _ => self.restart(),
        }
    }

    async fn both(&mut self, event: Event) {
        let actions = self.world().apply(event.clone()).await;
        let now = self.now();
        let expected = step(&mut self.model, event.clone(), now);
        assert_eq!(actions, expected, "{event:?}");
    }

    async fn capture(&mut self, a: u8, b: u8, c: u8) {
        self.arrivals += 1;
        let name = user(a);
        let mut arrived = arrived(&name.0, u64::from(c) + 1, self.now().minus(u64::from(b) * 9));
        arrived.origin.agent = if b > 127 { "dc1" } else { "dc2" }.into();
        let reach = [Reach::Deliver, Reach::Deliver, Reach::Filtered, Reach::Origin];
        arrived.targets = [("cloud".into(), Reach::Deliver)].into();
        if c.is_multiple_of(2) {
            arrived.targets.insert("wiki".into(), reach[usize::from(b) % 4]);
        }
        let captured = self.world().queue.capture(arrived.clone()).await.expect("there is room");
        let Arrived { origin, captured_at, operation, source, user, login, clamped, .. } = arrived;
        let event = Event::Capture(Capture {
            record: RecordId(self.arrivals.cast_signed()),
            order: Order { origin, captured_at, arrival: self.arrivals },
            operation,
            source,
            user,
            login,
            clamped,
            targets: arrived.targets,
        });
        let now = self.now();
        assert_eq!(captured.actions, step(&mut self.model, event, now));
    }

    async fn pick(&mut self, a: u8, b: u8) {
        let (target, limit) = (target(a), usize::from(b % 3) + 1);
        let picked = self.world().queue.pick(&target, limit, LEASE).await.expect("a queue");
        let now = self.now();
        for Picked { slot, attempt, .. } in &picked {
            let lease_until = now.plus(LEASE.as_secs());
            let event = Event::Pick { slot: slot.clone(), attempt: *attempt, lease_until };
            let actions = step(&mut self.model, event, now);
            assert!(matches!(&actions[..], [Action::Find { .. }]), "{actions:?}");
        }
        let left = self.model.slots.keys().filter(|key| key.target == target);
        let left = left.filter(|key| self.model.pickable(key, now)).count();
        assert!(picked.len() == limit || left == 0, "{left} were left");
        self.attempts.extend(picked);
    }

    async fn answer(&mut self, a: u8, b: u8) {
        if self.attempts.is_empty() {
            return;
        }
        // Answers may come twice, and to attempts that are long over.
        let index = usize::from(a) % self.attempts.len();
        let Picked { slot, attempt, .. } = self.attempts[index].clone();
        let held = |state| {
            let of = |slot: &Slot| slot.lease.is_some_and(|lease| lease.attempt == attempt);
            self.model.slots.values().any(|slot| slot.state == state && of(slot))
        };
        let event = if held(State::Setting) {
            Event::Set { slot, attempt, answer: answer(b), token: None }
        } else if b == 255 {
            Event::Unopened { slot, attempt, reason: "as the test wants it".into() }
        } else {
            Event::Found { slot, attempt, answer: answer(b) }
        };
        self.both(event).await;
    }

    async fn tend(&mut self, seconds: i64) {
        self.world().clock.forward(seconds);
        self.world().queue.tend().await.expect("a queue");
        self.due();
    }

    /// Lets the model do what is due now, in the order of time.
    fn due(&mut self) {
        let now = self.now();
        let mut due: Vec<_> = self.model.slots.iter().collect();
        due.retain(|(_, slot)| slot.due.is_some_and(|due| due <= now));
        due.sort_by_key(|(_, slot)| slot.due);
        let due: Vec<SlotKey> = due.into_iter().map(|(key, _)| key.clone()).collect();
        for slot in due {
            step(&mut self.model, Event::Due { slot }, now);
        }
    }

    fn restart(&mut self) {
        self.world = self.world.take().map(World::restart);
        let now = self.now();
        // Who is well and who is not is asked anew.
        self.model.targets.clear();
        let flying = self.model.slots.iter().filter(|(_, slot)| slot.state.in_flight());
        let flying: Vec<SlotKey> = flying.map(|(key, _)| key.clone()).collect();
        for slot in flying {
            step(&mut self.model, Event::Restarted { slot }, now);
        }
        self.due();
    }

    fn compare(&self) {
        let everything = ListFilter { empty: true, ..ListFilter::default() };
        let listed = self.world().queue.read().list(&everything, None, 1000).expect("a queue");
        let stored: BTreeMap<SlotKey, Slot> =
            listed.into_iter().map(|listed| (listed.key, listed.slot)).collect();
        let mut expected = self.model.slots.clone();
        expected.retain(|key, slot| *slot != Slot::default() || stored.contains_key(key));
        let keys = |slots: &BTreeMap<SlotKey, Slot>| slots.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&stored), keys(&expected));
        for (key, slot) in &stored {
            assert_eq!(essence(slot), essence(&expected[key]), "{key:?}");
        }
        let held = stored.values().flat_map(|slot| slot.record.iter().chain(&slot.next));
        let held: BTreeSet<RecordId> = held.map(|record| record.id).collect();
        for record in &held {
            assert!(self.world().sealed(*record).is_some(), "{record:?} has no ciphertext");
        }
        assert_eq!(self.world().records(), held.len() as u64, "no other ciphertext is kept");
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    collection::vec(any::<Move>(), 1..90)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn i01_i03_the_tables_do_what_the_state_machine_does(preset in any::<u8>(), moves in moves()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new(policy(preset));
            for one in moves {
                pair.go(one).await;
                pair.compare();
            }
        });
    }
}
