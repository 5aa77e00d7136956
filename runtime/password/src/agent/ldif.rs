//! LDIF as hooks hand it over (RFC 2849). Bytes flow in, in any pieces; attributes flow out, one at
//! a time, and are erased when they are let go: any of them may be a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Longest attribute that is kept whole: room for a DN, and for more password than can be sealed.
/// Of longer ones (photos) only the name is told.
pub const FIELD_BYTES_MAX: usize = 16 * 1024;

/// Joins the pieces of a text to whole lines. Its memory never moves, so no copy stays behind.
pub struct Lines {
    line: Zeroizing<Vec<u8>>,
    any: bool,
    cut: bool,
    after_newline: bool,
}

/// What stands on one whole line.
pub enum Line<'a> {
    Field(Field<'a>),
    /// A line without a colon: the name of an operation, or `-`.
    Word(&'a str),
    /// Nothing: the end of a message.
    Empty,
}

/// One attribute with one value.
pub struct Field<'a> {
    /// Without its options.
    name: &'a str,
    value: Value<'a>,
}

enum Value<'a> {
    Text(&'a [u8]),
    Base64(&'a [u8]),
    /// A link to a file, which nobody opens here.
    Link,
    TooLong,
}

/// The value cannot be had: it is not base64, a link, or longer than [`FIELD_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("it is not base64")]
    Base64,
    #[error("it is a link to a file")]
    Link,
    #[error("it is longer than {FIELD_BYTES_MAX} bytes")]
    TooLong,
}

// === impl Lines ===

impl Default for Lines {
    fn default() -> Self {
        Self {
            line: Zeroizing::new(Vec::with_capacity(FIELD_BYTES_MAX)),
            any: false,
            cut: false,
            after_newline: false,
        }
    }
}

impl Lines {
    /// Takes the next piece; calls `each` with every line that is whole by now. A line is whole
    /// when the next one begins, since it may go on there, or when an empty one follows.
    pub fn feed(&mut self, bytes: &[u8], each: &mut impl FnMut(Line<'_>)) {
        for &byte in bytes {
            let began = std::mem::replace(&mut self.after_newline, byte == b'\n');
            match (began, byte) {
                (false, b'\n') => self.any = true,
                (true, b'\n') => {
                    self.tell(each);
                    each(Line::Empty);
                }
                // A folded line goes on; with nothing before it, the space is its own.
                (true, b' ') if self.any => {}
                (true, byte) => {
                    self.tell(each);
                    self.push(byte);
                }
                (false, byte) => self.push(byte),
            }
        }
    }

    /// The text is over.
    pub fn end(&mut self, each: &mut impl FnMut(Line<'_>)) {
        self.tell(each);
    }

    fn push(&mut self, byte: u8) {
        self.any = true;
        if self.line.len() < FIELD_BYTES_MAX {
            self.line.push(byte);
        } else {
            self.cut = true;
        }
    }

    fn tell(&mut self, each: &mut impl FnMut(Line<'_>)) {
        if std::mem::take(&mut self.any) {
            let cut = std::mem::take(&mut self.cut);
            if let Some(line) = Line::parse(&self.line, cut) {
                each(line);
            }
            // Overwritten, not only forgotten.
            zeroize::Zeroize::zeroize(&mut *self.line);
        }
    }
}

// === impl Line ===

impl<'a> Line<'a> {
    /// `None` for comments and for what cannot be a line of LDIF.
    fn parse(line: &'a [u8], cut: bool) -> Option<Self> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Some(Self::Empty);
        }
        if line.starts_with(b"#") {
            return None;
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return str::from_utf8(line).ok().map(Self::Word);
        };
        let name = str::from_utf8(&line[..colon]).ok()?;
        let name = name.split(';').next().unwrap_or(name);
        let rest = &line[colon + 1..];
        let value = match rest.first() {
            _ if cut => Value::TooLong,
            Some(b':') => Value::Base64(rest[1..].trim_ascii()),
            Some(b'<') => Value::Link,
            // Spaces that belong to a value make it base64, but the first is the writer's.
            _ => Value::Text(rest.strip_prefix(b" ").unwrap_or(rest)),
        };
        Some(Self::Field(Field { name, value }))
    }
}

// === impl Field ===

impl Field<'_> {
    /// Whether it is this attribute; names are compared without case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value, decoded.
    pub fn bytes(&self) -> Result<Zeroizing<Vec<u8>>, ValueError> {
        match self.value {
            Value::Text(text) => Ok(Zeroizing::new(text.to_vec())),
            Value::Base64(text) => decode(text).ok_or(ValueError::Base64),
            Value::Link => Err(ValueError::Link),
            Value::TooLong => Err(ValueError::TooLong),
        }
    }

    /// The value as text, for attributes that are no secrets; `None` if it is none.
    pub fn text(&self) -> Option<String> {
        let bytes = self.bytes().ok()?;
        str::from_utf8(&bytes).ok().map(str::to_owned)
    }
}

/// Base64 in memory that is erased.
fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each line as one text: `name=value`, `!name: why`, a word, or `.` for an empty one.
    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        let mut each = |line: Line<'_>| {
            out.push(match line {
                Line::Empty => ".".into(),
                Line::Word(word) => word.into(),
                Line::Field(field) => match field.bytes() {
                    Ok(bytes) => format!("{}={}", field.name, String::from_utf8_lossy(&bytes)),
                    Err(error) => format!("!{}: {error}", field.name),
                },
            });
        };
        for piece in pieces {
            lines.feed(piece, &mut each);
        }
        lines.end(&mut each);
        out
    }

    #[test]
    fn lines_are_told_as_they_stand() {
        for (text, expected) in [
            ("", vec![]),
            ("a: b", vec!["a=b"]),
            ("a: b\n", vec!["a=b"]),
            ("a:b\r\nc:  d \r\n\r\n", vec!["a=b", "c= d ", "."]),
            ("ADD\na;lang-ja: b\n-\n\n", vec!["ADD", "a=b", "-", "."]),
            ("a:: 44Gy44G/\n 44Gk\n", vec!["a=ひみつ"]),
            ("a: one\n  two\nb:\n", vec!["a=one two", "b="]),
            ("# no: body\n goes on\nx: y\n", vec!["x=y"]),
            (
                "a:: ???\nb:< file:///etc/passwd\n",
                vec!["!a: it is not base64", "!b: it is a link to a file"],
            ),
            ("\n\n a: b\n", vec![".", ".", " a=b"]),
        ] {
            assert_eq!(read(&[text.as_bytes()]), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_named_and_the_next_line_is_whole() {
        let long = format!("jpegPhoto:: {}\nuid: x\n\n", "QUJD".repeat(FIELD_BYTES_MAX));
        let expected = ["!jpegPhoto: it is longer than 16384 bytes", "uid=x", "."];
        assert_eq!(read(&[long.as_bytes()]), expected);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in prop::collection::vec(
            prop_oneof![
                prop::sample::select(b"\n\n \r:a#".to_vec()), any::<u8>()
            ], 0..80), cut in 0usize..80) {
            let (left, right) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(read(&[&bytes]), read(&[left, right]));
        }
    }
}
