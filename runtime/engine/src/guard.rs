//! The limits that stop a plan before its first request (provisioning.md 11.13, delivery.md 11).

use std::collections::BTreeMap;
use std::fmt;

use crate::object::ConnectorName;
use crate::plan::Counts;
use crate::rule::{RuleSet, Thresholds};

/// A limit that a plan exceeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    pub connector: ConnectorName,
    /// Deletes and disables of the plan.
    pub removals: u64,
    /// How many were allowed.
    pub allowed: u64,
    /// Linked objects of the target, of which the percentage was taken.
    pub linked: u64,
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector, removals, allowed, linked } = self;
        write!(
            f,
            "target `{connector}`: {removals} objects would be deleted or disabled, \
             at most {allowed} of {linked} may be"
        )
    }
}

/// Takes counts and numbers of linked objects per target. Gives the limits exceeded, by target.
///
/// Source: delivery.md 11 (the smaller of count and percentage, but at least the floor).
pub fn trips(
    rules: &RuleSet,
    counts: &BTreeMap<ConnectorName, Counts>,
    linked: &BTreeMap<ConnectorName, u64>,
) -> Vec<Trip> {
    let mut trips = vec![];
    for target in rules.targets() {
        let linked = linked.get(&target.name).copied().unwrap_or(0);
        let removals = counts.get(&target.name).map_or(0, |counts| counts.delete + counts.disable);
        let allowed = allowed(&target.thresholds, linked);
        if removals > allowed {
            trips.push(Trip { connector: target.name.clone(), removals, allowed, linked });
        }
    }
    trips
}

/// How many removals a run may make of `linked` objects.
pub fn allowed(thresholds: &Thresholds, linked: u64) -> u64 {
    let percent = linked.saturating_mul(thresholds.removals_percent) / 100;
    thresholds.removals_max.min(percent).max(thresholds.removals_floor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_count_and_percentage_counts_but_never_less_than_the_floor() {
        let limits = Thresholds::default();
        for (linked, expected) in [(0, 5), (100, 5), (200, 10), (10_000, 500), (1_000_000, 500)] {
            assert_eq!(allowed(&limits, linked), expected, "{linked} linked");
        }
    }

    /// Disables and deletes planned for a target of 100 linked objects, of which 5 may go.
    fn check(disable: u64, delete: u64, trips_expected: usize) {
        let rules = crate::testing::rule_set(crate::rule::ConnectorKind::Target, vec![]);
        let counts = Counts { disable, delete, add: 50, update: 50, ..Counts::default() };
        let counts = BTreeMap::from([("forest-a".into(), counts)]);
        let linked = BTreeMap::from([("forest-a".into(), 100)]);
        let trips = trips(&rules, &counts, &linked);
        assert_eq!(trips.len(), trips_expected, "{disable} disabled and {delete} deleted");
    }

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        check(0, 5, 0);
        check(5, 0, 0);
        check(2, 3, 0);
        check(0, 6, 1);
        check(3, 3, 1);
    }
}
