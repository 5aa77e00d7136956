//! What is told of a plan that takes another one back, besides its exports: what stays, with what
//! was there before, and what follows.

use std::io::Write;

use serde_json::Value as Json;

use super::json::{list, text};
use crate::report::words::visible;

/// Takes the head of a plan's document; writes nothing for a plan that takes nothing back.
pub fn foot(head: &Json, out: &mut impl Write) -> std::io::Result<()> {
    let Some(undoes) = head["undoes"].as_str() else { return Ok(()) };
    for left in list(&head["left"]) {
        let said = |name: &str| visible(text(&left[name])).into_owned();
        let (op, connector, class) = (said("op"), said("connector"), said("class"));
        write!(out, "  left: {op} of {connector}/{class} {}", said("match"))?;
        for why in list(&left["why"]) {
            write!(out, ": {}", visible(text(why)))?;
        }
        writeln!(out)?;
        for (name, values) in left["before"].as_object().into_iter().flatten() {
            writeln!(out, "      {} was {}", visible(name), visible(&values.to_string()))?;
        }
    }
    writeln!(out, "  note: it takes back plan {}", visible(undoes))?;
    writeln!(
        out,
        "  note: the rules would do it again: `kakehi apply` switches staging mode on first, and \
         nothing else is sent until `kakehi staging off`; change the rules or the sources before"
    )
}
