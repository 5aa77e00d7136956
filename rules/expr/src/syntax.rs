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
    /// What was refused, kept so that the rest is checked too; it is never evaluated.
    Refused(Vec<Node>),
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
}

// === impl Node ===

impl Node {
    /// The value, if it stands there literally.
    pub fn constant(&self) -> Option<&Data> {
        match &self.kind {
            Kind::Constant(data) => Some(data),
            _ => None,
        }
    }

    /// The parts, in the order in which they stand there.
    pub fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            Kind::Negate(inner) => vec![inner],
            Kind::Logic(_, parts) | Kind::Call(_, parts) | Kind::Refused(parts) => {
                parts.iter().collect()
            }
            Kind::Compare(first, steps) => chain(first, steps),
            Kind::Arithmetic(first, steps) => chain(first, steps),
            Kind::Constant(_)
            | Kind::Result(_)
            | Kind::Word(_)
            | Kind::Attribute(_)
            | Kind::Parameter(_)
            | Kind::Variable(_) => vec![],
        }
    }
}

fn chain<'n, O>(first: &'n Node, steps: &'n [Step<O>]) -> Vec<&'n Node> {
    std::iter::once(first).chain(steps.iter().map(|step| &step.right)).collect()
}

// === impl Logic ===

impl Logic {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
        }
    }
}

// === impl Comparison ===

impl Comparison {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

// === impl Arithmetic ===

impl Arithmetic {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Concatenate => "&",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
        }
    }
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
