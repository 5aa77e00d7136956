//! The half of a cycle that sends nothing: up to the plan.

use kakehi_engine::plan::Plan;

use crate::edge::{Directory, PollMode, TargetReader};
use crate::sync::report::Report;
use crate::sync::{Parts, SyncError, blocking, doubt, evaluate, import, matching, plan};

/// From the sources to the plan.
pub(crate) async fn until_plan(
    parts: &Parts<'_>,
    sources: &mut [Box<dyn Directory>],
    targets: &[&dyn TargetReader],
    mode: PollMode,
    report: &mut Report,
) -> Result<Plan, SyncError> {
    for target in targets {
        target.begin_cycle().await;
    }
    blocking(|| parts.store.forget_undo())?;
    import::import(parts, sources, mode, report).await?;
    again(parts, targets, report).await
}

/// From the connector space to the plan: rules, what the targets have already, rules again.
pub(crate) async fn again(
    parts: &Parts<'_>,
    targets: &[&dyn TargetReader],
    report: &mut Report,
) -> Result<Plan, SyncError> {
    doubt::resolve(parts, targets, report).await?;
    blocking(|| evaluate::evaluate(parts, report))?;
    while !report.is_stopped() && matching::look_up(parts, targets, report).await? {
        blocking(|| evaluate::evaluate(parts, report))?;
    }
    hold_repeated(parts, report)?;
    if let Some(listener) = parts.listener() {
        listener.planned();
    }
    Ok(blocking(|| plan::make(parts, report))?)
}

/// What was sent too often is left out of the plan.
fn hold_repeated(parts: &Parts<'_>, report: &mut Report) -> Result<(), SyncError> {
    let limits = parts.limits.repetition;
    let held = blocking(|| parts.store.hold_repeated(limits, &parts.rules.digest, report.started))?;
    if !held.is_empty() {
        report.repeated(held.len());
    }
    Ok(())
}
