//! To which metaverse object does a source object belong? (provisioning.md 11.2, steps 3 to 6)

use std::collections::BTreeSet;

use crate::connector_space::MvId;
use crate::object::AttributeMap;
use crate::rule::{JoinGroup, LinkType, Rule, RuleId, RuleSet};
use crate::view::IndexKey;

/// What the join rules in scope say together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkRule {
    /// No rule in scope can link the object.
    None,
    /// This rule decides.
    One(RuleId),
    /// Several rules have different criteria (R23, C3).
    Conflict(Vec<RuleId>),
}

/// Chooses the rule that may link an object, from the rules that are in scope, in order of precedence.
pub(crate) fn link_rule(in_scope: &[RuleId], rules: &RuleSet) -> LinkRule {
    let joining: Vec<RuleId> =
        in_scope.iter().copied().filter(|id| !rules.rule(*id).join.is_empty()).collect();
    if let Some((first, others)) = joining.split_first() {
        let criteria = normalised(&rules.rule(*first).join);
        let differ = |id: &&RuleId| normalised(&rules.rule(**id).join) != criteria;
        if others.iter().any(|id| differ(&id)) {
            return LinkRule::Conflict(joining);
        }
        // Of rules that agree on the criteria, the one that creates objects decides what happens
        // when nothing matches.
        let provisions = |id: &&RuleId| rules.rule(**id).link == LinkType::Provision;
        return LinkRule::One(joining.iter().find(provisions).copied().unwrap_or(*first));
    }
    let provisions = |id: &&RuleId| rules.rule(**id).link == LinkType::Provision;
    in_scope.iter().find(provisions).map_or(LinkRule::None, |id| LinkRule::One(*id))
}

/// Whether a rule can be the reason of a link.
pub(crate) fn can_link(rule: &Rule) -> bool {
    !rule.join.is_empty() || rule.link == LinkType::Provision
}

/// Criteria as a set of sets: neither the order of groups nor that of clauses tells rules apart.
fn normalised(groups: &[JoinGroup]) -> BTreeSet<BTreeSet<&crate::rule::JoinClause>> {
    groups.iter().map(|group| group.iter().collect()).collect()
}

/// What the join groups of one rule found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Match {
    One(MvId),
    /// No group found anything. `present`: whether some join attribute has a value at all.
    None {
        present: bool,
    },
    /// No group found exactly one; these were found.
    Several(Vec<MvId>),
}

/// Goes through the groups in order; the first that finds exactly one object decides (R20).
///
/// `candidates`: metaverse objects of the right type with a key.
pub(crate) fn find(
    groups: &[JoinGroup],
    attributes: &AttributeMap,
    mut candidates: impl FnMut(&IndexKey) -> BTreeSet<MvId>,
) -> Match {
    let (mut present, mut several) = (groups.is_empty(), BTreeSet::new());
    for group in groups {
        let mut found: Option<BTreeSet<MvId>> = None;
        for clause in group {
            let Some(values) = attributes.get(&clause.cs) else {
                found = Some(BTreeSet::new());
                continue;
            };
            present = true;
            let keys = values
                .iter()
                .filter_map(|value| IndexKey::new(&clause.mv, clause.case_sensitive, value));
            let matching: BTreeSet<MvId> = keys.flat_map(|key| candidates(&key)).collect();
            found = Some(match found {
                None => matching,
                Some(before) => before.intersection(&matching).copied().collect(),
            });
        }
        let found = found.unwrap_or_default();
        match found.first() {
            Some(only) if found.len() == 1 => return Match::One(*only),
            _ => several.extend(found),
        }
    }
    if several.is_empty() {
        Match::None { present }
    } else {
        Match::Several(several.into_iter().collect())
    }
}

/// The keys under which an unlinked object waits: those by which `groups` would find a metaverse object.
pub(crate) fn waiting_keys(groups: &[JoinGroup], attributes: &AttributeMap) -> Vec<IndexKey> {
    let mut keys = BTreeSet::new();
    for clause in groups.iter().flatten() {
        for value in attributes.get(&clause.cs).into_iter().flatten() {
            keys.extend(IndexKey::new(&clause.mv, clause.case_sensitive, value));
        }
    }
    keys.into_iter().collect()
}
