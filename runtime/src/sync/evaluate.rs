//! Draining the queues through the engine, batch by batch, each batch one transaction.

use std::collections::BTreeSet;

use kakehi_engine::connector_space::{CsId, Presence};
use kakehi_engine::object::ClassName;
use kakehi_engine::rule::{Revision, RulesRecord};
use kakehi_engine::synchronize;
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::{CsUpdate, Outcome, View};

use crate::edge::Evaluated;
use crate::store::{StoreError, Totals};
use crate::sync::cost::Costed;
use crate::sync::report::{Report, StageName, Status};
use crate::sync::{Breaker, Parts, meter::Meter};

/// Objects per batch: one transaction, one call of each rule's module host.
const BATCH_OBJECTS_MAX: usize = 1000;

/// How often a queue may be drained without ever getting empty, in units of the objects there are.
/// Rules whose results feed each other without end would otherwise hold a run for ever.
const PASSES_MAX: u64 = 50;

/// Evaluates everything that is queued: what changed, and what other rules touch than those of the
/// last time (G-12).
///
/// Errors: the store failed. A broken rule or too many errors set the report's status.
pub(crate) fn evaluate(parts: &Parts<'_>, report: &mut Report) -> Result<(), StoreError> {
    let meter = Meter::start();
    let store = &*parts.store;
    if !adopt(parts, report)? {
        return Ok(());
    }
    orphans(parts, report)?;
    let asked = parts.modules.at(report.started);
    let modules = Costed::new(&asked);
    let drained = drain(parts, &modules, report);
    report.cost(modules.into_costs());
    drained?;
    report.problems = store.troubles()?.problems;
    if report.problems > parts.limits.errors_max {
        let text = format!(
            "{} objects have errors, more than the {} of `run.max_errors`; nothing was sent",
            report.problems, parts.limits.errors_max
        );
        report.note(Status::ErrorLimit, text);
    }
    report.measured(StageName::Synchronize, &meter);
    Ok(())
}

/// Queues what other rules ask for than those of the last time. Gives whether they can be taken.
fn adopt(parts: &Parts<'_>, report: &mut Report) -> Result<bool, StoreError> {
    let record = RulesRecord::of(&parts.rules, report.started);
    let before = parts.store.rules_record()?;
    if before.as_ref() == Some(&record) {
        return Ok(true);
    }
    if let Some(before) = &before {
        for (tag, old, new) in before.retyped(&record) {
            let counts = parts.store.link_counts()?;
            let of_rule = counts.iter().filter(|count| count.rule == *tag);
            let links: u64 = of_rule.map(|count| count.links).sum();
            if links > 0 {
                let text = format!(
                    "rule `{tag}` made {links} links to metaverse objects of the type `{old}`, \
                     which cannot become `{new}`; give a rule for the other type another `tag`"
                );
                report.note(Status::RuleBroken, text);
                return Ok(false);
            }
        }
    }
    let revision = Revision::new(before.as_ref(), &record, &parts.rules);
    report.sifted += parts.store.adopt_rules(&record, &revision)?;
    Ok(true)
}

/// Queues metaverse objects whose grace is over: nothing else would make anybody look at them.
fn orphans(parts: &Parts<'_>, report: &Report) -> Result<(), StoreError> {
    let of_rules = parts.rules.rules.iter().map(|rule| &rule.mv_class);
    let classes: BTreeSet<&ClassName> = of_rules.chain(parts.rules.grace_seconds.keys()).collect();
    for class in classes {
        let grace = parts.rules.grace_seconds.get(class).copied().unwrap_or(0);
        parts.store.queue_orphans(class, report.started.minus(grace))?;
    }
    Ok(())
}

/// Takes from the queues until they are empty or the run is stopped.
fn drain(parts: &Parts<'_>, modules: &Costed<'_>, report: &mut Report) -> Result<(), StoreError> {
    let store = &*parts.store;
    let mut batches = 0;
    // Counting everything is for those rare cases that a small change does not meet.
    let mut most = PASSES_MAX;
    loop {
        if parts.stop.is_set() {
            return Ok(());
        }
        let Some((outcome, users)) = pass(parts, modules, report.started)? else { return Ok(()) };
        store.commit(&outcome)?;
        if let (Some(listener), false) = (parts.listener(), users.is_empty()) {
            listener.evaluated(users);
        }
        if broken(&outcome, parts.limits.breaker, report) {
            return Ok(());
        }
        batches += 1;
        if batches > most {
            most = batches_max(store.totals()?);
        }
        if batches > most {
            report.note(
                Status::RuleBroken,
                "the rules feed each other without end; nothing was sent",
            );
            return Ok(());
        }
    }
}

/// The next batch of the first queue that has one; `None` where all are empty.
fn pass(
    parts: &Parts<'_>,
    modules: &Costed<'_>,
    now: Timestamp,
) -> Result<Option<(Outcome, Vec<Evaluated>)>, StoreError> {
    let store = &*parts.store;
    let sources = store.queued_cs(BATCH_OBJECTS_MAX)?;
    if !sources.is_empty() {
        let view = store.view()?;
        let outcome = synchronize::inbound(&*view, &sources, &parts.rules, modules, now);
        let users = match parts.listener() {
            Some(_) => evaluated(&*view, &sources, &outcome),
            None => vec![],
        };
        view.check()?;
        return Ok(Some((outcome, users)));
    }
    let ranked = store.queued_resolve(BATCH_OBJECTS_MAX)?;
    if !ranked.is_empty() {
        let view = store.view()?;
        let outcome = synchronize::resolve(&*view, &ranked, &parts.rules, now);
        view.check()?;
        return Ok(Some((outcome, vec![])));
    }
    let joined = store.queued_mv(BATCH_OBJECTS_MAX)?;
    if joined.is_empty() {
        return Ok(None);
    }
    let view = store.view()?;
    let outcome = synchronize::outbound(&*view, &joined, &parts.rules, modules);
    view.check()?;
    Ok(Some((outcome, vec![])))
}

/// What a pass saw of its source objects, while they are all still there.
fn evaluated(view: &dyn View, sources: &[CsId], outcome: &Outcome) -> Vec<Evaluated> {
    let forgotten: BTreeSet<CsId> = outcome
        .cs
        .iter()
        .filter_map(|update| match update {
            CsUpdate::Forget { id } => Some(*id),
            CsUpdate::Source { .. } | CsUpdate::Target { .. } => None,
        })
        .collect();
    let seen = view.cs_objects(sources).into_iter();
    seen.filter_map(|object| {
        let gone = forgotten.contains(&object.id) || object.presence == Presence::Deleted;
        Some(Evaluated {
            object: object.id,
            connector: object.connector,
            anchor: object.anchor?,
            dn: object.dn,
            mv: object.link.map(|link| link.mv),
            gone,
        })
    })
    .collect()
}

/// More batches than any rules need that come to an end.
fn batches_max(totals: Totals) -> u64 {
    let objects: u64 = totals.objects.values().map(|(all, _)| all).sum();
    PASSES_MAX * (1 + (objects + totals.metaverse) / BATCH_OBJECTS_MAX as u64)
}

/// Adds what a batch counted; tells whether some rule fails too often to be believed.
fn broken(outcome: &Outcome, breaker: Breaker, report: &mut Report) -> bool {
    report.counters.add(&outcome.counters);
    let counters = &report.counters;
    let calls = |tag| counters.calls.get(tag).copied().unwrap_or(0);
    let limit = |tag| breaker.failures.max(calls(tag) * breaker.percent / 100);
    let Some((tag, failures)) =
        counters.failures.iter().find(|(tag, failures)| **failures > limit(*tag))
    else {
        return false;
    };
    let text = format!(
        "rule `{tag}` failed for {failures} of the {} objects it saw; nothing was sent",
        calls(tag)
    );
    report.note(Status::RuleBroken, text);
    true
}
