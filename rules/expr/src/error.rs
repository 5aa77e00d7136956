//! What can be wrong: with an expression's text, and with one object's values.

use std::fmt;

use thiserror::Error;

use crate::value::Val;

/// A place in an expression, counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// Why a text is not an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{fault} at {position}")]
pub struct ExprError {
    pub position: Position,
    pub fault: SyntaxFault,
    /// How to mend it, as a phrase without final dot.
    pub hint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SyntaxFault {
    #[error("the expression has {bytes} bytes, at most {max}")]
    TooLong { bytes: usize, max: usize },
    #[error("nested deeper than {max} levels")]
    TooDeep { max: usize },
    #[error("unexpected character `{0}`")]
    Character(char),
    #[error("{0} without an end")]
    Unterminated(&'static str),
    #[error("an empty name in {0}")]
    EmptyName(&'static str),
    #[error("number `{0}` does not fit 64 bits")]
    NumberTooLarge(String),
    #[error("expected {expected}, found {found}")]
    Expected { expected: &'static str, found: String },
    #[error("`&&` and `||` are mixed without brackets (ambiguous-precedence)")]
    AmbiguousPrecedence,
    #[error("unknown function `{0}`")]
    UnknownFunction(String),
    #[error("unknown name `{0}`")]
    UnknownName(String),
    #[error("function `{name}` is not supported: {reason}")]
    Unsupported { name: &'static str, reason: &'static str },
    #[error("function `{name}` takes {takes}, found {found}")]
    ArgumentCount { name: &'static str, takes: String, found: usize },
    #[error("function `{name}` takes {what} as argument {index}")]
    Argument { name: &'static str, index: usize, what: &'static str },
    #[error("the word `{0}` means nothing here")]
    MisplacedWord(&'static str),
    #[error("`{0}` can only be a result, not part of a computation")]
    MisplacedResult(&'static str),
    #[error("unknown variable `${0}`")]
    UnknownVariable(String),
    #[error("division is not part of the language")]
    Division,
    #[error("`\\\"` inside a text has no meaning yet")]
    EscapedQuote,
    #[error("function `{name}` takes {wanted} as argument {index}, found {found}")]
    ArgumentType { name: &'static str, index: usize, wanted: &'static str, found: String },
    #[error("{place} takes {wanted}, found {found}")]
    OperandType { place: &'static str, wanted: &'static str, found: String },
    #[error("this fails for every object: {0}")]
    AlwaysFails(Fault),
}

/// Why an expression has no value for one object, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    pub position: Position,
    pub fault: Fault,
}

/// The fault of one operation. Its texts may hold the object's values.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The words of `Error("...")`.
    #[error("{0}")]
    Raised(String),
    #[error("{value} is not {wanted}")]
    WrongType { value: Shown, wanted: &'static str },
    #[error("several values where one is expected")]
    SeveralValues,
    #[error("lists of different length: {0} and {1} values")]
    LengthsDiffer(usize, usize),
    #[error("no item {index}: {count} values")]
    NoItem { index: i64, count: usize },
    #[error("argument {argument} is {value}, must be {wanted}")]
    OutOfRange { argument: usize, value: Shown, wanted: &'static str },
    #[error("{0}: the result does not fit")]
    Overflow(&'static str),
    #[error("more than {0} steps of work")]
    TooManySteps(usize),
    #[error("more than {0} values produced")]
    TooManyValues(usize),
    #[error("a value of more than {0} bytes produced")]
    ValueTooLong(usize),
    #[error("parameter `%{0}%` has no value here")]
    NoParameter(String),
    #[error("`{0}` can only be a result, not part of a computation")]
    NotAValue(&'static str),
}

/// A value as a message shows it: short, and with its type where the text would not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

/// Most characters of a value that a message repeats.
const SHOWN_CHARS_MAX: usize = 60;

// === impl Position ===

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

// === impl SyntaxFault ===

impl SyntaxFault {
    /// A word for programs; several faults share one.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::TooDeep { .. } => "limit",
            Self::AmbiguousPrecedence => "ambiguous-precedence",
            Self::UnknownFunction(_) => "unknown-function",
            Self::UnknownName(_) | Self::UnknownVariable(_) => "unknown-name",
            Self::Unsupported { .. } | Self::Division | Self::EscapedQuote => "unsupported",
            Self::ArgumentCount { .. } => "argument-count",
            Self::Argument { .. } | Self::MisplacedWord(_) | Self::MisplacedResult(_) => {
                "misplaced"
            }
            Self::ArgumentType { .. } | Self::OperandType { .. } | Self::AlwaysFails(_) => "type",
            Self::Character(_)
            | Self::Unterminated(_)
            | Self::EmptyName(_)
            | Self::NumberTooLarge(_)
            | Self::Expected { .. } => "syntax",
        }
    }

    /// The text is an expression, but no object gives it a value.
    pub fn is_of_types(&self) -> bool {
        self.kind() == "type"
    }
}

// === impl EvalError ===

impl fmt::Display for EvalError {
    /// The words of `Error("...")` stand alone: an administrator wrote them for a reader.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::Raised(text) => f.write_str(text),
            fault => write!(f, "{fault} at {}", self.position),
        }
    }
}

impl std::error::Error for EvalError {}

// === impl Shown ===

impl From<&Val> for Shown {
    fn from(value: &Val) -> Self {
        Self(match value {
            Val::Text(text) | Val::Reference(text) => return Self::from(text.as_str()),
            Val::Number(number) => format!("`{number}`"),
            Val::Boolean(flag) => format!("`{}`", if *flag { "True" } else { "False" }),
            Val::Binary(bytes) => format!("a binary value of {} bytes", bytes.len()),
            Val::Instant(instant) => format!("the date `{instant}`"),
        })
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        match text.char_indices().nth(SHOWN_CHARS_MAX) {
            Some((end, _)) => Self(format!("`{}...`", &text[..end])),
            None => Self(format!("`{text}`")),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
