//! Error texts: faulty files flow in, and what is told of them is compared with the `.err` beside
//! them.
//!
//! A new file is a new test; its name states the fault. `UPDATE_EXPECT=1` writes the texts anew.

#![expect(clippy::unwrap_used, reason = "a test whose files cannot be read has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use kakehi::config::{self, Config, finding::Finding};
use kakehi::manifest::{self, files::Files};

/// Every test file of a folder, in order of name.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut cases: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|end| end == "yml"))
        .filter(|path| !path.to_string_lossy().ends_with(".secret.yml"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "no case in {}", folder.display());
    cases
}

/// Findings as a terminal shows them, with paths as seen from their folder.
fn told(findings: &[Finding], folder: &Path) -> String {
    let prefix = format!("{}/", folder.display());
    findings.iter().map(|finding| format!("{finding}\n")).collect::<String>().replace(&prefix, "")
}

/// Lays a configuration out as an administrator would, and loads it. A secret file is made readable
/// for its owner alone, which a repository cannot say.
fn load_config(case: &Path, folder: &Path) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let path = folder.join("config.yml");
    fs::copy(case, &path).unwrap();
    let secrets = case.with_extension("secret.yml");
    if secrets.exists() {
        let copy = folder.join("secret.yml");
        fs::copy(secrets, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
    }
    config::load(&path)
}

#[test]
fn s15_every_faulty_configuration_is_told_all_of_its_faults() {
    for case in cases("config/invalid") {
        let folder = tempfile::tempdir().unwrap();
        let Err(findings) = load_config(&case, folder.path()) else {
            panic!("{} was accepted", case.display());
        };
        expect_file![case.with_extension("err")].assert_eq(&told(&findings, folder.path()));
    }
}

#[test]
fn s08_a_configuration_is_shown_with_its_defaults_and_without_its_secrets() {
    for case in cases("config/valid") {
        let folder = tempfile::tempdir().unwrap();
        let (config, findings) = load_config(&case, folder.path())
            .unwrap_or_else(|findings| panic!("{}", told(&findings, folder.path())));
        let shown = serde_json::to_string_pretty(&config.show()).unwrap();
        let shown = shown.replace(&format!("{}/", folder.path().display()), "");
        assert!(!shown.contains("S3CR3T"), "a secret is shown: {shown}");
        let text = format!("{}{shown}\n", told(&findings, folder.path()));
        expect_file![case.with_extension("show")].assert_eq(&text);
    }
}

#[test]
fn s15_every_faulty_manifest_is_told_all_of_its_faults() {
    for case in cases("manifest/invalid") {
        let Err(findings) = manifest::load(&mut Files::of(&case)) else {
            panic!("{} was accepted", case.display());
        };
        expect_file![case.with_extension("err")]
            .assert_eq(&told(&findings, case.parent().unwrap()));
    }
}

#[test]
fn r36_rules_are_expanded_over_connectors_in_their_order() {
    for case in cases("manifest/valid") {
        let folder = case.parent().unwrap();
        let (manifest, findings) = manifest::load(&mut Files::of(&case))
            .unwrap_or_else(|findings| panic!("{}", told(&findings, folder)));
        let mut text = told(&findings, folder);
        for rule in &manifest.rules {
            let (precedence, connector, name) = (rule.precedence(), rule.connector(), rule.name());
            text += &format!("{precedence:>4} {connector:<10} {name} <- {}\n", rule.module());
        }
        expect_file![case.with_extension("rules")].assert_eq(&text);
    }
}

#[test]
fn s22_no_finding_repeats_a_secret() {
    for case in cases("config/invalid") {
        let text = fs::read_to_string(case.with_extension("err")).unwrap_or_default();
        assert!(!text.contains("S3CR3T"), "{} shows a secret", case.display());
    }
}

#[test]
fn a_secret_file_that_others_may_read_is_refused_with_77() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    let secrets = folder.path().join("secret.yml");
    fs::write(&path, "credentials: {portal: {kind: scim_bearer}}\n").unwrap();
    fs::write(&secrets, "credentials: {portal: {value: S3CR3T}}\n").unwrap();
    for (mode, refused) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
        fs::set_permissions(&secrets, fs::Permissions::from_mode(mode)).unwrap();
        match config::load(&path) {
            Ok(_) => assert!(!refused, "{mode:o}"),
            Err(findings) => {
                assert!(refused, "{mode:o}");
                assert_eq!(config::finding::exit_code(&findings), 77);
                assert_eq!(
                    told(&findings, folder.path()),
                    format!(
                        "error: cannot load the secrets: its mode is `{mode:04o}` (K0122)\n  \
                         at: secret.yml\n  \
                         hint: set it to 0600 or 0400: nobody else may read secrets\n"
                    )
                );
            }
        }
    }
}

#[test]
fn the_shipped_schemas_are_those_of_the_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for (name, schema) in [
        ("config", config::schema()),
        ("manifest", manifest::schema()),
        ("rules", manifest::fragment_schema()),
    ] {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        for format in ["\"uint32\"", "\"uint64\""] {
            assert!(!text.contains(format), "{name} holds the format {format}");
        }
        expect_file![folder.join(format!("{name}.schema.json"))].assert_eq(&text);
    }
}
