//! Objects of targets: what they are taken in as, and how adds are looked up.

use kakehi_engine::object::{Anchor, AttributeName};
use kakehi_engine::rule::{
    Compat, Connector, ConnectorKind, Contract, Direction, JoinClause, LinkType, ModuleIdentity,
    OnDelete, OnScopeExit, Rule, RuleSet, TargetClass, Thresholds, WritePolicy,
};
use kakehi_engine::scope::Scope;

use super::*;
use crate::edge::RemoteObject;

/// One outbound rule for users and groups of the target, which joins by `externalId`.
pub(super) fn rules() -> RuleSet {
    let class = TargetClass {
        naming: Some("userName".into()),
        match_by: vec!["userName".into()],
        ..TargetClass::default()
    };
    let connector = Connector {
        name: cloud(),
        kind: ConnectorKind::Target,
        order: 1,
        classes: BTreeMap::from([("User".into(), class)]),
        thresholds: Thresholds::default(),
    };
    let clause =
        JoinClause { cs: "externalId".into(), mv: "sourceAnchor".into(), case_sensitive: true };
    let writes = ["userName", "title", "members"]
        .map(|name| (AttributeName::from(name), WritePolicy::default()));
    let rule = Rule {
        tag: RuleTag("out@cloud".into()),
        name: "out".into(),
        description: String::new(),
        direction: Direction::Outbound,
        connector: cloud(),
        cs_class: "User".into(),
        mv_class: "person".into(),
        precedence: 100,
        link: LinkType::Provision,
        scope: Scope::default(),
        join: vec![vec![clause]],
        on_scope_exit: OnScopeExit::Release,
        on_delete: OnDelete::Disable,
        contract: Contract { writes: writes.into(), ..Contract::default() },
        parameters: BTreeMap::new(),
        module: ModuleIdentity {
            source: "builtin:declarative".into(),
            sha256: String::new(),
            config_sha256: String::new(),
        },
    };
    RuleSet::new(vec![connector], vec![rule], Compat::default(), BTreeMap::new())
}

pub(super) fn remote(id: &str, attributes: AttributeMap) -> RemoteObject {
    RemoteObject { remote_id: id.into(), class: "User".into(), attributes }
}

pub(super) fn stage_target(store: &dyn Store, objects: &[RemoteObject]) -> Vec<CsId> {
    store.stage_target(&cloud(), objects, &rules()).unwrap()
}

fn unlinked(store: &dyn Store, attribute: &str, exact: bool, value: &str) -> Vec<CsId> {
    let key = IndexKey::new(&attribute.into(), exact, &Value::text(value)).unwrap();
    store.view().unwrap().unlinked_targets(&cloud(), &key)
}

#[test]
fn a_target_object_is_taken_in_as_confirmed_with_what_rules_manage() {
    let home = Home::new();
    let store = home.store();
    let shown = texts(&[("userName", &["Taro"]), ("externalId", &["e1"]), ("meta", &["m"])]);
    assert_eq!(stage_target(store, &[remote("r1", shown.clone())]), [CsId(1)]);
    let found = object(store, CsId(1)).unwrap();
    assert_eq!(found.attributes, texts(&[("userName", &["Taro"]), ("externalId", &["e1"])]));
    assert_eq!(found.anchor, Some(Anchor("r1".into())));
    assert_eq!((found.presence, found.class), (Presence::Imported, "User".into()));
    assert_eq!(queued(store), (vec![], vec![]));

    let before = home.bytes();
    assert_eq!(stage_target(store, &[remote("r1", shown)]), [CsId(1)]);
    assert!(before == home.bytes(), "the same object was written again");
}

#[test]
fn an_unlinked_target_object_is_found_by_what_rules_join_and_match_by() {
    let home = Home::new();
    let store = home.store();
    let shown = texts(&[("userName", &["Taro"]), ("externalId", &["E1"])]);
    stage_target(store, &[remote("r1", shown)]);
    assert_eq!(unlinked(store, "externalId", true, "E1"), [CsId(1)]);
    assert_eq!(unlinked(store, "externalId", true, "e1"), []);
    assert_eq!(unlinked(store, "userName", false, "TARO"), [CsId(1)]);
    stage_target(store, &[remote("r1", texts(&[("userName", &["Jiro"])]))]);
    assert_eq!(unlinked(store, "externalId", true, "E1"), []);
    assert_eq!(unlinked(store, "userName", true, "Jiro"), [CsId(1)]);
}

#[test]
fn references_become_ids_of_our_objects_known_or_not() {
    let home = Home::new();
    let store = home.store();
    let group = remote("g", references("members", &["later", "never"]));
    let user = remote("later", texts(&[("userName", &["u"])]));
    assert_eq!(stage_target(store, &[group, user]), [CsId(1), CsId(2)]);
    assert_eq!(object(store, CsId(1)).unwrap().attributes, references("members", &["2", "3"]));
    assert_eq!(object(store, CsId(2)).unwrap().presence, Presence::Imported);
    assert_eq!(object(store, CsId(3)).unwrap().presence, Presence::Placeholder);
    assert_eq!(store.remote_ids(&[CsId(3), CsId(9)]).unwrap(), [Some("never".into()), None]);
}

#[test]
fn a_linked_object_that_changed_at_its_target_is_looked_at_again() {
    let home = Home::new();
    let store = home.store();
    provision(store, &[1]);
    store.save_plan(&plan("p"), NOW).unwrap();
    delivery::deliver(store, "p", 1);
    drain(store);
    stage_target(store, &[remote("remote-1", texts(&[("userName", &["user-1"])]))]);
    assert_eq!(queued(store).1, []);
    stage_target(store, &[remote("remote-1", texts(&[("userName", &["renamed"])]))]);
    assert_eq!(queued(store).1, [MvId(1)]);
    assert_eq!(unlinked(store, "userName", true, "renamed"), []);
}

#[test]
fn dv07_an_add_is_due_only_after_the_target_was_asked_and_had_nothing() {
    let home = Home::new();
    let store = home.store();
    let outcome = |id: i64| Outcome {
        cs: vec![provisioned(id, id)],
        mv: vec![person(id, "x")],
        exports: vec![(CsId(id), Some(export(id, ExportOp::Add, user_name(id))))],
        ..Outcome::default()
    };
    (1..=3).for_each(|id| store.commit(&outcome(id)).unwrap());
    drain(store);
    let unmatched = |limit| -> Vec<CsId> {
        let exports = store.unmatched(&cloud(), limit).unwrap();
        exports.iter().map(|export| export.object).collect()
    };
    assert_eq!(unmatched(2), [CsId(1), CsId(2)]);
    assert_eq!(delivery::due(store, NOW), []);
    store.matched(&[(CsId(1), vec![]), (CsId(9), vec![])]).unwrap();
    assert_eq!(unmatched(9), [CsId(2), CsId(3)]);
    assert_eq!(delivery::due(store, NOW), [CsId(1)]);
    // The same add again was looked up already; another one was not.
    store.commit(&outcome(1)).unwrap();
    assert_eq!(unmatched(9), [CsId(2), CsId(3)]);
    let other = export(1, ExportOp::Add, vec![replace("userName", Value::text("other"))]);
    put_export(store, other);
    assert_eq!(unmatched(9), [CsId(1), CsId(2), CsId(3)]);
}

/// Two pending adds that were not looked up yet, and two objects that the target has.
fn two_adds_and_two_found() -> (Home, Vec<CsId>) {
    let home = Home::new();
    let store = home.store();
    for id in [1, 2] {
        let exports = vec![(CsId(id), Some(export(id, ExportOp::Add, user_name(id))))];
        let (cs, mv) = (vec![provisioned(id, id)], vec![person(id, "x")]);
        store.commit(&Outcome { cs, mv, exports, ..Outcome::default() }).unwrap();
    }
    drain(store);
    let shown = ["r1", "r2"].map(|id| remote(id, texts(&[("userName", &[id])])));
    let found = stage_target(store, &shown);
    (home, found)
}

#[test]
fn dv02_the_one_object_that_matches_is_adopted() {
    let (home, found) = two_adds_and_two_found();
    let store = home.store();
    store.matched(&[(CsId(1), vec![found[0]])]).unwrap();
    let adopted = object(store, CsId(1)).unwrap();
    assert_eq!(adopted.anchor, Some(Anchor("r1".into())));
    assert_eq!(adopted.attributes, texts(&[("userName", &["r1"])]));
    assert_eq!(adopted.link, Some(Link { origin: LinkOrigin::Joined, ..link(1) }));
    assert_eq!(object(store, found[0]), None);
    assert_eq!(queued(store).1, [MvId(1)]);
    assert_eq!(store.totals().unwrap().pending, 1);
}

#[test]
fn dv02_several_objects_or_one_that_is_taken_hold_the_add_until_the_next_look_up() {
    for several in [true, false] {
        let (home, found) = two_adds_and_two_found();
        let store = home.store();
        let looked_up = if several {
            vec![(CsId(2), found.clone())]
        } else {
            vec![(CsId(1), vec![found[0]]), (CsId(2), vec![found[0]])]
        };
        store.matched(&looked_up).unwrap();
        assert_eq!(store.totals().unwrap().troubles.held, 1);
        assert!(!store.unmatched(&cloud(), 9).unwrap().iter().any(|add| add.object == CsId(2)));
        assert_eq!(delivery::due(store, NOW), []);
        store.save_plan(&plan("p"), NOW).unwrap();
        assert!(store.unmatched(&cloud(), 9).unwrap().iter().any(|add| add.object == CsId(2)));
        store.matched(&[(CsId(2), vec![])]).unwrap();
        assert_eq!(store.totals().unwrap().troubles.held, 0);
        assert_eq!(delivery::due(store, NOW), [CsId(2)]);
    }
}
