//! A seeded past: two forests of users and groups, and the steps by which they change.
//!
//! A step names objects by number, taken modulo what is there, so that a history stays a history
//! when steps are left out of it.

use std::collections::BTreeMap;

use kakehi_engine::object::{Anchor, AttributeMap, ClassName, Value};

use crate::scenario::VARIANTS;

/// The account forest and the resource forest.
pub const FORESTS: [&str; 2] = ["a", "r"];

/// An object as its directory shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub anchor: Anchor,
    pub dn: String,
    pub class: ClassName,
    pub attributes: AttributeMap,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    AddUser {
        own: bool,
        sid: u32,
    },
    AddGroup,
    /// `dangling`: references to it stay behind.
    Delete {
        object: u32,
        dangling: bool,
    },
    Rename {
        object: u32,
    },
    /// Sets an attribute, or clears it if it has this value already.
    Toggle {
        object: u32,
        attribute: &'static str,
        value: &'static str,
    },
    Sid {
        object: u32,
        sid: u32,
    },
    Manager {
        object: u32,
        manager: u32,
    },
    /// Puts an object into a group, or out of it.
    Member {
        group: u32,
        member: u32,
    },
    /// Another variant of the rules.
    Rules {
        variant: u32,
    },
    Import {
        forest: usize,
    },
    Sync,
    Deliver,
}

#[derive(Clone, Debug)]
pub struct History {
    pub seed: u64,
    pub steps: Vec<Step>,
}

/// SplitMix64: small, seedable, the same everywhere.
pub struct Random(u64);

impl Random {
    /// One stream for each kind of choice, so that a new kind leaves the others as they were.
    pub fn new(seed: u64, stream: &str) -> Self {
        let mix = |state: u64, byte: u8| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(stream.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix))
    }

    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }

    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    /// True once in `times`, on average.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }
}

/// Attributes that are switched on and off, with the values they take.
const SWITCHES: [(&str, &str); 9] = [
    ("enabled", "yes"),
    ("synced", "no"),
    ("mailbox", "yes"),
    ("dept", "IT"),
    ("dept", "HR"),
    ("phone", "1"),
    ("name", "keep"),
    ("mail", "x@example"),
    ("aliases", "z"),
];

impl History {
    /// `changes`: how many steps, besides the first ones that fill the forests.
    pub fn generate(seed: u64, changes: u32) -> Self {
        let (mut kinds, mut objects) = (Random::new(seed, "kinds"), Random::new(seed, "objects"));
        let mut values = Random::new(seed, "values");
        let mut steps = vec![];
        for _ in 0..4 + kinds.below(6) {
            steps.push(Step::AddUser { own: values.once_in(2), sid: objects.below(8) });
        }
        for _ in 0..changes {
            let object = objects.next();
            steps.push(match kinds.below(24) {
                0 | 1 => Step::AddUser { own: values.once_in(2), sid: objects.below(8) },
                2 => Step::AddGroup,
                3 => Step::Delete { object, dangling: values.once_in(2) },
                4 | 5 => Step::Rename { object },
                6..=10 => {
                    let (attribute, value) = values.choose(&SWITCHES);
                    Step::Toggle { object, attribute, value }
                }
                11 => Step::Sid { object, sid: values.below(8) },
                12 | 13 => Step::Manager { object, manager: objects.next() },
                14..=16 => Step::Member { group: object, member: objects.next() },
                17 => Step::Rules { variant: values.below(VARIANTS) },
                18 | 19 => Step::Import { forest: values.below(2) as usize },
                20 | 21 => Step::Sync,
                _ => Step::Deliver,
            });
        }
        Self { seed, steps }
    }
}

/// Both forests as they are now.
#[derive(Clone, Default)]
pub struct Forests {
    forests: [BTreeMap<Anchor, Entry>; 2],
    created: u32,
    renamed: u32,
}

// === impl Forests ===

impl Forests {
    pub fn entries(&self, forest: usize) -> impl DoubleEndedIterator<Item = &Entry> {
        self.forests[forest].values()
    }

    /// Carries a step out that is about directories; the others change nothing here.
    pub fn change(&mut self, step: Step) {
        match step {
            Step::AddUser { own, sid } => self.add_user(usize::from(!own), sid),
            Step::AddGroup => {
                let attributes = [("gid", format!("g{}", self.created)), ("title", "team".into())];
                self.add(0, "group", &attributes);
            }
            Step::Delete { object, dangling } => self.delete(object, dangling),
            Step::Rename { object } => self.rename(object),
            Step::Toggle { object, attribute, value } => {
                let value = Value::text(value);
                self.edit(object, "user", |entry| toggle(entry, attribute, value));
            }
            Step::Sid { object, sid } => {
                self.edit(object, "user", |entry| {
                    let name = if entry.attributes.contains_key("sid") { "sid" } else { "master" };
                    entry.attributes.insert(name.into(), vec![Value::Text(format!("S{sid}"))]);
                });
            }
            Step::Manager { object, manager } => {
                let Some(dn) = self.pick(manager, "user").map(|entry| entry.dn.clone()) else {
                    return;
                };
                let manager = vec![Value::Reference(dn)];
                self.edit(object, "user", |entry| {
                    entry.attributes.insert("manager".into(), manager);
                });
            }
            Step::Member { group, member } => {
                let class = if member % 5 == 0 { "group" } else { "user" };
                let Some(dn) = self.pick(member, class).map(|entry| entry.dn.clone()) else {
                    return;
                };
                self.edit(group, "group", |entry| toggle(entry, "member", Value::Reference(dn)));
            }
            Step::Rules { .. } | Step::Import { .. } | Step::Sync | Step::Deliver => {}
        }
    }

    fn add_user(&mut self, forest: usize, sid: u32) {
        let number = self.created;
        let key = if forest == 0 { "sid" } else { "master" };
        let mail = ("mail", format!("u{number}@example"));
        let attributes =
            [(key, format!("S{sid}")), ("name", format!("{} {number}", FORESTS[forest])), mail];
        self.add(forest, "user", &attributes);
    }

    fn add(&mut self, forest: usize, class: &str, attributes: &[(&str, String)]) {
        // Scattered, so that the order of anchors is not the order of creation.
        let id = format!("{:03}", self.created.wrapping_mul(389) % 997);
        self.created += 1;
        let mut entry = Entry {
            anchor: Anchor(id.clone().into_bytes()),
            dn: format!("CN={id},DC={}", FORESTS[forest]),
            class: class.into(),
            attributes: AttributeMap::new(),
        };
        entry.attributes.insert("id".into(), vec![Value::Text(id)]);
        for (name, value) in attributes {
            entry.attributes.insert((*name).into(), vec![Value::text(value.clone())]);
        }
        self.forests[forest].insert(entry.anchor.clone(), entry);
    }

    fn delete(&mut self, object: u32, dangling: bool) {
        let Some((forest, anchor)) = self.place(object, None) else { return };
        let Some(gone) = self.forests[forest].remove(&anchor) else { return };
        if !dangling {
            self.repoint(forest, &gone.dn, None);
        }
    }

    /// A directory keeps its references right when an object moves.
    fn rename(&mut self, object: u32) {
        let Some((forest, anchor)) = self.place(object, None) else { return };
        self.renamed += 1;
        let to = format!("CN=renamed {},DC={}", self.renamed, FORESTS[forest]);
        let Some(entry) = self.forests[forest].get_mut(&anchor) else { return };
        let from = std::mem::replace(&mut entry.dn, to.clone());
        self.repoint(forest, &from, Some(&to));
    }

    fn repoint(&mut self, forest: usize, from: &str, to: Option<&str>) {
        for entry in self.forests[forest].values_mut() {
            for values in entry.attributes.values_mut() {
                values.retain_mut(|value| match value {
                    Value::Reference(dn) if dn == from => {
                        if let Some(to) = to {
                            to.clone_into(dn);
                        }
                        to.is_some()
                    }
                    _ => true,
                });
            }
            entry.attributes.retain(|_, values| !values.is_empty());
        }
    }

    fn edit(&mut self, object: u32, class: &str, edit: impl FnOnce(&mut Entry)) {
        let Some((forest, anchor)) = self.place(object, Some(class)) else { return };
        self.forests[forest].entry(anchor).and_modify(edit);
    }

    fn pick(&self, number: u32, class: &str) -> Option<&Entry> {
        let (forest, anchor) = self.place(number, Some(class))?;
        self.forests[forest].get(&anchor)
    }

    /// The object with this number, modulo their count.
    fn place(&self, number: u32, class: Option<&str>) -> Option<(usize, Anchor)> {
        let all: Vec<(usize, &Entry)> = (0..FORESTS.len())
            .flat_map(|forest| self.entries(forest).map(move |entry| (forest, entry)))
            .filter(|(_, entry)| class.is_none_or(|class| entry.class.as_str() == class))
            .collect();
        let (forest, entry) = all.get(number as usize % all.len().max(1))?;
        Some((*forest, entry.anchor.clone()))
    }
}

fn toggle(entry: &mut Entry, attribute: &str, value: Value) {
    let single = attribute != "member" && attribute != "aliases";
    let values = entry.attributes.entry(attribute.into()).or_default();
    let had = values.contains(&value);
    values.retain(|other| *other != value && !single);
    if !had {
        values.push(value);
    }
    if values.is_empty() {
        entry.attributes.remove(attribute);
    }
}
