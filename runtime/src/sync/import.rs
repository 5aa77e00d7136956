//! Reading sources into the connector space: pages are read on while the one before is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use kakehi_engine::object::ConnectorName;
use tokio::sync::mpsc;

use crate::edge::{Batch, BatchSink, Directory, DirectoryError, PollMode, SinkClosed, SourceState};
use crate::store::{ShrinkLimit, Staged, Store, StoreError};
use crate::sync::report::{Report, StageName, Status};
use crate::sync::{Parts, SyncError, blocking, meter::Meter};

/// Batches on their way to the store. Two keep both sides busy; more would only cost memory.
const BATCHES_AHEAD_MAX: usize = 2;

/// Polls every source in turn. One that fails is noted and does not stop the others: what was
/// staged of it is true, and what it did not show is not gone (L-05).
///
/// Errors: the store failed.
pub(crate) async fn import(
    parts: &Parts<'_>,
    sources: &mut [Box<dyn Directory>],
    mode: PollMode,
    report: &mut Report,
) -> Result<(), SyncError> {
    let meter = Meter::start();
    for source in sources {
        if parts.stop.is_set() {
            break;
        }
        let name = source.name().clone();
        let (end, staged) = poll(parts, source.as_mut(), mode).await?;
        let entries = match end {
            Ok(end) => end.entries,
            Err(error) => {
                report.source_failed(&error);
                0
            }
        };
        if let Some((vanishing, known)) = staged.held {
            report.note(Status::ImportShrank, shrank(&name, vanishing, known));
        }
        report.imported.insert(name, (entries, staged));
    }
    report.measured(StageName::Import, &meter);
    Ok(())
}

fn shrank(name: &ConnectorName, vanishing: u64, known: u64) -> String {
    format!(
        "source `{name}`: the listing lacks {vanishing} of {known} known objects, more than \
         `import.max_shrink` allows; nothing of it was removed; if it is right, review with \
         `kakehi plan -o plan.json` and release with `kakehi apply plan.json`"
    )
}

type Polled = Result<crate::edge::PollEnd, DirectoryError>;

async fn poll(
    parts: &Parts<'_>,
    source: &mut dyn Directory,
    mode: PollMode,
) -> Result<(Polled, Staged), SyncError> {
    let name = source.name().clone();
    let states: BTreeMap<String, SourceState> = blocking(|| parts.store.source_states(&name))?;
    let (sender, receiver) = mpsc::channel(BATCHES_AHEAD_MAX);
    let (store, limit) = (Arc::clone(&parts.store), parts.limits.shrink);
    let stager = tokio::task::spawn_blocking(move || stage(&*store, &name, receiver, limit));
    let mut sink = Sender { sender };
    let end = tokio::select! {
        end = source.poll(&states, mode, &mut sink) => end,
        // A listing that is left in the middle shows nothing as gone: it has no end.
        () = parts.stop.wait() => Ok(crate::edge::PollEnd::default()),
    };
    drop(sink);
    let staged =
        stager.await.map_err(|_| SyncError::Lost { what: "the staging of a source" })??;
    Ok((end, staged))
}

/// Takes batches in until the source has no more, each in a transaction of its own.
fn stage(
    store: &dyn Store,
    name: &ConnectorName,
    mut batches: mpsc::Receiver<Batch>,
    limit: ShrinkLimit,
) -> Result<Staged, StoreError> {
    let mut total = Staged::default();
    while let Some(batch) = batches.blocking_recv() {
        total.add(&store.stage(name, &batch, limit)?);
    }
    Ok(total)
}

struct Sender {
    sender: mpsc::Sender<Batch>,
}

#[async_trait]
impl BatchSink for Sender {
    async fn commit(&mut self, batch: Batch) -> Result<(), SinkClosed> {
        self.sender.send(batch).await.map_err(|_| SinkClosed)
    }
}
