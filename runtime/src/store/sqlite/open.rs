//! Opening: a folder flows in, a store flows out: for writing, for reading beside a writer, or as a
//! private copy that leaves the folder as it was.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::{Failure, Result as Checked};
use super::listing::Listings;
use super::names::Names;
use super::{Db, SqliteStore, schema};
use crate::store::StoreError;

const DATABASE: &str = "state.db";
const WRITE_AHEAD_LOG: &str = "state.db-wal";
const LOCK: &str = "lock";

/// Measured with bodies of 1.5 KB (performance.md 6): few rows need overflow pages.
const PAGE_BYTES: i64 = 8192;

/// 64 MiB, which SQLite wants as a negative number of KiB.
const CACHE_KIB: i64 = -64 * 1024;

/// Readers hold the file's own locks for moments only; longer means that something is wrong.
const BUSY_MAX: Duration = Duration::from_secs(5);

/// More than there are statements, so that each is prepared once.
const STATEMENTS_CACHED_MAX: usize = 256;

/// How often and how long a writer waits for those who only read: for as long as a copy of a large
/// state takes.
const READERS_AWAITED_MAX: u32 = 600;
const READERS_AWAITED_EACH: Duration = Duration::from_millis(50);

/// What a path in a URI may not hold as it is.
const URI_PATH: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

/// How durable a commit is.
#[derive(Clone, Copy)]
enum Durability {
    /// Survives a power cut.
    Full,
    /// A copy that nobody needs after a crash.
    None,
}

// === impl SqliteStore ===

impl SqliteStore {
    /// Opens the state in `folder` for writing, creating both where they are missing.
    ///
    /// Errors: [`StoreError::Locked`] while another process has it open for writing,
    /// [`StoreError::Newer`] if a newer version wrote it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        open_for_writing(folder, Durability::Full)
    }

    /// Opens the state in `folder` for reading, also while a process writes it. Without a state: an
    /// empty store. Leaves no new file behind, but for SQLite's own beside the leftovers of a
    /// crash.
    pub fn open_read_only(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(DATABASE);
        if !exists(&path)? {
            return in_memory();
        }
        let lock = lock_shared(folder)?;
        // Without a writer and its log the file does not change, and need not be locked by making
        // files.
        let still = !matches!(lock, Shared::Taken) && !exists(&folder.join(WRITE_AHEAD_LOG))?;
        let sql = if still {
            let uri = format!(
                "file:{}?immutable=1",
                percent_encode(path.as_os_str().as_bytes(), URI_PATH)
            );
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(uri, flags)
        } else {
            Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        };
        let sql = sql.map_err(opening)?;
        match checked_version(&sql, folder)? {
            // Created this moment: its writer has not come to the tables yet.
            0 => in_memory(),
            // What the program asks for is not in the tables of an older one: a copy has it.
            older if older < schema::VERSION => {
                drop((sql, lock));
                let copy = tempfile::tempdir().map_err(|error| io("copy", folder, error))?;
                let mut store = Self::snapshot(folder, copy.path())?;
                store._copy = Some(copy);
                Ok(store)
            }
            _ => {
                let lock = if still { lock.held() } else { None };
                configured(sql, lock).map_err(|failure| failure.during("open"))
            }
        }
    }

    /// Opens a private copy of the state of `folder`, made in the folder `into`, for a dry run.
    /// `folder` stays as it is to the byte; without a state the copy is empty.
    pub fn snapshot(folder: &Path, into: &Path) -> Result<Self, StoreError> {
        create_folder(into)?;
        if exists(&folder.join(DATABASE))? {
            match lock_shared(folder)? {
                Shared::Taken => back_up(folder, into)?,
                // The lock is held while files are copied: no writer begins in the middle.
                _lock => {
                    for name in [DATABASE, WRITE_AHEAD_LOG] {
                        copy(&folder.join(name), &into.join(name))?;
                    }
                }
            }
        }
        open_for_writing(into, Durability::None)
    }
}

fn open_for_writing(folder: &Path, durability: Durability) -> Result<SqliteStore, StoreError> {
    create_folder(folder)?;
    let lock = lock_exclusive(folder)?;
    let sql = Connection::open(folder.join(DATABASE)).map_err(opening)?;
    checked_version(&sql, folder)?;
    writable(sql, durability, Some(lock)).map_err(|failure| failure.during("open"))
}

fn in_memory() -> Result<SqliteStore, StoreError> {
    let sql = Connection::open_in_memory().map_err(opening)?;
    writable(sql, Durability::None, None).map_err(|failure| failure.during("open"))
}

fn writable(sql: Connection, durability: Durability, lock: Option<File>) -> Checked<SqliteStore> {
    // The page size counts only before the first page is written.
    sql.pragma_update(None, "page_size", PAGE_BYTES)?;
    sql.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::None => "OFF",
    };
    sql.pragma_update(None, "synchronous", synchronous)?;
    schema::migrate(&sql)?;
    configured(sql, lock)
}

fn configured(sql: Connection, lock: Option<File>) -> Checked<SqliteStore> {
    sql.busy_timeout(BUSY_MAX)?;
    sql.pragma_update(None, "cache_size", CACHE_KIB)?;
    sql.pragma_update(None, "mmap_size", 0)?;
    sql.pragma_update(None, "foreign_keys", false)?;
    // Without this, SQLite prepares some statements anew for every value that is bound to them, in
    // the hope of a better plan; ours are made for their indexes.
    sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    sql.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
    let db = Db { sql, names: Names::default(), listings: Listings::default() };
    Ok(SqliteStore { db: Mutex::new(db), _lock: lock, _copy: None })
}

fn checked_version(sql: &Connection, folder: &Path) -> Result<i64, StoreError> {
    let (found, known) = (schema::version(sql).map_err(opening)?, schema::VERSION);
    if found > known {
        return Err(StoreError::Newer { path: folder.display().to_string(), found, known });
    }
    Ok(found)
}

/// What became of asking for the lock that readers share.
enum Shared {
    /// Held by us until it is dropped.
    Held(File),
    /// Nobody ever locked this folder.
    Nobody,
    /// A writer has it.
    Taken,
}

impl Shared {
    fn held(self) -> Option<File> {
        match self {
            Self::Held(file) => Some(file),
            Self::Nobody | Self::Taken => None,
        }
    }
}

/// Takes the lock beside other readers, without making the file it stands on.
fn lock_shared(folder: &Path) -> Result<Shared, StoreError> {
    let path = folder.join(LOCK);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Shared::Nobody),
        Err(error) => return Err(io("open", &path, error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Shared::Held(file)),
        Err(TryLockError::WouldBlock) => Ok(Shared::Taken),
        Err(TryLockError::Error(error)) => Err(io("lock", &path, error)),
    }
}

/// Takes the lock of the one writer. Readers are waited for; another writer is not.
fn lock_exclusive(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| io("open", &path, error))?;
    for _ in 0..READERS_AWAITED_MAX {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(io("lock", &path, error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if matches!(lock_shared(folder)?, Shared::Taken) {
            break;
        }
        std::thread::sleep(READERS_AWAITED_EACH);
    }
    Err(StoreError::Locked { path: folder.display().to_string() })
}

/// Copies what the writer has committed, through a connection of our own.
fn back_up(folder: &Path, into: &Path) -> Result<(), StoreError> {
    let source =
        Connection::open_with_flags(folder.join(DATABASE), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .map_err(opening)?;
    let copying = |failure: rusqlite::Error| Failure::from(failure).during("copy");
    source.busy_timeout(BUSY_MAX).map_err(copying)?;
    let path = into.join(DATABASE);
    source.execute("VACUUM INTO ?1", [path.to_string_lossy()]).map_err(copying)?;
    Ok(())
}

fn create_folder(folder: &Path) -> Result<(), StoreError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.map_err(|error| io("create", folder, error))
}

/// Copies a file if there is one.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    if exists(from)? {
        fs::copy(from, to).map_err(|error| io("copy", from, error))?;
    }
    Ok(())
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|error| io("look for", path, error))
}

fn opening(error: rusqlite::Error) -> StoreError {
    Failure::from(error).during("open")
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { action, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kakehi_engine::time::Timestamp;

    use super::*;
    use crate::edge::{Batch, Change, Entry};
    use crate::store::{ShrinkLimit, Store};

    fn add_one(store: &SqliteStore, anchor: &str) {
        let entry = Entry {
            anchor: kakehi_engine::object::Anchor(anchor.into()),
            dn: format!("CN={anchor}"),
            class: "user".into(),
            attributes: BTreeMap::new(),
        };
        let changes = vec![Change::Upsert(entry)];
        let batch = Batch { partition: String::new(), changes, next: None };
        let limit = ShrinkLimit { objects_max: 0, percent_max: 0, accepted: false };
        store.stage(&"ldap".into(), &batch, limit).unwrap();
    }

    fn count(store: &SqliteStore) -> u64 {
        store.totals().unwrap().objects.values().map(|(all, _)| all).sum()
    }

    fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let name = |path: &Path| path.display().to_string();
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (name(&path), fs::read(&path).unwrap())).collect()
    }

    /// The files of an open state, copied behind its back: what a crash leaves.
    fn crash(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for name in [DATABASE, WRITE_AHEAD_LOG, LOCK] {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }

    #[test]
    fn a_state_is_private_and_has_one_writer() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/state");
        let store = SqliteStore::open(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700);
        assert!(matches!(SqliteStore::open(&folder), Err(StoreError::Locked { .. })));
        add_one(&store, "a");
        drop(store);
        assert_eq!(count(&SqliteStore::open(&folder).unwrap()), 1);
    }

    #[test]
    fn the_state_is_kept_as_measured() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(home.path()).unwrap();
        let db = store.db();
        for (pragma, expected) in [
            ("page_size", "8192"),
            ("journal_mode", "wal"),
            ("synchronous", "2"),
            ("cache_size", "-65536"),
            ("mmap_size", "0"),
            ("foreign_keys", "0"),
            ("user_version", &schema::VERSION.to_string()),
        ] {
            let found: rusqlite::types::Value =
                db.sql.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
            let found = match found {
                rusqlite::types::Value::Integer(number) => number.to_string(),
                rusqlite::types::Value::Text(text) => text,
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected, "{pragma}");
        }
    }

    #[test]
    fn a_newer_state_is_refused() {
        let home = tempfile::tempdir().unwrap();
        drop(SqliteStore::open(home.path()).unwrap());
        let sql = Connection::open(home.path().join(DATABASE)).unwrap();
        sql.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
        drop(sql);
        let newer = |result: Result<SqliteStore, StoreError>| {
            let (next, ours) = (schema::VERSION + 1, schema::VERSION);
            matches!(result, Err(StoreError::Newer { found, known, .. })
                if (found, known) == (next, ours))
        };
        assert!(newer(SqliteStore::open(home.path())));
        assert!(newer(SqliteStore::open_read_only(home.path())));
        let copy = tempfile::tempdir().unwrap();
        assert!(newer(SqliteStore::snapshot(home.path(), copy.path())));
    }

    #[test]
    fn an_older_state_is_brought_up_to_date_by_its_writer_and_left_alone_by_readers() {
        let home = tempfile::tempdir().unwrap();
        let sql = Connection::open(home.path().join(DATABASE)).unwrap();
        schema::make_version_1(&sql).unwrap();
        drop(sql);
        let before = files(home.path());
        let reader = SqliteStore::open_read_only(home.path()).unwrap();
        assert_eq!(reader.staging().unwrap(), None, "it has all tables");
        drop(reader);
        assert!(before == files(home.path()), "reading left traces");
        let writer = SqliteStore::open(home.path()).unwrap();
        add_one(&writer, "a");
        drop(writer);
        let reader = SqliteStore::open_read_only(home.path()).unwrap();
        assert_eq!((count(&reader), reader.decisions(Timestamp(0)).unwrap()), (1, vec![]));
    }

    #[test]
    fn readers_see_what_is_committed_beside_a_writer_and_without_one() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("st#te 100%");
        let writer = SqliteStore::open(&folder).unwrap();
        add_one(&writer, "a");
        let reader = SqliteStore::open_read_only(&folder).unwrap();
        assert_eq!(count(&reader), 1);
        add_one(&writer, "b");
        assert_eq!(count(&reader), 2);
        drop(reader);
        drop(writer);
        let before = files(&folder);
        assert_eq!(count(&SqliteStore::open_read_only(&folder).unwrap()), 2);
        assert!(before == files(&folder), "reading left traces");
    }

    #[test]
    fn without_a_state_there_is_nothing_to_read_and_nothing_is_made() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("state");
        assert_eq!(count(&SqliteStore::open_read_only(&folder).unwrap()), 0);
        assert!(!folder.exists());
    }

    #[test]
    fn a_snapshot_is_a_private_copy_that_leaves_the_state_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let (live, closed, crashed) =
            (home.path().join("live"), home.path().join("closed"), home.path().join("crashed"));
        let writer = SqliteStore::open(&live).unwrap();
        add_one(&writer, "a");
        crash(&live, &crashed);
        let other = SqliteStore::open(&closed).unwrap();
        add_one(&other, "a");
        drop(other);
        for folder in [&closed, &crashed] {
            let before = files(folder);
            let copy = tempfile::tempdir().unwrap();
            let snapshot = SqliteStore::snapshot(folder, copy.path()).unwrap();
            add_one(&snapshot, "b");
            assert_eq!(count(&snapshot), 2);
            assert!(before == files(folder), "{}", folder.display());
        }
        let copy = tempfile::tempdir().unwrap();
        let snapshot = SqliteStore::snapshot(&live, copy.path()).unwrap();
        add_one(&snapshot, "b");
        assert_eq!((count(&snapshot), count(&writer)), (2, 1));
    }

    #[test]
    fn a_snapshot_of_no_state_is_empty_and_makes_none() {
        let home = tempfile::tempdir().unwrap();
        let (folder, copy) = (home.path().join("state"), home.path().join("copy"));
        assert_eq!(count(&SqliteStore::snapshot(&folder, &copy).unwrap()), 0);
        assert!(!folder.exists());
    }
}
