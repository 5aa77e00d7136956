//! What is remembered of the rules that objects were evaluated with: enough to tell what a newer
//! set changes, and nothing of what it means. A rule set flows in, its record flows out; two
//! records are compared by [`Revision`](super::Revision).

use std::collections::{BTreeMap, BTreeSet};

use super::{Direction, RuleSet, RuleTag, RulesetDigest, digest};
use crate::join;
use crate::object::{AttributeName, ClassName, ConnectorName, ReferenceKey};
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesRecord {
    pub digest: RulesetDigest,
    /// Digest of behaviour that concerns every object.
    pub compat: String,
    /// Sources in their order: it decides between rules of one precedence.
    pub sources: Vec<ConnectorName>,
    /// Digest of the object types of each target.
    pub targets: BTreeMap<ConnectorName, String>,
    /// Digest of what the join index holds of each type of metaverse object.
    pub indexes: BTreeMap<ClassName, String>,
    /// Groups by whose members scopes go.
    pub watched: BTreeSet<ReferenceKey>,
    pub rules: BTreeMap<RuleTag, RuleMark>,
}

/// One rule of a [`RulesRecord`]: a digest for each of its aspects, since each asks for other work
/// (provisioning.md 11.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMark {
    pub direction: Direction,
    pub connector: ConnectorName,
    pub cs_class: ClassName,
    pub mv_class: ClassName,
    pub precedence: u32,
    /// Whether it can be the reason of a link.
    pub links: bool,
    /// Of what decides the module's answers.
    pub answers: String,
    /// The number of the time in which the answers hold, if they depend on the time: the next one
    /// makes them others.
    pub period: Option<i64>,
    pub scope: String,
    pub join: String,
    pub link: String,
    /// Of how each attribute is merged.
    pub policies: String,
    /// Of what only matters when an object leaves.
    pub leaving: String,
    pub writes: BTreeSet<AttributeName>,
}

// === impl RulesRecord ===

impl RulesRecord {
    /// What holds of `rules` at an instant.
    pub fn of(rules: &RuleSet, now: Timestamp) -> Self {
        let classes: BTreeSet<&ClassName> = rules.rules.iter().map(|rule| &rule.mv_class).collect();
        Self {
            digest: rules.digest.clone(),
            compat: digest::of_compat(rules),
            sources: rules.sources().map(|source| source.name.clone()).collect(),
            targets: rules
                .targets()
                .map(|target| (target.name.clone(), digest::of_classes(target)))
                .collect(),
            indexes: classes
                .into_iter()
                .map(|class| (class.clone(), digest::of_index(rules, class)))
                .collect(),
            watched: rules
                .rules
                .iter()
                .flat_map(|rule| {
                    let key = |dn| ReferenceKey::of_dn(&rule.connector, dn);
                    rule.scope.member_groups().map(key)
                })
                .collect(),
            rules: rules
                .rules
                .iter()
                .map(|rule| (rule.tag.clone(), RuleMark::of(rule, now)))
                .collect(),
        }
    }

    /// Tags of the rules that differ, in order.
    pub fn differences<'a>(&'a self, next: &'a Self) -> BTreeSet<&'a RuleTag> {
        let tags = self.rules.keys().chain(next.rules.keys());
        tags.filter(|tag| self.rules.get(*tag) != next.rules.get(*tag)).collect()
    }
}

// === impl RulesRecord: what must not change ===

impl RulesRecord {
    /// Inbound rules that are about another type of metaverse object in `next`: their tags, the
    /// types before and after (R10).
    pub fn retyped<'a>(
        &'a self,
        next: &'a Self,
    ) -> impl Iterator<Item = (&'a RuleTag, &'a ClassName, &'a ClassName)> {
        self.rules.iter().filter_map(|(tag, old)| {
            let new = next.rules.get(tag)?;
            let inbound = old.direction == Direction::Inbound && new.direction == old.direction;
            (inbound && old.mv_class != new.mv_class).then_some((tag, &old.mv_class, &new.mv_class))
        })
    }
}

// === impl RuleMark ===

impl RuleMark {
    fn of(rule: &super::Rule, now: Timestamp) -> Self {
        let aspects = digest::of_aspects(rule);
        Self {
            direction: rule.direction,
            connector: rule.connector.clone(),
            cs_class: rule.cs_class.clone(),
            mv_class: rule.mv_class.clone(),
            precedence: rule.precedence,
            links: join::can_link(rule),
            answers: aspects.answers,
            period: period(rule, now),
            scope: aspects.scope,
            join: aspects.join,
            link: aspects.link,
            policies: aspects.policies,
            leaving: aspects.leaving,
            writes: rule.contract.writes.keys().cloned().collect(),
        }
    }

    /// Whether it is about the same objects on both sides.
    pub fn same_place(&self, other: &Self) -> bool {
        let place = |mark: &Self| {
            (mark.direction, mark.connector.clone(), mark.cs_class.clone(), mark.mv_class.clone())
        };
        place(self) == place(other)
    }
}

fn period(rule: &super::Rule, now: Timestamp) -> Option<i64> {
    let recheck = rule.contract.recheck_seconds.filter(|_| rule.contract.volatile)?;
    Some(now.unix_seconds().div_euclid(i64::from(recheck.max(1))))
}

#[cfg(test)]
mod tests {
    use super::super::Compat;
    use super::*;
    use crate::testing;

    #[test]
    fn p12_a_volatile_rule_is_another_one_in_the_next_period_and_only_then() {
        let mut volatile = testing::rule("clock", Direction::Inbound, 1);
        volatile.contract.volatile = true;
        volatile.contract.recheck_seconds = Some(900);
        let still = testing::rule("still", Direction::Inbound, 2);
        let rules = RuleSet::new(vec![], vec![volatile, still], Compat::default(), BTreeMap::new());
        let at = |seconds: i64| RulesRecord::of(&rules, Timestamp(seconds * 1000));
        let differing = |from: i64, to: i64| {
            at(from).differences(&at(to)).into_iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(differing(900, 1799).is_empty());
        assert_eq!(differing(1799, 1800), ["clock"]);
    }
}
