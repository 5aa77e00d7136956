//! What other rules would change: a copy of the state and two rule sets flow in, counts flow out.
//! Nothing is asked of a source or a target.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use kakehi_engine::guard::Trip;

use crate::store::{Due, StoreError};
use crate::sync::report::{Report, Status};
use crate::sync::{Parts, evaluate, plan};

/// What the rules of a candidate do to the state as it is.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// Exports that only the candidate's rules make.
    pub changes: u64,
    /// Limits that only the candidate's plan exceeds.
    pub trips: Vec<Trip>,
    /// What would end the run: a broken rule, too many errors.
    pub broken: Option<String>,
}

/// Evaluates first with the rules in force, so that what has merely not been looked at yet does not
/// count as a change, then with the candidate's. Both work on the same copy of the state.
pub fn rehearse(active: &Parts<'_>, candidate: &Parts<'_>) -> Result<Rehearsed, StoreError> {
    let hasher = RandomState::new();
    let mut report = Report::new(active.clock.now());
    evaluate::evaluate(active, &mut report)?;
    let before = exports(active, &hasher)?;
    let tripped = plan::make(active, &mut report)?.trips;
    let mut report = Report::new(candidate.clock.now());
    evaluate::evaluate(candidate, &mut report)?;
    let broken = matches!(report.status, Status::RuleBroken | Status::ErrorLimit);
    let after = exports(candidate, &hasher)?;
    let mut trips = plan::make(candidate, &mut report)?.trips;
    let same = |a: &Trip, b: &Trip| a.connector == b.connector && a.measure == b.measure;
    trips.retain(|trip| !tripped.iter().any(|known| same(known, trip)));
    Ok(Rehearsed {
        changes: after.difference(&before).count() as u64,
        trips,
        broken: broken.then(|| report.notes.join("; ")),
    })
}

/// A mark for each pending export, of its object and of all that it changes.
fn exports(parts: &Parts<'_>, hasher: &RandomState) -> Result<HashSet<u64>, StoreError> {
    let mut marks = HashSet::new();
    parts.store.each_export(Due::All, &mut |pending| {
        marks.insert(hasher.hash_one(format!("{:?}", pending.export)));
    })?;
    Ok(marks)
}
