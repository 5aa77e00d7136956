//! Looking for texts in texts.

use std::borrow::Cow;

use super::{Arguments, size};
use crate::error::Fault;
use crate::value::Val;

/// The first place, from 1, where the second argument begins in the first; 0 if nowhere. An empty
/// text is found where the search begins.
pub(super) fn in_str(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let Some([text, part]) = texts(arguments)? else { return Ok(Some(Val::Number(0))) };
    let start = start(arguments)?.unwrap_or(1);
    let Some((from, _)) = text.char_indices().nth(start - 1) else { return place(None) };
    let found = text[from..].find(&*part);
    place(found.map(|at| start - 1 + text[from..from + at].chars().count()))
}

/// The last place, where the third argument is the last character that is looked at, and -1 or
/// nothing the end; 0 if nowhere.
pub(super) fn in_str_rev(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let Some([text, part]) = texts(arguments)? else { return Ok(Some(Val::Number(0))) };
    let length = text.chars().count();
    let end = match arguments.number(2)? {
        Some(-1) => length,
        _ => start(arguments)?.unwrap_or(length),
    };
    if end == 0 || end > length {
        return place(None);
    }
    if part.is_empty() {
        return place(Some(end - 1));
    }
    let to = text.char_indices().nth(end).map_or(text.len(), |(byte, _)| byte);
    place(text[..to].rfind(&*part).map(|at| text[..at].chars().count()))
}

/// The n-th word; any of the delimiters, any number of times, separates. "" if there is none.
pub(super) fn word(arguments: &Arguments<'_>) -> Result<Option<Val>, Fault> {
    let text = arguments.text_or_empty(0)?;
    let delimiters = arguments.text_or_empty(2)?;
    let index = arguments.number(1)?.unwrap_or(0);
    let found = size(index).and_then(|index| index.checked_sub(1)).and_then(|index| {
        let mut words = text.split(|c| delimiters.contains(c)).filter(|word| !word.is_empty());
        words.nth(index)
    });
    Ok(Some(found.unwrap_or_default().into()))
}

/// Both texts, folded letter by letter where case does not count, so that places stay the same.
/// `None` if either is absent.
fn texts<'a>(arguments: &Arguments<'a>) -> Result<Option<[Cow<'a, str>; 2]>, Fault> {
    let folded = arguments.word(3, "vbBinaryCompare")? == "vbTextCompare";
    let fold = |text: Cow<'a, str>| match folded {
        true => text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect(),
        false => text,
    };
    let (text, part) = (arguments.text(0)?, arguments.text(1)?);
    Ok(text.zip(part).map(|(text, part)| [fold(text), fold(part)]))
}

fn start(arguments: &Arguments<'_>) -> Result<Option<usize>, Fault> {
    let Some(start) = arguments.number(2)? else { return Ok(None) };
    match size(start) {
        Some(start) if start > 0 => Ok(Some(start)),
        _ => Err(arguments.out_of_range(2, "a place from 1")),
    }
}

fn place(found: Option<usize>) -> Result<Option<Val>, Fault> {
    let place = found.map_or(0, |index| index + 1);
    i64::try_from(place).map(|place| Some(Val::Number(place))).map_err(|_| Fault::Overflow("InStr"))
}

#[cfg(test)]
mod tests {
    use crate::testing::check;

    #[test]
    fn in_str() {
        check("InStr(\"The quick brown fox\",\"quick\")", "", "5");
        check("InStr(\"repEated\",\"e\",3,vbBinaryCompare)", "", "7");
        check("InStr(\"repEated\",\"e\",3,vbTextCompare)", "", "4");
        check("InStr(\"筧の水\",\"水\")", "", "3");
        check("InStr(\"abc\",\"B\")", "", "0");
        check("InStr(\"abc\",\"\")", "", "1");
        check("InStr(\"abc\",\"c\",4)", "", "0");
        check("InStr([x],\"a\")", "", "0");
        check("InStr(\"abc\",[x])", "", "0");
        check(
            "InStr(\"a\",\"a\",0)",
            "",
            "error: argument 3 is `0`, must be a place from 1 at 1:1",
        );
        check("InStr([x],\"b\")", "x='ab'|'ba'|'c'", "2 | 1 | 0");
    }

    #[test]
    fn in_str_rev() {
        check("InStrRev(\"a.b.c\",\".\")", "", "4");
        check("InStrRev(\"a.b.c\",\".\",3)", "", "2");
        check("InStrRev(\"a.b.c\",\"x\")", "", "0");
        check("InStrRev(\"aXb\",\"x\",3,vbTextCompare)", "", "2");
        check("InStrRev([x],\"x\")", "", "0");
        check("InStrRev(\"abbcdbbbef\",\"bb\")", "", "7");
        check("InStrRev(\"abbcdbbbef\",\"bb\",7)", "", "6");
        check("InStrRev(\"abbcdbbbef\",\"bb\",6)", "", "2");
        check("InStrRev(\"abc\",\"c\",-1)", "", "3");
        check("InStrRev(\"abc\",\"c\",4)", "", "0");
        check("InStrRev(\"筧の水\",\"水\")", "", "3");
    }

    #[test]
    fn word() {
        check("Word(\"The quick brown fox\",3,\" \")", "", "'brown'");
        check("Word(\"This,string!has&many separators\",3,\",!&#\")", "", "'has'");
        check("Word(\"a  b\",2,\" \")", "", "'b'");
        check("Word(\"a b\",3,\" \") = \"\"", "", "True");
        check("Word(\"a b\",0,\" \")", "", "''");
        check("Word([x],1,\"_\") = \"\"", "", "True");
    }
}
