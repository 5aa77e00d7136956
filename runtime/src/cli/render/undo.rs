//! What is told of a plan that takes another one back, besides its exports: what stays, with what
//! was there before, and what follows.

use std::io::Write;

use serde_json::{Map, Value as Json, json};

use crate::service::Left;
use crate::service::explain::value_json;
use crate::service::once::Planned;

/// What stays as it is, each with its reasons and with what the object held before.
pub fn left_json(planned: &Planned) -> Vec<Json> {
    planned.left.iter().map(left).collect()
}

fn left(left: &Left) -> Json {
    let before: Map<String, Json> = left
        .before
        .iter()
        .map(|(name, values)| (name.to_string(), values.iter().map(value_json).collect()))
        .collect();
    json!({
        "connector": left.export.connector.as_str(),
        "class": left.export.class.as_str(),
        "anchor": left.export.anchor,
        "match": left.export.match_key,
        "op": left.export.op.as_str(),
        "why": left.why,
        "before": before,
    })
}

pub fn foot(planned: &Planned, out: &mut impl Write) -> std::io::Result<()> {
    let Some(undoes) = &planned.plan.basis.undoes else { return Ok(()) };
    for left in left_json(planned) {
        let said = |name: &str| left[name].as_str().unwrap_or("").to_owned();
        let (op, connector, class) = (said("op"), said("connector"), said("class"));
        write!(out, "  left: {op} of {connector}/{class} {}", said("match"))?;
        for why in left["why"].as_array().into_iter().flatten() {
            write!(out, ": {}", why.as_str().unwrap_or(""))?;
        }
        writeln!(out)?;
        for (name, values) in left["before"].as_object().into_iter().flatten() {
            writeln!(out, "      {name} was {values}")?;
        }
    }
    writeln!(out, "  note: it takes back plan {undoes}")?;
    writeln!(
        out,
        "  note: the rules would do it again: `kakehi apply` switches staging mode on first, and \
         nothing else is sent until `kakehi staging off`; change the rules or the sources before"
    )
}
