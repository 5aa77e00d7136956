//! From exports to requests: references become the ids of the target; what refers to objects that
//! the target does not have yet stays behind.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::{self, AttributeChange, ExportOp};
use kakehi_engine::object::{AttributeMap, ClassName, Value};

use crate::edge::WriteOp;
use crate::store::{PendingExport, Settlement, StoreError};
use crate::sync::{Parts, blocking, deliver};

/// One request, with what its settlement needs.
pub(crate) struct Request {
    pub object: CsId,
    pub class: ClassName,
    pub export_op: ExportOp,
    pub attempts: u32,
    pub op: WriteOp,
    /// Changes that cannot be sent yet.
    pub remaining: Vec<AttributeChange>,
}

/// Turns claimed exports into requests. What has nothing to send now is handed back at once.
pub(crate) fn requests(
    parts: &Parts<'_>,
    claimed: Vec<PendingExport>,
) -> Result<(Vec<Settlement>, Vec<Request>), StoreError> {
    let ids = remote_ids(parts, &claimed)?;
    let (mut back, mut requests) = (vec![], vec![]);
    for pending in claimed {
        let object = pending.export.object;
        match request(pending, &ids) {
            Some(request) => requests.push(request),
            None => back.push(deliver::waiting(object)),
        }
    }
    Ok((back, requests))
}

/// The remote ids of everything that is referred to.
fn remote_ids(
    parts: &Parts<'_>,
    claimed: &[PendingExport],
) -> Result<BTreeMap<CsId, String>, StoreError> {
    let changes = claimed.iter().flat_map(|pending| &pending.export.changes);
    let values = changes.flat_map(|change| {
        change.add.iter().chain(&change.remove).chain(change.replace.iter().flatten())
    });
    let ids: Vec<CsId> =
        values.filter_map(target_id).collect::<BTreeSet<_>>().into_iter().collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let remote = blocking(|| parts.store.remote_ids(&ids))?;
    Ok(ids.into_iter().zip(remote).filter_map(|(id, remote)| Some((id, remote?))).collect())
}

fn target_id(value: &Value) -> Option<CsId> {
    match value {
        Value::Reference(id) => id.parse().ok().map(CsId),
        _ => None,
    }
}

fn request(pending: PendingExport, ids: &BTreeMap<CsId, String>) -> Option<Request> {
    let PendingExport { export, remote_id, attempts, .. } = pending;
    let (now, remaining) = split(export.changes, export.op, ids);
    let class = export.class.clone();
    let op = match (export.op, remote_id) {
        (ExportOp::Add, _) => {
            let mut attributes = AttributeMap::new();
            for change in &now {
                export::apply(change, &mut attributes);
            }
            WriteOp::Create { class, attributes }
        }
        (ExportOp::Delete, Some(remote_id)) => WriteOp::Delete { class, remote_id },
        (_, Some(remote_id)) if !now.is_empty() => {
            WriteOp::Update { class, remote_id, changes: now }
        }
        _ => return None,
    };
    let (class, export_op) = (export.class, export.op);
    Some(Request { object: export.object, class, export_op, attempts, op, remaining })
}

/// What can be sent now, with remote ids, and what has to wait, as it was.
///
/// A new object is created without its sets of references: those follow as deltas, in pieces that
/// the target takes (delivery.md 6).
fn split(
    changes: Vec<AttributeChange>,
    op: ExportOp,
    ids: &BTreeMap<CsId, String>,
) -> (Vec<AttributeChange>, Vec<AttributeChange>) {
    let (mut now, mut later) = (vec![], vec![]);
    for change in changes {
        let refers = change.add.iter().any(Value::is_reference);
        if op == ExportOp::Add && refers {
            later.push(change);
            continue;
        }
        let (add, add_later) = known(change.add, ids);
        // What the target does not have cannot be a value there.
        let (remove, _) = known(change.remove, ids);
        let (replace, replace_later) = match change.replace {
            None => (None, None),
            Some(values) => match known(values, ids) {
                (values, waiting) if waiting.is_empty() => (Some(values), None),
                (_, waiting) => (None, Some(waiting)),
            },
        };
        let attribute = change.attribute;
        if !add_later.is_empty() || replace_later.is_some() {
            let attribute = attribute.clone();
            let (add, remove, replace) = (add_later, vec![], replace_later);
            later.push(AttributeChange { attribute, add, remove, replace });
        }
        if !add.is_empty() || !remove.is_empty() || replace.is_some() {
            now.push(AttributeChange { attribute, add, remove, replace });
        }
    }
    (now, later)
}

/// Values with remote ids in place of ours, and those whose object the target does not have yet.
fn known(values: Vec<Value>, ids: &BTreeMap<CsId, String>) -> (Vec<Value>, Vec<Value>) {
    let (mut known, mut unknown) = (vec![], vec![]);
    for value in values {
        match target_id(&value) {
            None => known.push(value),
            Some(id) => match ids.get(&id) {
                Some(remote) => known.push(Value::Reference(remote.clone())),
                None => unknown.push(value),
            },
        }
    }
    (known, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(ids: &[&str]) -> Vec<Value> {
        ids.iter().map(|id| Value::Reference((*id).into())).collect()
    }

    #[test]
    fn references_to_objects_that_are_not_there_yet_stay_behind() {
        let ids = BTreeMap::from([(CsId(1), "remote-1".to_owned())]);
        let change = AttributeChange {
            attribute: "members".into(),
            add: members(&["1", "2"]),
            remove: vec![],
            replace: None,
        };
        let (now, later) = split(vec![change], ExportOp::Update, &ids);
        assert_eq!(now[0].add, members(&["remote-1"]));
        assert_eq!(later[0].add, members(&["2"]));
    }

    #[test]
    fn a_new_group_is_created_without_members() {
        let ids = BTreeMap::from([(CsId(1), "remote-1".to_owned())]);
        let name = AttributeChange {
            attribute: "displayName".into(),
            add: vec![],
            remove: vec![],
            replace: Some(vec![Value::text("Sales")]),
        };
        let change = AttributeChange {
            attribute: "members".into(),
            add: members(&["1"]),
            remove: vec![],
            replace: None,
        };
        let (now, later) = split(vec![name.clone(), change.clone()], ExportOp::Add, &ids);
        assert_eq!((now, later), (vec![name], vec![change]));
    }
}
