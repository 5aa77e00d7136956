//! The daemon, and every command that the README names, as users run them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use kakehi_tests::daemon::until;
use kakehi_tests::installation::{LDIF_MANIFEST, TOKEN, ldif_config};
use kakehi_tests::product::{Product, contents, program};
use kakehi_tests::receiver::InProcess;
use serde_json::Value as Json;

fn people(names: &[&str]) -> String {
    let person =
        |name: &&str| format!("dn: uid={name}\nobjectClass: inetOrgPerson\nuid: {name}\nsn: x\n\n");
    names.iter().map(person).collect()
}

fn product(server: &InProcess) -> Product {
    let config = ldif_config(&server.base_url()) + "run: {poll: 1s, drain: 10s}\n";
    Product::new(&[
        ("config.yml", &config),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", LDIF_MANIFEST),
        ("hr.ldif", &people(&["one"])),
    ])
}

#[test]
fn run_delivers_what_changes_keeps_others_out_and_ends_on_sigterm() {
    let server = InProcess::start();
    let product = product(&server);
    let mut daemon =
        product.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    until("the first delivery", || server.users() == ["one"]);
    product.write("hr.ldif", &people(&["one", "two"]));
    until("the second delivery", || server.users() == ["one", "two"]);
    let locked = product.run(&["once"]);
    assert_eq!(locked.code, 75, "{locked}");
    let plan = product.run(&["plan", "--json"]);
    assert_eq!(plan.code, 0, "a plan works beside the daemon: {plan}");
    let pid = daemon.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = daemon.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let mut log = String::new();
    daemon.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let events: Vec<Json> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    let has = |id: &str| events.iter().any(|event| event["event_id"] == id);
    for id in ["SV001", "SV002", "RN001", "SV003", "SV004"] {
        assert!(has(id), "{id} is not in {log}");
    }
    // S-22: the token is in none of what the product writes.
    assert!(!log.contains(TOKEN), "{log}");
    for (path, bytes) in contents(&product.state()) {
        let found = bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
        assert!(!found, "the token is in {}", path.display());
    }
}

#[test]
fn every_command_works_on_a_kept_demo() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("demo");
    let demo = Command::new(program()).args(["demo", "--keep"]).arg(&kept).output().unwrap();
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));
    for arguments in [
        &["plan"][..],
        &["plan", "--full", "--json"],
        &["once"],
        &["once", "--json"],
        &["explain", "taro.yamada@a.example"],
        &["explain", "taro.yamada@a.example", "mail", "--json"],
        &["status"],
        &["status", "--json"],
        &["runs", "list"],
        &["runs", "show", "1", "--json"],
        &["rules", "list"],
        &["rules", "list", "--json"],
        &["rules", "check"],
        &["config", "check"],
        &["config", "check", "--online"],
        &["config", "show"],
        &["config", "schema"],
        &["config", "schema", "--manifest"],
    ] {
        let (code, text) = run(&kept, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        assert!(!text.is_empty(), "{arguments:?} says nothing");
    }
    for (arguments, code) in [
        (&["explain", "nobody"][..], 2),
        (&["runs", "show", "99"], 2),
        (&["apply", "missing.json"], 2),
        (&["plan", "--no-such-flag"], 2),
    ] {
        let (found, text) = run(&kept, arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {text}");
    }
    play_on(&kept);
    let again = Command::new(program()).args(["demo", "--keep"]).arg(folder.path()).output();
    let refused = String::from_utf8_lossy(&again.unwrap().stderr).into_owned();
    assert!(refused.contains("is not empty"), "{refused}");
}

/// The service of a kept demo comes back, and takes what is changed meanwhile.
fn play_on(kept: &Path) {
    let mut served = Command::new(program())
        .args(["demo", "--keep"])
        .arg(kept)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = BufReader::new(served.stdout.take().expect("it is piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("it says where it answers");
    assert!(line.contains("the service answers at"), "{line}");
    let ldif = kept.join("directory/forest-r.ldif");
    let changed = std::fs::read_to_string(&ldif).expect("the demo left it");
    let changed = changed.replace("taro.yamada@", "taro@");
    std::fs::write(&ldif, changed).expect("it can be changed");
    let (code, text) = run(kept, &["once"]);
    assert_eq!((code, text.contains("1 update")), (Some(0), true), "{text}");
    let pid = served.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("there is a kill").success());
    assert_eq!(served.wait().expect("it is ours").code(), Some(0));
}

/// Runs a command on a kept demo; gives its exit code and all that it printed.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program());
    command.arg("--config").arg(folder.join("config.yml")).args(arguments);
    let output = command.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}
