//! LDIF text (RFC 2849): lines flow in, records flow out, each with the line it begins at.

use std::io::BufRead;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Largest record: as large as an entry may be over LDAP (L-95).
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is wrong with a text, and in which line.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct LdifError {
    pub line: usize,
    pub kind: LdifErrorKind,
}

#[derive(Debug, thiserror::Error)]
pub enum LdifErrorKind {
    #[error("the text cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("the last line does not end: the text is cut")]
    Cut,
    #[error("a record is larger than {RECORD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("a line that continues nothing")]
    Continuation,
    #[error("`name: value` was expected")]
    NoValue,
    #[error("`{0}` is no name of an attribute")]
    Name(String),
    #[error("base64 was expected")]
    Base64,
    #[error("values from URLs are not read")]
    Url,
    #[error("a record begins with `dn:`")]
    NoDn,
    #[error("a DN is not UTF-8")]
    DnText,
    #[error("LDIF version `{0}` is not known")]
    Version(String),
    #[error("a record without a single attribute")]
    Empty,
    #[error("change type `{0}` is not known")]
    ChangeType(String),
    #[error("`{0}` is not expected here")]
    Unexpected(String),
    #[error("controls are not carried out")]
    Control,
    #[error("`{0}` is missing")]
    Missing(&'static str),
}

#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// Of its `dn:`, counted from 1.
    pub line: usize,
    pub dn: String,
    pub body: Body,
}

/// Attributes with their values in the order of the text; a name may come more than once.
pub type Attributes = Vec<(String, Vec<u8>)>;

#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// No `changetype`: the object as it is.
    Content(Attributes),
    Add(Attributes),
    Delete,
    Modify(Vec<Modification>),
    Rename {
        rdn: String,
        superior: Option<String>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub struct Modification {
    pub kind: ModificationKind,
    pub attribute: String,
    pub values: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModificationKind {
    Add,
    Delete,
    Replace,
}

/// Reads records one by one; memory grows with a record, not with the text.
pub struct Records<R> {
    reader: R,
    /// Of the last physical line that was read.
    line: usize,
    started: bool,
}

/// A logical line, unfolded: where it begins, its name and its value.
struct Line {
    number: usize,
    name: String,
    value: Vec<u8>,
}

impl<R: BufRead> Records<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, line: 0, started: false }
    }

    /// The next record; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Record>, LdifError> {
        loop {
            let Some(mut lines) = self.block()? else {
                return Ok(None);
            };
            if !std::mem::replace(&mut self.started, true) {
                take_version(&mut lines)?;
            }
            if !lines.is_empty() {
                return record(lines).map(Some);
            }
        }
    }

    /// The logical lines up to the next blank one, without comments; `None` at the end of the text.
    fn block(&mut self) -> Result<Option<Vec<Line>>, LdifError> {
        let (mut unfolded, mut bytes): (Vec<(usize, Vec<u8>)>, usize) = (vec![], 0);
        // A comment may be folded too, and its continuation belongs to it.
        let mut in_comment = false;
        loop {
            let Some(text) = self.physical()? else {
                if unfolded.is_empty() && !in_comment {
                    return Ok(None);
                }
                break;
            };
            bytes += text.len();
            if bytes > RECORD_BYTES_MAX {
                return Err(self.fault(LdifErrorKind::TooLarge));
            }
            match (text.first(), unfolded.last_mut()) {
                (None, None) => {}
                (None, Some(_)) => break,
                (Some(b' '), _) if in_comment => {}
                (Some(b' '), Some((_, line))) => line.extend(&text[1..]),
                (Some(b' '), None) => return Err(self.fault(LdifErrorKind::Continuation)),
                (Some(b'#'), _) => in_comment = true,
                (Some(_), _) => {
                    in_comment = false;
                    unfolded.push((self.line, text));
                }
            }
        }
        let lines = unfolded.into_iter().map(|(number, text)| logical(number, &text));
        lines.collect::<Result<_, _>>().map(Some)
    }

    /// One line without its end; `None` at the end of the text.
    fn physical(&mut self) -> Result<Option<Vec<u8>>, LdifError> {
        let mut text = vec![];
        self.line += 1;
        // One byte more than allowed, so that the caller sees that it is too much.
        let limit = RECORD_BYTES_MAX as u64 + 1;
        let mut reader = std::io::Read::take(&mut self.reader, limit);
        let read = reader.read_until(b'\n', &mut text);
        if read.map_err(|error| self.fault(error.into()))? == 0 {
            return Ok(None);
        }
        if text.pop() != Some(b'\n') {
            let whole = text.len() < RECORD_BYTES_MAX;
            return Err(self.fault(if whole {
                LdifErrorKind::Cut
            } else {
                LdifErrorKind::TooLarge
            }));
        }
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        if self.line == 1 && text.starts_with("\u{feff}".as_bytes()) {
            text.drain(..3);
        }
        Ok(Some(text))
    }

    fn fault(&self, kind: LdifErrorKind) -> LdifError {
        LdifError { line: self.line, kind }
    }
}

/// Splits an unfolded line; a lone `-` keeps its name and has no value.
fn logical(number: usize, text: &[u8]) -> Result<Line, LdifError> {
    let fault = |kind| LdifError { line: number, kind };
    if text == b"-" {
        return Ok(Line { number, name: "-".to_owned(), value: vec![] });
    }
    let colon = text.iter().position(|byte| *byte == b':');
    let colon = colon.ok_or_else(|| fault(LdifErrorKind::NoValue))?;
    let (name, value) = (String::from_utf8_lossy(&text[..colon]).into_owned(), &text[colon + 1..]);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-.;_".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(fault(LdifErrorKind::Name(name.escape_debug().take(80).collect())));
    }
    let value = match value.first() {
        Some(b'<') => return Err(fault(LdifErrorKind::Url)),
        Some(b':') => BASE64_STANDARD
            .decode(value[1..].trim_ascii())
            .map_err(|_| fault(LdifErrorKind::Base64))?,
        _ => value[value.iter().take_while(|byte| **byte == b' ').count()..].to_vec(),
    };
    Ok(Line { number, name, value })
}

fn take_version(lines: &mut Vec<Line>) -> Result<(), LdifError> {
    match lines.first() {
        Some(line) if line.name.eq_ignore_ascii_case("version") => {
            if line.value != b"1" {
                let version =
                    String::from_utf8_lossy(&line.value).escape_debug().take(80).collect();
                return Err(LdifError { line: line.number, kind: LdifErrorKind::Version(version) });
            }
            lines.remove(0);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn record(lines: Vec<Line>) -> Result<Record, LdifError> {
    let mut lines = lines.into_iter().peekable();
    let Some(first) = lines.next() else {
        return Err(LdifError { line: 0, kind: LdifErrorKind::NoDn });
    };
    let at = first.number;
    let fault = |kind| LdifError { line: at, kind };
    if !first.name.eq_ignore_ascii_case("dn") {
        return Err(fault(LdifErrorKind::NoDn));
    }
    let dn = String::from_utf8(first.value).map_err(|_| fault(LdifErrorKind::DnText))?;
    if let Some(control) = lines.next_if(|line| line.name.eq_ignore_ascii_case("control")) {
        return Err(LdifError { line: control.number, kind: LdifErrorKind::Control });
    }
    let change = lines.next_if(|line| line.name.eq_ignore_ascii_case("changetype"));
    let change = change.map(|line| (line.number, line.value.to_ascii_lowercase()));
    let body = match change.as_ref().map(|(number, value)| (*number, &value[..])) {
        None => Body::Content(attributes(lines, at)?),
        Some((_, b"add")) => Body::Add(attributes(lines, at)?),
        Some((_, b"delete")) => match lines.next() {
            None => Body::Delete,
            Some(line) => return Err(unexpected(line)),
        },
        Some((_, b"modify")) => Body::Modify(modifications(lines)?),
        Some((_, b"moddn" | b"modrdn")) => rename(lines, at)?,
        Some((line, other)) => {
            let other = String::from_utf8_lossy(other).escape_debug().take(80).collect();
            return Err(LdifError { line, kind: LdifErrorKind::ChangeType(other) });
        }
    };
    Ok(Record { line: at, dn, body })
}

fn attributes(lines: impl Iterator<Item = Line>, at: usize) -> Result<Attributes, LdifError> {
    let mut attributes = vec![];
    for line in lines {
        if line.name == "-" || line.name.eq_ignore_ascii_case("dn") {
            return Err(unexpected(line));
        }
        attributes.push((line.name, line.value));
    }
    if attributes.is_empty() {
        return Err(LdifError { line: at, kind: LdifErrorKind::Empty });
    }
    Ok(attributes)
}

fn modifications(mut lines: impl Iterator<Item = Line>) -> Result<Vec<Modification>, LdifError> {
    let mut modifications = vec![];
    while let Some(line) = lines.next() {
        let kind = match line.name.to_ascii_lowercase().as_str() {
            "add" => ModificationKind::Add,
            "delete" => ModificationKind::Delete,
            "replace" => ModificationKind::Replace,
            _ => return Err(unexpected(line)),
        };
        let attribute = String::from_utf8_lossy(&line.value).into_owned();
        let mut values = vec![];
        // The last one may leave its `-` out, as many programs write it.
        for line in lines.by_ref().take_while(|line| line.name != "-") {
            if !line.name.eq_ignore_ascii_case(&attribute) {
                return Err(unexpected(line));
            }
            values.push(line.value);
        }
        if kind == ModificationKind::Add && values.is_empty() {
            let kind = LdifErrorKind::Missing("a value to add");
            return Err(LdifError { line: line.number, kind });
        }
        modifications.push(Modification { kind, attribute, values });
    }
    Ok(modifications)
}

fn rename(lines: impl Iterator<Item = Line>, at: usize) -> Result<Body, LdifError> {
    let (mut rdn, mut superior) = (None, None);
    for line in lines {
        let fault = |kind| LdifError { line: line.number, kind };
        let text = String::from_utf8(line.value.clone());
        match line.name.to_ascii_lowercase().as_str() {
            "newrdn" => rdn = Some(text.map_err(|_| fault(LdifErrorKind::DnText))?),
            "newsuperior" => superior = Some(text.map_err(|_| fault(LdifErrorKind::DnText))?),
            // Whether the old name stays as a value is for the attributes to say.
            "deleteoldrdn" => {}
            _ => return Err(unexpected(line)),
        }
    }
    let rdn = rdn.ok_or(LdifError { line: at, kind: LdifErrorKind::Missing("newrdn") })?;
    Ok(Body::Rename { rdn, superior })
}

fn unexpected(line: Line) -> LdifError {
    LdifError { line: line.number, kind: LdifErrorKind::Unexpected(line.name) }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &[u8], expected: Expect) {
        let mut records = Records::new(text);
        let mut shown = vec![];
        loop {
            match records.next() {
                Ok(None) => break,
                Ok(Some(record)) => shown.push(show(&record)),
                Err(error) => {
                    shown.push(format!("error: {error}"));
                    break;
                }
            }
        }
        expected.assert_eq(&shown.join("\n"));
    }

    fn show(record: &Record) -> String {
        let text = |value: &[u8]| String::from_utf8_lossy(value).escape_debug().to_string();
        let all = |attributes: &Attributes| -> String {
            attributes.iter().map(|(name, value)| format!(" {name}={}", text(value))).collect()
        };
        let body = match &record.body {
            Body::Content(attributes) => all(attributes),
            Body::Add(attributes) => format!(" add{}", all(attributes)),
            Body::Delete => " delete".to_owned(),
            Body::Modify(changes) => changes
                .iter()
                .map(|change| {
                    let values: Vec<_> = change.values.iter().map(|value| text(value)).collect();
                    format!(" {:?} {}={values:?}", change.kind, change.attribute)
                })
                .collect(),
            Body::Rename { rdn, superior } => format!(" rename {rdn} {superior:?}"),
        };
        format!("{}: {}{body}", record.line, record.dn)
    }

    #[test]
    fn l94_content_is_read_with_everything_the_standard_allows() {
        check(
            concat!(
                "\u{feff}version: 1\r\n# a comment\r\n  that goes on\r\n",
                "dn: cn=a,\r\n dc=x\r\ncn:a\r\nsn;lang-ja:: 5bGx\r\n\r\n\r\n",
                "dn:: Y249Yg==\r\ndescription:   two  words \r\ndescription:\r\n",
            )
            .as_bytes(),
            expect![[r#"
                4: cn=a,dc=x cn=a sn;lang-ja=山
                10: cn=b description=two  words  description="#]],
        );
        check(b"", expect![""]);
        check(b"version: 1\n\n# nothing else\n", expect![""]);
        check(
            b"dn: cn=a\ncn: a\n\nversion: 1\n",
            expect![[r#"
            1: cn=a cn=a
            error: line 4: a record begins with `dn:`"#]],
        );
    }

    #[test]
    fn l91_change_records_are_read_in_each_of_their_forms() {
        check(
            concat!(
                "dn: cn=a\nchangetype: add\ncn: a\n\ndn: cn=a\nchangetype: delete\n\n",
                "dn: cn=a\nchangetype: modify\nadd: mail\nmail: x\nmail: y\n-\n",
                "delete: sn\n-\nreplace: title\ntitle: z\n\n",
                "dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\ndeleteoldrdn: 1\nnewsuperior: dc=y\n",
            )
            .as_bytes(),
            expect![[r#"
                1: cn=a add cn=a
                5: cn=a delete
                8: cn=a Add mail=["x", "y"] Delete sn=[] Replace title=["z"]
                19: cn=a rename cn=b Some("dc=y")"#]],
        );
    }

    #[test]
    fn l90_every_fault_names_its_line() {
        for (text, expected) in [
            ("cn: a\n", "line 1: a record begins with `dn:`"),
            (" cn: a\n", "line 1: a line that continues nothing"),
            ("dn: cn=a\ncn a\n", "line 2: `name: value` was expected"),
            ("dn: cn=a\nc n: a\n", "line 2: `c n` is no name of an attribute"),
            ("dn: cn=a\ncn:: ???\n", "line 2: base64 was expected"),
            ("dn: cn=a\ncn:< file:///etc/passwd\n", "line 2: values from URLs are not read"),
            ("dn: cn=a\n", "line 1: a record without a single attribute"),
            ("dn:: /w==\ncn: a\n", "line 1: a DN is not UTF-8"),
            ("version: 2\n", "line 1: LDIF version `2` is not known"),
            ("dn: cn=a\ncn: a", "line 2: the last line does not end: the text is cut"),
            ("dn: cn=a\ncn: a\ndn: cn=b\n", "line 3: `dn` is not expected here"),
            (
                "dn: cn=a\ncontrol: 1.2\nchangetype: delete\n",
                "line 2: controls are not carried out",
            ),
            ("dn: cn=a\nchangetype: remove\n", "line 2: change type `remove` is not known"),
            ("dn: cn=a\nchangetype: delete\ncn: a\n", "line 3: `cn` is not expected here"),
            (
                "dn: cn=a\nchangetype: modify\nincrement: uid\nuid: 1\n",
                "line 3: `increment` is not expected here",
            ),
            ("dn: cn=a\nchangetype: modify\nadd: cn\n-\n", "line 3: `a value to add` is missing"),
            ("dn: cn=a\nchangetype: modify\nadd: cn\nsn: a\n", "line 4: `sn` is not expected here"),
            ("dn: cn=a\nchangetype: moddn\nnewsuperior: dc=x\n", "line 1: `newrdn` is missing"),
        ] {
            let error = Records::new(text.as_bytes()).next().unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }
}
