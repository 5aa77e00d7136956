//! Delivery: exports are claimed with an intent written before the request; what became of them
//! flows in and turns into confirmed state (delivery.md 4).

use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::{AttributeChange, Export, ExportOp, apply};
use kakehi_engine::object::{AttributeName, ConnectorName, Value};
use kakehi_engine::plan::PlanId;
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::rule::RuleTag;
use kakehi_engine::time::Timestamp;

use super::export::{columns, list, of_object};
use super::failure::Result;
use super::{Db, body, codes, decided, journal, matching, object, references, target};
use crate::store::{Hold, PendingExport, Settled, Settlement, Trail, Wave};

/// How long an object is left alone after its target gave it the id of another: long enough for
/// somebody to look at the target, since nothing heals this by itself.
const TAKEN_ID_HOLD_MS: i64 = 24 * 60 * 60 * 1000;

/// See [`Store::claim`](crate::store::Store::claim).
pub(super) fn claim(
    db: &Db,
    plan: &PlanId,
    connector: &ConnectorName,
    wave: Wave,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<PendingExport>> {
    let Some(connector) = db.names.connector_id(&db.sql, connector)? else {
        return Ok(vec![]);
    };
    let statement = concat!(
        "SELECT ",
        columns!(),
        "WHERE pending_export.connector = ?1 AND wave = ?2 AND plan = ?3 AND intent IS NULL \
         AND (next_try IS NULL OR next_try <= ?4) ORDER BY pending_export.object LIMIT ?5"
    );
    let parameters = (connector, codes::wave_code(wave), &plan.0, now.0, limit as i64);
    let claimed = list(db, statement, parameters)?;
    for pending in &claimed {
        db.sql
            .prepare_cached("UPDATE pending_export SET intent = ?2 WHERE object = ?1")?
            .execute((pending.export.object.0, now.0))?;
    }
    Ok(claimed)
}

pub(super) fn in_doubt(db: &Db, connector: &ConnectorName) -> Result<Vec<PendingExport>> {
    let Some(connector) = db.names.connector_id(&db.sql, connector)? else {
        return Ok(vec![]);
    };
    let statement = concat!(
        "SELECT ",
        columns!(),
        "WHERE pending_export.connector = ?1 AND intent IS NOT NULL \
         ORDER BY pending_export.object"
    );
    list(db, statement, [connector])
}

pub(super) fn settle(
    db: &Db,
    settlements: &[Settlement],
    trail: &Trail<'_>,
    now: Timestamp,
) -> Result<()> {
    for Settlement { object, result } in settlements {
        // Settled twice, the second time is about nothing.
        let Some(PendingExport { export, undoes, .. }) = of_object(db, *object)? else {
            continue;
        };
        if undoes.is_some() {
            // What was taken back is not what rules want: the difference is made anew.
            object::queue_mv(db, object::linked_to(db, object.0)?)?;
        }
        match result {
            Settled::Done { remote_id, remaining, diverging } => {
                done(db, &export, remote_id, (remaining, diverging), trail, now)?;
            }
            Settled::Deleted => {
                journal::note(db, &export, None, trail, now)?;
                deleted(db, &export)?;
            }
            Settled::Held(hold) => held(db, &export, hold)?,
            Settled::Waiting => release(db, &export)?,
            Settled::Deferred => unbind(db, &export)?,
            Settled::Missing => missing(db, &export)?,
            Settled::Duplicate(hold) => duplicate(db, &export, hold)?,
            Settled::InDoubt => {}
        }
    }
    Ok(())
}

/// See [`Store::resolve_doubt`](crate::store::Store::resolve_doubt).
pub(super) fn resolve_doubt(db: &Db, object: CsId, found: Option<CsId>) -> Result<()> {
    let Some(PendingExport { export, .. }) = of_object(db, object)? else {
        return Ok(());
    };
    match found {
        None => missing(db, &export),
        // Nobody would compute the difference anew: the same is sent again.
        Some(_) if !target::is_wanted(db, object)? => unbind(db, &export),
        Some(found) if found == object => compute_anew(db, &export),
        Some(found) if target::absorb(db, object, found)? => compute_anew(db, &export),
        Some(_) => {
            // The target's object belongs to somebody else, so this one was not created.
            unbind(db, &export)?;
            matching::not_ours(db, object, 1)
        }
    }
}

fn done(
    db: &Db,
    export: &Export,
    remote_id: &str,
    (remaining, diverging): (&[AttributeChange], &[AttributeName]),
    trail: &Trail<'_>,
    now: Timestamp,
) -> Result<()> {
    if !target::take_id(db, export, remote_id)? {
        let message = format!("the target gave it the id of another object, `{remote_id}`");
        let until = Timestamp(now.0 + TAKEN_ID_HOLD_MS);
        return held(db, export, &Hold { until, kind: ProblemKind::AmbiguousConnector, message });
    }
    // What is not confirmed stands there without values: each change keeps its place.
    let sent: Vec<AttributeChange> = export
        .changes
        .iter()
        .map(|change| match diverging.contains(&change.attribute) {
            true => nothing_of(&change.attribute),
            false => without(change, remaining),
        })
        .collect();
    let whole = remaining.is_empty() && diverging.is_empty();
    journal::note(db, export, (!whole).then_some(sent.as_slice()), trail, now)?;
    confirm(db, export, &sent)?;
    learn(db, export, diverging)?;
    queue_if_outdated(db, export)?;
    if remaining.is_empty() {
        return remove(db, export);
    }
    db.sql
        .prepare_cached(
            "UPDATE pending_export SET op = ?2, wave = ?3, changes = ?4, intent = NULL, \
             plan = CASE WHEN outdated THEN NULL ELSE plan END, outdated = 0, attempts = 0, \
             next_try = NULL, hold_kind = NULL, hold_message = NULL, decided = ?5, \
             type_change = 0 WHERE object = ?1",
        )?
        .execute((
            export.object.0,
            ExportOp::Update.as_str(),
            codes::wave_code(Wave::References),
            body::encode_changes(remaining),
            decided::encode(db, &deciders(export, remaining))?,
        ))?;
    Ok(())
}

fn nothing_of(attribute: &AttributeName) -> AttributeChange {
    let attribute = attribute.clone();
    AttributeChange { attribute, add: vec![], remove: vec![], replace: None }
}

/// Who decided what is still to be sent.
fn deciders(export: &Export, remaining: &[AttributeChange]) -> Vec<Option<RuleTag>> {
    let of = |rest: &AttributeChange| {
        let place = export.changes.iter().position(|change| change.attribute == rest.attribute)?;
        export.by.get(place).cloned().flatten()
    };
    remaining.iter().map(of).collect()
}

/// The object is gone from the target: forgotten here, and whoever refers to it is looked at again.
fn deleted(db: &Db, export: &Export) -> Result<()> {
    target::drop_referrers(db, export)?;
    object::queue_mv(db, object::linked_to(db, export.object.0)?)?;
    object::forget(db, export.object.0)
}

/// The target does not have the object. If somebody wants it there, it is to be created again.
fn missing(db: &Db, export: &Export) -> Result<()> {
    if export.op == ExportOp::Delete || !target::is_wanted(db, export.object)? {
        return deleted(db, export);
    }
    target::drop_referrers(db, export)?;
    target::not_there(db, export.object)?;
    compute_anew(db, export)
}

/// The target says that it has such an object: it is asked for it once more before the add is due
/// again.
fn duplicate(db: &Db, export: &Export, hold: &Hold) -> Result<()> {
    held(db, export, hold)?;
    db.sql
        .prepare_cached("UPDATE pending_export SET matched = NULL WHERE object = ?1")?
        .execute([export.object.0])?;
    Ok(())
}

/// A refused export leaves its plan; when its hold is over, a new plan covers it.
fn held(db: &Db, export: &Export, hold: &Hold) -> Result<()> {
    queue_if_outdated(db, export)?;
    db.sql
        .prepare_cached(
            "UPDATE pending_export SET intent = NULL, plan = NULL, outdated = 0, \
             attempts = attempts + 1, next_try = ?2, hold_kind = ?3, hold_message = ?4 \
             WHERE object = ?1",
        )?
        .execute((export.object.0, hold.until.0, hold.kind.as_str(), &hold.message))?;
    Ok(())
}

/// Not sent: claimable again by the same plan, unless a pass wants something else by now.
fn release(db: &Db, export: &Export) -> Result<()> {
    queue_if_outdated(db, export)?;
    db.sql
        .prepare_cached(
            "UPDATE pending_export SET intent = NULL, \
             plan = CASE WHEN outdated THEN NULL ELSE plan END, outdated = 0 WHERE object = ?1",
        )?
        .execute([export.object.0])?;
    Ok(())
}

/// Not for this plan: the next one covers it.
fn unbind(db: &Db, export: &Export) -> Result<()> {
    queue_if_outdated(db, export)?;
    db.sql
        .prepare_cached(
            "UPDATE pending_export SET intent = NULL, plan = NULL, outdated = 0 WHERE object = ?1",
        )?
        .execute([export.object.0])?;
    Ok(())
}

/// The next pass computes the difference from what is known now.
pub(super) fn compute_anew(db: &Db, export: &Export) -> Result<()> {
    object::queue_mv(db, object::linked_to(db, export.object.0)?)?;
    remove(db, export)
}

fn remove(db: &Db, export: &Export) -> Result<()> {
    db.sql
        .prepare_cached("DELETE FROM pending_export WHERE object = ?1")?
        .execute([export.object.0])?;
    Ok(())
}

fn queue_if_outdated(db: &Db, export: &Export) -> Result<()> {
    let outdated: bool = db
        .sql
        .prepare_cached("SELECT outdated FROM pending_export WHERE object = ?1")?
        .query_row([export.object.0], |row| row.get(0))?;
    if outdated {
        object::queue_mv(db, object::linked_to(db, export.object.0)?)?;
    }
    Ok(())
}

fn learn(db: &Db, export: &Export, diverging: &[AttributeName]) -> Result<()> {
    let connector = db.names.make_connector(&db.sql, &export.connector)?;
    let class = db.names.make_class(&db.sql, &export.class)?;
    for attribute in diverging {
        db.sql
            .prepare_cached(
                "INSERT OR IGNORE INTO learned (connector, class, attribute) VALUES (?1, ?2, ?3)",
            )?
            .execute((connector, class, attribute.as_str()))?;
    }
    Ok(())
}

/// A change without the part of it that is still to be sent.
fn without(change: &AttributeChange, remaining: &[AttributeChange]) -> AttributeChange {
    let mut sent = change.clone();
    for rest in remaining.iter().filter(|rest| rest.attribute == change.attribute) {
        if rest.replace.is_some() {
            sent.replace = None;
        }
        if let Some(values) = &mut sent.replace {
            values.retain(|value| !rest.add.contains(value));
        }
        sent.add.retain(|value| !rest.add.contains(value));
        sent.remove.retain(|value| !rest.remove.contains(value));
    }
    sent
}

/// Carries confirmed changes out on what is known of the object. References are written one by one,
/// so a member more costs the same in a group of any size (PF-14).
fn confirm(db: &Db, export: &Export, changes: &[AttributeChange]) -> Result<()> {
    let (id, mut plain) = (export.object.0, None);
    let connector = db.names.make_connector(&db.sql, &export.connector)?;
    for change in changes {
        confirm_references(db, id, connector, change)?;
        let change = plain_part(change);
        if change.replace.is_some() || !change.add.is_empty() || !change.remove.is_empty() {
            let attributes = match &mut plain {
                Some(attributes) => attributes,
                None => plain.insert(object::plain_attributes(db, id)?),
            };
            apply(&change, attributes);
        }
    }
    plain.map_or(Ok(()), |attributes| target::store_body(db, id, &attributes))
}

fn confirm_references(db: &Db, id: i64, connector: i64, change: &AttributeChange) -> Result<()> {
    let attribute = &change.attribute;
    if change.replace.is_some() {
        references::clear(db, id, attribute)?;
    }
    for value in &change.remove {
        if let Value::Reference(key) = value {
            references::remove(db, id, attribute, key)?;
        }
    }
    for value in change.add.iter().chain(change.replace.iter().flatten()) {
        if let Value::Reference(key) = value {
            references::insert(db, id, connector, attribute, key, None)?;
        }
    }
    Ok(())
}

fn plain_part(change: &AttributeChange) -> AttributeChange {
    let plain = |values: &[Value]| -> Vec<Value> {
        values.iter().filter(|value| !value.is_reference()).cloned().collect()
    };
    AttributeChange {
        attribute: change.attribute.clone(),
        add: plain(&change.add),
        remove: plain(&change.remove),
        replace: change.replace.as_deref().map(plain),
    }
}
