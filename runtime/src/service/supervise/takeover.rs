//! The runs of a service, and who takes over between two of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::plan::PlanId;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::edge::{Clock as _, Directory, PollMode, Target, UserEvents};
use crate::service::clock::SystemClock;
use crate::service::control::Answer;
use crate::service::failure::{Failure, Kind};
use crate::service::generations::{Entered, Generations, StandIn};
use crate::service::once::{Reviewed, note_undo, record, undo_why};
use crate::service::picture::Picture;
use crate::service::reload::{Apply, BetweenRuns, Swap, Work, review, told};
use crate::service::world::{self, World};
use crate::service::{audit, metrics, staging};
use crate::store::{DecisionKind, RunId, Store};
use crate::sync::{self, Order, Parts, Report, Staging, Status, Stop};

/// Longest pause after failures, whatever the poll interval: the world may be well again sooner.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// What works now, and what worked before until this has shown itself.
pub(super) struct Runs {
    world: Arc<World>,
    previous: Option<Arc<World>>,
    sources: Vec<Box<dyn Directory>>,
    targets: Vec<Arc<dyn Target>>,
    store: Arc<dyn Store>,
    stop: Stop,
    staging: Staging,
    publish: watch::Sender<Arc<World>>,
    between_runs: Arc<BetweenRuns>,
    /// Who hears of users.
    users: Option<Arc<dyn UserEvents>>,
}

/// Files that changed while nothing ran are held like those that change under a service: then the
/// generation that was in force last goes on.
pub(super) fn reviewed_at_start(
    config: &Path,
    world: World,
    picture: &Picture,
) -> Result<World, Failure> {
    let generations = Generations::of(&world.config.state.path);
    let index = generations.index()?;
    let Some(last) = index.active.and_then(|number| index.kept(number)) else { return Ok(world) };
    if last.files == world.files.digest() {
        return Ok(world);
    }
    // What was in force may not fit the configuration any more; then the files are all there is.
    let Ok(before) = world::of_generation(config, last, Arc::clone(&world.host)) else {
        return Ok(world);
    };
    match review(&before, &world, &BetweenRuns::default()) {
        Ok(()) => Ok(world),
        Err(failure) if failure.kind == Kind::Limit => {
            tracing::warn!(event_id = "RL002", code = failure.code, "{failure}");
            let stand_in = StandIn {
                number: last.number,
                instead_of: picture.files.digest(),
                why: failure.message.clone(),
            };
            generations.stand_in(stand_in)?;
            generations.note_reload("held", &failure.to_string(), SystemClock.now())?;
            Ok(before)
        }
        Err(failure) => Err(failure),
    }
}

// === impl Runs ===

impl Runs {
    pub fn begin(
        world: Arc<World>,
        store: Arc<dyn Store>,
        (stop, staging): (Stop, Staging),
        publish: watch::Sender<Arc<World>>,
        between_runs: Arc<BetweenRuns>,
    ) -> Result<Self, Failure> {
        let (sources, targets, previous) = (world.sources(), world.targets()?, None);
        let runs = Self {
            world,
            previous,
            sources,
            targets,
            store,
            stop,
            staging,
            publish,
            between_runs,
            users: None,
        };
        audit::note_world(&*runs.store, &runs.world, "start", &audit::own_user(), None)?;
        let instead_of = runs.generations().index()?.goes_on(&runs.world.files);
        runs.enter(&runs.world, "start", instead_of.as_ref())?;
        metrics::reloaded(instead_of.is_none());
        Ok(runs)
    }

    /// From now on somebody hears of users.
    pub fn tell(&mut self, users: Option<Arc<dyn UserEvents>>) {
        self.users = users;
    }

    /// Cycles at intervals; between them, what is ordered.
    pub async fn until_stopped(&mut self, mut orders: mpsc::Receiver<Work>) {
        let mut failures = 0;
        while !self.stop.is_set() {
            let failed = self.tick().await;
            failures = if failed { failures + 1 } else { 0 };
            let pause = pause(self.world.config.run.poll.0, failures);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.wait() => {}
                Some(work) = orders.recv() => self.deal_with(work).await,
            }
        }
    }

    async fn deal_with(&mut self, work: Work) {
        match work {
            Work::Swap(Swap { world, by, actor, instead_of, done }) => {
                let swapped = self.swap(world, by, &actor, None, instead_of.as_ref());
                let _ = done.send(swapped);
            }
            Work::Apply(apply) if apply.reviewed.undoes.is_some() => self.undo(apply).await,
            Work::Apply(apply) => self.apply(apply).await,
        }
    }

    /// From now on with `world`. What it replaces is remembered until a run has ended well.
    fn swap(
        &mut self,
        world: Arc<World>,
        by: &str,
        actor: &str,
        plan: Option<&PlanId>,
        instead_of: Option<&(String, String)>,
    ) -> Result<u64, Failure> {
        let targets = world.targets()?;
        audit::note_world(&*self.store, &world, by, actor, plan)?;
        let number = self.enter(&world, by, instead_of)?;
        self.sources = world.sources();
        self.targets = targets;
        self.publish.send_replace(Arc::clone(&world));
        let before = std::mem::replace(&mut self.world, world);
        self.previous.get_or_insert(before);
        Ok(number)
    }

    fn enter(
        &self,
        world: &World,
        by: &str,
        instead_of: Option<&(String, String)>,
    ) -> Result<u64, Failure> {
        let now = SystemClock.now();
        let number = self.generations().enter(&Entered {
            files: &world.files,
            ruleset: &world.generation.rules.digest.0,
            by,
            instead_of,
            now,
            keep: world.config.rules.reload.keep,
        })?;
        metrics::generation(number, now);
        Ok(number)
    }

    /// One cycle. Gives whether something outside failed.
    async fn tick(&mut self) -> bool {
        let order = Order { mode: PollMode::Delta, approved: None };
        match self.cycle("run", order).await {
            Ok((_, report)) => {
                if report.status == Status::RuleBroken && self.previous.is_some() {
                    self.fall_back(&report);
                } else {
                    self.previous = None;
                }
                matches!(report.status, Status::Unavailable | Status::Refused)
            }
            Err(failure) => {
                let code = failure.code;
                tracing::error!(event_id = "RN001", code, "the run failed: {}", failure.message);
                true
            }
        }
    }

    /// A cycle that finds nothing to do leaves no trace but a line at `debug` (PF-11).
    async fn cycle(
        &mut self,
        verb: &str,
        order: Order<'_>,
    ) -> Result<(Option<RunId>, Report), Failure> {
        let world = Arc::clone(&self.world);
        let between_runs = Arc::clone(&self.between_runs);
        let _running = between_runs.lock().await;
        let accepted = order.approved.is_some();
        let parts = self.parts(&world, accepted);
        let started = parts.clock.now();
        let result = sync::cycle(&parts, &mut self.sources, &self.targets, order).await;
        let (run, report) = record(&parts, verb, started, result.map_err(Failure::from))?;
        metrics::run(&report);
        tell_traps(&report);
        match run {
            Some(run) => summary(run.0, &report),
            None => tracing::debug!("nothing to do"),
        }
        Ok((run, report))
    }

    fn parts<'w>(&self, world: &'w World, accepted: bool) -> Parts<'w> {
        let mut parts = world.parts(Arc::clone(&self.store), self.stop.clone(), accepted);
        parts.staging = self.staging.configured(world.config.run.staging);
        metrics::staging(parts.staging.is_on());
        parts.users = self.users.clone();
        parts
    }

    /// The first run with new rules showed that one of them is broken: nothing was sent, and those
    /// before them come back (rules.md 7).
    fn fall_back(&mut self, report: &Report) {
        let Some(previous) = self.previous.take() else { return };
        let why = report.notes.join("; ");
        let instead_of = (self.world.files.digest(), why.clone());
        let fallen = self.swap(previous, "fallback", "the service", None, Some(&instead_of));
        self.previous = None;
        metrics::reloaded(false);
        match fallen {
            Ok(generation) => tracing::error!(
                event_id = "RL005",
                generation,
                "the rules before are in force again: {why}"
            ),
            Err(failure) => tracing::error!(event_id = "RL005", code = failure.code, "{failure}"),
        }
        told(self.generations().note_reload("refused", &why, SystemClock.now()));
    }

    /// Carries out a plan, if it is what the present data give; with other rules, if it is given
    /// some, which stay if it was.
    async fn apply(&mut self, apply: Apply) {
        let Apply { world: other, reviewed, actor, done } = apply;
        let (before, plan) = (Arc::clone(&self.world), &reviewed.plan);
        let changes = other.is_some();
        if let Some(world) = other
            && let Err(failure) = self.swap(world, "apply", &actor, Some(plan), None)
        {
            let _ = done.send(Answer::of(&failure));
            return;
        }
        let order = Order { mode: PollMode::Delta, approved: Some(reviewed.approved()) };
        let answer = match self.cycle("apply", order).await {
            Ok((run, report)) => {
                if changes {
                    metrics::reloaded(true);
                    let text = "the files were approved and are in force";
                    told(self.generations().note_reload("active", text, SystemClock.now()));
                }
                let status = report.status.as_str();
                let (kind, details) = (DecisionKind::Apply, json!({ "status": status }));
                let (store, world) = (&*self.store, &self.world);
                told(audit::note(store, world, kind, &actor, Some(plan), &details));
                let text = format!("the plan was carried out: {status}");
                Answer { exit: report.status.exit_code(), text, run: run.map(|run| run.0) }
            }
            Err(failure) => {
                if changes {
                    let why = "a plan with them could not be carried out".to_owned();
                    let instead_of = (self.world.files.digest(), why);
                    let back = self.swap(before, "apply", &actor, Some(plan), Some(&instead_of));
                    told(back.map(|_| ()));
                }
                Answer::of(&failure)
            }
        };
        self.previous = None;
        let _ = done.send(answer);
    }

    /// Takes a plan back. From before its first request nothing else is sent.
    async fn undo(&mut self, apply: Apply) {
        let Apply { reviewed, actor, done, .. } = apply;
        let answer = match self.take_back(&reviewed, &actor).await {
            Ok((run, report)) => {
                let text = format!(
                    "the plan was taken back: {}; staging mode is on: nothing else is sent until \
                     `kakehi staging off`",
                    report.status.as_str()
                );
                Answer { exit: report.status.exit_code(), text, run: run.map(|run| run.0) }
            }
            Err(failure) => Answer::of(&failure),
        };
        let _ = done.send(answer);
    }

    async fn take_back(
        &mut self,
        reviewed: &Reviewed,
        actor: &str,
    ) -> Result<(Option<RunId>, Report), Failure> {
        let plan = &reviewed.plan;
        let of = reviewed.undoes.as_ref().unwrap_or(plan);
        let world = Arc::clone(&self.world);
        let between_runs = Arc::clone(&self.between_runs);
        let _running = between_runs.lock().await;
        let parts = self.parts(&world, true);
        let (started, mut failed) = (parts.clock.now(), None);
        let mut hold = || {
            let why = undo_why(of);
            let switched = staging::switch(&*self.store, &self.staging, &world, true, actor, &why);
            failed = switched.err();
            failed.is_none()
        };
        let result = sync::undo::undo(&parts, &self.targets, of, plan, &mut hold).await;
        let result = failed.map_or(result.map_err(Failure::from), Err);
        let (run, report) = record(&parts, "undo", started, result)?;
        metrics::run(&report);
        note_undo(&*self.store, &world, of, plan, actor, &report)?;
        if let Some(run) = run {
            summary(run.0, &report);
        }
        Ok((run, report))
    }

    fn generations(&self) -> Generations {
        Generations::of(&self.world.config.state.path)
    }
}

/// The poll interval, doubled with every failure in a row.
fn pause(poll: Duration, failures: u32) -> Duration {
    let longest = PAUSE_MAX.max(poll);
    poll.saturating_mul(2u32.saturating_pow(failures.min(16))).min(longest)
}

/// One line per run for each rule that trapped: what the first trap was.
fn tell_traps(report: &Report) {
    for (tag, cost) in &report.costs {
        if let Some(first) = &cost.first_trap {
            let traps = cost.traps;
            tracing::warn!(event_id = "RL004", rule.name = %tag, traps, "a rule trapped: {first}");
        }
    }
}

/// One line per run, without names and values.
fn summary(run_id: i64, report: &Report) {
    let record = report.to_json();
    let (counts, delivered) = (&record["counts"], &record["delivered"]);
    let duration_ms = report.ended.0 - report.started.0;
    let outcome = report.status.as_str();
    if report.status == Status::Success {
        tracing::info!(
            event_id = "RN001", run_id, outcome, %counts, %delivered, duration_ms, "run finished"
        );
    } else {
        let notes = report.notes.join("; ");
        tracing::warn!(
            event_id = if report.status.exit_code() == 5 { "RN002" } else { "RN001" },
            run_id, outcome, %counts, %delivered, duration_ms, notes, "run finished"
        );
    }
}
