//! What an administrator reads before acting: explanations, previews, plans as pages, rules and
//! what hangs on them, differences between generations.

use kakehi_tests::installation::TOKEN;
use kakehi_tests::product::{Product, contents};
use kakehi_tests::receiver::InProcess;
use serde_json::{Value as Json, json};

/// People in `hr`; their telephones in `phone`, joined by mail; external people stay out, and
/// department 19 is not for the cloud.
const MANIFEST: &str = r#"version: 1
connectors:
  - {name: hr, kind: ldif, order: 1}
  - {name: phone, kind: ldif, order: 2}
  - {name: cloud, kind: scim, order: 3}
rules:
  - name: In HR
    precedence: 100
    connector: hr
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    scope: [[{attr: employeeType, op: NOTEQUAL, value: external}]]
    join: [[{cs: uid, mv: id}]]
    module: builtin:declarative
    config:
      flows:
        - {to: id, from: uid}
        - {to: mail, from: mail}
        - {to: title, from: title}
        - {to: department, from: departmentNumber}
        - {to: sn, from: sn}
  - name: In HR - Managers
    precedence: 90
    connector: hr
    direction: inbound
    from: inetOrgPerson
    to: person
    link: join
    scope: [[{attr: title, op: EQUAL, value: Manager}]]
    module: builtin:declarative
    config: {flows: [{to: title, value: Boss}]}
  - name: In Phone
    precedence: 110
    connector: phone
    direction: inbound
    from: inetOrgPerson
    to: person
    link: join
    join: [[{cs: mail, mv: mail}]]
    module: builtin:declarative
    config: {flows: [{to: telephone, from: telephoneNumber}, {to: title, from: title}]}
  - name: In HR - Groups
    precedence: 120
    connector: hr
    direction: inbound
    from: groupOfNames
    to: group
    link: provision
    module: builtin:declarative
    config: {flows: [{to: id, from: cn}, {to: member, from: member}]}
  - name: Out
    precedence: 100
    connector: cloud
    direction: outbound
    from: person
    to: User
    link: provision
    scope: [[{attr: id, op: ISNOTNULL}, {attr: department, op: NOTEQUAL, value: "19"}]]
    join: [[{cs: externalId, mv: id}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: id}
        - {to: userName, from: id}
        - {to: title, from: title}
        - {to: active, value: true}
  - name: Out - Groups
    precedence: 110
    connector: cloud
    direction: outbound
    from: group
    to: Group
    link: provision
    on_delete: delete
    scope: [[{attr: id, op: ISNOTNULL}]]
    join: [[{cs: externalId, mv: id}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: id}
        - {to: displayName, from: id}
        - {to: members, from: member}
"#;

const PEOPLE: [(&str, &str); 6] = [
    ("ann", "mail: ann@x.example\ntitle: Manager\ndepartmentNumber: 7\n"),
    ("bob", "mail: bob@x.example\ntitle: Clerk\ndepartmentNumber: 19\n"),
    ("cem", "mail: cem@x.example\nemployeeType: external\ndepartmentNumber: 7\n"),
    ("dot", "mail: twin@x.example\ntitle: Clerk\ndepartmentNumber: 7\n"),
    ("eve", "mail: twin@x.example\ndepartmentNumber: 7\n"),
    ("flo", "mail: flo@x.example\ntitle: Clerk\ndepartmentNumber: 7\n"),
];

const PHONES: [(&str, &str); 4] = [
    ("p-ann", "mail: ann@x.example\ntelephoneNumber: 1\ntitle: Head\n"),
    ("p-two", "mail: twin@x.example\ntelephoneNumber: 2\n"),
    ("p-who", "mail: nobody@x.example\ntelephoneNumber: 3\n"),
    ("p-flo", "mail: flo@x.example\ntelephoneNumber: 4\n"),
];

fn entries(people: &[(&str, &str)]) -> String {
    let entry = |(uid, more): &(&str, &str)| {
        format!("dn: uid={uid},dc=x\nobjectClass: inetOrgPerson\nuid: {uid}\nsn: {uid}\n{more}")
    };
    people.iter().map(entry).collect::<Vec<_>>().join("\n")
}

const GROUP: &str = "\ndn: cn=all,dc=x\nobjectClass: groupOfNames\nuid: g-all\ncn: all\n\
                     member: uid=ann,dc=x\nmember: uid=bob,dc=x\nmember: uid=flo,dc=x\n";

fn product(server: &InProcess) -> Product {
    let config = format!(
        "manifest: manifest.yml
state: {{path: state}}
sources:
  hr: {{ldif: {{path: hr.ldif, anchor: uid}}}}
  phone: {{ldif: {{path: phone.ldif, anchor: uid}}}}
targets:
  cloud: {{base_url: {}, credential: cloud-token}}
credentials:
  cloud-token: {{kind: scim_bearer}}
rules: {{cache: cache}}
",
        server.base_url()
    );
    Product::new(&[
        ("config.yml", &config),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", MANIFEST),
        ("hr.ldif", &(entries(&PEOPLE) + GROUP)),
        ("phone.ldif", &entries(&PHONES)),
    ])
}

/// An installation that has run once; some objects have problems.
fn settled(server: &InProcess) -> Product {
    let product = product(server);
    let answer = product.run(&["once"]);
    assert_eq!(answer.code, 4, "an ambiguous match is an error of its object: {answer}");
    product
}

fn find<'a>(list: &'a Json, key: &str, value: &str) -> &'a Json {
    let found = list.as_array().into_iter().flatten().find(|one| one[key] == value);
    found.unwrap_or_else(|| panic!("no {key} {value} in {list:#}"))
}

fn text<'a>(value: &'a Json) -> &'a str {
    value.as_str().unwrap_or_default()
}

#[test]
fn p04_every_rule_that_lost_is_told_with_its_reason() {
    let server = InProcess::start();
    let product = settled(&server);
    let story = product.json(&["explain", "ann", "title", "--json"]);
    let title = &story["attributes"]["title"];
    assert_eq!(title["values"], json!(["Boss"]));
    assert_eq!(
        (&title["winner"]["rule"], &title["winner"]["flow"]),
        (&json!("In HR - Managers"), &json!(0))
    );
    let outranked = find(&title["losers"], "rule", "In Phone");
    assert_eq!((&outranked["values"], &outranked["role"]), (&json!(["Head"]), &json!("outranked")));
    assert_eq!(outranked["source"]["connector"], "phone");
    // NULL, out of scope with the clause and what is there, no object to speak of.
    let story = product.json(&["explain", "eve", "title", "--json"]);
    let losers = &story["attributes"]["title"]["losers"];
    assert_eq!(find(losers, "rule", "In HR")["role"], "null");
    let out = find(losers, "rule", "In HR - Managers");
    assert_eq!(out["role"], "out of scope");
    assert!(text(&out["reason"]).contains("title EQUAL \"Manager\", but it is absent"), "{out:#}");
    let missing = find(losers, "rule", "In Phone");
    assert!(text(&missing["reason"]).contains("no linked inetOrgPerson object of `phone`"));
    let told = product.run(&["explain", "ann", "title"]);
    assert!(told.stdout.contains("title = \"Boss\"\n      by `In HR - Managers`"), "{told}");
    let unknown = product.run(&["explain", "ann", "titel"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean `title`?"), "{unknown}");
}

#[test]
fn an_object_that_is_not_at_a_target_has_a_reason() {
    let server = InProcess::start();
    let product = settled(&server);
    let story = product.json(&["explain", "bob", "--json"]);
    let cloud = &story["targets"][0];
    assert_eq!(
        (&cloud["state"], &cloud["why"][0]["code"]),
        (&json!("absent"), &json!("out-of-scope"))
    );
    let why = text(&cloud["why"][0]["reason"]);
    assert!(why.contains("department NOTEQUAL \"19\", but it is \"19\""), "{why}");
    let clause = &cloud["rules"][0]["scope"]["groups"][0][1];
    assert_eq!((&clause["actual"], &clause["holds"]), (&json!(["19"]), &json!(false)));
    // His membership is left out, by name.
    let group = product.json(&["explain", "cn=all,dc=x", "--json"]);
    let members = &group["attributes"]["member"]["references"];
    assert_eq!(members["count"], 3);
    let omitted = json!({"count": 1, "some": ["bob@x.example"]});
    assert_eq!(members["targets"]["cloud"]["omitted"], omitted);
}

#[test]
fn an_object_is_found_by_what_it_is_called_or_the_nearest_is_offered() {
    let server = InProcess::start();
    let product = settled(&server);
    for key in ["ann", "uid=ann,dc=x", "ANN@x.example", "p-ann", "uid=p-ann, DC=x"] {
        let story = product.json(&["explain", key, "--json"]);
        assert_eq!(story["attributes"]["id"]["values"], json!(["ann"]), "{key}");
    }
    let two = product.run(&["explain", "twin@x.example"]);
    assert_eq!(two.code, 2, "{two}");
    assert!(two.stderr.contains("`twin@x.example` names"), "{two}");
    assert!(two.stderr.contains("uid=dot,dc=x") && two.stderr.contains("uid=eve,dc=x"), "{two}");
    let near = product.run(&["explain", "flo@x.exmaple"]);
    assert_eq!(near.code, 2);
    assert!(near.stderr.contains("did you mean `flo@x.example`"), "{near}");
    let none = product.run(&["plan", "--object", "zzzz"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("hint: name it by DN"), "{none}");
}

#[test]
fn source_objects_without_a_link_have_a_reason_each() {
    let server = InProcess::start();
    let product = settled(&server);
    let told = product.json(&["explain", "--disconnectors", "--json"]);
    assert_eq!(told["count"], 3, "{told:#}");
    let of = |name: &str| {
        let list = told["objects"].as_array().expect("a list");
        let found = list.iter().find(|one| text(&one["dn"]).starts_with(name));
        found.unwrap_or_else(|| panic!("{name}: {told:#}"))["not_linked"].clone()
    };
    let external = of("uid=cem");
    assert_eq!(external["kind"], "out-of-scope");
    assert!(text(&external["reason"]).contains("employeeType NOTEQUAL \"external\""));
    let lonely = of("uid=p-who");
    assert_eq!(lonely["kind"], "no-match");
    assert!(text(&lonely["reason"]).contains("mail = \"nobody@x.example\""), "{lonely:#}");
    let twin = of("uid=p-two");
    assert_eq!(twin["kind"], "ambiguous-match");
    let candidates: Vec<&str> =
        twin["candidates"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect();
    assert_eq!(candidates.len(), 2, "{twin:#}");
    let only = product.json(&["explain", "--disconnectors", "hr", "--json"]);
    assert_eq!(only["count"], 1);
    let unknown = product.run(&["explain", "--disconnectors", "phnoe"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("did you mean `phone`?"), "{unknown}");
}

/// Managers are not for the cloud any more, and Clerk is written otherwise.
fn candidate(product: &Product) {
    let other = MANIFEST
        .replace("value: \"19\"}]]", "value: \"19\"}, {attr: title, op: NOTEQUAL, value: Boss}]]")
        .replace(
            "{to: title, from: title}\n        - {to: active",
            "{to: title, expr: 'UCase([title])'}\n        - {to: active",
        );
    product.write("candidate/manifest.yml", &other);
}

#[test]
fn p01_a_preview_is_the_plan_of_one_object_and_changes_nothing() {
    let server = InProcess::start();
    let product = settled(&server);
    candidate(&product);
    let before = contents(&product.state());
    let path = product.path("candidate").display().to_string();
    let plan = product.json(&["plan", "--candidate", &path, "--json"]);
    for (key, name) in [("flo", "flo"), ("ann", "ann")] {
        let told = product.json(&["plan", "--object", key, "--candidate", &path, "--json"]);
        let export = &told["targets"][0]["export"];
        let planned = find(&plan["exports"], "match", name);
        assert_eq!(export["op"], planned["op"], "{told:#}");
        let changes = |of: &Json| -> Vec<Json> {
            let list = of["changes"].as_array().cloned().unwrap_or_default();
            list.iter().map(|one| json!([one["attribute"], one["replace"], one["old"]])).collect()
        };
        assert_eq!(changes(export), changes(planned), "{key}");
    }
    // Scope with the actual values, the metaverse, and all that is taken away.
    let told = product.json(&["plan", "--object", "ann", "--candidate", &path, "--json"]);
    let rules = &told["targets"][0]["rules"];
    assert_eq!(find(rules, "name", "Out")["scope"]["groups"][0][2]["actual"], json!(["Boss"]));
    let join = &told["sources"][1]["join"];
    assert_eq!(join["groups"][0]["clauses"][0]["values"], json!(["ann@x.example"]));
    assert_eq!(told["metaverse"][0]["attributes"]["title"]["winner"]["rule"], "In HR - Managers");
    let kinds: Vec<&str> =
        told["cascade"].as_array().unwrap().iter().map(|one| text(&one["kind"])).collect();
    assert_eq!(kinds, ["disable"], "{:#}", told["cascade"]);
    let shown = product.run(&["plan", "--object", "ann", "--candidate", &path]);
    assert!(shown.stdout.contains("NO  title NOTEQUAL \"Boss\": it is \"Boss\""), "{shown}");
    let after = contents(&product.state());
    assert_eq!(before, after, "nothing was written");
    // Under the rules in force there is nothing to do.
    let calm = product.json(&["plan", "--object", "ann", "--json"]);
    assert_eq!((&calm["targets"][0]["export"], &calm["cascade"]), (&Json::Null, &json!([])));
}

#[test]
fn p20_a_plan_is_a_page_and_says_why() {
    let server = InProcess::start();
    let product = settled(&server);
    let evil = "<script>alert(1)</script>";
    let people: Vec<(&str, &str)> = PEOPLE[1..].to_vec();
    let hostile = entries(&people).replace("title: Clerk", &format!("title: {evil}"));
    product.write("hr.ldif", &(hostile + GROUP));
    let page = product.path("plan.html").display().to_string();
    let file = product.path("plan.json").display().to_string();
    let answer = product.run(&["plan", "--html", &page, "-o", &file]);
    assert_eq!(answer.code, 0, "{answer}");
    assert!(answer.stdout.contains("because `uid=ann,dc=x` is no longer in `hr`"), "{answer}");
    assert!(answer.stdout.contains("(was \"Clerk\")"), "{answer}");
    let html = product.read("plan.html");
    assert!(html.contains("<html lang=\"en\">") && html.contains("default-src 'none'"));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !html.contains(evil));
    assert!(!html.contains("src=") && !html.contains("url("), "it asks nobody");
    assert!(html.contains("is no longer in") && html.contains("In HR"));
    let saved: Json = serde_json::from_str(&product.read("plan.json")).unwrap();
    let disabled = find(&saved["exports"], "op", "disable");
    assert_eq!(
        (&disabled["rule"], &disabled["cause"]),
        (&json!("Out"), &json!("no longer in `hr`"))
    );
    let clerk = find(&saved["exports"], "match", "flo");
    assert_eq!(clerk["changes"][0]["old"], json!(["Clerk"]));
    assert_eq!(clerk["changes"][0]["rule"], "Out");
    let leaving = find(&saved["scopes"], "rule", "In HR@hr");
    assert_eq!(leaving["leaving"]["count"], 1, "{leaving:#}");
    assert_eq!(find(&saved["links"], "kind", "disjoined")["count"], 1);
    // A saved plan is shown as it was, as text and as the same page.
    let again = product.path("again.html").display().to_string();
    assert_eq!(product.run(&["plan", "show", &file, "--html", &again]).code, 0);
    assert_eq!(product.read("again.html"), html);
    let shown = product.run(&["plan", "show", &file]);
    assert_eq!(shown.stdout, answer.stdout);
    for wrong in ["hr.ldif", "missing.json"] {
        let path = product.path(wrong).display().to_string();
        let answer = product.run(&["plan", "show", &path]);
        assert_eq!(answer.code, 2);
        assert!(answer.stderr.contains("(K0983)") && answer.stderr.contains("hint:"), "{answer}");
    }
}

#[test]
fn p18_a_plan_that_broke_off_has_no_numbers() {
    let server = InProcess::start();
    let product = settled(&server);
    let broken = MANIFEST.replace("{to: sn, from: sn}", "{to: sn, expr: 'Error(\"no\")'}");
    product.write("manifest.yml", &broken);
    let many: String = (0..80)
        .map(|number| {
            format!("\ndn: uid=m{number},dc=x\nobjectClass: inetOrgPerson\nuid: m{number}\n")
        })
        .collect();
    product.write("hr.ldif", &(entries(&PEOPLE) + &many));
    let answer = product.run(&["plan", "--json"]);
    assert_eq!(answer.code, 5, "{answer}");
    let plan = answer.json();
    assert_eq!((&plan["failed"], &plan["counts"]), (&json!("stopped-rule-broken"), &json!({})));
    assert_eq!(plan["exports"], json!([]));
    let shown = product.run(&["plan"]);
    assert!(shown.stdout.contains("not finished: stopped-rule-broken"), "{shown}");
}

#[test]
fn r22_links_last_and_the_audit_names_those_that_would_not_be_made_now() {
    let server = InProcess::start();
    let product = settled(&server);
    assert_eq!(product.json(&["rules", "links", "--json"])["not_now"], 0);
    let moved = entries(&PEOPLE).replace("mail: ann@x.example", "mail: ann@new.example");
    product.write("hr.ldif", &(moved + GROUP));
    assert_eq!(product.run(&["once"]).code, 4);
    let audit = product.json(&["rules", "links", "--json"]);
    assert_eq!(audit["not_now"], 1, "{audit:#}");
    let one = &audit["objects"][0];
    assert_eq!((&one["kind"], &one["origin"]), (&json!("criterion"), &json!("joined")));
    let pair = &one["criteria"][0][0];
    assert_eq!(pair["cs_values"], json!(["ann@x.example"]));
    assert_eq!(pair["mv_values"], json!(["ann@new.example"]));
    let counted = find(&audit["by_rule"], "rule", "In Phone@phone");
    assert_eq!((&counted["links"], &counted["not_now"]), (&json!(2), &json!(1)));
    let shown = product.run(&["rules", "links"]);
    let differs = "differs: mail \"ann@x.example\" = mail \"ann@new.example\"";
    assert!(shown.stdout.contains(differs), "{shown}");
}

#[test]
fn a_rule_is_shown_whole_and_its_impact_is_counted() {
    let server = InProcess::start();
    let product = settled(&server);
    let rule = product.json(&["rules", "show", "In HR", "--json"]);
    assert_eq!(rule["scope"], json!(["employeeType NOTEQUAL \"external\""]));
    assert_eq!(rule["join"], json!(["uid = id"]));
    assert_eq!(find(&rule["flows"], "to", "mail")["is"], "[mail]");
    let objects = &rule["on"][0]["objects"];
    assert_eq!(objects, &json!({"of": 6, "in_scope": 5, "applies_to": 5, "links": 5}));
    let shown = product.run(&["rules", "show", "In HR"]);
    assert!(shown.stdout.contains("5 of 6 objects in scope"), "{shown}");
    let outbound = product.json(&["rules", "show", "Out", "--json"]);
    let objects = &outbound["on"][0]["objects"];
    assert_eq!((&objects["of"], &objects["in_scope"]), (&json!(5), &json!(4)));
    let impact = product.json(&["rules", "impact", "In HR - Managers", "--json"]);
    let title = find(&impact["attributes"], "attribute", "title");
    assert_eq!(title["wins"], 1);
    assert_eq!(title["falls_to"], json!([{"rule": "In HR", "count": 1, "same_value": 0}]));
    assert_eq!(title["read_by"], json!([{"rule": "Out", "connector": "cloud", "for": "reads"}]));
    assert_eq!(impact["if_disabled"], json!({"objects": 1, "exports_at_most": 1}));
    let keeper = product.json(&["rules", "impact", "In HR", "--json"]);
    assert_eq!(keeper["only_keeper_of"], 5);
    let phone = find(
        &find(&keeper["attributes"], "attribute", "title")["loses_to"],
        "rule",
        "In HR - Managers",
    );
    assert_eq!(phone["count"], 1);
    let typo = product.run(&["rules", "impact", "In HQ"]);
    assert_eq!(typo.code, 2);
    assert!(typo.stderr.contains("did you mean `In HR`?"), "{typo}");
}

#[test]
fn r02_the_list_shows_what_tells_rules_apart() {
    let server = InProcess::start();
    let product = product(&server);
    let shown = product.run(&["rules", "list"]);
    let line = shown.stdout.lines().find(|line| line.contains("In Phone")).unwrap_or_default();
    for word in ["110", "in", "phone", "inetOrgPerson -> person", "join"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    let list = product.json(&["rules", "list", "--json"]);
    let rule = find(&list, "name", "Out");
    for (key, value) in [
        ("direction", json!("outbound")),
        ("connector", json!("cloud")),
        ("connector_type", json!("User")),
        ("metaverse_type", json!("person")),
        ("precedence", json!(100)),
        ("link", json!("provision")),
    ] {
        assert_eq!(rule[key], value, "{key}");
    }
}

#[test]
fn p10_generations_are_compared_field_by_field() {
    let server = InProcess::start();
    let product = settled(&server);
    let same = product.run(&["config", "diff"]);
    assert!(same.stdout.contains("no difference"), "{same}");
    let other = MANIFEST
        .replace("precedence: 90", "precedence: 95")
        .replace("value: external}]]", "value: external}, {attr: mail, op: ISNOTNULL}]]")
        .replace("{to: sn, from: sn}", "{to: sn, expr: 'UCase([sn])'}")
        .replace("name: In Phone\n", "name: In Telephone\n")
        .replace("order: 2", "order: 2, parameters: {Site: Kyoto}");
    product.write("manifest.yml", &other);
    let diff = product.json(&["config", "diff", "--json"]);
    let change = |name: &str| find(&diff["changes"], "name", name).clone();
    let field = |name: &str, field: &str| {
        let found = find(&change(name)["fields"], "field", field).clone();
        (found["old"].clone(), found["new"].clone())
    };
    assert_eq!(field("In HR - Managers@hr", "precedence"), (json!(90), json!(95)));
    assert_eq!(field("In HR@hr", "flow sn"), (json!(["[sn]"]), json!(["UCase([sn])"])));
    let scope = "employeeType NOTEQUAL \"external\"";
    let tighter = json!([format!("{scope} and mail ISNOTNULL")]);
    assert_eq!(field("In HR@hr", "scope"), (json!([scope]), tighter));
    assert_eq!(field("phone", "parameter Site"), (Json::Null, json!("Kyoto")));
    assert_eq!(change("In Phone@phone")["change"], "removed");
    assert_eq!(change("In Telephone@phone")["change"], "added");
    assert!(diff["old"]["since"].is_string() && diff["old"]["owner"].is_string(), "{diff:#}");
    let told = product.run(&["config", "diff"]);
    assert!(told.stdout.contains("    precedence: 90 -> 95\n"), "{told}");
    product.run(&["once"]);
    let kept = product.json(&["config", "diff", "1", "2", "--json"]);
    assert_eq!(kept["changes"], diff["changes"]);
    let digest = text(&diff["old"]["files"])[..10].to_owned();
    assert_eq!(
        product.json(&["config", "diff", &digest, "current", "--json"])["changes"],
        diff["changes"]
    );
    let unknown = product.run(&["config", "diff", "99"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("(K0985)") && unknown.stderr.contains("hint:"), "{unknown}");
}
