//! The words of a script: text flows in, tokens with their lines flow out. Only what has one
//! meaning without being run is a token.

use std::borrow::Cow;

use super::Refusal;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A quoted text, a here-string, or a bare word.
    Text(Cow<'a, str>),
    /// A bare word: a command where a statement begins, else a text.
    Word(&'a str),
    /// `-Name` or `-Name:`.
    Parameter(&'a str),
    /// `$name`.
    Variable(&'a str),
    /// `[0]` right behind a variable.
    Index(usize),
    /// `@(` or `(`.
    Open,
    Close,
    Comma,
    Equals,
    /// A line's end or `;`.
    End,
}

pub(super) type Placed<'a> = (u32, Token<'a>);

/// Largest number of tokens: far above the largest exported configuration.
const TOKENS_MAX: usize = 2_000_000;

struct Lexer<'a> {
    text: &'a str,
    /// Byte offset of what comes next.
    at: usize,
    line: u32,
    tokens: Vec<Placed<'a>>,
}

/// Takes a script. Errors: the first thing that has no fixed meaning.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed<'_>>, Refusal> {
    let mut lexer = Lexer { text, at: 0, line: 1, tokens: vec![] };
    while let Some(letter) = lexer.peek() {
        lexer.token(letter)?;
        if lexer.tokens.len() > TOKENS_MAX {
            return Err(Refusal::new(lexer.line, "the script is longer than any export"));
        }
    }
    lexer.push(Token::End);
    Ok(lexer.tokens)
}

/// PowerShell takes the quotes of word processors for quotes.
fn is_single(letter: char) -> bool {
    matches!(letter, '\'' | '\u{2018}'..='\u{201b}')
}

fn is_double(letter: char) -> bool {
    matches!(letter, '"' | '\u{201c}'..='\u{201e}')
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

// === impl Lexer ===

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn push(&mut self, token: Token<'a>) {
        self.tokens.push((self.line, token));
    }

    fn skip(&mut self, bytes: usize) -> &'a str {
        let skipped = &self.rest()[..bytes];
        self.at += bytes;
        self.line += u32::try_from(skipped.matches('\n').count()).unwrap_or(0);
        skipped
    }

    fn take_while(&mut self, holds: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        self.skip(rest.find(|letter| !holds(letter)).unwrap_or(rest.len()))
    }

    fn one(&mut self, letter: char, token: Token<'a>) {
        self.push(token);
        self.skip(letter.len_utf8());
    }

    fn token(&mut self, letter: char) -> Result<(), Refusal> {
        let rest = self.rest();
        match letter {
            '\n' | ';' => self.one(letter, Token::End),
            letter if letter.is_whitespace() => {
                self.skip(letter.len_utf8());
            }
            '`' => self.continuation()?,
            '#' => {
                self.take_while(|letter| letter != '\n');
            }
            '<' if rest.starts_with("<#") => {
                let end = rest.find("#>").ok_or_else(|| self.unended("comment"))?;
                self.skip(end + 2);
            }
            '@' if rest.starts_with("@(") => {
                self.push(Token::Open);
                self.skip(2);
            }
            '@' => self.here_string()?,
            '(' => self.one(letter, Token::Open),
            ')' => self.one(letter, Token::Close),
            ',' => self.one(letter, Token::Comma),
            '=' => self.one(letter, Token::Equals),
            '$' => self.variable()?,
            '-' | '\u{2013}'..='\u{2015}' => self.parameter(letter),
            letter if is_single(letter) => self.single_quoted()?,
            letter if is_double(letter) => self.double_quoted()?,
            letter if is_name(letter) => {
                let word = self.take_while(|letter| is_name(letter) || "-.:\\/+".contains(letter));
                self.push(Token::Word(word));
            }
            letter => {
                return Err(Refusal::new(self.line, format!("unexpected `{letter}`")));
            }
        }
        Ok(())
    }

    fn unended(&self, what: &str) -> Refusal {
        Refusal::new(self.line, format!("a {what} without an end"))
            .hint("the script was cut short: export it again")
    }

    /// A backtick at the end of a line goes on with the next one.
    fn continuation(&mut self) -> Result<(), Refusal> {
        let after = &self.rest()[1..];
        let ended = after.trim_start_matches([' ', '\t', '\r']);
        if !ended.is_empty() && !ended.starts_with('\n') {
            return Err(Refusal::new(self.line, "a backtick that ends no line"));
        }
        // PowerShell itself wants the line's end right behind; white space there is invisible.
        self.skip(1 + after.len() - ended.len() + usize::from(!ended.is_empty()));
        Ok(())
    }

    fn parameter(&mut self, dash: char) {
        let line = self.line;
        self.skip(dash.len_utf8());
        let name = self.take_while(is_name);
        if self.peek() == Some(':') {
            self.skip(1);
        }
        self.tokens.push((line, Token::Parameter(name)));
    }

    fn variable(&mut self) -> Result<(), Refusal> {
        self.skip(1);
        let name = self.take_while(is_name);
        if name.is_empty() || self.peek() == Some(':') {
            return Err(Refusal::new(self.line, "a value that only running would give"));
        }
        self.push(Token::Variable(name));
        if let Some(inside) = self.rest().strip_prefix('[') {
            let index = inside
                .split_once(']')
                .and_then(|(index, _)| Some((index.len(), index.trim().parse().ok()?)));
            let Some((length, index)) = index else {
                return Err(Refusal::new(self.line, "an index that is no number"));
            };
            self.push(Token::Index(index));
            self.skip(length + 2);
        }
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<(), Refusal> {
        let line = self.line;
        let mut text = String::new();
        let mut letters = self.rest().char_indices().skip(1).peekable();
        while let Some((at, letter)) = letters.next() {
            if !is_single(letter) {
                text.push(letter);
            } else if let Some((_, next)) = letters.next_if(|(_, next)| is_single(*next)) {
                text.push(next);
            } else {
                self.skip(at + letter.len_utf8());
                self.tokens.push((line, Token::Text(text.into())));
                return Ok(());
            }
        }
        Err(self.unended("quoted text"))
    }

    fn double_quoted(&mut self) -> Result<(), Refusal> {
        let line = self.line;
        let mut text = String::new();
        let mut letters = self.rest().char_indices().skip(1).peekable();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '`' => match letters.next() {
                    Some((_, escaped)) => text.push(unescaped(escaped)),
                    None => break,
                },
                '$' if letters
                    .peek()
                    .is_some_and(|(_, next)| is_name(*next) || "({".contains(*next)) =>
                {
                    return Err(Refusal::new(line, "a text that only running would fill in")
                        .hint("put it between single quotes where `$` is meant as it stands"));
                }
                letter if is_double(letter) => {
                    match letters.next_if(|(_, next)| is_double(*next)) {
                        Some((_, next)) => text.push(next),
                        None => {
                            self.skip(at + letter.len_utf8());
                            self.tokens.push((line, Token::Text(text.into())));
                            return Ok(());
                        }
                    }
                }
                letter => text.push(letter),
            }
        }
        Err(self.unended("quoted text"))
    }

    /// `@'`, lines, `'@` at the start of a line; the breaks beside the marks are not of the text.
    fn here_string(&mut self) -> Result<(), Refusal> {
        let line = self.line;
        let rest = self.rest();
        let quote = rest.chars().nth(1).filter(|quote| is_single(*quote) || is_double(*quote));
        let Some(quote) = quote else {
            return Err(Refusal::new(line, "`@` that begins neither a list nor a text"));
        };
        let body = &rest[1 + quote.len_utf8()..];
        let (gap, body) = body.split_once('\n').ok_or_else(|| self.unended("here-string"))?;
        if !gap.trim().is_empty() {
            return Err(Refusal::new(line, "a here-string that begins in the line of its mark"));
        }
        let mut end = None;
        for (at, _) in body.match_indices('@') {
            let before = body[..at].chars().next_back();
            let Some(mark) = before.filter(|mark| is_single(*mark) == is_single(quote)) else {
                continue;
            };
            let start = at - mark.len_utf8();
            let quoted = is_single(mark) || is_double(mark);
            if quoted && (start == 0 || body[..start].ends_with('\n')) {
                end = Some((start, at + 1));
                break;
            }
        }
        let (start, after) = end.ok_or_else(|| self.unended("here-string"))?;
        let inside = body[..start].strip_suffix('\n').unwrap_or(&body[..start]);
        let inside = inside.strip_suffix('\r').unwrap_or(inside);
        if is_double(quote) && inside.contains(['$', '`']) {
            return Err(Refusal::new(line, "a text that only running would fill in")
                .hint("put it between `@'` and `'@` where it is meant as it stands"));
        }
        self.skip(rest.len() - body.len() + after);
        self.tokens.push((line, Token::Text(inside.into())));
        Ok(())
    }
}

fn unescaped(letter: char) -> char {
    match letter {
        '0' => '\0',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        letter => letter,
    }
}
