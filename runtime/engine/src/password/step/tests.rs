//! Every row of the transition table, told as short scripts: commands flow in, a line for each
//! flows out with the rows it took, where the slot stands and what follows.

mod flight;
mod hold;
mod rules;
mod take;

use std::time::Duration;

use expect_test::Expect;

use super::walk;
use crate::object::ConnectorName;
use crate::password::{
    Acknowledgement, Action, AgentSequence, Answer, AttemptId, Capture, Category, EchoToken, Event,
    Operation, Order, PasswordQueue, Policy, Preset, Reach, RecordId, Scope, SlotKey, UserEvent,
    UserKey,
};
use crate::time::Timestamp;

/// Where a line of what is told is broken.
const LINE_CHARS_MAX: usize = 80;

const TARGET: &str = "cloud";
const USER: &str = "taro";

/// Plays a script and compares what it tells.
///
/// Commands are separated by `;`. `capture [agent] [sequence]` numbers itself where no sequence is
/// given; `at -300` before it moves its clock. `+90` lets so many seconds pass.
fn check(policy: Policy, script: &str, expected: &Expect) {
    expected.assert_eq(&tell(policy, script));
}

fn tell(policy: Policy, script: &str) -> String {
    let mut stage = Stage::new(policy);
    let commands = script.split(';').map(str::trim).filter(|command| !command.is_empty());
    commands.map(|command| stage.play(command)).collect()
}

struct Stage {
    queue: PasswordQueue,
    now: Timestamp,
    captures: u64,
    attempts: u64,
    /// By which the next capture's clock is off, in seconds.
    clock: i64,
    user: &'static str,
}

// === impl Stage ===

impl Stage {
    fn new(policy: Policy) -> Self {
        Self {
            queue: PasswordQueue::new(policy),
            now: Timestamp::from_unix_seconds(1_000_000),
            captures: 0,
            attempts: 0,
            clock: 0,
            user: USER,
        }
    }

    fn key(&self) -> SlotKey {
        SlotKey { target: TARGET.into(), user: self.user.into() }
    }

    fn play(&mut self, command: &str) -> String {
        if let Some(seconds) = command.strip_prefix('+') {
            self.now = self.now.plus(seconds.parse().unwrap());
            return String::new();
        }
        if let Some(seconds) = command.strip_prefix("at ") {
            self.clock = seconds.parse().unwrap();
            return String::new();
        }
        if let Some(user) = command.strip_prefix("as ") {
            self.user = if user == "jiro" { "jiro" } else { USER };
            return String::new();
        }
        let event = self.event(command);
        let key = self.key();
        let done = walk(&mut self.queue, event, self.now);
        let rows: Vec<String> = done.rows.iter().map(|row| format!("T{:02}", row.number)).collect();
        let state = self.queue.slots.get(&key).map_or("-", |slot| slot.state.as_str());
        let due = self.queue.slots.get(&key).and_then(|slot| slot.due);
        let due = due.map_or(String::new(), |due| {
            format!(" due +{}", (due.0 - self.now.0).div_euclid(1000))
        });
        let actions: Vec<String> = done.actions.iter().map(word).collect();
        let rows = if rows.is_empty() { "-".into() } else { rows.join("+") };
        let (line, actions) = (format!("{command}: {rows} {state}{due}"), actions.join(", "));
        match (actions.is_empty(), line.len() + actions.len() > LINE_CHARS_MAX) {
            (true, _) => format!("{line}\n"),
            (_, true) => format!("{line}\n    {actions}\n"),
            (_, false) => format!("{line}: {actions}\n"),
        }
    }

    fn event(&mut self, command: &str) -> Event {
        let words: Vec<&str> = command.split_whitespace().collect();
        let (slot, attempt) = (self.key(), AttemptId(self.attempts));
        match words[0] {
            "capture" => self.capture(&words[1..], Reach::Deliver),
            "echo" => self.capture(&words[1..], Reach::Echo),
            "filtered" => self.capture(&words[1..], Reach::Filtered),
            "origin" => self.capture(&words[1..], Reach::Origin),
            "pick" => {
                self.attempts += 1;
                let attempt = AttemptId(self.attempts);
                Event::Pick { slot, attempt, lease_until: self.now.plus(60) }
            }
            "found" => Event::Found { slot, attempt, answer: answer(&words[1..]) },
            "set" => {
                let token = Some(EchoToken([7; 32]));
                Event::Set { slot, attempt, answer: answer(&words[1..]), token }
            }
            "unopened" => Event::Unopened { slot, attempt, reason: "unknown key".into() },
            "restarted" => Event::Restarted { slot },
            "due" => Event::Due { slot },
            "added" => Event::User { slot, what: UserEvent::Added },
            "settled" => Event::User { slot, what: UserEvent::Settled },
            "renamed" => Event::Renamed { user: slot.user, login: words[1].into() },
            "deleted" => Event::Deleted { user: slot.user },
            "joined" => Event::Joined { from: words[1].into(), to: words[2].into() },
            "recovered" => Event::Recovered { target: slot.target },
            "credential" => Event::CredentialReloaded { target: slot.target },
            "retry" => Event::Retry { scope: Scope::User(slot.user) },
            "purge" => Event::Purge { scope: Scope::Target(slot.target) },
            "pause" => Event::Pause { scope: scope(words[1], slot) },
            "resume" => Event::Resume { scope: scope(words[1], slot) },
            other => unreachable!("no command `{other}`"),
        }
    }

    fn capture(&mut self, words: &[&str], reach: Reach) -> Event {
        self.captures += 1;
        let agent = words.first().copied().unwrap_or("dc1");
        let sequence = words.get(1).map_or(self.captures, |text| text.parse().unwrap());
        let captured_at = Timestamp(self.now.0 + std::mem::take(&mut self.clock) * 1000);
        Event::Capture(Capture {
            record: RecordId(i64::try_from(self.captures).unwrap()),
            order: Order {
                origin: AgentSequence { agent: agent.into(), epoch: 1, sequence },
                captured_at,
                arrival: self.captures,
            },
            operation: Operation::Change,
            source: if agent.starts_with("dc") { "corp" } else { agent }.into(),
            user: UserKey::from(self.user),
            login: self.user.into(),
            clamped: false,
            targets: [(ConnectorName::from(TARGET), reach)].into(),
        })
    }
}

fn scope(word: &str, slot: SlotKey) -> Scope {
    match word {
        "all" => Scope::All,
        "target" => Scope::Target(slot.target),
        "user" => Scope::User(slot.user),
        _ => Scope::Slot(slot),
    }
}

fn answer(words: &[&str]) -> Answer {
    let retry_after = words.get(1).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    match words[0] {
        "ok" => Answer::Ok,
        "short" => Answer::Rejected(Category::TooShort),
        "history" => Answer::Rejected(Category::History),
        "none" => Answer::NotFound,
        "ambiguous" => Answer::Ambiguous,
        "refused" => Answer::Refused,
        "down" => Answer::Unavailable { retry_after, server_error: false },
        "error" => Answer::Unavailable { retry_after, server_error: true },
        "lost" => Answer::Uncertain,
        other => unreachable!("no answer `{other}`"),
    }
}

/// An action in a few words.
fn word(action: &Action) -> String {
    match action {
        Action::Acknowledge(answer) => format!("ack {}", ack(*answer)),
        Action::Find { login, .. } => format!("find {login}"),
        Action::Set { record, unless_delivered: false, .. } => format!("set {}", record.0),
        Action::Set { record, .. } => format!("set {} unless delivered", record.0),
        Action::Purge(record) => format!("purge {}", record.0),
        Action::Audit(entry) => {
            let record = entry.record.map_or("-".into(), |record| record.0.to_string());
            format!("{} {record}", entry.kind.as_str())
        }
        Action::Note(note) if note.repeated => format!("note {:?} again", note.kind),
        Action::Note(note) => format!("note {:?}", note.kind),
        Action::Mail(mail) => {
            format!("mail {} {}/{}", mail.kind.as_str(), mail.episode, mail.attempt)
        }
        Action::StoreEcho { .. } => "echo token".into(),
        Action::CloseConnection { .. } => "close".into(),
        Action::ForgetRemoteId { .. } => "forget id".into(),
        Action::SetInitialPassword { .. } => "set initial".into(),
        Action::Wake { .. } => "wake".into(),
    }
}

fn ack(answer: Acknowledgement) -> &'static str {
    answer.as_str()
}

fn balanced() -> Policy {
    Policy::preset(Preset::Balanced, Some(60))
}

fn counted(max: u32) -> Policy {
    let mut policy = Policy::preset(Preset::Counted, Some(60));
    policy.rejected.max = Some(max);
    policy
}

fn evented() -> Policy {
    Policy::preset(Preset::Evented, Some(60))
}
