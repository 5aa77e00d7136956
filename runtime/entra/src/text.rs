//! From the bytes of a file to its text. Tools on Windows write UTF-8 and UTF-16, with a mark in
//! front or without.

use crate::fault::{ENCODING, Fault, UNREADABLE};

/// Largest file in bytes: ten times the schema of a directory with Exchange.
pub const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Decodes a file. Errors: too large, or no text in these encodings.
pub fn decode(file: &str, bytes: &[u8]) -> Result<String, Fault> {
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, at most {FILE_BYTES_MAX}", bytes.len());
        return Err(Fault::new(UNREADABLE, message)
            .at(file, 0)
            .hint("name the folder of an export, not a backup of the server"));
    }
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // Without a mark, the zero bytes of the first Latin letter tell which half comes first.
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        bytes => utf8(bytes),
    };
    text.map_err(|(line, what)| {
        Fault::new(ENCODING, what)
            .at(file, line)
            .hint("save it as UTF-8 or UTF-16, as the tools of Entra Connect do")
    })
}

fn utf8(bytes: &[u8]) -> Result<String, (u32, &'static str)> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        (u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1), "the file is no UTF-8 text")
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, (u32, &'static str)> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err((0, "the file ends within a character of UTF-16"));
    }
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units)
        .collect::<Result<String, _>>()
        .map_err(|_| (0, "the file is no UTF-16 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn both_encodings_are_read_with_and_without_a_mark() {
        let text = "<a>筧</a>";
        let marked = format!("\u{feff}{text}");
        for bytes in [
            text.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            units(text, u16::to_le_bytes),
            units(text, u16::to_be_bytes),
            units(&marked, u16::to_le_bytes),
            units(&marked, u16::to_be_bytes),
        ] {
            assert_eq!(decode("a.xml", &bytes).as_deref(), Ok(text), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        let told = |bytes: &[u8]| decode("a.xml", bytes).map_err(|fault| (fault.code, fault.line));
        assert_eq!(told(b"a\nb\xff"), Err((ENCODING, 2)));
        assert_eq!(told(b"\xff\xfea"), Err((ENCODING, 0)));
        assert_eq!(told(&[0xFF, 0xFE, 0x00, 0xD8]), Err((ENCODING, 0)));
        assert_eq!(told(&vec![b' '; FILE_BYTES_MAX + 1]), Err((UNREADABLE, 0)));
        assert_eq!(told(b""), Ok(String::new()));
    }
}
