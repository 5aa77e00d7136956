//! LDAP messages (RFC 4511 4.1): the bytes of one answer flow in, its parts flow out.
//!
//! What passes [`Message::parse`] and [`Message::check`] is exactly what `ldap3` and our decoder
//! assume without asking (L-32).

use super::ber::{self, BerError};

/// Tags of the operations that we send and receive.
pub const BIND: u8 = 0x60;
pub const BIND_ANSWER: u8 = 0x61;
pub const UNBIND: u8 = 0x42;
pub const SEARCH: u8 = 0x63;
pub const ENTRY: u8 = 0x64;
pub const DONE: u8 = 0x65;
pub const MODIFY: u8 = 0x66;
pub const MODIFY_ANSWER: u8 = 0x67;
pub const REFERENCE: u8 = 0x73;
pub const ABANDON: u8 = 0x50;
pub const EXTENDED: u8 = 0x77;
pub const EXTENDED_ANSWER: u8 = 0x78;
pub const INTERMEDIATE: u8 = 0x79;

/// One message of a server.
#[derive(Debug)]
pub struct Message<'a> {
    /// 0 for what was not asked for.
    pub id: i32,
    pub tag: u8,
    /// Content of the operation.
    body: &'a [u8],
    controls: &'a [u8],
    /// AD puts the name of its Notice of Disconnection behind the operation, where controls belong.
    stray_name: Option<&'a str>,
}

/// The result that ends an operation (RFC 4511 4.1.9).
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome<'a> {
    pub code: u32,
    pub text: &'a str,
    pub referrals: Vec<&'a str>,
    /// OID of an extended answer.
    pub name: Option<&'a str>,
}

/// An entry whose attributes are still encoded.
#[derive(Clone, Copy, Debug)]
pub struct RawEntry<'a> {
    pub dn: &'a str,
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes: one complete element. Errors: it is no LDAPMessage.
    pub fn parse(mut bytes: &'a [u8]) -> Result<Self, BerError> {
        let mut message = ber::take(&mut bytes, ber::SEQUENCE)?;
        let id = ber::unsigned(ber::take(&mut message, ber::INTEGER)?)?;
        let id = i32::try_from(id).map_err(|_| BerError::Unexpected("message id"))?;
        let (tag, body) = ber::take_any(&mut message)?;
        let controls = ber::optional(&mut message, 0xa0)?.unwrap_or_default();
        let stray_name = match message.first() {
            Some(0x8a) => Some(ber::text(&mut message, 0x8a)?),
            _ => None,
        };
        if !bytes.is_empty() || !message.is_empty() {
            return Err(BerError::Unexpected("bytes behind the operation"));
        }
        Ok(Self { id, tag, body, controls, stray_name })
    }

    /// Walks everything that [`Message::parse`] leaves encoded.
    ///
    /// Errors: an unknown operation, or any part that is not as RFC 4511 has it.
    pub fn check(&self) -> Result<(), BerError> {
        for control in self.controls() {
            control?;
        }
        match self.tag {
            BIND_ANSWER | DONE | MODIFY_ANSWER | EXTENDED_ANSWER => self.outcome().map(|_| ()),
            ENTRY => {
                for attribute in self.entry()?.attributes() {
                    for value in attribute?.1 {
                        value?;
                    }
                }
                Ok(())
            }
            REFERENCE => {
                let mut uris = self.body;
                while !uris.is_empty() {
                    ber::text(&mut uris, ber::OCTETS)?;
                }
                Ok(())
            }
            INTERMEDIATE => self.intermediate().map(|_| ()),
            _ => Err(BerError::Unexpected("operation")),
        }
    }

    /// The result in a message that carries one.
    pub fn outcome(&self) -> Result<Outcome<'a>, BerError> {
        let mut body = self.body;
        let code = ber::unsigned(ber::take(&mut body, ber::ENUMERATED)?)?;
        ber::text(&mut body, ber::OCTETS)?;
        let text = ber::text(&mut body, ber::OCTETS)?;
        let (mut referrals, mut name) = (vec![], self.stray_name);
        while let Some(&tag) = body.first() {
            match tag {
                0xa3 => {
                    let mut uris = ber::take(&mut body, 0xa3)?;
                    while !uris.is_empty() {
                        referrals.push(ber::text(&mut uris, ber::OCTETS)?);
                    }
                }
                0x8a => name = Some(ber::text(&mut body, 0x8a)?),
                0x87 | 0x8b => {
                    ber::take(&mut body, tag)?;
                }
                _ => return Err(BerError::Unexpected("element in a result")),
            }
        }
        Ok(Outcome { code, text, referrals, name })
    }

    pub fn entry(&self) -> Result<RawEntry<'a>, BerError> {
        let mut body = self.body;
        let dn = ber::text(&mut body, ber::OCTETS)?;
        let attributes = ber::take(&mut body, ber::SEQUENCE)?;
        if body.is_empty() {
            Ok(RawEntry { dn, attributes })
        } else {
            Err(BerError::Unexpected("bytes behind the attributes"))
        }
    }

    /// Name and value of an intermediate response (RFC 4511 4.13).
    pub fn intermediate(&self) -> Result<(&'a str, &'a [u8]), BerError> {
        let mut body = self.body;
        let name = match body.first() {
            Some(0x80) => ber::text(&mut body, 0x80)?,
            _ => "",
        };
        let value = ber::optional(&mut body, 0x81)?.unwrap_or_default();
        if body.is_empty() {
            Ok((name, value))
        } else {
            Err(BerError::Unexpected("bytes behind an intermediate response"))
        }
    }

    /// OID and value of each control, in order.
    pub fn controls(&self) -> impl Iterator<Item = Result<(&'a str, &'a [u8]), BerError>> {
        let mut rest = self.controls;
        fused(move || (!rest.is_empty()).then(|| control(&mut rest)))
    }

    /// The value of the control with this OID, if it is there.
    pub fn control(&self, oid: &str) -> Result<Option<&'a [u8]>, BerError> {
        for control in self.controls() {
            let (found, value) = control?;
            if found == oid {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

impl<'a> RawEntry<'a> {
    /// Name (with options) and values of each attribute, in the server's order.
    pub fn attributes(&self) -> impl Iterator<Item = Result<(&'a str, Values<'a>), BerError>> {
        let mut rest = self.attributes;
        fused(move || (!rest.is_empty()).then(|| attribute(&mut rest)))
    }
}

/// The values of one attribute, in the server's order; possibly none.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a>(&'a [u8]);

impl<'a> Iterator for Values<'a> {
    type Item = Result<&'a [u8], BerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let value = ber::take(&mut self.0, ber::OCTETS);
        if value.is_err() {
            self.0 = &[];
        }
        Some(value)
    }
}

/// An iterator that ends after its first error, since there is no way to find the next element.
fn fused<T>(
    mut next: impl FnMut() -> Option<Result<T, BerError>>,
) -> impl Iterator<Item = Result<T, BerError>> {
    let mut failed = false;
    std::iter::from_fn(move || {
        let item = if failed { None } else { next() };
        failed |= matches!(item, Some(Err(_)));
        item
    })
}

fn attribute<'a>(rest: &mut &'a [u8]) -> Result<(&'a str, Values<'a>), BerError> {
    let mut attribute = ber::take(rest, ber::SEQUENCE)?;
    let name = ber::text(&mut attribute, ber::OCTETS)?;
    let values = ber::take(&mut attribute, ber::SET)?;
    if attribute.is_empty() {
        Ok((name, Values(values)))
    } else {
        Err(BerError::Unexpected("bytes behind the values"))
    }
}

fn control<'a>(rest: &mut &'a [u8]) -> Result<(&'a str, &'a [u8]), BerError> {
    let mut control = ber::take(rest, ber::SEQUENCE)?;
    let oid = ber::text(&mut control, ber::OCTETS)?;
    if ber::optional(&mut control, ber::BOOLEAN)?.is_some_and(<[u8]>::is_empty) {
        return Err(BerError::Unexpected("empty criticality"));
    }
    let value = ber::optional(&mut control, ber::OCTETS)?.unwrap_or_default();
    if control.is_empty() { Ok((oid, value)) } else { Err(BerError::Unexpected("control")) }
}

#[cfg(test)]
pub mod encode {
    //! The other direction, for scripted servers in tests.

    use super::super::ber::{BOOLEAN, ENUMERATED, OCTETS, SEQUENCE, SET, put, put_integer};

    pub fn message(id: i32, tag: u8, body: &[u8], controls: &[(&str, &[u8])]) -> Vec<u8> {
        let mut content = [put_integer(id), put(tag, body)].concat();
        if !controls.is_empty() {
            let encoded: Vec<u8> = controls
                .iter()
                .flat_map(|(oid, value)| {
                    let parts =
                        [put(OCTETS, oid.as_bytes()), put(BOOLEAN, &[0]), put(OCTETS, value)];
                    put(SEQUENCE, &parts.concat())
                })
                .collect();
            content.extend(put(0xa0, &encoded));
        }
        put(SEQUENCE, &content)
    }

    pub fn outcome(code: u8, text: &str) -> Vec<u8> {
        [put(ENUMERATED, &[code]), put(OCTETS, b""), put(OCTETS, text.as_bytes())].concat()
    }

    pub fn entry(dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
        let encoded: Vec<u8> = attributes
            .iter()
            .flat_map(|(name, values)| {
                let values: Vec<u8> = values.iter().flat_map(|v| put(OCTETS, v)).collect();
                put(SEQUENCE, &[put(OCTETS, name.as_bytes()), put(SET, &values)].concat())
            })
            .collect();
        [put(OCTETS, dn.as_bytes()), put(SEQUENCE, &encoded)].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::ber::{OCTETS, SEQUENCE, SET, put, put_integer};
    use super::*;

    fn verdict(bytes: &[u8]) -> Result<(), BerError> {
        ber::check(bytes)?;
        Message::parse(bytes)?.check()
    }

    #[test]
    fn l32_well_formed_answers_pass() {
        let done = encode::outcome(0, "");
        for bytes in [
            encode::message(1, BIND_ANSWER, &done, &[]),
            encode::message(2, DONE, &done, &[("1.2", b"x"), ("1.3", b"")]),
            encode::message(
                i32::MAX,
                ENTRY,
                &encode::entry("dc=x", &[("a", &[b"1", b"\xff"])]),
                &[],
            ),
            encode::message(2, ENTRY, &encode::entry("", &[("a;b", &[])]), &[]),
            encode::message(2, REFERENCE, &put(OCTETS, b"ldap://h/"), &[]),
            encode::message(2, INTERMEDIATE, &put(0x80, b"1.3"), &[]),
            encode::message(0, EXTENDED_ANSWER, &[done, put(0x8a, b"1.3")].concat(), &[]),
        ] {
            assert_eq!(verdict(&bytes), Ok(()), "{bytes:02x?}");
        }
    }

    #[test]
    fn l32_every_other_shape_is_refused() {
        let done = encode::outcome(0, "");
        let entry = |attributes: &[u8]| [put(OCTETS, b"dc=x"), put(SEQUENCE, attributes)].concat();
        let attribute = |name: &[u8], values: &[u8]| {
            entry(&put(SEQUENCE, &[put(OCTETS, name), put(SET, values)].concat()))
        };
        let with_controls = |controls: &[u8]| {
            put(SEQUENCE, &[put_integer(1), put(DONE, &done), put(0xa0, controls)].concat())
        };
        for (name, bytes) in [
            ("an empty message", put(SEQUENCE, &[])),
            ("no operation", put(SEQUENCE, &put_integer(1))),
            ("a set", put(SET, &[put_integer(1), put(DONE, &done)].concat())),
            ("a negative id", encode::message(-1, DONE, &done, &[])),
            ("an unknown operation", encode::message(1, 0x6f, &done, &[])),
            ("an answer to an add", encode::message(1, 0x69, &done, &[])),
            ("a result of two elements", encode::message(1, DONE, &done[..5], &[])),
            ("a result without its code", encode::message(1, DONE, &done[3..], &[])),
            ("a text that is none", encode::message(1, DONE, &[10, 1, 0, 4, 0, 4, 1, 0xff], &[])),
            (
                "a stranger in a result",
                encode::message(1, DONE, &[&done[..], &[4, 0]].concat(), &[]),
            ),
            ("a DN that is no text", encode::message(1, ENTRY, &[4, 1, 0xff, 0x30, 0], &[])),
            ("an entry without attributes", encode::message(1, ENTRY, &[4, 0], &[])),
            ("a name that is no text", encode::message(1, ENTRY, &attribute(&[0xff], &[]), &[])),
            (
                "a value that is a number",
                encode::message(1, ENTRY, &attribute(b"a", &[2, 1, 1]), &[]),
            ),
            (
                "an attribute without values",
                encode::message(1, ENTRY, &entry(&[0x30, 2, 4, 0]), &[]),
            ),
            ("a number as a reference", encode::message(1, REFERENCE, &[2, 1, 1], &[])),
            (
                "bytes behind the operation",
                put(SEQUENCE, &[put_integer(1), put(DONE, &done), vec![4, 0]].concat()),
            ),
            ("a control without OID", with_controls(&[0x30, 0])),
            ("an empty criticality", with_controls(&[0x30, 5, 4, 1, b'1', 1, 0])),
            ("a control that is a text", with_controls(&[4, 0])),
        ] {
            assert!(verdict(&bytes).is_err(), "{name} passes");
        }
    }

    #[test]
    fn l28_both_forms_of_the_notice_of_disconnection_name_themselves() {
        let (oid, done) = (&b"1.3.6.1.4.1.1466.20036"[..], encode::outcome(52, "bye"));
        let inside = [done.clone(), put(0x8a, oid)].concat();
        let outside = [put_integer(0), put(EXTENDED_ANSWER, &done), put(0x8a, oid)].concat();
        for bytes in [encode::message(0, EXTENDED_ANSWER, &inside, &[]), put(SEQUENCE, &outside)] {
            let message = Message::parse(&bytes).unwrap();
            let outcome = message.outcome().unwrap();
            assert_eq!((outcome.code, outcome.text), (52, "bye"));
            assert_eq!(outcome.name.map(str::as_bytes), Some(oid));
        }
    }
}
