//! What a server says that its entries may hold (RFC 4512 4.1 and 4.2): values of `objectClasses`,
//! `dITContentRules` and `attributeTypes` flow in, the attributes of every class flow out.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Failure;
use super::schema::{of_oid, words};
use super::session::Session;
use crate::connector::attribute::Syntax;
use crate::edge::{AttributeSchema, AttributeSyntax, SourceSchema};

/// Longest chain of super types followed: real ones have six links, a loop would have no end.
const SUPERIORS_MAX: usize = 16;

/// Reads the schema of a server.
pub async fn read(session: &mut Session) -> Result<SourceSchema, Failure> {
    let asked = ["objectClasses", "attributeTypes", "dITContentRules"];
    let found = session.subschema(&asked).await?.unwrap_or_default();
    let of = |name: &str| found.get(name).map(Vec::as_slice).unwrap_or_default();
    let schema = describe(of("objectclasses"), of("ditcontentrules"), of("attributetypes"));
    if schema.classes.is_empty() {
        return Err(Failure::Config {
            message: "the server shows no schema".to_owned(),
            hint: "let the bind account read the subschema entry".to_owned(),
        });
    }
    Ok(schema)
}

/// One definition: its names, and the lists behind its words (`MUST`, `MAY`, `SUP` ...).
#[derive(Default)]
struct Definition {
    /// The OID first, then the names as they are written.
    names: Vec<String>,
    lists: BTreeMap<&'static str, Vec<String>>,
    flags: BTreeSet<&'static str>,
}

/// The words whose lists count, and those that stand alone.
const LISTS: [&str; 6] = ["SUP", "MUST", "MAY", "AUX", "SYNTAX", "USAGE"];
const FLAGS: [&str; 2] = ["SINGLE-VALUE", "NO-USER-MODIFICATION"];

// === impl Definition ===

impl Definition {
    fn parse(text: &str) -> Self {
        let mut words = words(text).filter(|word| !matches!(*word, "(" | ")" | "$")).peekable();
        let mut definition = Self::default();
        definition.names.extend(words.next().map(str::to_owned));
        let is_word = |word: &str| word.starts_with(|c: char| c.is_ascii_uppercase());
        let quoted = |word: &str| word.trim_matches('\'').to_owned();
        while let Some(word) = words.next() {
            if word == "NAME" {
                while let Some(name) = words.next_if(|word| word.starts_with('\'')) {
                    definition.names.push(quoted(name));
                }
            } else if let Some(list) = LISTS.iter().find(|list| **list == word) {
                let values = definition.lists.entry(list).or_default();
                // A name of all capitals in such a list is as good as none: no schema has one that
                // is also a word of the grammar.
                let is_value = |word: &&str| !GRAMMAR.contains(word) && !word.starts_with("X-");
                while let Some(value) = words.next_if(is_value) {
                    values.push(quoted(value));
                }
            } else if let Some(flag) = FLAGS.iter().find(|flag| **flag == word) {
                definition.flags.insert(flag);
            } else if is_word(word) {
                // The text of a description may hold any word of the grammar.
                words.next_if(|word| word.starts_with('\''));
            }
        }
        definition
    }

    /// What stands behind a word, `$` signs and case aside.
    fn list(&self, word: &str) -> impl Iterator<Item = String> {
        let values = self.lists.get(word).into_iter().flatten();
        values.flat_map(|value| value.split('$')).filter(|v| !v.is_empty()).map(str::to_owned)
    }

    /// How people call it.
    fn name(&self) -> Option<&String> {
        self.names.get(1).or(self.names.first())
    }
}

/// Every word that can follow a list, but those that begin with `X-` (RFC 4512 4.1).
const GRAMMAR: [&str; 19] = [
    "NAME",
    "DESC",
    "OBSOLETE",
    "SUP",
    "ABSTRACT",
    "STRUCTURAL",
    "AUXILIARY",
    "MUST",
    "MAY",
    "AUX",
    "NOT",
    "EQUALITY",
    "ORDERING",
    "SUBSTR",
    "SYNTAX",
    "SINGLE-VALUE",
    "COLLECTIVE",
    "NO-USER-MODIFICATION",
    "USAGE",
];

/// Takes the values of the three attributes, each in any order; the rules may be none. What cannot
/// be read is passed over.
fn describe(classes: &[String], rules: &[String], types: &[String]) -> SourceSchema {
    let index = |texts: &[String]| -> BTreeMap<String, Definition> {
        let mut by_name = BTreeMap::new();
        for text in texts {
            for name in &Definition::parse(text).names {
                by_name.insert(name.to_ascii_lowercase(), Definition::parse(text));
            }
        }
        by_name
    };
    let (classes, rules, types) = (index(classes), index(rules), index(types));
    let mut schema = SourceSchema::default();
    for definition in types.values() {
        let Some(name) = definition.name() else { continue };
        schema.attributes.entry(name.clone()).or_insert_with(|| attribute(definition, &types));
    }
    let spelt = |name: String| {
        let known = types.get(&name.to_ascii_lowercase()).and_then(Definition::name);
        known.cloned().unwrap_or(name)
    };
    for definition in classes.values() {
        let Some(name) = definition.name() else { continue };
        let found = collect(definition, &classes, &rules).into_iter().map(spelt).collect();
        schema.classes.insert(name.clone(), found);
    }
    schema
}

/// Every attribute of a class: its own, and those of its superiors and auxiliaries.
fn collect(
    class: &Definition,
    classes: &BTreeMap<String, Definition>,
    rules: &BTreeMap<String, Definition>,
) -> BTreeSet<String> {
    let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut waiting = vec![class];
    while let Some(class) = waiting.pop() {
        let Some(oid) = class.names.first() else { continue };
        if !seen.insert(oid.clone()) {
            continue;
        }
        // A content rule has the OID of the class that it extends.
        for definition in std::iter::once(class).chain(rules.get(&oid.to_ascii_lowercase())) {
            found.extend(definition.list("MUST").chain(definition.list("MAY")));
            let others = definition.list("SUP").chain(definition.list("AUX"));
            waiting.extend(others.filter_map(|name| classes.get(&name.to_ascii_lowercase())));
        }
    }
    found
}

fn attribute(definition: &Definition, types: &BTreeMap<String, Definition>) -> AttributeSchema {
    let syntax = |definition: &Definition| {
        let oid = definition.list("SYNTAX").next()?;
        Some(of_oid(oid.split('{').next().unwrap_or_default()))
    };
    let mut superior = Some(definition);
    let mut found = None;
    for _ in 0..SUPERIORS_MAX {
        let Some(at) = superior.filter(|_| found.is_none()) else { break };
        found = syntax(at);
        superior = at.list("SUP").next().and_then(|name| types.get(&name.to_ascii_lowercase()));
    }
    AttributeSchema {
        syntax: match found.flatten() {
            Some(Syntax::Integer) => AttributeSyntax::Integer,
            Some(Syntax::Boolean) => AttributeSyntax::Boolean,
            Some(Syntax::Binary | Syntax::Uuid) => AttributeSyntax::Binary,
            Some(Syntax::Reference) => AttributeSyntax::Reference,
            Some(Syntax::Text) | None => AttributeSyntax::Text,
        },
        single_valued: definition.flags.contains("SINGLE-VALUE"),
        // Directory servers that predate the word say it by what users may not change.
        operational: definition
            .list("USAGE")
            .next()
            .is_some_and(|usage| usage != "userApplications")
            || definition.flags.contains("NO-USER-MODIFICATION"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_class_has_the_attributes_of_its_superiors_and_auxiliaries() {
        let schema = describe(
            &texts(&[
                "( 2.5.6.0 NAME 'top' ABSTRACT MUST objectClass )",
                "( 2.5.6.6 NAME 'person' DESC 'a MAY of $ words' SUP top STRUCTURAL \
                 MUST ( SN $ cn ) MAY ( userPassword$telephoneNumber ) )",
                "( 1.2 NAME ('user' 'account') SUP person STRUCTURAL MAY title X-ORIGIN 'us' )",
                "( 1.3 NAME 'mailRecipient' AUXILIARY MAY ( mailNickname ) )",
                "( 1.4 NAME 'loop' SUP pool MAY a )",
                "( 1.5 NAME 'pool' SUP loop MAY b )",
                "(",
            ]),
            &texts(&["( 1.2 NAME 'user' AUX mailRecipient MAY ( objectSid $ extra ) )"]),
            &texts(&["( 2.5.4.4 NAME ( 'sn' 'surname' ) SUP name )"]),
        );
        let of = |class: &str| schema.classes[class].iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(of("person"), "cn objectClass sn telephoneNumber userPassword");
        assert_eq!(
            of("user"),
            "cn extra mailNickname objectClass objectSid sn telephoneNumber title userPassword"
        );
        assert_eq!(of("loop"), "a b");
    }

    #[test]
    fn an_attribute_has_the_syntax_of_its_superior() {
        let schema = describe(
            &[],
            &[],
            &texts(&[
                "( 2.5.4.49 NAME 'distinguishedName' SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )",
                "( 2.5.4.31 NAME 'member' SUP distinguishedName )",
                "( 1.1 NAME 'number' SYNTAX '1.3.6.1.4.1.1466.115.121.1.27' SINGLE-VALUE )",
                "( 1.3.6.1.1.16.4 NAME 'entryUUID' SYNTAX 1.3.6.1.1.16.1 SINGLE-VALUE \
                 NO-USER-MODIFICATION USAGE directoryOperation )",
                "( 1.2 NAME 'self' SUP self )",
            ]),
        );
        let check = |name: &str, syntax, single_valued, operational| {
            let expected = AttributeSchema { syntax, single_valued, operational };
            assert_eq!(schema.attributes.get(name), Some(&expected), "{name}");
        };
        check("member", AttributeSyntax::Reference, false, false);
        check("number", AttributeSyntax::Integer, true, false);
        check("entryUUID", AttributeSyntax::Binary, true, true);
        check("self", AttributeSyntax::Text, false, false);
    }
}
