//! Fields of X.509 certificates (RFC 5280, section 4.1), written as .NET writes them: the rules
//! that use them were written for it.

use super::conversion::bytes_of_base64;
use super::der::{self, Element, Reader};
use super::sha1::sha1;
use super::{Arguments, conversion};
use crate::calendar::{Civil, Instant};
use crate::error::Fault;
use crate::value::{Data, Val};

type Answer = Result<Option<Val>, Fault>;

/// The attribute types that have a short name in a written name. Others are `OID.1.2.3`.
const NAME_TYPES: [(&str, &str); 15] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "S"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "G"),
    ("2.5.4.43", "I"),
    ("2.5.4.46", "dnQualifier"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "E"),
];

/// The parts of a certificate that functions give.
struct Certificate<'d> {
    whole: &'d [u8],
    /// 1 to 3.
    version: u8,
    serial: &'d [u8],
    signature_algorithm: String,
    issuer: Element<'d>,
    not_before: Instant,
    not_after: Instant,
    subject: Element<'d>,
    key_algorithm: String,
    key_parameters: &'d [u8],
    extensions: Option<Reader<'d>>,
}

pub(super) fn is_cert(arguments: &Arguments<'_>) -> Answer {
    let is = match arguments.value(0) {
        Some(value) => bytes_of(value).is_some_and(|bytes| read(&bytes).is_some()),
        None => false,
    };
    Ok(Some(Val::Boolean(is)))
}

pub(super) fn format(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |_| Some("X509".into()))
}

/// The alias of a certificate is kept in a store of certificates, not in the certificate.
pub(super) fn friendly_name(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |_| Some("".into()))
}

pub(super) fn thumbprint(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| Some(hex(&sha1(certificate.whole))))
}

pub(super) fn issuer(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| name(certificate.issuer).map(Val::Text))
}

pub(super) fn subject(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| name(certificate.subject).map(Val::Text))
}

pub(super) fn key_algorithm(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| Some(Val::Text(certificate.key_algorithm)))
}

pub(super) fn key_parameters(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| Some(hex(certificate.key_parameters)))
}

pub(super) fn not_after(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| Some(Val::Instant(certificate.not_after)))
}

pub(super) fn not_before(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| Some(Val::Instant(certificate.not_before)))
}

/// All bytes of the number, the highest first; a number that would look negative has 00 in front.
pub(super) fn serial_number(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| Some(hex(certificate.serial)))
}

pub(super) fn signature_algorithm(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| Some(Val::Text(certificate.signature_algorithm)))
}

pub(super) fn version(arguments: &Arguments<'_>) -> Answer {
    field(arguments, |certificate| Some(Val::Number(certificate.version.into())))
}

/// The OIDs of the extensions that are marked critical, in their order.
pub(super) fn critical_extensions(arguments: &[Data]) -> Result<Data, Fault> {
    let value = arguments[0].single()?;
    let single = Arguments::new([value].into_iter());
    let mut found = Vec::new();
    field(&single, |certificate| {
        let mut extensions = certificate.extensions.unwrap_or(Reader::new(&[]));
        while !extensions.is_empty() {
            let mut extension = extensions.expect(der::SEQUENCE)?.inside();
            let oid = extension.expect(der::OID)?.oid()?;
            let critical = extension.optional(der::BOOLEAN);
            extension.expect(der::OCTET_STRING)?;
            if critical.is_some_and(|critical| critical.content != [0]) {
                found.push(Val::Text(oid));
            }
        }
        Some(Val::Boolean(true))
    })?;
    Ok(found.into())
}

/// Reads the certificate and takes a field out of it. NULL stays NULL.
fn field(arguments: &Arguments<'_>, take: impl FnOnce(Certificate<'_>) -> Option<Val>) -> Answer {
    let Some(value) = arguments.value(0) else { return Ok(None) };
    bytes_of(value)
        .and_then(|bytes| read(&bytes).and_then(take))
        .map(Some)
        .ok_or_else(|| value.is_not("an X.509 certificate"))
}

/// DER as it is, or taken out of base64 with or without the lines that PEM puts around it.
fn bytes_of(value: &Val) -> Option<Vec<u8>> {
    let text = match value {
        Val::Binary(bytes) if bytes.first() == Some(&der::SEQUENCE) => return Some(bytes.clone()),
        Val::Binary(bytes) => std::str::from_utf8(bytes).ok()?,
        Val::Text(text) => text,
        _ => return None,
    };
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let inner = match text.split_once(BEGIN) {
        Some((_, rest)) => rest.split_once(END)?.0,
        None => text,
    };
    bytes_of_base64(inner)
}

fn read(bytes: &[u8]) -> Option<Certificate<'_>> {
    let mut outside = Reader::new(bytes);
    let certificate = outside.expect(der::SEQUENCE)?;
    let mut parts = certificate.inside();
    let mut signed = parts.expect(der::SEQUENCE)?.inside();
    let signature_algorithm = parts.expect(der::SEQUENCE)?.inside().expect(der::OID)?.oid()?;
    parts.expect(der::BIT_STRING)?;
    if !parts.is_empty() || !outside.is_empty() {
        return None;
    }
    let version = match signed.optional(0xa0) {
        Some(version) => match version.inside().expect(der::INTEGER)?.content {
            [version @ 0..=2] => version + 1,
            _ => return None,
        },
        None => 1,
    };
    let serial = signed.expect(der::INTEGER)?.content;
    signed.expect(der::SEQUENCE)?;
    let issuer = signed.expect(der::SEQUENCE)?;
    let mut validity = signed.expect(der::SEQUENCE)?.inside();
    let (not_before, not_after) = (instant(validity.next()?)?, instant(validity.next()?)?);
    let subject = signed.expect(der::SEQUENCE)?;
    let mut key = signed.expect(der::SEQUENCE)?.inside();
    let mut algorithm = key.expect(der::SEQUENCE)?.inside();
    let key_algorithm = algorithm.expect(der::OID)?.oid()?;
    let key_parameters = algorithm.next().map_or(&[][..], |parameters| parameters.whole);
    key.expect(der::BIT_STRING)?;
    // The unique identifiers of version 2, which nobody uses.
    let (_, _) = (signed.optional(0x81), signed.optional(0x82));
    let extensions = match signed.optional(0xa3) {
        Some(outer) => Some(outer.inside().expect(der::SEQUENCE)?.inside()),
        None => None,
    };
    Some(Certificate {
        whole: certificate.whole,
        version,
        serial,
        signature_algorithm,
        issuer,
        not_before,
        not_after,
        subject,
        key_algorithm,
        key_parameters,
        extensions,
    })
    .filter(|_| signed.is_empty() && !serial.is_empty())
}

/// Source: RFC 5280, section 4.1.2.5: always UTC, always with seconds; two digits of a year from 50
/// on are of the last century.
fn instant(time: Element<'_>) -> Option<Instant> {
    let text = std::str::from_utf8(time.content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (time.tag, text.len()) {
        (der::UTC_TIME, 12) => {
            let (year, rest) = text.split_at(2);
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (der::GENERALIZED_TIME, 14) => {
            let (year, rest) = text.split_at(4);
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let pair = |index: usize| rest.get(2 * index..2 * index + 2)?.parse().ok();
    Civil {
        year,
        month: pair(0)?,
        day: pair(1)?,
        hour: pair(2)?,
        minute: pair(3)?,
        second: pair(4)?,
        ticks: 0,
    }
    .instant()
}

/// A name with its last component first, as `CN=Taro, O=Example, C=JP`.
fn name(name: Element<'_>) -> Option<String> {
    let mut components = Vec::new();
    let mut sets = name.inside();
    while !sets.is_empty() {
        let mut set = sets.expect(der::SET)?.inside();
        let mut parts = Vec::new();
        while !set.is_empty() {
            let mut part = set.expect(der::SEQUENCE)?.inside();
            let oid = part.expect(der::OID)?.oid()?;
            let value = part.next()?;
            let value = match value.text() {
                Some(text) => quoted(&text),
                None => format!("#{}", conversion::hex(value.whole)),
            };
            parts.push(match NAME_TYPES.iter().find(|(known, _)| *known == oid) {
                Some((_, short)) => format!("{short}={value}"),
                None => format!("OID.{oid}={value}"),
            });
        }
        components.push(parts.join(" + "));
    }
    components.reverse();
    Some(components.join(", "))
}

/// A value that could be taken for syntax stands between quotes.
fn quoted(value: &str) -> String {
    let plain = !value.is_empty()
        && value.trim() == value
        && !value.contains([',', '+', '=', '"', '\n', '<', '>', '#', ';']);
    if plain { value.to_owned() } else { format!("\"{}\"", value.replace('"', "\"\"")) }
}

fn hex(bytes: &[u8]) -> Val {
    Val::Text(conversion::hex(bytes))
}

#[cfg(test)]
mod tests;
