//! Merged attributes of a target object: what we contribute and what others put there stand side by
//! side (provisioning.md 11.5 step 6, C8).
//!
//! What was contributed and what is contributed now flow in; which values go and which come flow
//! out. A value that nobody of us contributed is never touched.

use std::collections::BTreeMap;

use super::{Desired, convert, kind_of};
use crate::connector_space::{CsId, CsObject, MvId};
use crate::flow::{Contribution, Fingerprint, Flow, Kept, RuleContribution};
use crate::object::{AttributeName, Value};
use crate::precedence::same;
use crate::rule::{Merge, OnScopeExit, RuleSet, RuleTag, TargetClass};

/// One merged attribute.
#[derive(Debug, PartialEq)]
pub(super) struct Merged {
    pub merge: Merge,
    /// What is contributed now, in the types of the target.
    pub contributed: Vec<Value>,
    /// What was contributed and is not any more.
    pub withdrawn: Vec<Withdrawn>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Withdrawn {
    rule: RuleTag,
    /// As the rule said it.
    said: Value,
    /// As the target has it; `None` for a reference that leads nowhere any more.
    held: Option<Value>,
}

// === impl Merged ===

impl Merged {
    /// What the attribute is to hold where it holds `held`.
    pub fn wanted(&self, held: &[Value]) -> Vec<Value> {
        let gone = |value: &&Value| {
            self.withdrawn.iter().any(|withdrawn| withdrawn.is_at_target(value, self.merge))
        };
        let mut wanted: Vec<Value> = held.iter().filter(|value| !gone(value)).cloned().collect();
        for value in &self.contributed {
            if !wanted.iter().any(|known| same(known, value, self.merge)) {
                wanted.push(value.clone());
            }
        }
        wanted
    }

    /// Takes: the object with what was contributed to it before; `now`: what is contributed, as the
    /// rules said it and as the target takes it. Values of a rule that left scope go only where it
    /// asks for that.
    pub fn of(
        object: &CsObject,
        name: &AttributeName,
        merge: Merge,
        (said, contributed): (&[Value], Vec<Value>),
        class: &TargetClass,
        speaks: impl Fn(&RuleTag) -> bool,
    ) -> Self {
        let mut withdrawn: Vec<Withdrawn> = vec![];
        for (rule, value) in before(object, name, speaks) {
            let stays = said.iter().any(|known| same(known, value, merge));
            let noted = withdrawn.iter().any(|known| known.said == *value);
            // What the target could not take was never there.
            if let (false, false, Ok(held)) =
                (stays, noted, convert(value.clone(), kind_of(name, class)))
            {
                withdrawn.push(Withdrawn {
                    rule: rule.clone(),
                    said: value.clone(),
                    held: Some(held),
                });
            }
        }
        Self { merge, contributed, withdrawn }
    }

    /// References to metaverse objects, of both kinds.
    pub fn referenced(&self) -> impl Iterator<Item = &Value> {
        let withdrawn = self.withdrawn.iter().filter_map(|withdrawn| withdrawn.held.as_ref());
        self.contributed.iter().chain(withdrawn)
    }

    /// Turns references to metaverse objects into places at the target. Gives how many of those
    /// that are wanted have none.
    pub fn resolve(&mut self, homes: &BTreeMap<MvId, CsId>) -> u64 {
        for withdrawn in &mut self.withdrawn {
            withdrawn.held = withdrawn.held.take().and_then(|value| super::home(value, homes));
        }
        super::to_homes(&mut self.contributed, homes)
    }
}

// === impl Withdrawn ===

impl Withdrawn {
    fn is_at_target(&self, value: &Value, merge: Merge) -> bool {
        self.held.as_ref().is_some_and(|held| same(held, value, merge))
    }
}

/// What rules contributed to an attribute of this object before, with the rule.
fn before<'a>(
    object: &'a CsObject,
    name: &'a AttributeName,
    speaks: impl Fn(&RuleTag) -> bool,
) -> Vec<(&'a RuleTag, &'a Value)> {
    let mut values = vec![];
    for kept in &object.contributions {
        let flows = match &kept.outcome {
            Kept::Withdrawn(flows) => flows,
            Kept::Flows(flows) if speaks(&kept.rule) => flows,
            Kept::Flows(_) | Kept::Skipped(_) => continue,
        };
        for flow in flows.iter().filter(|flow| flow.attribute == *name) {
            if let Contribution::Values(said) = &flow.contribution {
                values.extend(said.iter().map(|value| (&kept.rule, value)));
            }
        }
    }
    values
}

/// Whether what a rule once contributed is ours to take back: it is in scope, or it left and asked
/// for it.
pub(super) fn speaks(rule: &RuleTag, now: &[RuleContribution], rules: &RuleSet) -> bool {
    let in_scope =
        now.iter().any(|other| other.rule == *rule && matches!(other.outcome, Kept::Flows(_)));
    in_scope
        || rules.by_tag(rule).is_some_and(|id| rules.rule(id).on_scope_exit == OnScopeExit::Clear)
}

// === impl Desired ===

impl Desired {
    /// What has to be remembered until the target no longer shows it.
    pub(super) fn still_withdrawing(&self, object: &CsObject) -> Vec<RuleContribution> {
        let mut by_rule: BTreeMap<&RuleTag, BTreeMap<&AttributeName, Vec<Value>>> = BTreeMap::new();
        for (name, merged) in &self.merged {
            let held = object.attributes.get(name).map_or(&[][..], Vec::as_slice);
            for withdrawn in &merged.withdrawn {
                if held.iter().any(|value| withdrawn.is_at_target(value, merged.merge)) {
                    let attributes = by_rule.entry(&withdrawn.rule).or_default();
                    attributes.entry(name).or_default().push(withdrawn.said.clone());
                }
            }
        }
        let flow = |(name, values): (&AttributeName, Vec<Value>)| Flow {
            attribute: name.clone(),
            contribution: Contribution::Values(values),
        };
        by_rule
            .into_iter()
            .map(|(rule, attributes)| RuleContribution {
                rule: rule.clone(),
                input: Fingerprint::default(),
                outcome: Kept::Withdrawn(attributes.into_iter().map(flow).collect()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cs_object, said, values};

    fn class() -> TargetClass {
        TargetClass { multi_valued: ["tags".into()].into(), ..TargetClass::default() }
    }

    /// What the target holds, what was and what is contributed; what it is to hold.
    fn check(merge: Merge, held: &[&str], before: &[&str], now: &[&str], expected: &[&str]) {
        let was = said("out", &[("tags", Contribution::Values(values(before)))]);
        let object = CsObject { contributions: vec![was], ..cs_object(1) };
        let now = values(now);
        let (tags, said) = ("tags".into(), (&now[..], now.clone()));
        let merged = Merged::of(&object, &tags, merge, said, &class(), |_| true);
        assert_eq!(merged.wanted(&values(held)), values(expected), "{held:?} {before:?} {now:?}");
    }

    #[test]
    fn c8_foreign_values_stay_and_only_ours_go() {
        use Merge::{Merge as Exact, MergeCaseInsensitive as Folded};
        check(Exact, &["x"], &[], &["a"], &["x", "a"]);
        check(Exact, &["x", "a"], &["a"], &["a"], &["x", "a"]);
        check(Exact, &["x", "a"], &["a"], &["b"], &["x", "b"]);
        check(Exact, &["x", "a"], &["a"], &[], &["x"]);
        check(Exact, &["x", "A"], &["a"], &[], &["x", "A"]);
        check(Folded, &["x", "A"], &["a"], &[], &["x"]);
        check(Folded, &["x", "A"], &["a"], &["a"], &["x", "A"]);
        check(Exact, &["x"], &["x"], &[], &[]);
    }

    #[test]
    fn values_of_a_rule_that_left_scope_stay_unless_it_asks_for_their_removal() {
        let was = said("out", &[("tags", Contribution::Values(values(&["a"])))]);
        let object = CsObject { contributions: vec![was], ..cs_object(1) };
        for (speaks, expected) in [(false, ["a", "x"].as_slice()), (true, &["x"])] {
            let merged =
                Merged::of(&object, &"tags".into(), Merge::Merge, (&[], vec![]), &class(), |_| {
                    speaks
                });
            assert_eq!(merged.wanted(&values(&["a", "x"])), values(expected));
        }
    }
}
