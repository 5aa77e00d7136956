//! How far agents have counted: a capture's number flows in, what is missing before it flows out.

use std::sync::Arc;

use kakehi_engine::password::AgentSequence;
use kakehi_engine::time::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::error::Result;

/// Numbers of an agent that never came: captures that were lost, or numbers that it never used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub agent: Arc<str>,
    pub epoch: u64,
    /// The first number that is missing, and how many are.
    pub from: u64,
    pub count: u64,
}

/// Notes that an agent has come so far. Gives what is missing since the last time.
pub(super) fn count(
    sql: &Connection,
    origin: &AgentSequence,
    now: Timestamp,
) -> Result<Option<Gap>> {
    let AgentSequence { agent, epoch, sequence } = origin;
    let known: Option<(i64, i64)> = sql
        .prepare_cached("SELECT epoch, sequence FROM pw_agent WHERE id = ?1")?
        .query_row([&**agent], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let known = known.map(|(epoch, last)| (epoch.cast_unsigned(), last.cast_unsigned()));
    if known.is_some_and(|known| known >= (*epoch, *sequence)) {
        // Sent again, or overtaken on the way.
        return Ok(None);
    }
    let gap = known.filter(|(then, _)| then == epoch).and_then(|(_, last)| {
        let count = sequence - last - 1;
        (count > 0).then(|| Gap { agent: agent.clone(), epoch: *epoch, from: last + 1, count })
    });
    let missing = gap.as_ref().map_or(0, |gap| i64::try_from(gap.count).unwrap_or(i64::MAX));
    sql.prepare_cached(
        "INSERT INTO pw_agent VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO UPDATE SET epoch = ?2, sequence = ?3, seen_at = ?6,
           missing = CASE WHEN missing > 9223372036854775807 - ?4 THEN 9223372036854775807
             ELSE missing + ?4 END,
           gap_at = coalesce(?5, gap_at)",
    )?
    .execute((
        &**agent,
        epoch.cast_signed(),
        sequence.cast_signed(),
        missing,
        gap.as_ref().map(|_| now.0),
        now.0,
    ))?;
    Ok(gap)
}
