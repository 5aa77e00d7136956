//! What slapd's sock overlay says (slapd-sock(5)). Lines of one message flow in; an operation with
//! a new password, or how an operation ended, flows out. Nothing else of the message is kept.

use kakehi_engine::object::dn_key;
use kakehi_engine::password::Operation;
use zeroize::Zeroizing;

use super::exop;
use crate::agent::dn;
use crate::agent::ldif::{Field, Line};

/// Names an operation within one slapd, as long as it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OperationId {
    pub connection: u64,
    pub message: u64,
}

/// One message, as far as it matters here.
pub enum Message {
    /// A password is about to be written.
    Write { id: OperationId, write: Write },
    /// Nothing to capture. `Some`: there is a new password, but it is useless.
    Nothing { id: Option<OperationId>, useless: Option<Useless> },
    /// An operation, or a part of it, ended.
    Result { id: OperationId, code: u32 },
}

/// A password on its way into the directory.
pub struct Write {
    /// Normalised.
    pub dn: String,
    pub login: String,
    pub operation: Operation,
    pub password: Zeroizing<Vec<u8>>,
}

/// Why a new password is not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Useless {
    #[error("the value is a hash: let slapd hash, with `ppolicy_hash_cleartext`")]
    Hashed,
    #[error("the value is empty")]
    Empty,
    #[error("the server generated it and does not tell it")]
    Generated,
    #[error("the message names neither connection nor entry: set `extensions binddn connid`")]
    Nameless,
    #[error("the value cannot be read: {0}")]
    Unreadable(#[from] crate::agent::ldif::ValueError),
    #[error("the extended operation cannot be read")]
    BadRequest,
}

/// Reads a message line by line.
#[derive(Default)]
pub struct Reader {
    kind: Option<Kind>,
    connection: Option<u64>,
    message: Option<u64>,
    code: Option<u32>,
    bind_dn: String,
    dn: String,
    uid: Option<String>,
    exop: bool,
    /// In a MODIFY: the values that follow are new ones of the password.
    new_values: bool,
    password: Option<Result<Zeroizing<Vec<u8>>, Useless>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Modify,
    Extended,
    Result,
    Other,
}

/// What begins each part of a MODIFY.
const MODIFICATIONS: [&str; 4] = ["add", "replace", "delete", "increment"];

/// RFC 3062.
const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

// === impl Reader ===

impl Reader {
    pub fn line(&mut self, line: &Line<'_>) {
        match line {
            Line::Word(word) if self.kind.is_none() => self.kind = Some(Kind::of(word)),
            // A `-` ends what is said of one attribute.
            Line::Word(_) => self.new_values = false,
            Line::Field(field) => self.field(field),
            Line::Empty => {}
        }
    }

    fn field(&mut self, field: &Field<'_>) {
        // What slapd says of the operation comes before the entry, and its names are no attributes.
        if self.dn.is_empty() && self.header(field) {
            return;
        }
        match self.kind {
            Some(Kind::Add) if is_password(|name| field.is(name)) => self.value(field),
            Some(Kind::Add) if field.is("uid") && self.uid.is_none() => self.uid = field.text(),
            Some(Kind::Modify) if MODIFICATIONS.iter().any(|name| field.is(name)) => {
                let adds = field.is("add") || field.is("replace");
                let what = field.text().unwrap_or_default();
                let what = what.split(';').next().unwrap_or_default();
                self.new_values = adds && is_password(|name| what.eq_ignore_ascii_case(name));
            }
            Some(Kind::Modify) if self.new_values => self.value(field),
            Some(Kind::Extended) if field.is("oid") => {
                self.exop = field.text().is_some_and(|oid| oid == PASSWORD_MODIFY);
            }
            Some(Kind::Extended) if field.is("value") && self.exop => self.request(field),
            _ => {}
        }
    }

    fn header(&mut self, field: &Field<'_>) -> bool {
        let number = || field.text().and_then(|text| text.parse().ok());
        if field.is("msgid") {
            self.message = number();
        } else if field.is("connid") {
            self.connection = number();
        } else if field.is("code") {
            self.code = field.text().and_then(|text| text.parse().ok());
        } else if field.is("binddn") {
            self.bind_dn = field.text().unwrap_or_default();
        } else if field.is("dn") {
            self.dn = field.text().unwrap_or_default();
        } else {
            return false;
        }
        true
    }

    /// The last of several values counts: it is the one that was added last.
    fn value(&mut self, field: &Field<'_>) {
        let value = match field.bytes() {
            Ok(bytes) if is_hashed(&bytes) => Err(Useless::Hashed),
            Ok(bytes) if bytes.is_empty() => Err(Useless::Empty),
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(error.into()),
        };
        // A hash beside a password takes nothing from it: both open the account.
        if value.is_ok() || !matches!(self.password, Some(Ok(_))) {
            self.password = Some(value);
        }
    }

    fn request(&mut self, field: &Field<'_>) {
        // One colon, yet base64: slapd-sock(5).
        let request = field.bytes().ok().and_then(|text| exop::decode(&text));
        let Some(request) = request else {
            self.password = Some(Err(Useless::BadRequest));
            return;
        };
        self.dn = request.user.unwrap_or_else(|| self.bind_dn.clone());
        self.password = Some(request.new.ok_or(Useless::Generated));
    }

    /// The message is over.
    pub fn end(self) -> Message {
        let id = match (self.connection, self.message) {
            (Some(connection), Some(message)) => Some(OperationId { connection, message }),
            _ => None,
        };
        if let (Some(Kind::Result), Some(id), Some(code)) = (self.kind, id, self.code) {
            return Message::Result { id, code };
        }
        let useless = match (self.password, id) {
            (Some(Ok(password)), Some(id)) if !self.dn.is_empty() => {
                let (dn, who) = (dn_key(&self.dn), dn_key(&self.bind_dn));
                let operation = match self.kind {
                    Some(Kind::Add) => Operation::Create,
                    _ if dn == who => Operation::Change,
                    _ => Operation::Reset,
                };
                let login = self.uid.unwrap_or_else(|| dn::naming_value(&self.dn));
                return Message::Write { id, write: Write { dn, login, operation, password } };
            }
            (Some(Ok(_)), _) => Some(Useless::Nameless),
            (Some(Err(useless)), _) => Some(useless),
            (None, _) => None,
        };
        Message::Nothing { id, useless }
    }
}

impl Kind {
    fn of(word: &str) -> Self {
        match word {
            "ADD" => Self::Add,
            "MODIFY" => Self::Modify,
            "EXTENDED" => Self::Extended,
            "RESULT" => Self::Result,
            _ => Self::Other,
        }
    }
}

fn is_password(is: impl Fn(&str) -> bool) -> bool {
    is("userPassword") || is("2.5.4.35")
}

/// RFC 2307: `{SCHEME}` and what it made of the password. Braces with anything else in them are
/// part of a password.
fn is_hashed(value: &[u8]) -> bool {
    let Some(rest) = value.strip_prefix(b"{") else { return false };
    let Some(end) = rest.iter().position(|&byte| byte == b'}') else { return false };
    let scheme = &rest[..end];
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(byte))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::agent::ldif::Lines;

    const HEAD: &str = "msgid: 2
binddn: cn=admin,dc=example,dc=test
peername: IP=127.0.0.1:46458
ssf: 0
connid: 1001
suffix: dc=example,dc=test
";

    fn read(text: &[u8]) -> Message {
        let (mut lines, mut reader) = (Lines::default(), Reader::default());
        lines.feed(text, &mut |line| reader.line(&line));
        lines.end(&mut |line| reader.line(&line));
        reader.end()
    }

    /// One line for what a message says.
    fn told(text: &str) -> String {
        let id = |id: OperationId| format!("{}/{}", id.connection, id.message);
        match read(text.as_bytes()) {
            Message::Write { id: at, write } => format!(
                "{} {:?} {} {} {}",
                id(at),
                write.operation,
                write.dn,
                write.login,
                String::from_utf8_lossy(&write.password)
            ),
            Message::Result { id: at, code } => format!("{} result {code}", id(at)),
            Message::Nothing { useless: Some(useless), .. } => format!("no use: {useless}"),
            Message::Nothing { useless: None, .. } => "nothing".into(),
        }
    }

    fn encoded(text: &str) -> String {
        STANDARD.encode(text)
    }

    #[test]
    fn o03_every_way_to_write_a_password_is_seen() {
        let (one, two) = (encoded("Tr4cer-ん"), encoded("second"));
        let hash = encoded("{SSHA}OHJ5+jU8Sin5AqPTqRCOkS0IP3WsNpCS=");
        let braces = encoded("{not a scheme}x");
        let user = "dn: uid=u1,ou=people,dc=example,dc=test\n";
        let key = "uid=u1,ou=people,dc=example,dc=test";
        for (body, expected) in [
            (
                format!("replace: userPassword\nuserPassword:: {one}\n-\n"),
                format!("1001/2 Reset {key} u1 Tr4cer-ん"),
            ),
            (
                format!(
                    "replace: description\ndescription: userPassword\n-\nadd: UserPassword;x-a\n\
                     userpassword;x-a:: {one}\n-\nreplace: mail\nmail: a\n-\n"
                ),
                format!("1001/2 Reset {key} u1 Tr4cer-ん"),
            ),
            (
                format!(
                    "delete: userPassword\nuserPassword:: {one}\n-\nadd: userPassword\n\
                     userPassword:: {two}\n-\n"
                ),
                format!("1001/2 Reset {key} u1 second"),
            ),
            (
                format!("add: userPassword\nuserPassword:: {one}\nuserPassword:: {two}\n-\n"),
                format!("1001/2 Reset {key} u1 second"),
            ),
            (
                format!("add: userPassword\nuserPassword:: {one}\nuserPassword:: {hash}\n-\n"),
                format!("1001/2 Reset {key} u1 Tr4cer-ん"),
            ),
            (
                format!("replace: 2.5.4.35\n2.5.4.35:: {braces}\n-\n"),
                format!("1001/2 Reset {key} u1 {{not a scheme}}x"),
            ),
            (
                format!("replace: userPassword\nuserPassword:: {hash}\n-\n"),
                format!("no use: {}", Useless::Hashed),
            ),
            (
                "replace: userPassword\nuserPassword:\n-\n".into(),
                "no use: the value is empty".into(),
            ),
            (format!("delete: userPassword\nuserPassword:: {one}\n-\n"), "nothing".into()),
            ("delete: userPassword\n-\n".into(), "nothing".into()),
            ("replace: mail\nmail: userPassword\n-\n".into(), "nothing".into()),
        ] {
            assert_eq!(told(&format!("MODIFY\n{HEAD}{user}{body}\n")), expected, "{body}");
        }
    }

    #[test]
    fn a_new_entry_tells_its_login_name() {
        let body = "dn:: dWlkPeODpixvdT1wZW9wbGUsZGM9ZXhhbXBsZSxkYz10ZXN0
objectClass: inetOrgPerson
userPassword:: 44Gy44G/44Gk8J+YgEFhMS14eXp6eXBsdWdoLWEtdmVyeS1sb25nLW9uZS1hbmQ
 tbG9uZ2VyLXRoYW4tdGhhdA==
code: 1
cn: N
";
        let password = "ひみつ😀Aa1-xyzzyplugh-a-very-long-one-and-longer-than-that";
        let key = "uid=ユ,ou=people,dc=example,dc=test";
        let add = |uid: &str| told(&format!("ADD\n{HEAD}{body}{uid}\n"));
        assert_eq!(add(""), format!("1001/2 Create {key} ユ {password}"));
        assert_eq!(add("uid:: 44Om\nuid: second\n"), format!("1001/2 Create {key} ユ {password}"));
        assert_eq!(add("uid: first\n"), format!("1001/2 Create {key} first {password}"));
    }

    #[test]
    fn the_extended_operation_is_understood() {
        let admin =
            "MDqAKHVpZD11MDAwMDAxLG91PXBlb3BsZSxkYz1leGFtcGxlLGRjPXRlc3SCDkV4b3AtVHJhY2VyLTIy";
        let own = "MB+BDkV4b3AtVHJhY2VyLTIygg1FeG9wLVNlbGYtMzMz";
        let generated = "MCqAKHVpZD11MDAwMDAxLG91PXBlb3BsZSxkYz1leGFtcGxlLGRjPXRlc3Q=";
        let key = "uid=u000001,ou=people,dc=example,dc=test";
        let unreadable = format!("no use: {}", Useless::BadRequest);
        for (value, expected) in [
            (admin, format!("1001/2 Reset {key} u000001 Exop-Tracer-22")),
            (own, "1001/2 Change cn=admin,dc=example,dc=test admin Exop-Self-333".into()),
            (generated, format!("no use: {}", Useless::Generated)),
            ("????", unreadable.clone()),
            ("MDqA", unreadable.clone()),
            ("", unreadable),
        ] {
            let oid = "oid: 1.3.6.1.4.1.4203.1.11.1\n";
            assert_eq!(told(&format!("EXTENDED\n{HEAD}{oid}value: {value}\n\n")), expected);
        }
        let other = format!("EXTENDED\n{HEAD}oid: 1.3.6.1.4.1.1466.20037\nvalue: {admin}\n\n");
        assert_eq!(told(&other), "nothing");
    }

    #[test]
    fn results_and_the_rest_are_told_apart() {
        let user = "dn: uid=u1,dc=x\nreplace: userPassword\nuserPassword: secret\n-\n";
        for (text, expected) in [
            (format!("RESULT\n{HEAD}code: 0\n\n"), "1001/2 result 0"),
            (format!("RESULT\n{HEAD}code: 32\nmatched: dc=x\ninfo: a\n\n"), "1001/2 result 32"),
            ("RESULT\nmsgid: 2\ncode: 0\n\n".into(), "nothing"),
            (format!("RESULT\n{HEAD}\n"), "nothing"),
            (format!("SEARCH\n{HEAD}base: dc=x\n\n"), "nothing"),
            (format!("DELETE\n{HEAD}{user}\n"), "nothing"),
            (String::new(), "nothing"),
        ] {
            assert_eq!(told(&text), expected, "{text}");
        }
        let nameless = format!("no use: {}", Useless::Nameless);
        assert_eq!(told(&format!("MODIFY\nmsgid: 2\n{user}\n")), nameless);
    }

    proptest! {
        #[test]
        fn no_message_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
            read(&[b"EXTENDED\nmsgid: 1\nconnid: 1\noid: 1.3.6.1.4.1.4203.1.11.1\nvalue: ",
                STANDARD.encode(&bytes).as_bytes()].concat());
            let modify = format!("MODIFY\n{HEAD}dn: x=y\nreplace: userPassword\n");
            read(&[modify.as_bytes(), &bytes].concat());
        }
    }
}
