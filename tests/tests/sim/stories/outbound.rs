//! What becomes of objects at their targets (provisioning.md 11.3, 11.5, 11.7, 11.8).

use kakehi_engine::export::ExportOp;
use kakehi_engine::object::Value;
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::rule::{OnDelete, TargetClass, ValueType};
use kakehi_engine::scope::Operator;

use crate::rulebook::{Origin, Rulebook, Sketch, names, source, target};
use crate::scenario::types;
use crate::stage::Stage;

fn classes() -> [(&'static str, TargetClass); 3] {
    let user = TargetClass {
        naming: Some("login".into()),
        disable: Some(("active".into(), Value::Boolean(false))),
        types: types([("active", ValueType::Boolean), ("boss", ValueType::Reference)]),
        match_by: vec!["login".into()],
        ..TargetClass::default()
    };
    let group = TargetClass {
        naming: Some("title".into()),
        multi_valued: names(["members"]),
        types: types([("members", ValueType::Reference)]),
        rank: 1,
        match_by: vec!["title".into()],
        ..TargetClass::default()
    };
    [("User", user.clone()), ("Contact", user), ("Group", group)]
}

/// Users of `a` become users of `cloud` unless they have `out`; groups become groups.
fn stage(on_delete: OnDelete, more: Vec<Sketch>) -> Stage {
    let mut sketches = vec![
        Sketch::inbound("a", "user", 100, "user", "person")
            .provision()
            .join("key", "key")
            .copy("key", "key")
            .copy("name", "name")
            .copy("out", "out")
            .copy("kind", "kind")
            .copy("boss", "boss"),
        Sketch::inbound("a", "group", 110, "group", "group")
            .provision()
            .join("key", "key")
            .copy("key", "key")
            .copy("member", "member"),
        Sketch::outbound("cloud", "user", 200, "User", "person")
            .provision()
            .on_delete(on_delete)
            .scope("out", Operator::IsNull, "")
            .join("login", "key")
            .copy("login", "key")
            .copy("name", "name")
            .copy("boss", "boss"),
        Sketch::outbound("cloud", "group", 210, "Group", "group")
            .provision()
            .on_delete(OnDelete::Delete)
            .join("title", "key")
            .copy("title", "key")
            .copy("members", "member"),
    ];
    sketches.extend(more);
    let connectors = vec![source("a", 1), target("cloud", 2, classes())];
    Stage::new(Rulebook::new(connectors, sketches))
}

/// What happens to a user who leaves the scope, and when it comes back; likewise when it is
/// deleted.
fn check_departure(on_delete: OnDelete, left: &[&str], back: &[&str]) {
    for deleted in [false, true] {
        let mut stage = stage(on_delete, vec![]);
        stage.user("a/1", &["key=taro"]).run();
        assert_eq!(stage.remote(), ["User: login=taro"]);
        if deleted {
            stage.gone("a/1").run();
        } else {
            stage.user("a/1", &["key=taro", "out=yes"]).run();
        }
        assert_eq!(stage.remote(), left, "{on_delete:?}, deleted {deleted}");
        stage.user("a/1", &["key=taro"]).run();
        assert_eq!(stage.remote(), back, "{on_delete:?}, deleted {deleted}");
        assert_eq!(stage.sync().pending(), [""; 0]);
    }
}

#[test]
fn p06_on_delete_disables_deletes_or_keeps_and_a_return_finds_what_is_left() {
    let (off, on) = ("User: active=False login=taro", "User: active=True login=taro");
    check_departure(OnDelete::Disable, &[off], &[on]);
    check_departure(OnDelete::Delete, &[], &["User: login=taro"]);
    check_departure(OnDelete::Keep, &["User: login=taro"], &["User: login=taro"]);
}

#[test]
fn enabling_again_is_not_forgotten_by_another_sync_before_it_is_sent() {
    let mut stage = stage(OnDelete::Disable, vec![]);
    stage.user("a/1", &["key=taro"]).run();
    stage.user("a/1", &["key=taro", "out=yes"]).run();
    stage.user("a/1", &["key=taro"]).sync();
    stage.user("a/1", &["key=taro", "name=T"]).run();
    assert_eq!(stage.remote(), ["User: active=True login=taro name=T"]);
}

#[test]
fn a_departure_that_was_not_sent_is_taken_back() {
    for on_delete in [OnDelete::Disable, OnDelete::Delete] {
        let mut stage = stage(on_delete, vec![]);
        stage.user("a/1", &["key=taro", "name=T"]).run();
        stage.user("a/1", &["key=taro", "out=yes"]).sync();
        assert_eq!(stage.pending().len(), 1);
        stage.user("a/1", &["key=taro", "name=T"]).run();
        let ops: Vec<ExportOp> = stage.remote.log.iter().map(|(_, op)| *op).collect();
        assert_eq!(ops, [ExportOp::Add, ExportOp::Update]);
        assert!(stage.remote.objects.contains_key("cloud-1"));
    }
}

#[test]
fn an_add_that_was_not_sent_vanishes_without_trace() {
    let mut stage = stage(OnDelete::Delete, vec![]);
    stage.user("a/1", &["key=taro"]).sync();
    assert_eq!(stage.pending(), ["add taro"]);
    stage.user("a/1", &["key=taro", "out=yes"]).sync();
    assert_eq!(stage.pending(), [""; 0]);
    assert_eq!(stage.world.cs.len(), 1);
}

#[test]
fn values_of_a_rule_that_left_scope_stay_or_are_cleared() {
    for (clears, left) in [(false, "User: login=taro title=HR"), (true, "User: login=taro")] {
        let hr = Sketch::outbound("cloud", "hr", 220, "User", "person")
            .scope("kind", Operator::Equal, "hr")
            .flow("title", Origin::Constant(Value::text("HR")));
        let hr = if clears { hr.clear_on_scope_exit() } else { hr };
        let mut stage = stage(OnDelete::Disable, vec![hr]);
        stage.user("a/1", &["key=taro", "kind=hr"]).run();
        assert_eq!(stage.remote(), ["User: login=taro title=HR"]);
        // A second evaluation before the delivery must not forget what is to be cleared.
        stage.user("a/1", &["key=taro"]).sync();
        stage.user("a/1", &["key=taro", "name=T"]).sync();
        stage.user("a/1", &["key=taro"]).run();
        assert_eq!(stage.remote(), [left]);
    }
}

#[test]
fn p14_apply_once_values_are_written_at_creation_only() {
    let once = Sketch::outbound("cloud", "once", 220, "User", "person");
    let mut stage = stage(OnDelete::Disable, vec![once.once("nick", Origin::Copy("name"))]);
    stage.user("a/1", &["key=taro", "name=T"]).sync();
    stage.user("a/1", &["key=taro", "name=U"]).run();
    assert_eq!(stage.remote(), ["User: login=taro name=U nick=U"]);
    stage.user("a/1", &["key=taro", "name=V"]).run();
    assert_eq!(stage.remote(), ["User: login=taro name=V nick=U"]);
}

#[test]
fn cyclic_managers_and_members_of_one_run_find_each_other() {
    let mut stage = stage(OnDelete::Disable, vec![]);
    stage.user("a/1", &["key=taro", "boss=>2"]).user("a/2", &["key=jiro", "boss=>1"]);
    stage.entry("group", "a/3", &["key=team", "member=>1", "member=>2", "member=>9"]).run();
    let expected = [
        "Group: members=cloud-1|cloud-2 title=team",
        "User: boss=cloud-1 login=jiro",
        "User: boss=cloud-2 login=taro",
    ];
    assert_eq!(stage.remote(), expected);
    assert_eq!(stage.sync().pending(), [""; 0]);
    assert!(stage.world.counters.omitted_references == 0, "the ninth is nowhere in the metaverse");
}

#[test]
fn a_reference_to_somebody_who_is_not_at_the_target_is_left_out_until_he_is() {
    let mut stage = stage(OnDelete::Delete, vec![]);
    stage.user("a/1", &["key=taro", "out=yes"]).user("a/2", &["key=jiro"]);
    stage.entry("group", "a/3", &["key=team", "member=>1", "member=>2"]).run();
    assert_eq!(stage.remote()[0], "Group: members=cloud-1 title=team");
    assert!(stage.world.counters.omitted_references > 0);
    stage.user("a/1", &["key=taro"]).run();
    assert_eq!(stage.remote()[0], "Group: members=cloud-1|cloud-3 title=team");
}

#[test]
fn two_accounts_of_one_person_are_one_member() {
    let second = Sketch::inbound("b", "user", 105, "user", "person").join("key", "key");
    let mut stage = stage(OnDelete::Delete, vec![]);
    stage.change_set(|set| set.connectors.push(source("b", 3)));
    let groups = Sketch::inbound("b", "group", 115, "group", "group").join("key", "key");
    stage.change_rules(|rules| rules.extend([second, groups.merge("member", "member")]));
    stage.change_rules(|rules| {
        for sketch in rules.iter_mut().filter(|sketch| sketch.rule.tag.0.as_ref() == "group@a") {
            *sketch = sketch.clone().merge("member", "member");
        }
    });
    stage.user("a/1", &["key=taro"]).user("b/1", &["key=taro"]);
    stage.entry("group", "a/3", &["key=team", "member=>1"]);
    stage.entry("group", "b/3", &["key=team", "member=>1"]).run();
    assert_eq!(stage.remote()[0], "Group: members=cloud-1 title=team");
}

#[test]
fn a_deleted_user_leaves_its_groups_before_it_is_deleted() {
    let mut stage = stage(OnDelete::Delete, vec![]);
    stage.user("a/1", &["key=taro"]).entry("group", "a/3", &["key=team", "member=>1"]).run();
    let before = stage.remote.log.len();
    stage.gone("a/1").run();
    let ops: Vec<ExportOp> = stage.remote.log[before..].iter().map(|(_, op)| *op).collect();
    assert_eq!(ops, [ExportOp::Update, ExportOp::Delete]);
    assert_eq!(stage.remote(), ["Group: title=team"]);
}

#[test]
fn another_type_of_target_object_is_a_deletion_and_an_addition_in_one_plan() {
    let contact = Sketch::outbound("cloud", "contact", 195, "Contact", "person")
        .provision()
        .on_delete(OnDelete::Delete)
        .scope("kind", Operator::Equal, "contact")
        .copy("login", "key");
    let mut stage = stage(OnDelete::Delete, vec![contact]);
    stage.user("a/1", &["key=taro", "name=T"]).run();
    stage.user("a/1", &["key=taro", "name=T", "kind=contact", "out=yes"]).sync();
    assert_eq!(stage.pending(), ["delete taro", "add taro"]);
    assert_eq!(stage.run().remote(), ["Contact: login=taro"]);
    stage.user("a/1", &["key=taro", "name=T", "kind=contact"]).run();
    assert_eq!(stage.problems(), [ProblemKind::ProvisionConflict]);
    assert_eq!(stage.remote(), ["Contact: login=taro"]);
}

#[test]
fn a_user_that_does_not_fit_is_not_created_and_nobody_refers_to_it() {
    let tags = Sketch::inbound("a", "nick", 101, "user", "person").copy("nick", "nick");
    let nick = Sketch::outbound("cloud", "nick", 220, "User", "person").copy("nick", "nick");
    let mut stage = stage(OnDelete::Delete, vec![tags, nick]);
    stage.user("a/1", &["key=taro", "nick=x", "nick=y"]).user("a/2", &["key=jiro"]);
    stage.entry("group", "a/3", &["key=team", "member=>1", "member=>2"]).run();
    assert_eq!(stage.problems(), [ProblemKind::MultiToSingle]);
    assert_eq!(stage.remote(), ["Group: members=cloud-1 title=team", "User: login=jiro"]);
    stage.user("a/1", &["key=taro", "nick=x"]).run();
    assert_eq!(stage.problems(), []);
    assert_eq!(stage.remote()[0], "Group: members=cloud-1|cloud-3 title=team");
}

#[test]
fn a_disabled_object_passes_to_the_successor_in_any_size_of_batch() {
    let mut stage = stage(OnDelete::Disable, vec![]);
    stage.user("a/1", &["key=taro"]).run();
    stage.gone("a/1").user("a/2", &["key=taro", "name=T"]).run();
    assert_eq!(stage.remote(), ["User: active=True login=taro name=T"]);
    assert!(stage.remote.objects.contains_key("cloud-1"));
}
