//! Exports that were sent too often: what is pending and what was sent before flow in; whether
//! something works against it flows out (provisioning.md 11.8).

use crate::export::{AttributeChange, Export};
use crate::object::{AttributeMap, AttributeName, Value};
use crate::problem::ProblemKind;

/// An export that was carried out before: its changes, and what the attributes held before it.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    pub changes: &'a [AttributeChange],
    pub before: &'a AttributeMap,
}

/// Why an export is not sent once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: ProblemKind,
    pub attribute: AttributeName,
    /// How often the attribute was changed before.
    pub times: u64,
}

/// Takes: what was sent of the object in the window, oldest first. Gives: the first attribute that
/// went to and fro `flips` times and would go once more ([`ProblemKind::Flapping`]), or got the
/// same value `retries` times and would get it once more
/// ([`ProblemKind::ExportedChangeNotReimported`]).
///
/// Only attributes with one value: several owners of a set have a place in it for each.
pub fn judge(pending: &Export, history: &[Past<'_>], flips: u64, retries: u64) -> Option<Finding> {
    pending.changes.iter().find_map(|change| {
        let wanted = change.replace.as_deref()?;
        let (mut before, mut after): (Vec<&[Value]>, Vec<&[Value]>) = (vec![], vec![]);
        for past in history {
            let same = past.changes.iter().find(|other| other.attribute == change.attribute);
            if let Some(replaced) = same.and_then(|other| other.replace.as_deref()) {
                let held = past.before.get(&change.attribute);
                before.push(held.map_or(&[], Vec::as_slice));
                after.push(replaced);
            }
        }
        let attribute = &change.attribute;
        let found = |kind, times| Some(Finding { kind, attribute: attribute.clone(), times });
        let repeated = after.iter().rev().take_while(|values| **values == wanted).count() as u64;
        if repeated >= retries {
            return found(ProblemKind::ExportedChangeNotReimported, repeated);
        }
        let times = after.len() as u64;
        let returns = before.contains(&wanted);
        if returns && times >= flips { found(ProblemKind::Flapping, times) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector_space::CsId;
    use crate::export::ExportOp;
    use crate::testing::values;

    fn set(value: &str) -> Vec<AttributeChange> {
        let replace = Some(values(&[value]));
        vec![AttributeChange { attribute: "title".into(), add: vec![], remove: vec![], replace }]
    }

    /// The values that were sent, from the first one that was there; what is wanted now.
    fn check(held: &[(&str, &str)], wanted: &str, expected: Option<(ProblemKind, u64)>) {
        let pending = Export {
            connector: "cloud".into(),
            object: CsId(1),
            class: "User".into(),
            mv: None,
            op: ExportOp::Update,
            changes: set(wanted),
            anchor: String::new(),
            match_key: String::new(),
            rank: 0,
            type_change: false,
            by: vec![],
        };
        let sent: Vec<_> = held
            .iter()
            .map(|(before, after)| {
                (set(after), AttributeMap::from([("title".into(), values(&[before]))]))
            })
            .collect();
        let history: Vec<Past<'_>> =
            sent.iter().map(|(changes, before)| Past { changes, before }).collect();
        let found = judge(&pending, &history, 3, 3);
        assert_eq!(found.map(|found| (found.kind, found.times)), expected, "{held:?} {wanted}");
    }

    #[test]
    fn three_flips_pass_and_the_fourth_is_flapping() {
        check(&[("a", "b"), ("b", "a")], "b", None);
        check(&[("a", "b"), ("b", "a"), ("a", "b")], "a", Some((ProblemKind::Flapping, 3)));
        // Somebody who cannot make up their mind is no second owner.
        check(&[("a", "b"), ("b", "c"), ("c", "d")], "e", None);
    }

    #[test]
    fn three_times_the_same_value_pass_and_the_fourth_does_not_stick_either() {
        let not_kept = Some((ProblemKind::ExportedChangeNotReimported, 3));
        check(&[("a", "b"), ("a", "b")], "b", None);
        check(&[("a", "b"), ("a", "b"), ("a", "b")], "b", not_kept);
        let others_too = &[("a", "b"), ("b", "c"), ("c", "b"), ("c", "b")];
        check(others_too, "b", Some((ProblemKind::Flapping, 4)));
    }
}
