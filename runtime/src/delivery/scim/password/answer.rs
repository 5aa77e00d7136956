//! Bodies of answers: what a server says of users and of errors flows in, what may be believed of
//! it flows out. Nothing of them is logged here, and nothing of a password is copied.

use std::collections::BTreeMap;

use kakehi_engine::password::Answer;
use kakehi_password::door::{RemoteUser, Reply};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use zeroize::Zeroizing;

use super::{refused, unusable_id};
use crate::delivery::scim::map::{self, Resource};
use crate::delivery::scim::path::Path;
use crate::delivery::scim::response::Raw;
use crate::delivery::scim::schema;

/// How much of a body that is no SCIM error is looked at.
const TEXT_BYTES_MAX: usize = 4096;

/// What a server says of an error. Both may hold the password: servers echo what they refuse.
pub struct Error {
    pub scim_type: Option<Zeroizing<String>>,
    /// `detail`, or the whole body where it is no SCIM error.
    pub detail: Zeroizing<String>,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default, rename = "scimType")]
    scim_type: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

/// The answer to a look-up.
pub struct Hits {
    /// How many the server says there are, shown or not.
    total: usize,
    shown: Vec<Resource>,
}

// === impl Error ===

impl Error {
    pub fn read(raw: &Raw) -> Self {
        let body = raw.body.as_deref().unwrap_or_default();
        if let Ok(ErrorBody { scim_type, detail: Some(detail) }) = serde_json::from_slice(body) {
            return Self {
                scim_type: scim_type.map(Zeroizing::new),
                detail: Zeroizing::new(detail),
            };
        }
        let scim_type =
            serde_json::from_slice(body).ok().and_then(|body: ErrorBody| body.scim_type);
        let start = &body[..body.len().min(TEXT_BYTES_MAX)];
        let detail = Zeroizing::new(String::from_utf8_lossy(start).into_owned());
        Self { scim_type: scim_type.map(Zeroizing::new), detail }
    }

    /// Everything that was said, as one text; not scrubbed yet.
    pub fn words(&self, status: u16) -> Zeroizing<String> {
        let scim_type = self.scim_type.as_deref().map_or("", String::as_str);
        Zeroizing::new(format!("status {status} {scim_type}: {}", *self.detail))
    }
}

// === impl Hits ===

impl Hits {
    /// Errors: it is no list of users. A page for people with status 200 is common.
    pub fn read(raw: &Raw) -> Result<Self, Reply> {
        let Some(body) = &raw.body else {
            return Err(refused("the answer to the look-up is longer than allowed".to_owned()));
        };
        let Ok(Json::Object(list)) = serde_json::from_slice(body) else {
            let message =
                format!("status {} and no JSON object: is it a SCIM service?", raw.status);
            return Err(refused(message));
        };
        // Servers leave the list out when it is empty.
        let shown: Vec<Resource> = match map::member(&list, "Resources") {
            Some(Json::Array(all)) => all.iter().filter_map(Json::as_object).cloned().collect(),
            Some(Json::Null) | None => vec![],
            Some(_) => return Err(refused("`Resources` of the look-up is no list".to_owned())),
        };
        let total = map::member(&list, "totalResults").and_then(Json::as_u64);
        let total = total.map_or(shown.len(), |total| usize::try_from(total).unwrap_or(usize::MAX));
        Ok(Self { total, shown })
    }

    /// The one user that has the value. Nothing is believed: each hit is compared here (DV-02).
    pub fn only(self, attribute: &str, value: &str) -> Result<RemoteUser, Reply> {
        let reply = |answer, message: String| Err(Reply { answer, detail: Some(message) });
        let mut right = vec![];
        for user in &self.shown {
            let values = values_of(user, attribute);
            if values.is_empty() && self.total == 1 {
                return Err(refused(format!(
                    "the user that was found does not show `{attribute}`: look up by another one"
                )));
            }
            if values.contains(&folded(attribute, value)) {
                right.push(user);
            }
        }
        match &right[..] {
            // What was not shown may have the value as well.
            _ if self.total > self.shown.len() => reply(
                Answer::Ambiguous,
                format!("{} users were found for `{attribute}`", self.total),
            ),
            [] if self.shown.is_empty() => {
                reply(Answer::NotFound, format!("no user was found for `{attribute}`"))
            }
            [] => reply(
                Answer::NotFound,
                format!("{} users were found, none of them with this `{attribute}`", self.total),
            ),
            [user] => {
                let id = map::member(user, "id").and_then(Json::as_str).unwrap_or_default();
                match is_usable(id) {
                    true => Ok(RemoteUser { id: id.to_owned(), etag: version(user) }),
                    false => Err(unusable_id()),
                }
            }
            several => {
                reply(Answer::Ambiguous, format!("{} users have this `{attribute}`", several.len()))
            }
        }
    }
}

/// `meta.version` (RFC 7643 section 3.1).
pub fn version(user: &Resource) -> Option<String> {
    let meta = map::member(user, "meta")?.as_object()?;
    let version = map::member(meta, "version")?.as_str()?;
    // It becomes a header.
    let plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    (!version.is_empty() && version.bytes().all(plain)).then(|| version.to_owned())
}

/// Whether an id can end a path.
pub fn is_usable(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
}

/// Whether an object has a value for `password` (W-26): as it was set, hashed or masked.
pub fn shows_password(body: &[u8]) -> bool {
    let object: Result<BTreeMap<String, Option<IgnoredAny>>, _> = serde_json::from_slice(body);
    object.is_ok_and(|object| {
        object.iter().any(|(name, value)| name.eq_ignore_ascii_case("password") && value.is_some())
    })
}

/// Whether a body is a page for people.
pub fn is_markup(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// The values that a user shows for the attribute, in the form they are compared in.
fn values_of(user: &Resource, attribute: &str) -> Vec<String> {
    let Ok(path) = Path::parse(attribute) else { return vec![] };
    // Every element of a list counts, as it does in the filter.
    let path = match path.sub {
        Some("value") => Path { sub: None, ..path },
        _ => path,
    };
    let values = map::values_at(user, &path);
    values.iter().filter_map(|value| Some(folded(attribute, &value.as_text()?))).collect()
}

fn folded(attribute: &str, value: &str) -> String {
    match attribute != "id" && schema::matches_without_case(attribute) {
        true => value.to_lowercase(),
        false => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn w26_any_value_of_password_is_a_leak() {
        for (body, expected) in [
            (r#"{"password": "x"}"#, true),
            (r#"{"id": 1, "PassWord": {"hash": "x"}}"#, true),
            (r#"{"password": null}"#, false),
            (r#"{"meta": {"password": "x"}}"#, false),
            (r#"{"passwordChanged": "x"}"#, false),
            ("", false),
            ("<html>password", false),
        ] {
            assert_eq!(shows_password(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn an_error_is_read_from_whatever_came() {
        let read = |body: &[u8]| {
            let raw = Raw { status: 400, retry_after: None, etag: None, body: Some(body.to_vec()) };
            let error = Error::read(&raw);
            error.words(400).to_string()
        };
        for (body, expected) in [
            (
                &br#"{"scimType": "invalidValue", "detail": "no"}"#[..],
                "status 400 invalidValue: no",
            ),
            (br#"{"scimType": "x"}"#, r#"status 400 x: {"scimType": "x"}"#),
            (br#"{"detail": 7}"#, r#"status 400 : {"detail": 7}"#),
            (b"no", "status 400 : no"),
            (b"\xff", "status 400 : \u{fffd}"),
            (b"", "status 400 : "),
        ] {
            assert_eq!(read(body), expected);
        }
        let long = "x".repeat(TEXT_BYTES_MAX * 2);
        assert_eq!(read(long.as_bytes()).len(), "status 400 : ".len() + TEXT_BYTES_MAX);
    }

    #[test]
    fn dv02_values_are_compared_as_the_schema_has_it() {
        let user = json!({
            "id": "A", "externalId": "X", "userName": "Taro",
            "emails": [{ "value": "a@x" }, { "value": "B@x", "primary": true }],
        });
        let Json::Object(user) = user else { return };
        for (attribute, value, expected) in [
            ("userName", "TARO", true),
            ("externalId", "x", false),
            ("externalId", "X", true),
            ("id", "a", false),
            ("emails.value", "b@X", true),
            ("emails.value", "A@x", true),
            ("emails", "a@x", true),
            ("nickName", "", false),
        ] {
            let carries = values_of(&user, attribute).contains(&folded(attribute, value));
            assert_eq!(carries, expected, "{attribute} {value}");
        }
    }

    #[test]
    fn a_version_that_is_no_header_is_none() {
        let of = |version: Json| {
            let Json::Object(user) = json!({ "meta": { "version": version } }) else { return None };
            super::version(&user)
        };
        assert_eq!(of(json!("W/\"1\"")).as_deref(), Some("W/\"1\""));
        for version in [json!("a\r\nHost: x"), json!(""), json!(1), json!("筧")] {
            assert_eq!(of(version), None);
        }
    }
}
