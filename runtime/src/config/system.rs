//! What stands behind a connector: the word that configuration and manifest have in common.

use std::fmt;

use kakehi_engine::object::ConnectorName;

use super::Config;
use super::source::{LdapKind, Source};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemKind {
    Ad,
    OpenLdap,
    /// Any directory that speaks LDAP.
    Ldap,
    Ldif,
    Scim,
}

// === impl SystemKind ===

impl SystemKind {
    /// Whether this kind is among those that are meant by `wanted`: `ldap` means all that speak it.
    pub fn is_a(self, wanted: Self) -> bool {
        self == wanted || wanted == Self::Ldap && matches!(self, Self::Ad | Self::OpenLdap)
    }
}

impl From<&Source> for SystemKind {
    fn from(source: &Source) -> Self {
        match source {
            Source::Ldap(ldap) => match ldap.kind {
                LdapKind::OpenLdap => Self::OpenLdap,
                LdapKind::Generic | LdapKind::Auto => Self::Ldap,
            },
            Source::Ldif(_) => Self::Ldif,
        }
    }
}

impl fmt::Display for SystemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ad => "ad",
            Self::OpenLdap => "openldap",
            Self::Ldap => "ldap",
            Self::Ldif => "ldif",
            Self::Scim => "scim",
        })
    }
}

impl Config {
    /// Every connector, sources first, each in order of name.
    pub fn connectors(&self) -> Vec<(ConnectorName, SystemKind)> {
        let sources = self.sources.iter().map(|(name, source)| (name.clone(), source.into()));
        let targets = self.targets.keys().map(|name| (name.clone(), SystemKind::Scim));
        sources.chain(targets).collect()
    }
}
