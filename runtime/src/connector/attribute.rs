//! Attributes of directories: what they are called, what type their values have. Octets flow in,
//! values flow out; what does not fit its type is said, never guessed (L-10 to L-12).

use std::collections::HashSet;

use kakehi_engine::object::Value;

/// Attributes that hold or derive from passwords: never requested, dropped if they come (L-08).
const PASSWORDS: [&str; 6] = [
    "userpassword",
    "unicodepwd",
    "dbcspwd",
    "ntpwdhistory",
    "lmpwdhistory",
    "supplementalcredentials",
];

/// Up to so many values are compared pair by pair, which is faster than hashing them.
const PAIRWISE_MAX: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Text; a value that is not UTF-8 is kept as bytes.
    Text,
    Integer,
    Boolean,
    Binary,
    /// Written as text, kept as its 16 bytes.
    Uuid,
    /// A DN.
    Reference,
}

impl Syntax {
    /// The type of a well-known attribute, by its name in lower case without options (ldap.md 3).
    pub fn well_known(name: &str) -> Option<Self> {
        Some(match name {
            "entryuuid" | "nsuniqueid" => Self::Uuid,
            "objectguid"
            | "msexchmasteraccountsid"
            | "msrtcsip-originatorsid"
            | "objectsid"
            | "sidhistory"
            | "jpegphoto"
            | "thumbnailphoto"
            | "photo"
            | "audio"
            | "usercertificate"
            | "usersmimecertificate" => Self::Binary,
            "useraccountcontrol" | "grouptype" | "uidnumber" | "gidnumber" | "usnchanged"
            | "usncreated" | "pwdlastset" | "accountexpires" | "lastlogontimestamp" => {
                Self::Integer
            }
            "iscriticalsystemobject" => Self::Boolean,
            "member" | "uniquemember" | "memberof" | "manager" | "directreports" | "owner"
            | "seealso" | "secretary" | "roleoccupant" | "managedby" | "managedobjects"
            | "assistant" | "publicdelegates" | "authorig" | "altrecipient" => Self::Reference,
            _ => return None,
        })
    }

    /// The value that these octets stand for. Errors: why they are none of this type.
    pub fn value(self, octets: &[u8]) -> Result<Value, &'static str> {
        let text = || std::str::from_utf8(octets);
        match self {
            Self::Binary => Ok(Value::Binary(octets.to_vec())),
            Self::Text => Ok(match text() {
                Ok(text) => Value::text(text),
                Err(_) => Value::Binary(octets.to_vec()),
            }),
            Self::Reference => match text() {
                Ok(text) => Ok(Value::Reference(text.to_owned())),
                Err(_) => Err("a DN is not UTF-8"),
            },
            Self::Uuid => match uuid(octets) {
                Some(uuid) => Ok(Value::Binary(uuid.to_vec())),
                None => Err("a value is no UUID"),
            },
            Self::Boolean => match octets {
                b"TRUE" => Ok(Value::Boolean(true)),
                b"FALSE" => Ok(Value::Boolean(false)),
                _ => Err("a value is neither `TRUE` nor `FALSE`"),
            },
            Self::Integer => {
                let number = text().ok().and_then(|text| text.parse().ok());
                number.map(Value::Integer).ok_or("a value is no integer of 64 bits")
            }
        }
    }
}

/// Whether an attribute is one of those that are never read, by its canonical name.
pub fn is_password(canonical: &str) -> bool {
    PASSWORDS.contains(&base_name(canonical))
}

/// The name without its options.
pub fn base_name(name: &str) -> &str {
    name.split(';').next().unwrap_or(name)
}

/// Writes the form in which two spellings of one attribute are equal: lower case, options sorted,
/// `;binary` dropped (L-11).
pub fn canonicalize(name: &str, into: &mut String) {
    into.clear();
    into.push_str(name);
    into.make_ascii_lowercase();
    if into.contains(';') {
        let mut parts = into.split(';');
        let base = parts.next().unwrap_or_default().to_owned();
        let mut options: Vec<_> = parts.filter(|option| *option != "binary").collect();
        options.sort_unstable();
        *into = std::iter::once(&*base).chain(options).collect::<Vec<_>>().join(";");
    }
}

/// The 16 bytes of a UUID written as text, with hyphens in any place: 389-ds groups it differently.
pub fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let (mut bytes, mut digits) = ([0; 16], 0);
    for byte in text.iter().filter(|byte| **byte != b'-') {
        let digit = char::from(*byte).to_digit(16)?;
        let place: &mut u8 = bytes.get_mut(digits / 2)?;
        *place = *place << 4 | digit as u8;
        digits += 1;
    }
    (digits == 32).then_some(bytes)
}

/// Drops values that came twice; the first one of each stays in its place.
pub fn distinct(values: &mut Vec<Value>) {
    if values.len() > PAIRWISE_MAX {
        let mut seen = HashSet::with_capacity(values.len());
        let fresh: Vec<bool> = values.iter().map(|value| seen.insert(value)).collect();
        let mut fresh = fresh.into_iter();
        values.retain(|_| fresh.next().unwrap_or(true));
        return;
    }
    let mut at = 1;
    while at < values.len() {
        if values[..at].contains(&values[at]) {
            values.remove(at);
        } else {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(syntax: Syntax, octets: &[u8], expected: Result<Value, &'static str>) {
        assert_eq!(syntax.value(octets), expected, "{syntax:?} of {octets:?}");
    }

    #[test]
    fn l10_each_syntax_reads_its_own_octets() {
        check(Syntax::Text, "高橋".as_bytes(), Ok(Value::text("高橋")));
        check(Syntax::Text, b" two  spaces ", Ok(Value::text(" two  spaces ")));
        check(Syntax::Text, b"\xff", Ok(Value::Binary(vec![0xff])));
        check(Syntax::Text, b"", Ok(Value::text("")));
        check(Syntax::Binary, b"plain", Ok(Value::Binary(b"plain".to_vec())));
        check(Syntax::Integer, b"-2147483646", Ok(Value::Integer(-2_147_483_646)));
        check(Syntax::Integer, b"9223372036854775807", Ok(Value::Integer(i64::MAX)));
        check(Syntax::Boolean, b"TRUE", Ok(Value::Boolean(true)));
        check(Syntax::Boolean, b"FALSE", Ok(Value::Boolean(false)));
        check(Syntax::Reference, b"cn=a,dc=x", Ok(Value::Reference("cn=a,dc=x".into())));
        let uuid = Ok(Value::Binary((0..16).collect()));
        check(Syntax::Uuid, b"00010203-0405-0607-0809-0a0b0c0d0e0f", uuid.clone());
        check(Syntax::Uuid, b"00010203-04050607-08090A0B-0C0D0E0F", uuid);
    }

    #[test]
    fn l12_octets_of_another_type_are_a_fault() {
        for (syntax, octets) in [
            (Syntax::Integer, &b"9223372036854775808"[..]),
            (Syntax::Integer, b""),
            (Syntax::Integer, b"1 "),
            (Syntax::Integer, b"0x1"),
            (Syntax::Boolean, b"true"),
            (Syntax::Reference, b"cn=\xff"),
            (Syntax::Uuid, b"00010203-0405-0607-0809-0a0b0c0d0e"),
            (Syntax::Uuid, b"00010203-0405-0607-0809-0a0b0c0d0e0f00"),
            (Syntax::Uuid, b"zz010203-0405-0607-0809-0a0b0c0d0e0f"),
        ] {
            assert!(syntax.value(octets).is_err(), "{syntax:?} of {octets:?}");
        }
    }

    #[test]
    fn l11_names_are_compared_without_case_and_with_sorted_options() {
        let mut buffer = String::new();
        for (name, expected) in [
            ("sn", "sn"),
            ("SN;lang-JA", "sn;lang-ja"),
            ("sn;phonetic;lang-ja", "sn;lang-ja;phonetic"),
            ("userCertificate;binary", "usercertificate"),
            ("userCertificate;x-a;binary", "usercertificate;x-a"),
        ] {
            canonicalize(name, &mut buffer);
            assert_eq!(buffer, expected);
        }
        assert!(is_password("userpassword;x-old") && !is_password("userpasswordhint"));
    }

    #[test]
    fn values_that_came_twice_are_kept_once_in_their_place() {
        for count in [1, 2, PAIRWISE_MAX, PAIRWISE_MAX + 1, 100] {
            let once: Vec<_> = (0..count as i64).map(Value::Integer).collect();
            let mut values: Vec<_> = once.iter().chain(&once).cloned().collect();
            distinct(&mut values);
            assert_eq!(values, once);
        }
    }
}
