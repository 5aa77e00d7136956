//! Every limit exactly at its figure, and one over (provisioning.md 17.2, suite 6).

use super::*;
use crate::connector_space::CsId;
use crate::object::Value;
use crate::plan::{Plan, PlanBasis, PlanBuilder};
use crate::rule::{ConnectorKind, Limit, RulesetDigest, Thresholds};

/// Linked objects, or members of a group: 40 % of them are 40.
const WHOLE: u64 = 100;
const FORTY_PERCENT: Limit = Limit { max: 1000, percent: 40, floor: 1 };

fn export(op: ExportOp, changes: Vec<AttributeChange>) -> Export {
    Export {
        connector: "forest-a".into(),
        object: CsId(1),
        class: "user".into(),
        mv: None,
        op,
        changes,
        anchor: "anchor".into(),
        match_key: "someone".into(),
        rank: 0,
        type_change: false,
        by: vec![],
    }
}

fn change(replace: Option<Vec<Value>>, remove: Vec<Value>) -> AttributeChange {
    AttributeChange { attribute: "title".into(), add: vec![], remove, replace }
}

fn members(count: u64) -> Vec<Value> {
    (0..count).map(|number| Value::Reference(number.to_string())).collect()
}

/// The plan of these exports at a target of 100 linked objects; every attribute holds 100 values.
fn plan(exports: &[Export], thresholds: Thresholds) -> Plan {
    let mut rules = crate::testing::rule_set(ConnectorKind::Target, vec![]);
    rules.connectors[0].thresholds = thresholds;
    let basis = PlanBasis {
        parent: None,
        ruleset: RulesetDigest("rules".into()),
        config: String::new(),
        undoes: None,
    };
    let mut builder = PlanBuilder::new(&rules, basis);
    exports.iter().for_each(|export| builder.add(export, &mut |_, _| WHOLE));
    let needed = builder.needs_linked();
    let plan = builder.finish(&BTreeMap::from([("forest-a".into(), WHOLE)]));
    assert!(needed || plan.trips.iter().all(|trip| trip.measure == Measure::MemberRemovals));
    plan
}

/// `make` gives the exports that count as so many of a measure. The limit itself is allowed, one
/// more is not.
fn check(measure: Measure, make: impl Fn(u64) -> Vec<Export>, what: Option<&str>) {
    let mut thresholds = Thresholds::NONE;
    *thresholds.of_mut(measure) = FORTY_PERCENT;
    assert_eq!(plan(&make(40), thresholds).trips, [], "{measure} at the limit");
    let trips = plan(&make(41), thresholds).trips;
    let expected = Trip {
        connector: "forest-a".into(),
        measure,
        what: what.map(str::to_owned),
        others: 0,
        planned: 41,
        allowed: 40,
        whole: WHOLE,
    };
    assert_eq!(trips, [expected], "{measure} one over");
    *thresholds.of_mut(measure) = Limit { max: 39, ..FORTY_PERCENT };
    assert_eq!(plan(&make(40), thresholds).trips.len(), 1, "{measure} by count");
    *thresholds.of_mut(measure) = Limit { max: 0, percent: 0, floor: 40 };
    assert_eq!(plan(&make(40), thresholds).trips, [], "{measure} below its floor");
}

fn several(count: u64, export: &Export) -> Vec<Export> {
    (0..count).map(|_| export.clone()).collect()
}

#[test]
fn p05_each_kind_has_a_limit_that_passes_and_trips_one_over() {
    let disable = export(ExportOp::Disable, vec![]);
    let delete = export(ExportOp::Delete, vec![]);
    check(Measure::Disables, |count| several(count, &disable), None);
    check(Measure::Deletes, |count| several(count, &delete), None);
    check(
        Measure::Removals,
        |count| [several(20, &disable), several(count - 20, &delete)].concat(),
        None,
    );
    let rename = export(ExportOp::Rename, vec![]);
    check(Measure::Renames, |count| several(count, &rename), None);
    let other_type = Export { type_change: true, ..delete };
    check(Measure::TypeChanges, |count| several(count, &other_type), None);
    let lost = |count| vec![export(ExportOp::Update, vec![change(None, members(count))])];
    check(Measure::MemberRemovals, lost, Some("someone"));
    let cleared = export(ExportOp::Update, vec![change(Some(vec![]), vec![])]);
    check(Measure::Clears, |count| several(count, &cleared), Some("title"));
}

#[test]
fn what_is_new_or_given_loses_nothing() {
    let adds = export(ExportOp::Add, vec![change(Some(vec![]), members(80))]);
    let some_left = change(None, vec![Value::text("one of a hundred")]);
    let exports =
        [several(90, &adds), several(90, &export(ExportOp::Update, vec![some_left]))].concat();
    let strict = Limit { max: 0, percent: 0, floor: 0 };
    let thresholds = Thresholds { clears: strict, member_removals: strict, ..Thresholds::NONE };
    let plan = plan(&exports, thresholds);
    assert_eq!(plan.trips, []);
    let counts = plan.counts[&ConnectorName::from("forest-a")];
    assert_eq!((counts.attribute_cleared, counts.type_change), (0, 0));
}

#[test]
fn the_last_values_of_several_are_a_clear_and_the_worst_attribute_is_named() {
    let all = (0..WHOLE).map(|number| Value::text(number.to_string())).collect();
    let tags = AttributeChange { attribute: "tags".into(), ..change(None, all) };
    let exports = [
        several(3, &export(ExportOp::Update, vec![tags])),
        several(2, &export(ExportOp::Update, vec![change(Some(vec![]), vec![])])),
    ];
    let clears = Limit { max: 1, percent: 100, floor: 0 };
    let trips = plan(&exports.concat(), Thresholds { clears, ..Thresholds::NONE }).trips;
    let named: Vec<_> =
        trips.iter().map(|trip| (trip.what.as_deref(), trip.planned, trip.others)).collect();
    assert_eq!(named, [(Some("tags"), 3, 1)]);
    assert_eq!(
        trips[0].to_string(),
        "target `forest-a`: `tags` of 3 objects would be cleared, at most 1 of 100 may be \
         (`clears`); 1 other attributes likewise"
    );
}

#[test]
fn deletes_alone_are_told_where_their_own_limit_is_the_stricter_one() {
    let deletes = several(50, &export(ExportOp::Delete, vec![]));
    let measures = |thresholds| -> Vec<Measure> {
        plan(&deletes, thresholds).trips.iter().map(|trip| trip.measure).collect()
    };
    assert_eq!(measures(Thresholds::default()), [Measure::Removals]);
    let strict = Limit { max: 1, percent: 1, floor: 1 };
    let thresholds = Thresholds { deletes: strict, ..Thresholds::default() };
    assert_eq!(measures(thresholds), [Measure::Removals, Measure::Deletes]);
}
