//! The expression language as the product has it: through the rule module behind the wall, and on
//! the command line. The vectors themselves lie beside the language.

#[path = "../../rules/expr/tests/golden/read.rs"]
mod read;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use kakehi::manifest::builtin::DECLARATIVE;
use kakehi_engine::flow::{Contribution, RuleInput, RuleOutcome};
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::rule::{
    Contract, Direction, LinkType, ModuleIdentity, OnDelete, OnScopeExit, Rule, RuleTag,
    WritePolicy,
};
use kakehi_engine::scope::Scope;
use kakehi_engine::time::Timestamp;
use kakehi_expr::{Analysis, DEPTH_MAX, Expression, Outcome, Val};
use kakehi_host::{Host, Limits, LoadedModule, ModuleSpec, Options};
use kakehi_tests::product::program;
use serde_json::{Value as Json, json};

/// The module with the memory of every rule, and time enough for the busiest machine.
struct Wall {
    host: Host,
    /// Kept, so that its code is used again.
    _module: LoadedModule,
}

// === impl Wall ===

impl Wall {
    fn new() -> Self {
        let host = Host::new(Options { workers: 1, ..Options::default() }).expect("a host");
        let module = load(&host, "{}").expect("the module takes an empty configuration");
        Self { host, _module: module }
    }

    /// What one flow with this expression answers for an object.
    fn ask(&self, expression: &str, object: &read::Object) -> Result<RuleOutcome, String> {
        let config = json!({"flows": [{"to": "result", "expr": expression}]}).to_string();
        let module = Arc::new(load(&self.host, &config)?);
        let rule = rule(&module);
        let attributes = named(&object.attributes);
        let imported = named(&object.imported);
        let parameters = object.parameters.iter();
        let declared = &module.contract;
        let input = RuleInput {
            class: "user",
            attributes: seen(&attributes, &declared.reads),
            imported: seen(&imported, &declared.reads_imported),
            parameters: parameters
                .filter(|(name, _)| declared.parameters.contains(name))
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
        };
        let now = Some(Timestamp::from_unix_seconds(read::NOW));
        Ok(module.trial(&rule).ask(&rule, &input, now).outcome)
    }
}

fn load(host: &Host, config: &str) -> Result<LoadedModule, String> {
    let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
    let spec = ModuleSpec { name: "rule", bytes: DECLARATIVE, config, limits, api: None };
    host.load(&spec).map_err(|error| error.to_string())
}

fn named(attributes: &BTreeMap<String, Vec<Val>>) -> BTreeMap<AttributeName, Vec<Value>> {
    let values = |values: &Vec<Val>| values.iter().map(value).collect();
    attributes.iter().map(|(name, list)| (name.as_str().into(), values(list))).collect()
}

fn seen<'a>(
    attributes: &'a BTreeMap<AttributeName, Vec<Value>>,
    names: &[AttributeName],
) -> Vec<(&'a AttributeName, std::borrow::Cow<'a, [Value]>)> {
    let named = attributes.iter().filter(|(name, _)| names.contains(name));
    named.map(|(name, values)| (name, values.as_slice().into())).collect()
}

fn value(value: &Val) -> Value {
    match value {
        Val::Text(text) => Value::text(text.as_str()),
        Val::Number(number) => Value::Integer(*number),
        Val::Boolean(flag) => Value::Boolean(*flag),
        Val::Binary(bytes) => Value::Binary(bytes.clone()),
        Val::Reference(text) => Value::Reference(text.as_str().into()),
        Val::Instant(instant) => panic!("no attribute holds a date: {instant}"),
    }
}

/// A rule that takes the module's contract as it is.
fn rule(module: &LoadedModule) -> Rule {
    let declared = &module.contract;
    let writes = declared.writes.iter().map(|name| (name.clone(), WritePolicy::default()));
    Rule {
        tag: RuleTag("rule@corp".into()),
        name: "rule".into(),
        description: String::new(),
        direction: Direction::Inbound,
        connector: "corp".into(),
        cs_class: "user".into(),
        mv_class: "person".into(),
        precedence: 100,
        link: LinkType::Join,
        scope: Scope::default(),
        join: vec![],
        on_scope_exit: OnScopeExit::Release,
        on_delete: OnDelete::Keep,
        contract: Contract {
            reads: declared.reads.iter().cloned().collect(),
            reads_imported: declared.reads_imported.iter().cloned().collect(),
            parameters: declared.parameters.iter().cloned().collect(),
            writes: writes.collect(),
            volatile: declared.volatile,
            ..Contract::default()
        },
        parameters: [].into(),
        module: ModuleIdentity {
            source: "builtin:declarative".into(),
            sha256: module.sha256.clone(),
            config_sha256: module.config_sha256.clone(),
        },
    }
}

/// What the engine is to be told, by what the language computes natively.
fn expected(expression: &str, object: &read::Object) -> Result<Contribution, String> {
    let expression = Expression::parse(expression).map_err(|error| error.to_string())?;
    match expression.evaluate(object).map_err(|error| error.to_string())? {
        Outcome::Null => Ok(Contribution::None),
        Outcome::AuthoritativeNull => Ok(Contribution::Block),
        Outcome::IgnoreThisFlow => Ok(Contribution::Keep),
        Outcome::Values(values) if values.iter().any(|value| matches!(value, Val::Instant(_))) => {
            Err("the value is a date, which no attribute can hold: use `FormatDateTime`".into())
        }
        Outcome::Values(values) => {
            let mut distinct = Vec::new();
            for value in values.iter().map(value) {
                if !distinct.contains(&value) {
                    distinct.push(value);
                }
            }
            Ok(Contribution::Values(distinct))
        }
    }
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/expr/tests/golden")
}

#[test]
fn r30_the_rule_module_gives_what_the_vectors_say() {
    let wall = Wall::new();
    let mut count = 0;
    for vector in read::vectors(&golden()) {
        let read::Vector { place, expression, object, expected: wanted } = &vector;
        let native = match Expression::parse_untyped(expression).unwrap().compute(object) {
            Ok(computed) => read::written(&computed),
            Err(error) => format!("error: {}", error.fault),
        };
        assert_eq!(native, *wanted, "{place}: {expression}");
        let found = match wall.ask(expression, object) {
            Ok(RuleOutcome::Flows(flows)) => {
                assert_eq!(flows.len(), 1, "{place}");
                Ok(flows[0].contribution.clone())
            }
            Ok(RuleOutcome::Fail { message, .. }) => Err(message),
            Ok(other) => panic!("{place}: {other:?}"),
            Err(refused) => Err(refused),
        };
        match (expected(expression, object), found) {
            (Ok(expected), Ok(found)) => assert_eq!(found, expected, "{place}: {expression}"),
            (Err(expected), Err(found)) => {
                let words = expected.replace(['\n', '\r', '\t'], " ");
                assert!(found.contains(&words), "{place}: {expression}: {found}, not {expected}");
            }
            (expected, found) => panic!("{place}: {expression}: {found:?}, not {expected:?}"),
        }
        count += 1;
    }
    assert!(count > 500, "{count} vectors were found");
}

#[test]
fn the_deepest_expression_fits_the_stack_of_a_module() {
    let wall = Wall::new();
    let object = read::Object::default();
    let deep = |depth: usize| {
        let calls = (0..depth).fold("1".to_owned(), |inner, level| match level % 4 {
            0 => format!("({inner} + 0)"),
            1 => format!("IIF(1 = 1 && {inner} > 0, {inner_or}, 2)", inner_or = 1),
            2 => format!("Item({inner}, 1)"),
            _ => format!("Switch({inner} < 0, 0, True, 1)"),
        });
        format!("{calls} & \"\"")
    };
    let flows = wall.ask(&deep(DEPTH_MAX), &object);
    let Ok(RuleOutcome::Flows(flows)) = &flows else { panic!("{flows:?}") };
    assert_eq!(flows[0].contribution, Contribution::Values(vec![Value::text("1")]));
    for brackets in [DEPTH_MAX + 1, 10_000] {
        let nested = format!("{}1{}", "(".repeat(brackets), ")".repeat(brackets));
        let refused = wall.ask(&nested, &object).unwrap_err();
        assert!(refused.contains("nested deeper than 64 levels"), "{refused}");
    }
}

/// All attributes of an exported configuration are read; one expression of one rule, which is kept
/// disabled, uses two functions that nobody can compute.
#[test]
fn c01_every_exported_expression_is_understood() {
    let folder = shared("entra-default-rules/SynchronizationRules");
    let Ok(rules) = fs::read_dir(&folder) else {
        return println!("skipped: `{}` is not there", folder.display());
    };
    let (mut count, mut unsupported) = (0, Vec::new());
    for rule in rules {
        let text = fs::read_to_string(rule.unwrap().path()).unwrap();
        for part in text.split("<expression>").skip(1) {
            let expression = part.split("</expression>").next().unwrap_or_default();
            let expression = unescaped(expression);
            count += 1;
            let Analysis { errors, .. } = Analysis::of(&expression);
            match errors.iter().find(|error| error.fault.kind() != "unsupported") {
                Some(error) => panic!("{expression}: {error}"),
                None if errors.is_empty() => {}
                None => unsupported.push(expression),
            }
        }
    }
    assert_eq!(count, 355);
    assert_eq!(unsupported.len(), 1, "{unsupported:?}");
    assert!(unsupported[0].contains("Thumbprint("), "{unsupported:?}");
}

fn unescaped(xml: &str) -> String {
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(xml.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

/// Data beside the repository; tests that use it pass without.
fn shared(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path)
}

struct Answer {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs `kakehi expr` with an object on standard input.
fn expr(arguments: &[&str], object: &Json) -> Answer {
    let mut command = Command::new(program());
    command.arg("expr").args(arguments).env_remove("KAKEHI_CONFIG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that reads nothing closes its end first.
    let _ = stdin.write_all(object.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    Answer {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn json_of(answer: &Answer) -> Json {
    serde_json::from_str(&answer.stdout)
        .unwrap_or_else(|error| panic!("{error}: {} {}", answer.stdout, answer.stderr))
}

#[test]
fn r43_the_shared_vectors_hold_on_the_command_line() {
    let path = shared("expr-vectors.json");
    let Ok(text) = fs::read_to_string(&path) else {
        return println!("skipped: `{}` is not there", path.display());
    };
    let file: Json = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    for vector in vectors {
        let kind = vector["kind"].as_str().unwrap();
        let own = vector["expression"].as_str();
        let expression = own.or(file[format!("{kind}_expression")].as_str()).unwrap();
        let answer = expr(&["eval", expression, "--attrs", "-", "--json"], &vector["attrs"]);
        assert_eq!(answer.code, 0, "{expression}: {}", answer.stderr);
        assert_eq!(json_of(&answer), json!({"value": vector["result"]}), "{expression}");
    }
    assert_eq!(vectors.len(), 44);
}

#[test]
fn r30_eval_shows_values_of_every_type() {
    let object = json!({
        "text": "a", "number": 7, "flag": true, "list": ["a", "b"], "one": ["a"], "absent": null,
        "bytes": {"binary": "AP8="}, "boss": {"reference": "cn=b"},
    });
    for (expression, value, text) in [
        ("[text]", json!({"value": "a"}), "\"a\""),
        ("[number]", json!({"value": 7}), "7"),
        ("[flag]", json!({"value": true}), "True"),
        ("[list]", json!({"value": ["a", "b"]}), "\"a\" | \"b\""),
        ("[one]", json!({"value": ["a"]}), "\"a\""),
        ("Item([one],1)", json!({"value": "a"}), "\"a\""),
        ("[absent]", json!({"value": null}), "NULL"),
        ("Left([text],0)", json!({"value": ""}), "\"\""),
        ("[bytes]", json!({"value": {"binary": "AP8="}}), "binary AP8="),
        ("[boss]", json!({"value": {"reference": "cn=b"}}), "reference \"cn=b\""),
        ("Now()", json!({"value": "2026-01-31T16:30:00Z"}), "2026-01-31T16:30:00Z"),
        (
            "AuthoritativeNull",
            json!({"value": null, "contribution": "authoritative-null"}),
            "AuthoritativeNull",
        ),
        (
            "IgnoreThisFlow",
            json!({"value": null, "contribution": "ignore-this-flow"}),
            "IgnoreThisFlow",
        ),
        ("%Domain.FQDN%", json!({"value": "a=b"}), "\"a=b\""),
        ("ImportedValue(\"text\")", json!({"value": null}), "NULL"),
        ("-5", json!({"value": -5}), "-5"),
    ] {
        let given = ["--attrs", "-", "--now", "2026-01-31T16:30:00Z", "--param", "Domain.FQDN=a=b"];
        let arguments = [&["eval", expression], &given[..]].concat();
        let answer = expr(&arguments, &object);
        assert_eq!((answer.code, answer.stdout.trim_end()), (0, text), "{}", answer.stderr);
        let answer = expr(&[&arguments[..], &["--json"]].concat(), &object);
        assert_eq!(json_of(&answer), value, "{expression}");
    }
}

#[test]
fn r32_what_is_wrong_is_told_with_its_place_and_its_own_exit_code() {
    let none = json!({});
    for (arguments, code, words) in [
        (&["eval", "CNum([x])", "--attrs", "-"][..], 0, ""),
        (&["eval", "Error(\"no\")"], 4, "error: no (K0944)\n  at: 1:1\n"),
        (&["eval", "Left(\"a\", \"b\")"], 4, "error: `b` is not a number (K0944)"),
        (&["eval", "iif(True,1,2)"], 78, "hint: did you mean `IIF`?"),
        (&["eval", "1", "--attrs", "nowhere.json"], 2, "K0940"),
        (&["eval", "1", "--param", "x"], 2, "K0942"),
        (&["eval", "1", "--now", "soon"], 2, "K0942"),
        (&["eval", "-", "--attrs", "-"], 2, "standard input is named twice"),
        (&["check", "Left(\"a\", \"b\")"], 78, "function `Left` takes a number as argument 2"),
        (&["check", "True || True && False"], 78, "(ambiguous-precedence)"),
        (&["check", "6 / 2"], 78, "division is not part of the language"),
        (&["check", "[a] &\n Foo()"], 78, "  at: 2:2\n  |  Foo()\n  |  ^\n"),
        (&["lint", "2+3*5"], 0, "warning: computed from left to right"),
        (&["lint", "2+"], 78, "expected a value, found the end"),
        (&["explain", "Error(\"no\")"], 4, "error: no"),
        (&["explain", "2+"], 78, "expected a value"),
    ] {
        let answer = expr(arguments, &none);
        assert_eq!(answer.code, code, "{arguments:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(words), "{arguments:?}: {}", answer.stderr);
    }
    let failed = json_of(&expr(&["eval", "Error(\"no\")", "--json"], &none));
    let expected = json!({"code": "K0944", "kind": "flow-error", "message": "no", "line": 1,
        "column": 1});
    assert_eq!(failed, json!({"error": expected}));
    let refused = json_of(&expr(&["check", "Foo() & Trim()", "--json"], &none));
    assert_eq!(refused["valid"], json!(false));
    let kinds: Vec<&Json> =
        refused["errors"].as_array().unwrap().iter().map(|error| &error["kind"]).collect();
    assert_eq!(kinds, [&json!("unknown-function"), &json!("argument-count")]);
}

#[test]
fn c02_explain_tells_what_decided() {
    let object = json!({"sn": "x", "mail": "a@example.com"});
    let expression = "IIF(IsPresent([mail]) || [sn] = \"x\", [mail], NULL)";
    let answer = expr(&["explain", expression, "--attrs", "-"], &object);
    let expected = "\
IIF = \"a@example.com\"
  * || = True
      * IsPresent = True
            [mail] = \"a@example.com\"
        = not evaluated
    [mail] = \"a@example.com\"
    NULL not evaluated
";
    assert_eq!(answer.stdout, expected);
    // The help shows the same.
    let help = expr(&["explain", "--help"], &object).stdout;
    for line in expected.lines() {
        assert!(help.contains(line), "{line}: {help}");
    }
    let answer = expr(&["explain", expression, "--attrs", "-", "--json"], &object);
    let tree = json_of(&answer);
    assert_eq!(tree["parts"][0]["decides"], json!(true));
    assert_eq!(tree["parts"][2]["evaluated"], json!(false));
}

#[test]
fn texts_compare_as_the_option_says() {
    let object = json!({"x": "taro"});
    for (how, expected) in [("binary", false), ("text", true)] {
        let arguments = ["eval", "[x] = \"TARO\"", "--attrs", "-", "--compare", how, "--json"];
        assert_eq!(json_of(&expr(&arguments, &object)), json!({"value": expected}));
    }
}
