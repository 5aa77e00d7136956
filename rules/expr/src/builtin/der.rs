//! The distinguished encoding of ASN.1 (X.690), as far as certificates need it: definite lengths,
//! one-byte tags. Every step checks what it takes; nothing is trusted to be there.

/// Most bytes of a length that are read: a certificate is far below 4 GiB.
const LENGTH_BYTES_MAX: usize = 4;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// One value: its tag, its content, and both with the length between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'d> {
    pub tag: u8,
    pub content: &'d [u8],
    pub whole: &'d [u8],
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'d>(&'d [u8]);

// === impl Reader ===

impl<'d> Reader<'d> {
    pub fn new(bytes: &'d [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next value; `None` where there is none, or a broken one.
    pub fn next(&mut self) -> Option<Element<'d>> {
        let (&tag, rest) = self.0.split_first()?;
        // Tags of several bytes do not occur in certificates.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            // 0x80 is an indefinite length, which this encoding does not have.
            _ => {
                let count = usize::from(first & 0x7f);
                if count == 0 || count > LENGTH_BYTES_MAX {
                    return None;
                }
                let (digits, rest) = rest.split_at_checked(count)?;
                let length = digits.iter().fold(0_u64, |sum, digit| sum << 8 | u64::from(*digit));
                (usize::try_from(length).ok()?, rest)
            }
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some(Element { tag, content, whole })
    }

    /// The next value, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Option<Element<'d>> {
        self.next().filter(|element| element.tag == tag)
    }

    /// The next value if it has this tag; otherwise it stays.
    pub fn optional(&mut self, tag: u8) -> Option<Element<'d>> {
        if self.0.first() == Some(&tag) { self.next() } else { None }
    }
}

// === impl Element ===

impl<'d> Element<'d> {
    pub fn inside(self) -> Reader<'d> {
        Reader::new(self.content)
    }

    /// An object identifier with dots.
    pub fn oid(self) -> Option<String> {
        if self.tag != OID || self.content.last().is_none_or(|last| last & 0x80 != 0) {
            return None;
        }
        let (mut arcs, mut arc) = (Vec::new(), 0_u64);
        for byte in self.content {
            arc = arc.checked_mul(128)? + u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                arcs.push(std::mem::take(&mut arc));
            }
        }
        // The first number holds two arcs, the first of which is 0, 1 or 2.
        let first = (arcs[0] / 40).min(2);
        let rest = arcs[1..].iter().map(|arc| format!(".{arc}")).collect::<String>();
        Some(format!("{first}.{}{rest}", arcs[0] - first * 40))
    }

    /// A text of any of the string types.
    pub fn text(self) -> Option<String> {
        let utf16 = |units: &[[u8; 2]]| {
            let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
            String::from_utf16(&units).ok()
        };
        match self.tag {
            // UTF8String, NumericString, PrintableString, IA5String, VisibleString.
            0x0c | 0x12 | 0x13 | 0x16 | 0x1a => {
                std::str::from_utf8(self.content).ok().map(str::to_owned)
            }
            // TeletexString, which is Latin-1 in practice.
            0x14 => Some(self.content.iter().map(|byte| char::from(*byte)).collect()),
            0x1e => match self.content.as_chunks::<2>() {
                (units, []) => utf16(units),
                _ => None,
            },
            0x1c => match self.content.as_chunks::<4>() {
                (units, []) => {
                    units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()
                }
                _ => None,
            },
            _ => None,
        }
    }
}
