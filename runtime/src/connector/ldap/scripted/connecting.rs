//! Binds, STARTTLS, time-outs, and what is never sent.

use super::*;

#[tokio::test]
async fn l23_l26_a_silent_server_is_left_in_time_with_an_abandon() {
    let server = Scripted::start(vec![root(), raw(|_| vec![])], After::Stay);
    let limits = Limits { first_answer: Duration::from_millis(50), ..Limits::default() };
    let options = LdapOptions { limits, ..options(&server.url, ServerKind::Generic) };
    let mut directory = LdapDirectory::new(options);
    let (text, _) = polled(&mut directory, &BTreeMap::new()).await;
    expect![[r#"
        [begin 1 first] => - g1 n0
        Unavailable: the first answer to a search took longer than 50 ms"#]]
    .assert_eq(&text);
    let asked = server.asked().await;
    assert_eq!(asked[2..], [ABANDON, UNBIND]);
}

#[tokio::test]
async fn the_guard_lets_no_write_operation_out() {
    let server = Scripted::start(vec![], After::Stay);
    let mut connection =
        Connection::open(&options(&server.url, ServerKind::Generic)).await.unwrap();
    connection.ldap.delete("dc=x").await.unwrap_err();
    let Failure::Protocol(text) = connection.ended() else { panic!("not refused") };
    assert!(text.contains("operation 0x4a is not for reading"), "{text}");
    drop(connection);
    assert!(server.asked().await.is_empty());
}

fn with_password(options: LdapOptions, password: &str) -> LdapOptions {
    let password = Arc::new(Secret::new(password.to_owned()));
    LdapOptions { bind: Bind::Simple { dn: "cn=sync,dc=x".into(), password }, ..options }
}

#[tokio::test]
async fn l22_a_refused_bind_is_tried_once() {
    let refusal = raw(|id| message(id, BIND_ANSWER, &outcome(49, "no"), &[]));
    let server = Scripted::start(vec![refusal], After::Stay);
    let options = with_password(options(&server.url, ServerKind::Generic), "wrong");
    let mut directory = LdapDirectory::new(options);
    let first = "Refused: the bind ended with invalidCredentials (49, `no`)";
    for expected in [first.to_owned(), format!("{first}; not tried again until it changes")] {
        assert_eq!(polled(&mut directory, &BTreeMap::new()).await.0, expected);
    }
    drop(directory);
    assert_eq!(server.asked().await, [message::BIND, UNBIND]);
}

#[tokio::test]
async fn l21_an_empty_password_is_never_sent() {
    let server = Scripted::start(vec![], After::Stay);
    let options = with_password(options(&server.url, ServerKind::Generic), "");
    let (text, _) = polled(&mut LdapDirectory::new(options), &BTreeMap::new()).await;
    expect!["Refused: the bind password is empty"].assert_eq(&text);
    assert_eq!(server.asked().await, [UNBIND]);
}

#[tokio::test]
async fn hostile_bytes_in_answer_to_the_bind_are_refused_too() {
    let hostile = raw(|id| message(id, BIND_ANSWER, &[10, 1, 0, 4, 0], &[]));
    let server = Scripted::start(vec![hostile], After::HangUp);
    let options = with_password(options(&server.url, ServerKind::Generic), "secret");
    let (text, _) = polled(&mut LdapDirectory::new(options), &BTreeMap::new()).await;
    expect!["Protocol: an element ends too early (message 1, byte 0)"].assert_eq(&text);
}

#[tokio::test]
async fn l37_starttls_takes_no_byte_before_the_handshake() {
    for (answer, expected) in [
        (
            raw(|id| [message(id, EXTENDED_ANSWER, &outcome(0, ""), &[]), vec![0x30]].concat()),
            "Protocol: bytes follow the STARTTLS answer before the handshake",
        ),
        (
            raw(|id| message(id, EXTENDED_ANSWER, &outcome(2, "unsupported"), &[])),
            "Tls: STARTTLS was refused (2): `unsupported`",
        ),
        (
            raw(|id| message(id, BIND_ANSWER, &outcome(0, ""), &[])),
            "Protocol: the answer fits no request",
        ),
    ] {
        let server = Scripted::start(vec![answer], After::HangUp);
        let options = LdapOptions { starttls: true, ..options(&server.url, ServerKind::Generic) };
        let (text, _) = polled(&mut LdapDirectory::new(options), &BTreeMap::new()).await;
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn l20_another_machine_is_not_spoken_to_in_clear() {
    let mut directory = LdapDirectory::new(options("ldap://192.0.2.1", ServerKind::Generic));
    let (text, _) = polled(&mut directory, &BTreeMap::new()).await;
    expect!["Config: the connection would not be encrypted"].assert_eq(&text);
}

#[tokio::test]
async fn the_next_server_is_tried_when_one_cannot_be_reached() {
    let server = Scripted::start(vec![root(), page(&[1], b"")], After::HangUp);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = options(&server.url, ServerKind::Generic);
    options.urls.insert(0, format!("ldap://{closed}"));
    let (text, _) = polled(&mut LdapDirectory::new(options), &BTreeMap::new()).await;
    assert!(text.ends_with("1 entries, 0 referrals, full true"), "{text}");
}
