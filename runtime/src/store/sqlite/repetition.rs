//! Exports that are held because the same was sent too often: what the journal knows of their
//! objects decides (provisioning.md 11.8).

use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::ExportOp;
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::repetition::{Finding, Past, judge};
use kakehi_engine::rule::RulesetDigest;
use kakehi_engine::time::Timestamp;

use super::failure::Result;
use super::{Db, codes, export, journal};
use crate::store::{PendingExport, Repeated, Repetition, Wave};

/// Holds what was sent too often, for as long as what happened counts. Gives what was held now.
pub(super) fn hold(
    db: &Db,
    limits: Repetition,
    ruleset: &RulesetDigest,
    now: Timestamp,
) -> Result<Vec<Repeated>> {
    let window_ms = i64::try_from(limits.window.as_millis()).unwrap_or(i64::MAX);
    let since = Timestamp(now.0.saturating_sub(window_ms));
    let mut held = vec![];
    for object in suspects(db, limits, since, now)? {
        let Some(PendingExport { export, .. }) = export::of_object(db, CsId(object))? else {
            continue;
        };
        let sent = journal::of_object(db, object, since)?;
        let history: Vec<Past<'_>> = sent
            .iter()
            // What comes into being does not change.
            .filter(|sent| sent.ruleset == ruleset.0 && sent.export.op != ExportOp::Add)
            .map(|sent| Past { changes: &sent.export.changes, before: &sent.before })
            .collect();
        let Some(found) = judge(&export, &history, limits.flips, limits.retries) else { continue };
        let message = message(&found, limits);
        db.sql
            .prepare_cached(
                "UPDATE pending_export SET plan = NULL, next_try = ?2, hold_kind = ?3, \
                 hold_message = ?4 WHERE object = ?1",
            )?
            .execute((object, now.0.saturating_add(window_ms), found.kind.as_str(), &message))?;
        held.push(Repeated { object: export.object, message });
    }
    Ok(held)
}

/// Objects with a pending change that were changed that often. The order of the index: neither
/// adds nor the rows of exports are looked at.
fn suspects(db: &Db, limits: Repetition, since: Timestamp, now: Timestamp) -> Result<Vec<i64>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT pending_export.object FROM pending_export \
         WHERE pending_export.connector IN (SELECT id FROM connector) AND wave IN (?1, ?2, ?3) \
           AND intent IS NULL AND undoes IS NULL AND (next_try IS NULL OR next_try <= ?4) \
           AND (SELECT count(*) FROM journal WHERE journal.object = pending_export.object \
                AND journal.at >= ?5) >= ?6 ORDER BY pending_export.object",
    )?;
    let [disable, update, references] =
        [Wave::Disable, Wave::Update, Wave::References].map(codes::wave_code);
    let least = i64::try_from(limits.flips.min(limits.retries)).unwrap_or(i64::MAX);
    let ids = statement
        .query_map((disable, update, references, now.0, since.0, least), |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

fn message(found: &Finding, limits: Repetition) -> String {
    let Finding { kind, attribute, times } = found;
    let hours = limits.window.as_secs() / 3600;
    match kind {
        ProblemKind::Flapping => format!(
            "`{attribute}` was changed to and fro {times} times within {hours} h: something else \
             writes it too; let one of both own it"
        ),
        _ => format!(
            "`{attribute}` was set to the same value {times} times within {hours} h and did not \
             stay so; see what the target makes of it"
        ),
    }
}
