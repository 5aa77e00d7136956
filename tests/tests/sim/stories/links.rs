//! How links come, stay and go, and what flows through them (provisioning.md 11.2 to 11.4, 11.6).

use kakehi_engine::problem::ProblemKind;
use kakehi_engine::scope::Operator;

use crate::rulebook::{Conduct, Origin, Rulebook, Sketch, source};
use crate::stage::Stage;

/// Three sources: `a` provisions by key, `b` only joins, `c` as each test wants.
fn stage(more: Vec<Sketch>) -> Stage {
    let mut sketches = vec![
        Sketch::inbound("a", "join", 100, "user", "person")
            .provision()
            .scope("out", Operator::IsNull, "")
            .join("key", "key")
            .copy("key", "key")
            .copy("mail", "mail")
            .copy("name", "name"),
        Sketch::inbound("b", "join", 110, "user", "person")
            .scope("out", Operator::IsNull, "")
            .join("key", "key")
            .join("mail", "mail")
            .copy("phone", "phone")
            .copy("name", "name"),
    ];
    sketches.extend(more);
    Stage::new(Rulebook::new(vec![source("a", 1), source("b", 2), source("c", 3)], sketches))
}

#[test]
fn r22_an_object_stays_joined_though_the_criterion_no_longer_holds() {
    let mut stage = stage(vec![]);
    stage.user("a/1", &["key=1"]).user("b/2", &["key=1"]).sync();
    assert!(stage.same_mv("a/1", "b/2"));
    stage.user("b/2", &["key=7"]).sync();
    assert!(stage.same_mv("a/1", "b/2"));
    stage.user("b/2", &["key=7", "out=yes"]).sync();
    assert_eq!(stage.mv("b/2"), "-");
    stage.user("b/2", &["key=7"]).sync();
    assert_eq!(stage.mv("b/2"), "-", "it is joined by what holds when it comes back");
}

#[test]
fn r21_only_provision_creates_and_a_join_that_came_early_waits() {
    let mut stage = stage(vec![]);
    stage.user("b/2", &["key=1", "phone=5"]).sync();
    assert!(stage.world.mv.is_empty());
    stage.user("a/1", &["key=1"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 phone=5");
}

#[test]
fn r11_a_metaverse_object_lives_as_long_as_a_keeper_is_linked() {
    for (sticky, survives) in [(false, false), (true, true)] {
        let third = Sketch::inbound("c", "join", 120, "user", "person").join("key", "key");
        let mut stage = stage(vec![if sticky { third.sticky() } else { third }]);
        stage.user("a/1", &["key=1", "name=A"]).user("c/3", &["key=1"]).sync();
        assert!(stage.same_mv("a/1", "c/3"));
        stage.gone("a/1").sync();
        assert_eq!(stage.world.mv.len(), usize::from(survives));
        assert_eq!(stage.mv("c/3"), if survives { "" } else { "-" }, "what `a` gave is recalled");
        stage.gone("c/3").sync();
        assert!(stage.world.mv.is_empty());
    }
}

#[test]
fn r25_a_rule_without_criteria_flows_once_another_joined() {
    let more = Sketch::inbound("b", "more", 90, "user", "person").copy("name", "name");
    let mut stage = stage(vec![more]);
    stage.user("b/2", &["key=1", "name=B"]).sync();
    assert!(stage.world.mv.is_empty());
    stage.user("a/1", &["key=1", "name=A"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=B");
}

#[test]
fn a_recalled_value_falls_to_the_next_contributor_in_the_same_sync() {
    let mut stage = stage(vec![]);
    stage.user("a/1", &["key=1", "name=A"]).user("b/2", &["key=1", "name=B"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=A");
    stage.user("a/1", &["key=1"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=B");
    stage.user("b/2", &["key=1", "name=B", "out=yes"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1");
}

#[test]
fn an_ambiguous_match_is_reported_until_only_one_is_left() {
    let mut stage = stage(vec![]);
    stage.user("a/1", &["key=1", "mail=m"]).user("a/2", &["key=2", "mail=m"]);
    stage.user("b/3", &["mail=m", "phone=5"]).sync();
    assert_eq!(stage.problems(), [ProblemKind::AmbiguousMatch]);
    assert_eq!(stage.mv("b/3"), "-");
    stage.user("a/2", &["key=2"]).sync();
    assert_eq!(stage.problems(), []);
    assert!(stage.same_mv("a/1", "b/3"));
}

#[test]
fn several_matches_may_provision_where_the_configuration_says_so() {
    for (provisions, objects) in [(false, 2), (true, 3)] {
        let third = Sketch::inbound("c", "join", 120, "user", "person").join("mail", "mail");
        let mut stage = stage(vec![third.provision().copy("phone", "phone")]);
        stage.change_set(|set| set.compat.multiple_match_provisions = provisions);
        stage.user("a/1", &["key=1", "mail=m"]).user("a/2", &["key=2", "mail=m"]);
        stage.user("c/3", &["mail=m"]).sync();
        assert_eq!(stage.world.mv.len(), objects);
    }
}

#[test]
fn a_rule_that_begins_to_join_by_another_attribute_finds_what_is_there() {
    let mut stage = stage(vec![]);
    stage.user("a/1", &["key=1", "name=taro"]).user("c/3", &["name=taro", "phone=7"]).sync();
    let third = Sketch::inbound("c", "join", 120, "user", "person").join("name", "name");
    stage.change_rules(|rules| rules.push(third.copy("phone", "phone"))).sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=taro phone=7");
}

#[test]
fn a_rule_that_is_removed_is_recalled_and_the_object_let_go() {
    let mut stage = stage(vec![]);
    stage.user("a/1", &["key=1", "name=A"]).user("b/2", &["key=1", "phone=5"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=A phone=5");
    stage.change_rules(|rules| rules.retain(|sketch| sketch.rule.connector.as_str() == "a")).sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=A");
    assert_eq!(stage.mv("b/2"), "-");
}

#[test]
fn a_rule_that_loses_its_hold_lets_the_metaverse_object_die() {
    let mut stage = stage(vec![]);
    stage.user("a/1", &["key=1"]).sync();
    let change = |rules: &mut Vec<Sketch>| {
        for sketch in rules {
            sketch.rule.link = kakehi_engine::rule::LinkType::Join;
        }
    };
    stage.change_rules(change).sync();
    assert!(stage.world.mv.is_empty());
}

#[test]
fn r26_a_skipping_rule_contributes_nothing_and_links_nothing() {
    let skips = Sketch::inbound("c", "join", 120, "user", "person").join("key", "key");
    let skips = skips.conduct(Conduct::SkipsIf("shy")).copy("phone", "phone");
    let mut stage = stage(vec![skips]);
    stage.user("a/1", &["key=1"]).user("c/3", &["key=1", "phone=7"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 phone=7");
    stage.user("c/3", &["key=1", "phone=7", "shy=yes"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1");
    assert_eq!(stage.mv("c/3"), "-");
}

#[test]
fn a_trap_is_the_problem_of_one_object_and_changes_nothing_of_it() {
    let traps = Sketch::inbound("a", "more", 101, "user", "person");
    let mut stage = stage(vec![traps.conduct(Conduct::TrapsOn("bomb")).copy("phone", "phone")]);
    stage.user("a/1", &["key=1", "phone=1"]).user("a/2", &["key=2", "phone=2"]).sync();
    stage.user("a/1", &["key=1", "phone=3", "bomb=yes"]).user("a/2", &["key=2", "phone=4"]).sync();
    assert_eq!(stage.problems(), [ProblemKind::RuleTrap]);
    assert_eq!(stage.mv("a/1"), "key=1 phone=1");
    assert_eq!(stage.mv("a/2"), "key=2 phone=4");
}

#[test]
fn ignoring_a_flow_keeps_the_value_that_is_there() {
    let keeps = Sketch::inbound("a", "keeps", 90, "user", "person");
    let mut stage = stage(vec![keeps.flow("title", Origin::CopyUnlessKeep("title"))]);
    stage.user("a/1", &["key=1", "title=keep"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1");
    stage.user("a/1", &["key=1", "title=boss"]).sync();
    stage.user("a/1", &["key=1", "title=keep"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 title=boss");
    stage.user("a/1", &["key=1"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1");
}

#[test]
fn merged_values_are_united_in_order_of_precedence() {
    let merge = |connector: &str, number| {
        Sketch::inbound(connector, "tags", number, "user", "person").merge("tags", "tags")
    };
    let mut stage = stage(vec![merge("a", 210), merge("b", 200)]);
    stage.user("a/1", &["key=1", "tags=x", "tags=y"]).user("b/2", &["key=1", "tags=y", "tags=z"]);
    stage.sync();
    assert_eq!(stage.mv("a/1"), "key=1 tags=y|z|x");
    stage.gone("b/2").sync();
    assert_eq!(stage.mv("a/1"), "key=1 tags=x|y");
}

#[test]
fn a_rule_about_another_type_of_metaverse_object_says_nothing_here() {
    let other = Sketch::inbound("a", "device", 90, "user", "device").copy("name", "phone");
    let mut stage = stage(vec![other]);
    stage.user("a/1", &["key=1", "name=A", "phone=5"]).sync();
    assert_eq!(stage.mv("a/1"), "key=1 name=A");
}

#[test]
fn a_rule_is_asked_only_about_objects_whose_input_changed() {
    let volatile = Sketch::inbound("a", "volatile", 101, "user", "person").volatile();
    let mut stage = stage(vec![volatile.copy("title", "title")]);
    stage.user("a/1", &["key=1", "name=A"]).user("a/2", &["key=2"]).sync();
    let calls =
        |stage: &Stage| [stage.rules.calls_of("join@a"), stage.rules.calls_of("volatile@a")];
    assert_eq!(calls(&stage), [2, 2]);
    stage.user("a/1", &["key=1", "name=B"]).sync();
    assert_eq!(calls(&stage), [3, 3]);
    stage.user("a/1", &["key=1", "name=B", "unread=1"]).sync();
    assert_eq!(calls(&stage), [3, 4]);
    assert_eq!(stage.world.counters.reused, 1);
}
