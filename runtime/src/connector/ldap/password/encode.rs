//! Requests that hold a password: a DN and its text flow in, whole messages flow out in memory that
//! is overwritten when they were sent. Put together here and not in `ldap3`, which would leave
//! copies behind.

use zeroize::Zeroizing;

use crate::connector::ldap::ber::{self, ENUMERATED, OCTETS, SEQUENCE, SET, put};
use crate::connector::ldap::control;
use crate::connector::ldap::message::{EXTENDED, MODIFY};

/// The password modify operation (RFC 3062).
const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

/// The operation of a modification that takes the place of all values (RFC 4511 4.6).
const REPLACE: u8 = 2;

type Bytes = Zeroizing<Vec<u8>>;

/// [MS-ADTS] 3.1.1.3.1.5.1: the text between quotes, in UTF-16.
pub fn unicode_pwd(id: i32, dn: &str, password: &str) -> Bytes {
    let mut value = Zeroizing::new(Vec::with_capacity((password.len() + 2) * 2));
    for unit in "\"".encode_utf16().chain(password.encode_utf16()).chain("\"".encode_utf16()) {
        value.extend_from_slice(&unit.to_le_bytes());
    }
    message(id, MODIFY, &replace(dn, "unicodePwd", &value), &[])
}

pub fn user_password(id: i32, dn: &str, password: &str) -> Bytes {
    let body = replace(dn, "userPassword", password.as_bytes());
    message(id, MODIFY, &body, &policy_control())
}

/// Without the old password: an administrator's reset.
pub fn exop(id: i32, dn: &str, password: &str) -> Bytes {
    let user = put(0x80, dn.as_bytes());
    let new = element(0x82, password.as_bytes());
    let value = element(0x81, &element(SEQUENCE, &joined(&[&user, &new])));
    let name = put(0x80, PASSWORD_MODIFY.as_bytes());
    message(id, EXTENDED, &joined(&[&name, &value]), &policy_control())
}

fn replace(dn: &str, attribute: &str, value: &[u8]) -> Bytes {
    let name = put(OCTETS, attribute.as_bytes());
    let values = element(SET, &element(OCTETS, value));
    let partial = element(SEQUENCE, &joined(&[&name, &values]));
    let operation = put(ENUMERATED, &[REPLACE]);
    let change = element(SEQUENCE, &joined(&[&operation, &partial]));
    joined(&[&put(OCTETS, dn.as_bytes()), &element(SEQUENCE, &change)])
}

/// Asks for the reason of a rejection as a number; servers that do not know it pass over it.
fn policy_control() -> Vec<u8> {
    put(0xa0, &put(SEQUENCE, &put(OCTETS, control::PASSWORD_POLICY.as_bytes())))
}

fn message(id: i32, tag: u8, body: &[u8], controls: &[u8]) -> Bytes {
    element(SEQUENCE, &joined(&[&ber::put_integer(id), &element(tag, body), controls]))
}

fn element(tag: u8, content: &[u8]) -> Bytes {
    Zeroizing::new(put(tag, content))
}

/// Parts one after the other. Its room is made at once: nothing is left behind by growing.
fn joined(parts: &[&[u8]]) -> Bytes {
    Zeroizing::new(parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::ldap::message::Message;

    #[test]
    fn each_request_is_as_its_standard_has_it() {
        let modify: &[&[u8]] = &[
            b"\x30\x2c\x02\x01\x05\x66\x27\x04\x04dc=x\x30\x1f\x30\x1d\x0a\x01\x02\x30\x18",
            b"\x04\x0aunicodePwd\x31\x0a\x04\x08",
            b"\"\0\x67\x7b\x41\0\"\0",
        ];
        assert_eq!(*unicode_pwd(5, "dc=x", "筧A"), modify.concat());
        for request in [user_password(7, "dc=x", "secret"), exop(7, "dc=x", "secret")] {
            ber::check(&request).unwrap();
            let message = Message::parse(&request).unwrap();
            assert_eq!(message.id, 7);
            assert_eq!(message.control(control::PASSWORD_POLICY), Ok(Some(&[][..])));
        }
    }

    #[test]
    fn long_passwords_and_names_of_any_length_are_encoded() {
        for length in [0, 1, 126, 127, 128, 256, 70_000] {
            let text = "鍵".repeat(length);
            for request in
                [user_password(1, &text, &text), exop(1, &text, &text), unicode_pwd(1, "", &text)]
            {
                ber::check(&request).unwrap();
                Message::parse(&request).unwrap();
            }
        }
    }
}
