//! The tables of `password.db`, as a list of migrations: a file of any earlier version flows in,
//! the newest comes out (password.md 7.1).

use rusqlite::Connection;

use super::error::Result;

/// Each entry leads from the version that is its index to the next one. Entries are never edited
/// once they were released.
const MIGRATIONS: [&str; 1] = [VERSION_1];

/// The version that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

pub(super) fn version(sql: &Connection) -> rusqlite::Result<i64> {
    sql.query_row("SELECT * FROM pragma_user_version", [], |row| row.get(0))
}

/// Brings the tables to [`VERSION`], all steps in one transaction. Takes a version that is not
/// newer.
pub(super) fn migrate(sql: &Connection) -> Result<()> {
    let found = usize::try_from(version(sql)?).unwrap_or(0);
    let Some(missing) = MIGRATIONS.get(found..).filter(|steps| !steps.is_empty()) else {
        return Ok(());
    };
    let transaction = sql.unchecked_transaction()?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// Instants are milliseconds since 1970. Codes are those of `codes.rs`. Numbers that agents choose
/// (epoch, sequence) use all 64 bits: they are compared in the program only.
const VERSION_1: &str = "
-- Single facts: `arrival` and `attempt`, the last numbers given out; `paused`.
CREATE TABLE pw_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Targets that are paused.
CREATE TABLE pw_gate (target TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- One user at one target. `line` is the arrival of the live record: its place in the line.
-- `high_*` is the newest capture that was decided on, `seen` the last one of each agent; both
-- outlive the record.
CREATE TABLE pw_slot (
  id INTEGER PRIMARY KEY,
  target TEXT NOT NULL,
  user TEXT NOT NULL,
  state INTEGER NOT NULL,
  line INTEGER,
  due INTEGER,
  retry_at INTEGER,
  paused INTEGER NOT NULL,
  episode INTEGER NOT NULL,
  high_agent TEXT,
  high_epoch INTEGER,
  high_sequence INTEGER,
  high_captured_at INTEGER,
  high_arrival INTEGER,
  seen BLOB NOT NULL,
  attempt INTEGER,
  deadline INTEGER,
  login TEXT NOT NULL,
  after_flight INTEGER,
  user_event INTEGER NOT NULL,
  late_until INTEGER,
  failures INTEGER NOT NULL,
  server_errors INTEGER NOT NULL,
  flips BLOB NOT NULL,
  frozen_since INTEGER,
  frozen_ms INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  UNIQUE (target, user)
) STRICT;
CREATE INDEX pw_slot_user ON pw_slot (user);
CREATE INDEX pw_slot_live ON pw_slot (target, state, line) WHERE state <> 0;
CREATE INDEX pw_slot_attempt ON pw_slot (attempt) WHERE attempt IS NOT NULL;
CREATE INDEX pw_slot_due ON pw_slot (due) WHERE due IS NOT NULL;

-- What a slot holds: `place` 0 is the live record, 1 is the next one. More there cannot be (I3).
CREATE TABLE pw_record (
  slot INTEGER NOT NULL,
  place INTEGER NOT NULL CHECK (place IN (0, 1)),
  record INTEGER NOT NULL,
  episode INTEGER NOT NULL,
  agent TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  captured_at INTEGER NOT NULL,
  arrival INTEGER NOT NULL,
  operation INTEGER NOT NULL,
  source TEXT NOT NULL,
  rejects INTEGER NOT NULL,
  uncertain INTEGER NOT NULL,
  tied INTEGER NOT NULL,
  late_until INTEGER,
  delivered INTEGER NOT NULL,
  mailed INTEGER NOT NULL,
  PRIMARY KEY (slot, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX pw_record_record ON pw_record (record);

-- The ciphertext, once for all slots that hold the record; it goes with the last of them (I5).
-- It lies in a cell, for the reasons told in `cell.rs`: cells are written over, never deleted.
CREATE TABLE pw_sealed (
  record INTEGER PRIMARY KEY,
  kid BLOB NOT NULL,
  bytes INTEGER NOT NULL,
  cell INTEGER NOT NULL UNIQUE
) STRICT;
CREATE TABLE pw_cell (id INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
INSERT INTO pw_cell VALUES
  (1, zeroblob(2048)), (2, zeroblob(2048)), (3, zeroblob(2048)), (4, zeroblob(2048));
CREATE TABLE pw_free (cell INTEGER PRIMARY KEY, size INTEGER NOT NULL) STRICT;
CREATE INDEX pw_free_size ON pw_free (size);

-- How far each agent has counted. `missing`: numbers that never came.
CREATE TABLE pw_agent (
  id TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  missing INTEGER NOT NULL,
  gap_at INTEGER,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- HMACs of what was delivered lately (password.md 5.8), in its order, and up to where each agent
-- has seen it come back.
CREATE TABLE pw_echo (
  target TEXT NOT NULL,
  user TEXT NOT NULL,
  number INTEGER NOT NULL,
  token BLOB NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (target, user, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX pw_echo_until ON pw_echo (until);
CREATE INDEX pw_echo_user ON pw_echo (user);
CREATE TABLE pw_echo_use (
  target TEXT NOT NULL,
  user TEXT NOT NULL,
  agent TEXT NOT NULL,
  number INTEGER NOT NULL,
  PRIMARY KEY (target, user, agent)
) STRICT, WITHOUT ROWID;

-- `attempt` is 0 where one mail for each episode is sent. `done`: 1 sent, 2 dropped.
CREATE TABLE pw_mail (
  id INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  recipient INTEGER NOT NULL,
  target TEXT NOT NULL,
  user TEXT NOT NULL,
  episode INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  login TEXT NOT NULL,
  category INTEGER,
  expires INTEGER,
  created INTEGER NOT NULL,
  next_try INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  done INTEGER NOT NULL,
  done_at INTEGER,
  UNIQUE (target, user, episode, kind, recipient, attempt)
) STRICT;
CREATE INDEX pw_mail_waiting ON pw_mail (next_try, id) WHERE done = 0;
CREATE INDEX pw_mail_done ON pw_mail (done_at) WHERE done <> 0;
CREATE INDEX pw_mail_user ON pw_mail (user);

-- What became of each change (O-07); nothing in it is secret.
CREATE TABLE pw_audit (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  target TEXT NOT NULL,
  user TEXT NOT NULL,
  record INTEGER,
  episode INTEGER NOT NULL,
  kind INTEGER NOT NULL
) STRICT;
CREATE INDEX pw_audit_user ON pw_audit (user, id);
CREATE INDEX pw_audit_at ON pw_audit (at);

-- Rows that could not be read at a start: what they were, without ciphertext.
CREATE TABLE pw_aside (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  target TEXT,
  user TEXT,
  reason TEXT NOT NULL
) STRICT;
";
