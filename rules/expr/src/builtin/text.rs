//! Texts: parts, case, padding, replacement. Lengths are counted in characters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Arguments, size};
use crate::PRODUCED_VALUE_BYTES_MAX;
use crate::error::Fault;
use crate::value::Val;

type Answer = Result<Option<Val>, Fault>;

pub(super) fn c_str(arguments: &Arguments<'_>) -> Answer {
    Ok(arguments.text(0)?.map(|text| Val::Text(text.into_owned())))
}

/// Characters of a text, bytes of a binary value; of NULL 0.
pub(super) fn len(arguments: &Arguments<'_>) -> Answer {
    let length = match arguments.value(0) {
        Some(Val::Binary(bytes)) => bytes.len(),
        _ => arguments.text_or_empty(0)?.chars().count(),
    };
    i64::try_from(length)
        .map(|length| Some(Val::Number(length)))
        .map_err(|_| Fault::Overflow("Len"))
}

/// A negative count, or one beyond the length, is the whole text.
pub(super) fn left(arguments: &Arguments<'_>) -> Answer {
    let text = arguments.text_or_empty(0)?;
    let end = size(required(arguments, 1)?).map(|count| byte_of(&text, count));
    Ok(Some(text[..end.unwrap_or(text.len())].into()))
}

/// As [`left`], from the end.
pub(super) fn right(arguments: &Arguments<'_>) -> Answer {
    let text = arguments.text_or_empty(0)?;
    let length = text.chars().count();
    let start = size(required(arguments, 1)?)
        .map_or(0, |count| byte_of(&text, length.saturating_sub(count)));
    Ok(Some(text[start..].into()))
}

/// A negative count, or a start outside the text, is the whole text: documented so.
pub(super) fn mid(arguments: &Arguments<'_>) -> Answer {
    let (start, count) = (required(arguments, 1)?, arguments.number(2)?);
    if let Some(Val::Binary(bytes)) = arguments.value(0) {
        let part = span(bytes.len(), start, count).map_or(&bytes[..], |part| &bytes[part]);
        return Ok(Some(Val::Binary(part.to_vec())));
    }
    let text = arguments.text_or_empty(0)?;
    let Some(part) = span(text.chars().count(), start, count) else {
        return Ok(Some(Val::Text(text.into_owned())));
    };
    Ok(Some(text[byte_of(&text, part.start)..byte_of(&text, part.end)].into()))
}

pub(super) fn trim(arguments: &Arguments<'_>) -> Answer {
    changed(arguments, |text| text.trim().to_owned())
}

pub(super) fn l_trim(arguments: &Arguments<'_>) -> Answer {
    changed(arguments, |text| text.trim_start().to_owned())
}

pub(super) fn r_trim(arguments: &Arguments<'_>) -> Answer {
    changed(arguments, |text| text.trim_end().to_owned())
}

pub(super) fn l_case(arguments: &Arguments<'_>) -> Answer {
    changed(arguments, str::to_lowercase)
}

pub(super) fn u_case(arguments: &Arguments<'_>) -> Answer {
    changed(arguments, str::to_uppercase)
}

/// The first letter of each word between spaces upper, the rest lower.
pub(super) fn p_case(arguments: &Arguments<'_>) -> Answer {
    changed(arguments, |text| {
        let words = text.split(' ').map(|word| {
            let mut letters = word.chars();
            let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
            first + &letters.as_str().to_lowercase()
        });
        words.collect::<Vec<_>>().join(" ")
    })
}

pub(super) fn pad_left(arguments: &Arguments<'_>) -> Answer {
    let (text, padding) = padded(arguments)?;
    Ok(Some(Val::Text(padding + &text)))
}

pub(super) fn pad_right(arguments: &Arguments<'_>) -> Answer {
    let (text, padding) = padded(arguments)?;
    Ok(Some(Val::Text(text.into_owned() + &padding)))
}

/// `\n`, `\r` and `\t` in the two last arguments are newline, return and tab.
pub(super) fn replace(arguments: &Arguments<'_>) -> Answer {
    let Some(text) = arguments.text(0)? else { return Ok(None) };
    let old = control_characters(&arguments.text_or_empty(1)?);
    let new = control_characters(&arguments.text_or_empty(2)?);
    if old.is_empty() {
        return Ok(Some(Val::Text(text.into_owned())));
    }
    // Measured before it is made: the result may be the product of two long texts.
    let growth = text.matches(&old).count().saturating_mul(new.len());
    if growth > PRODUCED_VALUE_BYTES_MAX {
        return Err(Fault::ValueTooLong(PRODUCED_VALUE_BYTES_MAX));
    }
    Ok(Some(Val::Text(text.replace(&old, &new))))
}

/// A pattern is a list of `a:b` pairs between commas; `a:` deletes.
pub(super) fn replace_chars(arguments: &Arguments<'_>) -> Answer {
    let Some(text) = arguments.text(0)? else { return Ok(None) };
    let pattern = arguments.text_or_empty(1)?;
    let wrong = || arguments.out_of_range(1, "pairs such as `a:b,c:`");
    // The first of two pairs for one character counts.
    let mut pairs: BTreeMap<char, String> = BTreeMap::new();
    let pattern: String = pattern.chars().filter(|c| !c.is_whitespace()).collect();
    for pair in pattern.split(',').filter(|pair| !pair.is_empty()) {
        let (from, to) = pair.split_once(':').ok_or_else(wrong)?;
        let mut from = from.chars();
        match (from.next(), from.next()) {
            (Some(from), None) if !to.contains(':') => {
                pairs.entry(from).or_insert_with(|| to.to_owned());
            }
            _ => return Err(wrong()),
        }
    }
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match pairs.get(&c) {
            Some(to) => result.push_str(to),
            None => result.push(c),
        }
        if result.len() > PRODUCED_VALUE_BYTES_MAX {
            return Err(Fault::ValueTooLong(PRODUCED_VALUE_BYTES_MAX));
        }
    }
    Ok(Some(Val::Text(result)))
}

/// Present and an empty text.
pub(super) fn is_empty(arguments: &Arguments<'_>) -> Answer {
    Ok(Some(Val::Boolean(arguments.value(0).is_some_and(Val::is_empty_text))))
}

/// Ends the evaluation with the rule's own words.
pub(super) fn error(arguments: &Arguments<'_>) -> Answer {
    let words = arguments.text_or_empty(0)?;
    Err(Fault::Raised(match &*words {
        "" => "the rule raised an error without words".to_owned(),
        words => words.to_owned(),
    }))
}

fn changed(arguments: &Arguments<'_>, change: impl Fn(&str) -> String) -> Answer {
    Ok(arguments.text(0)?.map(|text| Val::Text(change(&text))))
}

fn required(arguments: &Arguments<'_>, index: usize) -> Result<i64, Fault> {
    arguments.number(index)?.ok_or_else(|| arguments.out_of_range(index, "a number"))
}

/// The byte where the character with this index from 0 begins, or the end.
fn byte_of(text: &str, index: usize) -> usize {
    text.char_indices().nth(index).map_or(text.len(), |(byte, _)| byte)
}

/// The places from 0 that `Mid` takes; `None` where it takes everything.
fn span(length: usize, start: i64, count: Option<i64>) -> Option<std::ops::Range<usize>> {
    let first = size(start)?.checked_sub(1).filter(|first| *first < length)?;
    let end = match count {
        Some(count) => first.saturating_add(size(count)?).min(length),
        None => length,
    };
    Some(first..end)
}

/// The text and what must be added to it; nothing is added to NULL, which is the empty text.
fn padded<'a>(arguments: &Arguments<'a>) -> Result<(Cow<'a, str>, String), Fault> {
    let text = arguments.text(0)?;
    let padding = arguments.text_or_empty(2)?;
    if padding.chars().count() != 1 {
        return Err(arguments.out_of_range(2, "one character"));
    }
    let wanted = size(required(arguments, 1)?).unwrap_or(0);
    let Some(text) = text else { return Ok(Default::default()) };
    let missing = wanted.saturating_sub(text.chars().count());
    if missing > PRODUCED_VALUE_BYTES_MAX {
        return Err(Fault::ValueTooLong(PRODUCED_VALUE_BYTES_MAX));
    }
    Ok((text, padding.repeat(missing)))
}

fn control_characters(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn c_str() {
        check("CStr(7)", "", "'7'");
        check("CStr(True)", "", "'True'");
        check("CStr(\"a\")", "", "'a'");
        check("CStr(CRef(\"cn=a\"))", "", "'cn=a'");
        check("CStr([x])", "", "NULL");
        check(
            "CStr([x])",
            "x=0x00ff",
            "error: a binary value of 2 bytes is not a text: use `ConvertToBase64` at 1:1",
        );
    }

    #[test]
    fn left_and_right() {
        check("Left(\"John Doe\", 3)", "", "'Joh'");
        check("Left(\"John Doe\", 0)", "", "''");
        check("Left(\"John Doe\", -1)", "", "'John Doe'");
        check("Left(\"John Doe\", 99)", "", "'John Doe'");
        check("Left(\"筧の水\", 2)", "", "'筧の'");
        check("Left([x], 3)", "", "''");
        check("Left([x], 3) = \"\"", "", "True");
        check("Left(\"a\", NULL)", "", "error: argument 2 is `NULL`, must be a number at 1:1");
        check("Left([x], 1)", "x='ab'|'cd'", "'a' | 'c'");
        check("Right(\"John Doe\", 3)", "", "'Doe'");
        check("Right(\"John Doe\", 99)", "", "'John Doe'");
        check("Right(\"John Doe\", -1)", "", "'John Doe'");
        check("Right(\"John Doe\", 0)", "", "''");
    }

    #[test]
    fn mid() {
        check("Mid(\"John Doe\", 3, 5)", "", "'hn Do'");
        check("Mid(\"John Doe\", 6, 999)", "", "'Doe'");
        check("Mid(\"John Doe\", 6)", "", "'Doe'");
        check("Mid(\"John Doe\", 3, 0)", "", "''");
        check("Mid(\"John Doe\", 3, -1)", "", "'John Doe'");
        check("Mid(\"John Doe\", 0, 2)", "", "'John Doe'");
        check("Mid(\"John Doe\", 9, 2)", "", "'John Doe'");
        check("Mid(\"筧の水\", 2, 1)", "", "'の'");
        check("Mid([x], 1, 2)", "", "''");
        check("Mid([x], 2, 2)", "x=0x01020304", "0x0203");
        check("Mid([x], 3)", "x=0x01020304", "0x0304");
    }

    #[test]
    fn length_and_white_space() {
        check("Len(\"John Doe\")", "", "8");
        check("Len([x])", "", "0");
        check("Len([x])", "x=0x0102", "2");
        check("Trim(\" Test \")", "", "'Test'");
        check("Trim(\"\u{3000}筧\u{3000}\")", "", "'筧'");
        check("RTrim(\" Test \")", "", "' Test'");
        check("LTrim(\" Test \")", "", "'Test '");
        check("Trim([x])", "", "NULL");
        check("Trim([x])", "x='  '", "''");
        check("Trim([x])", "x=' a'|'  '|'b '", "'a' | '' | 'b'");
    }

    #[test]
    fn case() {
        check("LCase(\"TeSt\")", "", "'test'");
        check("UCase(\"straße\")", "", "'STRASSE'");
        check("PCase(\"tARO  yamada-sato\")", "", "'Taro  Yamada-sato'");
        check("LCase([x])", "", "NULL");
    }

    #[test]
    fn padding() {
        check("PadLeft(\"User\", 10, \"0\")", "", "'000000User'");
        check("PadRight(\"User\", 10, \"0\")", "", "'User000000'");
        check("PadLeft(\"User\", 2, \"0\")", "", "'User'");
        check("PadLeft([x], 3, \"0\")", "", "''");
        check("PadRight([x], 3, \"0\")", "", "''");
        check("PadLeft([x], 3, \"0\")", "x=''", "'000'");
        check(
            "PadLeft(\"a\", 3, \"00\")",
            "",
            "error: argument 3 is `00`, must be one character at 1:1",
        );
        check(
            "PadLeft(\"a\", 9000000000, \"0\")",
            "",
            "error: a value of more than 1048576 bytes produced at 1:1",
        );
    }

    #[test]
    fn replacement() {
        check("Replace(\"a.b.c\",\".\",\"-\")", "", "'a-b-c'");
        check("Replace([x],\"\\r\\n\",\", \")", "x='1\r\n2'", "'1, 2'");
        check("Replace(\"ab\",\"\",\"-\")", "", "'ab'");
        check("Replace(\"ab\",\"b\",NULL)", "", "'a'");
        check("Replace([x],\"a\",\"b\")", "", "NULL");
        check(
            "Replace(PadLeft(\"\",100000,\"a\"),\"a\",\"0123456789abcdef\")",
            "",
            "error: a value of more than 1048576 bytes produced at 1:1",
        );
        check("ReplaceChars(\"Räksmörgås\",\"å:a, ä:a, ö:o\")", "", "'Raksmorgas'");
        check("ReplaceChars(\"a-b\",\"-:\")", "", "'ab'");
        check(
            "ReplaceChars(\"a\",\"ab:c\")",
            "",
            "error: argument 2 is `ab:c`, must be pairs such as `a:b,c:` at 1:1",
        );
    }

    #[test]
    fn emptiness() {
        check("IsEmpty([x])", "x=''", "True");
        check("IsEmpty([x])", "x='a'", "False");
        check("IsEmpty([x])", "", "False");
    }

    #[test]
    fn r30_an_error_speaks_the_words_of_the_rule() {
        check("IIF(IsPresent([x]),[x],Error(\"no x\"))", "x='a'", "'a'");
        check("IIF(IsPresent([x]),[x],Error(\"no x\"))", "", "error: no x");
    }
}
