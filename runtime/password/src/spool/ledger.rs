//! What a spool counts, in one small file that is also its lock: numbers flow in under the lock and
//! are the same for every process.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::{SpoolError, io_error};

/// Numbers, each of eight bytes.
const NUMBERS: usize = 5;
/// Bytes of the check behind them.
const CHECK_BYTES: usize = 8;
/// The whole file: far less than a sector, which disks write whole or not at all.
const FILE_BYTES: usize = NUMBERS * 8 + CHECK_BYTES;

/// The file, which is locked while a call works on the spool.
pub(super) struct Ledger {
    path: PathBuf,
    /// Threads of one process share the file, and with it its lock: they wait for each other here.
    file: Mutex<File>,
}

/// The present numbers. The lock is held as long as this lives.
pub(super) struct Locked<'a> {
    pub state: State,
    path: &'a Path,
    file: MutexGuard<'a, File>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Of the agent's numbers: when this file was made, in milliseconds since 1970. A spool that
    /// was lost and made anew has a greater one, and its captures are newer than all before.
    pub epoch: u64,
    pub sequence: u64,
    /// The number of the last file.
    pub arrival: u64,
    pub records: u64,
    pub bytes: u64,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn open(folder: &Path) -> Result<Self, SpoolError> {
        let path = folder.join("ledger");
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        Ok(Self { path, file: Mutex::new(file) })
    }

    /// Waits for other threads and processes. Each of them holds it for a few writes only.
    pub(super) fn lock(&self) -> Result<Locked<'_>, SpoolError> {
        let path = self.path.as_path();
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.lock().map_err(io_error("lock", path))?;
        let mut locked = Locked { state: State::default(), path, file };
        match read(&locked.file).map_err(io_error("read", path))? {
            Some(state) => locked.state = state,
            None => {
                locked.state.epoch = begin(&locked.file).map_err(io_error("write", path))?;
                locked.keep_durably()?;
            }
        }
        Ok(locked)
    }
}

/// `None`: the file is new, or what a power cut left of it.
fn read(file: &File) -> io::Result<Option<State>> {
    let mut bytes = [0; FILE_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(State::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The epoch that begins now. The file system knows when it wrote the file; no other clock is
/// needed, and none could be set apart from it.
fn begin(file: &File) -> io::Result<u64> {
    file.write_all_at(&[0; FILE_BYTES], 0)?;
    let since = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since.as_millis()).unwrap_or(0))
}

// === impl Locked ===

impl Locked<'_> {
    /// For what a recount mends: it may be lost in a power cut, not in a crash of the process.
    pub(super) fn keep(&mut self) -> Result<(), SpoolError> {
        let path = self.path;
        self.file.write_all_at(&self.state.encode(), 0).map_err(io_error("write", path))
    }

    pub(super) fn keep_durably(&mut self) -> Result<(), SpoolError> {
        self.keep()?;
        self.file.sync_all().map_err(io_error("sync", self.path))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Closing the file would release it too, so a failure here ends with the process at last.
        if let Err(error) = self.file.unlock() {
            tracing::warn!(
                target: "kakehi::password",
                file = %self.path.display(),
                %error,
                "the lock of the spool was not released"
            );
        }
    }
}

// === impl State ===

impl State {
    fn encode(&self) -> [u8; FILE_BYTES] {
        let mut bytes = [0; FILE_BYTES];
        let numbers = [self.epoch, self.sequence, self.arrival, self.records, self.bytes];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let (numbers, check) = bytes.split_at_mut(NUMBERS * 8);
        check.copy_from_slice(&Sha256::digest(numbers)[..CHECK_BYTES]);
        bytes
    }

    fn decode(bytes: &[u8; FILE_BYTES]) -> Option<Self> {
        let mut numbers = [0; NUMBERS];
        for (number, place) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
            *number = u64::from_be_bytes(place.try_into().ok()?);
        }
        let [epoch, sequence, arrival, records, bytes_in_all] = numbers;
        let state = Self { epoch, sequence, arrival, records, bytes: bytes_in_all };
        (state.encode() == *bytes).then_some(state)
    }
}
