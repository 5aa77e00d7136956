//! One person in an account forest `a` and a resource forest `r` (provisioning.md 17.1).

use kakehi_engine::object::Value;
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::rule::{OnDelete, TargetClass, ValueType};
use kakehi_engine::scope::Operator;

use crate::rulebook::{Conduct, Origin, Rulebook, Sketch, source, target};
use crate::scenario::types;
use crate::stage::Stage;

const A: [&str; 5] = ["sid=S1", "enabled=yes", "upn=jdoe@a", "dept=IT", "name=A"];
const A_DISABLED: [&str; 4] = ["sid=S1", "upn=jdoe@a", "dept=IT", "name=A"];
const R: [&str; 4] = ["master=S1", "mailbox=yes", "upn=jdoe@r", "name=R"];
const R_ENABLED: [&str; 5] = ["master=S1", "mailbox=yes", "enabled=yes", "upn=jdoe@r", "name=R"];

fn default_rules() -> Rulebook {
    let user = TargetClass {
        naming: Some("userName".into()),
        types: types([("active", ValueType::Boolean)]),
        match_by: vec!["externalId".into()],
        ..TargetClass::default()
    };
    let connectors = vec![source("a", 1), source("r", 2), target("cloud", 3, [("User", user)])];
    let mut sketches = vec![
        Sketch::inbound("a", "join", 100, "user", "person")
            .provision()
            .join("sid", "sid")
            .conduct(Conduct::FailsWithout("upn"))
            .copy("sid", "sid"),
        Sketch::inbound("r", "join", 101, "user", "person")
            .provision()
            .join("master", "sid")
            .copy("sid", "master"),
        Sketch::inbound("r", "exchange", 120, "user", "person")
            .scope("mailbox", Operator::Equal, "yes")
            .copy("name", "name"),
    ];
    for (connector, place) in [("a", 0), ("r", 1)] {
        sketches.push(
            Sketch::inbound(connector, "enabled", 110 + place, "user", "person")
                .scope("enabled", Operator::Equal, "yes")
                .copy("anchor", "id")
                .copy("upn", "upn")
                .flow("active", Origin::Constant(Value::Boolean(true))),
        );
        let common = Sketch::inbound(connector, "common", 130 + place, "user", "person")
            .copy("name", "name")
            .copy("upn", "upn")
            .copy("dept", "dept")
            .flow("active", Origin::Constant(Value::Boolean(false)));
        sketches.push(if connector == "a" { common.copy("anchor", "id") } else { common });
    }
    sketches.push(
        Sketch::outbound("cloud", "user", 200, "User", "person")
            .provision()
            .on_delete(OnDelete::Delete)
            .scope("anchor", Operator::IsNotNull, "")
            .join("externalId", "anchor")
            .copy("externalId", "anchor")
            .copy("userName", "upn")
            .copy("active", "active"),
    );
    Rulebook::new(connectors, sketches)
}

/// Who is in the forests, from where the values are looked at; the values with their winners, and
/// whether the person is in the cloud.
fn check(people: &[(&str, &[&str])], expected: &str, in_cloud: bool) {
    let mut forwards = Stage::new(default_rules());
    let mut backwards = Stage::new(default_rules());
    for (place, attributes) in people {
        forwards.user(place, attributes).sync();
    }
    for (place, attributes) in people.iter().rev() {
        backwards.user(place, attributes).sync();
    }
    for stage in [&mut forwards, &mut backwards] {
        stage.run();
        assert_eq!(described(stage, people[0].0), expected, "{people:?}");
        assert_eq!(stage.remote().len(), usize::from(in_cloud), "{people:?}");
    }
}

/// Anchor, name at login, state and display name, each with the rule that won.
fn described(stage: &Stage, place: &str) -> String {
    let values = stage.mv(place);
    let value = |name: &str| {
        let words = values.split(' ').find_map(|word| word.strip_prefix(&format!("{name}=")));
        words.map(|word| format!("{word} by {}", stage.winner(place, name)))
    };
    let all = ["anchor", "upn", "active", "name"].map(|name| value(name).unwrap_or("none".into()));
    all.join(", ")
}

#[test]
fn r35_r40_r45_the_enabled_account_supplies_sign_in_and_the_mailbox_the_address_list() {
    let both = "1 by enabled@a, jdoe@a by enabled@a, True by enabled@a, R by exchange@r";
    check(&[("a/1", &A), ("r/2", &R)], both, true);
    let only_r = "none, jdoe@r by common@r, False by common@r, R by exchange@r";
    check(&[("r/2", &R)], only_r, false);
    let only_a = "1 by enabled@a, jdoe@a by enabled@a, True by enabled@a, A by common@a";
    check(&[("a/1", &A)], only_a, true);
    let disabled = "1 by common@a, jdoe@a by common@a, False by common@a, A by common@a";
    check(&[("a/1", &A_DISABLED)], disabled, true);
    check(&[("a/1", &A), ("r/2", &R_ENABLED)], both, true);
}

#[test]
fn losing_the_account_recalls_what_it_gave_and_the_person_leaves_the_cloud() {
    let mut stage = Stage::new(default_rules());
    stage.user("a/1", &A).user("r/2", &R).run().gone("a/1").sync();
    let left = "none, jdoe@r by common@r, False by common@r, R by exchange@r";
    assert_eq!(described(&stage, "r/2"), left);
    assert_eq!(stage.pending(), ["delete jdoe@a"]);
    assert_eq!(stage.run().remote(), [""; 0]);
}

#[test]
fn r06_an_authoritative_null_of_lower_number_empties_the_attribute() {
    let mut stage = Stage::new(default_rules());
    stage.user("a/1", &A).run();
    assert_eq!(stage.winner("a/1", "dept"), "common@a");
    let block = Sketch::inbound("a", "block", 50, "user", "person").flow("dept", Origin::Block);
    stage.change_rules(|rules| rules.push(block)).run();
    assert_eq!(stage.winner("a/1", "dept"), "-");
}

#[test]
fn r06_swapping_precedence_changes_the_winner_without_a_module_call() {
    let mut stage = Stage::new(default_rules());
    stage.user("a/1", &A_DISABLED).user("r/2", &R).run();
    assert_eq!(stage.winner("r/2", "upn"), "common@a");
    stage.change_rules(|rules| {
        for sketch in rules.iter_mut().filter(|sketch| sketch.rule.name == "common") {
            sketch.rule.precedence = 261 - sketch.rule.precedence;
        }
    });
    stage.run();
    assert_eq!(stage.winner("r/2", "upn"), "common@r");
    let called = ["join@a", "common@a", "common@r", "exchange@r"];
    assert_eq!(called.map(|rule| stage.rules.calls_of(rule)), [0; 4]);
}

#[test]
fn r38_a_third_forest_goes_last_in_each_group() {
    let mut stage = Stage::new(default_rules());
    stage.user("a/1", &A_DISABLED).user("r/2", &R).run();
    let before = stage.mv("a/1");
    stage.change_set(|set| set.connectors.push(source("c", 5)));
    stage.change_rules(|rules| {
        let join = Sketch::inbound("c", "join", 102, "user", "person").join("master", "sid");
        let common = Sketch::inbound("c", "common", 132, "user", "person");
        rules.extend([join, common.copy("name", "name").copy("dept", "dept")]);
    });
    stage.user("c/3", &["master=S1", "name=C", "dept=C"]).run();
    assert!(stage.same_mv("a/1", "c/3"));
    assert_eq!(stage.mv("a/1"), before);
}

#[test]
fn r23_c3_a_second_rule_with_other_criteria_is_a_conflict_and_the_object_stays_unlinked() {
    let mut stage = Stage::new(default_rules());
    let second = Sketch::inbound("a", "second", 105, "user", "person").join("upn", "upn");
    stage.change_rules(|rules| rules.push(second)).user("a/1", &A).run();
    assert_eq!(stage.problems(), [ProblemKind::JoinRulesConflict]);
    assert_eq!(stage.mv("a/1"), "-");
    assert!(stage.world.mv.is_empty());
}

#[test]
fn c11_a_second_object_of_one_connector_is_ambiguous_until_the_first_leaves() {
    let mut stage = Stage::new(default_rules());
    stage.user("a/1", &A).user("a/2", &A).user("r/3", &R).run();
    assert_eq!(stage.problems(), [ProblemKind::AmbiguousConnector]);
    assert!(stage.same_mv("a/1", "r/3"));
    assert_eq!(stage.mv("a/2"), "-");
    stage.gone("a/1").run();
    assert_eq!(stage.problems(), []);
    assert!(stage.same_mv("a/2", "r/3"));
}

#[test]
fn a_flow_error_leaves_no_empty_metaverse_object() {
    let mut stage = Stage::new(default_rules());
    stage.user("a/1", &["sid=S1", "name=A"]).run();
    assert_eq!(stage.problems(), [ProblemKind::FlowError]);
    assert!(stage.world.mv.is_empty());
    assert_eq!(stage.user("a/1", &A).run().problems(), []);
    assert_eq!(stage.remote().len(), 1);
}

#[test]
fn a_flow_error_keeps_the_last_good_state() {
    let mut stage = Stage::new(default_rules());
    stage.user("a/1", &A).run();
    let before = (stage.mv("a/1"), stage.remote());
    stage.user("a/1", &["sid=S1", "name=B", "dept=HR"]).run();
    assert_eq!(stage.problems(), [ProblemKind::FlowError]);
    assert_eq!((stage.mv("a/1"), stage.remote()), before);
}
