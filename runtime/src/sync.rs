//! One cycle: import -> synchronize -> match -> plan -> deliver -> confirm.
//!
//! Directories and targets come in through their doors, state through the store. What flows out is
//! a
//! [`Report`]. A dry run takes the same way on a copy of the state and ends before the delivery.

mod cost;
mod deliver;
mod doubt;
mod drift;
mod evaluate;
mod import;
mod matching;
mod meter;
mod plan;
mod prepare;
mod rehearse;
mod report;
mod request;
mod staging;
mod stop;
pub mod undo;

use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::guard::Trip;
use kakehi_engine::plan::{Plan, PlanBasis, PlanId};
use kakehi_engine::rule::RuleSet;
use kakehi_engine::time::Timestamp;

use crate::edge::{
    Clock, Directory, DirectoryError, PollMode, Target, TargetError, TargetReader, UserEvents,
};
use crate::store::{Repetition, ShrinkLimit, Store, StoreError};

pub use crate::sync::cost::RuleCost;
pub use crate::sync::plan::exports_of;
pub use crate::sync::rehearse::{Rehearsed, rehearse};
pub use crate::sync::report::{Report, Stage, StageName, Status, counts_json};
pub use crate::sync::staging::Staging;
pub use crate::sync::stop::Stop;

/// Anything that ends a cycle before its time.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The plan to be applied is not the plan that the present data give.
    #[error("the plan is stale: {why}")]
    StalePlan { why: String },
    /// Staging mode: nothing is sent, whoever approved it.
    #[error("staging mode is on: nothing is sent")]
    Staging,
    /// Nothing is known of a plan that is to be taken back.
    #[error("the journal knows of nothing that plan `{plan}` did")]
    NothingSent { plan: PlanId },
    /// A task of ours ended without an answer.
    #[error("{what} ended unexpectedly")]
    Lost { what: &'static str },
}

/// The limits of one cycle, from the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub shrink: ShrinkLimit,
    /// Object errors after which a run is stopped (provisioning.md 11.10).
    pub errors_max: u64,
    pub breaker: Breaker,
    /// What was sent too often is held (provisioning.md 11.8).
    pub repetition: Repetition,
}

/// A rule that fails for more objects than both figures allow is broken (provisioning.md 11.10).
#[derive(Clone, Copy, Debug)]
pub struct Breaker {
    pub failures: u64,
    /// Of the objects that it saw.
    pub percent: u64,
}

/// What a cycle works with. The same parts serve every cycle of a service.
#[derive(Clone)]
pub struct Parts<'a> {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub rules: Arc<RuleSet>,
    pub modules: &'a kakehi_host::Generation,
    /// Digest of the configuration without its secrets.
    pub config: String,
    pub limits: Limits,
    pub stop: Stop,
    pub staging: Staging,
    /// For how long is kept what was sent; `None`: it is not kept.
    pub journal: Option<Duration>,
    /// Who hears of users that are as they should be.
    pub users: Option<Arc<dyn UserEvents>>,
}

// === impl Parts ===

impl Parts<'_> {
    /// Who hears of users, while anybody waits for a word.
    fn listener(&self) -> Option<&dyn UserEvents> {
        self.users.as_deref().filter(|users| users.wanted())
    }
}

/// How much of the way a cycle goes, and under which conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    pub mode: PollMode,
    /// A reviewed plan: nothing else is carried out, and this whatever limit it exceeds.
    pub approved: Option<Approved<'a>>,
}

/// A plan that somebody reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved<'a> {
    pub plan: &'a PlanId,
    pub drift: Drift<'a>,
}

/// How far the present data may have moved from those that were reviewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drift<'a> {
    /// Exports that may have come, gone or changed. What was not reviewed is not sent.
    pub max: u64,
    /// Digest of the configuration of the reviewed plan, and marks of its exports, sorted; not
    /// looked at if nothing may have moved.
    pub config: &'a str,
    pub marks: &'a [String],
}

/// How often a cycle goes back to the rules after a delivery: for what only a delivery can bring to
/// light, such as an object that the target turned out to have.
const ROUNDS_MAX: u32 = 4;

/// A dry run: everything but the delivery, on whatever state `parts` holds (a copy of the real
/// one).
///
/// Gives the report and the plan. Errors: see [`SyncError`]; a source that cannot be read is one.
pub async fn dry_run(
    parts: &Parts<'_>,
    sources: &mut [Box<dyn Directory>],
    targets: &[&dyn TargetReader],
    mode: PollMode,
) -> Result<(Report, Plan), SyncError> {
    let mut report = Report::new(parts.clock.now());
    let plan = prepare::until_plan(parts, sources, targets, mode, &mut report).await?;
    report.plan = Some(plan.id.clone());
    report.finish(parts.clock.now());
    Ok((report, plan))
}

/// A whole cycle.
///
/// Gives a report also where a source or a target failed: its status says what was reached. Errors:
/// the state cannot be used any more, or the approved plan is stale.
pub async fn cycle(
    parts: &Parts<'_>,
    sources: &mut [Box<dyn Directory>],
    targets: &[Arc<dyn Target>],
    order: Order<'_>,
) -> Result<Report, SyncError> {
    let mut report = Report::new(parts.clock.now());
    if order.approved.is_some() && parts.staging.is_on() {
        return Err(SyncError::Staging);
    }
    let readers: Vec<&dyn TargetReader> = targets.iter().map(|target| target.reader()).collect();
    let mut plan = prepare::until_plan(parts, sources, &readers, order.mode, &mut report).await?;
    let unreviewed = drift::unreviewed(parts, &plan, order, &report)?;
    for round in 1..=ROUNDS_MAX {
        report.count(&plan);
        let trips = if order.approved.is_some() { vec![] } else { plan.trips.clone() };
        let allowed = without_tripped(targets, &trips);
        report.trips(trips);
        report.stage(parts.staging.is_on(), &plan);
        let idle = plan.exports() == 0 || parts.staging.is_on();
        if report.is_stopped() || parts.stop.is_set() || idle {
            break;
        }
        plan::save(parts, &plan)?;
        if round == 1 && !unreviewed.is_empty() {
            blocking(|| parts.store.unbind(&unreviewed))?;
            report.unreviewed(unreviewed.len());
        }
        let followed_up = deliver::deliver(parts, &allowed, &plan, &mut report).await?;
        let again = followed_up && unreviewed.is_empty();
        if !again || round == ROUNDS_MAX || report.failed_target() {
            break;
        }
        plan = prepare::again(parts, &readers, &mut report).await?;
    }
    forget_old(parts)?;
    report.troubles(blocking(|| parts.store.troubles())?);
    report.finish(parts.clock.now());
    Ok(report)
}

/// How often a cycle forgets some of what is too old to be kept: what one day adds is gone within
/// a day, and no cycle is held up.
const FORGET_STEPS_MAX: u32 = 5;

/// Decisions are kept as long as the journal, and for a while where there is none.
const DECISIONS_KEPT: Duration = Duration::from_secs(30 * 86_400);

fn forget_old(parts: &Parts<'_>) -> Result<(), StoreError> {
    let now = parts.clock.now();
    let before = |kept: Duration| {
        let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        Timestamp(now.0.saturating_sub(kept_ms))
    };
    // Without a journal the last entries are of a time when there was one.
    let sent = parts.journal.map_or(Timestamp(i64::MAX), before);
    let decided = before(parts.journal.unwrap_or(DECISIONS_KEPT));
    for _ in 0..FORGET_STEPS_MAX {
        if !blocking(|| parts.store.forget_before(sent, decided))? {
            break;
        }
    }
    Ok(())
}

/// Nothing is sent to a target whose limit the plan exceeds; the others go on (DV-08).
fn without_tripped(targets: &[Arc<dyn Target>], trips: &[Trip]) -> Vec<Arc<dyn Target>> {
    let tripped =
        |target: &&Arc<dyn Target>| trips.iter().any(|trip| trip.connector == *target.name());
    targets.iter().filter(|target| !tripped(target)).cloned().collect()
}

/// What the plan of a cycle is made of, apart from the data.
fn basis(parts: &Parts<'_>, parent: Option<PlanId>) -> PlanBasis {
    let (ruleset, config) = (parts.rules.digest.clone(), parts.config.clone());
    PlanBasis { parent, ruleset, config, undoes: None }
}

/// Runs something that waits for the disk without holding up what the runtime does besides.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
