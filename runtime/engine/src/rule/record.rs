//! What is remembered of the rules that objects were evaluated with. The record of one rule set and
//! that of the next flow in; which objects have to be looked at again flows out (provisioning.md
//! 11.9).

use std::collections::{BTreeMap, BTreeSet};

use super::{Direction, RuleSet, RuleTag, RulesetDigest, digest};
use crate::object::{ClassName, ConnectorName};
use crate::time::Timestamp;

/// A rule set without its meaning: enough to tell what a newer one changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesRecord {
    pub digest: RulesetDigest,
    /// Digest of what all rules share.
    pub surroundings: String,
    pub rules: BTreeMap<RuleTag, RuleMark>,
}

/// One rule of a [`RulesRecord`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMark {
    /// Of everything that decides what the rule does.
    pub digest: String,
    /// The number of the time in which the rule's answers hold, if they depend on the time: the
    /// next one makes it another rule.
    pub period: Option<i64>,
    pub direction: Direction,
    pub connector: ConnectorName,
    pub cs_class: ClassName,
    pub mv_class: ClassName,
}

/// Objects that other rules concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    Everything,
    Only {
        /// Source objects, by connector and object type.
        sources: BTreeSet<(ConnectorName, ClassName)>,
        /// Metaverse objects, by type.
        metaverse: BTreeSet<ClassName>,
    },
}

// === impl RulesRecord ===

impl RulesRecord {
    /// What holds of `rules` at an instant.
    pub fn of(rules: &RuleSet, now: Timestamp) -> Self {
        let mark = |rule: &super::Rule| RuleMark {
            digest: digest::of_rule(rule),
            period: period(rule, now),
            direction: rule.direction,
            connector: rule.connector.clone(),
            cs_class: rule.cs_class.clone(),
            mv_class: rule.mv_class.clone(),
        };
        Self {
            digest: rules.digest.clone(),
            surroundings: digest::of_surroundings(rules),
            rules: rules.rules.iter().map(|rule| (rule.tag.clone(), mark(rule))).collect(),
        }
    }

    /// What has to be looked at again when `next` follows: the objects of every rule that was
    /// added, removed or changed, or whose time is over. A module is asked only where its
    /// fingerprint says so.
    pub fn touched(&self, next: &Self) -> Touched {
        if self.surroundings != next.surroundings {
            return Touched::Everything;
        }
        let (mut sources, mut metaverse) = (BTreeSet::new(), BTreeSet::new());
        for mark in self.changed(next) {
            match mark.direction {
                Direction::Inbound => {
                    sources.insert((mark.connector.clone(), mark.cs_class.clone()));
                }
                Direction::Outbound => {
                    metaverse.insert(mark.mv_class.clone());
                }
            }
        }
        Touched::Only { sources, metaverse }
    }

    /// Tags of the rules that differ, in order.
    pub fn differences<'a>(&'a self, next: &'a Self) -> BTreeSet<&'a RuleTag> {
        let tags = self.rules.keys().chain(next.rules.keys());
        tags.filter(|tag| self.rules.get(*tag) != next.rules.get(*tag)).collect()
    }

    /// Rules that differ, as they were and as they will be.
    fn changed<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = &'a RuleMark> {
        let pair = |tag: &RuleTag| [self.rules.get(tag), next.rules.get(tag)];
        self.differences(next).into_iter().flat_map(pair).flatten()
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

    fn record(surroundings: &str, rules: &[(&str, &str, Direction, &str, &str)]) -> RulesRecord {
        let mark = |(tag, digest, direction, cs, mv): &(&str, &str, Direction, &str, &str)| {
            let mark = RuleMark {
                digest: (*digest).into(),
                period: None,
                direction: *direction,
                connector: "hr".into(),
                cs_class: (*cs).into(),
                mv_class: (*mv).into(),
            };
            (RuleTag((*tag).into()), mark)
        };
        RulesRecord {
            digest: RulesetDigest(String::new()),
            surroundings: surroundings.into(),
            rules: rules.iter().map(mark).collect(),
        }
    }

    fn only(sources: &[&str], metaverse: &[&str]) -> Touched {
        Touched::Only {
            sources: sources.iter().map(|class| ("hr".into(), (*class).into())).collect(),
            metaverse: metaverse.iter().map(|class| (*class).into()).collect(),
        }
    }

    #[test]
    fn g12_only_the_objects_of_rules_that_differ_are_touched() {
        use Direction::{Inbound, Outbound};
        let user = ("in", "1", Inbound, "user", "person");
        let group = ("in-group", "1", Inbound, "group", "group");
        let out = ("out", "1", Outbound, "User", "person");
        let before = record("s", &[user, group, out]);
        for (after, touched) in [
            (record("s", &[user, group, out]), only(&[], &[])),
            (
                record("s", &[("in", "2", Inbound, "user", "person"), group, out]),
                only(&["user"], &[]),
            ),
            (
                record("s", &[user, group, ("out", "2", Outbound, "User", "person")]),
                only(&[], &["person"]),
            ),
            // Removed, added, and moved to another type: both are looked at.
            (record("s", &[user, out]), only(&["group"], &[])),
            (
                record("s", &[user, group, out, ("x", "1", Inbound, "contact", "person")]),
                only(&["contact"], &[]),
            ),
            (
                record("s", &[("in", "1", Inbound, "inetOrgPerson", "person"), group, out]),
                only(&["user", "inetOrgPerson"], &[]),
            ),
            (record("t", &[user, group, out]), Touched::Everything),
        ] {
            assert_eq!(before.touched(&after), touched, "{after:?}");
        }
    }

    #[test]
    fn a_volatile_rule_is_another_one_in_the_next_period_and_only_then() {
        let mut volatile = testing::rule("clock", Direction::Inbound, 1);
        volatile.contract.volatile = true;
        volatile.contract.recheck_seconds = Some(900);
        let still = testing::rule("still", Direction::Inbound, 2);
        let rules = RuleSet::new(vec![], vec![volatile, still], Compat::default());
        let at = |seconds: i64| RulesRecord::of(&rules, Timestamp(seconds * 1000));
        let differing = |from: i64, to: i64| {
            at(from).differences(&at(to)).into_iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert!(differing(900, 1799).is_empty());
        assert_eq!(differing(1799, 1800), ["clock"]);
        assert!(matches!(at(0).touched(&at(900)), Touched::Only { .. }));
    }
}
