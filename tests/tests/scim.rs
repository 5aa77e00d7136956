//! Delivery against the receiver and its faults, and against servers that answer as no honest one
//! would (delivery.md 21).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use kakehi::config::secret::Secret;
use kakehi::delivery::receiver::{Fault, Receiver};
use kakehi::delivery::scim::profile::{Members, RemoveStyle};
use kakehi::delivery::scim::{Profile, ScimOptions, ScimTarget};
use kakehi::edge::{Target as _, TargetError, TargetReader as _, Written};
use kakehi_engine::object::Value;
use kakehi_engine::problem::ProblemKind;
use kakehi_tests::scim::{
    StillClock, TOKEN, change_members, create_group, create_user, delete_user, keys, options,
    target, target_with, update_user,
};
use kakehi_tests::scim_stub::ScimStub;
use serde_json::json;

const WORK: &str = r#"emails[type eq "work"].value"#;

fn receiver() -> Receiver {
    Receiver::start(TOKEN).unwrap()
}

/// The requests so far, as `METHOD /path`; queries and the ids of objects are left out.
fn summary(receiver: &Receiver) -> Vec<String> {
    let line = |request: kakehi::delivery::receiver::LoggedRequest| {
        let path = request.path.split('?').next().unwrap().to_owned();
        let endpoint = path.split('/').nth(1).unwrap();
        format!("{} {endpoint}", request.method)
    };
    receiver.requests().into_iter().map(line).collect()
}

async fn user(target: &ScimTarget, name: &str) -> String {
    target.write(&create_user(&[("userName", name)])).await.unwrap().remote_id
}

async fn users(target: &ScimTarget, count: usize) -> Vec<String> {
    let mut ids = vec![];
    for number in 0..count {
        ids.push(user(target, &format!("user-{number}")).await);
    }
    ids
}

fn members_of(receiver: &Receiver) -> Vec<String> {
    let groups = receiver.groups();
    let members = groups[0]["members"].as_array().cloned().unwrap_or_default();
    members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
}

fn kind_of(error: TargetError) -> String {
    match error {
        TargetError::Unavailable { .. } => "unavailable".into(),
        TargetError::Refused { .. } => "refused".into(),
        TargetError::InDoubt { .. } => "in doubt".into(),
        TargetError::Rejected { kind, .. } => kind.to_string(),
        TargetError::Protocol { .. } => "protocol".into(),
    }
}

#[tokio::test]
async fn w05_a_write_whose_answer_shows_the_object_costs_one_request() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let id = user(&target, "taro").await;
    let op = update_user(&id, &[("title", "Master"), (WORK, ""), ("name.familyName", "Kakehi")]);
    assert_eq!(target.write(&op).await.unwrap(), Written { remote_id: id, diverging: vec![] });
    assert_eq!(summary(&receiver), ["POST Users", "PATCH Users"]);
    assert_eq!(receiver.users()[0]["name"], json!({ "familyName": "Kakehi" }));
}

#[tokio::test]
async fn an_element_that_is_not_there_yet_is_added_after_a_look_at_the_object() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let id = user(&target, "taro").await;
    let written = target.write(&update_user(&id, &[(WORK, "taro@example.jp")])).await.unwrap();
    assert_eq!(written.diverging, []);
    let emails = &receiver.users()[0]["emails"];
    assert_eq!(*emails, json!([{ "type": "work", "value": "taro@example.jp" }]));
    let expected = ["POST Users", "PATCH Users", "GET Users", "PATCH Users"];
    assert_eq!(summary(&receiver), expected);
    target.write(&update_user(&id, &[(WORK, "t@example.jp")])).await.unwrap();
    assert_eq!(summary(&receiver).len(), 5);
}

#[tokio::test]
async fn w06_members_are_removed_in_the_way_the_target_takes_and_that_way_is_remembered() {
    let receiver = receiver();
    let members = Members { replace_members_max: 10, ..Members::default() };
    let target = target_with(&receiver.base_url(), Profile { members, ..Profile::default() });
    let ids = users(&target, 3).await;
    let group = target.write(&create_group("g", &ids)).await.unwrap().remote_id;
    receiver.fail_next("PATCH", Fault::Status(501, vec![]));
    let removed = target.write(&change_members(&group, &[], &ids[..1])).await.unwrap();
    assert_eq!(removed.diverging, []);
    assert_eq!(members_of(&receiver), ids[1..]);
    let before = receiver.requests().len();
    target.write(&change_members(&group, &[], &ids[1..2])).await.unwrap();
    // The receiver refuses value arrays: what worked is the replacement, which reads the list
    // first.
    assert_eq!(summary(&receiver)[before..], ["GET Groups", "PATCH Groups"]);
    assert_eq!(members_of(&receiver), ids[2..]);
}

#[tokio::test]
async fn w06_a_list_is_never_replaced_where_the_profile_does_not_allow_it() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let ids = users(&target, 2).await;
    let group = target.write(&create_group("g", &ids)).await.unwrap().remote_id;
    receiver.fail_next("PATCH", Fault::Status(501, vec![]));
    let error = target.write(&change_members(&group, &[], &ids[..1])).await.unwrap_err();
    assert_eq!(kind_of(error), "invalid-value");
    assert_eq!(members_of(&receiver), ids);
}

#[tokio::test]
async fn w06_who_is_no_member_any_more_need_not_be_removed() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let ids = users(&target, 2).await;
    let group = target.write(&create_group("g", &ids[..1])).await.unwrap().remote_id;
    receiver.fail_next("PATCH", Fault::Refuse(400, "noTarget"));
    let op = change_members(&group, &[], &ids[1..]);
    assert_eq!(target.write(&op).await.unwrap().diverging, []);
    assert_eq!(members_of(&receiver), ids[..1]);
}

#[tokio::test]
async fn a_server_that_takes_a_list_of_leavers_for_everybody_gets_the_others_back() {
    let ids = ["0", "1", "2"].map(str::to_owned);
    let lists = [vec![0, 1, 2], vec![], vec![1, 2]];
    let mut patches = 0;
    let stub = ScimStub::start(move |request| match request.split(' ').next() {
        Some("PATCH") => {
            patches += 1;
            let status = if patches == 1 { 501 } else { 204 };
            (status, "", String::new())
        }
        _ => {
            let list: &[usize] = match patches {
                0 | 1 => &lists[0],
                2 => &lists[1],
                _ => &lists[2],
            };
            let members: Vec<_> = list.iter().map(|i| json!({ "value": i.to_string() })).collect();
            (200, "", json!({ "id": "g", "displayName": "g", "members": members }).to_string())
        }
    });
    let target = target(&stub.base_url());
    let error = target.write(&change_members("g", &[], &ids[..1])).await.unwrap_err();
    assert_eq!(kind_of(error), "in doubt");
    let patched = stub.requests().iter().filter(|line| line.starts_with("PATCH")).count();
    assert_eq!(patched, 3, "filter, value array, and the others put back");
}

#[tokio::test]
async fn w07_what_a_target_says_yes_to_and_does_not_show_is_tried_once_more() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let id = user(&target, "taro").await;
    receiver.fail_next("PATCH", Fault::Lie);
    let written = target.write(&update_user(&id, &[("title", "Master")])).await.unwrap();
    assert_eq!(written.diverging, []);
    assert_eq!(receiver.users()[0]["title"], "Master");
    receiver.fail_next("PATCH", Fault::Lie);
    receiver.fail_next("PATCH", Fault::Lie);
    let op = update_user(&id, &[("title", "Servant"), ("nickName", "")]);
    assert_eq!(target.write(&op).await.unwrap().diverging, ["title".into()]);
}

#[tokio::test]
async fn without_patch_the_object_is_read_merged_and_put() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let id = target
        .write(&create_user(&[("userName", "taro"), ("externalId", "7"), (WORK, "t@example.jp")]))
        .await
        .unwrap()
        .remote_id;
    receiver.fail_next("PATCH", Fault::Status(405, vec![]));
    target.write(&update_user(&id, &[("title", "Master")])).await.unwrap();
    target.write(&update_user(&id, &[("title", "")])).await.unwrap();
    let expected =
        ["POST", "PATCH", "GET", "PUT", "GET", "PUT"].map(|verb| format!("{verb} Users"));
    assert_eq!(summary(&receiver), expected);
    let user = &receiver.users()[0];
    assert_eq!((&user["externalId"], &user["title"]), (&json!("7"), &json!(null)));
    assert_eq!(user["emails"][0]["value"], "t@example.jp");
}

#[tokio::test]
async fn answers_are_sorted_into_what_follows_from_them() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let id = user(&target, "taro").await;
    for (fault, expected) in [
        (Fault::DropBefore, "in doubt"),
        (Fault::DropAfter, "in doubt"),
        (Fault::Html, "in doubt"),
        (Fault::Status(502, vec![]), "in doubt"),
        (Fault::Status(403, vec![]), "refused"),
        (Fault::Status(302, vec![("location", "http://127.0.0.1:1/".into())]), "protocol"),
        (Fault::Refuse(409, "uniqueness"), "duplicate-value"),
        (Fault::Refuse(400, "mutability"), "invalid-value"),
        (Fault::Status(412, vec![]), "stale-version"),
        (Fault::Status(404, vec![]), "target-missing"),
        (Fault::Status(500, vec![]), "invalid-value"),
    ] {
        let text = format!("{fault:?}");
        receiver.fail_next("PATCH", fault);
        let error = target.write(&update_user(&id, &[("title", "x")])).await.unwrap_err();
        assert_eq!(kind_of(error), expected, "{text}");
    }
    let wrong = self::target(&receiver.base_url());
    wrong.set_token(Arc::new(Secret::new("wrong".into())));
    assert_eq!(kind_of(wrong.read(&"User".into(), &id).await.unwrap_err()), "refused");
    wrong.set_token(Arc::new(Secret::new(TOKEN.into())));
    assert!(wrong.read(&"User".into(), &id).await.unwrap().is_some());
    let closed = receiver.base_url();
    drop(receiver);
    let error = self::target(&closed).write(&delete_user(&id)).await.unwrap_err();
    assert_eq!(kind_of(error), "unavailable");
}

#[tokio::test]
async fn deleting_what_is_not_there_succeeds_and_changing_it_does_not() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let id = user(&target, "taro").await;
    for _ in 0..2 {
        let deleted = target.write(&delete_user(&id)).await.unwrap();
        assert_eq!(deleted.remote_id, id);
    }
    assert_eq!(target.read(&"User".into(), &id).await.unwrap(), None);
    let error = target.write(&update_user(&id, &[("title", "x")])).await.unwrap_err();
    assert_eq!(kind_of(error), "target-missing");
}

#[tokio::test]
async fn w16_an_add_whose_answer_was_lost_is_not_sent_again() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let ids = users(&target, 1).await;
    let group = target.write(&create_group("g", &[])).await.unwrap().remote_id;
    receiver.fail_next("PATCH", Fault::DropAfter);
    let error = target.write(&change_members(&group, &ids, &[])).await.unwrap_err();
    assert_eq!(kind_of(error), "in doubt");
    let patched = summary(&receiver).iter().filter(|line| line.starts_with("PATCH")).count();
    assert_eq!(patched, 1);
    let shown = target.read(&"Group".into(), &group).await.unwrap().unwrap();
    assert_eq!(shown.attributes["members"], [Value::Reference(ids[0].clone())]);
}

#[tokio::test]
async fn a_write_that_is_not_answered_in_time_is_in_doubt() {
    let receiver = receiver();
    let id = user(&target(&receiver.base_url()), "taro").await;
    let mut options = options(&receiver.base_url(), Profile::default());
    options.total_timeout = Duration::from_millis(50);
    let hasty = ScimTarget::new(options).unwrap();
    let (release, held) = tokio::sync::oneshot::channel();
    receiver.fail_next("PATCH", Fault::Hold(held));
    let error = hasty.write(&update_user(&id, &[("title", "x")])).await.unwrap_err();
    assert_eq!(kind_of(error), "in doubt");
    assert_eq!(hasty.window(), 2);
    drop(release);
}

#[tokio::test]
async fn w17_an_object_the_target_refuses_stops_no_other() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let ids = users(&target, 2).await;
    receiver.fail_next("PATCH", Fault::Refuse(400, "mutability"));
    let refused = target.write(&update_user(&ids[0], &[("userName", "new-0")])).await;
    assert_eq!(kind_of(refused.unwrap_err()), "invalid-value");
    target.write(&update_user(&ids[1], &[("userName", "new-1")])).await.unwrap();
    assert_eq!(receiver.users()[1]["userName"], "new-1");
}

#[tokio::test]
async fn w18_a_target_that_asks_for_a_pause_gets_it() {
    let receiver = receiver();
    let clock = Arc::new(StillClock::default());
    let mut options = options(&receiver.base_url(), Profile::default());
    options.clock = clock.clone();
    let target = ScimTarget::new(options).unwrap();
    for header in ["120", "Thu, 01 Jan 1970 00:04:00 GMT"] {
        let seen = receiver.requests().len();
        receiver.fail_next("GET", Fault::Status(429, vec![("retry-after", header.into())]));
        for (waited, left) in [(0, 120), (60, 60)] {
            clock.advance(Duration::from_secs(waited));
            let error = target.read(&"User".into(), "1").await.unwrap_err();
            let TargetError::Unavailable { retry_after, .. } = error else { panic!("{error}") };
            assert_eq!(retry_after, Some(Duration::from_secs(left)), "{header}");
        }
        assert_eq!(receiver.requests().len(), seen + 1);
        clock.advance(Duration::from_secs(60));
        assert_eq!(target.read(&"User".into(), "1").await.unwrap(), None);
    }
    assert!(target.window() < 4);
}

#[tokio::test]
async fn w27_ids_are_one_segment_and_dot_segments_are_never_sent() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    assert_eq!(target.read(&"User".into(), "a@b/../c d").await.unwrap(), None);
    let expected = "/Users/a%40b%2F..%2Fc%20d?excludedAttributes=groups";
    assert_eq!(receiver.requests()[0].path, expected);
    for id in ["", ".", ".."] {
        let error = target.write(&delete_user(id)).await.unwrap_err();
        assert_eq!(kind_of(error), "protocol", "{id}");
    }
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn w30_looking_up_and_reading_sends_gets_only() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let id = user(&target, "taro").await;
    let reader = target.reader();
    for count in [1, 50] {
        let wanted = vec![keys(&[("externalId", "none"), ("userName", "TARO")]); count];
        let found = reader.find(&"User".into(), &wanted).await.unwrap();
        assert!(found.iter().all(|hits| hits.len() == 1 && hits[0].remote_id == id), "{count}");
    }
    assert!(summary(&receiver)[1..].iter().all(|line| line == "GET Users"));
}

#[tokio::test]
async fn w35_a_request_that_is_too_large_is_halved_down_to_one_member() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let ids = users(&target, 4).await;
    let group = target.write(&create_group("g", &[])).await.unwrap().remote_id;
    for _ in 0..2 {
        receiver.fail_next("PATCH", Fault::Status(413, vec![]));
    }
    target.write(&change_members(&group, &ids, &[])).await.unwrap();
    assert_eq!(members_of(&receiver), ids);
    receiver.fail_next("PATCH", Fault::Status(413, vec![]));
    let error = target.write(&change_members(&group, &[], &ids[..1])).await.unwrap_err();
    assert_eq!(kind_of(error), "too-large");
}

#[tokio::test]
async fn a_large_group_is_created_in_chunks() {
    let receiver = receiver();
    let members = Members { max_per_request: 2, ..Members::default() };
    let target = target_with(&receiver.base_url(), Profile { members, ..Profile::default() });
    let ids = users(&target, 5).await;
    target.write(&create_group("g", &ids)).await.unwrap();
    assert_eq!(members_of(&receiver), ids);
    let expected = ["POST", "PATCH", "PATCH", "PATCH"].map(|verb| format!("{verb} Groups"));
    assert_eq!(summary(&receiver)[5..], expected);
}

#[tokio::test]
async fn a_failure_after_the_first_chunk_leaves_the_group_in_doubt() {
    let receiver = receiver();
    let members = Members { max_per_request: 1, ..Members::default() };
    let target = target_with(&receiver.base_url(), Profile { members, ..Profile::default() });
    let ids = users(&target, 2).await;
    receiver.fail_next("PATCH", Fault::Status(503, vec![]));
    let error = target.write(&create_group("g", &ids)).await.unwrap_err();
    assert_eq!(kind_of(error), "in doubt");
}

#[tokio::test]
async fn pf16_matching_many_against_an_empty_target_costs_at_most_ten_requests() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let wanted: Vec<_> = (0..500).map(|n| keys(&[("externalId", &n.to_string())])).collect();
    for class in ["User", "Group"] {
        let found = target.find(&class.into(), &wanted).await.unwrap();
        assert!(found.iter().all(Vec::is_empty));
    }
    assert!(receiver.requests().len() <= 10, "{:?}", summary(&receiver));
}

#[tokio::test]
async fn a_listing_holds_for_a_cycle_and_a_conflict_makes_it_look_again() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    let wanted: Vec<_> = (0..20).map(|n| keys(&[("userName", &format!("user-{n}"))])).collect();
    let class = "User".into();
    assert!(target.find(&class, &wanted).await.unwrap().iter().all(Vec::is_empty));
    let id = user(&self::target(&receiver.base_url()), "user-3").await;
    assert!(target.find(&class, &wanted).await.unwrap()[3].is_empty());
    let error = target.write(&create_user(&[("userName", "USER-3")])).await.unwrap_err();
    assert!(matches!(error, TargetError::Rejected { kind: ProblemKind::DuplicateValue, .. }));
    assert_eq!(target.find(&class, &wanted[3..4]).await.unwrap()[0][0].remote_id, id);
    target.begin_cycle().await;
    assert_eq!(target.find(&class, &wanted).await.unwrap()[3][0].remote_id, id);
}

#[tokio::test]
async fn two_objects_with_one_key_are_both_found() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    for name in ["a", "b"] {
        let op = create_user(&[("userName", name), ("externalId", "same")]);
        target.write(&op).await.unwrap();
    }
    for count in [1, 20] {
        let wanted = vec![keys(&[("externalId", "same"), ("userName", "a")]); count];
        assert_eq!(target.find(&"User".into(), &wanted).await.unwrap()[0].len(), 2);
    }
    let other_case = [keys(&[("externalId", "SAME")])];
    assert_eq!(target.find(&"User".into(), &other_case).await.unwrap(), [vec![]]);
}

#[test]
fn options_that_cannot_work_are_refused_before_anything_is_sent() {
    let valid = || options("http://127.0.0.1:1", Profile::default());
    let empty = tempfile::NamedTempFile::new().unwrap();
    for (options, expected) in [
        (ScimOptions { allow_loopback: false, ..valid() }, "its address is not permitted"),
        (ScimOptions { base_url: "cloud".into(), ..valid() }, "it is no URL"),
        (ScimOptions { ca: Some("no-such-file".into()), ..valid() }, "no-such-file"),
        (ScimOptions { ca: Some(empty.path().into()), ..valid() }, "it holds no certificate"),
        (ScimOptions { token: Arc::new(Secret::new("a\nb".into())), ..valid() }, "the token"),
    ] {
        let error = ScimTarget::new(options).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_same_change_gives_the_same_bytes() {
    let receiver = receiver();
    let target = target(&receiver.base_url());
    user(&target, "taro").await;
    let body = String::from_utf8(receiver.requests()[0].body.clone()).unwrap();
    let schema = "urn:ietf:params:scim:schemas:core:2.0:User";
    assert_eq!(body, format!(r#"{{"schemas":["{schema}"],"userName":"taro"}}"#));
}

/// A server with two users that ignores every filter; `page` decides what a listing shows.
fn filterless(page: impl Fn(&str) -> (u16, Vec<u32>) + Send + 'static) -> ScimStub {
    ScimStub::start(move |request| {
        let object = |n: u32| json!({ "id": n.to_string(), "userName": format!("user-{n}") });
        let path = request.strip_prefix("GET /Users").unwrap();
        if let Some(id) = path.strip_prefix('/').and_then(|rest| rest.split('?').next()) {
            return (200, "", object(id.parse().unwrap()).to_string());
        }
        let (status, shown) = page(path);
        let objects: Vec<_> = shown.into_iter().map(object).collect();
        let list = json!({ "totalResults": 1_000_000, "Resources": objects, "nextCursor": "2" });
        (status, "Location: http://169.254.169.254/\r\n", list.to_string())
    })
}

async fn finds_the_second_user(stub: &ScimStub) {
    let target = target(&stub.base_url());
    let wanted = [keys(&[("userName", "user-2")]), keys(&[("userName", "user-9")])];
    let found = target.find(&"User".into(), &wanted).await.unwrap();
    let ids: Vec<Vec<&str>> =
        found.iter().map(|hits| hits.iter().map(|hit| hit.remote_id.as_str()).collect()).collect();
    assert_eq!(ids, [vec!["2"], vec![]], "{:?}", stub.requests());
}

#[tokio::test]
async fn w01_a_server_that_ignores_filters_is_matched_from_its_listing() {
    finds_the_second_user(&filterless(|_| (200, vec![1, 2]))).await;
}

#[tokio::test]
async fn w10_a_server_that_fails_on_counts_is_listed_in_one_piece() {
    let page = |path: &str| match path.contains("count=") {
        true => (500, vec![]),
        false => (200, vec![1, 2]),
    };
    finds_the_second_user(&filterless(page)).await;
}

#[tokio::test]
async fn w11_a_server_that_knows_cursors_only_is_listed_by_cursor() {
    let page = |path: &str| match path {
        path if path.contains("startIndex=") => (501, vec![]),
        path if path.contains("cursor=&") => (200, vec![1]),
        _ => (200, vec![2]),
    };
    finds_the_second_user(&filterless(page)).await;
}

#[tokio::test]
async fn w12_a_listing_that_repeats_itself_past_its_end_ends() {
    let page = |path: &str| match path {
        path if path.contains("count=1&") || path.contains("startIndex=1&") => (200, vec![1]),
        _ => (200, vec![2]),
    };
    finds_the_second_user(&filterless(page)).await;
}

#[tokio::test]
async fn a_removal_style_of_the_profile_comes_first() {
    let receiver = receiver();
    let members =
        Members { remove: RemoveStyle::Replace, replace_members_max: 10, ..Members::default() };
    let target = target_with(&receiver.base_url(), Profile { members, ..Profile::default() });
    let ids = users(&target, 2).await;
    let group = target.write(&create_group("g", &ids)).await.unwrap().remote_id;
    target.write(&change_members(&group, &[], &ids[..1])).await.unwrap();
    let body = receiver.requests().last().unwrap().body.clone();
    assert!(String::from_utf8(body).unwrap().contains(r#""op":"replace""#));
    assert_eq!(members_of(&receiver), ids[1..]);
}
