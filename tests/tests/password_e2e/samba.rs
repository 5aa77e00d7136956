//! A Samba domain controller, as a source by `samba-tool user syncpasswords`, and as a target by
//! `unicodePwd` (password.md 8.2, 9). Nothing is synchronized but passwords.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kakehi::delivery::receiver::Receiver;
use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::installation::TOKEN;
use kakehi_tests::product::{Product, program};
use kakehi_tests::samba::{ADMIN, ADMIN_PASSWORD, BASE, Samba};
use kakehi_tests::slapd::{PEOPLE, READER, READER_PASSWORD};
use serde_json::{Value as Json, json};

use crate::office::{
    EMOJI, audit, binds, done, nothing_waits, output, rejections, said, strict, told, waiting,
};

const FIRST: &str = "First-of-the-domain-1";
/// A domain wants characters of three kinds.
const JAPANESE: &str = "ひみつ-Ab1 <&'\"\\%> パスワード";

/// The passwords that a service was told to set, in order.
fn set_at(cloud: &Receiver) -> Vec<String> {
    let patches = cloud.requests().into_iter().filter(|request| request.method == "PATCH");
    let value = |body: Vec<u8>| {
        let body: Json = serde_json::from_slice(&body).expect("a JSON body");
        let operation = body["Operations"][0].clone();
        assert_eq!(operation["path"], "password", "{operation}");
        operation["value"].as_str().expect("a text").to_owned()
    };
    patches.map(|request| value(request.body)).collect()
}

/// The file that Samba starts: it passes no arguments.
fn wrapper(product: &Product) -> PathBuf {
    let path = product.path("samba-hook");
    let [config, spool, seen] =
        ["config.yml", "spool", "seen"].map(|name| product.path(name).display().to_string());
    let program = program().display().to_string();
    let text = format!(
        "#!/bin/sh\nexec '{program}' --config '{config}' password samba-hook --spool '{spool}' \
         --seen '{seen}'\n"
    );
    product.write("samba-hook", &text);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a file of ours");
    path
}

#[test]
fn o01_o11_o13_o33_passwords_of_a_domain_arrive_at_a_service_and_a_directory() {
    let users = json!([
        {"id": "u-1", "userName": "taro"}, {"id": "u-2", "userName": "hana"}
    ]);
    let cloud = Receiver::resume(TOKEN, &json!({"Users": users, "Groups": []}));
    let (cloud, branch) = (cloud.expect("a free port"), strict(&["taro", "hana"]));
    let config = format!(
        "state: {{path: state}}
targets:
  cloud: {{base_url: {}, credential: cloud-token}}
credentials:
  cloud-token: {{kind: scim_bearer}}
  branch: {{kind: ldap_bind}}
password:
  retry: {{rejected: {{triggers: [event]}}, not_found: {{triggers: [timer]}}}}
  agents: {{dc1: {{source: domain}}}}
  targets:
    cloud: {{match: {{source: sAMAccountName, target: userName}}}}
    branch:
      ldap:
        kind: openldap
        urls: [{}]
        bind: {{dn: '{READER}', credential: branch}}
        bases: ['{PEOPLE}']
      match: {{source: sAMAccountName, target: uid}}
",
        cloud.base_url(),
        branch.url()
    );
    let secrets = format!(
        "credentials:\n  branch: {{value: {READER_PASSWORD}}}\n  \
         cloud-token: {{value: {TOKEN}}}\n"
    );
    let product = Product::new(&[("config.yml", &config), ("secret.yml", &secrets)]);
    done(&product, &["password", "keys", "new"]);
    let samba = Samba::start();
    let sync = samba.sync_passwords(&wrapper(&product));
    let pass = |expected: &str| {
        let output = sync.pass();
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    };
    pass("DONE-EXIT: ");
    // O-33: what changes while we are away waits in the spool.
    samba.create("taro", "Created-with-ひ1");
    pass("DONE-EXIT: spooled");
    let daemon = Daemon::start(&product);
    samba.create("hana", "Created-later-1");
    pass("DONE-EXIT: queued");
    until("it arrives", || binds(&branch, "hana", "Created-later-1"));
    until("the older one as well", || binds(&branch, "taro", "Created-with-ひ1"));
    samba.reset("taro", JAPANESE);
    pass("DONE-EXIT: queued");
    until("it arrives", || binds(&branch, "taro", JAPANESE));
    let changed = samba.change("taro", JAPANESE, EMOJI);
    assert!(changed.status.success(), "{}", said(&changed));
    pass("DONE-EXIT: queued");
    until("it arrives", || binds(&branch, "taro", EMOJI));
    // The user of the same account that is called differently now.
    samba.rename("hana", "jiro");
    pass("DONE-EXIT: nothing to do");
    samba.reset("hana", "Nobody-has-that-name-1");
    pass("DONE-EXIT: queued");
    until("there is no such user", || told(&daemon, "PW030", "branch") > 0);
    until("nowhere", || told(&daemon, "PW030", "cloud") > 0);
    assert!(binds(&branch, "hana", "Created-later-1"));
    let count = |password: &str| set_at(&cloud).iter().filter(|set| *set == password).count();
    for password in ["Created-with-ひ1", "Created-later-1", JAPANESE, EMOJI] {
        until("the service has it once", || count(password) == 1);
    }
    assert_eq!(set_at(&cloud).len(), 4);
    assert!(cloud.users().iter().all(|user| user.get("password").is_none()));
}

/// Whether somebody can log in to a domain, by the word of another client. Samba does not say who
/// one is.
fn logs_in(samba: &Samba, product: &Product, name: &str, password: &str) -> bool {
    product.write("tried", password);
    let who = format!("{name}@ad.example.test");
    let mut command = Command::new("ldapsearch");
    command.env("LDAPTLS_CACERT", samba.ca());
    command.args(["-x", "-H", &samba.ldaps_url(), "-D", &who, "-s", "base", "-b", BASE]);
    output(command.arg("-y").arg(product.path("tried")).arg("dn")).status.success()
}

#[test]
fn o25_n19_passwords_are_set_in_a_domain_and_its_policy_says_no() {
    let samba = Samba::start();
    samba.create("hana", FIRST);
    let config = format!(
        "state: {{path: state}}
credentials:
  domain: {{kind: ldap_bind}}
password:
  agents: {{local: {{source: hr}}}}
  targets:
    domain:
      ldap:
        urls: ['{}']
        tls: {{ca: '{}'}}
        bind: {{dn: '{ADMIN}', credential: domain}}
        bases: ['{BASE}']
      match: {{target: sAMAccountName}}
      style: unicode_pwd
",
        samba.ldaps_url(),
        samba.ca().display()
    );
    let secrets = format!("credentials:\n  domain: {{value: {ADMIN_PASSWORD}}}\n");
    let product = Product::new(&[("config.yml", &config), ("secret.yml", &secrets)]);
    done(&product, &["password", "keys", "new"]);
    let daemon = Daemon::start(&product);
    let spool = product.path("spool").display().to_string();
    let send = |password: &str| {
        product.write("new", password);
        let input = std::fs::File::open(product.path("new")).expect("a file of ours");
        let arguments = ["password", "send", "--user-key", "login:hana", "--spool", &spool];
        let mut command = product.command(&arguments);
        let sent = output(command.stdin(Stdio::from(input)));
        assert!(sent.status.success(), "{}", said(&sent));
        assert_eq!(said(&sent).trim(), "queued");
    };
    let mut before = FIRST.to_owned();
    for password in ["Sent-by-hr-1", JAPANESE, EMOJI] {
        send(password);
        std::thread::sleep(std::time::Duration::from_secs(5));
        eprintln!("{}", daemon.text());
        until("the domain takes it", || logs_in(&samba, &product, "hana", password));
        assert!(!logs_in(&samba, &product, "hana", &before));
        before = password.to_owned();
    }
    until("nothing waits", || nothing_waits(&product));
    // O-15: too short, and of one kind of characters.
    for (count, password) in [(1, "Sh-1"), (2, "onlysmallletters")] {
        send(password);
        until("the domain refuses", || rejections(&daemon, "domain").len() == count);
        assert_eq!(waiting(&product, "domain"), [("WAIT_REJECTED".to_owned(), 1)]);
    }
    // 0000052D tells no more than that it does not fit.
    for category in rejections(&daemon, "domain") {
        assert!(["too_short", "complexity"].contains(&category.as_str()), "{category}");
    }
    assert!(logs_in(&samba, &product, "hana", EMOJI));
    send("Good-enough-again-1");
    until("the domain takes it", || logs_in(&samba, &product, "hana", "Good-enough-again-1"));
    until("nothing waits", || nothing_waits(&product));
    let last = audit(&product, "hana", "domain").split_off(6);
    assert_eq!(last, ["queued", "SUPERSEDED", "queued", "SUPERSEDED", "queued", "DELIVERED"]);
}
