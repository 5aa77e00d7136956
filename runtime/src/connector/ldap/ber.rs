//! BER (X.690) as far as LDAP uses it, without recursion and without panics: bytes of an untrusted
//! server flow in, slices of them flow out.

/// Deepest nesting accepted: LDAP itself needs about ten, and a deep filter never comes back
/// (L-31).
pub const DEPTH_MAX: usize = 64;
/// Longest length field accepted: four bytes announce 4 GiB already.
const LENGTH_BYTES_MAX: usize = 4;

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const OCTETS: u8 = 0x04;
pub const ENUMERATED: u8 = 0x0a;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BerError {
    #[error("an element ends too early")]
    Cut,
    #[error("a length is indefinite, too long or does not fit its parent")]
    Length,
    #[error("elements are nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("unexpected {0}")]
    Unexpected(&'static str),
}

/// The first bytes of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub tag: u8,
    /// Bytes of tag and length.
    pub head: usize,
    /// Bytes of content, as announced.
    pub content: usize,
}

/// Reads the header of the first element; `None`: more bytes are needed.
///
/// Errors: high tag numbers, indefinite lengths, lengths of more than four bytes; LDAP has none.
pub fn header(bytes: &[u8]) -> Result<Option<Header>, BerError> {
    let (Some(&tag), Some(&length)) = (bytes.first(), bytes.get(1)) else {
        return Ok(None);
    };
    if tag & 0x1f == 0x1f {
        return Err(BerError::Unexpected("high tag number"));
    }
    if length < 0x80 {
        return Ok(Some(Header { tag, head: 2, content: usize::from(length) }));
    }
    let count = usize::from(length & 0x7f);
    if count == 0 || count > LENGTH_BYTES_MAX {
        return Err(BerError::Length);
    }
    let Some(digits) = bytes.get(2..2 + count) else {
        return Ok(None);
    };
    let content = digits.iter().fold(0, |sum, &digit| sum << 8 | usize::from(digit));
    Ok(Some(Header { tag, head: 2 + count, content }))
}

/// Walks one complete element: every length fits its parent, nesting stays within [`DEPTH_MAX`].
pub fn check(element: &[u8]) -> Result<(), BerError> {
    let (mut ends, mut at) = (Vec::with_capacity(DEPTH_MAX), 0);
    loop {
        while ends.last() == Some(&at) {
            ends.pop();
        }
        let end = *ends.last().unwrap_or(&element.len());
        if at == end {
            return Ok(());
        }
        let header = header(&element[at..end])?.ok_or(BerError::Cut)?;
        if header.content > end - at - header.head {
            return Err(BerError::Length);
        }
        at += header.head;
        if header.tag & 0x20 == 0 {
            at += header.content;
        } else if ends.len() == DEPTH_MAX {
            return Err(BerError::TooDeep);
        } else {
            ends.push(at + header.content);
        }
    }
}

/// Takes the first element off `bytes`, whatever it is; gives its tag and content.
pub fn take_any<'a>(bytes: &mut &'a [u8]) -> Result<(u8, &'a [u8]), BerError> {
    let Header { tag, head, content } = header(bytes)?.ok_or(BerError::Cut)?;
    let element = bytes.get(head..head + content).ok_or(BerError::Cut)?;
    *bytes = &bytes[head + content..];
    Ok((tag, element))
}

/// Takes the first element off `bytes`, which must have this tag; gives its content.
pub fn take<'a>(bytes: &mut &'a [u8], tag: u8) -> Result<&'a [u8], BerError> {
    match bytes.first() {
        Some(found) if *found != tag => Err(BerError::Unexpected("tag")),
        _ => take_any(bytes).map(|(_, content)| content),
    }
}

/// Takes the first element off `bytes` only if it has this tag.
pub fn optional<'a>(bytes: &mut &'a [u8], tag: u8) -> Result<Option<&'a [u8]>, BerError> {
    if bytes.first() == Some(&tag) { take(bytes, tag).map(Some) } else { Ok(None) }
}

/// Takes an octet string that is text.
pub fn text<'a>(bytes: &mut &'a [u8], tag: u8) -> Result<&'a str, BerError> {
    std::str::from_utf8(take(bytes, tag)?).map_err(|_| BerError::Unexpected("bytes in a text"))
}

/// The value of an INTEGER or ENUMERATED content between 0 and 2^31-1: all that LDAP allows.
pub fn unsigned(content: &[u8]) -> Result<u32, BerError> {
    match content {
        [] => Err(BerError::Cut),
        [first, ..] if *first & 0x80 != 0 => Err(BerError::Unexpected("negative number")),
        _ if content.len() > 4 => Err(BerError::Unexpected("large number")),
        _ => Ok(content.iter().fold(0, |sum, &digit| sum << 8 | u32::from(digit))),
    }
}

/// Encodes an element.
pub fn put(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => out.push(length),
        _ => {
            out.push(0x84);
            // Requests hold a cookie and a few numbers: they never come near 4 GiB.
            out.extend((content.len() as u32).to_be_bytes());
        }
    }
    out.extend(content);
    out
}

/// Encodes an INTEGER in its shortest form.
pub fn put_integer(value: i32) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let redundant =
        |at: &usize| matches!((bytes[*at], bytes[at + 1] & 0x80), (0, 0) | (0xff, 0x80));
    let skip = (0..3).take_while(redundant).count();
    put(INTEGER, &bytes[skip..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l31_headers_are_definite_short_and_low() {
        for (bytes, expected) in [
            (&[][..], Ok(None)),
            (&[0x30], Ok(None)),
            (&[0x30, 0x82, 1], Ok(None)),
            (&[0x30, 5], Ok(Some(Header { tag: 0x30, head: 2, content: 5 }))),
            (&[0x04, 0x82, 1, 0], Ok(Some(Header { tag: 4, head: 4, content: 256 }))),
            (
                &[0x04, 0x84, 0x7f, 0, 0, 0],
                Ok(Some(Header { tag: 4, head: 6, content: 0x7f << 24 })),
            ),
            (&[0x30, 0x80], Err(BerError::Length)),
            (&[0x30, 0x85, 0, 0, 0, 0, 1], Err(BerError::Length)),
            (&[0x3f, 0x81, 1], Err(BerError::Unexpected("high tag number"))),
        ] {
            assert_eq!(header(bytes), expected, "{bytes:?}");
        }
    }

    fn nested(depth: usize) -> Vec<u8> {
        (1..depth).fold(put(SEQUENCE, &[]), |inner, _| put(SEQUENCE, &inner))
    }

    #[test]
    fn l31_nesting_is_accepted_up_to_the_limit_and_not_one_deeper() {
        assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(check(&nested(DEPTH_MAX + 1)), Err(BerError::TooDeep));
        // Deep enough to overflow the stack of a recursive reader.
        assert_eq!(check(&nested(10_000)), Err(BerError::TooDeep));
    }

    #[test]
    fn l31_a_length_that_leaves_its_parent_is_refused() {
        assert_eq!(check(&[0x30, 3, 0x04, 2, 1]), Err(BerError::Length));
        assert_eq!(check(&[0x30, 2, 0x04]), Err(BerError::Length));
        assert_eq!(check(&[0x30, 1, 0x04]), Err(BerError::Cut));
        assert_eq!(check(&[0x30, 3, 0x04, 1, 1]), Ok(()));
    }

    #[test]
    fn numbers_are_read_and_written_in_their_shortest_form() {
        for value in [0, 1, 127, 128, 255, 256, 1_000, 65_535, i32::MAX] {
            let encoded = put_integer(value);
            let content = take(&mut &encoded[..], INTEGER).unwrap();
            assert_eq!(unsigned(content), Ok(value as u32));
        }
        assert_eq!(put_integer(-1), [2, 1, 0xff]);
        assert_eq!(put_integer(128), [2, 2, 0, 128]);
        assert_eq!(unsigned(&[0x80]), Err(BerError::Unexpected("negative number")));
        assert_eq!(unsigned(&[1, 0, 0, 0, 0]), Err(BerError::Unexpected("large number")));
        assert_eq!(unsigned(&[]), Err(BerError::Cut));
    }

    #[test]
    fn elements_are_taken_one_after_the_other() {
        let encoded = [put(OCTETS, b"ab"), put(SEQUENCE, &[7; 200])].concat();
        let mut rest = &encoded[..];
        assert_eq!(optional(&mut rest, INTEGER), Ok(None));
        assert_eq!(text(&mut rest, OCTETS), Ok("ab"));
        assert_eq!(take(&mut rest, OCTETS), Err(BerError::Unexpected("tag")));
        assert_eq!(take(&mut rest, SEQUENCE), Ok(&[7; 200][..]));
        assert_eq!(take(&mut rest, SEQUENCE), Err(BerError::Cut));
    }
}
