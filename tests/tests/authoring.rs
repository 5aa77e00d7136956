//! The commands for authors of rules, as they run them: from a folder with a new rule to an
//! installation that uses it.

use kakehi_tests::installation::{LDIF_MANIFEST, TOKEN, ldif_config};
use kakehi_tests::product::Product;
use kakehi_tests::receiver::InProcess;
use kakehi_tests::sha256;
use serde_json::Value as Json;

/// Reads `dn`, writes `displayName`.
const MODULE: &str = include_str!("../../runtime/tests/manifest/display_name.wat");

/// A rule as its author begins: not pinned, its cases in a file.
const RULE: &str = "# Ours.
rules:
  - name: Names
    precedence: 50
    connector: hr
    direction: inbound
    from: inetOrgPerson
    to: person
    link: join
    module:
      path: rule.wat   # by hand
    tests:
      - file: names.tests.yml
";

const CASES: &str = "# What the directory team agreed on.
- {name: plain, in: {dn: uid=one}, out: {displayName: uid=one}}
- name: double
  in: {dn: [uid=one, uid=two]}
  out: {displayName: [uid=one, uid=two]}
";

fn product(server: &InProcess, include: &str) -> Product {
    let manifest = LDIF_MANIFEST.replace("rules:\n", &format!("include: [{include}]\nrules:\n"));
    Product::new(&[
        ("config.yml", &ldif_config(&server.base_url())),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", &manifest),
        ("hr.ldif", "dn: uid=one\nobjectClass: inetOrgPerson\nuid: one\nsn: x\ntitle: Dr.\n\n"),
        ("names/rule.yml", RULE),
        ("names/rule.wat", MODULE),
        ("names/names.tests.yml", CASES),
    ])
}

#[test]
fn an_author_works_in_a_folder_without_any_installation() {
    let server = InProcess::start();
    let product = product(&server, "");
    std::fs::remove_file(product.path("config.yml")).unwrap();
    let folder = product.path("names").display().to_string();
    let checked = product.json(&["rules", "check", &folder, "--json"]);
    let rule = &checked["rules"][0];
    for (key, expected) in [
        ("rule", "Names"),
        ("form", "core module in text"),
        ("interface", "0.1"),
        ("pin", "not pinned"),
        ("sha256", &sha256(MODULE.as_bytes())),
    ] {
        assert_eq!(rule[key], expected, "{checked:#}");
    }
    assert_eq!(rule["contract"]["writes"][0], "displayName");
    let tested = product.run(&["rules", "test", &folder, "--shuffle", "7"]);
    assert_eq!(tested.code, 0, "{tested}");
    assert!(tested.stdout.ends_with("2 cases: 2 ok, 0 failed\n"), "{tested}");
    // G-20: what it costs can be seen.
    let bench = product.json(&["rules", "bench", &folder, "--case", "plain", "--json"]);
    let cost = &bench[0]["cases"][0];
    for key in ["fuel", "p50_ns", "p99_ns", "memory_bytes", "output_bytes"] {
        assert!(cost[key].as_u64().is_some_and(|number| number > 0), "{key}: {bench:#}");
    }
    for key in ["compile_ns", "code_bytes", "from_cache_ns", "start_ns"] {
        assert!(bench[0][key].as_u64().is_some_and(|number| number > 0), "{key}: {bench:#}");
    }
    let text = product.run(&["rules", "bench", &folder]);
    assert!(text.stdout.contains("ns p99"), "{text}");
    // G-13: the pin is written beside the path, and nothing else changes.
    assert_eq!(product.run(&["rules", "lock", &folder, "--check"]).code, 78);
    assert_eq!(product.read("names/rule.yml"), RULE);
    assert_eq!(product.run(&["rules", "lock", &folder]).code, 0);
    let pin = format!("# by hand\n      sha256: {}\n", sha256(MODULE.as_bytes()));
    assert_eq!(product.read("names/rule.yml"), RULE.replace("# by hand\n", &pin));
    assert_eq!(product.run(&["rules", "lock", &folder, "--check"]).code, 0);
    assert_eq!(product.json(&["rules", "check", &folder, "--json"])["rules"][0]["pin"], "pinned");
}

#[test]
fn g14_p11_an_installation_runs_the_cases_at_every_load_and_its_author_mends_them() {
    let server = InProcess::start();
    let product = product(&server, "names/rule.yml");
    // G-10, G-13: a module without its hash is refused, with the command that mends it.
    let unpinned = product.run(&["once"]);
    assert_eq!(unpinned.code, 78, "{unpinned}");
    assert!(unpinned.stderr.contains("(K0502)"), "{unpinned}");
    assert!(unpinned.stderr.contains("`kakehi rules lock`"), "{unpinned}");
    assert_eq!(product.run(&["rules", "check"]).code, 78);
    assert_eq!(product.run(&["rules", "lock"]).code, 0);
    let checked = product.run(&["rules", "check"]);
    assert_eq!(checked.code, 0, "{checked}");
    assert!(checked.stdout.ends_with("ok: 3 rules, 0 errors, 0 warnings\n"), "{checked}");
    let broken = CASES.replace("out: {displayName: uid=one}", "out: {displayName: uid=1}");
    product.write("names/names.tests.yml", &broken);
    let refused = product.run(&["once"]);
    assert_eq!(refused.code, 78, "{refused}");
    for words in [
        "its test failed: `displayName`: expected \"uid=1\", got \"uid=one\" (K0512)",
        "names/names.tests.yml:2:3, rule `Names`, case `plain`",
        "hint: `kakehi rules test 'Names' --case 'plain'` shows it",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused}");
    }
    let failed = product.run(&["rules", "test", "Names", "--case", "plain"]);
    assert_eq!(failed.code, 78, "{failed}");
    assert!(failed.stdout.contains("expected \"uid=1\", got \"uid=one\""), "{failed}");
    assert_eq!(product.run(&["rules", "test", "Names", "--case", "double"]).code, 0);
    let blessed = product.run(&["rules", "test", "Names", "--bless"]);
    assert_eq!(blessed.code, 0, "{blessed}");
    let now = CASES.replace("out: {displayName: uid=one}", "out: {displayName: \"uid=one\"}");
    assert_eq!(product.read("names/names.tests.yml"), now);
    assert_eq!(product.run(&["once"]).code, 0);
    assert_eq!(server.users(), ["one"]);
    for (arguments, code) in [
        (&["rules", "test", "Nmes"][..], 2),
        (&["rules", "test", "Names", "--case", "3"], 2),
        (&["rules", "check", "no/such/folder"], 2),
        (&["rules", "bench", "no.yml"], 2),
        (&["rules", "lock", "Nmes"], 2),
        (&["rules", "test", "--object", "uid=one"], 2),
        (&["rules", "test", "Names", "--object", "uid=nobody"], 2),
    ] {
        let answer = product.run(arguments);
        assert_eq!(answer.code, code, "{arguments:?}: {answer}");
        assert!(answer.stderr.contains("\n  hint: "), "{arguments:?}: {answer}");
    }
}

#[test]
fn g02_a_rule_is_shown_real_objects_in_both_directions() {
    let server = InProcess::start();
    let product = product(&server, "names/rule.yml");
    assert_eq!(product.run(&["rules", "lock"]).code, 0);
    assert_eq!(product.run(&["once"]).code, 0);
    let inbound = product.run(&["rules", "test", "Names", "--object", "uid=one"]);
    assert_eq!(inbound.code, 0, "{inbound}");
    let case = "- name: \"uid=one\"\n  class: \"inetOrgPerson\"\n  in: {dn: \"uid=one\"}\n  \
                out: {displayName: \"uid=one\"}\n";
    assert!(inbound.stdout.contains(case), "{inbound}");
    // What was shown is a test case: it passes as it stands.
    product.write("names/names.tests.yml", &inbound.stdout);
    let tested = product.run(&["rules", "test", "Names"]);
    assert_eq!(tested.code, 0, "{tested}");
    let outbound = product.json(&["rules", "test", "Out", "--object", "one", "--json"]);
    assert_eq!(outbound[0]["connector"], "cloud", "{outbound:#}");
    let answer = outbound[0]["answer"].as_str().unwrap_or_default();
    assert!(answer.contains("userName: \"one\"") && answer.contains("title: \"Dr.\""), "{answer}");
}

#[test]
fn the_list_fits_the_width_and_names_what_there_is_to_know() {
    let server = InProcess::start();
    let product = product(&server, "names/rule.yml");
    product.write("names/rule.yml", &RULE.replace("link: join", "link: join\n    enabled: false"));
    let text = product.run(&["rules", "list"]);
    assert_eq!(text.code, 0, "{text}");
    assert!(text.stdout.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.stdout.contains("off Names, disabled at"), "{text}");
    let list = product.json(&["rules", "list", "--json"]);
    let names: Vec<_> =
        list.as_array().into_iter().flatten().filter_map(|rule| rule["name"].as_str()).collect();
    assert_eq!(names, ["Join", "Out", "Names"]);
    let first: &Json = &list[0];
    assert_eq!((&first["interface"], &first["enabled"]), (&"0.1".into(), &true.into()));
    assert_eq!(first["limits"]["memory_bytes"], 64 << 20);
    assert_eq!(first["traps"], 0);
}
