//! What holds a mistake back, and what takes it back: limits of every kind, staging mode, the
//! journal and the audit (provisioning.md 11.13, 11.14, 17.2).

use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::installation::{LDIF_MANIFEST, TOKEN, ldif_config};
use kakehi_tests::office::Office;
use kakehi_tests::product::Product;
use kakehi_tests::receiver::InProcess;
use serde_json::{Value as Json, json};

/// Nothing but the limit that is meant.
const LAX: &str = "removals_floor: 100, deletes_floor: 100, disables_floor: 100, \
                   renames_floor: 100, type_changes_floor: 100, member_removals_floor: 100, \
                   clears_floor: 100";

/// Limits in which one of them allows exactly two.
fn two(measure: &str) -> String {
    let strict = format!("{measure}_max: 2, {measure}_percent: 100, {measure}_floor: 0");
    let others = LAX.split(", ").filter(|key| !key.starts_with(measure));
    format!("{strict}, {}", others.collect::<Vec<_>>().join(", "))
}

/// Twenty people, of whom `change` changes one more each time: two are delivered, three are held
/// with this status until somebody releases them.
fn check(measure: &str, status: &str, change: impl Fn(&mut Office, &[&str])) {
    let mut office = Office::open(20, &two(measure), "");
    office.deliver();
    change(&mut office, &["p00", "p01"]);
    office.save();
    office.deliver();
    let before = office.server.writes();
    change(&mut office, &["p02", "p03", "p04"]);
    office.set("p05", "title", &["something else"]);
    office.save();
    let stopped = office.expect(5, &["once", "--json"]).json();
    assert_eq!(stopped["status"], status, "{stopped}");
    let notes = stopped["notes"].to_string();
    assert!(notes.contains(measure) || measure == "removals", "{notes}");
    assert_eq!(office.server.writes(), before, "nothing of the target is sent");
    let (file, plan) = office.plan(&[]);
    assert_eq!(plan["limits_exceeded"].as_array().map(Vec::len), Some(1), "{plan}");
    office.expect(0, &["apply", &file]);
    assert!(office.server.writes() > before);
    let done = office.deliver();
    assert_eq!(done["delivered"]["done"], 0, "{done}");
}

#[test]
fn p05_renames_stop_one_beyond_the_limit() {
    check("renames", "stopped-rename-threshold-exceeded", |office, names| {
        for name in names {
            office.set(name, "mail", &[&format!("{name}@b.example")]);
        }
    });
}

#[test]
fn p05_cleared_attributes_stop_one_beyond_the_limit() {
    check("clears", "stopped-attribute-clear-threshold-exceeded", |office, names| {
        names.iter().for_each(|name| office.set(name, "title", &[]));
    });
}

#[test]
fn p05_members_that_one_group_loses_stop_one_beyond_the_limit() {
    check("member_removals", "stopped-member-removal-threshold-exceeded", |office, names| {
        let last = names.last().and_then(|name| name[1..].parse::<usize>().ok()).unwrap_or(0);
        let left: Vec<String> = (last + 1..20).map(|number| format!("uid=p{number:02}")).collect();
        let left: Vec<&str> = left.iter().map(String::as_str).collect();
        office.set("everybody", "member", &left);
    });
}

#[test]
fn p05_disables_stop_one_beyond_the_limit() {
    check("disables", "stopped-deletion-threshold-exceeded", |office, names| {
        names.iter().for_each(|name| office.remove(name));
    });
}

#[test]
fn p05_changes_of_type_are_one_thing_and_stop_one_beyond_the_limit() {
    check("type_changes", "stopped-type-change-threshold-exceeded", |office, names| {
        names.iter().for_each(|name| office.set(name, "employeeType", &["robot"]));
    });
    let mut office = Office::open(3, LAX, "");
    office.deliver();
    office.change("p01", "employeeType", &["robot"]);
    let (_, plan) = office.plan(&[]);
    let counts = &plan["counts"]["cloud"];
    assert_eq!((&counts["type_change"], &counts["add"]), (&json!(1), &json!(1)), "{counts}");
    let exports = plan["exports"].as_array().cloned().unwrap_or_default();
    let halves: Vec<&Json> =
        exports.iter().filter(|export| export["type_change"] == json!(true)).collect();
    let ops: Vec<&Json> = halves.iter().map(|export| &export["op"]).collect();
    assert_eq!(ops, [&json!("disable"), &json!("add")]);
}

#[test]
fn staging_mode_of_the_configuration_plans_and_sends_nothing() {
    let office = Office::open(3, "", "staging: true");
    let run = office.deliver();
    assert_eq!((&run["staging"], &run["status"]), (&json!(true), &json!("success")));
    assert!(run["notes"].to_string().contains("staging mode: nothing was sent"), "{run}");
    assert_eq!(run["counts"]["cloud"]["add"], 4);
    assert_eq!(office.server.writes(), 0);
    let (file, plan) = office.plan(&[]);
    assert_eq!(plan["plan"], run["plan"], "plans go on");
    let refused = office.expect(5, &["apply", &file]);
    assert!(refused.stderr.contains("staging mode is on") && refused.stderr.contains("K0230"));
    let refused = office.expect(2, &["staging", "off"]);
    assert!(refused.stderr.contains("run.staging") && refused.stderr.contains("K0232"));
    assert_eq!(office.server.writes(), 0);
    office.configure("", "", "");
    office.expect(0, &["apply", &file]);
    assert_eq!(office.server.users().len(), 3);
}

#[test]
fn staging_mode_is_switched_while_the_service_runs_and_outlives_it() {
    let run = "poll: 1s, drain: 10s";
    let mut office = Office::open(2, "", run);
    office.configure("", run, "http: {listen: '127.0.0.1:0'}");
    let daemon = Daemon::start(&office.product);
    until("the first delivery", || office.server.users().len() == 2);
    let on = office.expect(0, &["staging", "on"]);
    assert!(on.stdout.contains("nothing is sent"), "{on}");
    until("it is told", || daemon.metric("kakehi_staging") == Some(1.0));
    office.set("new", "mail", &["new@a.example"]);
    office.save();
    until("the plan of it", || {
        let runs = office.product.json(&["runs", "list", "--json"]);
        runs[0]["details"]["staging"] == json!(true)
            && runs[0]["details"]["counts"]["cloud"]["add"] == json!(1)
    });
    assert_eq!(daemon.stop(), Some(0));
    let status = office.expect(0, &["status"]);
    assert!(status.stdout.contains("staging mode is on") && status.stdout.contains("uid "));
    // A one-shot command and the next service are held likewise.
    let once = office.expect(0, &["once"]);
    assert!(once.stdout.contains("nothing was sent") || once.stdout.contains("nothing to do"));
    let daemon = Daemon::start(&office.product);
    assert_eq!(office.server.users().len(), 2);
    let off = office.expect(0, &["staging", "off"]);
    assert!(off.stdout.contains("staging mode is off"), "{off}");
    until("what waited is sent", || office.server.users().len() == 3);
    assert_eq!(daemon.stop(), Some(0));
    let audit = office.product.json(&["audit", "--json"]);
    let switched: Vec<(&Json, bool)> = audit
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["kind"] == "staging")
        .map(|entry| {
            let actor = entry["actor"].as_str().unwrap_or("");
            (&entry["details"]["on"], actor.starts_with("uid "))
        })
        .collect();
    assert_eq!(switched, [(&json!(true), true), (&json!(false), true)]);
}

/// An office in which a plan changed two titles, removed a member and disabled somebody: its id.
fn mistaken(office: &mut Office) -> String {
    office.deliver();
    office.set("p00", "title", &["chief"]);
    office.set("p01", "title", &[]);
    office.set("everybody", "member", &["uid=p00", "uid=p01", "uid=p02"]);
    office.remove("p04");
    office.save();
    let run = office.deliver();
    run["plan"].as_str().unwrap_or("").to_owned()
}

fn members(office: &Office) -> usize {
    let groups = office.server.groups();
    let everybody = groups.iter().find(|group| group["displayName"] == "everybody");
    everybody.and_then(|group| group["members"].as_array()).map_or(0, Vec::len)
}

#[test]
fn p10_a_plan_is_taken_back_and_not_done_again_behind_ones_back() {
    let mut office = Office::open(5, LAX, "");
    let plan = mistaken(&mut office);
    assert_eq!((office.held("p00", "title"), members(&office)), (json!("chief"), 3));
    let (file, undo) = office.plan(&["--undo", &plan]);
    assert_eq!((&undo["undoes"], &undo["left"]), (&json!(plan), &json!([])), "{undo}");
    assert_eq!(undo["exports"].as_array().map(Vec::len), Some(4), "{undo}");
    let text = office.expect(0, &["plan", "--undo", &plan]);
    assert!(text.stdout.contains("staging mode"), "{text}");
    let applied = office.expect(0, &["apply", &file]);
    assert!(applied.stdout.contains("until `kakehi staging off`"), "{applied}");
    let titles = ["p00", "p01"].map(|name| office.held(name, "title"));
    assert_eq!(titles, [json!("clerk"), json!("clerk")]);
    assert_eq!((office.held("p04", "active"), members(&office)), (json!(true), 5));
    // The rules want it still, and are held.
    let before = office.server.writes();
    office.deliver();
    assert_eq!(office.server.writes(), before);
    let (_, again) = office.plan(&[]);
    assert!(again["exports"].as_array().is_some_and(|exports| exports.len() >= 3), "{again}");
    // The mistake is mended at its source; then nothing is left to do but what is right.
    office.set("p00", "title", &["clerk"]);
    office.set("p01", "title", &["clerk"]);
    let all = ["uid=p00", "uid=p01", "uid=p02", "uid=p03", "uid=p04"];
    office.set("everybody", "member", &all);
    office.set("p04", "mail", &["p04@a.example"]);
    office.set("p04", "title", &["clerk"]);
    office.save();
    office.expect(0, &["staging", "off"]);
    office.deliver();
    assert_eq!((office.held("p00", "title"), members(&office)), (json!("clerk"), 5));
    let audit = office.product.json(&["audit", "--json"]);
    let undone = audit.as_array().into_iter().flatten().find(|entry| entry["kind"] == "undo");
    assert_eq!(undone.map(|entry| &entry["details"]["undoes"]), Some(&json!(plan)));
}

#[test]
fn p10_a_running_service_takes_a_plan_back_and_holds_everything_else() {
    let mut office = Office::open(5, LAX, "poll: 1s, drain: 10s");
    let plan = mistaken(&mut office);
    let daemon = Daemon::start(&office.product);
    let (file, _) = office.plan(&["--undo", &plan]);
    let applied = office.expect(0, &["apply", &file]);
    assert!(applied.stdout.contains("taken back"), "{applied}");
    assert_eq!((office.held("p00", "title"), members(&office)), (json!("clerk"), 5));
    let writes = office.server.writes();
    office.change("p02", "title", &["something"]);
    until("another cycle", || {
        office.product.json(&["runs", "list", "--json"])[0]["verb"] == json!("run")
    });
    assert_eq!(office.server.writes(), writes, "it was not done again");
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn p10_what_was_deleted_is_listed_with_what_it_held_and_what_changed_since_is_left() {
    let mut office = Office::open(3, LAX, "");
    office.deliver();
    office.remove("everybody");
    office.change("p00", "title", &["chief"]);
    let plan = office.deliver()["plan"].as_str().unwrap_or("").to_owned();
    office.change("p00", "title", &["boss"]);
    office.deliver();
    let undo = office.expect(4, &["plan", "--undo", &plan, "--json"]).json();
    assert_eq!(undo["exports"], json!([]), "{undo}");
    let left = undo["left"].as_array().cloned().unwrap_or_default();
    let why: Vec<&Json> = left.iter().map(|left| &left["why"]).collect();
    assert_eq!(why.len(), 2, "{undo}");
    assert!(undo["left"].to_string().contains("`title` has changed since"), "{undo}");
    let group = left.iter().find(|left| left["op"] == "delete").cloned().unwrap_or_default();
    assert_eq!(group["before"]["displayName"], json!(["everybody"]), "{group}");
    assert_eq!(group["before"]["members"].as_array().map(Vec::len), Some(3), "{group}");
    let nothing = office.expect(2, &["plan", "--undo", "0123"]);
    assert!(nothing.stderr.contains("K0231"), "{nothing}");
}

#[test]
fn without_a_journal_nothing_can_be_taken_back() {
    let mut office = Office::open(3, "", "journal: off");
    office.deliver();
    office.change("p00", "title", &["chief"]);
    let plan = office.deliver()["plan"].as_str().unwrap_or("").to_owned();
    let nothing = office.expect(2, &["plan", "--undo", &plan]);
    assert!(nothing.stderr.contains("K0231"), "{nothing}");
}

#[test]
fn the_audit_tells_who_decided_what_and_hides_what_is_secret() {
    let mut office = Office::open(3, "", "");
    office.configure("", "", "audit: {secret: [title]}");
    office.deliver();
    office.set("p00", "title", &["chief"]);
    office.set("p00", "mail", &["p00@b.example"]);
    office.save();
    let run = office.deliver();
    let audit = office.product.json(&["audit", "--json", "--object", "p00@b.example"]);
    let entries = audit.as_array().cloned().unwrap_or_default();
    assert_eq!(entries.len(), 2, "{audit}");
    let sent = &entries[1];
    for (key, expected) in [
        ("kind", json!("sent")),
        ("op", json!("rename")),
        ("run", run["run"].clone()),
        ("plan", run["plan"].clone()),
        ("actor", json!("the rules")),
        ("sources", json!(["hr: uid=p00"])),
    ] {
        assert_eq!(sent[key], expected, "{key} of {sent}");
    }
    let change = |name: &str| {
        let changes = sent["changes"].as_array().cloned().unwrap_or_default();
        changes.into_iter().find(|change| change["attribute"] == name).unwrap_or_default()
    };
    let user_name = change("userName");
    assert_eq!(user_name["old"], json!(["p00@a.example"]), "{sent}");
    assert_eq!(user_name["new"], json!(["p00@b.example"]));
    assert_eq!(user_name["rule"], "Out User@cloud");
    let title = change("title").to_string();
    assert!(title.contains("sha256:") && !title.contains("chief"), "{title}");
    let text = office.expect(0, &["audit", "--since", "1h"]).stdout;
    assert!(text.contains("rename cloud/User p00@b.example"), "{text}");
    assert!(text.contains("configuration by uid "), "{text}");
    let none = office.expect(0, &["audit", "--json", "--since", "2100-01-01T00:00:00Z"]);
    assert_eq!(none.json(), json!([]));
    let wrong = office.expect(2, &["audit", "--since", "yesterday"]);
    assert!(wrong.stderr.contains("K0233"), "{wrong}");
}

#[test]
fn a_changed_configuration_is_noted_with_what_differs() {
    let office = Office::open(2, "", "");
    office.deliver();
    office.configure("renames_max: 7", "", "");
    office.product.write(
        "manifest.yml",
        &office
            .product
            .read("manifest.yml")
            .replace("{to: title, from: title}", "{to: title, from: mail}"),
    );
    office.run(&["once"]);
    office.run(&["once"]);
    let audit = office.product.json(&["audit", "--json"]);
    let noted: Vec<&Json> = audit
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["kind"] == "configuration")
        .collect();
    assert_eq!(noted.len(), 2, "the same is noted once: {audit}");
    let details = &noted[1]["details"];
    assert_eq!(details["keys"], json!(["targets.cloud.thresholds.renames_max"]), "{details}");
    assert!(details["rules"].to_string().contains("@"), "{details}");
}

#[test]
fn an_attribute_that_flaps_is_held_at_the_fourth_flip() {
    let mut office = Office::open(2, "", "");
    office.deliver();
    for title in ["chief", "clerk", "chief"] {
        office.change("p00", "title", &[title]);
        office.deliver();
    }
    assert_eq!(office.held("p00", "title"), json!("chief"));
    office.set("p00", "title", &["clerk"]);
    office.change("p01", "title", &["another"]);
    let held = office.expect(4, &["once", "--json"]).json();
    assert!(held["notes"].to_string().contains("flapping"), "{held}");
    assert_eq!(office.held("p00", "title"), json!("chief"));
    assert_eq!(office.held("p01", "title"), json!("another"), "others go on");
    let story = office.expect(0, &["explain", "p00@a.example"]).stdout;
    assert!(story.contains("to and fro 3 times"), "{story}");
    // It settles where it was: then there is nothing to hold.
    office.change("p00", "title", &["chief"]);
    office.deliver();
}

#[test]
fn a_plan_may_drift_as_far_as_allowed_and_what_was_not_reviewed_waits() {
    let mut office = Office::open(6, "", "");
    office.deliver();
    office.set("p00", "title", &["chief"]);
    office.change("p01", "title", &["chief"]);
    let (file, _) = office.plan(&[]);
    office.set("p01", "title", &["boss"]);
    office.change("p02", "title", &["other"]);
    let stale = office.expect(5, &["apply", &file]);
    assert!(stale.stderr.contains("stale"), "{stale}");
    let stale = office.expect(5, &["apply", &file, "--max-drift", "1"]);
    assert!(stale.stderr.contains("2 exports have come, gone or changed"), "{stale}");
    let applied = office.expect(0, &["apply", &file, "--max-drift", "2"]);
    assert!(applied.stdout.contains("2 exports came or changed"), "{applied}");
    let titles = ["p00", "p01", "p02"].map(|name| office.held(name, "title"));
    assert_eq!(titles, [json!("chief"), json!("clerk"), json!("clerk")]);
    office.deliver();
    assert_eq!(office.held("p01", "title"), json!("boss"));
}

#[test]
fn r10_the_type_of_a_rule_s_metaverse_objects_must_not_change_while_there_are_any() {
    let server = InProcess::start();
    let product = Product::new(&[
        ("config.yml", &ldif_config(&server.base_url())),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", LDIF_MANIFEST),
        ("hr.ldif", "dn: uid=a\nobjectClass: inetOrgPerson\nuid: a\ntitle: one\n"),
    ]);
    product.json(&["once", "--json"]);
    let writes = server.writes();
    product.write("manifest.yml", &LDIF_MANIFEST.replace(" person\n", " employee\n"));
    let refused = product.run(&["once"]);
    assert_eq!(refused.code, 5, "{refused}");
    assert!(refused.stdout.contains("of the type `person`, which cannot become `employee`"));
    assert_eq!(server.writes(), writes, "nothing is sent");
    product.write("manifest.yml", LDIF_MANIFEST);
    product.json(&["once", "--json"]);
    assert_eq!(server.writes(), writes, "and nothing was lost");
}
