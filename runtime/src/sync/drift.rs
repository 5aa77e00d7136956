//! Whether a reviewed plan still is what would be done: the plan of the present data flows in; what
//! of it nobody reviewed flows out, or the refusal (provisioning.md 11.13, `--max-drift`).

use std::collections::BTreeSet;

use kakehi_engine::connector_space::CsId;
use kakehi_engine::plan::{Plan, export_mark};

use crate::sync::plan::exports_of;
use crate::sync::report::Report;
use crate::sync::{Approved, Drift, Order, Parts, SyncError, blocking};

/// Gives the objects whose exports nobody reviewed: they are not sent. Without a reviewed plan, and
/// for exactly the plan that was reviewed, there are none.
///
/// Errors: [`SyncError::StalePlan`] beyond the drift that is allowed.
pub(crate) fn unreviewed(
    parts: &Parts<'_>,
    plan: &Plan,
    order: Order<'_>,
    report: &Report,
) -> Result<Vec<CsId>, SyncError> {
    let Some(Approved { plan: id, drift }) = order.approved else { return Ok(vec![]) };
    if *id == plan.id {
        return Ok(vec![]);
    }
    let stale = |why: String| Err(SyncError::StalePlan { why });
    if drift.max == 0 {
        return stale(format!("it is `{id}`, the present data give `{}`", plan.id));
    }
    if drift.config != parts.config {
        return stale("the configuration has changed since".to_owned());
    }
    compare(parts, drift, report).and_then(|(moved, unreviewed)| {
        if moved > drift.max {
            let max = drift.max;
            return stale(format!("{moved} exports have come, gone or changed, more than {max}"));
        }
        Ok(unreviewed)
    })
}

/// How many exports differ, and which of those there are now are not among the reviewed ones.
fn compare(
    parts: &Parts<'_>,
    drift: Drift<'_>,
    report: &Report,
) -> Result<(u64, Vec<CsId>), SyncError> {
    let mut gone: BTreeSet<&str> = drift.marks.iter().map(String::as_str).collect();
    let mut unreviewed = vec![];
    blocking(|| {
        exports_of(&*parts.store, report, &mut |pending| {
            if !gone.remove(export_mark(&pending.export).as_str()) {
                unreviewed.push(pending.export.object);
            }
        })
    })?;
    // A changed export is a mark that is gone and an object that is new, but one export.
    let moved = (gone.len() as u64).max(unreviewed.len() as u64);
    Ok((moved, unreviewed))
}
