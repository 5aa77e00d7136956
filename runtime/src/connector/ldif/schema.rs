//! What the records of a text hold, class by class: for rules that are generated for it.

use super::record::Body;
use super::{Failure, Text, at, faulty, records};
use crate::connector::attribute::{Syntax, base_name, canonicalize, is_password};
use crate::edge::{AttributeSchema, AttributeSyntax, SourceSchema};

/// Reads every record. Errors: a text that is no LDIF, or holds changes.
pub fn read(place: &str, text: &mut impl Text) -> Result<SourceSchema, Failure> {
    let mut schema = SourceSchema::default();
    let mut canonical = String::new();
    let mut records = records(text, place)?;
    while let Some(record) = records.next().map_err(|error| at(place, &error))? {
        let Body::Content(attributes) = &record.body else {
            return Err(faulty(place, record.line, "changes do not say what an object holds"));
        };
        let mut names = vec![];
        for (name, _) in attributes {
            canonicalize(name, &mut canonical);
            if !is_password(&canonical) && !names.iter().any(|known| known == base_name(name)) {
                names.push(base_name(name).to_owned());
            }
        }
        let is_class = |name: &str| name.eq_ignore_ascii_case("objectClass");
        for (_, class) in attributes.iter().filter(|(name, _)| is_class(name)) {
            let class = String::from_utf8_lossy(class).into_owned();
            schema.classes.entry(class).or_default().extend(names.iter().cloned());
        }
        for name in names {
            canonicalize(&name, &mut canonical);
            if let Some(syntax) = Syntax::well_known(&canonical) {
                let syntax = described(syntax);
                let attribute = AttributeSchema { syntax, ..AttributeSchema::default() };
                schema.attributes.insert(name, attribute);
            }
        }
    }
    Ok(schema)
}

fn described(syntax: Syntax) -> AttributeSyntax {
    match syntax {
        Syntax::Text => AttributeSyntax::Text,
        Syntax::Integer => AttributeSyntax::Integer,
        Syntax::Boolean => AttributeSyntax::Boolean,
        Syntax::Binary | Syntax::Uuid => AttributeSyntax::Binary,
        Syntax::Reference => AttributeSyntax::Reference,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn classes_hold_what_their_records_show() {
        let text = "dn: cn=a\nobjectClass: top\nobjectClass: user\nmail: a\nmail: b\n\
                    userPassword: x\nmember: cn=b\n\n\
                    dn: cn=b\nobjectClass: user\nsn;lang-ja: b\n\n";
        let schema = read("text", &mut Cursor::new(text.as_bytes())).ok().unwrap();
        let of = |class: &str| schema.classes[class].iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(of("top"), "mail member objectClass");
        assert_eq!(of("user"), "mail member objectClass sn");
        assert_eq!(schema.attributes["member"].syntax, AttributeSyntax::Reference);
        let changes = "dn: cn=a\nchangetype: delete\n\n";
        assert!(read("text", &mut Cursor::new(changes.as_bytes())).is_err());
    }
}
