//! Carrying a saved plan out. The executor chooses nothing: it sends what the plan says, in waves,
//! with an intent written before each request and the confirmed outcome after it (delivery.md 4).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::ExportOp;
use kakehi_engine::plan::Plan;
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::rule::Connector;
use kakehi_engine::time::Timestamp;

use crate::edge::{Target, TargetError, Written};
use crate::store::{Hold, PendingExport, Settled, Settlement, Trail, Wave};
use crate::sync::report::{Delivered, Report, StageName};
use crate::sync::request::{Request, requests};
use crate::sync::{Parts, SyncError, blocking, meter::Meter};

/// Exports whose intents are written in one transaction, and settled in one (delivery.md 4).
const CLAIM_MAX: usize = 256;

/// How long an object is held after its n-th refusal (delivery.md 10).
const HOLDS: [Duration; 7] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(6 * 3600),
    Duration::from_secs(12 * 3600),
    Duration::from_secs(24 * 3600),
];

/// Waits for a target that asks for patience before this run gives it up. The exports stay pending
/// and no attempt is counted; the next run goes on.
const PATIENCE_WAITS_MAX: u32 = 3;
const PATIENCE_FIRST: Duration = Duration::from_secs(1);
const PATIENCE_WAIT_MAX: Duration = Duration::from_secs(60);

/// What one target's delivery brought.
#[derive(Default)]
struct Result {
    delivered: Delivered,
    /// Something came to light that the rules have to look at.
    follow_up: bool,
    diverging: Vec<(String, String)>,
    /// Objects that were written since the last settlement, and whether that created them.
    exported: Vec<(CsId, bool)>,
    error: Option<TargetError>,
}

/// Delivers to all targets at once; one that fails does not hold up another.
///
/// Gives whether the rules have to be asked again. Errors: the store failed.
pub(crate) async fn deliver(
    parts: &Parts<'_>,
    targets: &[Arc<dyn Target>],
    plan: &Plan,
    report: &mut Report,
) -> std::result::Result<bool, SyncError> {
    let meter = Meter::start();
    let begun = report.started;
    let results =
        join_all(targets.iter().map(|target| to_target(parts, &**target, plan, begun))).await;
    let mut follow_up = false;
    for (target, result) in targets.iter().zip(results) {
        let result = result?;
        follow_up |= result.follow_up;
        report.delivered.done += result.delivered.done;
        report.delivered.waiting += result.delivered.waiting;
        for (class, attribute) in result.diverging {
            report.diverged(target.name(), &class, &attribute);
        }
        if let Some(error) = result.error {
            report.target_failed(&error);
        }
    }
    report.measured(StageName::Deliver, &meter);
    Ok(follow_up)
}

async fn to_target(
    parts: &Parts<'_>,
    target: &dyn Target,
    plan: &Plan,
    run: Timestamp,
) -> std::result::Result<Result, SyncError> {
    let trail = Trail { plan: &plan.id, run, keep: parts.journal.is_some() };
    let mut run = Run { parts, target, trail, result: Result::default(), waits: 0 };
    let Some(connector) = parts.rules.connector(target.name()) else { return Ok(run.result) };
    for wave in waves(connector) {
        run.wave(wave).await?;
        if run.is_over() {
            break;
        }
    }
    Ok(run.result)
}

/// Deactivations first, then what others refer to before what refers to it, deletes last.
fn waves(target: &Connector) -> Vec<Wave> {
    let ranks: std::collections::BTreeSet<u8> =
        target.classes.values().map(|class| class.rank).collect();
    let mut waves = vec![Wave::Disable];
    waves.extend(ranks.into_iter().map(Wave::Add));
    waves.extend([Wave::Update, Wave::References, Wave::Delete]);
    waves
}

/// The delivery of one plan to one target.
struct Run<'a> {
    parts: &'a Parts<'a>,
    target: &'a dyn Target,
    trail: Trail<'a>,
    result: Result,
    waits: u32,
}

// === impl Run ===

impl Run<'_> {
    fn is_over(&self) -> bool {
        self.result.error.is_some() || self.is_halted()
    }

    /// Nothing more is to be sent: a stop, or staging mode, switched on meanwhile.
    fn is_halted(&self) -> bool {
        self.parts.stop.is_set() || self.parts.staging.is_on()
    }

    async fn wave(&mut self, wave: Wave) -> std::result::Result<(), SyncError> {
        while !self.is_over() {
            let claimed = self.claim(wave)?;
            if claimed.is_empty() {
                return Ok(());
            }
            let (mut settlements, requests) = requests(self.parts, claimed)?;
            self.result.delivered.waiting += settlements.len() as u64;
            let patience = self.send(requests, &mut settlements).await?;
            let now = self.parts.clock.now();
            blocking(|| self.parts.store.settle(&settlements, &self.trail, now))?;
            let exported = std::mem::take(&mut self.result.exported);
            if let Some(listener) = self.parts.listener() {
                listener.exported(self.target.name(), &exported);
            }
            if let Some(wait) = patience {
                self.be_patient(wait).await;
            }
        }
        Ok(())
    }

    fn claim(&self, wave: Wave) -> std::result::Result<Vec<PendingExport>, SyncError> {
        let (store, now) = (&self.parts.store, self.parts.clock.now());
        Ok(blocking(|| store.claim(self.trail.plan, self.target.name(), wave, now, CLAIM_MAX))?)
    }

    /// Sends a batch, as many at once as the target's window allows. Gives how long to wait if the
    /// target asked for patience; what was not sent by then is handed back.
    async fn send(
        &mut self,
        requests: Vec<Request>,
        settlements: &mut Vec<Settlement>,
    ) -> std::result::Result<Option<Duration>, SyncError> {
        let mut waiting: VecDeque<Request> = requests.into();
        let mut under_way = FuturesUnordered::new();
        let mut patience = None;
        loop {
            let halted = patience.is_some() || self.is_over();
            while !halted && under_way.len() < self.target.window().max(1) {
                let Some(request) = waiting.pop_front() else { break };
                let target = self.target;
                under_way.push(async move {
                    let outcome = target.write(&request.op).await;
                    (request, outcome)
                });
            }
            let Some((request, outcome)) = under_way.next().await else { break };
            let object = request.object;
            let result = match outcome {
                Ok(written) => self.done(request, written),
                Err(TargetError::Unavailable { message, retry_after, target }) => {
                    patience = Some(self.patience(target, message, retry_after));
                    Settled::Waiting
                }
                Err(error) => self.failed(&request, error)?,
            };
            settlements.push(Settlement { object, result });
        }
        let handed_back = waiting.into_iter();
        settlements.extend(
            handed_back
                .map(|request| Settlement { object: request.object, result: Settled::Waiting }),
        );
        Ok(patience)
    }

    fn done(&mut self, request: Request, written: Written) -> Settled {
        self.waits = 0;
        self.result.delivered.done += 1;
        if request.export_op == ExportOp::Delete {
            // Whoever referred to the object has to let go of it.
            self.result.follow_up = true;
            return Settled::Deleted;
        }
        self.result.exported.push((request.object, request.export_op == ExportOp::Add));
        let class = request.class.to_string();
        let diverging = written.diverging.iter();
        self.result.diverging.extend(diverging.map(|name| (class.clone(), name.to_string())));
        Settled::Done {
            remote_id: written.remote_id,
            remaining: request.remaining,
            diverging: written.diverging,
        }
    }

    fn failed(
        &mut self,
        request: &Request,
        error: TargetError,
    ) -> std::result::Result<Settled, SyncError> {
        match error {
            TargetError::InDoubt { .. } => {
                self.result.follow_up = true;
                Ok(Settled::InDoubt)
            }
            // It is not where it was: looked for again, then created again.
            TargetError::Rejected { kind: ProblemKind::TargetMissing, .. } => {
                self.result.follow_up = true;
                Ok(Settled::Missing)
            }
            // Somebody has it already: looked for again by what it is matched by.
            TargetError::Rejected { kind: ProblemKind::DuplicateValue, message }
                if request.export_op == ExportOp::Add && request.attempts == 0 =>
            {
                self.result.follow_up = true;
                let hold = self.hold(request, ProblemKind::DuplicateValue, message);
                Ok(Settled::Duplicate(hold))
            }
            TargetError::Rejected { kind, message } => {
                Ok(Settled::Held(self.hold(request, kind, message)))
            }
            error => {
                self.result.error = Some(error);
                Ok(Settled::Waiting)
            }
        }
    }

    fn hold(&self, request: &Request, kind: ProblemKind, message: String) -> Hold {
        let step = HOLDS[(request.attempts as usize).min(HOLDS.len() - 1)];
        let wait_ms = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        Hold { until: Timestamp(self.parts.clock.now().0.saturating_add(wait_ms)), kind, message }
    }

    /// How long to wait for a target that does not take requests now. After several waits without
    /// any success in between the target is given up for this run.
    fn patience(
        &mut self,
        target: String,
        message: String,
        retry_after: Option<Duration>,
    ) -> Duration {
        self.waits += 1;
        let own = PATIENCE_FIRST * 2u32.pow(self.waits.min(8) - 1);
        let wait = retry_after.unwrap_or(own);
        if self.waits > PATIENCE_WAITS_MAX || wait > PATIENCE_WAIT_MAX {
            self.result.error = Some(TargetError::Unavailable { target, message, retry_after });
        }
        wait.min(PATIENCE_WAIT_MAX)
    }

    async fn be_patient(&self, wait: Duration) {
        if self.result.error.is_some() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.parts.stop.wait() => {}
        }
    }
}

/// The id under which an export is settled.
pub(crate) fn waiting(object: CsId) -> Settlement {
    Settlement { object, result: Settled::Deferred }
}
