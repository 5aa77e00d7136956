//! Rules in every language of the SDKs, built by their own tools and run by the host (rules.md 12
//! and 15.1, 15.9 to 15.11).

use std::fs;
use std::path::Path;
use std::process::Command;

use expect_test::{ExpectFile, expect, expect_file};
use kakehi::scaffold::Language;
use kakehi_engine::flow::RuleOutcome;
use kakehi_tests::guests::build::{read_folder, sdk};
use kakehi_tests::guests::cases::{self, Case};
use kakehi_tests::guests::run::Stage;
use kakehi_tests::guests::{self, Built, Guest, conformance, language, root, skip};
use kakehi_tests::{product, sha256};

/// Builds a guest, or says that it cannot be built here.
fn built(guest: &Guest) -> Option<Built> {
    match guest.build() {
        Ok(built) => {
            let kib = built.bytes.len() as f64 / 1024.0;
            let title = format!("{} {}", guest.language.title, guest.name);
            println!("{title}: {kib:.1} KiB, built in {:.1} s", built.took.as_secs_f64());
            Some(built)
        }
        Err(missing) => {
            skip(&format!("{} {}", guest.language.title, guest.name), &missing);
            None
        }
    }
}

fn read_cases(path: &str) -> Vec<Case> {
    cases::read(&fs::read_to_string(root().join(path)).expect("a file of cases"))
}

/// The conformance rule in this language: the same bytes as in every other.
fn conforms(word: &str) {
    let guest = conformance(word);
    let Some(module) = built(&guest) else { return };
    let stage = Stage::new();
    let actor = stage.load(&module.bytes, "{}").expect("a guest that loads");
    let cases = read_cases("tests/guests/cases.yml");
    golden(&expect_file!["../guests/golden.txt"], &actor.perform(&cases));
    assert_eq!(actor.differences(&cases), Vec::<String>::new());
    let large = read_cases("tests/guests/whole-numbers.yml");
    match word {
        "javascript" | "typescript" => {
            for (outcome, lines) in actor.ask(&large) {
                assert!(matches!(outcome, RuleOutcome::Trapped { .. }), "{outcome:?}");
                assert!(lines[0].contains("beyond 2^53"), "{lines:?}");
            }
        }
        _ => assert_eq!(actor.differences(&large), Vec::<String>::new()),
    }
    // Only Go's runtime asks for WASI, and gets the stub (G-04).
    assert_eq!(actor.warnings.len(), usize::from(word == "go"), "{:?}", actor.warnings);

    let refused = stage.load(&module.bytes, r#"{"odd": 1}"#).err().expect("a refusal");
    assert_eq!(
        refused.to_string(),
        "the module refuses its configuration; it says: `unknown configuration` (K0508)"
    );
}

fn golden(file: &ExpectFile, text: &str) {
    file.assert_eq(text);
}

#[test]
fn g19_rust_gives_the_golden_verdicts() {
    conforms("rust");
}

#[test]
fn g19_c_gives_the_golden_verdicts() {
    conforms("c");
}

#[test]
fn g19_zig_gives_the_golden_verdicts() {
    conforms("zig");
}

#[test]
fn g19_assemblyscript_gives_the_golden_verdicts() {
    conforms("assemblyscript");
}

#[test]
fn g19_javascript_gives_the_golden_verdicts() {
    conforms("javascript");
}

#[test]
fn g19_typescript_gives_the_golden_verdicts() {
    conforms("typescript");
}

#[test]
fn g19_python_gives_the_golden_verdicts() {
    conforms("python");
}

#[test]
fn g04_g19_go_gives_the_golden_verdicts_through_the_stub() {
    conforms("go");
}

#[test]
fn g19_wat_needs_no_tool() {
    let text = fs::read(root().join("guest-sdk/wat/template/rule.wat")).unwrap();
    let actor = Stage::new().load(&text, "{}").unwrap();
    let cases = read_cases("guest-sdk/wat/template/cases.yml");
    golden(&expect_file!["../guests/golden-wat.txt"], &actor.perform(&cases));
}

#[test]
fn a_rule_in_wat_takes_names_larger_than_its_first_memory() {
    let text = fs::read(root().join("guest-sdk/wat/template/rule.wat")).unwrap();
    let actor = Stage::new().load(&text, "{}").unwrap();
    let long = "太".repeat(100_000);
    let cases = format!(
        "[{{name: long, in: {{dn: {long}}}, out: {{displayName: {long}}}}},
          {{name: short, in: {{dn: x}}, out: {{displayName: x}}}}]"
    );
    assert_eq!(actor.differences(&cases::read(&cases)), Vec::<String>::new());
}

/// `kakehi rules new`, the line of its README, and its own cases.
fn begins(word: &str) {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = scratch.path().join("user-names");
    let said = rules(&["new", "--lang", word, "user-names"], scratch.path());
    let language = language(word);
    if let Some(line) = language.build {
        let readme = fs::read_to_string(folder.join("README.md")).expect("a README");
        assert!(readme.lines().any(|text| text == line), "{word}: the README builds otherwise");
        assert!(said.contains(line), "{said}");
    }
    let guest = Guest { language, name: "template", files: read_folder(&folder) };
    let Some(module) = built(&guest) else { return };
    let actor = Stage::new().load(&module.bytes, "{}").expect("a guest that loads");
    let cases = fs::read_to_string(folder.join("cases.yml")).expect("cases");
    assert_eq!(actor.differences(&cases::read(&cases)), Vec::<String>::new());
    fs::write(folder.join(language.module), &module.bytes).expect("a module in its folder");
    let pinned = rules(&["lock", "user-names/rule.yml"], scratch.path());
    assert!(pinned.contains("1 of 1 pin written"), "{word}: {pinned}");
    let tested = rules(&["test", "user-names"], scratch.path());
    assert!(tested.contains(", 0 failed"), "{word}: {tested}");
}

/// A `kakehi rules` command that is expected to end well, in this folder.
fn rules(arguments: &[&str], folder: &Path) -> String {
    let mut command = Command::new(product::program());
    command.arg("rules").args(arguments).current_dir(folder);
    let output = command.output().expect("the program starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn g01_a_new_rule_in_rust_builds_and_passes_its_cases() {
    begins("rust");
}

#[test]
fn g01_a_new_rule_in_c_builds_and_passes_its_cases() {
    begins("c");
}

#[test]
fn g01_a_new_rule_in_zig_builds_and_passes_its_cases() {
    begins("zig");
}

#[test]
fn g01_a_new_rule_in_assemblyscript_builds_and_passes_its_cases() {
    begins("assemblyscript");
}

#[test]
fn g01_a_new_rule_in_javascript_builds_and_passes_its_cases() {
    begins("javascript");
}

#[test]
fn g01_a_new_rule_in_typescript_builds_and_passes_its_cases() {
    begins("typescript");
}

#[test]
fn g01_a_new_rule_in_python_builds_and_passes_its_cases() {
    begins("python");
}

#[test]
fn g01_a_new_rule_in_go_builds_and_passes_its_cases() {
    begins("go");
}

#[test]
fn g01_a_new_rule_in_wat_passes_its_cases() {
    begins("wat");
}

#[test]
fn a_folder_that_is_not_empty_is_refused_with_a_way_out() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("mine"), "").unwrap();
    let rules_new = |arguments: &[&str]| {
        let mut command = Command::new(product::program());
        command.args(["rules", "new"]).args(arguments).current_dir(scratch.path());
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = rules_new(&["--lang", "c", ".", "--name", "names"]);
    assert_eq!(code, Some(2));
    expect![[r#"
        error: cannot make the rule: `.` is not empty (K0931)
          hint: name a folder that does not exist yet
    "#]]
    .assert_eq(&said);
    let (code, said) = rules_new(&["--lang", "c", "Names"]);
    assert_eq!(code, Some(2));
    let expected = "error: cannot make the rule: `Names` cannot be the name of a rule: \
                    it does not begin with a small letter (K0932)\n  \
                    hint: say one such as `--name user-names`\n";
    assert_eq!(said, expected);
    let (code, said) = rules_new(&["--lang", "c", "."]);
    assert_eq!(code, Some(2));
    expect![[r#"
        error: `.` has no name of its own (K0930)
          hint: say `--name NAME`
    "#]]
    .assert_eq(&said);
    let (code, said) = rules_new(&["--lang", "c", "mine"]);
    assert_eq!((code, said.contains("(K0933)")), (Some(2), true), "{said}");
    let (code, said) = rules_new(&["--lang", "cobol", "names"]);
    assert_eq!((code, said.contains("assemblyscript")), (Some(2), true), "{said}");
}

/// Where the rule of a language stands in its folder.
fn source(language: &Language) -> &'static str {
    match language.word {
        "rust" => "src/lib.rs",
        "c" => "rule.c",
        "zig" => "rule.zig",
        "javascript" => "rule.js",
        "python" => "rule.py",
        "go" => "main.go",
        _ => "rule.ts",
    }
}

/// The code of the larger example in a README.
fn example(readme: &str) -> &str {
    let (_, example) = readme.split_once("## A larger example").expect("an example");
    let (_, code) = example.split_once("```").expect("a fence");
    let (_, code) = code.split_once('\n').expect("a first line");
    code.split_once("\n```").expect("the end of the fence").0
}

#[test]
fn examples_of_the_readmes_are_rules_that_agree() {
    let cases = "
- {name: over, in: {employeeEnd: 100}, now: 1970-01-01T00:02:00Z, out: {accountEnabled: false}}
- name: not yet, by a number that came as text
  in: {employeeEnd: '100', manager: {reference: CN=x}}
  now: 1970-01-01T00:01:00Z
  out: {accountEnabled: true, manager: {reference: CN=x}}
- {name: for ever, in: {}, out: {}}";
    for word in ["rust", "c", "zig", "assemblyscript", "javascript", "typescript", "python", "go"] {
        let language = language(word);
        let file = |path| language.template.iter().find(|file| file.path == path);
        let rule = source(language);
        let code = example(file("README.md").unwrap().text).to_owned();
        let mut files = vec![(rule.to_owned(), code)];
        // What else a rule of the language is built with, for example a list of packages.
        files.extend(
            language
                .template
                .iter()
                .filter(|file| file.path != rule)
                .map(|file| (file.path.to_owned(), file.text.replace("{{name}}", "example"))),
        );
        files.extend(sdk(language));
        let guest = Guest { language, name: "example", files };
        let Some(module) = built(&guest) else { continue };
        let actor = Stage::new().load(&module.bytes, "{}").unwrap();
        assert!(actor.contract.volatile, "{word}");
        assert_eq!(actor.differences(&cases::read(cases)), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn g04_a_component_that_imports_wasi_is_refused_with_the_option_that_helps() {
    let guest = Guest { name: "with-wasi", ..conformance("javascript") };
    let line = guest.build_line().replace(" --stub-wasi", "");
    let module = match guest.build_with(&line) {
        Ok(module) => module,
        Err(missing) => return skip("JavaScript with WASI", &missing),
    };
    let error = Stage::new().load(&module.bytes, "{}").err().unwrap();
    assert_eq!(error.code, "K0504");
    assert!(error.to_string().starts_with("imports `wasi:"), "{error}");
    assert!(error.hint.unwrap().contains("--stub-wasi"));
}

/// Released interfaces: each with a rule that was built for it, and its hash.
const RELEASED: &[(&str, &str)] =
    &[("since-v0.1.0.wat", "3e4832f14c80ed7ab853fa24a2324c0e5f7ad91104711a8a412a7c596af70d7d")];

#[test]
fn g15_a_rule_of_every_released_interface_still_runs() {
    let cases = "
- name: all that the interface has
  in: {dn: {reference: CN=x}}
  imported: {mail: [a, b]}
  parameters: {Domain.FQDN: corp.example}
  now: 1970-01-01T00:00:07Z
  partial: true
  out: {}";
    for (file, digest) in RELEASED {
        let text = fs::read_to_string(root().join("tests/guests/versions").join(file)).unwrap();
        assert_eq!(sha256(text.as_bytes()), *digest, "{file} is kept as it was");
        let stage = Stage::new();
        let perform = |text: &str| {
            stage.load(text.as_bytes(), "{}").map(|actor| actor.perform(&cases::read(cases)))
        };
        expect![[r#"
            reads: dn
            reads-imported: mail
            parameters: Domain.FQDN
            writes: seen
            volatile: true

            # all that the interface has
            log info "dn"
            seen = reference "CN=x"
            seen = text "a", text "b"
            seen = text "corp.example"
            seen = integer 7
        "#]]
        .assert_eq(&perform(&text).unwrap());
        // Built against a later patch, it runs as long as it calls nothing that came with it.
        let newer = text.replace("@0.1.0", "@0.1.7");
        assert_eq!(perform(&newer).unwrap(), perform(&text).unwrap());
        let error = perform(&newer.replace(r#""now""#, r#""later""#)).unwrap_err();
        assert_eq!(error.code, "K0505", "{error}");
    }
    let folders = fs::read_dir(root().join("guest-sdk/wit")).unwrap().count();
    assert_eq!(folders, RELEASED.len(), "every released interface has a rule here");
}

#[test]
fn skipping_is_by_name_and_not_where_everything_must_run() {
    // The test's own process must not set its environment, so another one does.
    let own = std::env::current_exe().unwrap();
    for (required, passes) in [("0", true), ("1", false)] {
        let output = Command::new(&own)
            .args(["--exact", "inner_skip", "--nocapture", "--include-ignored"])
            .env("KAKEHI_TESTS_REQUIRE_ALL", required)
            .env("PATH", "")
            .env("KAKEHI_TESTS_INNER", "1")
            .output()
            .unwrap();
        assert_eq!(output.status.success(), passes);
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("a language nobody has: `rustc` is not installed"), "{said}");
        assert_eq!(said.contains("skipped: "), passes, "{said}");
    }
}

#[test]
fn inner_skip() {
    if std::env::var_os("KAKEHI_TESTS_INNER").is_some() {
        let missing = guests::toolbox::shell("rust", root()).err().unwrap();
        skip("a language nobody has", &missing);
    }
}
