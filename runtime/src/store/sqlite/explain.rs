//! For people: what they type flows in, what they may mean and how objects are called flows out.

use std::collections::BTreeSet;

use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::object::{Anchor, Value, dn_key};
use rusqlite::OptionalExtension;

use super::failure::Result;
use super::{Db, body, codes, export, keys, object, reading, records, view};
use crate::store::{Explained, ObjectLabel};

/// How many answers are enough: whoever gets so many has to ask more exactly.
const EXPLAINED_MAX: usize = 100;

/// Attributes that name people, groups and devices, in the metaverse and in directories.
const NAMING: [&str; 14] = [
    "accountName",
    "cn",
    "displayName",
    "employeeNumber",
    "externalId",
    "mail",
    "mailNickname",
    "name",
    "proxyAddresses",
    "sAMAccountName",
    "sourceAnchor",
    "uid",
    "userName",
    "userPrincipalName",
];

/// See [`Store::explain`](crate::store::Store::explain).
pub(super) fn explain(db: &Db, text: &str) -> Result<Vec<Explained>> {
    let mut mvs = BTreeSet::new();
    let mut ids = by_name_or_anchor(db, text)?;
    // What stands in an index costs a look-up; each further step is only made where those before
    // found nothing.
    if ids.is_empty() {
        (mvs, ids) = by_key(db, text)?;
    }
    if ids.is_empty() && mvs.is_empty() {
        mvs = by_value(db, text)?;
    }
    if ids.is_empty() && mvs.is_empty() {
        ids = by_value_of_object(db, text)?;
    }
    if ids.is_empty() && mvs.is_empty() {
        mvs.extend(by_number(db, text)?);
    }
    let mut lone = BTreeSet::new();
    for id in ids {
        match object::linked_to(db, id)? {
            Some(mv) => mvs.insert(mv),
            None => lone.insert(id),
        };
    }
    let mut found = vec![];
    for mv in mvs.into_iter().take(EXPLAINED_MAX) {
        let linked = view::linked_objects(db, MvId(mv))?;
        let ids: Vec<_> = linked.into_iter().map(|linked| linked.cs).collect();
        found.push(explained(db, Some(MvId(mv)), &ids)?);
    }
    for id in lone.into_iter().take(EXPLAINED_MAX) {
        found.push(explained(db, None, &[CsId(id)])?);
    }
    Ok(found)
}

/// The value that names each object at its target: what it is to be called, else what it is called,
/// else its remote id.
pub(super) fn target_names(db: &Db, ids: &[CsId]) -> Result<Vec<String>> {
    let mut statement = db.sql.prepare_cached(
        "SELECT coalesce(nullif(match_key, ''), label, cast(object.anchor AS TEXT), '') \
         FROM object LEFT JOIN pending_export ON pending_export.object = object.id \
         WHERE object.id = ?1",
    )?;
    let mut names = vec![];
    for id in ids {
        let name: Option<String> = statement.query_row([id.0], |row| row.get(0)).optional()?;
        names.push(name.unwrap_or_default());
    }
    Ok(names)
}

/// See [`Store::labels`](crate::store::Store::labels).
pub(super) fn labels(db: &Db, ids: &[CsId]) -> Result<Vec<ObjectLabel>> {
    ids.iter().map(|id| label(db, *id)).collect()
}

fn label(db: &Db, id: CsId) -> Result<ObjectLabel> {
    let mut statement =
        db.sql.prepare_cached("SELECT connector, class, anchor, dn FROM object WHERE id = ?1")?;
    let mut rows = statement.query([id.0])?;
    let Some(row) = rows.next()? else {
        return Ok(ObjectLabel::default());
    };
    let anchor = row.get::<_, Option<Vec<u8>>>(2)?.map(Anchor);
    let anchor = anchor.map(|anchor| anchor.to_string()).unwrap_or_default();
    let dn: String = row.get(3)?;
    Ok(ObjectLabel {
        connector: db.names.connector(&db.sql, row.get(0)?)?.to_string(),
        class: db.names.class(&db.sql, row.get(1)?)?.to_string(),
        name: if dn.is_empty() { anchor.clone() } else { dn },
        anchor,
    })
}

fn explained(db: &Db, mv: Option<MvId>, ids: &[CsId]) -> Result<Explained> {
    let mut explained = Explained { mv: None, objects: vec![], exports: vec![], problems: vec![] };
    for id in ids {
        explained.objects.extend(object::load(db, *id)?);
        explained.exports.extend(export::of_object(db, *id)?);
        for phase in [codes::PHASE_IMPORT, codes::PHASE_INBOUND] {
            explained.problems.extend(records::problems_of(db, phase, id.0)?);
        }
    }
    if let Some(mv) = mv {
        explained.mv = view::mv_object(db, mv)?;
        explained.problems.extend(records::problems_of(db, codes::PHASE_OUTBOUND, mv.0)?);
    }
    Ok(explained)
}

/// Objects of any connector with this DN, anchor or remote id.
fn by_name_or_anchor(db: &Db, text: &str) -> Result<BTreeSet<i64>> {
    let (key, anchors) = (dn_key(text), anchors(text));
    let mut found = BTreeSet::new();
    let mut by_key =
        db.sql.prepare_cached("SELECT id FROM object WHERE connector = ?1 AND dn_key = ?2")?;
    for connector in export::connectors_by_name(db)? {
        for id in by_key.query_map((connector, &key), |row| row.get(0))? {
            found.insert(id?);
        }
        for anchor in &anchors {
            let known = object::by_anchor(db, connector, anchor, &[])?;
            found.extend(known.map(|known| known.id));
        }
    }
    Ok(found)
}

/// What bytes the text of an anchor may stand for: itself; hexadecimal digits with or without
/// hyphens; and, since Active Directory writes the first three fields of a GUID the other way
/// round, those too.
fn anchors(text: &str) -> Vec<Vec<u8>> {
    let mut anchors = vec![text.as_bytes().to_vec()];
    let digits: Vec<u32> =
        text.chars().filter(|c| !"-{}".contains(*c)).map_while(|c| c.to_digit(16)).collect();
    let others = text.chars().filter(|c| !"-{}".contains(*c)).count();
    if !digits.is_empty() && digits.len() == others && digits.len().is_multiple_of(2) {
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
        if let Some((fields, _)) = bytes.split_first_chunk::<8>() {
            let mut guid = bytes.clone();
            let [a, b, c, d, e, f, g, h] = *fields;
            guid[..8].copy_from_slice(&[d, c, b, a, f, e, h, g]);
            anchors.push(guid);
        }
        anchors.push(bytes);
    }
    anchors
}

/// Metaverse objects and objects with this value in an attribute that some rule joins by.
fn by_key(db: &Db, text: &str) -> Result<(BTreeSet<i64>, BTreeSet<i64>)> {
    let (mut mvs, mut objects) = (BTreeSet::new(), BTreeSet::new());
    let folded = text.to_lowercase();
    for (kind, scope) in reading::scopes(db)? {
        let value = if scope.ends_with('=') { text } else { &folded };
        let mut statement = db
            .sql
            .prepare_cached("SELECT id FROM key WHERE kind = ?1 AND scope = ?2 AND value = ?3")?;
        let found = statement.query_map((kind, scope, value), |row| row.get(0))?;
        let ids = found.collect::<rusqlite::Result<Vec<i64>>>()?;
        match kind == keys::Kind::Join as i64 {
            true => mvs.extend(ids),
            false => objects.extend(ids),
        }
    }
    Ok((mvs, objects))
}

/// The metaverse object with this number.
fn by_number(db: &Db, text: &str) -> Result<Option<i64>> {
    let Ok(id) = text.parse::<i64>() else { return Ok(None) };
    Ok(view::mv_object(db, MvId(id))?.map(|object| object.id.0))
}

/// Metaverse objects one of whose naming attributes has this value. Reads all of them.
fn by_value(db: &Db, text: &str) -> Result<BTreeSet<i64>> {
    let wanted = text.to_lowercase();
    let mut found = BTreeSet::new();
    search(db, MV_BODIES, &quoted(text), &mut |id, body| {
        let attributes = body::decode_mv(body)?;
        let named = NAMING.iter().filter_map(|name| attributes.get(*name));
        if named.into_iter().any(|attribute| is_among(&attribute.values, &wanted)) {
            found.insert(id);
        }
        Ok(found.len() < EXPLAINED_MAX)
    })?;
    Ok(found)
}

/// Objects of any connector that are called so, or have such a value. Reads all of them: the last
/// resort.
fn by_value_of_object(db: &Db, text: &str) -> Result<BTreeSet<i64>> {
    let wanted = text.to_lowercase();
    let mut found = BTreeSet::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    search(db, OBJECT_BODIES, &quoted(text), &mut |id, body| {
        let attributes = body::decode_attributes(body)?;
        let named = NAMING.iter().filter_map(|name| attributes.get(*name));
        if named.into_iter().any(|values| is_among(values, &wanted)) {
            found.insert(id);
        }
        Ok(found.len() < EXPLAINED_MAX)
    })?;
    Ok(found)
}

/// Names of metaverse objects that begin like this text, which is in lower case; not all of very
/// many.
pub(super) fn names_beginning(db: &Db, text: &str, most: usize) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let quoted = quoted(text);
    let beginning = quoted.trim_end_matches('"');
    search(db, MV_BODIES, beginning, &mut |_, body| {
        let attributes = body::decode_mv(body)?;
        for attribute in NAMING.iter().filter_map(|name| attributes.get(*name)) {
            let texts = attribute.values.iter().filter_map(Value::as_text);
            let near = texts.filter(|value| value.to_lowercase().starts_with(text));
            found.extend(near.map(std::borrow::Cow::into_owned));
        }
        Ok(found.len() < most)
    })?;
    Ok(found)
}

/// Names of metaverse objects that hold this text, which is in lower case.
pub(super) fn names_holding(db: &Db, text: &str, limit: usize) -> Result<Vec<String>> {
    let mut found = vec![];
    if text.is_empty() || limit == 0 {
        return Ok(found);
    }
    let quoted = quoted(text);
    let inner = quoted.trim_matches('"');
    search(db, MV_BODIES, inner, &mut |_, body| {
        let attributes = body::decode_mv(body)?;
        for attribute in NAMING.iter().filter_map(|name| attributes.get(*name)) {
            let texts = attribute.values.iter().filter_map(Value::as_text);
            let holding = texts.into_iter().find(|value| value.to_lowercase().contains(text));
            if let Some(name) = holding {
                found.push(name.into_owned());
                break;
            }
        }
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

const MV_BODIES: &str = "SELECT id, body FROM mv WHERE instr(lower(body), ?1) > 0";
const OBJECT_BODIES: &str = "SELECT id, body FROM object WHERE instr(lower(body), ?1) > 0";

/// Passes rows by whose body holds a text, until `each` has enough.
fn search(
    db: &Db,
    statement: &str,
    text: &str,
    each: &mut dyn FnMut(i64, &str) -> Result<bool>,
) -> Result<()> {
    let mut statement = db.sql.prepare_cached(statement)?;
    let mut rows = statement.query([text])?;
    while let Some(row) = rows.next()? {
        if !each(row.get(0)?, row.get_ref(1)?.as_str().map_err(object::column)?)? {
            break;
        }
    }
    Ok(())
}

/// A value as it stands in a body, in lower case as far as SQLite knows it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().to_ascii_lowercase()
}

fn is_among(values: &[Value], wanted: &str) -> bool {
    let texts = values.iter().filter_map(Value::as_text);
    texts.into_iter().any(|value| value.to_lowercase() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_found_by_each_of_its_spellings() {
        let guid: Vec<u8> = (0..16).collect();
        for text in [
            "00010203-0405-0607-0809-0a0b0c0d0e0f",
            "03020100-0504-0706-0809-0A0B0C0D0E0F",
            "{03020100-0504-0706-0809-0a0b0c0d0e0f}",
            "000102030405060708090a0b0c0d0e0f",
        ] {
            assert!(anchors(text).contains(&guid), "{text}");
        }
        assert_eq!(anchors("u-17"), [b"u-17".to_vec()]);
    }
}
