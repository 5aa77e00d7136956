//! The whole way, from a real slapd to a real scim2-server, by the program as its users run it.

use kakehi_tests::company::{Company, group_dn, user, user_dn};
use kakehi_tests::installation::openldap_to_scim;
use kakehi_tests::product::{Product, contents};
use kakehi_tests::scim_server::ScimServer;
use kakehi_tests::slapd::{SUFFIX, Slapd};
use serde_json::Value as Json;

struct World {
    slapd: Slapd,
    server: ScimServer,
    product: Product,
}

fn world(company: &Company) -> World {
    let slapd = Slapd::start(&company.ldif());
    let server = ScimServer::start();
    let product = openldap_to_scim(&slapd.url(), &server.base_url());
    World { slapd, server, product }
}

fn count(run: &Json, name: &str) -> u64 {
    run["counts"]["cloud"][name].as_u64().expect("a count")
}

/// All counts that are not zero.
fn counts(document: &Json) -> Vec<(String, u64)> {
    let counts = document["counts"]["cloud"].as_object().expect("counts of the target");
    counts
        .iter()
        .filter_map(|(name, number)| Some((name.clone(), number.as_u64()?)))
        .filter(|(_, number)| *number > 0)
        .collect()
}

fn only(name: &str, number: u64) -> Vec<(String, u64)> {
    vec![(name.to_owned(), number)]
}

// === impl World ===

impl World {
    /// A cycle that changes exactly this, with the requests that wrote.
    fn changes(&self, expected: &[(&str, u64)]) -> Vec<String> {
        let before = self.server.requests().len();
        let run = self.product.json(&["once", "--json"]);
        let expected: Vec<(String, u64)> =
            expected.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
        assert_eq!(counts(&run), expected, "{run:#}");
        let requests = self.server.requests();
        requests[before..].iter().filter(|request| !request.starts_with("GET")).cloned().collect()
    }

    fn remote_user(&self, number: usize) -> Json {
        let name = format!("u{number:06}");
        let users = self.server.users();
        users.into_iter().find(|user| user["userName"] == name.as_str()).expect("the user is there")
    }
}

#[test]
fn two_thousand_users_and_fifty_groups_arrive_and_every_kind_of_change_follows() {
    let company = Company { users: 2000, groups: 50, first_group: 1500, members: 20 };
    let world = world(&company);
    let run = world.product.json(&["once", "--json"]);
    // Department 19 is out of scope: 100 of 2,000.
    assert_eq!((count(&run, "add"), world.server.users().len()), (1900 + 50, 1900), "{run:#}");
    assert_eq!(world.server.groups().len(), 50);
    let members = |name: &str| {
        let groups = world.server.groups();
        let group = groups.into_iter().find(|group| group["displayName"] == name);
        group.and_then(|group| group["members"].as_array().map(Vec::len)).unwrap_or(0)
    };
    assert_eq!(members("g0000"), 1425, "1,500 members, of which every 20th is out of scope");

    // A second cycle has nothing to do, delta or full, and the delta writes nothing (PF-11).
    let state = contents(&world.product.state());
    assert_eq!(world.changes(&[]), Vec::<String>::new());
    assert!(contents(&world.product.state()) == state, "a poll without changes writes nothing");
    let full = world.product.json(&["once", "--full", "--json"]);
    assert_eq!(counts(&full), vec![], "{full:#}");

    let slapd = &world.slapd;
    let change =
        |dn: &str, lines: &str| slapd.modify(&format!("dn: {dn}\nchangetype: modify\n{lines}\n"));

    change(&user_dn(1), "replace: title\ntitle: 部長");
    assert_eq!(world.changes(&[("update", 1)]).len(), 1);
    assert_eq!(world.remote_user(1)["title"], "部長");

    change(&user_dn(2), "replace: uid\nuid: u000002\nuid: renamed");
    slapd.modify(&format!(
        "dn: {}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n",
        user_dn(2)
    ));
    let requests = world.changes(&[("rename", 1)]);
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].starts_with("PATCH /v2/Users/"), "{requests:?}");

    slapd.modify(&format!("{}\n", add(user(5000))));
    assert_eq!(world.changes(&[("add", 1)]).len(), 1);

    change(&group_dn(3), &format!("add: member\nmember: {}", user_dn(5000)));
    assert_eq!(world.changes(&[("update", 1), ("member_add", 1)]).len(), 1);
    change(&group_dn(3), &format!("delete: member\nmember: {}", user_dn(5000)));
    assert_eq!(world.changes(&[("update", 1), ("member_remove", 1)]).len(), 1);

    // Leaving scope disables, coming back enables.
    change(&user_dn(1), "replace: departmentNumber\ndepartmentNumber: 19");
    assert_eq!(world.changes(&[("disable", 1)]).len(), 1);
    assert_eq!(world.remote_user(1)["active"], false);
    change(&user_dn(1), "replace: departmentNumber\ndepartmentNumber: 1");
    assert_eq!(world.changes(&[("update", 1)]).len(), 1);
    assert_eq!(world.remote_user(1)["active"], true);

    slapd.modify(&format!("dn: {}\nchangetype: delete\n", user_dn(5000)));
    assert_eq!(world.changes(&[("disable", 1)]).len(), 1);
    slapd.modify(&format!("dn: {}\nchangetype: delete\n", group_dn(49)));
    assert_eq!(world.changes(&[("delete", 1)]).len(), 1);
    assert_eq!(world.server.groups().len(), 49);
    assert_eq!(world.changes(&[]), Vec::<String>::new());
}

fn add(record: String) -> String {
    record.replacen('\n', "\nchangetype: add\n", 1)
}

#[test]
fn a_plan_reads_only_and_leaves_the_state_as_it_is() {
    let world = world(&Company { users: 60, groups: 2, first_group: 10, members: 5 });
    let nothing = world.product.json(&["plan", "--json"]);
    assert_eq!(counts(&nothing)[0], ("add".to_owned(), 57 + 2));
    assert!(!world.product.state().exists(), "a plan makes no state");
    world.product.json(&["once", "--json"]);
    world
        .slapd
        .modify(&format!("dn: {}\nchangetype: modify\nreplace: title\ntitle: x\n", user_dn(3)));
    let (state, requests) = (contents(&world.product.state()), world.server.requests().len());
    let plan = world.product.json(&["plan", "--json"]);
    assert_eq!(counts(&plan), only("update", 1));
    let export = &plan["exports"][0];
    assert_eq!((&export["match"], &export["op"]), (&"u000003".into(), &"update".into()));
    assert_eq!(export["changes"][0]["attribute"], "title");
    assert_eq!(export["changes"][0]["replace"], serde_json::json!(["x"]));
    assert_eq!(contents(&world.product.state()), state, "the state is byte-identical");
    let new: Vec<String> = world.server.requests()[requests..].to_vec();
    assert!(new.iter().all(|request| request.starts_with("GET")), "{new:?}");
    let answer = world.product.run(&["plan", "--detailed-exitcode"]);
    assert_eq!(answer.code, 3, "{answer}");
    // A dry run equals the run.
    let run = world.product.json(&["once", "--json"]);
    assert_eq!(run["plan"], plan["plan"]);
}

#[test]
fn deleting_a_third_of_the_users_stops_with_5_and_a_reviewed_plan_releases_it() {
    let world = world(&Company { users: 100, groups: 1, first_group: 1, members: 1 });
    world.product.json(&["once", "--json"]);
    let gone: Vec<usize> = (0..30).collect();
    for number in &gone {
        world.slapd.modify(&format!("dn: {}\nchangetype: delete\n", user_dn(*number)));
    }
    let before = world.server.requests().len();
    let answer = world.product.run(&["once", "--json"]);
    assert_eq!(answer.code, 5, "{answer}");
    assert_eq!(answer.json()["status"], "stopped-deletion-threshold-exceeded");
    let new = world.server.requests()[before..].to_vec();
    assert!(new.iter().all(|request| request.starts_with("GET")), "{new:?}");

    let file = world.product.path("plan.json").display().to_string();
    let plan = world.product.json(&["plan", "-o", &file, "--json"]);
    // One of the thirty was out of scope, one was a member of the group.
    let expected = [("update", 1), ("disable", 29), ("member_remove", 1)];
    assert_eq!(counts(&plan), expected.map(|(name, number)| (name.to_owned(), number)));
    // Something else happens meanwhile: the reviewed plan is not what would be done now.
    world
        .slapd
        .modify(&format!("dn: {}\nchangetype: modify\nreplace: title\ntitle: x\n", user_dn(50)));
    let stale = world.product.run(&["apply", &file]);
    assert_eq!(stale.code, 5, "{stale}");
    assert!(stale.stderr.contains("stale"), "{stale}");
    world.product.json(&["plan", "-o", &file, "--json"]);
    let run = world.product.json(&["apply", &file, "--json"]);
    assert_eq!(count(&run, "disable"), 29);
    let disabled = world.server.users().iter().filter(|user| user["active"] == false).count();
    assert_eq!(disabled, 29);
}

#[test]
fn a_shrunken_listing_is_held_and_a_server_that_is_down_deletes_nothing() {
    let mut world = world(&Company { users: 60, groups: 1, first_group: 1, members: 1 });
    world.product.json(&["once", "--json"]);
    let users = world.server.users();
    world.slapd.stop();
    let down = world.product.run(&["once", "--full"]);
    assert_eq!(down.code, 75, "{down}");
    world.slapd.restart();
    for number in 0..20 {
        world.slapd.modify(&format!("dn: {}\nchangetype: delete\n", user_dn(number)));
    }
    let held = world.product.run(&["once", "--full", "--json"]);
    assert_eq!(held.code, 5, "{held}");
    assert_eq!(held.json()["status"], "stopped-import-shrank");
    assert_eq!(world.server.users(), users, "nothing was sent");
}

#[test]
fn explain_names_rule_module_and_source() {
    let world = world(&Company { users: 10, groups: 1, first_group: 2, members: 0 });
    world.product.json(&["once", "--json"]);
    let story = world.product.json(&["explain", "u000003@example.test", "--json"]);
    let display = &story["attributes"]["displayName"];
    assert_eq!(display["values"], serde_json::json!(["Miller 太郎"]));
    assert_eq!(display["winner"]["rule"], "In from LDAP - User Join");
    assert_eq!(display["winner"]["source"]["dn"], user_dn(3).as_str());
    let digest = display["winner"]["module_sha256"].as_str().expect("a digest");
    assert_eq!(digest.len(), 64);
    let text = world.product.run(&["explain", &format!("uid=u000003,ou=people,{SUFFIX}")]);
    assert!(text.stdout.contains("In from LDAP - User Join"), "{text}");
}
