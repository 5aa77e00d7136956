//! LDIF texts as sources (RFC 2849): for trials, feeds of an HR system, fixtures. A content file
//! flows out as a listing, a folder of change files as deltas (ldap.md 7). Nothing but these files
//! is opened.

mod change;
mod listing;
mod record;
mod schema;
#[cfg(test)]
mod stories;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use kakehi_engine::object::{Anchor, AttributeName, ClassName, ConnectorName, dn_key};

use self::record::{Attributes, LdifError, Records};
use super::attribute::{Syntax, base_name, canonicalize};
use super::digest;
use super::wanted::{Reading, Wanted};
use crate::edge::{
    BatchSink, Change, Clock, Directory, DirectoryError, Entry, PollEnd, PollMode, SinkClosed,
    SourceReport, SourceSchema, SourceState,
};

/// A file that was written to less than this ago may not be complete yet (L-95).
pub const QUIET_MS_MIN: i64 = 5_000;

pub struct LdifOptions {
    pub name: ConnectorName,
    pub source: LdifSource,
    /// The attribute that identifies an object; `dn` takes the DN itself (L-93).
    pub anchor: AttributeName,
    /// What rules read.
    pub attributes: BTreeSet<AttributeName>,
    /// Attributes that hold DNs, beside the well-known ones.
    pub links: BTreeSet<AttributeName>,
    /// Object types that rules know.
    pub classes: BTreeSet<ClassName>,
}

pub enum LdifSource {
    /// A content file, or a folder of change files.
    Path(PathBuf),
    /// Content records. The name stands for the path in messages and in the state.
    Text { name: String, text: &'static str },
}

/// One LDIF source.
pub struct LdifDirectory {
    options: LdifOptions,
    clock: Arc<dyn Clock>,
}

/// A text that is read more than once: checked first, then used.
trait Text: BufRead + Seek + Send {}
impl<T: BufRead + Seek + Send> Text for T {}

/// Why a source could not be read; becomes a [`DirectoryError`] with the source's name.
enum Failure {
    Config { message: String, hint: String },
    Unavailable(String),
    Sink(SinkClosed),
}

impl From<SinkClosed> for Failure {
    fn from(closed: SinkClosed) -> Self {
        Self::Sink(closed)
    }
}

#[async_trait]
impl Directory for LdifDirectory {
    fn name(&self) -> &ConnectorName {
        &self.options.name
    }

    async fn poll(
        &mut self,
        states: &BTreeMap<String, SourceState>,
        mode: PollMode,
        sink: &mut dyn BatchSink,
    ) -> Result<PollEnd, DirectoryError> {
        let partition = self.options.source.partition();
        let before = states.get(&partition).cloned().unwrap_or_default();
        let reader = Reader::new(&self.options);
        let end = match &self.options.source {
            LdifSource::Path(path) if path.is_dir() => {
                change::poll(&reader, &*self.clock, path, &before, mode, sink).await
            }
            LdifSource::Path(path) => match open_quiet(path, &*self.clock).await {
                Ok(mut text) => {
                    listing::poll(&reader, &partition, &mut text, &before, mode, sink).await
                }
                Err(failure) => Err(failure),
            },
            LdifSource::Text { text, .. } => {
                let mut text = Cursor::new(text.as_bytes());
                listing::poll(&reader, &partition, &mut text, &before, mode, sink).await
            }
        };
        end.map_err(|failure| self.of_source(failure))
    }

    async fn probe(&mut self) -> Result<SourceReport, DirectoryError> {
        let LdifSource::Path(path) = &self.options.source else {
            return Ok(SourceReport { lines: vec!["built-in text".to_owned()] });
        };
        let found = path.metadata().map_err(|error| self.of_source(unreadable(path, &error)))?;
        let what = if found.is_dir() { "folder of change files" } else { "content file" };
        let mut lines = vec![format!("`{}`: {what}", path.display())];
        if self.options.anchor.as_str() == ANCHOR_DN {
            lines.push("warning: `anchor: dn`: a rename is a delete and an add".to_owned());
        }
        Ok(SourceReport { lines })
    }

    /// A text has no schema; it is what its records hold.
    async fn schema(&mut self) -> Result<SourceSchema, DirectoryError> {
        let found = match &self.options.source {
            LdifSource::Path(path) => match open_quiet(path, &*self.clock).await {
                Ok(mut text) => schema::read(&path.display().to_string(), &mut text),
                Err(failure) => Err(failure),
            },
            LdifSource::Text { name, text } => {
                schema::read(name, &mut Cursor::new(text.as_bytes()))
            }
        };
        found.map_err(|failure| self.of_source(failure))
    }
}

/// The DN as an anchor.
const ANCHOR_DN: &str = "dn";

impl LdifDirectory {
    /// The clock tells whether a file is still being written.
    pub fn new(options: LdifOptions, clock: Arc<dyn Clock>) -> Self {
        Self { options, clock }
    }

    fn of_source(&self, failure: Failure) -> DirectoryError {
        let source_name = self.options.name.to_string();
        match failure {
            Failure::Config { message, hint } => {
                DirectoryError::Config { source_name, message, hint }
            }
            Failure::Unavailable(message) => DirectoryError::Unavailable { source_name, message },
            Failure::Sink(closed) => DirectoryError::Sink(closed),
        }
    }
}

impl LdifSource {
    /// The one partition of the source.
    fn partition(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Text { name, .. } => name.clone(),
        }
    }
}

/// What is common to content and change records: what is wanted of an object, and who it is.
struct Reader<'o> {
    options: &'o LdifOptions,
    wanted: Wanted,
}

impl<'o> Reader<'o> {
    fn new(options: &'o LdifOptions) -> Self {
        let wanted = Wanted::new(&options.attributes, &options.links, &options.classes, |_| None);
        Self { options, wanted }
    }

    /// Digest of all that decides what of a file is used (L-44).
    fn config_hash(&self) -> String {
        let LdifOptions { anchor, attributes, links, classes, .. } = self.options;
        let counts = [attributes.len().to_string(), links.len().to_string()];
        let names = attributes.iter().chain(links).map(AttributeName::as_str);
        let classes = classes.iter().map(ClassName::as_str);
        let parts = [anchor.as_str(), &counts[0], &counts[1]];
        digest::of_parts(parts.into_iter().chain(names).chain(classes))
    }

    fn is_anchored_by_dn(&self) -> bool {
        self.options.anchor.as_str() == ANCHOR_DN
    }

    /// Who a record is about. Errors: no value of the anchor attribute, or more than one (L-93).
    fn anchor(&self, dn: &str, attributes: &Attributes) -> Result<Anchor, String> {
        let name = self.options.anchor.as_str();
        if self.is_anchored_by_dn() {
            return Ok(Anchor(dn_key(dn).into_bytes()));
        }
        let mut values = attributes.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (Some((_, value)), None) if !value.is_empty() => self.anchor_of(value),
            (None, _) => Err(format!("the anchor `{name}` is missing")),
            (Some(_), Some(_)) => Err(format!("the anchor `{name}` has more than one value")),
            (Some(_), None) => Err(format!("the anchor `{name}` is empty")),
        }
    }

    /// The anchor with this value; UUIDs are kept as their 16 bytes, as over LDAP.
    fn anchor_of(&self, value: &[u8]) -> Result<Anchor, String> {
        let name = self.options.anchor.as_str().to_ascii_lowercase();
        let syntax = Syntax::well_known(base_name(&name));
        match syntax.filter(|syntax| *syntax == Syntax::Uuid).map(|syntax| syntax.value(value)) {
            Some(Ok(kakehi_engine::object::Value::Binary(uuid))) => Ok(Anchor(uuid)),
            Some(_) => Err(format!("the anchor `{}` is no UUID", self.options.anchor)),
            None => Ok(Anchor(value.to_vec())),
        }
    }

    /// The whole object, a fault for each value that did not fit, and the size of both.
    fn entry(
        &self,
        anchor: &Anchor,
        dn: &str,
        attributes: &Attributes,
    ) -> (Entry, Vec<Change>, usize) {
        // A text may give the values of one attribute in several places.
        let mut by_name: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
        let mut canonical = String::new();
        for (name, value) in attributes {
            canonicalize(name, &mut canonical);
            match by_name.get_mut(&canonical) {
                Some(values) => values.push(value),
                None => {
                    by_name.insert(canonical.clone(), vec![value]);
                }
            }
        }
        let mut reading = Reading::default();
        for (name, values) in &by_name {
            self.wanted.read(name, values.iter().copied(), &mut reading);
        }
        reading.finish(anchor, dn)
    }
}

/// Opens a file once it has been left alone for a while. The open handle keeps what it saw even if
/// the name is given to another file meanwhile.
async fn open_quiet(path: &Path, clock: &dyn Clock) -> Result<BufReader<File>, Failure> {
    let cannot = |error: &std::io::Error| unreadable(path, error);
    loop {
        let file = File::open(path).map_err(|error| cannot(&error))?;
        let data = file.metadata().map_err(|error| cannot(&error))?;
        if renamed(&data) {
            return Ok(BufReader::new(file));
        }
        let written = data.modified().map_err(|error| cannot(&error))?;
        let written = written.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let age = clock.now().0.saturating_sub(i64::try_from(written.as_millis()).unwrap_or(0));
        // A time in the future says nothing about when the file was written.
        if !(0..QUIET_MS_MIN).contains(&age) {
            return Ok(BufReader::new(file));
        }
        tokio::time::sleep(Duration::from_millis((QUIET_MS_MIN - age).unsigned_abs())).await;
    }
}

/// Whether a file got its place after its last byte: a rename changes the state of a file without
/// its content, a write changes both at once.
fn renamed(data: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (data.ctime(), data.ctime_nsec()) > (data.mtime(), data.mtime_nsec())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot read `{}`: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => Failure::Config {
            message,
            hint: "`path` is an LDIF file or a folder of them".to_owned(),
        },
        _ => Failure::Unavailable(message),
    }
}

/// A fault in a text, at its place.
fn at(place: &str, error: &LdifError) -> Failure {
    faulty(place, error.line, &error.kind.to_string())
}

fn faulty(place: &str, line: usize, what: &str) -> Failure {
    Failure::Config {
        message: format!("`{place}`, line {line}: {what}"),
        hint: "nothing of this file was taken; mend it and poll again".to_owned(),
    }
}

/// The digest of a text, which is read to its end and set to its begin again.
fn digest_of(text: &mut (impl Read + Seek), place: &str) -> Result<String, Failure> {
    let digest = text.rewind().and_then(|()| digest::of_reader(text));
    let digest = digest.and_then(|digest| text.rewind().map(|()| digest));
    digest.map_err(|error| unreadable(Path::new(place), &error))
}

fn records<'t, T: Text>(text: &'t mut T, place: &str) -> Result<Records<&'t mut T>, Failure> {
    text.rewind().map_err(|error| unreadable(Path::new(place), &error))?;
    Ok(Records::new(text))
}
