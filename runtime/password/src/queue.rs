//! The durable queue: captures and events flow in, actions flow out once they are stored
//! (password.md 7.1).
//!
//! It keeps what the state machine of the engine knows in `password.db`, a SQLite file of its own,
//! so that nothing else in the runtime can hold an acknowledgement up. One thread writes; whatever
//! waits for it shares one commit. Everything here may be called from any task.

mod agent;
mod cell;
mod clear;
mod codes;
mod error;
mod mail;
mod open;
mod reader;
mod row;
mod schema;
mod start;
#[cfg(test)]
mod tests;
mod work;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{
    Acknowledgement, Action, AgentSequence, AttemptId, Breaker, EchoToken, Event, Operation,
    PasswordQueue, Policy, Reach, RecordId, Scope, SlotKey, UserKey,
};
use kakehi_engine::time::Timestamp;
use tokio::sync::{Semaphore, oneshot};

pub use self::agent::Gap;
pub use self::error::QueueError;
pub use self::reader::{AgentSeen, AuditLine, ListFilter, Listed, QueueReader, Status};
pub use self::start::StartCounts;

use self::error::Result;
use self::mail::Done;
use self::row::SlotId;
use self::work::{Memory, Work};
use self::writer::{Call, Hook, Message, Told, Writer};
use crate::door::Clock;
use crate::mail::{Audience, MailRow};

/// Sealed records that are kept at most, unless configured otherwise (password.md 12).
pub const RECORDS_MAX: u64 = 100_000;

/// Their bytes: every record as long as an envelope may be.
pub const BYTES_MAX: u64 = RECORDS_MAX * 8 * 1024;

/// Commands that wait for the writer; more callers wait for their turn to ask.
const WAITING_MAX: usize = 1024;

/// Slots of a large scope that are worked on in one command, so that captures come in between.
const CHUNK: usize = 500;

/// After this a slot that is still due is looked at again.
const AGAIN_SECONDS: u64 = 1;

pub struct QueueOptions {
    /// Where `password.db` lies; made where it is missing, for our own user alone.
    pub folder: PathBuf,
    pub policy: Policy,
    /// Records that are sealed: a capture for several targets is one.
    pub records_max: u64,
    pub bytes_max: u64,
    /// Targets that passwords are delivered to.
    pub targets: BTreeSet<ConnectorName>,
    /// Who is written to about what.
    pub audience: Audience,
}

/// The queue of one process. Clones are the same queue; the last one that goes closes it.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` only while it is dropped.
    messages: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    room: Arc<Semaphore>,
    reader: QueueReader,
    clock: Arc<dyn Clock>,
    told: Arc<Mutex<Told>>,
}

/// A capture, as the intake gives it in.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    /// The envelope, whole.
    pub sealed: Vec<u8>,
    /// For which key it was sealed.
    pub kid: [u8; 8],
    pub origin: AgentSequence,
    pub captured_at: Timestamp,
    pub operation: Operation,
    pub source: ConnectorName,
    pub user: UserKey,
    pub login: String,
    /// The agent's clock was ahead, and its time was cut (PW027).
    pub clamped: bool,
    pub targets: BTreeMap<ConnectorName, Reach>,
    /// The token that this password has, if any. An agent may use a token once: a second time,
    /// what is [`Reach::Echo`] in `targets` is delivered.
    pub echo: Option<Echo>,
}

/// One of the tokens of what was delivered to a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    pub slot: SlotKey,
    /// Counts what was delivered there.
    pub number: u64,
}

/// A capture that is durable, or was refused durably.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    pub acknowledgement: Acknowledgement,
    pub actions: Vec<Action>,
    /// The queue became nearly full with this one (PW044); told once until it is emptier.
    pub nearly_full: bool,
    /// Numbers of the agent that are missing before this one.
    pub gap: Option<Gap>,
}

/// A slot that a worker has to itself until its lease ends: send request 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    pub slot: SlotKey,
    pub attempt: AttemptId,
    /// What the user is called at the source.
    pub login: String,
}

/// What time brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tended {
    pub actions: Vec<Action>,
    /// When to come again; `None`: not before something else happens.
    pub next: Option<Timestamp>,
    /// Rows that could not be read and were set aside.
    pub set_aside: Vec<String>,
}

/// Whether purged records can still be found in the files (I5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// Nothing is left of them.
    Clean,
    /// The next moment without work erases them; some are there since then.
    Waiting { since: Timestamp },
    /// Somebody reads an older state of the file (PW043).
    Blocked { since: Timestamp },
}

// === impl Queue ===

impl Queue {
    /// Opens the queue, makes it where there is none, and brings it to the present: what was under
    /// way begins anew (T37), what fell due meanwhile happens, rows that cannot be read are set
    /// aside (L-02).
    ///
    /// Errors: [`QueueError::Locked`] while another process has it, [`QueueError::Newer`] after a
    /// newer program, [`QueueError::Damaged`] for a file that is no queue.
    pub fn open(options: QueueOptions, clock: Arc<dyn Clock>) -> Result<(Self, StartCounts)> {
        Self::open_with(options, clock, Arc::new(|_| ()))
    }

    fn open_with(
        options: QueueOptions,
        clock: Arc<dyn Clock>,
        hook: Hook,
    ) -> Result<(Self, StartCounts)> {
        let told = Arc::new(Mutex::new(Told::default()));
        let folder = options.folder.clone();
        let (writer, counts) = start(options, &clock, hook, &told)?;
        let reader = QueueReader::open(&folder)?;
        let (messages, waiting) = channel();
        let thread = std::thread::Builder::new()
            .name("password-queue".into())
            .spawn(move || writer.run(&waiting))
            .map_err(|source| QueueError::Io {
                action: "start a thread for",
                path: folder,
                source,
            })?;
        let inner = Inner {
            messages: Some(messages),
            thread: Some(thread),
            room: Arc::new(Semaphore::new(WAITING_MAX)),
            reader,
            clock,
            told,
        };
        Ok((Self { inner: Arc::new(inner) }, counts))
    }

    /// The queue of a folder, to be looked at beside a running service or without one.
    pub fn open_read_only(folder: &Path) -> Result<QueueReader> {
        QueueReader::open(folder)
    }

    /// Status, lists and audit. What was answered is seen.
    pub fn read(&self) -> &QueueReader {
        &self.inner.reader
    }

    /// Stores a capture. When this returns, it is durable (I8) and the agent may be told.
    ///
    /// Errors: [`QueueError::Full`]: nothing is kept of it, and nothing else was dropped.
    pub async fn capture(&self, arrived: Arrived) -> Result<Captured> {
        self.write(move |work| work.capture(arrived)).await
    }

    /// Lets an event happen. Gives everything that follows, when it is durable; mails, audit, echo
    /// tokens and the deletion of ciphertext are done already.
    ///
    /// A scope of many slots is worked on in parts; who goes away meanwhile has done some of them.
    pub async fn apply(&self, event: Event) -> Result<Vec<Action>> {
        let Some(ids) = self.meant(&event)? else {
            return self.write(move |work| work.apply(event, &[])).await;
        };
        let mut actions = vec![];
        let mut chunks = ids.chunks(CHUNK);
        // A gate is closed also where there is no slot behind it.
        let mut next = Some(chunks.next().unwrap_or_default());
        while let Some(chunk) = next {
            let (event, chunk) = (event.clone(), chunk.to_vec());
            actions.extend(self.write(move |work| work.apply(event, &chunk)).await?);
            next = chunks.next();
        }
        Ok(actions)
    }

    /// Gives the slots of a target that wait longest to a worker, at most `limit`, in one commit.
    /// None where the gate is closed. A slot is given to nobody else until the lease ends (I9).
    pub async fn pick(
        &self,
        target: &ConnectorName,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Picked>> {
        let target = target.clone();
        self.write(move |work| work.pick(&target, limit, lease)).await
    }

    /// Does what is due now, and says when to come again.
    pub async fn tend(&self) -> Result<Tended> {
        let now = self.inner.clock.now();
        let mut tended = Tended::default();
        for chunk in self.inner.reader.due_ids(now)?.chunks(CHUNK) {
            let chunk = chunk.to_vec();
            let due = move |work: &mut Work<'_>| {
                let mut actions = vec![];
                for id in chunk {
                    actions.extend(work.raise(id, |slot| Event::Due { slot })?);
                }
                Ok(actions)
            };
            tended.actions.extend(self.write(due).await?);
        }
        let clear = |work: &mut Work<'_>| {
            clear::clear(work.sql, &mut work.memory.cleared_at, work.now)?;
            let breakers = work.memory.queue.targets.values();
            let opens = breakers.filter_map(|breaker| breaker.open_until).min();
            Ok((std::mem::take(&mut work.memory.set_aside), opens))
        };
        let (set_aside, opens) = self.write(clear).await?;
        tended.set_aside = set_aside;
        // A target that is left alone may be tried again then, and nothing else tells of it.
        let next = [self.next_due()?, opens.filter(|opens| *opens > now)].into_iter().flatten();
        tended.next = next.min().map(|due| due.max(now.plus(AGAIN_SECONDS)));
        Ok(tended)
    }

    /// When the next slot falls due; it may be in the past.
    pub fn next_due(&self) -> Result<Option<Timestamp>> {
        self.inner.reader.next_due()
    }

    /// The sealed password of a record; `None`: it is gone.
    pub fn sealed(&self, record: RecordId) -> Result<Option<Vec<u8>>> {
        self.inner.reader.sealed(record)
    }

    /// What was delivered to a slot lately, with its numbers, the newest first: several passwords
    /// may be there before the first of them comes back. To use one, name it in [`Arrived::echo`].
    pub fn echo_tokens(&self, slot: &SlotKey, now: Timestamp) -> Result<Vec<(u64, EchoToken)>> {
        self.inner.reader.echo_tokens(slot, now)
    }

    /// How many records were sealed for each key: one that is used is not retired (6.2).
    pub fn live_key_ids(&self) -> Result<BTreeMap<[u8; 8], u64>> {
        self.inner.reader.live_key_ids()
    }

    /// Mails whose time has come, oldest first.
    pub fn due_mails(&self, now: Timestamp, limit: usize) -> Result<Vec<MailRow>> {
        self.inner.reader.due_mails(now, limit)
    }

    pub async fn mail_sent(&self, id: i64) -> Result<()> {
        self.write(move |work| mail::done(work.sql, id, Done::Sent, work.now)).await
    }

    pub async fn mail_failed(&self, id: i64, next_try: Timestamp) -> Result<()> {
        self.write(move |work| mail::put_off(work.sql, id, next_try)).await
    }

    /// It is given up: never sent.
    pub async fn mail_dropped(&self, id: i64) -> Result<()> {
        self.write(move |work| mail::done(work.sql, id, Done::Dropped, work.now)).await
    }

    /// What is known of the health of each target that is not well.
    pub async fn breakers(&self) -> Result<BTreeMap<ConnectorName, Breaker>> {
        self.write(|work| Ok(work.memory.queue.targets.clone())).await
    }

    /// Whether purged records can still be found, without doing anything about it.
    pub fn erasure(&self) -> Erasure {
        let told = self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        Erasure::of(&told)
    }

    /// Erases purged records now. They are erased by themselves in the next moment without work,
    /// and every 60 seconds if there is none.
    pub async fn checkpoint_if_dirty(&self) -> Result<Erasure> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Erase(reply))?;
        Ok(Erasure::of(&answer.await.map_err(|_| QueueError::Closed)?))
    }

    #[cfg(test)]
    fn read_pragmas(&self, names: &'static [&'static str]) -> Vec<String> {
        let (reply, answer) = std::sync::mpsc::channel();
        let read = move |work: &mut Work<'_>| {
            for name in names {
                let value = work.sql.pragma_query_value(None, name, |row| {
                    let number = row.get::<_, i64>(0).map(|number| number.to_string());
                    number.or_else(|_| row.get::<_, String>(0))
                })?;
                let _ = reply.send(value);
            }
            Ok(())
        };
        let (told, _) = oneshot::channel();
        self.send(Message::Do(Box::new(Call::new(read, told, None)))).expect("the writer is there");
        answer.into_iter().collect()
    }

    /// The slots of a scope that may be large; `None`: the event names its slots.
    fn meant(&self, event: &Event) -> Result<Option<Vec<SlotId>>> {
        let reader = &self.inner.reader;
        Ok(match event {
            Event::Recovered { target } | Event::CredentialReloaded { target } => {
                Some(reader.ids_unavailable(target)?)
            }
            Event::Retry { scope }
            | Event::Purge { scope }
            | Event::Pause { scope }
            | Event::Resume { scope } => match scope {
                Scope::All => Some(reader.ids(None)?),
                Scope::Target(target) => Some(reader.ids(Some(target))?),
                Scope::User(_) | Scope::Slot(_) => None,
            },
            _ => None,
        })
    }

    /// Runs `work` in the writer's transaction and waits for the commit.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Work<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let room = self.inner.room.clone();
        let permit = room.acquire_owned().await.map_err(|_| QueueError::Closed)?;
        let (reply, answer) = oneshot::channel();
        self.send(Message::Do(Box::new(Call::new(work, reply, Some(permit)))))?;
        answer.await.map_err(|_| QueueError::Closed)?
    }

    fn send(&self, message: Message) -> Result<()> {
        let messages = self.inner.messages.as_ref().ok_or(QueueError::Closed)?;
        messages.send(message).map_err(|_| QueueError::Closed)
    }
}

/// Opens the file for writing and brings its slots to the present.
fn start(
    options: QueueOptions,
    clock: &Arc<dyn Clock>,
    hook: Hook,
    told: &Arc<Mutex<Told>>,
) -> Result<(Writer, StartCounts)> {
    let open::Writable { sql, lock } = open::writable(&options.folder)?;
    let mut queue = PasswordQueue::new(options.policy);
    start::gates(&sql, &mut queue)?;
    let (records, bytes) = start::kept(&sql)?;
    let mut memory = Memory {
        queue,
        audience: options.audience,
        records_max: options.records_max,
        bytes_max: options.bytes_max,
        arrival: start::meta(&sql, "arrival")?,
        attempt: start::meta(&sql, "attempt")?,
        records,
        bytes,
        // The log may hold what was purged before a crash.
        dirty: true,
        nearly_full: false,
        set_aside: vec![],
        cleared_at: None,
    };
    let now = clock.now();
    sql.execute_batch("BEGIN IMMEDIATE")?;
    let mut counts = Work { sql: &sql, memory: &mut memory, now }.start()?;
    sql.execute_batch("COMMIT")?;
    counts.orphaned = start::orphaned(&sql, &options.targets)?;
    let (clock, told) = (clock.clone(), told.clone());
    let mut writer = Writer { sql, memory, clock, hook, told, lock };
    writer.tell(now, true);
    writer.erase();
    Ok((writer, counts))
}

// === impl Inner ===

impl Drop for Inner {
    fn drop(&mut self) {
        // Without a sender the thread does what still waits, erases and ends.
        drop(self.messages.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to say; the file is whole.
            let _ = thread.join();
        }
    }
}

// === impl Erasure ===

impl Erasure {
    fn of(told: &Told) -> Self {
        match (told.dirty_since, told.blocked) {
            (None, _) => Self::Clean,
            (Some(since), false) => Self::Waiting { since },
            (Some(since), true) => Self::Blocked { since },
        }
    }
}
