//! What scripts may hold, and what is told of those that hold more.

use super::*;

const NEW: &str = "New-ADSyncRule -Name 'A' -Identifier '5eed0000-0000-4000-8000-000000000001' `
  -Direction Inbound -Precedence 7 -SourceObjectType user -TargetObjectType person `
  -Connector '{11111111-AAAA-4aaa-8aaa-00000000000a}' -LinkType Join -OutVariable syncRule\n";
const ADD: &str = "\nAdd-ADSyncRule -SynchronizationRule $syncRule[0]\n";

fn read(text: &str) -> (Vec<Rule>, Vec<Fault>) {
    let mut faults = vec![];
    let rules = rules("a.ps1", text, &mut Counted::default(), &mut faults);
    (rules, faults)
}

/// The rule of a script that does something between beginning and adding it.
fn with(between: &str) -> Rule {
    let (mut rules, faults) = read(&format!("{NEW}{between}{ADD}"));
    assert_eq!(faults, [], "{between}");
    rules.pop().unwrap()
}

/// The expression of one flow, as the script writes it.
fn expression(written: &str) -> String {
    let flow = format!(
        "Add-ADSyncAttributeFlowMapping -SynchronizationRule $syncRule[0] -Destination x `
         -FlowType Expression -Expression {written}"
    );
    match &with(&flow).flows[0].source {
        FlowSource::Expression { text, .. } => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// Line and message of the only fault.
fn told(text: &str) -> (u32, String) {
    let (rules, mut faults) = read(text);
    assert!(rules.is_empty(), "{text}");
    let fault = faults.remove(0);
    assert_eq!(fault.code, SCRIPT);
    assert!(!fault.hint.is_empty());
    (fault.line, fault.message)
}

#[test]
fn texts_are_read_as_powershell_reads_them() {
    for (written, expected) in [
        ("'a'", "a"),
        ("'it''s'", "it's"),
        ("'a`b$c \"d\"'", "a`b$c \"d\""),
        ("'two\nlines'", "two\nlines"),
        ("\"a `\"b`\" \"\"c\"\" `$d 5$ `t\"", "a \"b\" \"c\" $d 5$ \t"),
        ("\u{2018}a\u{2019}", "a"),
        ("@'\nIIF(x,\n 'y')\n'@", "IIF(x,\n 'y')"),
        ("@\"\r\na \"b\"\r\n\"@", "a \"b\""),
        ("@'\n'@x\n'@", "x"),
    ] {
        // The here-string of the last line ends at its first mark; what follows is another word.
        if written.contains("'@x") {
            assert!(!read(&format!("{NEW}$x = {written}{ADD}")).1.is_empty());
        } else {
            assert_eq!(expression(written), expected, "{written}");
        }
    }
}

#[test]
fn comments_and_variables_are_read() {
    let rule = with(
        "# nothing\n<# New-ADSyncRule\n #>\nImport-Module ADSync;\n\
         $clause = New-Object -TypeName X.ScopeCondition `\n  -ArgumentList 'a','v','EQUAL'",
    );
    assert_eq!(rule.scope, [] as [Vec<ScopeClause>; 0]);
}

#[test]
fn conditions_have_their_value_before_the_operator() {
    let rule = with(
        "$one = New-Object -TypeName X.ScopeCondition -ArgumentList 'a','v','ISNOTBITSET'\n\
         New-Object -TypeName X.JoinCondition -ArgumentList 'c','m',$true -OutVariable two\n\
         Add-ADSyncScopeConditionGroup -SynchronizationRule $syncRule[0] `\n\
         -ScopeConditions @($one)\n\
         Add-ADSyncJoinConditionGroup -SynchronizationRule $syncRule -JoinConditions @($two[0])",
    );
    let clause = &rule.scope[0][0];
    assert_eq!((&*clause.attribute, &*clause.operator, &*clause.value), ("a", "ISBITNOTSET", "v"));
    assert_eq!(rule.join, [[JoinClause { cs: "c".into(), mv: "m".into(), case_sensitive: true }]]);
}

#[test]
fn nothing_is_run_and_nothing_is_half_read() {
    let inside = |text: &str| format!("{NEW}{text}\n{ADD}");
    for (text, line, message) in [
        ("Remove-Item C:\\x", 4, "unknown command `Remove-Item`"),
        ("Get-ADSyncRule | Remove-ADSyncRule", 4, "unexpected `|`"),
        ("$x = $env:PATH", 4, "a value that only running would give"),
        ("$x = $(Get-Date)", 4, "a value that only running would give"),
        ("$x = \"a $name\"", 4, "a text that only running would fill in"),
        ("$x = @\"\n$name\n\"@", 4, "a text that only running would fill in"),
        ("if ($true) { }", 4, "unexpected `{`"),
        ("$x = 'a", 4, "a quoted text without an end"),
        ("<# a", 4, "a comment without an end"),
        ("$x = @'\na", 4, "a here-string without an end"),
        ("Add-ADSyncRule -SynchronizationRule $other", 4, "`$other` was given no value before"),
        ("Add-ADSyncRule -SynchronizationRule $syncRule[1]", 4, "`$syncRule` has no item 1"),
        ("Add-ADSyncRule -WhatIf", 4, "`-SynchronizationRule` is missing"),
        (
            "Add-ADSyncRule -SynchronizationRule $syncRule[0] -WhatIf",
            4,
            "unknown or empty argument `-WhatIf`",
        ),
        ("'alone'", 4, "a value without a command"),
        ("$x = @('a'", 6, "a bracket is not closed"),
        (
            "New-Object -TypeName System.Net.WebClient -ArgumentList 'a'",
            4,
            "`-ArgumentList` is no list",
        ),
        (
            "New-Object -TypeName System.Net.WebClient -ArgumentList 'a','b'",
            4,
            "unknown kind of object `WebClient`",
        ),
    ] {
        assert_eq!(told(&inside(text)), (line, message.to_owned()), "{text}");
    }
    assert_eq!(told(NEW), (1, "the rule `A` is never added".to_owned()));
    let deep = format!("$x = {}", "@(".repeat(100_000));
    assert_eq!(told(&deep), (1, "brackets stand too deep".to_owned()));
}
