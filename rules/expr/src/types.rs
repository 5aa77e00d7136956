//! Types as far as they are known before there is an object.
//!
//! What flows in: a tree. What flows out: every place where the language's own functions, constants
//! and operators exclude each other. An attribute may be of any type, since no schema is known
//! here; what depends on it is judged when it is evaluated (provisioning.md 6, "Types").

use std::borrow::Cow;

use crate::builtin::{ARGUMENTS_MAX, Arguments, Body, Builtin, Lazy};
use crate::error::{ExprError, Fault, Position, Shown, SyntaxFault};
use crate::syntax::{Arithmetic, Comparison, Kind, Node, Step};
use crate::value::{Data, Val};

/// A set of types that a part may have; empty for what is always NULL, or never returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Types(u8);

/// What an argument must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    Anything,
    Text,
    /// A number, or text that is one.
    Number,
    Condition,
    Binary,
    Date,
    /// Text or binary.
    Sequence,
    Certificate,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// What a function gives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gives {
    Only(Types),
    /// What its argument at this place is.
    TypeOf(usize),
    /// Binary for a binary first argument, else text.
    Sequence,
}

/// Longest constant that is carried on while types are found, in bytes: what a rule writes out is
/// shorter, what it makes of `PadLeft` need not be made twice.
const CONSTANT_BYTES_MAX: usize = 4096;

/// Finds all faults of types in a tree, in order of place.
pub(crate) fn check(root: &Node) -> Vec<ExprError> {
    let mut typer = Typer { variables: Vec::new(), faults: Vec::new() };
    typer.node(root);
    typer.faults
}

/// What is known of a part.
#[derive(Clone)]
struct Known<'e> {
    types: Types,
    constant: Option<Cow<'e, Data>>,
}

struct Typer<'e> {
    /// Variables in force, innermost last.
    variables: Vec<(&'e str, Types)>,
    faults: Vec<ExprError>,
}

// === impl Types ===

impl Types {
    pub const NONE: Self = Self(0);
    pub const TEXT: Self = Self(1);
    pub const NUMBER: Self = Self(2);
    pub const BOOLEAN: Self = Self(4);
    pub const BINARY: Self = Self(8);
    pub const REFERENCE: Self = Self(16);
    pub const DATE: Self = Self(32);
    pub const ANY: Self = Self(63);

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Some type is known, and none of these is among them.
    fn excludes(self, wanted: Self) -> bool {
        self != Self::NONE && self.0 & wanted.0 == 0
    }

    fn may_be(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    fn of(value: &Val) -> Self {
        match value {
            Val::Text(_) => Self::TEXT,
            Val::Number(_) => Self::NUMBER,
            Val::Boolean(_) => Self::BOOLEAN,
            Val::Binary(_) => Self::BINARY,
            Val::Reference(_) => Self::REFERENCE,
            Val::Instant(_) => Self::DATE,
        }
    }

    fn words(self) -> String {
        let names = [
            (Self::TEXT, "a text"),
            (Self::NUMBER, "a number"),
            (Self::BOOLEAN, "a Boolean"),
            (Self::BINARY, "a binary value"),
            (Self::REFERENCE, "a reference"),
            (Self::DATE, "a date"),
        ];
        let held = names.iter().filter(|(types, _)| self.may_be(*types)).map(|(_, name)| *name);
        held.collect::<Vec<_>>().join(" or ")
    }
}

// === impl Want ===

impl Want {
    fn accepts(self) -> Types {
        const TEXT: Types =
            Types::TEXT.and(Types::NUMBER).and(Types::BOOLEAN).and(Types::REFERENCE);
        match self {
            Self::Anything => Types::ANY,
            Self::Text => TEXT,
            Self::Number => Types::NUMBER.and(Types::TEXT),
            Self::Condition => Types::BOOLEAN.and(Types::NUMBER).and(Types::TEXT),
            Self::Binary => Types::BINARY,
            Self::Date => Types::DATE,
            Self::Sequence => TEXT.and(Types::BINARY),
            Self::Certificate => Types::BINARY.and(Types::TEXT),
            Self::Word(_) => Types::TEXT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Anything => "anything",
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Condition => "a Boolean",
            Self::Binary => "a binary value",
            Self::Date => "a date",
            Self::Sequence => "a text or a binary value",
            Self::Certificate => "a certificate, binary or in base64",
            Self::Word(_) => "a word",
        }
    }

    /// Whether this value of an accepted type will do.
    fn takes(self, value: &Val) -> bool {
        match self {
            Self::Number => value.number().is_ok(),
            Self::Condition => value.boolean().is_ok(),
            _ => true,
        }
    }
}

// === impl Known ===

impl Known<'_> {
    fn of(types: Types) -> Self {
        Self { types, constant: None }
    }

    /// What a message says was found.
    fn found(&self) -> String {
        match self.constant.as_deref() {
            Some(Data::One(value)) => Shown::from(value).to_string(),
            _ => self.types.words(),
        }
    }

    fn fits(&self, want: Want) -> bool {
        if self.types.excludes(want.accepts()) {
            return false;
        }
        match self.constant.as_deref() {
            Some(Data::One(value)) => want.takes(value),
            _ => true,
        }
    }
}

// === impl Typer ===

impl<'e> Typer<'e> {
    fn node(&mut self, node: &'e Node) -> Known<'e> {
        match &node.kind {
            Kind::Constant(data) => {
                let types = data.values().unwrap_or_default().iter().map(Types::of);
                let types = types.fold(Types::NONE, Types::and);
                Known { types, constant: Some(Cow::Borrowed(data)) }
            }
            Kind::Result(_) => Known::of(Types::NONE),
            Kind::Word(_) | Kind::Parameter(_) => Known::of(Types::TEXT),
            Kind::Attribute(_) => Known::of(Types::ANY),
            Kind::Variable(name) => {
                let bound = self.variables.iter().rev().find(|(bound, _)| bound == name);
                Known::of(bound.map_or(Types::ANY, |(_, types)| *types))
            }
            Kind::Negate(inner) => {
                self.operand(inner, Want::Number, "the sign `-`");
                Known::of(Types::NUMBER)
            }
            Kind::Logic(logic, parts) => {
                let place = match logic.symbol() {
                    "&&" => "`&&`",
                    _ => "`||`",
                };
                parts.iter().for_each(|part| self.operand(part, Want::Condition, place));
                Known::of(Types::BOOLEAN)
            }
            Kind::Compare(first, steps) => self.comparison(first, steps),
            Kind::Arithmetic(first, steps) => self.arithmetic(first, steps),
            Kind::Call(function, arguments) => self.call(node.position, function, arguments),
            Kind::Refused(parts) => {
                parts.iter().for_each(|part| drop(self.node(part)));
                Known::of(Types::ANY)
            }
        }
    }

    /// A part that must be of a type for the sake of what is around it.
    fn operand(&mut self, node: &'e Node, want: Want, place: &'static str) {
        let known = self.node(node);
        self.require(node.position, &known, want, place);
    }

    fn require(&mut self, position: Position, known: &Known<'_>, want: Want, place: &'static str) {
        if !known.fits(want) {
            let (wanted, found) = (want.name(), known.found());
            let text = place == "`+`" && known.types == Types::TEXT;
            let hint = text.then(|| "texts are joined by `&`".to_owned());
            let fault = SyntaxFault::OperandType { place, wanted, found };
            self.faults.push(ExprError { position, fault, hint });
        }
    }

    /// A Boolean on either side asks for one on the other, then a number does.
    fn comparison(&mut self, first: &'e Node, steps: &'e [Step<Comparison>]) -> Known<'e> {
        let mut left = self.node(first);
        for step in steps {
            let right = self.node(&step.right);
            let either = |types| left.types == types || right.types == types;
            let want = if either(Types::BOOLEAN) {
                Want::Condition
            } else if either(Types::NUMBER) {
                Want::Number
            } else if either(Types::DATE) {
                Want::Date
            } else if either(Types::BINARY) {
                Want::Binary
            } else {
                Want::Anything
            };
            let place = match want {
                Want::Condition => "a comparison with a Boolean",
                Want::Number => "a comparison with a number",
                Want::Date => "a comparison with a date",
                _ => "a comparison with a binary value",
            };
            self.require(step.position, &left, want, place);
            self.require(step.right.position, &right, want, place);
            left = Known::of(Types::BOOLEAN);
        }
        left
    }

    fn arithmetic(&mut self, first: &'e Node, steps: &'e [Step<Arithmetic>]) -> Known<'e> {
        let mut left = self.node(first);
        let mut place = first.position;
        for step in steps {
            let right = self.node(&step.right);
            let (want, symbol) = match step.operator {
                Arithmetic::Concatenate => (Want::Sequence, "`&`"),
                Arithmetic::Add => (Want::Number, "`+`"),
                Arithmetic::Subtract => (Want::Number, "`-`"),
                Arithmetic::Multiply => (Want::Number, "`*`"),
            };
            self.require(place, &left, want, symbol);
            self.require(step.right.position, &right, want, symbol);
            left = match step.operator {
                Arithmetic::Concatenate => self.joined(step, &left, &right),
                _ => Known::of(Types::NUMBER),
            };
            place = step.right.position;
        }
        left
    }

    /// Bytes are joined with bytes only.
    fn joined(
        &mut self,
        step: &Step<Arithmetic>,
        left: &Known<'_>,
        right: &Known<'_>,
    ) -> Known<'e> {
        let exactly = |known: &Known<'_>| known.types == Types::BINARY;
        let may = |known: &Known<'_>| known.types.may_be(Types::BINARY);
        for (one, other) in [(left, right), (right, left)] {
            if exactly(one) && other.types.excludes(Types::BINARY) {
                let place = "`&` with a binary value";
                self.require(step.position, other, Want::Binary, place);
                return Known::of(Types::BINARY);
            }
        }
        Known::of(match (exactly(left) || exactly(right), may(left) && may(right)) {
            (true, _) => Types::BINARY,
            (false, true) => Types::TEXT.and(Types::BINARY),
            (false, false) => Types::TEXT,
        })
    }

    fn call(
        &mut self,
        position: Position,
        function: &'static Builtin,
        arguments: &'e [Node],
    ) -> Known<'e> {
        // The checker has told of it.
        if !function.arity.contains(&arguments.len()) {
            return Known::of(Types::ANY);
        }
        match function.body {
            Body::Lazy(lazy) => Known::of(self.lazy(lazy, arguments)),
            Body::Read(_) | Body::Unsupported(_) => Known::of(match function.gives {
                Gives::Only(types) => types,
                _ => Types::ANY,
            }),
            Body::Scalar(_) | Body::Spread(_) | Body::Whole(_) => {
                self.plain(position, function, arguments)
            }
        }
    }

    fn plain(
        &mut self,
        position: Position,
        function: &'static Builtin,
        arguments: &'e [Node],
    ) -> Known<'e> {
        let known: Vec<Known<'e>> = arguments.iter().map(|node| self.node(node)).collect();
        let mut fits = true;
        for (index, ((known, node), want)) in
            known.iter().zip(arguments).zip(function.takes).enumerate()
        {
            if !known.fits(*want) {
                fits = false;
                let (name, index) = (function.name, index + 1);
                let (wanted, found) = (want.name(), known.found());
                let fault = SyntaxFault::ArgumentType { name, index, wanted, found };
                let hint = remedy(*want, known.types).map(str::to_owned);
                self.faults.push(ExprError { position: node.position, fault, hint });
            }
        }
        let binary = || known.first().map_or(Types::ANY, |known| known.types);
        let types = match function.gives {
            Gives::Only(types) => types,
            Gives::TypeOf(index) => known.get(index).map_or(Types::ANY, |known| known.types),
            Gives::Sequence if binary() == Types::BINARY => Types::BINARY,
            Gives::Sequence if binary().may_be(Types::BINARY) => Types::TEXT.and(Types::BINARY),
            Gives::Sequence => Types::TEXT,
        };
        let constant = if fits { self.fold(position, function, &known) } else { None };
        Known { types, constant: constant.map(Cow::Owned) }
    }

    /// The value of a call whose arguments are all constant. One that fails fails for every object.
    fn fold(
        &mut self,
        position: Position,
        function: &'static Builtin,
        known: &[Known<'_>],
    ) -> Option<Data> {
        let arguments: Vec<Data> =
            known.iter().map(|known| known.constant.as_deref().cloned()).collect::<Option<_>>()?;
        let result = match function.body {
            Body::Scalar(body) => {
                let single: Result<Vec<_>, _> = arguments.iter().map(Data::single).collect();
                let single = single.ok().filter(|single| single.len() <= ARGUMENTS_MAX)?;
                body(&Arguments::new(single.into_iter())).map(Data::from)
            }
            Body::Whole(body) => body(&arguments),
            _ => return None,
        };
        match result {
            Ok(data) => {
                let short =
                    |values: &[Val]| values.iter().all(|value| value.bytes() <= CONSTANT_BYTES_MAX);
                data.values().is_ok_and(short).then_some(data)
            }
            // `Error("...")` is meant to fail.
            Err(Fault::Raised(_)) => None,
            Err(fault) => {
                let fault = SyntaxFault::AlwaysFails(fault);
                self.faults.push(ExprError { position, fault, hint: None });
                None
            }
        }
    }

    fn lazy(&mut self, lazy: Lazy, arguments: &'e [Node]) -> Types {
        match lazy {
            Lazy::Iif => {
                self.operand(&arguments[0], Want::Condition, "the condition of `IIF`");
                let then = self.node(&arguments[1]).types;
                then.and(self.node(&arguments[2]).types)
            }
            Lazy::Switch => arguments.chunks_exact(2).fold(Types::NONE, |types, pair| {
                self.operand(&pair[0], Want::Condition, "a condition of `Switch`");
                types.and(self.node(&pair[1]).types)
            }),
            Lazy::With | Lazy::Select | Lazy::Where => {
                let value = self.node(&arguments[1]).types;
                let Kind::Variable(name) = &arguments[0].kind else { return Types::ANY };
                self.variables.push((name, value));
                let types = match lazy {
                    Lazy::Where => {
                        self.operand(&arguments[2], Want::Condition, "the condition of `Where`");
                        value
                    }
                    _ => self.node(&arguments[2]).types,
                };
                self.variables.pop();
                types
            }
        }
    }
}

/// What turns a type into the one that is wanted.
fn remedy(want: Want, found: Types) -> Option<&'static str> {
    match want {
        Want::Date => Some("`CDate` makes a date of a text, `DateFromNum` of a number"),
        Want::Text if found == Types::DATE => Some("`FormatDateTime` makes a text of a date"),
        Want::Text if found == Types::BINARY => {
            Some("`ConvertToBase64` makes a text of a binary value")
        }
        Want::Number if found == Types::DATE => Some("`NumFromDate` makes a number of a date"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Analysis;
    use crate::testing::refused;

    #[test]
    fn r32_what_can_never_have_a_value_is_refused() {
        for (expression, message) in [
            (
                "Left(\"a\", \"b\")",
                "function `Left` takes a number as argument 2, found `b` at 1:11",
            ),
            (
                "Left([a], True)",
                "function `Left` takes a number as argument 2, found `True` at 1:11",
            ),
            (
                "BitAnd(IsPresent([a]), 1)",
                "function `BitAnd` takes a number as argument 1, found a Boolean at 1:8",
            ),
            (
                "BitAnd(\"12\", \"x\")",
                "function `BitAnd` takes a number as argument 2, found `x` at 1:14",
            ),
            (
                "CBool(\"yes\")",
                "function `CBool` takes a Boolean as argument 1, found `yes` at 1:7",
            ),
            ("IIF(\"yes\", 1, 2)", "the condition of `IIF` takes a Boolean, found `yes` at 1:5"),
            ("[a] || Now()", "`||` takes a Boolean, found a date at 1:8"),
            (
                "IsPresent([a]) = \"yes\"",
                "a comparison with a Boolean takes a Boolean, found `yes` at 1:18",
            ),
            ("Len([a]) > \"x\"", "a comparison with a number takes a number, found `x` at 1:12"),
            ("Now() > 5", "a comparison with a number takes a number, found a date at 1:7"),
            ("-\"x\"", "the sign `-` takes a number, found `x` at 1:2"),
            ("CNum(\"5x\")", "function `CNum` takes a number as argument 1, found `5x` at 1:6"),
            ("Where($v,[a],DNComponent($v,1) + Now())", "`+` takes a number, found a date at 1:34"),
            (
                "CGuid([a]) & \"x\"",
                "`&` with a binary value takes a binary value, found `x` at 1:12",
            ),
            (
                "PadLeft(\"a\", 3, \"00\")",
                "this fails for every object: argument 3 is `00`, must be one character at 1:1",
            ),
            ("Item(\"a\", 2)", "this fails for every object: no item 2: 1 values at 1:1"),
        ] {
            refused(expression, message, "");
        }
        refused("\"a\" + [b]", "`+` takes a number, found `a` at 1:1", "texts are joined by `&`");
        refused(
            "FormatDateTime(\"2007-01-02\",\"yyyy\")",
            "function `FormatDateTime` takes a date as argument 1, found `2007-01-02` at 1:16",
            "`CDate` makes a date of a text, `DateFromNum` of a number",
        );
        refused(
            "LCase(CGuid([a]))",
            "function `LCase` takes a text as argument 1, found a binary value at 1:7",
            "`ConvertToBase64` makes a text of a binary value",
        );
    }

    #[test]
    fn c09_what_some_object_may_give_a_value_is_accepted() {
        for expression in [
            "CBool(IIF(IsPresent([a]),BitAnd([a],&HFF) > 0,NULL))",
            "CNum(Mid([a],1,1)) = 0",
            "Mid([a],1,2) & Mid([a],3)",
            "IIF(IsString([a]),CStr([a]),ConvertToBase64([a]))",
            "IIF(NULL, 1, 2)",
            "IIF(1, 1, 2)",
            "BitAnd(\"12\", 4)",
            "[a] = NULL || NULL < 1",
            "IIF([a], IgnoreThisFlow, \"a\") ",
            "Select($v,[a],IIF(True,$v,1)) & \"x\"",
            "Switch([a]=1,CGuid([b]),True,Error(\"no\"))",
            "FormatDateTime([a],\"yyyy\")",
            "Left(CStr(1) & CRef([a]), \"3\")",
            "Len(PadLeft(\"\",5000,\"x\"))",
        ] {
            let errors = Analysis::of(expression).errors;
            assert!(errors.is_empty(), "{expression}: {errors:?}");
        }
    }
}
