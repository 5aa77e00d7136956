//! What the sink keeps. In: a method, a path and a body. Out: a status and the resource as it
//! stands. Creating costs no parsing: the answer is the body with an id and `meta` put in front.

use std::collections::HashMap;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::patch;

/// Resources on a page, unless the request asks for fewer (RFC 7644 3.4.2.4 lets the service
/// decide).
const PAGE_RESOURCES_MAX: usize = 100;

/// What the service can do. A target that does not say would be asked again and again.
const PROVIDER: &str = r#"{"schemas":
["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
"patch":{"supported":true},"bulk":{"supported":false,"maxOperations":0,"maxPayloadSize":0},
"filter":{"supported":true,"maxResults":100},"changePassword":{"supported":false},
"sort":{"supported":false},"etag":{"supported":false},"authenticationSchemes":[]}"#;

/// Collections by path; an id is a place in its collection, and an empty place a deleted resource.
#[derive(Default)]
pub struct Resources(HashMap<String, Vec<Option<Bytes>>>);

type Answer = (StatusCode, Bytes);

impl Resources {
    pub fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: Option<&str>,
        body: Bytes,
    ) -> Answer {
        if *method == Method::POST {
            return self.create(path, &body);
        }
        if path.ends_with("/ServiceProviderConfig") {
            return (StatusCode::OK, Bytes::from_static(PROVIDER.as_bytes()));
        }
        let Some((collection, place)) = place_of(path) else {
            return (StatusCode::OK, self.list(path, query.unwrap_or_default()));
        };
        let kept = self.0.get_mut(collection).and_then(|all| all.get_mut(place));
        let Some(Some(resource)) = kept else {
            return (StatusCode::NOT_FOUND, not_found());
        };
        match *method {
            Method::PATCH => match patch::apply(resource, &body) {
                Some(changed) => *resource = changed,
                None => return (StatusCode::BAD_REQUEST, Bytes::new()),
            },
            Method::PUT => *resource = with_identity(collection, place, &body),
            Method::DELETE => {
                self.0.entry(collection.to_owned()).or_default()[place] = None;
                return (StatusCode::NO_CONTENT, Bytes::new());
            }
            _ => {}
        }
        (StatusCode::OK, resource.clone())
    }

    fn create(&mut self, collection: &str, body: &Bytes) -> Answer {
        let all = self.0.entry(collection.to_owned()).or_default();
        let resource = with_identity(collection, all.len(), body);
        all.push(Some(resource.clone()));
        (StatusCode::CREATED, resource)
    }

    /// A page of a collection, or what a filter `attribute eq "value"` finds in it. A resource is
    /// found by the text its sender wrote, which serde_json writes in one way only.
    fn list(&self, collection: &str, query: &str) -> Bytes {
        let parameter = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let number = |name: &str| parameter(name).and_then(|text| text.parse::<usize>().ok());
        let needle = parameter("filter").map(needle);
        let all = self.0.get(collection).map(Vec::as_slice).unwrap_or_default();
        let matching: Vec<&str> = all
            .iter()
            .flatten()
            .filter_map(|resource| std::str::from_utf8(resource).ok())
            .filter(|resource| needle.as_ref().is_none_or(|needle| resource.contains(needle)))
            .collect();
        let start = number("startIndex").unwrap_or(1).max(1);
        let count = number("count").unwrap_or(PAGE_RESOURCES_MAX).min(PAGE_RESOURCES_MAX);
        let page = matching.iter().skip(start - 1).take(count).copied().collect::<Vec<_>>();
        let head = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": matching.len(),
            "startIndex": start,
            "itemsPerPage": page.len(),
        })
        .to_string();
        format!("{},\"Resources\":[{}]}}", &head[..head.len() - 1], page.join(",")).into()
    }
}

/// Splits a path of a resource: `/scim/v2/Users/User-7` is number 7 of `/scim/v2/Users`.
fn place_of(path: &str) -> Option<(&str, usize)> {
    let (collection, id) = path.rsplit_once('/')?;
    Some((collection, id.rsplit_once('-')?.1.parse().ok()?))
}

/// The resource as the service would show it: what was sent, with `id` and `meta` before it. The id
/// is one of all types of resources (RFC 7643 3.1).
fn with_identity(collection: &str, place: usize, body: &Bytes) -> Bytes {
    let class = collection.rsplit('/').next().unwrap_or_default().trim_end_matches('s');
    let identity = format!(
        "{{\"id\":\"{class}-{place}\",\"meta\":{{\"resourceType\":\"{class}\",\
         \"location\":\"{collection}/{class}-{place}\"}},"
    );
    let rest = body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
    [identity.as_bytes(), &body[rest..]].concat().into()
}

/// What a resource contains if it matches: `externalId eq "x"` asks for `"externalId":"x"`.
fn needle(filter: &str) -> String {
    let filter = decode(filter);
    match filter.split_once(" eq ") {
        Some((attribute, value)) => format!("\"{attribute}\":{value}"),
        None => filter,
    }
}

/// Decodes a query's value (`%20`, `+`).
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (first, _) => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn not_found() -> Bytes {
    let error: Value = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "404",
    });
    error.to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "/scim/v2/Users";

    fn ask(
        resources: &mut Resources,
        method: Method,
        path: &str,
        query: &str,
        body: &str,
    ) -> Value {
        let (_, answer) = resources.answer(&method, path, Some(query), body.to_owned().into());
        serde_json::from_slice(&answer).unwrap_or(Value::Null)
    }

    fn with_two_users() -> Resources {
        let mut resources = Resources::default();
        for name in ["taro", "花子"] {
            let body = json!({"externalId": name, "userName": name}).to_string();
            ask(&mut resources, Method::POST, USERS, "", &body);
        }
        resources
    }

    #[test]
    fn what_was_posted_comes_back_with_an_identity_and_can_be_read_again() {
        let mut resources = with_two_users();
        let read = ask(&mut resources, Method::GET, "/scim/v2/Users/User-1", "", "");
        assert_eq!(
            read,
            json!({
                "id": "User-1",
                "meta": {"resourceType": "User", "location": "/scim/v2/Users/User-1"},
                "externalId": "花子",
                "userName": "花子",
            })
        );
    }

    #[test]
    fn lists_are_paged_and_filtered() {
        let mut resources = with_two_users();
        for (query, total, shown) in [
            ("", 2, 2),
            ("startIndex=2&count=1", 2, 1),
            ("startIndex=3", 2, 0),
            ("filter=externalId%20eq%20%22%E8%8A%B1%E5%AD%90%22", 1, 1),
            ("filter=userName+eq+%22nobody%22", 0, 0),
        ] {
            let list = ask(&mut resources, Method::GET, USERS, query, "");
            assert_eq!(list["totalResults"], total, "{query}");
            assert_eq!(list["Resources"].as_array().unwrap().len(), shown, "{query}");
        }
    }

    #[test]
    fn what_was_deleted_is_neither_read_nor_listed() {
        let mut resources = with_two_users();
        let gone = "/scim/v2/Users/User-0";
        ask(&mut resources, Method::DELETE, gone, "", "");
        let (status, _) = resources.answer(&Method::GET, gone, None, Bytes::new());
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(ask(&mut resources, Method::GET, USERS, "", "")["totalResults"], 1);
    }
}
