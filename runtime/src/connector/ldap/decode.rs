//! From an entry as it came over the wire to what rules may see of it.

use kakehi_engine::object::Anchor;

use super::control::Uuid;
use super::fault::Failure;
use super::message::RawEntry;
use crate::connector::attribute;
use crate::connector::wanted::{Reading, Wanted};
use crate::edge::{Change, Entry};

/// The attribute that identifies an entry (RFC 4530). Always requested.
pub const ENTRY_UUID: &str = "entryUUID";

/// An entry, a fault for each value that did not fit, and the size of both in bytes.
pub type Decoded = (Entry, Vec<Change>, usize);

/// `id` is the anchor where the protocol itself names it; else it is read from the entry.
///
/// Errors: an entry that cannot be identified. Passing over it would let the sweep remove it.
pub fn decode(wanted: &Wanted, raw: &RawEntry<'_>, id: Option<Uuid>) -> Result<Decoded, Failure> {
    let mut reading = Reading::default();
    let mut id = id;
    for attribute in raw.attributes() {
        let (name, values) = attribute?;
        // Elements that are no values cannot be here: the guard has walked this entry before.
        let values = values.filter_map(Result::ok);
        if id.is_none() && name.eq_ignore_ascii_case(ENTRY_UUID) {
            id = values.clone().next().and_then(attribute::uuid);
        }
        wanted.read(name, values, &mut reading);
    }
    let id = id.ok_or_else(|| Failure::Config {
        message: format!("an entry has no readable `{ENTRY_UUID}`"),
        hint: format!("let the bind account read `{ENTRY_UUID}` of all entries below the base"),
    })?;
    Ok(reading.finish(&Anchor(id.to_vec()), raw.dn))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use expect_test::{Expect, expect};

    use super::super::ber::{self, ENUMERATED, OCTETS, SEQUENCE, SET, put, put_integer};
    use super::super::control::{PAGED, SYNC_STATE, paged_done, sync_done, sync_info, sync_state};
    use super::super::message::{DONE, ENTRY, INTERMEDIATE, Message, encode};
    use super::*;

    const UUID: &[u8] = b"00010203-0405-0607-0809-0a0b0c0d0e0f";

    fn check(attributes: &[(&str, &[&[u8]])], expected: Expect) {
        let asked =
            ["entryUUID", "sn", "sn;lang-ja", "photo", "uidNumber", "member", "description"];
        let asked: BTreeSet<_> = asked.into_iter().map(Into::into).collect();
        let classes = BTreeSet::from(["inetOrgPerson".into()]);
        let wanted = Wanted::new(&asked, &BTreeSet::new(), &classes, |_| None);
        let bytes = encode::message(2, ENTRY, &encode::entry("cn=a,dc=x", attributes), &[]);
        let raw = Message::parse(&bytes).unwrap().entry().unwrap();
        let text = match decode(&wanted, &raw, None) {
            Ok((entry, faults, bytes)) => {
                let mut lines =
                    vec![format!("{} {} {} {bytes}", entry.anchor, entry.dn, entry.class)];
                lines.extend(
                    entry.attributes.iter().map(|(name, values)| format!("{name}: {values:?}")),
                );
                lines.extend(faults.iter().map(|fault| match fault {
                    Change::Fault { attribute, message, .. } => format!("! {attribute}: {message}"),
                    other => format!("{other:?}"),
                }));
                lines.join("\n")
            }
            Err(failure) => format!("{}", failure.of_source("hr")),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn l10_an_entry_is_decoded_by_its_types_in_the_servers_order() {
        check(
            &[
                ("objectClass", &[b"top", b"InetOrgPerson"]),
                ("entryuuid", &[UUID]),
                ("sn;LANG-ja", &["山田".as_bytes()]),
                ("sn", &[b"b", b"a", b"b"]),
                ("photo", &[b"plain"]),
                ("uidNumber", &[b"7", b"x"]),
                ("member", &[b"cn=b,dc=x"]),
                ("description", &[b"text", b"\xff\xfe"]),
                ("telephoneNumber", &[b"not asked for"]),
            ],
            expect![[r#"
                00010203-0405-0607-0809-0a0b0c0d0e0f cn=a,dc=x inetOrgPerson 76
                description: [Text("text"), Binary([255, 254])]
                entryUUID: [Binary([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])]
                member: [Reference("cn=b,dc=x")]
                photo: [Binary([112, 108, 97, 105, 110])]
                sn: [Text("b"), Text("a")]
                sn;lang-ja: [Text("山田")]
                uidNumber: [Integer(7)]
                ! uidNumber: a value is no integer of 64 bits"#]],
        );
    }

    /// Numbers that look random and are the same at every run.
    fn scramble(state: &mut u64) -> usize {
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as usize
    }

    /// Reads all that can be read of a message, as the guard and its readers do.
    fn read_everything(bytes: &[u8], wanted: &Wanted) -> Result<(), Failure> {
        ber::check(bytes)?;
        let message = Message::parse(bytes)?;
        message.check()?;
        for control in message.controls() {
            let (_, value) = control?;
            let _ = (sync_state(value), sync_done(value), sync_info(value), paged_done(value));
        }
        match message.tag {
            ENTRY => decode(wanted, &message.entry()?, None).map(|_| ()),
            INTERMEDIATE => Ok(sync_info(message.intermediate()?.1).map(|_| ())?),
            _ => Ok(message.outcome().map(|_| ())?),
        }
    }

    #[test]
    fn whatever_a_server_sends_is_read_or_refused_and_never_a_panic() {
        let asked = BTreeSet::from(["entryUUID".into(), "uidNumber".into()]);
        let wanted = Wanted::new(&asked, &BTreeSet::new(), &BTreeSet::new(), |_| None);
        let state = put(SEQUENCE, &[put(ENUMERATED, &[1]), put(OCTETS, &[7; 16])].concat());
        let page = put(SEQUENCE, &[put_integer(0), put(OCTETS, b"cookie")].concat());
        let attributes: &[(&str, &[&[u8]])] = &[("entryUUID", &[UUID]), ("uidNumber", &[b"1"])];
        let info = put(0xa3, &put(SET, &put(OCTETS, &[7; 16])));
        let good = [
            encode::message(2, ENTRY, &encode::entry("cn=a", attributes), &[(SYNC_STATE, &state)]),
            encode::message(300, DONE, &encode::outcome(0, "text"), &[(PAGED, &page)]),
            encode::message(2, INTERMEDIATE, &[put(0x80, b"1.2"), put(0x81, &info)].concat(), &[]),
        ];
        let (mut random, mut accepted) = (1, 0);
        for bytes in &good {
            read_everything(bytes, &wanted).unwrap();
            for length in 0..bytes.len() {
                assert!(read_everything(&bytes[..length], &wanted).is_err(), "cut at {length}");
            }
            for _ in 0..20_000 {
                let mut changed = bytes.clone();
                for _ in 0..=scramble(&mut random) % 3 {
                    let at = scramble(&mut random) % changed.len();
                    changed[at] = scramble(&mut random) as u8;
                }
                accepted += usize::from(read_everything(&changed, &wanted).is_ok());
            }
        }
        assert!(accepted > 1_000, "the changes are too coarse to get anywhere: {accepted}");
    }

    #[test]
    fn an_entry_that_cannot_be_identified_ends_the_listing() {
        for attributes in [&[][..], &[("entryUUID", &[&b"zz"[..]][..])], &[("entryUUID", &[])]] {
            check(attributes, expect!["source `hr`: an entry has no readable `entryUUID`"]);
        }
    }
}
