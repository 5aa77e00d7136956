//! The one-shot verbs: a cycle, a dry run, a reviewed plan.

use std::path::Path;
use std::sync::Arc;

use kakehi_engine::plan::{Plan, PlanId};
use kakehi_engine::rule::RuleSet;
use kakehi_engine::time::Timestamp;
use serde_json::json;
use tempfile::TempDir;

use crate::edge::{Clock as _, PollMode, TargetReader};
use crate::service::audit;
use crate::service::clock::SystemClock;
use crate::service::control::Answer;
use crate::service::failure::{Failure, Kind};
use crate::service::generations::{Entered, Generations, StandIn};
use crate::service::staging::{self, Switch};
use crate::service::world::{self, World};
use crate::store::sqlite::SqliteStore;
use crate::store::{DecisionKind, RunId, RunRecord, Store};
use crate::sync::undo::Left;
use crate::sync::{self, Approved, Drift, Order, Parts, Report, Stop};

/// One cycle on the real state.
///
/// Errors: the state is in use, or something that ends the cycle before its report.
pub fn once(world: &World, mode: PollMode) -> Result<(Option<RunId>, Report), Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&world.config.state.path)?);
    audit::note_world(&*store, world, "once", &audit::own_user(), None)?;
    let done = cycle(world, store, "once", Order { mode, approved: None })?;
    enter(world, "once")?;
    Ok(done)
}

/// A plan that somebody reviewed, as its file tells.
pub struct Reviewed {
    pub plan: PlanId,
    pub ruleset: String,
    pub config: String,
    /// The plan that it takes back.
    pub undoes: Option<PlanId>,
    /// Exports that may have come, gone or changed since, and the marks of the reviewed ones;
    /// there are none where nothing may have moved.
    pub max_drift: u64,
    pub marks: Vec<String>,
}

// === impl Reviewed ===

impl Reviewed {
    pub(crate) fn approved(&self) -> Approved<'_> {
        let drift = Drift { max: self.max_drift, config: &self.config, marks: &self.marks };
        Approved { plan: &self.plan, drift }
    }
}

/// The cycle that carries out a reviewed plan, if it is what the present data give; or that takes
/// another plan back as it was reviewed.
pub fn apply(world: &World, reviewed: &Reviewed) -> Result<(Option<RunId>, Report), Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&world.config.state.path)?);
    let (actor, plan) = (audit::own_user(), &reviewed.plan);
    if let Some(of) = &reviewed.undoes {
        return undo(world, &store, of, plan, &actor);
    }
    audit::note_world(&*store, world, "apply", &actor, Some(plan))?;
    let order = Order { mode: PollMode::Delta, approved: Some(reviewed.approved()) };
    let done = cycle(world, Arc::clone(&store), "apply", order)?;
    let details = json!({ "status": done.1.status.as_str() });
    audit::note(&*store, world, DecisionKind::Apply, &actor, Some(plan), &details)?;
    enter(world, "apply")?;
    Ok(done)
}

fn undo(
    world: &World,
    store: &Arc<dyn Store>,
    of: &PlanId,
    plan: &PlanId,
    actor: &str,
) -> Result<(Option<RunId>, Report), Failure> {
    let parts = world.parts(Arc::clone(store), Stop::default(), true);
    let started = parts.clock.now();
    let mut failed = None;
    let mut hold = || {
        let why = undo_why(of);
        failed = staging::switch(&**store, &parts.staging, world, true, actor, &why).err();
        failed.is_none()
    };
    let result = runtime()?.block_on(async {
        let targets = world.targets()?;
        sync::undo::undo(&parts, &targets, of, plan, &mut hold).await.map_err(Failure::from)
    });
    let result = failed.map_or(result, Err);
    let done = record(&parts, "undo", started, result)?;
    note_undo(&**store, world, of, plan, actor, &done.1)?;
    Ok(done)
}

/// Why staging mode is on after a plan was taken back.
pub(crate) fn undo_why(of: &PlanId) -> String {
    format!("plan {of} was taken back; the rules would do it again")
}

pub(crate) fn note_undo(
    store: &dyn Store,
    world: &World,
    of: &PlanId,
    plan: &PlanId,
    actor: &str,
    report: &Report,
) -> Result<(), Failure> {
    let details = json!({ "undoes": of.0, "status": report.status.as_str() });
    audit::note(store, world, DecisionKind::Undo, actor, Some(plan), &details)
}

/// Goes back to an earlier generation while no service runs: the next command works with it.
pub fn rollback(config: &Path, generation: Option<u64>) -> Result<Answer, Failure> {
    let (read, warnings) = crate::config::load(config).map_err(Failure::of_findings)?;
    // Nobody else changes what is in force meanwhile.
    let _lock = SqliteStore::open(&read.state.path)?;
    let generations = Generations::of(&read.state.path);
    let index = generations.index()?;
    let number = index.choose(generation)?.number;
    let host = Arc::new(world::host(&read)?);
    let (_, files) = world::attempt(read, warnings, host);
    let why = format!("somebody went back to generation {number}");
    generations.stand_in(StandIn { number, instead_of: files.digest(), why })?;
    Ok(Answer::done(format!("generation {number} is in force until the files change")))
}

/// What was worked with is a generation; one that stands in goes on doing so.
fn enter(world: &World, by: &str) -> Result<(), Failure> {
    let generations = Generations::of(&world.config.state.path);
    let instead_of = generations.index()?.goes_on(&world.files);
    let entered = Entered {
        files: &world.files,
        ruleset: &world.generation.rules.digest.0,
        by,
        instead_of: instead_of.as_ref(),
        now: SystemClock.now(),
        keep: world.config.rules.reload.keep,
    };
    generations.enter(&entered).map(|_| ())
}

fn cycle(
    world: &World,
    store: Arc<dyn Store>,
    verb: &str,
    order: Order<'_>,
) -> Result<(Option<RunId>, Report), Failure> {
    let accepted = order.approved.is_some();
    let mut parts = world.parts(store, Stop::default(), accepted);
    parts.staging = Switch::of_state(&parts.store)?.configured(world.config.run.staging);
    let started = parts.clock.now();
    let result = runtime()?.block_on(async {
        let mut sources = world.sources();
        let targets = world.targets()?;
        sync::cycle(&parts, &mut sources, &targets, order).await.map_err(Failure::from)
    });
    record(&parts, verb, started, result)
}

/// Records a cycle, whatever its end. One that found nothing to do leaves no record (PF-11).
pub(crate) fn record(
    parts: &Parts<'_>,
    verb: &str,
    started: Timestamp,
    result: Result<Report, Failure>,
) -> Result<(Option<RunId>, Report), Failure> {
    let result = match result {
        Ok(report) if report.is_empty() => return Ok((None, report)),
        other => other,
    };
    let (status, plan, details) = match &result {
        Ok(report) => (report.status.as_str(), report.plan.clone(), report.to_json()),
        Err(failure) => {
            ("failed", None, serde_json::json!({"error": failure.message, "code": failure.code}))
        }
    };
    let run = RunRecord {
        id: RunId(0),
        verb: verb.into(),
        // The journal knows the run by the instant at which it began.
        started: result.as_ref().map_or(started, |report| report.started),
        ended: parts.clock.now(),
        status: status.into(),
        plan,
        ruleset: parts.rules.digest.0.clone(),
        config: parts.config.clone(),
        details: details.to_string(),
    };
    let run = parts.store.record_run(&run)?;
    result.map(|report| (Some(run), report))
}

/// A plan with the copy of the state that it was made on, which is gone with it.
pub struct Planned {
    pub plan: Plan,
    pub report: Report,
    pub store: Arc<dyn Store>,
    /// The rules that it was made with.
    pub rules: Arc<RuleSet>,
    /// What stays, of a plan that takes another one back.
    pub left: Vec<Left>,
    _folder: TempDir,
}

/// A dry run: on a copy of the state, with targets that cannot be written (service.md 1, guarantee
/// 1).
pub fn plan(world: &World, mode: PollMode) -> Result<Planned, Failure> {
    let (folder, store) = copy(world)?;
    // What a held import would remove is shown: that is what the plan is for.
    let parts = world.parts(Arc::clone(&store), Stop::default(), true);
    let (report, plan) = runtime()?.block_on(async {
        let mut sources = world.sources();
        let targets = world.targets()?;
        let readers: Vec<&dyn TargetReader> =
            targets.iter().map(|target| target.reader()).collect();
        sync::dry_run(&parts, &mut sources, &readers, mode).await.map_err(Failure::from)
    })?;
    let rules = Arc::clone(&world.generation.rules);
    Ok(Planned { plan, report, store, rules, left: vec![], _folder: folder })
}

/// The reverse of what a plan did, on a copy of the state. No source is asked.
pub fn plan_undo(world: &World, of: &PlanId) -> Result<Planned, Failure> {
    let (folder, store) = copy(world)?;
    let parts = world.parts(Arc::clone(&store), Stop::default(), true);
    let (report, plan, left) = runtime()?.block_on(async {
        let targets = world.targets()?;
        let readers: Vec<&dyn TargetReader> =
            targets.iter().map(|target| target.reader()).collect();
        sync::undo::dry_run(&parts, &readers, of).await.map_err(Failure::from)
    })?;
    let rules = Arc::clone(&world.generation.rules);
    Ok(Planned { plan, report, store, rules, left, _folder: folder })
}

fn copy(world: &World) -> Result<(TempDir, Arc<dyn Store>), Failure> {
    let folder = TempDir::with_prefix("kakehi-plan-").map_err(|error| {
        Failure::new(Kind::Internal, "K0803", format!("cannot make a folder for the plan: {error}"))
    })?;
    let snapshot = SqliteStore::snapshot(&world.config.state.path, folder.path())?;
    // Who reads the plan wants to know what was there before.
    snapshot.take_notes()?;
    Ok((folder, Arc::new(snapshot)))
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Failure::new(Kind::Internal, "K0003", format!("cannot start the runtime: {error}"))
    })
}

/// Returns at SIGINT or SIGTERM.
pub fn until_interrupted() -> Result<(), Failure> {
    let stop = Stop::default();
    runtime()?.block_on(async {
        let signals = super::supervise::stop_on_signal(stop.clone())?;
        tokio::select! {
            () = signals => {}
            () = stop.wait() => {}
        }
        Ok(())
    })
}
