//! Characters to tokens, each with its place.

use crate::error::{ExprError, Position, SyntaxFault};
use crate::syntax::{Arithmetic, Comparison, Logic};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Text(String),
    Number(i64),
    Attribute(String),
    Parameter(String),
    Variable(String),
    Name(String),
    Logic(Logic),
    Comparison(Comparison),
    Arithmetic(Arithmetic),
    /// Known so that it can be refused by name.
    Divide,
    Open,
    Close,
    Comma,
    End,
}

/// All tokens of an expression in order; the last is [`Token::End`].
pub(crate) fn lex(source: &str) -> Result<Vec<(Position, Token)>, ExprError> {
    let mut lexer = Lexer { rest: source, position: Position::START };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let position = lexer.position;
        let token = lexer.token()?;
        let end = token == Token::End;
        tokens.push((position, token));
        if end {
            return Ok(tokens);
        }
    }
}

/// Longer operators stand before their own beginnings.
const OPERATORS: &[(&str, Token)] = &[
    ("||", Token::Logic(Logic::Or)),
    ("&&", Token::Logic(Logic::And)),
    ("<>", Token::Comparison(Comparison::NotEqual)),
    ("<=", Token::Comparison(Comparison::LessOrEqual)),
    (">=", Token::Comparison(Comparison::GreaterOrEqual)),
    ("<", Token::Comparison(Comparison::Less)),
    (">", Token::Comparison(Comparison::Greater)),
    ("=", Token::Comparison(Comparison::Equal)),
    ("&", Token::Arithmetic(Arithmetic::Concatenate)),
    ("+", Token::Arithmetic(Arithmetic::Add)),
    ("-", Token::Arithmetic(Arithmetic::Subtract)),
    ("*", Token::Arithmetic(Arithmetic::Multiply)),
    ("/", Token::Divide),
    ("(", Token::Open),
    (")", Token::Close),
    (",", Token::Comma),
];

struct Lexer<'s> {
    rest: &'s str,
    position: Position,
}

// === impl Lexer ===

impl<'s> Lexer<'s> {
    /// White space, line breaks and `//` comments (R34).
    fn skip_blanks(&mut self) {
        loop {
            let blank = match self.rest.chars().next() {
                Some(c) if c.is_whitespace() => c.len_utf8(),
                Some('/') if self.rest.starts_with("//") => {
                    self.rest.find('\n').unwrap_or(self.rest.len())
                }
                _ => return,
            };
            self.advance(blank);
        }
    }

    fn token(&mut self) -> Result<Token, ExprError> {
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        match first {
            '"' => self.text(),
            '[' => self.delimited(']', "an attribute `[...]`").map(Token::Attribute),
            '%' => self.delimited('%', "a parameter `%...%`").map(Token::Parameter),
            '$' => {
                let start = self.position;
                self.advance(1);
                match self.take_while(is_name) {
                    "" => Err(fault(start, SyntaxFault::EmptyName("a variable `$...`"), None)),
                    name => Ok(Token::Variable(name.to_owned())),
                }
            }
            '0'..='9' => self.decimal(),
            '&' if self.at_hexadecimal() => self.hexadecimal(),
            c if is_name(c) => Ok(Token::Name(self.take_while(is_name).to_owned())),
            c => self.operator(c),
        }
    }

    /// `\\` is one backslash and `""` a quote; any other backslash stands for itself. Whether `\"`
    /// ends a text is decided by no source (provisioning.md 18), so it is refused.
    fn text(&mut self) -> Result<Token, ExprError> {
        let start = self.position;
        self.advance(1);
        let mut text = String::new();
        loop {
            let Some(end) = self.rest.find(['"', '\\']) else {
                let hint = "a text ends with `\"`; a quote inside it is written `\"\"`";
                return Err(fault(start, SyntaxFault::Unterminated("a text"), Some(hint)));
            };
            text.push_str(&self.rest[..end]);
            self.advance(end);
            if self.rest.starts_with("\\\\") || self.rest.starts_with("\"\"") {
                text.push_str(&self.rest[..1]);
                self.advance(2);
            } else if self.rest.starts_with("\\\"") {
                let hint = "a quote is written `\"\"`, a backslash before the end of a text `\\\\`";
                return Err(fault(self.position, SyntaxFault::EscapedQuote, Some(hint)));
            } else if self.rest.starts_with('\\') {
                text.push('\\');
                self.advance(1);
            } else {
                self.advance(1);
                return Ok(Token::Text(text));
            }
        }
    }

    /// A name between two marks, on one line.
    fn delimited(&mut self, end: char, what: &'static str) -> Result<String, ExprError> {
        let start = self.position;
        let inside = &self.rest[1..];
        match inside.find([end, '\n']) {
            Some(0) if inside.starts_with(end) => {
                Err(fault(start, SyntaxFault::EmptyName(what), None))
            }
            Some(length) if inside[length..].starts_with(end) => {
                let name = inside[..length].to_owned();
                self.advance(length + 2);
                Ok(name)
            }
            _ => Err(fault(start, SyntaxFault::Unterminated(what), None)),
        }
    }

    fn decimal(&mut self) -> Result<Token, ExprError> {
        let start = self.position;
        let digits = self.take_while(|c| c.is_ascii_digit());
        match digits.parse() {
            Ok(_) if self.rest.starts_with('.') => Err(fault(
                self.position,
                SyntaxFault::Character('.'),
                Some("numbers are whole numbers"),
            )),
            Ok(number) => Ok(Token::Number(number)),
            Err(_) => Err(fault(start, SyntaxFault::NumberTooLarge(digits.to_owned()), None)),
        }
    }

    /// `&H` and a digit is always a hexadecimal number, never a concatenation.
    fn at_hexadecimal(&self) -> bool {
        self.rest
            .strip_prefix("&H")
            .is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_hexdigit()))
    }

    /// All 64 bits may be given, so `&HFFFFFFFFFFFFFFFF` is -1, as in a directory.
    fn hexadecimal(&mut self) -> Result<Token, ExprError> {
        let start = self.position;
        self.advance(2);
        let digits = self.take_while(|c| c.is_ascii_hexdigit());
        if let Some(after) = self.rest.chars().next().filter(|&c| is_name(c)) {
            let hint = "`&H` starts a hexadecimal number: write a space between `&` and a name";
            return Err(fault(self.position, SyntaxFault::Character(after), Some(hint)));
        }
        u64::from_str_radix(digits, 16)
            .map(|bits| Token::Number(bits.cast_signed()))
            .map_err(|_| fault(start, SyntaxFault::NumberTooLarge(format!("&H{digits}")), None))
    }

    fn operator(&mut self, first: char) -> Result<Token, ExprError> {
        for (text, hint) in [
            ("==", "equality is one `=`"),
            ("!=", "inequality is `<>`"),
            ("'", "a text stands between double quotes"),
            ("\u{201c}", "a text stands between straight quotes, `\"`"),
            ("\u{201d}", "a text stands between straight quotes, `\"`"),
            ("|", "or is `||`"),
            ("]", "an attribute is written `[name]`"),
        ] {
            if self.rest.starts_with(text) && !self.rest.starts_with("||") {
                return Err(fault(self.position, SyntaxFault::Character(first), Some(hint)));
            }
        }
        let Some((text, token)) = OPERATORS.iter().find(|(text, _)| self.rest.starts_with(text))
        else {
            return Err(fault(self.position, SyntaxFault::Character(first), None));
        };
        self.advance(text.len());
        Ok(token.clone())
    }

    fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest;
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.advance(length);
        &rest[..length]
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        for c in passed.chars() {
            if c == '\n' {
                self.position.line += 1;
                self.position.column = 1;
            } else {
                self.position.column += 1;
            }
        }
        self.rest = rest;
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn fault(position: Position, fault: SyntaxFault, hint: Option<&str>) -> ExprError {
    ExprError { position, fault, hint: hint.map(str::to_owned) }
}
