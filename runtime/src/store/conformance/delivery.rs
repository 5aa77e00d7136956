//! The life of an export: planned, claimed, settled, held, or left in doubt and resolved.

use kakehi_engine::object::Anchor;
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::view::Phase;

use super::target::{remote, stage_target};
use super::*;
use crate::store::{Due, Hold, PendingExport, Settled, Settlement, Trail, Wave};

pub(super) fn due(store: &dyn Store, now: Timestamp) -> Vec<CsId> {
    exports(store, Due::At(now)).iter().map(|pending| pending.export.object).collect()
}

fn exports(store: &dyn Store, due: Due) -> Vec<PendingExport> {
    let mut exports = vec![];
    store.each_export(due, &mut |pending| exports.push(pending)).unwrap();
    exports
}

pub(super) fn claim(store: &dyn Store, plan: &str, wave: Wave) -> Vec<CsId> {
    let claimed = store.claim(&PlanId(plan.into()), &cloud(), wave, NOW, 10).unwrap();
    claimed.iter().map(|pending| pending.export.object).collect()
}

pub(super) fn settle(store: &dyn Store, object: i64, result: Settled) {
    let plan = PlanId("p".into());
    let trail = Trail { plan: &plan, run: NOW, keep: true };
    store.settle(&[Settlement { object: CsId(object), result }], &trail, NOW).unwrap();
}

pub(super) fn done(remote_id: &str) -> Settled {
    Settled::Done { remote_id: remote_id.into(), remaining: vec![], diverging: vec![] }
}

fn hold(until: i64) -> Hold {
    Hold { until: Timestamp(until), kind: ProblemKind::InvalidValue, message: "no".into() }
}

/// Carries the planned add of an object out: it is `remote-<id>` at the target.
pub(super) fn deliver(store: &dyn Store, plan: &str, id: i64) {
    assert!(claim(store, plan, Wave::Add(0)).contains(&CsId(id)));
    settle(store, id, done(&format!("remote-{id}")));
}

/// A store with one object that is confirmed at its target, and nothing else to do.
fn delivered() -> Home {
    let home = Home::new();
    provision(home.store(), &[1]);
    home.store().save_plan(&plan("p0"), NOW).unwrap();
    deliver(home.store(), "p0", 1);
    drain(home.store());
    home
}

/// One with a planned update of that object, claimed.
fn claimed_update(changes: Vec<AttributeChange>) -> Home {
    let home = delivered();
    let update = export(1, ExportOp::Update, changes);
    let wave = if update.changes.iter().any(|change| change.replace.is_some()) {
        Wave::Update
    } else {
        Wave::References
    };
    put_export(home.store(), update);
    home.store().save_plan(&plan("p1"), NOW).unwrap();
    assert_eq!(claim(home.store(), "p1", wave), [CsId(1)]);
    home
}

fn title(text: &str) -> AttributeChange {
    replace("title", Value::text(text))
}

#[test]
fn exports_pass_by_in_order_of_delivery() {
    let home = Home::new();
    let store = home.store();
    let ranked = |id, rank| Export { rank, ..export(id, ExportOp::Add, user_name(id)) };
    let all = [
        export(1, ExportOp::Delete, vec![]),
        export(2, ExportOp::Update, vec![add("members", &["1"])]),
        export(3, ExportOp::Rename, user_name(3)),
        export(4, ExportOp::Update, vec![title("t"), add("members", &["1"])]),
        ranked(5, 1),
        ranked(6, 0),
        export(7, ExportOp::Disable, vec![replace("active", Value::Boolean(false))]),
        Export { connector: "another".into(), ..export(8, ExportOp::Delete, vec![]) },
    ];
    for export in all.clone() {
        put_export(store, export);
    }
    let passed = exports(store, Due::All);
    let order: Vec<i64> = passed.iter().map(|pending| pending.export.object.0).collect();
    assert_eq!(order, [8, 7, 6, 5, 3, 4, 2, 1]);
    assert!(passed.iter().all(|pending| all.contains(&pending.export)));
    let waves: Vec<Wave> = passed[1..].iter().map(|pending| pending.wave).collect();
    assert_eq!(
        waves,
        [
            Wave::Disable,
            Wave::Add(0),
            Wave::Add(1),
            Wave::Update,
            Wave::Update,
            Wave::References,
            Wave::Delete,
        ],
    );
}

#[test]
fn many_exports_pass_by_each_once() {
    let home = Home::new();
    let store = home.store();
    let some = |id| (CsId(id), Some(export(id, ExportOp::Delete, vec![])));
    let outcome = Outcome { exports: (1..=600).map(some).collect(), ..Outcome::default() };
    store.commit(&outcome).unwrap();
    let mut passed = vec![];
    let mut each = |pending: PendingExport| {
        // Whoever looks at an export may ask the store about it.
        store.target_names(&[pending.export.object]).unwrap();
        passed.push(pending.export.object.0);
    };
    store.each_export(Due::All, &mut each).unwrap();
    assert_eq!(passed, (1..=600).collect::<Vec<i64>>());
}

#[test]
fn s03_only_exports_of_the_saved_plan_can_be_claimed_and_only_once() {
    let home = Home::new();
    let store = home.store();
    provision(store, &[1, 2]);
    assert_eq!(claim(store, "p1", Wave::Add(0)), []);
    store.save_plan(&plan("p1"), NOW).unwrap();
    provision(store, &[3]);
    assert_eq!(claim(store, "other", Wave::Add(0)), []);
    assert_eq!(claim(store, "p1", Wave::Update), []);
    let one = store.claim(&PlanId("p1".into()), &cloud(), Wave::Add(0), NOW, 1).unwrap();
    assert_eq!(one[0].export, export(1, ExportOp::Add, user_name(1)));
    assert_eq!(claim(store, "p1", Wave::Add(0)), [CsId(2)]);
    assert_eq!(claim(store, "p1", Wave::Add(0)), []);
    assert_eq!(store.last_plan().unwrap(), Some(PlanId("p1".into())));
}

#[test]
fn a_done_add_is_confirmed_and_no_longer_pending() {
    let home = delivered();
    let found = object(home.store(), CsId(1)).unwrap();
    assert_eq!(found.anchor, Some(Anchor("remote-1".into())));
    assert_eq!(found.presence, Presence::Imported);
    assert_eq!(found.attributes, texts(&[("userName", &["user-1"])]));
    assert_eq!(home.store().remote_ids(&[CsId(1)]).unwrap(), [Some("remote-1".into())]);
    assert_eq!(exports(home.store(), Due::All), []);
    assert_eq!(home.store().linked().unwrap(), BTreeMap::from([(cloud(), 1)]));
    assert_eq!(home.store().target_names(&[CsId(1), CsId(9)]).unwrap(), ["user-1", ""]);
}

#[test]
fn what_could_not_be_sent_yet_stays_pending_in_the_same_plan() {
    let home = claimed_update(vec![title("t"), add("members", &["5", "6"])]);
    let store = home.store();
    let remaining = vec![add("members", &["6"])];
    let diverging = vec![];
    settle(
        store,
        1,
        Settled::Done { remote_id: "remote-1".into(), remaining: remaining.clone(), diverging },
    );
    let mut confirmed = texts(&[("title", &["t"]), ("userName", &["user-1"])]);
    confirmed.extend(references("members", &["5"]));
    assert_eq!(object(store, CsId(1)).unwrap().attributes, confirmed);
    let claimed = store.claim(&PlanId("p1".into()), &cloud(), Wave::References, NOW, 9).unwrap();
    assert_eq!(claimed[0].export.changes, remaining);
    assert_eq!(claimed[0].remote_id, Some("remote-1".into()));
    settle(store, 1, done("remote-1"));
    confirmed.extend(references("members", &["5", "6"]));
    assert_eq!(object(store, CsId(1)).unwrap().attributes, confirmed);
}

#[test]
fn values_are_added_removed_and_cleared_as_confirmed() {
    let home = claimed_update(vec![add("members", &["5", "6"])]);
    let store = home.store();
    settle(store, 1, done("remote-1"));
    let mut second = add("members", &["7"]);
    second.remove = vec![Value::Reference("5".into())];
    let mut cleared = title("");
    cleared.attribute = "userName".into();
    cleared.replace = Some(vec![]);
    put_export(store, export(1, ExportOp::Update, vec![second, cleared]));
    store.save_plan(&plan("p2"), NOW).unwrap();
    assert_eq!(claim(store, "p2", Wave::Update), [CsId(1)]);
    settle(store, 1, done("remote-1"));
    assert_eq!(object(store, CsId(1)).unwrap().attributes, references("members", &["6", "7"]));
}

#[test]
fn dv03_an_attribute_that_does_not_stick_is_learned_for_its_class() {
    let home = claimed_update(vec![title("t"), replace("nick", Value::text("n"))]);
    let store = home.store();
    let diverging = vec!["nick".into()];
    settle(store, 1, Settled::Done { remote_id: "remote-1".into(), remaining: vec![], diverging });
    let view = store.view().unwrap();
    assert_eq!(view.not_persisted(&cloud()), [("User".into(), "nick".into())].into());
    assert!(view.not_persisted(&ldap()).is_empty());
    let expected = texts(&[("title", &["t"]), ("userName", &["user-1"])]);
    assert_eq!(view.cs_objects(&[CsId(1)])[0].attributes, expected);
}

#[test]
fn a_deleted_object_is_forgotten_and_whoever_referred_to_it_looked_at_again() {
    let home = delivered();
    let store = home.store();
    stage_target(store, &[remote("remote-1", texts(&[("userName", &["user-1"])]))]);
    let group = stage_target(store, &[remote("g", references("members", &["remote-1"]))])[0];
    let mut linked = provisioned(group.0, 8);
    let CsUpdate::Target { object: target, .. } = &mut linked else { unreachable!() };
    target.presence = Presence::Imported;
    store
        .commit(&Outcome { cs: vec![linked], mv: vec![person(8, "g")], ..Outcome::default() })
        .unwrap();
    put_export(store, Export { mv: None, ..export(1, ExportOp::Delete, vec![]) });
    store.save_plan(&plan("p1"), NOW).unwrap();
    assert_eq!(claim(store, "p1", Wave::Delete), [CsId(1)]);
    settle(store, 1, Settled::Deleted);
    assert_eq!(object(store, CsId(1)), None);
    assert_eq!(exports(store, Due::All), []);
    assert_eq!(queued(store).1, [MvId(8), MvId(1)]);
}

#[test]
fn dv09_only_a_refusal_counts_an_attempt_and_holds() {
    let home = claimed_update(vec![title("t")]);
    let store = home.store();
    settle(store, 1, Settled::Waiting);
    let pending = &exports(store, Due::All)[0];
    assert_eq!((pending.attempts, &pending.hold, pending.in_doubt), (0, &None, false));
    assert_eq!(claim(store, "p1", Wave::Update), [CsId(1)]);
    let until = NOW.0 + 10;
    settle(store, 1, Settled::Held(hold(until)));
    let pending = &exports(store, Due::All)[0];
    assert_eq!((pending.attempts, &pending.hold), (1, &Some(hold(until))));
    assert_eq!(claim(store, "p1", Wave::Update), []);
    assert_eq!(due(store, Timestamp(until - 1)), []);
    assert_eq!(due(store, Timestamp(until)), [CsId(1)]);
    store.save_plan(&plan("p2"), Timestamp(until - 1)).unwrap();
    assert_eq!(claim(store, "p2", Wave::Update), []);
}

#[test]
fn a_deferred_export_waits_for_the_next_plan() {
    let home = claimed_update(vec![title("t")]);
    let store = home.store();
    settle(store, 1, Settled::Deferred);
    assert_eq!(claim(store, "p1", Wave::Update), []);
    let pending = &exports(store, Due::All)[0];
    assert_eq!((pending.attempts, &pending.hold, pending.in_doubt), (0, &None, false));
    store.save_plan(&plan("p2"), NOW).unwrap();
    assert_eq!(claim(store, "p2", Wave::Update), [CsId(1)]);
}

#[test]
fn an_object_that_its_target_lost_is_created_again_if_somebody_wants_it() {
    for wanted in [true, false] {
        let home = claimed_update(vec![title("t")]);
        let store = home.store();
        let group = stage_target(store, &[remote("g", references("members", &["remote-1"]))])[0];
        let mv = if wanted { vec![] } else { vec![MvUpdate::Delete { id: MvId(1) }] };
        store.commit(&Outcome { mv, ..Outcome::default() }).unwrap();
        settle(store, 1, Settled::Missing);
        assert_eq!(exports(store, Due::All), []);
        let found = object(store, CsId(1));
        assert_eq!(found.is_some(), wanted);
        if let Some(found) = found {
            assert_eq!((found.presence, found.anchor), (Presence::ExportOnly, None));
            assert_eq!(queued(store).1, [MvId(1)]);
        }
        // The group has to get it as a new member.
        assert_eq!(object(store, group).unwrap().attributes, AttributeMap::new());
    }
}

#[test]
fn an_add_that_exists_already_is_looked_up_again_and_held_if_nothing_is_found() {
    for found in [vec![], vec![CsId(8), CsId(9)]] {
        let home = Home::new();
        let store = home.store();
        provision(store, &[1]);
        store.save_plan(&plan("p"), NOW).unwrap();
        claim(store, "p", Wave::Add(0));
        drain(store);
        let until = NOW.0 + 10;
        settle(store, 1, Settled::Duplicate(hold(until)));
        assert_eq!(store.unmatched(&cloud(), 9).unwrap().len(), 1);
        assert_eq!(due(store, Timestamp(until)), []);
        store.matched(&[(CsId(1), found.clone())]).unwrap();
        let due_later = if found.is_empty() { vec![CsId(1)] } else { vec![] };
        assert_eq!(due(store, NOW), []);
        assert_eq!(due(store, Timestamp(until)), due_later);
        assert_eq!(exports(store, Due::All)[0].attempts, 1);
    }
}

#[test]
fn the_same_change_again_keeps_its_hold_and_another_one_is_tried_at_once() {
    for (again, attempts, held) in [("t", 1, true), ("other", 0, false)] {
        let home = claimed_update(vec![title("t")]);
        let store = home.store();
        settle(store, 1, Settled::Held(hold(i64::MAX)));
        put_export(store, export(1, ExportOp::Update, vec![title(again)]));
        let pending = &exports(store, Due::All)[0];
        assert_eq!((pending.attempts, pending.hold.is_some()), (attempts, held), "{again}");
        let exports = vec![(CsId(1), None)];
        store.commit(&Outcome { exports, ..Outcome::default() }).unwrap();
        assert_eq!(store.totals().unwrap().pending, 0);
    }
}

#[test]
fn a_changed_export_leaves_the_plan_that_showed_the_old_one() {
    let home = Home::new();
    let store = home.store();
    provision(store, &[1, 2]);
    store.save_plan(&plan("p1"), NOW).unwrap();
    put_export(store, export(1, ExportOp::Add, vec![title("other")]));
    put_export(store, export(2, ExportOp::Add, user_name(2)));
    assert_eq!(claim(store, "p1", Wave::Add(0)), [CsId(2)]);
}

#[test]
fn a_crash_after_the_claim_leaves_an_intent_until_it_was_looked_up() {
    let home = claimed_update(vec![title("t")]);
    settle(home.store(), 1, Settled::InDoubt);
    let crashed = home.crashed();
    let store = crashed.store();
    let doubtful = store.in_doubt(&cloud()).unwrap();
    assert_eq!(doubtful.len(), 1);
    assert!(doubtful[0].in_doubt);
    assert_eq!(store.in_doubt(&ldap()).unwrap(), []);
    assert_eq!(due(store, NOW), []);
    store.save_plan(&plan("p2"), NOW).unwrap();
    assert_eq!(claim(store, "p2", Wave::Update), []);
    assert_eq!(store.totals().unwrap().troubles.in_doubt, 1);
}

#[test]
fn what_a_pass_wants_of_an_object_in_doubt_waits_for_the_outcome() {
    let wishes = [
        Outcome {
            exports: vec![(CsId(1), Some(export(1, ExportOp::Update, vec![title("u")])))],
            ..Outcome::default()
        },
        Outcome { exports: vec![(CsId(1), None)], ..Outcome::default() },
        Outcome { cs: vec![CsUpdate::Forget { id: CsId(1) }], ..Outcome::default() },
    ];
    let results = [done("remote-1"), Settled::Waiting, Settled::Held(hold(5))];
    for (wish, result) in wishes.iter().flat_map(|wish| results.iter().map(move |r| (wish, r))) {
        let home = claimed_update(vec![title("t")]);
        let store = home.store();
        store.commit(wish).unwrap();
        let sent = &store.in_doubt(&cloud()).unwrap()[0].export;
        assert_eq!(sent.changes, [title("t")]);
        assert_eq!(queued(store).1, []);
        settle(store, 1, result.clone());
        assert_eq!(queued(store).1, [MvId(1)], "{result:?}");
        assert_eq!(claim(store, "p1", Wave::Update), [], "{result:?}");
    }
}

#[test]
fn an_add_in_doubt_that_the_target_has_becomes_that_object() {
    let home = Home::new();
    let store = home.store();
    provision(store, &[1]);
    store.save_plan(&plan("p"), NOW).unwrap();
    claim(store, "p", Wave::Add(0));
    drain(store);
    let shown = texts(&[("userName", &["user-1"]), ("title", &["t"])]);
    let found = stage_target(
        store,
        &[remote("r1", shown.clone()), remote("g", references("members", &["r1"]))],
    );
    store.resolve_doubt(CsId(1), Some(found[0])).unwrap();
    let object_now = object(store, CsId(1)).unwrap();
    assert_eq!((object_now.anchor, object_now.attributes), (Some(Anchor("r1".into())), shown));
    assert_eq!(object_now.link.unwrap().mv, MvId(1));
    assert_eq!(object(store, found[0]), None);
    assert_eq!(object(store, found[1]).unwrap().attributes, references("members", &["1"]));
    assert_eq!(exports(store, Due::All), []);
    assert_eq!(queued(store).1, [MvId(1)]);
    // Shown again, it is the same object.
    assert_eq!(stage_target(store, &[remote("r1", AttributeMap::new())]), [CsId(1)]);
}

#[test]
fn an_add_in_doubt_never_takes_the_object_of_somebody_else() {
    let home = delivered();
    let store = home.store();
    provision(store, &[2]);
    store.save_plan(&plan("p"), NOW).unwrap();
    claim(store, "p", Wave::Add(0));
    store.resolve_doubt(CsId(2), Some(CsId(1))).unwrap();
    assert_eq!(object(store, CsId(1)).unwrap().link.unwrap().mv, MvId(1));
    assert_eq!(object(store, CsId(2)).unwrap().anchor, None);
    assert_eq!(store.in_doubt(&cloud()).unwrap(), []);
    assert_eq!(due(store, NOW), [], "it would be created a second time");
}

#[test]
fn an_answer_with_the_id_of_somebody_else_is_refused() {
    let home = delivered();
    let store = home.store();
    provision(store, &[2]);
    store.save_plan(&plan("p"), NOW).unwrap();
    claim(store, "p", Wave::Add(0));
    settle(store, 2, done("remote-1"));
    let pending = &exports(store, Due::All)[0];
    assert_eq!(pending.hold.as_ref().unwrap().kind, ProblemKind::AmbiguousConnector);
    assert_eq!(object(store, CsId(1)).unwrap().anchor, Some(Anchor("remote-1".into())));
    assert_eq!(object(store, CsId(2)).unwrap().anchor, None);
}

#[test]
fn a_doubt_about_what_the_target_does_not_have_is_computed_anew() {
    for (op, wave) in [(ExportOp::Add, Wave::Add(0)), (ExportOp::Update, Wave::Update)] {
        let home = delivered();
        let store = home.store();
        put_export(store, export(1, op, vec![title("t")]));
        store.matched(&[(CsId(1), vec![])]).unwrap();
        store.save_plan(&plan("p"), NOW).unwrap();
        assert_eq!(claim(store, "p", wave), [CsId(1)]);
        store.resolve_doubt(CsId(1), None).unwrap();
        let found = object(store, CsId(1)).unwrap();
        assert_eq!((found.presence, found.anchor), (Presence::ExportOnly, None), "{op}");
        assert_eq!(found.attributes, AttributeMap::new());
        assert_eq!(exports(store, Due::All), []);
        assert_eq!(queued(store).1, [MvId(1)]);
    }
}

#[test]
fn a_doubt_about_a_change_is_computed_anew_from_what_the_target_shows() {
    let home = claimed_update(vec![title("t")]);
    let store = home.store();
    let shown = texts(&[("title", &["t"]), ("userName", &["user-1"])]);
    let found = stage_target(store, &[remote("remote-1", shown.clone())])[0];
    store.resolve_doubt(CsId(1), Some(found)).unwrap();
    assert_eq!(object(store, CsId(1)).unwrap().attributes, shown);
    assert_eq!(exports(store, Due::All), []);
    assert_eq!(queued(store).1, [MvId(1)]);
}

#[test]
fn a_doubt_about_a_departure_ends_with_the_object_gone_or_the_same_sent_again() {
    let disable = vec![replace("active", Value::Boolean(false))];
    for (op, changes, wave, there) in [
        (ExportOp::Delete, vec![], Wave::Delete, true),
        (ExportOp::Delete, vec![], Wave::Delete, false),
        (ExportOp::Disable, disable.clone(), Wave::Disable, true),
        (ExportOp::Disable, disable, Wave::Disable, false),
    ] {
        let home = delivered();
        let store = home.store();
        let mv = vec![MvUpdate::Delete { id: MvId(1) }];
        store.commit(&Outcome { mv, ..Outcome::default() }).unwrap();
        put_export(store, export(1, op, changes));
        store.save_plan(&plan("p"), NOW).unwrap();
        assert_eq!(claim(store, "p", wave), [CsId(1)]);
        store.resolve_doubt(CsId(1), there.then_some(CsId(1))).unwrap();
        assert_eq!(object(store, CsId(1)).is_some(), there);
        assert_eq!(due(store, NOW).len(), usize::from(there));
        assert_eq!(claim(store, "p", wave), [], "another plan has to show it");
    }
}

#[test]
fn settling_what_is_not_pending_does_nothing() {
    let home = delivered();
    settle(home.store(), 1, done("other"));
    settle(home.store(), 9, Settled::Deleted);
    home.store().resolve_doubt(CsId(9), None).unwrap();
    assert_eq!(object(home.store(), CsId(1)).unwrap().anchor, Some(Anchor("remote-1".into())));
}

#[test]
fn problems_of_delivery_stand_in_the_hold_not_among_the_problems() {
    let home = claimed_update(vec![title("t")]);
    settle(home.store(), 1, Settled::Held(hold(i64::MAX)));
    let problems = vec![(Phase::Outbound, 1, vec![])];
    home.store().commit(&Outcome { problems, ..Outcome::default() }).unwrap();
    let totals = home.store().totals().unwrap();
    assert_eq!((totals.troubles.held, totals.troubles.problems), (1, 0));
}
