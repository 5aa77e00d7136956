//! What a story needs: directories that are written down in a line, and a look at what came of
//! them.

use std::collections::BTreeMap;

use kakehi_engine::connector_space::CsObject;
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{Anchor, AttributeMap, Value};
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::rule::RuleSet;

use crate::faults::Faults;
use crate::model::Entry;
use crate::remote::Remote;
use crate::rulebook::{Rulebook, Sketch};
use crate::world::World;

pub struct Stage {
    pub world: World,
    pub remote: Remote,
    pub rules: Rulebook,
    entries: BTreeMap<String, BTreeMap<String, Entry>>,
}

// === impl Stage ===

impl Stage {
    pub fn new(rules: Rulebook) -> Self {
        let (world, remote, entries) = Default::default();
        Self { world, remote, rules, entries }
    }

    /// Puts a user `connector/anchor` into a directory, or another in its place. Attributes as
    /// `name=value`, references as `name=>anchor`; a name that comes twice has two values.
    pub fn user(&mut self, place: &str, attributes: &[&str]) -> &mut Self {
        self.entry("user", place, attributes)
    }

    pub fn entry(&mut self, class: &str, place: &str, attributes: &[&str]) -> &mut Self {
        let (connector, anchor) = place.split_once('/').expect("`connector/anchor`");
        let dn = |anchor: &str| format!("CN={anchor},DC={connector}");
        let mut map = AttributeMap::from([("id".into(), vec![Value::text(anchor)])]);
        for attribute in attributes {
            let (name, value) = attribute.split_once('=').expect("`name=value`");
            let value = match value.strip_prefix('>') {
                Some(anchor) => Value::Reference(dn(anchor)),
                None => Value::text(value),
            };
            map.entry(name.into()).or_default().push(value);
        }
        let entry = Entry {
            anchor: Anchor(anchor.as_bytes().to_vec()),
            dn: dn(anchor),
            class: class.into(),
            attributes: map,
        };
        self.entries.entry(connector.into()).or_default().insert(anchor.into(), entry);
        self
    }

    pub fn gone(&mut self, place: &str) -> &mut Self {
        let (connector, anchor) = place.split_once('/').expect("`connector/anchor`");
        let entries = self.entries.get_mut(connector).expect("a directory of the story");
        entries.remove(anchor).expect("an entry of the story");
        self
    }

    pub fn change_rules(&mut self, change: impl FnOnce(&mut Vec<Sketch>)) -> &mut Self {
        self.rules = self.rules.with(change);
        self
    }

    pub fn change_set(&mut self, change: impl FnOnce(&mut RuleSet)) -> &mut Self {
        change(&mut self.rules.set);
        self
    }

    /// Imports every directory and synchronizes.
    pub fn sync(&mut self) -> &mut Self {
        for (connector, entries) in &self.entries {
            self.world.import(&connector.as_str().into(), entries.values());
        }
        self.world.sync(&self.rules, 2);
        self
    }

    /// As `sync`; then the exports are delivered.
    pub fn run(&mut self) -> &mut Self {
        self.sync();
        let delivered = self.remote.deliver(&mut self.world, &self.rules, &mut Faults::none());
        assert_eq!(delivered, Ok(()));
        self
    }

    fn source(&self, place: &str) -> Option<&CsObject> {
        let (connector, anchor) = place.split_once('/').expect("`connector/anchor`");
        let anchor = Some(Anchor(anchor.as_bytes().to_vec()));
        let mut objects = self.world.cs.values();
        objects.find(|object| object.connector.as_str() == connector && object.anchor == anchor)
    }

    fn joined(&self, place: &str) -> Option<&MvObject> {
        self.world.mv.get(&self.source(place)?.link.as_ref()?.mv)
    }

    /// Each attribute of the metaverse object that a source object is linked to, as `name=values`
    /// in order of name; a dash where there is none.
    pub fn mv(&self, place: &str) -> String {
        let Some(object) = self.joined(place) else { return "-".into() };
        let attributes = object.attributes.iter();
        words(attributes.map(|(name, attribute)| (name.as_str(), attribute.values.as_slice())))
    }

    /// The rule that won an attribute there.
    pub fn winner(&self, place: &str, attribute: &str) -> String {
        let object = self.joined(place).expect("it is linked");
        let found = object.attributes.get(attribute);
        found.map_or_else(|| "-".into(), |attribute| attribute.winner.rule.to_string())
    }

    pub fn same_mv(&self, first: &str, second: &str) -> bool {
        self.joined(first).is_some() && self.joined(first) == self.joined(second)
    }

    /// What the targets hold, an object a line: class and attributes.
    pub fn remote(&self) -> Vec<String> {
        let line = |object: &crate::remote::RemoteObject| {
            let attributes = object.attributes.iter();
            let words = words(attributes.map(|(name, values)| (name.as_str(), values.as_slice())));
            format!("{}: {words}", object.class)
        };
        let mut lines: Vec<String> = self.remote.objects.values().map(line).collect();
        lines.sort();
        lines
    }

    /// The pending exports, as operation and name.
    pub fn pending(&self) -> Vec<String> {
        let exports = self.world.exports.values().map(|pending| &pending.export);
        exports.map(|export| format!("{} {}", export.op, export.match_key)).collect()
    }

    pub fn problems(&self) -> Vec<ProblemKind> {
        self.world.problems.values().flatten().map(|problem| problem.kind).collect()
    }
}

fn words<'a>(attributes: impl Iterator<Item = (&'a str, &'a [Value])>) -> String {
    let word = |value: &Value| value.as_text().map_or_else(String::new, |text| text.into_owned());
    let pair = |(name, values): (&str, &[Value])| {
        format!("{name}={}", values.iter().map(word).collect::<Vec<_>>().join("|"))
    };
    attributes.map(pair).collect::<Vec<_>>().join(" ")
}
