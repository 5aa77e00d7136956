//! The expression language of synchronization rules: text in, values of one attribute out.
//!
//! An [`Expression`] is parsed and checked once; it then says what it [reads](Expression::reads)
//! and is evaluated for one object after the other. It sees an object only through an
//! [`Environment`], so the same code serves the rule module, the manifest's checks and the command
//! line.
//!
//! Reading order: `lex` (characters to tokens), `parse` (tokens to a tree), `check` (what the
//! tree reads, what grammar alone cannot refuse), `evaluate` (operators and lazy functions),
//! `builtin` (the table of functions, their bodies by subject).
//!
//! Source: provisioning.md 6, 7 and 9 (C1, C2, C9, C10); R30 to R34.

mod builtin;
mod calendar;
mod check;
mod error;
mod evaluate;
mod lex;
mod parse;
mod suggest;
mod syntax;
#[cfg(test)]
mod testing;
mod value;

use std::collections::BTreeSet;

pub use calendar::Instant;
pub use error::{EvalError, ExprError, Fault, Position, SyntaxFault};
pub use suggest::nearest;
pub use value::Val;

/// Longest expression in bytes. The longest of the default rules has 1.1 KiB; a longer one than
/// this was generated, and nobody could review it.
pub const SOURCE_BYTES_MAX: usize = 32 * 1024;

/// Deepest nesting of brackets and calls. Parser and evaluator recurse once per level, on the small
/// stack of a WASM instance; the deepest default rule has 9 levels.
pub const DEPTH_MAX: usize = 64;

/// Most values that one evaluation may produce, intermediate lists included. It bounds nested
/// `Select` calls. Values that are only read do not count.
pub const PRODUCED_VALUES_MAX: usize = 10_000;

/// Longest text or binary value that a function may produce, in bytes: far above any attribute,
/// and a stop for `PadLeft` and repeated `Replace`.
pub const PRODUCED_VALUE_BYTES_MAX: usize = 1024 * 1024;

/// What an expression sees of the object that it is evaluated for.
pub trait Environment {
    /// The values of `[name]`, staged exports included, in stored order; empty if it is absent.
    fn attribute(&self, name: &str) -> Vec<Val>;

    /// The values of `ImportedValue("name")`: only what the connected system has confirmed.
    fn imported(&self, name: &str) -> Vec<Val>;

    /// The value of `%name%`; `None` where the installation has no such parameter.
    fn parameter(&self, name: &str) -> Option<String>;

    /// The instant of the run in Unix seconds, the same for every object of it.
    fn now(&self) -> i64;

    /// How many values `[name]` has, without copying them.
    fn value_count(&self, name: &str) -> usize {
        self.attribute(name).len()
    }
}

/// What an expression contributes to its attribute (provisioning.md 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// At least one value, in order, none an empty text. Repeated values are left in.
    Values(Vec<Val>),
    /// Nothing: the next rule may win. An empty text and an empty list are this, too.
    Null,
    /// Nothing, and no lower rule may contribute.
    AuthoritativeNull,
    /// As if there were no such flow.
    IgnoreThisFlow,
}

/// Everything outside the expression that its value depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// From `[name]` and `ValueCount("name")`.
    pub attributes: BTreeSet<String>,
    /// From `ImportedValue("name")`.
    pub imported: BTreeSet<String>,
    /// From `%name%`.
    pub parameters: BTreeSet<String>,
    /// It calls `Now()`: the value changes while the object stays the same.
    pub volatile: bool,
}

/// Something that is allowed and probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub position: Position,
    pub message: String,
}

/// A parsed and checked expression.
#[derive(Clone, Debug)]
pub struct Expression {
    root: syntax::Node,
    reads: Reads,
    warnings: Vec<Warning>,
}

// === impl Expression ===

impl Expression {
    /// Parses and checks an expression.
    ///
    /// Errors: the first fault with its place; limits [`SOURCE_BYTES_MAX`] and [`DEPTH_MAX`].
    /// Source: the grammar of provisioning.md 6, three tiers by C1.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        let root = parse::parse(source)?;
        let (reads, warnings) = check::check(&root)?;
        Ok(Self { root, reads, warnings })
    }

    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// In the order in which they stand in the expression.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Computes the value for one object.
    ///
    /// Errors: a value of the wrong type or out of bounds, a limit, or the expression's own
    /// `Error("...")`. The object then keeps its last good state.
    pub fn evaluate(&self, environment: &dyn Environment) -> Result<Outcome, EvalError> {
        evaluate::evaluate(&self.root, environment)
    }
}
