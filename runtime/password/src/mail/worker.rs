//! Sends what waits: due rows flow in, mails flow out, and every row learns its fate
//! (password.md 10).
//!
//! A mail that is not taken is tried again: 30 seconds later, then after pauses that double up to
//! an hour, until the row is a day old. While the server as a whole takes nothing, it is asked once
//! per pause and not once per row. Logs say kind and outcome, never to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::UserKey;
use kakehi_engine::time::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::caps::Sent;
use super::words::words;
use super::{
    Caps, Dropped, Field, Fields, Form, Kind, MailError, MailRow, MailRows, Mailer, MemoryRows,
    Message, Recipient, Rendered, RowsError, Templates, instant_with_zone,
};
use crate::door::{Clock, Contact, Users};

/// A mail that could not be sent for so long is of no use any more.
const AGE_SECONDS_MAX: u64 = 24 * 60 * 60;

/// Pause after a mail that was not taken.
const PAUSE_SECONDS_MIN: u64 = 30;
const PAUSE_SECONDS_MAX: u64 = 60 * 60;

/// Rows of one look: few enough that newer ones are not kept waiting for long.
const ROWS_PER_ROUND_MAX: usize = 100;

/// How often rows are looked for that nobody told us of.
const LOOK: Duration = Duration::from_secs(5);

/// The metric; its labels are `kind` and `outcome`.
const METRIC: &str = "kakehi_password_mail_total";

const LOG: &str = "kakehi::password";

/// Who is written to about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    pub users: BTreeSet<Kind>,
    pub admins: BTreeSet<Kind>,
}

/// What the configuration says of mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailOptions {
    pub audience: Audience,
    pub admins: Vec<Contact>,
    /// What targets are called in mails, where not as in the configuration.
    pub target_names: BTreeMap<ConnectorName, String>,
    /// Whom to ask, as one line; `None`: the administrators, without an address.
    pub contact: Option<String>,
    pub product: String,
    /// Zone in which times are shown: minutes east of UTC.
    pub utc_offset_minutes: i32,
    pub caps: Caps,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Sent,
    /// Not taken now.
    Failed,
    /// Too many mails: it waits.
    Waiting,
    Dropped(Dropped),
}

/// What one look came to: how often each outcome, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    pub outcomes: BTreeMap<(Kind, Outcome), u64>,
    /// There may be more that is due now.
    pub more: bool,
}

pub struct MailWorker {
    rows: Arc<dyn MailRows>,
    /// Mails that arise here, and may be lost with the process.
    own_rows: MemoryRows,
    mailer: Arc<dyn Mailer>,
    users: Arc<dyn Users>,
    templates: Templates,
    clock: Arc<dyn Clock>,
    options: MailOptions,
    memory: Mutex<Memory>,
    /// One look at a time: two would send a row twice.
    looking: tokio::sync::Mutex<()>,
    woken: Notify,
    stopping: AtomicBool,
}

/// What is known without being kept.
#[derive(Default)]
struct Memory {
    sent: Sent,
    /// Message ids of rows that are not done though some of their recipients are.
    taken: BTreeSet<String>,
    /// Targets whose outage was told.
    outages: BTreeSet<ConnectorName>,
    /// The server takes nothing: until when it is left alone, and the pause in seconds.
    closed: Option<(Timestamp, u64)>,
}

/// Whether the look goes on.
enum Next {
    Row,
    /// No other row would fare better now.
    Stop,
}

/// How it went with one recipient.
enum Attempt {
    /// Now, or at an earlier try.
    Taken,
    /// For ever.
    Refused,
    Capped(Timestamp),
    Later(Timestamp),
    /// The server takes nothing until then.
    Closed(Timestamp),
}

// === impl Audience ===

impl Default for Audience {
    /// Users hear of their own passwords, administrators of targets that are down. That one is back
    /// is told only if wanted.
    fn default() -> Self {
        Self {
            users: [Kind::Rejected, Kind::Expired, Kind::MaxRetries, Kind::DefaultUsed].into(),
            admins: [Kind::TargetDown].into(),
        }
    }
}

// === impl MailOptions ===

impl Default for MailOptions {
    fn default() -> Self {
        Self {
            audience: Audience::default(),
            admins: Vec::new(),
            target_names: BTreeMap::new(),
            contact: None,
            product: "Kakehi".into(),
            utc_offset_minutes: 0,
            caps: Caps::default(),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Dropped(why) => why.as_str(),
        }
    }
}

// === impl Round ===

impl Round {
    /// How often, over all kinds.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.iter().filter(|((_, found), _)| *found == outcome).map(|(_, n)| n).sum()
    }
}

// === impl MailWorker ===

impl MailWorker {
    pub fn new(
        rows: Arc<dyn MailRows>,
        mailer: Arc<dyn Mailer>,
        users: Arc<dyn Users>,
        templates: Templates,
        clock: Arc<dyn Clock>,
        options: MailOptions,
    ) -> Self {
        Self {
            rows,
            own_rows: MemoryRows::default(),
            mailer,
            users,
            templates,
            clock,
            options,
            memory: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            woken: Notify::new(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Sends until `stop` comes; the mail under way is finished then, which takes no longer than
    /// the mailer's time limit.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let mut round = pin!(self.round());
            let round = tokio::select! {
                round = &mut round => round,
                () = &mut stop => {
                    self.stopping.store(true, Ordering::Relaxed);
                    round.await;
                    return;
                }
            };
            tokio::select! {
                () = &mut stop => return,
                () = self.woken.notified() => {}
                () = tokio::time::sleep(if round.more { Duration::ZERO } else { LOOK }) => {}
            }
        }
    }

    /// A row was written: it is looked for at once (N-20).
    pub fn wake(&self) {
        self.woken.notify_one();
    }

    /// The target answers again: its next outage is a new one, and administrators hear of the end
    /// of this one if they want to.
    pub fn recovered(&self, target: &ConnectorName) {
        let told = self.memory().outages.remove(target);
        if told && self.options.audience.admins.contains(&Kind::Recovered) {
            self.own_rows.push(MailRow {
                id: 0,
                kind: Kind::Recovered,
                recipient: Recipient::Admins,
                target: target.clone(),
                user: UserKey::from(""),
                login: String::new(),
                episode: 0,
                attempt: 0,
                category: None,
                expires: None,
                created: self.clock.now(),
            });
            self.wake();
        }
    }

    /// One look at what is due.
    pub async fn round(&self) -> Round {
        let _alone = self.looking.lock().await;
        let mut round = Round::default();
        for rows in [&self.own_rows as &dyn MailRows, &*self.rows] {
            if let Err(error) = self.look(rows, &mut round).await {
                let cause = error.0.to_string();
                tracing::error!(target: LOG, event_id = "PW062", cause, "{error}");
                round.more = false;
            }
        }
        round
    }

    /// Errors: the rows cannot be read or written. What was sent meanwhile is remembered, and not
    /// sent again by this process.
    async fn look(&self, rows: &dyn MailRows, round: &mut Round) -> Result<(), RowsError> {
        let now = self.clock.now();
        self.memory().sent.prune(now);
        if self.memory().closed.is_some_and(|(until, _)| until > now) {
            return Ok(());
        }
        let due = rows.due(now, ROWS_PER_ROUND_MAX).await?;
        let full = due.len() == ROWS_PER_ROUND_MAX;
        for row in &due {
            let stopping = self.stopping.load(Ordering::Relaxed);
            if stopping || matches!(self.settle(rows, row, round).await?, Next::Stop) {
                return Ok(());
            }
        }
        round.more |= full;
        Ok(())
    }

    /// Decides on one row.
    async fn settle(
        &self,
        rows: &dyn MailRows,
        row: &MailRow,
        round: &mut Round,
    ) -> Result<Next, RowsError> {
        let expires = row.created.plus(AGE_SECONDS_MAX);
        if self.clock.now() >= expires {
            return self.give_up(rows, row, Dropped::Aged, round).await;
        }
        let contacts = match self.contacts(row) {
            Ok(contacts) => contacts,
            Err(why) => return self.give_up(rows, row, why, round).await,
        };
        let (mut taken, mut capped, mut next_try) = (false, false, None);
        for contact in &contacts {
            match self.attempt(row, contact, round).await {
                Attempt::Taken => taken = true,
                Attempt::Refused => {}
                Attempt::Capped(free_at) => {
                    capped = true;
                    next_try = next_try.max(Some(free_at));
                }
                Attempt::Later(when) => next_try = next_try.max(Some(when)),
                Attempt::Closed(until) => {
                    rows.failed(row.id, until).await?;
                    return Ok(Next::Stop);
                }
            }
        }
        if let Some(when) = next_try.filter(|when| *when < expires) {
            rows.failed(row.id, when).await?;
            return Ok(Next::Row);
        }
        if taken {
            rows.sent(row.id).await?;
        } else if next_try.is_some() {
            // Its next turn would come too late.
            let why = if capped { Dropped::Capped } else { Dropped::Aged };
            self.give_up(rows, row, why, round).await?;
        } else {
            rows.dropped(row.id, Dropped::Refused).await?;
        }
        self.forget(row, &contacts);
        Ok(Next::Row)
    }

    /// Sends to one recipient, unless that one has it or must wait.
    async fn attempt(&self, row: &MailRow, contact: &Contact, round: &mut Round) -> Attempt {
        // Every form that `contacts` lets through has words.
        let Some(message) = self.message(row, contact) else { return Attempt::Refused };
        if self.memory().taken.contains(&message.id) {
            return Attempt::Taken;
        }
        if let Some(free_at) = self.free_at(row) {
            self.tell(row, Outcome::Waiting, None, round);
            return Attempt::Capped(free_at);
        }
        let Err(error) = self.mailer.send(&message).await else {
            self.taken(row, message);
            self.tell(row, Outcome::Sent, None, round);
            return Attempt::Taken;
        };
        let now = self.clock.now();
        if error.is_of_server() {
            self.tell(row, Outcome::Failed, Some(error), round);
            return Attempt::Closed(self.close(now));
        }
        self.memory().closed = None;
        if let MailError::Permanent(_) = error {
            self.tell(row, Outcome::Dropped(Dropped::Refused), Some(error), round);
            return Attempt::Refused;
        }
        self.tell(row, Outcome::Failed, Some(error), round);
        Attempt::Later(now.plus(pause_seconds(row.created, now)))
    }

    async fn give_up(
        &self,
        rows: &dyn MailRows,
        row: &MailRow,
        why: Dropped,
        round: &mut Round,
    ) -> Result<Next, RowsError> {
        rows.dropped(row.id, why).await?;
        self.tell(row, Outcome::Dropped(why), None, round);
        Ok(Next::Row)
    }

    /// Whom the row goes to: at least one.
    fn contacts(&self, row: &MailRow) -> Result<Vec<Contact>, Dropped> {
        let wanted = match row.recipient {
            Recipient::User => &self.options.audience.users,
            Recipient::Admins => &self.options.audience.admins,
        };
        let form = Form { kind: row.kind, recipient: row.recipient };
        if !wanted.contains(&row.kind) || form.name().is_none() {
            return Err(Dropped::Off);
        }
        if row.kind == Kind::TargetDown && self.memory().outages.contains(&row.target) {
            return Err(Dropped::Merged);
        }
        let contacts = match row.recipient {
            Recipient::User => self.users.contact(&row.user).into_iter().collect(),
            Recipient::Admins => self.options.admins.clone(),
        };
        if contacts.is_empty() { Err(Dropped::NoAddress) } else { Ok(contacts) }
    }

    /// When the row may leave; `None` is now. Outages are told whatever else was sent.
    fn free_at(&self, row: &MailRow) -> Option<Timestamp> {
        if matches!(row.kind, Kind::TargetDown | Kind::Recovered) {
            return None;
        }
        let now = self.clock.now();
        self.memory().sent.free_at(self.options.caps, user_of(row), now)
    }

    fn taken(&self, row: &MailRow, message: Message) {
        let now = self.clock.now();
        let mut memory = self.memory();
        memory.closed = None;
        memory.sent.count(user_of(row), now);
        memory.taken.insert(message.id);
        if row.kind == Kind::TargetDown {
            memory.outages.insert(row.target.clone());
        }
    }

    /// The row is done: nobody will ask again who has it already.
    fn forget(&self, row: &MailRow, contacts: &[Contact]) {
        let mut memory = self.memory();
        for contact in contacts {
            memory.taken.remove(&message_id(row, contact));
        }
    }

    /// The server takes nothing. Gives when it is asked again.
    fn close(&self, now: Timestamp) -> Timestamp {
        let mut memory = self.memory();
        let pause = memory.closed.map_or(PAUSE_SECONDS_MIN, |(_, pause)| pause * 2);
        let pause = pause.min(PAUSE_SECONDS_MAX);
        let until = now.plus(pause);
        memory.closed = Some((until, pause));
        until
    }

    fn message(&self, row: &MailRow, contact: &Contact) -> Option<Message> {
        let form = Form { kind: row.kind, recipient: row.recipient };
        let Rendered { subject, body } = self.templates.render(form, &self.fields(row, contact))?;
        let (id, to) = (message_id(row, contact), contact.clone());
        Some(Message { id, to, subject, body, date: self.clock.now() })
    }

    fn fields(&self, row: &MailRow, contact: &Contact) -> Fields {
        let options = &self.options;
        let offset = options.utc_offset_minutes;
        let target = options.target_names.get(&row.target).map(String::as_str);
        let words = words(row.category);
        let expires = row.expires.map(|expires| instant_with_zone(expires, offset));
        let asked = options.contact.as_deref();
        let name = if contact.display_name.trim().is_empty() {
            if row.recipient == Recipient::User { &row.login } else { &contact.address }
        } else {
            &contact.display_name
        };
        let mut fields = Fields::default();
        fields
            .set(Field::DisplayName, name)
            .set(Field::Login, &row.login)
            .set(Field::Target, target.unwrap_or(row.target.as_str()))
            .set(Field::CategoryJa, words.reason_ja)
            .set(Field::CategoryEn, words.reason_en)
            .set(Field::WhatToDoJa, words.advice_ja)
            .set(Field::WhatToDoEn, words.advice_en)
            .set(Field::ExpiresJa, expires.as_deref().unwrap_or("期限はありません。"))
            .set(Field::ExpiresEn, expires.as_deref().unwrap_or("no end"))
            .set(Field::Happened, &instant_with_zone(row.created, offset))
            .set(Field::ContactJa, asked.unwrap_or("管理者"))
            .set(Field::ContactEn, asked.unwrap_or("your administrator"))
            .set(Field::Product, &options.product);
        fields
    }

    /// Counts and logs what became of a mail.
    fn tell(&self, row: &MailRow, outcome: Outcome, error: Option<MailError>, round: &mut Round) {
        let (kind, word) = (row.kind.as_str(), outcome.as_str());
        *round.outcomes.entry((row.kind, outcome)).or_default() += 1;
        metrics::counter!(METRIC, "kind" => kind, "outcome" => word).increment(1);
        let fault = error.map(|error| error.fault().to_string());
        match outcome {
            Outcome::Sent => tracing::info!(
                target: LOG, event_id = "PW060", kind, outcome = word, "mail sent"
            ),
            Outcome::Dropped(Dropped::Off | Dropped::Merged) => tracing::debug!(
                target: LOG, kind, outcome = word, "mail not wanted"
            ),
            Outcome::Waiting | Outcome::Failed => tracing::warn!(
                target: LOG, event_id = "PW061", kind, outcome = word, fault,
                "mail not sent yet"
            ),
            Outcome::Dropped(_) => tracing::warn!(
                target: LOG, event_id = "PW062", kind, outcome = word, fault,
                "mail given up"
            ),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing is half done under this lock.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn user_of(row: &MailRow) -> Option<&UserKey> {
    (row.recipient == Recipient::User).then_some(&row.user)
}

/// As long as the row is old: so pauses double without anybody counting them.
fn pause_seconds(created: Timestamp, now: Timestamp) -> u64 {
    let age = now.unix_seconds().saturating_sub(created.unix_seconds());
    u64::try_from(age).unwrap_or(0).clamp(PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX)
}

/// The same for a row and a recipient at every try, and different for any two others; what it is
/// about cannot be read from it.
fn message_id(row: &MailRow, contact: &Contact) -> String {
    let facts = [
        row.kind.as_str(),
        row.recipient.as_str(),
        row.target.as_str(),
        &row.user.0,
        &row.episode.to_string(),
        &row.attempt.to_string(),
        &row.created.0.to_string(),
        &contact.address,
    ];
    let mut digest = Sha256::new();
    for fact in facts {
        digest.update(fact.len().to_le_bytes());
        digest.update(fact);
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
