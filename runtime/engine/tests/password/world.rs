//! Everything that exists, and what the state machine asks for carried out.
//!
//! The queue, the sealed records, the audit and the echo tokens survive a crash; workers, requests
//! and what is known of the health of targets do not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{
    Action, AgentSequence, Answer, AttemptId, Capture, EchoToken, Event, Operation, Order,
    PasswordQueue, Policy, Reach, RecordId, SlotKey, State, UserKey, walk,
};
use kakehi_engine::time::Timestamp;

use crate::random::Random;
use crate::server::{Password, Server};
use crate::watch::Watch;

pub const PEOPLE: [&str; 3] = ["p0", "p1", "p2"];
/// Two directories that tell each other, and a service that only takes.
pub const TARGETS: [&str; 3] = ["corp", "branch", "cloud"];
/// Name, directory, how far its clock is off in seconds.
pub const AGENTS: [(&str, &str, i64); 3] =
    [("dc1", "corp", 0), ("dc2", "corp", 400), ("ldap1", "branch", -100)];

const LEASE_SECONDS: u64 = 60;
const CLOCK_AHEAD_SECONDS: u64 = 300;
const CRASH_ONCE_IN: u32 = 80;
/// A slot that is due again at once, again and again, would keep a real process busy for nothing.
const DUE_ROUNDS_MAX: u32 = 50;

pub type Result = std::result::Result<(), String>;

pub struct Told {
    pub person: &'static str,
    pub user: UserKey,
    pub password: Password,
    pub origin: AgentSequence,
    pub captured_at: Timestamp,
    pub source: &'static str,
}

enum Work {
    Find,
    Set { record: RecordId, unless_delivered: bool },
}

struct Job {
    slot: SlotKey,
    attempt: AttemptId,
    deadline: Timestamp,
    work: Work,
}

struct Token {
    password: Password,
    until: Timestamp,
    used_by: BTreeSet<String>,
}

pub struct World {
    pub queue: PasswordQueue,
    pub now: Timestamp,
    pub random: Random,
    pub servers: BTreeMap<&'static str, Server>,
    pub spool: Vec<Told>,
    /// Nobody may send this one's password to the cloud.
    pub filtered: bool,
    /// It is known who the alias is: what still comes under it is kept under the person's key.
    pub resolved: bool,
    pub unopenable: BTreeSet<RecordId>,
    /// Nothing goes wrong any more.
    pub calm: bool,
    pub watch: Watch,
    pub told: Vec<String>,
    /// Whose password at a target was taken away since it was last set.
    pub reset: BTreeSet<(&'static str, &'static str)>,
    records: BTreeMap<RecordId, Password>,
    origins: BTreeMap<AgentSequence, Vec<RecordId>>,
    tokens: BTreeMap<(&'static str, &'static str), Token>,
    jobs: Vec<Job>,
    numbers: u64,
    sequences: [u64; AGENTS.len()],
}

// === impl World ===

impl World {
    pub fn new(policy: Policy, random: Random) -> Self {
        Self {
            queue: PasswordQueue::new(policy),
            now: Timestamp::from_unix_seconds(1_000_000),
            random,
            servers: TARGETS.map(|name| (name, Server::new())).into(),
            spool: vec![],
            filtered: false,
            resolved: false,
            unopenable: BTreeSet::new(),
            calm: false,
            watch: Watch::default(),
            told: vec![],
            reset: BTreeSet::new(),
            records: BTreeMap::new(),
            origins: BTreeMap::new(),
            tokens: BTreeMap::new(),
            jobs: vec![],
            numbers: 0,
            sequences: [0; AGENTS.len()],
        }
    }

    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Most people take a new password, some one that they had.
    pub fn fresh_or_old(&mut self, person: &str) -> Password {
        let held = self.servers.values().filter_map(|server| server.people.get(person).copied());
        let held: Vec<Password> = held.flatten().collect();
        match held.is_empty() || !self.random.once_in(4) {
            true => self.number() as Password,
            false => self.random.choose(&held),
        }
    }

    /// A password changes in a directory, and an agent sees it there.
    pub fn change(&mut self, agent: usize, person: &'static str, user: UserKey, to: Password) {
        let (name, source, skew) = AGENTS[agent];
        if let Some(server) = self.servers.get_mut(source) {
            server.people.insert(person, Some(to));
        }
        self.sequences[agent] += 1;
        let origin =
            AgentSequence { agent: name.into(), epoch: 1, sequence: self.sequences[agent] };
        let captured_at = Timestamp(self.now.0 + skew * 1000);
        self.told.push(format!("{name} sees {user} take {to}, its {}.", self.sequences[agent]));
        self.spool.push(Told { person, user, password: to, origin, captured_at, source });
    }

    /// An agent tells a capture; it keeps it until it is answered.
    pub fn intake(&mut self, at: usize) -> Result {
        let (id, arrival) = (RecordId(self.number() as i64), self.number());
        let told = &self.spool[at];
        let latest = self.now.plus(CLOCK_AHEAD_SECONDS);
        let (person, password, source) = (told.person, told.password, told.source);
        let captured_at = told.captured_at.min(latest);
        let order = Order { origin: told.origin.clone(), captured_at, arrival };
        let echo = self.tokens.get(&(source, person)).is_some_and(|token| {
            token.password == password
                && self.now < token.until
                && !token.used_by.contains(&*told.origin.agent)
        });
        let filtered = self.filtered && person == PEOPLE[1];
        let reach = |target: &str| match () {
            () if target == source => Reach::Origin,
            () if echo => Reach::Echo,
            () if filtered && target == "cloud" => Reach::Filtered,
            () => Reach::Deliver,
        };
        let capture = Capture {
            record: id,
            order: order.clone(),
            operation: Operation::Change,
            source: source.into(),
            user: if self.resolved { user_of(person) } else { told.user.clone() },
            login: person.into(),
            clamped: told.captured_at > latest,
            targets: TARGETS.map(|target| (target.into(), reach(target))).into(),
        };
        self.records.insert(id, password);
        self.origins.entry(order.origin.clone()).or_default().push(id);
        if self.commit(Event::Capture(capture))? {
            self.spool.remove(at);
            if let Some(token) = self.tokens.get_mut(&(source, person)).filter(|_| echo) {
                token.used_by.insert(order.origin.agent.to_string());
            }
        }
        Ok(())
    }

    pub fn pick(&mut self, slot: SlotKey) -> Result {
        let attempt = AttemptId(self.number());
        let lease_until = self.now.plus(LEASE_SECONDS);
        self.commit(Event::Pick { slot, attempt, lease_until }).map(drop)
    }

    pub fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// A worker goes on with what it has to do.
    pub fn work(&mut self) -> Result {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.jobs.len() as u32) as usize;
        let Job { slot, attempt, deadline, work } = self.jobs.swap_remove(at);
        if self.now >= deadline {
            // Its slot is believed to be free already.
            return Ok(());
        }
        match work {
            Work::Find => {
                let answer = self.server(&slot).find(person_of(&slot.user));
                if !self.calm && self.random.once_in(15) {
                    return Ok(());
                }
                self.commit(Event::Found { slot, attempt, answer }).map(drop)
            }
            Work::Set { record, .. } if self.unopenable.contains(&record) => {
                let reason = "the key is not here".into();
                self.commit(Event::Unopened { slot, attempt, reason }).map(drop)
            }
            Work::Set { record, unless_delivered } => {
                self.set(slot, attempt, deadline, record, unless_delivered)
            }
        }
    }

    fn set(
        &mut self,
        slot: SlotKey,
        attempt: AttemptId,
        deadline: Timestamp,
        record: RecordId,
        unless_delivered: bool,
    ) -> Result {
        let (person, target) = (person_of(&slot.user), target_of(&slot.target));
        let password = self.records[&record];
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&password.to_le_bytes());
        let token = Some(EchoToken(bytes));
        let last = self.tokens.get(&(target, person));
        let known = last.is_some_and(|last| last.password == password && self.now < last.until);
        if unless_delivered && known {
            return self.commit(Event::Set { slot, attempt, answer: Answer::Ok, token }).map(drop);
        }
        let grace = self.queue.policy.uncertain_grace.as_millis() as i64;
        let late_by = i64::from(self.random.below(grace as u32 - 1));
        let fate = if self.calm { 9 } else { self.random.below(10) };
        let answer = match self.server(&slot).judge(person, password) {
            Answer::Ok => match fate {
                0 | 1 => {
                    self.apply(target, person, password);
                    Answer::Uncertain
                }
                2 => {
                    self.late(target, person, password, self.now.0 + late_by);
                    Answer::Uncertain
                }
                3 => Answer::Uncertain,
                // No answer: the lease ends, or the process before that.
                4 => {
                    self.late(target, person, password, deadline.0 + late_by);
                    return Ok(());
                }
                5 if late_by % 2 == 0 => {
                    self.late(target, person, password, self.now.0 + late_by);
                    return self.crash();
                }
                _ => {
                    self.apply(target, person, password);
                    Answer::Ok
                }
            },
            Answer::Unavailable { .. } if fate == 0 => Answer::Uncertain,
            other => other,
        };
        self.commit(Event::Set { slot, attempt, answer, token }).map(drop)
    }

    fn server(&self, slot: &SlotKey) -> &Server {
        &self.servers[target_of(&slot.target)]
    }

    fn late(&mut self, target: &str, person: &'static str, password: Password, at: i64) {
        if let Some(server) = self.servers.get_mut(target) {
            server.late.push((Timestamp(at), person, password));
        }
    }

    /// A server sets a password; a directory's agent sees that as any other change.
    fn apply(&mut self, target: &'static str, person: &'static str, password: Password) {
        let Some(server) = self.servers.get_mut(target) else { return };
        let Some(held) = server.people.get_mut(person) else { return };
        *held = Some(password);
        self.reset.remove(&(target, person));
        self.told.push(format!("{target} sets {password} for {person}"));
        if let Some(agent) = AGENTS.iter().position(|(_, directory, _)| *directory == target) {
            self.change(agent, person, user_of(person), password);
        }
    }

    /// One event, one transaction. Gives whether the process lived on to do what follows.
    pub fn commit(&mut self, event: Event) -> std::result::Result<bool, String> {
        let before = self.queue.clone();
        let done = walk(&mut self.queue, event.clone(), self.now);
        let rows: Vec<u8> = done.rows.iter().map(|row| row.number).collect();
        self.told.push(format!("{} {event:?} {rows:?} {:?}", self.now.0, done.actions));
        self.watch.step(&event, &before, &self.queue, &done, self.now)?;
        for action in &done.actions {
            if let Action::StoreEcho { slot, token, until } = action {
                let [a, b, c, d, ..] = token.0;
                let password = Password::from_le_bytes([a, b, c, d]);
                let token = Token { password, until: *until, used_by: BTreeSet::new() };
                self.tokens.insert((target_of(&slot.target), person_of(&slot.user)), token);
            }
        }
        if !self.calm && self.random.once_in(CRASH_ONCE_IN) {
            self.crash()?;
            return Ok(false);
        }
        self.perform(done.actions)?;
        Ok(true)
    }

    fn perform(&mut self, actions: Vec<Action>) -> Result {
        for action in actions {
            let (slot, attempt, work) = match action {
                Action::Find { slot, attempt, .. } => (slot, attempt, Work::Find),
                Action::Set { slot, attempt, record, unless_delivered } => {
                    (slot, attempt, Work::Set { record, unless_delivered })
                }
                Action::Wake { target } => {
                    self.commit(Event::Recovered { target })?;
                    continue;
                }
                Action::SetInitialPassword { slot } => {
                    let (target, person) = (target_of(&slot.target), person_of(&slot.user));
                    let password = self.number() as Password;
                    self.apply(target, person, password);
                    self.reset.insert((target, person));
                    continue;
                }
                _ => continue,
            };
            let lease = self.queue.slots.get(&slot).and_then(|held| held.lease);
            let deadline = lease.map_or(self.now, |lease| lease.deadline);
            self.jobs.push(Job { slot, attempt, deadline, work });
        }
        Ok(())
    }

    /// The process dies and comes back.
    pub fn crash(&mut self) -> Result {
        self.told.push("the process begins anew".into());
        self.jobs.clear();
        self.queue.targets.clear();
        self.watch.restarted();
        let flying = self.queue.slots.iter().filter(|(_, slot)| slot.state.in_flight());
        let flying: Vec<SlotKey> = flying.map(|(key, _)| key.clone()).collect();
        for slot in flying {
            self.commit(Event::Restarted { slot })?;
        }
        Ok(())
    }

    /// Time passes, and whatever falls due within it happens.
    pub fn advance(&mut self, by: Duration) -> Result {
        let until = Timestamp(self.now.0 + by.as_millis() as i64);
        let mut at_once = 0;
        loop {
            let dues = self.queue.slots.values().filter_map(|slot| slot.due);
            let lates = self.servers.values().flat_map(|server| &server.late);
            let next = dues.chain(lates.map(|(at, ..)| *at)).min();
            let next = next.filter(|next| *next <= until).unwrap_or(until).max(self.now);
            at_once = if next == self.now { at_once + 1 } else { 0 };
            if at_once > DUE_ROUNDS_MAX {
                return Err("a slot is due at once, for ever".into());
            }
            self.now = next;
            self.land();
            let due = self
                .queue
                .slots
                .iter()
                .filter(|(_, slot)| slot.due.is_some_and(|due| due <= self.now));
            let due: Vec<SlotKey> = due.map(|(key, _)| key.clone()).collect();
            if due.is_empty() && self.now == until {
                return Ok(());
            }
            for slot in due {
                self.commit(Event::Due { slot })?;
            }
        }
    }

    fn land(&mut self) {
        for target in TARGETS {
            let Some(server) = self.servers.get_mut(target) else { continue };
            let (mut landing, waiting): (Vec<_>, Vec<_>) =
                server.late.drain(..).partition(|(at, ..)| *at <= self.now);
            server.late = waiting;
            landing.sort();
            for (_, person, password) in landing {
                self.apply(target, person, password);
            }
        }
    }

    /// The password of the newest capture that was decided on for a slot, if it was delivered.
    pub fn newest_delivered(&self, key: &SlotKey) -> Option<Password> {
        let order = self.queue.slots.get(key)?.high_water.as_ref()?;
        let records = self.origins.get(&order.origin)?;
        let delivered = records.iter().find(|record| self.watch.was_delivered(key, **record))?;
        self.records.get(delivered).copied()
    }

    pub fn live_records(&self) -> Vec<RecordId> {
        let of = |slot: &kakehi_engine::password::Slot| slot.record.as_ref().map(|held| held.id);
        self.queue.slots.values().filter_map(of).collect()
    }

    pub fn pickable(&self) -> Vec<SlotKey> {
        let keys = self.queue.slots.keys();
        keys.filter(|key| self.queue.pickable(key, self.now)).cloned().collect()
    }

    pub fn at_rest(&self) -> bool {
        let empty = self.queue.slots.values().all(|slot| slot.state == State::Empty);
        empty && self.spool.is_empty() && self.servers.values().all(|server| server.late.is_empty())
    }
}

/// The key of a person; `alias_of` is what one is called before it is resolved.
pub fn user_of(person: &str) -> UserKey {
    person.into()
}

pub fn alias_of(person: &str) -> UserKey {
    format!("name:{person}").into()
}

pub fn person_of(user: &UserKey) -> &'static str {
    let person = PEOPLE.into_iter().find(|person| user.0.ends_with(person));
    person.expect("a user is one of the people")
}

pub fn target_of(target: &ConnectorName) -> &'static str {
    let known = TARGETS.into_iter().find(|known| *known == target.as_str());
    known.expect("a target is one of the targets")
}
