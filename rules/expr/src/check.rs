//! What the grammar cannot say: which words, results, variables and arguments are in place, and
//! what the expression reads.

use crate::Reads;
use crate::builtin::{Body, Builtin, Lazy, Read};
use crate::error::{ExprError, Position, SyntaxFault};
use crate::syntax::{Kind, Node};
use crate::value::{Data, Val};

/// Checks a parsed expression. Gives what it reads, and every fault in order of place.
pub(crate) fn check(root: &Node) -> (Reads, Vec<ExprError>) {
    let mut checker = Checker::default();
    checker.node(root, Place::Result);
    (checker.reads, checker.faults)
}

#[derive(Default)]
struct Checker<'e> {
    reads: Reads,
    faults: Vec<ExprError>,
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
    fn node(&mut self, node: &'e Node, place: Place) {
        let position = node.position;
        match &node.kind {
            Kind::Result(special) if place == Place::Operand => {
                self.refuse(position, SyntaxFault::MisplacedResult(special.name()));
            }
            Kind::Word(word) => self.refuse(position, SyntaxFault::MisplacedWord(word)),
            Kind::Attribute(name) => {
                self.reads.attributes.insert(name.clone());
            }
            Kind::Parameter(name) => {
                self.reads.parameters.insert(name.clone());
            }
            Kind::Variable(name) if !self.variables.contains(&name.as_str()) => {
                self.refuse(position, SyntaxFault::UnknownVariable(name.clone()));
            }
            Kind::Call(function, arguments) => self.call(position, function, arguments, place),
            _ => self.operands(node.parts()),
        }
    }

    fn operands(&mut self, nodes: impl IntoIterator<Item = &'e Node>) {
        nodes.into_iter().for_each(|node| self.node(node, Place::Operand));
    }

    fn call(
        &mut self,
        position: Position,
        function: &'static Builtin,
        arguments: &'e [Node],
        place: Place,
    ) {
        let counted = function.arity.contains(&arguments.len());
        if !counted {
            self.refuse(position, function.wrong_count(arguments.len()));
        }
        match function.body {
            Body::Lazy(Lazy::Iif) if counted => {
                self.node(&arguments[0], Place::Operand);
                arguments[1..].iter().for_each(|branch| self.node(branch, place));
            }
            Body::Lazy(Lazy::Switch) if counted => {
                self.switch(position, function, arguments, place);
            }
            Body::Lazy(Lazy::With) if counted => self.binding(function, arguments, place),
            Body::Lazy(Lazy::Select | Lazy::Where) if counted => {
                self.binding(function, arguments, Place::Operand);
            }
            Body::Read(read) if counted => self.read(read, function, arguments),
            // Their first argument may be a variable that nothing has bound.
            Body::Lazy(_) | Body::Read(_) => {}
            Body::Scalar(_) | Body::Spread(_) | Body::Whole(_) | Body::Unsupported(_) => {
                self.plain(function, arguments);
            }
        }
    }

    /// All arguments are values, but where the function takes a word there must be one of its own.
    fn plain(&mut self, function: &Builtin, arguments: &'e [Node]) {
        for (index, argument) in arguments.iter().enumerate() {
            match (&argument.kind, function.words(index)) {
                (Kind::Word(word), Some(words)) if words.contains(word) => {}
                (_, Some(words)) => {
                    let (name, index) = (function.name, index + 1);
                    let what = "one of its own words";
                    let fault = SyntaxFault::Argument { name, index, what };
                    let hint = Some(format!("one of `{}`", words.join("`, `")));
                    self.faults.push(ExprError { position: argument.position, fault, hint });
                }
                _ => self.node(argument, Place::Operand),
            }
        }
    }

    fn switch(
        &mut self,
        position: Position,
        function: &Builtin,
        arguments: &'e [Node],
        place: Place,
    ) {
        if !arguments.len().is_multiple_of(2) {
            let takes = "pairs of condition and value".to_owned();
            let found = arguments.len();
            let fault = SyntaxFault::ArgumentCount { name: function.name, takes, found };
            self.refuse(position, fault);
        }
        for (index, argument) in arguments.iter().enumerate() {
            let value = !index.is_multiple_of(2);
            self.node(argument, if value { place } else { Place::Operand });
        }
    }

    /// `F($name, value, body)`: the name is in force in the body alone.
    fn binding(&mut self, function: &Builtin, arguments: &'e [Node], place: Place) {
        self.node(&arguments[1], Place::Operand);
        let Kind::Variable(name) = &arguments[0].kind else {
            let what = "a variable `$name`";
            let fault = SyntaxFault::Argument { name: function.name, index: 1, what };
            return self.refuse(arguments[0].position, fault);
        };
        self.variables.push(name);
        self.node(&arguments[2], place);
        self.variables.pop();
    }

    /// Names of attributes must stand there literally: they are part of the contract.
    fn read(&mut self, read: Read, function: &Builtin, arguments: &[Node]) {
        let names = match read {
            Read::Now => {
                self.reads.volatile = true;
                return;
            }
            Read::ValueCount => &mut self.reads.attributes,
            Read::ImportedValue => &mut self.reads.imported,
        };
        match arguments[0].constant() {
            Some(Data::One(Val::Text(name))) if !name.is_empty() => {
                names.insert(name.clone());
            }
            _ => {
                let what = "the name of an attribute as text, `\"name\"`,";
                let fault = SyntaxFault::Argument { name: function.name, index: 1, what };
                self.refuse(arguments[0].position, fault);
            }
        }
    }

    fn refuse(&mut self, position: Position, fault: SyntaxFault) {
        let hint = match &fault {
            SyntaxFault::UnknownVariable(name) => match self.variables.last() {
                Some(known) => {
                    let near = crate::nearest(name, self.variables.iter().copied());
                    Some(format!("did you mean `${}`?", near.unwrap_or(known)))
                }
                None => Some("`With`, `Select` and `Where` introduce variables".to_owned()),
            },
            SyntaxFault::MisplacedResult(name) => {
                Some(format!("move `{name}` to a branch of `IIF` or `Switch` that is the result"))
            }
            _ => None,
        };
        self.faults.push(ExprError { position, fault, hint });
    }
}
