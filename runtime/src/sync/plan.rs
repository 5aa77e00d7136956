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
    parts
        .store
        .each_export(Due::At(report.started), &mut |pending| builder.add(&pending.export))?;
    // Counting the links takes as long as there are links, and only removals are measured by them.
    let linked = if builder.removes() { parts.store.linked()? } else { BTreeMap::new() };
    let plan = builder.finish(&linked);
    report.measured(StageName::Plan, &meter);
    Ok(plan)
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
    store.each_export(Due::At(report.started), each)
}
