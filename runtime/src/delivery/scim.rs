//! A SCIM 2.0 target: look-ups and writes flow in, requests go out, and what the target confirmed
//! flows out (delivery.md; RFC 7643, RFC 7644).
//!
//! `write` carries one operation out and `match_index` finds objects; both speak through `client`,
//! which alone knows the wire. Whoever calls decides what is sent, and when again.

mod client;
mod learned;
mod map;
mod match_index;
mod members;
pub mod password;
mod patch;
pub mod path;
pub mod profile;
mod resolver;
mod response;
mod retry;
pub mod schema;
mod sealed;
mod window;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kakehi_engine::object::{ClassName, ConnectorName};
use kakehi_engine::problem::ProblemKind;

use self::client::Client;
use self::learned::Learned;
use self::map::Resource;
use self::match_index::MatchIndex;
use self::password::{ScimPasswordOptions, ScimPasswords};
pub use self::profile::Profile;
use self::schema::ResourceType;
use self::write::Writer;
use crate::config::secret::Secret;
use crate::edge::{
    Clock, MatchKeys, RemoteObject, Target, TargetError, TargetReader, WriteOp, Written,
};

/// How long a connection may take to stand (delivery.md 9).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may take from its first byte to the last one of its answer (delivery.md 9).
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What a target is made from.
#[derive(Clone)]
pub struct ScimOptions {
    pub name: ConnectorName,
    /// `https://scim.example.com/scim/v2`: what `/Users` is appended to.
    pub base_url: String,
    /// The bearer token.
    pub token: Arc<Secret>,
    pub profile: Profile,
    /// Permits loopback addresses, and plain http to them.
    pub allow_loopback: bool,
    /// A PEM file with certificate authorities that are trusted besides the system's.
    pub ca: Option<PathBuf>,
    pub connect_timeout: Duration,
    pub total_timeout: Duration,
    pub clock: Arc<dyn Clock>,
}

/// Why a target cannot be made from its options.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("the base URL `{url}` cannot be used: {reason}")]
    BaseUrl { url: String, reason: &'static str },
    #[error("the certificates in `{path}` cannot be used: {reason}")]
    Ca { path: PathBuf, reason: String },
    #[error("`{path}` names no single attribute that users can be looked up by")]
    MatchAttribute { path: String },
    #[error("the token holds characters that no header can")]
    Token,
    #[error("cannot set TLS up")]
    Tls(#[source] rustls::Error),
    #[error("cannot set the HTTP client up")]
    Client(#[source] reqwest::Error),
}

/// One SCIM service provider with one credential.
pub struct ScimTarget {
    client: Arc<Client>,
    profile: Profile,
    learned: [(ResourceType, Learned); 2],
    matches: MatchIndex,
}

// === impl ScimTarget ===

impl ScimTarget {
    /// Prepares a target; connects to nothing.
    ///
    /// Errors: [`OptionsError`] for a URL, certificate file or token that cannot be used.
    pub fn new(options: ScimOptions) -> Result<Self, OptionsError> {
        Ok(Self {
            client: Arc::new(Client::new(&options)?),
            learned: [schema::USER, schema::GROUP]
                .map(|kind| (kind, Learned::new(&options.profile))),
            matches: MatchIndex::new(options.profile.page.clone()),
            profile: options.profile,
        })
    }

    /// The token of all requests from now on; those under way keep theirs (DV-14).
    pub fn set_token(&self, token: Arc<Secret>) {
        self.client.set_token(token);
    }

    /// The same target for passwords: with the same connections, token and pauses.
    pub fn passwords(&self, options: ScimPasswordOptions) -> Result<ScimPasswords, OptionsError> {
        ScimPasswords::with(self.client.clone(), options)
    }

    fn writer(&self, class: &ClassName) -> Result<Writer<'_>, TargetError> {
        let known = self.learned.iter().find(|(kind, _)| kind.class == class.as_str());
        let (kind, learned) = known.ok_or_else(|| {
            let message = format!("`{class}` is no class of a SCIM target");
            response::rejected(ProblemKind::InvalidValue, message)
        })?;
        Ok(Writer { client: &self.client, profile: &self.profile, learned, kind: *kind })
    }
}

#[async_trait]
impl TargetReader for ScimTarget {
    fn name(&self) -> &ConnectorName {
        &self.client.name
    }

    async fn begin_cycle(&self) {
        self.matches.begin_cycle().await;
    }

    async fn find(
        &self,
        class: &ClassName,
        wanted: &[MatchKeys],
    ) -> Result<Vec<Vec<RemoteObject>>, TargetError> {
        let writer = self.writer(class)?;
        let found = self.matches.find(&self.client, writer.kind, wanted).await?;
        let reads: Vec<_> =
            found.into_iter().zip(wanted).map(|(ids, keys)| verified(&writer, ids, keys)).collect();
        stream::iter(reads).buffered(self.window()).try_collect().await
    }

    async fn read(
        &self,
        class: &ClassName,
        remote_id: &str,
    ) -> Result<Option<RemoteObject>, TargetError> {
        let writer = self.writer(class)?;
        let resource = writer.read(remote_id, true).await?;
        Ok(resource.map(|resource| remote_object(remote_id.to_owned(), writer.kind, &resource)))
    }

    fn window(&self) -> usize {
        self.client.window.size()
    }
}

#[async_trait]
impl Target for ScimTarget {
    async fn write(&self, op: &WriteOp) -> Result<Written, TargetError> {
        match op {
            WriteOp::Create { class, attributes } => {
                let writer = self.writer(class)?;
                let result = writer.create(attributes).await;
                match &result {
                    Err(TargetError::Rejected { kind: ProblemKind::DuplicateValue, .. }) => {
                        self.matches.contradicted(writer.kind).await;
                    }
                    Err(TargetError::InDoubt { .. }) => self.matches.forget(writer.kind).await,
                    _ => {}
                }
                result
            }
            WriteOp::Update { class, remote_id, changes } => {
                self.writer(class)?.update(remote_id, changes).await
            }
            WriteOp::Delete { class, remote_id } => self.writer(class)?.delete(remote_id).await,
        }
    }

    fn reader(&self) -> &dyn TargetReader {
        self
    }
}

/// Reads what a look-up found and keeps what still carries one of the keys: it may have changed or
/// gone since it was listed.
async fn verified(
    writer: &Writer<'_>,
    ids: Vec<String>,
    keys: &MatchKeys,
) -> Result<Vec<RemoteObject>, TargetError> {
    let mut objects = vec![];
    for id in ids {
        if let Some(resource) = writer.read(&id, true).await?
            && match_index::carries_one(&resource, keys)
        {
            objects.push(remote_object(id, writer.kind, &resource));
        }
    }
    Ok(objects)
}

fn remote_object(remote_id: String, kind: ResourceType, resource: &Resource) -> RemoteObject {
    RemoteObject { remote_id, class: kind.class.into(), attributes: map::to_attributes(resource) }
}
