//! One way to read a text: bytes flow in with the place in the text that each came from, the same
//! flows out with escapes taken away, or as characters.

use zeroize::Zeroizing;

/// What one escape stands for: at most four bytes, and how many it takes up. `None`: no escape.
pub(super) type Decoder = fn(&[u8]) -> Option<(Decoded, usize)>;

/// The bytes of one character, or one byte.
pub(super) struct Decoded {
    bytes: [u8; 4],
    length: usize,
}

/// Bytes and the places they came from, in bytes of the text: from, to.
#[derive(PartialEq, Eq)]
pub(super) struct Layer {
    bytes: Zeroizing<Vec<u8>>,
    places: Vec<(usize, usize)>,
}

/// Characters without their case, and the places they came from.
pub(super) struct Reading {
    pub characters: Zeroizing<Vec<char>>,
    pub places: Vec<(usize, usize)>,
}

// === impl Decoded ===

impl Decoded {
    pub(super) fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    pub(super) fn character(character: char) -> Self {
        let mut bytes = [0; 4];
        let length = character.encode_utf8(&mut bytes).len();
        Self { bytes, length }
    }
}

// === impl Layer ===

impl Layer {
    pub(super) fn of(text: &str) -> Self {
        let places = (0..text.len()).map(|at| (at, at + 1)).collect();
        Self { bytes: Zeroizing::new(text.as_bytes().to_vec()), places }
    }

    /// With room for so many bytes: one that grows would leave a copy behind.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(bytes)), places: Vec::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn places(&self) -> &[(usize, usize)] {
        &self.places
    }

    pub(super) fn push(&mut self, byte: u8, place: (usize, usize)) {
        self.bytes.push(byte);
        self.places.push(place);
    }

    /// Without the escapes of one kind; `None` if it has none.
    pub(super) fn decoded(&self, decoder: &Decoder) -> Option<Self> {
        let mut result = Self::with_room(self.bytes.len());
        let mut changed = false;
        let mut at = 0;
        while at < self.bytes.len() {
            if let Some((decoded, length)) = decoder(&self.bytes[at..]) {
                // An escape is never shorter than what it stands for, so the room suffices.
                let place = (self.places[at].0, self.places[at + length - 1].1);
                for byte in &decoded.bytes[..decoded.length] {
                    result.push(*byte, place);
                }
                changed = true;
                at += length;
            } else {
                result.push(self.bytes[at], self.places[at]);
                at += 1;
            }
        }
        changed.then_some(result)
    }

    /// As UTF-8, and as UTF-16 in both orders from either byte on.
    pub(super) fn readings(&self) -> impl Iterator<Item = Reading> {
        let wide = [
            (0, u16::from_le_bytes as fn([u8; 2]) -> u16),
            (1, u16::from_le_bytes),
            (0, u16::from_be_bytes),
            (1, u16::from_be_bytes),
        ];
        let wide = wide.into_iter().map(|(offset, unit)| self.as_utf16(offset, unit));
        std::iter::once(self.as_utf8()).chain(wide)
    }

    fn as_utf8(&self) -> Reading {
        let mut reading = Reading::with_room(self.bytes.len());
        let mut at = 0;
        for chunk in self.bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                let end = at + character.len_utf8();
                reading.push(character, (self.places[at].0, self.places[end - 1].1));
                at = end;
            }
            for _ in chunk.invalid() {
                reading.push(char::REPLACEMENT_CHARACTER, self.places[at]);
                at += 1;
            }
        }
        reading
    }

    fn as_utf16(&self, offset: usize, unit: fn([u8; 2]) -> u16) -> Reading {
        let bytes = self.bytes.get(offset..).unwrap_or_default();
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
        let mut reading = Reading::with_room(bytes.len());
        let mut at = offset;
        for character in char::decode_utf16(units) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            let end = at + 2 * character.len_utf16();
            reading.push(character, (self.places[at].0, self.places[end - 1].1));
            at = end;
        }
        reading
    }
}

// === impl Reading ===

impl Reading {
    /// So many bytes never read as more characters, even without their case.
    fn with_room(bytes: usize) -> Self {
        let characters = Zeroizing::new(Vec::with_capacity(bytes));
        Self { characters, places: Vec::with_capacity(bytes) }
    }

    fn push(&mut self, character: char, place: (usize, usize)) {
        for lower in character.to_lowercase() {
            self.characters.push(lower);
            self.places.push(place);
        }
    }
}
