//! Opening: a folder flows in, connections to its `password.db` flow out.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::{QueueError, Result};
use super::schema;

const DATABASE: &str = "password.db";
const LOCK: &str = "password.lock";

/// Two sealed passwords fit into a page beside their rows; little is written for each commit.
const PAGE_BYTES: i64 = 4096;

/// 16 MiB, which SQLite wants as a negative number of KiB.
const CACHE_KIB: i64 = -16 * 1024;

/// Pages in the log, 32 MiB of them, from which on it is moved into the file though there is no time
/// for that: under load each commit would do so with SQLite's own 1000.
const LOG_PAGES: i64 = 8192;

/// Only a reader that recovers the log after a crash, or a checkpoint, holds a writer up.
pub(super) const BUSY_MAX: Duration = Duration::from_secs(5);

/// More than there are statements, so that each is prepared once.
const STATEMENTS_CACHED_MAX: usize = 128;

/// The connection that writes, and the lock that makes it the only one.
pub(super) struct Writable {
    pub sql: Connection,
    pub lock: File,
}

/// Opens the queue of a folder for writing; makes both where they are missing, for the service's
/// own user alone (password.md 7.1: 0600 in 0700).
pub(super) fn writable(folder: &Path) -> Result<Writable> {
    private_folder(folder)?;
    let lock = exclusive(folder)?;
    let path = folder.join(DATABASE);
    // SQLite gives the files beside it the mode of this one.
    drop(private_file(&path)?);
    let sql = Connection::open(&path).map_err(|error| opening(&path, error))?;
    prepared(&sql, &path).map_err(|error| of_file(&path, error))?;
    Ok(Writable { sql, lock })
}

/// A connection for reading beside the writer. Without a file: an empty queue.
pub(super) fn readable(folder: &Path) -> Result<Connection> {
    let path = folder.join(DATABASE);
    let there = path.try_exists();
    if !there.map_err(|source| QueueError::Io { action: "look for", path: path.clone(), source })? {
        return empty();
    }
    let sql = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| opening(&path, error))?;
    let version = checked_version(&sql, &path).map_err(|error| of_file(&path, error))?;
    if version < schema::VERSION {
        // Created this moment: its writer has not come to the tables yet.
        return empty();
    }
    configured(&sql)?;
    Ok(sql)
}

fn empty() -> Result<Connection> {
    let sql = Connection::open_in_memory()?;
    schema::migrate(&sql)?;
    configured(&sql)?;
    Ok(sql)
}

fn prepared(sql: &Connection, path: &Path) -> Result<()> {
    checked_version(sql, path)?;
    // The page size counts only before the first page is written.
    sql.pragma_update(None, "page_size", PAGE_BYTES)?;
    sql.pragma_update(None, "journal_mode", "WAL")?;
    sql.pragma_update(None, "synchronous", "FULL")?;
    sql.pragma_update(None, "secure_delete", "ON")?;
    sql.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
    let found: String = sql.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(QueueError::Damaged { path: path.to_owned(), what: found });
    }
    schema::migrate(sql)?;
    configured(sql)
}

fn configured(sql: &Connection) -> Result<()> {
    sql.busy_timeout(BUSY_MAX)?;
    sql.pragma_update(None, "cache_size", CACHE_KIB)?;
    sql.pragma_update(None, "mmap_size", 0)?;
    // What a savepoint may have to bring back holds ciphertext: it must not reach a file.
    sql.pragma_update(None, "temp_store", "MEMORY")?;
    // Without this, SQLite prepares some statements anew for every value that is bound to them.
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    sql.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
    Ok(())
}

fn checked_version(sql: &Connection, path: &Path) -> Result<i64> {
    let (found, known) = (schema::version(sql)?, schema::VERSION);
    if found > known {
        return Err(QueueError::Newer { path: path.to_owned(), found, known });
    }
    Ok(found)
}

fn private_folder(folder: &Path) -> Result<()> {
    let failed = |action| move |source| QueueError::Io { action, path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create"))?;
    let mode = fs::metadata(folder).map_err(failed("look at"))?.permissions().mode();
    if mode & 0o077 != 0 {
        let own = Permissions::from_mode(0o700);
        fs::set_permissions(folder, own).map_err(failed("keep others out of"))?;
    }
    Ok(())
}

fn private_file(path: &Path) -> Result<File> {
    let failed = |action| move |source| QueueError::Io { action, path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(failed("open"))?;
    let mode = file.metadata().map_err(failed("look at"))?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))
            .map_err(failed("keep others out of"))?;
    }
    Ok(file)
}

/// The lock of the one process that writes; the operating system lets go of it with the process.
fn exclusive(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(QueueError::Locked { path: folder.join(DATABASE) }),
        Err(TryLockError::Error(source)) => Err(QueueError::Io { action: "lock", path, source }),
    }
}

fn opening(path: &Path, error: rusqlite::Error) -> QueueError {
    of_file(path, QueueError::Sqlite { action: "open", source: error })
}

/// An error while a file was opened: a file that is none of SQLite's is told as damaged.
fn of_file(path: &Path, error: QueueError) -> QueueError {
    match error {
        QueueError::Sqlite { source, .. } => match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
                QueueError::Damaged { path: path.to_owned(), what: source.to_string() }
            }
            _ => QueueError::Sqlite { action: "open", source },
        },
        other => other,
    }
}
