//! `Connectors/*.xml` and `GlobalSettings/MV.xml`: names, kinds, parameters and types of attributes
//! flow out.

use std::collections::{BTreeMap, BTreeSet};

use roxmltree::Node;

use super::xml::{child, child_text, children, text};
use crate::model::guid;

/// A connected system as its export describes it.
#[derive(Clone, Debug, Default)]
pub struct ConnectorFile {
    pub id: String,
    pub name: String,
    /// `None` where this program does not know the category.
    pub kind: Option<&'static str>,
    /// The category in its own words.
    pub category: String,
    /// Sorts by time as it is written.
    pub created: String,
    /// Values of `%name%`; several where domains of one forest differ.
    pub parameters: BTreeMap<String, BTreeSet<String>>,
    pub types: Types,
}

/// The metaverse: its schema and the parameters that hold everywhere.
#[derive(Clone, Debug, Default)]
pub struct Metaverse {
    pub parameters: BTreeMap<String, String>,
    pub types: Types,
}

/// Types of attributes by name in lower case; text is not listed unless known to be text.
#[derive(Clone, Debug, Default)]
pub struct Types(BTreeMap<String, Type>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Boolean,
    Integer,
    Other,
}

/// Uses of parameters that rules can read.
const READABLE: [&str; 2] = ["global", "partition"];

/// Takes the root of a connector's file. `None` where it has no identifier.
pub(super) fn connector(root: Node<'_, '_>) -> Option<ConnectorFile> {
    let id = guid(&child_text(root, "id"))?;
    let category = child_text(root, "category").trim().to_owned();
    let subtype = child_text(root, "subtype").trim().to_owned();
    let kind = match category.as_str() {
        "AD" => Some("ad"),
        _ if subtype.contains("Azure Active Directory") || subtype.contains("Entra ID") => {
            Some("scim")
        }
        _ if subtype.contains("LDAP") => Some("ldap"),
        _ => None,
    };
    let mut parameters = BTreeMap::<String, BTreeSet<String>>::new();
    for parameter in root.descendants().filter(|node| node.tag_name().name() == "parameter") {
        let used = parameter.attribute("use").unwrap_or_default();
        let (Some(name), true) = (parameter.attribute("name"), READABLE.contains(&used)) else {
            continue;
        };
        let value = text(parameter).trim().to_owned();
        if !value.is_empty() {
            parameters.entry(name.to_owned()).or_default().insert(value);
        }
    }
    Some(ConnectorFile {
        id,
        name: child_text(root, "name").trim().to_owned(),
        kind,
        category: if subtype.is_empty() { category } else { format!("{category}, {subtype}") },
        created: child_text(root, "creation-time").trim().to_owned(),
        parameters,
        types: Types::of(root),
    })
}

/// Takes the root of `MV.xml`.
pub(super) fn metaverse(root: Node<'_, '_>) -> Metaverse {
    let mut parameters = BTreeMap::new();
    let values = root.descendants().filter(|node| node.tag_name().name() == "parameter-values");
    for parameter in values.flat_map(|values| children(values, "parameter")) {
        if let Some(name) = parameter.attribute("name") {
            parameters.insert(name.to_owned(), text(parameter).trim().to_owned());
        }
    }
    Metaverse { parameters, types: Types::of(root) }
}

// === impl Types ===

impl Types {
    fn of(root: Node<'_, '_>) -> Self {
        let is_type = |node: &Node<'_, '_>| node.tag_name().name() == "attribute-type";
        let typed = root.descendants().filter(is_type).filter_map(|node| {
            let syntax = child(node, "syntax").map(text)?;
            // Boolean; integer; the large integer of Active Directory (RFC 4517, [MS-ADTS]).
            let kind = match syntax.trim() {
                "1.3.6.1.4.1.1466.115.121.1.7" => Type::Boolean,
                "1.3.6.1.4.1.1466.115.121.1.27" | "1.2.840.113556.1.4.906" => Type::Integer,
                _ => Type::Other,
            };
            Some((child_text(node, "name").trim().to_lowercase(), kind))
        });
        Self(typed.collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The type of an attribute; `None` where the schema does not have it.
    pub fn get(&self, attribute: &str) -> Option<Type> {
        self.0.get(&attribute.to_lowercase()).copied()
    }
}
