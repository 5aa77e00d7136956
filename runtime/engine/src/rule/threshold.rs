//! How much one run may change at a target, by kind of change (P-05, provisioning.md 11.13).

use std::fmt;

/// At most `max`, and at most `percent` of what it is measured by, but never fewer than `floor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub max: u64,
    pub percent: u64,
    pub floor: u64,
}

/// What is counted and limited. The gravest is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// Objects that get another name at the target.
    Renames,
    /// Objects that lose all values of one attribute; each attribute is counted on its own.
    Clears,
    /// Members that one group loses; each group is counted on its own.
    MemberRemovals,
    /// Objects that are replaced by one of another type.
    TypeChanges,
    Disables,
    Deletes,
    /// Deletes and disables together.
    Removals,
}

/// The limits of one target, one for each [`Measure`]. All are measured by its linked objects, but
/// for [`Measure::MemberRemovals`], which is measured by the members of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    pub removals: Limit,
    pub deletes: Limit,
    pub disables: Limit,
    pub renames: Limit,
    pub type_changes: Limit,
    pub member_removals: Limit,
    pub clears: Limit,
}

// === impl Limit ===

impl Limit {
    /// Objects that a run may delete or disable, give another name or another type: what is usual
    /// in one run stays far below, a wrong base DN or a lost attribute goes far beyond
    /// (provisioning.md 13, delivery.md 11).
    pub const OBJECTS: Self = Self { max: 500, percent: 5, floor: 5 };
    /// A small group may lose everybody, a large one not half of itself: whom a filter misses is
    /// missing in all groups at once.
    pub const MEMBERS: Self = Self { max: 500, percent: 50, floor: 50 };
    /// An attribute that a source no longer shows is missing in all objects at once; one by one
    /// they lose values every day.
    pub const VALUES: Self = Self { max: 500, percent: 10, floor: 10 };
    pub const NONE: Self = Self { max: u64::MAX, percent: 100, floor: u64::MAX };

    /// How many of `whole` are allowed: so many pass, one more does not.
    pub fn allowed(&self, whole: u64) -> u64 {
        let percent = whole.saturating_mul(self.percent) / 100;
        self.max.min(percent).max(self.floor)
    }
}

// === impl Measure ===

impl Measure {
    pub const ALL: [Self; 7] = [
        Self::Removals,
        Self::Deletes,
        Self::Disables,
        Self::TypeChanges,
        Self::MemberRemovals,
        Self::Clears,
        Self::Renames,
    ];

    /// The key of the limit in the configuration, without `_max`, `_percent` and `_floor`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Renames => "renames",
            Self::Clears => "clears",
            Self::MemberRemovals => "member_removals",
            Self::TypeChanges => "type_changes",
            Self::Disables => "disables",
            Self::Deletes => "deletes",
            Self::Removals => "removals",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Thresholds ===

impl Thresholds {
    /// No limits: for those who set some of their own.
    pub const NONE: Self = Self {
        removals: Limit::NONE,
        deletes: Limit::NONE,
        disables: Limit::NONE,
        renames: Limit::NONE,
        type_changes: Limit::NONE,
        member_removals: Limit::NONE,
        clears: Limit::NONE,
    };

    pub fn of(&self, measure: Measure) -> &Limit {
        match measure {
            Measure::Renames => &self.renames,
            Measure::Clears => &self.clears,
            Measure::MemberRemovals => &self.member_removals,
            Measure::TypeChanges => &self.type_changes,
            Measure::Disables => &self.disables,
            Measure::Deletes => &self.deletes,
            Measure::Removals => &self.removals,
        }
    }

    pub fn of_mut(&mut self, measure: Measure) -> &mut Limit {
        match measure {
            Measure::Renames => &mut self.renames,
            Measure::Clears => &mut self.clears,
            Measure::MemberRemovals => &mut self.member_removals,
            Measure::TypeChanges => &mut self.type_changes,
            Measure::Disables => &mut self.disables,
            Measure::Deletes => &mut self.deletes,
            Measure::Removals => &mut self.removals,
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            removals: Limit::OBJECTS,
            deletes: Limit::OBJECTS,
            disables: Limit::OBJECTS,
            renames: Limit::OBJECTS,
            type_changes: Limit::OBJECTS,
            member_removals: Limit::MEMBERS,
            clears: Limit::VALUES,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_count_and_percentage_counts_but_never_less_than_the_floor() {
        for (linked, expected) in [(0, 5), (100, 5), (200, 10), (10_000, 500), (1_000_000, 500)] {
            assert_eq!(Limit::OBJECTS.allowed(linked), expected, "{linked} linked");
        }
    }

    #[test]
    fn each_limit_is_found_under_its_measure() {
        let mut thresholds = Thresholds::NONE;
        for (number, measure) in (1u64..).zip(Measure::ALL) {
            *thresholds.of_mut(measure) = Limit { max: number, percent: 0, floor: 0 };
        }
        let found = Measure::ALL.map(|measure| thresholds.of(measure).max);
        assert_eq!(found, [1, 2, 3, 4, 5, 6, 7]);
    }
}
