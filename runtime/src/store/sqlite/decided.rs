//! Which rule decided each change of an export: tags flow in and out, a few digits stand in the
//! row. One number stands for all where all are the same, which they mostly are.

use kakehi_engine::rule::RuleTag;

use super::Db;
use super::failure::{Failure, Result};

/// Stands for a change that no rule decided.
const NOBODY: i64 = 0;

pub(super) fn encode(db: &Db, by: &[Option<RuleTag>]) -> Result<String> {
    let number = |tag: &Option<RuleTag>| match tag {
        Some(tag) => db.names.make_rule(&db.sql, tag),
        None => Ok(NOBODY),
    };
    if by.windows(2).all(|pair| pair[0] == pair[1]) {
        let Some(first) = by.first() else { return Ok(String::new()) };
        return Ok(match by.len() {
            1 => number(first)?.to_string(),
            many => format!("{}*{many}", number(first)?),
        });
    }
    let numbers: Vec<String> =
        by.iter().map(|tag| Ok(number(tag)?.to_string())).collect::<Result<_>>()?;
    Ok(numbers.join(","))
}

pub(super) fn decode(db: &Db, text: &str) -> Result<Vec<Option<RuleTag>>> {
    let damaged = || Failure::damaged("rules of an export", text);
    let tag = |number: &str| match number.parse().map_err(|_| damaged())? {
        NOBODY => Ok(None),
        id => db.names.rule(&db.sql, id).map(Some),
    };
    if text.is_empty() {
        return Ok(vec![]);
    }
    match text.split_once('*') {
        Some((number, count)) => {
            let count: u16 = count.parse().map_err(|_| damaged())?;
            Ok(vec![tag(number)?; usize::from(count)])
        }
        None => text.split(',').map(tag).collect(),
    }
}
