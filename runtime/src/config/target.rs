//! Targets: what was typed of a SCIM service flows in, what a client is made from flows out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use kakehi_engine::rule::Thresholds;

use super::check::{Bounds, limit, within};
use super::credential::{CredentialKind, Credentials};
use super::finding::Findings;
use super::quantity::Span;
use super::raw::{TargetRaw, ThresholdsRaw, TypeNamesRaw};
use super::yaml::{At, Entries};

/// The profiles that ship with the program (delivery.md 15.1); what they mean is the delivery's.
pub const PROFILES: [&str; 2] = ["interop-2026", "scim2-server"];
/// How long a connection may take to stand (delivery.md 9).
pub const CONNECT: Bounds<Span> =
    Bounds { default: Span::from_secs(5), min: Span::from_millis(100), max: Span::from_secs(300) };
/// How long a request may take from its first byte to the last one of its answer (delivery.md 9).
pub const TOTAL: Bounds<Span> =
    Bounds { default: Span::from_secs(30), min: Span::from_secs(1), max: Span::from_secs(3600) };
/// More requests at once only make services refuse them (delivery.md 9).
pub const CONCURRENCY: Bounds<u32> = Bounds { default: 16, min: 1, max: 64 };

const BAD_URL: &str = "K0146";
const IN_CLEAR: &str = "K0147";
const UNKNOWN_PROFILE: &str = "K0148";
const UNKNOWN_RESOURCE: &str = "K0965";
const SHARED_PATH: &str = "K0966";

/// What objects of SCIM targets can be (RFC 7643 section 4).
const RESOURCES: [&str; 2] = ["User", "Group"];

#[derive(Debug)]
pub struct Target {
    /// Without a slash at its end.
    pub base_url: String,
    /// A name in [`Config::credentials`](super::Config).
    pub credential: String,
    /// One of [`PROFILES`].
    pub profile: String,
    pub ca: Option<PathBuf>,
    /// Whether the base URL itself names this machine, so that plain http and loopback are meant.
    pub allow_loopback: bool,
    /// `None`: what the profile says.
    pub concurrency_max: Option<u32>,
    pub connect_timeout: Span,
    pub total_timeout: Span,
    pub thresholds: Thresholds,
    /// By the name that rules have for an object type; empty where they use the target's own names.
    pub types: BTreeMap<String, TypeNames>,
}

/// An object type under the names that rules have for it and its attributes.
#[derive(Clone, Debug)]
pub struct TypeNames {
    /// One of [`RESOURCES`].
    pub resource: String,
    /// From names in rules to attribute paths, none of which is there twice.
    pub attributes: BTreeMap<String, String>,
}

/// Takes a target as typed and the folder that its paths are relative to. Notes what is wrong; the
/// result is only of use without errors.
pub(super) fn target(
    name: &At<String>,
    raw: TargetRaw,
    folder: &Path,
    credentials: &Credentials<'_>,
    findings: &mut Findings,
) -> Target {
    let key = format!("targets.{}", name.value);
    credentials.claim(&raw.credential, CredentialKind::ScimBearer, findings);
    let allow_loopback = check_url(&key, &raw.base_url, findings);
    if let Some(profile) = &raw.profile
        && !PROFILES.contains(&profile.value.as_str())
    {
        findings
            .error(UNKNOWN_PROFILE, format_args!("unknown profile `{}`", profile.value))
            .at(profile.mark)
            .what(format!("key `{key}.profile`"))
            .hint_nearest(&profile.value, PROFILES);
    }
    let max = raw.concurrency.max;
    let time = |findings: &mut Findings, name: &str, given, bounds: &Bounds<Span>| {
        within(findings, &format!("{key}.timeouts.{name}"), given, bounds)
    };
    Target {
        base_url: raw.base_url.value.trim_end_matches('/').to_owned(),
        credential: raw.credential.value,
        profile: raw.profile.map_or_else(|| PROFILES[0].to_owned(), |profile| profile.value),
        ca: raw.ca.map(|path| folder.join(path)),
        allow_loopback,
        concurrency_max: max.map(|max| {
            within(findings, &format!("{key}.concurrency.max"), Some(max), &CONCURRENCY)
        }),
        connect_timeout: time(findings, "connect", raw.timeouts.connect, &CONNECT),
        total_timeout: time(findings, "total", raw.timeouts.total, &TOTAL),
        thresholds: thresholds(&key, raw.thresholds, findings),
        types: types(&key, &raw.types, findings),
    }
}

fn types(
    key: &str,
    raw: &Entries<TypeNamesRaw>,
    findings: &mut Findings,
) -> BTreeMap<String, TypeNames> {
    let mut types = BTreeMap::new();
    for (class, names) in &raw.0 {
        let what = format!("key `{key}.types.{}`", class.value);
        let resource = &names.resource;
        if !RESOURCES.contains(&resource.value.as_str()) {
            findings
                .error(UNKNOWN_RESOURCE, format_args!("unknown resource `{}`", resource.value))
                .at(resource.mark)
                .what(what.clone())
                .hint_nearest(&resource.value, RESOURCES);
        }
        let mut attributes: BTreeMap<String, String> = BTreeMap::new();
        for (attribute, path) in &names.attributes.0 {
            if let Some((other, _)) = attributes.iter().find(|(_, known)| **known == path.value) {
                let message = format!("`{other}` and `{}` are one path", attribute.value);
                findings
                    .error(SHARED_PATH, message)
                    .at(path.mark)
                    .what(what.clone())
                    .hint("leave one of the two out: one value cannot be both");
            }
            attributes.insert(attribute.value.clone(), path.value.clone());
        }
        let names = TypeNames { resource: resource.value.clone(), attributes };
        types.insert(class.value.clone(), names);
    }
    types
}

/// Whether a host, with or without a port, is this machine.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Gives whether the URL names this machine.
fn check_url(key: &str, url: &At<String>, findings: &mut Findings) -> bool {
    let parts = url.value.split_once("://").map(|(scheme, rest)| {
        (scheme, rest.split_once('/').map_or(rest, |(authority, _)| authority))
    });
    let loopback = parts.is_some_and(|(_, authority)| is_loopback(authority));
    let sound = |authority: &str| {
        !authority.is_empty() && !authority.contains('@') && !url.value.contains(['?', '#', ' '])
    };
    match parts {
        Some(("https", authority)) if sound(authority) => {}
        Some(("http", authority)) if sound(authority) && loopback => {}
        Some(("http", authority)) if sound(authority) => findings
            .error(IN_CLEAR, format_args!("`{key}.base_url` is not encrypted: `{}`", url.value))
            .at(url.mark)
            .hint("use `https://`; plain http is for this machine only"),
        // The text itself may hold a password and is not repeated.
        _ => findings
            .error(BAD_URL, format_args!("`{key}.base_url` is no base of a SCIM service"))
            .at(url.mark)
            .hint("write `https://host/path`, without user, query or fragment"),
    }
    loopback
}

fn thresholds(key: &str, raw: ThresholdsRaw, findings: &mut Findings) -> Thresholds {
    let Thresholds { removals_max, removals_percent, removals_floor } = Thresholds::default();
    let mut check = |name: &str, given, default, max| {
        let bounds = Bounds { default, min: 0, max };
        limit(findings, &format!("{key}.thresholds.{name}"), given, &bounds)
    };
    Thresholds {
        removals_max: check("removals_max", raw.removals_max, removals_max, u64::MAX),
        removals_percent: check("removals_percent", raw.removals_percent, removals_percent, 100),
        removals_floor: check("removals_floor", raw.removals_floor, removals_floor, u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (authority, expected) in [
            ("localhost:8080", true),
            ("127.0.0.1", true),
            ("127.8.0.1:1", true),
            ("[::1]:8080", true),
            ("localhost.example.jp", false),
            ("10.0.0.1", false),
            ("127.0.0.1.example.jp", false),
        ] {
            assert_eq!(is_loopback(authority), expected, "{authority}");
        }
    }
}
