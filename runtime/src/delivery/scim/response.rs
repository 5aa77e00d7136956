//! Answers: status and body flow in, what they mean for the object or the target flows out
//! (delivery.md 10). The status decides first; bodies of errors may be anything.

use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::problem::ProblemKind;
use serde_json::Value as Json;

use super::map::Resource;
use crate::edge::TargetError;

/// How much of a server's own words is kept: enough to see what it minds.
const DETAIL_CHARS_MAX: usize = 300;

/// An answer as it came in.
pub struct Raw {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// The object's version, where the server says it in a header.
    pub etag: Option<String>,
    /// `None`: longer than allowed.
    pub body: Option<Vec<u8>>,
}

/// What kind of request an answer belongs to: it decides what a lost answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    /// Its answer's body says nothing.
    Delete,
}

/// An answer that says something of the object.
#[derive(Debug)]
pub enum Answer {
    /// Done; the body, if there is one.
    Done(Option<Resource>),
    Refused(Refusal),
}

/// The server understood and will not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub scim_type: Option<String>,
    pub detail: String,
}

/// Sorts an answer.
///
/// Gives: [`Answer`] for what concerns the object; a 500 is among it, since a server may choke on
/// one object alone. Errors: [`TargetError`] for everything that concerns the target.
pub fn classify(target: &ConnectorName, kind: Kind, raw: Raw) -> Result<Answer, TargetError> {
    let Raw { status, retry_after, body, .. } = raw;
    match status {
        200..300 => done(target, kind, status, body),
        300..400 => Err(protocol(target, format!("it redirects (status {status})"))),
        401 | 403 => Err(TargetError::Refused {
            target: target.to_string(),
            message: format!("the credential was refused (status {status})"),
        }),
        429 | 503 => Err(TargetError::Unavailable {
            target: target.to_string(),
            message: format!("it asks for a pause (status {status})"),
            retry_after,
        }),
        // A gateway lost the answer, not necessarily the request.
        502 | 504 if kind != Kind::Read => {
            Err(in_doubt(target, format!("a gateway lost the answer (status {status})")))
        }
        502 | 504 => Err(unavailable(target, format!("a gateway failed (status {status})"))),
        400..600 => Ok(Answer::Refused(Refusal::read(status, body.as_deref().unwrap_or_default()))),
        _ => Err(protocol(target, format!("status {status} does not exist"))),
    }
}

pub fn unavailable(target: &ConnectorName, message: String) -> TargetError {
    TargetError::Unavailable { target: target.to_string(), message, retry_after: None }
}

pub fn in_doubt(target: &ConnectorName, message: String) -> TargetError {
    TargetError::InDoubt { target: target.to_string(), message }
}

pub fn protocol(target: &ConnectorName, message: String) -> TargetError {
    TargetError::Protocol { target: target.to_string(), message }
}

pub fn rejected(kind: ProblemKind, message: String) -> TargetError {
    TargetError::Rejected { kind, message }
}

fn done(
    target: &ConnectorName,
    kind: Kind,
    status: u16,
    body: Option<Vec<u8>>,
) -> Result<Answer, TargetError> {
    let unreadable = |what: &str| match kind {
        Kind::Read => Err(protocol(target, format!("status {status} with {what}"))),
        _ => Err(in_doubt(target, format!("status {status} with {what}"))),
    };
    match body.as_deref() {
        _ if kind == Kind::Delete => Ok(Answer::Done(None)),
        None => unreadable("a body beyond the limit"),
        Some(b"") if kind == Kind::Read => unreadable("no body"),
        Some(b"") => Ok(Answer::Done(None)),
        // Deeper than 128 levels is an error of the parser too, hence no limit of our own.
        Some(bytes) => match serde_json::from_slice(bytes) {
            Ok(Json::Object(object)) => Ok(Answer::Done(Some(object))),
            _ => unreadable("a body that is no JSON object"),
        },
    }
}

// === impl Refusal ===

impl Refusal {
    fn read(status: u16, body: &[u8]) -> Self {
        let error: Json = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| error[key].as_str().map(str::to_owned);
        let detail = text("detail").unwrap_or_default();
        Self {
            status,
            scim_type: text("scimType"),
            detail: detail.chars().take(DETAIL_CHARS_MAX).collect(),
        }
    }

    /// What is wrong with the object.
    pub fn kind(&self) -> ProblemKind {
        match self.status {
            404 | 410 => ProblemKind::TargetMissing,
            // RFC 7644 table 9 also puts a change of an immutable attribute under 409 or 400.
            409 if self.scim_type.as_deref() == Some("mutability") => ProblemKind::InvalidValue,
            409 => ProblemKind::DuplicateValue,
            412 => ProblemKind::StaleVersion,
            413 => ProblemKind::TooLarge,
            400 if self.scim_type.as_deref() == Some("uniqueness") => ProblemKind::DuplicateValue,
            _ => ProblemKind::InvalidValue,
        }
    }

    /// Whether the server may take the same change in other words: it does not know the method, the
    /// operation or the path, or it did not say what it minds (RFC 7644 table 9).
    pub fn wants_other_words(&self) -> bool {
        match self.status {
            400 => matches!(
                self.scim_type.as_deref(),
                None | Some("noTarget" | "invalidPath" | "invalidFilter" | "invalidSyntax")
            ),
            _ => self.is_permanent(),
        }
    }

    /// Whether the server will never take these words, whatever the object.
    pub fn is_permanent(&self) -> bool {
        matches!(self.status, 405 | 501)
    }

    pub fn into_error(self) -> TargetError {
        let kind = self.kind();
        rejected(kind, self.to_string())
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the target answered {}", self.status)?;
        if let Some(scim_type) = &self.scim_type {
            write!(f, " ({scim_type})")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class of an answer, as the table of delivery.md 10 names it.
    fn class_of(kind: Kind, status: u16, body: &str) -> String {
        let raw = Raw { status, retry_after: None, etag: None, body: Some(body.into()) };
        match classify(&"cloud".into(), kind, raw) {
            Ok(Answer::Done(Some(_))) => "done with body".into(),
            Ok(Answer::Done(None)) => "done".into(),
            Ok(Answer::Refused(refusal)) => refusal.kind().to_string(),
            Err(TargetError::Unavailable { .. }) => "unavailable".into(),
            Err(TargetError::Refused { .. }) => "refused".into(),
            Err(TargetError::InDoubt { .. }) => "in doubt".into(),
            Err(TargetError::Rejected { .. }) => "rejected".into(),
            Err(TargetError::Protocol { .. }) => "protocol".into(),
        }
    }

    #[test]
    fn the_status_decides_what_an_answer_means() {
        let uniqueness = r#"{"status": 409, "scimType": "uniqueness"}"#;
        let mutability = r#"{"status": "409", "scimType": "mutability"}"#;
        for (status, body, read, write) in [
            (200, "{}", "done with body", "done with body"),
            (204, "", "protocol", "done"),
            (200, "<html>", "protocol", "in doubt"),
            (200, "[]", "protocol", "in doubt"),
            (302, "", "protocol", "protocol"),
            (400, "", "invalid-value", "invalid-value"),
            (401, "", "refused", "refused"),
            (403, "<html>", "refused", "refused"),
            (404, "<html>", "target-missing", "target-missing"),
            (409, uniqueness, "duplicate-value", "duplicate-value"),
            (409, mutability, "invalid-value", "invalid-value"),
            (412, "", "stale-version", "stale-version"),
            (413, "", "too-large", "too-large"),
            (422, "", "invalid-value", "invalid-value"),
            (429, "", "unavailable", "unavailable"),
            (500, "<html>", "invalid-value", "invalid-value"),
            (502, "", "unavailable", "in doubt"),
            (503, "", "unavailable", "unavailable"),
            (504, "", "unavailable", "in doubt"),
            (600, "", "protocol", "protocol"),
        ] {
            assert_eq!(class_of(Kind::Read, status, body), read, "read {status} {body}");
            assert_eq!(class_of(Kind::Write, status, body), write, "write {status} {body}");
        }
        assert_eq!(class_of(Kind::Delete, 200, "<html>"), "done");
    }

    #[test]
    fn a_body_that_is_too_deep_or_too_long_is_not_read() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(class_of(Kind::Read, 200, &deep), "protocol");
        let raw = Raw { status: 200, retry_after: None, etag: None, body: None };
        let result = classify(&"cloud".into(), Kind::Write, raw);
        assert!(matches!(result, Err(TargetError::InDoubt { .. })));
    }

    #[test]
    fn a_refusal_says_what_the_server_said_and_no_more_than_that() {
        let long = "x".repeat(DETAIL_CHARS_MAX + 1);
        let body = format!(r#"{{"scimType": "noTarget", "detail": "{long}"}}"#);
        let refusal = Refusal::read(400, body.as_bytes());
        assert!(refusal.wants_other_words());
        assert_eq!(refusal.detail.len(), DETAIL_CHARS_MAX);
        assert_eq!(Refusal::read(500, b"<html>").to_string(), "the target answered 500");
    }
}
