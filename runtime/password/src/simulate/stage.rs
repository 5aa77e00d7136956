//! A queue, targets as the script describes them, and one worker that always has time: commands
//! flow in, what happened flows out as lines.

mod tell;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{
    Action, AgentSequence, Answer, AttemptId, Capture, Category, EchoToken, Event, Operation,
    Order, PasswordQueue, Reach, RecordId, Slot, SlotKey, State, UserEvent, UserKey, walk,
};
use kakehi_engine::time::Timestamp;

use self::tell::Teller;
use super::script::{Change, Command, Reply, Script, Seen, Verb};

/// For how long a worker is believed to be at it.
const LEASE_SECONDS: u64 = 60;

/// More requests than any story needs at one instant: what goes round for ever is cut.
const REQUESTS_AT_ONCE_MAX: u32 = 1000;

/// Captures are at most so far ahead of the clock (password.md 7.4).
const CLOCK_AHEAD_SECONDS: u64 = 300;

pub(super) fn play(script: Script) -> String {
    let mut stage = Stage::new(&script);
    for (line, command) in script.commands {
        stage.teller.line(&line);
        stage.perform(command);
        stage.work();
        stage.teller.line_ends();
    }
    stage.teller.finish(&stage.queue, stage.now)
}

/// How a target is today.
#[derive(Default)]
struct Target {
    mood: Mood,
    users: BTreeSet<UserKey>,
}

#[derive(Default)]
enum Mood {
    #[default]
    Up,
    Down,
    Errors(Option<UserKey>),
    Refuses,
    Rejects(Category),
}

/// What a target or the worker says next, whatever the mood is.
#[derive(Default)]
struct Replies {
    find: VecDeque<Reply>,
    set: VecDeque<Reply>,
}

/// A password that was delivered: its name, until when it is known again, and by whom it was.
struct Known {
    label: String,
    until: Timestamp,
    used_by: BTreeSet<String>,
}

struct Stage {
    queue: PasswordQueue,
    now: Timestamp,
    targets: BTreeMap<String, Target>,
    replies: Replies,
    captures: u64,
    attempts: u64,
    labels: BTreeMap<RecordId, String>,
    known: BTreeMap<SlotKey, Known>,
    teller: Teller,
}

// === impl Stage ===

impl Stage {
    fn new(script: &Script) -> Self {
        let targets = script.targets.iter().map(|name| (name.clone(), Target::default()));
        let now = Timestamp::from_unix_seconds(0);
        Self {
            queue: PasswordQueue::new(script.policy.clone()),
            now,
            targets: targets.collect(),
            replies: Replies::default(),
            captures: 0,
            attempts: 0,
            labels: BTreeMap::new(),
            known: BTreeMap::new(),
            teller: Teller::new(now),
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Capture { source, user, sequence, seen } => {
                self.capture(source, &user, sequence, seen);
            }
            Command::Target { target, change } => self.change(&target, change),
            Command::Answer { find: true, answer } => self.replies.find.push_back(answer),
            Command::Answer { find: false, answer } => self.replies.set.push_back(answer),
            Command::Arrives { slot, answer } => self.arrives(slot, answer),
            Command::UserEvent { slot, added } => {
                if added && let Some(target) = self.targets.get_mut(slot.target.as_str()) {
                    target.users.insert(slot.user.clone());
                }
                let what = if added { UserEvent::Added } else { UserEvent::Settled };
                self.raise(Event::User { slot, what });
            }
            Command::Advance(by) => self.advance(by),
            Command::Restart => self.restart(),
            Command::Operator { verb, scope } => self.raise(match verb {
                Verb::Retry => Event::Retry { scope },
                Verb::Purge => Event::Purge { scope },
                Verb::Pause => Event::Pause { scope },
                Verb::Resume => Event::Resume { scope },
            }),
            Command::Rename { user, login } => {
                self.raise(Event::Renamed { user: user.into(), login });
            }
            Command::Delete { user } => self.raise(Event::Deleted { user: user.into() }),
            Command::Join { from, to } => {
                self.raise(Event::Joined { from: from.into(), to: to.into() });
            }
            Command::Credential { target } => {
                self.raise(Event::CredentialReloaded { target: target.into() });
            }
        }
    }

    fn capture(&mut self, source: String, user: &str, sequence: u64, seen: Seen) {
        self.captures += 1;
        let Ok(number) = i64::try_from(self.captures) else { return };
        let record = RecordId(number);
        let agent = seen.agent.unwrap_or_else(|| format!("{source}-agent"));
        let label = seen.password.unwrap_or_else(|| format!("password-{number}"));
        let saw_at = Timestamp(self.now.0.saturating_add(seen.clock_seconds.saturating_mul(1000)));
        let latest = self.now.plus(CLOCK_AHEAD_SECONDS);
        let echo = self.comes_back(&source, user, &label, &agent);
        let reach = |target: &String| match () {
            () if *target == source => Reach::Origin,
            () if echo => Reach::Echo,
            () if seen.filtered => Reach::Filtered,
            () => Reach::Deliver,
        };
        let targets = self.targets.keys();
        let targets = targets.map(|name| (name.as_str().into(), reach(name))).collect();
        self.labels.insert(record, label);
        // Whoever was renamed keeps the new name.
        let login = self.login_of(user);
        self.raise(Event::Capture(Capture {
            record,
            order: Order {
                origin: AgentSequence { agent: agent.into(), epoch: 1, sequence },
                captured_at: saw_at.min(latest),
                arrival: self.captures,
            },
            operation: Operation::Change,
            source: source.into(),
            user: user.into(),
            login,
            clamped: saw_at > latest,
            targets,
        }));
    }

    fn login_of(&self, user: &str) -> String {
        let of_user = |(key, _): &(&SlotKey, &Slot)| &*key.user.0 == user;
        let login = self.queue.slots.iter().find(of_user).map(|(_, slot)| slot.login.clone());
        login.filter(|login| !login.is_empty()).unwrap_or_else(|| user.to_owned())
    }

    /// Whether we delivered this password to the system it was captured in. Each agent may bring it
    /// back once.
    fn comes_back(&mut self, source: &str, user: &str, label: &str, agent: &str) -> bool {
        let key = SlotKey { target: source.into(), user: user.into() };
        self.known.get_mut(&key).is_some_and(|known| {
            known.label == label && self.now < known.until && known.used_by.insert(agent.to_owned())
        })
    }

    fn change(&mut self, target: &str, change: Change) {
        let Some(target) = self.targets.get_mut(target) else { return };
        match change {
            Change::Up => target.mood = Mood::Up,
            Change::Down => target.mood = Mood::Down,
            Change::Errors(user) => target.mood = Mood::Errors(user.map(UserKey::from)),
            Change::Refuses => target.mood = Mood::Refuses,
            Change::Rejects(category) => target.mood = Mood::Rejects(category),
            Change::Has(user) => {
                target.users.insert(user.into());
            }
            Change::Lacks(user) => {
                target.users.remove(&UserKey::from(user));
            }
        }
    }

    fn arrives(&mut self, slot: SlotKey, answer: Answer) {
        let held = self.queue.slots.get(&slot);
        let Some((lease, state)) = held.and_then(|held| Some((held.lease?, held.state))) else {
            return;
        };
        let attempt = lease.attempt;
        self.raise(match state {
            State::Finding => Event::Found { slot, attempt, answer },
            _ => {
                let token = self.token(&slot);
                Event::Set { slot, attempt, answer, token }
            }
        });
    }

    /// Everybody picks what there is, until there is nothing.
    fn work(&mut self) {
        for _ in 0..REQUESTS_AT_ONCE_MAX {
            let keys = self.queue.slots.keys();
            let ready = keys.filter(|key| self.queue.pickable(key, self.now)).min().cloned();
            let Some(slot) = ready else { return };
            self.attempts += 1;
            let attempt = AttemptId(self.attempts);
            let lease_until = self.now.plus(LEASE_SECONDS);
            self.raise(Event::Pick { slot, attempt, lease_until });
        }
    }

    /// One event and everything that follows from it at once.
    fn raise(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let done = walk(&mut self.queue, event, self.now);
            self.teller.rows(self.now, &done.rows);
            for action in done.actions {
                self.teller.action(&action);
                events.extend(self.follow(action));
            }
        }
    }

    fn follow(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Find { slot, attempt, login } => {
                let reply = self.replies.find.pop_front();
                let reply = reply.unwrap_or_else(|| Reply::Answer(self.find(&slot)));
                self.teller.looked_up(&slot.target, &login, &reply);
                let Reply::Answer(answer) = reply else { return None };
                Some(Event::Found { slot, attempt, answer })
            }
            Action::Set { slot, attempt, record, unless_delivered } => {
                if unless_delivered && self.was_delivered(&slot, record) {
                    let token = self.token(&slot);
                    self.teller.not_sent_again(&slot);
                    return Some(Event::Set { slot, attempt, answer: Answer::Ok, token });
                }
                let reply = self.replies.set.pop_front();
                let reply = reply.unwrap_or_else(|| Reply::Answer(self.set(&slot)));
                self.teller.sent(&slot, record, &reply);
                let token = self.token(&slot);
                match reply {
                    Reply::Answer(answer) => Some(Event::Set { slot, attempt, answer, token }),
                    Reply::Nothing => None,
                    Reply::Unopened => {
                        let reason = "the script says so".into();
                        Some(Event::Unopened { slot, attempt, reason })
                    }
                }
            }
            Action::StoreEcho { slot, until, .. } => {
                let record = self.queue.slots.get(&slot).and_then(|held| held.record.as_ref());
                let record = record.map(|record| record.id).or(self.teller.last_sent(&slot));
                let label = self.labels.get(&record?)?.clone();
                self.known.insert(slot, Known { label, until, used_by: BTreeSet::new() });
                None
            }
            Action::Wake { target } => Some(Event::Recovered { target }),
            _ => None,
        }
    }

    fn was_delivered(&self, slot: &SlotKey, record: RecordId) -> bool {
        let label = self.labels.get(&record);
        self.known
            .get(slot)
            .is_some_and(|known| Some(&known.label) == label && self.now < known.until)
    }

    /// Stands for the digest of what is sent: only whether there is one matters here.
    fn token(&self, slot: &SlotKey) -> Option<EchoToken> {
        let record = self.queue.slots.get(slot)?.record.as_ref()?;
        let mut token = [0; 32];
        token[..8].copy_from_slice(&record.id.0.to_be_bytes());
        Some(EchoToken(token))
    }

    fn find(&self, slot: &SlotKey) -> Answer {
        let Some(target) = self.target(&slot.target) else { return Answer::NotFound };
        match &target.mood {
            Mood::Down => Answer::Unavailable { retry_after: None, server_error: false },
            Mood::Errors(None) => Answer::Unavailable { retry_after: None, server_error: true },
            Mood::Refuses => Answer::Refused,
            _ if target.users.contains(&slot.user) => Answer::Ok,
            _ => Answer::NotFound,
        }
    }

    fn set(&self, slot: &SlotKey) -> Answer {
        match self.target(&slot.target).map(|target| &target.mood) {
            Some(Mood::Rejects(category)) => Answer::Rejected(*category),
            Some(Mood::Errors(Some(user))) if *user == slot.user => {
                Answer::Unavailable { retry_after: None, server_error: true }
            }
            _ => self.find(slot),
        }
    }

    fn target(&self, name: &ConnectorName) -> Option<&Target> {
        self.targets.get(name.as_str())
    }

    fn advance(&mut self, by: Duration) {
        let until = self.now.plus(by.as_secs());
        while let Some(due) = self.next_due().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let over = |slot: &Slot| slot.due.is_some_and(|due| due <= self.now);
            let slots = self.queue.slots.iter().filter(|(_, slot)| over(slot));
            let slots: Vec<SlotKey> = slots.map(|(key, _)| key.clone()).collect();
            for slot in slots {
                self.raise(Event::Due { slot });
            }
            self.work();
        }
        self.now = until;
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.queue.slots.values().filter_map(|slot| slot.due).min()
    }

    /// Nothing is known any more but what is stored.
    fn restart(&mut self) {
        self.queue.targets.clear();
        let flying = self.queue.slots.iter().filter(|(_, slot)| slot.state.in_flight());
        let flying: Vec<SlotKey> = flying.map(|(key, _)| key.clone()).collect();
        for slot in flying {
            self.raise(Event::Restarted { slot });
        }
    }
}
