//! The expression language of synchronization rules: text in, values of one attribute out.
//!
//! An [`Expression`] is parsed and checked once; it then says what it [reads](Expression::reads)
//! and is evaluated for one object after the other. It sees an object only through an
//! [`Environment`], so the same code serves the rule module, the manifest's checks and the command
//! line.
//!
//! Reading order: `lex` (characters to tokens), `parse` (tokens to a tree), `check` (what the
//! tree reads, what grammar alone cannot refuse), `types` (what can never have a value),
//! `evaluate` (operators and lazy functions), `builtin` (the table of functions, their bodies by
//! subject). For people: `lint` (what is hardly meant so), `explain` (why a value is what it is).
//!
//! Source: provisioning.md 6, 7 and 9 (C1, C2, C9, C10); R30 to R34.

mod builtin;
mod calendar;
mod check;
mod error;
mod evaluate;
mod explain;
mod lex;
mod lint;
mod parse;
mod suggest;
mod syntax;
#[cfg(test)]
mod testing;
mod types;
mod value;

use std::collections::BTreeSet;

use syntax::{Kind, Node, Special};
use value::Data;

pub use calendar::Instant;
pub use error::{EvalError, ExprError, Fault, Position, SyntaxFault};
pub use explain::{Explained, Share};
pub use lint::Warning;
pub use suggest::nearest;
pub use value::Val;

/// Longest expression in bytes. The longest of the default rules has 1.1 KiB; a longer one than
/// this was generated, and nobody could review it.
pub const SOURCE_BYTES_MAX: usize = 32 * 1024;

/// Deepest nesting of brackets, calls and signs. Parser and evaluator recurse once per level, on
/// the small stack of a WASM instance; the deepest default rule has 9 levels.
pub const DEPTH_MAX: usize = 64;

/// Most values that one evaluation may produce, intermediate lists included. It bounds nested
/// `Select` calls. Values that are only read do not count.
pub const PRODUCED_VALUES_MAX: usize = 10_000;

/// Longest text or binary value that a function may produce, in bytes: far above any attribute,
/// and a stop for `PadLeft` and repeated `Replace`.
pub const PRODUCED_VALUE_BYTES_MAX: usize = 1024 * 1024;

/// Most steps of one evaluation: a part evaluated, a value handed on, [`STEP_BYTES`] of text read
/// or written. The other limits bound how much there is; this one bounds how often it is looked at,
/// as in a `Where` over one long list that searches another. 4,000 values against 1,000 fit.
pub const STEPS_MAX: usize = 20_000_000;

/// Bytes of text or binary values that count as one step.
pub const STEP_BYTES: usize = 16;

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

    /// Whether a single value of `[name]` is a list of one; only what is shown differs by it.
    fn multi_valued(&self, _name: &str) -> bool {
        false
    }

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

/// How `=`, `<` and their kind compare two texts (`compat.string_compare`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compare {
    /// By code points; case counts.
    #[default]
    Binary,
    /// As if both were lower case.
    Text,
}

/// The value of an expression before it becomes a contribution: here an empty text is a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Computed {
    Null,
    One(Val),
    /// At least one value.
    Many(Vec<Val>),
    AuthoritativeNull,
    IgnoreThisFlow,
}

/// Everything that can be said of a text before there is an object.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// `None` if the text cannot be evaluated; faults of types alone do not prevent that.
    pub expression: Option<Expression>,
    /// In order of place.
    pub errors: Vec<ExprError>,
    /// In order of place; what is allowed and probably not meant.
    pub warnings: Vec<Warning>,
}

/// Whether an expression is of a kind that can be computed without its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'e> {
    /// `Trim([name])`, two of three expressions of an exported configuration.
    Trim(&'e str),
    Other,
}

/// A parsed and checked expression.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
    reads: Reads,
    compare: Compare,
}

/// The names of all functions, those that are known and refused among them.
pub fn functions() -> impl Iterator<Item = &'static str> {
    builtin::names()
}

// === impl Analysis ===

impl Analysis {
    /// Parses and checks an expression; gives all that is wrong with it, and all that is odd.
    pub fn of(source: &str) -> Self {
        let (expression, mut errors, root) = judge(source);
        errors.sort_by_key(|error| error.position);
        let root = root.as_ref().or(expression.as_ref().map(|expression| &expression.root));
        let warnings = root.map(lint::lint).unwrap_or_default();
        Self { expression, errors, warnings }
    }
}

/// Gives: an expression that can be evaluated, all errors, and the tree if it can not.
///
/// Source: the grammar of provisioning.md 6, three tiers by C1.
fn judge(source: &str) -> (Option<Expression>, Vec<ExprError>, Option<Node>) {
    let parse::Parsed { root, mut errors } = parse::parse(source);
    let Some(root) = root else { return (None, errors, None) };
    let (reads, faults) = check::check(&root);
    errors.extend(faults);
    let evaluable = errors.is_empty();
    errors.extend(types::check(&root));
    if !evaluable {
        return (None, errors, Some(root));
    }
    (Some(Expression { root, reads, compare: Compare::Binary }), errors, None)
}

// === impl Expression ===

impl Expression {
    /// As [`Self::parse_all`]. Errors: the first fault.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        Self::parse_all(source).map_err(|mut errors| errors.swap_remove(0))
    }

    /// Parses and checks an expression.
    ///
    /// Errors: all faults in order of place, at least one; limits [`SOURCE_BYTES_MAX`] and
    /// [`DEPTH_MAX`].
    pub fn parse_all(source: &str) -> Result<Self, Vec<ExprError>> {
        let (expression, mut errors, _) = judge(source);
        match expression {
            Some(expression) if errors.is_empty() => Ok(expression),
            _ => {
                errors.sort_by_key(|error| error.position);
                Err(errors)
            }
        }
    }

    /// As [`Self::parse_all`], but takes what has no value for any object as well: trying an
    /// expression out shows more than refusing it.
    pub fn parse_untyped(source: &str) -> Result<Self, Vec<ExprError>> {
        let (expression, mut errors, _) = judge(source);
        errors.retain(|error| !error.fault.is_of_types());
        errors.sort_by_key(|error| error.position);
        expression.ok_or(errors)
    }

    /// The same expression with this way of comparing texts.
    #[must_use]
    pub fn comparing(self, compare: Compare) -> Self {
        Self { compare, ..self }
    }

    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Whether it is one of those that need no evaluation.
    pub fn shape(&self) -> Shape<'_> {
        match &self.root.kind {
            Kind::Call(function, arguments) if function.name == "Trim" => match &arguments[..] {
                [Node { kind: Kind::Attribute(name), .. }] => Shape::Trim(name),
                _ => Shape::Other,
            },
            _ => Shape::Other,
        }
    }

    /// Computes the contribution of one object.
    ///
    /// Errors: a value of the wrong type or out of bounds, a limit, or the expression's own
    /// `Error("...")`. The object then keeps its last good state.
    pub fn evaluate(&self, environment: &dyn Environment) -> Result<Outcome, EvalError> {
        self.compute(environment).map(Computed::contribution)
    }

    /// Computes the value for one object, of which an empty text is one. Errors as for
    /// [`Self::evaluate`].
    pub fn compute(&self, environment: &dyn Environment) -> Result<Computed, EvalError> {
        evaluate::Evaluation::new(environment, self.compare).node(&self.root).map(Computed::from)
    }

    /// Tells for each part what it came to, and which parts decided.
    pub fn explain(&self, environment: &dyn Environment) -> Explained {
        explain::explain(&self.root, environment, self.compare)
    }
}

// === impl Computed ===

impl Computed {
    /// What a flow makes of it: empty texts are no values.
    pub fn contribution(self) -> Outcome {
        let values = match self {
            Self::AuthoritativeNull => return Outcome::AuthoritativeNull,
            Self::IgnoreThisFlow => return Outcome::IgnoreThisFlow,
            Self::Null => Vec::new(),
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        };
        let values: Vec<Val> = values.into_iter().filter(|value| !value.is_empty_text()).collect();
        if values.is_empty() { Outcome::Null } else { Outcome::Values(values) }
    }
}

impl From<Data> for Computed {
    fn from(data: Data) -> Self {
        match data {
            Data::Null => Self::Null,
            Data::One(value) => Self::One(value),
            Data::Many(values) => Self::Many(values),
            Data::Special(Special::AuthoritativeNull) => Self::AuthoritativeNull,
            Data::Special(Special::IgnoreThisFlow) => Self::IgnoreThisFlow,
        }
    }
}
