//! What the hook saw last of each account, in a SQLite file of its own. No passwords flow in here.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::account::Version;
use crate::agent::Number;

/// Longest wait for another hook that writes.
const BUSY_TIME_MAX: Duration = Duration::from_secs(5);

/// An account's password, as it was captured last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub version: Version,
    /// Of the capture.
    pub number: Number,
    /// The capture is durable at the intake or in the spool.
    pub safe: bool,
}

pub struct Seen(Connection);

#[derive(Debug, thiserror::Error)]
pub enum SeenError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS seen (
        guid TEXT PRIMARY KEY,
        password_last_set INTEGER,
        key_version INTEGER,
        epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        safe INTEGER NOT NULL
    ) WITHOUT ROWID";

// === impl Seen ===

impl Seen {
    /// Opens the file, which is made readable for its owner only if it is missing.
    pub fn open(path: &Path) -> Result<Self, SeenError> {
        let mut options = File::options();
        options.append(true).create(true).mode(0o600).open(path)?;
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY_TIME_MAX)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLE)?;
        Ok(Self(connection))
    }

    pub fn get(&self, guid: &str) -> Result<Option<Mark>, SeenError> {
        let query = "SELECT password_last_set, key_version, epoch, sequence, safe
                     FROM seen WHERE guid = ?1";
        let mark = self.0.query_row(query, [guid], |row| {
            Ok(Mark {
                version: Version { password_last_set: row.get(0)?, key_version: row.get(1)? },
                number: (
                    row.get::<_, i64>(2)?.cast_unsigned(),
                    row.get::<_, i64>(3)?.cast_unsigned(),
                ),
                safe: row.get(4)?,
            })
        });
        Ok(mark.optional()?)
    }

    /// Durable when it returns.
    pub fn put(&self, guid: &str, mark: &Mark) -> Result<(), SeenError> {
        let Mark { version, number: (epoch, sequence), safe } = mark;
        self.0.execute(
            "INSERT OR REPLACE INTO seen VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                guid,
                version.password_last_set,
                version.key_version,
                epoch.cast_signed(),
                sequence.cast_signed(),
                safe
            ],
        )?;
        Ok(())
    }

    pub fn forget(&self, guid: &str) -> Result<(), SeenError> {
        self.0.execute("DELETE FROM seen WHERE guid = ?1", [guid])?;
        Ok(())
    }
}
