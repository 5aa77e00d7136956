//! From pending exports to a plan, and back to exports for those who want to read it.

use std::collections::BTreeMap;

use kakehi_engine::plan::{Plan, PlanBuilder};

use crate::store::{Due, PendingExport, StoreError};
use crate::sync::report::{Report, StageName};
use crate::sync::{Parts, basis, blocking, meter::Meter};

/// Makes the plan of all exports that are due now.
pub(crate) fn make(parts: &Parts<'_>, report: &mut Report) -> Result<Plan, StoreError> {
    let meter = Meter::start();
    let parent = parts.store.last_plan()?;
    let mut builder = PlanBuilder::new(&parts.rules, basis(parts, parent));
    count(parts, Due::At(report.started), &mut builder)?;
    let plan = finish(parts, builder)?;
    report.measured(StageName::Plan, &meter);
    Ok(plan)
}

/// Passes exports by the builder of a plan, which may ask what the objects hold.
pub(crate) fn count(
    parts: &Parts<'_>,
    due: Due,
    builder: &mut PlanBuilder<'_>,
) -> Result<(), StoreError> {
    let mut failed = None;
    parts.store.each_export(due, &mut |pending| {
        builder.add(&pending.export, &mut |export, attribute| match parts
            .store
            .held(export.object, attribute)
        {
            Ok(held) => held,
            Err(error) => {
                failed.get_or_insert(error);
                0
            }
        });
    })?;
    failed.map_or(Ok(()), Err)
}

pub(crate) fn finish(parts: &Parts<'_>, builder: PlanBuilder<'_>) -> Result<Plan, StoreError> {
    // Counting the links takes as long as there are links: only where something is measured by it.
    let linked = if builder.needs_linked() { parts.store.linked()? } else { BTreeMap::new() };
    Ok(builder.finish(&linked))
}

/// Saves a plan before anything of it is sent (S-03).
pub(crate) fn save(parts: &Parts<'_>, plan: &Plan) -> Result<(), StoreError> {
    blocking(|| parts.store.save_plan(plan, parts.clock.now()))
}

/// Passes the exports of the plan that was just made by, in order of delivery.
pub fn exports_of(
    store: &dyn crate::store::Store,
    report: &Report,
    each: &mut dyn FnMut(PendingExport),
) -> Result<(), StoreError> {
    let due = if report.undoes { Due::Undo } else { Due::At(report.started) };
    store.each_export(due, each)
}
