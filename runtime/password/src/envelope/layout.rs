//! The open part of an envelope as bytes, written and read: both sides of one table.
//!
//! ```text
//! u16 length of the open part
//! "KKPW1" | u8 suite | key id, 8 bytes | source | key type | user key | login | agent
//!         | u64 epoch | u64 sequence | u64 captured at, ms | u8 operation
//! encapsulated key, 32 or 65 bytes | ciphertext | tag, 16 bytes
//! ```
//! A text is a u16 length and UTF-8; numbers are big-endian.

use kakehi_engine::password::Operation;

use super::{
    ENVELOPE_BYTES_MAX, EnvelopeError, KeyId, KeyType, LOGIN_BYTES_MAX, Metadata, NAME_BYTES_MAX,
    PASSWORD_BYTES_MAX, Suite, TAG_BYTES, USER_KEY_BYTES_MAX,
};

const MAGIC: &[u8; 5] = b"KKPW1";

/// Bytes of the length in front of the open part; it is not authenticated itself, the fields are.
const LENGTH_BYTES: usize = 2;

/// A text field: its name, its longest, whether it may be empty.
struct Field {
    name: &'static str,
    max: usize,
    optional: bool,
}

const SOURCE: Field = Field { name: "source_id", max: NAME_BYTES_MAX, optional: false };
const KEY_TYPE: Field = Field { name: "key_type", max: 5, optional: false };
const USER_KEY: Field = Field { name: "user_key", max: USER_KEY_BYTES_MAX, optional: false };
const LOGIN: Field = Field { name: "login_name", max: LOGIN_BYTES_MAX, optional: true };
const AGENT: Field = Field { name: "agent_id", max: NAME_BYTES_MAX, optional: false };

/// What an envelope says openly.
pub(super) struct Open {
    pub suite: Suite,
    pub key_id: KeyId,
    pub metadata: Metadata,
    pub sealed_at: usize,
}

/// The bytes that the seal covers besides the password.
pub(super) fn authenticated(bytes: &[u8], sealed_at: usize) -> &[u8] {
    &bytes[LENGTH_BYTES..sealed_at]
}

/// Gives the length and the open part, with room for all that follows.
pub(super) fn write(
    suite: Suite,
    key_id: KeyId,
    metadata: &Metadata,
) -> Result<Vec<u8>, EnvelopeError> {
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES_MAX);
    bytes.extend_from_slice(&[0; LENGTH_BYTES]);
    bytes.extend_from_slice(MAGIC);
    bytes.push(suite as u8);
    bytes.extend_from_slice(&key_id.0);
    for (field, text) in [
        (SOURCE, metadata.source.as_str()),
        (KEY_TYPE, metadata.key_type.as_str()),
        (USER_KEY, &metadata.user_key),
        (LOGIN, &metadata.login),
        (AGENT, &metadata.agent),
    ] {
        field.check(text.len())?;
        push_length(&mut bytes, text.len());
        bytes.extend_from_slice(text.as_bytes());
    }
    for (field, number) in [
        ("agent_epoch", metadata.agent_epoch),
        ("seq", metadata.sequence),
        ("captured_at_ms", metadata.captured_at_ms),
    ] {
        bytes.extend_from_slice(&within(field, number)?.to_be_bytes());
    }
    bytes.push(number_of(metadata.operation));
    let length = (bytes.len() - LENGTH_BYTES) as u16;
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

pub(super) fn read(bytes: &[u8]) -> Result<Open, EnvelopeError> {
    if bytes.len() > ENVELOPE_BYTES_MAX {
        return Err(EnvelopeError::TooLong { bytes: bytes.len() });
    }
    let mut reader = Reader { bytes, at: 0 };
    let told = usize::from(reader.u16("the length of the open part")?);
    if reader.take("version", MAGIC.len())? != MAGIC {
        return Err(EnvelopeError::Version);
    }
    let suite = reader.u8("suite")?;
    let suite = Suite::from_number(suite).ok_or(EnvelopeError::Suite(suite))?;
    let key_id = KeyId(reader.array("kid")?);
    let source = reader.text(&SOURCE)?.to_owned();
    let key_type = KeyType::from_text(reader.text(&KEY_TYPE)?).ok_or(EnvelopeError::KeyType)?;
    let user_key = reader.text(&USER_KEY)?.to_owned();
    let login = reader.text(&LOGIN)?.to_owned();
    let agent = reader.text(&AGENT)?.to_owned();
    let agent_epoch = reader.number("agent_epoch")?;
    let sequence = reader.number("seq")?;
    let captured_at_ms = reader.number("captured_at_ms")?;
    let operation = reader.u8("op")?;
    let operation = operation_of(operation).ok_or(EnvelopeError::Operation(operation))?;
    let sealed_at = reader.at;
    let found = sealed_at - LENGTH_BYTES;
    if told != found {
        return Err(EnvelopeError::Length { told, found });
    }
    reader.take("the encapsulated key", suite.encapsulated_bytes())?;
    // An empty password is never sealed, so a tag alone is a cut envelope.
    reader.take("the ciphertext", 1 + TAG_BYTES)?;
    let plain = bytes.len() - sealed_at - suite.encapsulated_bytes() - TAG_BYTES;
    if plain > PASSWORD_BYTES_MAX {
        let (field, max) = ("the ciphertext", PASSWORD_BYTES_MAX);
        return Err(EnvelopeError::FieldTooLong { field, bytes: plain, max });
    }
    let metadata = Metadata {
        source,
        key_type,
        user_key,
        login,
        agent,
        agent_epoch,
        sequence,
        captured_at_ms,
        operation,
    };
    Ok(Open { suite, key_id, metadata, sealed_at })
}

/// Every field is far shorter than a u16 can say: `Field::check` saw to it.
fn push_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&(length as u16).to_be_bytes());
}

/// Stores and instants are signed; what they cannot hold must not come in.
fn within(field: &'static str, number: u64) -> Result<u64, EnvelopeError> {
    match i64::try_from(number) {
        Ok(_) => Ok(number),
        Err(_) => Err(EnvelopeError::NumberTooLarge { field }),
    }
}

fn number_of(operation: Operation) -> u8 {
    match operation {
        Operation::Change => 1,
        Operation::Reset => 2,
        Operation::Create => 3,
        // Never from an agent: see `Metadata::is_ours`.
        Operation::Initial => 4,
    }
}

fn operation_of(number: u8) -> Option<Operation> {
    [Operation::Change, Operation::Reset, Operation::Create, Operation::Initial]
        .into_iter()
        .find(|operation| number_of(*operation) == number)
}

/// Reads from the front, and says where the bytes ended.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl Field ===

impl Field {
    fn check(&self, bytes: usize) -> Result<(), EnvelopeError> {
        let &Self { name: field, max, optional } = self;
        if bytes == 0 && !optional {
            return Err(EnvelopeError::Empty { field });
        }
        if bytes > max {
            return Err(EnvelopeError::FieldTooLong { field, bytes, max });
        }
        Ok(())
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, field: &'static str, length: usize) -> Result<&'a [u8], EnvelopeError> {
        let Some(bytes) = self.bytes.get(self.at..self.at + length) else {
            return Err(EnvelopeError::Short { field, at: self.bytes.len() });
        };
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], EnvelopeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, EnvelopeError> {
        Ok(u8::from_be_bytes(self.array(field)?))
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, EnvelopeError> {
        Ok(u16::from_be_bytes(self.array(field)?))
    }

    fn number(&mut self, field: &'static str) -> Result<u64, EnvelopeError> {
        within(field, u64::from_be_bytes(self.array(field)?))
    }

    fn text(&mut self, field: &Field) -> Result<&'a str, EnvelopeError> {
        let length = usize::from(self.u16(field.name)?);
        field.check(length)?;
        let bytes = self.take(field.name, length)?;
        std::str::from_utf8(bytes).map_err(|_| EnvelopeError::NotText { field: field.name })
    }
}
