//! Change records: a folder of files flows in, each file once and in order of its name, deltas flow
//! out (L-91, L-92).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kakehi_engine::object::{Anchor, dn_key, first_component};

use super::record::{Body, Modification, ModificationKind, Record};
use super::{Failure, Reader, at, digest_of, faulty, open_quiet, records, unreadable};
use crate::connector::attribute::canonicalize;
use crate::connector::batch::Batches;
use crate::connector::wanted::values_of;
use crate::edge::{BatchSink, Change, Clock, Partial, PollEnd, PollMode, SourceState};

/// Which object has which DN, as the records so far had it: a modification names its object by DN
/// only.
type Names = BTreeMap<String, Anchor>;

/// Reads the files that are new since `before`; all of them again if the configuration changed.
///
/// Errors: a file with a bad record, of which nothing is taken; a known name with another content.
pub async fn poll(
    reader: &Reader<'_>,
    clock: &dyn Clock,
    folder: &Path,
    before: &SourceState,
    mode: PollMode,
    sink: &mut dyn BatchSink,
) -> Result<PollEnd, Failure> {
    let config_hash = reader.config_hash();
    let again = mode == PollMode::Full || before.config_hash != config_hash;
    let mut state = SourceState { config_hash, ..before.clone() };
    if again {
        state.files.clear();
    }
    let partition = folder.display().to_string();
    let (mut end, mut names) = (PollEnd::default(), Names::new());
    for path in files(folder)? {
        let place = path.display().to_string();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut text = open_quiet(&path, clock).await?;
        let digest = digest_of(&mut text, &place)?;
        let taken = match state.files.get(&name) {
            Some(known) if *known != digest => {
                return Err(Failure::Config {
                    message: format!("`{place}` was taken before with another content"),
                    hint: "give changes a file of their own, with a name that comes later"
                        .to_owned(),
                });
            }
            known => known.is_some(),
        };
        // Each file is tried first: one bad record, and nothing of it happens.
        let mut after = names.clone();
        let mut trial = records(&mut text, &place)?;
        while let Some(record) = trial.next().map_err(|error| at(&place, &error))? {
            let line = record.line;
            changes(reader, &mut after, record).map_err(|what| faulty(&place, line, &what))?;
        }
        if !taken {
            let mut batches = Batches::new(sink, &partition);
            let mut used = records(&mut text, &place)?;
            while let Some(record) = used.next().map_err(|error| at(&place, &error))? {
                let line = record.line;
                let changes = changes(reader, &mut names, record);
                for (change, bytes) in changes.map_err(|what| faulty(&place, line, &what))? {
                    end.entries += u64::from(matches!(change, Change::Upsert(_)));
                    batches.push(change, bytes).await?;
                }
            }
            state.files.insert(name, digest);
            state.generation = state.generation.max(1);
            batches.close(state.clone()).await?;
        }
        names = after;
    }
    Ok(end)
}

/// The `.ldif` files of a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let cannot = |error: std::io::Error| unreadable(folder, &error);
    let mut files = vec![];
    for entry in folder.read_dir().map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "ldif") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What one record changes, with sizes in bytes. Errors: why it cannot be carried out.
fn changes(
    reader: &Reader<'_>,
    names: &mut Names,
    record: Record,
) -> Result<Vec<(Change, usize)>, String> {
    let Record { dn, body, .. } = record;
    match body {
        Body::Content(_) => Err("content records belong into a file of their own".to_owned()),
        Body::Add(attributes) => {
            let anchor = reader.anchor(&dn, &attributes)?;
            if names.insert(dn_key(&dn), anchor.clone()).is_some() {
                return Err("an earlier record added this DN already".to_owned());
            }
            let (entry, faults, bytes) = reader.entry(&anchor, &dn, &attributes);
            let faults = faults.into_iter().map(|fault| (fault, 0));
            Ok(std::iter::once((Change::Upsert(entry), bytes)).chain(faults).collect())
        }
        Body::Delete => {
            let anchor = find(reader, names, &dn)?;
            names.remove(&dn_key(&dn));
            let bytes = anchor.0.len();
            Ok(vec![(Change::Delete { anchor }, bytes)])
        }
        Body::Modify(modifications) => {
            let anchor = find(reader, names, &dn)?;
            modify(reader, anchor, &modifications)
        }
        Body::Rename { rdn, superior } => {
            if reader.is_anchored_by_dn() {
                return Err("a rename needs an anchor other than the DN".to_owned());
            }
            let anchor = find(reader, names, &dn)?;
            let key = dn_key(&dn);
            if names.keys().any(|other| other.ends_with(&format!(",{key}"))) {
                return Err("objects below it would be renamed too".to_owned());
            }
            let parent = dn[first_component(&dn).len()..].trim_start_matches(',');
            let new = match superior.as_deref().unwrap_or(parent) {
                "" => rdn,
                parent => format!("{rdn},{parent}"),
            };
            names.remove(&key);
            names.insert(dn_key(&new), anchor.clone());
            let bytes = new.len();
            Ok(vec![(Change::Partial(Partial { dn: Some(new), ..unchanged(anchor) }), bytes)])
        }
    }
}

/// The object with this DN: as the records had it, or as its name itself says.
fn find(reader: &Reader<'_>, names: &Names, dn: &str) -> Result<Anchor, String> {
    if let Some(anchor) = names.get(&dn_key(dn)) {
        return Ok(anchor.clone());
    }
    if reader.is_anchored_by_dn() {
        return Ok(Anchor(dn_key(dn).into_bytes()));
    }
    match first_component(dn).split_once('=') {
        Some((name, value))
            if name.trim().eq_ignore_ascii_case(reader.options.anchor.as_str())
                && !value.contains(['\\', '+']) =>
        {
            reader.anchor_of(value.trim().as_bytes())
        }
        _ => Err("no earlier record added this DN".to_owned()),
    }
}

fn unchanged(anchor: Anchor) -> Partial {
    Partial {
        anchor,
        dn: None,
        set: BTreeMap::new(),
        add: BTreeMap::new(),
        remove: BTreeMap::new(),
    }
}

/// Modifications are carried out one after the other; what they come to is one change.
fn modify(
    reader: &Reader<'_>,
    anchor: Anchor,
    modifications: &[Modification],
) -> Result<Vec<(Change, usize)>, String> {
    let mut partial = unchanged(anchor);
    let (mut changes, mut bytes, mut canonical) = (vec![], 0, String::new());
    for Modification { kind, attribute, values: octets } in modifications {
        if attribute.eq_ignore_ascii_case(reader.options.anchor.as_str()) {
            return Err(format!("the anchor `{attribute}` cannot be modified"));
        }
        canonicalize(attribute, &mut canonical);
        let Some(column) = reader.wanted.column(&canonical) else { continue };
        bytes += octets.iter().map(Vec::len).sum::<usize>();
        let (values, faults) = values_of(column, octets.iter().map(Vec::as_slice));
        let fault = |why: &str| Change::Fault {
            anchor: partial.anchor.clone(),
            attribute: column.name.clone(),
            message: why.to_owned(),
        };
        changes.extend(faults.into_iter().map(|why| (fault(why), 0)));
        let name = column.name.clone();
        let whole = *kind == ModificationKind::Replace
            || (*kind == ModificationKind::Delete && octets.is_empty());
        if whole {
            partial.add.remove(&name);
            partial.remove.remove(&name);
            partial.set.insert(name, values);
        } else if let Some(known) = partial.set.get_mut(&name) {
            known.retain(|value| !values.contains(value));
            if *kind == ModificationKind::Add {
                known.extend(values);
            }
        } else {
            let (to, from) = match kind {
                ModificationKind::Add => (&mut partial.add, &mut partial.remove),
                _ => (&mut partial.remove, &mut partial.add),
            };
            if let Some(opposite) = from.get_mut(&name) {
                opposite.retain(|value| !values.contains(value));
            }
            to.entry(name).or_default().extend(values);
        }
    }
    partial.add.retain(|_, values| !values.is_empty());
    partial.remove.retain(|_, values| !values.is_empty());
    if !(partial.set.is_empty() && partial.add.is_empty() && partial.remove.is_empty()) {
        changes.insert(0, (Change::Partial(partial), bytes));
    }
    Ok(changes)
}
