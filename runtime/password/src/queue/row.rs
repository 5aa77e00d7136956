//! A slot with its records as rows: rows flow in, a [`Slot`] flows out, and back, field by field.

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{
    AgentSequence, AttemptId, Lease, Operation, Order, Record, RecordId, Slot, SlotKey, State,
    UserKey,
};
use kakehi_engine::time::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, named_params, params};

use super::codes::{
    Code, instant, integer, maybe_instant, maybe_integer, maybe_word, number, small, text, truth,
    word,
};
use super::error::{QueueError, Result};

/// Number of a row in `pw_slot`.
pub(super) type SlotId = i64;

/// A slot as it lies in the tables.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub id: SlotId,
    pub key: SlotKey,
    pub slot: Slot,
}

/// The live record of a slot, and the one after it.
const LIVE: i64 = 0;
const NEXT: i64 = 1;

/// Both lists in a slot are packed: nothing asks for their parts.
const NUMBER_BYTES: usize = 8;

pub(super) fn load(sql: &Connection, key: &SlotKey) -> Result<Option<Stored>> {
    let statement = sql.prepare_cached("SELECT * FROM pw_slot WHERE target = ?1 AND user = ?2")?;
    one(sql, statement, (key.target.as_str(), &*key.user.0))
}

pub(super) fn load_by_id(sql: &Connection, id: SlotId) -> Result<Option<Stored>> {
    one(sql, sql.prepare_cached("SELECT * FROM pw_slot WHERE id = ?1")?, [id])
}

/// Under which number a slot is stored, whatever else is in its row.
pub(super) fn id(sql: &Connection, key: &SlotKey) -> Result<Option<SlotId>> {
    let mut statement =
        sql.prepare_cached("SELECT id FROM pw_slot WHERE target = ?1 AND user = ?2")?;
    Ok(statement.query_row((key.target.as_str(), &*key.user.0), |row| row.get(0)).optional()?)
}

fn one(
    sql: &Connection,
    mut statement: CachedStatement<'_>,
    parameters: impl rusqlite::Params,
) -> Result<Option<Stored>> {
    let mut rows = statement.query(parameters)?;
    rows.next()?.map(|row| whole(sql, row)).transpose()
}

/// The row of `pw_slot` that a query stands on, with its records.
pub(super) fn whole(sql: &Connection, row: &Row<'_>) -> Result<Stored> {
    let (id, key) = (integer(row, "id")?, key(row)?);
    let mut slot = bare(row)?;
    slot.record = record(sql, id, LIVE)?;
    slot.next = record(sql, id, NEXT)?;
    sound(&slot)?;
    Ok(Stored { id, key, slot })
}

pub(super) fn key(row: &Row<'_>) -> Result<SlotKey> {
    Ok(SlotKey {
        target: ConnectorName::from(text(row, "target")?),
        user: UserKey::from(text(row, "user")?),
    })
}

/// What stands in the row itself, without records.
fn bare(row: &Row<'_>) -> Result<Slot> {
    let lease = match (maybe_integer(row, "attempt")?, maybe_instant(row, "deadline")?) {
        (Some(attempt), Some(deadline)) => {
            Some(Lease { attempt: AttemptId(attempt.cast_unsigned()), deadline })
        }
        _ => None,
    };
    Ok(Slot {
        state: word(row, "state")?,
        high_water: high_water(row)?,
        seen: seen(row)?,
        episode: number(row, "episode")?,
        record: None,
        next: None,
        due: maybe_instant(row, "due")?,
        retry_at: maybe_instant(row, "retry_at")?,
        lease,
        login: text(row, "login")?,
        after_flight: maybe_word(row, "after_flight")?,
        user_event: truth(row, "user_event")?,
        late_until: maybe_instant(row, "late_until")?,
        failures: small(row, "failures")?,
        server_errors: small(row, "server_errors")?,
        paused: truth(row, "paused")?,
        flips: flips(row)?,
        frozen_since: maybe_instant(row, "frozen_since")?,
        frozen_ms: number(row, "frozen_ms")?,
    })
}

pub(super) fn high_water(row: &Row<'_>) -> Result<Option<Order>> {
    if maybe_integer(row, "high_arrival")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Order {
        origin: AgentSequence {
            agent: text(row, "high_agent")?.into(),
            epoch: number(row, "high_epoch")?,
            sequence: number(row, "high_sequence")?,
        },
        captured_at: instant(row, "high_captured_at")?,
        arrival: number(row, "high_arrival")?,
    }))
}

fn flips(row: &Row<'_>) -> Result<Vec<Timestamp>> {
    let bytes: Vec<u8> =
        row.get("flips").map_err(|error| QueueError::row(format!("column `flips`: {error}")))?;
    let (whole, rest) = bytes.as_chunks::<NUMBER_BYTES>();
    if !rest.is_empty() {
        return Err(QueueError::row(format!("column `flips` has {} bytes", bytes.len())));
    }
    Ok(whole.iter().map(|chunk| Timestamp(i64::from_be_bytes(*chunk))).collect())
}

/// Packed: for each agent its epoch, its sequence, the length of its name, its name.
pub(super) fn seen(row: &Row<'_>) -> Result<Vec<AgentSequence>> {
    let bytes: Vec<u8> =
        row.get("seen").map_err(|error| QueueError::row(format!("column `seen`: {error}")))?;
    let mut found = vec![];
    let mut rest = &*bytes;
    while !rest.is_empty() {
        let (one, after) =
            unpack(rest).ok_or_else(|| QueueError::row("column `seen` is cut short"))?;
        found.push(one);
        rest = after;
    }
    Ok(found)
}

fn unpack(bytes: &[u8]) -> Option<(AgentSequence, &[u8])> {
    let (epoch, rest) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    let (sequence, rest) = rest.split_first_chunk::<NUMBER_BYTES>()?;
    let (length, rest) = rest.split_first_chunk::<NUMBER_BYTES>()?;
    let (name, rest) = rest.split_at_checked(u64::from_be_bytes(*length).try_into().ok()?)?;
    let agent = std::str::from_utf8(name).ok()?.into();
    let (epoch, sequence) = (u64::from_be_bytes(*epoch), u64::from_be_bytes(*sequence));
    Some((AgentSequence { agent, epoch, sequence }, rest))
}

fn pack(seen: &[AgentSequence]) -> Vec<u8> {
    let mut bytes = vec![];
    for AgentSequence { agent, epoch, sequence } in seen {
        for number in [*epoch, *sequence, agent.len() as u64] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(agent.as_bytes());
    }
    bytes
}

/// The live record alone, whatever became of its slot.
pub(super) fn live_record(sql: &Connection, slot: SlotId) -> Result<Option<Record>> {
    record(sql, slot, LIVE)
}

fn record(sql: &Connection, slot: SlotId, place: i64) -> Result<Option<Record>> {
    let mut statement =
        sql.prepare_cached("SELECT * FROM pw_record WHERE slot = ?1 AND place = ?2")?;
    let mut rows = statement.query([slot, place])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Record {
        id: RecordId(integer(row, "record")?),
        episode: number(row, "episode")?,
        order: Order {
            origin: AgentSequence {
                agent: text(row, "agent")?.into(),
                epoch: number(row, "epoch")?,
                sequence: number(row, "sequence")?,
            },
            captured_at: instant(row, "captured_at")?,
            arrival: number(row, "arrival")?,
        },
        operation: word::<Operation>(row, "operation")?,
        source: ConnectorName::from(text(row, "source")?),
        rejects: small(row, "rejects")?,
        uncertain: truth(row, "uncertain")?,
        tied: truth(row, "tied")?,
        late_until: maybe_instant(row, "late_until")?,
        delivered: truth(row, "delivered")?,
        mailed: truth(row, "mailed")?,
    }))
}

/// A state and a record belong together, in both directions.
fn sound(slot: &Slot) -> Result<()> {
    match (slot.state, &slot.record) {
        (State::Empty, Some(_)) => Err(QueueError::row("an empty slot has a record")),
        (State::Empty, None) => Ok(()),
        (state, None) => Err(QueueError::row(format!("a slot in {state:?} has no record"))),
        _ => Ok(()),
    }
}

/// Writes a slot that is `before` in the tables, if it is there at all. Gives its number.
pub(super) fn store(
    sql: &Connection,
    key: &SlotKey,
    slot: &Slot,
    before: Option<&Stored>,
    now: Timestamp,
) -> Result<SlotId> {
    let id = store_bare(sql, key, slot, before.map(|stored| stored.id), now)?;
    let was =
        |which: fn(&Slot) -> &Option<Record>| before.and_then(|old| which(&old.slot).as_ref());
    store_record(sql, id, LIVE, slot.record.as_ref(), was(|slot| &slot.record))?;
    store_record(sql, id, NEXT, slot.next.as_ref(), was(|slot| &slot.next))?;
    Ok(id)
}

pub(super) fn remove(sql: &Connection, id: SlotId) -> Result<()> {
    sql.prepare_cached("DELETE FROM pw_record WHERE slot = ?1")?.execute([id])?;
    sql.prepare_cached("DELETE FROM pw_slot WHERE id = ?1")?.execute([id])?;
    Ok(())
}

fn store_bare(
    sql: &Connection,
    key: &SlotKey,
    slot: &Slot,
    id: Option<SlotId>,
    now: Timestamp,
) -> Result<SlotId> {
    // Taken apart whole: a field that is added to the slot does not compile until it is stored.
    let Slot {
        state,
        high_water,
        seen,
        episode,
        record,
        next: _,
        due,
        retry_at,
        lease,
        login,
        after_flight,
        user_event,
        late_until,
        failures,
        server_errors,
        paused,
        flips,
        frozen_since,
        frozen_ms,
    } = slot;
    let high = high_water.as_ref();
    let flips: Vec<u8> = flips.iter().flat_map(|at| at.0.to_be_bytes()).collect();
    let mut statement = sql.prepare_cached(STORE)?;
    Ok(statement.query_row(
        named_params! {
            ":id": id,
            ":target": key.target.as_str(),
            ":user": &*key.user.0,
            ":state": state.code(),
            ":line": record.as_ref().map(|record| record.order.arrival.cast_signed()),
            ":due": due.map(|at| at.0),
            ":retry_at": retry_at.map(|at| at.0),
            ":paused": paused,
            ":episode": episode.cast_signed(),
            ":high_agent": high.map(|order| &*order.origin.agent),
            ":high_epoch": high.map(|order| order.origin.epoch.cast_signed()),
            ":high_sequence": high.map(|order| order.origin.sequence.cast_signed()),
            ":high_captured_at": high.map(|order| order.captured_at.0),
            ":high_arrival": high.map(|order| order.arrival.cast_signed()),
            ":seen": pack(seen),
            ":attempt": lease.map(|lease| lease.attempt.0.cast_signed()),
            ":deadline": lease.map(|lease| lease.deadline.0),
            ":login": login,
            ":after_flight": after_flight.map(Code::code),
            ":user_event": user_event,
            ":late_until": late_until.map(|at| at.0),
            ":failures": failures,
            ":server_errors": server_errors,
            ":flips": flips,
            ":frozen_since": frozen_since.map(|at| at.0),
            ":frozen_ms": frozen_ms.cast_signed(),
            ":changed_at": now.0,
        },
        |row| row.get(0),
    )?)
}

const STORE: &str = "
INSERT INTO pw_slot VALUES (
  :id, :target, :user, :state, :line, :due, :retry_at, :paused, :episode, :high_agent,
  :high_epoch, :high_sequence, :high_captured_at, :high_arrival, :seen, :attempt, :deadline,
  :login, :after_flight, :user_event, :late_until, :failures, :server_errors, :flips,
  :frozen_since, :frozen_ms, :changed_at
) ON CONFLICT (id) DO UPDATE SET
  state = :state, line = :line, due = :due, retry_at = :retry_at, paused = :paused,
  episode = :episode, high_agent = :high_agent, high_epoch = :high_epoch,
  high_sequence = :high_sequence, high_captured_at = :high_captured_at,
  high_arrival = :high_arrival, seen = :seen, attempt = :attempt, deadline = :deadline,
  login = :login, after_flight = :after_flight, user_event = :user_event,
  late_until = :late_until, failures = :failures, server_errors = :server_errors,
  flips = :flips, frozen_since = :frozen_since,
  frozen_ms = :frozen_ms, changed_at = :changed_at
RETURNING id";

fn store_record(
    sql: &Connection,
    slot: SlotId,
    place: i64,
    record: Option<&Record>,
    before: Option<&Record>,
) -> Result<()> {
    if record == before {
        return Ok(());
    }
    let Some(record) = record else {
        sql.prepare_cached("DELETE FROM pw_record WHERE slot = ?1 AND place = ?2")?
            .execute([slot, place])?;
        return Ok(());
    };
    let Record {
        id,
        episode,
        order,
        operation,
        source,
        rejects,
        uncertain,
        tied,
        late_until,
        delivered,
        mailed,
    } = record;
    let Order { origin: AgentSequence { agent, epoch, sequence }, captured_at, arrival } = order;
    sql.prepare_cached(
        "INSERT OR REPLACE INTO pw_record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
         ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        slot,
        place,
        id.0,
        episode.cast_signed(),
        &**agent,
        epoch.cast_signed(),
        sequence.cast_signed(),
        captured_at.0,
        arrival.cast_signed(),
        operation.code(),
        source.as_str(),
        rejects,
        uncertain,
        tied,
        late_until.map(|at| at.0),
        delivered,
        mailed,
    ])?;
    Ok(())
}
