//! What can be taken back of one object, and what cannot.

use super::*;
use crate::connector_space::{Link, LinkOrigin, MvId};
use crate::rule::{ConnectorKind, Direction, LinkType, OnDelete, Rule, RuleTag, TargetClass};
use crate::testing::{attributes, cs_object, rule, rule_set, values};

fn rules(on_delete: OnDelete) -> RuleSet {
    let made = rule("out", Direction::Outbound, 1);
    let made = Rule { link: LinkType::Provision, on_delete, ..made };
    let mut rules = rule_set(ConnectorKind::Target, vec![made]);
    let class = TargetClass {
        naming: Some("login".into()),
        disable: Some(("active".into(), Value::Boolean(false))),
        multi_valued: ["members"].map(AttributeName::from).into(),
        ..TargetClass::default()
    };
    rules.connectors[0].classes.insert("user".into(), class);
    rules
}

fn object(held: &[&str]) -> CsObject {
    let link = Link { mv: MvId(1), rule: RuleTag("out".into()), origin: LinkOrigin::Provisioned };
    CsObject { attributes: attributes(held), link: Some(link), ..cs_object(1) }
}

fn replace(name: &str, wanted: &[&str]) -> AttributeChange {
    let replace = Some(values(wanted));
    AttributeChange { attribute: name.into(), add: vec![], remove: vec![], replace }
}

/// Operation and changes that were sent, what was there before them, what is there now. What is
/// there after the reversal, with its operation, or what is left and why.
fn check(
    op: ExportOp,
    sent: AttributeChange,
    before: &[&str],
    now: &[&str],
    expected: Result<(ExportOp, &[&str]), &str>,
) {
    let (changes, before, object) = ([sent], attributes(before), object(now));
    let rules = rules(OnDelete::Disable);
    let done = [Done { op, changes: &changes, before: &before }];
    let found = reverse(&done, Some(&object), &rules.connectors[0], &rules, &mut |id| id.0 < 9);
    match expected {
        Ok((op, after)) => {
            let export = found.export.expect("it can be taken back");
            assert_eq!((export.op, export.apply_to(&object.attributes)), (op, attributes(after)));
            assert_eq!(found.left, Vec::<String>::new());
        }
        Err(why) => assert_eq!((found.export, found.left), (None, vec![why.to_owned()])),
    }
}

#[test]
fn p10_values_come_back_unless_they_changed_again() {
    let sent = || replace("title", &["new"]);
    let update = ExportOp::Update;
    check(update, sent(), &["title=old"], &["title=new"], Ok((update, &["title=old"])));
    check(update, sent(), &[], &["title=new", "x=y"], Ok((update, &["x=y"])));
    check(update, replace("title", &[]), &["title=old"], &[], Ok((update, &["title=old"])));
    let since = Err("`title` has changed since");
    check(update, sent(), &["title=old"], &["title=newer"], since);
    let login = replace("login", &["jiro"]);
    let back: &[&str] = &["login=taro"];
    check(ExportOp::Rename, login, back, &["login=jiro"], Ok((ExportOp::Rename, back)));
}

#[test]
fn members_come_back_and_go_again_and_what_others_did_stays() {
    let sent = AttributeChange {
        attribute: "members".into(),
        add: values(&["new"]),
        remove: values(&["old"]),
        replace: None,
    };
    let now = &["members=new", "members=other"];
    let after: &[&str] = &["members=other", "members=old"];
    check(ExportOp::Update, sent, &[], now, Ok((ExportOp::Update, after)));
    let remove = vec![Value::Reference("99".into())];
    let gone = AttributeChange { attribute: "members".into(), add: vec![], remove, replace: None };
    let why = "`members` held references to objects that are gone";
    check(ExportOp::Update, gone, &[], &["title=x"], Err(why));
}

#[test]
fn what_was_created_goes_as_its_rule_says_and_what_was_deleted_stays_so() {
    let sent = [replace("login", &["taro"])];
    let nothing = AttributeMap::new();
    let reversed = |op, on_delete, object: Option<&CsObject>| {
        let rules = rules(on_delete);
        let done = [Done { op, changes: &sent, before: &nothing }];
        reverse(&done, object, &rules.connectors[0], &rules, &mut |_| true)
    };
    let op = |found: Reversal| found.export.map(|export| export.op).ok_or(found.left.concat());
    let object = object(&["login=taro"]);
    let created = |on_delete| op(reversed(ExportOp::Add, on_delete, Some(&object)));
    assert_eq!(created(OnDelete::Disable), Ok(ExportOp::Disable));
    assert_eq!(created(OnDelete::Delete), Ok(ExportOp::Delete));
    assert!(created(OnDelete::Keep).is_err());
    let deleted = op(reversed(ExportOp::Delete, OnDelete::Delete, None));
    assert_eq!(deleted, Err("it was deleted".to_owned()));
}

#[test]
fn several_exports_of_one_plan_are_taken_back_from_the_newest_on() {
    let (first, second) = ([replace("title", &["b"])], [replace("title", &["c"])]);
    let (was, between) = (attributes(&["title=a"]), attributes(&["title=b"]));
    let op = ExportOp::Update;
    let done = [
        Done { op, changes: &second, before: &between },
        Done { op, changes: &first, before: &was },
    ];
    let (object, rules) = (object(&["title=c"]), rules(OnDelete::Keep));
    let found = reverse(&done, Some(&object), &rules.connectors[0], &rules, &mut |_| true);
    let after = found.export.map(|export| export.apply_to(&object.attributes));
    assert_eq!(after, Some(was));
}
