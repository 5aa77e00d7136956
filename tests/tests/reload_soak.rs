//! Two hundred reloads under a service that synchronizes ten thousand users while they change.

use std::collections::BTreeSet;

use kakehi_tests::company::{Company, user_dn};
use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::installation::openldap_to_scim;
use kakehi_tests::product::Product;
use kakehi_tests::receiver::InProcess;
use kakehi_tests::slapd::Slapd;
use serde_json::Value as Json;

const USERS: usize = 10_000;
/// Objects that the changing rules are about.
const GROUPS: usize = 100;
const RELOADS: usize = 200;
/// Where the memory is taken: everything was done several times by then.
const WARM: usize = 40;
/// What the memory may differ by afterwards, in KiB: far below what a leak of one generation, one
/// world or one rehearsal in each reload would leave.
const FLAT_KIB: u64 = 32 * 1024;

/// Groups become users of their own here, with the number of the generation in two attributes: one
/// by the inbound rule, one by the outbound rule. Whoever is evaluated by two generations has two
/// numbers.
const MANIFEST: &str = "version: 1
connectors:
  - {name: corp, kind: openldap, order: 1}
  - {name: cloud, kind: scim, order: 2}
rules:
  - name: People
    precedence: 100
    connector: corp
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    join: [[{cs: uid, mv: sourceAnchor}]]
    module: builtin:declarative
    config: {flows: [{to: sourceAnchor, from: uid}, {to: title, from: title}]}
  - name: Groups
    precedence: 110
    connector: corp
    direction: inbound
    from: groupOfNames
    to: robot
    link: provision
    join: [[{cs: cn, mv: sourceAnchor}]]
    module: builtin:declarative
    config: {flows: [{to: sourceAnchor, from: cn}, {to: title, value: GENERATION}]}
  - name: Out
    precedence: 100
    connector: cloud
    direction: outbound
    from: person
    to: User
    link: provision
    scope: [[{attr: sourceAnchor, op: ISNOTNULL}]]
    join: [[{cs: externalId, mv: sourceAnchor}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: sourceAnchor}
        - {to: userName, from: sourceAnchor}
        - {to: title, from: title}
  - name: Groups out
    precedence: 110
    connector: cloud
    direction: outbound
    from: robot
    to: User
    link: provision
    scope: [[{attr: sourceAnchor, op: ISNOTNULL}]]
    join: [[{cs: externalId, mv: sourceAnchor}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: sourceAnchor}
        - {to: userName, from: sourceAnchor}
        - {to: title, from: title}
        - {to: displayName, value: GENERATION}
";

fn manifest(generation: usize) -> String {
    MANIFEST.replace("GENERATION", &format!("g{generation}"))
}

/// Other titles for a few of the users.
fn change(generation: usize) -> String {
    let title = |number: usize| {
        let dn = user_dn(number * 1000 + generation);
        format!("dn: {dn}\nchangetype: modify\nreplace: title\ntitle: t{generation}\n\n")
    };
    (0..USERS / 1000).map(title).collect()
}

fn installation(directory: &Slapd, server: &InProcess, generation: usize) -> Product {
    let product = openldap_to_scim(&directory.url(), &server.base_url());
    let config = product
        .read("config.yml")
        .replace("rules: {cache: cache}", "rules: {cache: cache, reload: {watch: false}}")
        + "run: {poll: 1s, drain: 10s}\n";
    product.write("config.yml", &config);
    product.write("manifest.yml", &manifest(generation));
    product
}

/// What matters of the users at the target: without the ids that it gave them.
fn picture(server: &InProcess) -> BTreeSet<[String; 4]> {
    let text = |user: &Json, key: &str| user[key].as_str().unwrap_or_default().to_owned();
    let keys = ["externalId", "userName", "title", "displayName"];
    server.all().iter().map(|user| keys.map(|key| text(user, key))).collect()
}

#[test]
fn g11_two_hundred_reloads_under_a_running_synchronization() {
    let company = Company { users: USERS, groups: GROUPS, first_group: 1, members: 1 };
    let directory = Slapd::start(&company.ldif());
    let server = InProcess::start();
    let product = installation(&directory, &server, 0);
    let daemon = Daemon::start(&product);
    until("the first delivery", || server.all().len() == USERS + GROUPS);
    let mut warm_kib = 0;
    for generation in 1..=RELOADS {
        if generation % 4 == 0 {
            directory.modify(&change(generation));
        }
        product.write("manifest.yml", &manifest(generation));
        let answer = product.run(&["config", "reload"]);
        assert_eq!(answer.code, 0, "reload {generation}: {answer}");
        if generation == WARM {
            warm_kib = daemon.resident_kib();
        }
    }
    until("the last generation everywhere", || {
        let users = server.all();
        let last = format!("g{RELOADS}");
        users.iter().filter(|user| user["displayName"] == last.as_str()).count() == GROUPS
            && users.iter().any(|user| user["title"] == format!("t{RELOADS}").as_str())
    });
    let kib = daemon.resident_kib();
    println!("resident memory: {warm_kib} KiB after {WARM} reloads, {kib} KiB after {RELOADS}");
    assert!(kib < warm_kib + FLAT_KIB, "{warm_kib} KiB grew to {kib} KiB");
    assert_eq!(daemon.count("RL001"), RELOADS);
    assert_eq!((daemon.count("RL002"), daemon.count("RL005")), (0, 0), "{}", daemon.text());

    // No request failed because of it, and none carried values of two generations.
    let mut marked = 0;
    for request in server.requests() {
        let Ok(body) = serde_json::from_slice::<Json>(&request.body) else { continue };
        let values = values(&body);
        if let [Some(title), Some(name)] = &values {
            assert_eq!(title, name, "{} {}", request.method, request.path);
            marked += 1;
        }
    }
    assert!(marked >= GROUPS, "{marked} requests carried both marks");
    let runs = product.json(&["runs", "list", "--limit", "2000", "--json"]);
    for run in runs.as_array().expect("a list") {
        assert_eq!(run["status"], "success", "{run:#}");
    }
    let through_reloads = picture(&server);
    assert_eq!(daemon.stop(), Some(0));

    // One that began with the last generation and the last data.
    let fresh = InProcess::start();
    let answer = installation(&directory, &fresh, RELOADS).run(&["once"]);
    assert_eq!(answer.code, 0, "{answer}");
    assert!(through_reloads == picture(&fresh), "the targets differ");
}

/// The two marks in a request for a group, as far as it carries them.
fn values(body: &Json) -> [Option<String>; 2] {
    let mark =
        |value: &Json| value.as_str().filter(|text| text.starts_with('g')).map(str::to_owned);
    let mut found = ["title", "displayName"].map(|key| mark(&body[key]));
    for operation in body["Operations"].as_array().into_iter().flatten() {
        for (place, key) in ["title", "displayName"].into_iter().enumerate() {
            let value = &operation["value"];
            let named = if operation["path"] == key { mark(value) } else { mark(&value[key]) };
            found[place] = named.or(found[place].take());
        }
    }
    found
}
