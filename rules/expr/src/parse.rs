//! Tokens to a tree: the grammar of provisioning.md 6.
//!
//! Three tiers (C1): logical, comparison, arithmetic. Inside a tier, left to right.

use crate::builtin::{self, Body, Builtin};
use crate::error::{ExprError, Position, SyntaxFault};
use crate::lex::{Token, lex};
use crate::suggest::nearest;
use crate::syntax::{Arithmetic, Kind, Logic, Node, Special, Step};
use crate::value::{Data, Val};
use crate::{DEPTH_MAX, SOURCE_BYTES_MAX};

/// What the grammar makes of a text.
pub(crate) struct Parsed {
    /// `None` where the text ends or goes on in a way that leaves no tree.
    pub root: Option<Node>,
    /// In the order in which they were found. Those beside a tree do not hide others behind them.
    pub errors: Vec<ExprError>,
}

pub(crate) fn parse(source: &str) -> Parsed {
    if source.len() > SOURCE_BYTES_MAX {
        let fault = SyntaxFault::TooLong { bytes: source.len(), max: SOURCE_BYTES_MAX };
        let error = ExprError { position: Position::START, fault, hint: None };
        return Parsed { root: None, errors: vec![error] };
    }
    let tokens = match lex(source) {
        Ok(tokens) => tokens,
        Err(error) => return Parsed { root: None, errors: vec![error] },
    };
    let mut parser = Parser { tokens, next: 0, depth: 0, errors: Vec::new() };
    let root = parser.whole();
    let mut errors = parser.errors;
    let root = root.map_err(|error| errors.push(error)).ok();
    Parsed { root, errors }
}

struct Parser {
    /// Ends with [`Token::End`], which is never passed.
    tokens: Vec<(Position, Token)>,
    next: usize,
    depth: usize,
    /// Faults after which parsing went on.
    errors: Vec<ExprError>,
}

/// Words that are values or results by themselves.
const CONSTANTS: [&str; 6] =
    ["True", "False", "NULL", "CRLF", "IgnoreThisFlow", "AuthoritativeNull"];

/// Words that only tell a function how to work.
const WORDS: [&str; 7] = [
    "CaseInsensitive",
    "CaseSensitive",
    "vbTextCompare",
    "vbBinaryCompare",
    "Unicode",
    "ASCII",
    "UTF8",
];

// === impl Parser ===

impl Parser {
    fn whole(&mut self) -> Result<Node, ExprError> {
        let root = self.logic()?;
        match self.peek() {
            Token::End => Ok(root),
            _ => Err(self.expected("an operator or the end")),
        }
    }

    /// Every nesting passes through here, so this is where depth is limited.
    fn expression(&mut self) -> Result<Node, ExprError> {
        self.deeper(Self::logic)
    }

    fn logic(&mut self) -> Result<Node, ExprError> {
        let position = self.position();
        let first = self.comparison()?;
        let Token::Logic(logic) = *self.peek() else { return Ok(first) };
        let mut parts = vec![first];
        while let Token::Logic(next) = *self.peek() {
            if next != logic {
                let error = self.ambiguous(logic);
                self.errors.push(error);
            }
            self.advance();
            parts.push(self.comparison()?);
        }
        Ok(Node { position, kind: Kind::Logic(logic, parts) })
    }

    fn comparison(&mut self) -> Result<Node, ExprError> {
        let position = self.position();
        let first = self.arithmetic()?;
        let mut steps = Vec::new();
        while let Token::Comparison(operator) = *self.peek() {
            let position = self.advance();
            steps.push(Step { position, operator, right: self.arithmetic()? });
        }
        if steps.is_empty() {
            return Ok(first);
        }
        Ok(Node { position, kind: Kind::Compare(Box::new(first), steps) })
    }

    fn arithmetic(&mut self) -> Result<Node, ExprError> {
        let position = self.position();
        let first = self.unary()?;
        let mut steps = Vec::new();
        loop {
            let operator = match *self.peek() {
                Token::Arithmetic(operator) => operator,
                Token::Divide => {
                    let hint = Some("compute it in a rule module".to_owned());
                    let position = self.position();
                    self.errors.push(ExprError { position, fault: SyntaxFault::Division, hint });
                    // Any operator on numbers will do for what is checked behind it.
                    Arithmetic::Multiply
                }
                _ => break,
            };
            let position = self.advance();
            steps.push(Step { position, operator, right: self.unary()? });
        }
        if steps.is_empty() {
            return Ok(first);
        }
        Ok(Node { position, kind: Kind::Arithmetic(Box::new(first), steps) })
    }

    fn unary(&mut self) -> Result<Node, ExprError> {
        if *self.peek() != Token::Arithmetic(Arithmetic::Subtract) {
            return self.primary();
        }
        let position = self.advance();
        let inner = self.deeper(Self::unary)?;
        Ok(Node { position, kind: Kind::Negate(Box::new(inner)) })
    }

    fn primary(&mut self) -> Result<Node, ExprError> {
        let position = self.position();
        let kind = match self.peek().clone() {
            Token::Text(text) => Kind::Constant(Data::One(Val::Text(text))),
            Token::Number(number) => Kind::Constant(Data::One(Val::Number(number))),
            Token::Attribute(name) => Kind::Attribute(name),
            Token::Parameter(name) => Kind::Parameter(name),
            Token::Variable(name) => Kind::Variable(name),
            Token::Name(name) => {
                self.advance();
                return self.named(position, &name);
            }
            Token::Open => {
                self.advance();
                let inner = self.expression()?;
                self.close()?;
                return Ok(inner);
            }
            _ => return Err(self.expected("a value")),
        };
        self.advance();
        Ok(Node { position, kind })
    }

    fn named(&mut self, position: Position, name: &str) -> Result<Node, ExprError> {
        if *self.peek() == Token::Open {
            let known = known_function(position, name);
            let function = known.map_err(|error| self.errors.push(error)).ok();
            self.advance();
            let arguments = self.arguments()?;
            let kind = match function {
                Some(function) => Kind::Call(function, arguments),
                None => Kind::Refused(arguments),
            };
            return Ok(Node { position, kind });
        }
        let kind = match name {
            "True" => Kind::Constant(Data::One(Val::Boolean(true))),
            "False" => Kind::Constant(Data::One(Val::Boolean(false))),
            "NULL" => Kind::Constant(Data::Null),
            "CRLF" => Kind::Constant(Data::One(Val::Text("\r\n".to_owned()))),
            "IgnoreThisFlow" => Kind::Result(Special::IgnoreThisFlow),
            "AuthoritativeNull" => Kind::Result(Special::AuthoritativeNull),
            _ => match WORDS.iter().find(|word| **word == name) {
                Some(word) => Kind::Word(word),
                None => {
                    self.errors.push(unknown_name(position, name));
                    Kind::Refused(Vec::new())
                }
            },
        };
        Ok(Node { position, kind })
    }

    fn arguments(&mut self) -> Result<Vec<Node>, ExprError> {
        let mut arguments = Vec::new();
        if *self.peek() == Token::Close {
            self.advance();
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression()?);
            if *self.peek() != Token::Comma {
                self.close()?;
                return Ok(arguments);
            }
            self.advance();
        }
    }

    fn deeper(
        &mut self,
        parse: fn(&mut Self) -> Result<Node, ExprError>,
    ) -> Result<Node, ExprError> {
        if self.depth == DEPTH_MAX {
            let fault = SyntaxFault::TooDeep { max: DEPTH_MAX };
            let hint = Some("split the rule into several flows".to_owned());
            return Err(ExprError { position: self.position(), fault, hint });
        }
        self.depth += 1;
        let node = parse(self);
        self.depth -= 1;
        node
    }

    fn close(&mut self) -> Result<(), ExprError> {
        match self.peek() {
            Token::Close => {
                self.advance();
                Ok(())
            }
            _ => Err(self.expected("`,`, an operator or `)`")),
        }
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.next].1
    }

    fn position(&self) -> Position {
        self.tokens[self.next].0
    }

    /// Passes one token and gives its place.
    fn advance(&mut self) -> Position {
        let position = self.position();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        position
    }

    fn ambiguous(&self, first: Logic) -> ExprError {
        let example = match first {
            Logic::And => "(a && b) || c",
            Logic::Or => "(a || b) && c",
        };
        let hint = Some(format!("bracket what belongs together, as in `{example}`"));
        let fault = SyntaxFault::AmbiguousPrecedence;
        ExprError { position: self.position(), fault, hint }
    }

    fn expected(&self, expected: &'static str) -> ExprError {
        let (found, hint) = match self.peek() {
            Token::Text(_) => ("a text".to_owned(), None),
            Token::Number(number) => (format!("number `{number}`"), None),
            Token::Attribute(name) => (format!("attribute `[{name}]`"), None),
            Token::Parameter(name) => (format!("parameter `%{name}%`"), None),
            Token::Variable(name) => (format!("variable `${name}`"), None),
            Token::Name(name) => (format!("`{name}`"), operator_in_words(name)),
            Token::Logic(_) => ("a logical operator".to_owned(), None),
            Token::Comparison(_) => ("a comparison".to_owned(), None),
            Token::Arithmetic(_) | Token::Divide => ("an arithmetic operator".to_owned(), None),
            Token::Open => ("`(`".to_owned(), None),
            Token::Close => ("`)`".to_owned(), None),
            Token::Comma => ("`,`".to_owned(), None),
            Token::End => ("the end".to_owned(), None),
        };
        let fault = SyntaxFault::Expected { expected, found };
        ExprError { position: self.position(), fault, hint: hint.map(str::to_owned) }
    }
}

/// How documents misspell some functions (C10), farther from the right name than a slip.
const DOCUMENTED_TYPOS: [(&str, &str); 1] = [("Random", "RandomNum")];

fn known_function(position: Position, name: &str) -> Result<&'static Builtin, ExprError> {
    let Some(function) = builtin::find(name) else {
        let typo = DOCUMENTED_TYPOS.iter().find(|(typo, _)| *typo == name).map(|(_, right)| *right);
        let near = typo.or_else(|| nearest(name, builtin::names()));
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        let fault = SyntaxFault::UnknownFunction(name.to_owned());
        return Err(ExprError { position, fault, hint });
    };
    if let Body::Unsupported(reason) = function.body {
        let fault = SyntaxFault::Unsupported { name: function.name, reason };
        let hint = Some("disable this flow, or compute it in a rule module".to_owned());
        return Err(ExprError { position, fault, hint });
    }
    Ok(function)
}

fn operator_in_words(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "and" => Some("and is `&&`"),
        "or" => Some("or is `||`"),
        _ => None,
    }
}

fn unknown_name(position: Position, name: &str) -> ExprError {
    let known = CONSTANTS.iter().chain(&WORDS).copied();
    let hint = match nearest(name, known) {
        _ if builtin::find(name).is_some() => format!("a function is called: `{name}(...)`"),
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("an attribute is written `[{name}]`, a text `\"{name}\"`"),
    };
    let fault = SyntaxFault::UnknownName(name.to_owned());
    ExprError { position, fault, hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, refused, refused_for};
    use crate::{DEPTH_MAX, Expression, Reads, SOURCE_BYTES_MAX};

    #[test]
    fn r34_comments_and_line_breaks_are_white_space() {
        check("1 // one\n + // two\r\n\t2", "", "3");
        check("\"// text\"", "", "'// text'");
    }

    #[test]
    fn texts_know_two_escapes() {
        check(r#""a\\0A""#, "", r"'a\0A'");
        check(r#""a\n""#, "", r"'a\n'");
        check(r#""say ""no""""#, "", "'say \"no\"'");
        check(r#""\\""#, "", r"'\'");
    }

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        check("&H21C07000", "", "566259712");
        check("&HFFFFFFFFFFFFFFFF", "", "-1");
        check("-5", "", "-5");
        check("\"a\" & \"b\"", "", "'ab'");
        refused(
            "99999999999999999999",
            "number `99999999999999999999` does not fit 64 bits at 1:1",
            "",
        );
        refused(
            "&H11111111111111111",
            "number `&H11111111111111111` does not fit 64 bits at 1:1",
            "",
        );
        refused("1.5", "unexpected character `.` at 1:2", "numbers are whole numbers");
    }

    #[test]
    fn r31_names_are_case_sensitive() {
        refused("iif(True,1,2)", "unknown function `iif` at 1:1", "did you mean `IIF`?");
        refused("Isnull([a])", "unknown function `Isnull` at 1:1", "did you mean `IsNull`?");
        refused("true", "unknown name `true` at 1:1", "did you mean `True`?");
        refused("Trim", "unknown name `Trim` at 1:1", "a function is called: `Trim(...)`");
        refused(
            "givenName & \" \"",
            "unknown name `givenName` at 1:1",
            "an attribute is written `[givenName]`, a text `\"givenName\"`",
        );
    }

    #[test]
    fn c10_names_that_documents_misspell_are_led_to_the_right_ones() {
        for (typo, right) in [("InstrRev", "InStrRev"), ("Random", "RandomNum"), ("GUID", "Guid")] {
            refused(
                &format!("{typo}([a],1)"),
                &format!("unknown function `{typo}` at 1:1"),
                &format!("did you mean `{right}`?"),
            );
        }
    }

    #[test]
    fn c01_mixed_logical_operators_need_brackets() {
        let message = "`&&` and `||` are mixed without brackets (ambiguous-precedence)";
        refused(
            "True || True && False",
            &format!("{message} at 1:14"),
            "bracket what belongs together, as in `(a || b) && c`",
        );
        refused(
            "True && True || False",
            &format!("{message} at 1:14"),
            "bracket what belongs together, as in `(a && b) || c`",
        );
        check("True || (True && False)", "", "True");
        check("(True || True) && False", "", "False");
    }

    /// Expression, message, hint.
    const FAULTS: &[(&str, &str, &str)] = &[
        ("", "expected a value, found the end at 1:1", ""),
        ("1 +", "expected a value, found the end at 1:4", ""),
        ("Trim([a]", "expected `,`, an operator or `)`, found the end at 1:9", ""),
        ("Trim([a]))", "expected an operator or the end, found `)` at 1:10", ""),
        ("[a] [b]", "expected an operator or the end, found attribute `[b]` at 1:5", ""),
        ("True and False", "expected an operator or the end, found `and` at 1:6", "and is `&&`"),
        ("[a] ==\n1", "unexpected character `=` at 1:5", "equality is one `=`"),
        ("[a] != 1", "unexpected character `!` at 1:5", "inequality is `<>`"),
        ("True | False", "unexpected character `|` at 1:6", "or is `||`"),
        ("Trim(\n  'a')", "unexpected character `'` at 2:3", "a text stands between double quotes"),
        (
            "Trim(\u{201c}a\u{201d})",
            "unexpected character `\u{201c}` at 1:6",
            "a text stands between straight quotes, `\"`",
        ),
        ("1 ; 2", "unexpected character `;` at 1:3", ""),
        (
            "\"a",
            "a text without an end at 1:1",
            "a text ends with `\"`; a quote inside it is written `\"\"`",
        ),
        ("1 & [a", "an attribute `[...]` without an end at 1:5", ""),
        ("[]", "an empty name in an attribute `[...]` at 1:1", ""),
        ("%a", "a parameter `%...%` without an end at 1:1", ""),
        ("$", "an empty name in a variable `$...` at 1:1", ""),
        (
            "\"a\" &HFoo",
            "unexpected character `o` at 1:8",
            "`&H` starts a hexadecimal number: write a space between `&` and a name",
        ),
        ("IIF(True,1)", "function `IIF` takes 3 arguments, found 2 at 1:1", ""),
        ("Now(1)", "function `Now` takes no arguments, found 1 at 1:1", ""),
        ("Mid([a])", "function `Mid` takes 2 or 3 arguments, found 1 at 1:1", ""),
        (
            "Switch(True,1,2)",
            "function `Switch` takes pairs of condition and value, found 3 at 1:1",
            "",
        ),
        ("$v", "unknown variable `$v` at 1:1", "`With`, `Select` and `Where` introduce variables"),
        (
            "Select([v],[a],1)",
            "function `Select` takes a variable `$name` as argument 1 at 1:8",
            "",
        ),
        (
            "ImportedValue([a])",
            "function `ImportedValue` takes the name of an attribute as text, `\"name\"`, \
             as argument 1 at 1:15",
            "",
        ),
        ("Unicode", "the word `Unicode` means nothing here at 1:1", ""),
        (
            "Contains([a],\"b\",UTF8)",
            "function `Contains` takes one of its own words as argument 3 at 1:18",
            "one of `CaseSensitive`, `CaseInsensitive`",
        ),
        (
            "\"a\" & IgnoreThisFlow",
            "`IgnoreThisFlow` can only be a result, not part of a computation at 1:7",
            "move `IgnoreThisFlow` to a branch of `IIF` or `Switch` that is the result",
        ),
    ];

    #[test]
    fn faults_name_place_and_remedy() {
        for (expression, message, hint) in FAULTS {
            refused(expression, message, hint);
        }
    }

    #[test]
    fn functions_that_cannot_be_computed_are_known_and_say_why() {
        for name in ["RandomNum", "Guid", "CBin", "Thumbprint", "CertNameInfo", "CertIssuerOid"] {
            let error = Expression::parse(&format!("{name}([a])")).unwrap_err().to_string();
            let known = format!("function `{name}` is not supported: ");
            assert!(error.starts_with(&known), "{error}");
        }
    }

    #[test]
    fn depth_and_length_are_limited() {
        let nested = |depth| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        check(&nested(DEPTH_MAX), "", "1");
        let hint = "split the rule into several flows";
        refused(&nested(DEPTH_MAX + 1), "nested deeper than 64 levels at 1:66", hint);
        refused(&nested(SOURCE_BYTES_MAX / 2 - 1), "nested deeper than 64 levels at 1:66", hint);
        refused(
            &format!("{}1", "-".repeat(DEPTH_MAX + 1)),
            "nested deeper than 64 levels at 1:66",
            hint,
        );
        let sum = format!("0{}", "+1".repeat(SOURCE_BYTES_MAX / 2 - 1));
        check(&sum, "", &(SOURCE_BYTES_MAX / 2 - 1).to_string());
        refused(&format!("{sum}+1"), "the expression has 32769 bytes, at most 32768 at 1:1", "");
    }

    #[test]
    fn c06_an_expression_tells_what_it_reads() {
        let expression = Expression::parse(
            "IIF([a]=1,[b;lang-ja],ImportedValue(\"c\")) & %Domain.FQDN% & ValueCount(\"d\") \
             & Select($v,[e],$v) & FormatDateTime(Now(),\"yyyy\") & [a]",
        );
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Reads {
            attributes: set(&["a", "b;lang-ja", "d", "e"]),
            imported: set(&["c"]),
            parameters: set(&["Domain.FQDN"]),
            volatile: true,
        };
        assert_eq!(*expression.unwrap().reads(), expected);
        assert_eq!(*Expression::parse("1").unwrap().reads(), Reads::default());
    }

    #[test]
    fn r32_everything_that_is_wrong_is_told_at_once() {
        refused_for(
            "Foo([a], Trim(), 1 / 2) & bar & $v",
            &[
                ("unknown function `Foo` at 1:1", ""),
                ("function `Trim` takes 1 argument, found 0 at 1:10", ""),
                ("division is not part of the language at 1:20", "compute it in a rule module"),
                ("unknown name `bar` at 1:27", "an attribute is written `[bar]`, a text `\"bar\"`"),
                (
                    "unknown variable `$v` at 1:33",
                    "`With`, `Select` and `Where` introduce variables",
                ),
            ],
        );
    }

    #[test]
    fn what_no_source_decides_is_refused() {
        refused(
            "6 / 2",
            "division is not part of the language at 1:3",
            "compute it in a rule module",
        );
        let message = "`\\\"` inside a text has no meaning yet";
        let hint = "a quote is written `\"\"`, a backslash before the end of a text `\\\\`";
        refused(r#""say \"no\"""#, &format!("{message} at 1:6"), hint);
        refused(r#""C:\""#, &format!("{message} at 1:4"), hint);
        check(r#""C:\\""#, "", r"'C:\'");
    }
}
