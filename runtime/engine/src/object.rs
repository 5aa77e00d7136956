//! The plain things that every room speaks of: names, values, attributes, anchors, DNs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use crate::dn::{dn_key, first_component};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
        impl From<Arc<str>> for $name {
            fn from(text: Arc<str>) -> Self {
                Self(text)
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// An attribute, case-sensitive (R31). LDAP options belong to it: `sn;lang-ja`.
    /// At a SCIM target it is an attribute path: `userName`, `name.familyName`,
    /// `emails[type eq "work"].value`, `urn:...:User:department`.
    AttributeName
}
name! {
    /// An object type: of a connector space (`user`, `groupOfNames`, SCIM `User`) or of the
    /// metaverse (`person`).
    ClassName
}
name! {
    /// A connected directory or target.
    ConnectorName
}

/// One value of one attribute (rules.md 3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Text(String),
    Binary(Vec<u8>),
    Integer(i64),
    Boolean(bool),
    /// Another object. What the text is depends on where the value stands:
    /// a DN in a source's connector space and in inbound contributions,
    /// a [`ReferenceKey`] in the metaverse, a metaverse id in the input of an outbound rule and its
    /// contributions, the decimal [`CsId`](crate::connector_space::CsId) of the target object in a
    /// target's connector space and in exports.
    Reference(String),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The value as text, as a person would write it; `None` for binary values.
    pub fn as_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Self::Text(text) | Self::Reference(text) => Some(text.into()),
            Self::Integer(number) => Some(number.to_string().into()),
            Self::Boolean(true) => Some("True".into()),
            Self::Boolean(false) => Some("False".into()),
            Self::Binary(_) => None,
        }
    }

    pub fn is_reference(&self) -> bool {
        matches!(self, Self::Reference(_))
    }
}

/// Attributes by name. An attribute that is there has at least one value, and none twice.
pub type AttributeMap = BTreeMap<AttributeName, Vec<Value>>;

/// The immutable id of an object in its system, as raw bytes: objectGUID, entryUUID, a SCIM id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Anchor(pub Vec<u8>);

impl fmt::Display for Anchor {
    /// Printable text as it is; 16 other bytes as a UUID in wire order; anything else in
    /// hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => {
                f.write_str(text)
            }
            _ => {
                for (index, byte) in self.0.iter().enumerate() {
                    if self.0.len() == 16 && matches!(index, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a reference in the metaverse points at: an object of one connector space, by DN or, where
/// there are no DNs, by anchor. Written `connector:key`; the key of a DN is [`dn_key`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferenceKey {
    pub connector: ConnectorName,
    pub key: String,
}

impl ReferenceKey {
    pub fn of_dn(connector: &ConnectorName, dn: &str) -> Self {
        Self { connector: connector.clone(), key: dn_key(dn) }
    }

    /// Reads back what `Display` wrote; `None` for text without a colon.
    pub fn parse(text: &str) -> Option<Self> {
        let (connector, key) = text.split_once(':')?;
        Some(Self { connector: connector.into(), key: key.into() })
    }
}

impl fmt::Display for ReferenceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.connector, self.key)
    }
}
