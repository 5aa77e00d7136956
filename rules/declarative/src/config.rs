//! The configuration: JSON to flows, with every fault named by its flow.
//!
//! It is read by hand, since the person who wrote it wants to know which flow is wrong and how to
//! mend it, for all flows at once.

use kakehi_expr::{Compare, ExprError, Expression, nearest};
use kakehi_guest::Value;
use serde_json::{Map, Value as Json};

use crate::flow::{Flow, Source};

/// Most flows of one rule: ten times the largest rule of the default configuration of AADSync.
pub(crate) const FLOWS_MAX: usize = 1000;

/// Keys of the configuration.
const CONFIG_KEYS: [&str; 2] = ["flows", "compare"];

/// Keys of a flow; the last three exclude each other.
const KEYS: [&str; 4] = ["to", "expr", "from", "value"];

/// Reads `{compare: binary | text, flows: [{to, expr | from | value}]}`; `{}` is a rule without
/// flows. `compare` says how expressions compare texts (provisioning.md 6), `binary` by default.
/// Errors: all faults, a line each.
pub(crate) fn parse(config: &str) -> Result<Vec<Flow>, String> {
    let config: Json =
        serde_json::from_str(config).map_err(|error| format!("config is not JSON: {error}"))?;
    let Json::Object(config) = config else {
        return Err("config must be a mapping with the key `flows`".into());
    };
    let mut faults: Vec<String> = config
        .keys()
        .filter(|key| !CONFIG_KEYS.contains(&key.as_str()))
        .map(|key| unknown_key(key, &CONFIG_KEYS))
        .collect();
    let compare = match config.get("compare").map(Json::as_str) {
        None | Some(Some("binary")) => Compare::Binary,
        Some(Some("text")) => Compare::Text,
        Some(_) => {
            faults.push("`compare` must be `binary` or `text`".into());
            Compare::Binary
        }
    };
    let mut flows = Vec::new();
    match config.get("flows") {
        None => {}
        Some(Json::Array(list)) if list.len() > FLOWS_MAX => {
            faults.push(format!("`flows` has {} entries, at most {FLOWS_MAX}", list.len()));
        }
        Some(Json::Array(list)) => {
            for (index, flow) in list.iter().enumerate() {
                match read_flow(flow, compare) {
                    Ok(flow) => flows.push(flow),
                    Err(fault) => faults.push(format!("{}: {fault}", place(index, flow))),
                }
            }
        }
        Some(_) => faults.push("`flows` must be a list".into()),
    }
    if faults.is_empty() { Ok(flows) } else { Err(faults.join("\n")) }
}

fn read_flow(flow: &Json, compare: Compare) -> Result<Flow, String> {
    let Json::Object(flow) = flow else {
        return Err("must be a mapping with `to` and one of `expr`, `from`, `value`".into());
    };
    if let Some(key) = flow.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(unknown_key(key, &KEYS));
    }
    let to = name(flow, "to")?.ok_or("`to` is missing: it names the attribute to write")?;
    let sources: Vec<&str> =
        KEYS[1..].iter().copied().filter(|key| flow.contains_key(*key)).collect();
    let source = match sources[..] {
        ["from"] => Source::Direct(name(flow, "from")?.unwrap_or_default()),
        ["value"] => Source::Constant(constant(&flow["value"])?),
        ["expr"] => Source::of(expression(&flow["expr"])?.comparing(compare)),
        [] => return Err("one of `expr`, `from`, `value` must say where the value is from".into()),
        _ => return Err(format!("`{}` exclude each other", sources.join("`, `"))),
    };
    Ok(Flow { to, source })
}

fn name(flow: &Map<String, Json>, key: &str) -> Result<Option<String>, String> {
    match flow.get(key) {
        None => Ok(None),
        Some(Json::String(name)) if !name.is_empty() => Ok(Some(name.clone())),
        Some(_) => Err(format!("`{key}` must be the name of an attribute")),
    }
}

/// Text, whole number, Boolean, or a list of them.
fn constant(value: &Json) -> Result<Vec<Value>, String> {
    match value {
        Json::Array(list) if list.is_empty() => {
            Err("`value` is an empty list: `expr: 'NULL'` contributes nothing".into())
        }
        Json::Array(list) => list.iter().map(single).collect(),
        value => single(value).map(|value| vec![value]),
    }
}

fn single(value: &Json) -> Result<Value, String> {
    match value {
        Json::String(text) if !text.is_empty() => Ok(Value::Text(text.clone())),
        Json::Bool(flag) => Ok(Value::Boolean(*flag)),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Integer)
            .ok_or_else(|| format!("`value` {number} is not a whole number of 64 bits")),
        Json::String(_) | Json::Null => {
            Err("`value` is empty: `expr: 'NULL'` contributes nothing".into())
        }
        Json::Array(_) | Json::Object(_) => {
            Err("`value` must be text, number, Boolean, or a list of them".into())
        }
    }
}

fn expression(value: &Json) -> Result<Expression, String> {
    let Json::String(source) = value else {
        return Err("`expr` must be text; in YAML, stand it between single quotes".into());
    };
    let told = |error: &ExprError| match &error.hint {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    Expression::parse_all(source)
        .map_err(|errors| errors.iter().map(told).collect::<Vec<_>>().join("; "))
}

/// A flow is named by its place, from 1, and by what it writes if it says so.
fn place(index: usize, flow: &Json) -> String {
    match flow.get("to").and_then(Json::as_str) {
        Some(to) => format!("flow {} (to `{to}`)", index + 1),
        None => format!("flow {}", index + 1),
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => format!("unknown key `{key}`; known: `{}`", known.join("`, `")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_flow_and_the_remedy() {
        for (config, expected) in [
            ("[]", "config must be a mapping with the key `flows`"),
            ("{", "config is not JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"flow": []}"#, "unknown key `flow`; did you mean `flows`?"),
            (r#"{"compare": "case"}"#, "`compare` must be `binary` or `text`"),
            (r#"{"compare": true}"#, "`compare` must be `binary` or `text`"),
            (r#"{"flows": {}}"#, "`flows` must be a list"),
            (
                r#"{"flows": ["a"]}"#,
                "flow 1: must be a mapping with `to` and one of `expr`, `from`, `value`",
            ),
            (
                r#"{"flows": [{"from": "a"}]}"#,
                "flow 1: `to` is missing: it names the attribute to write",
            ),
            (
                r#"{"flows": [{"to": "", "from": "a"}]}"#,
                "flow 1 (to ``): `to` must be the name of an attribute",
            ),
            (
                r#"{"flows": [{"to": "a", "exp": "1"}]}"#,
                "flow 1 (to `a`): unknown key `exp`; did you mean `expr`?",
            ),
            (
                r#"{"flows": [{"to": "a", "precedence": 1}]}"#,
                "flow 1 (to `a`): unknown key `precedence`; known: `to`, `expr`, `from`, `value`",
            ),
            (
                r#"{"flows": [{"to": "a"}]}"#,
                "flow 1 (to `a`): one of `expr`, `from`, `value` must say where the value is from",
            ),
            (
                r#"{"flows": [{"to": "a", "from": "b", "value": 1}]}"#,
                "flow 1 (to `a`): `from`, `value` exclude each other",
            ),
            (
                r#"{"flows": [{"to": "a", "value": 1.5}]}"#,
                "flow 1 (to `a`): `value` 1.5 is not a whole number of 64 bits",
            ),
            (
                r#"{"flows": [{"to": "a", "value": []}]}"#,
                "flow 1 (to `a`): `value` is an empty list: `expr: 'NULL'` contributes nothing",
            ),
            (
                r#"{"flows": [{"to": "a", "value": null}]}"#,
                "flow 1 (to `a`): `value` is empty: `expr: 'NULL'` contributes nothing",
            ),
            (
                r#"{"flows": [{"to": "a", "value": {"b": 1}}]}"#,
                "flow 1 (to `a`): `value` must be text, number, Boolean, or a list of them",
            ),
            (
                r#"{"flows": [{"to": "a", "expr": 1}]}"#,
                "flow 1 (to `a`): `expr` must be text; in YAML, stand it between single quotes",
            ),
            (
                r#"{"flows": [{"to": "a", "value": 1}, {"to": "b", "expr": "iif(True,1,2)"}]}"#,
                "flow 2 (to `b`): unknown function `iif` at 1:1; did you mean `IIF`?",
            ),
            (
                r#"{"flows": [{"to": "a", "expr": "Left(\"a\", \"b\") & Trim()"}]}"#,
                "flow 1 (to `a`): function `Left` takes a number as argument 2, found `b` at 1:11; \
                 function `Trim` takes 1 argument, found 0 at 1:18",
            ),
        ] {
            assert_eq!(parse(config).err().as_deref(), Some(expected), "{config}");
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let config = r#"{"x": 1, "flows": [{"to": "a"}, {"to": "b", "value": 1}, {"from": "c"}]}"#;
        let faults = parse(config).err().unwrap();
        assert_eq!(faults.lines().count(), 3, "{faults}");
    }

    #[test]
    fn the_number_of_flows_is_limited() {
        let config = |flows| {
            format!(r#"{{"flows": [{}]}}"#, vec![r#"{"to": "a", "value": 1}"#; flows].join(","))
        };
        assert_eq!(parse(&config(FLOWS_MAX)).map(|flows| flows.len()), Ok(FLOWS_MAX));
        let expected = Some("`flows` has 1001 entries, at most 1000".to_owned());
        assert_eq!(parse(&config(FLOWS_MAX + 1)).err(), expected);
    }
}
