//! Setting passwords: at a SCIM server that says what a test wants it to, at scim2-server, and at a
//! real OpenLDAP (password.md 9 and 13).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kakehi::config::secret::Secret;
use kakehi::connector::ldap::options::FILTER;
use kakehi::connector::ldap::password::{
    ANSWER_MS_MAX, LdapPasswordOptions, LdapPasswords, LdapStyle, PasswordOptionsError,
};
use kakehi::connector::ldap::{Bind, LdapOptions, Limits, ServerKind, TlsOptions};
use kakehi::delivery::scim::password::{ScimPasswordOptions, ScimPasswords, ScimStyle};
use kakehi::delivery::scim::{OptionsError, Profile, ScimOptions};
use kakehi::edge::Target as _;
use kakehi_engine::password::{Answer, Category};
use kakehi_password::classify::Rules;
use kakehi_password::door::{Lookup, PasswordTarget, RemoteUser, Reply};
use kakehi_password::precheck;
use kakehi_password::secret::Password;
use kakehi_password::target::{DeliverAs, Find};
use kakehi_tests::scim::{TOKEN, create_user, options, target};
use kakehi_tests::scim_server::ScimServer;
use kakehi_tests::slapd::{self, READER, READER_PASSWORD, SUFFIX, Slapd};
use serde_json::{Value as Json, json};

/// Everything that is to be escaped somewhere, and a character beyond the first plane.
const PASSWORD: &str = "pä\"ss\\wo/rd <&'>%\u{7}鍵🔑";

const PERSON: &str = "cn=taro,ou=people,dc=example,dc=test";

fn password(text: &str) -> Password {
    Password::from_utf8(text.as_bytes().to_vec().into()).unwrap()
}

fn lookup(value: &str) -> Lookup {
    Lookup { value: value.to_owned(), remote_id: None }
}

fn user(id: &str) -> RemoteUser {
    RemoteUser { id: id.to_owned(), etag: None }
}

fn word(answer: &Answer) -> &'static str {
    match answer {
        Answer::Ok => "ok",
        Answer::Rejected(Category::TooShort) => "too short",
        Answer::Rejected(Category::History) => "history",
        Answer::Rejected(Category::Complexity) => "complexity",
        Answer::Rejected(_) => "rejected",
        Answer::NotFound => "not found",
        Answer::Ambiguous => "ambiguous",
        Answer::Refused => "refused",
        Answer::Unavailable { server_error: true, .. } => "server error",
        Answer::Unavailable { .. } => "unavailable",
        Answer::Uncertain => "uncertain",
    }
}

fn found(found: &Result<RemoteUser, Reply>) -> &str {
    match found {
        Ok(user) => &user.id,
        Err(reply) => word(&reply.answer),
    }
}

// === A scripted SCIM server ===

/// One request, as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    /// Counts the connections from 0.
    connection: usize,
    method: String,
    path: String,
    if_match: Option<String>,
    body: Vec<u8>,
}

enum Act {
    Say(u16, &'static str, String),
    /// The connection stays, and nothing is said.
    Hang,
    HangUp,
}

struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopping: Arc<AtomicBool>,
}

impl Seen {
    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Server {
    fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, stopping) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (log, stop, script) = (Arc::clone(&seen), Arc::clone(&stopping), Arc::new(script));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                std::thread::spawn(move || drop(serve(stream, connection, &*script, &log)));
            }
        });
        Self { address, seen, stopping }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        let line = |seen: Seen| format!("{} {}", seen.method, seen.path);
        self.seen().into_iter().map(line).collect()
    }

    fn passwords(&self, style: ScimStyle) -> ScimPasswords {
        let options = scim(style);
        ScimPasswords::new(&self.options(), options).unwrap()
    }

    fn options(&self) -> ScimOptions {
        options(&format!("http://{}", self.address), Profile::default())
    }

    /// As [`Server::passwords`], with little patience.
    fn hasty(&self) -> ScimPasswords {
        let scim_options = ScimOptions { total_timeout: Duration::from_secs(1), ..self.options() };
        ScimPasswords::new(&scim_options, scim(ScimStyle::PatchPath)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    stream: TcpStream,
    connection: usize,
    script: &dyn Fn(&Seen) -> Act,
    log: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut parts = line.split_whitespace().map(str::to_owned);
        let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (mut length, mut if_match) = (0, None);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap_or(0),
                "if-match" => if_match = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let seen = Seen { connection, method, path, if_match, body };
        log.lock().unwrap().push(seen.clone());
        match script(&seen) {
            Act::HangUp => return Ok(()),
            Act::Hang => {
                // Until the other side gives up.
                reader.read_to_end(&mut vec![])?;
                return Ok(());
            }
            Act::Say(status, headers, body) => {
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
                reader.get_mut().write_all(format!("{head}{headers}\r\n{body}").as_bytes())?;
            }
        }
    }
}

fn scim(style: ScimStyle) -> ScimPasswordOptions {
    ScimPasswordOptions {
        match_attribute: "userName".into(),
        find: Find::Always,
        style,
        deliver_as: DeliverAs::Plain,
        classify: Rules::new(&[]).unwrap(),
        precheck: precheck::Rules::default(),
    }
}

fn say(status: u16, body: impl Into<String>) -> Act {
    Act::Say(status, "", body.into())
}

fn list(users: &[Json], total: usize) -> Act {
    say(200, json!({ "totalResults": total, "Resources": users }).to_string())
}

/// A server with one user, that takes every password.
fn honest(seen: &Seen) -> Act {
    match seen.method.as_str() {
        "GET" if seen.path.starts_with("/Users?") => {
            list(&[json!({ "id": "7", "userName": "Taro" })], 1)
        }
        "GET" => Act::Say(
            200,
            "ETag: W/\"5\"\r\n",
            json!({ "id": "7", "userName": "Taro", "title": "長", "meta": {} }).to_string(),
        ),
        _ => say(204, ""),
    }
}

// === SCIM ===

#[tokio::test]
async fn o14_the_user_is_found_and_then_the_password_is_set() {
    let server = Server::start(honest);
    let target = server.passwords(ScimStyle::PatchPath);
    let who = target.find(&lookup("taro")).await.unwrap();
    assert_eq!(who, user("7"));
    let reply = target.set(&who, &password(PASSWORD)).await;
    assert_eq!(reply, Reply { answer: Answer::Ok, detail: None });
    // The look of the leak guard comes once.
    target.set(&who, &password(PASSWORD)).await;
    assert_eq!(
        server.lines(),
        [
            "GET /Users?filter=userName%20eq%20%22taro%22&attributes=id%2CuserName&count=2",
            "PATCH /Users/7",
            "GET /Users/7",
            "PATCH /Users/7"
        ]
    );
    let expected = json!({ "op": "replace", "path": "password", "value": PASSWORD });
    assert_eq!(server.seen()[1].json()["Operations"], json!([expected]));
}

#[tokio::test]
async fn each_style_sends_its_body() {
    let server = Server::start(honest);
    let value = server.passwords(ScimStyle::PatchValue);
    assert_eq!(value.set(&user("7"), &password(PASSWORD)).await.answer, Answer::Ok);
    let expected = json!({ "op": "replace", "value": { "password": PASSWORD } });
    assert_eq!(server.seen()[0].json()["Operations"], json!([expected]));
    let server = Server::start(honest);
    let put = server.passwords(ScimStyle::Put);
    assert_eq!(put.set(&user("7"), &password(PASSWORD)).await.answer, Answer::Ok);
    assert_eq!(server.lines()[..2], ["GET /Users/7", "PUT /Users/7"]);
    let seen = &server.seen()[1];
    assert_eq!(seen.if_match.as_deref(), Some("W/\"5\""));
    let expected = json!({ "id": "7", "userName": "Taro", "title": "長", "password": PASSWORD });
    assert_eq!(seen.json(), expected);
}

#[tokio::test]
async fn a_hash_is_sent_where_the_target_takes_one() {
    let server = Server::start(honest);
    let with = ScimPasswordOptions { deliver_as: DeliverAs::Ssha512, ..scim(ScimStyle::PatchPath) };
    let target = ScimPasswords::new(&server.options(), with).unwrap();
    assert_eq!(target.set(&user("7"), &password(PASSWORD)).await.answer, Answer::Ok);
    let sent = server.seen()[0].json()["Operations"][0]["value"].clone();
    assert!(sent.as_str().unwrap().starts_with("{SSHA512}"), "{sent}");
}

#[tokio::test]
async fn n11_long_and_japanese_passwords_arrive_unchanged() {
    let server = Server::start(honest);
    let target = server.passwords(ScimStyle::PatchPath);
    for text in ["パスワード", "🔑🗝", &"長い鍵".repeat(100), " leading and trailing ", "e\u{301}"]
    {
        assert_eq!(target.set(&user("7"), &password(text)).await.answer, Answer::Ok);
        let seen = server.seen().into_iter().rfind(|seen| seen.method == "PATCH").unwrap();
        assert_eq!(seen.json()["Operations"][0]["value"], json!(text));
    }
}

#[tokio::test]
async fn o15_o17_each_answer_to_a_password_has_its_class() {
    let detail = |text: &str| json!({ "detail": text, "scimType": "invalidValue" }).to_string();
    for (status, body, expected) in [
        (200, "{}".to_owned(), "ok"),
        (202, json!({ "jobId": 1 }).to_string(), "ok"),
        (200, "<html>please log in".to_owned(), "refused"),
        (302, String::new(), "refused"),
        (400, detail("Password is too short"), "too short"),
        (400, detail("パスワードは過去に使用されています"), "history"),
        (400, "not JSON: 22001".to_owned(), "history"),
        (401, String::new(), "refused"),
        (403, detail("no"), "refused"),
        (403, detail("Insufficient privilege over user"), "rejected"),
        (404, String::new(), "not found"),
        (405, String::new(), "refused"),
        (409, detail("no"), "rejected"),
        (410, String::new(), "not found"),
        (413, String::new(), "rejected"),
        (415, String::new(), "rejected"),
        (422, String::new(), "rejected"),
        (500, "<html>".to_owned(), "server error"),
        (500, detail("20035: no"), "complexity"),
        (501, String::new(), "refused"),
        (502, String::new(), "server error"),
        (504, String::new(), "uncertain"),
        (408, String::new(), "unavailable"),
        (425, String::new(), "unavailable"),
    ] {
        let answer = body.clone();
        let server = Server::start(move |seen| match seen.method.as_str() {
            "PATCH" => Act::Say(status, "Location: http://127.0.0.1:1/\r\n", answer.clone()),
            _ => honest(seen),
        });
        let target = server.passwords(ScimStyle::PatchPath);
        let reply = target.set(&user("7"), &password(PASSWORD)).await;
        assert_eq!(word(&reply.answer), expected, "{status} {body}");
        assert_eq!(reply.detail.is_none(), expected == "ok", "{status} {body}");
    }
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_is_kept() {
    let server = Server::start(|_| Act::Say(429, "Retry-After: 30\r\n", String::new()));
    let target = server.passwords(ScimStyle::PatchPath);
    let pause = Some(Duration::from_secs(30));
    let expected = Answer::Unavailable { retry_after: pause, server_error: false };
    for _ in 0..2 {
        assert_eq!(target.set(&user("7"), &password(PASSWORD)).await.answer, expected);
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn o13_dv02_a_hit_is_believed_only_if_it_is_the_one() {
    let taro = || json!({ "id": "7", "userName": "TARO" });
    let jiro = || json!({ "id": "8", "userName": "taro2" });
    for (users, total, expected) in [
        (vec![taro()], 1, "7"),
        (vec![], 0, "not found"),
        (vec![jiro()], 1, "not found"),
        (vec![taro(), jiro()], 2, "7"),
        (vec![taro(), taro()], 2, "ambiguous"),
        (vec![taro()], 2, "ambiguous"),
        (vec![jiro(), jiro()], 900, "ambiguous"),
        (vec![json!({ "id": "7" })], 1, "refused"),
        (vec![json!({ "id": "..", "userName": "taro" })], 1, "rejected"),
        (vec![json!({ "userName": "taro" })], 1, "rejected"),
        (vec![json!({ "id": "a/../../x", "userName": "taro" })], 1, "a/../../x"),
    ] {
        let shown = users.clone();
        let server = Server::start(move |_| list(&shown, total));
        let target = server.passwords(ScimStyle::PatchPath);
        assert_eq!(found(&target.find(&lookup("taro")).await), expected, "{users:?}");
    }
}

#[tokio::test]
async fn each_answer_to_a_look_up_has_its_class() {
    for (status, body, expected) in [
        (200, "<html>please log in", "refused"),
        (200, "[]", "refused"),
        (200, r#"{"Resources": 7}"#, "refused"),
        (200, "{}", "not found"),
        (301, "", "refused"),
        (400, r#"{"scimType": "invalidFilter"}"#, "rejected"),
        (401, "", "refused"),
        (404, "", "refused"),
        (503, "", "server error"),
        (504, "", "server error"),
    ] {
        let server = Server::start(move |_| say(status, body));
        let target = server.passwords(ScimStyle::PatchPath);
        let result = target.find(&lookup("taro")).await;
        assert_eq!(found(&result), expected, "{status} {body}");
    }
    let server = Server::start(honest);
    let target = server.passwords(ScimStyle::PatchPath);
    assert_eq!(found(&target.find(&lookup("")).await), "rejected");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn l06_5_filter_injection_stays_a_value_in_scim() {
    let server = Server::start(|_| list(&[], 0));
    let target = server.passwords(ScimStyle::PatchPath);
    for (value, filter) in [
        ("\" or userName pr or userName eq \"", r#"\" or userName pr or userName eq \""#),
        ("a\\\" or id pr", r#"a\\\" or id pr"#),
        ("*)(uid=*", "*)(uid=*"),
        ("a&attributes=password#", "a&attributes=password#"),
        ("line\nbreak", "line\\nbreak"),
    ] {
        assert_eq!(found(&target.find(&lookup(value)).await), "not found");
        let path = server.seen().pop().unwrap().path;
        let query = path.strip_prefix("/Users?filter=").unwrap();
        let (sent, rest) = query.split_once('&').unwrap();
        assert_eq!(rest, "attributes=id%2CuserName&count=2");
        let sent = percent_decoded(sent);
        assert_eq!(sent, format!("userName eq \"{filter}\""));
    }
}

fn percent_decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (vec![], text.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                tail
            }
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn a_known_user_is_not_looked_up_where_that_is_wanted() {
    let server = Server::start(honest);
    for (find, expected) in [(Find::Cached, 0), (Find::Always, 1)] {
        let with = ScimPasswordOptions { find, ..scim(ScimStyle::PatchPath) };
        let target = ScimPasswords::new(&server.options(), with).unwrap();
        let known = Lookup { value: "taro".into(), remote_id: Some("7".into()) };
        assert_eq!(target.find(&known).await.unwrap().id, "7");
        assert_eq!(server.seen().len(), expected);
    }
}

#[tokio::test]
async fn o26_a_lost_answer_is_uncertain_only_if_the_password_was_on_its_way() {
    for act in [|| Act::Hang, || Act::HangUp] {
        let server = Server::start(move |_| act());
        let target = server.hasty();
        assert_eq!(found(&target.find(&lookup("taro")).await), "unavailable");
        let reply = target.set(&user("7"), &password(PASSWORD)).await;
        assert_eq!(reply.answer, Answer::Uncertain);
        // Reading the user for PUT sends no password.
        let put = ScimPasswords::new(
            &ScimOptions { total_timeout: Duration::from_secs(1), ..server.options() },
            scim(ScimStyle::Put),
        );
        let reply = put.unwrap().set(&user("7"), &password(PASSWORD)).await;
        assert_eq!(word(&reply.answer), "unavailable");
    }
}

#[tokio::test]
async fn o27_an_unreachable_target_is_unavailable_and_a_strange_certificate_is_not() {
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let at = |url: String| {
        ScimPasswords::new(&options(&url, Profile::default()), scim(ScimStyle::PatchPath)).unwrap()
    };
    let target = at(format!("http://{closed}"));
    assert_eq!(found(&target.find(&lookup("taro")).await), "unavailable");
    let reply = target.set(&user("7"), &password(PASSWORD)).await;
    assert_eq!(word(&reply.answer), "unavailable");
    // Any server with TLS will do: the handshake is all there is.
    let slapd = Slapd::start(&people());
    let target = at(slapd.ldaps_url().replace("ldaps", "https"));
    let reply = target.set(&user("7"), &password(PASSWORD)).await;
    assert_eq!(word(&reply.answer), "refused", "{:?}", reply.detail);
    let cut = Server::start(|_| Act::HangUp);
    let target = at(format!("https://{}", cut.address));
    let reply = target.set(&user("7"), &password(PASSWORD)).await;
    assert!(matches!(word(&reply.answer), "refused" | "unavailable"), "{reply:?}");
}

#[tokio::test]
async fn the_version_of_a_user_that_changed_meanwhile_is_asked_once_more() {
    for (style, conflicts, expected) in [
        (ScimStyle::Put, 1, "ok"),
        (ScimStyle::PatchPath, 1, "ok"),
        (ScimStyle::Put, 2, "unavailable"),
        (ScimStyle::PatchPath, 2, "unavailable"),
    ] {
        let left = Mutex::new(conflicts);
        let server = Server::start(move |seen| {
            let mut left = left.lock().unwrap();
            if seen.method == "GET" || *left == 0 {
                return honest(seen);
            }
            *left -= 1;
            say(412, "")
        });
        let target = server.passwords(style);
        let who = RemoteUser { id: "7".into(), etag: Some("W/\"4\"".into()) };
        let reply = target.set(&who, &password(PASSWORD)).await;
        assert_eq!(word(&reply.answer), expected, "{style:?}");
        let writes: Vec<_> = server.seen().into_iter().filter(|s| s.method != "GET").collect();
        assert_eq!(writes.len(), 2, "{style:?}");
        assert_eq!(writes[1].if_match.as_deref(), Some("W/\"5\""));
    }
}

#[tokio::test]
async fn o16_m8_an_echoed_password_is_in_no_detail() {
    // The character that a console would ring at cannot be in a raw JSON string.
    let text = "pä\"ss\\wo/rd <&'>%鍵🔑";
    let base64 = |bytes: &[u8]| base64_of(bytes);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let percent: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let forms = [text.into(), percent, hex, escaped, base64(text.as_bytes()), base64(&utf16)];
    for form in forms {
        for body in [
            json!({ "detail": format!("value '{form}' is too short") }).to_string(),
            format!("<p>value {form} is too short"),
        ] {
            let server = Server::start(move |_| say(400, body.clone()));
            let target = server.passwords(ScimStyle::PatchPath);
            let reply = target.set(&user("7"), &password(text)).await;
            assert_eq!(word(&reply.answer), "too short", "{form}");
            let detail = reply.detail.unwrap();
            assert!(detail.contains("is too short"), "{detail}");
            assert!(!detail.contains(&form), "{detail}");
            assert!(!detail.contains("鍵"), "{detail}");
        }
    }
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn w26_a_target_that_shows_passwords_gets_no_more_of_them() {
    let shown = json!({ "id": "7", "userName": "taro", "Password": "***" }).to_string();
    for (method, style) in
        [("GET", ScimStyle::PatchPath), ("GET", ScimStyle::Put), ("PATCH", ScimStyle::PatchValue)]
    {
        let body = shown.clone();
        let server = Server::start(move |seen| match seen.method == method {
            true => say(200, body.clone()),
            false => say(204, ""),
        });
        let target = server.passwords(style);
        let reply = target.set(&user("7"), &password(PASSWORD)).await;
        assert_eq!(reply.answer, Answer::Refused);
        assert!(reply.detail.unwrap().contains("shows passwords"));
        assert!(target.leaking());
        let before = server.seen().len();
        assert_eq!(target.set(&user("7"), &password(PASSWORD)).await.answer, Answer::Refused);
        assert_eq!(found(&target.find(&lookup("taro")).await), "refused");
        assert_eq!(server.seen().len(), before);
    }
}

#[tokio::test]
async fn w26_a_look_that_failed_is_made_again() {
    let server = Server::start(|seen| match seen.method.as_str() {
        "GET" => say(503, ""),
        _ => say(204, ""),
    });
    // The pause after the 503 holds the second password up, so each look has a target of its own.
    let target = server.passwords(ScimStyle::PatchPath);
    assert_eq!(target.set(&user("7"), &password(PASSWORD)).await.answer, Answer::Ok);
    assert!(!target.leaking());
    let flaky = Mutex::new(true);
    let server = Server::start(move |seen| match seen.method.as_str() {
        "GET" if std::mem::take(&mut *flaky.lock().unwrap()) => say(500, ""),
        _ => honest(seen),
    });
    let target = server.passwords(ScimStyle::PatchPath);
    for _ in 0..3 {
        assert_eq!(target.set(&user("7"), &password(PASSWORD)).await.answer, Answer::Ok);
    }
    let looks = server.lines().iter().filter(|line| line.starts_with("GET")).count();
    assert_eq!(looks, 2);
}

#[tokio::test]
async fn t21_no_later_request_uses_a_connection_of_before() {
    let server = Server::start(honest);
    let target = server.passwords(ScimStyle::PatchPath);
    target.set(&user("7"), &password(PASSWORD)).await;
    target.find(&lookup("taro")).await.unwrap();
    let of = |seen: &[Seen]| -> BTreeSet<usize> { seen.iter().map(|s| s.connection).collect() };
    let before = of(&server.seen());
    target.close_connections();
    let count = server.seen().len();
    target.find(&lookup("taro")).await.unwrap();
    let after = of(&server.seen()[count..]);
    assert!(before.is_disjoint(&after), "{before:?} {after:?}");
}

#[tokio::test]
async fn o35_what_the_target_never_takes_is_known_without_a_call() {
    let server = Server::start(honest);
    let rules = precheck::Rules {
        length_min: Some(8),
        charset: precheck::Charset::Ascii,
        ..precheck::Rules::default()
    };
    let with = ScimPasswordOptions { precheck: rules, ..scim(ScimStyle::PatchPath) };
    let target = ScimPasswords::new(&server.options(), with).unwrap();
    assert_eq!(target.refuses(&password("short")), Some(Category::TooShort));
    assert_eq!(target.refuses(&password("パスワード長い鍵")), Some(Category::Charset));
    assert_eq!(target.refuses(&password("long enough")), None);
    assert!(server.seen().is_empty());
}

#[test]
fn an_attribute_that_no_filter_can_name_is_refused() {
    let server = Server::start(honest);
    for path in ["", "user name", "emails[type eq \"work\"].value", "a\" or b"] {
        let with =
            ScimPasswordOptions { match_attribute: path.into(), ..scim(ScimStyle::PatchPath) };
        let refused = ScimPasswords::new(&server.options(), with).err().unwrap();
        assert!(matches!(refused, OptionsError::MatchAttribute { .. }), "{path}");
    }
}

#[tokio::test]
async fn o25_a_strict_server_takes_passwords_in_every_style() {
    let server = ScimServer::start();
    let sync = target(&server.base_url());
    let id = sync.write(&create_user(&[("userName", "taro")])).await.unwrap().remote_id;
    for style in [ScimStyle::PatchPath, ScimStyle::PatchValue, ScimStyle::Put] {
        let target = sync.passwords(scim(style)).unwrap();
        let who = target.find(&lookup("TARO")).await.unwrap();
        assert_eq!(who.id, id);
        let reply = target.set(&who, &password(PASSWORD)).await;
        assert_eq!(reply.answer, Answer::Ok, "{style:?} {:?}", reply.detail);
        assert!(!target.leaking());
        assert_eq!(found(&target.find(&lookup("jiro")).await), "not found");
        assert_eq!(found(&target.find(&lookup("\" or userName pr or \"")).await), "not found");
        let gone = target.set(&user("gone"), &password(PASSWORD)).await;
        assert_eq!(word(&gone.answer), "not found", "{style:?}");
    }
    let strangers = ScimOptions {
        token: Arc::new(Secret::new(format!("not {TOKEN}"))),
        ..options(&server.base_url(), Profile::default())
    };
    let target = ScimPasswords::new(&strangers, scim(ScimStyle::PatchPath)).unwrap();
    assert_eq!(found(&target.find(&lookup("taro")).await), "refused");
}

// === LDAP ===

/// The suffix, the account that writes, a policy and two people of the same surname.
fn people() -> String {
    let person = |name: &str| {
        format!(
            "dn: cn={name},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: Kakehi\n\
             uid: {name}\nuserPassword: first-secret\n\n"
        )
    };
    format!(
        "dn: {SUFFIX}\nobjectClass: organization\nobjectClass: dcObject\no: x\ndc: example\n\n\
         dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
         cn: reader\nuserPassword: {READER_PASSWORD}\n\n\
         dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n{}{}\
         dn: cn=strange,ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\ncn: strange\nsn: S\n\
         uid: *)(uid=*\n\n",
        person("taro"),
        person("jiro"),
    )
}

fn with_policy() -> Slapd {
    let policy = format!("cn=policy,{SUFFIX}");
    let entry = format!(
        "dn: {policy}\nobjectClass: organizationalRole\nobjectClass: pwdPolicy\ncn: policy\n\
         pwdAttribute: userPassword\npwdMinLength: 8\npwdCheckQuality: 2\npwdInHistory: 3\n\n"
    );
    let with = slapd::Options { policy: Some(policy), ..slapd::Options::default() };
    Slapd::with_options(&with, &(people() + &entry))
}

fn ldap(url: String, style: LdapStyle) -> LdapPasswordOptions {
    let secret = Arc::new(Secret::new(READER_PASSWORD.to_owned()));
    LdapPasswordOptions {
        ldap: LdapOptions {
            name: "directory".into(),
            kind: ServerKind::Generic,
            urls: vec![url],
            starttls: false,
            tls: TlsOptions::default(),
            insecure: false,
            bind: Bind::Simple { dn: READER.to_owned(), password: secret },
            bases: vec![format!("ou=people,{SUFFIX}")],
            filter: FILTER.to_owned(),
            attributes: BTreeSet::new(),
            links: BTreeSet::new(),
            classes: BTreeSet::new(),
            limits: Limits::default(),
        },
        match_attribute: "uid".into(),
        find: Find::Always,
        style,
        deliver_as: DeliverAs::Plain,
        classify: Rules::new(&[]).unwrap(),
        precheck: precheck::Rules::default(),
        answer_limit: Duration::from_millis(ANSWER_MS_MAX),
    }
}

fn directory(slapd: &Slapd, style: LdapStyle) -> LdapPasswords {
    LdapPasswords::new(ldap(slapd.url(), style)).unwrap()
}

/// Whether somebody can log in with a password, by the word of another client.
fn binds(slapd: &Slapd, dn: &str, text: &str) -> bool {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let mut command = Command::new("ldapwhoami");
    command.args(["-x", "-H", &slapd.url(), "-D", dn, "-y"]).arg(file.path());
    command.output().unwrap().status.success()
}

const NOT_HASHED: [LdapStyle; 2] = [LdapStyle::Exop, LdapStyle::UserPassword];

#[tokio::test]
async fn l06_2_passwords_of_every_script_can_be_logged_in_with() {
    let slapd = with_policy();
    for style in NOT_HASHED {
        let target = directory(&slapd, style);
        let who = target.find(&lookup("taro")).await.unwrap();
        assert_eq!(who.id, PERSON);
        for text in [
            PASSWORD,
            "パスワードです長い鍵",
            "🔑🗝🔒🔓🔏🔐🗝🔑",
            &"鍵a".repeat(150),
            " spaces around ",
        ] {
            // Both styles set the same ones, and the history is of the account.
            let text = format!("{text}{style:?}");
            let reply = target.set(&who, &password(&text)).await;
            assert_eq!(reply.answer, Answer::Ok, "{style:?} {:?}", reply.detail);
            assert!(binds(&slapd, PERSON, &text), "{style:?} {text}");
        }
        assert!(!binds(&slapd, PERSON, "first-secret"));
    }
}

#[tokio::test]
async fn n19_o15_a_policy_says_why() {
    let slapd = with_policy();
    for style in NOT_HASHED {
        let target = directory(&slapd, style);
        let who = user(PERSON);
        let good = format!("good enough {style:?}");
        assert_eq!(target.set(&who, &password(&good)).await.answer, Answer::Ok);
        for (text, expected) in [("short", "too short"), (good.as_str(), "history")] {
            let reply = target.set(&who, &password(text)).await;
            assert_eq!(word(&reply.answer), expected, "{style:?} {:?}", reply.detail);
            let detail = reply.detail.unwrap();
            assert!(detail.starts_with("the server answered 19: "), "{detail}");
        }
        assert!(binds(&slapd, PERSON, &good));
    }
}

#[tokio::test]
async fn l06_5_filter_injection_stays_a_value_in_ldap() {
    let slapd = Slapd::start(&people());
    let target = directory(&slapd, LdapStyle::Exop);
    for (value, expected) in [
        ("*)(uid=*", "cn=strange,ou=people,dc=example,dc=test"),
        ("*", "not found"),
        ("ta*", "not found"),
        ("taro)(objectClass=*", "not found"),
        ("taro\\2a", "not found"),
        ("taro\0", "not found"),
        ("筧", "not found"),
        ("TARO", PERSON),
    ] {
        assert_eq!(found(&target.find(&lookup(value)).await), expected, "{value}");
    }
    assert_eq!(found(&target.find(&lookup("")).await), "rejected");
    let mut shared = ldap(slapd.url(), LdapStyle::Exop);
    shared.match_attribute = "sn".into();
    let shared = LdapPasswords::new(shared).unwrap();
    assert_eq!(found(&shared.find(&lookup("Kakehi")).await), "ambiguous");
    let mut narrow = ldap(slapd.url(), LdapStyle::Exop);
    narrow.match_attribute = "sn".into();
    narrow.ldap.filter = "(cn=jiro)".into();
    let narrow = LdapPasswords::new(narrow).unwrap();
    let jiro = "cn=jiro,ou=people,dc=example,dc=test";
    assert_eq!(found(&narrow.find(&lookup("Kakehi")).await), jiro);
}

#[tokio::test]
async fn o13_who_is_gone_is_not_found_and_who_may_not_write_is_refused() {
    let slapd = Slapd::start(&people());
    for style in NOT_HASHED {
        let target = directory(&slapd, style);
        let gone = user("cn=gone,ou=people,dc=example,dc=test");
        let reply = target.set(&gone, &password(PASSWORD)).await;
        assert_eq!(reply.answer, Answer::NotFound, "{style:?} {:?}", reply.detail);
        // Without a policy the account only reads.
        let reply = target.set(&user(PERSON), &password(PASSWORD)).await;
        assert_eq!(word(&reply.answer), "refused", "{style:?} {:?}", reply.detail);
        assert_eq!(word(&target.set(&user(""), &password(PASSWORD)).await.answer), "rejected");
    }
    assert!(binds(&slapd, PERSON, "first-secret"));
    let mut elsewhere = ldap(slapd.url(), LdapStyle::Exop);
    elsewhere.ldap.bases = vec![format!("ou=nowhere,{SUFFIX}")];
    let elsewhere = LdapPasswords::new(elsewhere).unwrap();
    assert_eq!(found(&elsewhere.find(&lookup("taro")).await), "refused");
}

#[tokio::test]
async fn l22_a_refused_bind_of_a_target_is_tried_once() {
    let slapd = Slapd::start(&people());
    let mut options = ldap(slapd.url(), LdapStyle::Exop);
    let wrong = Arc::new(Secret::new("wrong".to_owned()));
    options.ldap.bind = Bind::Simple { dn: READER.to_owned(), password: wrong };
    let target = LdapPasswords::new(options).unwrap();
    let first = target.set(&user(PERSON), &password(PASSWORD)).await;
    assert_eq!(first.answer, Answer::Refused);
    assert!(first.detail.unwrap().contains("invalidCredentials (49)"));
    let second = target.find(&lookup("taro")).await.unwrap_err();
    assert_eq!(second.answer, Answer::Refused);
    assert!(second.detail.unwrap().ends_with("not tried again until it changes"));
}

#[tokio::test]
async fn unicode_pwd_is_never_sent_in_clear() {
    let slapd = with_policy();
    let target = directory(&slapd, LdapStyle::UnicodePwd);
    let reply = target.set(&user(PERSON), &password(PASSWORD)).await;
    assert_eq!(reply.answer, Answer::Refused);
    let detail = reply.detail.unwrap();
    assert!(detail.starts_with("passwords are not sent over a connection in clear"), "{detail}");
    // Over TLS and over the socket it is sent, and slapd has no such attribute.
    let mut secured = ldap(slapd.ldaps_url(), LdapStyle::UnicodePwd);
    secured.ldap.tls.ca = Some(slapd.ca());
    for options in [secured, ldap(slapd.ldapi_url(), LdapStyle::UnicodePwd)] {
        let target = LdapPasswords::new(options).unwrap();
        let reply = target.set(&user(PERSON), &password(PASSWORD)).await;
        assert_eq!(reply.answer, Answer::Refused);
        assert!(reply.detail.unwrap().starts_with("the server answered 17: "));
    }
    let mut strange = ldap(slapd.ldaps_url_by_name(), LdapStyle::Exop);
    strange.ldap.tls.ca = Some(slapd.ca());
    let strange = LdapPasswords::new(strange).unwrap();
    assert_eq!(found(&strange.find(&lookup("taro")).await), "refused");
}

#[tokio::test]
async fn o26_o31_a_server_that_went_and_came_back_is_asked_again() {
    let mut slapd = with_policy();
    let target = directory(&slapd, LdapStyle::Exop);
    let who = target.find(&lookup("taro")).await.unwrap();
    assert_eq!(target.set(&who, &password("before the outage")).await.answer, Answer::Ok);
    slapd.stop();
    for _ in 0..2 {
        let reply = target.set(&who, &password("during the outage")).await;
        assert_eq!(word(&reply.answer), "unavailable", "{:?}", reply.detail);
        assert_eq!(found(&target.find(&lookup("taro")).await), "unavailable");
    }
    slapd.restart();
    assert_eq!(found(&target.find(&lookup("taro")).await), PERSON);
    let reply = target.set(&who, &password("after the outage")).await;
    assert_eq!(reply.answer, Answer::Ok, "{:?}", reply.detail);
    // A connection that nobody used for long may be cut.
    slapd.restart();
    let reply = target.set(&who, &password("after another one")).await;
    assert_eq!(reply.answer, Answer::Ok, "{:?}", reply.detail);
    target.close_connections();
    assert_eq!(found(&target.find(&lookup("taro")).await), PERSON);
    assert!(binds(&slapd, PERSON, "after another one"));
}

#[tokio::test]
async fn t21_a_server_that_stands_still_leaves_the_outcome_open() {
    let slapd = with_policy();
    let options = LdapPasswordOptions {
        answer_limit: Duration::from_secs(3),
        ..ldap(slapd.url(), LdapStyle::Exop)
    };
    let target = LdapPasswords::new(options).unwrap();
    let who = target.find(&lookup("taro")).await.unwrap();
    slapd.freeze();
    let reply = target.set(&who, &password("while it stands")).await;
    assert_eq!(reply.answer, Answer::Uncertain);
    slapd.thaw();
    let reply = target.set(&who, &password("when it moves again")).await;
    assert_eq!(reply.answer, Answer::Ok, "{:?}", reply.detail);
    assert!(binds(&slapd, PERSON, "when it moves again"));
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let refused = |options| LdapPasswords::new(options).err().unwrap();
    let options = || ldap("ldap://127.0.0.1".into(), LdapStyle::Exop);
    for name in ["", "uid=*)(x", "u id"] {
        let wrong = LdapPasswordOptions { match_attribute: name.into(), ..options() };
        assert_eq!(refused(wrong), PasswordOptionsError::MatchAttribute(name.into()));
    }
    let mut nowhere = options();
    nowhere.ldap.bases.clear();
    assert_eq!(refused(nowhere), PasswordOptionsError::NoBase);
    let hashed = LdapPasswordOptions { deliver_as: DeliverAs::Ssha512, ..options() };
    assert_eq!(refused(hashed), PasswordOptionsError::Hashed);
}
