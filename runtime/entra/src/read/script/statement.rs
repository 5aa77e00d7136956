//! The statements of a script: tokens flow in, commands with their arguments flow out.

use std::borrow::Cow;

use super::lex::{Placed, Token};
use super::{Read, Refusal, ends};

/// `[$variable =] command` or value.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub line: u32,
    pub variable: Option<&'a str>,
    pub right: Expr<'a>,
}

#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    pub line: u32,
    pub command: &'a str,
    /// In their order; a switch has no value.
    pub arguments: Vec<(&'a str, Option<Expr<'a>>)>,
}

#[derive(Clone, Debug)]
pub(super) enum Expr<'a> {
    Text(Cow<'a, str>),
    Variable { name: &'a str, index: Option<usize> },
    List(Vec<Expr<'a>>),
    Call(Call<'a>),
}

/// Deepest nesting of lists; exports have one level.
const DEPTH_MAX: usize = 8;

struct Parser<'t, 'a> {
    tokens: &'t [Placed<'a>],
    at: usize,
}

/// Takes the tokens of a script. Gives each statement or why it is none; after one that is none,
/// reading goes on with the next line.
pub(super) fn statements<'a>(tokens: &[Placed<'a>]) -> Vec<Read<Statement<'a>>> {
    let mut parser = Parser { tokens, at: 0 };
    let mut found = vec![];
    while parser.at < tokens.len() {
        if parser.peek().is_none_or(ends) {
            parser.at += 1;
            continue;
        }
        let statement = parser.statement();
        if statement.is_err() {
            while !parser.peek().is_none_or(ends) {
                parser.at += 1;
            }
        }
        found.push(statement);
    }
    found
}

// === impl Parser ===

impl<'a> Parser<'_, 'a> {
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek().cloned();
        self.at += 1;
        token
    }

    fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(line, _)| *line)
    }

    fn statement(&mut self) -> Read<Statement<'a>> {
        let line = self.line();
        let variable = match (self.peek(), self.tokens.get(self.at + 1)) {
            (Some(Token::Variable(name)), Some((_, Token::Equals))) => Some(*name),
            _ => None,
        };
        if variable.is_some() {
            self.at += 2;
            // The right side may begin in the next line.
            self.skip_ends();
        }
        let right = match self.peek() {
            Some(Token::Word(_)) => Expr::Call(self.call()?),
            _ => self.list(0)?,
        };
        match self.peek() {
            None | Some(Token::End) => Ok(Statement { line, variable, right }),
            Some(_) => Err(Refusal::new(self.line(), "something follows a whole statement")),
        }
    }

    fn call(&mut self) -> Read<Call<'a>> {
        let line = self.line();
        let Some(Token::Word(command)) = self.next() else {
            return Err(Refusal::new(line, "a command is expected"));
        };
        let mut arguments = vec![];
        // `Import-Module ADSync` has an argument without a name; no command that is read has one.
        if let Some(Token::Word(_) | Token::Text(_)) = self.peek() {
            let value = self.list(0)?;
            arguments.push(("", Some(value)));
        }
        while let Some(Token::Parameter(name)) = self.peek() {
            let name = *name;
            self.at += 1;
            let value = match self.peek() {
                None | Some(Token::End | Token::Parameter(_) | Token::Close) => None,
                Some(_) => Some(self.list(0)?),
            };
            arguments.push((name, value));
        }
        Ok(Call { line, command, arguments })
    }

    /// One value, or several with commas between.
    fn list(&mut self, depth: usize) -> Read<Expr<'a>> {
        let first = self.single(depth)?;
        let mut items = vec![first];
        while let Some(Token::Comma) = self.peek() {
            self.at += 1;
            self.skip_ends();
            items.push(self.single(depth)?);
        }
        Ok(match items.pop() {
            Some(single) if items.is_empty() => single,
            last => Expr::List(items.into_iter().chain(last).collect()),
        })
    }

    fn single(&mut self, depth: usize) -> Read<Expr<'a>> {
        let line = self.line();
        match self.next() {
            Some(Token::Text(text)) => Ok(Expr::Text(text)),
            Some(Token::Word(word)) => Ok(Expr::Text(word.into())),
            Some(Token::Variable(name)) => {
                let index = match self.peek() {
                    Some(Token::Index(index)) => Some(*index),
                    _ => None,
                };
                self.at += usize::from(index.is_some());
                Ok(Expr::Variable { name, index })
            }
            Some(Token::Open) if depth < DEPTH_MAX => self.bracket(depth),
            Some(Token::Open) => Err(Refusal::new(line, "brackets stand too deep")),
            _ => Err(Refusal::new(line, "a value is expected")),
        }
    }

    /// What stands in brackets: nothing, a list, or a command that gives one value.
    fn bracket(&mut self, depth: usize) -> Read<Expr<'a>> {
        self.skip_ends();
        if let Some(Token::Close) = self.peek() {
            self.at += 1;
            return Ok(Expr::List(vec![]));
        }
        let inside = self.list(depth + 1)?;
        self.skip_ends();
        match self.next() {
            Some(Token::Close) => Ok(match inside {
                Expr::List(items) => Expr::List(items),
                single => Expr::List(vec![single]),
            }),
            _ => Err(Refusal::new(self.line(), "a bracket is not closed")),
        }
    }

    fn skip_ends(&mut self) {
        while self.peek().is_some_and(ends) {
            self.at += 1;
        }
    }
}
