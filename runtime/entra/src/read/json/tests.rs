//! What JSON exports can be, and what is told of those that cannot be read.

use super::*;

/// A rule with one flow; `more` are further keys, which win.
fn rule(more: &str) -> String {
    let mut rule: Map<String, Value> = serde_json::from_str(
        r#"{"Name": "A", "Identifier": "5eed0000-0000-4000-8000-000000000001",
            "Connector": "11111111-aaaa-4aaa-8aaa-00000000000a", "Precedence": 7,
            "SourceObjectType": "user", "TargetObjectType": "person", "Direction": "Inbound",
            "LinkType": "Join", "AttributeFlowMappings": [
              {"Source": ["sn"], "Destination": "sn", "FlowType": "Direct"}]}"#,
    )
    .unwrap();
    let more: Map<String, Value> = serde_json::from_str(&format!("{{{more}}}")).unwrap();
    rule.extend(more);
    Value::from(rule).to_string()
}

fn read(text: &str) -> (Vec<Rule>, Vec<Fault>) {
    let mut faults = vec![];
    let rules = rules("a.json", text, &mut Counted::default(), &mut faults);
    (rules, faults)
}

fn told(text: &str) -> Vec<String> {
    let (rules, faults) = read(text);
    assert!(rules.is_empty(), "{rules:?}");
    faults.into_iter().map(|fault| format!("{}; {}", fault.message, fault.hint)).collect()
}

#[test]
fn one_rule_a_list_and_what_powershell_wraps_around_lists_are_read() {
    let one = rule("");
    for text in [
        one.clone(),
        format!("[{one}]"),
        format!(r#"{{"value": [{one}], "Count": 1}}"#),
        rule(r#""Identifier": {"Guid": "5eed0000-0000-4000-8000-000000000001"}"#),
        rule(r#""SoftDeleteExpiryInterval": {"Ticks": 0, "Days": 0}, "PrecedenceAfter": null"#),
        rule(
            r#""AttributeFlowMappings": {"value": [
                {"Source": "sn", "Destination": "sn", "FlowType": "direct"}], "Count": 1}"#,
        ),
    ] {
        let (rules, faults) = read(&text);
        assert_eq!(faults, [], "{text}");
        assert_eq!(rules, read(&one).0, "{text}");
        assert_eq!(rules.len(), 1);
    }
}

#[test]
fn what_was_cut_off_is_told_with_the_depth_that_keeps_it() {
    let hint = "`ConvertTo-Json -Depth 8` writes all of it";
    let flows = r#""AttributeFlowMappings": ["Microsoft.X.AttributeFlowMapping"]"#;
    let scope = r#""ScopeFilter": [{"ScopeConditionList": "System.Object[]"}]"#;
    let source = r#""AttributeFlowMappings": [
        {"Source": "System.Object[]", "Destination": "sn", "FlowType": "Direct"}]"#;
    let what = "was cut off: it holds only";
    assert_eq!(
        told(&rule(flows)),
        [format!(
            "rule 1 `A`: `AttributeFlowMappings` {what} `Microsoft.X.AttributeFlowMapping`; {hint}"
        )]
    );
    assert_eq!(
        told(&rule(scope)),
        [format!(
            "rule 1 `A`, ScopeFilter 1: `ScopeConditionList` {what} `System.Object[]`; {hint}"
        )]
    );
    assert!(told(&rule(source))[0].contains(&format!("`Source` {what} `System.Object[]`")));
}

#[test]
fn numbers_of_words_are_refused_with_a_way_out() {
    let faults = told(&rule(r#""Direction": 0, "LinkType": 2"#));
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("rule 1 `A`: `Direction` is the number 0; numbers of words"));
    assert!(faults[1].contains("-EnumsAsStrings"), "{faults:?}");
}

#[test]
fn everything_wrong_is_told_with_the_rule() {
    for (more, expected) in [
        (r#""Name": """#, "rule 1 ``: `Name` is missing"),
        (r#""Precedence": -1"#, "rule 1 `A`: `Precedence` is no whole number from 0: `-1`"),
        (r#""Connector": "x""#, "rule 1 `A`: `Connector` is no identifier: `x`"),
        (r#""LinkType": "Merge""#, "rule 1 `A`: unknown `LinkType`: `Merge`"),
        (r#""Disabled": "perhaps""#, "rule 1 `A`: `Disabled` is no Boolean: `perhaps`"),
        (
            r#""AttributeFlowMappings": [{"Destination": "a", "FlowType": "Expression"}]"#,
            "rule 1 `A`, AttributeFlowMappings 1: `Expression` is missing",
        ),
    ] {
        let faults = told(&rule(more));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(expected), "{faults:?}");
    }
    assert!(told("[1]")[0].starts_with("rule 1 is no object"));
    assert!(told("{").iter().all(|fault| fault.starts_with("no JSON: ")));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(told(&deep)[0].starts_with("no JSON: recursion limit exceeded"));
}
