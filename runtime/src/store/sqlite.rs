//! The store in one SQLite file: nothing to install, one writer, any tool opens it
//! (performance.md 6).
//!
//! What flows in: batches of what directories and targets showed, outcomes of passes, settlements.
//! What flows out: the engine's view, exports to deliver, records. The tables are in [`schema`].

mod audit;
mod body;
mod codes;
mod commit;
mod decided;
mod delivery;
mod explain;
mod export;
mod failure;
mod ids;
mod journal;
mod keys;
mod listing;
mod matching;
mod names;
mod noted;
mod object;
mod open;
mod reading;
mod records;
mod references;
mod repetition;
mod rules;
mod schema;
mod sift;
mod stage;
mod target;
mod view;
mod watched;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::export::Export;
use kakehi_engine::object::{AttributeName, ClassName, ConnectorName};
use kakehi_engine::plan::{Plan, PlanId};
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::{Revision, RuleSet, RulesRecord, RulesetDigest};
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::Outcome;

use self::failure::Result;
use self::listing::Listings;
use self::names::Names;
use crate::edge::{Batch, RemoteObject, SourceState};
use crate::store::{
    CheckedView, Decision, Due, Explained, ObjectLabel, PendingExport, Repeated, Repetition, RunId,
    RunRecord, Sent, Settlement, ShrinkLimit, Staged, StagingMode, Store, StoreError, Totals,
    Trail, Troubles, Wave,
};

/// See [`SqliteStore::open`], [`SqliteStore::open_read_only`] and [`SqliteStore::snapshot`].
pub struct SqliteStore {
    db: Mutex<Db>,
    /// Held as long as the store is open; the operating system lets go of it with the process.
    _lock: Option<File>,
    /// The folder of a copy that only this store knows of.
    _copy: Option<tempfile::TempDir>,
}

/// The one connection with what is remembered beside it.
struct Db {
    sql: rusqlite::Connection,
    names: Names,
    listings: Listings,
}

// === impl SqliteStore ===

impl SqliteStore {
    fn db(&self) -> MutexGuard<'_, Db> {
        // A thread that panicked left its transaction to be rolled back; the file is whole.
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction: all of it is stored, or nothing.
    fn write<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Db) -> Result<T>,
    ) -> std::result::Result<T, StoreError> {
        let db = self.db();
        let result = db.in_transaction(work);
        if result.is_err() {
            // What was remembered may stand for rows that were rolled back.
            db.names.forget();
            db.listings.forget();
        }
        result.map_err(|failure| failure.during(action))
    }

    /// Runs `work` on one consistent picture.
    fn read<T>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Db) -> Result<T>,
    ) -> std::result::Result<T, StoreError> {
        self.db().in_transaction(work).map_err(|failure| failure.during(action))
    }
}

// === impl Db ===

impl Db {
    /// A transaction that is deferred: work that writes nothing takes no write lock and syncs
    /// nothing.
    fn in_transaction<T>(&self, work: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        let transaction = self.sql.unchecked_transaction()?;
        let value = work(self)?;
        transaction.commit()?;
        Ok(value)
    }
}

impl Store for SqliteStore {
    fn source_states(
        &self,
        connector: &ConnectorName,
    ) -> std::result::Result<BTreeMap<String, SourceState>, StoreError> {
        self.read("read source states from", |db| stage::source_states(db, connector))
    }

    fn stage(
        &self,
        connector: &ConnectorName,
        batch: &Batch,
        limit: ShrinkLimit,
    ) -> std::result::Result<Staged, StoreError> {
        self.write("stage a batch in", |db| stage::stage(db, connector, batch, limit))
    }

    fn stage_target(
        &self,
        connector: &ConnectorName,
        objects: &[RemoteObject],
        rules: &RuleSet,
    ) -> std::result::Result<Vec<CsId>, StoreError> {
        self.write("stage target objects in", |db| {
            target::stage_target(db, connector, objects, rules)
        })
    }

    fn rules_record(&self) -> std::result::Result<Option<RulesRecord>, StoreError> {
        self.read("read the rules from", rules::record)
    }

    fn adopt_rules(
        &self,
        record: &RulesRecord,
        revision: &Revision<'_>,
    ) -> std::result::Result<u64, StoreError> {
        self.write("note the rules in", |db| rules::adopt(db, record, revision))
    }

    fn queue_orphans(
        &self,
        class: &ClassName,
        until: Timestamp,
    ) -> std::result::Result<(), StoreError> {
        self.write("queue orphans of", |db| sift::queue_orphans(db, class, until))
    }

    fn queued_resolve(&self, limit: usize) -> std::result::Result<Vec<MvId>, StoreError> {
        self.read("read the queue of", |db| commit::queued_resolve(db, limit))
    }

    fn queued_cs(&self, limit: usize) -> std::result::Result<Vec<CsId>, StoreError> {
        self.read("read the queue of", |db| commit::queued_cs(db, limit))
    }

    fn queued_mv(&self, limit: usize) -> std::result::Result<Vec<MvId>, StoreError> {
        self.read("read the queue of", |db| commit::queued_mv(db, limit))
    }

    fn view(&self) -> std::result::Result<Box<dyn CheckedView + '_>, StoreError> {
        let view = view::SqliteView::begin(self.db()).map_err(|failure| failure.during("read"))?;
        Ok(Box::new(view))
    }

    fn commit(&self, outcome: &Outcome) -> std::result::Result<(), StoreError> {
        self.write("commit a pass to", |db| commit::commit(db, outcome))
    }

    fn last_plan(&self) -> std::result::Result<Option<PlanId>, StoreError> {
        self.read("read the last plan of", export::last_plan)
    }

    fn linked(&self) -> std::result::Result<BTreeMap<ConnectorName, u64>, StoreError> {
        self.read("count the links of", records::linked)
    }

    fn each_export(
        &self,
        due: Due,
        each: &mut dyn FnMut(PendingExport),
    ) -> std::result::Result<(), StoreError> {
        export::each_export(self, due, each)
    }

    fn target_names(&self, ids: &[CsId]) -> std::result::Result<Vec<String>, StoreError> {
        self.read("read names from", |db| explain::target_names(db, ids))
    }

    fn held(
        &self,
        object: CsId,
        attribute: &AttributeName,
    ) -> std::result::Result<u64, StoreError> {
        self.read("count the values of", |db| target::held(db, object, attribute))
    }

    fn save_plan(&self, plan: &Plan, now: Timestamp) -> std::result::Result<(), StoreError> {
        self.write("save a plan in", |db| export::save_plan(db, plan, now))
    }

    fn unmatched(
        &self,
        connector: &ConnectorName,
        limit: usize,
    ) -> std::result::Result<Vec<Export>, StoreError> {
        self.read("read pending adds from", |db| matching::unmatched(db, connector, limit))
    }

    fn matched(&self, looked_up: &[(CsId, Vec<CsId>)]) -> std::result::Result<(), StoreError> {
        self.write("note matches in", |db| matching::matched(db, looked_up))
    }

    fn claim(
        &self,
        plan: &PlanId,
        connector: &ConnectorName,
        wave: Wave,
        now: Timestamp,
        limit: usize,
    ) -> std::result::Result<Vec<PendingExport>, StoreError> {
        self.write("claim exports of", |db| delivery::claim(db, plan, connector, wave, now, limit))
    }

    fn remote_ids(&self, ids: &[CsId]) -> std::result::Result<Vec<Option<String>>, StoreError> {
        self.read("read remote ids from", |db| object::remote_ids(db, ids))
    }

    fn settle(
        &self,
        settlements: &[Settlement],
        trail: &Trail<'_>,
        now: Timestamp,
    ) -> std::result::Result<(), StoreError> {
        self.write("settle exports in", |db| delivery::settle(db, settlements, trail, now))
    }

    fn in_doubt(
        &self,
        connector: &ConnectorName,
    ) -> std::result::Result<Vec<PendingExport>, StoreError> {
        self.read("read exports in doubt from", |db| delivery::in_doubt(db, connector))
    }

    fn resolve_doubt(
        &self,
        object: CsId,
        found: Option<CsId>,
    ) -> std::result::Result<(), StoreError> {
        self.write("resolve a doubt in", |db| delivery::resolve_doubt(db, object, found))
    }

    fn each_sent_by(
        &self,
        plan: &PlanId,
        each: &mut dyn FnMut(Vec<Sent>),
    ) -> std::result::Result<(), StoreError> {
        journal::each_sent_by(self, plan, each)
    }

    fn stage_undo(
        &self,
        undoes: &PlanId,
        exports: &[Export],
    ) -> std::result::Result<(), StoreError> {
        self.write("stage exports in", |db| journal::stage_undo(db, undoes, exports))
    }

    fn forget_undo(&self) -> std::result::Result<(), StoreError> {
        self.write("remove exports from", journal::forget_undo)
    }

    fn unbind(&self, objects: &[CsId]) -> std::result::Result<(), StoreError> {
        self.write("leave exports out in", |db| export::unbind(db, objects))
    }

    fn each_sent(
        &self,
        since: Timestamp,
        each: &mut dyn FnMut(Sent),
    ) -> std::result::Result<(), StoreError> {
        journal::each_sent(self, since, each)
    }

    fn hold_repeated(
        &self,
        limits: Repetition,
        ruleset: &RulesetDigest,
        now: Timestamp,
    ) -> std::result::Result<Vec<Repeated>, StoreError> {
        self.write("hold exports in", |db| repetition::hold(db, limits, ruleset, now))
    }

    fn note_decision(&self, decision: &Decision) -> std::result::Result<(), StoreError> {
        self.write("note a decision in", |db| audit::note(db, decision))
    }

    fn decisions(&self, since: Timestamp) -> std::result::Result<Vec<Decision>, StoreError> {
        self.read("read the decisions of", |db| audit::decisions(db, since))
    }

    fn last_configuration(&self) -> std::result::Result<Option<Decision>, StoreError> {
        self.read("read the decisions of", audit::last_configuration)
    }

    fn forget_before(
        &self,
        sent: Timestamp,
        decided: Timestamp,
    ) -> std::result::Result<bool, StoreError> {
        self.write("forget old entries of", |db| {
            audit::forget(db, decided)?;
            journal::forget(db, sent)
        })
    }

    fn staging(&self) -> std::result::Result<Option<StagingMode>, StoreError> {
        self.read("read the mode of", audit::staging)
    }

    fn set_staging(&self, mode: Option<&StagingMode>) -> std::result::Result<(), StoreError> {
        self.write("switch the mode of", |db| audit::set_staging(db, mode))
    }

    fn record_run(&self, run: &RunRecord) -> std::result::Result<RunId, StoreError> {
        self.write("record a run in", |db| records::record_run(db, run))
    }

    fn runs(&self, limit: usize) -> std::result::Result<Vec<RunRecord>, StoreError> {
        self.read("read runs from", |db| records::runs(db, limit))
    }

    fn run(&self, id: RunId) -> std::result::Result<Option<RunRecord>, StoreError> {
        self.read("read runs from", |db| records::run(db, id))
    }

    fn problems(&self) -> std::result::Result<Vec<Problem>, StoreError> {
        self.read("read problems from", records::problems)
    }

    fn troubles(&self) -> std::result::Result<Troubles, StoreError> {
        self.read("count the problems of", records::troubles)
    }

    fn totals(&self) -> std::result::Result<Totals, StoreError> {
        self.read("count the objects of", records::totals)
    }

    fn explain(&self, text: &str) -> std::result::Result<Vec<Explained>, StoreError> {
        self.read("search", |db| explain::explain(db, text))
    }

    fn labels(&self, ids: &[CsId]) -> std::result::Result<Vec<ObjectLabel>, StoreError> {
        self.read("read names from", |db| explain::labels(db, ids))
    }
}
