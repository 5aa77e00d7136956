//! What SCIM says of its classes and attributes, as far as delivery needs it: names of attributes
//! flow in, their type, arity and case rule flow out (RFC 7643 sections 4 and 8.7.1).

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::object::{AttributeName, ClassName, Value};
use kakehi_engine::rule::{TargetClass, ValueType};

use super::path::Path;

/// The enterprise extension of a user (RFC 7643 section 4.3).
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Where the objects of a class live, and what they say they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceType {
    pub class: &'static str,
    /// One path segment below the base URL.
    pub endpoint: &'static str,
    pub schema: &'static str,
    /// What reads leave out: it is long and seldom wanted.
    pub bulky: &'static str,
}

pub const USER: ResourceType = ResourceType {
    class: "User",
    endpoint: "Users",
    schema: "urn:ietf:params:scim:schemas:core:2.0:User",
    bulky: "groups",
};

pub const GROUP: ResourceType = ResourceType {
    class: "Group",
    endpoint: "Groups",
    schema: "urn:ietf:params:scim:schemas:core:2.0:Group",
    bulky: "members",
};

/// Complex attributes with several values, each of which is an object (RFC 7643 sections 4.1.2,
/// 4.2).
const MULTI_VALUED: [&str; 9] = [
    "addresses",
    "emails",
    "entitlements",
    "ims",
    "members",
    "phoneNumbers",
    "photos",
    "roles",
    "x509Certificates",
];

/// What the target alone decides, or never shows (RFC 7643 sections 3.1, 4.1.1, 4.1.2).
const NOT_OURS: [&str; 5] = ["id", "meta", "schemas", "groups", "password"];

/// The object types of every SCIM target, by name.
pub fn classes() -> BTreeMap<ClassName, TargetClass> {
    BTreeMap::from([(USER.class.into(), user()), (GROUP.class.into(), group())])
}

/// The resource type of a class; `None` for classes SCIM targets do not have.
pub fn resource_type(class: &ClassName) -> Option<ResourceType> {
    [USER, GROUP].into_iter().find(|known| known.class == class.as_str())
}

/// Whether an attribute, written without sub-attribute, is a list of objects.
pub fn is_multi_valued(path: &Path<'_>) -> bool {
    path.urn.is_none() && MULTI_VALUED.contains(&path.attribute)
}

/// Whether an attribute is decided by the target alone or must never be read.
pub fn is_not_ours(attribute: &str) -> bool {
    NOT_OURS.iter().any(|name| name.eq_ignore_ascii_case(attribute))
}

/// The type of the values of an attribute.
pub fn value_type(path: &Path<'_>) -> ValueType {
    let reference = path.sub.is_none_or(|sub| sub == "value");
    match (path.urn, path.attribute, path.sub) {
        (None, "active", None) | (_, _, Some("primary")) => ValueType::Boolean,
        (None, "members", _) if reference => ValueType::Reference,
        (Some(urn), "manager", _) if reference && urn.eq_ignore_ascii_case(ENTERPRISE_USER) => {
            ValueType::Reference
        }
        _ => ValueType::Text,
    }
}

/// Whether values that differ in case only are the same value.
///
/// Servers fold user names and mail addresses and give them back folded; everything else must come
/// back as it was sent, though its schema calls it `caseExact: false`.
pub fn folds_case(path: &Path<'_>) -> bool {
    path.urn.is_none() && matches!(path.attribute, "userName" | "emails")
}

/// Whether a match key is compared without case: what a second object cannot differ in alone.
pub fn matches_without_case(attribute: &str) -> bool {
    attribute != "externalId"
}

fn user() -> TargetClass {
    let manager = format!("{ENTERPRISE_USER}:manager");
    let several = MULTI_VALUED.into_iter().filter(|name| *name != "members");
    TargetClass {
        naming: Some("userName".into()),
        disable: Some(("active".into(), Value::Boolean(false))),
        multi_valued: several.map(AttributeName::from).collect(),
        types: BTreeMap::from([
            ("active".into(), ValueType::Boolean),
            (manager.into(), ValueType::Reference),
        ]),
        rank: 0,
        match_by: vec!["externalId".into(), "userName".into()],
    }
}

fn group() -> TargetClass {
    TargetClass {
        naming: Some("displayName".into()),
        disable: None,
        multi_valued: BTreeSet::from(["members".into()]),
        types: BTreeMap::from([("members".into(), ValueType::Reference)]),
        rank: 1,
        match_by: vec!["externalId".into(), "displayName".into()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_schema() {
        let manager = format!("{ENTERPRISE_USER}:manager");
        let manager_value = format!("{ENTERPRISE_USER}:manager.value");
        for (name, expected) in [
            ("userName", ValueType::Text),
            ("active", ValueType::Boolean),
            (r#"emails[type eq "work"].primary"#, ValueType::Boolean),
            (r#"emails[type eq "work"].value"#, ValueType::Text),
            ("members", ValueType::Reference),
            (&manager, ValueType::Reference),
            (&manager_value, ValueType::Reference),
            ("urn:other:manager", ValueType::Text),
        ] {
            assert_eq!(value_type(&Path::parse(name).unwrap()), expected, "{name}");
        }
    }

    #[test]
    fn both_classes_describe_themselves() {
        let classes = classes();
        assert_eq!(classes.keys().map(ClassName::as_str).collect::<Vec<_>>(), ["Group", "User"]);
        assert!(classes["User"].rank < classes["Group"].rank);
        assert!(classes["User"].multi_valued.contains("emails"));
        assert!(!classes["User"].multi_valued.contains("members"));
    }
}
