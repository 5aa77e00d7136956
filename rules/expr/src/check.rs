//! What the grammar cannot say: which words, results, variables and arguments are in place, and
//! what the expression reads.

use crate::builtin::{Body, Builtin, Lazy, Read};
use crate::error::{ExprError, Position, SyntaxFault};
use crate::syntax::{Arithmetic, Kind, Node, Step};
use crate::value::{Data, Val};
use crate::{Reads, Warning};

/// Checks a parsed expression. Gives what it reads, and warnings in order of place.
pub(crate) fn check(root: &Node) -> Result<(Reads, Vec<Warning>), ExprError> {
    let mut checker = Checker::default();
    checker.node(root, Place::Result)?;
    Ok((checker.reads, checker.warnings))
}

#[derive(Default)]
struct Checker<'e> {
    reads: Reads,
    warnings: Vec<Warning>,
    /// Variables in force, innermost last.
    variables: Vec<&'e str>,
}

/// Where a part stands: only a result may be `IgnoreThisFlow` or `AuthoritativeNull`.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Result,
    Operand,
}

// === impl Checker ===

impl<'e> Checker<'e> {
    fn node(&mut self, node: &'e Node, place: Place) -> Result<(), ExprError> {
        let position = node.position;
        match &node.kind {
            Kind::Constant(_) => {}
            Kind::Result(special) if place == Place::Operand => {
                return refuse(position, SyntaxFault::MisplacedResult(special.name()));
            }
            Kind::Result(_) => {}
            Kind::Word(word) => return refuse(position, SyntaxFault::MisplacedWord(word)),
            Kind::Attribute(name) => {
                self.reads.attributes.insert(name.clone());
            }
            Kind::Parameter(name) => {
                self.reads.parameters.insert(name.clone());
            }
            Kind::Variable(name) if !self.variables.contains(&name.as_str()) => {
                return refuse(position, SyntaxFault::UnknownVariable(name.clone()));
            }
            Kind::Variable(_) => {}
            Kind::Negate(inner) => self.node(inner, Place::Operand)?,
            Kind::Logic(_, parts) => self.nodes(parts)?,
            Kind::Compare(first, steps) => self.chain(first, steps)?,
            Kind::Arithmetic(first, steps) => {
                self.warn_of_flat_arithmetic(steps);
                self.chain(first, steps)?;
            }
            Kind::Call(function, arguments) => self.call(position, function, arguments, place)?,
        }
        Ok(())
    }

    fn nodes(&mut self, nodes: &'e [Node]) -> Result<(), ExprError> {
        nodes.iter().try_for_each(|node| self.node(node, Place::Operand))
    }

    fn chain<O>(&mut self, first: &'e Node, steps: &'e [Step<O>]) -> Result<(), ExprError> {
        self.node(first, Place::Operand)?;
        steps.iter().try_for_each(|step| self.node(&step.right, Place::Operand))
    }

    fn call(
        &mut self,
        position: Position,
        function: &'static Builtin,
        arguments: &'e [Node],
        place: Place,
    ) -> Result<(), ExprError> {
        if !function.arity.contains(&arguments.len()) {
            return refuse(position, function.wrong_count(arguments.len()));
        }
        match function.body {
            Body::Lazy(Lazy::Iif) => {
                self.node(&arguments[0], Place::Operand)?;
                arguments[1..].iter().try_for_each(|branch| self.node(branch, place))
            }
            Body::Lazy(Lazy::Switch) => self.switch(position, function, arguments, place),
            Body::Lazy(Lazy::With) => self.binding(function, arguments, place),
            Body::Lazy(Lazy::Select | Lazy::Where) => {
                self.binding(function, arguments, Place::Operand)
            }
            Body::Read(read) => self.read(read, function, arguments),
            Body::Scalar(_) | Body::Whole(_) | Body::Unsupported(_) => {
                self.plain(function, arguments)
            }
        }
    }

    /// All arguments are values, but where the function takes a word there must be one of its own.
    fn plain(&mut self, function: &Builtin, arguments: &'e [Node]) -> Result<(), ExprError> {
        for (index, argument) in arguments.iter().enumerate() {
            match (&argument.kind, function.words) {
                (Kind::Word(word), Some((at, words))) if at == index && words.contains(word) => {}
                (_, Some((at, words))) if at == index => {
                    let what = "one of its own words";
                    let fault = SyntaxFault::Argument { name: function.name, index: at + 1, what };
                    let hint = Some(format!("one of `{}`", words.join("`, `")));
                    return Err(ExprError { position: argument.position, fault, hint });
                }
                _ => self.node(argument, Place::Operand)?,
            }
        }
        Ok(())
    }

    fn switch(
        &mut self,
        position: Position,
        function: &Builtin,
        arguments: &'e [Node],
        place: Place,
    ) -> Result<(), ExprError> {
        if !arguments.len().is_multiple_of(2) {
            let takes = "pairs of condition and value".to_owned();
            let found = arguments.len();
            let fault = SyntaxFault::ArgumentCount { name: function.name, takes, found };
            return refuse(position, fault);
        }
        for pair in arguments.chunks(2) {
            self.node(&pair[0], Place::Operand)?;
            self.node(&pair[1], place)?;
        }
        Ok(())
    }

    /// `F($name, value, body)`: the name is in force in the body alone.
    fn binding(
        &mut self,
        function: &Builtin,
        arguments: &'e [Node],
        place: Place,
    ) -> Result<(), ExprError> {
        let Kind::Variable(name) = &arguments[0].kind else {
            let what = "a variable `$name`";
            let fault = SyntaxFault::Argument { name: function.name, index: 1, what };
            return refuse(arguments[0].position, fault);
        };
        self.node(&arguments[1], Place::Operand)?;
        self.variables.push(name);
        let body = self.node(&arguments[2], place);
        self.variables.pop();
        body
    }

    /// Names of attributes must stand there literally: they are part of the contract.
    fn read(
        &mut self,
        read: Read,
        function: &Builtin,
        arguments: &[Node],
    ) -> Result<(), ExprError> {
        let names = match read {
            Read::Now => {
                self.reads.volatile = true;
                return Ok(());
            }
            Read::ValueCount => &mut self.reads.attributes,
            Read::ImportedValue => &mut self.reads.imported,
        };
        match &arguments[0].kind {
            Kind::Constant(Data::One(Val::Text(name))) if !name.is_empty() => {
                names.insert(name.clone());
                Ok(())
            }
            _ => {
                let what = "the name of an attribute as text, `\"name\"`,";
                let fault = SyntaxFault::Argument { name: function.name, index: 1, what };
                refuse(arguments[0].position, fault)
            }
        }
    }

    fn warn_of_flat_arithmetic(&mut self, steps: &[Step<Arithmetic>]) {
        let mut sum = false;
        for step in steps {
            match step.operator {
                Arithmetic::Add | Arithmetic::Subtract => sum = true,
                Arithmetic::Multiply | Arithmetic::Divide if sum => {
                    let message = "computed from left to right: `2+3*5` is 25; \
                                   brackets make the order plain";
                    let message = message.to_owned();
                    self.warnings.push(Warning { position: step.position, message });
                }
                _ => {}
            }
        }
    }
}

fn refuse(position: Position, fault: SyntaxFault) -> Result<(), ExprError> {
    let hint = match &fault {
        SyntaxFault::UnknownVariable(_) => {
            Some("`With`, `Select` and `Where` introduce variables".to_owned())
        }
        SyntaxFault::MisplacedResult(name) => {
            Some(format!("move `{name}` to a branch of `IIF` or `Switch` that is the result"))
        }
        _ => None,
    };
    Err(ExprError { position, fault, hint })
}
