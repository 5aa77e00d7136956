//! Records and what people ask: runs, the basis of plans, totals, explanations, names.

use kakehi_engine::object::Anchor;

use super::target::{remote, stage_target};
use super::*;
use crate::store::{ObjectLabel, RunId, RunRecord, Totals};

fn run_record(verb: &str) -> RunRecord {
    RunRecord {
        id: RunId(0),
        verb: verb.into(),
        started: NOW,
        ended: NOW,
        status: "success".into(),
        plan: None,
        ruleset: "rules".into(),
        config: "config".into(),
        details: "{}".into(),
    }
}

#[test]
fn runs_are_kept_newest_first() {
    let home = Home::new();
    let store = home.store();
    let once = RunRecord {
        ended: Timestamp(NOW.0 + 1),
        plan: Some(PlanId("p".into())),
        details: r#"{"add":1}"#.into(),
        ..run_record("once")
    };
    let first = store.record_run(&once).unwrap();
    let second = store.record_run(&run_record("apply")).unwrap();
    let (once, apply) =
        (RunRecord { id: first, ..once }, RunRecord { id: second, ..run_record("apply") });
    let crashed = home.crashed();
    assert_eq!(crashed.store().runs(9).unwrap(), [apply.clone(), once.clone()]);
    assert_eq!(store.runs(1).unwrap(), [apply]);
    assert_eq!(store.run(first).unwrap(), Some(once));
    assert_eq!(store.run(RunId(99)).unwrap(), None);
}

#[test]
fn a_plan_that_is_saved_again_is_the_last_one() {
    let home = Home::new();
    let store = home.store();
    assert_eq!(store.last_plan().unwrap(), None);
    for id in ["p1", "p2", "p1"] {
        store.save_plan(&plan(id), NOW).unwrap();
    }
    assert_eq!(home.crashed().store().last_plan().unwrap(), Some(PlanId("p1".into())));
}

#[test]
fn totals_count_everything_once() {
    let home = Home::new();
    let store = home.store();
    assert_eq!(store.totals().unwrap(), Totals::default());
    stage(store, vec![user("a", "a@x"), user("b", "b@x")]);
    provision(store, &[3]);
    let outcome = Outcome { cs: vec![linked_source(CsId(1), Some(3))], ..Outcome::default() };
    store.commit(&outcome).unwrap();
    let expected = Totals {
        objects: BTreeMap::from([(cloud(), (1, 1)), (ldap(), (2, 1))]),
        metaverse: 1,
        pending: 1,
        queued: 2,
        ..Totals::default()
    };
    assert_eq!(store.totals().unwrap(), expected);
    // What is still to be created cannot be removed, and sources are no targets.
    assert_eq!(store.linked().unwrap(), BTreeMap::new());
}

#[test]
fn an_object_is_explained_by_any_of_its_names() {
    let home = Home::new();
    let store = home.store();
    let guid = "00112233-4455-6677-8899-aabbccddeeff";
    let bytes = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes();
    let mut a = entry("", "CN=Taro,DC=x", texts(&[("mail", &["taro@x"])]));
    a.anchor = Anchor(bytes.into());
    stage(store, vec![Change::Upsert(a), user("lone", "lone@x")]);
    provision(store, &[3]);
    let cs = vec![linked_source(CsId(1), Some(3))];
    let mv = vec![person(3, "Taro@x")];
    store.commit(&Outcome { cs, mv, ..Outcome::default() }).unwrap();
    store.save_plan(&plan("p"), NOW).unwrap();
    delivery::deliver(store, "p", 3);
    put_export(store, export(3, ExportOp::Update, user_name(4)));

    for text in ["cn=taro, dc=X", guid, "remote-3", "taro@X"] {
        let found = store.explain(text).unwrap();
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].mv.as_ref().unwrap().id, MvId(3), "{text}");
        let objects: Vec<CsId> = found[0].objects.iter().map(|object| object.id).collect();
        assert_eq!(objects, [CsId(1), CsId(3)], "{text}");
        assert_eq!(found[0].exports.len(), 1, "{text}");
    }
    let lone = store.explain("lone").unwrap();
    assert_eq!((lone.len(), &lone[0].mv, lone[0].objects[0].id), (1, &None, CsId(2)));
    for text in ["", "nobody", "in@ldap", "%", "\"mail\""] {
        assert_eq!(store.explain(text).unwrap(), [], "{text}");
    }
}

#[test]
fn labels_name_objects_by_dn_or_anchor() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x")]);
    stage_target(store, &[remote("r1", AttributeMap::new())]);
    let label = |connector: &str, class: &str, name: &str, anchor: &str| ObjectLabel {
        connector: connector.into(),
        class: class.into(),
        name: name.into(),
        anchor: anchor.into(),
    };
    assert_eq!(
        store.labels(&[CsId(2), CsId(9), CsId(1)]).unwrap(),
        [
            label("cloud", "User", "r1", "r1"),
            ObjectLabel::default(),
            label("ldap", "user", "CN=a,DC=x", "a"),
        ],
    );
}
