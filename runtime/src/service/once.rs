//! The one-shot verbs: a cycle, a dry run, a reviewed plan.

use std::path::Path;
use std::sync::Arc;

use kakehi_engine::plan::{Plan, PlanId};
use kakehi_engine::rule::RuleSet;
use kakehi_engine::time::Timestamp;
use tempfile::TempDir;

use crate::edge::{Clock as _, PollMode, TargetReader};
use crate::service::clock::SystemClock;
use crate::service::control::Answer;
use crate::service::failure::{Failure, Kind};
use crate::service::generations::{Entered, Generations, StandIn};
use crate::service::world::{self, World};
use crate::store::sqlite::SqliteStore;
use crate::store::{RunId, RunRecord, Store};
use crate::sync::{self, Order, Parts, Report, Stop};

/// One cycle on the real state.
///
/// Errors: the state is in use, or something that ends the cycle before its report.
pub fn once(world: &World, mode: PollMode) -> Result<(Option<RunId>, Report), Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&world.config.state.path)?);
    let done = cycle(world, store, "once", Order { mode, approved: None })?;
    enter(world, "once")?;
    Ok(done)
}

/// The cycle that carries out a reviewed plan, if it is what the present data give.
pub fn apply(world: &World, plan: &PlanId) -> Result<(Option<RunId>, Report), Failure> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&world.config.state.path)?);
    let order = Order { mode: PollMode::Delta, approved: Some(plan) };
    let done = cycle(world, store, "apply", order)?;
    enter(world, "apply")?;
    Ok(done)
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
    let parts = world.parts(store, Stop::default(), accepted);
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
        started,
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
    _folder: TempDir,
}

/// A dry run: on a copy of the state, with targets that cannot be written (service.md 1, guarantee
/// 1).
pub fn plan(world: &World, mode: PollMode) -> Result<Planned, Failure> {
    let folder = TempDir::with_prefix("kakehi-plan-").map_err(|error| {
        Failure::new(Kind::Internal, "K0803", format!("cannot make a folder for the plan: {error}"))
    })?;
    let snapshot = SqliteStore::snapshot(&world.config.state.path, folder.path())?;
    // Who reads the plan wants to know what was there before.
    snapshot.keep_journal()?;
    let store: Arc<dyn Store> = Arc::new(snapshot);
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
    Ok(Planned { plan, report, store, rules, _folder: folder })
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
