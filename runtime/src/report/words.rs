//! Engine types in words and as JSON.

use std::borrow::Cow;

use kakehi_engine::connector_space::{CsObject, LinkOrigin};
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::{AttributeMap, Value};
use kakehi_engine::preview::{self, ClauseTest, PairTest, ScopeTest};
use kakehi_engine::rule::{Direction, JoinClause, LinkType, Merge, OnDelete, OnScopeExit};
use kakehi_engine::scope::{Clause, Scope};
use serde_json::{Value as Json, json};

/// Values of one attribute that are told in a sentence; of more only the number.
const VALUES_TOLD_MAX: usize = 3;

/// Attributes that name people, groups and devices, the most telling first.
const NAMING: [&str; 11] = [
    "displayName",
    "accountName",
    "userPrincipalName",
    "mail",
    "userName",
    "sAMAccountName",
    "uid",
    "cn",
    "employeeNumber",
    "externalId",
    "sourceAnchor",
];

/// A value as JSON shows it: binary as `{"b64": "..."}`.
pub fn value_json(value: &Value) -> Json {
    match value {
        Value::Text(text) | Value::Reference(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Boolean(flag) => json!(flag),
        Value::Binary(bytes) => json!({"b64": base64(bytes)}),
    }
}

pub fn values_json(values: &[Value]) -> Json {
    values.iter().map(value_json).collect()
}

/// A value as JSON shows it, in words: text in quotes, binary as `b64:...`.
pub fn told(value: &Json) -> String {
    match value {
        Json::Object(binary) if binary.contains_key("b64") => {
            format!("b64:{}", binary["b64"].as_str().unwrap_or_default())
        }
        other => visible(&other.to_string()).into_owned(),
    }
}

/// `"a", "b" and 7 more`; `absent` for none.
pub fn values(values: &[Value]) -> String {
    let told: Vec<String> =
        values.iter().take(VALUES_TOLD_MAX).map(|value| told(&value_json(value))).collect();
    match values.len() {
        0 => "absent".into(),
        count if count > VALUES_TOLD_MAX => {
            format!("{} and {} more", told.join(", "), count - VALUES_TOLD_MAX)
        }
        _ => told.join(", "),
    }
}

/// Text that cannot disturb what stands around it: control characters, marks that turn the
/// direction of writing and characters without width appear as their code, `<U+202E>`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_hidden(c) {
            true => shown.push_str(&format!("<U+{:04X}>", u32::from(c))),
            false => shown.push(c),
        }
    }
    shown.into()
}

pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

/// `employeeType NOTEQUAL "external"`.
pub fn clause(clause: &Clause) -> String {
    let operator = preview::operator(clause.operator);
    let exactly = if clause.case_sensitive { " (case counts)" } else { "" };
    if clause.asks_for_members() {
        return format!("{operator} {}", told(&json!(clause.value)));
    }
    match matches!(operator, "ISNULL" | "ISNOTNULL") {
        true => format!("{} {operator}", clause.attribute),
        false => format!("{} {operator} {}{exactly}", clause.attribute, told(&json!(clause.value))),
    }
}

/// `sourceAnchor ISNOTNULL, but it is absent`.
pub fn failed(test: &ClauseTest) -> String {
    let (words, actual) = (clause(&test.clause), values(&test.actual));
    match (test.clause.asks_for_members(), test.actual.is_empty()) {
        (false, _) => format!("{words}, but it is {actual}"),
        (true, true) => format!("{words}, but it is a member of none of the groups asked for"),
        (true, false) => format!("{words}, but it is a member of {actual}"),
    }
}

/// Why an object is out of scope: the clauses that failed, group by group.
pub fn why_out(test: &ScopeTest) -> String {
    let groups = test.groups.iter().enumerate().map(|(index, group)| {
        let missed: Vec<String> = group.iter().filter(|test| !test.holds).map(failed).collect();
        match test.groups.len() {
            1 => missed.join("; and "),
            _ => format!("group {}: {}", index + 1, missed.join("; and ")),
        }
    });
    groups.collect::<Vec<_>>().join(" / ")
}

/// [`why_out`] without what the single object holds: the same for all who are out for one reason.
pub fn cause(test: &ScopeTest) -> String {
    let groups = test.groups.iter().map(|group| {
        let missed: Vec<String> =
            group.iter().filter(|test| !test.holds).map(|test| clause(&test.clause)).collect();
        missed.join(" and ")
    });
    format!("{} does not hold", groups.collect::<Vec<_>>().join(" or "))
}

/// One line for each group of a scope.
pub fn scope(scope: &Scope) -> Vec<String> {
    let group = |group: &Vec<Clause>| group.iter().map(clause).collect::<Vec<_>>().join(" and ");
    match scope.groups.is_empty() {
        true => vec!["every object of the type".into()],
        false => scope.groups.iter().map(group).collect(),
    }
}

/// `objectSid = objectSid and sn = sn (case counts)`.
pub fn join_group(group: &[JoinClause]) -> String {
    let pair = |clause: &JoinClause| {
        let exactly = if clause.case_sensitive { " (case counts)" } else { "" };
        format!("{} = {}{exactly}", clause.cs, clause.mv)
    };
    group.iter().map(pair).collect::<Vec<_>>().join(" and ")
}

/// `mail "a@x" = mail "b@x"`: a join clause that does not hold, with both values.
pub fn pair(test: &PairTest) -> String {
    let (cs, mv) = (values(&test.cs), values(&test.mv));
    format!("{} {cs} = {} {mv}", test.clause.cs, test.clause.mv)
}

pub fn scope_json(test: &ScopeTest) -> Json {
    let clause = |test: &ClauseTest| {
        json!({
            "attribute": test.clause.attribute.as_str(),
            "operator": preview::operator(test.clause.operator),
            "value": test.clause.value,
            "actual": values_json(&test.actual),
            "holds": test.holds,
        })
    };
    let group = |group: &Vec<ClauseTest>| group.iter().map(clause).collect::<Json>();
    json!({"holds": test.holds, "groups": test.groups.iter().map(group).collect::<Json>()})
}

pub fn attributes_json(attributes: &AttributeMap) -> Json {
    let pairs = attributes.iter().map(|(name, values)| (name.to_string(), values_json(values)));
    Json::Object(pairs.collect())
}

/// What a metaverse object is called: the first of its names.
pub fn mv_name(object: &MvObject) -> String {
    let value = |name: &&str| object.attributes.get(*name)?.values.first()?.as_text();
    match NAMING.iter().find_map(value) {
        Some(name) => visible(&name).into_owned(),
        None => format!("{} {}", object.class, object.id.0),
    }
}

/// The DN of an object, else the first of its names, else its anchor.
pub fn cs_name(object: &CsObject) -> String {
    if !object.dn.is_empty() {
        return visible(&object.dn).into_owned();
    }
    let value = |name: &&str| object.attributes.get(*name)?.first()?.as_text();
    match (NAMING.iter().find_map(value), &object.anchor) {
        (Some(name), _) => visible(&name).into_owned(),
        (None, Some(anchor)) => visible(&anchor.to_string()).into_owned(),
        (None, None) => "(no id yet)".into(),
    }
}

pub fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

pub fn link_type(link: LinkType) -> &'static str {
    match link {
        LinkType::Join => "join",
        LinkType::StickyJoin => "sticky-join",
        LinkType::Provision => "provision",
    }
}

pub fn origin(origin: LinkOrigin) -> &'static str {
    match origin {
        LinkOrigin::Joined => "joined",
        LinkOrigin::Projected => "projected",
        LinkOrigin::Provisioned => "provisioned",
    }
}

pub fn merge(merge: Merge) -> &'static str {
    match merge {
        Merge::Update => "update",
        Merge::Merge => "merge",
        Merge::MergeCaseInsensitive => "merge-case-insensitive",
    }
}

pub fn on_delete(on_delete: OnDelete) -> &'static str {
    match on_delete {
        OnDelete::Disable => "disable",
        OnDelete::Delete => "delete",
        OnDelete::Keep => "keep",
    }
}

pub fn on_scope_exit(on_scope_exit: OnScopeExit) -> &'static str {
    match on_scope_exit {
        OnScopeExit::Release => "release",
        OnScopeExit::Clear => "clear",
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use kakehi_engine::scope::Operator;

    use super::*;

    fn clauses(groups: &[&[(&str, Operator, &str)]]) -> Scope {
        let clause = |(attribute, operator, value): &(&str, Operator, &str)| Clause {
            attribute: (*attribute).into(),
            operator: *operator,
            value: (*value).into(),
            case_sensitive: false,
        };
        let groups = groups.iter().map(|group| group.iter().map(clause).collect()).collect();
        Scope { groups }
    }

    #[test]
    fn p04_the_clause_that_failed_is_told_with_what_the_object_holds() {
        let scope = clauses(&[
            &[("type", Operator::NotEqual, "ext"), ("mail", Operator::IsNotNull, "")],
            &[("vip", Operator::Equal, "True")],
        ]);
        let mut attributes = AttributeMap::new();
        attributes.insert("type".into(), vec![Value::text("EXT")]);
        attributes.insert("mail".into(), vec![Value::text("a@x")]);
        let why = why_out(&preview::scope(&scope, &attributes));
        assert_eq!(
            why,
            "group 1: type NOTEQUAL \"ext\", but it is \"EXT\" / \
             group 2: vip EQUAL \"True\", but it is absent"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_told_by_its_code() {
        assert_eq!(visible("山田 太郎"), "山田 太郎");
        assert_eq!(visible("a\u{202e}gpj.exe\u{1b}[2J"), "a<U+202E>gpj.exe<U+001B>[2J");
        assert_eq!(visible("x\u{200b}y\u{2066}"), "x<U+200B>y<U+2066>");
        assert_eq!(told(&json!("a\nb")), "\"a\\nb\"");
        assert_eq!(told(&value_json(&Value::Binary(vec![1, 2, 3]))), "b64:AQID");
    }
}
