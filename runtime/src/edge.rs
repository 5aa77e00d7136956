//! The doors to the outside: directory, target, clock. Real parts stand behind them in the service,
//! fakes in the simulation.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::export::AttributeChange;
use kakehi_engine::object::{Anchor, AttributeMap, AttributeName, ClassName, ConnectorName};
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The present, as far as the product may know it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

// === Directory ===

/// How far a source was read: one per partition (base DN), opaque to everybody but its connector.
///
/// It is stored in the transaction of the changes it covers (L-02).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SourceState {
    /// Digest of filter, attributes, bind identity: another one means a full listing (L-44).
    pub config_hash: String,
    pub server: String,
    pub cookie: Option<Vec<u8>>,
    /// Number of the newest listing (L-41).
    pub generation: u64,
    /// Objects that the last complete listing showed: what a suspicious delta is measured by.
    pub objects: u64,
    /// The last poll met a server whose state was older than ours (L-75).
    pub behind: bool,
    /// LDIF: digest of each change file that was taken, by name (L-92).
    pub files: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Which part of the source it is about: the base DN, or the file.
    pub partition: String,
    pub changes: Vec<Change>,
    /// What holds once the changes are stored; `None`: as before.
    pub next: Option<SourceState>,
}

/// What a source says happened (ldap.md 2).
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A listing begins: everything seen from here on is stamped with the generation.
    FullBegin {
        generation: u64,
        reason: &'static str,
    },
    Upsert(Entry),
    Partial(Partial),
    /// Alive and unchanged.
    Present {
        anchors: Vec<Anchor>,
    },
    Delete {
        anchor: Anchor,
    },
    /// The listing was complete: what it did not show is gone.
    FullEnd {
        generation: u64,
    },
    /// A value that did not fit its type; the rest of the entry is used (L-12).
    Fault {
        anchor: Anchor,
        attribute: AttributeName,
        message: String,
    },
}

/// A whole object: all requested attributes, under the names they were asked for by.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub anchor: Anchor,
    pub dn: String,
    pub class: ClassName,
    /// References are [`Value::Reference`](kakehi_engine::object::Value) with the DN as the server
    /// wrote it.
    pub attributes: AttributeMap,
}

/// Some attributes of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    pub anchor: Anchor,
    pub dn: Option<String>,
    /// Complete new values; an empty list clears the attribute.
    pub set: BTreeMap<AttributeName, Vec<kakehi_engine::object::Value>>,
    /// Single values added to and removed from an attribute.
    pub add: AttributeMap,
    pub remove: AttributeMap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollMode {
    /// What changed since the state, or everything if that cannot be told.
    Delta,
    /// Everything, whatever the state says.
    Full,
}

/// How a poll ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollEnd {
    /// Entries received.
    pub entries: u64,
    /// Referrals that were not followed (L-27).
    pub referrals: u64,
    /// Whether a complete listing was read.
    pub full: bool,
}

/// What `config check --online` learns of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceReport {
    pub lines: Vec<String>,
}

/// What a directory may hold: what rules are generated for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSchema {
    /// The attributes of each object type, those of its superiors and auxiliaries included.
    pub classes: BTreeMap<String, BTreeSet<String>>,
    /// What is known of single attributes; what is not here is text of any number of values.
    #[serde(default)]
    pub attributes: BTreeMap<String, AttributeSchema>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttributeSchema {
    pub syntax: AttributeSyntax,
    pub single_valued: bool,
    /// Kept by the server itself, on entries of every class.
    pub operational: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttributeSyntax {
    #[default]
    Text,
    Integer,
    Boolean,
    Binary,
    Reference,
}

/// Takes batches in order; its answer is the back-pressure (L-03).
#[async_trait]
pub trait BatchSink: Send {
    async fn commit(&mut self, batch: Batch) -> Result<(), SinkClosed>;
}

/// The receiving side gave up; it knows why.
#[derive(Debug, thiserror::Error)]
#[error("the store no longer takes changes")]
pub struct SinkClosed;

#[async_trait]
pub trait Directory: Send {
    fn name(&self) -> &ConnectorName;

    /// Reads on from what `states` (by partition) says and gives batches to `sink`, in order.
    ///
    /// Errors: see [`DirectoryError`]; everything committed before one stays valid.
    async fn poll(
        &mut self,
        states: &BTreeMap<String, SourceState>,
        mode: PollMode,
        sink: &mut dyn BatchSink,
    ) -> Result<PollEnd, DirectoryError>;

    /// Connects, binds and looks, and changes nothing.
    async fn probe(&mut self) -> Result<SourceReport, DirectoryError>;

    /// What the source may hold, by its own word. Changes nothing.
    ///
    /// Errors: it does not say.
    async fn schema(&mut self) -> Result<SourceSchema, DirectoryError> {
        Err(DirectoryError::Config {
            source_name: self.name().to_string(),
            message: "the source has no schema to read".to_owned(),
            hint: "write the schema by hand".to_owned(),
        })
    }
}

/// Why a source could not be read (ldap.md 9). The texts name source, host and operation, never
/// values.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("source `{source_name}`: {message}")]
    Unavailable { source_name: String, message: String },
    /// Our credential was refused. Not tried again until it changes (L-22).
    #[error("source `{source_name}`: {message}")]
    Refused { source_name: String, message: String },
    #[error("source `{source_name}`: {message}")]
    Tls { source_name: String, message: String },
    #[error("source `{source_name}`: the server broke the protocol: {message}")]
    Protocol { source_name: String, message: String },
    #[error("source `{source_name}`: {message}")]
    Limit { source_name: String, message: String, hint: String },
    #[error("source `{source_name}`: {message}")]
    Config { source_name: String, message: String, hint: String },
    #[error(transparent)]
    Sink(#[from] SinkClosed),
}

// === Users ===

/// A source object whose rules were asked, or that vanished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    pub object: CsId,
    pub connector: ConnectorName,
    pub anchor: Anchor,
    pub dn: String,
    /// The metaverse object that it was linked to before.
    pub mv: Option<MvId>,
    /// The source does not have it any more.
    pub gone: bool,
}

/// Who listens to what a synchronization does to users: passwords that wait for them (password.md
/// 5.5). What is told is taken at once and dealt with later.
pub trait UserEvents: Send + Sync {
    /// Whether anybody waits for a word; while nobody does, nothing needs to be gathered.
    fn wanted(&self) -> bool;

    /// These were evaluated; what they mean for targets is not planned yet.
    fn evaluated(&self, objects: Vec<Evaluated>);

    /// What was evaluated is planned: what has no pending export is as it should be.
    fn planned(&self);

    /// Objects of a target that were written and confirmed, and whether that created them.
    fn exported(&self, target: &ConnectorName, objects: &[(CsId, bool)]);
}

// === Target ===

/// An object as a target shows it. References hold the remote ids of other objects.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteObject {
    pub remote_id: String,
    pub class: ClassName,
    pub attributes: AttributeMap,
}

/// What to look an object up by: the attributes of [`TargetClass::match_by`] that it has, in that
/// order.
///
/// [`TargetClass::match_by`]: kakehi_engine::rule::TargetClass
pub type MatchKeys = Vec<(AttributeName, String)>;

/// What a write achieved, as far as it was confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub remote_id: String,
    /// Attributes whose value the target does not show after it said yes (DV-03).
    pub diverging: Vec<AttributeName>,
}

/// One request to a target. References in it are remote ids.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteOp {
    Create { class: ClassName, attributes: AttributeMap },
    Update { class: ClassName, remote_id: String, changes: Vec<AttributeChange> },
    Delete { class: ClassName, remote_id: String },
}

/// Reading a target: all that a dry run is given (DV-15).
#[async_trait]
pub trait TargetReader: Send + Sync {
    fn name(&self) -> &ConnectorName;

    /// Begins a cycle: look-ups see the target as it is from now on.
    async fn begin_cycle(&self);

    /// Looks objects of one class up, each by its keys. Gives, for each, every object verified to
    /// match the first key that matched any: none, one, or several. Many look-ups are answered from
    /// one listing.
    async fn find(
        &self,
        class: &ClassName,
        wanted: &[MatchKeys],
    ) -> Result<Vec<Vec<RemoteObject>>, TargetError>;

    /// Reads one object with its references; `None` if the target does not have it.
    async fn read(
        &self,
        class: &ClassName,
        remote_id: &str,
    ) -> Result<Option<RemoteObject>, TargetError>;

    /// How many requests should be under way at once, now.
    fn window(&self) -> usize;
}

/// Writing a target. Only the executor of a saved plan calls it (S-03).
#[async_trait]
pub trait Target: TargetReader {
    /// Carries one operation out and confirms it. Deleting what is not there succeeds.
    async fn write(&self, op: &WriteOp) -> Result<Written, TargetError>;

    /// The same target without its writing half.
    fn reader(&self) -> &dyn TargetReader;
}

/// Why a target did not do what it was asked. The variant decides what follows, never the text
/// (S-12).
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Nothing was done; counts no attempt. The object waits for the target.
    #[error("target `{target}`: {message}")]
    Unavailable { target: String, message: String, retry_after: Option<std::time::Duration> },
    /// Our credential was refused: the target is left alone.
    #[error("target `{target}`: {message}")]
    Refused { target: String, message: String },
    /// The request may or may not have been carried out (delivery.md 4).
    #[error("target `{target}`: {message}")]
    InDoubt { target: String, message: String },
    /// This object was refused; counts one attempt.
    #[error("{message}")]
    Rejected { kind: ProblemKind, message: String },
    /// The answer makes no sense: quarantine.
    #[error("target `{target}`: the server broke the protocol: {message}")]
    Protocol { target: String, message: String },
}
