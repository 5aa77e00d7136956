//! What was sent is kept, found and forgotten; what takes it back has the place of what is pending.

use kakehi_engine::plan::PlanId;
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::rule::RulesetDigest;

use super::delivery::{claim, deliver, done, due, settle};
use super::*;
use crate::store::{
    Decision, DecisionKind, Due, Repetition, Sent, Settled, StagingMode, Trail, Wave,
};

const DAY_MS: i64 = 86_400_000;

fn journal(store: &dyn Store) -> Vec<Sent> {
    let mut sent = vec![];
    store.each_sent(Timestamp(0), &mut |entry| sent.push(entry)).unwrap();
    sent
}

/// An object that was created and then changed, both kept.
fn changed(changes: Vec<AttributeChange>) -> Home {
    let home = Home::new();
    provision(home.store(), &[1]);
    home.store().save_plan(&plan("p"), NOW).unwrap();
    deliver(home.store(), "p", 1);
    let update = Export { by: vec![Some(RuleTag("out@cloud".into()))], ..update(changes) };
    put_export(home.store(), update);
    home.store().save_plan(&plan("p"), NOW).unwrap();
    assert_eq!(claim(home.store(), "p", Wave::Update), [CsId(1)]);
    home
}

fn update(changes: Vec<AttributeChange>) -> Export {
    export(1, ExportOp::Update, changes)
}

#[test]
fn what_is_carried_out_is_kept_with_what_was_there_before_and_who_decided_it() {
    let home = changed(vec![replace("userName", Value::text("new"))]);
    settle(home.store(), 1, done("remote-1"));
    let sent = journal(home.store());
    let seen: Vec<_> = sent.iter().map(|sent| (sent.export.op, sent.before.clone())).collect();
    let before = texts(&[("userName", &["user-1"])]);
    assert_eq!(seen, [(ExportOp::Add, AttributeMap::new()), (ExportOp::Update, before)]);
    assert_eq!(sent[1].export.by, [Some(RuleTag("out@cloud".into()))]);
    assert_eq!((&*sent[1].plan.0, &*sent[1].ruleset), ("p", "rules"));
    assert_eq!(sent[1].remote_id.as_deref(), Some("remote-1"));
    let mut of_plan = vec![];
    let each = &mut |entries: Vec<Sent>| of_plan.push(entries);
    home.store().each_sent_by(&PlanId("p".into()), each).unwrap();
    let ops: Vec<Vec<ExportOp>> = of_plan
        .iter()
        .map(|entries| entries.iter().map(|entry| entry.export.op).collect())
        .collect();
    assert_eq!(ops, [vec![ExportOp::Update, ExportOp::Add]], "the newest first");
}

#[test]
fn what_is_refused_or_cannot_be_sent_yet_is_not_kept() {
    let home = changed(vec![replace("userName", Value::text("new")), add("members", &["9"])]);
    let remaining = vec![add("members", &["9"])];
    let (remote_id, diverging) = ("remote-1".to_owned(), vec![]);
    settle(home.store(), 1, Settled::Done { remote_id, remaining, diverging });
    let sent = journal(home.store());
    let members = &sent[1].export.changes[1];
    assert_eq!((members.add.len(), &members.replace), (0, &None), "it keeps its place");
    settle(home.store(), 1, Settled::Waiting);
    assert_eq!(journal(home.store()).len(), 2);
}

#[test]
fn without_a_journal_nothing_is_kept_and_what_is_old_is_forgotten() {
    let home = changed(vec![replace("userName", Value::text("new"))]);
    let plan = PlanId("p".into());
    let trail = Trail { plan: &plan, run: NOW, keep: false };
    let settlement = crate::store::Settlement { object: CsId(1), result: done("remote-1") };
    home.store().settle(&[settlement], &trail, NOW).unwrap();
    assert_eq!(journal(home.store()).len(), 1, "only what was sent before");
    home.store().forget_before(NOW, NOW).unwrap();
    assert_eq!(journal(home.store()).len(), 1, "exactly as old as allowed");
    home.store().forget_before(Timestamp(NOW.0 + 1), NOW).unwrap();
    assert_eq!(journal(home.store()), []);
}

#[test]
fn what_takes_a_plan_back_is_no_part_of_what_rules_want() {
    let home = changed(vec![replace("userName", Value::text("new"))]);
    let store = home.store();
    settle(store, 1, done("remote-1"));
    drain(store);
    let undoes = PlanId("p".into());
    let back = update(vec![replace("userName", Value::text("user-1"))]);
    store.stage_undo(&undoes, std::slice::from_ref(&back)).unwrap();
    assert_eq!(due(store, NOW), []);
    let mut plan = plan("u");
    store.save_plan(&plan, NOW).unwrap();
    assert_eq!(claim(store, "u", Wave::Update), [], "it is bound to no other plan");
    plan.basis.undoes = Some(undoes.clone());
    store.save_plan(&plan, NOW).unwrap();
    assert_eq!(claim(store, "u", Wave::Update), [CsId(1)]);
    settle(store, 1, done("remote-1"));
    assert_eq!(object(store, CsId(1)).unwrap().attributes, texts(&[("userName", &["user-1"])]));
    assert_eq!(queued(store).1, [MvId(1)], "what rules want is computed anew");
    drain(store);
    // What is left of it is removed, and does not stand in the way of the same wish of a rule.
    store.stage_undo(&undoes, std::slice::from_ref(&back)).unwrap();
    put_export(store, back.clone());
    assert_eq!(due(store, NOW), [CsId(1)]);
    store.stage_undo(&undoes, &[back]).unwrap();
    store.forget_undo().unwrap();
    let mut left = 0;
    store.each_export(Due::Undo, &mut |_| left += 1).unwrap();
    assert_eq!((left, queued(store).1), (0, vec![MvId(1)]));
}

#[test]
fn what_flaps_is_held_for_a_day_unless_the_rules_changed() {
    let home = changed(vec![replace("userName", Value::text("b"))]);
    let store = home.store();
    settle(store, 1, done("remote-1"));
    for name in ["user-1", "b"] {
        put_export(store, update(vec![replace("userName", Value::text(name))]));
        store.save_plan(&plan("p"), NOW).unwrap();
        assert_eq!(claim(store, "p", Wave::Update), [CsId(1)], "{name}");
        settle(store, 1, done("remote-1"));
    }
    put_export(store, update(vec![replace("userName", Value::text("user-1"))]));
    let window = std::time::Duration::from_millis(DAY_MS.unsigned_abs());
    let limits = Repetition { window, flips: 3, retries: 3 };
    let held = |rules: &str, now| {
        let rules = RulesetDigest(rules.into());
        store.hold_repeated(limits, &rules, Timestamp(now)).unwrap().len()
    };
    assert_eq!(held("others", NOW.0), 0);
    assert_eq!(held("rules", NOW.0 + DAY_MS + 1), 0, "long ago");
    assert_eq!(held("rules", NOW.0), 1);
    assert_eq!(due(store, NOW), []);
    let found = store.explain("remote-1").unwrap();
    let hold = found[0].exports[0].hold.clone().unwrap();
    assert_eq!((hold.kind, hold.until.0), (ProblemKind::Flapping, NOW.0 + DAY_MS));
    assert_eq!(due(store, hold.until), [CsId(1)]);
}

#[test]
fn the_mode_and_the_decisions_are_remembered() {
    let home = Home::new();
    let mode = StagingMode { since: NOW, by: "uid 0".into(), why: "night".into() };
    home.store().set_staging(Some(&mode)).unwrap();
    let decision = |at, kind: DecisionKind| Decision {
        at: Timestamp(at),
        actor: "uid 0".into(),
        kind,
        plan: Some(PlanId("p".into())),
        ruleset: "rules".into(),
        config: "config".into(),
        details: "{}".into(),
    };
    let all = [
        decision(1, DecisionKind::Apply),
        decision(2, DecisionKind::Configuration),
        decision(3, DecisionKind::Staging),
    ];
    for decision in &all {
        home.store().note_decision(decision).unwrap();
    }
    let after = home.crashed();
    assert_eq!(after.store().staging().unwrap(), Some(mode));
    assert_eq!(after.store().decisions(Timestamp(2)).unwrap(), all[1..]);
    assert_eq!(after.store().last_configuration().unwrap().as_ref(), Some(&all[1]));
    after.store().forget_before(NOW, Timestamp(10)).unwrap();
    let left = after.store().decisions(Timestamp(0)).unwrap();
    assert_eq!(left, all[1..], "the configuration in force stays");
    after.store().set_staging(None).unwrap();
    assert_eq!(after.store().staging().unwrap(), None);
}
