//! One account as Samba's daemon shows it.

use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::agent::ldif::{Field, Line, Lines, ValueError};

/// More than the attributes that the hook asks for can be.
const LDIF_BYTES_MAX: usize = 1024 * 1024;

/// 1601-01-01 to 1970-01-01.
const EPOCHS_APART_MS: i64 = 11_644_473_600_000;

/// An account, as far as it matters here.
pub struct Account {
    /// As Windows prints it: `59f8a873-3c58-4dcc-805e-5fb0f079ce5c`.
    pub guid: String,
    pub login: String,
    pub version: Version,
    pub deleted: bool,
    pub password: Option<Zeroizing<Vec<u8>>>,
}

/// What tells one password of an account from the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// pwdLastSet: a FILETIME; 0 when it must be changed at the next logon.
    pub password_last_set: Option<i64>,
    /// msDS-KeyVersionNumber: counts the passwords.
    pub key_version: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it is longer than {LDIF_BYTES_MAX} bytes")]
    TooLong,
    #[error("it has no {0}: name it in `--attributes` of syncpasswords")]
    Missing(&'static str),
    #[error("{attribute} cannot be read: {why}")]
    Value { attribute: &'static str, why: String },
}

// === impl Account ===

impl Account {
    /// Reads the input to its end.
    pub fn read(input: &mut impl Read) -> Result<Self, AccountError> {
        let (mut lines, mut reader) = (Lines::default(), Reader::default());
        let mut piece = Zeroizing::new([0; 4096]);
        let mut total = 0;
        loop {
            match input.read(&mut piece[..]) {
                Ok(0) => break,
                Ok(length) => {
                    total += length;
                    if total > LDIF_BYTES_MAX {
                        return Err(AccountError::TooLong);
                    }
                    lines.feed(&piece[..length], &mut |line| reader.line(&line));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        lines.end(&mut |line| reader.line(&line));
        reader.end()
    }
}

#[derive(Default)]
struct Reader {
    guid: Option<String>,
    login: Option<String>,
    version: Version,
    deleted: bool,
    password: Option<Zeroizing<Vec<u8>>>,
    fault: Option<AccountError>,
}

// === impl Reader ===

impl Reader {
    fn line(&mut self, line: &Line<'_>) {
        let Line::Field(field) = line else { return };
        if let Err(fault) = self.field(field) {
            self.fault.get_or_insert(fault);
        }
    }

    fn field(&mut self, field: &Field<'_>) -> Result<(), AccountError> {
        if field.is("objectGUID") {
            let bytes = value("objectGUID", field)?;
            let guid = guid(&bytes).ok_or_else(|| bad("objectGUID", "it is no GUID"))?;
            self.guid = Some(guid);
        } else if field.is("sAMAccountName") {
            let name = field.text().ok_or_else(|| bad("sAMAccountName", "it is no text"))?;
            self.login = Some(name);
        } else if field.is("pwdLastSet") {
            self.version.password_last_set = Some(number("pwdLastSet", field)?);
        } else if field.is("msDS-KeyVersionNumber") {
            self.version.key_version = Some(number("msDS-KeyVersionNumber", field)?);
        } else if field.is("isDeleted") {
            self.deleted = field.text().is_some_and(|text| text == "TRUE");
        } else if field.is("virtualClearTextUTF8") {
            self.password = Some(value("virtualClearTextUTF8", field)?);
        }
        Ok(())
    }

    fn end(self) -> Result<Account, AccountError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let account = Account {
            guid: self.guid.ok_or(AccountError::Missing("objectGUID"))?,
            login: self.login.unwrap_or_default(),
            version: self.version,
            deleted: self.deleted,
            password: self.password,
        };
        if account.deleted || account.password.is_none() {
            return Ok(account);
        }
        if account.login.is_empty() {
            return Err(AccountError::Missing("sAMAccountName"));
        }
        if account.version == Version::default() {
            // Without either, every look at the account would send its password again.
            return Err(AccountError::Missing("msDS-KeyVersionNumber"));
        }
        Ok(account)
    }
}

// === impl Version ===

impl Version {
    /// Whether it is the same password. The key version decides where it is known: pwdLastSet also
    /// moves when an administrator demands a change, or takes that back.
    pub fn is_of(&self, other: &Self) -> bool {
        match (self.key_version, other.key_version) {
            (Some(this), Some(other)) => this == other,
            _ => self.password_last_set == other.password_last_set,
        }
    }

    /// When it was set, in milliseconds since 1970; `None` where pwdLastSet does not say.
    pub fn changed_at_ms(&self) -> Option<u64> {
        let filetime = self.password_last_set.filter(|&filetime| filetime > 0)?;
        u64::try_from(filetime / 10_000 - EPOCHS_APART_MS).ok()
    }
}

fn value(attribute: &'static str, field: &Field<'_>) -> Result<Zeroizing<Vec<u8>>, AccountError> {
    field.bytes().map_err(|error: ValueError| bad(attribute, &error.to_string()))
}

fn number(attribute: &'static str, field: &Field<'_>) -> Result<i64, AccountError> {
    let parsed = field.text().and_then(|text| text.trim().parse().ok());
    parsed.ok_or_else(|| bad(attribute, "it is no number"))
}

fn bad(attribute: &'static str, why: &str) -> AccountError {
    AccountError::Value { attribute, why: why.to_owned() }
}

/// Samba writes it as text; other tools write its 16 bytes, of which the first three groups are
/// little-endian.
fn guid(value: &[u8]) -> Option<String> {
    if let Ok(bytes) = <[u8; 16]>::try_from(value) {
        let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        let mut text = String::with_capacity(36);
        for (index, at) in order.into_iter().enumerate() {
            if [4, 6, 8, 10].contains(&index) {
                text.push('-');
            }
            text += &format!("{:02x}", bytes[at]);
        }
        return Some(text);
    }
    let text = str::from_utf8(value).ok()?.to_ascii_lowercase();
    let is_right = |(index, byte): (usize, u8)| match index {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    (text.len() == 36 && text.bytes().enumerate().all(is_right)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_windows_does() {
        let bytes: Vec<u8> = (0..16).collect();
        let expected = Some("03020100-0504-0706-0809-0a0b0c0d0e0f".to_owned());
        assert_eq!(guid(&bytes), expected);
        assert_eq!(guid(b"03020100-0504-0706-0809-0A0B0C0D0E0F"), expected);
        for wrong in ["", "03020100", "03020100-0504-0706-0809-0a0b0c0d0e0g", &"-".repeat(36)] {
            assert_eq!(guid(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_filetime_is_told_in_milliseconds() {
        let at =
            |password_last_set| Version { password_last_set, ..Version::default() }.changed_at_ms();
        assert_eq!(at(Some(116_444_736_000_000_000)), Some(0));
        assert_eq!(at(Some(134_398_078_341_119_430)), Some(1_795_334_234_111));
        for none in [None, Some(0), Some(-1), Some(1), Some(i64::MIN)] {
            assert_eq!(at(none), None, "{none:?}");
        }
    }

    #[test]
    fn the_key_version_tells_passwords_apart_where_it_is_known() {
        let version = |password_last_set, key_version| Version { password_last_set, key_version };
        let is_of = |a: Version, b: Version| a.is_of(&b);
        assert!(is_of(version(Some(1), Some(3)), version(Some(0), Some(3))));
        assert!(!is_of(version(Some(1), Some(3)), version(Some(1), Some(4))));
        assert!(is_of(version(Some(1), None), version(Some(1), Some(4))));
        assert!(!is_of(version(Some(1), None), version(Some(2), None)));
    }
}
