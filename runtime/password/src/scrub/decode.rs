//! The ways in which servers and libraries write text into text. Each takes the front of some bytes
//! and says what an escape there stands for.

use super::layer::{Decoded, Decoder, Layer};

/// Escapes of characters, that leave the rest of a text as it is.
pub(super) const ESCAPES: &[Decoder] = &[percent, form, quoted, backslash, octal, entity];

/// Forms that a whole run of characters stands in.
pub(super) const BINARY: &[fn(&Layer) -> Option<Layer>] = &[
    |layer| base64(layer, 0),
    |layer| base64(layer, 1),
    |layer| base64(layer, 2),
    |layer| base64(layer, 3),
    |layer| hex(layer, 0),
    |layer| hex(layer, 1),
];

/// Longest name of an entity, with what is around it.
const ENTITY_BYTES_MAX: usize = 12;

/// Stands twice between two runs, so that nothing reads across: no text has it, neither as UTF-8
/// nor, being half of a surrogate pair, as UTF-16.
const BETWEEN: u8 = 0xd8;

/// Names of entities for U+00A0 and on (HTML 4, Latin-1).
const LATIN1_ENTITIES: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo \
    not shy reg macr deg plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 \
    frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc \
    Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave \
    Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave \
    eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide \
    oslash ugrave uacute ucirc uuml yacute thorn yuml";

/// `%41`, and `%u0041` of old scripts.
fn percent(bytes: &[u8]) -> Option<(Decoded, usize)> {
    match bytes {
        [b'%', b'u', rest @ ..] => code_point(rest, 4).map(|it| (Decoded::character(it), 6)),
        [b'%', a, b, ..] => Some((Decoded::byte(pair(*a, *b)?), 3)),
        _ => None,
    }
}

/// Percent-encoding of forms, where a plus sign is a space.
fn form(bytes: &[u8]) -> Option<(Decoded, usize)> {
    if bytes.first() == Some(&b'+') {
        return Some((Decoded::byte(b' '), 1));
    }
    percent(bytes)
}

/// Escapes of JSON, C and scripts: `\u0041`, with surrogates in pairs; `\x41`; `\n`; and `\` before
/// a character that stands for itself.
fn quoted(bytes: &[u8]) -> Option<(Decoded, usize)> {
    let [b'\\', kind, rest @ ..] = bytes else { return None };
    let control = |byte| Some((Decoded::byte(byte), 2));
    match kind {
        b'u' | b'U' => {
            let unit = number(rest, 4, 16)?;
            if let Some(character) = char::from_u32(unit) {
                return Some((Decoded::character(character), 6));
            }
            let [b'\\', b'u' | b'U', low @ ..] = rest.get(4..)? else { return None };
            let units = [u16::try_from(unit).ok()?, u16::try_from(number(low, 4, 16)?).ok()?];
            let character = char::decode_utf16(units).next()?.ok()?;
            Some((Decoded::character(character), 12))
        }
        b'x' => code_point(rest, 2).map(|it| (Decoded::character(it), 4)),
        b'n' => control(b'\n'),
        b'r' => control(b'\r'),
        b't' => control(b'\t'),
        b'b' => control(8),
        b'f' => control(12),
        b'v' => control(11),
        b'0' => control(0),
        byte if byte.is_ascii_punctuation() || *byte == b' ' => control(*byte),
        _ => None,
    }
}

/// Escapes of bytes: `\41` in DNs and filters, `\x41` in dumps. A character that stands for itself
/// after `\` too.
fn backslash(bytes: &[u8]) -> Option<(Decoded, usize)> {
    match bytes {
        [b'\\', b'x', a, b, ..] => Some((Decoded::byte(pair(*a, *b)?), 4)),
        [b'\\', byte, ..] if byte.is_ascii_punctuation() => Some((Decoded::byte(*byte), 2)),
        [b'\\', a, b, ..] => Some((Decoded::byte(pair(*a, *b)?), 3)),
        _ => None,
    }
}

/// Escapes of bytes in logs: `\303\251`.
fn octal(bytes: &[u8]) -> Option<(Decoded, usize)> {
    let (b'\\', rest) = bytes.split_first()? else { return None };
    let byte = u8::try_from(number(rest, 3, 8)?).ok()?;
    Some((Decoded::byte(byte), 4))
}

/// `&amp;`, `&#38;`, `&#x26;`.
fn entity(bytes: &[u8]) -> Option<(Decoded, usize)> {
    let (b'&', rest) = bytes.split_first()? else { return None };
    let end = rest.iter().take(ENTITY_BYTES_MAX).position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&rest[..end]).ok()?;
    let character = match name.strip_prefix('#') {
        Some(digits) => {
            let value = match digits.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => digits.parse(),
            };
            char::from_u32(value.ok()?)?
        }
        None => named(name)?,
    };
    let decoded = Decoded::character(character);
    // `&gt;` and the like are never shorter than their character; a made-up `&#1;` is not either.
    Some((decoded, end + 2))
}

fn named(name: &str) -> Option<char> {
    let plain = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let at = LATIN1_ENTITIES.split_whitespace().position(|it| it == name)?;
            return char::from_u32(0xa0 + u32::try_from(at).ok()?);
        }
    };
    Some(plain)
}

/// Base64 of either alphabet: every run of its characters, read from its `skip`th on, since what
/// stands before may be of that alphabet by chance. Lines may be broken within.
fn base64(layer: &Layer, skip: usize) -> Option<Layer> {
    let value = |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    runs(layer, skip, 6, value)
}

/// Hexadecimal in either case: every run of digits, from its `skip`th on.
fn hex(layer: &Layer, skip: usize) -> Option<Layer> {
    let value = |byte| char::from(byte).to_digit(16).and_then(|it| u8::try_from(it).ok());
    runs(layer, skip, 4, value)
}

/// Bytes of all runs of digits that stand for so many bits each, apart from each other. `None`:
/// there is no byte.
fn runs(
    layer: &Layer,
    skip: usize,
    bits: usize,
    value: impl Fn(u8) -> Option<u8>,
) -> Option<Layer> {
    let mut result = Layer::with_room(layer.bytes().len());
    let mut found = false;
    let (mut digits, mut pending, mut begun) = (0, 0_u32, (0, 0));
    let mut pending_bits = 0;
    for (byte, place) in layer.bytes().iter().zip(layer.places()) {
        if matches!(byte, b'\r' | b'\n') {
            continue;
        }
        let Some(digit) = value(*byte) else {
            if digits > 0 {
                for _ in 0..2 {
                    result.push(BETWEEN, (place.0, place.0));
                }
            }
            (digits, pending, pending_bits) = (0, 0, 0);
            continue;
        };
        digits += 1;
        if digits <= skip {
            continue;
        }
        // The digit that completes a byte may also begin the next one.
        if pending_bits == 0 {
            begun = *place;
        }
        pending = (pending << bits) | u32::from(digit);
        pending_bits += bits;
        if pending_bits >= 8 {
            pending_bits -= 8;
            result.push((pending >> pending_bits) as u8, (begun.0, place.1));
            pending &= (1 << pending_bits) - 1;
            begun = *place;
            found = true;
        }
    }
    found.then_some(result)
}

fn code_point(bytes: &[u8], digits: usize) -> Option<char> {
    char::from_u32(number(bytes, digits, 16)?)
}

fn pair(a: u8, b: u8) -> Option<u8> {
    u8::try_from(number(&[a, b], 2, 16)?).ok()
}

/// Exactly so many digits.
fn number(bytes: &[u8], digits: usize, radix: u32) -> Option<u32> {
    bytes
        .get(..digits)?
        .iter()
        .try_fold(0, |sum, byte| Some(sum * radix + char::from(*byte).to_digit(radix)?))
}
