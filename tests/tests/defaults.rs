//! The default rules: what the program generates for which directory, and what the generated rules
//! say of objects that are hard to judge (R4, R13, R17, R18, R24, R36 to R46).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kakehi::edge::SourceSchema;
use kakehi::generate::{self, Directory, File, GenerateError, Kind, Matching, Wish};
use kakehi_tests::installation::TOKEN;
use kakehi_tests::product::{Product, program};
use kakehi_tests::receiver::InProcess;
use kakehi_tests::scenario::security_id;
use serde_json::{Value as Json, json};

const AD: &str = include_str!("../../rules/default/schemas/corp.json");
const OPENLDAP: &str = include_str!("../../rules/default/schemas/directory.json");

fn schema(text: &str) -> SourceSchema {
    serde_json::from_str(text).expect("a schema of the repository")
}

/// What is there without some attributes.
fn without(schema: &SourceSchema, gone: impl Fn(&str) -> bool) -> SourceSchema {
    let mut schema = schema.clone();
    for attributes in schema.classes.values_mut() {
        attributes.retain(|name| !gone(name));
    }
    schema
}

fn directory(name: &str, kind: Kind, schema: &SourceSchema) -> Directory {
    let (name, domain) = (name.to_owned(), format!("{name}.example"));
    Directory { name, kind, schema: schema.clone(), domain }
}

fn wish(directories: Vec<Directory>) -> Wish {
    let matching = Matching::ObjectSid;
    Wish { directories, target: "cloud".to_owned(), matching, contacts_as_users: false }
}

fn generated(wish: &Wish) -> Vec<File> {
    generate::generate(wish).expect("rules for these directories")
}

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    let found = files.iter().find(|file| file.path == path);
    found.map_or_else(|| panic!("there is no `{path}`"), |file| &file.text)
}

fn has(files: &[File], path: &str) -> bool {
    files.iter().any(|file| file.path == path)
}

fn kakehi(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).output().expect("the program starts")
}

/// Lays files out and runs their checks and their cases, as an administrator would.
fn holds(files: &[File]) {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules");
    generate::write(&rules, files).expect("an empty folder");
    let rules = rules.display().to_string();
    for (verb, expected) in [("check", "0 errors, 0 warnings"), ("test", "0 failed")] {
        let output = kakehi(&["rules", verb, &rules]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "rules {verb}: {said}");
        assert!(said.contains(expected), "rules {verb}: {said}");
    }
}

#[test]
fn r39_the_default_rules_are_what_the_program_makes_of_their_schemas() {
    let mut corp = directory("corp", Kind::Ad, &schema(AD));
    corp.domain = "corp.example".to_owned();
    let wish = wish(vec![corp, directory("directory", Kind::OpenLdap, &schema(OPENLDAP))]);
    let files = generated(&wish);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/default");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        for stale in of_folder(&folder) {
            std::fs::remove_file(folder.join(stale)).expect("a file of the repository");
        }
        for file in &files {
            std::fs::write(folder.join(&file.path), &file.text).expect("a file of the repository");
        }
    }
    for file in &files {
        let held = std::fs::read_to_string(folder.join(&file.path)).unwrap_or_default();
        assert!(held == file.text, "`{}` differs: run with UPDATE_EXPECT=1", file.path);
    }
    let mut expected: Vec<PathBuf> = files.iter().map(|file| PathBuf::from(&file.path)).collect();
    expected.sort();
    assert_eq!(of_folder(&folder), expected, "files that nobody makes");
    holds(&files);
}

/// The rules and cases of a folder, in order.
fn of_folder(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for below in ["", "cases"] {
        let entries = std::fs::read_dir(folder.join(below)).expect("a folder of the repository");
        let names = entries.map(|entry| PathBuf::from(entry.expect("an entry").file_name()));
        let rules = names.filter(|name| name.extension().is_some_and(|end| end == "yml"));
        found.extend(rules.map(|name| Path::new(below).join(name)));
    }
    found.sort();
    found
}

#[test]
fn r04_without_the_schema_of_exchange_or_lync_there_are_no_such_rules() {
    let whole = schema(AD);
    let exchange = |name: &str| name.starts_with("msExch") || name == "mailNickname";
    let lync = |name: &str| name.starts_with("msRTCSIP");
    let names = |schema: &SourceSchema| -> Vec<String> {
        let files = generated(&wish(vec![directory("a", Kind::Ad, schema)]));
        let inbound =
            files.into_iter().map(|file| file.path).filter(|path| path.contains("in-from"));
        inbound.filter(|path| !path.contains('/')).collect()
    };
    let (all, plain) = (names(&whole), names(&without(&whole, |n| exchange(n) || lync(n))));
    let special = |path: &&String| path.contains("exchange") || path.contains("lync");
    assert_eq!(all.iter().filter(special).count(), 8, "{all:?}");
    assert_eq!(plain.iter().filter(special).count(), 0, "{plain:?}");
    assert_eq!(plain.len(), all.len() - 8);
    let of_lync = names(&without(&whole, exchange));
    assert_eq!(of_lync.iter().filter(|path| path.contains("lync")).count(), 3);
    assert_eq!(of_lync.iter().filter(|path| path.contains("exchange")).count(), 0);

    // Other directories of the same installation keep theirs.
    let bare = without(&whole, |name| exchange(name) || lync(name));
    let two = wish(vec![directory("bare", Kind::Ad, &bare), directory("full", Kind::Ad, &whole)]);
    let files = generated(&two);
    let rule = text(&files, "in-from-ad-user-exchange.yml");
    assert!(rule.contains("connector: full") && !rule.contains("bare"), "{rule}");
    holds(&files);

    // Newer versions of Exchange know more.
    let old = without(&whole, |name| name == "msExchUserHoldPolicies");
    let flows = |schema: &SourceSchema| {
        let files = generated(&wish(vec![directory("a", Kind::Ad, schema)]));
        text(&files, "in-from-ad-user-exchange.yml").matches("- {to: ").count()
    };
    assert_eq!(flows(&whole), flows(&old) + 1);
}

#[test]
fn r04_rules_for_the_least_that_a_directory_may_hold_hold_too() {
    let (ad, openldap) = (schema(AD), schema(OPENLDAP));
    let few = ["objectGUID", "objectSid", "cn", "sAMAccountName", "member", "userAccountControl"];
    let bare = without(&ad, |name| !few.contains(&name));
    holds(&generated(&wish(vec![directory("bare", Kind::Ad, &bare)])));
    let mut people = openldap.clone();
    people.classes.retain(|class, _| class == "inetOrgPerson");
    people.attributes.remove("pwdAccountLockedTime");
    let files = generated(&wish(vec![directory("people", Kind::Ldap, &people)]));
    assert!(
        has(&files, "in-from-ldap-user-join.yml") && !has(&files, "out-to-scim-group-join.yml")
    );
    holds(&files);
}

#[test]
fn r18_join_rules_follow_the_way_to_match() {
    let (ad, openldap) = (schema(AD), schema(OPENLDAP));
    for (matching, of_ad, of_openldap) in [
        (Matching::ObjectSid, "{cs: msExchMasterAccountSid, mv: objectSid}", "employeeNumber"),
        (Matching::Mail, "{cs: mail, mv: mail}", "{cs: mail, mv: mail}"),
        (Matching::SamAccountName, "{cs: sAMAccountName, mv: accountName}", "employeeNumber"),
        (
            Matching::Custom("employeeNumber".to_owned()),
            "{cs: employeeNumber, mv: employeeNumber}",
            "{cs: employeeNumber, mv: employeeNumber}",
        ),
    ] {
        let both = vec![directory("a", Kind::Ad, &ad), directory("b", Kind::OpenLdap, &openldap)];
        let files = generated(&Wish { matching: matching.clone(), ..wish(both) });
        for (path, expected) in [
            ("in-from-ad-user-join.yml", of_ad),
            ("in-from-ad-inetorgperson-join.yml", of_ad),
            ("in-from-openldap-user-join.yml", of_openldap),
        ] {
            assert!(text(&files, path).contains(expected), "{matching:?}: {path}");
        }
        let sids = text(&files, "in-from-ad-user-join.yml").contains("cs: objectSid");
        assert_eq!(sids, matching == Matching::ObjectSid);
        holds(&files);
    }
    // An attribute that no other rule carries into the metaverse comes with the join.
    let files = generated(&Wish {
        matching: Matching::Custom("adminDescription".to_owned()),
        ..wish(vec![directory("a", Kind::Ad, &ad)])
    });
    let rule = text(&files, "in-from-ad-user-join.yml");
    assert!(rule.contains("- {to: adminDescription, from: adminDescription}"), "{rule}");
    holds(&files);
}

#[test]
fn r24_rules_that_join_are_named_so() {
    let both = vec![
        directory("a", Kind::Ad, &schema(AD)),
        directory("b", Kind::OpenLdap, &schema(OPENLDAP)),
    ];
    let mut joins = 0;
    for file in generated(&wish(both)).iter().filter(|file| !file.path.contains('/')) {
        let name = file.text.lines().find_map(|line| line.trim_start().strip_prefix("- name: "));
        let joining = file.text.contains("\n    join:\n");
        joins += usize::from(joining);
        if let Some(name) = name.filter(|_| file.path != "manifest.yml") {
            assert_eq!(joining, name.ends_with(" Join"), "{name}");
        }
    }
    assert_eq!(joins, 11);
}

/// An installation of LDIF files, with rules for directories of these names.
fn installation(server: &InProcess, wish: &Wish, data: &[(&str, &str)]) -> Product {
    let sources = wish.directories.iter().map(|directory| {
        let (name, anchor) = (
            &directory.name,
            match directory.kind {
                Kind::Ad => "objectGUID",
                Kind::OpenLdap | Kind::Ldap => "entryUUID",
            },
        );
        format!("  {name}: {{ldif: {{path: {name}.ldif, anchor: {anchor}}}}}\n")
    });
    let config = format!(
        "manifest: rules/manifest.yml\nstate: {{path: state}}\nsources:\n{}targets:\n  cloud: \
         {{base_url: {}, credential: cloud-token}}\ncredentials:\n  cloud-token: \
         {{kind: scim_bearer}}\nrules: {{cache: cache}}\n",
        sources.collect::<String>(),
        server.base_url()
    );
    let secret = format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n");
    let product = Product::new(&[("config.yml", &config), ("secret.yml", &secret)]);
    for file in generated(wish) {
        product.write(&format!("rules/{}", file.path), &file.text);
    }
    for (path, text) in data {
        product.write(path, text);
    }
    product
}

/// The inbound rules in order of precedence: `User Join@a`.
fn order(product: &Product) -> Vec<String> {
    let listed = product.json(&["rules", "list", "--json"]);
    let rules = listed.as_array().cloned().or_else(|| listed["rules"].as_array().cloned());
    let rules = rules.expect("a list of rules");
    let mut inbound: Vec<(u64, String)> = rules
        .iter()
        .filter(|rule| rule["direction"] == "inbound")
        .map(|rule| {
            let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            let name = text("name").replace("In from AD - ", "");
            (rule["precedence"].as_u64().unwrap_or(0), format!("{name}@{}", text("connector")))
        })
        .collect();
    inbound.sort();
    inbound.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn r36_r37_r38_a_third_forest_goes_last_in_every_group() {
    let server = InProcess::start();
    let whole = schema(AD);
    let bare = without(&whole, |name| name.starts_with("msRTCSIP"));
    let forests = |names: &[&str]| {
        let forest =
            |name: &&str| directory(name, Kind::Ad, if *name == "b" { &bare } else { &whole });
        wish(names.iter().map(forest).collect())
    };
    let files =
        [("a.ldif", "version: 1\n"), ("b.ldif", "version: 1\n"), ("c.ldif", "version: 1\n")];
    let two = order(&installation(&server, &forests(&["a", "b"]), &files));
    let three = order(&installation(&server, &forests(&["a", "b", "c"]), &files));
    assert_eq!(two[..2], ["User Join@a", "User Join@b"], "R37: the joins of all forests first");
    let kept: Vec<&String> = three.iter().filter(|rule| !rule.ends_with("@c")).collect();
    assert_eq!(kept, two.iter().collect::<Vec<_>>(), "A and B keep their relative order");
    for (place, rule) in three.iter().enumerate().filter(|(_, rule)| rule.ends_with("@c")) {
        let name = rule.trim_end_matches("@c");
        let after = three[place + 1..].iter().find(|other| other.split('@').next() == Some(name));
        assert_eq!(after, None, "`{rule}` is the last of its name");
    }
    assert!(
        three.contains(&"User Lync@c".to_owned()) && !three.contains(&"User Lync@b".to_owned())
    );
}

/// Objects of one forest, hard to judge: dn, class, what it holds.
fn forest() -> String {
    let mut text = String::from("version: 1\n\n");
    let mut object = |name: &str, class: &str, lines: &str| {
        let classes = if class == "computer" { "user\nobjectClass: computer" } else { class };
        text.push_str(&format!(
            "dn: CN={name},DC=a,DC=example\nobjectClass: top\nobjectClass: {classes}\n\
             objectGUID: {name}\ncn: {name}\n{lines}\n"
        ));
    };
    for (control, rid) in [(512, 1), (514, 2), (66_048, 3), (66_050, 4)] {
        let sid = security_id(rid);
        let lines = format!("sAMAccountName: u{control}\nuserAccountControl: {control}\n{sid}");
        object(&format!("u{control}"), "user", &lines);
    }
    for (name, class, login, rest) in [
        ("pc", "computer", "pc$", ""),
        ("aad", "user", "AAD_1", ""),
        ("foreign", "user", "foreign", "adminDescription: User_x\n"),
    ] {
        let lines = format!("sAMAccountName: {login}\nuserAccountControl: 512\n{rest}");
        object(name, class, &format!("{lines}{}", security_id(9)));
    }
    let security = "groupType: -2147483646\n";
    object("staff", "group", &format!("{security}member: CN=u512,DC=a,DC=example\n"));
    object("mailing", "group", "groupType: 2\nmail: mailing@a.example\n");
    object("silent", "group", "groupType: 2\n");
    object("kindless", "group", "mail: kindless@a.example\n");
    object("partner", "contact", "mail: partner@b.example\n");
    object("nobody", "contact", "displayName: Nobody\n");
    text
}

fn names(plan: &Json, class: &str) -> Vec<String> {
    let exports = plan["exports"].as_array().expect("exports");
    let of_class = exports.iter().filter(|export| export["class"] == class);
    let mut names: Vec<String> =
        of_class.filter_map(|export| Some(export["match"].as_str()?.to_owned())).collect();
    names.sort();
    names
}

#[test]
fn r13_r17_r41_scopes_decide_who_is_enabled_and_who_is_at_the_target() {
    let server = InProcess::start();
    let one = wish(vec![directory("a", Kind::Ad, &schema(AD))]);
    let product = installation(&server, &one, &[("a.ldif", &forest())]);
    let plan = product.json(&["plan", "--json"]);
    let users = ["u512", "u514", "u66048", "u66050"].map(|name| format!("{name}@a.example"));
    assert_eq!(names(&plan, "User"), users, "no computer, no system account, nobody foreign");
    assert_eq!(names(&plan, "Group"), ["mailing", "staff"]);
    let run = product.json(&["once", "--json"]);
    assert_eq!(run["counts"]["cloud"]["add"], 6, "{run:#}");
    for (name, enabled, rule) in [
        ("u512", true, "AccountEnabled"),
        ("u66048", true, "AccountEnabled"),
        ("u514", false, "Common"),
        ("u66050", false, "Common"),
    ] {
        let dn = format!("CN={name},DC=a,DC=example");
        let story = product.json(&["explain", &dn, "accountEnabled", "--json"]);
        let held = &story["attributes"]["accountEnabled"];
        assert_eq!(held["values"], json!([enabled]), "{name}");
        assert_eq!(held["winner"]["rule"], format!("In from AD - User {rule}"), "{name}");
    }
}

#[test]
fn r46_contacts_become_users_that_cannot_sign_in_where_that_is_wanted() {
    let server = InProcess::start();
    let ad = schema(AD);
    let two = Wish {
        contacts_as_users: true,
        // So that an account finds the contact that was there before it.
        matching: Matching::Mail,
        ..wish(vec![directory("a", Kind::Ad, &ad), directory("b", Kind::Ad, &ad)])
    };
    let guest = "dn: CN=guest,DC=b,DC=example\nobjectClass: contact\nobjectGUID: guest\n\
                 cn: guest\nmail: guest@b.example\n\n";
    let product = installation(&server, &two, &[("a.ldif", &forest()), ("b.ldif", guest)]);
    product.json(&["once", "--json"]);
    let named = |name: &str| server.all().into_iter().find(|user| user["userName"] == name);
    assert_eq!(server.users().len(), 6);
    let contact = named("partner@b.example").expect("the contact is there");
    assert_eq!((&contact["active"], &contact["displayName"]), (&json!(false), &json!("partner")));
    // One of them gets an account: the user stays the same, and may sign in.
    let before = named("guest@b.example").expect("the contact is there");
    let account = format!(
        "dn: CN=new,DC=a,DC=example\nobjectClass: user\nobjectGUID: new\n{}cn: new\n\
         sAMAccountName: new\nuserAccountControl: 512\nmail: guest@b.example\n\n",
        security_id(10)
    );
    product.write("a.ldif", &format!("{}{account}", forest()));
    product.json(&["once", "--json"]);
    assert_eq!(server.users().len(), 6);
    let user = named("new@a.example").expect("the contact became a user");
    assert_eq!((&user["active"], &user["id"]), (&json!(true), &before["id"]));
    assert_eq!(user["externalId"], "bmV3", "the anchor of the account");
}

#[test]
fn a_source_is_asked_what_it_holds() {
    let server = InProcess::start();
    let one = wish(vec![directory("a", Kind::Ad, &schema(AD))]);
    let product = installation(&server, &one, &[("a.ldif", &forest())]);
    let shown = product.json(&["rules", "schema", "a"]);
    let user: Vec<&str> = shown["classes"]["user"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Json::as_str)
        .collect();
    assert!(user.contains(&"sAMAccountName") && !user.contains(&"mailNickname"), "{user:?}");
    assert_eq!(shown["attributes"]["member"]["syntax"], "reference");
    // From there to rules in one step.
    let made = product.path("made").display().to_string();
    let answer = product.run(&["rules", "generate", "--online", "-o", &made]);
    assert!(answer.code == 0 && answer.stdout.contains("a (ad, domain a.example)"), "{answer}");
    assert!(!product.path("made/in-from-ad-user-exchange.yml").exists());
    let tested = product.run(&["rules", "test", &made]);
    assert_eq!(tested.code, 0, "{tested}");
    let stranger = product.run(&["rules", "schema", "b"]);
    assert!(stranger.code == 2 && stranger.stderr.contains("K0976"), "{stranger}");
}

#[test]
fn a_group_beyond_the_limit_is_refused_and_one_that_grows_stays_as_it_was() {
    let server = InProcess::start();
    let one = wish(vec![directory("a", Kind::Ad, &schema(AD))]);
    let group = |members: usize| {
        let member = |number| format!("member: CN=m{number},DC=a,DC=example\n");
        format!(
            "dn: CN=g,DC=a,DC=example\nobjectClass: group\nobjectGUID: g\ncn: g\n\
             groupType: -2147483646\n{}\n",
            (0..members).map(member).collect::<String>()
        )
    };
    let limit = generate::MEMBERS_MAX;
    let product = installation(&server, &one, &[("a.ldif", &group(limit))]);
    let run = product.json(&["once", "--json"]);
    assert_eq!(run["counts"]["cloud"]["add"], 1, "{run:#}");
    product.write("a.ldif", &group(limit + 1));
    let run = product.run(&["once", "--json"]);
    assert_eq!(run.code, 4, "{run}");
    assert_eq!(run.json()["counts"]["cloud"]["delete"], 0, "{run}");
    let story = product.json(&["explain", "CN=g,DC=a,DC=example", "memberCount", "--json"]);
    assert_eq!(story["problems"][0]["message"], "the group has more than 50000 members");
    assert_eq!(story["attributes"]["memberCount"]["values"], json!([limit]));
}

#[test]
fn what_cannot_be_generated_is_told_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
        folder.path().join(name).display().to_string()
    };
    let ad = write("ad.json", AD);
    let broken = write("broken.json", "{\"classes\": {\"user\": [\"cn\"]}, \"more\": 1}");
    let anchorless = write("anchorless.json", "{\"classes\": {\"user\": [\"cn\", \"objectSid\"]}}");
    let other = write("other.json", "{\"classes\": {\"device\": [\"cn\", \"entryUUID\"]}}");
    let into = folder.path().join("new").display().to_string();
    let full = folder.path().display().to_string();
    let check = |arguments: &[&str], code: &str, rest: &str| {
        let output = kakehi(&[&["rules", "generate"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        let complete = said.contains(code) && said.contains(rest) && said.contains("hint: ");
        assert!(complete, "{arguments:?}: {said}");
        assert!(!Path::new(&into).exists(), "nothing is written: {arguments:?}");
    };
    check(&["--schema", &broken, "-o", &into], "K0970", "unknown field `more`");
    check(&["--schema", "missing.json", "-o", &into], "K0970", "`missing.json`");
    check(&["--schema", &ad, "-o", &full], "K0971", "is not empty");
    check(&["-o", &into], "K0972", "nothing says what `directory` holds");
    let match_custom = ["--schema", &ad, "--match", "custom=employeNumber", "-o", &into];
    check(&match_custom, "K0973", "did you mean `employeeNumber`?");
    check(&["--schema", &anchorless, "-o", &into], "K0974", "`objectGUID` or `entryUUID`");
    check(&["--schema", &other, "-o", &into], "K0975", "none of the classes");
    let twice = ["--schema", &ad, "--connector", "a", "--connector", "a", "-o", &into];
    check(&twice, "K0976", "the connector `a` is named twice");
    let stranger = ["--schema", &format!("a={ad}"), "--kind", "b=ad", "-o", &into];
    check(&stranger, "K0976", "`--kind` names `b`, which is no connector");
    check(&["--schema", &ad, "--kind", "novell", "-o", &into], "K0978", "unknown kind `novell`");
    check(&["--schema", &ad, "--connector", "a: b", "-o", &into], "K0979", "cannot be the name");
    let output = kakehi(&["rules", "generate", "--schema", &ad, "--match", "sid", "-o", &into]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_wish_for_two_of_one_name_is_refused() {
    let twice = wish(vec![directory("cloud", Kind::Ad, &schema(AD))]);
    let refused = generate::generate(&twice);
    assert!(matches!(refused, Err(GenerateError::Doubled(name)) if name == "cloud"));
}
