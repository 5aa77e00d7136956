//! Listings: what a page may hold, and what ends them.

use super::*;

/// A first listing on a generic server whose page answers are these.
async fn list(answers: Vec<Answer>, expected: Expect) {
    list_within(Limits::default(), answers, expected).await;
}

async fn list_within(limits: Limits, answers: Vec<Answer>, expected: Expect) {
    let answers = std::iter::once(root()).chain(answers).collect();
    let server = Scripted::start(answers, After::HangUp);
    let options = LdapOptions { limits, ..options(&server.url, ServerKind::Generic) };
    let mut directory = LdapDirectory::new(options);
    let (text, _) = polled(&mut directory, &BTreeMap::new()).await;
    expected.assert_eq(&text);
}

#[tokio::test]
async fn l04_a_listing_ends_only_after_its_last_page() {
    list(
        vec![page(&[1, 2], b"c"), page(&[3], b"")],
        expect![[r#"
            [begin 1 first] => - g1 n0
            [upsert cn=1,dc=x, upsert cn=2,dc=x, upsert cn=3,dc=x, end 1] => - g1 n3
            3 entries, 0 referrals, full true"#]],
    )
    .await;
    list(
        vec![page(&[1], b"c"), page(&[], b"d"), page(&[3], b"")],
        expect![[r#"
            [begin 1 first] => - g1 n0
            [upsert cn=1,dc=x, upsert cn=3,dc=x, end 1] => - g1 n2
            2 entries, 0 referrals, full true"#]],
    )
    .await;
}

#[tokio::test]
async fn l04_an_incomplete_listing_deletes_nothing() {
    let cut = |id| {
        let whole = message(id, ENTRY, &person(2), &[]);
        [message(id, ENTRY, &person(1), &[]), whole[..whole.len() - 1].to_vec()].concat()
    };
    let limited = |id| [message(id, ENTRY, &person(1), &[]), done(id, 4)].concat();
    list(
        vec![page(&[1], b"c"), raw(cut)],
        expect![[r#"
        [begin 1 first] => - g1 n0
        Unavailable: the connection was closed"#]],
    )
    .await;
    list(
        vec![raw(limited)],
        expect![[r#"
        [begin 1 first] => - g1 n0
        Limit: the search ended with sizeLimitExceeded (4)"#]],
    )
    .await;
    list(
        vec![raw(|id| done(id, 32))],
        expect![[r#"
        [begin 1 first] => - g1 n0
        Config: the search ended with noSuchObject (32)"#]],
    )
    .await;
    list(
        vec![raw(|id| done(id, 0))],
        expect![[r#"
        [begin 1 first] => - g1 n0
        Protocol: the answer to a paged search has no page control"#]],
    )
    .await;
    let nameless = |id| message(id, ENTRY, &entry("cn=a,dc=x", &[("cn", &[b"a"])]), &[]);
    list(
        vec![raw(nameless)],
        expect![[r#"
        [begin 1 first] => - g1 n0
        Config: an entry has no readable `entryUUID`"#]],
    )
    .await;
}

#[tokio::test]
async fn a_listing_that_never_gets_anywhere_is_given_up() {
    let endless = (0..70).map(|_| page(&[], b"c")).collect();
    list(
        endless,
        expect![[r#"
        [begin 1 first] => - g1 n0
        Protocol: 64 pages in a row are empty"#]],
    )
    .await;
    let malformed = |id| message(id, DONE, &outcome(0, ""), &[(PAGED, b"\x30\x01\x02")]);
    list(
        vec![raw(malformed)],
        expect![[r#"
        [begin 1 first] => - g1 n0
        Protocol: an element ends too early"#]],
    )
    .await;
}

#[tokio::test]
async fn l27_referrals_are_counted_and_never_followed() {
    let referred = |id| {
        let reference = message(id, REFERENCE, &put(OCTETS, b"ldap://elsewhere/dc=y"), &[]);
        let last = message(id, DONE, &outcome(0, ""), &[(PAGED, &page_control(b""))]);
        [reference, message(id, ENTRY, &person(1), &[]), last].concat()
    };
    list(
        vec![raw(referred)],
        expect![[r#"
        [begin 1 first] => - g1 n0
        [upsert cn=1,dc=x, end 1] => - g1 n1
        1 entries, 1 referrals, full true"#]],
    )
    .await;
    let away = |id| {
        let uris = put(0xa3, &put(OCTETS, b"ldap://elsewhere/dc=y"));
        message(id, DONE, &[outcome(10, ""), uris].concat(), &[])
    };
    list(
        vec![raw(away)],
        expect![[r#"
        [begin 1 first] => - g1 n0
        Config: the search ended with referral (10), to ldap://elsewhere/dc=y"#]],
    )
    .await;
}

#[tokio::test]
async fn l34_a_window_smaller_than_every_message_still_lets_them_pass_one_by_one() {
    let limits = Limits { window_bytes: 1, ..Limits::default() };
    list_within(
        limits,
        vec![page(&[1, 2, 3], b"c"), page(&[4], b"")],
        expect![[r#"
        [begin 1 first] => - g1 n0
        [upsert cn=1,dc=x, upsert cn=2,dc=x, upsert cn=3,dc=x, upsert cn=4,dc=x, end 1] => - g1 n4
        4 entries, 0 referrals, full true"#]],
    )
    .await;
}
