//! What the configuration says of one LDAP source, validated. Plain data: it is read nowhere else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kakehi_engine::object::{AttributeName, ClassName, ConnectorName};

pub use super::tls::{Pin, TlsOptions};
use crate::config::secret::Secret;
use crate::connector::digest;

/// Default filter: RFC 4533 reports what leaves it, rules decide what is in scope (L-06).
pub const FILTER: &str = "(objectClass=*)";
/// Entries in one page of a listing: larger ones cost memory and save nothing.
pub const PAGE_ENTRIES_MAX: u32 = 1_000;
/// Largest accepted message: a group of a million members fits, filling our memory does not (L-31).
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of answers that may wait for us: beyond them TCP slows the server (L-34).
pub const WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Connecting, with the TLS handshake.
pub const CONNECT_MS_MAX: u64 = 10_000;
/// A bind: some servers ask another one.
pub const BIND_MS_MAX: u64 = 15_000;
/// Until the first answer to a search: a server may have to sort or walk first.
pub const FIRST_ANSWER_MS_MAX: u64 = 120_000;
/// Between two answers to a search.
pub const NEXT_ANSWER_MS_MAX: u64 = 60_000;
/// A whole page, so that a server that trickles is found too.
pub const PAGE_MS_MAX: u64 = 300_000;

pub struct LdapOptions {
    pub name: ConnectorName,
    pub kind: ServerKind,
    /// In order of preference; at least one.
    pub urls: Vec<String>,
    /// Secure `ldap://` connections by STARTTLS before anything else is said.
    pub starttls: bool,
    pub tls: TlsOptions,
    /// Allow `ldap://` in clear to other machines. A finding of its own.
    pub insecure: bool,
    pub bind: Bind,
    /// Each is a partition with a state of its own.
    pub bases: Vec<String>,
    pub filter: String,
    /// What rules read.
    pub attributes: BTreeSet<AttributeName>,
    /// Attributes that hold DNs, beside those of which schema or our table say so.
    pub links: BTreeSet<AttributeName>,
    /// Object types that rules know.
    pub classes: BTreeSet<ClassName>,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// Changes by RFC 4533 from the overlay syncprov.
    OpenLdap,
    /// Paged listings only.
    Generic,
    /// What the rootDSE says.
    Auto,
}

pub enum Bind {
    Anonymous,
    /// `dn` may also be a user principal name where the server takes one.
    Simple {
        dn: String,
        password: Arc<Secret>,
    },
    /// SASL EXTERNAL: who we are was shown by the Unix socket or the client certificate.
    External,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub page_entries: u32,
    pub message_bytes: usize,
    pub window_bytes: usize,
    pub connect: Duration,
    pub bind: Duration,
    pub first_answer: Duration,
    pub next_answer: Duration,
    pub page: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_entries: PAGE_ENTRIES_MAX,
            message_bytes: MESSAGE_BYTES_MAX,
            window_bytes: WINDOW_BYTES_MAX,
            connect: Duration::from_millis(CONNECT_MS_MAX),
            bind: Duration::from_millis(BIND_MS_MAX),
            first_answer: Duration::from_millis(FIRST_ANSWER_MS_MAX),
            next_answer: Duration::from_millis(NEXT_ANSWER_MS_MAX),
            page: Duration::from_millis(PAGE_MS_MAX),
        }
    }
}

impl Bind {
    /// Who reads: another account may see other objects.
    fn identity(&self) -> &str {
        match self {
            Self::Anonymous => "",
            Self::Simple { dn, .. } => dn,
            Self::External => "EXTERNAL",
        }
    }
}

impl LdapOptions {
    /// Digest of all that decides what a base shows us: another one means a full listing (L-44).
    pub fn config_hash(&self, base: &str) -> String {
        let counts = [self.attributes.len().to_string(), self.links.len().to_string()];
        let parts = [base, &self.filter, self.bind.identity(), &counts[0], &counts[1]];
        let names = self.attributes.iter().chain(&self.links).map(AttributeName::as_str);
        digest::of_parts(
            parts.into_iter().chain(names).chain(self.classes.iter().map(ClassName::as_str)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(attributes: &[&str], links: &[&str], dn: Option<&str>) -> LdapOptions {
        let names = |names: &[&str]| names.iter().map(|name| AttributeName::from(*name)).collect();
        let password = Arc::new(Secret::new("x".into()));
        LdapOptions {
            name: "hr".into(),
            kind: ServerKind::Auto,
            urls: vec![],
            starttls: false,
            tls: TlsOptions::default(),
            insecure: false,
            bind: dn.map_or(Bind::Anonymous, |dn| Bind::Simple { dn: dn.into(), password }),
            bases: vec![],
            filter: FILTER.into(),
            attributes: names(attributes),
            links: names(links),
            classes: BTreeSet::new(),
            limits: Limits::default(),
        }
    }

    #[test]
    fn l44_whatever_decides_what_we_see_changes_the_digest() {
        let hashes: BTreeSet<String> = [
            options(&[], &[], None).config_hash("dc=x"),
            options(&[], &[], None).config_hash("dc=y"),
            options(&["a"], &[], None).config_hash("dc=x"),
            options(&[], &["a"], None).config_hash("dc=x"),
            options(&["a", "b"], &[], None).config_hash("dc=x"),
            options(&["ab"], &[], None).config_hash("dc=x"),
            options(&[], &[], Some("cn=a")).config_hash("dc=x"),
        ]
        .into();
        assert_eq!(hashes.len(), 7);
        assert_eq!(
            options(&["a"], &[], Some("cn=a")).config_hash("dc=x"),
            options(&["a"], &[], Some("cn=a")).config_hash("dc=x"),
        );
    }
}
