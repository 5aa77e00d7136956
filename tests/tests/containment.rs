//! A rule that misbehaves is contained and named, and nothing of its objects changes (rules.md 6,
//! 12).

use kakehi_tests::installation::{LDIF_MANIFEST, TOKEN, ldif_config};
use kakehi_tests::product::{Answer, Product};
use kakehi_tests::receiver::InProcess;
use serde_json::Value as Json;

/// A rule of one module beside the one that joins. It is asked about every person.
fn product(server: &InProcess, module: &str) -> Product {
    let digest = kakehi_tests::sha256(module.as_bytes());
    let rule = format!(
        "  - name: Custom
    precedence: 50
    connector: hr
    direction: inbound
    from: inetOrgPerson
    to: person
    link: join
    scope: [[{{attr: sn, op: EQUAL, value: bad}}]]
    module: {{path: rules/custom.wat, sha256: {digest}}}
    limits: {{memory: 4MiB, time: 50ms}}
"
    );
    let product = Product::new(&[
        ("config.yml", &ldif_config(&server.base_url())),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", &format!("{LDIF_MANIFEST}{rule}")),
        ("rules/custom.wat", module),
        ("hr.ldif", &people("one")),
    ]);
    assert_eq!(product.run(&["once"]).code, 4, "the first run has one bad object");
    product
}

/// One person whom the custom rule sees, and one whom it does not.
fn people(title: &str) -> String {
    let person = |uid: &str, sn: &str| {
        format!(
            "dn: uid={uid}\nobjectClass: inetOrgPerson\nuid: {uid}\nsn: {sn}\ntitle: {title}\n\n"
        )
    };
    person("bad", "bad") + &person("good", "good")
}

/// The frame of a rule that reads `sn` and writes `nick`; `body` is its `apply`.
fn module(body: &str) -> String {
    format!(
        r#"(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 4096))
  (data (i32.const 16) "sn") (data (i32.const 32) "nick")
  (data (i32.const 64) "\10\00\00\00\02\00\00\00\20\00\00\00\04\00\00\00")
  (data (i32.const 132) "\40\00\00\00\01\00\00\00")
  (data (i32.const 156) "\48\00\00\00\01\00\00\00")
  (data (i32.const 260) "\20\01\00\00\01\00\00\00")
  (data (i32.const 288) "\20\00\00\00\04\00\00\00")
  (func (export "kakehi_rules_0_1"))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
    (local.set $p (i32.and (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
                           (i32.sub (i32.const 0) (local.get 2))))
    (global.set $top (i32.add (local.get $p) (local.get 3))) (local.get $p))
  (func (export "describe") (param i32 i32) (result i32) (i32.const 128))
  (func (export "apply") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {body})
  (func (export "cabi_post_describe") (param i32) (global.set $top (i32.const 4096)))
  (func (export "cabi_post_apply") (param i32) (global.set $top (i32.const 4096))))"#
    )
}

fn problems(product: &Product) -> Vec<(String, String)> {
    let plan = product.json(&["plan", "--json"]);
    let list = plan["problems"].as_array().expect("a list of problems");
    let text = |problem: &Json, key: &str| problem[key].as_str().unwrap_or("").to_owned();
    list.iter().map(|problem| (text(problem, "kind"), text(problem, "message"))).collect()
}

/// Only the good person arrives; the bad one is named with its rule, and a later change of its
/// entry changes nothing as long as the rule fails.
fn contained(body: &str, kind: &str, words: &str) {
    let server = InProcess::start();
    let product = product(&server, &module(body));
    let names: Vec<String> = server.users();
    assert_eq!(names, ["good"], "{kind} {words}");
    let found = problems(&product);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, kind, "{found:?}");
    assert!(found[0].1.contains(words), "{found:?}");
    product.write("hr.ldif", &people("two"));
    let run = product.run(&["once", "--json"]);
    assert_eq!((run.code, run.json()["counts"]["cloud"]["update"].as_u64()), (4, Some(1)), "{run}");
    assert_eq!(server.users(), ["good"]);
}

#[test]
fn g08_g10_a_trap_is_contained_and_told() {
    contained("unreachable", "rule-trap", "trap");
}

#[test]
fn g09_an_endless_loop_is_stopped_at_its_deadline() {
    contained("(loop $l (br $l)) unreachable", "rule-trap", "deadline");
}

#[test]
fn g09_a_memory_eater_is_stopped_at_its_limit() {
    contained(
        "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable",
        "rule-trap",
        "memory",
    );
}

#[test]
fn g06_an_undeclared_write_is_refused() {
    // The name of the flow is `ni`, of which the contract says nothing.
    contained(
        "(i32.store (i32.const 292) (i32.const 2)) (i32.store (i32.const 296) (i32.const 1))
         (i32.const 256)",
        "bad-contribution",
        "ni",
    );
}

#[test]
fn g04_a_module_that_imports_wasi_is_refused_by_name_before_anything_is_read() {
    let server = InProcess::start();
    let foreign = module("unreachable").replacen(
        "(module",
        r#"(module (import "wasi_snapshot_preview1" "path_open"
            (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#,
        1,
    );
    let product = {
        let digest = kakehi_tests::sha256(foreign.as_bytes());
        let rule = format!(
            "  - {{name: Custom, precedence: 50, connector: hr, direction: inbound, \
             from: inetOrgPerson, to: person, link: join, \
             module: {{path: rules/custom.wat, sha256: {digest}}}}}\n"
        );
        Product::new(&[
            ("config.yml", &ldif_config(&server.base_url())),
            ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
            ("manifest.yml", &format!("{LDIF_MANIFEST}{rule}")),
            ("rules/custom.wat", &foreign),
            ("hr.ldif", &people("one")),
        ])
    };
    let answer: Answer = product.run(&["once"]);
    assert_eq!(answer.code, 78, "{answer}");
    assert!(answer.stderr.contains("K0504") && answer.stderr.contains("path_open"), "{answer}");
    assert!(server.users().is_empty());
}
