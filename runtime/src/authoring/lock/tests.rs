//! Pins are written into texts of every kind, and nothing else changes.

use std::fs;

use super::*;

/// SHA-256 of `abc`, and of `new`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const NEW: &str = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437";

fn folder(manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("the folder takes files");
    };
    write("abc.wasm", "abc");
    write("new.wasm", "new");
    write("manifest.yml", manifest);
    folder
}

fn check(before: &str, after: &str) {
    let folder = folder(before);
    let main = folder.path().join("manifest.yml");
    let lock = Lock::of(&main, None).unwrap_or_else(|trouble| panic!("{before}\n{trouble:?}"));
    lock.write().expect("the file can be written");
    assert_eq!(fs::read_to_string(&main).expect("it is there"), after);
    let again = Lock::of(&main, None).unwrap_or_else(|trouble| panic!("{after}\n{trouble:?}"));
    assert_eq!((again.changes(), again.texts.len()), (0, 0));
}

#[test]
fn g13_a_pin_is_written_into_any_form_of_mapping() {
    let stale = "0".repeat(64);
    for (before, after) in [
        ("{path: abc.wasm}", format!("{{path: abc.wasm, sha256: {ABC}}}")),
        ("{path: \"abc.wasm\" }", format!("{{path: \"abc.wasm\", sha256: {ABC} }}")),
        (
            "{path: 'abc.wasm', api: \"0.1\"}",
            format!("{{path: 'abc.wasm', sha256: {ABC}, api: \"0.1\"}}"),
        ),
        ("{sha256: stale, path: abc.wasm}", format!("{{sha256: {ABC}, path: abc.wasm}}")),
        ("{sha256: 'stale', path: abc.wasm}", format!("{{sha256: '{ABC}', path: abc.wasm}}")),
        (
            "{path: abc.wasm, sha256: \"STALE\"} # why",
            format!("{{path: abc.wasm, sha256: \"{ABC}\"}} # why"),
        ),
        ("{path: abc.wasm, sha256: ~}", format!("{{path: abc.wasm, sha256: {ABC}}}")),
        ("{path: abc.wasm, sha256: }", format!("{{path: abc.wasm, sha256: {ABC} }}")),
        ("{\"path\": \"abc.wasm\"}", format!("{{\"path\": \"abc.wasm\", \"sha256\": \"{ABC}\"}}")),
        (
            "\n      path: abc.wasm   # ours",
            format!("\n      path: abc.wasm   # ours\n      sha256: {ABC}"),
        ),
        (
            "\n      sha256:\n      path: abc.wasm",
            format!("\n      sha256: {ABC}\n      path: abc.wasm"),
        ),
        (
            "\n      path: abc.wasm\n      sha256: stale # old",
            format!("\n      path: abc.wasm\n      sha256: {ABC} # old"),
        ),
        (
            &format!("{{path: abc.wasm, sha256: {stale}}}"),
            format!("{{path: abc.wasm, sha256: {ABC}}}"),
        ),
    ] {
        let text = |module: &str| {
            format!(
                "# 日本\nversion: 1\nrules:\n  - name: \"é\"\n    module: {module}\n    x: 1 # kept\n"
            )
        };
        check(&text(before), &text(&after));
        check(&text(before).replace('\n', "\r\n"), &text(&after).replace('\n', "\r\n"));
    }
}

#[test]
fn g13_only_what_differs_is_touched_and_everything_is_told() {
    let text = format!(
        "rules:\n- {{name: a, module: {{path: abc.wasm, sha256: {ABC}}}}}\n\
         - name: b\n  module:\n    \
         path: new.wasm\n- {{name: c, module: builtin:declarative}}\n"
    );
    let folder = folder(&text);
    let main = folder.path().join("manifest.yml");
    let lock = Lock::of(&main, None).unwrap();
    let told: Vec<_> =
        lock.pins.iter().map(|pin| (pin.rule.as_str(), pin.changed(), pin.new.as_str())).collect();
    assert_eq!(told, [("a", false, ABC), ("b", true, NEW)]);
    assert_eq!(Lock::of(&main, Some("a")).unwrap().changes(), 0);
    assert!(matches!(
        Lock::of(&main, Some("d")),
        Err(Trouble::Refusal(Refusal { usage: true, code: "K0920", .. }))
    ));
    lock.write().unwrap();
    let after = text.replace("new.wasm\n", &format!("new.wasm\n    sha256: {NEW}\n"));
    assert_eq!(fs::read_to_string(&main).unwrap(), after);
}

#[test]
fn g13_included_files_are_locked_beside_a_manifest_that_does_not_load() {
    let folder = folder("version: 99\nnonsense: 1\ninclude: [hr/rule.yml]\n");
    fs::create_dir(folder.path().join("hr")).unwrap();
    fs::write(folder.path().join("hr/rule.wasm"), "abc").unwrap();
    let rule = folder.path().join("hr/rule.yml");
    fs::write(&rule, "rules: [{name: hr, module: {path: rule.wasm}}]").unwrap();
    let lock = Lock::of(&folder.path().join("manifest.yml"), None).unwrap();
    lock.write().unwrap();
    let text = fs::read_to_string(&rule).unwrap();
    assert_eq!(text, format!("rules: [{{name: hr, module: {{path: rule.wasm, sha256: {ABC}}}}}]"));
}

#[test]
fn what_cannot_be_locked_is_told_at_once_and_nothing_is_written() {
    let text = "m: &m {path: new.wasm}\nrules:\n- {name: a, module: {path: no.wasm}}\n\
                - {name: b, module: {path: abc.wasm}}\n- {name: c, module: *m}\n";
    let folder = folder(text);
    let main = folder.path().join("manifest.yml");
    let Err(Trouble::Findings(findings)) = Lock::of(&main, None) else {
        panic!("it was taken");
    };
    let told: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    let told = told.replace(&format!("{}/", folder.path().display()), "");
    let told = told.replace(&format!("{PURPOSE}: "), "").replace(ABC, "ABC").replace(NEW, "NEW");
    expect_test::expect![[r#"
        error: cannot read the module `no.wasm`: No such file or directory (os error 2) (K0501)
          at: manifest.yml:3:21, rule `a`
        error: the module is written in a way that cannot be edited in place (K0923)
          at: manifest.yml:5:21, rule `c`
          hint: write it by hand: `sha256: NEW`
    "#]]
    .assert_eq(&told);
    assert_eq!(fs::read_to_string(&main).unwrap(), text);
}
