//! Requests whose outcome nobody knows, from a crash or a lost answer: looked up, never guessed
//! (delivery.md 4).

use kakehi_engine::export::ExportOp;
use kakehi_engine::object::ClassName;

use crate::edge::{RemoteObject, TargetError, TargetReader};
use crate::store::PendingExport;
use crate::sync::matching::match_keys;
use crate::sync::report::Report;
use crate::sync::{Parts, SyncError, blocking};

/// Looks every export in doubt up at its target. What is found is staged and its difference
/// computed anew. A target that cannot be read keeps its doubts: they are sent nothing.
pub(crate) async fn resolve(
    parts: &Parts<'_>,
    targets: &[&dyn TargetReader],
    report: &mut Report,
) -> Result<(), SyncError> {
    for target in targets {
        let doubts = blocking(|| parts.store.in_doubt(target.name()))?;
        for pending in doubts {
            match look_up(parts, *target, &pending).await {
                Ok(found) => take(parts, *target, &pending, found)?,
                Err(error) => {
                    report.target_failed(&error);
                    break;
                }
            }
        }
    }
    Ok(())
}

/// The object as the target shows it now, if it has it.
async fn look_up(
    parts: &Parts<'_>,
    target: &dyn TargetReader,
    pending: &PendingExport,
) -> Result<Option<RemoteObject>, TargetError> {
    let class: &ClassName = &pending.export.class;
    if let Some(remote_id) = &pending.remote_id {
        return target.read(class, remote_id).await;
    }
    debug_assert_eq!(pending.export.op, ExportOp::Add);
    let keys = match_keys(parts, target.name(), &pending.export);
    let mut found = target.find(class, &[keys]).await?.pop().unwrap_or_default();
    // Several: nobody can say which is ours. It is looked up again as an unmatched add, which
    // reports it.
    Ok(if found.len() == 1 { found.pop() } else { None })
}

fn take(
    parts: &Parts<'_>,
    target: &dyn TargetReader,
    pending: &PendingExport,
    found: Option<RemoteObject>,
) -> Result<(), SyncError> {
    blocking(|| {
        let found = match found {
            Some(object) => parts.store.stage_target(target.name(), &[object], &parts.rules)?.pop(),
            None => None,
        };
        parts.store.resolve_doubt(pending.export.object, found)
    })?;
    Ok(())
}
