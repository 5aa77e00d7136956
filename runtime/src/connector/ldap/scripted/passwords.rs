//! Passwords: what is sent, and what is made of answers that no slapd gives.

use kakehi_engine::password::{Answer, Category};
use kakehi_password::classify::Rules;
use kakehi_password::door::{Lookup, PasswordTarget as _, RemoteUser};
use kakehi_password::precheck;
use kakehi_password::secret::Password;
use kakehi_password::target::{DeliverAs, Find};

use super::super::message::{EXTENDED, MODIFY, MODIFY_ANSWER, SEARCH};
use super::super::password::{LdapPasswordOptions, LdapPasswords, LdapStyle};
use super::*;

/// Patience that no machine needs.
const LONG: Duration = Duration::from_secs(60);

fn passwords(server: &Scripted, style: LdapStyle, answer_limit: Duration) -> LdapPasswords {
    let options = LdapPasswordOptions {
        ldap: options(&server.url, ServerKind::Generic),
        match_attribute: "uid".into(),
        find: Find::Always,
        style,
        deliver_as: DeliverAs::Plain,
        classify: Rules::new(&[]).unwrap(),
        precheck: precheck::Rules::default(),
        answer_limit,
    };
    LdapPasswords::new(options).unwrap()
}

fn secret() -> Password {
    Password::new("correct horse".to_owned().into())
}

fn taro() -> RemoteUser {
    RemoteUser { id: "cn=taro,dc=x".into(), etag: None }
}

#[tokio::test]
async fn o15_results_that_active_directory_gives_are_told_apart() {
    for (code, text, expected) in [
        (53, "0000052D: SvcErr: DSID-031A12D2", Answer::Rejected(Category::Complexity)),
        (53, "0000001F: SvcErr: DSID-031A126C", Answer::Refused),
        (19, "0000052D: the password was already used", Answer::Rejected(Category::History)),
        (50, "00000005: SecErr", Answer::Refused),
        (51, "", Answer::Unavailable { retry_after: None, server_error: false }),
        (80, "", Answer::Unavailable { retry_after: None, server_error: true }),
        (32, "", Answer::NotFound),
        (0, "", Answer::Ok),
    ] {
        let answer = raw(move |id| message(id, MODIFY_ANSWER, &outcome(code, text), &[]));
        let server = Scripted::start(vec![answer], After::Stay);
        let target = passwords(&server, LdapStyle::UserPassword, LONG);
        let reply = target.set(&taro(), &secret()).await;
        assert_eq!(reply.answer, expected, "{code} {text}");
        drop(target);
        assert_eq!(server.asked().await, [MODIFY, UNBIND]);
    }
}

#[tokio::test]
async fn m8_an_echoed_password_is_in_no_detail_of_a_directory() {
    let echo = raw(|id| message(id, MODIFY_ANSWER, &outcome(19, "no: correct horse"), &[]));
    let server = Scripted::start(vec![echo], After::Stay);
    let reply = passwords(&server, LdapStyle::UserPassword, LONG).set(&taro(), &secret()).await;
    let detail = reply.detail.unwrap();
    assert!(detail.starts_with("the server answered 19: no: "), "{detail}");
    assert!(!detail.contains("horse"), "{detail}");
}

#[tokio::test]
async fn t21_what_was_sent_and_not_answered_rightly_is_uncertain() {
    let silent = || raw(|_| vec![]);
    let other_kind = || raw(|id| message(id, MODIFY_ANSWER, &outcome(0, ""), &[]));
    let other_id = || raw(|id| message(id + 1, EXTENDED_ANSWER, &outcome(0, ""), &[]));
    let broken = || raw(|_| vec![0x04, 1, 0]);
    for (answer, after, patience) in [
        (silent(), After::HangUp, LONG),
        (silent(), After::Stay, Duration::from_millis(500)),
        (other_kind(), After::Stay, LONG),
        (other_id(), After::Stay, LONG),
        (broken(), After::Stay, LONG),
    ] {
        let server = Scripted::start(vec![answer], after);
        let target = passwords(&server, LdapStyle::Exop, patience);
        assert_eq!(target.set(&taro(), &secret()).await.answer, Answer::Uncertain);
        drop(target);
        assert_eq!(server.asked().await[0], EXTENDED);
    }
}

#[tokio::test]
async fn a_look_up_asks_for_nothing_but_names() {
    let two = raw(|id| {
        let people = [person(1), person(2)].map(|entry| message(id, ENTRY, &entry, &[]));
        [people.concat(), done(id, 4)].concat()
    });
    let nobody = raw(|id| done(id, 0));
    let limited = raw(|id| done(id, 11));
    let server = Scripted::start(vec![two, nobody, limited], After::Stay);
    let target = passwords(&server, LdapStyle::Exop, LONG);
    let user = Lookup { value: "taro".into(), remote_id: None };
    for expected in [Answer::Ambiguous, Answer::NotFound, Answer::Refused] {
        assert_eq!(target.find(&user).await.unwrap_err().answer, expected);
    }
    drop(target);
    assert_eq!(server.asked().await, [SEARCH, SEARCH, SEARCH, UNBIND]);
}
