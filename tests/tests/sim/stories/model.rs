//! The model of AADSync in small: what seed 004 says of connector spaces, the metaverse and rules
//! (R1 to R9, R15).

use kakehi_engine::rule::Direction;
use kakehi_engine::scope::Operator;

use crate::rulebook::{Origin, Rulebook, Sketch, source};
use crate::stage::Stage;

fn stage() -> Stage {
    let sketches = vec![
        Sketch::inbound("a", "user-join", 100, "user", "person")
            .provision()
            .join("key", "key")
            .copy("key", "key")
            .copy("name", "name"),
        Sketch::inbound("a", "contact-join", 101, "contact", "person")
            .provision()
            .join("key", "key")
            .copy("key", "key")
            .copy("name", "name"),
        Sketch::inbound("a", "inet-join", 102, "inetOrgPerson", "person")
            .provision()
            .join("key", "key")
            .copy("key", "key")
            .copy("name", "name"),
        Sketch::inbound("b", "user-join", 110, "user", "person")
            .join("key", "key")
            .copy("name", "name")
            .copy("phone", "phone"),
        Sketch::inbound("a", "boss", 90, "user", "person")
            .scope("title", Operator::Equal, "boss")
            .flow("rank", Origin::Constant(kakehi_engine::object::Value::Integer(1)))
            .flow("name", Origin::Copy("title")),
    ];
    Stage::new(Rulebook::new(vec![source("a", 1), source("b", 2)], sketches))
}

#[test]
fn r01_each_directory_has_a_space_of_its_own_and_all_share_one_metaverse() {
    let mut stage = stage();
    // The same anchor, DN and values in both: still two objects.
    stage.user("a/1", &["key=1", "name=A"]).user("b/1", &["key=1", "name=B", "phone=5"]).sync();
    assert_eq!((stage.world.cs.len(), stage.world.mv.len()), (2, 1));
    assert!(stage.same_mv("a/1", "b/1"));
    stage.gone("b/1").sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=A");
}

#[test]
fn r03_directions_are_named_from_the_view_of_the_metaverse() {
    let stage = stage();
    let inbound = stage.rules.set.rules.iter().all(|rule| rule.direction == Direction::Inbound);
    assert!(inbound && stage.rules.set.targets().next().is_none());
}

#[test]
fn r05_r07_a_rule_is_flows_under_a_condition_with_a_relation_and_a_precedence() {
    let mut stage = stage();
    stage.user("a/1", &["key=1", "name=A", "title=boss"]);
    stage.user("a/2", &["key=2", "name=B", "title=clerk"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=boss rank=1");
    assert_eq!(stage.mv("a/2"), "key=2 name=B");
    // It relates nothing itself: what no other rule brought into the metaverse has no flows.
    stage.change_rules(|sketches| sketches.retain(|s| !s.rule.name.ends_with("user-join")));
    stage.sync();
    assert_eq!(stage.mv("a/1"), "-");
}

#[test]
fn r08_r09_users_inet_org_persons_and_contacts_are_persons() {
    let mut stage = stage();
    stage.entry("user", "a/1", &["key=1"]).entry("contact", "a/2", &["key=2"]);
    stage.entry("inetOrgPerson", "a/3", &["key=3"]).entry("printer", "a/4", &["key=4"]).sync();
    let classes: Vec<&str> = stage.world.mv.values().map(|mv| mv.class.as_str()).collect();
    assert_eq!(classes, ["person"; 3]);
}
