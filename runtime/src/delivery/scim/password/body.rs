//! Bodies that hold a password: its text flows in, JSON flows out in memory that is overwritten
//! when the request is over. They are put together by hand, since a JSON library would leave copies
//! behind.

use bytes::Bytes;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::delivery::scim::map::Resource;

/// Most bytes that one byte of text takes in JSON: `\u0007`.
const ESCAPED_BYTES_MAX: usize = 6;

/// What the server alone decides (RFC 7643 section 3.1), and what it would take for ours.
const NOT_PUT: [&str; 3] = ["meta", "groups", "password"];

pub fn patch_path(password: &str) -> Bytes {
    around(
        concat!(
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"#,
            r#""Operations":[{"op":"replace","path":"password","value":"#
        ),
        password,
        "}]}",
    )
}

pub fn patch_value(password: &str) -> Bytes {
    around(
        concat!(
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"#,
            r#""Operations":[{"op":"replace","value":{"password":"#
        ),
        password,
        "}}]}",
    )
}

/// A user as it was read, with the password.
pub fn put(mut user: Resource, password: &str) -> Bytes {
    user.retain(|key, _| !NOT_PUT.iter().any(|name| name.eq_ignore_ascii_case(key)));
    let user = Json::Object(user).to_string();
    let rest = match user.strip_prefix('{') {
        Some("}") | None => "}".to_owned(),
        Some(members) => format!(",{members}"),
    };
    around(r#"{"password":"#, password, &rest)
}

/// The password as a JSON string between two pieces of JSON.
fn around(before: &str, password: &str, after: &str) -> Bytes {
    // Room for everything from the start: what a vector leaves behind when it grows is not
    // overwritten.
    let room = before.len() + password.len() * ESCAPED_BYTES_MAX + 2 + after.len();
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    body.extend_from_slice(before.as_bytes());
    put_string(&mut body, password);
    body.extend_from_slice(after.as_bytes());
    Bytes::from_owner(body)
}

/// A JSON string (RFC 8259 section 7). Text has no lone surrogates, and everything beyond ASCII
/// stands for itself.
fn put_string(body: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    body.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => body.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                body.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            _ => body.push(byte),
        }
    }
    body.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &Bytes) -> Json {
        serde_json::from_slice(body).unwrap()
    }

    #[test]
    fn each_style_puts_the_password_where_rfc_7644_wants_it() {
        let operation = |body| read(&body)["Operations"][0].clone();
        let path = json!({ "op": "replace", "path": "password", "value": "p\"w" });
        assert_eq!(operation(patch_path("p\"w")), path);
        let value = json!({ "op": "replace", "value": { "password": "p\"w" } });
        assert_eq!(operation(patch_value("p\"w")), value);
        let user = json!({ "id": "1", "meta": {}, "PASSWORD": "old", "userName": "taro" });
        let Json::Object(user) = user else { return };
        let expected = json!({ "password": "new", "id": "1", "userName": "taro" });
        assert_eq!(read(&put(user, "new")), expected);
        assert_eq!(read(&put(Resource::new(), "new")), json!({ "password": "new" }));
    }

    proptest! {
        #[test]
        fn every_text_is_read_back_as_it_was(text in any::<String>()) {
            let body = read(&patch_path(&text));
            prop_assert_eq!(&body["Operations"][0]["value"], &json!(text));
        }

        #[test]
        fn control_characters_and_quotes_are_escaped(text in "[\\x00-\\x22\\\\\\x7f鍵🔑]{0,64}") {
            let body = patch_value(&text);
            prop_assert!(!body.iter().any(|byte| *byte < 0x20));
            prop_assert_eq!(&read(&body)["Operations"][0]["value"]["password"], &json!(text));
        }
    }
}
