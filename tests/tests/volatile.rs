//! Rules that depend on the time (rules.md 3.5): asked again as it passes, and no others.

use std::time::Duration;

use kakehi_tests::installation::{LDIF_MANIFEST, TOKEN, ldif_config};
use kakehi_tests::product::Product;
use kakehi_tests::receiver::InProcess;
use kakehi_tests::sha256;

/// Writes the instant of the run to `displayName`.
const CLOCK: &str = r#"(module
  (import "kakehi:rules/host@0.1.0" "now" (func $now (result i64)))
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 4096))
  (data (i32.const 32) "displayName")
  (data (i32.const 72) "\20\00\00\00\0b\00\00\00")
  (data (i32.const 156) "\48\00\00\00\01\00\00\00\01")
  (data (i32.const 260) "\20\01\00\00\01\00\00\00")
  (data (i32.const 288) "\20\00\00\00\0b\00\00\00\00\00\00\00\00\02\00\00\01\00\00\00")
  (data (i32.const 512) "\02")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
    (local.set $p (i32.and (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
                           (i32.sub (i32.const 0) (local.get 2))))
    (global.set $top (i32.add (local.get $p) (local.get 3))) (local.get $p))
  (func (export "describe") (param i32 i32) (result i32) (i32.const 128))
  (func (export "apply") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i64.store (i32.const 520) (call $now)) (i32.const 256))
  (func (export "cabi_post_describe") (param i32) (global.set $top (i32.const 4096)))
  (func (export "cabi_post_apply") (param i32) (global.set $top (i32.const 4096))))
"#;

fn installation(server: &InProcess, recheck: &str) -> Product {
    let rule = format!(
        "  - {{name: Clock, precedence: 50, connector: hr, direction: inbound, \
         from: inetOrgPerson, to: person, link: join, recheck: {recheck}, \
         module: {{path: clock.wat, sha256: {}}}}}\n",
        sha256(CLOCK.as_bytes())
    );
    let manifest = LDIF_MANIFEST
        .replace("rules:\n", &format!("rules:\n{rule}"))
        .replace("{to: title, from: title}\n", "{to: displayName, from: displayName}\n");
    Product::new(&[
        ("config.yml", &ldif_config(&server.base_url())),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", &manifest),
        ("clock.wat", CLOCK),
        (
            "hr.ldif",
            "dn: uid=a\nobjectClass: inetOrgPerson\nuid: a\nsn: x\n\n\
                     dn: uid=b\nobjectClass: inetOrgPerson\nuid: b\nsn: x\n",
        ),
    ])
}

fn instants(server: &InProcess) -> Vec<i64> {
    let users = server.all();
    let instant = |user: &serde_json::Value| user["displayName"].as_str()?.parse().ok();
    users.iter().filter_map(instant).collect()
}

#[test]
fn a_volatile_rule_is_asked_again_when_its_time_is_over_and_no_other_rule_is() {
    let server = InProcess::start();
    let product = installation(&server, "2s");
    assert_eq!(product.run(&["once"]).code, 0);
    let first = instants(&server);
    // One instant for all objects of a run.
    assert_eq!(first, [first[0]; 2]);
    std::thread::sleep(Duration::from_millis(2100));
    let again = product.json(&["once", "--json"]);
    let later = instants(&server);
    assert!(later[0] > first[0] && later == [later[0]; 2], "{first:?} {later:?}");
    let calls = &again["rule_calls"];
    assert_eq!(calls["Clock@hr"], 2, "{again:#}");
    assert_eq!(calls.get("Join@hr"), None, "{again:#}");
}

#[test]
fn until_then_nothing_is_asked() {
    let server = InProcess::start();
    // A hundred years: no multiple of that since 1970 falls into this test.
    let product = installation(&server, "36500d");
    assert_eq!(product.run(&["once"]).code, 0);
    let first = instants(&server);
    let again = product.run(&["once"]);
    assert!(again.stdout.contains("nothing to do"), "{again}");
    assert_eq!(instants(&server), first);
}
