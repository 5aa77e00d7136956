//! Mails that are to be sent: written with the transition they tell of, so that none is lost and
//! none is told twice (password.md 10).

use async_trait::async_trait;
use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Mail, MailKind, UserKey};
use kakehi_engine::time::Timestamp;
use rusqlite::{Connection, Row};

use super::Queue;
use super::codes::{Code, instant, integer, maybe_instant, maybe_word, number, small, text, word};
use super::error::{QueueError, Result};
use crate::mail::{Audience, Dropped, MailRow, MailRows, Recipient, RowsError};

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Sent,
    Dropped,
}

/// Who is written to about this.
pub(super) fn recipients(audience: &Audience, kind: MailKind) -> Vec<Recipient> {
    let told = [(&audience.users, Recipient::User), (&audience.admins, Recipient::Admins)];
    let told = told.into_iter().filter(|(kinds, _)| kinds.contains(&kind.into()));
    told.map(|(_, recipient)| recipient).collect()
}

// === impl Recipient ===

impl Code for Recipient {
    fn code(self) -> i64 {
        match self {
            Self::User => 1,
            Self::Admins => 2,
        }
    }

    fn of(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::User),
            2 => Some(Self::Admins),
            _ => None,
        }
    }
}

/// Writes a mail down, unless it is there already. `each_attempt`: the attempts of an episode have
/// a mail each.
pub(super) fn write(
    sql: &Connection,
    mail: &Mail,
    to: Recipient,
    login: &str,
    each_attempt: bool,
    now: Timestamp,
) -> Result<()> {
    let Mail { kind, slot, episode, attempt, category, expires } = mail;
    sql.prepare_cached(
        "INSERT OR IGNORE INTO pw_mail VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10,
         0, 0, NULL)",
    )?
    .execute((
        kind.code(),
        to.code(),
        slot.target.as_str(),
        &*slot.user.0,
        episode.cast_signed(),
        if each_attempt { *attempt } else { 0 },
        login,
        category.map(Code::code),
        expires.map(|at| at.0),
        now.0,
    ))?;
    Ok(())
}

pub(super) const DUE: &str =
    "SELECT * FROM pw_mail WHERE done = 0 AND next_try <= ?1 ORDER BY next_try, id LIMIT ?2";

/// Mails whose time has come, oldest first.
pub(super) fn due(sql: &Connection, now: Timestamp, limit: usize) -> Result<Vec<MailRow>> {
    let mut statement = sql.prepare_cached(DUE)?;
    let mut rows = statement.query((now.0, i64::try_from(limit).unwrap_or(i64::MAX)))?;
    let mut found = vec![];
    while let Some(row) = rows.next()? {
        found.push(waiting(row)?);
    }
    Ok(found)
}

fn waiting(row: &Row<'_>) -> Result<MailRow> {
    Ok(MailRow {
        id: integer(row, "id")?,
        kind: word::<MailKind>(row, "kind")?.into(),
        recipient: word(row, "recipient")?,
        target: ConnectorName::from(text(row, "target")?),
        user: UserKey::from(text(row, "user")?),
        login: text(row, "login")?,
        episode: number(row, "episode")?,
        attempt: small(row, "attempt")?,
        category: maybe_word(row, "category")?,
        expires: maybe_instant(row, "expires")?,
        created: instant(row, "created")?,
    })
}

/// Ends the life of a mail. The row stays for a while: it must not be written once more.
pub(super) fn done(sql: &Connection, id: i64, done: Done, now: Timestamp) -> Result<()> {
    let code = match done {
        Done::Sent => 1,
        Done::Dropped => 2,
    };
    let mut statement =
        sql.prepare_cached("UPDATE pw_mail SET done = ?2, done_at = ?3 WHERE id = ?1")?;
    one(statement.execute((id, code, now.0))?)
}

pub(super) fn put_off(sql: &Connection, id: i64, next_try: Timestamp) -> Result<()> {
    let mut statement = sql.prepare_cached(
        "UPDATE pw_mail SET next_try = ?2, tries = tries + 1 WHERE id = ?1 AND done = 0",
    )?;
    one(statement.execute((id, next_try.0))?)
}

fn one(changed: usize) -> Result<()> {
    if changed == 1 { Ok(()) } else { Err(QueueError::row("there is no such mail")) }
}

#[async_trait]
impl MailRows for Queue {
    async fn due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> std::result::Result<Vec<MailRow>, RowsError> {
        self.due_mails(now, limit).map_err(of_rows)
    }

    async fn sent(&self, id: i64) -> std::result::Result<(), RowsError> {
        self.mail_sent(id).await.map_err(of_rows)
    }

    async fn failed(&self, id: i64, next_try: Timestamp) -> std::result::Result<(), RowsError> {
        self.mail_failed(id, next_try).await.map_err(of_rows)
    }

    async fn dropped(&self, id: i64, _why: Dropped) -> std::result::Result<(), RowsError> {
        self.mail_dropped(id).await.map_err(of_rows)
    }
}

fn of_rows(error: QueueError) -> RowsError {
    RowsError(Box::new(error))
}
