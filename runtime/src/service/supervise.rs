//! `kakehi run`: cycles at intervals, until told to stop (service.md 1, 8).
//!
//! A run keeps the world it began with. Between two runs another one may take over.

mod takeover;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::takeover::Runs;
use crate::service::failure::{Failure, Kind};
use crate::service::once::runtime;
use crate::service::passwords::Passwords;
use crate::service::picture::Picture;
use crate::service::reload::{BetweenRuns, Reloading, Trigger};
use crate::service::staging::Switch;
use crate::service::watch::Watch;
use crate::service::world::{self, World};
use crate::service::{control, http, log, metrics};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::sync::Stop;

/// Triggers that wait for their turn: whoever comes later waits outside.
const TRIGGERS_MAX: usize = 16;

/// Runs until SIGTERM or SIGINT; ends then within the drain time of the configuration.
///
/// Errors: the state is in use, or the configuration cannot be used. What fails later is logged and
/// tried again: a daemon does not end because a server is down.
pub fn run(config: &Path) -> Result<(), Failure> {
    let (world, picture) = world::load_with_picture(config)?;
    log::start(world.config.log.level.as_str());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&world.config.state.path)?);
    let world = Arc::new(takeover::reviewed_at_start(config, world, &picture)?);
    let stop = Stop::default();
    let runtime = runtime()?;
    let (digest, ruleset) = (world.config.digest(), &world.generation.rules.digest);
    tracing::info!(event_id = "SV001", config = digest, %ruleset, "started");
    let drain_time = world.config.run.drain.0;
    let result: Result<bool, Failure> = runtime.block_on(async {
        let signals = stop_on_signal(stop.clone())?;
        let served = serve(config, world, picture, store, stop.clone()).await?;
        let drained = drain(stop, drain_time);
        tokio::pin!(served, signals, drained);
        tokio::select! {
            () = &mut served => Ok(true),
            () = &mut drained => Ok(false),
            () = &mut signals => Ok(false),
        }
    });
    // What is under way beyond the drain time is left to its intents.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let drained = result?;
    tracing::info!(event_id = "SV004", drained, "stopped");
    Ok(())
}

/// Opens every door and gives the work itself, which ends when told to stop.
async fn serve(
    config: &Path,
    world: Arc<World>,
    picture: Picture,
    store: Arc<dyn Store>,
    stop: Stop,
) -> Result<impl Future<Output = ()>, Failure> {
    let (trigger, triggers) = mpsc::channel(TRIGGERS_MAX);
    let (work, orders) = mpsc::channel(1);
    let (publish, active) = watch::channel(Arc::clone(&world));
    // They end with the work: whoever drops them stops them.
    let mut doors = JoinSet::new();
    let staging = Switch::of_state(&store)?;
    let switch =
        Switch { store: Arc::clone(&store), staging: staging.clone(), active: active.clone() };
    if let (Some(address), Some(handle)) = (world.config.http, metrics::start()) {
        let (address, answering) = http::serve(address, handle).await?;
        doors.spawn(answering);
        tracing::info!(event_id = "SV014", %address, "metrics and health answer");
    }
    let passwords = Passwords::begin(&world, staging.clone(), &mut doors).await?;
    let operator = passwords.as_ref().map(|passwords| Arc::clone(&passwords.operator));
    let control = control::serve(&world.config.control, trigger.clone(), switch, operator)?;
    doors.spawn(control);
    doors.spawn(reload_on_hangup(trigger)?);
    let watched = world.config.rules.reload.watch.then_some(world.config.rules.reload.debounce.0);
    let between_runs = Arc::new(BetweenRuns::default());
    let quiet = Arc::clone(&between_runs);
    let mut runs = Runs::begin(world, store, (stop, staging), publish, quiet)?;
    runs.tell(passwords.as_ref().map(Passwords::ear));
    let reloading = Reloading::new(config, picture, active, work, between_runs);
    doors.spawn(keep_reloading(reloading, triggers, watched));
    Ok(async move {
        tracing::info!(event_id = "SV002", "ready");
        runs.until_stopped(orders).await;
        if let Some(passwords) = passwords {
            passwords.finish().await;
        }
        drop(doors);
    })
}

/// Deals with triggers, and with changed files if they are watched, one after the other.
async fn keep_reloading(
    mut reloading: Reloading,
    mut triggers: mpsc::Receiver<Trigger>,
    watched: Option<Duration>,
) {
    loop {
        let watch = match watched {
            Some(_) => Watch::of(&reloading.folders()),
            None => Watch::nothing(),
        };
        // Between the last look and the watch something may have happened.
        if watched.is_some() && reloading.has_changed() {
            watch.settled(watched.unwrap_or_default()).await;
            reloading.handle(Trigger::Files).await;
            continue;
        }
        tokio::select! {
            trigger = triggers.recv() => match trigger {
                Some(trigger) => reloading.handle(trigger).await,
                None => return,
            },
            () = watch.something(watched.unwrap_or_default()), if watched.is_some() => {
                reloading.handle(Trigger::Files).await;
            }
        }
    }
}

/// SIGHUP asks for a reload (service.md 3.2).
fn reload_on_hangup(triggers: mpsc::Sender<Trigger>) -> Result<impl Future<Output = ()>, Failure> {
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            if triggers.send(Trigger::Signal).await.is_err() {
                return;
            }
        }
    })
}

/// The first signal asks for an end; the second one is the end.
pub(crate) fn stop_on_signal(stop: Stop) -> Result<impl Future<Output = ()>, Failure> {
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if !stop.is_set() {
                tracing::info!(event_id = "SV003", "stopping");
            }
            stop.set();
        }
    })
}

/// Ends with the first signal that asks for an end.
pub(crate) fn signalled() -> Result<impl Future<Output = ()>, Failure> {
    let stop = Stop::default();
    let signals = stop_on_signal(stop.clone())?;
    Ok(async move {
        tokio::select! {
            () = stop.wait() => {}
            () = signals => {}
        }
    })
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|error| {
        Failure::new(Kind::Internal, "K0004", format!("cannot listen for signals: {error}"))
    })
}

/// Ends when the time to finish is over.
async fn drain(stop: Stop, time: Duration) {
    stop.wait().await;
    tokio::time::sleep(time).await;
}
