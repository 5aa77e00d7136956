//! The naming value of a distinguished name, for lack of a better login name.

use kakehi_engine::object::first_component;

/// The value of the leftmost RDN, unescaped; of several the one of `uid`, else the first. Text that
/// is no DN is given as it is.
pub fn naming_value(dn: &str) -> String {
    let parts = parts(first_component(dn));
    let of_uid = parts.iter().find(|part| {
        part.split_once('=').is_some_and(|(kind, _)| kind.trim().eq_ignore_ascii_case("uid"))
    });
    match of_uid.or(parts.first()).and_then(|part| part.split_once('=')) {
        Some((_, value)) => unescape(value.trim()),
        None => dn.to_owned(),
    }
}

/// Splits at every plus sign that is not escaped.
fn parts(rdn: &str) -> Vec<&str> {
    let (mut parts, mut from, mut escaped) = (vec![], 0, false);
    for (index, byte) in rdn.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'+' => {
                parts.push(&rdn[from..index]);
                from = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&rdn[from..]);
    parts
}

/// RFC 4514 2.4: a backslash and a character, or and two hexadecimal digits of a byte.
fn unescape(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let pair = after.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let pair = pair.and_then(|pair| str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.extend(after.first());
                rest = after.get(1..).unwrap_or_default();
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_naming_value_is_unescaped() {
        for (dn, expected) in [
            ("uid=u1,ou=people,dc=x", "u1"),
            ("uid=New One,dc=x", "New One"),
            ("cn=Sato\\, Hana+UID=hana,dc=x", "hana"),
            ("cn=a\\2Bb\\+c\\E3\\81\\B2,dc=x", "a+b+cひ"),
            ("cn=ends\\", "ends"),
            ("nothing", "nothing"),
            ("", ""),
        ] {
            assert_eq!(naming_value(dn), expected, "{dn}");
        }
    }
}
