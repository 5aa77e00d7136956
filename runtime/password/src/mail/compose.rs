//! The form of mails (RFC 5322, 2047, 3834): a message flows in, the bytes of a mail flow out.
//!
//! Whatever stands in a name or a subject, it ends in the header that it is meant for: it is made
//! one line first, and encoded then.

use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::{Address, Message as Letter};

use super::text::single_line;
use super::{Fault, MailError, Message};
use crate::door::Contact;

/// Most characters of a name in a header.
const NAME_CHARS_MAX: usize = 64;

/// Most characters of a subject; clients show fewer.
const SUBJECT_CHARS_MAX: usize = 200;

/// Most characters before the `@` of a Message-ID: a line of a header has 998 (RFC 5322 2.1.1).
const ID_CHARS_MAX: usize = 128;

/// The last instant that has a year of four digits, as dates of mails want it.
const DATE_SECONDS_MAX: u64 = 253_402_300_799;

/// Tells programs that answer mails not to (RFC 3834 5).
const AUTO_SUBMITTED: (&str, &str) = ("Auto-Submitted", "auto-generated");

/// An address with the name before it.
///
/// Errors: it is not an address.
pub(super) fn mailbox(contact: &Contact) -> Result<Mailbox, Fault> {
    let address: Address = contact.address.trim().parse().map_err(|_| Fault::Address)?;
    let name = unencoded(&single_line(&contact.display_name, NAME_CHARS_MAX));
    Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
}

/// Errors: the recipient's address is none; never anything else of the message.
pub(super) fn compose(message: &Message, from: &Mailbox) -> Result<Letter, MailError> {
    let to = mailbox(&message.to).map_err(MailError::Permanent)?;
    let id: String = message.id.chars().filter(|c| is_plain(*c)).take(ID_CHARS_MAX).collect();
    let id = format!("<{id}@{}>", from.email.domain());
    let (header, value) = AUTO_SUBMITTED;
    Letter::builder()
        .from(from.clone())
        .to(to)
        .subject(unencoded(&single_line(&message.subject, SUBJECT_CHARS_MAX)))
        .date(date(message))
        .message_id(Some(id))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str(header), value.to_owned()))
        .singlepart(SinglePart::plain(message.body.clone()))
        .map_err(|_| MailError::Permanent(Fault::Form))
}

/// Takes the meaning from what looks like an encoded word already: the library would leave it as it
/// is, and a client would decode what nobody has looked at.
fn unencoded(line: &str) -> String {
    line.replace("=?", "= ?")
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '.'
}

fn date(message: &Message) -> SystemTime {
    let seconds = u64::try_from(message.date.unix_seconds()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(DATE_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use kakehi_engine::time::Timestamp;

    use super::*;

    fn contact(address: &str, name: &str) -> Contact {
        Contact { address: address.into(), display_name: name.into() }
    }

    fn message(to: Contact) -> Message {
        Message {
            id: "7f3a.1".into(),
            to,
            subject: "パスワードを更新できませんでした".into(),
            body: "山田 太郎 様\n\n本文です。\n".into(),
            date: Timestamp::from_unix_seconds(1_795_336_200),
        }
    }

    fn composed(message: &Message) -> String {
        let from = mailbox(&contact("no-reply@example.test", "Kakehi")).unwrap();
        String::from_utf8(compose(message, &from).unwrap().formatted()).unwrap()
    }

    /// The names of the headers, and that nothing stands above the body but headers.
    fn headers(mail: &str) -> Vec<&str> {
        let (headers, _) = mail.split_once("\r\n\r\n").unwrap();
        let lines = headers.split("\r\n").filter(|line| !line.starts_with(' '));
        lines.map(|line| line.split_once(": ").expect("a header has a name").0).collect()
    }

    #[test]
    fn a_mail_says_that_nobody_wrote_it_and_nobody_reads_answers() {
        let mail = composed(&message(contact("taro@example.test", "山田 太郎")));
        expect![[r#"
            From: Kakehi <no-reply@example.test>
            To: =?utf-8?b?5bGx55SwIOWkqumDjg==?= <taro@example.test>
            Subject: =?utf-8?b?44OR44K544Ov44O844OJ44KS5pu05paw44Gn44GN44G+44Gb44KT?=
             =?utf-8?b?44Gn44GX44Gf?=
            Date: Sun, 22 Nov 2026 08:30:00 +0000
            Message-ID: <7f3a.1@example.test>
            Auto-Submitted: auto-generated
            MIME-Version: 1.0
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: base64

            5bGx55SwIOWkqumDjiDmp5gNCg0K5pys5paH44Gn44GZ44CCDQo=
        "#]]
        .assert_eq(&mail.replace("\r\n", "\n"));
    }

    #[test]
    fn m08_no_value_makes_a_header_of_its_own() {
        const ATTACKS: [&str; 8] = [
            "太郎\r\nBcc: everybody@example.test",
            "taro\nReply-To: evil@example.test",
            "taro\rSubject: evil",
            "taro\r\n\r\nA body of its own",
            "\" <evil@example.test>, \"",
            "evil@example.test, taro",
            "=?utf-8?q?x=0D=0ABcc=3A_evil=40example.test?=",
            "taro\u{0}\u{85}\u{2028}Bcc: evil@example.test",
        ];
        let plain = composed(&message(contact("taro@example.test", "taro")));
        let long = "長い名前".repeat(2_000);
        for attack in ATTACKS.into_iter().chain([long.as_str()]) {
            let mut attacked = message(contact("taro@example.test", attack));
            attacked.subject = attack.into();
            attacked.id = attack.into();
            let mail = composed(&attacked);
            assert_eq!(headers(&mail), headers(&plain), "{attack:?}");
            let (above, body) = mail.split_once("\r\n\r\n").unwrap();
            assert_eq!(body, plain.split_once("\r\n\r\n").unwrap().1);
            assert!(above.lines().all(|line| line.len() <= 998), "{attack:?}");
            assert!(!above.contains("=?utf-8?q?x=0D=0A"), "{above}");
            let from = mailbox(&contact("no-reply@example.test", "Kakehi")).unwrap();
            let letter = compose(&attacked, &from).unwrap();
            let to: Vec<String> = letter.envelope().to().iter().map(ToString::to_string).collect();
            assert_eq!(to, ["taro@example.test"], "{attack:?}");
        }
    }

    #[test]
    fn what_is_no_address_gets_no_mail() {
        let from = mailbox(&contact("no-reply@example.test", "Kakehi")).unwrap();
        for address in ["", "taro", "taro@", "a@b.test\r\nBcc: c@d.test", "a@b.test, c@d.test"] {
            let refused = compose(&message(contact(address, "taro")), &from).unwrap_err();
            assert_eq!(refused, MailError::Permanent(Fault::Address), "{address:?}");
        }
    }

    #[test]
    fn any_instant_makes_a_date() {
        let mut message = message(contact("taro@example.test", ""));
        for (instant, year) in [(i64::MIN, "1970"), (0, "1970"), (i64::MAX, "9999")] {
            message.date = Timestamp(instant);
            assert!(composed(&message).contains(&format!("{year} ")), "{instant}");
        }
    }
}
