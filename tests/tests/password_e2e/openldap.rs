//! From an OpenLDAP to a service, scim2-server, and to the OpenLDAP of a branch, which has a
//! password policy. Users are synchronized to the service; the branch has its own.

use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::installation::{MANIFEST, TOKEN, config};
use kakehi_tests::product::Product;
use kakehi_tests::scim_server::ScimServer;
use kakehi_tests::slapd::{PEOPLE, READER, READER_PASSWORD, Slapd};
use serde_json::Value as Json;

use crate::office::{
    EMOJI, FIRST, JAPANESE, Shim, audit, binds, captured, change, change_own, dn, done,
    nothing_waits, person, rejections, reset, reset_by_exop, strict, told, waiting,
};

struct World {
    // Ended in this order: nothing is left without those it speaks to.
    daemon: Daemon,
    _shim: Shim,
    source: Slapd,
    cloud: ScimServer,
    branch: Slapd,
    product: Product,
}

fn secrets(of_branch: &str) -> String {
    format!(
        "credentials:\n  directory: {{value: {READER_PASSWORD}}}\n  \
         branch: {{value: '{of_branch}'}}\n  cloud-token: {{value: {TOKEN}}}\n"
    )
}

impl World {
    /// With the same people everywhere. `poll`: how often the source is looked at.
    fn new(poll: &str, people: &[&str]) -> Self {
        let product = Product::new(&[]);
        let socket = product.path("slapd.sock");
        let source = captured(socket.clone(), people);
        let (branch, cloud) = (strict(people), ScimServer::start());
        let url = branch.url();
        let passwords = format!(
            "  branch: {{kind: ldap_bind}}
run: {{poll: {poll}}}
password:
  retry: {{unavailable: {{backoff: {{initial: 1s, max: 1s}}}}}}
  breaker: {{open: 1s}}
  agents: {{shim: {{source: corp}}}}
  targets:
    cloud: {{match: {{source: uid}}}}
    branch:
      ldap:
        kind: openldap
        urls: [{url}]
        bind: {{dn: '{READER}', credential: branch}}
        bases: ['{PEOPLE}']
      match: {{source: uid, target: uid}}
      style: exop
"
        );
        let config = config(&source.url(), &cloud.base_url());
        let config = config.replace("rules: {cache", &(passwords + "rules: {cache"));
        product.write("config.yml", &config);
        product.write("manifest.yml", MANIFEST);
        product.write("secret.yml", &secrets(READER_PASSWORD));
        done(&product, &["password", "keys", "new"]);
        let shim = Shim::start(&product, "shim", &socket);
        let daemon = Daemon::start(&product);
        until("everybody is there", || cloud.users().len() == people.len());
        Self { daemon, _shim: shim, source, cloud, branch, product }
    }

    /// Starts the service again, which may bind at the branch with this from now on.
    fn restart_with(&mut self, secret_of_branch: &str) {
        self.product.write("secret.yml", &secrets(secret_of_branch));
        self.daemon.signal("-TERM");
        until("it is gone", || !self.daemon.is_running());
        self.daemon = Daemon::start(&self.product);
    }

    /// Waits until a user has a password everywhere, and nothing waits any more.
    fn arrives(&self, uid: &str, password: &str) {
        until("it arrives at the branch", || binds(&self.branch, uid, password));
        until("it arrives at the service", || self.cloud.has_password(uid, password));
        until("nothing waits", || nothing_waits(&self.product));
    }

    /// What the doctor says of one thing.
    fn checked(&self, what: &str) -> Json {
        let checks = self.product.run(&["password", "doctor", "--json"]).json();
        let of = checks.as_array().expect("a list").iter().find(|check| check["check"] == what);
        of.unwrap_or_else(|| panic!("{checks}")).clone()
    }

    fn attribute(&self, uid: &str, name: &str, value: &str) {
        let dn = dn(uid);
        let ldif = format!("dn: {dn}\nchangetype: modify\nreplace: {name}\n{name}: {value}\n");
        assert!(change(&self.source, &ldif));
    }

    fn add(&self, uid: &str, department: &str, password: &str) {
        let record = person(uid, 77, password).replacen('\n', "\nchangetype: add\n", 1);
        let department = format!("departmentNumber: {department}");
        assert!(change(&self.source, &record.replace("departmentNumber: 1", &department)));
    }

    /// What the service was told to write from now on, but for the ids.
    fn writes(&self, before: usize) -> Vec<String> {
        let requests = self.cloud.requests();
        let new = requests[before..].iter().filter(|request| !request.starts_with("GET"));
        new.map(|request| request.split('/').take(3).collect::<Vec<_>>().join("/")).collect()
    }
}

#[test]
fn o01_o03_o05_o08_n23_every_kind_of_change_arrives_without_a_poll() {
    let world = World::new("24h", &["taro", "hana"]);
    let source = &world.source;
    let mut old = FIRST.to_owned();
    let mut followed = |new: &str| {
        world.arrives("taro", new);
        assert!(!binds(&world.branch, "taro", &old), "{old} is still taken");
        old = new.to_owned();
    };
    assert!(reset(source, "taro", "by-the-administrator"));
    followed("by-the-administrator");
    assert!(reset_by_exop(source, "taro", JAPANESE));
    followed(JAPANESE);
    assert!(change_own(source, "taro", JAPANESE, EMOJI));
    followed(EMOJI);
    // O-21: once each, and nobody else's.
    for target in ["cloud", "branch"] {
        until("it is told thrice", || told(&world.daemon, "PW010", target) == 3);
    }
    assert!(binds(&world.branch, "hana", FIRST));
    let delivered = ["queued", "DELIVERED"].repeat(3);
    assert_eq!(audit(&world.product, "taro", "branch"), delivered);
    // O-04: what the source refuses goes nowhere.
    assert!(!change_own(source, "hana", "not her password", "never-captured"));
    assert!(reset(source, "hana", "the-last-of-all"));
    world.arrives("hana", "the-last-of-all");
    until("it is told", || told(&world.daemon, "PW010", "branch") == 4);
    assert_eq!(told(&world.daemon, "PW020", "branch"), 4, "{}", world.daemon.text());
    // S-22: neither in logs nor in the state.
    for secret in ["by-the-administrator", JAPANESE, EMOJI, "the-last-of-all"] {
        for (path, bytes) in kakehi_tests::product::contents(world.product.folder.path()) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a password is in {}", path.display());
        }
    }
}

#[test]
fn n04_n12_n13_a_user_added_with_a_password_is_created_and_then_gets_it() {
    let world = World::new("1s", &["taro"]);
    let before = world.cloud.requests().len();
    world.add("saburo", "1", JAPANESE);
    until("it arrives", || world.cloud.has_password("saburo", JAPANESE));
    assert_eq!(world.writes(before), ["POST /v2/Users", "PATCH /v2/Users"]);
    // N-03: the branch makes its user later, and the next change of the user brings the password.
    until("the branch is asked", || told(&world.daemon, "PW030", "branch") > 0);
    until("it waits", || waiting(&world.product, "branch") == [("WAIT_USER".to_owned(), 0)]);
    let record = person("saburo", 77, FIRST).replacen('\n', "\nchangetype: add\n", 1);
    assert!(change(&world.branch, &record));
    world.attribute("saburo", "title", "部長");
    world.arrives("saburo", JAPANESE);
    assert_eq!(audit(&world.product, "saburo", "branch"), ["queued", "DELIVERED"]);
}

#[test]
fn o13_n14_a_user_that_rules_hold_back_gets_the_cached_password_when_created() {
    let world = World::new("1s", &["taro"]);
    let before = world.cloud.requests().len();
    // Department 19 is not for the cloud.
    world.add("shiro", "19", EMOJI);
    until("there is no such user", || told(&world.daemon, "PW030", "cloud") > 0);
    until("it waits", || waiting(&world.product, "cloud") == [("WAIT_USER".to_owned(), 0)]);
    // Whatever else happens to it, it is not for the cloud (N-18): somebody else's change is seen
    // after its.
    world.attribute("shiro", "title", "x");
    world.attribute("taro", "title", "x");
    let titled = || world.cloud.users().iter().any(|user| user["title"] == "x");
    until("a later change is through", titled);
    assert_eq!(world.writes(before), ["PATCH /v2/Users"]);
    assert_eq!(waiting(&world.product, "cloud"), [("WAIT_USER".to_owned(), 0)]);
    let before = world.cloud.requests().len();
    world.attribute("shiro", "departmentNumber", "2");
    until("it arrives", || world.cloud.has_password("shiro", EMOJI));
    assert_eq!(world.writes(before), ["POST /v2/Users", "PATCH /v2/Users"]);
}

#[test]
fn t34_a_rename_between_capture_and_delivery_is_followed() {
    let world = World::new("1s", &["taro", "hana"]);
    done(&world.product, &["password", "pause", "--all"]);
    assert!(reset(&world.source, "taro", JAPANESE));
    until("it is queued", || told(&world.daemon, "PW020", "cloud") == 1);
    let rename =
        format!("dn: {}\nchangetype: modrdn\nnewrdn: uid=ichiro\ndeleteoldrdn: 1\n", dn("taro"));
    assert!(change(&world.source, &rename));
    assert!(change(&world.branch, &rename));
    let renamed = || world.cloud.users().iter().any(|user| user["userName"] == "ichiro");
    until("the service has the new name", renamed);
    assert!(binds(&world.branch, "ichiro", FIRST), "nothing is sent during a pause");
    done(&world.product, &["password", "resume", "--all"]);
    world.arrives("ichiro", JAPANESE);
    // And with the new name from then on.
    assert!(reset(&world.source, "ichiro", EMOJI));
    world.arrives("ichiro", EMOJI);
    for target in ["cloud", "branch"] {
        assert_eq!(told(&world.daemon, "PW030", target), 0, "{}", world.daemon.text());
    }
}

#[test]
fn o12_o28_l01_a_target_that_is_down_costs_nothing_but_time() {
    let mut world = World::new("24h", &["taro"]);
    world.branch.stop();
    assert!(reset(&world.source, "taro", JAPANESE));
    until("it arrives where somebody is", || world.cloud.has_password("taro", JAPANESE));
    until("the branch is known to be down", || told(&world.daemon, "PW031", "branch") > 0);
    let down = || waiting(&world.product, "branch") == [("WAIT_UNAVAILABLE".to_owned(), 0)];
    until("it waits", down);
    // Also over a restart of ours; meanwhile the source goes on (O-12).
    world.daemon.signal("-KILL");
    until("it is gone", || !world.daemon.is_running());
    assert!(reset(&world.source, "taro", EMOJI));
    world.daemon = Daemon::start(&world.product);
    until("the newer one arrives", || world.cloud.has_password("taro", EMOJI));
    until("it waits", down);
    world.branch.restart();
    world.arrives("taro", EMOJI);
    assert!(!binds(&world.branch, "taro", JAPANESE));
    let audit = audit(&world.product, "taro", "branch");
    assert_eq!(audit, ["queued", "SUPERSEDED", "queued", "DELIVERED"]);
}

#[test]
fn o23_n19_n21_a_rejected_password_waits_for_a_better_one() {
    let mut world = World::new("24h", &["taro"]);
    assert!(reset(&world.source, "taro", "short"));
    until("the branch rejects it", || rejections(&world.daemon, "branch") == ["too_short"]);
    until("the service takes it", || world.cloud.has_password("taro", "short"));
    let rejected = |count| vec![("WAIT_REJECTED".to_owned(), count)];
    until("it waits", || waiting(&world.product, "branch") == rejected(1));
    // An outage does not count (O-23); the next answer does.
    world.branch.stop();
    done(&world.product, &["password", "retry", "--user", "taro"]);
    let down = || waiting(&world.product, "branch") == [("WAIT_UNAVAILABLE".to_owned(), 1)];
    until("it waits for the branch", down);
    world.branch.restart();
    until("it is rejected again", || waiting(&world.product, "branch") == rejected(2));
    until("it is told again", || rejections(&world.daemon, "branch") == ["too_short"; 2]);
    assert!(reset(&world.source, "taro", "long-enough-now"));
    world.arrives("taro", "long-enough-now");
    assert!(!binds(&world.branch, "taro", "short"));
    assert!(!binds(&world.branch, "taro", FIRST));
    let expected = ["queued", "SUPERSEDED", "queued", "DELIVERED"];
    assert_eq!(audit(&world.product, "taro", "branch"), expected);
}

#[test]
fn n03_n19_a_change_of_the_user_tries_a_rejected_password_once_more() {
    let world = World::new("1s", &["taro", "hana"]);
    assert!(reset(&world.source, "taro", "short"));
    until("the branch rejects it", || !rejections(&world.daemon, "branch").is_empty());
    // The password itself is a change of the user: it may be seen before the rejection or after.
    world.attribute("hana", "title", "x");
    let titled = || world.cloud.users().iter().any(|user| user["title"] == "x");
    until("that is through", titled);
    until("it waits", || {
        waiting(&world.product, "branch").iter().any(|(state, _)| state == "WAIT_REJECTED")
    });
    // The policy is another one by now, and the user changes.
    let shorter = "changetype: modify\nreplace: pwdMinLength\npwdMinLength: 3\n";
    let policy = format!("cn=policy,{}", kakehi_tests::slapd::SUFFIX);
    assert!(change(&world.branch, &format!("dn: {policy}\n{shorter}")));
    assert!(!binds(&world.branch, "taro", "short"));
    world.attribute("taro", "title", "主任");
    world.arrives("taro", "short");
}

#[test]
fn t33_the_password_of_a_deleted_user_is_purged() {
    let world = World::new("1s", &["taro", "hana"]);
    done(&world.product, &["password", "pause", "--all"]);
    assert!(reset(&world.source, "taro", "of-nobody-any-more"));
    until("it is queued", || told(&world.daemon, "PW020", "branch") == 1);
    assert!(change(&world.source, &format!("dn: {}\nchangetype: delete\n", dn("taro"))));
    until("it is purged", || nothing_waits(&world.product));
    done(&world.product, &["password", "resume", "--all"]);
    assert!(reset(&world.source, "hana", JAPANESE));
    world.arrives("hana", JAPANESE);
    assert!(!binds(&world.branch, "taro", "of-nobody-any-more"));
    assert!(!world.cloud.has_password("taro", "of-nobody-any-more"));
    let purged = ["queued", "PURGED_USER_DELETED"];
    assert_eq!(audit(&world.product, "taro", "branch"), purged);
    assert_eq!(audit(&world.product, "taro", "cloud"), purged);
}

#[test]
fn l01_t24_a_credential_that_is_refused_holds_passwords_and_counts_nothing() {
    let mut world = World::new("24h", &["taro"]);
    world.restart_with("no longer valid");
    let check = world.checked("target `branch`");
    assert!(check["well"] == false, "{check}");
    assert!(check["said"].as_str().is_some_and(|said| said.contains("(49)")), "{check}");
    assert!(reset(&world.source, "taro", JAPANESE));
    until("it arrives where we may write", || world.cloud.has_password("taro", JAPANESE));
    until("the branch refuses us", || told(&world.daemon, "PW036", "branch") > 0);
    let held = || waiting(&world.product, "branch") == [("WAIT_UNAVAILABLE".to_owned(), 0)];
    until("it waits", held);
    world.restart_with(READER_PASSWORD);
    let check = world.checked("target `branch`");
    assert!(check["well"] == true, "{check}");
    world.arrives("taro", JAPANESE);
    assert_eq!(audit(&world.product, "taro", "branch"), ["queued", "DELIVERED"]);
}
