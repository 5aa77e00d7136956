//! The built-in rule module: attribute flows written in the manifest.
//!
//! What flows in: `config: {compare?, flows: [{to, expr | from | value}]}` once, then one object
//! after the other. What flows out: a contract taken from the parsed expressions, then one flow per
//! entry of the list, in its order. The runtime holds this crate as WASM bytes; no other crate
//! links it.
//!
//! Source: rules.md 4, provisioning.md 4 and R26 to R30.

mod config;
mod flow;

use std::cell::RefCell;
use std::collections::BTreeSet;

use kakehi_guest::{Contract, Entry, Rule, Verdict, fail_at};

use crate::flow::{Flow, Source};

/// Constant, direct and expression flows (R27).
pub struct Declarative;

kakehi_guest::export!(Declarative);

thread_local! {
    /// What `describe` made of the configuration. An instance has one thread and one configuration.
    static FLOWS: RefCell<Vec<Flow>> = const { RefCell::new(Vec::new()) };
}

// === impl Declarative ===

impl Rule for Declarative {
    fn describe(config: &str) -> Result<Contract, String> {
        let flows = config::parse(config)?;
        let contract = contract(&flows);
        FLOWS.set(flows);
        Ok(contract)
    }

    /// One flow that cannot be computed fails the object, also where it would lose: otherwise the
    /// next contributor would win because of a fault.
    fn apply(entry: &Entry) -> Verdict {
        FLOWS.with_borrow(|flows| {
            let mut answers = Vec::with_capacity(flows.len());
            for flow in flows {
                match flow.apply(entry) {
                    Ok(answer) => answers.push(answer),
                    Err(message) => return fail_at(&flow.to, message),
                }
            }
            Verdict::Flow(answers)
        })
    }
}

fn contract(flows: &[Flow]) -> Contract {
    let (mut reads, mut imported) = (BTreeSet::new(), BTreeSet::new());
    let (mut parameters, mut writes) = (BTreeSet::new(), BTreeSet::new());
    let mut volatile = false;
    for flow in flows {
        writes.insert(flow.to.as_str());
        if let Source::Direct(name) = &flow.source {
            reads.insert(name.as_str());
        }
        let Some(expression) = flow.source.expression() else { continue };
        let needs = expression.reads();
        reads.extend(needs.attributes.iter().map(String::as_str));
        imported.extend(needs.imported.iter().map(String::as_str));
        parameters.extend(needs.parameters.iter().map(String::as_str));
        volatile |= needs.volatile;
    }
    Contract {
        reads_imported: kakehi_guest::names(imported),
        parameters: kakehi_guest::names(parameters),
        volatile,
        ..kakehi_guest::contract(reads, writes)
    }
}

#[cfg(test)]
mod tests {
    use kakehi_guest::{Value, block, keep, none, set, set_now};

    use super::*;

    fn apply(config: &str, entry: &Entry) -> Verdict {
        Declarative::describe(config).unwrap();
        Declarative::apply(entry)
    }

    #[test]
    fn c06_the_contract_comes_from_the_parsed_expressions() {
        let config = r#"{"flows": [
            {"to": "mail", "from": "mail"},
            {"to": "accountEnabled", "value": true},
            {"to": "upn", "expr": "IIF(IsPresent([upn]),[upn],[sam] & \"@\" & %Domain.FQDN%)"},
            {"to": "proxies", "expr": "RemoveDuplicates(Trim(ImportedValue(\"proxies\")))"},
            {"to": "mail", "expr": "[upn] & FormatDateTime(Now(),\"yyyy\")"}
        ]}"#;
        let expected = Contract {
            reads_imported: vec!["proxies".into()],
            parameters: vec!["Domain.FQDN".into()],
            volatile: true,
            ..kakehi_guest::contract(
                ["mail", "sam", "upn"],
                ["accountEnabled", "mail", "proxies", "upn"],
            )
        };
        let described = Declarative::describe(config).unwrap();
        assert_eq!(described, expected);
    }

    #[test]
    fn r29_direct_flows_pass_values_of_every_type_unchanged() {
        let values = vec![
            Value::Text("a".into()),
            Value::Binary(vec![0, 255]),
            Value::Integer(7),
            Value::Boolean(false),
            Value::Reference("cn=a".into()),
        ];
        let entry = Entry::of_class("user").with("x", values.clone());
        let verdict =
            apply(r#"{"flows": [{"to": "y", "from": "x"}, {"to": "z", "from": "w"}]}"#, &entry);
        assert_eq!(verdict, Verdict::Flow(vec![set("y", values), none("z")]));
    }

    #[test]
    fn r27_r28_constants_keep_their_type() {
        let config = r#"{"flows": [
            {"to": "a", "value": "text"}, {"to": "b", "value": 7}, {"to": "c", "value": true},
            {"to": "d", "value": ["x", "y"]}
        ]}"#;
        let expected = [
            set("a", "text"),
            set("b", 7),
            set("c", true),
            set("d", vec![Value::Text("x".into()), Value::Text("y".into())]),
        ];
        assert_eq!(apply(config, &Entry::of_class("user")), Verdict::Flow(expected.into()));
    }

    #[test]
    fn r30_expressions_answer_with_values_and_with_the_three_kinds_of_nothing() {
        let check = |expression: &str, expected: kakehi_guest::Flow| {
            let config = format!(r#"{{"flows": [{{"to": "y", "expr": "{expression}"}}]}}"#);
            let entry = Entry::of_class("user")
                .with("t", "text")
                .with("n", 7)
                .with("b", &[1_u8, 2][..])
                .with("m", vec![Value::Reference("cn=a".into()), Value::Reference("cn=b".into())])
                .with_confirmed("t", "old")
                .with_param("p", "value");
            set_now(1_769_817_600);
            assert_eq!(apply(&config, &entry), Verdict::Flow(vec![expected]));
        };
        check("UCase([t])", set("y", "TEXT"));
        check("[n] + 1", set("y", 8));
        check("IsPresent([t])", set("y", true));
        check("[b] & [b]", set("y", vec![1_u8, 2, 1, 2]));
        check("Item([m],2)", set("y", Value::Reference("cn=b".into())));
        check("ImportedValue(\\\"t\\\") & %p%", set("y", "oldvalue"));
        check("ValueCount(\\\"m\\\")", set("y", 2));
        check("CStr(FormatDateTime(Now(),\\\"yyyy\\\"))", set("y", "2026"));
        check("[absent]", none("y"));
        check("Trim([t])", set("y", "text"));
        check("Trim([n])", set("y", "7"));
        check("Trim([absent])", none("y"));
        check("IgnoreThisFlow", keep("y"));
        check("AuthoritativeNull", block("y"));
    }

    #[test]
    fn trimming_is_the_same_with_and_without_a_tree() {
        for values in [
            vec![],
            vec![Value::Text(" a ".into())],
            vec![Value::Text("  ".into())],
            vec![
                Value::Text(" a".into()),
                Value::Text("\u{3000}".into()),
                Value::Text("b ".into()),
            ],
            vec![Value::Text(" a".into()), Value::Integer(7), Value::Boolean(true)],
            vec![Value::Reference(" cn=a ".into())],
            vec![Value::Text("x".into()); 1001],
        ] {
            let entry = Entry::of_class("user").with("x", values);
            let config = |expr: &str| format!(r#"{{"flows": [{{"to": "y", "expr": "{expr}"}}]}}"#);
            // Brackets and a second function keep the tree.
            let slow = apply(&config("Trim(Trim([x]))"), &entry);
            assert_eq!(apply(&config("Trim([x])"), &entry), slow, "{entry:?}");
        }
        let config = r#"{"flows": [{"to": "y", "expr": "Trim([x])"}]}"#;
        let entry = Entry::of_class("user").with("x", vec![1_u8, 2]);
        assert!(matches!(apply(config, &entry), Verdict::Fail(_)));
    }

    #[test]
    fn r30_texts_compare_as_the_configuration_says() {
        let entry = Entry::of_class("user").with("x", "taro");
        for (compare, expected) in
            [("", false), (r#""compare": "binary","#, false), (r#""compare": "text","#, true)]
        {
            let config =
                format!(r#"{{{compare}"flows": [{{"to": "y", "expr": "[x] = \"TARO\""}}]}}"#);
            assert_eq!(apply(&config, &entry), Verdict::Flow(vec![set("y", expected)]));
        }
    }

    #[test]
    fn a_flow_that_cannot_be_computed_fails_the_object_and_names_its_attribute() {
        let check = |expression: &str, message: &str| {
            let config = format!(
                r#"{{"flows": [{{"to": "x", "value": 1}}, {{"to": "y", "expr": "{expression}"}}]}}"#
            );
            let verdict = apply(&config, &Entry::of_class("user").with("t", "text"));
            assert_eq!(verdict, fail_at("y", message));
        };
        check("Error(\\\"AccountName is not present\\\")", "AccountName is not present");
        check("[t] + 1", "`text` is not a number at 1:5");
        check("Now()", "the value is a date, which no attribute can hold: use `FormatDateTime`");
    }

    #[test]
    fn an_instance_is_described_anew_by_each_configuration() {
        Declarative::describe(r#"{"flows": [{"to": "a", "value": 1}]}"#).unwrap();
        Declarative::describe("{}").unwrap();
        assert_eq!(Declarative::apply(&Entry::of_class("user")), Verdict::Flow(vec![]));
    }
}
