//! The tree of a parsed expression.
//!
//! Chains of operators are flat lists, so the depth of the tree is the depth of the brackets and a
//! long concatenation cannot exhaust the stack.

use crate::builtin::Builtin;
use crate::error::Position;
use crate::value::Data;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub position: Position,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Constant(Data),
    /// `AuthoritativeNull` or `IgnoreThisFlow`.
    Result(Special),
    /// An enum word such as `vbTextCompare`, meaningful only to the function around it.
    Word(&'static str),
    /// `[name]`
    Attribute(String),
    /// `%name%`
    Parameter(String),
    /// `$name`
    Variable(String),
    Negate(Box<Node>),
    /// At least two conditions under one operator.
    Logic(Logic, Vec<Node>),
    /// Left to right.
    Compare(Box<Node>, Vec<Step<Comparison>>),
    /// Left to right, all operators alike: `2+3*5` is 25.
    Arithmetic(Box<Node>, Vec<Step<Arithmetic>>),
    Call(&'static Builtin, Vec<Node>),
}

/// One operator of a chain with its right side.
#[derive(Clone, Debug)]
pub(crate) struct Step<O> {
    pub position: Position,
    pub operator: O,
    pub right: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    AuthoritativeNull,
    IgnoreThisFlow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    /// `&`
    Concatenate,
    Add,
    Subtract,
    Multiply,
    Divide,
}

// === impl Special ===

impl Special {
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthoritativeNull => "AuthoritativeNull",
            Self::IgnoreThisFlow => "IgnoreThisFlow",
        }
    }
}
