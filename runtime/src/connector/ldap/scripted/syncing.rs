//! Deltas by RFC 4533: the table of ldap.md 6.4, row by row.

use super::*;

const CSN: &str = "20260101000000.000000Z#000000#000#000000";

fn known(url: &str) -> SourceState {
    SourceState {
        config_hash: options(url, ServerKind::OpenLdap).config_hash("dc=x"),
        server: format!("{url} 000"),
        cookie: Some(b"old".to_vec()),
        generation: 4,
        objects: 3,
        ..SourceState::default()
    }
}

/// A delta after a known state, answered with this; then, if it comes to that, listings.
async fn delta_of(
    change: fn(&mut SourceState),
    answers: Vec<Answer>,
) -> (String, Option<SourceState>) {
    let answers = [root(), context_csn(CSN)].into_iter().chain(answers).collect();
    let server = Scripted::start(answers, After::HangUp);
    let mut directory = LdapDirectory::new(options(&server.url, ServerKind::Auto));
    let mut state = known(&server.url);
    change(&mut state);
    let states = [("dc=x".to_owned(), state)].into();
    polled(&mut directory, &states).await
}

async fn delta_from(change: fn(&mut SourceState), answers: Vec<Answer>, expected: Expect) {
    expected.assert_eq(&delta_of(change, answers).await.0);
}

async fn delta(answer: impl FnOnce(i32) -> Vec<u8> + Send + 'static, expected: Expect) {
    // With `Auto` the change numbers are read once more, to find out what kind of server it is.
    delta_from(|_| (), vec![context_csn(CSN), raw(answer)], expected).await;
}

fn state(state: u8, number: u8) -> Vec<u8> {
    put(SEQUENCE, &[put(ENUMERATED, &[state]), put(OCTETS, &id(number))].concat())
}

fn sent(message_id: i32, kind: u8, number: u8) -> Vec<u8> {
    message(message_id, ENTRY, &person(number), &[(SYNC_STATE, &state(kind, number))])
}

fn info(message_id: i32, value: &[u8]) -> Vec<u8> {
    let body = [put(0x80, SYNC_INFO.as_bytes()), put(0x81, value)].concat();
    message(message_id, INTERMEDIATE, &body, &[])
}

fn id_set(deleted: bool, numbers: &[u8]) -> Vec<u8> {
    let ids: Vec<u8> = numbers.iter().flat_map(|number| put(OCTETS, &id(*number))).collect();
    let flag = put(BOOLEAN, &[if deleted { 0xff } else { 0 }]);
    put(0xa3, &[put(OCTETS, b"set"), flag, put(SET, &ids)].concat())
}

fn synced(message_id: i32, cookie: Option<&[u8]>, refresh_deletes: bool) -> Vec<u8> {
    let cookie = cookie.map(|cookie| put(OCTETS, cookie)).unwrap_or_default();
    let flag = put(BOOLEAN, &[if refresh_deletes { 0xff } else { 0 }]);
    let value = put(SEQUENCE, &[cookie, flag].concat());
    message(message_id, DONE, &outcome(0, ""), &[(SYNC_DONE, &value)])
}

#[tokio::test]
async fn l73_the_first_listing_leaves_a_cookie_made_of_the_change_numbers() {
    let server = Scripted::start(vec![root(), context_csn(CSN), page(&[1], b"")], After::HangUp);
    let mut directory = LdapDirectory::new(options(&server.url, ServerKind::OpenLdap));
    let (text, next) = polled(&mut directory, &BTreeMap::new()).await;
    expect![[r#"
        [begin 1 first] => - g1 n0
        [upsert cn=1,dc=x, end 1] => rid=000,csn=20260101000000.000000Z#000000#000#000000 g1 n1
        1 entries, 0 referrals, full true"#]]
    .assert_eq(&text);
    assert_eq!(next.unwrap().server, format!("{} 000", server.url));
}

#[tokio::test]
async fn a_delta_without_changes_writes_nothing() {
    for flag in [true, false] {
        delta(move |id| done(id, 0), expect!["0 entries, 0 referrals, full false"]).await;
        let unchanged = move |id| synced(id, Some(b"old"), flag);
        delta(unchanged, expect!["0 entries, 0 referrals, full false"]).await;
        // Something changed outside of what we see.
        delta(
            move |id| synced(id, Some(b"new"), flag),
            expect![[r#"
            [] => new g4 n3
            0 entries, 0 referrals, full false"#]],
        )
        .await;
    }
}

#[tokio::test]
async fn l70_a_delta_with_deletes_is_explicit() {
    for flag in [true, false] {
        let set = move |id| {
            [
                info(id, &id_set(true, &[7, 8])),
                sent(id, 1, 1),
                sent(id, 2, 2),
                synced(id, Some(b"new"), flag),
            ]
            .concat()
        };
        delta(
            set,
            expect![[r#"
            [delete 7, delete 8, upsert cn=1,dc=x, upsert cn=2,dc=x] => new g4 n3
            2 entries, 0 referrals, full false"#]],
        )
        .await;
    }
    delta(
        |id| [sent(id, 3, 9), synced(id, None, false)].concat(),
        expect![[r#"
        [delete 9] => old g4 n3
        0 entries, 0 referrals, full false"#]],
    )
    .await;
}

#[tokio::test]
async fn a_present_phase_sweeps_what_was_neither_named_nor_sent() {
    let present = |id| {
        [
            sent(id, 1, 1),
            info(id, &id_set(false, &[2, 3])),
            sent(id, 2, 4),
            info(id, &put(0xa2, &put(OCTETS, b"mid"))),
            synced(id, Some(b"new"), false),
        ]
        .concat()
    };
    delta(
        present,
        expect![[r#"
        [upsert cn=1,dc=x, begin 5 present-phase] => old g5 n3
        [present 1, present 2 3, upsert cn=4,dc=x, end 5] => new g5 n4
        2 entries, 0 referrals, full true"#]],
    )
    .await;
    delta(
        |id| [sent(id, 0, 2), synced(id, None, true)].concat(),
        expect![[r#"
        [begin 5 present-phase] => old g5 n3
        [present 2, end 5] => old g5 n1
        0 entries, 0 referrals, full true"#]],
    )
    .await;
    // Nobody was named: that is no evidence against anybody (L-05).
    delta(
        |id| [info(id, &put(0xa2, &[])), synced(id, None, false)].concat(),
        expect!["0 entries, 0 referrals, full false"],
    )
    .await;
}

#[tokio::test]
async fn l72_a_delta_that_is_cut_keeps_the_old_cookie_and_sweeps_nothing() {
    let cut = |id| [info(id, &id_set(false, &[2])), info(id, &put(0x80, b"new"))].concat();
    delta(
        cut,
        expect![[r#"
        [begin 5 present-phase] => old g5 n3
        Unavailable: the connection was closed"#]],
    )
    .await;
    delta(
        |id| [sent(id, 1, 1), done(id, 4)].concat(),
        expect!["Limit: the search ended with sizeLimitExceeded (4)"],
    )
    .await;
    let stateless = |id| [message(id, ENTRY, &person(1), &[]), done(id, 0)].concat();
    delta(stateless, expect!["Protocol: an entry of a synchronization has no state"]).await;
}

#[tokio::test]
async fn a_delta_of_nearly_everything_is_followed_by_a_listing() {
    let lost = || {
        raw(|id| {
            let everybody = (0..100).flat_map(|number| sent(id, 1, number));
            everybody.chain(synced(id, Some(b"new"), true)).collect()
        })
    };
    // 100 of 111 are 90 %, 100 of 112 are not.
    let answers = vec![context_csn(CSN), lost(), page(&[1], b"")];
    let (text, next) = delta_of(|state| state.objects = 111, answers).await;
    let next = next.unwrap();
    assert!(text.contains("begin 6 suspicious-delta"), "{text}");
    assert_eq!((next.generation, next.objects), (6, 1));
    let (text, next) = delta_of(|state| state.objects = 112, vec![context_csn(CSN), lost()]).await;
    assert!(text.ends_with("100 entries, 0 referrals, full false"), "{text}");
    assert_eq!(next.unwrap().cookie.as_deref(), Some(&b"new"[..]));
}

#[tokio::test]
async fn a_refused_cookie_leads_to_a_listing_at_once() {
    let refused = |id| {
        let body = [put(ENUMERATED, &[0x10, 0]), put(OCTETS, b""), put(OCTETS, b"")].concat();
        message(id, DONE, &body, &[])
    };
    delta_from(
        |_| (),
        vec![context_csn(CSN), raw(refused), page(&[1], b"")],
        expect![[r#"
        [begin 6 cookie-refused] => - g6 n3
        [upsert cn=1,dc=x, end 6] => rid=000,csn=20260101000000.000000Z#000000#000#000000 g6 n1
        1 entries, 0 referrals, full true"#]],
    )
    .await;
}

#[tokio::test]
async fn l75_a_server_behind_our_state_is_given_one_poll_and_then_listed() {
    let behind = || raw(|id| done(id, 53));
    delta_from(
        |_| (),
        vec![context_csn(CSN), behind()],
        expect![[r#"
        [] => old g4 n3 behind
        0 entries, 0 referrals, full false"#]],
    )
    .await;
    delta_from(
        |s| s.behind = true,
        vec![context_csn(CSN), behind(), page(&[1], b"")],
        expect![[r#"
        [begin 6 server-behind] => - g6 n3 behind
        [upsert cn=1,dc=x, end 6] => rid=000,csn=20260101000000.000000Z#000000#000#000000 g6 n1
        1 entries, 0 referrals, full true"#]],
    )
    .await;
    delta_from(
        |s| s.behind = true,
        vec![context_csn(CSN), raw(|id| done(id, 0))],
        expect![[r#"
        [] => old g4 n3
        0 entries, 0 referrals, full false"#]],
    )
    .await;
}

#[tokio::test]
async fn l44_another_configuration_is_listed_anew() {
    delta_from(
        |s| s.config_hash = "other".into(),
        vec![context_csn(CSN), page(&[1], b"")],
        expect![[r#"
        [begin 5 config-changed] => old g5 n3
        [upsert cn=1,dc=x, end 5] => rid=000,csn=20260101000000.000000Z#000000#000#000000 g5 n1
        1 entries, 0 referrals, full true"#]],
    )
    .await;
}

#[tokio::test]
async fn l05_a_base_that_shows_nothing_any_more_deletes_nothing() {
    delta_from(
        |s| s.config_hash = "other".into(),
        vec![context_csn(CSN), page(&[], b"")],
        expect![[r#"
        [begin 5 config-changed] => old g5 n3
        Config: the base shows nothing, where it showed 3 objects"#]],
    )
    .await;
}
