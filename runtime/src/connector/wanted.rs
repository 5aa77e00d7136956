//! The attributes and classes that rules read: an entry as a source shows it flows in, what rules
//! may see of it flows out, under the names they asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kakehi_engine::object::{Anchor, AttributeMap, AttributeName, ClassName, Value};

use super::attribute::{Syntax, base_name, canonicalize, distinct, is_password};
use crate::edge::{Change, Entry};

/// Every entry of a directory has this class, also when its other classes cannot be read.
const CLASS_OF_ALL: &str = "top";

/// What is kept of an entry, prepared for looking up.
pub struct Wanted {
    columns: HashMap<String, Column>,
    classes: BTreeMap<String, ClassName>,
}

/// One attribute that is kept.
pub struct Column {
    /// As it was asked for.
    pub name: AttributeName,
    pub syntax: Syntax,
}

/// An entry on its way through [`Wanted::read`].
#[derive(Default)]
pub struct Reading {
    attributes: AttributeMap,
    faults: Vec<(AttributeName, &'static str)>,
    class: Option<ClassName>,
    bytes: usize,
    /// Kept between attributes, so that looking one up allocates nothing.
    canonical: String,
}

impl Wanted {
    /// `links` says which further attributes hold DNs; `schema` what the source itself says of the
    /// types, by name in lower case without options.
    pub fn new(
        attributes: &BTreeSet<AttributeName>,
        links: &BTreeSet<AttributeName>,
        classes: &BTreeSet<ClassName>,
        schema: impl Fn(&str) -> Option<Syntax>,
    ) -> Self {
        let mut canonical = String::new();
        let links: BTreeSet<String> =
            links.iter().map(|name| base_name(name.as_str()).to_ascii_lowercase()).collect();
        let mut columns = HashMap::new();
        for name in attributes {
            canonicalize(name.as_str(), &mut canonical);
            if is_password(&canonical) {
                continue;
            }
            let base = base_name(&canonical);
            let syntax = match Syntax::well_known(base) {
                // How a UUID is kept is ours to say; a schema calls it text.
                Some(Syntax::Uuid) => Syntax::Uuid,
                _ if links.contains(base) => Syntax::Reference,
                known => schema(base).or(known).unwrap_or(Syntax::Text),
            };
            columns.insert(canonical.clone(), Column { name: name.clone(), syntax });
        }
        let classes =
            classes.iter().map(|class| (class.as_str().to_ascii_lowercase(), class.clone()));
        Self { columns, classes: classes.collect() }
    }

    pub fn column(&self, canonical: &str) -> Option<&Column> {
        self.columns.get(canonical)
    }

    /// Takes one attribute of an entry: its name with options, and its values in the source's
    /// order.
    pub fn read<'v>(
        &self,
        name: &str,
        values: impl Iterator<Item = &'v [u8]> + Clone,
        reading: &mut Reading,
    ) {
        canonicalize(name, &mut reading.canonical);
        if reading.canonical == "objectclass" {
            reading.class = self.class(values.clone()).or(reading.class.take());
        }
        let Some(column) = self.columns.get(&reading.canonical) else {
            return;
        };
        let kept = reading.attributes.entry(column.name.clone()).or_default();
        for octets in values {
            reading.bytes += octets.len();
            match column.syntax.value(octets) {
                Ok(value) => kept.push(value),
                Err(why) => reading.faults.push((column.name.clone(), why)),
            }
        }
        distinct(kept);
        // Rules see no difference between an attribute without values and one that is not there.
        if kept.is_empty() {
            reading.attributes.remove(&column.name);
        }
    }

    /// The last class that rules know, else the last one: servers name the most special one last.
    fn class<'v>(&self, values: impl Iterator<Item = &'v [u8]>) -> Option<ClassName> {
        let mut class = None;
        let mut known = None;
        for name in values.filter_map(|octets| std::str::from_utf8(octets).ok()) {
            known = self.classes.get(&name.to_ascii_lowercase()).or(known);
            class = Some(name);
        }
        known.cloned().or_else(|| class.map(ClassName::from))
    }
}

impl Reading {
    /// The entry, followed by a fault for each value that did not fit; and its size in bytes.
    pub fn finish(self, anchor: &Anchor, dn: &str) -> (Entry, Vec<Change>, usize) {
        let faults = self.faults.into_iter().map(|(attribute, why)| Change::Fault {
            anchor: anchor.clone(),
            attribute,
            message: why.to_owned(),
        });
        let faults = faults.collect();
        let entry = Entry {
            anchor: anchor.clone(),
            dn: dn.to_owned(),
            class: self.class.unwrap_or_else(|| CLASS_OF_ALL.into()),
            attributes: self.attributes,
        };
        (entry, faults, self.bytes + dn.len())
    }
}

/// Values of one column for a change of a single attribute; faults are its messages.
pub fn values_of<'v>(
    column: &Column,
    octets: impl Iterator<Item = &'v [u8]>,
) -> (Vec<Value>, Vec<&'static str>) {
    let (mut values, mut faults) = (vec![], vec![]);
    for octets in octets {
        match column.syntax.value(octets) {
            Ok(value) => values.push(value),
            Err(why) => faults.push(why),
        }
    }
    distinct(&mut values);
    (values, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<T: Ord + From<&'static str>>(names: &[&'static str]) -> BTreeSet<T> {
        names.iter().map(|name| T::from(name)).collect()
    }

    fn wanted(attributes: &[&'static str], classes: &[&'static str]) -> Wanted {
        let schema = |name: &str| (name == "supervisor").then_some(Syntax::Reference);
        Wanted::new(&set(attributes), &set(&["partner"]), &set(classes), schema)
    }

    fn read(wanted: &Wanted, attributes: &[(&str, &[&[u8]])]) -> (Entry, Vec<Change>) {
        let mut reading = Reading::default();
        for (name, values) in attributes {
            wanted.read(name, values.iter().copied(), &mut reading);
        }
        let (entry, faults, _) = reading.finish(&Anchor(vec![1]), "cn=a");
        (entry, faults)
    }

    #[test]
    fn l11_attributes_come_back_under_the_names_they_were_asked_for_by() {
        let wanted = wanted(&["Mail", "sn;phonetic;lang-ja", "sn"], &[]);
        let (entry, faults) = read(
            &wanted,
            &[("mail", &[b"a"]), ("SN;lang-ja;phonetic", &[b"b"]), ("sn;lang-fr", &[b"c"])],
        );
        let names: Vec<_> = entry.attributes.keys().map(AttributeName::as_str).collect();
        assert_eq!((names, faults.len()), (vec!["Mail", "sn;phonetic;lang-ja"], 0));
    }

    #[test]
    fn l08_passwords_are_dropped_even_when_a_rule_asks_for_them() {
        let wanted = wanted(&["userPassword", "cn"], &[]);
        let (entry, _) = read(&wanted, &[("userPassword", &[b"x"]), ("cn", &[b"y"])]);
        assert_eq!(entry.attributes.len(), 1);
    }

    #[test]
    fn l12_a_value_that_does_not_fit_is_a_fault_and_the_rest_is_used() {
        let wanted = wanted(&["uidNumber", "cn", "partner", "supervisor"], &[]);
        let (entry, faults) = read(
            &wanted,
            &[
                ("uidNumber", &[b"7", b"seven"]),
                ("cn", &[]),
                ("partner", &[b"cn=p", b"cn=p"]),
                ("supervisor", &[b"cn=s"]),
            ],
        );
        let reference = |dn: &str| vec![Value::Reference(dn.into())];
        let expected = AttributeMap::from([
            ("partner".into(), reference("cn=p")),
            ("supervisor".into(), reference("cn=s")),
            ("uidNumber".into(), vec![Value::Integer(7)]),
        ]);
        assert_eq!(entry.attributes, expected);
        let [Change::Fault { attribute, .. }] = &faults[..] else { panic!("{faults:?}") };
        assert_eq!(attribute.as_str(), "uidNumber");
    }

    #[test]
    fn the_class_is_the_last_one_that_rules_know() {
        for (classes, values, expected) in [
            (&["user", "group"][..], &[&b"top"[..], b"User", b"computer"][..], "user"),
            (&["inetOrgPerson", "person"], &[b"inetorgperson", b"person", b"top"], "person"),
            (&[], &[b"top", b"person"], "person"),
            (&["user"], &[b"top", b"device"], "device"),
            (&["user"], &[], "top"),
        ] {
            let (entry, _) = read(&wanted(&[], classes), &[("OBJECTCLASS", values)]);
            assert_eq!(entry.class.as_str(), expected);
        }
    }
}
