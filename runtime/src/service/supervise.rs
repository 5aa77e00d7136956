//! `kakehi run`: cycles at intervals, until told to stop (service.md 1, 8).

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::edge::{Directory, PollMode, Target};
use crate::service::failure::{Failure, Kind};
use crate::service::log;
use crate::service::once::{record, runtime};
use crate::service::world::World;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;
use crate::sync::{self, Order, Parts, Report, Status, Stop};

/// Longest pause after failures, whatever the poll interval: the world may be well again sooner.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// Runs until SIGTERM or SIGINT; ends then within the drain time of the configuration.
///
/// Errors: the state is in use, or the configuration cannot be used. What fails later is logged and
/// tried again: a daemon does not end because a server is down.
pub fn run(world: &World) -> Result<(), Failure> {
    log::start(world.config.log.level.as_str());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&world.config.state.path)?);
    let stop = Stop::default();
    let parts = world.parts(store, stop.clone(), false);
    let runtime = runtime()?;
    let (config, ruleset) = (&parts.config, &parts.rules.digest);
    tracing::info!(event_id = "SV001", %config, %ruleset, "started");
    let result: Result<bool, Failure> = runtime.block_on(async {
        let targets = world.targets()?;
        let mut sources = world.sources();
        let signals = stop_on_signal(stop.clone())?;
        let served = serve(world, &parts, &mut sources, &targets);
        let drained = drain(stop, world.config.run.drain.0);
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

/// The first signal asks for an end; the second one is the end.
pub(crate) fn stop_on_signal(stop: Stop) -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| {
        signal(kind).map_err(|error| {
            Failure::new(Kind::Internal, "K0004", format!("cannot listen for signals: {error}"))
        })
    };
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

/// Ends when the time to finish is over.
async fn drain(stop: Stop, time: Duration) {
    stop.wait().await;
    tokio::time::sleep(time).await;
}

async fn serve(
    world: &World,
    parts: &Parts<'_>,
    sources: &mut [Box<dyn Directory>],
    targets: &[Arc<dyn Target>],
) {
    tracing::info!(event_id = "SV002", "ready");
    let mut failures = 0;
    while !parts.stop.is_set() {
        let failed = match tick(parts, sources, targets).await {
            Ok(report) => matches!(report.status, Status::Unavailable | Status::Refused),
            Err(failure) => {
                let code = failure.code;
                tracing::error!(event_id = "RN001", code, "the run failed: {}", failure.message);
                true
            }
        };
        failures = if failed { failures + 1 } else { 0 };
        let pause = pause(world.config.run.poll.0, failures);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = parts.stop.wait() => {}
        }
    }
}

/// The poll interval, doubled with every failure in a row.
fn pause(poll: Duration, failures: u32) -> Duration {
    let longest = PAUSE_MAX.max(poll);
    poll.saturating_mul(2u32.saturating_pow(failures.min(16))).min(longest)
}

/// One cycle. One that finds nothing to do leaves no trace but a line at `debug` (PF-11).
async fn tick(
    parts: &Parts<'_>,
    sources: &mut [Box<dyn Directory>],
    targets: &[Arc<dyn Target>],
) -> Result<Report, Failure> {
    let started = parts.clock.now();
    let order = Order { mode: PollMode::Delta, approved: None };
    let result = sync::cycle(parts, sources, targets, order).await.map_err(Failure::from);
    let (run, report) = record(parts, "run", started, result)?;
    match run {
        Some(run) => summary(run.0, &report),
        None => tracing::debug!("nothing to do"),
    }
    Ok(report)
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
