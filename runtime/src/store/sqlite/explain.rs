//! For people: what they type flows in, what they may mean and how objects are called flows out.

use std::collections::BTreeSet;

use kakehi_engine::connector_space::{CsId, MvId};
use kakehi_engine::object::{Anchor, dn_key};
use rusqlite::OptionalExtension;

use super::failure::Result;
use super::{Db, body, codes, export, object, records, view};
use crate::store::{Explained, ObjectLabel};

/// How many answers are enough: whoever gets so many has to ask more exactly.
const EXPLAINED_MAX: usize = 100;

/// Attributes of the metaverse that name people, groups and devices.
const NAMING: [&str; 7] = [
    "accountName",
    "displayName",
    "employeeNumber",
    "mail",
    "sourceAnchor",
    "uid",
    "userPrincipalName",
];

/// See [`Store::explain`](crate::store::Store::explain).
pub(super) fn explain(db: &Db, text: &str) -> Result<Vec<Explained>> {
    let (mut mvs, mut lone) = (BTreeSet::new(), BTreeSet::new());
    for id in by_name_or_anchor(db, text)? {
        match object::linked_to(db, id)? {
            Some(mv) => mvs.insert(mv),
            None => lone.insert(id),
        };
    }
    if mvs.is_empty() && lone.is_empty() {
        mvs = by_value(db, text)?;
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

/// Metaverse objects one of whose naming attributes has this value. Reads all of them: the last
/// resort.
fn by_value(db: &Db, text: &str) -> Result<BTreeSet<i64>> {
    let wanted = text.to_lowercase();
    let quoted = serde_json::Value::from(text).to_string().to_lowercase();
    let mut statement =
        db.sql.prepare_cached("SELECT id, body FROM mv WHERE instr(lower(body), ?1) > 0")?;
    let mut rows = statement.query([quoted])?;
    let mut found = BTreeSet::new();
    while let (Some(row), true) = (rows.next()?, found.len() < EXPLAINED_MAX) {
        let attributes = body::decode_mv(row.get_ref(1)?.as_str().map_err(object::column)?)?;
        let named = NAMING.iter().filter_map(|name| attributes.get(*name)).any(|attribute| {
            let texts = attribute.values.iter().filter_map(|value| value.as_text());
            texts.into_iter().any(|value| value.to_lowercase() == wanted)
        });
        if named {
            found.insert(row.get(0)?);
        }
    }
    Ok(found)
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
