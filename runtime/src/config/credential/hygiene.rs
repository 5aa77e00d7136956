//! What a file or a variable held flows in; the secret that was meant flows out (credentials.md
//! 5.2).

use zeroize::Zeroizing;

use super::CredentialKind;

/// Why bytes are no secret. The texts never hold what was read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unclean {
    #[error("it is not UTF-8 (byte {offset})")]
    NotUtf8 { offset: usize },
    #[error("it is empty")]
    Empty,
    #[error("it has {name} at byte {offset}")]
    Inside { name: String, offset: usize },
}

// === impl Unclean ===

impl Unclean {
    pub(super) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Inside { name, .. } if name == LINE_BREAK => {
                Some("line break in the middle of the value?")
            }
            Self::Inside { .. } => Some("a token has no spaces; was more copied than the token?"),
            Self::NotUtf8 { .. } | Self::Empty => None,
        }
    }
}

const LINE_BREAK: &str = "a line break";

/// Takes the bytes of a source. Gives the text without a leading byte-order mark and without line
/// ends behind it; a password keeps its spaces, a token may have none.
pub(super) fn clean(bytes: Zeroizing<Vec<u8>>, kind: CredentialKind) -> Result<String, Unclean> {
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| Unclean::NotUtf8 { offset: error.valid_up_to() })?;
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let secret = text[start..].trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Unclean::Empty);
    }
    let mut letters = secret.char_indices();
    let foreign = |(_, letter): &(usize, char)| letter.is_whitespace() || letter.is_control();
    match letters.find(foreign) {
        Some((offset, letter)) if kind == CredentialKind::ScimBearer => {
            let name = match letter {
                '\n' | '\r' => LINE_BREAK.to_owned(),
                ' ' => "a space".to_owned(),
                letter => format!("the character U+{:04X}", u32::from(letter)),
            };
            Err(Unclean::Inside { name, offset: start + offset })
        }
        _ => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], kind: CredentialKind, expected: Result<&str, &str>) {
        let found = clean(Zeroizing::new(bytes.to_vec()), kind).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{bytes:?}");
    }

    #[test]
    fn a_token_is_taken_without_what_editors_add_and_refused_with_what_breaks_it() {
        use CredentialKind::ScimBearer;
        check(b"abc", ScimBearer, Ok("abc"));
        check(b"\xef\xbb\xbfabc\r\n\n", ScimBearer, Ok("abc"));
        check(b"", ScimBearer, Err("it is empty"));
        check(b"\n", ScimBearer, Err("it is empty"));
        check(b"ab\xff", ScimBearer, Err("it is not UTF-8 (byte 2)"));
        check(b"ab\ncd", ScimBearer, Err("it has a line break at byte 2"));
        check(b"ab cd", ScimBearer, Err("it has a space at byte 2"));
        check(b"\xef\xbb\xbfab\tcd", ScimBearer, Err("it has the character U+0009 at byte 5"));
    }

    #[test]
    fn a_password_keeps_its_spaces() {
        check(b" a b \r\n", CredentialKind::LdapBind, Ok(" a b "));
    }
}
