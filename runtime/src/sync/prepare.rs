//! The half of a cycle that sends nothing: up to the plan.

use kakehi_engine::plan::Plan;

use crate::edge::{Directory, TargetReader};
use crate::sync::report::Report;
use crate::sync::{Order, Parts, SyncError, blocking, doubt, evaluate, import, matching, plan};

/// From the sources to the plan.
pub(crate) async fn until_plan(
    parts: &Parts<'_>,
    sources: &mut [Box<dyn Directory>],
    targets: &[&dyn TargetReader],
    order: Order<'_>,
    report: &mut Report,
) -> Result<Plan, SyncError> {
    for target in targets {
        target.begin_cycle().await;
    }
    import::import(parts, sources, order.mode, report).await?;
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
    Ok(blocking(|| plan::make(parts, report))?)
}
