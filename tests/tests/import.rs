//! Rule sets of Entra Connect, by the program itself: imported, loaded whole, synchronized from two
//! forests to a SCIM service, and given back.
//!
//! The exported default rules are used where they lie beside the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kakehi::manifest::files::Files;
use kakehi_tests::installation::TOKEN;
use kakehi_tests::product::{Product, program};
use kakehi_tests::receiver::InProcess;
use serde_json::Value as Json;
use tempfile::TempDir;

const FOREST_A: &str = "{11111111-aaaa-4aaa-8aaa-00000000000a}=forest-a";
const FOREST_R: &str = "{22222222-bbbb-4bbb-8bbb-00000000000b}=forest-r";
const CLOUD: &str = "{b891884f-051e-4a83-95af-2544101c9083}=cloud";
/// The forest of the exported default rules.
const CONTOSO: &str = "ae4db4cc-b16b-4eb2-acf5-837ca84e4d7d";

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/entra/tests/fixtures").join(name)
}

fn shared() -> Option<PathBuf> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/entra-default-rules");
    if !folder.is_dir() {
        eprintln!("skipped: the exported default rules are not here");
        return None;
    }
    Some(folder)
}

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn kakehi(arguments: &[&str]) -> Answer {
    let output = Command::new(program()).args(arguments).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Answer {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// Imports into a folder of its own.
fn imported(path: &Path, more: &[&str]) -> (TempDir, Answer) {
    let folder = TempDir::new().expect("a folder for the test");
    let into = folder.path().join("set").display().to_string();
    let path = path.display().to_string();
    let arguments = [&["import", "entra", &path, "-o", &into], more].concat();
    let answer = kakehi(&arguments);
    (folder, answer)
}

fn names() -> [&'static str; 6] {
    ["--connector", FOREST_A, "--connector", FOREST_R, "--connector", CLOUD]
}

fn ok((folder, answer): (TempDir, Answer)) -> (TempDir, String) {
    assert_eq!(answer.code, Some(0), "{}{}", answer.stdout, answer.stderr);
    (folder, answer.stdout)
}

/// A set whose inbound rules are there for a second forest as well, and so are the connectors.
fn doubled(set: &Path) -> TempDir {
    let folder = TempDir::new().expect("a folder for the test");
    for part in ["SynchronizationRules", "Connectors", "GlobalSettings"] {
        fs::create_dir(folder.path().join(part)).expect("a part of the export");
        for entry in fs::read_dir(set.join(part)).expect("the part is there") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("the file can be read");
            let write = |name: &str, text: &str| {
                fs::write(folder.path().join(part).join(name), text).expect("it can be written");
            };
            let second = |text: &str| {
                let text = text.replace(CONTOSO, &format!("f{}", &CONTOSO[1..]));
                text.replace("{AE4DB4CC", "{FE4DB4CC").replace("contoso.com", "r.example")
            };
            let (key, end) = ("<precedence>", "</precedence>");
            if let Some((before, rest)) = text.split_once(key) {
                let (number, after) = rest.split_once(end).expect("a precedence ends");
                let number: u32 = number.parse().expect("a precedence is a number");
                let at = |number: u32| format!("{before}{key}{number}{end}{after}");
                write(&name, &at(2 * number));
                if text.contains("<direction>Inbound") && text.contains(CONTOSO) {
                    let id = name.split(['{', '}']).nth(1).expect("a name with an identifier");
                    let copy = format!("0c0ffee0{}", &id[8..]);
                    let text = second(&at(2 * number + 1)).replace(id, &copy);
                    write(&name.replace(id, &copy), &text);
                }
            } else {
                write(&name, &text);
                if name.contains(CONTOSO) {
                    write("second.xml", &second(&text));
                }
            }
        }
    }
    folder
}

#[test]
fn p13_the_last_line_tells_what_became_of_everything() {
    let (folder, stdout) = ok(imported(&fixtures("xml"), &names()));
    let last = stdout.lines().last();
    assert_eq!(last, Some("rules 19/19, flows 81/81, expressions 48/48, disabled 2"));
    assert!(stdout.contains("disabled: rule `In from forest A - Device Keys`"), "{stdout}");
    let report = fs::read_to_string(folder.path().join("set/import-report.md")).unwrap();
    assert!(report.contains("Thumbprint(CBin([publicKey], 64))"), "{report}");
    let (_folder, stdout) = ok(imported(&fixtures("xml"), &[&names()[..], &["--json"]].concat()));
    let json: Json = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["rules"]["imported"], 19);
    assert_eq!(json["connectors"][0]["name"], "forest-a");
    let Some(shared) = shared() else { return };
    let (_folder, stdout) = ok(imported(&shared, &[]));
    let last = stdout.lines().last();
    assert_eq!(last, Some("rules 39/39, flows 893/893, expressions 355/355, disabled 1"));
}

#[test]
fn p13_expressions_are_read_back_byte_for_byte() {
    for set in [Some(fixtures("xml")), shared()].into_iter().flatten() {
        let (folder, _) = ok(imported(&set, &[]));
        let mut expressions = BTreeMap::new();
        for entry in fs::read_dir(folder.path().join("set/rules")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let mut node = kakehi::config::yaml::parse(&text).unwrap();
            let (value, flaws) = kakehi::config::yaml::decode::<Json>(&mut node);
            assert!(flaws.is_empty(), "{flaws:?}");
            for flow in
                value.unwrap()["rules"][0]["config"]["flows"].as_array().into_iter().flatten()
            {
                if let Some(expr) = flow["expr"].as_str() {
                    *expressions.entry(expr.to_owned()).or_insert(0_usize) += 1;
                }
            }
        }
        let mut exported = BTreeMap::new();
        for entry in fs::read_dir(set.join("SynchronizationRules")).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            for part in text.split("<expression>").skip(1) {
                let part = part.split("</expression>").next().unwrap();
                let part = part.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                *exported.entry(part).or_insert(0_usize) += 1;
            }
        }
        assert!(!exported.is_empty());
        assert_eq!(expressions, exported);
    }
}

#[test]
fn p13_an_import_goes_back_to_equal_xml() {
    for set in [Some(fixtures("xml")), shared()].into_iter().flatten() {
        let (folder, _) = ok(imported(&set, &names()[..if set.ends_with("xml") { 6 } else { 0 }]));
        let from = folder.path().join("set").display().to_string();
        let into = folder.path().join("back").display().to_string();
        let answer = kakehi(&["export", "entra", &from, "-o", &into]);
        assert_eq!(answer.code, Some(0), "{}", answer.stderr);
        let rules = Path::new("SynchronizationRules");
        let mut compared = 0;
        for entry in fs::read_dir(set.join(rules)).unwrap() {
            let path = entry.unwrap().path();
            let back = Path::new(&into).join(rules).join(path.file_name().unwrap());
            let normal = |path: &Path| -> String {
                let text = fs::read_to_string(path).unwrap();
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                let text = lines.collect::<Vec<_>>().join("\n");
                text.replace("ISNOTBITSET", "ISBITNOTSET")
            };
            assert_eq!(normal(&back), normal(&path), "{}", path.display());
            compared += 1;
        }
        let exported = fs::read_dir(Path::new(&into).join(rules)).unwrap().count();
        assert_eq!((compared, exported), (exported, compared));
    }
}

#[test]
fn p13_what_a_person_changed_goes_back_too() {
    let (folder, _) = ok(imported(&fixtures("xml"), &names()));
    let set = folder.path().join("set");
    let fragment = set.join("rules/102-in-from-forest-a-user-accountenabled.yml");
    let text = fs::read_to_string(&fragment).unwrap();
    let text =
        text.replace("'%Domain.FQDN%'", "'LCase([dNSDomain])'").replace("value: true", "value: 7");
    fs::write(&fragment, text).unwrap();
    let own = "rules:\n  - {name: Mine, precedence: 60, connector: forest-a, direction: inbound, \
               from: user, to: person, link: join, module: 'builtin:declarative', \
               config: {flows: [{to: title, from: title}]}}\n";
    fs::write(set.join("rules/mine.yml"), own).unwrap();
    let manifest = fs::read_to_string(set.join("manifest.yml")).unwrap();
    fs::write(set.join("manifest.yml"), format!("{manifest}  - rules/mine.yml\n")).unwrap();
    let into = folder.path().join("back");
    let arguments = ["export", "entra", set.to_str().unwrap(), "-o", into.to_str().unwrap()];
    let answer = kakehi(&arguments);
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    assert!(answer.stdout.ends_with("rules 20, flows 82\n"), "{}", answer.stdout);
    let texts: Vec<String> = fs::read_dir(into.join("SynchronizationRules"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let one = |part: &str| texts.iter().filter(|text| text.contains(part)).count();
    assert_eq!(one("<expression>LCase([dNSDomain])</expression>"), 1);
    assert_eq!(one("<attr>dNSDomain</attr>"), 1);
    assert_eq!(one("<src>7</src>"), 1);
    assert_eq!(one("<name>Mine</name>"), 1);
    // A rule that nothing in the original could run is not left out in silence.
    fs::write(
        set.join("rules/mine.yml"),
        own.replace("'builtin:declarative'", "{path: x.wasm}")
            .replace("{flows: [{to: title, from: title}]}", "{}"),
    )
    .unwrap();
    fs::remove_dir_all(&into).unwrap();
    let answer = kakehi(&arguments);
    assert_eq!(answer.code, Some(78), "{}", answer.stdout);
    assert!(
        answer.stderr.contains("`Mine`: it has a module of its own (K0959)"),
        "{}",
        answer.stderr
    );
    assert!(!into.exists());
}

#[test]
fn faults_of_all_files_are_told_at_once_and_nothing_is_written() {
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("SynchronizationRules");
    fs::create_dir(&rules).unwrap();
    for (index, entry) in fs::read_dir(fixtures("xml/SynchronizationRules")).unwrap().enumerate() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let text = match index {
            0 => text.replace("</synchronizationRule>", ""),
            1 => text.replace("<linkType>", "<linkType>Un"),
            _ => text,
        };
        fs::write(rules.join(path.file_name().unwrap()), text).unwrap();
    }
    fs::write(folder.path().join("more.ps1"), "\nRemove-Item C:\\x\n").unwrap();
    let (out, answer) = imported(folder.path(), &names());
    assert_eq!(answer.code, Some(78));
    for part in ["no well-formed XML", "unknown `linkType`", "unknown command `Remove-Item`"] {
        assert!(answer.stderr.contains(part), "{part}: {}", answer.stderr);
    }
    assert!(answer.stderr.contains("more.ps1:2:1"), "{}", answer.stderr);
    assert!(!out.path().join("set").exists());
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("mine.yml"), "x").unwrap();
    let set = fixtures("xml").display().to_string();
    let into = folder.path().display().to_string();
    let answer = kakehi(&["import", "entra", &set, "-o", &into]);
    assert_eq!(answer.code, Some(2));
    assert!(answer.stderr.contains("is not empty (K0962)"), "{}", answer.stderr);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn connectors_without_a_name_are_listed_with_what_to_add() {
    let (_folder, answer) = imported(&fixtures("rules.ps1"), &[]);
    assert_eq!(answer.code, Some(78));
    let hint = "add `--connector '{11111111-aaaa-4aaa-8aaa-00000000000a}=NAME:ad'`";
    assert!(answer.stderr.contains(hint), "{}", answer.stderr);
    assert_eq!(answer.stderr.matches("(K0956)").count(), 3, "{}", answer.stderr);
}

// === Through to the cloud ===

/// An installation of an imported set: two forests in files, one SCIM service.
fn installation(set: &Path, server: &InProcess) -> Product {
    let piece = fs::read_to_string(set.join("config-targets.yml")).expect("it was written");
    let types = piece.split_once("    types:\n").expect("types of the target").1;
    let config = format!(
        "manifest: manifest.yml\nstate: {{path: state}}\nrules: {{cache: cache}}\n\
         import: {{max_shrink: {{objects: 5, percent: 100}}}}\n\
         sources:\n  forest-a: {{ldif: {{path: a.ldif, anchor: objectGUID}}}}\n  \
         forest-r: {{ldif: {{path: r.ldif, anchor: objectGUID}}}}\n\
         targets:\n  cloud:\n    base_url: {}\n    credential: cloud-token\n    types:\n{types}\
         credentials:\n  cloud-token: {{kind: scim_bearer}}\n",
        server.base_url()
    );
    let mut files: Vec<(String, String)> = vec![("config.yml".into(), config)];
    files.push(("secret.yml".into(), format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")));
    files.push((
        "manifest.yml".into(),
        fs::read_to_string(set.join("manifest.yml")).unwrap_or_default(),
    ));
    for entry in fs::read_dir(set.join("rules")).expect("the fragments") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        files.push((format!("rules/{name}"), fs::read_to_string(&path).unwrap_or_default()));
    }
    files.push(("a.ldif".into(), forest_a(&["alice", "bob", "carol", "dora"])));
    files.push(("r.ldif".into(), forest_r()));
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    Product::new(&files)
}

/// Accounts: each with an identifier and a SID of its own. Carol is disabled.
fn forest_a(people: &[&str]) -> String {
    let mut ldif = String::from("version: 1\n");
    for name in people {
        let control = if *name == "carol" { 514 } else { 512 };
        ldif.push_str(&account("a", name, control));
        ldif.push_str(&format!("userPrincipalName: {name}@a.example\ndepartment: IT\n"));
    }
    ldif
}

/// Mailboxes: Alice's is linked and disabled, Dora's is hers and enabled, Erin has no account.
fn forest_r() -> String {
    let mut ldif = String::from("version: 1\n");
    for (name, control, kind) in [("alice", 514, 2), ("erin", 514, 2), ("dora", 512, 1)] {
        ldif.push_str(&account("r", name, control));
        ldif.push_str(&format!(
            "userPrincipalName: {name}@r.example\nmailNickname: {name}\n\
             msExchRecipientTypeDetails: {kind}\nmsExchMasterAccountSid:: {}\n",
            sid("a", name)
        ));
    }
    ldif
}

fn account(forest: &str, name: &str, control: u32) -> String {
    format!(
        "\ndn: CN={name},DC={forest},DC=example\nobjectClass: top\nobjectClass: person\n\
         objectClass: organizationalPerson\nobjectClass: user\nobjectGUID:: {}\n\
         objectSid:: {}\nsAMAccountName: {name}\ncn: {name}\nsn: {name}\n\
         displayName: {name} of {forest}\nuserAccountControl: {control}\n\
         pwdLastSet: 129699324000000000\n",
        guid(forest, name),
        sid(forest, name)
    )
}

/// Sixteen bytes that no other object has, in base64 without a rest.
fn guid(forest: &str, name: &str) -> String {
    format!("{:A<22}==", format!("{forest}{name}"))
}

/// `S-1-5-21-a-b-c-d` with parts made of the name, in base64 without a rest.
fn sid(forest: &str, name: &str) -> String {
    let parts = format!("{forest}{name}");
    format!("AQUAAAAAAAUVAAAA{parts:A<21}A==")
}

fn cloud(server: &InProcess) -> BTreeMap<String, Json> {
    let users = server.all().into_iter();
    users.map(|user| (user["userName"].as_str().unwrap_or("?").to_owned(), user)).collect()
}

/// The table of the account and resource scenario, as far as the cloud shows it.
fn two_forests(set: &Path) {
    let server = InProcess::start();
    let product = installation(set, &server);
    let check = product.run(&["config", "check"]);
    assert_eq!(check.code, 0, "{check}");
    assert!(check.stdout.contains("does nothing yet (K0349)"), "{check}");
    assert!(check.stdout.contains("are not sent"), "{check}");
    let once = product.run(&["once"]);
    assert_eq!(once.code, 0, "{once}");
    let users = cloud(&server);
    let shown = |name: &str| {
        let user = &users[name];
        let text = |key: &str| user[key].as_str().unwrap_or_default().to_owned();
        (text("externalId"), user["active"].as_bool(), text("displayName"))
    };
    let expected = |name: &str, active: bool, display: &str| {
        (guid("a", name), Some(active), format!("{name} of {display}"))
    };
    // Erin has a linked mailbox and no account, so there is nothing that she could sign in with.
    let names: Vec<&str> = users.keys().map(String::as_str).collect();
    assert_eq!(names, ["alice@a.example", "bob@a.example", "carol@a.example", "dora@a.example"]);
    assert_eq!(shown("alice@a.example"), expected("alice", true, "r"));
    assert_eq!(shown("bob@a.example"), expected("bob", true, "a"));
    assert_eq!(shown("carol@a.example"), expected("carol", false, "a"));
    assert_eq!(shown("dora@a.example"), expected("dora", true, "r"));
    // What the cloud shows is what was wanted: a second run has nothing to do.
    let sent = server.requests().len();
    let again = product.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(again.code, 0, "{again}");
    assert!(server.requests().len() >= sent);
    // Alice's account goes; with its anchor gone, her object in the cloud is disabled.
    product.write("a.ldif", &forest_a(&["bob", "carol", "dora"]));
    let once = product.run(&["once"]);
    assert_eq!(once.code, 0, "{once}");
    assert_eq!(cloud(&server)["alice@a.example"]["active"], false);
}

#[test]
fn t17_1_an_imported_set_gives_the_cloud_objects_of_two_forests() {
    let (folder, _) = ok(imported(&fixtures("xml"), &names()));
    two_forests(&folder.path().join("set"));
}

#[test]
fn t17_1_the_default_rules_give_the_cloud_objects_of_two_forests() {
    let Some(shared) = shared() else { return };
    let doubled = doubled(&shared);
    let a = format!("{{{CONTOSO}}}=forest-a");
    let r = format!("{{f{}}}=forest-r", &CONTOSO[1..]);
    let names = ["--connector", &a, "--connector", &r, "--connector", CLOUD];
    let (folder, _) = ok(imported(doubled.path(), &names));
    two_forests(&folder.path().join("set"));
}

#[test]
fn the_manifest_of_an_import_holds_by_itself() {
    for set in [Some(fixtures("xml")), shared()].into_iter().flatten() {
        let (folder, _) = ok(imported(&set, &[]));
        let path = folder.path().join("set/manifest.yml");
        let (manifest, findings) = kakehi::manifest::load(&mut Files::of(&path))
            .unwrap_or_else(|findings| panic!("{}", findings[0]));
        assert!(findings.iter().all(|finding| !finding.is_error()));
        assert!(manifest.compat.multiple_match_provisions);
        assert!(manifest.rules.iter().any(kakehi::manifest::ManifestRule::is_idle));
    }
}
