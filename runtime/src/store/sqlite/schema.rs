//! The tables, as a list of migrations: a file of any earlier version flows in, the newest comes
//! out.

use rusqlite::Connection;

use super::failure::Result;

/// Each entry leads from the version that is its index to the next one. Entries are never edited
/// once they were released.
const MIGRATIONS: [&str; 2] = [VERSION_1, VERSION_2];

/// The version that this program writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

pub(super) fn version(sql: &Connection) -> rusqlite::Result<i64> {
    sql.query_row("PRAGMA user_version", [], |row| row.get(0))
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

/// The tables as the first version left them.
#[cfg(test)]
pub(super) fn make_version_1(sql: &Connection) -> rusqlite::Result<()> {
    sql.execute_batch(VERSION_1)?;
    sql.pragma_update(None, "user_version", 1)
}

/// Ids are written by us from counters in `meta`, so they are never used again. Instants are
/// milliseconds since 1970. Codes are those of `codes.rs`; bodies are the JSON of `body.rs`.
const VERSION_1: &str = "
-- Single facts: `next_object`, `next_mv`, `rules`.
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

CREATE TABLE connector (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE class (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

-- How far each part of a source was read. `state` is NULL until the source first says.
CREATE TABLE source_state (
  id INTEGER PRIMARY KEY,
  connector INTEGER NOT NULL,
  partition TEXT NOT NULL,
  state TEXT,
  UNIQUE (connector, partition)
) STRICT;

-- The connector space. `partition` is a source_state, and NULL for objects of targets. The small
-- columns stand before the bodies, so that a look-up reads no overflow page.
CREATE TABLE object (
  id INTEGER PRIMARY KEY,
  connector INTEGER NOT NULL,
  class INTEGER NOT NULL,
  partition INTEGER,
  presence INTEGER NOT NULL,
  mv INTEGER,
  link_origin INTEGER,
  deprovisioned INTEGER NOT NULL DEFAULT 0,
  fingerprint BLOB,
  anchor BLOB,
  dn TEXT NOT NULL DEFAULT '',
  dn_key TEXT,
  link_rule TEXT,
  -- What the object is called at its target.
  label TEXT,
  body TEXT NOT NULL DEFAULT '{}',
  contributions TEXT NOT NULL DEFAULT '[]'
) STRICT;
-- Unique by (connector, anchor), which the one writer sees to; the rest is there so that an
-- unchanged entry is found without reading its row.
CREATE INDEX object_anchor ON object (connector, anchor, fingerprint, presence)
  WHERE anchor IS NOT NULL;
CREATE INDEX object_dn ON object (connector, dn_key) WHERE dn_key IS NOT NULL;
CREATE INDEX object_mv ON object (mv, connector, presence) WHERE mv IS NOT NULL;
-- What a sweep goes through.
CREATE INDEX object_listing ON object (connector, partition, presence);

-- References of objects, one row each, never in a body. Of a source: `target_key` is the key of the
-- DN, `dn` its spelling if that differs. Of a target: `target_key` is the decimal id of the object.
CREATE TABLE reference (
  object INTEGER NOT NULL,
  attribute TEXT NOT NULL,
  target_key TEXT NOT NULL,
  connector INTEGER NOT NULL,
  dn TEXT,
  PRIMARY KEY (object, attribute, target_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX reference_target ON reference (connector, target_key);

CREATE TABLE mv (
  id INTEGER PRIMARY KEY,
  class INTEGER NOT NULL,
  alive INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX mv_class ON mv (class);

-- Indexes by value. Kinds: join (id is a mv), waiting and unlinked (id is an object).
CREATE TABLE key (
  kind INTEGER NOT NULL,
  scope TEXT NOT NULL,
  value TEXT NOT NULL,
  id INTEGER NOT NULL,
  PRIMARY KEY (kind, scope, value, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_owner ON key (kind, id);

-- The queues stand apart: taking an object off must not rewrite its row.
CREATE TABLE object_queue (
  connector INTEGER NOT NULL,
  object INTEGER NOT NULL,
  PRIMARY KEY (connector, object)
) STRICT, WITHOUT ROWID;
-- First come, first served: what is queued again while others wait comes after them, so that a
-- group is looked at once after all of its members, not after each batch of them.
CREATE TABLE mv_queue (seq INTEGER PRIMARY KEY, mv INTEGER NOT NULL UNIQUE) STRICT;

-- The difference between what rules want of an object of a target and what is confirmed of it.
CREATE TABLE pending_export (
  object INTEGER PRIMARY KEY,
  connector INTEGER NOT NULL,
  wave INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  op TEXT NOT NULL,
  class INTEGER NOT NULL,
  mv INTEGER,
  anchor TEXT NOT NULL,
  match_key TEXT NOT NULL,
  changes TEXT NOT NULL,
  -- The saved plan that covers it; NULL until there is one.
  plan TEXT,
  -- Of an add: how many objects the target had for it; NULL until it was looked up.
  matched INTEGER,
  -- When a request was about to be sent whose outcome is not known yet.
  intent INTEGER,
  -- A pass wanted something else while the outcome was unknown.
  outdated INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_try INTEGER,
  hold_kind TEXT,
  hold_message TEXT
) STRICT;
CREATE INDEX pending_export_order ON pending_export (connector, wave, object);
CREATE INDEX pending_export_unmatched ON pending_export (connector, object)
  WHERE op = 'add' AND matched IS NULL;
CREATE INDEX pending_export_doubt ON pending_export (connector, object) WHERE intent IS NOT NULL;

-- Attributes that a target was seen not to keep.
CREATE TABLE learned (
  connector INTEGER NOT NULL,
  class INTEGER NOT NULL,
  attribute TEXT NOT NULL,
  PRIMARY KEY (connector, class, attribute)
) STRICT, WITHOUT ROWID;

-- `subject` is what was evaluated: an object (import, inbound) or a mv (outbound).
CREATE TABLE problem (
  phase INTEGER NOT NULL,
  subject INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  kind TEXT NOT NULL,
  object INTEGER NOT NULL,
  rule TEXT,
  attribute TEXT,
  message TEXT NOT NULL,
  PRIMARY KEY (phase, subject, ordinal)
) STRICT, WITHOUT ROWID;

-- `seq` says which plan is the newest.
CREATE TABLE plan (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  digest TEXT NOT NULL UNIQUE,
  parent TEXT,
  ruleset TEXT NOT NULL,
  config TEXT NOT NULL,
  saved INTEGER NOT NULL,
  exports INTEGER NOT NULL
) STRICT;

CREATE TABLE run (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  verb TEXT NOT NULL,
  started INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  status TEXT NOT NULL,
  plan TEXT,
  ruleset TEXT NOT NULL,
  config TEXT NOT NULL,
  details TEXT NOT NULL
) STRICT;
";

/// What was sent, who decided it, and what it takes to take it back; rules that are ranked
/// otherwise, and metaverse objects that live on for a period of grace.
const VERSION_2: &str = "
-- Tags of rules, for the rows that name many of them.
CREATE TABLE rule (id INTEGER PRIMARY KEY, tag TEXT NOT NULL UNIQUE) STRICT;

-- One half of a change of an object's type.
ALTER TABLE pending_export ADD COLUMN type_change INTEGER NOT NULL DEFAULT 0;
-- Which rule decided each change: numbers of rules, 0 for none; one number stands for all.
ALTER TABLE pending_export ADD COLUMN decided TEXT NOT NULL DEFAULT '';
-- The plan that it takes back. NULL: it is what rules want.
ALTER TABLE pending_export ADD COLUMN undoes TEXT;
CREATE INDEX pending_export_undo ON pending_export (object) WHERE undoes IS NOT NULL;

-- Exports that were carried out, oldest first, for as long as they are kept. `run` is the instant
-- at which the run began. `before`: what single-valued attributes held; changes of other
-- attributes say themselves what was there. Of a delete it is everything.
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  run INTEGER NOT NULL,
  plan TEXT NOT NULL,
  object INTEGER NOT NULL,
  connector INTEGER NOT NULL,
  class INTEGER NOT NULL,
  mv INTEGER,
  op TEXT NOT NULL,
  type_change INTEGER NOT NULL,
  anchor TEXT NOT NULL,
  match_key TEXT NOT NULL,
  remote_id TEXT,
  decided TEXT NOT NULL,
  changes TEXT NOT NULL,
  before TEXT NOT NULL
) STRICT;
CREATE INDEX journal_object ON journal (object, at);
CREATE INDEX journal_plan ON journal (plan, object);
CREATE INDEX run_started ON run (started);

-- Decisions of people and of the service that are no exports. `details` is a JSON object.
CREATE TABLE decision (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  plan TEXT,
  ruleset TEXT NOT NULL,
  config TEXT NOT NULL,
  details TEXT NOT NULL
) STRICT;
-- Metaverse objects of which no rule has to be asked, but which are to be resolved anew.
CREATE TABLE resolve_queue (mv INTEGER PRIMARY KEY) STRICT;
-- Since when nothing keeps an object that lives on.
ALTER TABLE mv ADD COLUMN orphaned INTEGER;
-- Groups by whose members some scope goes.
CREATE TABLE watched (
  connector INTEGER NOT NULL,
  dn_key TEXT NOT NULL,
  PRIMARY KEY (connector, dn_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX mv_orphaned ON mv (class, orphaned) WHERE orphaned IS NOT NULL;
";
