//! Where attributes of the cloud have a place at a SCIM service: names of rules flow in, a piece of
//! `config.yml` flows out, and what has no place is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::connectors::Connectors;
use crate::convert::{Converted, Finding};
use crate::model::Direction;
use crate::yaml::{quoted, scalar};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Attributes of a user by their paths (RFC 7643 sections 4.1 and 4.3); `+` stands for the
/// enterprise extension. Several names may share a path, of which the first that rules write is
/// taken.
const USER: [(&str, &str); 29] = [
    ("sourceAnchor", "externalId"),
    ("userPrincipalName", "userName"),
    ("accountEnabled", "active"),
    ("displayName", "displayName"),
    ("givenName", "name.givenName"),
    ("surname", "name.familyName"),
    ("sn", "name.familyName"),
    ("middleName", "name.middleName"),
    ("mail", r#"emails[type eq "work"].value"#),
    ("title", "title"),
    ("jobTitle", "title"),
    ("preferredLanguage", "preferredLanguage"),
    ("telephoneNumber", r#"phoneNumbers[type eq "work"].value"#),
    ("mobile", r#"phoneNumbers[type eq "mobile"].value"#),
    ("facsimileTelephoneNumber", r#"phoneNumbers[type eq "fax"].value"#),
    ("homePhone", r#"phoneNumbers[type eq "home"].value"#),
    ("streetAddress", r#"addresses[type eq "work"].streetAddress"#),
    ("city", r#"addresses[type eq "work"].locality"#),
    ("l", r#"addresses[type eq "work"].locality"#),
    ("state", r#"addresses[type eq "work"].region"#),
    ("st", r#"addresses[type eq "work"].region"#),
    ("postalCode", r#"addresses[type eq "work"].postalCode"#),
    ("countryLetterCode", r#"addresses[type eq "work"].country"#),
    ("department", "+department"),
    ("companyName", "+organization"),
    ("company", "+organization"),
    ("division", "+division"),
    ("employeeID", "+employeeNumber"),
    ("manager", "+manager"),
];

/// Attributes of a group (RFC 7643 section 4.2).
const GROUP: [(&str, &str); 3] =
    [("sourceAnchor", "externalId"), ("displayName", "displayName"), ("member", "members")];

/// A resource and where the attributes of its kind lie, names by paths.
type Places = (&'static str, &'static [(&'static str, &'static str)]);

/// Object types of the cloud, as far as SCIM has a resource for them.
fn places(class: &str) -> Option<Places> {
    match class {
        "user" => Some(("User", &USER)),
        "group" => Some(("Group", &GROUP)),
        _ => None,
    }
}

/// The piece of `config.yml` that goes with the rules: `types` of each target. Names of rules are
/// taken from the rules that are enabled, and those without a place are noted.
pub fn text(
    connectors: &Connectors,
    converted: &[Converted<'_>],
    findings: &mut Vec<Finding>,
) -> Option<String> {
    let mut text = String::from(
        "# Under which paths the attributes of the imported rules are sent: put `types` below the\n\
         # target in config.yml. What is not named here is computed by no rule and not sent.\n\
         targets:\n",
    );
    let mut any = false;
    for connector in connectors.all().filter(|connector| connector.is_target()) {
        let mut written = BTreeMap::<&str, BTreeSet<&str>>::new();
        let outbound = converted.iter().filter(|converted| {
            converted.enabled
                && converted.connector == connector.name
                && converted.rule.direction == Direction::Outbound
        });
        for converted in outbound {
            let attributes = written.entry(&converted.rule.target_type).or_default();
            attributes.extend(converted.rule.flows.iter().map(|flow| flow.to.as_str()));
        }
        if written.is_empty() {
            continue;
        }
        any = true;
        let _ = write!(text, "  {}:\n    types:\n", scalar(&connector.name));
        for (class, attributes) in &written {
            one(&connector.name, class, attributes, &mut text, findings);
        }
    }
    any.then_some(text)
}

fn one(
    target: &str,
    class: &str,
    attributes: &BTreeSet<&str>,
    text: &mut String,
    findings: &mut Vec<Finding>,
) {
    let place = format!("target `{target}`");
    let Some((resource, places)) = places(class) else {
        let what = format!("SCIM has no resource for objects of the type `{class}`");
        let remedy = "its rules are checked and do nothing";
        findings.push(Finding::note(&place, what).suggest(remedy));
        return;
    };
    let _ = write!(text, "      {}:\n        resource: {resource}\n", scalar(class));
    text.push_str("        attributes:\n");
    let mut left: BTreeSet<&str> = attributes.clone();
    let mut taken = BTreeSet::new();
    for (name, path) in places {
        if !attributes.contains(name) || !taken.insert(path) {
            continue;
        }
        left.remove(name);
        let path = match path.strip_prefix('+') {
            Some(name) => format!("{ENTERPRISE}:{name}"),
            None => (*path).to_owned(),
        };
        let _ = writeln!(text, "          {}: {}", scalar(name), quoted(&path));
    }
    if !left.is_empty() {
        let names: Vec<String> = left.iter().map(|name| format!("`{name}`")).collect();
        let what = format!(
            "{} attributes of `{class}` have no place in SCIM: {}",
            left.len(),
            names.join(", ")
        );
        let remedy = "they are not sent; name a path of your service in `types` if it has one";
        findings.push(Finding::note(&place, what).suggest(remedy));
    }
}
