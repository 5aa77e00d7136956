//! Controls: paged results (RFC 2696) and content synchronization (RFC 4533). What we ask flows out
//! as a raw control, what a server answers flows in as checked values (L-38).

use ldap3::controls::RawControl;

use super::ber::{self, BerError};

pub const PAGED: &str = "1.2.840.113556.1.4.319";
pub const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
pub const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
pub const SYNC_DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";
pub const SYNC_INFO: &str = "1.3.6.1.4.1.4203.1.9.1.4";

/// What a password policy minds (draft-behera-ldap-password-policy-10 section 6).
pub const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// Mode refreshOnly of a synchronization request: everything that is new, then an end.
const REFRESH_ONLY: u8 = 1;

pub type Uuid = [u8; 16];

/// Whether an entry of a synchronization is new, gone or merely alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    Present,
    /// Added or modified: either way the whole entry is sent (L-74).
    Changed,
    Delete,
}

/// What an intermediate response of a synchronization says.
#[derive(Debug, PartialEq, Eq)]
pub enum SyncInfo<'a> {
    /// A new cookie, with or without the end of a phase: `refreshDone` matters only to persistent
    /// searches, where no result follows.
    Cookie(Option<&'a [u8]>),
    /// Objects that were deleted, or (`deleted` false) that are alive and unchanged.
    IdSet { cookie: Option<&'a [u8]>, deleted: bool, uuids: Vec<Uuid> },
}

/// SEQUENCE { size INTEGER, cookie OCTET STRING }, critical: an unpaged answer must not pass for a
/// page.
pub fn paged(size: u32, cookie: &[u8]) -> RawControl {
    let size = i32::try_from(size).unwrap_or(i32::MAX);
    let value = [ber::put_integer(size), ber::put(ber::OCTETS, cookie)].concat();
    RawControl { ctype: PAGED.into(), crit: true, val: Some(ber::put(ber::SEQUENCE, &value)) }
}

/// The cookie of the next page; empty: this was the last one.
pub fn paged_done(mut value: &[u8]) -> Result<&[u8], BerError> {
    let mut sequence = ber::take(&mut value, ber::SEQUENCE)?;
    ber::take(&mut sequence, ber::INTEGER)?;
    ber::take(&mut sequence, ber::OCTETS)
}

/// SEQUENCE { mode ENUMERATED, cookie OCTET STRING OPTIONAL }, critical.
pub fn sync_request(cookie: &[u8]) -> RawControl {
    let mode = ber::put(ber::ENUMERATED, &[REFRESH_ONLY]);
    let value = [mode, ber::put(ber::OCTETS, cookie)].concat();
    let value = Some(ber::put(ber::SEQUENCE, &value));
    RawControl { ctype: SYNC_REQUEST.into(), crit: true, val: value }
}

/// State and id of an entry. Its cookie, if any, belongs to persistent searches and is not read.
pub fn sync_state(mut value: &[u8]) -> Result<(SyncState, Uuid), BerError> {
    let mut sequence = ber::take(&mut value, ber::SEQUENCE)?;
    let state = match ber::take(&mut sequence, ber::ENUMERATED)? {
        [0] => SyncState::Present,
        [1 | 2] => SyncState::Changed,
        [3] => SyncState::Delete,
        _ => return Err(BerError::Unexpected("sync state")),
    };
    Ok((state, uuid(ber::take(&mut sequence, ber::OCTETS)?)?))
}

/// The cookie of the result. The flag behind it is not read, on purpose: servers set it in
/// contradictory ways, and obeying it deletes everything on some (L-71).
pub fn sync_done(mut value: &[u8]) -> Result<Option<&[u8]>, BerError> {
    let mut sequence = ber::take(&mut value, ber::SEQUENCE)?;
    ber::optional(&mut sequence, ber::OCTETS)
}

/// The value of an intermediate response named [`SYNC_INFO`].
pub fn sync_info(mut value: &[u8]) -> Result<SyncInfo<'_>, BerError> {
    let (tag, mut body) = ber::take_any(&mut value)?;
    match tag {
        0x80 => Ok(SyncInfo::Cookie(Some(body))),
        0xa1 | 0xa2 => Ok(SyncInfo::Cookie(ber::optional(&mut body, ber::OCTETS)?)),
        0xa3 => {
            let cookie = ber::optional(&mut body, ber::OCTETS)?;
            let deleted = ber::optional(&mut body, ber::BOOLEAN)?.is_some_and(|flag| flag != [0]);
            let mut set = ber::take(&mut body, ber::SET)?;
            let mut uuids = vec![];
            while !set.is_empty() {
                uuids.push(uuid(ber::take(&mut set, ber::OCTETS)?)?);
            }
            Ok(SyncInfo::IdSet { cookie, deleted, uuids })
        }
        _ => Err(BerError::Unexpected("sync info")),
    }
}

/// The error in a password policy response: SEQUENCE { warning [0] OPTIONAL, error [1] ENUMERATED
/// OPTIONAL }.
pub fn password_policy_error(mut value: &[u8]) -> Result<Option<u32>, BerError> {
    let mut sequence = ber::take(&mut value, ber::SEQUENCE)?;
    ber::optional(&mut sequence, 0xa0)?;
    ber::optional(&mut sequence, 0x81)?.map(ber::unsigned).transpose()
}

fn uuid(bytes: &[u8]) -> Result<Uuid, BerError> {
    bytes.try_into().map_err(|_| BerError::Unexpected("UUID length"))
}

#[cfg(test)]
mod tests {
    use super::ber::{BOOLEAN, ENUMERATED, INTEGER, OCTETS, SEQUENCE, SET, put};
    use super::*;

    #[test]
    fn requests_are_encoded_as_the_standards_have_them() {
        assert_eq!(paged(1_000, b"c").val.unwrap(), b"\x30\x07\x02\x02\x03\xe8\x04\x01c");
        assert_eq!(sync_request(b"rid=0").val.unwrap(), b"\x30\x0a\x0a\x01\x01\x04\x05rid=0");
    }

    #[test]
    fn sync_info_is_read_in_each_of_its_forms() {
        let cookie = put(OCTETS, b"c");
        let set = |flag: &[u8], cookie: &[u8]| {
            put(0xa3, &[cookie, flag, &put(SET, &put(OCTETS, &[7; 16]))].concat())
        };
        let ids = |cookie, deleted| SyncInfo::IdSet { cookie, deleted, uuids: vec![[7; 16]] };
        for (value, expected) in [
            (put(0x80, b"c"), SyncInfo::Cookie(Some(&b"c"[..]))),
            (put(0xa1, &cookie), SyncInfo::Cookie(Some(b"c"))),
            (put(0xa2, &put(BOOLEAN, &[0])), SyncInfo::Cookie(None)),
            (set(&[], &[]), ids(None, false)),
            (set(&put(BOOLEAN, &[0xff]), &cookie), ids(Some(&b"c"[..]), true)),
        ] {
            assert_eq!(sync_info(&value), Ok(expected));
        }
    }

    #[test]
    fn the_error_of_a_password_policy_is_found_behind_a_warning_too() {
        let warning = put(0xa0, &put(0x80, &[5]));
        for (content, expected) in [
            (vec![], Ok(None)),
            (put(0x81, &[6]), Ok(Some(6))),
            ([warning.clone(), put(0x81, &[8])].concat(), Ok(Some(8))),
            (warning, Ok(None)),
            (put(0x81, &[]), Err(BerError::Cut)),
        ] {
            assert_eq!(password_policy_error(&put(SEQUENCE, &content)), expected);
        }
        assert!(password_policy_error(&[]).is_err());
    }

    #[test]
    fn l38_malformed_values_are_errors_and_never_panics() {
        let id = put(OCTETS, &[7; 16]);
        for value in [
            vec![],
            vec![0x30],
            put(SEQUENCE, &[]),
            put(SEQUENCE, &[put(ENUMERATED, &[9]), id.clone()].concat()),
            put(SEQUENCE, &[put(ENUMERATED, &[]), id].concat()),
            put(SEQUENCE, &[put(ENUMERATED, &[1]), put(OCTETS, &[7; 15])].concat()),
            put(0xa3, &put(SET, &put(OCTETS, &[7; 17]))),
            put(0xa3, &[]),
            put(0xa4, &[]),
        ] {
            assert!(sync_state(&value).is_err(), "state {value:?}");
            assert!(sync_info(&value).is_err(), "info {value:?}");
            assert!(paged_done(&value).is_err(), "page {value:?}");
        }
        assert!(paged_done(&put(SEQUENCE, &put(INTEGER, &[0]))).is_err());
        assert_eq!(sync_done(&put(SEQUENCE, &put(BOOLEAN, &[0xff]))), Ok(None));
    }
}
