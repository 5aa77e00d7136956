//! Mails that wait in the queue's file, as the mail worker wants to see them.

use async_trait::async_trait;
use kakehi_engine::password::MailKind;
use kakehi_engine::time::Timestamp;

use super::{Dropped, Kind, MailRow, MailRows, Recipient, RowsError};
use crate::queue::{MailTo, Queue, QueueError, WaitingMail};

#[async_trait]
impl MailRows for Queue {
    async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<MailRow>, RowsError> {
        let rows = self.due_mails(now, limit).map_err(failed)?;
        Ok(rows.into_iter().map(MailRow::from).collect())
    }

    async fn sent(&self, id: i64) -> Result<(), RowsError> {
        self.mail_sent(id).await.map_err(failed)
    }

    async fn failed(&self, id: i64, next_try: Timestamp) -> Result<(), RowsError> {
        self.mail_failed(id, next_try).await.map_err(failed)
    }

    async fn dropped(&self, id: i64, _: Dropped) -> Result<(), RowsError> {
        self.mail_dropped(id).await.map_err(failed)
    }
}

fn failed(error: QueueError) -> RowsError {
    RowsError(Box::new(error))
}

// === impl MailRow ===

impl From<WaitingMail> for MailRow {
    fn from(waiting: WaitingMail) -> Self {
        Self {
            id: waiting.id,
            kind: match waiting.kind {
                MailKind::Rejected => Kind::Rejected,
                MailKind::Expired => Kind::Expired,
                MailKind::MaxRetries => Kind::MaxRetries,
                MailKind::DefaultUsed => Kind::DefaultUsed,
                MailKind::TargetDown => Kind::TargetDown,
            },
            recipient: match waiting.to {
                MailTo::User => Recipient::User,
                MailTo::Admin => Recipient::Admins,
            },
            target: waiting.target,
            user: waiting.user,
            login: waiting.login,
            episode: waiting.episode,
            attempt: waiting.attempt,
            category: waiting.category,
            expires: waiting.expires,
            created: waiting.created,
        }
    }
}
