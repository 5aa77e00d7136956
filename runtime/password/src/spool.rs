//! The spool of an agent: sealed captures flow in and are on disk before the source hears of it;
//! they flow out in the order of their arrival, and go when the intake has them (password.md 8).
//!
//! One file per capture, `<20 digits>-<kid>.kkpw`, so that a damaged one harms no other. Several
//! processes may use one spool at once: a lock on a file beside the captures is held for each call.

mod ledger;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kakehi_engine::time::Timestamp;

use self::ledger::Ledger;
use crate::durable;
use crate::envelope::{ENVELOPE_BYTES_MAX, Envelope, Metadata};

/// How names of captures end.
const ENDING: &str = ".kkpw";

/// Where files go that the intake will never take.
const CORRUPT: &str = "corrupt";

/// Bounds of a spool (L-03). Full means refused: never is an older capture dropped for a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolLimits {
    pub records_max: u64,
    pub bytes_max: u64,
    /// How long after its capture a password is kept for an intake that does not answer.
    pub age_max: Duration,
}

/// A folder of captures.
pub struct Spool {
    folder: PathBuf,
    limits: SpoolLimits,
    ledger: Ledger,
}

/// One capture in the spool. It stays there until it is removed, set aside, or expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    name: String,
    envelope: Envelope,
}

#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error(
        "the spool {folder} is full ({records} captures, {bytes} bytes): the intake has to take \
         some first, `kakehi password flush` sends them"
    )]
    Full { folder: PathBuf, records: u64, bytes: u64 },
    #[error("cannot {what} {path}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
}

// === impl Default for SpoolLimits ===

impl Default for SpoolLimits {
    /// 20,000 captures: above one for each of 18,000 users (N-10). 72 hours: a long week-end.
    fn default() -> Self {
        Self {
            records_max: 20_000,
            bytes_max: 64 * 1024 * 1024,
            age_max: Duration::from_secs(72 * 3600),
        }
    }
}

// === impl Spool ===

impl Spool {
    /// Opens a spool, and makes it if it is not there. What a crash left unfinished is swept out:
    /// nobody was told that it is kept.
    pub fn open(folder: &Path, limits: SpoolLimits) -> Result<Self, SpoolError> {
        let corrupt = folder.join(CORRUPT);
        for path in [folder, &corrupt] {
            durable::private_folder(path).map_err(io_error("make the folder", path))?;
        }
        let ledger = Ledger::open(folder)?;
        let spool = Self { folder: folder.to_owned(), limits, ledger };
        spool.recount()?;
        Ok(spool)
    }

    /// Keeps a capture. When this returns, no crash and no power cut loses it any more.
    /// Errors: the spool is full, or the disk refuses; then nothing is kept, and the source has to
    /// be told so.
    /// Source: password.md 8; L-06 (1).
    pub fn put(&self, envelope: &Envelope) -> Result<(), SpoolError> {
        let mut ledger = self.ledger.lock()?;
        let bytes = envelope.as_bytes();
        let full = ledger.state.records >= self.limits.records_max
            || ledger.state.bytes.saturating_add(bytes.len() as u64) > self.limits.bytes_max;
        if full {
            return Err(SpoolError::Full {
                folder: self.folder.clone(),
                records: ledger.state.records,
                bytes: ledger.state.bytes,
            });
        }
        ledger.state.arrival += 1;
        let name = format!("{:020}-{}{ENDING}", ledger.state.arrival, envelope.key_id());
        let path = self.folder.join(&name);
        durable::write_new(&self.folder, &name, bytes).map_err(io_error("write", &path))?;
        ledger.state.records += 1;
        ledger.state.bytes += bytes.len() as u64;
        ledger.keep()
    }

    /// The captures that wait longest, at most `limit`, the oldest first; possibly none. A file
    /// that is no capture is set aside, so that it does not hold up the others (L-02).
    pub fn oldest(&self, limit: usize) -> Result<Vec<Spooled>, SpoolError> {
        let mut oldest = Vec::new();
        for name in self.names()? {
            if oldest.len() == limit {
                break;
            }
            oldest.extend(self.read(name)?);
        }
        Ok(oldest)
    }

    /// Forgets a capture that the intake has. It may come back after a power cut, which is no harm:
    /// the intake tells a duplicate by agent, epoch and sequence.
    pub fn remove(&self, spooled: Spooled) -> Result<(), SpoolError> {
        let path = self.folder.join(&spooled.name);
        self.take_out(|| fs::remove_file(&path).map_err(io_error("remove", &path)), &path)
    }

    /// Moves a capture to where it is kept for somebody to look at, with the reason beside it.
    pub fn set_aside(&self, spooled: Spooled, reason: &str) -> Result<(), SpoolError> {
        self.move_aside(&spooled.name, reason)
    }

    /// Drops every capture that is older than permitted and gives what it was, for the log and the
    /// audit: the source took this password, and no target ever will.
    /// Takes: the present. Gives: the oldest arrival first, possibly none.
    pub fn expire(&self, now: Timestamp) -> Result<Vec<Metadata>, SpoolError> {
        let age_max_ms = i64::try_from(self.limits.age_max.as_millis()).unwrap_or(i64::MAX);
        let mut expired = Vec::new();
        for name in self.names()? {
            let Some(spooled) = self.read(name)? else { continue };
            let metadata = spooled.envelope.metadata().clone();
            if now.0.saturating_sub(metadata.captured_at().0) > age_max_ms {
                self.remove(spooled)?;
                expired.push(metadata);
            }
        }
        Ok(expired)
    }

    /// The next number of this agent, with the epoch it belongs to: never one that was given out
    /// before, whatever crashed, and always above it. Also among processes, so that the capture
    /// that is numbered later is the newer one.
    ///
    /// On disk before it returns: the number outlives its capture, which may be gone to the intake
    /// when the power fails.
    pub fn next_sequence(&self) -> Result<(u64, u64), SpoolError> {
        let mut ledger = self.ledger.lock()?;
        ledger.state.sequence += 1;
        let given = (ledger.state.epoch, ledger.state.sequence);
        ledger.keep_durably()?;
        Ok(given)
    }

    /// Captures that wait.
    pub fn len(&self) -> Result<u64, SpoolError> {
        Ok(self.ledger.lock()?.state.records)
    }

    pub fn is_empty(&self) -> Result<bool, SpoolError> {
        Ok(self.len()? == 0)
    }

    /// Bytes that they have.
    pub fn bytes(&self) -> Result<u64, SpoolError> {
        Ok(self.ledger.lock()?.state.bytes)
    }

    /// Files that were set aside and that nobody has looked at yet.
    pub fn set_aside_count(&self) -> Result<u64, SpoolError> {
        let folder = self.folder.join(CORRUPT);
        let entries = fs::read_dir(&folder).map_err(io_error("read the folder", &folder))?;
        let captures = entries
            .filter(|entry| entry.as_ref().is_ok_and(|it| number_of(&it.file_name()).is_some()));
        Ok(captures.count() as u64)
    }

    /// Names of captures in the order of arrival.
    fn names(&self) -> Result<Vec<String>, SpoolError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(io_error("read", &self.folder))? {
            let name = entry.map_err(io_error("read", &self.folder))?.file_name();
            if number_of(&name).is_some() {
                names.extend(name.into_string().ok());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// `None`: it is gone meanwhile, or is no capture and was set aside.
    fn read(&self, name: String) -> Result<Option<Spooled>, SpoolError> {
        let path = self.folder.join(&name);
        let mut bytes = Vec::new();
        let limit = ENVELOPE_BYTES_MAX as u64 + 1;
        match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", &path)(error)),
        }
        match Envelope::parse(bytes) {
            Ok(envelope) => Ok(Some(Spooled { name, envelope })),
            Err(error) => {
                tracing::warn!(
                    target: "kakehi::password",
                    file = %path.display(),
                    %error,
                    "a file in the spool is no capture and is set aside"
                );
                self.move_aside(&name, &error.to_string())?;
                Ok(None)
            }
        }
    }

    fn move_aside(&self, name: &str, reason: &str) -> Result<(), SpoolError> {
        let corrupt = self.folder.join(CORRUPT);
        let (from, to) = (self.folder.join(name), corrupt.join(name));
        let notice = corrupt.join(format!("{name}.reason"));
        self.take_out(
            || {
                fs::write(&notice, format!("{reason}\n")).map_err(io_error("write", &notice))?;
                fs::rename(&from, &to).map_err(io_error("set aside", &from))
            },
            &from,
        )?;
        durable::sync_folder(&corrupt).map_err(io_error("sync", &corrupt))
    }

    /// Counts a file out that `action` takes away. One that is gone already is nothing to do.
    fn take_out(
        &self,
        action: impl FnOnce() -> Result<(), SpoolError>,
        path: &Path,
    ) -> Result<(), SpoolError> {
        let mut ledger = self.ledger.lock()?;
        let length = match fs::metadata(path) {
            Ok(status) => status.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        action()?;
        ledger.state.records = ledger.state.records.saturating_sub(1);
        ledger.state.bytes = ledger.state.bytes.saturating_sub(length);
        ledger.keep()
    }

    /// What a crash may have made wrong: counts, the last number, unfinished files.
    fn recount(&self) -> Result<(), SpoolError> {
        let mut ledger = self.ledger.lock()?;
        let (mut records, mut bytes, mut last) = (0, 0, 0);
        for entry in fs::read_dir(&self.folder).map_err(io_error("read", &self.folder))? {
            let entry = entry.map_err(io_error("read", &self.folder))?;
            let name = entry.file_name();
            if let Some(number) = number_of(&name) {
                let path = entry.path();
                records += 1;
                bytes += entry.metadata().map_err(io_error("read", &path))?.len();
                last = last.max(number);
            } else if name.as_encoded_bytes().starts_with(durable::UNFINISHED.as_bytes()) {
                // Under the lock nobody writes, so this is of a process that is gone.
                let path = entry.path();
                fs::remove_file(&path).map_err(io_error("remove", &path))?;
            }
        }
        ledger.state.records = records;
        ledger.state.bytes = bytes;
        ledger.state.arrival = ledger.state.arrival.max(last);
        ledger.keep()
    }
}

/// The number of a capture's name; `None`: it is no capture's.
fn number_of(name: &std::ffi::OsStr) -> Option<u64> {
    let (number, rest) = name.to_str()?.strip_suffix(ENDING)?.split_once('-')?;
    let well_formed = number.len() == 20
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && rest.len() == 16
        && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if well_formed { number.parse().ok() } else { None }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SpoolError {
    let path = path.to_owned();
    move |source| SpoolError::Io { what, path, source }
}

// === impl Spooled ===

impl Spooled {
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The name of its file, for the log.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests;
