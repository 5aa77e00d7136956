//! The doors of the lane: clock, targets, what is known of users. Real parts stand behind them in
//! the service, fakes in tests.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Answer, Operation, UserKey};
use kakehi_engine::time::Timestamp;

use crate::envelope::Metadata;
use crate::secret::Password;

/// The present, as far as the product may know it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// By what a user is looked up at a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// The value that `match.target` must have.
    pub value: String,
    /// The id at the target, where it is known already.
    pub remote_id: Option<String>,
}

/// A user as a target knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteUser {
    /// SCIM id, or DN.
    pub id: String,
    /// Its version, where the target has one.
    pub etag: Option<String>,
}

/// How a request ended badly, or that it ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub answer: Answer,
    /// The server's words, scrubbed of the password in every form and cut short; for the log of
    /// details only (O-16).
    pub detail: Option<String>,
}

/// A target that takes passwords. One request at a time for one user.
#[async_trait]
pub trait PasswordTarget: Send + Sync {
    fn name(&self) -> &ConnectorName;

    /// Request 1: who is meant. Gives exactly one user, or why there is none (never `Answer::Ok`).
    async fn find(&self, user: &Lookup) -> Result<RemoteUser, Reply>;

    /// Request 2: sets the password.
    async fn set(&self, user: &RemoteUser, password: &Password) -> Reply;

    /// What can be told without a call (O-35): the password has characters or a length that this
    /// target never takes. `None`: it may be sent.
    fn refuses(&self, password: &Password) -> Option<kakehi_engine::password::Category>;

    /// An answer to an older request may still come over the connections that are open: no later
    /// request may use them.
    fn close_connections(&self);
}

/// Who a capture is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What slots are kept under from now on.
    pub key: UserKey,
    /// Keys that the same person may have slots under from before it was joined.
    pub aliases: Vec<UserKey>,
    /// An account with special rights (adminCount): left out unless configured otherwise (M4).
    pub privileged: bool,
    /// Targets for which the rules and the filters let this person's passwords pass.
    pub targets: BTreeSet<ConnectorName>,
}

/// Whom a mail goes to, and how they are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub address: String,
    pub display_name: String,
}

/// What the synchronization knows of users. Without one, only what the captures say.
pub trait Users: Send + Sync {
    /// Who is meant by a capture. `targets`: where the password would go at most.
    ///
    /// Errors: it cannot be told now; the agent keeps the capture and comes again.
    fn person(
        &self,
        metadata: &Metadata,
        operation: Operation,
        targets: &BTreeSet<ConnectorName>,
    ) -> Result<Person, NotNow>;

    /// By what to look the user up at a target. `login`: what the slot knows of its name. `None`:
    /// it is not known yet who that is, or its passwords are not for this target.
    fn lookup(&self, user: &UserKey, target: &ConnectorName, login: &str) -> Option<Lookup>;

    /// Where mails to the user go; `None`: it has no address.
    fn contact(&self, user: &UserKey) -> Option<Contact>;
}

#[derive(Debug, thiserror::Error)]
#[error("it cannot be told whom the password belongs to: {reason}")]
pub struct NotNow {
    pub reason: String,
}
