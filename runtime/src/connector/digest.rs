//! Digests that tell whether something is still the same. Texts flow in, hexadecimal digits flow
//! out.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// Read at once when a file is digested.
const CHUNK_BYTES: usize = 64 * 1024;

/// One digest of many texts, in order; no two lists of texts share it.
pub fn of_parts<'p>(parts: impl IntoIterator<Item = &'p str>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // The length keeps neighbouring texts apart.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// The digest of all that is still to be read.
pub fn of_reader(reader: &mut impl Read) -> io::Result<String> {
    let (mut digest, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        match reader.read(&mut chunk)? {
            0 => return Ok(hex(&digest.finalize())),
            read => digest.update(&chunk[..read]),
        }
    }
}

/// Two lower-case digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_texts_are_kept_apart() {
        assert_ne!(of_parts(["ab", "c"]), of_parts(["a", "bc"]));
        assert_ne!(of_parts(["a"]), of_parts(["a", ""]));
        assert_eq!(of_parts(["a", "b"]), of_parts(["a", "b"]));
    }

    #[test]
    fn a_text_has_its_known_digest() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of_reader(&mut io::empty()).unwrap(), empty);
    }
}
