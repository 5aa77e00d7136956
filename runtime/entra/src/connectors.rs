//! Which connector is which: what exports and arguments say of identifiers flows in, names and
//! kinds flow out.

use std::collections::{BTreeMap, BTreeSet};

use crate::convert::Finding;
use crate::fault::{ARGUMENT, CONNECTOR, Fault};
use crate::model::guid;
use crate::read::{ConnectorFile, Export};

/// The connector of the cloud has the same identifier in every installation.
const CLOUD: &str = "b891884f-051e-4a83-95af-2544101c9083";

/// Kinds of connectors by their words in a manifest.
pub const KINDS: [&str; 5] = ["ad", "openldap", "ldap", "ldif", "scim"];

/// `GUID=NAME[:KIND]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    pub id: String,
    pub name: String,
    pub kind: Option<String>,
}

/// `NAME:KEY=VALUE`: a value of `%KEY%` on the connector of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    pub connector: String,
    pub key: String,
    pub value: String,
}

#[derive(Clone, Debug)]
pub struct Connector {
    pub id: String,
    pub name: String,
    pub kind: String,
    /// What its export says, if there is one.
    pub file: Option<ConnectorFile>,
    /// Values that the caller gave.
    pub given: BTreeMap<String, String>,
}

/// Every connector that a rule is of, the sources first.
#[derive(Debug)]
pub struct Connectors(Vec<Connector>);

/// Names the connectors of an export. Errors: rules of connectors that nothing names, arguments
/// that fit nothing.
pub fn resolve(
    export: &Export,
    arguments: &[Argument],
    parameters: &[Parameter],
    findings: &mut Vec<Finding>,
) -> Result<Connectors, Vec<Fault>> {
    let used: BTreeSet<&str> = export.rules.iter().map(|rule| rule.connector.as_str()).collect();
    let mut faults = vec![];
    for argument in arguments {
        let known = used.contains(argument.id.as_str())
            || export.connectors.iter().any(|file| file.id == argument.id);
        if !known {
            let message = format!("no rule is of the connector `{}`", argument.id);
            let ids: Vec<String> = used.iter().map(|id| format!("`{{{id}}}`")).collect();
            let hint = format!("there are {}", ids.join(", "));
            faults.push(Fault::new(CONNECTOR, message).hint(hint));
        }
    }
    let mut all = vec![];
    for id in used {
        let argument = arguments.iter().find(|argument| argument.id == id);
        let file = export.connectors.iter().find(|file| file.id == id);
        match one(id, argument, file, findings) {
            Ok(connector) => all.push(connector),
            Err(fault) => faults.push(fault),
        }
    }
    sort(&mut all, arguments);
    let mut names = BTreeSet::new();
    for connector in &all {
        if !names.insert(connector.name.clone()) {
            let message = format!("two connectors would be called `{}`", connector.name);
            let hint = format!("say `--connector '{{{}}}=NAME'` with another name", connector.id);
            faults.push(Fault::new(CONNECTOR, message).hint(hint));
        }
    }
    for parameter in parameters {
        match all.iter_mut().find(|connector| connector.name == parameter.connector) {
            Some(connector) => {
                connector.given.insert(parameter.key.clone(), parameter.value.clone());
            }
            None => {
                let message =
                    format!("`--parameter` names no connector: `{}`", parameter.connector);
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let hint = format!("there are {}", names.join(", "));
                faults.push(Fault::new(ARGUMENT, message).hint(hint));
            }
        }
    }
    if faults.is_empty() { Ok(Connectors(all)) } else { Err(faults) }
}

fn one(
    id: &str,
    argument: Option<&Argument>,
    file: Option<&ConnectorFile>,
    findings: &mut Vec<Finding>,
) -> Result<Connector, Fault> {
    let place = format!("connector `{{{id}}}`");
    let name = match (argument, file) {
        (Some(argument), _) => argument.name.clone(),
        (None, Some(file)) => {
            let name = slug(&file.name);
            findings.push(Finding::note(&place, format!("`{}` is called `{name}`", file.name)));
            name
        }
        (None, None) => {
            let message = format!("rules are of the connector `{{{id}}}`, which has no name here");
            let hint = format!("add `--connector '{{{id}}}=NAME:ad'`, or `:scim` for the cloud");
            return Err(Fault::new(CONNECTOR, message).hint(hint));
        }
    };
    let kind = match (argument.and_then(|argument| argument.kind.clone()), file) {
        (Some(kind), _) => kind,
        (None, Some(ConnectorFile { kind: Some(kind), .. })) => (*kind).to_owned(),
        (None, Some(file)) => {
            let message = format!("`{}` is of an unknown category: {}", file.name, file.category);
            let hint = format!("say what it is: `--connector '{{{id}}}={name}:ldap'`");
            return Err(Fault::new(CONNECTOR, message).hint(hint));
        }
        (None, None) if id == CLOUD => "scim".to_owned(),
        (None, None) => {
            let what = format!("nothing says what `{name}` is: taken for Active Directory");
            let remedy = format!("else say `--connector '{{{id}}}={name}:ldap'`");
            findings.push(Finding::note(&place, what).suggest(remedy));
            "ad".to_owned()
        }
    };
    let file = file.cloned();
    Ok(Connector { id: id.to_owned(), name, kind, file, given: BTreeMap::new() })
}

/// Sources first, each kind in the order in which they were added, as far as that is known.
fn sort(all: &mut [Connector], arguments: &[Argument]) {
    all.sort_by_cached_key(|connector| {
        let created = connector.file.as_ref().map(|file| file.created.clone());
        let argued = arguments.iter().position(|argument| argument.id == connector.id);
        (connector.is_target(), created, argued, connector.id.clone())
    });
}

/// A name for people and files: letters, digits and single hyphens.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if letter.is_alphanumeric() {
            slug.extend(letter.to_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug: String = slug.trim_end_matches('-').chars().take(SLUG_CHARS_MAX).collect();
    if slug.is_empty() { "unnamed".to_owned() } else { slug }
}

/// Longest slug in characters: file names have 255 bytes, a character up to four.
const SLUG_CHARS_MAX: usize = 50;

// === impl Argument ===

impl Argument {
    /// Reads `GUID=NAME` or `GUID=NAME:KIND`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = "write `{GUID}=NAME` or `{GUID}=NAME:KIND`";
        let (id, rest) = text.split_once('=').ok_or_else(|| form.to_owned())?;
        let id = guid(id).ok_or_else(|| format!("`{id}` is no identifier: {form}"))?;
        let (name, kind) = match rest.rsplit_once(':') {
            Some((name, kind)) => (name, Some(kind.to_owned())),
            None => (rest, None),
        };
        let plain = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!("`{name}` is no name: take letters, digits and hyphens"));
        }
        match &kind {
            Some(kind) if !KINDS.contains(&kind.as_str()) => {
                Err(format!("unknown kind `{kind}`: known are `{}`", KINDS.join("`, `")))
            }
            _ => Ok(Self { id, name: name.to_owned(), kind }),
        }
    }
}

// === impl Parameter ===

impl Parameter {
    /// Reads `NAME:KEY=VALUE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').and_then(|(left, value)| {
            let (connector, key) = left.split_once(':')?;
            (!connector.is_empty() && !key.is_empty()).then(|| Self {
                connector: connector.to_owned(),
                key: key.trim_matches('%').to_owned(),
                value: value.to_owned(),
            })
        });
        parts.ok_or_else(|| "write `CONNECTOR:KEY=VALUE`, such as `corp:Domain.FQDN=...`".into())
    }
}

// === impl Connector ===

impl Connector {
    pub fn is_target(&self) -> bool {
        self.kind == "scim"
    }
}

// === impl Connectors ===

impl Connectors {
    pub fn all(&self) -> impl Iterator<Item = &Connector> {
        self.0.iter()
    }

    /// The connector of a rule; it was named before, or [`resolve`] would have refused.
    pub fn of(&self, id: &str) -> Option<&Connector> {
        self.0.iter().find(|connector| connector.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_a_connector_and_perhaps_its_kind() {
        let id = "AE4DB4CC-B16B-4EB2-ACF5-837CA84E4D7D";
        let argument = |kind: Option<&str>| Argument {
            id: id.to_lowercase(),
            name: "forest-a".into(),
            kind: kind.map(str::to_owned),
        };
        assert_eq!(Argument::parse(&format!("{{{id}}}=forest-a")), Ok(argument(None)));
        assert_eq!(Argument::parse(&format!("{id}=forest-a:scim")), Ok(argument(Some("scim"))));
        for (text, expected) in [
            ("forest-a".to_owned(), "write `{GUID}=NAME` or `{GUID}=NAME:KIND`"),
            ("x=y".to_owned(), "`x` is no identifier: write `{GUID}=NAME` or `{GUID}=NAME:KIND`"),
            (format!("{id}=a b"), "`a b` is no name: take letters, digits and hyphens"),
            (
                format!("{id}=a:entra"),
                "unknown kind `entra`: known are `ad`, `openldap`, `ldap`, `ldif`, `scim`",
            ),
        ] {
            assert_eq!(Argument::parse(&text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn slugs_are_file_names() {
        for (name, expected) in [
            ("contoso.onmicrosoft.com - AAD", "contoso-onmicrosoft-com-aad"),
            ("In from AD - User Join", "in-from-ad-user-join"),
            ("../../x", "x"),
            ("営業 部", "営業-部"),
            ("- -", "unnamed"),
        ] {
            assert_eq!(slug(name), expected, "{name}");
        }
    }
}
