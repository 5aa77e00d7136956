//! One cycle: import -> synchronize -> match -> plan -> deliver -> confirm.
//!
//! Directories and targets come in through their doors, state through the store. What flows out is
//! a
//! [`Report`]. A dry run takes the same way on a copy of the state and ends before the delivery.

mod cost;
mod deliver;
mod doubt;
mod evaluate;
mod import;
mod matching;
mod meter;
mod plan;
mod prepare;
mod rehearse;
mod report;
mod request;
mod stop;

use std::sync::Arc;

use kakehi_engine::guard::Trip;
use kakehi_engine::plan::{Plan, PlanBasis, PlanId};
use kakehi_engine::rule::RuleSet;

use crate::edge::{Clock, Directory, DirectoryError, PollMode, Target, TargetError, TargetReader};
use crate::store::{ShrinkLimit, Store, StoreError};

pub use crate::sync::cost::RuleCost;
pub use crate::sync::plan::exports_of;
pub use crate::sync::rehearse::{Rehearsed, rehearse};
pub use crate::sync::report::{Report, Stage, StageName, Status, counts_json};
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
}

/// What a cycle works with. The same parts serve every cycle of a service.
pub struct Parts<'a> {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub rules: Arc<RuleSet>,
    pub modules: &'a kakehi_host::Generation,
    /// Digest of the configuration without its secrets.
    pub config: String,
    pub limits: Limits,
    pub stop: Stop,
}

/// How much of the way a cycle goes, and under which conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    pub mode: PollMode,
    /// A reviewed plan: exactly this one is carried out, whatever limit it exceeds.
    pub approved: Option<&'a PlanId>,
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
    let order = Order { mode, approved: None };
    let plan = prepare::until_plan(parts, sources, targets, order, &mut report).await?;
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
    let readers: Vec<&dyn TargetReader> = targets.iter().map(|target| target.reader()).collect();
    let plan = prepare::until_plan(parts, sources, &readers, order, &mut report).await?;
    refuse_stale(&plan, order)?;
    let mut plan = plan;
    for round in 1..=ROUNDS_MAX {
        report.plan = Some(plan.id.clone());
        report.count(&plan);
        let trips = if order.approved.is_some() { vec![] } else { plan.trips.clone() };
        let allowed = without_tripped(targets, &trips);
        report.trips(trips);
        if report.is_stopped() || parts.stop.is_set() || plan.exports() == 0 {
            break;
        }
        plan::save(parts, &plan)?;
        let followed_up = deliver::deliver(parts, &allowed, &plan, &mut report).await?;
        if !followed_up || round == ROUNDS_MAX || report.failed_target() {
            break;
        }
        plan = prepare::again(parts, &readers, &mut report).await?;
    }
    report.troubles(blocking(|| parts.store.troubles())?);
    report.finish(parts.clock.now());
    Ok(report)
}

fn refuse_stale(plan: &Plan, order: Order<'_>) -> Result<(), SyncError> {
    match order.approved {
        Some(id) if *id != plan.id => {
            let why = format!("it is `{id}`, the present data give `{}`", plan.id);
            Err(SyncError::StalePlan { why })
        }
        _ => Ok(()),
    }
}

/// Nothing is sent to a target whose limit the plan exceeds; the others go on (DV-08).
fn without_tripped(targets: &[Arc<dyn Target>], trips: &[Trip]) -> Vec<Arc<dyn Target>> {
    let tripped =
        |target: &&Arc<dyn Target>| trips.iter().any(|trip| trip.connector == *target.name());
    targets.iter().filter(|target| !tripped(target)).cloned().collect()
}

/// What the plan of a cycle is made of, apart from the data.
fn basis(parts: &Parts<'_>, parent: Option<PlanId>) -> PlanBasis {
    PlanBasis { parent, ruleset: parts.rules.digest.clone(), config: parts.config.clone() }
}

/// Runs something that waits for the disk without holding up what the runtime does besides.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
