//! Match before create (delivery.md 5): pending adds flow out to be looked up at their target; what
//! was found there flows in, and is adopted only where it is one object that nobody else has.

use kakehi_engine::connector_space::{CsId, LinkOrigin};
use kakehi_engine::export::{Export, ExportOp};
use kakehi_engine::object::ConnectorName;
use kakehi_engine::problem::ProblemKind;

use super::export::{columns, list, of_object};
use super::failure::Result;
use super::{Db, codes, delivery, target};

/// The end of a hold that only another look-up ends.
const UNTIL_LOOKED_UP: i64 = i64::MAX;

pub(super) fn unmatched(db: &Db, connector: &ConnectorName, limit: usize) -> Result<Vec<Export>> {
    let Some(connector) = db.names.connector_id(&db.sql, connector)? else {
        return Ok(vec![]);
    };
    let statement = concat!(
        "SELECT ",
        columns!(),
        "WHERE pending_export.connector = ?1 AND op = 'add' AND matched IS NULL \
         AND intent IS NULL ORDER BY pending_export.object LIMIT ?2"
    );
    let exports = list(db, statement, (connector, limit as i64))?;
    Ok(exports.into_iter().map(|pending| pending.export).collect())
}

/// Takes what each looked up add has at its target. Nothing: it may be created. One object that
/// nothing is linked to: the add is dropped, the two are one, and the difference is computed anew.
/// Anything else is held, and looked up again in the next cycle.
pub(super) fn matched(db: &Db, looked_up: &[(CsId, Vec<CsId>)]) -> Result<()> {
    for (id, found) in looked_up {
        let Some(pending) = of_object(db, *id)?.filter(|found| found.export.op == ExportOp::Add)
        else {
            continue;
        };
        match found[..] {
            [] => nothing_found(db, *id)?,
            [one] if target::absorb(db, *id, one)? => {
                adopted(db, *id)?;
                delivery::compute_anew(db, &pending.export)?;
            }
            _ => not_ours(db, *id, found.len())?,
        }
    }
    Ok(())
}

/// The target has objects for an add, and none of them can be taken: it is not created beside them.
pub(super) fn not_ours(db: &Db, id: CsId, found: usize) -> Result<()> {
    let (kind, message) = match found {
        1 => (ProblemKind::AmbiguousConnector, "the matching object is linked already".to_owned()),
        _ => (ProblemKind::AmbiguousMatch, format!("{found} objects of the target match")),
    };
    db.sql
        .prepare_cached(
            "UPDATE pending_export SET matched = ?2, next_try = ?3, hold_kind = ?4, \
             hold_message = ?5 WHERE object = ?1",
        )?
        .execute((id.0, found as i64, UNTIL_LOOKED_UP, kind.as_str(), message))?;
    Ok(())
}

/// A new cycle: the target may have been put in order meanwhile.
pub(super) fn look_up_again(db: &Db) -> Result<()> {
    db.sql
        .prepare_cached("UPDATE pending_export SET matched = NULL WHERE matched > 0")?
        .execute([])?;
    Ok(())
}

fn nothing_found(db: &Db, id: CsId) -> Result<()> {
    db.sql
        .prepare_cached("UPDATE pending_export SET matched = 0 WHERE object = ?1")?
        .execute([id.0])?;
    db.sql
        .prepare_cached(
            "UPDATE pending_export SET next_try = NULL, hold_kind = NULL, hold_message = NULL \
             WHERE object = ?1 AND next_try = ?2",
        )?
        .execute((id.0, UNTIL_LOOKED_UP))?;
    Ok(())
}

/// It was there before us.
fn adopted(db: &Db, id: CsId) -> Result<()> {
    db.sql
        .prepare_cached("UPDATE object SET link_origin = ?2 WHERE id = ?1")?
        .execute((id.0, codes::origin_code(LinkOrigin::Joined)))?;
    Ok(())
}
