//! What is done again when something changes: the table of provisioning.md 11.9, row by row.

use std::collections::BTreeMap;

use kakehi_engine::object::Value;
use kakehi_engine::rule::{OnDelete, TargetClass, ValueType};
use kakehi_engine::scope::Operator;
use kakehi_engine::time::Timestamp;

use crate::rulebook::{Origin, Rulebook, Sketch, names, source, target};
use crate::scenario::types;
use crate::stage::Stage;

/// Three persons of `a`, of whom 1 and 2 are also in `b`; a group of 1 and 2; a fourth user of `b`
/// whom nobody knows. All but 3 are staff.
fn stage() -> Stage {
    let user = TargetClass {
        naming: Some("userName".into()),
        multi_valued: names(["tags"]),
        types: types([("active", ValueType::Boolean)]),
        match_by: vec!["externalId".into()],
        ..TargetClass::default()
    };
    let group = TargetClass {
        multi_valued: names(["members"]),
        types: types([("members", ValueType::Reference)]),
        rank: 1,
        match_by: vec!["externalId".into()],
        ..TargetClass::default()
    };
    let cloud = target("cloud", 3, [("User", user), ("Group", group)]);
    let sketches = vec![
        Sketch::inbound("a", "join", 100, "user", "person")
            .provision()
            .join("key", "key")
            .copy("key", "key")
            .copy("anchor", "id"),
        Sketch::inbound("b", "join", 101, "user", "person").join("key", "key"),
        Sketch::inbound("a", "common", 110, "user", "person")
            .copy("name", "name")
            .copy("mail", "mail"),
        Sketch::inbound("b", "common", 111, "user", "person").copy("name", "name"),
        Sketch::inbound("a", "staff", 120, "user", "person")
            .scope("staff", Operator::Equal, "yes")
            .flow("title", Origin::Constant(Value::text("staff"))),
        Sketch::inbound("a", "group", 130, "group", "group")
            .provision()
            .join("id", "anchor")
            .copy("anchor", "id")
            .copy("member", "member"),
        Sketch::outbound("cloud", "user", 200, "User", "person")
            .provision()
            .on_delete(OnDelete::Delete)
            .scope("anchor", Operator::IsNotNull, "")
            .join("externalId", "anchor")
            .copy("externalId", "anchor")
            .copy("userName", "mail"),
        Sketch::outbound("cloud", "names", 210, "User", "person").copy("displayName", "name"),
        Sketch::outbound("cloud", "titles", 220, "User", "person")
            .copy("title", "title")
            .merge("tags", "title"),
        Sketch::outbound("cloud", "group", 230, "Group", "group")
            .provision()
            .on_delete(OnDelete::Delete)
            .join("externalId", "anchor")
            .copy("externalId", "anchor")
            .copy("members", "member"),
    ];
    let mut stage =
        Stage::new(Rulebook::new(vec![source("a", 1), source("b", 2), cloud], sketches));
    stage
        .user("a/1", &["key=1", "name=one", "mail=1@x", "staff=yes"])
        .user("a/2", &["key=2", "name=two", "mail=2@x", "staff=yes"])
        .user("a/3", &["key=3", "name=three", "mail=3@x"])
        .user("b/1", &["key=1", "name=uno"])
        .user("b/2", &["key=2", "name=dos"])
        .user("b/4", &["key=4", "name=cuatro"])
        .entry("group", "a/g", &["member=>1", "member=>2"])
        .run()
        .run();
    assert_eq!(stage.pending(), [""; 0]);
    stage
}

/// Does something; tells which rules were asked about how many objects, and how many metaverse
/// objects were resolved without asking.
fn asked(stage: &mut Stage, act: impl FnOnce(&mut Stage)) -> (Vec<String>, u64) {
    let calls = |stage: &Stage| stage.world.counters.calls.clone();
    let (before, resolved) = (calls(stage), stage.world.counters.resolved);
    act(stage);
    stage.sync();
    let more: BTreeMap<_, _> = calls(stage)
        .into_iter()
        .map(|(tag, count)| (tag.clone(), count - before.get(&tag).copied().unwrap_or(0)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let more = more.into_iter().map(|(tag, count)| format!("{tag} {count}")).collect();
    (more, stage.world.counters.resolved - resolved)
}

fn check(act: impl FnOnce(&mut Stage), calls: &[&str], resolved: u64) -> Stage {
    let mut stage = stage();
    let found = asked(&mut stage, act);
    assert_eq!(found, (calls.iter().map(ToString::to_string).collect(), resolved));
    stage
}

fn change(tag: &'static str, change: impl Fn(Sketch) -> Sketch) -> impl FnOnce(&mut Stage) {
    move |stage: &mut Stage| {
        stage.change_rules(|sketches| {
            for sketch in sketches.iter_mut().filter(|sketch| &*sketch.rule.tag.0 == tag) {
                *sketch = change(sketch.clone());
            }
        });
    }
}

fn ranked(precedence: u32) -> impl Fn(Sketch) -> Sketch {
    move |mut sketch| {
        sketch.rule.precedence = precedence;
        sketch
    }
}

#[test]
fn a_changed_source_object_asks_only_rules_that_read_what_changed() {
    // `names` reads what `common` gave.
    let stage = check(
        |stage| {
            stage.user("a/1", &["key=1", "name=ichi", "mail=1@x", "staff=yes"]);
        },
        &["common@a 1", "names@cloud 1"],
        0,
    );
    assert_eq!(stage.pending(), ["update 1@x"]);
    check(
        |stage| {
            let unread = ["key=1", "name=one", "mail=1@x", "staff=yes", "fax=1"];
            stage.user("a/1", &unread);
        },
        &[],
        0,
    );
    // What wins is what it was: lineage only.
    let stage = check(
        |stage| {
            stage.user("b/1", &["key=1", "name=un"]);
        },
        &["common@b 1"],
        0,
    );
    assert_eq!(stage.pending(), [""; 0]);
}

#[test]
fn a_target_object_that_comes_or_goes_concerns_only_those_who_refer_to_it() {
    let stage = check(
        |stage| {
            stage.gone("a/2");
        },
        // The person's other account may belong to somebody else now.
        &["common@b 1", "group@cloud 1", "join@b 1"],
        0,
    );
    assert_eq!(stage.pending(), ["delete 2@x", "update cloud-4"]);
    let nobody_refers = |stage: &mut Stage| {
        stage.gone("a/3");
    };
    check(nobody_refers, &[], 0);
}

#[test]
fn p07_other_answers_ask_that_rule_about_the_objects_in_its_scope() {
    let constant = |sketch: Sketch| sketch.flow("level", Origin::Constant(Value::text("1")));
    check(change("staff@a", constant), &["staff@a 2"], 0);
    let outbound = |sketch: Sketch| sketch.copy("nick", "name");
    let stage = check(change("names@cloud", outbound), &["names@cloud 3"], 0);
    assert_eq!(stage.pending().len(), 3);
}

#[test]
fn p07_another_precedence_asks_no_rule_and_resolves_what_is_contested() {
    let below = ranked(115);
    let stage = check(change("common@a", below), &["names@cloud 2"], 3);
    assert_eq!(stage.winner("a/1", "name"), "common@b");
    assert_eq!(stage.pending(), ["update 1@x", "update 2@x"]);
    // Numbers without another order are nothing.
    let same = ranked(105);
    check(change("common@a", same), &[], 0);
    // Nor is another order of rules that write nothing in common.
    let behind = ranked(125);
    check(change("join@a", behind), &[], 0);
}

#[test]
fn another_scope_asks_the_rule_about_what_enters_and_recalls_what_leaves() {
    let all = |sketch: Sketch| sketch.scope("staff", Operator::IsNull, "");
    check(change("staff@a", all), &["staff@a 1", "titles@cloud 1"], 0);
    let nobody = |mut sketch: Sketch| {
        sketch.rule.scope.groups.clear();
        sketch.scope("staff", Operator::Equal, "no")
    };
    // The title is gone, which `titles` reads.
    check(change("staff@a", nobody), &["titles@cloud 2"], 0);
    let named = |sketch: Sketch| sketch.scope("name", Operator::Equal, "one");
    check(change("names@cloud", named), &[], 0);
}

#[test]
fn other_join_criteria_concern_what_is_not_linked() {
    let by_name = |sketch: Sketch| sketch.join("name", "mail");
    // Its rules are asked about the only disconnector; the index of all is made anew.
    check(change("join@b", by_name), &["common@b 1", "join@b 1"], 3);
}

#[test]
fn a_rule_that_comes_is_asked_and_one_that_goes_or_is_disabled_is_recalled() {
    let add = |stage: &mut Stage| {
        stage.change_rules(|sketches| {
            let sketch = Sketch::inbound("b", "exchange", 105, "user", "person")
                .scope("name", Operator::Equal, "uno")
                .copy("name", "name");
            sketches.push(sketch);
        });
    };
    let stage = check(add, &["exchange@b 1", "names@cloud 1"], 0);
    assert_eq!(stage.winner("a/1", "name"), "exchange@b");
    let remove = |stage: &mut Stage| {
        stage.change_rules(|sketches| sketches.retain(|s| &*s.rule.tag.0 != "common@a"));
    };
    // The next contributor takes over at once; the mail goes, and with it the name at the target.
    let stage = check(remove, &["names@cloud 3", "user@cloud 3"], 0);
    assert_eq!(stage.winner("a/1", "name"), "common@b");
}

#[test]
fn a_changed_parameter_asks_the_rules_that_read_it() {
    let parameter = |mut sketch: Sketch| {
        sketch.rule.parameters.insert("Domain.FQDN".into(), "x.example".into());
        sketch.rule.contract.parameters.insert("Domain.FQDN".into());
        sketch
    };
    check(change("common@a", parameter), &["common@a 3"], 0);
}

#[test]
fn p12_time_asks_volatile_rules_only_and_only_when_their_period_is_over() {
    let mut stage = stage();
    let volatile = |mut sketch: Sketch| {
        sketch.rule.contract.volatile = true;
        sketch.rule.contract.recheck_seconds = Some(3600);
        sketch
    };
    asked(&mut stage, change("staff@a", volatile));
    let at =
        |seconds| move |stage: &mut Stage| stage.world.now = Timestamp::from_unix_seconds(seconds);
    assert_eq!(asked(&mut stage, at(3599)), (vec![], 0));
    assert_eq!(asked(&mut stage, at(3600)), (vec!["staff@a 2".to_owned()], 0));
}

#[test]
fn another_merge_resolves_and_asks_nobody() {
    let merged = |mut sketch: Sketch| {
        for policy in sketch.rule.contract.writes.values_mut() {
            policy.merge = kakehi_engine::rule::Merge::Merge;
        }
        sketch
    };
    let mut stage = stage();
    let found = asked(&mut stage, |stage| {
        change("common@a", merged)(stage);
        change("common@b", merged)(stage);
    });
    assert_eq!(found, (vec!["names@cloud 2".to_owned()], 3));
    assert_eq!(stage.mv("a/1"), "anchor=1 key=1 mail=1@x name=one|uno title=staff");
}

#[test]
fn c8_merged_values_at_a_target_are_ours_to_take_back_and_others_stay() {
    let mut stage = stage();
    // Somebody else adds a value, and the target shows it.
    let foreign = || ("tags".into(), vec![Value::text("staff"), Value::text("foreign")]);
    for object in stage.remote.objects.values_mut() {
        object.attributes.extend([foreign()]);
    }
    for object in stage.world.cs.values_mut().filter(|cs| cs.class.as_str() == "User") {
        object.attributes.extend([foreign()]);
    }
    let users = |stage: &Stage| {
        let of = |line: &String| line.contains("externalId=1");
        stage.remote().into_iter().find(of).unwrap()
    };
    stage.run();
    assert!(users(&stage).contains("tags=staff|foreign"), "{}", users(&stage));
    stage.user("a/1", &["key=1", "name=one", "mail=1@x"]);
    // A second sync before the delivery must not forget what is to be taken back.
    stage.sync().sync().run();
    assert!(users(&stage).contains("tags=foreign"), "{}", users(&stage));
    assert_eq!(stage.pending(), [""; 0]);
}

#[test]
fn p13_an_object_lives_on_for_its_grace_with_its_values_and_may_come_back() {
    for (back, users) in [(true, 3), (false, 2)] {
        let mut stage = stage();
        stage.change_set(|set| {
            set.grace_seconds.insert("person".into(), 7 * 86_400);
        });
        let day = |stage: &mut Stage, day: i64| {
            stage.world.now = Timestamp::from_unix_seconds(day * 86_400);
            stage.run();
        };
        day(&mut stage, 1);
        stage.gone("a/3");
        day(&mut stage, 2);
        assert_eq!(stage.remote().iter().filter(|line| line.starts_with("User")).count(), 3);
        day(&mut stage, 8);
        if back {
            stage.user("a/3", &["key=3", "name=drei", "mail=3@x"]);
        }
        day(&mut stage, 9);
        let remote = stage.remote();
        assert_eq!(remote.iter().filter(|line| line.starts_with("User")).count(), users);
        assert_eq!(remote.iter().any(|line| line.contains("displayName=drei")), back);
    }
}

#[test]
fn a_rule_can_join_to_every_type_of_metaverse_object() {
    let mut stage = stage();
    stage.change_rules(|sketches| {
        sketches.push(
            Sketch::inbound("b", "principal", 140, "foreign", "*")
                .join("cn", "anchor")
                .copy("note", "note"),
        );
    });
    stage
        .entry("foreign", "b/p", &["cn=3", "note=person"])
        .entry("foreign", "b/q", &["cn=g", "note=group"])
        .sync();
    assert!(stage.same_mv("b/p", "a/3") && stage.same_mv("b/q", "a/g"));
    assert_eq!(stage.mv("a/g"), "anchor=g member=a:cn=1,dc=a|a:cn=2,dc=a note=group");
}
