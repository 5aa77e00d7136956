//! The rules of the simulation: an account forest, a resource forest, two targets; and their
//! variants.

use std::collections::BTreeMap;

use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::rule::{OnDelete, TargetClass, ValueType};
use kakehi_engine::scope::Operator;

use crate::rulebook::{Conduct, Origin, Rulebook, Sketch, names, source, target};

/// Bits of a variant of the rules.
pub const COMMON_SWAPPED: u32 = 1;
pub const WITHOUT_EXCHANGE: u32 = 2;
pub const WITH_OVERRIDE: u32 = 4;
/// Other values of one rule.
pub const COMMON_ANSWERS: u32 = 8;
/// Who is enabled.
pub const OTHER_SCOPE: u32 = 16;
/// By what resource accounts are joined.
pub const OTHER_JOIN: u32 = 32;
/// Whether resource accounts keep a person alive.
pub const RESOURCE_STICKY: u32 = 64;
/// Who is an account of the portal, and in which order rules write to the cloud.
pub const OTHER_OUTBOUND: u32 = 128;
/// One more than the largest sum of bits.
pub const VARIANTS: u32 = 256;

pub fn rulebook(variant: u32) -> Rulebook {
    let connectors = vec![source("a", 1), source("r", 2), cloud(), portal()];
    let has = |bit: u32| variant & bit != 0;
    let (a, r) = if variant & COMMON_SWAPPED == 0 { (140, 141) } else { (141, 140) };
    let mut sketches = vec![
        Sketch::inbound("a", "user-join", 100, "user", "person")
            .provision()
            .scope("synced", Operator::NotEqual, "no")
            .join("sid", "sid")
            .copy("sid", "sid"),
        resource_join(has(RESOURCE_STICKY), has(OTHER_JOIN)),
        Sketch::inbound("a", "user-enabled", 110, "user", "person")
            .scope(
                "enabled",
                if has(OTHER_SCOPE) { Operator::IsNotNull } else { Operator::Equal },
                "yes",
            )
            .copy("anchor", "id")
            .copy("upn", "mail")
            .flow("enabled", Origin::Constant(Value::Boolean(true))),
        Sketch::inbound("a", "user-common", a, "user", "person")
            .copy("name", "name")
            .copy("dept", "dept")
            .copy("anchor", "id")
            .copy("upn", "mail")
            .copy("manager", "manager")
            .merge("aliases", "aliases")
            .flow("enabled", Origin::Constant(Value::Boolean(false))),
        Sketch::inbound("r", "user-common", r, "user", "person")
            .flow("name", composed(has(COMMON_ANSWERS)))
            .copy("dept", "dept")
            .copy("phone", "phone")
            .copy("upn", "mail")
            .merge("aliases", "aliases"),
        Sketch::inbound("a", "group-join", 150, "group", "group")
            .provision()
            .join("gid", "gid")
            .copy("gid", "gid")
            .copy("anchor", "id")
            .copy("title", "title")
            .copy("member", "member"),
    ];
    if variant & WITHOUT_EXCHANGE == 0 {
        let exchange = Sketch::inbound("r", "user-exchange", 120, "user", "person")
            .scope("mailbox", Operator::Equal, "yes")
            .conduct(Conduct::SkipsIf("phone"))
            .copy("name", "name")
            .copy("dept", "dept");
        sketches.push(exchange);
    }
    if variant & WITH_OVERRIDE != 0 {
        let blocked = Sketch::inbound("a", "override", 50, "user", "person")
            .scope("dept", Operator::Equal, "HR")
            .flow("dept", Origin::Block);
        sketches.push(blocked);
    }
    sketches.extend(outbound(has(OTHER_OUTBOUND)));
    Rulebook::new(connectors, sketches)
}

fn resource_join(sticky: bool, other: bool) -> Sketch {
    let join = Sketch::inbound("r", "user-join", 101, "user", "person");
    let join = if sticky { join.sticky() } else { join.provision() };
    let join = join.join("master", "sid").copy("sid", "master");
    if other { join.join("mail", "upn") } else { join }
}

fn composed(other: bool) -> Origin {
    if other { Origin::Copy("name") } else { Origin::Compose("name", "mail") }
}

fn outbound(other: bool) -> Vec<Sketch> {
    let (title, hr) = if other { (220, 210) } else { (210, 220) };
    let portal = if other { Operator::IsNotNull } else { Operator::Equal };
    vec![
        Sketch::outbound("cloud", "user", 200, "User", "person")
            .provision()
            .on_delete(OnDelete::Disable)
            .scope("anchor", Operator::IsNotNull, "")
            .join("externalId", "anchor")
            .copy("externalId", "anchor")
            .copy("userName", "upn")
            .copy("active", "enabled"),
        Sketch::outbound("cloud", "user-common", title, "User", "person")
            .copy("displayName", "name")
            .copy("department", "dept")
            .copy("phone", "phone")
            .copy("manager", "manager")
            .copy("aliases", "aliases")
            .once("nickName", Origin::Constant(Value::text("new"))),
        Sketch::outbound("cloud", "user-hr", hr, "User", "person")
            .scope("dept", Operator::Equal, "HR")
            .clear_on_scope_exit()
            .flow("title", Origin::Constant(Value::text("HR"))),
        Sketch::outbound("cloud", "group", 230, "Group", "group")
            .provision()
            .on_delete(OnDelete::Delete)
            .scope("anchor", Operator::IsNotNull, "")
            .join("externalId", "anchor")
            .copy("externalId", "anchor")
            .copy("displayName", "title")
            .copy("members", "member"),
        Sketch::outbound("portal", "account", 240, "Account", "person")
            .provision()
            .on_delete(OnDelete::Delete)
            .scope("enabled", portal, "True")
            .copy("externalId", "anchor")
            .copy("login", "upn")
            .copy("boss", "manager"),
    ]
}

fn cloud() -> kakehi_engine::rule::Connector {
    let user = TargetClass {
        naming: Some("userName".into()),
        disable: Some(("active".into(), Value::Boolean(false))),
        multi_valued: names(["aliases"]),
        types: types([("active", ValueType::Boolean), ("manager", ValueType::Reference)]),
        rank: 0,
        match_by: vec!["externalId".into()],
    };
    let group = TargetClass {
        naming: Some("displayName".into()),
        disable: None,
        multi_valued: names(["members"]),
        types: types([("members", ValueType::Reference)]),
        rank: 1,
        match_by: vec!["externalId".into()],
    };
    target("cloud", 3, [("User", user), ("Group", group)])
}

fn portal() -> kakehi_engine::rule::Connector {
    let account = TargetClass {
        naming: Some("login".into()),
        types: types([("boss", ValueType::Reference)]),
        match_by: vec!["externalId".into()],
        ..TargetClass::default()
    };
    target("portal", 4, [("Account", account)])
}

pub fn types<const N: usize>(types: [(&str, ValueType); N]) -> BTreeMap<AttributeName, ValueType> {
    types.into_iter().map(|(name, kind)| (AttributeName::from(name), kind)).collect()
}
