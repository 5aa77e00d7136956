//! Mails: rows of the queue flow in, mails to users and administrators flow out (password.md 10).
//!
//! Three parts that know little of each other: [`Mailer`] carries one message to one recipient,
//! [`Templates`] give the words in Japanese and English, [`MailWorker`] decides which row becomes a
//! mail, and when. What a server says never enters a mail, a log or an error (M8), and what becomes
//! of a mail never touches the password that it is about.

mod caps;
mod compose;
mod queued;
mod rows;
mod smtp;
mod template;
mod text;
mod words;
mod worker;

use std::fmt;

use async_trait::async_trait;
use kakehi_engine::password::MailKind;
use kakehi_engine::time::Timestamp;

pub use self::caps::Caps;
pub use self::rows::{Dropped, MailRow, MailRows, MemoryRows, Recipient, RowsError};
pub use self::smtp::{Security, SmtpMailer, SmtpOptions, SmtpOptionsError};
pub use self::template::{
    Field, Fields, Form, Rendered, TemplateError, TemplateErrors, TemplateFault, Templates,
};
pub use self::text::{instant_with_zone, single_line};
pub use self::worker::{Audience, MailOptions, MailWorker, Outcome, Round};

use crate::door::Contact;

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Rejected,
    Expired,
    MaxRetries,
    DefaultUsed,
    /// To administrators: a target is down, or refuses us. One mail per outage.
    TargetDown,
    /// To administrators: such a target answers again.
    Recovered,
}

/// One mail to one recipient, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What stands before the `@` of its Message-ID: the same at every try, so that a mail that
    /// arrived twice can be told. ASCII letters, digits, `-` and `.`; others are left out.
    pub id: String,
    pub to: Contact,
    pub subject: String,
    /// Plain text, lines ended by `\n`.
    pub body: String,
    pub date: Timestamp,
}

/// Carries mails away.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Gives the mail to a server that answers for it from then on.
    ///
    /// Errors: not now, or never; without a word of what the server said.
    async fn send(&self, message: &Message) -> Result<(), MailError>;
}

/// Why a mail was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    #[error("the mail is not taken now: {0}")]
    Temporary(Fault),
    #[error("the mail is never taken: {0}")]
    Permanent(Fault),
}

/// What was wrong, in words of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection, or it broke.
    Connection,
    /// No answer in time.
    Timeout,
    /// The server's certificate is not one that we trust.
    Certificate,
    Tls,
    /// STARTTLS is required and not offered; nothing was sent.
    NoStartTls,
    /// The server offers neither PLAIN nor LOGIN.
    NoLogin,
    /// Our own login is refused, or wanted and not configured; with the reply code.
    Login(u16),
    /// Refused before any mail was spoken of; with the reply code.
    Greeting(u16),
    /// The reply code to sender, recipient or text.
    Reply(u16),
    /// No address that mail could go to, or one that this server cannot take.
    Address,
    /// The message cannot be put into the form of mails.
    Form,
}

// === impl Kind ===

impl Kind {
    pub const ALL: [Self; 6] = [
        Self::Rejected,
        Self::Expired,
        Self::MaxRetries,
        Self::DefaultUsed,
        Self::TargetDown,
        Self::Recovered,
    ];

    /// As metrics, logs, configuration and template files call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::MaxRetries => "max_retries",
            Self::DefaultUsed => "default_used",
            Self::TargetDown => "target_down",
            Self::Recovered => "recovered",
        }
    }

    /// Reads back what [`Kind::as_str`] gave.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl From<MailKind> for Kind {
    fn from(kind: MailKind) -> Self {
        match kind {
            MailKind::Rejected => Self::Rejected,
            MailKind::Expired => Self::Expired,
            MailKind::MaxRetries => Self::MaxRetries,
            MailKind::DefaultUsed => Self::DefaultUsed,
            MailKind::TargetDown => Self::TargetDown,
        }
    }
}

// === impl MailError ===

impl MailError {
    pub fn fault(self) -> Fault {
        match self {
            Self::Temporary(fault) | Self::Permanent(fault) => fault,
        }
    }

    /// It says nothing of this mail: no other would be taken now either.
    pub fn is_of_server(self) -> bool {
        /// "Service not available, closing transmission channel" (RFC 5321 4.2.3).
        const CLOSING: u16 = 421;
        matches!(self, Self::Temporary(fault) if match fault {
            Fault::Connection
            | Fault::Timeout
            | Fault::Certificate
            | Fault::Tls
            | Fault::NoStartTls
            | Fault::NoLogin
            | Fault::Login(_)
            | Fault::Greeting(_) => true,
            Fault::Reply(code) => code == CLOSING,
            Fault::Address | Fault::Form => false,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("the mail server cannot be reached"),
            Self::Timeout => f.write_str("the mail server does not answer in time"),
            Self::Certificate => f.write_str("the mail server's certificate is not trusted"),
            Self::Tls => f.write_str("no TLS with the mail server"),
            Self::NoStartTls => f.write_str("the mail server does not offer STARTTLS"),
            Self::NoLogin => f.write_str("the mail server offers neither PLAIN nor LOGIN"),
            Self::Login(code) => write!(f, "the mail server refuses our login ({code})"),
            Self::Greeting(code) => write!(f, "the mail server refuses to talk to us ({code})"),
            Self::Reply(code) => write!(f, "the mail server answers {code}"),
            Self::Address => f.write_str("the address cannot be written to"),
            Self::Form => f.write_str("the mail cannot be put together"),
        }
    }
}
