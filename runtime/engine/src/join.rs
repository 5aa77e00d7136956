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

/// Chooses the rule that may link an object, from the rules that are in scope, in order of
/// precedence.
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

/// The keys under which an unlinked object waits: those by which `groups` would find a metaverse
/// object.
pub(crate) fn waiting_keys(groups: &[JoinGroup], attributes: &AttributeMap) -> Vec<IndexKey> {
    let mut keys = BTreeSet::new();
    for clause in groups.iter().flatten() {
        for value in attributes.get(&clause.cs).into_iter().flatten() {
            keys.extend(IndexKey::new(&clause.mv, clause.case_sensitive, value));
        }
    }
    keys.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{ConnectorKind, Direction};
    use crate::testing::{attributes, clause, rule, rule_set};

    /// Rules as (link type, join groups); expects what decides, by position.
    fn check_rule(rules: &[(LinkType, &[JoinGroup])], expected: LinkRule) {
        let made: Vec<Rule> = rules
            .iter()
            .enumerate()
            .map(|(index, (link, join))| {
                let number = index as u32;
                let rule = rule(&format!("r{index}"), Direction::Inbound, number);
                Rule { link: *link, join: join.to_vec(), ..rule }
            })
            .collect();
        let ids: Vec<RuleId> = (0..made.len() as u32).map(RuleId).collect();
        let set = rule_set(ConnectorKind::Source, made);
        assert_eq!(link_rule(&ids, &set), expected, "{rules:?}");
    }

    #[test]
    fn r23_rules_whose_criteria_differ_conflict_and_rules_that_agree_do_not() {
        use LinkType::{Join, Provision, StickyJoin};
        let (sid, mail) = (vec![clause("sid", "sid")], vec![clause("mail", "mail")]);
        let (by_sid, by_mail) = ([sid.clone()], [mail.clone()]);
        let both = [sid.clone(), mail.clone()];
        let turned = [mail, sid];
        let conflict = |ids: &[u32]| LinkRule::Conflict(ids.iter().copied().map(RuleId).collect());
        check_rule(&[], LinkRule::None);
        check_rule(&[(Join, &[])], LinkRule::None);
        check_rule(&[(StickyJoin, &[])], LinkRule::None);
        check_rule(&[(Join, &[]), (Provision, &[])], LinkRule::One(RuleId(1)));
        check_rule(&[(Join, &by_sid), (Join, &by_mail)], conflict(&[0, 1]));
        check_rule(&[(Join, &by_sid), (Join, &[]), (Join, &by_mail)], conflict(&[0, 2]));
        check_rule(&[(Join, &by_sid), (Join, &by_sid)], LinkRule::One(RuleId(0)));
        check_rule(&[(Join, &by_sid), (Provision, &by_sid)], LinkRule::One(RuleId(1)));
        check_rule(&[(Join, &both), (Join, &turned)], LinkRule::One(RuleId(0)));
    }

    /// The metaverse holds: 1 sid=S1 mail=m, 2 sid=S2 mail=m, 3 sid=S3.
    fn check_find(groups: &[&[&str]], source: &[&str], expected: Match) {
        let groups: Vec<JoinGroup> = groups
            .iter()
            .map(|group| group.iter().map(|name| clause(name, name)).collect())
            .collect();
        let candidates = |key: &IndexKey| -> BTreeSet<MvId> {
            let held = [(1, "sid~", "s1"), (1, "mail~", "m"), (2, "sid~", "s2")];
            let more = [(2, "mail~", "m"), (3, "sid~", "s3")];
            held.iter()
                .chain(&more)
                .filter(|(_, scope, value)| key.scope == *scope && key.value == *value)
                .map(|(id, ..)| MvId(*id))
                .collect()
        };
        let found = find(&groups, &attributes(source), candidates);
        assert_eq!(found, expected, "{groups:?} for {source:?}");
    }

    #[test]
    fn r19_r20_the_first_group_that_finds_exactly_one_object_decides() {
        let one = |id| Match::One(MvId(id));
        let several = Match::Several(vec![MvId(1), MvId(2)]);
        check_find(&[&["sid"]], &["sid=S1"], one(1));
        check_find(&[&["mail"], &["sid"]], &["mail=m", "sid=S3"], one(3));
        check_find(&[&["sid"], &["mail"]], &["mail=m", "sid=S2"], one(2));
        check_find(&[&["mail", "sid"]], &["mail=m", "sid=S2"], one(2));
        check_find(&[&["mail"]], &["mail=M"], several);
        check_find(&[&["sid"]], &["sid=S8", "sid=S2"], one(2));
    }

    #[test]
    fn r21_whether_a_join_attribute_is_present_decides_if_an_object_may_be_created() {
        let none = |present| Match::None { present };
        check_find(&[&["sid"]], &["sid=S9"], none(true));
        check_find(&[&["sid"]], &["mail=m"], none(false));
        check_find(&[&["sid", "mail"]], &["mail=m"], none(true));
        check_find(&[], &[], none(true));
    }

    #[test]
    fn an_unlinked_object_waits_under_every_key_that_could_join_it() {
        let groups = vec![vec![clause("sid", "sid")], vec![clause("mail", "proxy")]];
        let keys = waiting_keys(&groups, &attributes(&["sid=S1", "mail=A", "mail=b"]));
        let keys: Vec<String> =
            keys.into_iter().map(|key| format!("{}{}", key.scope, key.value)).collect();
        assert_eq!(keys, ["proxy~a", "proxy~b", "sid~s1"]);
    }
}
