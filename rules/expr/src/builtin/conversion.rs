//! Encodings, and the identifiers of directories: GUID and SID.

use super::Arguments;
use crate::error::Fault;
use crate::value::Val;

type Answer = Result<Option<Val>, Fault>;

/// RFC 4648, section 4.
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const SID_REVISION: u8 = 1;
const SID_AUTHORITIES_MAX: usize = 15;

/// Binary values as their bytes, texts as UTF-16LE (C9).
pub(super) fn to_base64(arguments: &Arguments<'_>) -> Answer {
    let Some(value) = arguments.value(0) else { return Ok(None) };
    let text = match value {
        Val::Binary(bytes) => base64(bytes),
        _ => base64(&value.text()?.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
    };
    Ok(Some(Val::Text(text)))
}

pub(super) fn from_base64(arguments: &Arguments<'_>) -> Answer {
    let Some(text) = arguments.text(0)? else { return Ok(None) };
    let wrong = || Val::from(&*text).is_not("base64 of text in this encoding");
    let bytes = bytes_of_base64(&text).ok_or_else(wrong)?;
    let decoded = match &*arguments.word(1, "Unicode")? {
        "Unicode" => utf16(&bytes),
        "ASCII" if !bytes.is_ascii() => None,
        _ => String::from_utf8(bytes).ok(),
    };
    decoded.map(|text| Some(Val::Text(text))).ok_or_else(wrong)
}

/// Upper case.
pub(super) fn to_utf8_hex(arguments: &Arguments<'_>) -> Answer {
    Ok(arguments.text(0)?.map(|text| Val::Text(hex(text.as_bytes()))))
}

pub(super) fn from_utf8_hex(arguments: &Arguments<'_>) -> Answer {
    let Some(text) = arguments.text(0)? else { return Ok(None) };
    bytes_of_hex(&text)
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(|text| Some(Val::Text(text)))
        .ok_or_else(|| Val::from(&*text).is_not("hexadecimal UTF-8"))
}

/// Text to the 16 bytes of a directory.
pub(super) fn c_guid(arguments: &Arguments<'_>) -> Answer {
    let Some(text) = arguments.text(0)? else { return Ok(None) };
    guid(&text)
        .map(|bytes| Some(Val::Binary(bytes.to_vec())))
        .ok_or_else(|| Val::from(&*text).is_not("a GUID"))
}

/// Lower case, without braces.
pub(super) fn string_from_guid(arguments: &Arguments<'_>) -> Answer {
    let Some(bytes) = arguments.binary(0)? else { return Ok(None) };
    let Ok(bytes) = <[u8; 16]>::try_from(bytes) else {
        return Err(Val::Binary(bytes.to_vec()).is_not("a GUID of 16 bytes"));
    };
    let bytes = turned(bytes);
    let hex = |part: &[u8]| part.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let groups = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]];
    Ok(Some(Val::Text(groups.map(hex).join("-"))))
}

/// Source: MS-DTYP 2.4.2.1 (text) and 2.4.2.2 (bytes).
pub(super) fn string_from_sid(arguments: &Arguments<'_>) -> Answer {
    let Some(bytes) = arguments.binary(0)? else { return Ok(None) };
    let wrong = || Val::Binary(bytes.to_vec()).is_not("a SID");
    let (head, tail) = bytes.split_at_checked(8).ok_or_else(wrong)?;
    let (authorities, rest) = tail.as_chunks::<4>();
    let counted = authorities.len() == usize::from(head[1]) && rest.is_empty();
    if !counted || head[0] != SID_REVISION || authorities.len() > SID_AUTHORITIES_MAX {
        return Err(wrong());
    }
    let authority = head[2..].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut text = match u32::try_from(authority) {
        Ok(authority) => format!("S-{SID_REVISION}-{authority}"),
        Err(_) => format!("S-{SID_REVISION}-0x{authority:012X}"),
    };
    for part in authorities {
        text += &format!("-{}", u32::from_le_bytes(*part));
    }
    Ok(Some(Val::Text(text)))
}

pub(super) fn is_string(arguments: &Arguments<'_>) -> Answer {
    Ok(Some(Val::Boolean(matches!(arguments.value(0), Some(Val::Text(_))))))
}

pub(super) fn is_numeric(arguments: &Arguments<'_>) -> Answer {
    Ok(Some(Val::Boolean(arguments.value(0).is_some_and(|value| value.number().is_ok()))))
}

/// A text that [`c_guid`] takes.
pub(super) fn is_guid(arguments: &Arguments<'_>) -> Answer {
    let is = match arguments.value(0) {
        Some(Val::Text(text)) => guid(text).is_some(),
        _ => false,
    };
    Ok(Some(Val::Boolean(is)))
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = BASE64[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// With padding, and with no bits set beyond the last byte. White space around and within is passed
/// over, since long values come broken over lines.
pub(super) fn bytes_of_base64(text: &str) -> Option<Vec<u8>> {
    let letters: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let (groups, rest) = letters.as_chunks::<4>();
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (index, group) in groups.iter().enumerate() {
        let padding = group.iter().rev().take_while(|letter| **letter == b'=').count();
        let last = index + 1 == groups.len();
        if padding > 2 || (padding > 0 && !last) {
            return None;
        }
        let mut bits = 0_u32;
        for letter in &group[..4 - padding] {
            let value = BASE64.iter().position(|known| known == letter)?;
            bits = bits << 6 | value as u32;
        }
        bits <<= 6 * padding;
        let [_, three @ ..] = bits.to_be_bytes();
        let (used, unused) = three.split_at(3 - padding);
        if unused.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(used);
    }
    rest.is_empty().then_some(bytes)
}

/// Two upper-case digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |letter: u8| char::from(letter).to_digit(16);
    let bytes =
        pairs.iter().map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok());
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

fn utf16(bytes: &[u8]) -> Option<String> {
    let (units, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

/// Text with or without braces to bytes in the order of a directory.
fn guid(text: &str) -> Option<[u8; 16]> {
    let inner = match text.strip_prefix('{') {
        Some(inner) => inner.strip_suffix('}')?,
        None => text,
    };
    let groups: Vec<&str> = inner.split('-').collect();
    if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    bytes_of_hex(&groups.concat())?.try_into().ok().map(turned)
}

/// The first three groups of a GUID are stored low byte first; turning twice changes nothing.
fn turned(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn c09_base64_of_texts_and_of_bytes() {
        check("ConvertToBase64(\"Hello world!\")", "", "'SABlAGwAbABvACAAdwBvAHIAbABkACEA'");
        check("ConvertToBase64([x])", "x=0x", "''");
        check("ConvertToBase64([x])", "x=0xff", "'/w=='");
        check("ConvertToBase64([x])", "x=0xfffe", "'//4='");
        check("ConvertToBase64([x])", "x=0xfffefd", "'//79'");
        check("ConvertToBase64([x])", "", "NULL");
        check("ConvertFromBase64(\"SABlAGwAbABvACAAdwBvAHIAbABkACEA\")", "", "'Hello world!'");
        check("ConvertFromBase64(\"SGVsbG8gd29ybGQh\", UTF8)", "", "'Hello world!'");
        check("ConvertFromBase64(\"SGVsbG8=\", ASCII)", "", "'Hello'");
        check("ConvertFromBase64([x])", "", "NULL");
        for wrong in ["SGV", "S===", "SGVs!GV=", "SGVsbG9=", "=AAA", "SG==SG=="] {
            check(
                &format!("ConvertFromBase64(\"{wrong}\", UTF8)"),
                "",
                &format!("error: `{wrong}` is not base64 of text in this encoding at 1:1"),
            );
        }
    }

    #[test]
    fn hexadecimal_utf8() {
        check("ConvertToUTF8Hex(\"Hello world!\")", "", "'48656C6C6F20776F726C6421'");
        check("ConvertToUTF8Hex(\"筧\")", "", "'E7ADA7'");
        check("ConvertToUTF8Hex([x])", "", "NULL");
        check("ConvertFromUTF8Hex(\"48656C6C6F20776F726C6421\")", "", "'Hello world!'");
        check("ConvertFromUTF8Hex(\"4\")", "", "error: `4` is not hexadecimal UTF-8 at 1:1");
        check("ConvertFromUTF8Hex(\"FF\")", "", "error: `FF` is not hexadecimal UTF-8 at 1:1");
    }

    #[test]
    fn guids_are_stored_low_byte_first() {
        let (text, bytes) =
            ("00112233-4455-6677-8899-aabbccddeeff", "0x33221100554477668899aabbccddeeff");
        check(&format!("CGuid(\"{text}\")"), "", bytes);
        check(&format!("CGuid(\"{{{text}}}\")"), "", bytes);
        check("StringFromGuid([x])", &format!("x={bytes}"), &format!("'{text}'"));
        check("StringFromGuid([x])", "", "NULL");
        check(
            "StringFromGuid([x])",
            "x=0x00",
            "error: a binary value of 1 bytes is not a GUID of 16 bytes at 1:1",
        );
        check("CGuid(\"0011\")", "", "error: `0011` is not a GUID at 1:1");
        check(&format!("IsGuid(\"{text}\")"), "", "True");
        check(&format!("IsGuid(\"{{{text}\")"), "", "False");
    }

    #[test]
    fn sids() {
        check(
            "StringFromSid([x])",
            "x=0x010500000000000515000000a065cf7e784b9b5fe77c8770091c0100",
            "'S-1-5-21-2127521184-1604012920-1887927527-72713'",
        );
        check("StringFromSid([x])", "x=0x010100000000000512000000", "'S-1-5-18'");
        check("StringFromSid([x])", "", "NULL");
        check(
            "StringFromSid([x])",
            "x=0x0102000000000005",
            "error: a binary value of 8 bytes is not a SID at 1:1",
        );
        check("StringFromSid([x])", "x=0x0101010000000000ff000000", "'S-1-0x010000000000-255'");
        for wrong in ["0x", "0x020100000000000512000000", "0x01010000000000051200000000"] {
            let message = format!(
                "error: a binary value of {} bytes is not a SID at 1:1",
                wrong.len() / 2 - 1
            );
            check("StringFromSid([x])", &format!("x={wrong}"), &message);
        }
    }

    #[test]
    fn types() {
        check("IsString([x])", "x='a'", "True");
        check("IsString([x])", "x=0x00", "False");
        check("IsString([x])", "", "False");
        check("IsNumeric(\"12\")", "", "True");
        check("IsNumeric(\"1a\")", "", "False");
        check("IsNumeric([x])", "", "False");
    }
}
