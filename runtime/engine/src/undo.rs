//! Taking back what a plan did to one object: what was sent and what the object holds now flow in;
//! the export that reverses it flows out, with what cannot be reversed (provisioning.md 11.13).

use std::collections::BTreeSet;

use crate::connector_space::{CsId, CsObject, Presence};
use crate::export::{AttributeChange, Export, ExportOp};
use crate::object::{AttributeMap, AttributeName, Value};
use crate::provision::{self, Departure};
use crate::rule::{Connector, RuleSet};
use crate::target;

/// One export that was carried out on the object, and what replaced attributes held before it.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    pub op: ExportOp,
    pub changes: &'a [AttributeChange],
    pub before: &'a AttributeMap,
}

/// What can be done about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reversal {
    pub export: Option<Export>,
    /// What stays as it is, and why: sentences without values.
    pub left: Vec<String>,
}

/// Takes: what was done to the object, the newest first, and the object as the target holds it now;
/// `None` if nothing is known of it any more. `is_there` tells whether the target has an object
/// that is referred to.
///
/// What was created goes as its rule says that its objects go (`on_delete`). What changed again
/// after the plan is left alone: somebody or something wanted it so.
pub fn reverse(
    done: &[Done<'_>],
    object: Option<&CsObject>,
    target: &Connector,
    rules: &RuleSet,
    is_there: &mut dyn FnMut(CsId) -> bool,
) -> Reversal {
    let left = |why: &str| Reversal { export: None, left: vec![why.to_owned()] };
    if done.iter().any(|done| done.op == ExportOp::Delete) {
        return left("it was deleted");
    }
    let Some(object) = object.filter(|object| object.presence == Presence::Imported) else {
        return left("the target does not have it any more");
    };
    if done.iter().any(|done| done.op == ExportOp::Add) {
        return uncreate(object, target, rules);
    }
    let (wanted, left) = earlier(done, &object.attributes, is_there);
    Reversal { export: difference(object, &wanted, target), left }
}

fn uncreate(object: &CsObject, target: &Connector, rules: &RuleSet) -> Reversal {
    let class = target.classes.get(&object.class).cloned().unwrap_or_default();
    let export = match Departure::of(object, target, rules) {
        Departure::Delete => Some(provision::export(object, &class, ExportOp::Delete, vec![])),
        Departure::Disable => provision::disable(object, &class),
        Departure::LetGo | Departure::Cancel => {
            let why = "it was created, and its rule leaves objects alone that are not wanted";
            return Reversal { export: None, left: vec![why.to_owned()] };
        }
    };
    Reversal { export, left: vec![] }
}

/// What the object held before, as far as that can be told and nothing else has changed it since.
fn earlier(
    done: &[Done<'_>],
    held: &AttributeMap,
    is_there: &mut dyn FnMut(CsId) -> bool,
) -> (AttributeMap, Vec<String>) {
    let (mut wanted, mut left) = (held.clone(), BTreeSet::new());
    for Done { changes, before, .. } in done {
        for change in *changes {
            let name = &change.attribute;
            match &change.replace {
                Some(sent) if same(wanted.get(name), sent) => match before.get(name) {
                    Some(values) if values.iter().all(|value| leads(value, is_there)) => {
                        wanted.insert(name.clone(), values.clone());
                    }
                    Some(_) => {
                        left.insert(format!("`{name}` referred to an object that is gone"));
                    }
                    None => {
                        wanted.remove(name);
                    }
                },
                Some(_) => {
                    left.insert(format!("`{name}` has changed since"));
                }
                None => put_back(change, &mut wanted, is_there, &mut left),
            }
        }
    }
    (wanted, left.into_iter().collect())
}

fn put_back(
    change: &AttributeChange,
    wanted: &mut AttributeMap,
    is_there: &mut dyn FnMut(CsId) -> bool,
    left: &mut BTreeSet<String>,
) {
    let name = &change.attribute;
    let added: BTreeSet<&Value> = change.add.iter().collect();
    let mut values = wanted.remove(name).unwrap_or_default();
    values.retain(|value| !added.contains(value));
    let present: BTreeSet<Value> = values.iter().cloned().collect();
    for value in change.remove.iter().filter(|value| !present.contains(*value)) {
        if leads(value, is_there) {
            values.push(value.clone());
        } else {
            left.insert(format!("`{name}` held references to objects that are gone"));
        }
    }
    if !values.is_empty() {
        wanted.insert(name.clone(), values);
    }
}

fn same(held: Option<&Vec<Value>>, sent: &[Value]) -> bool {
    let held: BTreeSet<&Value> = held.into_iter().flatten().collect();
    held == sent.iter().collect()
}

fn leads(value: &Value, is_there: &mut dyn FnMut(CsId) -> bool) -> bool {
    match value {
        Value::Reference(id) => id.parse().is_ok_and(|id| is_there(CsId(id))),
        _ => true,
    }
}

fn difference(object: &CsObject, wanted: &AttributeMap, target: &Connector) -> Option<Export> {
    let class = target.classes.get(&object.class).cloned().unwrap_or_default();
    let held = &object.attributes;
    let names: BTreeSet<&AttributeName> = held.keys().chain(wanted.keys()).collect();
    let values =
        |map: &AttributeMap, name: &AttributeName| map.get(name).cloned().unwrap_or_default();
    let changes: Vec<AttributeChange> = names
        .into_iter()
        .filter_map(|name| {
            let (held, wanted) = (values(held, name), values(wanted, name));
            if same(Some(&held), &wanted) {
                return None;
            }
            target::change(name, &held, &wanted, &class)
        })
        .collect();
    if changes.is_empty() {
        return None;
    }
    let op = target::op(&changes, object, &class);
    Some(Export { by: vec![], ..provision::export(object, &class, op, changes) })
}

#[cfg(test)]
mod tests;
