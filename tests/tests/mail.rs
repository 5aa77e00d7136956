//! Mails against aiosmtpd, a real mail server with TLS and logins (password.md 10).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Category, Operation, UserKey};
use kakehi_engine::time::Timestamp;
use kakehi_password::door::{Clock, Contact, Lookup, NotNow, Person, Users};
use kakehi_password::envelope::Metadata;
use kakehi_password::mail::{
    Dropped, Fault, Form, Kind, MailError, MailOptions, MailRow, MailWorker, Mailer as _,
    MemoryRows, Message, Outcome, Security, SmtpMailer, SmtpOptions, Templates,
};
use kakehi_password::secret::Password;
use kakehi_tests::smtp::{Manner, Offer, PASSWORD, SmtpServer, Taken, USER};
use zeroize::Zeroizing;

const NOON: i64 = 1_795_336_200;

/// For mails that are answered: no test waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

fn secret(text: &str) -> Option<Password> {
    Some(Password::new(Zeroizing::new(text.to_owned())))
}

/// As the server wants to be spoken to.
fn options(server: &SmtpServer, security: Security) -> SmtpOptions {
    let login = security == Security::Starttls;
    SmtpOptions {
        host: "127.0.0.1".into(),
        port: server.port(),
        security,
        ca: Some(server.ca()),
        user: login.then(|| USER.to_owned()),
        password: if login { secret(PASSWORD) } else { None },
        from: Contact { address: "no-reply@example.test".into(), display_name: "Kakehi".into() },
        timeout: PATIENCE,
        hello: "kakehi.example.test".into(),
    }
}

fn mailer(server: &SmtpServer, security: Security) -> SmtpMailer {
    SmtpMailer::new(options(server, security)).unwrap()
}

fn message(address: &str) -> Message {
    Message {
        id: "0a1b2c".into(),
        to: Contact { address: address.into(), display_name: "山田 太郎".into() },
        subject: "【Kakehi】クラウド メール のパスワードを更新できませんでした".into(),
        body: "山田 太郎 様\n\n.\n.. 行頭の点、①髙﨑、👩‍💻 が届くこと。\nFrom here\n\nend\n".into(),
        date: Timestamp::from_unix_seconds(NOON),
    }
}

fn only(mails: Vec<Taken>) -> Taken {
    let [mail] = <[Taken; 1]>::try_from(mails).expect("one mail");
    mail
}

#[tokio::test]
async fn a_japanese_mail_arrives_intact_and_says_that_nobody_wrote_it() {
    let server = SmtpServer::start(Offer::Starttls);
    let message = message("taro@example.test");
    mailer(&server, Security::Starttls).send(&message).await.unwrap();
    let mail = only(server.mails());
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("no-reply@example.test", ["taro@example.test".to_owned()].as_slice())
    );
    assert!(mail.tls && mail.login);
    assert_eq!(mail.body, message.body);
    for (name, value) in [
        ("Subject", message.subject.as_str()),
        ("From", "Kakehi <no-reply@example.test>"),
        ("To", "山田 太郎 <taro@example.test>"),
        ("Date", "Sun, 22 Nov 2026 08:30:00 +0000"),
        ("Message-ID", "<0a1b2c@example.test>"),
        ("Auto-Submitted", "auto-generated"),
        ("Content-Type", "text/plain; charset=\"utf-8\""),
    ] {
        assert_eq!(mail.header(name), Some(value), "{name}");
    }
    assert_eq!(mail.header("Reply-To"), None);
    let clear = server.heard_in_the_clear();
    assert_eq!(clear, "EHLO kakehi.example.test\r\nSTARTTLS\r\n");
}

#[tokio::test]
async fn tls_from_the_first_byte_and_the_clear_to_this_machine_work_too() {
    let server = SmtpServer::start(Offer::Tls);
    mailer(&server, Security::Tls).send(&message("taro@example.test")).await.unwrap();
    assert!(only(server.mails()).tls);
    assert_eq!(server.heard_in_the_clear(), "");
    let server = SmtpServer::start(Offer::Clear);
    mailer(&server, Security::None).send(&message("taro@example.test")).await.unwrap();
    assert!(!only(server.mails()).tls);
}

#[tokio::test]
async fn without_starttls_nothing_is_said() {
    let server = SmtpServer::start(Offer::Clear);
    let refused = mailer(&server, Security::Starttls).send(&message("taro@example.test")).await;
    assert_eq!(refused, Err(MailError::Temporary(Fault::NoStartTls)));
    assert_eq!(server.mails(), []);
    assert_eq!(server.heard_in_the_clear(), "EHLO kakehi.example.test\r\n");
}

#[tokio::test]
async fn a_server_that_is_not_trusted_hears_no_login() {
    let (server, other) = (SmtpServer::start(Offer::Starttls), SmtpServer::start(Offer::Tls));
    let foreign = SmtpOptions { ca: Some(other.ca()), ..options(&server, Security::Starttls) };
    let by_name = SmtpOptions { host: "localhost".into(), ..options(&server, Security::Starttls) };
    let of_system = SmtpOptions { ca: None::<PathBuf>, ..options(&server, Security::Starttls) };
    for options in [foreign, by_name, of_system] {
        let mailer = SmtpMailer::new(options).unwrap();
        let refused = mailer.send(&message("taro@example.test")).await;
        assert_eq!(refused, Err(MailError::Temporary(Fault::Certificate)));
    }
    let foreign = SmtpOptions { ca: Some(server.ca()), ..options(&other, Security::Tls) };
    let refused = SmtpMailer::new(foreign).unwrap().send(&message("taro@example.test")).await;
    assert_eq!(refused, Err(MailError::Temporary(Fault::Certificate)));
    assert_eq!((server.mails(), other.mails()), (vec![], vec![]));
}

#[tokio::test]
async fn a_wrong_password_is_ours_to_mend_and_costs_no_mail() {
    let server = SmtpServer::start(Offer::Starttls);
    let wrong = SmtpOptions { password: secret("wrong"), ..options(&server, Security::Starttls) };
    let refused = SmtpMailer::new(wrong).unwrap().send(&message("taro@example.test")).await;
    assert_eq!(refused, Err(MailError::Temporary(Fault::Login(535))));
    let none = SmtpOptions { user: None, password: None, ..options(&server, Security::Starttls) };
    let refused = SmtpMailer::new(none).unwrap().send(&message("taro@example.test")).await;
    assert_eq!(refused, Err(MailError::Temporary(Fault::Login(530))));
    assert_eq!(server.mails(), []);
}

#[tokio::test]
async fn login_is_used_where_plain_is_not_offered() {
    let server = SmtpServer::without(Offer::Starttls, &["PLAIN"]);
    mailer(&server, Security::Starttls).send(&message("taro@example.test")).await.unwrap();
    assert!(only(server.mails()).login);
    let server = SmtpServer::without(Offer::Starttls, &["PLAIN", "LOGIN"]);
    let refused = mailer(&server, Security::Starttls).send(&message("taro@example.test")).await;
    assert_eq!(refused, Err(MailError::Temporary(Fault::NoLogin)));
}

#[tokio::test]
async fn m08_what_a_server_answers_decides_and_is_not_repeated() {
    let server = SmtpServer::start(Offer::Starttls);
    let mailer = mailer(&server, Security::Starttls);
    for (manner, expected) in [
        (Manner::Busy, MailError::Temporary(Fault::Reply(451))),
        (Manner::Refuse, MailError::Permanent(Fault::Reply(550))),
    ] {
        server.behave(manner);
        let refused = mailer.send(&message("taro@example.test")).await.unwrap_err();
        assert_eq!(refused, expected);
        let told = format!("{refused} {refused:?}");
        assert!(!told.contains("secret words") && !told.contains("taro"), "{told}");
    }
    server.behave(Manner::RefuseOnly("taro@example.test"));
    mailer.send(&message("taro@example.test")).await.unwrap_err();
    mailer.send(&message("hanako@example.test")).await.unwrap();
    assert_eq!(only(server.mails()).to, ["hanako@example.test"]);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_left_after_a_while() {
    let server = SmtpServer::start(Offer::Starttls);
    server.behave(Manner::Silent);
    let timeout = Duration::from_secs(3);
    let options = SmtpOptions { timeout, ..options(&server, Security::Starttls) };
    let refused = SmtpMailer::new(options).unwrap().send(&message("taro@example.test")).await;
    assert_eq!(refused, Err(MailError::Temporary(Fault::Timeout)));
}

#[tokio::test]
async fn a_mail_that_was_taken_is_taken_whatever_comes_after_it() {
    let server = SmtpServer::start(Offer::Tls);
    server.behave(Manner::HangUp);
    mailer(&server, Security::Tls).send(&message("taro@example.test")).await.unwrap();
    only(server.mails());
}

// === The worker ===

#[derive(Default)]
struct World {
    seconds: AtomicI64,
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(NOON + self.seconds.load(Ordering::Relaxed))
    }
}

impl Users for World {
    fn person(
        &self,
        _: &Metadata,
        _: Operation,
        _: &BTreeSet<ConnectorName>,
    ) -> Result<Person, NotNow> {
        Err(NotNow { reason: "mails do not ask".into() })
    }

    fn lookup(&self, _: &UserKey, _: &ConnectorName, _: &str) -> Lookup {
        Lookup::default()
    }

    fn contact(&self, user: &UserKey) -> Option<Contact> {
        let display_name = format!("利用者 {user}\r\nBcc: everybody@example.test");
        Some(Contact { address: format!("{user}@example.test"), display_name })
    }
}

fn row(form: Form, user: &str) -> MailRow {
    MailRow {
        id: 0,
        kind: form.kind,
        recipient: form.recipient,
        target: "cloud".into(),
        user: user.into(),
        login: user.into(),
        episode: 1,
        attempt: 1,
        category: Some(Category::History),
        expires: Some(Timestamp::from_unix_seconds(NOON + 3600)),
        created: Timestamp::from_unix_seconds(NOON),
    }
}

/// Scenario D of the lane, as far as mail: everybody concerned gets one mail each, though the
/// server is busy at first and does not know one of them.
#[tokio::test]
async fn i07_each_recipient_gets_one_mail_though_the_server_is_busy_at_first() {
    let server = SmtpServer::start(Offer::Starttls);
    let (world, rows) = (Arc::new(World::default()), Arc::new(MemoryRows::default()));
    let admin = |name: &str| Contact {
        address: format!("{name}@example.test"),
        display_name: String::new(),
    };
    let options = MailOptions {
        admins: vec![admin("one"), admin("two")],
        utc_offset_minutes: 540,
        ..MailOptions::default()
    };
    let worker = MailWorker::new(
        rows.clone(),
        Arc::new(mailer(&server, Security::Starttls)),
        world.clone(),
        Templates::shipped().unwrap(),
        world.clone(),
        options,
    );
    for user in ["taro", "gone", "hanako"] {
        rows.push(row(Form::user(Kind::Rejected), user));
    }
    rows.push(row(Form::admins(Kind::TargetDown), "taro"));
    server.behave(Manner::Busy);
    assert_eq!(worker.round().await.count(Outcome::Failed), 5);
    world.seconds.fetch_add(30, Ordering::Relaxed);
    server.behave(Manner::RefuseOnly("gone@example.test"));
    let round = worker.round().await;
    assert_eq!(round.count(Outcome::Sent), 4);
    assert_eq!(round.count(Outcome::Dropped(Dropped::Refused)), 1);
    assert!(rows.is_empty());
    let mails = server.mails();
    let to: Vec<&[String]> = mails.iter().map(|mail| mail.to.as_slice()).collect();
    let expected = ["taro", "hanako", "one", "two"].map(|name| [format!("{name}@example.test")]);
    assert_eq!(to, expected.each_ref().map(<[String; 1]>::as_slice));
    let mail = &mails[0];
    assert_eq!(
        mail.header("To"),
        Some("\"利用者 taro Bcc: everybody@example.test\" <taro@example.test>")
    );
    assert_eq!(mail.header("Bcc"), None);
    for words in ["以前に使われたことのあるパスワードです。", "2026-11-22 18:30 (+09:00)"]
    {
        assert!(mail.body.contains(words), "{}", mail.body);
    }
}
