//! What is cleared away because it is old: nothing here holds a password.

use kakehi_engine::time::Timestamp;
use rusqlite::Connection;

use super::error::Result;

const DAY: u64 = 24 * 3600;

/// For how long it is known what became of a change.
const AUDIT_SECONDS: u64 = 90 * DAY;

/// Lines of the audit at most; the oldest go first.
const AUDIT_LINES_MAX: i64 = 2_000_000;

/// For how long a mail that was sent or dropped is known not to be written once more.
const MAIL_SECONDS: u64 = 30 * DAY;

/// An empty slot is forgotten when nothing was captured for so long: no agent keeps an older
/// capture that could still come and be taken for a new one.
const SLOT_SECONDS: u64 = 400 * DAY;

/// How often it is looked for what is old.
const EVERY_SECONDS: u64 = DAY;

/// Clears what is old, at most once a day.
pub(super) fn clear(sql: &Connection, last: &mut Option<Timestamp>, now: Timestamp) -> Result<()> {
    if last.is_some_and(|last| now < last.plus(EVERY_SECONDS) && now >= last) {
        return Ok(());
    }
    *last = Some(now);
    for (statement, before) in [
        ("DELETE FROM pw_audit WHERE at < ?1", now.minus(AUDIT_SECONDS)),
        ("DELETE FROM pw_mail WHERE done <> 0 AND done_at < ?1", now.minus(MAIL_SECONDS)),
        (
            "DELETE FROM pw_slot WHERE state = 0 AND paused = 0 AND changed_at < ?1",
            now.minus(SLOT_SECONDS),
        ),
        ("DELETE FROM pw_echo WHERE until <= ?1", now),
        ("DELETE FROM pw_aside WHERE at < ?1", now.minus(AUDIT_SECONDS)),
    ] {
        sql.execute(statement, [before.0])?;
    }
    sql.execute(
        "DELETE FROM pw_echo_use WHERE (target, user) NOT IN (SELECT target, user FROM pw_echo)",
        [],
    )?;
    sql.execute(
        "DELETE FROM pw_audit WHERE id <= (SELECT max(id) FROM pw_audit) - ?1",
        [AUDIT_LINES_MAX],
    )?;
    Ok(())
}
