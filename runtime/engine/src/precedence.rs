//! Who wins an attribute? The contributor with the lowest precedence number that has a value (R6).

use std::collections::BTreeMap;

use crate::connector_space::{CsId, CsObject};
use crate::flow::{Contribution, Kept, RuleContribution};
use crate::object::{AttributeName, ReferenceKey, Value};
use crate::rule::{Merge, RuleId, RuleSet};

/// One contribution to one attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contributor<'a> {
    pub rule: RuleId,
    /// The object it comes from, or is meant for.
    pub object: &'a CsObject,
    pub contribution: &'a Contribution,
}

/// What an attribute is to become.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolution {
    /// `winner` is an index into the contributors; of a merge, the first that had a value.
    Values { values: Vec<Value>, winner: usize },
    /// No contributor has a value: the attribute is removed.
    Remove,
    /// Some contributor asked to leave it as it is, and none had a value.
    Keep,
}

/// Resolves one attribute.
///
/// Takes: its contributors in order (precedence, connector order, anchor, flow index), possibly
/// none, all of one merge class; `form` brings one contributor's values into the form of the side
/// they flow to.
/// Gives: what it becomes; `Remove` for none.
/// Source: provisioning.md 11.4.
pub(crate) fn resolve(
    contributors: &[Contributor<'_>],
    merge: Merge,
    form: impl Fn(&[Value], &CsObject) -> Vec<Value>,
) -> Resolution {
    let mut keep = false;
    let (mut union, mut first): (Vec<Value>, Option<usize>) = (vec![], None);
    for (index, contributor) in contributors.iter().enumerate() {
        match contributor.contribution {
            Contribution::Values(values) if merge == Merge::Update => {
                return Resolution::Values {
                    values: form(values, contributor.object),
                    winner: index,
                };
            }
            Contribution::Values(values) => {
                first = first.or(Some(index));
                for value in form(values, contributor.object) {
                    if !union.iter().any(|known| same(known, &value, merge)) {
                        union.push(value);
                    }
                }
            }
            Contribution::None => {}
            Contribution::Keep => keep = true,
            Contribution::Block => {
                keep = false;
                break;
            }
        }
    }
    match first {
        Some(winner) => Resolution::Values { values: union, winner },
        None if keep => Resolution::Keep,
        None => Resolution::Remove,
    }
}

/// Whether two values are one in an attribute that is merged like this.
pub(crate) fn same(a: &Value, b: &Value, merge: Merge) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) if merge == Merge::MergeCaseInsensitive => {
            a.to_lowercase() == b.to_lowercase()
        }
        _ => a == b,
    }
}

/// All contributors of some objects, by attribute, each list in order of precedence.
///
/// Takes: the objects in order (connector order, anchor). Rules that the set no longer has, and
/// rules that put the object out of their scope, contribute nothing.
pub(crate) fn contributors<'a>(
    objects: impl IntoIterator<Item = (&'a CsObject, &'a [RuleContribution])>,
    rules: &RuleSet,
) -> BTreeMap<&'a AttributeName, Vec<Contributor<'a>>> {
    let mut by_rule: Vec<(RuleId, &CsObject, &Vec<crate::flow::Flow>)> = vec![];
    for (object, contributions) in objects {
        for contribution in contributions {
            if let (Some(id), Kept::Flows(flows)) =
                (rules.by_tag(&contribution.rule), &contribution.outcome)
            {
                by_rule.push((id, object, flows));
            }
        }
    }
    // Stable: objects stay in their order inside a rule; a RuleId is the position by precedence.
    by_rule.sort_by_key(|(id, ..)| *id);
    let mut by_attribute: BTreeMap<&AttributeName, Vec<Contributor<'_>>> = BTreeMap::new();
    for (rule, object, flows) in by_rule {
        for flow in flows {
            let contributor = Contributor { rule, object, contribution: &flow.contribution };
            by_attribute.entry(&flow.attribute).or_default().push(contributor);
        }
    }
    by_attribute
}

/// The merge class of an attribute: that of its first contributor, since the loader saw to it that
/// rules which can meet agree.
pub(crate) fn merge_of(
    attribute: &AttributeName,
    contributors: &[Contributor<'_>],
    rules: &RuleSet,
) -> Merge {
    contributors
        .first()
        .and_then(|first| rules.rule(first.rule).contract.writes.get(attribute))
        .map_or(Merge::Update, |policy| policy.merge)
}

/// Values as they stand in the metaverse: references name what they point at, not how it was spelt.
pub(crate) fn in_metaverse(values: &[Value], source: &CsObject) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(values.len());
    let mut seen = std::collections::BTreeSet::new();
    for value in values {
        let value = match value {
            Value::Reference(dn) => {
                let key = ReferenceKey::of_dn(&source.connector, dn).to_string();
                if !seen.insert(key.clone()) {
                    continue;
                }
                Value::Reference(key)
            }
            other => other.clone(),
        };
        out.push(value);
    }
    out
}

/// One line of an attribute's lineage.
#[derive(Clone, Debug, PartialEq)]
pub struct LineageEntry {
    pub rule: RuleId,
    pub object: CsId,
    pub contribution: Contribution,
    pub role: Role,
}

/// What became of a contribution, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Winner,
    /// Part of a merged attribute, beside the winner.
    Merged,
    /// A value, but a contributor of lower precedence number has one too.
    Outranked,
    /// NULL: nothing to contribute.
    Nothing,
    /// IgnoreThisFlow.
    Ignored,
    /// AuthoritativeNull: it decided that there is no value.
    Blocks,
    /// Behind an AuthoritativeNull.
    Blocked,
}

/// The whole story of each attribute, winners and losers, for `explain`.
///
/// Takes: objects in order (connector order, anchor) with their contributions. Gives: entries in
/// order of precedence. Source: P-04.
pub fn lineage(
    objects: &[CsObject],
    rules: &RuleSet,
) -> BTreeMap<AttributeName, Vec<LineageEntry>> {
    let pairs = objects.iter().map(|object| (object, object.contributions.as_slice()));
    let by_attribute = contributors(pairs, rules);
    by_attribute
        .into_iter()
        .map(|(attribute, list)| {
            let merge = merge_of(attribute, &list, rules);
            (attribute.clone(), roles(&list, merge))
        })
        .collect()
}

fn roles(contributors: &[Contributor<'_>], merge: Merge) -> Vec<LineageEntry> {
    let (mut won, mut blocked) = (false, false);
    let mut entries = vec![];
    for contributor in contributors {
        let role = match contributor.contribution {
            _ if blocked => Role::Blocked,
            Contribution::None => Role::Nothing,
            Contribution::Keep => Role::Ignored,
            Contribution::Block if won && merge == Merge::Update => Role::Outranked,
            Contribution::Block => {
                blocked = true;
                Role::Blocks
            }
            Contribution::Values(_) if !won => {
                won = true;
                Role::Winner
            }
            Contribution::Values(_) if merge == Merge::Update => Role::Outranked,
            Contribution::Values(_) => Role::Merged,
        };
        entries.push(LineageEntry {
            rule: contributor.rule,
            object: contributor.object.id,
            contribution: contributor.contribution.clone(),
            role,
        });
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{cs_object, values};

    fn check(contributions: &[Contribution], merge: Merge, expected: Resolution) {
        let object = cs_object(1);
        let list: Vec<_> = contributions
            .iter()
            .map(|contribution| Contributor { rule: RuleId(0), object: &object, contribution })
            .collect();
        let form = |values: &[Value], _: &CsObject| values.to_vec();
        assert_eq!(resolve(&list, merge, form), expected, "{contributions:?} {merge:?}");
    }

    fn wins(texts: &[&str], winner: usize) -> Resolution {
        Resolution::Values { values: values(texts), winner }
    }

    fn v(texts: &[&str]) -> Contribution {
        Contribution::Values(values(texts))
    }

    #[test]
    fn r06_p16_the_lowest_precedence_number_wins_and_null_falls_through() {
        use Contribution::{Block, Keep, None};
        check(&[v(&["a"]), v(&["b"])], Merge::Update, wins(&["a"], 0));
        check(&[None, v(&["b"])], Merge::Update, wins(&["b"], 1));
        check(&[Keep, v(&["b"])], Merge::Update, wins(&["b"], 1));
        check(&[Block, v(&["b"])], Merge::Update, Resolution::Remove);
        check(&[Keep, Block, v(&["b"])], Merge::Update, Resolution::Remove);
        check(&[Keep, None], Merge::Update, Resolution::Keep);
        check(&[None], Merge::Update, Resolution::Remove);
        check(&[], Merge::Update, Resolution::Remove);
    }

    #[test]
    fn merging_unites_values_up_to_an_authoritative_null() {
        use Contribution::Block;
        check(&[v(&["a", "B"]), v(&["b", "a"])], Merge::Merge, wins(&["a", "B", "b"], 0));
        check(&[v(&["a", "B"]), v(&["b", "a"])], Merge::MergeCaseInsensitive, wins(&["a", "B"], 0));
        check(&[v(&["a"]), Block, v(&["b"])], Merge::Merge, wins(&["a"], 0));
    }
}
