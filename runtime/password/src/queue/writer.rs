//! The one thread that writes: commands flow in, answers flow out once they are durable.
//!
//! What waits is taken together and committed with one sync to the disk (password.md 7.1). While
//! that runs the next commands gather, so nobody waits for company. A command that fails takes
//! back what it did, and nothing else.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kakehi_engine::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::error::{QueueError, Result};
use super::work::{Memory, Work};
use crate::door::Clock;

/// Commands that share one commit at most: none of them waits for long.
const COMMANDS_MAX: usize = 512;

/// So long nothing may come before the time is used to erase what was purged.
const IDLE: Duration = Duration::from_millis(20);

/// After a reader was in the way of that.
const IDLE_BLOCKED: Duration = Duration::from_millis(500);

/// Purged records are erased this often even if there is always something to do.
const DIRTY_SECONDS_MAX: u64 = 60;

/// Where a crash is tried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    /// Everything is written, nothing is committed.
    BeforeCommit,
    /// Committed, nobody was told.
    AfterCommit,
    /// The log is about to be cut.
    BeforeErasing,
    AfterErasing,
}

/// Called at every [`Point`]. Does nothing but in tests.
pub(super) type Hook = Arc<dyn Fn(Point) + Send + Sync>;

/// What the thread tells of itself without being asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Since when purged records lie in the log.
    pub dirty_since: Option<Timestamp>,
    /// A reader kept the log from being cut, the last time it was tried.
    pub blocked: bool,
    /// Records and bytes that are kept.
    pub records: u64,
    pub bytes: u64,
    /// Transactions so far: commands that waited together share one.
    pub commits: u64,
}

pub(super) struct Writer {
    pub sql: Connection,
    pub memory: Memory,
    pub clock: Arc<dyn Clock>,
    pub hook: Hook,
    pub told: Arc<Mutex<Told>>,
    /// Held as long as the thread lives.
    pub lock: File,
}

/// What the thread is asked for.
pub(super) enum Message {
    Do(Box<dyn Command>),
    /// Erase what was purged now, and tell of it.
    Erase(oneshot::Sender<Told>),
}

/// Something to do in the writer's transaction.
pub(super) trait Command: Send {
    /// Gives whether what was done is to stay.
    fn run(&mut self, work: &mut Work<'_>) -> bool;
    /// `committed`: what was done is durable.
    fn answer(self: Box<Self>, committed: std::result::Result<(), QueueError>);
}

/// A closure with somebody who waits for its result.
pub(super) struct Call<F, T> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
    /// Bounds how many commands wait.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<F, T> Call<F, T> {
    pub(super) fn new(
        work: F,
        reply: oneshot::Sender<Result<T>>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { work: Some(work), outcome: None, reply, _permit: permit }
    }
}

impl<F, T> Command for Call<F, T>
where
    F: FnOnce(&mut Work<'_>) -> Result<T> + Send,
    T: Send,
{
    fn run(&mut self, work: &mut Work<'_>) -> bool {
        let Some(run) = self.work.take() else { return false };
        // A fault in one command must not end the thread that all others need.
        let outcome = catch_unwind(AssertUnwindSafe(|| run(work)))
            .unwrap_or(Err(QueueError::Internal { what: "a command panicked" }));
        let keeps = outcome.is_ok();
        self.outcome = Some(outcome);
        keeps
    }

    fn answer(self: Box<Self>, committed: std::result::Result<(), QueueError>) {
        let result = match (committed, self.outcome) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(outcome)) => outcome,
            (Ok(()), None) => Err(QueueError::Closed),
        };
        // Whoever asked may be gone; what was done stays done.
        let _ = self.reply.send(result);
    }
}

// === impl Writer ===

impl Writer {
    /// Works until nobody can send commands any more.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let mut waiting = match self.wait(messages) {
                Ok(Some(message)) => Some(message),
                Ok(None) => {
                    self.erase();
                    continue;
                }
                Err(Ended) => break,
            };
            let mut batch = vec![];
            let mut asked = None;
            while let Some(message) = waiting.take() {
                match message {
                    Message::Do(command) => batch.push(command),
                    Message::Erase(reply) => asked = Some(reply),
                }
                if batch.len() < COMMANDS_MAX && asked.is_none() {
                    waiting = messages.try_recv().ok();
                }
            }
            if !batch.is_empty() {
                self.commit(batch);
            }
            if asked.is_some() || self.dirty_for_long() {
                self.erase();
            }
            if let Some(reply) = asked {
                // Whoever asked may be gone.
                let _ = reply.send(self.told());
            }
        }
        // Also without anything purged: what is left behind is one file, not a file and a log.
        self.memory.dirty = true;
        self.erase();
        let _ = self.sql.close();
        drop(self.lock);
    }

    /// The next command; `None`: there is time to erase.
    fn wait(&self, messages: &Receiver<Message>) -> std::result::Result<Option<Message>, Ended> {
        if !self.memory.dirty {
            return messages.recv().map(Some).map_err(|_| Ended);
        }
        let idle = if self.told().blocked { IDLE_BLOCKED } else { IDLE };
        match messages.recv_timeout(idle) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }

    /// Does all commands in one transaction and answers them.
    fn commit(&mut self, mut batch: Vec<Box<dyn Command>>) {
        let before = self.memory.clone();
        let result = self.transact(&mut batch, &before);
        let now = self.clock.now();
        if result.is_err() {
            self.memory = before;
            if !self.sql.is_autocommit() {
                // It can fail only if there is nothing to take back.
                let _ = self.sql.execute_batch("ROLLBACK");
            }
        } else {
            (self.hook)(Point::AfterCommit);
        }
        self.tell(now, result.is_ok());
        for command in batch {
            command.answer(result.as_ref().copied().map_err(QueueError::again));
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Command>], before: &Memory) -> Result<()> {
        self.sql.execute_batch("BEGIN IMMEDIATE")?;
        for command in batch {
            let undo = self.memory.clone();
            self.sql.prepare_cached("SAVEPOINT command")?.execute([])?;
            let now = self.clock.now();
            let mut work = Work { sql: &self.sql, memory: &mut self.memory, now };
            if !command.run(&mut work) {
                self.memory = undo;
                if self.sql.is_autocommit() {
                    // The whole transaction is gone, with what the commands before had done.
                    return Err(QueueError::RolledBack { reason: "the disk failed".into() });
                }
                self.sql.prepare_cached("ROLLBACK TO command")?.execute([])?;
            }
            self.sql.prepare_cached("RELEASE command")?.execute([])?;
        }
        self.memory.store_counters(&self.sql, before)?;
        (self.hook)(Point::BeforeCommit);
        self.sql.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn dirty_for_long(&self) -> bool {
        let since = self.told().dirty_since;
        since.is_some_and(|since| self.clock.now() >= since.plus(DIRTY_SECONDS_MAX))
    }

    /// Moves what is in the log into the file and cuts the log: only then are purged records gone
    /// (I5). A reader that still looks at an older state is not waited for; it is tried again.
    pub(super) fn erase(&mut self) {
        if !self.memory.dirty {
            return;
        }
        (self.hook)(Point::BeforeErasing);
        let blocked = self.truncate().unwrap_or(true);
        self.memory.dirty = blocked;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.blocked = blocked;
        if !blocked {
            told.dirty_since = None;
        }
        drop(told);
        (self.hook)(Point::AfterErasing);
    }

    /// Gives whether somebody was in the way.
    fn truncate(&self) -> Result<bool> {
        self.sql.busy_timeout(Duration::ZERO)?;
        let blocked = self.sql.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            row.get::<_, i64>(0).map(|busy| busy != 0)
        });
        self.sql.busy_timeout(super::open::BUSY_MAX)?;
        Ok(blocked?)
    }

    fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn tell(&self, now: Timestamp, committed: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.records = self.memory.records;
        told.bytes = self.memory.bytes;
        told.commits += u64::from(committed);
        if self.memory.dirty {
            told.dirty_since.get_or_insert(now);
        }
    }
}

/// Nobody can send commands any more.
struct Ended;
