//! The types that a server itself gives its attributes: values of `attributeTypes` (RFC 4512 4.1.2)
//! flow in, the syntax of an attribute flows out.

use std::collections::HashMap;

use crate::connector::attribute::Syntax;

/// Longest chain of super types followed: real ones have three links, a loop would have no end.
const SUPERIORS_MAX: usize = 16;

/// What the subschema says, by name and OID in lower case.
#[derive(Default)]
pub struct Schema {
    types: HashMap<String, Declared>,
}

#[derive(Clone)]
enum Declared {
    Syntax(String),
    /// The same as another attribute's.
    Superior(String),
}

impl Schema {
    /// Takes: the values of `attributeTypes`, any number. One that cannot be read is passed over:
    /// its attribute is then typed by our own table.
    pub fn parse<'v>(descriptions: impl Iterator<Item = &'v str>) -> Self {
        let mut types = HashMap::new();
        for description in descriptions {
            let (names, declared) = attribute_type(description);
            if let Some(declared) = declared {
                types.extend(names.into_iter().map(|name| (name, declared.clone())));
            }
        }
        Self { types }
    }

    /// The syntax of an attribute by its name in lower case; `None` if the schema does not say, or
    /// says one that is text to us.
    pub fn syntax(&self, name: &str) -> Option<Syntax> {
        let mut name = name;
        for _ in 0..SUPERIORS_MAX {
            match self.types.get(name)? {
                Declared::Syntax(oid) => return of_oid(oid),
                Declared::Superior(superior) => name = superior,
            }
        }
        None
    }
}

/// RFC 4517 3.3, RFC 4530 2.1, MS-ADTS 3.1.1.2.2.2.
pub(super) fn of_oid(oid: &str) -> Option<Syntax> {
    let rfc4517 = oid.strip_prefix("1.3.6.1.4.1.1466.115.121.1.");
    Some(match rfc4517.unwrap_or(oid) {
        // DN; name and optional UID.
        "12" | "34" => Syntax::Reference,
        "27" | "1.2.840.113556.1.4.906" => Syntax::Integer,
        "7" => Syntax::Boolean,
        // Audio, binary, certificates, fax, JPEG, octet string, supported algorithm.
        "4" | "5" | "8" | "9" | "10" | "23" | "28" | "40" | "49" => Syntax::Binary,
        "1.3.6.1.1.16.1" => Syntax::Uuid,
        _ => return None,
    })
}

/// OID and names of an attribute type in lower case, and what it says of its syntax.
fn attribute_type(description: &str) -> (Vec<String>, Option<Declared>) {
    let mut words = words(description).filter(|word| *word != "(" && *word != ")").peekable();
    let mut names: Vec<String> = words.next().into_iter().map(str::to_ascii_lowercase).collect();
    let mut declared = None;
    while let Some(word) = words.next() {
        match word {
            "NAME" => {
                while let Some(name) = words.next_if(|word| word.starts_with('\'')) {
                    names.push(name.trim_matches('\'').to_ascii_lowercase());
                }
            }
            // An own syntax says more than the superior's.
            "SYNTAX" => {
                declared = words.next().map(|oid| {
                    let oid = oid.trim_matches('\'').split('{').next().unwrap_or_default();
                    Declared::Syntax(oid.to_owned())
                });
            }
            "SUP" if declared.is_none() => {
                declared = words.next().map(|name| Declared::Superior(name.to_ascii_lowercase()));
            }
            _ => {}
        }
    }
    (names, declared)
}

/// Parentheses, quoted strings with their quotes, and what stands between blanks.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let end = match rest.chars().next()? {
            '(' | ')' => 1,
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            _ => rest.find([' ', '(', ')']).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: [&str; 8] = [
        "( 2.5.4.49 NAME 'distinguishedName' SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )",
        "( 2.5.4.31 NAME 'member' DESC 'member (of a SYNTAX group)' SUP distinguishedName )",
        "( 1.3.6.1.1.1.1.0 NAME ('uidNumber' 'UNIXuid') SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 )",
        "( 1.60 NAME 'jpegPhoto' SYNTAX 1.3.6.1.4.1.1466.115.121.1.28{250000} )",
        "( 2.5.4.41 NAME 'name' SYNTAX 1.3.6.1.4.1.1466.115.121.1.15{32768} )",
        "( 1.1 NAME 'loop' SUP pool )",
        "( 1.2 NAME 'pool' SUP loop )",
        "( 1.3 NAME 'flag' SUP name SYNTAX '1.3.6.1.4.1.1466.115.121.1.7' )",
    ];

    #[test]
    fn the_syntax_comes_from_the_type_or_its_superior() {
        let schema = Schema::parse(TYPES.into_iter().chain(["", "(", "( 1.4 NAME", "'"]));
        for (name, expected) in [
            ("member", Some(Syntax::Reference)),
            ("2.5.4.31", Some(Syntax::Reference)),
            ("uidnumber", Some(Syntax::Integer)),
            ("unixuid", Some(Syntax::Integer)),
            ("jpegphoto", Some(Syntax::Binary)),
            ("flag", Some(Syntax::Boolean)),
            ("name", None),
            ("loop", None),
            ("nosuchtype", None),
        ] {
            assert_eq!(schema.syntax(name), expected, "{name}");
        }
    }
}
