//! What must hold after any history.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::{CsObject, MvId};
use kakehi_engine::export::ExportOp;
use kakehi_engine::flow::{Contribution, RuleOutcome};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{AttributeMap, AttributeName, ConnectorName, Value};
use kakehi_engine::precedence;
use kakehi_engine::rule::{Direction, Limit, LinkType, Merge, Rule, Thresholds};
use kakehi_engine::view::View;

use crate::life::{Life, Manner, PLAIN, same};
use crate::model::{FORESTS, Step};
use crate::picture;
use crate::rulebook::Rulebook;
use crate::shrink::check;
use crate::world::World;

#[test]
fn a_second_sync_exports_nothing() {
    check("a_second_sync_exports_nothing", |history| {
        let mut life = Life::through(history, &PLAIN);
        let settled = life.picture();
        nothing_pending(&life.world)?;
        life.world.requeue_all(&life.rules);
        life.sync();
        nothing_pending(&life.world)?;
        same(&settled, &life.picture(), "the state before and after a second sync")?;
        Ok(settled)
    });
}

#[test]
fn the_order_of_import_does_not_matter() {
    check("the_order_of_import_does_not_matter", |history| {
        let mut life = Life::new(history, &PLAIN);
        for step in &history.steps {
            life.forests.change(*step);
        }
        let import = |order: [usize; 2], backwards: bool| {
            let mut world = World::default();
            for forest in order {
                let mut entries: Vec<_> = life.forests.entries(forest).collect();
                if backwards {
                    entries.reverse();
                }
                world.import(&FORESTS[forest].into(), entries);
            }
            world.sync(&life.rules, 3);
            picture::of_world(&world, &life.rules)
        };
        let there = import([0, 1], false);
        same(&there, &import([1, 0], true), "the states after two orders of import")?;
        Ok(there)
    });
}

#[test]
fn the_lower_precedence_number_wins() {
    check("the_lower_precedence_number_wins", |history| {
        let mut life = Life::new(history, &PLAIN);
        for step in &history.steps {
            life.step(*step);
            if *step == Step::Sync {
                expected_values(&life)?;
            }
        }
        life.settle();
        expected_values(&life)?;
        Ok(life.picture())
    });
}

#[test]
fn nothing_is_exported_without_a_rule_in_scope() {
    check("nothing_is_exported_without_a_rule_in_scope", |history| {
        let mut life = Life::new(history, &PLAIN);
        for step in &history.steps {
            life.step(*step);
            if *step == Step::Sync {
                exports_have_rules(&life)?;
            }
        }
        Ok(life.picture())
    });
}

#[test]
fn removals_never_exceed_the_limits() {
    check("removals_never_exceed_the_limits", |history| {
        let mut life = Life::new(history, &PLAIN);
        for step in &history.steps {
            strict(&mut life.rules);
            life.sync();
            let targets: Vec<ConnectorName> =
                life.rules.set.targets().map(|target| target.name.clone()).collect();
            let allowed: Vec<u64> =
                targets.iter().map(|t| life.world.removals_allowed(&life.rules, t)).collect();
            let trips = life.world.plan(&life.rules).trips;
            let before = life.remote.log.len();
            life.step(*step);
            for (target, allowed) in targets.iter().zip(allowed) {
                let sent = life.remote.log[before..].iter().filter(|(to, _)| to == target);
                let tripped = trips.iter().any(|trip| trip.connector == *target);
                let (all, removals) = sent.fold((0, 0), |(all, removals), (_, op)| {
                    let removes = matches!(op, ExportOp::Disable | ExportOp::Delete);
                    (all + 1, removals + u64::from(removes))
                });
                if removals > allowed || (tripped && all > 0) {
                    return Err(format!("`{target}`: {removals} of {allowed}, {all} exports"));
                }
            }
        }
        Ok(life.picture())
    });
}

#[test]
fn p02_a_dry_run_equals_the_run() {
    check("p02_a_dry_run_equals_the_run", |history| {
        let mut life = Life::new(history, &PLAIN);
        for step in &history.steps {
            if *step == Step::Sync {
                let before = picture::of_world(&life.world, &life.rules);
                let mut copy = life.world.clone();
                copy.sync(&life.rules, life.batch);
                let untouched = picture::of_world(&life.world, &life.rules);
                same(&before, &untouched, "the state before and after a dry run")?;
                life.sync();
                let (dry, run) = (copy.plan(&life.rules), life.world.plan(&life.rules));
                if dry != run {
                    return Err(format!("planned {dry:?}, found {run:?}"));
                }
            } else {
                life.step(*step);
            }
        }
        Ok(life.picture())
    });
}

#[test]
fn a_crash_or_refusal_at_any_step_gives_the_same_end() {
    check("a_crash_or_refusal_at_any_step_gives_the_same_end", |history| {
        let calm = Life::through(history, &PLAIN).picture();
        let rough = Life::through(history, &Manner { faults: 12, ..PLAIN }).picture();
        same(&calm, &rough, "the ends without and with faults")?;
        Ok(rough)
    });
}

#[test]
fn incremental_work_equals_a_full_pass_that_keeps_the_links() {
    check("incremental_work_equals_a_full_pass_that_keeps_the_links", |history| {
        let mut life = Life::through(history, &PLAIN);
        let incremental = life.picture();
        life.world.forget_contributions(&life.rules);
        life.sync();
        same(&incremental, &life.picture(), "incremental and full work")?;
        Ok(incremental)
    });
}

#[test]
fn the_size_of_a_batch_does_not_matter() {
    check("the_size_of_a_batch_does_not_matter", |history| {
        let many = Life::through(history, &PLAIN).picture();
        for batch in [1, 3] {
            let few = Life::through(history, &Manner { batch, ..PLAIN }).picture();
            same(&many, &few, "batches of different sizes")?;
        }
        Ok(many)
    });
}

fn nothing_pending(world: &World) -> Result<(), String> {
    if world.exports.is_empty() {
        return Ok(());
    }
    Err(format!("pending: {:?}", world.exports.values().collect::<Vec<_>>()))
}

/// Limits that a small world can meet.
fn strict(rules: &mut Rulebook) {
    for connector in &mut rules.set.connectors {
        let removals = Limit { max: 2, percent: 20, floor: 1 };
        connector.thresholds = Thresholds { removals, ..Thresholds::NONE };
    }
}

// === the reference model ===

/// Computes every metaverse value anew, in the plainest way, from the staged entries, the table of
/// rules and the links, and compares.
fn expected_values(life: &Life) -> Result<(), String> {
    let mut linked: BTreeMap<MvId, Vec<&CsObject>> = BTreeMap::new();
    let is_source = |object: &CsObject| life.rules.order(&object.connector).is_some();
    for (object, mv) in life.world.links().filter(|(object, _)| is_source(object)) {
        linked.entry(mv).or_default().push(object);
    }
    for (mv, mut objects) in linked {
        objects.sort_by_key(|object| (life.rules.order(&object.connector), &object.anchor));
        let found: BTreeMap<&AttributeName, BTreeSet<&Value>> = life.world.mv[&mv]
            .attributes
            .iter()
            .map(|(name, attribute)| (name, attribute.values.iter().collect()))
            .collect();
        let expected = expected(&objects, &life.rules);
        let expected: BTreeMap<&AttributeName, BTreeSet<&Value>> =
            expected.iter().map(|(name, values)| (name, values.iter().collect())).collect();
        if found != expected {
            return Err(format!("{mv:?}: expected {expected:?}, found {found:?}"));
        }
    }
    Ok(())
}

fn expected(objects: &[&CsObject], rules: &Rulebook) -> AttributeMap {
    let (mut values, mut decided) = (AttributeMap::new(), BTreeSet::new());
    for rule in rules.set.rules.iter().filter(|rule| rule.direction == Direction::Inbound) {
        for object in objects.iter().filter(|object| rule.connector == object.connector) {
            for (name, contribution) in said(rule, object, rules) {
                let merges = rule.contract.writes[&name].merge == Merge::Merge;
                match contribution {
                    _ if decided.contains(&name) => {}
                    Contribution::Values(said) => {
                        values.entry(name.clone()).or_default().extend(in_metaverse(said, object));
                        if !merges {
                            decided.insert(name);
                        }
                    }
                    Contribution::Block => {
                        decided.insert(name);
                    }
                    Contribution::None | Contribution::Keep => {}
                }
            }
        }
    }
    values
}

fn said(rule: &Rule, object: &CsObject, rules: &Rulebook) -> Vec<(AttributeName, Contribution)> {
    if rule.cs_class != object.class || !rule.scope.holds(&object.attributes) {
        return vec![];
    }
    let get = |name: &str| object.attributes.get(name).cloned().unwrap_or_default();
    match rules.sketch(&rule.tag).answer(get) {
        RuleOutcome::Flows(flows) => {
            flows.into_iter().map(|flow| (flow.attribute, flow.contribution)).collect()
        }
        _ => vec![],
    }
}

fn in_metaverse(values: Vec<Value>, object: &CsObject) -> Vec<Value> {
    let key = |value| match value {
        Value::Reference(dn) => {
            Value::Reference(format!("{}:{}", object.connector, dn.to_lowercase()))
        }
        other => other,
    };
    values.into_iter().map(key).collect()
}

// === exports and scopes ===

/// What is written is wanted by a rule in scope; what is taken away is wanted by none.
fn exports_have_rules(life: &Life) -> Result<(), String> {
    for pending in life.world.exports.values() {
        let export = &pending.export;
        let object = &life.world.cs[&export.object];
        let mv = object.link.as_ref().and_then(|link| life.world.mv.get(&link.mv));
        let wanted = mv.is_some_and(|mv| {
            let attributes = plain(mv);
            life.rules.set.of(Direction::Outbound, &export.connector).any(|(_, rule)| {
                let links = !rule.join.is_empty() || rule.link != LinkType::Join;
                links && rule.mv_class == mv.class && rule.scope.holds(&attributes)
            })
        });
        let writes = matches!(export.op, ExportOp::Add | ExportOp::Update | ExportOp::Rename);
        if writes != wanted && (writes || export.op == ExportOp::Delete) {
            return Err(format!("{export:?}: wanted by a rule in scope: {wanted}"));
        }
    }
    Ok(())
}

fn plain(object: &MvObject) -> AttributeMap {
    let pairs = object.attributes.iter();
    pairs.map(|(name, attribute)| (name.clone(), attribute.values.clone())).collect()
}

/// The lineage that people are shown names the same winners as the metaverse holds.
#[test]
fn the_lineage_names_the_winners() {
    check("the_lineage_names_the_winners", |history| {
        let life = Life::through(history, &PLAIN);
        for object in life.world.mv.values() {
            let ids: Vec<_> =
                life.world.links().filter(|(_, mv)| *mv == object.id).map(|(o, _)| o.id).collect();
            let mut sources = life.world.cs_objects(&ids);
            sources.retain(|source| life.rules.order(&source.connector).is_some());
            sources.sort_by_key(|s| (life.rules.order(&s.connector), s.anchor.clone()));
            let lineage = precedence::lineage(&sources, &life.rules.set);
            for (name, attribute) in &object.attributes {
                let entries = &lineage[name];
                let winner = entries.iter().find(|entry| entry.role == precedence::Role::Winner);
                let named =
                    winner.map(|entry| (entry.object, &life.rules.set.rule(entry.rule).tag));
                if named != Some((attribute.winner.source, &attribute.winner.rule)) {
                    return Err(format!("{name}: {entries:?}, but {:?} won", attribute.winner));
                }
            }
        }
        Ok(life.picture())
    });
}
