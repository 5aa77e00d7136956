//! Rules that change under a running service (rules.md 7), as an administrator changes them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::installation::{LDIF_MANIFEST, TOKEN, ldif_config};
use kakehi_tests::product::{Product, contents};
use kakehi_tests::receiver::InProcess;
use kakehi_tests::sha256;

/// Reads `dn`, writes `title`.
const MODULE: &str = include_str!("../../runtime/tests/manifest/display_name.wat");

fn people(count: usize) -> String {
    let person = |number: usize| {
        format!("dn: uid=u{number}\nobjectClass: inetOrgPerson\nuid: u{number}\nsn: x\n\n")
    };
    (0..count).map(person).collect()
}

/// The rules of [`LDIF_MANIFEST`] with a title that is the same for everybody.
fn titled(title: &str) -> String {
    LDIF_MANIFEST.replace("{to: title, from: title}]", &format!("{{to: title, value: '{title}'}}]"))
}

fn installation(server: &InProcess, rules: &str, manifest: &str, users: usize) -> Product {
    let config = ldif_config(&server.base_url())
        .replace("rules: {cache: cache}", &format!("rules: {{cache: cache, {rules}}}"))
        + "run: {poll: 1h, drain: 10s}\nhttp: {listen: '127.0.0.1:0'}\n";
    Product::new(&[
        ("config.yml", &config),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", manifest),
        ("hr.ldif", &people(users)),
    ])
}

/// Files are watched, and read soon after they were written.
const WATCHED: &str = "reload: {debounce: 100ms}";
/// The service has to be told.
const UNWATCHED: &str = "reload: {watch: false}";

fn active(product: &Product) -> u64 {
    product.json(&["config", "generations", "--json"])["active"].as_u64().unwrap_or(0)
}

fn status(product: &Product) -> String {
    product.run(&["status"]).stdout
}

#[test]
fn g11_saved_rules_take_over_however_they_were_saved() {
    let server = InProcess::start();
    let product = installation(&server, WATCHED, &titled("v1"), 3);
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.titles() == ["v1"; 3]);
    assert_eq!(daemon.metric("kakehi_config_last_reload_successful"), Some(1.0));

    // Renamed into place, as most editors and tools do.
    product.write("manifest.yml", &titled("v2"));
    until("v2 everywhere", || server.titles() == ["v2"; 3]);
    // Written in place.
    fs::write(product.path("manifest.yml"), titled("v3")).unwrap();
    until("v3 everywhere", || server.titles() == ["v3"; 3]);
    // The same text again is no change.
    fs::write(product.path("manifest.yml"), titled("v3")).unwrap();
    // By the signal that services know.
    fs::write(product.path("manifest.yml"), titled("v4")).unwrap();
    daemon.signal("-HUP");
    until("v4 everywhere", || server.titles() == ["v4"; 3]);

    assert_eq!(active(&product), 4);
    assert_eq!(daemon.metric("kakehi_rules_generation"), Some(4.0));
    let taken = daemon.events().into_iter().filter(|event| event["event_id"] == "RL001");
    let rules: Vec<u64> = taken.filter_map(|event| event["rules"].as_u64()).collect();
    // Of the two rules one was changed, each time.
    assert_eq!(rules, [1, 1, 1]);
    assert_eq!(daemon.count("RL002"), 0, "{}", daemon.text());
    assert_eq!(daemon.stop(), Some(0));
}

/// As Kubernetes mounts a ConfigMap: every name is a link into `..data`, which is a link itself and
/// is swapped as a whole.
#[test]
fn g11_a_swapped_data_link_is_seen_and_a_module_changes_with_its_pin() {
    let server = InProcess::start();
    let product = installation(&server, WATCHED, "", 2);
    let root = product.path("mounted");
    let publish = |version: &str, title: &str, module: &str| {
        let folder = root.join(version);
        fs::create_dir_all(&folder).unwrap();
        let pin = sha256(module.as_bytes());
        let rule = format!(
            "  - {{name: Names, precedence: 50, connector: hr, direction: inbound, \
             from: inetOrgPerson, to: person, link: join, \
             module: {{path: rule.wat, sha256: {pin}}}}}\n"
        );
        let manifest = titled(title).replace("rules:\n", &format!("rules:\n{rule}"));
        fs::write(folder.join("manifest.yml"), manifest).unwrap();
        fs::write(folder.join("rule.wat"), module).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    publish("..v1", "v1", MODULE);
    for name in ["manifest.yml", "rule.wat"] {
        symlink(Path::new("..data").join(name), root.join(name)).unwrap();
    }
    let config = product.read("config.yml");
    product.write("config.yml", &config.replace("manifest.yml", "mounted/manifest.yml"));
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.titles() == ["v1"; 2]);
    publish("..v2", "v2", &format!("{MODULE}\n;; another one"));
    until("v2 everywhere", || server.titles() == ["v2"; 2]);
    assert_eq!((daemon.count("RL001"), daemon.count("RL002")), (1, 0), "{}", daemon.text());
    // A module without its pin waits, and says so once.
    fs::write(root.join("..v2/rule.wat"), format!("{MODULE}\n;; a third one")).unwrap();
    until("the refusal", || daemon.count("RL002") == 1);
    assert!(status(&product).contains("K0502"), "{}", status(&product));
    assert_eq!(daemon.metric("kakehi_config_last_reload_successful"), Some(0.0));
    publish("..v3", "v3", &format!("{MODULE}\n;; a third one"));
    until("v3 everywhere", || server.titles() == ["v3"; 2]);
    assert_eq!(daemon.metric("kakehi_config_last_reload_successful"), Some(1.0));
}

#[test]
fn g11_what_is_refused_leaves_the_old_generation_at_work_and_says_why() {
    let server = InProcess::start();
    let product = installation(&server, UNWATCHED, &titled("v1"), 60);
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.titles().len() == 60);
    let with_rule = |rule: &str| titled("v2").replace("rules:\n", &format!("rules:\n  - {rule}\n"));
    let in_rule = |rest: &str| {
        with_rule(&format!(
            "{{name: New, precedence: 50, connector: hr, direction: inbound, \
             from: inetOrgPerson, to: person, link: join, {rest}}}"
        ))
    };
    let trapping = MODULE.replace(
        "(i32.const 256))\n  (func (export \"cabi_post_describe\")",
        "(unreachable))\n  (func (export \"cabi_post_describe\")",
    );
    assert_ne!(trapping, MODULE, "the module is not as this test expects it");
    product.write("trap.wat", &trapping);
    let trap = format!("module: {{path: trap.wat, sha256: {}}}", sha256(trapping.as_bytes()));
    for (manifest, code, exit) in [
        ("rules: [".to_owned(), "K0302", 78),
        (in_rule("module: {path: missing.wasm}"), "K0501", 78),
        (in_rule("module: {path: trap.wat}"), "K0502", 78),
        (in_rule("module: {path: manifest.yml, sha256: PIN}"), "K050", 78),
        (
            in_rule("module: 'builtin:declarative', config: {flows: [{to: x, expr: 'Left('}]}"),
            "K0508",
            78,
        ),
        // It loads, and fails on all of sixty objects: found by the rehearsal.
        (in_rule(&trap), "K0516", 78),
    ] {
        product.write("manifest.yml", &manifest);
        let answer = product.run(&["config", "reload"]);
        assert_eq!(answer.code, exit, "{manifest}\n{answer}");
        assert!(answer.stderr.contains(code), "{code}: {answer}");
        assert!(status(&product).contains("was refused"), "{}", status(&product));
        assert!(status(&product).contains(code), "{code}: {}", status(&product));
    }
    // Who only looks sees what the service works with.
    product.write("manifest.yml", "rules: [");
    for looking in [&["explain", "u1"][..], &["runs", "list"], &["status"]] {
        let seen = product.run(looking);
        assert_eq!(seen.code, 0, "{looking:?}: {seen}");
    }
    assert_eq!(product.run(&["once"]).code, 78);
    assert_eq!(daemon.count("RL002"), 6, "{}", daemon.text());
    assert_eq!(daemon.metric("kakehi_config_last_reload_successful"), Some(0.0));
    assert_eq!((active(&product), server.titles()), (1, vec!["v1".to_owned(); 60]));
    product.write("manifest.yml", &titled("v2"));
    let answer = product.run(&["config", "reload"]);
    assert_eq!(answer.code, 0, "{answer}");
    assert!(answer.stdout.contains("generation 2 is in force"), "{answer}");
    until("v2 everywhere", || server.titles() == vec!["v2"; 60]);
    assert!(!status(&product).contains("refused"), "{}", status(&product));
}

/// The rehearsal cannot see what only a new reading of the source shows.
#[test]
fn g11_p08_a_rule_that_breaks_in_its_first_run_gives_way_to_the_generation_before() {
    let server = InProcess::start();
    let product = installation(&server, UNWATCHED, &titled("v1"), 60);
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.titles().len() == 60);
    // It reads `sn`, which no rule read so far, and traps where there is one.
    let apply = "(i32.store (i32.const 300) (i32.load offset=8 (local.get 2)))";
    let broken = MODULE.replace("(i32.const 16) \"dn\"", "(i32.const 16) \"sn\"").replace(
        apply,
        "(if (local.get 3) (then (unreachable)))
         (i32.store (i32.const 264) (i32.const 0)) (return (i32.const 256))",
    );
    assert!(broken.contains("\"sn\"") && broken.contains("(then (unreachable))"));
    product.write("broken.wat", &broken);
    let rule = format!(
        "  - {{name: New, precedence: 50, connector: hr, direction: inbound, \
         from: inetOrgPerson, to: person, link: join, \
         module: {{path: broken.wat, sha256: {}}}}}\n",
        sha256(broken.as_bytes())
    );
    product.write("manifest.yml", &titled("v2").replace("rules:\n", &format!("rules:\n{rule}")));
    let answer = product.run(&["config", "reload"]);
    assert_eq!(answer.code, 0, "the rehearsal finds nothing: {answer}");
    until("the way back", || daemon.count("RL005") == 1);
    until("the first generation again", || active(&product) == 1);
    let said = status(&product);
    assert!(said.contains("was refused") && said.contains("rule `New@hr` failed"), "{said}");
    assert_eq!(server.titles(), vec!["v1"; 60], "nothing of it was sent");
    assert_eq!(daemon.metric("kakehi_config_last_reload_successful"), Some(0.0));
    product.write("manifest.yml", &titled("v3"));
    assert_eq!(product.run(&["config", "reload"]).code, 0);
    until("v3 everywhere", || server.titles() == vec!["v3"; 60]);
}

#[test]
fn k0513_p03_rules_that_change_too_much_wait_for_their_plan_to_be_applied() {
    let server = InProcess::start();
    let product =
        installation(&server, "reload: {debounce: 100ms, max_changes: 5}", &titled("v1"), 9);
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.titles() == ["v1"; 9]);
    product.write("manifest.yml", &titled("v2"));
    until("the hold", || daemon.count("RL002") == 1);
    let said = status(&product);
    assert!(said.contains("they would change 9 objects, more than the 5"), "{said}");
    // It is held over a restart, too; nothing of it is sent.
    assert_eq!(daemon.stop(), Some(0));
    let daemon = Daemon::start(&product);
    assert_eq!((active(&product), server.titles()), (1, vec!["v1".to_owned(); 9]));
    let file = product.path("plan.json").display().to_string();
    // What the service would do, and what the files would.
    assert_eq!(product.run(&["plan", "--detailed-exitcode"]).code, 0);
    let plan = product.run(&["plan", "--candidate", "--detailed-exitcode", "-o", &file]);
    assert_eq!(plan.code, 3, "{plan}");
    let applied = product.run(&["apply", &file]);
    assert_eq!(applied.code, 0, "{applied}");
    assert_eq!((active(&product), server.titles()), (2, vec!["v2".to_owned(); 9]));
    assert_eq!(daemon.stop(), Some(0));
    // Changed while nothing ran: held at the start.
    product.write("manifest.yml", &titled("v3"));
    let daemon = Daemon::start(&product);
    assert!(status(&product).contains("more than the 5"), "{}", status(&product));
    assert_eq!((active(&product), server.titles()), (2, vec!["v2".to_owned(); 9]));
    // A plan that was made before something else changed is stale, and releases nothing.
    let plan = product.run(&["plan", "--candidate", "-o", &file]);
    assert_eq!(plan.code, 0, "{plan}");
    product.write("hr.ldif", &people(8));
    let stale = product.run(&["apply", &file]);
    assert_eq!(stale.code, 5, "{stale}");
    assert!(server.titles().iter().all(|title| title == "v2"), "{:?}", server.titles());
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn k0513_rules_that_would_take_too_many_away_wait() {
    let server = InProcess::start();
    let product = installation(&server, UNWATCHED, &titled("v1"), 30);
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.titles().len() == 30);
    let scope = "scope: [[{attr: sourceAnchor, op: ISNOTNULL}]]";
    assert!(LDIF_MANIFEST.contains(scope));
    let nobody =
        titled("v1").replace(scope, "scope: [[{attr: sourceAnchor, op: EQUAL, value: u1}]]");
    product.write("manifest.yml", &nobody);
    let answer = product.run(&["config", "reload"]);
    assert_eq!(answer.code, 5, "{answer}");
    assert!(answer.stderr.contains("29 objects would be deleted or disabled"), "{answer}");
    assert_eq!(active(&product), 1);
    assert_eq!(daemon.count("RN002"), 0, "no run met the limit");
}

#[test]
fn an_earlier_generation_comes_back_by_one_command_and_stays_until_the_files_change() {
    let server = InProcess::start();
    let product = installation(&server, WATCHED, &titled("v1"), 3);
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.titles() == ["v1"; 3]);
    for title in ["v2", "v3"] {
        product.write("manifest.yml", &titled(title));
        until("the next title", || server.titles() == [title; 3]);
    }
    let back = product.run(&["config", "rollback"]);
    assert_eq!(back.code, 0, "{back}");
    until("v2 again", || server.titles() == ["v2"; 3]);
    let back = product.run(&["config", "rollback", "1"]);
    assert!(back.stdout.contains("generation 1 is in force"), "{back}");
    until("v1 again", || server.titles() == ["v1"; 3]);
    assert_eq!(product.run(&["config", "rollback", "9"]).code, 2);
    assert!(status(&product).contains("stands in for the files on disk"), "{}", status(&product));
    // Over a restart, for other commands, and without a service.
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(product.run(&["plan", "--detailed-exitcode"]).code, 0);
    let back = product.run(&["config", "rollback", "2"]);
    assert_eq!(back.code, 0, "{back}");
    assert_eq!(product.run(&["once"]).code, 0);
    assert_eq!(server.titles(), ["v2"; 3]);
    let daemon = Daemon::start(&product);
    assert_eq!(active(&product), 2);
    // Until the files change.
    product.write("manifest.yml", &titled("v4"));
    until("v4 everywhere", || server.titles() == ["v4"; 3]);
    assert!(!status(&product).contains("stands in"), "{}", status(&product));
    let listed = product.run(&["config", "generations"]).stdout;
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert_eq!(daemon.stop(), Some(0));
    // A `once` that has nothing to do leaves all of that alone.
    let before = contents(&product.state());
    assert_eq!(product.run(&["once"]).code, 0);
    assert!(contents(&product.state()) == before, "the state directory is another one");
}

#[test]
fn without_a_service_a_reload_says_so() {
    let server = InProcess::start();
    let product = installation(&server, WATCHED, &titled("v1"), 1);
    let answer = product.run(&["config", "reload"]);
    assert_eq!(answer.code, 75, "{answer}");
    assert!(answer.stderr.contains("K0221"), "{answer}");
}

#[test]
fn metrics_and_health_answer_and_nothing_else_does() {
    let server = InProcess::start();
    let product = installation(&server, UNWATCHED, &titled("v1"), 2);
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.titles().len() == 2);
    until("the run is counted", || daemon.get("/metrics").contains("kakehi_runs_total"));
    let metrics = daemon.get("/metrics");
    for line in [
        "kakehi_changes_total{outcome=\"done\"} 2",
        "kakehi_rule_calls_total{rule=\"Join@hr\"} 2",
        "kakehi_rule_traps_total{rule=\"Join@hr\"} 0",
        "kakehi_rule_duration_seconds_count{rule=\"Join@hr\"} 1",
        "# TYPE kakehi_runs_total counter",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(daemon.get("/healthz").contains("200 OK"));
    assert!(daemon.get("/").contains("404"));
    assert!(!metrics.contains(TOKEN) && !metrics.contains("u1"));
}
