//! Where the values of a YAML text begin and end, so that one can be replaced and the rest stays as
//! it was written. Whoever edits by it reads the result again and compares: what these few rules
//! do not see is refused, never written.

use std::ops::Range;

use crate::config::yaml::{At, Mark, Node, Shape};

/// What ends a plain text inside brackets.
const FLOW_SIGNS: [char; 5] = [',', '[', ']', '{', '}'];

/// Takes a place counted in lines and characters. Gives it in bytes.
pub fn offset(text: &str, mark: Mark) -> Option<usize> {
    let (mut line, mut column) = (1, 1);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if (line, column) == (mark.line, mark.column) {
            return Some(at);
        }
        let breaks = match letter {
            '\n' => true,
            '\r' => letters.peek().is_none_or(|(_, next)| *next != '\n'),
            _ => false,
        };
        (line, column) = if breaks { (line + 1, 1) } else { (line, column + 1) };
    }
    ((line, column) == (mark.line, mark.column)).then_some(text.len())
}

/// The value that begins here: a text with or without quotation marks, or all between brackets.
/// `inside`: whether brackets are open around it.
pub fn value(text: &str, at: usize, inside: bool) -> Option<Range<usize>> {
    let end = match text[at..].chars().next()? {
        '"' | '\'' => quoted(text, at)?,
        '{' | '[' => brackets(text, at)?,
        // A block text, an alias, an anchor, a tag: not one of the simple forms.
        '|' | '>' | '*' | '&' | '!' => return None,
        _ => plain(text, at, inside),
    };
    (end > at).then_some(at..end)
}

/// The end of the key that begins here, and the first place behind its colon.
pub fn behind_key(text: &str, at: usize) -> Option<usize> {
    let end = match text[at..].chars().next()? {
        '"' | '\'' => quoted(text, at)?,
        _ => at + text[at..].find(':')?,
    };
    let colon = end + text[end..].find(':')?;
    text[end..colon].trim().is_empty().then_some(colon + 1)
}

fn quoted(text: &str, at: usize) -> Option<usize> {
    let mark = text[at..].chars().next()?;
    let mut letters = text[at + 1..].char_indices().peekable();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '\\' if mark == '"' => {
                letters.next();
            }
            '\'' if mark == '\'' && letters.peek().is_some_and(|(_, next)| *next == '\'') => {
                letters.next();
            }
            _ if letter == mark => return Some(at + 1 + index + 1),
            _ => {}
        }
    }
    None
}

fn brackets(text: &str, at: usize) -> Option<usize> {
    let (mut depth, mut at) = (0_u32, at);
    loop {
        let letter = text[at..].chars().next()?;
        match letter {
            '{' | '[' => {
                depth += 1;
                at += 1;
            }
            '}' | ']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            '"' | '\'' => at = quoted(text, at)?,
            '#' if text[..at].ends_with(char::is_whitespace) => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
            }
            _ if letter.is_whitespace() || ",:".contains(letter) => at += letter.len_utf8(),
            _ => at = plain(text, at, true).max(at + letter.len_utf8()),
        }
    }
}

/// The end of a plain text in one line, without the blanks behind it.
fn plain(text: &str, at: usize, inside: bool) -> usize {
    let rest = &text[at..];
    let mut end = rest.len();
    let mut before = ' ';
    let mut letters = rest.char_indices().peekable();
    while let Some((index, letter)) = letters.next() {
        let next = letters.peek().map_or(' ', |(_, next)| *next);
        let colon = letter == ':' && (next.is_whitespace() || inside && FLOW_SIGNS.contains(&next));
        let comment = letter == '#' && before.is_whitespace() && index > 0;
        if matches!(letter, '\n' | '\r')
            || colon
            || comment
            || inside && FLOW_SIGNS.contains(&letter)
        {
            end = index;
            break;
        }
        before = letter;
    }
    at + rest[..end].trim_end().len()
}

/// The end of the line that this place is in, before what breaks it.
pub fn line_end(text: &str, at: usize) -> usize {
    at + text[at..].find(['\n', '\r']).unwrap_or(text.len() - at)
}

/// How the lines of a text end.
pub fn line_break(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

type Entry = (At<String>, Node);

/// Whether two trees say the same, wherever it stands.
pub fn same(a: &Node, b: &Node) -> bool {
    match (&a.shape, &b.shape) {
        (Shape::Null, Shape::Null) | (Shape::Withdrawn, Shape::Withdrawn) => true,
        (Shape::Boolean(a), Shape::Boolean(b)) => a == b,
        (Shape::Integer(a), Shape::Integer(b)) => a == b,
        (Shape::Float(a), Shape::Float(b)) => a.to_bits() == b.to_bits(),
        (Shape::Text(a), Shape::Text(b)) => a == b,
        (Shape::List(a), Shape::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Shape::Map(a), Shape::Map(b)) => {
            let alike = |(a, b): (&Entry, &Entry)| a.0.value == b.0.value && same(&a.1, &b.1);
            a.len() == b.len() && a.iter().zip(b).all(alike)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: u32, column: u32, inside: bool) -> Option<&str> {
        let at = offset(text, Mark { line, column })?;
        value(text, at, inside).map(|range| &text[range])
    }

    #[test]
    fn places_are_counted_in_characters_and_lines_of_any_kind() {
        let text = "ä: 1\r\n日本: x\ry: 2\nz";
        for (line, column, expected) in
            [(1, 1, "ä"), (1, 4, "1"), (2, 1, "日本"), (2, 5, "x"), (3, 4, "2"), (4, 1, "z")]
        {
            assert_eq!(shown(text, line, column, false), Some(expected), "{line}:{column}");
        }
        assert_eq!(offset(text, Mark { line: 9, column: 1 }), None);
        assert_eq!(offset(text, Mark { line: 4, column: 2 }), Some(text.len()));
    }

    #[test]
    fn a_value_ends_where_yaml_says() {
        for (text, inside, expected) in [
            ("abc # comment", false, Some("abc")),
            ("a#b, c", false, Some("a#b, c")),
            ("a#b, c", true, Some("a#b")),
            ("it's }", true, Some("it's")),
            ("a:b: c", true, Some("a:b")),
            ("\"a \\\" b\" x", false, Some("\"a \\\" b\"")),
            ("'it''s' x", false, Some("'it''s'")),
            ("{a: it's, b: '}', c: [1, \"]\"]} x", false, Some("{a: it's, b: '}', c: [1, \"]\"]}")),
            ("{a: 1 # }\n, b: 2} x", true, Some("{a: 1 # }\n, b: 2}")),
            ("{a: x'y}", true, Some("{a: x'y}")),
            ("*alias", false, None),
            ("|\n  text", false, None),
            ("\"open", false, None),
            ("{open", false, None),
        ] {
            let found = value(text, 0, inside).map(|range| &text[range]);
            assert_eq!(found, expected, "{text}");
        }
    }
}
