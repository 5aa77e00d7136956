//! Pending exports: the computed, not yet confirmed difference between what rules want at a target
//! and what the target is known to hold.

use std::fmt;

use crate::connector_space::{CsId, MvId};
use crate::object::{AttributeMap, AttributeName, ClassName, ConnectorName, Value};
use crate::rule::RuleTag;

/// What one export does, seen as a whole. The first that fits, in this order: add, delete, disable,
/// rename, update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExportOp {
    Add,
    Update,
    Rename,
    Disable,
    Delete,
}

impl ExportOp {
    pub const ALL: [Self; 5] = [Self::Add, Self::Update, Self::Rename, Self::Disable, Self::Delete];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Rename => "rename",
            Self::Disable => "disable",
            Self::Delete => "delete",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.as_str() == text)
    }
}

impl fmt::Display for ExportOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The change of one attribute. Single-valued attributes use `replace` (empty: clear it),
/// multi-valued ones `add` and `remove`. References are decimal [`CsId`]s of objects of the same
/// target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeChange {
    pub attribute: AttributeName,
    pub add: Vec<Value>,
    pub remove: Vec<Value>,
    pub replace: Option<Vec<Value>>,
}

/// One export of a plan. Complete: whoever carries it out chooses nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    pub connector: ConnectorName,
    pub object: CsId,
    pub class: ClassName,
    /// The metaverse object it is done for; `None` when that object is gone.
    pub mv: Option<MvId>,
    pub op: ExportOp,
    /// In order of attribute name. Empty for a delete.
    pub changes: Vec<AttributeChange>,
    /// Anchor of the source object as text, for people and for the plan; empty when it is gone.
    pub anchor: String,
    /// The value of the naming attribute: what the object is called at the target.
    pub match_key: String,
    /// Rank of the class: lower ones are created first.
    pub rank: u8,
    /// The object leaves, or comes, because its metaverse object is wanted as another type
    /// (provisioning.md 11.5 step 4): both halves of such a change are marked.
    pub type_change: bool,
    /// The rule that decided each of `changes`, in their order; of a disable and a delete, the rule
    /// whose link ended. `None` where no rule did. For the audit, never for deciding.
    pub by: Vec<Option<RuleTag>>,
}

impl Export {
    /// The attributes an object has after this change of `confirmed`.
    ///
    /// Source: a change applied to what is confirmed gives what is desired (delivery.md 21,
    /// properties).
    pub fn apply_to(&self, confirmed: &AttributeMap) -> AttributeMap {
        let mut after = confirmed.clone();
        for change in &self.changes {
            apply(change, &mut after);
        }
        after
    }
}

/// Carries one attribute's change out on a map.
pub fn apply(change: &AttributeChange, attributes: &mut AttributeMap) {
    if let Some(values) = &change.replace {
        if values.is_empty() {
            attributes.remove(&change.attribute);
        } else {
            attributes.insert(change.attribute.clone(), values.clone());
        }
        return;
    }
    let values = attributes.entry(change.attribute.clone()).or_default();
    let removed: std::collections::BTreeSet<&Value> = change.remove.iter().collect();
    values.retain(|value| !removed.contains(value));
    let present: std::collections::BTreeSet<Value> = values.iter().cloned().collect();
    values.extend(change.add.iter().filter(|value| !present.contains(value)).cloned());
    if values.is_empty() {
        attributes.remove(&change.attribute);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{attributes, values};

    /// Held, added, removed, replaced; what is held then.
    fn check(held: &[&str], change: [&[&str]; 2], replace: Option<&[&str]>, expected: &[&str]) {
        let mut map = attributes(held);
        let [add, remove] = change.map(values);
        let replace = replace.map(values);
        apply(&AttributeChange { attribute: "a".into(), add, remove, replace }, &mut map);
        assert_eq!(map, attributes(expected), "{held:?}");
    }

    #[test]
    fn a_change_leaves_no_value_twice_and_no_attribute_empty() {
        check(&["a=1", "b=9"], [&[], &[]], Some(&["2"]), &["a=2", "b=9"]);
        check(&["a=1"], [&[], &[]], Some(&[]), &[]);
        check(&["a=1", "a=2"], [&["2", "3"], &["1"]], None, &["a=2", "a=3"]);
        check(&["a=1"], [&[], &["1", "7"]], None, &[]);
        check(&[], [&["1"], &[]], None, &["a=1"]);
        check(&[], [&[], &["1"]], None, &[]);
    }
}
