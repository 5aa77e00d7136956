//! The limits that stop a plan before its first request (P-05, provisioning.md 11.13, delivery.md
//! 11): exports pass by and are counted; the limits they exceed flow out.

use std::collections::BTreeMap;
use std::fmt;

use crate::export::{AttributeChange, Export, ExportOp};
use crate::object::{AttributeName, ConnectorName};
use crate::plan::Counts;
use crate::rule::{Connector, Measure, RuleSet, TargetClass};

/// A limit that a plan exceeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    pub connector: ConnectorName,
    pub measure: Measure,
    /// The attribute that is cleared, or the group that loses members: the one farthest beyond.
    pub what: Option<String>,
    /// How many attributes or groups besides exceed the limit too.
    pub others: u64,
    pub planned: u64,
    pub allowed: u64,
    /// Linked objects of the target, or members of the group: what the percentage was taken of.
    pub whole: u64,
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connector, measure, what, others, planned, allowed, whole } = self;
        let what = what.as_deref().unwrap_or_default();
        write!(f, "target `{connector}`: ")?;
        match measure {
            Measure::Removals => write!(f, "{planned} objects would be deleted or disabled")?,
            Measure::Deletes => write!(f, "{planned} objects would be deleted")?,
            Measure::Disables => write!(f, "{planned} objects would be disabled")?,
            Measure::TypeChanges => write!(f, "{planned} objects would become another type")?,
            Measure::Renames => write!(f, "{planned} objects would be renamed")?,
            Measure::Clears => write!(f, "`{what}` of {planned} objects would be cleared")?,
            Measure::MemberRemovals => {
                return write!(
                    f,
                    "group `{what}` would lose {planned} members, at most {allowed} of {whole} may \
                     go (`member_removals`){}",
                    and_others(*others, "groups")
                );
            }
        }
        let others = and_others(*others, "attributes");
        write!(f, ", at most {allowed} of {whole} may be (`{measure}`){others}")
    }
}

fn and_others(others: u64, what: &str) -> String {
    if others == 0 { String::new() } else { format!("; {others} other {what} likewise") }
}

/// How many values of one attribute a target object is known to hold.
pub type Held<'a> = dyn FnMut(&Export, &AttributeName) -> u64 + 'a;

/// Counts what one plan does to one target. What it remembers does not grow with the plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub counts: Counts,
    /// Objects that lose all values of an attribute, by attribute.
    clears: BTreeMap<AttributeName, u64>,
    /// The group farthest beyond its limit.
    group: Option<Trip>,
    groups_beyond: u64,
}

// === impl Tally ===

impl Tally {
    pub fn add(&mut self, export: &Export, target: Option<&Connector>, held: &mut Held<'_>) {
        let counts = &mut self.counts;
        match export.op {
            ExportOp::Add => counts.add += 1,
            ExportOp::Update => counts.update += 1,
            ExportOp::Rename => counts.rename += 1,
            ExportOp::Disable => counts.disable += 1,
            ExportOp::Delete => counts.delete += 1,
        }
        // The half that takes away is counted: the other one may be there already.
        let leaves = matches!(export.op, ExportOp::Disable | ExportOp::Delete);
        counts.type_change += u64::from(export.type_change && leaves);
        let class = target.and_then(|target| target.classes.get(&export.class));
        for change in &export.changes {
            self.change(export, change, target, class, held);
        }
    }

    fn change(
        &mut self,
        export: &Export,
        change: &AttributeChange,
        target: Option<&Connector>,
        class: Option<&TargetClass>,
        held: &mut Held<'_>,
    ) {
        let members = |values: &[crate::object::Value]| {
            values.iter().filter(|value| value.is_reference()).count() as u64
        };
        let (added, lost) = (members(&change.add), members(&change.remove));
        self.counts.member_add += added;
        self.counts.member_remove += lost;
        if export.op == ExportOp::Add {
            return;
        }
        let removed = change.remove.len() as u64;
        let cleared = match &change.replace {
            Some(values) => values.is_empty(),
            None => {
                lost == 0 && removed > 0 && change.add.is_empty() && {
                    removed >= held(export, &change.attribute)
                }
            }
        };
        if cleared {
            self.counts.attribute_cleared += 1;
            *self.clears.entry(change.attribute.clone()).or_default() += 1;
        }
        if lost > 0
            && let Some(target) = target
        {
            let multi = class.is_none_or(|class| class.multi_valued.contains(&change.attribute));
            let limit = target.thresholds.member_removals;
            // Fewer than the floor never exceed: most groups need not be counted.
            if multi && lost > limit.floor {
                self.group(export, lost, held(export, &change.attribute), target);
            }
        }
    }

    fn group(&mut self, export: &Export, planned: u64, whole: u64, target: &Connector) {
        let allowed = target.thresholds.member_removals.allowed(whole);
        if planned <= allowed {
            return;
        }
        let farther = self
            .group
            .as_ref()
            .is_none_or(|known| planned - allowed > known.planned - known.allowed);
        self.groups_beyond += 1;
        if farther {
            self.group = Some(Trip {
                connector: target.name.clone(),
                measure: Measure::MemberRemovals,
                what: Some(export.match_key.clone()),
                others: 0,
                planned,
                allowed,
                whole,
            });
        }
    }

    /// Whether a limit in percent of the linked objects has anything to measure: fewer than its
    /// floor are always allowed.
    pub fn needs_linked(&self, target: &Connector) -> bool {
        let beyond = |(measure, planned)| planned > target.thresholds.of(measure).floor;
        let most_cleared = self.clears.values().copied().max().unwrap_or(0);
        self.objects().into_iter().any(beyond) || beyond((Measure::Clears, most_cleared))
    }

    fn objects(&self) -> [(Measure, u64); 5] {
        let Counts { rename, disable, delete, type_change, .. } = self.counts;
        [
            (Measure::Removals, delete + disable),
            (Measure::Deletes, delete),
            (Measure::Disables, disable),
            (Measure::TypeChanges, type_change),
            (Measure::Renames, rename),
        ]
    }

    /// The limits exceeded, the gravest first.
    pub fn trips(&self, target: &Connector, linked: u64) -> Vec<Trip> {
        let trip = |(measure, planned): (Measure, u64), what: Option<&AttributeName>| {
            let allowed = target.thresholds.of(measure).allowed(linked);
            (planned > allowed).then(|| Trip {
                connector: target.name.clone(),
                measure,
                what: what.map(ToString::to_string),
                others: 0,
                planned,
                allowed,
                whole: linked,
            })
        };
        let mut trips: Vec<Trip> =
            self.objects().into_iter().filter_map(|counted| trip(counted, None)).collect();
        // The combined limit says it all, unless one of the two has a stricter limit of its own.
        if let Some(both) = trips.iter().find(|trip| trip.measure == Measure::Removals).cloned() {
            let single = |trip: &Trip| matches!(trip.measure, Measure::Deletes | Measure::Disables);
            trips.retain(|trip| !single(trip) || trip.allowed < both.allowed);
        }
        trips.extend(
            self.group
                .clone()
                .map(|trip| Trip { others: self.groups_beyond.saturating_sub(1), ..trip }),
        );
        let cleared: Vec<Trip> = self
            .clears
            .iter()
            .filter_map(|(name, planned)| trip((Measure::Clears, *planned), Some(name)))
            .collect();
        let others = (cleared.len() as u64).saturating_sub(1);
        let worst = cleared.into_iter().rev().max_by_key(|trip| trip.planned);
        trips.extend(worst.map(|trip| Trip { others, ..trip }));
        trips.sort_by_key(|trip| std::cmp::Reverse(trip.measure));
        trips
    }
}

/// Takes what was counted and the numbers of linked objects, both by target. Gives the limits
/// exceeded, by target.
pub(crate) fn trips(
    rules: &RuleSet,
    tallies: &BTreeMap<ConnectorName, Tally>,
    linked: &BTreeMap<ConnectorName, u64>,
) -> Vec<Trip> {
    rules
        .targets()
        .filter_map(|target| Some((target, tallies.get(&target.name)?)))
        .flat_map(|(target, tally)| {
            tally.trips(target, linked.get(&target.name).copied().unwrap_or(0))
        })
        .collect()
}

#[cfg(test)]
mod tests;
