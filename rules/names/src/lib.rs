//! A custom rule: clean names of persons, Japanese and others.
//!
//! Directories that grew over decades hold `ﾔﾏﾀﾞ`, `Ｔａｒｏ` and names with stray spaces. This rule
//! contributes them in one form, and composes the display name in the order of its language:
//!
//! ```text
//! sn: "山田　", givenName: " 太郎"      ->  sn: "山田", givenName: "太郎",
//!                                           displayName: "山田 太郎"
//! sn: "Ｓｍｉｔｈ", givenName: "Anna  M."  ->  sn: "Smith", givenName: "Anna M.",
//!                                           displayName: "Anna M. Smith"
//! sn;lang-ja;phonetic: "ﾔﾏﾀﾞ"           ->  phoneticSn: "ヤマダ"
//! ```
//!
//! It stands in the manifest with a precedence below 100, so that its values win over the default
//! rules, which still supply what it leaves open:
//!
//! ```yaml
//! - name: In from HR - normalise names
//!   precedence: 50
//!   connector: hr
//!   direction: inbound
//!   from: inetOrgPerson
//!   to: person
//!   link: join
//!   module: {path: rules/names.wasm, sha256: ...}
//!   config: {order: auto}
//! ```
//!
//! `order` is `auto` (family name first if either name is written in Japanese characters),
//! `family-first` or `given-first`. Han characters do not tell Japanese from Chinese or Korean
//! names; all three put the family name first.

mod characters;

use std::cell::Cell;

use kakehi_guest::{Contract, Entry, Flow, Rule, Value, Verdict, none, set};
use serde_json::Value as Json;

/// The rule; it keeps nothing but its configuration.
pub struct Names;

kakehi_guest::export!(Names);

/// Which name stands first in a display name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    /// By the characters of the names.
    #[default]
    Auto,
    FamilyFirst,
    GivenFirst,
}

thread_local! {
    static ORDER: Cell<Order> = const { Cell::new(Order::Auto) };
}

/// What is read and where it goes, one by one.
const NAMES: [(&str, &str); 4] = [
    ("givenName", "givenName"),
    ("sn", "sn"),
    ("givenName;lang-ja;phonetic", "phoneticGivenName"),
    ("sn;lang-ja;phonetic", "phoneticSn"),
];

// === impl Names ===

impl Rule for Names {
    fn describe(config: &str) -> Result<Contract, String> {
        ORDER.set(order(config)?);
        let writes = NAMES.map(|(_, to)| to).into_iter().chain(["displayName"]);
        Ok(kakehi_guest::contract(NAMES.map(|(from, _)| from), writes))
    }

    fn apply(entry: &Entry) -> Verdict {
        let mut flows: Vec<Flow> =
            NAMES.iter().map(|(from, to)| set(to, cleaned(entry, from))).collect();
        flows.push(match display_name(entry, ORDER.get()) {
            Some(name) => set("displayName", name),
            None => none("displayName"),
        });
        Verdict::Flow(flows)
    }
}

/// All values of a name, cleaned; those with nothing left are dropped.
fn cleaned(entry: &Entry, name: &str) -> Vec<Value> {
    let texts = entry.values(name).iter().filter_map(Value::as_text);
    texts
        .map(|text| characters::cleaned(&text))
        .filter(|text| !text.is_empty())
        .map(Value::Text)
        .collect()
}

/// The two names in order. `None` without a name, and with several of one kind: which of them is
/// meant is not for this rule to guess.
fn display_name(entry: &Entry, order: Order) -> Option<String> {
    let (family, given) = (cleaned(entry, "sn"), cleaned(entry, "givenName"));
    if family.len() > 1 || given.len() > 1 {
        return None;
    }
    let mut names: Vec<&str> = family
        .iter()
        .chain(&given)
        .filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let family_first = match order {
        Order::FamilyFirst => true,
        Order::GivenFirst => false,
        Order::Auto => names.iter().any(|name| characters::is_japanese(name)),
    };
    if !family_first {
        names.reverse();
    }
    Some(names.join(" ")).filter(|name| !name.is_empty())
}

fn order(config: &str) -> Result<Order, String> {
    let config: Json =
        serde_json::from_str(config).map_err(|error| format!("config is not JSON: {error}"))?;
    let config = config.as_object().ok_or("config must be a mapping such as `{order: auto}`")?;
    if let Some(key) = config.keys().find(|key| *key != "order") {
        return Err(format!("unknown key `{key}`; known: `order`"));
    }
    match config.get("order").map(|order| order.as_str().unwrap_or_default()) {
        None | Some("auto") => Ok(Order::Auto),
        Some("family-first") => Ok(Order::FamilyFirst),
        Some("given-first") => Ok(Order::GivenFirst),
        Some(_) => Err("`order` must be `auto`, `family-first` or `given-first`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in, contributions out: `name=value` per line, absent ones left out.
    fn check(config: &str, names: &[(&str, &str)], expected: &[(&str, &str)]) {
        Names::describe(config).unwrap();
        let entry = names
            .iter()
            .fold(Entry::of_class("person"), |entry, (name, value)| entry.with(name, *value));
        let expected: Vec<Flow> =
            ["givenName", "sn", "phoneticGivenName", "phoneticSn", "displayName"]
                .iter()
                .map(|to| match expected.iter().find(|(name, _)| name == to) {
                    Some((_, value)) => set(to, *value),
                    None => none(to),
                })
                .collect();
        assert_eq!(Names::apply(&entry), Verdict::Flow(expected));
    }

    #[test]
    fn japanese_names_are_cleaned_and_put_family_first() {
        check(
            "{}",
            &[
                ("sn", "山田\u{3000}"),
                ("givenName", " 太郎"),
                ("sn;lang-ja;phonetic", "ﾔﾏﾀﾞ"),
                ("givenName;lang-ja;phonetic", "ﾀﾛｳ"),
            ],
            &[
                ("sn", "山田"),
                ("givenName", "太郎"),
                ("displayName", "山田 太郎"),
                ("phoneticSn", "ヤマダ"),
                ("phoneticGivenName", "タロウ"),
            ],
        );
    }

    #[test]
    fn other_names_are_put_given_first() {
        check(
            r#"{"order": "auto"}"#,
            &[("sn", "Ｓｍｉｔｈ"), ("givenName", "Anna  M.")],
            &[("sn", "Smith"), ("givenName", "Anna M."), ("displayName", "Anna M. Smith")],
        );
    }

    #[test]
    fn one_japanese_name_decides_for_both() {
        check(
            "{}",
            &[("sn", "高橋"), ("givenName", "Anna")],
            &[("sn", "高橋"), ("givenName", "Anna"), ("displayName", "高橋 Anna")],
        );
    }

    #[test]
    fn the_order_can_be_fixed() {
        let names = [("sn", "Yamada"), ("givenName", "Taro")];
        for (order, display) in [("family-first", "Yamada Taro"), ("given-first", "Taro Yamada")] {
            let config = format!(r#"{{"order": "{order}"}}"#);
            let [sn, given] = names;
            check(&config, &names, &[sn, given, ("displayName", display)]);
        }
    }

    #[test]
    fn what_is_absent_or_blank_is_left_to_the_next_rule() {
        check("{}", &[], &[]);
        check("{}", &[("sn", "\u{3000} ")], &[]);
        check("{}", &[("sn", "山田")], &[("sn", "山田"), ("displayName", "山田")]);
    }

    #[test]
    fn p17_several_names_of_one_kind_are_never_picked_from() {
        Names::describe("{}").unwrap();
        let both = vec![Value::Text("山田".into()), Value::Text("田中".into())];
        let entry = Entry::of_class("person").with("sn", both.clone()).with("givenName", "太郎");
        let expected = vec![
            set("givenName", "太郎"),
            set("sn", both),
            none("phoneticGivenName"),
            none("phoneticSn"),
            none("displayName"),
        ];
        assert_eq!(Names::apply(&entry), Verdict::Flow(expected));
    }

    #[test]
    fn a_wrong_configuration_is_refused_in_words() {
        for (config, expected) in [
            ("[]", "config must be a mapping such as `{order: auto}`"),
            (r#"{"odrer": "auto"}"#, "unknown key `odrer`; known: `order`"),
            (r#"{"order": "japanese"}"#, "`order` must be `auto`, `family-first` or `given-first`"),
            (r#"{"order": 1}"#, "`order` must be `auto`, `family-first` or `given-first`"),
        ] {
            assert_eq!(order(config), Err(expected.to_owned()), "{config}");
        }
    }
}
