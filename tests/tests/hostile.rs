//! Directories that mean no good, or hold what nobody expected: a clear problem or the right
//! result, never a panic, never a run that does not end.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kakehi_tests::installation::TOKEN;
use kakehi_tests::product::{Answer, Product};
use kakehi_tests::receiver::InProcess;
use serde_json::Value as Json;

/// Members of the one large group.
const MANY: usize = 50_000;

const MANIFEST: &str = r#"version: 1
connectors:
  - {name: hr, kind: openldap, order: 1}
  - {name: cloud, kind: scim, order: 2}
rules:
  - name: In from HR - User Join
    precedence: 100
    connector: hr
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    join: [[{cs: uid, mv: uid}]]
    module: builtin:declarative
    config:
      flows:
        - {to: uid, from: uid}
        - {to: displayName, from: cn}
        - {to: title, from: title}
        - {to: manager, from: manager}
  - name: In from HR - Group Join
    precedence: 110
    connector: hr
    direction: inbound
    from: groupOfNames
    to: group
    link: provision
    module: builtin:declarative
    config: {flows: [{to: uid, from: uid}, {to: displayName, from: cn}, {to: member, from: member}]}
  - name: Out to SCIM - User Join
    precedence: 100
    connector: cloud
    direction: outbound
    from: person
    to: User
    link: provision
    scope: [[{attr: uid, op: ISNOTNULL}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: uid}
        - {to: userName, from: uid}
        - {to: displayName, from: displayName}
        - {to: title, from: title}
        - {to: 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager', from: manager}
  - name: Out to SCIM - Group Join
    precedence: 110
    connector: cloud
    direction: outbound
    from: group
    to: Group
    link: provision
    scope: [[{attr: uid, op: ISNOTNULL}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: uid}
        - {to: displayName, from: displayName}
        - {to: members, from: member}
"#;

fn installation(server: &InProcess, ldif: &str) -> Product {
    let config = format!(
        "manifest: manifest.yml
state: {{path: state}}
rules: {{cache: cache}}
sources: {{hr: {{ldif: {{path: hr.ldif, anchor: uid, links: [manager, member]}}}}}}
targets: {{cloud: {{base_url: {}, credential: cloud-token}}}}
credentials: {{cloud-token: {{kind: scim_bearer}}}}
",
        server.base_url()
    );
    Product::new(&[
        ("config.yml", &config),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", MANIFEST),
        ("hr.ldif", ldif),
    ])
}

fn user(uid: &str, dn: &str, more: &str) -> String {
    format!("dn: {dn}\nobjectClass: inetOrgPerson\nuid: {uid}\n{more}\n")
}

fn group(uid: &str, members: impl IntoIterator<Item = String>) -> String {
    let mut text = format!("dn: cn={uid},o=x\nobjectClass: groupOfNames\nuid: {uid}\ncn: {uid}\n");
    for member in members {
        let _ = writeln!(text, "member: {member}");
    }
    text + "\n"
}

/// What was sent is stable: another cycle over the same directory sends nothing.
fn settled(product: &Product, server: &InProcess, expected: &[i32]) -> Answer {
    let first = product.run(&["once"]);
    assert!(expected.contains(&first.code), "{first}");
    let writes = server.writes();
    let again = product.run(&["once", "--full"]);
    assert!(expected.contains(&again.code), "{again}");
    assert_eq!(server.writes(), writes, "{again}");
    first
}

fn named<'a>(resources: &'a [Json], name: &str) -> &'a Json {
    let found = resources.iter().find(|resource| resource["externalId"] == name);
    found.unwrap_or_else(|| panic!("`{name}` is not among {} resources", resources.len()))
}

fn members(group: &Json) -> BTreeSet<&str> {
    let members = group["members"].as_array().into_iter().flatten();
    members.filter_map(|member| member["value"].as_str()).collect()
}

#[test]
fn a_group_of_fifty_thousand_comes_whole_and_one_more_is_one_small_request() {
    let person = |number: usize| format!("uid=u{number},o=x");
    let mut ldif = String::new();
    for number in 0..=MANY {
        ldif += &user(&format!("u{number}"), &person(number), "");
    }
    let server = InProcess::start();
    let product = installation(&server, &(ldif.clone() + &group("all", (0..MANY).map(person))));
    settled(&product, &server, &[0]);
    assert_eq!(members(named(&server.groups(), "all")).len(), MANY);

    product.write("hr.ldif", &(ldif + &group("all", (0..=MANY).map(person))));
    let before = server.requests().len();
    product.json(&["once", "--json"]);
    let requests = server.requests();
    let writes: Vec<_> = requests[before..].iter().filter(|sent| sent.method != "GET").collect();
    assert_eq!(writes.len(), 1);
    let bytes = writes[0].body.len();
    assert!(bytes < 400, "{bytes} bytes");
    assert_eq!(members(named(&server.groups(), "all")).len(), MANY + 1);
}

#[test]
fn p05_ten_megabytes_of_groups_that_contain_each_other_come_to_an_end() {
    const GROUPS: usize = 5_000;
    const SIZE: usize = 100;
    let name = |number: usize| format!("g{:05}", number % GROUPS);
    let mut ldif = String::new();
    for number in 0..GROUPS {
        // The next hundred, in a ring, itself among them.
        let ring = (0..SIZE).map(|step| format!("cn={},o=x", name(number + step)));
        ldif += &group(&name(number), ring);
    }
    assert!(ldif.len() > 10_000_000, "{} bytes", ldif.len());
    let server = InProcess::start();
    let product = installation(&server, &ldif);
    settled(&product, &server, &[0]);
    let groups = server.groups();
    assert_eq!(groups.len(), GROUPS);
    let own = named(&groups, "g00000");
    assert_eq!(members(own).len(), SIZE);
    assert!(members(own).contains(own["id"].as_str().unwrap_or_default()));
}

#[test]
fn managers_in_a_ring_find_each_other() {
    let ldif = user("a", "uid=a,o=x", "manager: uid=b,o=x\n")
        + &user("b", "uid=b,o=x", "manager: uid=a,o=x\n")
        + &user("self", "uid=self,o=x", "manager: UID=SELF, O=X\n");
    let server = InProcess::start();
    settled(&installation(&server, &ldif), &server, &[0]);
    let users = server.all();
    let manager = |name: &str| -> String {
        let extension = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let value = &named(&users, name)[extension]["manager"]["value"];
        value.as_str().unwrap_or_default().to_owned()
    };
    for (who, boss) in [("a", "b"), ("b", "a"), ("self", "self")] {
        assert_eq!(manager(who), named(&users, boss)["id"].as_str().unwrap_or_default());
    }
}

#[test]
fn names_with_every_escape_are_the_same_name_in_every_spelling() {
    // RFC 4514: the entry's own spelling, and another one by which a group refers to it.
    let spellings = [
        ("comma", r"cn=a\,b,o=x", r"CN=a\2Cb, O=x"),
        ("plus", r"cn=a\+b,o=x", r"cn=a\2bb,o=x"),
        ("quote", r#"cn=a\"b,o=x"#, r"cn=a\22b,o=x"),
        ("backslash", r"cn=a\\b,o=x", r"cn=a\5Cb,o=x"),
        ("angle", r"cn=\<a\>,o=x", r"cn=\3Ca\3e,o=x"),
        ("semicolon", r"cn=a\;b,o=x", r"cn=a\3bb,o=x"),
        ("hash", r"cn=\#a,o=x", r"cn=\23a,o=x"),
        ("blanks", r"cn=\ a\ ,o=x", r"cn=\20a\20,o=x"),
        ("utf8", r"cn=\E5\B1\B1,o=x", "cn=山,o=x"),
        ("several", "cn=a+uid=several,o=x", "uid=several+cn=a,o=x"),
    ];
    let mut ldif = String::new();
    for (uid, dn, _) in &spellings {
        ldif += &user(uid, dn, "");
    }
    let mut everybody =
        "dn: cn=everybody,o=x\nobjectClass: groupOfNames\nuid: g\ncn: g\n".to_owned();
    for (.., other) in &spellings {
        let _ = writeln!(everybody, "member:: {}", BASE64.encode(other));
    }
    let server = InProcess::start();
    settled(&installation(&server, &(ldif + &everybody + "\n")), &server, &[0]);
    let (users, groups) = (server.all(), server.groups());
    let members = members(named(&groups, "g"));
    let missing: Vec<&str> = spellings
        .iter()
        .map(|(uid, ..)| *uid)
        .filter(|uid| !members.contains(named(&users, uid)["id"].as_str().unwrap_or_default()))
        .collect();
    assert!(missing.is_empty(), "not recognised in another spelling: {missing:?}");
}

#[test]
fn strange_values_are_a_problem_of_their_object_or_come_as_they_are() {
    let ldif = user("nul", "uid=nul,o=x", "title:: YQBi\n")
        + &user("latin1", "uid=latin1,o=x", "title:: /2Fi\n")
        + &user("case", "uid=case,o=x", "TITLE: one\ntitle: one\n")
        + &user("long", "uid=long,o=x", &format!("title: {}\n", "x".repeat(200_000)))
        + &user("markup", "uid=markup,o=x", "title: <script>alert(1)</script>\n")
        + &user("plain", "uid=plain,o=x", "title: staff\n")
        + "dn: uid=twice,o=x\nobjectClass: inetOrgPerson\nuid: twice\ntitle: a\ntitle: b\n\n";
    let server = InProcess::start();
    let product = installation(&server, &ldif);
    let answer = settled(&product, &server, &[0, 4]);
    assert!(!answer.stderr.contains("panicked"), "{answer}");
    let users = server.all();
    assert_eq!(named(&users, "plain")["title"], "staff");
    assert_eq!(named(&users, "markup")["title"], "<script>alert(1)</script>");
    assert_eq!(named(&users, "nul")["title"], "a\0b");
    assert_eq!(named(&users, "long")["title"].as_str().map(str::len), Some(200_000));
    // Two values for one place are an error, never a pick (P-17).
    assert!(!users.iter().any(|user| user["externalId"] == "twice"));
    let status = product.run(&["status"]).stdout;
    assert!(status.contains("problem"), "{status}");
    let explained = product.run(&["explain", "twice"]).stdout;
    assert!(explained.contains("multi-to-single"), "{explained}");
}

#[test]
fn expressions_nested_without_end_are_refused_with_their_place() {
    let server = InProcess::start();
    let product = installation(&server, &user("a", "uid=a,o=x", ""));
    for deep in [
        format!("{}[title]{}", "Trim(".repeat(100_000), ")".repeat(100_000)),
        format!("{}1", "-".repeat(100_000)),
        format!("{}[title]", "(".repeat(30_000)),
        "[title] & ".repeat(50_000) + "[title]",
    ] {
        let expr = format!("{{to: title, expr: '{deep}'}}");
        product.write("manifest.yml", &MANIFEST.replacen("{to: title, from: title}", &expr, 1));
        let answer = product.run(&["config", "check"]);
        assert_eq!(answer.code, 78, "{}", answer.stderr.chars().take(500).collect::<String>());
        assert!(!answer.stderr.contains("panicked"));
    }
}
