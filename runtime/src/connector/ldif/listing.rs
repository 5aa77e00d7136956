//! Content records: a whole text flows in, one listing flows out (L-90). The text is read twice, so
//! that a single bad record stops everything before anything happened, and memory stays flat all
//! the same.

use std::collections::HashSet;

use super::record::Body;
use super::{Failure, Reader, Text, at, digest_of, faulty, records};
use crate::connector::batch::Batches;
use crate::edge::{BatchSink, Change, PollEnd, PollMode, SourceState};

/// Takes: the text, and what is known of it. Gives nothing to the sink if the text is the known
/// one.
pub async fn poll(
    reader: &Reader<'_>,
    place: &str,
    text: &mut impl Text,
    before: &SourceState,
    mode: PollMode,
    sink: &mut dyn BatchSink,
) -> Result<PollEnd, Failure> {
    let mut next = SourceState { config_hash: reader.config_hash(), ..before.clone() };
    next.files = [(place.to_owned(), digest_of(text, place)?)].into();
    let reason = match mode {
        _ if before.config_hash.is_empty() => "first",
        PollMode::Full => "operator",
        PollMode::Delta if before.config_hash != next.config_hash => "config-changed",
        PollMode::Delta if before.files != next.files => "schedule",
        PollMode::Delta => return Ok(PollEnd::default()),
    };
    next.objects = check(reader, place, text)?;
    // An empty text is no evidence of deletion (L-05): a feed that failed looks the same.
    if next.objects == 0 && before.objects > 0 {
        return Err(Failure::Config {
            message: format!("`{place}` holds no record, where it held {}", before.objects),
            hint: "an emptied file deletes nothing; remove the source instead".to_owned(),
        });
    }
    let generation = before.generation + 1;
    next.generation = generation;
    let mut batches = Batches::new(sink, place);
    batches.push(Change::FullBegin { generation, reason }, 0).await?;
    // The number is used up from here on, even if the listing is not finished.
    batches.close(SourceState { generation, ..before.clone() }).await?;
    let mut entries = records(text, place)?;
    while let Some(record) = entries.next().map_err(|error| at(place, &error))? {
        let Body::Content(attributes) = record.body else { continue };
        let anchor = reader.anchor(&record.dn, &attributes);
        let anchor = anchor.map_err(|what| faulty(place, record.line, &what))?;
        let (entry, faults, bytes) = reader.entry(&anchor, &record.dn, &attributes);
        batches.push(Change::Upsert(entry), bytes).await?;
        for fault in faults {
            batches.push(fault, 0).await?;
        }
    }
    // Whoever writes into the file between the two readings must not have the rest swept.
    if digest_of(text, place)? != next.files[place] {
        return Err(Failure::Unavailable(format!("`{place}` changed while it was read")));
    }
    batches.push(Change::FullEnd { generation }, 0).await?;
    let entries = next.objects;
    batches.close(next).await?;
    Ok(PollEnd { entries, full: true, ..PollEnd::default() })
}

/// Reads every record without using it. Gives their number.
///
/// Errors: a text that is no LDIF, change records, anchors that are missing or come twice (L-93).
fn check(reader: &Reader<'_>, place: &str, text: &mut impl Text) -> Result<u64, Failure> {
    let mut anchors = HashSet::new();
    let mut records = records(text, place)?;
    while let Some(record) = records.next().map_err(|error| at(place, &error))? {
        let fault = |what: &str| faulty(place, record.line, what);
        let Body::Content(attributes) = &record.body else {
            return Err(fault("change records belong into a folder of change files"));
        };
        let anchor = reader.anchor(&record.dn, attributes).map_err(|what| fault(&what))?;
        if !anchors.insert(anchor) {
            return Err(fault("another record has the same anchor"));
        }
    }
    Ok(anchors.len() as u64)
}
