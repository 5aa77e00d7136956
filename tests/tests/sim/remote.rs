//! The targets as a model: objects by remote id, and what can go wrong on the way to them. Exports
//! flow in by waves; what was confirmed flows back into the world.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::{CsId, Presence};
use kakehi_engine::export::{AttributeChange, Export, ExportOp, apply};
use kakehi_engine::object::{Anchor, AttributeMap, ClassName, ConnectorName, Value};

use crate::faults::{Fault, Faults};
use crate::rulebook::Rulebook;
use crate::world::World;

#[derive(Clone, Debug, PartialEq)]
pub struct RemoteObject {
    pub connector: ConnectorName,
    pub class: ClassName,
    /// References are remote ids.
    pub attributes: AttributeMap,
}

#[derive(Clone, Default)]
pub struct Remote {
    pub objects: BTreeMap<String, RemoteObject>,
    created: u32,
    /// What was done, in order.
    pub log: Vec<(ConnectorName, ExportOp)>,
}

/// The process ended between two steps; what it had not written down is lost.
#[derive(Debug, PartialEq)]
pub struct Crash;

/// The parts of a change that can be sent now, with remote ids, and those that have to wait.
#[derive(Default)]
struct Split {
    /// As they are sent.
    request: Vec<AttributeChange>,
    /// The same, in the world's words.
    sent: Vec<AttributeChange>,
    remaining: Vec<AttributeChange>,
}

// === impl Remote ===

impl Remote {
    /// Carries the pending exports out, but for targets whose limits they exceed.
    pub fn deliver(
        &mut self,
        world: &mut World,
        rules: &Rulebook,
        faults: &mut Faults,
    ) -> Result<(), Crash> {
        let tripped: BTreeSet<ConnectorName> =
            world.plan(rules).trips.into_iter().map(|trip| trip.connector).collect();
        for wave in 0..=4 {
            for id in in_wave(world, wave, &tripped) {
                self.send(world, id, faults)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, world: &mut World, id: CsId, faults: &mut Faults) -> Result<(), Crash> {
        let pending = world.exports.get_mut(&id).expect("it is of the wave");
        pending.in_doubt = true;
        let export = pending.export.clone();
        match faults.next() {
            Some(Fault::Unavailable | Fault::Rejected) => pending.in_doubt = false,
            Some(Fault::CrashBefore) => return Err(Crash),
            Some(Fault::CrashAfter) => {
                self.request(world, &export);
                return Err(Crash);
            }
            None => {
                if let Some((remote_id, split)) = self.request(world, &export) {
                    world.settle(id, &remote_id, &split.sent, split.remaining);
                } else {
                    world.settle_deletion(id);
                }
            }
        }
        Ok(())
    }

    /// Gives the remote id and what was sent; `None` for a deletion.
    fn request(&mut self, world: &World, export: &Export) -> Option<(String, Split)> {
        self.log.push((export.connector.clone(), export.op));
        let known = world.cs[&export.object].anchor.as_ref().map(remote_id);
        if export.op == ExportOp::Delete {
            self.delete(&known?);
            return None;
        }
        let split = split(world, export);
        let id = known.unwrap_or_else(|| self.create(export));
        let object = self.objects.get_mut(&id).expect("the target loses nothing");
        for change in &split.request {
            apply(change, &mut object.attributes);
        }
        Some((id, split))
    }

    fn create(&mut self, export: &Export) -> String {
        self.created += 1;
        let id = format!("{}-{}", export.connector, self.created);
        let (connector, class) = (export.connector.clone(), export.class.clone());
        let object = RemoteObject { connector, class, attributes: AttributeMap::new() };
        self.objects.insert(id.clone(), object);
        id
    }

    fn delete(&mut self, id: &str) {
        self.objects.remove(id);
        let gone = Value::Reference(id.into());
        for object in self.objects.values_mut() {
            for values in object.attributes.values_mut() {
                values.retain(|value| *value != gone);
            }
            object.attributes.retain(|_, values| !values.is_empty());
        }
    }

    /// Looks up what became of requests that were under way at a crash (delivery.md 4).
    pub fn recover(&self, world: &mut World, rules: &Rulebook) {
        let doubtful: Vec<Export> = world
            .exports
            .values()
            .filter(|pending| pending.in_doubt)
            .map(|pending| pending.export.clone())
            .collect();
        for export in doubtful {
            let object = &world.cs[&export.object];
            let known = object.anchor.as_ref().map(remote_id);
            let linked = object.link.is_some();
            match known.or_else(|| self.look_up(world, rules, &export)) {
                Some(id) if export.op == ExportOp::Delete && !self.objects.contains_key(&id) => {
                    world.settle_deletion(export.object);
                }
                Some(id) if linked => self.confirm(world, export.object, &id),
                // Nothing was done, or what was done can be done again.
                _ => {
                    let pending = world.exports.get_mut(&export.object).expect("it is in doubt");
                    pending.in_doubt = false;
                }
            }
        }
    }

    fn look_up(&self, world: &World, rules: &Rulebook, export: &Export) -> Option<String> {
        let connector = rules.set.connector(&export.connector)?;
        let key = connector.classes.get(&export.class)?.match_by.first()?;
        let wanted = export.changes.iter().find(|change| change.attribute == *key)?;
        let adopted: BTreeSet<String> =
            world.cs.values().filter_map(|object| object.anchor.as_ref()).map(remote_id).collect();
        let matches = |(id, object): &(&String, &RemoteObject)| {
            object.connector == export.connector
                && object.class == export.class
                && object.attributes.get(key) == wanted.replace.as_ref()
                && !adopted.contains(*id)
        };
        self.objects.iter().find(matches).map(|(id, _)| id.clone())
    }

    /// The object is as the target shows it; the difference is computed anew.
    fn confirm(&self, world: &mut World, id: CsId, remote: &str) {
        let homes: BTreeMap<String, CsId> = world
            .cs
            .values()
            .filter_map(|object| Some((remote_id(object.anchor.as_ref()?), object.id)))
            .collect();
        let mut attributes = self.objects[remote].attributes.clone();
        for value in attributes.values_mut().flatten() {
            if let Value::Reference(other) = value {
                *other = homes[other.as_str()].0.to_string();
            }
        }
        world.exports.remove(&id);
        let object = world.cs.get_mut(&id).expect("an export has an object");
        object.anchor = Some(Anchor(remote.as_bytes().to_vec()));
        object.presence = Presence::Imported;
        object.attributes = attributes;
        let mv = object.link.as_ref().map(|link| link.mv);
        world.queue_mv(mv.expect("only linked objects are computed anew"));
    }
}

/// Deactivations, new objects, changes, references, deletions: the objects of a wave in order.
fn in_wave(world: &World, wave: u8, tripped: &BTreeSet<ConnectorName>) -> Vec<CsId> {
    let references = |export: &Export| {
        let mut values = export.changes.iter().flat_map(|change| {
            change.add.iter().chain(&change.remove).chain(change.replace.iter().flatten())
        });
        values.all(Value::is_reference)
    };
    let wave_of = |export: &Export| match export.op {
        ExportOp::Disable => 0,
        ExportOp::Add => 1,
        ExportOp::Update | ExportOp::Rename if references(export) => 3,
        ExportOp::Update | ExportOp::Rename => 2,
        ExportOp::Delete => 4,
    };
    let mut exports: Vec<&Export> = world
        .exports
        .values()
        .map(|pending| &pending.export)
        .filter(|export| wave_of(export) == wave && !tripped.contains(&export.connector))
        .collect();
    exports.sort_by_key(|export| (export.rank, &export.connector, export.object));
    exports.into_iter().map(|export| export.object).collect()
}

fn split(world: &World, export: &Export) -> Split {
    let mut split = Split::default();
    for change in &export.changes {
        let (ready, waiting) = ready(world, change);
        if let Some(ready) = ready {
            split.request.push(in_remote_words(world, &ready));
            split.sent.push(ready);
        }
        split.remaining.extend(waiting);
    }
    split
}

/// A reference can be set once its object has an id. One that is taken away needs none.
fn ready(
    world: &World,
    change: &AttributeChange,
) -> (Option<AttributeChange>, Option<AttributeChange>) {
    let exists = |value: &Value| !value.is_reference() || remote_reference(world, value).is_some();
    if change.replace.iter().flatten().any(|value| !exists(value)) {
        return (None, Some(change.clone()));
    }
    let (add, later): (Vec<Value>, Vec<Value>) = change.add.iter().cloned().partition(exists);
    let waiting = (!later.is_empty()).then(|| AttributeChange {
        attribute: change.attribute.clone(),
        add: later,
        remove: vec![],
        replace: None,
    });
    let nothing = add.is_empty() && change.remove.is_empty() && change.replace.is_none();
    let ready = AttributeChange { add, ..change.clone() };
    ((!nothing).then_some(ready), waiting)
}

fn in_remote_words(world: &World, change: &AttributeChange) -> AttributeChange {
    let words = |values: &[Value]| -> Vec<Value> {
        let word = |value: &Value| match value {
            Value::Reference(_) => remote_reference(world, value).map(Value::Reference),
            other => Some(other.clone()),
        };
        values.iter().filter_map(word).collect()
    };
    AttributeChange {
        attribute: change.attribute.clone(),
        add: words(&change.add),
        remove: words(&change.remove),
        replace: change.replace.as_deref().map(words),
    }
}

fn remote_reference(world: &World, value: &Value) -> Option<String> {
    let Value::Reference(id) = value else { return None };
    let id = CsId(id.parse().expect("references in exports are ids"));
    world.cs.get(&id)?.anchor.as_ref().map(remote_id)
}

fn remote_id(anchor: &Anchor) -> String {
    String::from_utf8_lossy(&anchor.0).into_owned()
}
