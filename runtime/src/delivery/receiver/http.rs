//! HTTP around the receiver's objects: a connection flows in, requests are logged, checked, carried
//! out or made to fail, and answers flow out (RFC 7644 sections 3 and 4).

use std::io;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;

use super::resources::{Outcome, Query, ScimError};
use super::{Fault, LoggedRequest, Shared, lock};

pub const BASE_PATH: &str = "/v2";

/// Largest accepted body: a group of ten thousand members fits.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Answers one connection until its client is done with it.
pub async fn serve(stream: TcpStream, shared: &Mutex<Shared>) {
    let service = service_fn(|request| answer(request, shared));
    let connection = hyper::server::conn::http1::Builder::new();
    // A connection that breaks is the client's affair, and a scripted fault breaks it on purpose.
    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
}

/// An error closes the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    shared: &Mutex<Shared>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(reply(&Err(ScimError::new(413, None, "the body is too large"))));
    };
    let body = body.to_bytes();
    let method = head.method.as_str();
    let fault = {
        let mut shared = lock(shared);
        let path = head.uri.path_and_query().map_or("", |path| path.as_str());
        let path = path.strip_prefix(BASE_PATH).unwrap_or(path).to_owned();
        shared.log.push(LoggedRequest { method: method.into(), path, body: body.to_vec() });
        let position = shared.faults.iter().position(|(awaited, _)| awaited == method);
        position.and_then(|position| shared.faults.remove(position)).map(|(_, fault)| fault)
    };
    let presented = head.headers.get(AUTHORIZATION).map(|value| value.as_bytes());
    let act = || {
        let mut shared = lock(shared);
        if presented != Some(format!("Bearer {}", shared.token).as_bytes()) {
            return Err(ScimError::new(401, None, "the token is wrong"));
        }
        route(&mut shared, method, &head.uri, &body)
    };
    match fault {
        None => Ok(reply(&act())),
        Some(Fault::Status(status, headers)) => {
            let mut response = reply(&Err(ScimError::new(status, None, "scripted")));
            for (name, value) in headers {
                let value = value.parse().map_err(io::Error::other)?;
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        }
        Some(Fault::Refuse(status, scim_type)) => {
            Ok(reply(&Err(ScimError::new(status, Some(scim_type), "scripted"))))
        }
        Some(Fault::DropBefore) => Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::DropAfter) => {
            drop(act());
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Some(Fault::Hold(released)) => {
            let outcome = act();
            // A dropped sender releases the answer as well.
            let _ = released.await;
            Ok(reply(&outcome))
        }
        Some(Fault::Lie) => {
            let mut shared = lock(shared);
            Ok(reply(&route(&mut shared, "GET", &head.uri, &body)))
        }
        Some(Fault::Html) => {
            drop(act());
            let page = Full::new(Bytes::from_static(b"<html>done</html>"));
            Ok(Response::new(page))
        }
    }
}

fn route(shared: &mut Shared, method: &str, uri: &Uri, body: &[u8]) -> Result<Outcome, ScimError> {
    let not_found = || ScimError::new(404, None, "no such resource");
    let path = uri.path().strip_prefix(BASE_PATH).ok_or_else(not_found)?;
    let segments: Vec<String> = path.split('/').skip(1).map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let query = query_of(uri);
    let parsed = || {
        let invalid = |_| ScimError::new(400, Some("invalidSyntax"), "the body is no JSON object");
        serde_json::from_slice(body).map_err(invalid)
    };
    let resources = &mut shared.resources;
    match (method, &segments[..]) {
        ("GET", ["ServiceProviderConfig"]) => Ok(Outcome::Shown(configuration())),
        ("GET", ["ResourceTypes"]) => Ok(Outcome::Shown(list(resource_type))),
        ("GET", ["Schemas"]) => Ok(Outcome::Shown(list(schema))),
        ("GET", [kind @ ("Users" | "Groups")]) => resources.list(kind, &query),
        ("POST", [kind @ ("Users" | "Groups")]) => resources.create(kind, parsed()?),
        ("GET", [kind @ ("Users" | "Groups"), id]) => resources.show(kind, id, &query),
        ("PUT", [kind @ ("Users" | "Groups"), id]) => resources.replace(kind, id, parsed()?),
        ("PATCH", [kind @ ("Users" | "Groups"), id]) => {
            resources.patch(kind, id, &Json::Object(parsed()?))
        }
        ("DELETE", [kind @ ("Users" | "Groups"), id]) => resources.delete(kind, id),
        _ => Err(not_found()),
    }
}

fn query_of(uri: &Uri) -> Query {
    let mut query = Query::default();
    for (key, value) in uri.query().unwrap_or("").split('&').filter_map(|p| p.split_once('=')) {
        let value = decoded(value);
        match key {
            "filter" => query.filter = Some(value),
            "startIndex" => query.start = value.parse().ok(),
            "count" => query.count = value.parse().ok(),
            "attributes" => query.only = Some(value),
            "excludedAttributes" => query.without = Some(value),
            _ => {}
        }
    }
    query
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn reply(outcome: &Result<Outcome, ScimError>) -> Response<Full<Bytes>> {
    let (status, body) = match outcome {
        Ok(Outcome::Created(body)) => (StatusCode::CREATED, Some(body)),
        Ok(Outcome::Shown(body)) => (StatusCode::OK, Some(body)),
        Ok(Outcome::Gone) => (StatusCode::NO_CONTENT, None),
        Err(error) => {
            let status = StatusCode::from_u16(error.status);
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Some(&error.body))
        }
    };
    let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
    let mut response = Response::new(Full::new(bytes));
    *response.status_mut() = status;
    let media_type = hyper::header::HeaderValue::from_static("application/scim+json");
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

fn configuration() -> Json {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": 1000 },
        "changePassword": { "supported": false },
        "sort": { "supported": false },
        "etag": { "supported": false },
        "authenticationSchemes": [{ "type": "oauthbearertoken", "name": "Bearer token" }],
    })
}

fn list(one: impl Fn(&str) -> Json) -> Json {
    json!({ "totalResults": 2, "Resources": [one("User"), one("Group")] })
}

fn resource_type(name: &str) -> Json {
    json!({ "id": name, "name": name, "endpoint": format!("/{name}s"), "schema": urn(name) })
}

/// No more than what identifies the schema: its attributes are those of RFC 7643.
fn schema(name: &str) -> Json {
    json!({ "id": urn(name), "name": name, "attributes": [] })
}

fn urn(name: &str) -> String {
    format!("urn:ietf:params:scim:schemas:core:2.0:{name}")
}
