//! What can be told of a password without asking its target (O-35): rules of a target and a
//! password flow in, the category of its rejection flows out, or nothing.

use std::str::FromStr;

use kakehi_engine::password::Category;

use crate::secret::Password;

/// What a target is known never to take. `Default`: nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// In characters.
    pub length_min: Option<usize>,
    /// In characters.
    pub length_max: Option<usize>,
    /// In bytes of UTF-8, for targets that count those.
    pub bytes_max: Option<usize>,
    pub charset: Charset,
}

/// Characters that a target takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// All there are.
    #[default]
    Any,
    /// The printable ones from space to `~`.
    Ascii,
    /// These, and the printable ones of ISO 8859-1.
    Latin1,
    /// Exactly these; first and last of each range, not empty.
    Only(Vec<(char, char)>),
}

/// A set of characters that says nothing, or not what was meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharsetError {
    #[error(
        "the set of characters is empty: it must be `any`, `ascii`, `latin1`, or characters and \
         ranges such as `a-zA-Z0-9!#$`"
    )]
    Empty,
    #[error("the range `{0}-{1}` runs backwards")]
    Backwards(char, char),
    #[error("the set of characters ends with `\\`: for the character itself write `\\\\`")]
    Escape,
}

// === impl Rules ===

impl Rules {
    /// Why the target would reject this password; `None`: as far as is known, it would not. Which
    /// of several reasons comes first is fixed: length, then characters.
    pub fn refuses(&self, password: &Password) -> Option<Category> {
        let text = password.expose();
        let length = text.chars().count();
        if self.length_min.is_some_and(|min| length < min) {
            return Some(Category::TooShort);
        }
        let too_long = self.length_max.is_some_and(|max| length > max)
            || self.bytes_max.is_some_and(|max| text.len() > max);
        if too_long {
            return Some(Category::Other);
        }
        let foreign = text.chars().any(|character| !self.charset.contains(character));
        foreign.then_some(Category::Charset)
    }
}

// === impl Charset ===

impl Charset {
    pub fn contains(&self, character: char) -> bool {
        match self {
            Self::Any => true,
            Self::Ascii => matches!(character, ' '..='~'),
            Self::Latin1 => matches!(character, ' '..='~' | '\u{a0}'..='\u{ff}'),
            Self::Only(ranges) => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&character))
            }
        }
    }
}

impl FromStr for Charset {
    type Err = CharsetError;

    /// Reads `any`, `ascii`, `latin1`, or a set: characters as they are, ranges with `-`, and `\`
    /// before a character that would mean something else. A `-` at either end is itself; spaces
    /// count, since a password may have them.
    fn from_str(text: &str) -> Result<Self, CharsetError> {
        match text {
            "any" => return Ok(Self::Any),
            "ascii" => return Ok(Self::Ascii),
            "latin1" => return Ok(Self::Latin1),
            _ => {}
        }
        // Each character, and whether it stands for itself whatever it is.
        let mut items = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character == '\\' {
                items.push((characters.next().ok_or(CharsetError::Escape)?, true));
            } else {
                items.push((character, false));
            }
        }
        let mut ranges = Vec::new();
        let mut rest = items.as_slice();
        while let [(first, _), after @ ..] = rest {
            rest = match after {
                [('-', false), (last, _), after @ ..] => {
                    if first > last {
                        return Err(CharsetError::Backwards(*first, *last));
                    }
                    ranges.push((*first, *last));
                    after
                }
                after => {
                    ranges.push((*first, *first));
                    after
                }
            };
        }
        if ranges.is_empty() { Err(CharsetError::Empty) } else { Ok(Self::Only(ranges)) }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn refuses(rules: &Rules, text: &str) -> Option<Category> {
        rules.refuses(&Password::new(Zeroizing::new(text.to_owned())))
    }

    #[test]
    fn o35_a_password_that_a_target_never_takes_is_known_without_a_call() {
        let rules = |charset: &str| Rules {
            length_min: Some(8),
            length_max: Some(12),
            bytes_max: Some(20),
            charset: charset.parse().unwrap(),
        };
        for (charset, text, expected) in [
            ("any", "パスワード", Some(Category::TooShort)),
            ("any", "six-66", Some(Category::TooShort)),
            ("any", "12345678", None),
            ("any", "123456789012", None),
            ("any", "1234567890123", Some(Category::Other)),
            // Eight characters, 24 bytes.
            ("any", "パスワードです。", Some(Category::Other)),
            ("ascii", "with space~", None),
            ("ascii", "pässword", Some(Category::Charset)),
            ("ascii", "12345678\t", Some(Category::Charset)),
            ("latin1", "pässword", None),
            ("latin1", "1234567€", Some(Category::Charset)),
            ("latin1", "1234567\u{80}", Some(Category::Charset)),
            ("a-z0-9", "abcd1234", None),
            ("a-z0-9", "abcd-1234", Some(Category::Charset)),
            ("a-z0-9-", "abcd-1234", None),
        ] {
            assert_eq!(refuses(&rules(charset), text), expected, "{charset}: {text}");
        }
        assert_eq!(refuses(&Rules::default(), ""), None);
    }

    #[test]
    fn sets_of_characters_as_they_are_configured() {
        for (text, inside, outside) in [
            ("a-c", "abc", "-d"),
            ("-a", "-a", "b"),
            ("a-", "a-", "b"),
            (r"a\-c", "a-c", "b"),
            (r"\\-a", r"\]a", "b"),
            (r"\any", "any", "bc"),
            ("!-/ä", "!\"/ä", "0a"),
            ("あ-ん 々", "いん々 ", "アa"),
            ("--/", "-./", ",0"),
        ] {
            let set: Charset = text.parse().unwrap();
            assert!(inside.chars().all(|character| set.contains(character)), "{text}: {set:?}");
            assert!(!outside.chars().any(|character| set.contains(character)), "{text}: {set:?}");
        }
        assert_eq!("".parse::<Charset>(), Err(CharsetError::Empty));
        assert_eq!("z-a".parse::<Charset>(), Err(CharsetError::Backwards('z', 'a')));
        assert_eq!(r"a\".parse::<Charset>(), Err(CharsetError::Escape));
    }
}
