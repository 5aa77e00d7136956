//! Sources: what was typed of a directory flows in, what a connector is made from flows out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kakehi_engine::object::AttributeName;

use super::check::{Bounds, WEAKENED, within};
use super::credential::{CredentialKind, Credentials};
use super::finding::Findings;
use super::quantity::{Size, Span};
use super::raw::{
    BindRaw, LdapKindRaw, LdapLimitsRaw, LdapRaw, LdapTimeoutsRaw, LdifRaw, SourceRaw,
};
use super::yaml::At;

/// Entries in one page of a listing: larger ones cost memory and save nothing (ldap.md 13).
pub const PAGE_ENTRIES: Bounds<u32> = Bounds { default: 1_000, min: 1, max: 10_000 };
/// Largest accepted message: a group of a million members fits, filling our memory does not (L-31).
pub const MESSAGE: Bounds<Size> =
    Bounds { default: Size(64 << 20), min: Size(1 << 20), max: Size(1 << 30) };
/// Bytes of answers that may wait for us: beyond them TCP slows the server (L-34).
pub const WINDOW: Bounds<Size> =
    Bounds { default: Size(4 << 20), min: Size(64 << 10), max: Size(256 << 20) };
/// Connecting, with the TLS handshake.
pub const CONNECT: Bounds<Span> = seconds(10);
/// A bind: some servers ask another one.
pub const BIND: Bounds<Span> = seconds(15);
/// Until the first answer to a search: a server may have to sort or walk first.
pub const FIRST_ANSWER: Bounds<Span> = seconds(120);
/// Between two answers to a search.
pub const NEXT_ANSWER: Bounds<Span> = seconds(60);
/// A whole page, so that a server that trickles is found too.
pub const PAGE: Bounds<Span> = seconds(300);
/// RFC 4533 reports what leaves the filter, and rules decide what is in scope (L-06).
pub const FILTER: &str = "(objectClass=*)";

const NO_URL: &str = "K0140";
const BAD_URL: &str = "K0141";
const IN_CLEAR: &str = "K0142";
const BAD_PIN: &str = "K0143";
const BAD_BIND: &str = "K0144";
const NO_BASE: &str = "K0145";
const BAD_FILTER: &str = "K0149";

#[derive(Debug)]
pub enum Source {
    Ldap(Box<Ldap>),
    Ldif(Ldif),
}

#[derive(Debug)]
pub struct Ldap {
    pub kind: LdapKind,
    /// In order of preference; at least one.
    pub urls: Vec<String>,
    pub starttls: bool,
    pub ca: Option<PathBuf>,
    /// SHA-256 of the only certificate that is accepted.
    pub pin_sha256: Option<[u8; 32]>,
    /// Whether `ldap://` in clear may leave this machine.
    pub insecure: bool,
    pub bind: Bind,
    /// At least one.
    pub bases: Vec<String>,
    pub filter: String,
    pub links: BTreeSet<AttributeName>,
    pub limits: LdapLimits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LdapKind {
    OpenLdap,
    Generic,
    /// What the rootDSE says.
    Auto,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Bind {
    Anonymous,
    Simple {
        dn: String,
        /// A name in [`Config::credentials`](super::Config).
        credential: String,
    },
    External,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LdapLimits {
    pub page_entries: u32,
    pub message: Size,
    pub window: Size,
    pub connect: Span,
    pub bind: Span,
    pub first_answer: Span,
    pub next_answer: Span,
    pub page: Span,
}

#[derive(Debug)]
pub struct Ldif {
    pub path: PathBuf,
    pub anchor: AttributeName,
    pub links: BTreeSet<AttributeName>,
}

// === impl LdapKind ===

impl LdapKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenLdap => "openldap",
            Self::Generic => "generic",
            Self::Auto => "auto",
        }
    }
}

impl From<LdapKindRaw> for LdapKind {
    fn from(raw: LdapKindRaw) -> Self {
        match raw {
            LdapKindRaw::OpenLdap => Self::OpenLdap,
            LdapKindRaw::Generic => Self::Generic,
            LdapKindRaw::Auto => Self::Auto,
        }
    }
}

const fn seconds(default: u64) -> Bounds<Span> {
    Bounds {
        default: Span::from_secs(default),
        min: Span::from_millis(100),
        max: Span::from_secs(3600),
    }
}

/// Takes a source as typed and the folder that its paths are relative to. Notes what is wrong; the
/// result is only of use without errors.
pub(super) fn source(
    name: &At<String>,
    raw: SourceRaw,
    folder: &Path,
    credentials: &Credentials<'_>,
    findings: &mut Findings,
) -> Source {
    match raw {
        SourceRaw::Ldap(raw) => {
            let key = format!("sources.{}.ldap", name.value);
            Source::Ldap(Box::new(ldap(&key, *raw, folder, credentials, findings)))
        }
        SourceRaw::Ldif(raw) => Source::Ldif(ldif(name, raw, folder, findings)),
    }
}

/// A directory as typed under `key`.
pub(super) fn ldap(
    key: &str,
    raw: LdapRaw,
    folder: &Path,
    credentials: &Credentials<'_>,
    findings: &mut Findings,
) -> Ldap {
    if raw.urls.value.is_empty() {
        findings
            .error(NO_URL, format_args!("`{key}.urls` is empty"))
            .at(raw.urls.mark)
            .hint("name at least one server, such as `ldaps://dc1.example.jp`");
    }
    if raw.bases.value.is_empty() {
        findings
            .error(NO_BASE, format_args!("`{key}.bases` is empty"))
            .at(raw.bases.mark)
            .hint("name the DN below which the objects are");
    }
    let insecure = raw.insecure.as_ref().is_some_and(|insecure| insecure.value);
    if let Some(At { value: true, mark }) = raw.insecure {
        findings
            .warning(WEAKENED, format_args!("`{key}.insecure`: passwords and data go out in clear"))
            .at(mark)
            .hint("use `ldaps://` or `starttls: true`");
    }
    for url in &raw.urls.value {
        check_url(key, url, raw.starttls || insecure, findings);
    }
    let pin_sha256 = raw.tls.pin_sha256.as_ref().and_then(|pin| {
        let bytes = sha256(&pin.value);
        if bytes.is_none() {
            findings
                .error(BAD_PIN, format_args!("`{key}.tls.pin_sha256` is no SHA-256"))
                .at(pin.mark)
                .hint("write 64 hexadecimal digits");
        }
        bytes
    });
    if let (Some(filter), true) = (&raw.filter, raw.filter.as_ref().is_some_and(unbalanced)) {
        findings
            .error(BAD_FILTER, format_args!("`{key}.filter` is no filter: `{}`", filter.value))
            .at(filter.mark)
            .hint("an RFC 4515 filter stands in brackets, such as `(objectClass=person)`");
    }
    Ldap {
        kind: raw.kind.into(),
        urls: raw.urls.value.into_iter().map(|url| url.value).collect(),
        starttls: raw.starttls,
        ca: raw.tls.ca.map(|path| folder.join(path)),
        pin_sha256,
        insecure,
        bind: bind(key, raw.bind, credentials, findings),
        bases: raw.bases.value.into_iter().map(|base| base.value).collect(),
        filter: raw.filter.map_or_else(|| FILTER.to_owned(), |filter| filter.value),
        links: raw.links.into_iter().map(AttributeName::from).collect(),
        limits: limits(key, raw.limits, raw.timeouts, findings),
    }
}

fn check_url(key: &str, url: &At<String>, clear_allowed: bool, findings: &mut Findings) {
    let Some((scheme, rest)) = url.value.split_once("://") else {
        return bad_url(key, url, findings);
    };
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.contains(['/', '?', '@', ' ']) {
        return bad_url(key, url, findings);
    }
    match scheme {
        "ldaps" | "ldapi" => {}
        "ldap" if clear_allowed || super::target::is_loopback(host) => {}
        "ldap" => findings
            .error(IN_CLEAR, format_args!("`{key}.urls`: `{}` is not encrypted", url.value))
            .at(url.mark)
            .hint("use `ldaps://` or add `starttls: true`"),
        _ => bad_url(key, url, findings),
    }
}

fn bad_url(key: &str, url: &At<String>, findings: &mut Findings) {
    // The text itself may hold a password and is not repeated.
    findings
        .error(BAD_URL, format_args!("`{key}.urls` holds what is no address of a server"))
        .at(url.mark)
        .hint(
            "write `ldaps://host`, `ldap://host:port` or `ldapi://%2Fpath`, and nothing behind it",
        );
}

fn unbalanced(filter: &At<String>) -> bool {
    let text = filter.value.trim();
    let count = |bracket: char| text.chars().filter(|letter| *letter == bracket).count();
    !(text.starts_with('(') && text.ends_with(')') && count('(') == count(')'))
}

fn bind(
    key: &str,
    raw: Option<At<BindRaw>>,
    credentials: &Credentials<'_>,
    findings: &mut Findings,
) -> Bind {
    let Some(At { value: raw, mark }) = raw else { return Bind::Anonymous };
    match raw {
        BindRaw { dn: Some(dn), credential: Some(credential), external: false } => {
            credentials.claim(&credential, CredentialKind::LdapBind, findings);
            Bind::Simple { dn, credential: credential.value }
        }
        BindRaw { dn: None, credential: None, external: true } => Bind::External,
        _ => {
            findings
                .error(BAD_BIND, format_args!("`{key}.bind` is incomplete or contradictory"))
                .at(mark)
                .hint("write `{dn: ..., credential: ...}` or `{external: true}`");
            Bind::Anonymous
        }
    }
}

fn limits(
    key: &str,
    raw: LdapLimitsRaw,
    timeouts: LdapTimeoutsRaw,
    findings: &mut Findings,
) -> LdapLimits {
    let mut size = |name: &str, given, bounds: &Bounds<Size>| {
        within(findings, &format!("{key}.limits.{name}"), given, bounds)
    };
    let message = size("message", raw.message, &MESSAGE);
    let window = size("window", raw.window, &WINDOW);
    let page_entries = within(findings, &format!("{key}.limits.page"), raw.page, &PAGE_ENTRIES);
    let mut time = |name: &str, given, bounds: &Bounds<Span>| {
        within(findings, &format!("{key}.timeouts.{name}"), given, bounds)
    };
    LdapLimits {
        page_entries,
        message,
        window,
        connect: time("connect", timeouts.connect, &CONNECT),
        bind: time("bind", timeouts.bind, &BIND),
        first_answer: time("first_answer", timeouts.first_answer, &FIRST_ANSWER),
        next_answer: time("next_answer", timeouts.next_answer, &NEXT_ANSWER),
        page: time("page", timeouts.page, &PAGE),
    }
}

fn ldif(name: &At<String>, raw: LdifRaw, folder: &Path, findings: &mut Findings) -> Ldif {
    if raw.anchor.value.eq_ignore_ascii_case("dn") {
        findings
            .warning(WEAKENED, format_args!("`sources.{}.ldif.anchor` is `dn`", name.value))
            .at(raw.anchor.mark)
            .hint("a renamed object becomes a delete and an add; take what never changes");
    }
    Ldif {
        path: folder.join(raw.path),
        anchor: raw.anchor.value.into(),
        links: raw.links.into_iter().map(AttributeName::from).collect(),
    }
}

/// Takes 64 hexadecimal digits, with or without colons. Gives the 32 bytes.
fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|letter| *letter != ':')
        .map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 64).then_some(bytes)?.try_into().ok()
}
