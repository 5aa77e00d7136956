//! Taking a plan back: what the journal says that it did flows in; a plan of the reverse flows out,
//! and is carried out like any other (provisioning.md 11.13).
//!
//! Rules still want what is taken back. So it is sent while everything else is held by staging
//! mode, which whoever orders it switches on first.

use std::sync::Arc;

use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::Export;
use kakehi_engine::object::AttributeMap;
use kakehi_engine::plan::{Plan, PlanBuilder, PlanId};
use kakehi_engine::undo::{Done, Reversal, reverse};

use crate::edge::{Target, TargetReader};
use crate::store::{Due, Sent, StoreError};
use crate::sync::report::Report;
use crate::sync::{Parts, Staging, SyncError, basis, blocking, deliver, doubt, plan};

/// Exports that are put into the state in one step.
const STAGED_AT_ONCE: usize = 256;

/// What stays as the plan made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Left {
    /// As it was sent.
    pub export: Export,
    /// Each a sentence without values.
    pub why: Vec<String>,
    /// What the object held before.
    pub before: AttributeMap,
}

/// A dry run of taking `of` back, on whatever state `parts` holds (a copy of the real one).
///
/// Gives the report, the plan, and what cannot be taken back, in order of object. Errors: nothing
/// is known of the plan.
pub async fn dry_run(
    parts: &Parts<'_>,
    targets: &[&dyn TargetReader],
    of: &PlanId,
) -> Result<(Report, Plan, Vec<Left>), SyncError> {
    let mut report = Report::new(parts.clock.now());
    let (plan, left) = prepare(parts, targets, of, &mut report).await?;
    report.plan = Some(plan.id.clone());
    report.finish(parts.clock.now());
    Ok((report, plan, left))
}

/// Takes `of` back as it was reviewed, whatever limit that exceeds, and whatever mode is on.
/// `hold` is called before anything is sent: it holds back everything else, or gives `false`.
///
/// Errors: [`SyncError::StalePlan`] if the present data give another plan than `reviewed`.
pub async fn undo(
    parts: &Parts<'_>,
    targets: &[Arc<dyn Target>],
    of: &PlanId,
    reviewed: &PlanId,
    hold: &mut dyn FnMut() -> bool,
) -> Result<Report, SyncError> {
    // What holds everything else back does not hold back this.
    let parts = &Parts { staging: Staging::default(), ..parts.clone() };
    let mut report = Report::new(parts.clock.now());
    let readers: Vec<&dyn TargetReader> = targets.iter().map(|target| target.reader()).collect();
    for target in &readers {
        target.begin_cycle().await;
    }
    let (plan, left) = prepare(parts, &readers, of, &mut report).await?;
    if plan.id != *reviewed {
        blocking(|| parts.store.forget_undo())?;
        let why = format!("it is `{reviewed}`, the present data give `{}`", plan.id);
        return Err(SyncError::StalePlan { why });
    }
    if !hold() {
        return Err(SyncError::Lost { what: "the switch to staging mode" });
    }
    report.count(&plan);
    report.left(left.len());
    if plan.exports() > 0 && !parts.stop.is_set() {
        plan::save(parts, &plan)?;
        deliver::deliver(parts, targets, &plan, &mut report).await?;
    }
    // What the target refused is not tried again by itself.
    blocking(|| parts.store.forget_undo())?;
    report.troubles(blocking(|| parts.store.troubles())?);
    report.finish(parts.clock.now());
    Ok(report)
}

/// Puts the reverse of everything into the state and makes the plan of it.
async fn prepare(
    parts: &Parts<'_>,
    targets: &[&dyn TargetReader],
    of: &PlanId,
    report: &mut Report,
) -> Result<(Plan, Vec<Left>), SyncError> {
    report.undoes = true;
    blocking(|| parts.store.forget_undo())?;
    doubt::resolve(parts, targets, report).await?;
    blocking(|| {
        let left = stage(parts, of)?;
        let parent = parts.store.last_plan()?;
        let mut basis = basis(parts, parent);
        basis.undoes = Some(of.clone());
        let mut builder = PlanBuilder::new(&parts.rules, basis);
        plan::count(parts, Due::Undo, &mut builder)?;
        Ok((plan::finish(parts, builder)?, left))
    })
}

fn stage(parts: &Parts<'_>, of: &PlanId) -> Result<Vec<Left>, SyncError> {
    let (mut left, mut exports, mut failed, mut any) = (vec![], vec![], None, false);
    parts.store.each_sent_by(of, &mut |sent| {
        any = true;
        if failed.is_some() {
            return;
        }
        let reversed = reversed(parts, &sent).and_then(|Reversal { export, left: why }| {
            exports.extend(export);
            if !why.is_empty() {
                left.extend(not_reversed(sent, why));
            }
            if exports.len() < STAGED_AT_ONCE {
                return Ok(());
            }
            parts.store.stage_undo(of, &std::mem::take(&mut exports))
        });
        failed = reversed.err();
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if !any {
        return Err(SyncError::NothingSent { plan: of.clone() });
    }
    parts.store.stage_undo(of, &exports)?;
    Ok(left)
}

/// `sent`: all that the plan did to one object, the newest first.
fn reversed(parts: &Parts<'_>, sent: &[Sent]) -> Result<Reversal, StoreError> {
    let nothing = Reversal::default();
    let Some(first) = sent.first() else { return Ok(nothing) };
    let left = |why: &str| Reversal { export: None, left: vec![why.to_owned()] };
    let Some(target) = parts.rules.connector(&first.export.connector) else {
        return Ok(left("its target is not configured any more"));
    };
    let id = first.export.object;
    if parts.store.in_doubt(&target.name)?.iter().any(|pending| pending.export.object == id) {
        return Ok(left("the outcome of its last request is not known"));
    }
    let object = {
        let view = parts.store.view()?;
        let object = view.cs_objects(&[id]).pop();
        view.check()?;
        object
    };
    let done: Vec<Done<'_>> = sent
        .iter()
        .map(|sent| Done {
            op: sent.export.op,
            changes: &sent.export.changes,
            before: &sent.before,
        })
        .collect();
    let mut failed = None;
    let mut is_there = |id: CsId| match parts.store.remote_ids(&[id]) {
        Ok(remote) => remote.iter().any(Option::is_some),
        Err(error) => {
            failed.get_or_insert(error);
            false
        }
    };
    let reversal = reverse(&done, object.as_ref(), target, &parts.rules, &mut is_there);
    failed.map_or(Ok(reversal), Err)
}

/// What was there before the first thing that the plan did.
fn not_reversed(sent: Vec<Sent>, why: Vec<String>) -> Option<Left> {
    let mut before = AttributeMap::new();
    for entry in &sent {
        before.extend(entry.before.clone());
    }
    let export = sent.into_iter().next()?.export;
    Some(Left { export, why, before })
}
