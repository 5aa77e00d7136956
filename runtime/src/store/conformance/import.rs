//! Batches of a source: staging, listings and their sweeps, the state that covers a batch.

use kakehi_engine::object::{Anchor, ReferenceKey};
use kakehi_engine::problem::ProblemKind;

use super::*;
use crate::edge::Partial;

fn counts(changed: u64, unchanged: u64, deleted: u64) -> Staged {
    Staged { changed, unchanged, deleted, held: None }
}

fn anchor(text: &str) -> Anchor {
    Anchor(text.into())
}

#[test]
fn a_new_entry_is_staged_whole_and_queued() {
    let home = Home::new();
    let mut attributes = texts(&[("mail", &["a@x", "b@x"]), ("sn", &["A"])]);
    attributes.extend(references("manager", &["CN=Boss,DC=x"]));
    attributes.insert("objectSid".into(), vec![Value::Binary(vec![0, 255])]);
    let staged =
        stage(home.store(), vec![Change::Upsert(entry("a", "CN=a,DC=x", attributes.clone()))]);
    assert_eq!(staged, counts(1, 0, 0));
    let found = object(home.store(), CsId(1)).unwrap();
    assert_eq!(found.attributes, attributes);
    assert_eq!((found.dn.as_str(), found.presence), ("CN=a,DC=x", Presence::Imported));
    assert_eq!(found.anchor, Some(anchor("a")));
    assert_eq!(queued(home.store()).0, [CsId(1)]);
}

#[test]
fn pf12_an_unchanged_entry_writes_nothing() {
    let home = Home::new();
    stage(home.store(), vec![user("a", "a@x"), group("g", &["CN=a,DC=x"])]);
    drain(home.store());
    let before = home.bytes();
    let staged = stage(home.store(), vec![user("a", "a@x"), group("g", &["CN=a,DC=x"])]);
    assert_eq!(staged, counts(0, 2, 0));
    assert_eq!(queued(home.store()).0, []);
    assert!(before == home.bytes(), "files were written");
}

#[test]
fn an_unchanged_listing_with_an_unchanged_state_writes_nothing() {
    let home = Home::new();
    let batch = |generation| Batch {
        partition: "dc=x".into(),
        changes: listing(generation, vec![user("a", "a@x")]),
        next: Some(state(1)),
    };
    home.store().stage(&ldap(), &batch(1), UNLIMITED).unwrap();
    let before = home.bytes();
    home.store().stage(&ldap(), &batch(2), UNLIMITED).unwrap();
    assert!(before == home.bytes(), "files were written");
}

#[test]
fn l01_an_entry_is_known_by_its_anchor_not_by_its_dn() {
    let home = Home::new();
    stage(home.store(), vec![user("a", "a@x")]);
    let moved = entry("a", "CN=other,DC=x", texts(&[("mail", &["a@x"])]));
    assert_eq!(stage(home.store(), vec![Change::Upsert(moved)]), counts(1, 0, 0));
    assert_eq!(ids(home.store()), BTreeMap::from([("other".into(), CsId(1))]));
}

#[test]
fn one_anchor_twice_in_a_batch_is_one_object() {
    let home = Home::new();
    stage(home.store(), vec![user("a", "a@x"), user("a", "b@x"), user("a", "b@x")]);
    assert_eq!(ids(home.store()).len(), 1);
}

#[test]
fn l02_the_state_of_a_batch_is_stored_with_it() {
    let home = Home::new();
    for generation in 1..4 {
        let batch = Batch {
            partition: "dc=x".into(),
            changes: vec![user(&format!("u{generation}"), "a@x")],
            next: Some(state(generation)),
        };
        home.store().stage(&ldap(), &batch, UNLIMITED).unwrap();
        let crashed = home.crashed();
        let states = crashed.store().source_states(&ldap()).unwrap();
        assert_eq!(states, BTreeMap::from([("dc=x".into(), state(generation))]));
        assert_eq!(ids(crashed.store()).len() as u64, generation);
    }
}

#[test]
fn a_batch_without_a_state_leaves_the_old_one() {
    let home = Home::new();
    let next = Some(state(7));
    let batch = Batch { partition: "dc=x".into(), changes: vec![], next };
    home.store().stage(&ldap(), &batch, UNLIMITED).unwrap();
    stage(home.store(), vec![user("a", "a@x")]);
    assert_eq!(home.store().source_states(&ldap()).unwrap()["dc=x"], state(7));
    assert_eq!(home.store().source_states(&cloud()).unwrap(), BTreeMap::new());
}

#[test]
fn a_partial_change_touches_only_what_it_names() {
    let home = Home::new();
    let mut attributes = texts(&[("mail", &["a@x"]), ("sn", &["A"]), ("title", &["t"])]);
    attributes.extend(references("member", &["CN=m1,DC=x", "CN=m2,DC=x"]));
    stage(home.store(), vec![Change::Upsert(entry("g", "CN=g,DC=x", attributes))]);
    let partial = Partial {
        anchor: anchor("g"),
        dn: Some("CN=g2,DC=x".into()),
        set: BTreeMap::from([("sn".into(), vec![Value::text("B")]), ("title".into(), vec![])]),
        add: references("member", &["CN=m3,DC=x"]),
        remove: references("member", &["cn=M1, dc=x"]),
    };
    assert_eq!(stage(home.store(), vec![Change::Partial(partial.clone())]), counts(1, 0, 0));
    let found = object(home.store(), CsId(1)).unwrap();
    let mut expected = texts(&[("mail", &["a@x"]), ("sn", &["B"])]);
    expected.extend(references("member", &["CN=m2,DC=x", "CN=m3,DC=x"]));
    assert_eq!((found.dn.as_str(), found.attributes), ("CN=g2,DC=x", expected));
    assert_eq!(stage(home.store(), vec![Change::Partial(partial)]), counts(0, 1, 0));
}

#[test]
fn a_partial_change_of_an_unknown_object_is_left_to_the_connector() {
    let home = Home::new();
    let partial = Partial {
        anchor: anchor("nobody"),
        dn: None,
        set: BTreeMap::new(),
        add: AttributeMap::new(),
        remove: AttributeMap::new(),
    };
    assert_eq!(stage(home.store(), vec![Change::Partial(partial)]), counts(0, 0, 0));
}

#[test]
fn an_unlinked_object_is_deleted_at_once_a_linked_one_after_its_recall() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x"), user("b", "b@x")]);
    drain(store);
    let outcome = Outcome {
        cs: vec![linked_source(CsId(2), Some(1))],
        mv: vec![person(1, "b@x")],
        ..Outcome::default()
    };
    store.commit(&outcome).unwrap();
    let delete = |text| Change::Delete { anchor: anchor(text) };
    assert_eq!(stage(store, vec![delete("a"), delete("b"), delete("c")]), counts(0, 0, 2));
    assert_eq!(object(store, CsId(1)), None);
    assert_eq!(object(store, CsId(2)).unwrap().presence, Presence::Deleted);
    assert_eq!(queued(store).0, [CsId(2)]);
    assert_eq!(stage(store, vec![delete("b")]), counts(0, 0, 0));
}

#[test]
fn a_deleted_object_that_comes_back_is_the_same_one() {
    for back in
        [user("a", "a@x"), user("a", "new@x"), Change::Present { anchors: vec![anchor("a")] }]
    {
        let home = Home::new();
        let store = home.store();
        stage(store, vec![user("a", "a@x")]);
        let outcome = Outcome { cs: vec![linked_source(CsId(1), Some(1))], ..Outcome::default() };
        store.commit(&outcome).unwrap();
        stage(store, vec![Change::Delete { anchor: anchor("a") }]);
        drain(store);
        assert_eq!(stage(store, vec![back.clone()]), counts(1, 0, 0), "{back:?}");
        assert_eq!(object(store, CsId(1)).unwrap().presence, Presence::Imported);
        assert_eq!(queued(store).0, [CsId(1)]);
    }
}

#[test]
fn l41_a_complete_listing_deletes_what_it_did_not_show() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x"), user("b", "b@x"), user("c", "c@x"), user("d", "d@x")]);
    stage_in(store, "dc=other", vec![user("e", "e@x")], UNLIMITED);
    let shown = vec![
        user("a", "a@x"),
        user("b", "new@x"),
        Change::Present { anchors: vec![anchor("c"), anchor("nobody")] },
    ];
    assert_eq!(stage(store, listing(2, shown)), counts(1, 2, 1));
    let names: Vec<String> = ids(store).into_keys().collect();
    assert_eq!(names, ["a", "b", "c", "e"]);
}

#[test]
fn l04_an_incomplete_listing_deletes_nothing() {
    let begin = |generation| Change::FullBegin { generation, reason: "operator" };
    let end = |generation| Change::FullEnd { generation };
    for (story, changes) in [
        ("never ended", vec![begin(2), user("a", "a@x")]),
        ("never begun", vec![user("a", "a@x"), end(2)]),
        ("of another generation", vec![begin(2), user("a", "a@x"), end(3)]),
    ] {
        let home = Home::new();
        stage(home.store(), vec![user("a", "a@x"), user("b", "b@x")]);
        assert_eq!(stage(home.store(), changes).deleted, 0, "{story}");
        assert_eq!(ids(home.store()).len(), 2, "{story}");
    }
}

#[test]
fn l04_a_listing_that_a_restart_cut_short_deletes_nothing() {
    let home = Home::new();
    stage(home.store(), vec![user("a", "a@x"), user("b", "b@x")]);
    stage(
        home.store(),
        vec![Change::FullBegin { generation: 2, reason: "operator" }, user("a", "a@x")],
    );
    let crashed = home.crashed();
    assert_eq!(stage(crashed.store(), vec![Change::FullEnd { generation: 2 }]).deleted, 0);
}

#[test]
fn l43_a_sweep_over_the_limit_is_held_and_removes_nothing() {
    let limit =
        |objects_max, percent_max, accepted| ShrinkLimit { objects_max, percent_max, accepted };
    // Of 10 known objects 3 are gone.
    for (limit, held) in [
        (limit(3, 30, false), false),
        (limit(2, 30, false), true),
        (limit(3, 29, false), true),
        (limit(0, 0, true), false),
    ] {
        let home = Home::new();
        let all: Vec<_> = (0..10).map(|n| user(&format!("u{n}"), "a@x")).collect();
        stage(home.store(), all.clone());
        let staged = stage_in(home.store(), "dc=x", listing(2, all[..7].to_vec()), limit);
        let expected =
            if held { Staged { held: Some((3, 10)), ..counts(0, 7, 0) } } else { counts(0, 7, 3) };
        assert_eq!(staged, expected, "{limit:?}");
        assert_eq!(ids(home.store()).len(), if held { 10 } else { 7 });
    }
}

#[test]
fn ids_are_never_used_again() {
    let home = Home::new();
    stage(home.store(), vec![user("a", "a@x")]);
    stage(home.store(), vec![Change::Delete { anchor: anchor("a") }]);
    let crashed = home.crashed();
    stage(crashed.store(), vec![user("b", "b@x")]);
    assert_eq!(ids(crashed.store()), BTreeMap::from([("b".into(), CsId(2))]));
}

#[test]
fn a_failed_batch_leaves_nothing_behind() {
    let home = Home::new();
    let folder = home.folder.path().join("state");
    let reader = SqliteStore::open_read_only(&folder).unwrap();
    let batch = Batch {
        partition: "dc=x".into(),
        changes: listing(1, vec![user("a", "a@x")]),
        next: Some(state(1)),
    };
    let store: &dyn Store = &reader;
    assert!(store.stage(&ldap(), &batch, UNLIMITED).is_err());
    assert_eq!(ids(home.store()), BTreeMap::new());
    assert_eq!(home.store().source_states(&ldap()).unwrap(), BTreeMap::new());
}

#[test]
fn l01_references_follow_a_renamed_object_and_whoever_refers_to_it_is_queued() {
    let home = Home::new();
    let store = home.store();
    stage(
        store,
        vec![
            user("a", "a@x"),
            group("g", &["cn=A,dc=X"]),
            group("h", &["CN=b,DC=x"]),
            group("i", &["CN=c,DC=x"]),
        ],
    );
    let cs = (2..=4).map(|id| linked_source(CsId(id), Some(id))).collect();
    let mv = (2..=4).map(|id| person(id, "g@x")).collect();
    store.commit(&Outcome { cs, mv, ..Outcome::default() }).unwrap();
    drain(store);
    let renamed = entry("a", "CN=b,DC=x", texts(&[("mail", &["a@x"])]));
    stage(store, vec![Change::Upsert(renamed)]);
    assert_eq!(queued(store), (vec![CsId(1), CsId(2)], vec![MvId(2), MvId(3)]));
    let referrer = store.view().unwrap().cs_objects(&[CsId(2)]).pop().unwrap();
    assert_eq!(referrer.attributes["member"], [Value::Reference("CN=b,DC=x".into())]);
}

#[test]
fn of_two_objects_with_one_dn_the_seen_and_newer_one_is_meant() {
    let home = Home::new();
    let store = home.store();
    let same = |anchor| Change::Upsert(entry(anchor, "CN=a,DC=x", AttributeMap::new()));
    let key = ReferenceKey::of_dn(&ldap(), "cn=A,dc=x");
    let meant =
        || store.view().unwrap().resolve(std::slice::from_ref(&key))[0].map(|found| found.cs);
    stage(store, vec![same("old"), same("new")]);
    assert_eq!(meant(), Some(CsId(2)));
    let outcome = Outcome { cs: vec![linked_source(CsId(2), Some(1))], ..Outcome::default() };
    store.commit(&outcome).unwrap();
    stage(store, vec![Change::Delete { anchor: anchor("new") }]);
    assert_eq!(meant(), Some(CsId(1)));
}

#[test]
fn l12_a_faulty_value_is_a_problem_until_the_entry_is_shown_without_it() {
    let home = Home::new();
    let store = home.store();
    let fault = Change::Fault {
        anchor: anchor("a"),
        attribute: "pwdLastSet".into(),
        message: "no number".into(),
    };
    stage(store, vec![user("a", "a@x"), fault.clone()]);
    let problems = store.problems().unwrap();
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].kind, problems[0].object), (ProblemKind::Decode, CsId(1)));
    assert_eq!(problems[0].attribute, Some("pwdLastSet".into()));

    let before = home.bytes();
    stage(store, vec![user("a", "a@x"), fault]);
    assert!(before == home.bytes(), "the same problem was written again");

    stage(store, vec![user("a", "a@x")]);
    assert_eq!(store.problems().unwrap(), []);
}
