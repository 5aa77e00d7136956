//! A state in words that do not depend on ids: two states are the same if their pictures are.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::object::{AttributeMap, Value};
use kakehi_engine::view::Phase;

use crate::remote::Remote;
use crate::rulebook::Rulebook;
use crate::world::World;

/// Sorted lines.
pub type Picture = Vec<String>;

struct Painter<'a> {
    world: &'a World,
    rules: &'a Rulebook,
    mv: BTreeMap<MvId, String>,
}

/// The metaverse, the links, the pending exports and the problems.
pub fn of_world(world: &World, rules: &Rulebook) -> Picture {
    let painter = Painter::new(world, rules);
    let mut lines: Picture = vec![];
    for (id, object) in &world.mv {
        let mark = if object.alive { "" } else { " dying" };
        lines.push(format!("{}{mark}", painter.mv[id]));
        for (name, attribute) in &object.attributes {
            let winner = &attribute.winner;
            let source = painter.cs(winner.source);
            let (values, kept) = (&attribute.values, winner.retained);
            let by = format!("{} on {source} {kept}", winner.rule);
            lines.push(format!("{} {name} = {values:?} by {by}", painter.mv[id]));
        }
    }
    for object in world.cs.values() {
        lines.push(painter.object(object));
    }
    for (id, pending) in &world.exports {
        let export = &pending.export;
        lines.push(format!("{} {}: {}", export.op, painter.cs(*id), painter.changes(*id)));
    }
    for ((phase, id), problems) in &world.problems {
        let who = match phase {
            Phase::Inbound => painter.cs(CsId(*id)),
            Phase::Outbound => painter.mv.get(&MvId(*id)).cloned().unwrap_or_default(),
        };
        lines.extend(problems.iter().map(|problem| format!("{who} has {}", problem.kind)));
    }
    lines.sort();
    lines
}

/// What the targets hold.
pub fn of_remote(remote: &Remote) -> Picture {
    let name = |id: &str| {
        let object = remote.objects.get(id);
        let text = |name: &str| format!("{:?}", object.and_then(|o| o.attributes.get(name)));
        object.map_or_else(String::new, |o| format!("{}/{}", o.connector, text("externalId")))
    };
    let mut lines: Picture = remote
        .objects
        .iter()
        .map(|(id, object)| format!("{} {}", name(id), attributes(&object.attributes, &name)))
        .collect();
    lines.sort();
    lines
}

/// Attributes in order; multi-valued ones as sets, references by what they lead to.
fn attributes(attributes: &AttributeMap, name: &impl Fn(&str) -> String) -> String {
    let words = |values: &[Value]| -> BTreeSet<String> {
        let word = |value: &Value| match value {
            Value::Reference(id) => format!("-> {}", name(id)),
            other => format!("{other:?}"),
        };
        values.iter().map(word).collect()
    };
    let pairs: Vec<String> =
        attributes.iter().map(|(name, values)| format!("{name}={:?}", words(values))).collect();
    pairs.join(" ")
}

// === impl Painter ===

impl<'a> Painter<'a> {
    fn new(world: &'a World, rules: &'a Rulebook) -> Self {
        let mut painter = Self { world, rules, mv: BTreeMap::new() };
        let mut sources: BTreeMap<MvId, BTreeSet<String>> = BTreeMap::new();
        for (object, mv) in world.links().filter(|(o, _)| rules.order(&o.connector).is_some()) {
            sources.entry(mv).or_default().insert(painter.cs(object.id));
        }
        painter.mv = sources.into_iter().map(|(mv, names)| (mv, format!("{names:?}"))).collect();
        for id in world.mv.keys() {
            painter.mv.entry(*id).or_insert_with(|| "nobody".into());
        }
        painter
    }

    /// A source object by anchor; a target object by whose it is.
    fn cs(&self, id: CsId) -> String {
        let Some(object) = self.world.cs.get(&id) else { return "gone".into() };
        if self.rules.order(&object.connector).is_some() {
            let anchor = object.anchor.as_ref().map(ToString::to_string).unwrap_or_default();
            return format!("{}/{anchor}", object.connector);
        }
        let owner = object.link.as_ref().and_then(|link| self.mv.get(&link.mv));
        let name = object.attributes.get("externalId");
        let owner = owner.cloned().unwrap_or_else(|| format!("nobody, {name:?}"));
        format!("{}/{} of {owner}", object.connector, object.class)
    }

    fn object(&self, object: &CsObject) -> String {
        let link = object.link.as_ref().map(|link| (self.mv.get(&link.mv), &link.rule));
        let name = |id: &str| id.parse().map_or_else(|_| id.to_owned(), |id| self.cs(CsId(id)));
        let (who, presence) = (self.cs(object.id), object.presence);
        if self.rules.order(&object.connector).is_some() {
            let said: Vec<_> = object.contributions.iter().map(|said| &said.rule).collect();
            return format!("{who} {presence:?} linked {link:?} said {said:?}");
        }
        // What was to be undone at a target is remembered until the object is evaluated again.
        let out = object.link.is_none() && object.deprovisioned;
        let holds = attributes(&object.attributes, &name);
        format!("{who} {presence:?} linked {link:?} out {out} holds {holds}")
    }

    fn changes(&self, id: CsId) -> String {
        let name = |id: &str| id.parse().map_or_else(|_| id.to_owned(), |id| self.cs(CsId(id)));
        let changes = self.world.exports[&id].export.changes.iter();
        let parts = changes.map(|change| {
            let list = |values: &[Value]| {
                attributes(&AttributeMap::from([("".into(), values.to_vec())]), &name)
            };
            let replace = change.replace.as_deref().map(list);
            let (add, remove) = (list(&change.add), list(&change.remove));
            format!("{} +{add} -{remove} :{replace:?}", change.attribute)
        });
        parts.collect::<Vec<_>>().join("; ")
    }
}
