//! The store: one interface in the engine's words, a dozen operations on batches (performance.md
//! 6).
//!
//! Every writing operation is one transaction. Calls block; asynchronous callers use a blocking
//! thread.

#[cfg(test)]
mod conformance;
mod journal;
pub mod reading;
pub mod sqlite;

use std::collections::BTreeMap;

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::export::{AttributeChange, Export};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{AttributeName, ClassName, ConnectorName};
use kakehi_engine::plan::{Plan, PlanId};
use kakehi_engine::problem::{Problem, ProblemKind};
use kakehi_engine::rule::{Revision, RuleSet, RulesRecord, RulesetDigest};
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::{Outcome, View};

pub use self::journal::{Decision, DecisionKind, Repeated, Repetition, Sent, StagingMode, Trail};
pub use self::reading::{LinkCount, Reading};
use crate::edge::{Batch, RemoteObject, SourceState};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process works on this state.
    #[error("the state in `{path}` is in use by another process")]
    Locked { path: String },
    #[error("the state in `{path}` was written by a newer version (schema {found}, known {known})")]
    Newer { path: String, found: i64, known: i64 },
    #[error("cannot {action} the state")]
    Sqlite { action: &'static str, source: rusqlite::Error },
    #[error("cannot {action} `{path}`")]
    Io { action: &'static str, path: String, source: std::io::Error },
    /// What was stored cannot be read back.
    #[error("the state is damaged: {what}")]
    Damaged { what: String },
}

/// What staging a batch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// New or different objects: now on the queue.
    pub changed: u64,
    pub unchanged: u64,
    pub deleted: u64,
    /// A sweep that would remove more than the limit was not made (L-43): how many, of how many.
    pub held: Option<(u64, u64)>,
}

impl Staged {
    pub fn add(&mut self, other: &Self) {
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.deleted += other.deleted;
        self.held = self.held.or(other.held);
    }
}

/// How many objects a listing may make vanish (L-43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShrinkLimit {
    /// At most so many ...
    pub objects_max: u64,
    /// ... and at most so many percent of the known ones, whichever is reached first.
    pub percent_max: u64,
    /// Approved: no limit.
    pub accepted: bool,
}

/// In which order exports are delivered. Within a wave: by connector and object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wave {
    /// Deactivations first (delivery.md 9).
    Disable,
    /// New objects of one rank: users before groups.
    Add(u8),
    Update,
    /// Changes that consist of references alone.
    References,
    Delete,
}

/// Which exports are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Those whose hold, if any, is over.
    At(Timestamp),
    All,
    /// Those that take a plan back, and only those. All others are what rules want.
    Undo,
}

/// A pending export with what its delivery knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingExport {
    pub export: Export,
    pub wave: Wave,
    /// The id at the target, once there is one.
    pub remote_id: Option<String>,
    /// How often it was refused.
    pub attempts: u32,
    /// When its hold ends, and why it is held.
    pub hold: Option<Hold>,
    /// A request was written and its outcome never settled.
    pub in_doubt: bool,
    /// The plan that it takes back, if it is not what rules want.
    pub undoes: Option<PlanId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub until: Timestamp,
    pub kind: ProblemKind,
    pub message: String,
}

/// What became of one claimed export.
#[derive(Clone, Debug, PartialEq)]
pub struct Settlement {
    pub object: CsId,
    pub result: Settled,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// Done and confirmed. `remaining`: changes that could not be sent yet, because they refer to
    /// objects that the target does not have yet; they stay pending as an update.
    Done {
        remote_id: String,
        remaining: Vec<AttributeChange>,
        /// Attributes that do not stick: they count as not written, from now on, for the whole
        /// class.
        diverging: Vec<AttributeName>,
    },
    Deleted,
    /// Refused: not tried before the end of the hold. One attempt.
    Held(Hold),
    /// Not done, for no fault of its own: stays pending and bound to its plan, no attempt counted.
    Waiting,
    /// Nothing of it can be sent before other objects exist: stays pending, but not for this plan
    /// (it is unbound, so that it is not claimed again before the next plan).
    Deferred,
    /// The target has no object with this id: the id is forgotten and the difference computed anew
    /// (the object becomes `ExportOnly` and its metaverse object is queued; without one it is
    /// forgotten).
    Missing,
    /// The target says that there is such an object already: it counts as not looked up yet
    /// (`unmatched` gives it again, hold or not), and is held if the look-up finds none. One
    /// attempt.
    Duplicate(Hold),
    /// The outcome is unknown: the intent stays until it was looked up.
    InDoubt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(pub i64);

/// One run as it is shown and kept.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    pub id: RunId,
    /// `once`, `run`, `apply`, `demo`.
    pub verb: String,
    pub started: Timestamp,
    pub ended: Timestamp,
    /// A status of provisioning.md 12, or `failed`.
    pub status: String,
    pub plan: Option<PlanId>,
    pub ruleset: String,
    pub config: String,
    /// Everything that was counted, as a JSON object.
    pub details: String,
}

/// A metaverse object with everything that led to it: what `explain` shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub mv: Option<MvObject>,
    /// Source and target objects, by id.
    pub objects: Vec<CsObject>,
    pub exports: Vec<PendingExport>,
    pub problems: Vec<Problem>,
}

/// Totals for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Objects of each connector: all, and linked ones.
    pub objects: BTreeMap<ConnectorName, (u64, u64)>,
    pub metaverse: u64,
    pub pending: u64,
    pub troubles: Troubles,
    pub queued: u64,
}

/// What needs somebody's attention. Counting it costs what there is of it, not what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Troubles {
    pub problems: u64,
    pub held: u64,
    pub in_doubt: u64,
}

/// A view with the reading failure that may have happened behind the engine's back.
pub trait CheckedView: View {
    /// Ends the view. Errors: the first failure to read; then no outcome based on it may be used.
    fn check(&self) -> Result<(), StoreError>;
}

pub trait Store: Send + Sync + Reading {
    // --- import
    fn source_states(
        &self,
        connector: &ConnectorName,
    ) -> Result<BTreeMap<String, SourceState>, StoreError>;

    /// Takes one batch of a source in: unchanged entries cost a look-up, changed ones are staged
    /// and queued, and the state that covers them is stored with them (L-02).
    fn stage(
        &self,
        connector: &ConnectorName,
        batch: &Batch,
        limit: ShrinkLimit,
    ) -> Result<Staged, StoreError>;

    /// Takes objects of a target in as confirmed. Gives their ids, in the same order.
    fn stage_target(
        &self,
        connector: &ConnectorName,
        objects: &[RemoteObject],
        rules: &RuleSet,
    ) -> Result<Vec<CsId>, StoreError>;

    // --- synchronize
    /// The rules that everything not on a queue was evaluated with; `None` before the first time.
    fn rules_record(&self) -> Result<Option<RulesRecord>, StoreError>;
    /// From here on objects are evaluated with other rules: notes them and queues what they ask
    /// for, in one step, so that a crash loses neither. Every object that has a problem is queued
    /// as well, unless nothing differs. Gives how many objects were looked through.
    fn adopt_rules(&self, record: &RulesRecord, revision: &Revision<'_>)
    -> Result<u64, StoreError>;
    /// Queues the metaverse objects that nothing has kept since `until`, of one type, to be
    /// resolved anew.
    fn queue_orphans(&self, class: &ClassName, until: Timestamp) -> Result<(), StoreError>;
    /// The next metaverse objects that are to be resolved anew, by id; at most `limit`.
    fn queued_resolve(&self, limit: usize) -> Result<Vec<MvId>, StoreError>;
    /// The next queued source objects, by connector and id; at most `limit`.
    fn queued_cs(&self, limit: usize) -> Result<Vec<CsId>, StoreError>;
    /// The next queued metaverse objects, first come first served; at most `limit`.
    fn queued_mv(&self, limit: usize) -> Result<Vec<MvId>, StoreError>;
    fn view(&self) -> Result<Box<dyn CheckedView + '_>, StoreError>;
    fn commit(&self, outcome: &Outcome) -> Result<(), StoreError>;

    // --- plan
    fn last_plan(&self) -> Result<Option<PlanId>, StoreError>;
    /// Linked objects of each target.
    fn linked(&self) -> Result<BTreeMap<ConnectorName, u64>, StoreError>;
    /// Passes every pending export by, in order of delivery.
    fn each_export(&self, due: Due, each: &mut dyn FnMut(PendingExport)) -> Result<(), StoreError>;
    /// What names these objects at their target: for people. One answer each, in order.
    fn target_names(&self, ids: &[CsId]) -> Result<Vec<String>, StoreError>;
    /// How many values of an attribute an object of a target is known to hold.
    fn held(&self, object: CsId, attribute: &AttributeName) -> Result<u64, StoreError>;
    /// Saves the plan and binds every export that is due now to it; only bound exports can be
    /// claimed. A plan that takes another one back binds the exports that do so.
    fn save_plan(&self, plan: &Plan, now: Timestamp) -> Result<(), StoreError>;

    // --- match
    /// Pending adds that were not yet looked up at the target, by object; at most `limit`.
    fn unmatched(&self, connector: &ConnectorName, limit: usize)
    -> Result<Vec<Export>, StoreError>;
    /// These adds were looked up. `found`: the target objects that match each (staged before).
    fn matched(&self, looked_up: &[(CsId, Vec<CsId>)]) -> Result<(), StoreError>;

    // --- deliver
    /// Takes the next exports of a saved plan for delivery and writes their intents: from here on
    /// they are in doubt until settled. In order of object; at most `limit`.
    fn claim(
        &self,
        plan: &PlanId,
        connector: &ConnectorName,
        wave: Wave,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<PendingExport>, StoreError>;
    /// The ids at the target; one answer each, in order. `None`: not created yet.
    fn remote_ids(&self, ids: &[CsId]) -> Result<Vec<Option<String>>, StoreError>;
    /// What was carried out is noted in the journal in the same step, if it is kept.
    fn settle(
        &self,
        settlements: &[Settlement],
        trail: &Trail<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Exports left in doubt by a crash or an unknown outcome, by object.
    fn in_doubt(&self, connector: &ConnectorName) -> Result<Vec<PendingExport>, StoreError>;
    /// What was found out about an export in doubt. `Some`: the object as the target shows it
    /// (staged before). `None`: the target does not have it. Either way its difference is computed
    /// anew.
    fn resolve_doubt(&self, object: CsId, found: Option<CsId>) -> Result<(), StoreError>;

    // --- take back
    /// Passes what a plan did by: all entries of one object at once, the newest first.
    fn each_sent_by(
        &self,
        plan: &PlanId,
        each: &mut dyn FnMut(Vec<Sent>),
    ) -> Result<(), StoreError>;
    /// Puts exports that take a plan back in the place of what is pending of their objects.
    fn stage_undo(&self, undoes: &PlanId, exports: &[Export]) -> Result<(), StoreError>;
    /// Removes what is left of taking a plan back; their objects are looked at again.
    fn forget_undo(&self) -> Result<(), StoreError>;
    /// Unbinds exports from their plan: they are left to the next one.
    fn unbind(&self, objects: &[CsId]) -> Result<(), StoreError>;

    // --- journal and decisions
    /// Passes everything that was sent since then by, oldest first.
    fn each_sent(&self, since: Timestamp, each: &mut dyn FnMut(Sent)) -> Result<(), StoreError>;
    /// Holds pending exports that were sent too often before by the same rules: whoever changes the
    /// rules to and fro knows of it. Gives what was held now.
    fn hold_repeated(
        &self,
        limits: Repetition,
        ruleset: &RulesetDigest,
        now: Timestamp,
    ) -> Result<Vec<Repeated>, StoreError>;
    fn note_decision(&self, decision: &Decision) -> Result<(), StoreError>;
    /// Since then, oldest first.
    fn decisions(&self, since: Timestamp) -> Result<Vec<Decision>, StoreError>;
    /// The last one that put rules or a configuration into force.
    fn last_configuration(&self) -> Result<Option<Decision>, StoreError>;
    /// Forgets some of the journal and of the decisions that are older. Gives whether there may be
    /// more.
    fn forget_before(&self, sent: Timestamp, decided: Timestamp) -> Result<bool, StoreError>;
    /// Whether staging mode was switched on at run time.
    fn staging(&self) -> Result<Option<StagingMode>, StoreError>;
    fn set_staging(&self, mode: Option<&StagingMode>) -> Result<(), StoreError>;

    // --- records
    /// Gives the number of the run; the one in `run` does not count.
    fn record_run(&self, run: &RunRecord) -> Result<RunId, StoreError>;
    /// Newest first.
    fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StoreError>;
    fn run(&self, id: RunId) -> Result<Option<RunRecord>, StoreError>;
    fn problems(&self) -> Result<Vec<Problem>, StoreError>;
    fn troubles(&self) -> Result<Troubles, StoreError>;
    fn totals(&self) -> Result<Totals, StoreError>;
    /// Objects that a person may mean by `text`: a DN, an anchor, a remote id, a mail address, a
    /// login name, or a value of an attribute that names people. One entry for each metaverse
    /// object (or unlinked object) found.
    fn explain(&self, text: &str) -> Result<Vec<Explained>, StoreError>;
    /// Connector and DN (else anchor) of objects, for messages. One answer each, in order.
    fn labels(&self, ids: &[CsId]) -> Result<Vec<ObjectLabel>, StoreError>;
}

/// How an object is named in messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectLabel {
    pub connector: String,
    pub class: String,
    /// Its DN, or its anchor where there are no DNs.
    pub name: String,
    pub anchor: String,
}
