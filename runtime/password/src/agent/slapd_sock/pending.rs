//! Captures whose operation is not decided yet (O-04). A sealed capture flows in before slapd may
//! go on; it flows out to the spool when the operation turns out well, and is erased otherwise.
//!
//! Each is a file: an answer `CONTINUE` promises that a crash of ours loses nothing. How the
//! operation ended is part of the file's name, so that this is not forgotten either.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kakehi_engine::time::Timestamp;

use super::message::OperationId;
use crate::agent::Number;
use crate::durable;
use crate::envelope::Envelope;

/// Quiet time after a RESULT until it is believed to be the last of its operation: overlays make
/// searches of their own, whose results come first and say 0 whatever becomes of the operation.
pub const QUIET_MS: i64 = 1_000;

/// An operation that tells no result for so long never will.
pub const PENDING_MS_MAX: i64 = 60_000;

/// What slapd said last of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ended {
    code: u32,
    /// The number of the connection that brought it: connections are read side by side.
    arrival: u64,
    at: Timestamp,
}

struct Held {
    envelope: Envelope,
    since: Timestamp,
    ended: Option<Ended>,
    file: PathBuf,
}

/// The captures that wait, by operation.
pub struct Pending {
    folder: PathBuf,
    held: BTreeMap<Key, Held>,
}

/// An operation and the sequence number of its capture: slapd counts its connections anew when it
/// restarts.
type Key = (OperationId, u64);

/// Why captures leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The directory took the password.
    Committed,
    /// It refused, with this code.
    Refused(u32),
    /// Nothing was heard of it.
    Unknown,
}

// === impl Pending ===

impl Pending {
    /// Takes up what an earlier process left; the folder is made if it is missing. Files that are
    /// no captures stay where they are; their paths are given back.
    pub fn open(folder: &Path, now: Timestamp) -> io::Result<(Self, Vec<PathBuf>)> {
        durable::private_folder(folder)?;
        let (mut pending, mut strange) =
            (Self { folder: folder.to_owned(), held: BTreeMap::new() }, vec![]);
        for entry in fs::read_dir(folder)? {
            let file = entry?.path();
            match FileName::of(&file) {
                Some(FileName::Unfinished) => fs::remove_file(&file)?,
                Some(FileName::Capture((id, _), code)) => match Envelope::parse(fs::read(&file)?) {
                    Ok(envelope) => {
                        let since = envelope.metadata().captured_at();
                        let ended = code.map(|code| Ended { code, arrival: 0, at: now });
                        let key = (id, envelope.metadata().sequence);
                        pending.held.insert(key, Held { envelope, since, ended, file });
                    }
                    Err(_) => strange.push(file),
                },
                None => strange.push(file),
            }
        }
        Ok((pending, strange))
    }

    pub fn len(&self) -> u64 {
        self.held.len() as u64
    }

    /// Bytes of the captures that wait.
    pub fn bytes(&self) -> u64 {
        self.held.values().map(|held| held.envelope.as_bytes().len() as u64).sum()
    }

    pub fn holds(&self, id: OperationId) -> bool {
        self.newest(id).is_some()
    }

    fn newest(&self, id: OperationId) -> Option<Key> {
        self.held.range((id, 0)..=(id, u64::MAX)).next_back().map(|(key, _)| *key)
    }

    /// Keeps a capture, durably before it returns. An older one of the same user in the same
    /// operation is replaced: slapd shows it again in another form.
    pub fn hold(&mut self, id: OperationId, envelope: Envelope, now: Timestamp) -> io::Result<()> {
        let older = self.newest(id).filter(|key| {
            let of_older = &self.held[key].envelope.metadata().user_key;
            *of_older == envelope.metadata().user_key
        });
        let key = (id, envelope.metadata().sequence);
        let name = FileName::write(key, None);
        durable::write_new(&self.folder, &name, envelope.as_bytes())?;
        let file = self.folder.join(name);
        self.held.insert(key, Held { envelope, since: now, ended: None, file });
        match older {
            Some(older) if older != key => self.release(older),
            _ => Ok(()),
        }
    }

    /// Notes how an operation ended. Results of operations that wrote no password are nothing to
    /// us.
    pub fn ended(
        &mut self,
        id: OperationId,
        code: u32,
        arrival: u64,
        now: Timestamp,
    ) -> io::Result<()> {
        let Some(key) = self.newest(id) else { return Ok(()) };
        let to = self.path(key, Some(code));
        let Some(held) = self.held.get_mut(&key) else { return Ok(()) };
        if held.ended.is_some_and(|ended| ended.arrival > arrival) {
            return Ok(());
        }
        held.ended = Some(Ended { code, arrival, at: now });
        if held.file != to {
            fs::rename(&held.file, &to)?;
            held.file = to;
            self.sync()?;
        }
        Ok(())
    }

    /// The captures that are decided by now, in the order of their numbers. They stay until
    /// [`Pending::release`].
    ///
    /// Results come side by side, so one of two changes may be quiet a moment before the older one:
    /// it waits for that moment, and they leave in their order.
    pub fn decided(&self, now: Timestamp) -> Vec<(Key, Verdict)> {
        let mut held: Vec<_> = self.held.iter().collect();
        held.sort_unstable_by_key(|(key, held)| (held.number(), **key));
        let verdicts = held.into_iter().map(|(key, held)| (key, held, held.verdict(now)));
        verdicts
            .take_while(|(_, held, verdict)| verdict.is_some() || held.ended.is_none())
            .filter_map(|(key, _, verdict)| Some((*key, verdict?)))
            .collect()
    }

    pub fn envelope(&self, key: Key) -> Option<&Envelope> {
        Some(&self.held.get(&key)?.envelope)
    }

    /// Forgets a capture: it is in the spool, or never became true.
    pub fn release(&mut self, key: Key) -> io::Result<()> {
        let Some(held) = self.held.remove(&key) else { return Ok(()) };
        remove(&held.file)?;
        self.sync()
    }

    fn path(&self, key: Key, code: Option<u32>) -> PathBuf {
        self.folder.join(FileName::write(key, code))
    }

    fn sync(&self) -> io::Result<()> {
        durable::sync_folder(&self.folder)
    }
}

// === impl Held ===

impl Held {
    fn verdict(&self, now: Timestamp) -> Option<Verdict> {
        let waited = |since: Timestamp| now.0.saturating_sub(since.0);
        match self.ended {
            Some(ended) if waited(ended.at) < QUIET_MS => None,
            Some(Ended { code: 0, .. }) => Some(Verdict::Committed),
            Some(ended) => Some(Verdict::Refused(ended.code)),
            None if waited(self.since) >= PENDING_MS_MAX => Some(Verdict::Unknown),
            None => None,
        }
    }

    fn number(&self) -> Number {
        let metadata = self.envelope.metadata();
        (metadata.agent_epoch, metadata.sequence)
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a file of the folder is, by its name: `CONNECTION-MESSAGE-SEQUENCE.kkpw`, with `-CODE` once
/// the operation ended.
#[derive(Debug, PartialEq, Eq)]
enum FileName {
    Capture(Key, Option<u32>),
    /// A crash came while it was written: slapd was never told to go on.
    Unfinished,
}

// === impl FileName ===

impl FileName {
    fn write((id, sequence): Key, code: Option<u32>) -> String {
        let OperationId { connection, message } = id;
        match code {
            Some(code) => format!("{connection}-{message}-{sequence}-{code}.kkpw"),
            None => format!("{connection}-{message}-{sequence}.kkpw"),
        }
    }

    fn of(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        if name.starts_with(durable::UNFINISHED) {
            return Some(Self::Unfinished);
        }
        let stem = name.strip_suffix(".kkpw")?;
        let numbers: Vec<u64> =
            stem.split('-').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [connection, message, sequence, code @ ..] = numbers.as_slice() else { return None };
        let code = match code {
            [] => None,
            [code] => Some(u32::try_from(*code).ok()?),
            _ => return None,
        };
        let id = OperationId { connection: *connection, message: *message };
        Some(Self::Capture((id, *sequence), code))
    }
}
