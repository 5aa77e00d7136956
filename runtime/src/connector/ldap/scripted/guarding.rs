//! Hostile bytes in the middle of a listing: the guard's verdicts.

use super::*;

/// What the guard says to one answer, and of which message: `Kind @id: text`.
async fn verdict(answer: Answer) -> String {
    let server = Scripted::start(vec![root(), page(&[1], b"c"), answer], After::HangUp);
    let mut directory = LdapDirectory::new(options(&server.url, ServerKind::Generic));
    let (text, _) = polled(&mut directory, &BTreeMap::new()).await;
    assert!(!text.contains("end 1"), "a listing ended: {text}");
    let last = text.lines().next_back().unwrap_or_default();
    let (kind, text) = last.split_once(": ").unwrap();
    match text.split_once(" (message ") {
        Some((text, place)) => {
            format!("{kind} @{}: {text}", place.split(',').next().unwrap_or_default())
        }
        None => format!("{kind}: {text}"),
    }
}

async fn check(cases: Vec<(Answer, &str)>) {
    for (answer, expected) in cases {
        assert_eq!(verdict(answer).await, expected);
    }
}

#[tokio::test]
async fn l31_hostile_lengths_and_depths_are_refused_before_they_are_followed() {
    let deep = (0..70).fold(vec![], |inner: Vec<u8>, _| put(SEQUENCE, &inner));
    let length = "a length is indefinite, too long or does not fit its parent";
    let cases: [(Vec<u8>, String); 6] = [
        (deep, "elements are nested deeper than 64".to_owned()),
        (
            vec![0x30, 0x84, 0x7f, 0xff, 0xff, 0xf0],
            "a message of 2147483638 bytes was announced, 67108864 are allowed".to_owned(),
        ),
        (vec![0x30, 4, 2, 9, 1, 0x65], length.to_owned()),
        (vec![0x30, 0x80, 0, 0], length.to_owned()),
        (vec![0x3f, 0x1f], "unexpected tag".to_owned()),
        (vec![0x30, 0], "an element ends too early".to_owned()),
    ];
    for (bytes, expected) in cases {
        assert_eq!(verdict(raw(|_| bytes)).await, format!("Protocol @0: {expected}"));
    }
}

#[tokio::test]
async fn l32_hostile_shapes_are_refused_before_they_are_understood() {
    check(vec![
        (raw(|id| message(id, DONE, &[10, 1, 0], &[])), "Protocol @3: an element ends too early"),
        (raw(|id| message(id, 0x6b, &outcome(0, ""), &[])), "Protocol @3: unexpected operation"),
        (
            raw(|id| message(id, ENTRY, &[4, 1, 0xff, 0x30, 0], &[])),
            "Protocol @3: unexpected bytes in a text",
        ),
    ])
    .await;
}

#[tokio::test]
async fn l33_answers_that_fit_no_request_are_refused() {
    let success = || outcome(0, "");
    let text = "the answer fits no request";
    let at = |id: i32| format!("Protocol @{id}: {text}");
    check(vec![
        (raw(|_| done(77, 0)), &at(77)),
        // A request that was answered before.
        (raw(|id| done(id - 1, 0)), &at(2)),
        (raw(move |id| message(id, BIND_ANSWER, &success(), &[])), &at(3)),
        (raw(move |id| message(id, EXTENDED_ANSWER, &success(), &[])), &at(3)),
        (raw(|_| done(0, 0)), &at(0)),
    ])
    .await;
}

#[tokio::test]
async fn l28_a_notice_of_disconnection_says_why() {
    let notice = |oid: &str| [outcome(52, "maintenance"), put(0x8a, oid.as_bytes())].concat();
    let inside = notice("1.3.6.1.4.1.1466.20036");
    let other = notice("1.2.3");
    let outside = move |_| {
        let answer = put(EXTENDED_ANSWER, &outcome(52, "maintenance"));
        let name = put(0x8a, b"1.3.6.1.4.1.1466.20036");
        put(SEQUENCE, &[put_integer(0), answer, name].concat())
    };
    let reason = "Unavailable: the server ends the connection: maintenance (52)";
    check(vec![
        (raw(move |_| message(0, EXTENDED_ANSWER, &inside, &[])), reason),
        (raw(outside), reason),
        // Others are passed over (RFC 4511 4.4): what ends this stream is its end.
        (
            raw(move |_| message(0, EXTENDED_ANSWER, &other, &[])),
            "Unavailable: the connection was closed",
        ),
    ])
    .await;
}

#[tokio::test]
async fn l31_a_message_may_be_as_large_as_the_limit_and_not_one_byte_larger() {
    let large = |id| {
        let value = vec![b'x'; 1_000];
        message(id, ENTRY, &entry("cn=a,dc=x", &[("cn", &[&value[..]])]), &[])
    };
    let exactly = large(2).len();
    for (message_bytes, expected) in [
        (exactly, "Config: an entry has no readable `entryUUID`"),
        (exactly - 1, "are allowed (message 0, byte"),
    ] {
        let server = Scripted::start(vec![root(), raw(large)], After::HangUp);
        let limits = Limits { message_bytes, ..Limits::default() };
        let options = LdapOptions { limits, ..options(&server.url, ServerKind::Generic) };
        let (text, _) = polled(&mut LdapDirectory::new(options), &BTreeMap::new()).await;
        assert!(text.contains(expected), "{text}");
    }
}
