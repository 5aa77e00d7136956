//! Hot reload: triggers flow in; a world that may take over flows out between two runs, or the
//! reason why it may not (rules.md 7).
//!
//! Everything slow happens here, off the path of the runs: reading, compiling, the rules' own
//! tests, and a rehearsal on a copy of the state.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kakehi_engine::plan::PlanId;
use kakehi_engine::rule::RulesRecord;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot, watch};

use crate::edge::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::control::{Answer, Request};
use crate::service::failure::{Failure, Kind};
use crate::service::generations::{Generations, StandIn};
use crate::service::metrics;
use crate::service::once::Reviewed;
use crate::service::picture::Picture;
use crate::service::world::{self, World};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::sync::{self, Parts, Stop};

/// What asks for a reload.
pub enum Trigger {
    /// Something happened in the folders of the files, or it is time to look.
    Files,
    Signal,
    /// Somebody at the control socket, who waits for the answer.
    Control {
        request: Request,
        actor: String,
        answer: oneshot::Sender<Answer>,
    },
}

/// What the runs are asked to do between two of them.
pub enum Work {
    /// From now on with this world.
    Swap(Swap),
    /// A cycle that carries out exactly this plan, with this world if it is another one.
    Apply(Apply),
}

/// A reviewed plan that is to be carried out.
pub struct Apply {
    /// With other rules than those in force, which it releases.
    pub world: Option<Arc<World>>,
    pub reviewed: Reviewed,
    pub actor: String,
    pub done: oneshot::Sender<Answer>,
}

pub struct Swap {
    pub world: Arc<World>,
    /// For the list of generations: `reload` or `rollback`.
    pub by: &'static str,
    /// For the audit.
    pub actor: String,
    /// Digest of the files it stands in for, and why; for one that is not what lies on the disk.
    pub instead_of: Option<(String, String)>,
    /// The number of its generation, once it is in force.
    pub done: oneshot::Sender<Result<u64, Failure>>,
}

/// Takes triggers one after the other for as long as the service runs.
pub struct Reloading {
    config: PathBuf,
    /// The world of the runs.
    active: watch::Receiver<Arc<World>>,
    work: mpsc::Sender<Work>,
    /// What the last attempt saw.
    picture: Picture,
    between_runs: Arc<BetweenRuns>,
}

/// What became of an attempt to take the files.
enum Attempt {
    Unchanged,
    Ready(Box<World>),
    /// They would change more than they may without being asked about.
    Held(Failure),
    Refused(Failure),
}

// === impl Reloading ===

impl Reloading {
    /// `picture`: what the files looked like at the start.
    pub fn new(
        config: &Path,
        picture: Picture,
        active: watch::Receiver<Arc<World>>,
        work: mpsc::Sender<Work>,
        between_runs: Arc<BetweenRuns>,
    ) -> Self {
        Self { config: config.to_owned(), active, work, picture, between_runs }
    }

    /// Where changes of the files can be seen.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.picture.folders()
    }

    pub fn has_changed(&self) -> bool {
        self.picture.has_changed()
    }

    /// Deals with one trigger, to its end.
    pub async fn handle(&mut self, trigger: Trigger) {
        match trigger {
            Trigger::Files => {
                if self.has_changed() {
                    self.reload("changed files").await;
                }
            }
            Trigger::Signal => {
                self.reload("SIGHUP").await;
            }
            Trigger::Control { request, actor, answer } => {
                let said = match request {
                    Request::Reload => self.reload(&actor).await,
                    Request::Rollback { generation } => self.rollback(generation, &actor).await,
                    Request::Apply { plan, ruleset, config, undoes, max_drift, marks } => {
                        let (plan, undoes) = (PlanId(plan), undoes.map(PlanId));
                        let reviewed = Reviewed { plan, ruleset, config, undoes, max_drift, marks };
                        self.apply(reviewed, actor).await
                    }
                    // Dealt with where they arrive.
                    Request::Staging { .. } | Request::Password(_) => Answer::of(&ending()),
                };
                // Whoever asked may have gone.
                let _ = answer.send(said);
            }
        }
    }

    async fn reload(&mut self, actor: &str) -> Answer {
        let (active, config, before) = (self.world(), self.config.clone(), self.picture.clone());
        let between_runs = Arc::clone(&self.between_runs);
        let attempted = blocking(move || attempt(&config, &active, &before, &between_runs)).await;
        let Ok((attempt, picture)) = attempted else { return Answer::of(&ending()) };
        self.picture = picture;
        match attempt {
            Attempt::Unchanged => Answer::done("nothing has changed".into()),
            Attempt::Ready(world) => self.take_over(Arc::from(world), "reload", actor, None).await,
            Attempt::Held(failure) => {
                self.hold(&failure);
                self.refuse("held", &failure)
            }
            Attempt::Refused(failure) => self.refuse("refused", &failure),
        }
    }

    /// Hands a world to the runs and waits until they have it.
    async fn take_over(
        &self,
        world: Arc<World>,
        by: &'static str,
        actor: &str,
        instead_of: Option<(String, String)>,
    ) -> Answer {
        let changed = changed_rules(&self.world(), &world);
        for key in self.world().restart_only(&world) {
            tracing::warn!(event_id = "SV012", key, "this key takes effect at the next start");
        }
        let (done, swapped) = oneshot::channel();
        let swap = Swap { world, by, actor: actor.to_owned(), instead_of, done };
        let number = match self.work.send(Work::Swap(swap)).await {
            Ok(()) => swapped.await.unwrap_or_else(|_| Err(ending())),
            Err(_) => Err(ending()),
        };
        match number {
            Ok(number) => self.announce(number, by, &changed),
            Err(failure) => self.refuse("refused", &failure),
        }
    }

    fn announce(&self, number: u64, by: &str, changed: &[String]) -> Answer {
        let rules = changed.len();
        let text = match rules {
            0 => format!("generation {number} is in force; no rule differs"),
            _ => {
                let names = changed.join("`, `");
                format!("generation {number} is in force; rules that differ: `{names}`")
            }
        };
        metrics::reloaded(by == "reload");
        self.note("active", &text);
        tracing::info!(event_id = "RL001", generation = number, by, rules, "{text}");
        Answer::done(text)
    }

    /// Brings an earlier generation back, until the files change again.
    async fn rollback(&self, generation: Option<u64>, actor: &str) -> Answer {
        let (active, config) = (self.world(), self.config.clone());
        let found = blocking(move || {
            let index = Generations::of(&active.config.state.path).index()?;
            let kept = index.choose(generation)?;
            let world = world::of_generation(&config, kept, Arc::clone(&active.host))?;
            Ok((world, kept.number))
        });
        let (world, number) = match found.await.unwrap_or_else(|_| Err(ending())) {
            Ok(found) => found,
            Err(failure) => return Answer::of(&failure),
        };
        let why = format!("somebody went back to generation {number}");
        let instead_of = Some((self.picture.files.digest(), why));
        self.take_over(Arc::new(world), "rollback", actor, instead_of).await
    }

    /// Carries out a reviewed plan: of the rules in force, or of the files on the disk if it was
    /// made with them.
    async fn apply(&mut self, reviewed: Reviewed, actor: String) -> Answer {
        let active = self.world();
        let mut other = None;
        if active.generation.rules.digest.0 != reviewed.ruleset {
            // What is taken back is not a matter of rules: those in force stay.
            if reviewed.undoes.is_some() {
                return Answer::of(&other_rules());
            }
            let (config, before) = (self.config.clone(), self.picture.clone());
            let loaded = blocking(move || load(&config, &active.host, &before)).await;
            let Ok((loaded, picture)) = loaded else { return Answer::of(&ending()) };
            self.picture = picture;
            match loaded {
                Ok(world) if world.generation.rules.digest.0 == reviewed.ruleset => {
                    other = Some(Arc::new(world));
                }
                Ok(_) => return Answer::of(&other_rules()),
                Err(failure) => return Answer::of(&failure),
            }
        }
        let (done, applied) = oneshot::channel();
        let apply = Apply { world: other, reviewed, actor, done };
        match self.work.send(Work::Apply(apply)).await {
            Ok(()) => applied.await.unwrap_or_else(|_| Answer::of(&ending())),
            Err(_) => Answer::of(&ending()),
        }
    }

    /// The generation in force stays, also over a restart: somebody has to look at what the files
    /// would change.
    fn hold(&self, failure: &Failure) {
        let generations = self.generations();
        let held = generations.index().and_then(|index| match index.active {
            Some(number) => generations.stand_in(StandIn {
                number,
                instead_of: self.picture.files.digest(),
                why: failure.message.clone(),
            }),
            None => Ok(()),
        });
        told(held);
    }

    fn refuse(&self, outcome: &str, failure: &Failure) -> Answer {
        let code = failure.findings.first().map_or(failure.code, |finding| finding.code);
        metrics::reloaded(false);
        self.note(outcome, &failure.to_string());
        tracing::error!(event_id = "RL002", code, "the generation in force stays: {failure}");
        Answer::of(failure)
    }

    fn note(&self, outcome: &str, text: &str) {
        told(self.generations().note_reload(outcome, text, SystemClock.now()));
    }

    fn world(&self) -> Arc<World> {
        self.active.borrow().clone()
    }

    fn generations(&self) -> Generations {
        Generations::of(&self.world().config.state.path)
    }
}

/// Held while a run is under way: in the middle of one the state says what is not so any more, or
/// not yet.
pub type BetweenRuns = tokio::sync::Mutex<()>;

/// Whether the rules of `candidate` may take over from those of `active` without being asked about.
/// Waits for the end of a run, but only for the time of a copy keeps the next one waiting.
///
/// Errors: of the kind [`Kind::Limit`] if they change more than they may (K0513); any other means
/// that they cannot be used (K0516: a rule fails on many objects).
pub fn review(
    active: &World,
    candidate: &World,
    between_runs: &BetweenRuns,
) -> Result<(), Failure> {
    if active.generation.rules.digest == candidate.generation.rules.digest {
        return Ok(());
    }
    let folder = TempDir::with_prefix("kakehi-rehearsal-").map_err(|error| {
        let message = format!("cannot make a folder for the rehearsal: {error}");
        Failure::new(Kind::Internal, "K0803", message)
    })?;
    let copy: Arc<dyn Store> = {
        let _quiet = between_runs.blocking_lock();
        Arc::new(SqliteStore::snapshot(&active.config.state.path, folder.path())?)
    };
    let rehearsed = sync::rehearse(&parts(active, &copy), &parts(candidate, &copy))?;
    if let Some(why) = rehearsed.broken {
        return Err(Failure::new(Kind::Config, "K0516", format!("cannot use the rules: {why}"))
            .hint("`kakehi rules test RULE --object DN` shows what a rule does with an object"));
    }
    if let Some(trip) = rehearsed.trips.first() {
        return Err(held(&trip.to_string()));
    }
    let changes = rehearsed.changes;
    match candidate.config.rules.reload.max_changes.0 {
        Some(max) if changes > max => Err(held(&format!(
            "they would change {changes} objects, more than the {max} of `rules.reload.max_changes`"
        ))),
        _ => Ok(()),
    }
}

fn held(why: &str) -> Failure {
    Failure::new(Kind::Limit, "K0513", format!("the changed rules wait for approval: {why}"))
        .hint("review `kakehi plan --candidate -o plan.json`, then `kakehi apply plan.json`")
}

fn parts<'w>(world: &'w World, store: &Arc<dyn Store>) -> Parts<'w> {
    world.parts(Arc::clone(store), Stop::default(), true)
}

fn attempt(
    config: &Path,
    active: &World,
    before: &Picture,
    between_runs: &BetweenRuns,
) -> (Attempt, Picture) {
    let (loaded, picture) = load(config, &active.host, before);
    let world = match loaded {
        Ok(world) => world,
        Err(failure) => return (Attempt::Refused(failure), picture),
    };
    if world.config.state.path != active.config.state.path {
        return (Attempt::Refused(other_state()), picture);
    }
    if picture.agrees_with(before) && world.files.digest() == active.files.digest() {
        return (Attempt::Unchanged, picture);
    }
    let attempt = match review(active, &world, between_runs) {
        Ok(()) => Attempt::Ready(Box::new(world)),
        Err(failure) if failure.kind == Kind::Limit => Attempt::Held(failure),
        Err(failure) => Attempt::Refused(failure),
    };
    (attempt, picture)
}

/// Reads the files anew, whatever stands in for them. Where even the configuration cannot be read,
/// the files of the manifest are those that were known `before`.
fn load(
    config: &Path,
    host: &Arc<kakehi_host::Host>,
    before: &Picture,
) -> (Result<World, Failure>, Picture) {
    let outer = crate::service::picture::outer(config);
    let (loaded, files) = match crate::config::load(config) {
        Ok((read, warnings)) => world::attempt(read, warnings, Arc::clone(host)),
        Err(findings) => (Err(Failure::of_findings(findings)), Arc::clone(&before.files)),
    };
    (loaded, Picture::new(config, outer, files))
}

/// Tags of the rules in which two worlds differ.
fn changed_rules(before: &World, after: &World) -> Vec<String> {
    let now = SystemClock.now();
    let (before, after) = (
        RulesRecord::of(&before.generation.rules, now),
        RulesRecord::of(&after.generation.rules, now),
    );
    before.differences(&after).into_iter().map(ToString::to_string).collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    tokio::task::spawn_blocking(work).await
}

/// What goes wrong with the list of generations does not stop the service.
pub(crate) fn told(result: Result<(), Failure>) {
    if let Err(failure) = result {
        tracing::error!(event_id = "RL002", code = failure.code, "{}", failure.message);
    }
}

/// A service cannot leave its state behind while it runs.
fn other_state() -> Failure {
    Failure::new(Kind::Config, "K0222", "cannot reload: `state.path` is another one")
        .hint("restart the service, or set `state.path` back")
}

fn other_rules() -> Failure {
    let message = "the plan is stale: its rules are neither in force nor on the disk";
    Failure::new(Kind::Limit, "K0801", message)
        .hint("make a new plan with `kakehi plan -o plan.json` and review it")
}

pub(crate) fn ending() -> Failure {
    Failure::new(Kind::Temporary, "K0214", "the service is about to stop")
}
