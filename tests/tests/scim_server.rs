//! Delivery against scim2-server 0.8.3, a real and strict server (delivery.md 16 A, 21).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use kakehi::delivery::scim::schema::ENTERPRISE_USER;
use kakehi::delivery::scim::{Profile, ScimTarget};
use kakehi::edge::{Target as _, TargetError, TargetReader as _};
use kakehi_engine::object::Value;
use kakehi_engine::problem::ProblemKind;
use kakehi_tests::scim::{
    attributes, change_members, create_group, create_user, delete_user, keys, target_with,
    update_user,
};
use kakehi_tests::scim_server::ScimServer;
use serde_json::{Value as Json, json};

const WORK: &str = r#"emails[type eq "work"].value"#;

fn start(profile: &str) -> (ScimServer, ScimTarget) {
    let server = ScimServer::start();
    let profile = Profile::shipped(profile).unwrap();
    let target = target_with(&server.base_url(), profile);
    (server, target)
}

async fn users(target: &ScimTarget, count: usize) -> Vec<String> {
    let mut ids = vec![];
    for number in 0..count {
        let name = format!("user-{number}");
        let op = create_user(&[("userName", name.as_str()), ("externalId", name.as_str())]);
        ids.push(target.write(&op).await.unwrap().remote_id);
    }
    ids
}

/// The server lists its objects in no order of ours.
fn user(server: &ScimServer, id: &str) -> Json {
    server.resources("Users").into_iter().find(|user| user["id"] == json!(id)).unwrap()
}

fn members(server: &ScimServer) -> Vec<String> {
    let groups = server.resources("Groups");
    let members = groups[0]["members"].as_array().cloned().unwrap_or_default();
    let mut ids: Vec<String> =
        members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}

#[tokio::test]
async fn w05_creates_and_updates_are_confirmed_though_patch_answers_nothing() {
    let (server, target) = start("scim2-server");
    let department = format!("{ENTERPRISE_USER}:department");
    let manager = format!("{ENTERPRISE_USER}:manager");
    let boss = users(&target, 1).await.remove(0);
    let created = target
        .write(&create_user(&[
            ("active", "true"),
            ("displayName", "筧 太郎"),
            ("name.familyName", "筧"),
            ("userName", "Taro@example.jp"),
            (WORK, "Taro@example.jp"),
            (department.as_str(), "Water"),
        ]))
        .await
        .unwrap();
    assert_eq!(created.diverging, []);
    let updates = [
        ("active", "false"),
        ("displayName", ""),
        ("name.familyName", "Kakehi"),
        ("name.givenName", "Taro"),
        (WORK, "taro@example.jp"),
        (department.as_str(), "Fire"),
        (manager.as_str(), boss.as_str()),
    ];
    let written = target.write(&update_user(&created.remote_id, &updates)).await.unwrap();
    assert_eq!(written.diverging, []);
    let user = user(&server, &created.remote_id);
    assert_eq!(user["active"], json!(false));
    assert_eq!(user.get("displayName"), None);
    assert_eq!(user["name"]["familyName"], "Kakehi");
    assert_eq!(user["emails"], json!([{ "type": "work", "value": "taro@example.jp" }]));
    assert_eq!(user[ENTERPRISE_USER]["department"], "Fire");
    assert_eq!(user[ENTERPRISE_USER]["manager"]["value"], json!(boss));
    let shown = target.read(&"User".into(), &created.remote_id).await.unwrap().unwrap();
    assert_eq!(shown.attributes[manager.as_str()], [Value::Reference(boss)]);
    assert_eq!(shown.attributes[WORK], [Value::text("taro@example.jp")]);
}

#[tokio::test]
async fn an_address_that_is_not_there_yet_is_added_and_removed_again() {
    let (server, target) = start("scim2-server");
    let id = users(&target, 1).await.remove(0);
    for address in ["a@example.jp", "b@example.jp", "", ""] {
        let written = target.write(&update_user(&id, &[(WORK, address)])).await.unwrap();
        assert_eq!(written.diverging, [], "{address}");
        let emails = &server.resources("Users")[0]["emails"];
        let expected = match address {
            "" => Json::Null,
            address => json!([{ "type": "work", "value": address }]),
        };
        assert_eq!(emails, &expected);
    }
}

#[tokio::test]
async fn w06_members_join_and_leave_in_chunks() {
    let (server, target) = start("scim2-server");
    let ids = users(&target, 230).await;
    let group = target.write(&create_group("all", &ids[..120])).await.unwrap();
    assert_eq!(group.diverging, []);
    let op = change_members(&group.remote_id, &ids[120..], &ids[..110]);
    assert_eq!(target.write(&op).await.unwrap().diverging, []);
    assert_eq!(members(&server), sorted(&ids[110..]));
    // Who is no member any more is no reason to fail.
    let again = change_members(&group.remote_id, &ids[120..130], &ids[..10]);
    assert_eq!(target.write(&again).await.unwrap().diverging, []);
    assert_eq!(members(&server), sorted(&ids[110..]));
}

#[tokio::test]
async fn w13_locations_of_the_server_do_not_decide_where_requests_go() {
    let (server, target) = start("scim2-server");
    let id = users(&target, 1).await.remove(0);
    let stored = &server.resources("Users")[0];
    assert!(stored["meta"]["location"].as_str().unwrap().starts_with("http"));
    let shown = target.read(&"User".into(), &id).await.unwrap().unwrap();
    let expected = attributes(&[("externalId", "user-0"), ("userName", "user-0")]);
    assert_eq!(shown.attributes, expected);
}

#[tokio::test]
async fn w25_put_only_keeps_what_nobody_manages() {
    let server = ScimServer::start();
    let profile = Profile { put_only: true, ..Profile::default() };
    let target = target_with(&server.base_url(), profile);
    let ids = users(&target, 2).await;
    target.write(&update_user(&ids[0], &[("title", "Master")])).await.unwrap();
    let user = user(&server, &ids[0]);
    assert_eq!((&user["externalId"], &user["title"]), (&json!("user-0"), &json!("Master")));
    let group = target.write(&create_group("g", &ids[..1])).await.unwrap().remote_id;
    let op = change_members(&group, &ids[1..], &ids[..1]);
    assert_eq!(target.write(&op).await.unwrap().diverging, []);
    assert_eq!(members(&server), ids[1..]);
}

#[tokio::test]
async fn objects_are_found_by_filter_and_by_listing_alike() {
    let (server, target) = start("scim2-server");
    let ids = users(&target, 12).await;
    let wanted: Vec<_> = (0..12)
        .map(|n| keys(&[("externalId", "none\"\\"), ("userName", &format!("USER-{n}"))]))
        .collect();
    for count in [1, 12] {
        let found = target.find(&"User".into(), &wanted[..count]).await.unwrap();
        for (hits, id) in found.iter().zip(&ids) {
            assert_eq!(hits.iter().map(|hit| &hit.remote_id).collect::<Vec<_>>(), [id]);
        }
    }
    let group = target.write(&create_group("g", &ids[..1])).await.unwrap().remote_id;
    let hits = target.find(&"Group".into(), &[keys(&[("displayName", "g")])]).await.unwrap();
    assert_eq!(hits[0][0].remote_id, group);
    assert_eq!(hits[0][0].attributes["members"], [Value::Reference(ids[0].clone())]);
    assert_eq!(server.resources("Users").len(), 12);
}

#[tokio::test]
async fn duplicates_invalid_values_and_missing_objects_are_told_apart() {
    let (_server, target) = start("interop-2026");
    let id = users(&target, 1).await.remove(0);
    for (op, expected) in [
        (create_user(&[("userName", "USER-0")]), ProblemKind::DuplicateValue),
        (update_user(&id, &[("userName", "")]), ProblemKind::InvalidValue),
        (update_user(&id, &[("active", "perhaps")]), ProblemKind::InvalidValue),
        (update_user(&id, &[("noSuchAttribute", "x")]), ProblemKind::InvalidValue),
        (update_user("nobody", &[("title", "x")]), ProblemKind::TargetMissing),
    ] {
        let error = target.write(&op).await.unwrap_err();
        let TargetError::Rejected { kind, .. } = error else { panic!("{error}") };
        assert_eq!(kind, expected, "{op:?}");
    }
    target.write(&delete_user(&id)).await.unwrap();
    target.write(&delete_user(&id)).await.unwrap();
}
