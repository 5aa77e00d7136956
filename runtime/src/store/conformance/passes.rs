//! Outcomes of passes: what they change, whom they queue, and what the view then shows.

use std::collections::BTreeSet;

use kakehi_engine::flow::{Contribution, Fingerprint, Flow, Kept, RuleContribution};
use kakehi_engine::object::{Anchor, ReferenceKey};
use kakehi_engine::problem::{Problem, ProblemKind};
use kakehi_engine::rule::{Direction, LinkType, Revision, Rule, RuleSet, RuleTag, RulesRecord};
use kakehi_engine::scope::{Clause, Operator, Scope};
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::{LinkedObject, Phase, Resolved};

use super::*;

fn key(value: &str) -> IndexKey {
    IndexKey { scope: "mail~".into(), value: value.into() }
}

fn problem(object: i64, message: &str) -> Problem {
    Problem {
        kind: ProblemKind::FlowError,
        object: CsId(object),
        rule: Some(RuleTag("in@ldap".into())),
        attribute: Some("mail".into()),
        message: message.into(),
    }
}

#[test]
fn what_a_pass_wrote_is_what_the_view_shows() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x")]);
    let flows = vec![
        Flow {
            attribute: "mail".into(),
            contribution: Contribution::Values(vec![Value::Integer(1), Value::text("a@x")]),
        },
        Flow { attribute: "sn".into(), contribution: Contribution::Block },
    ];
    let contribution = |outcome| RuleContribution {
        rule: RuleTag("in@ldap".into()),
        input: Fingerprint([7; 16]),
        outcome,
    };
    let contributions =
        vec![contribution(Kept::Flows(flows)), contribution(Kept::Skipped("disabled".into()))];
    let update = CsUpdate::Source {
        id: CsId(1),
        link: Some(link(1)),
        contributions: contributions.clone(),
        waiting: vec![],
    };
    let MvUpdate::Put { object: mv, .. } = person(1, "a@x") else { unreachable!() };
    let outcome = Outcome { cs: vec![update], mv: vec![person(1, "a@x")], ..Outcome::default() };
    store.commit(&outcome).unwrap();

    let view = store.view().unwrap();
    let found = &view.cs_objects(&[CsId(1)])[0];
    assert_eq!((&found.link, &found.contributions), (&Some(link(1)), &contributions));
    assert_eq!(view.mv_objects(&[MvId(9), MvId(1)]), [mv]);
    let linked = LinkedObject { cs: CsId(1), connector: ldap() };
    assert_eq!(view.linked(&[MvId(1), MvId(2)]), BTreeMap::from([(MvId(1), vec![linked])]));
    assert_eq!(view.targets_of(&[MvId(2), MvId(1)], &ldap()), [None, Some(CsId(1))]);
    assert_eq!(view.targets_of(&[MvId(1)], &cloud()), [None]);
    let keys = ["CN=A,DC=x", "CN=z,DC=x"].map(|dn| ReferenceKey::of_dn(&ldap(), dn));
    let resolved = Resolved { cs: CsId(1), mv: Some(MvId(1)) };
    assert_eq!(view.resolve(&keys), [Some(resolved), None]);
    assert_eq!(view.next_ids(), (CsId(2), MvId(2)));
    view.check().unwrap();
}

#[test]
fn keys_are_replaced_as_a_whole() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x")]);
    let waiting = |keys: &[&str]| CsUpdate::Source {
        id: CsId(1),
        link: None,
        contributions: vec![],
        waiting: keys.iter().map(|value| key(value)).collect(),
    };
    let commit = |cs, mv| store.commit(&Outcome { cs, mv, ..Outcome::default() }).unwrap();
    let found = |value: &str| {
        let view = store.view().unwrap();
        (view.join_candidates(&key(value)), view.waiting(&key(value)))
    };
    commit(vec![waiting(&["a", "b"])], vec![person(1, "a")]);
    assert_eq!(found("a"), (vec![MvId(1)], vec![CsId(1)]));
    assert_eq!(found("b"), (vec![], vec![CsId(1)]));
    commit(vec![waiting(&["b", "c"])], vec![person(1, "c")]);
    assert_eq!(found("a"), (vec![], vec![]));
    assert_eq!(found("c"), (vec![MvId(1)], vec![CsId(1)]));
    commit(vec![linked_source(CsId(1), Some(1))], vec![MvUpdate::Delete { id: MvId(1) }]);
    assert_eq!(found("c"), (vec![], vec![]));
}

#[test]
fn what_is_done_goes_off_the_queues_before_what_is_dirty_goes_on() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x"), user("b", "b@x"), user("c", "c@x")]);
    let outcome = Outcome {
        mv: vec![person(1, "a@x"), person(2, "b@x")],
        done_cs: vec![CsId(1), CsId(2)],
        dirty_cs: BTreeSet::from([CsId(2), CsId(99)]),
        dirty_mv: BTreeSet::from([MvId(1), MvId(2), MvId(99)]),
        ..Outcome::default()
    };
    store.commit(&outcome).unwrap();
    assert_eq!(queued(store), (vec![CsId(2), CsId(3)], vec![MvId(1), MvId(2)]));
    assert_eq!(store.queued_cs(1).unwrap(), [CsId(2)]);
    assert_eq!(store.queued_mv(1).unwrap(), [MvId(1)]);
    assert_eq!(queued(home.crashed().store()), queued(store));
}

#[test]
fn queues_go_by_connector_whichever_was_read_first() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x")]);
    let batch = Batch { partition: String::new(), changes: vec![user("b", "b@x")], next: None };
    store.stage(&"hr".into(), &batch, UNLIMITED).unwrap();
    store.stage(&ldap(), &batch, UNLIMITED).unwrap();
    assert_eq!(store.queued_cs(9).unwrap(), [CsId(2), CsId(1), CsId(3)]);
}

#[test]
fn new_rules_queue_everything_but_target_objects() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x")]);
    provision(store, &[2]);
    drain(store);
    assert_eq!(store.rules_record().unwrap(), None);
    let rules = target::rules();
    let record = RulesRecord::of(&rules, NOW);
    let revision = Revision::new(None, &record, &rules);
    store.adopt_rules(&record, &revision).unwrap();
    assert_eq!(queued(store), (vec![CsId(1)], vec![MvId(2)]));
    assert_eq!(store.queued_resolve(9).unwrap(), [MvId(2)]);
    let crashed = home.crashed();
    assert_eq!(crashed.store().rules_record().unwrap(), Some(record));
    assert_eq!(queued(crashed.store()), queued(store));
    assert_eq!(crashed.store().queued_resolve(9).unwrap(), [MvId(2)]);
}

#[test]
fn g12_changed_rules_queue_what_they_are_about_and_what_has_a_problem() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x"), user("b", "b@x"), user("c", "c@x")]);
    provision(store, &[3]);
    drain(store);
    let rules = |mail: &str| {
        let mut rules = target::rules();
        let mut inbound = rules.rules[0].clone();
        inbound.direction = Direction::Inbound;
        inbound.connector = ldap();
        inbound.tag = RuleTag("in@ldap".into());
        inbound.cs_class = "user".into();
        inbound.link = LinkType::Provision;
        inbound.scope = Scope {
            groups: vec![vec![Clause {
                attribute: "mail".into(),
                operator: Operator::Equal,
                value: mail.into(),
                case_sensitive: false,
            }]],
        };
        rules.rules.insert(0, inbound);
        RuleSet::new(rules.connectors, rules.rules, rules.compat, rules.grace_seconds)
    };
    let adopt = |before: &RuleSet, after: &RuleSet| {
        let (before, record) = (RulesRecord::of(before, NOW), RulesRecord::of(after, NOW));
        let revision = Revision::new(Some(&before), &record, after);
        store.adopt_rules(&record, &revision).unwrap();
        let found = queued(store);
        drain(store);
        found
    };
    let nobody = (vec![], vec![]);
    assert_eq!(adopt(&rules("a@x"), &rules("a@x")), nobody);
    // Nobody is linked: only whom the rule may link from now on.
    assert_eq!(adopt(&rules("a@x"), &rules("B@x")), (vec![CsId(2)], vec![]));
    assert_eq!(adopt(&rules("b@x"), &rules("nobody")), nobody);
    let problem = Problem {
        kind: ProblemKind::FlowError,
        object: CsId(3),
        rule: None,
        attribute: None,
        message: "bad".into(),
    };
    let problems = vec![(Phase::Inbound, 3, vec![problem])];
    store.commit(&Outcome { problems, ..Outcome::default() }).unwrap();
    assert_eq!(adopt(&rules("b@x"), &rules("nobody")), (vec![CsId(3)], vec![]));
}

#[test]
fn members_of_a_group_that_a_scope_asks_for_are_seen_and_queued_when_they_change() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![user("a", "a@x"), user("b", "b@x"), group("g", &["cn=A,dc=x"])]);
    let mut rules = target::rules();
    let asking = Scope {
        groups: vec![vec![Clause {
            attribute: "dn".into(),
            operator: Operator::IsMemberOf,
            value: "cn=G, dc=x".into(),
            case_sensitive: false,
        }]],
    };
    rules.rules[0] = Rule {
        direction: Direction::Inbound,
        connector: ldap(),
        scope: asking.clone(),
        ..rules.rules[0].clone()
    };
    let rules = RuleSet::new(rules.connectors, rules.rules, rules.compat, rules.grace_seconds);
    let record = RulesRecord::of(&rules, NOW);
    store.adopt_rules(&record, &Revision::new(None, &record, &rules)).unwrap();
    let members = || -> Vec<bool> {
        let view = store.view().unwrap();
        let objects = view.cs_objects(&[CsId(1), CsId(2)]);
        objects.iter().map(|object| asking.holds(&object.attributes)).collect()
    };
    assert_eq!(members(), [true, false]);
    drain(store);
    stage(store, vec![group("g", &["CN=a,DC=x", "CN=b,DC=x"])]);
    assert_eq!((members(), queued(store).0), (vec![true, true], vec![CsId(2), CsId(3)]));
    drain(store);
    stage(store, vec![group("g", &["CN=b,DC=x"])]);
    assert_eq!((members(), queued(store).0), (vec![false, true], vec![CsId(1), CsId(3)]));
    drain(store);
    stage(store, vec![Change::Delete { anchor: Anchor(b"g".to_vec()) }]);
    assert_eq!((members(), queued(store).0), (vec![false, false], vec![CsId(2)]));
}

#[test]
fn p13_orphans_are_resolved_when_their_grace_is_over() {
    let home = Home::new();
    let store = home.store();
    let orphan = |id: i64, since: Option<i64>| {
        let MvUpdate::Put { mut object, keys } = person(id, "a@x") else { unreachable!() };
        object.orphaned = since.map(Timestamp);
        MvUpdate::Put { object, keys }
    };
    let mv = vec![orphan(1, Some(1000)), orphan(2, Some(2000)), orphan(3, None)];
    store.commit(&Outcome { mv, ..Outcome::default() }).unwrap();
    let due = |class: &str, until: i64| {
        store.queue_orphans(&class.into(), Timestamp(until)).unwrap();
        store.queued_resolve(9).unwrap()
    };
    assert_eq!(due("person", 999), []);
    assert_eq!(due("group", 1000), []);
    assert_eq!(due("person", 1000), [MvId(1)]);
    assert_eq!(home.crashed().store().queued_resolve(9).unwrap(), [MvId(1)]);
    let view = store.view().unwrap();
    assert_eq!(view.mv_objects(&[MvId(2)])[0].orphaned, Some(Timestamp(2000)));
    drop(view);
    let done_resolve = vec![MvId(1)];
    store.commit(&Outcome { done_resolve, ..Outcome::default() }).unwrap();
    assert_eq!(store.queued_resolve(9).unwrap(), []);
}

#[test]
fn whoever_refers_to_what_was_linked_is_looked_at_again() {
    let home = Home::new();
    let store = home.store();
    stage(
        store,
        vec![
            user("a", "a@x"),
            user("b", "b@x"),
            group("g", &["CN=a,DC=x", "CN=b,DC=x"]),
            group("h", &["CN=b,DC=x"]),
            group("unlinked", &["CN=a,DC=x"]),
        ],
    );
    let linked = [(2, 12), (3, 13), (4, 14)];
    let outcome = Outcome {
        cs: linked.map(|(id, mv)| linked_source(CsId(id), Some(mv))).into(),
        mv: linked.map(|(_, mv)| person(mv, "x")).into(),
        ..Outcome::default()
    };
    store.commit(&outcome).unwrap();
    drain(store);

    store.commit(&Outcome { repoint_cs: vec![CsId(1)], ..Outcome::default() }).unwrap();
    assert_eq!(queued(store), (vec![], vec![MvId(13)]));
    drain(store);
    store.commit(&Outcome { repoint_mv: vec![MvId(12)], ..Outcome::default() }).unwrap();
    assert_eq!(queued(store), (vec![], vec![MvId(13), MvId(14)]));
    drain(store);
    // Also when the object goes in the same pass.
    let outcome = Outcome {
        cs: vec![CsUpdate::Forget { id: CsId(1) }],
        repoint_cs: vec![CsId(1)],
        ..Outcome::default()
    };
    store.commit(&outcome).unwrap();
    assert_eq!(queued(store), (vec![], vec![MvId(13)]));
}

#[test]
fn a_forgotten_object_leaves_nothing_behind() {
    let home = Home::new();
    let store = home.store();
    stage(store, vec![group("g", &["CN=a,DC=x"])]);
    let outcome = Outcome {
        cs: vec![CsUpdate::Source {
            id: CsId(1),
            link: None,
            contributions: vec![],
            waiting: vec![key("a")],
        }],
        problems: vec![(Phase::Inbound, 1, vec![problem(1, "bad")])],
        exports: vec![(CsId(1), Some(export(1, ExportOp::Update, vec![])))],
        ..Outcome::default()
    };
    store.commit(&outcome).unwrap();
    let forget = vec![CsUpdate::Forget { id: CsId(1) }];
    store.commit(&Outcome { cs: forget, ..Outcome::default() }).unwrap();
    assert_eq!(object(store, CsId(1)), None);
    assert_eq!(store.view().unwrap().waiting(&key("a")), []);
    let totals = store.totals().unwrap();
    assert_eq!((totals.pending, totals.troubles.problems, totals.queued), (0, 0, 0));
}

#[test]
fn a_pass_replaces_the_problems_of_its_own_half() {
    let home = Home::new();
    let store = home.store();
    let commit = |problems| store.commit(&Outcome { problems, ..Outcome::default() }).unwrap();
    commit(vec![
        (Phase::Inbound, 1, vec![problem(1, "one"), problem(1, "two")]),
        (Phase::Outbound, 1, vec![problem(5, "three")]),
    ]);
    assert_eq!(
        store.problems().unwrap(),
        [problem(1, "one"), problem(1, "two"), problem(5, "three")],
    );
    commit(vec![(Phase::Inbound, 1, vec![problem(1, "four")])]);
    assert_eq!(store.problems().unwrap(), [problem(1, "four"), problem(5, "three")]);
    commit(vec![(Phase::Inbound, 1, vec![]), (Phase::Outbound, 1, vec![])]);
    assert_eq!(store.problems().unwrap(), []);
}

#[test]
fn of_a_known_target_object_only_what_the_engine_decides_is_written() {
    let home = Home::new();
    let store = home.store();
    provision(store, &[1]);
    store.save_plan(&plan("p"), NOW).unwrap();
    delivery::deliver(store, "p", 1);
    let mut update = provisioned(1, 1);
    let CsUpdate::Target { object: wanted, .. } = &mut update else { unreachable!() };
    wanted.deprovisioned = true;
    wanted.link = None;
    store.commit(&Outcome { cs: vec![update], ..Outcome::default() }).unwrap();
    let found = object(store, CsId(1)).unwrap();
    assert_eq!(found.anchor, Some(Anchor("remote-1".into())));
    assert_eq!(found.attributes, texts(&[("userName", &["user-1"])]));
    assert_eq!((found.presence, found.deprovisioned), (Presence::Imported, true));
    assert_eq!(found.link, None);
}

#[test]
fn ids_that_the_engine_gave_are_not_given_again() {
    let home = Home::new();
    let store = home.store();
    provision(store, &[7]);
    store
        .commit(&Outcome { mv: vec![MvUpdate::Delete { id: MvId(7) }], ..Outcome::default() })
        .unwrap();
    assert_eq!(store.view().unwrap().next_ids(), (CsId(8), MvId(8)));
}
