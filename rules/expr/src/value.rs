//! Values, and the few conversions between their types that happen by themselves.

use std::borrow::Cow;

use crate::calendar::Instant;
use crate::error::Fault;
use crate::syntax::Special;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Val {
    Text(String),
    Number(i64),
    Boolean(bool),
    Binary(Vec<u8>),
    /// Another object, by DN or id.
    Reference(String),
    /// Only inside expressions: no directory attribute has this type.
    Instant(Instant),
}

/// What a part of an expression amounts to. A list of one value goes wherever that value goes:
/// without a schema nothing tells a single-valued attribute from a multi-valued one with one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Null,
    One(Val),
    /// At least one.
    Many(Vec<Val>),
    /// Can only be passed on as the result.
    Special(Special),
}

// === impl Val ===

impl Val {
    /// As text, the way `CStr` and `&` write it. Errors: binary values and dates have no text.
    pub(crate) fn text(&self) -> Result<Cow<'_, str>, Fault> {
        match self {
            Self::Text(text) | Self::Reference(text) => Ok(text.into()),
            Self::Number(number) => Ok(number.to_string().into()),
            Self::Boolean(true) => Ok("True".into()),
            Self::Boolean(false) => Ok("False".into()),
            Self::Binary(_) => Err(self.is_not("a text: use `ConvertToBase64`")),
            Self::Instant(_) => Err(self.is_not("a text: use `FormatDateTime`")),
        }
    }

    /// As a number. Directory large integers arrive as text, so decimal text is one.
    pub(crate) fn number(&self) -> Result<i64, Fault> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Text(text) => text.trim().parse().map_err(|_| self.is_not("a number")),
            _ => Err(self.is_not("a number")),
        }
    }

    /// As a condition: a number but zero is true; text must be TRUE or FALSE in any case.
    pub(crate) fn boolean(&self) -> Result<bool, Fault> {
        match self {
            Self::Boolean(flag) => Ok(*flag),
            Self::Number(number) => Ok(*number != 0),
            Self::Text(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Self::Text(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err(self.is_not("a Boolean")),
        }
    }

    pub(crate) fn binary(&self) -> Result<&[u8], Fault> {
        match self {
            Self::Binary(bytes) => Ok(bytes),
            _ => Err(self.is_not("a binary value")),
        }
    }

    pub(crate) fn instant(&self) -> Result<Instant, Fault> {
        match self {
            Self::Instant(instant) => Ok(*instant),
            _ => Err(self.is_not("a date: use `CDate` or `DateFromNum`")),
        }
    }

    /// A text or reference of no characters, which is nothing to a directory.
    pub(crate) fn is_empty_text(&self) -> bool {
        matches!(self, Self::Text(text) | Self::Reference(text) if text.is_empty())
    }

    /// Bytes of text or binary values; the others are small.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Reference(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Number(_) | Self::Boolean(_) | Self::Instant(_) => 0,
        }
    }

    pub(crate) fn is_not(&self, wanted: &'static str) -> Fault {
        Fault::WrongType { value: self.into(), wanted }
    }
}

impl From<&str> for Val {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Val {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Val {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}

// === impl Data ===

impl Data {
    /// The values one by one; a special result has none to compute with.
    pub fn values(&self) -> Result<&[Val], Fault> {
        match self {
            Self::Null => Ok(&[]),
            Self::One(value) => Ok(std::slice::from_ref(value)),
            Self::Many(values) => Ok(values),
            Self::Special(special) => Err(Fault::NotAValue(special.name())),
        }
    }

    pub fn into_values(self) -> Result<Vec<Val>, Fault> {
        match self {
            Self::Null => Ok(Vec::new()),
            Self::One(value) => Ok(vec![value]),
            Self::Many(values) => Ok(values),
            Self::Special(special) => Err(Fault::NotAValue(special.name())),
        }
    }

    /// The only value, `None` for NULL. Errors: several values.
    pub fn single(&self) -> Result<Option<&Val>, Fault> {
        match self.values()? {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(Fault::SeveralValues),
        }
    }

    /// As a condition: NULL is false.
    pub fn holds(&self) -> Result<bool, Fault> {
        self.single()?.map_or(Ok(false), Val::boolean)
    }

    /// NULL, or nothing but empty texts.
    pub fn is_empty(&self) -> Result<bool, Fault> {
        Ok(self.values()?.iter().all(Val::is_empty_text))
    }
}

impl From<Vec<Val>> for Data {
    fn from(values: Vec<Val>) -> Self {
        if values.is_empty() { Self::Null } else { Self::Many(values) }
    }
}

impl<V: Into<Val>> From<Option<V>> for Data {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, |value| Self::One(value.into()))
    }
}
