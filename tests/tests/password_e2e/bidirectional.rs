//! Two directories, in both of which passwords are changed (password.md 5.8). Rules join their
//! users, who are called differently on either side.

use std::thread::sleep;
use std::time::Duration;

use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::product::Product;
use kakehi_tests::slapd::{ADMIN, ADMIN_PASSWORD, PEOPLE, READER, READER_PASSWORD, SUFFIX, Slapd};

use crate::office::{
    EMOJI, FIRST, JAPANESE, Shim, audit, binds, captured, change_own, done, nothing_waits, reset,
    told,
};

/// Shorter than the shim waits for results of a write.
const PACE: Duration = Duration::from_millis(350);

/// Who is the same person on both sides has the same number.
const MANIFEST: &str = r#"version: 1
connectors:
  - {name: east, kind: openldap, order: 1}
  - {name: west, kind: openldap, order: 2}
rules:
  - name: In from the east
    precedence: 100
    connector: east
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    join: [[{cs: employeeNumber, mv: employeeNumber}]]
    module: builtin:declarative
    config: {flows: [{to: employeeNumber, from: employeeNumber}]}
  - name: In from the west
    precedence: 110
    connector: west
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    join: [[{cs: employeeNumber, mv: employeeNumber}]]
    module: builtin:declarative
    config: {flows: [{to: employeeNumber, from: employeeNumber}]}
"#;

struct World {
    daemon: Daemon,
    _shims: [Shim; 2],
    east: Slapd,
    west: Slapd,
    product: Product,
}

fn config(east: &Slapd, west: &Slapd) -> String {
    let (east, west) = (east.url(), west.url());
    let source = |url: &str| {
        format!(
            "ldap: {{kind: openldap, urls: [{url}], bases: ['{SUFFIX}'], \
             bind: {{dn: '{READER}', credential: directory}}}}"
        )
    };
    let target = |url: &str| {
        format!(
            "ldap: {{kind: openldap, urls: [{url}], bases: ['{PEOPLE}'], \
             bind: {{dn: '{ADMIN}', credential: admin}}}}"
        )
    };
    format!(
        "manifest: manifest.yml
state: {{path: state}}
sources:
  east: {{{}}}
  west: {{{}}}
credentials:
  directory: {{kind: ldap_bind}}
  admin: {{kind: ldap_bind}}
rules: {{cache: cache}}
run: {{poll: 24h}}
password:
  authority: both
  agents: {{shim-east: {{source: east}}, shim-west: {{source: west}}}}
  targets:
    to-east:
      system: east
      {}
      match: {{source: employeeNumber, target: employeeNumber}}
    to-west:
      system: west
      {}
      match: {{source: employeeNumber, target: employeeNumber}}
",
        source(&east),
        source(&west),
        target(&east),
        target(&west),
    )
}

impl World {
    fn new() -> Self {
        let product = Product::new(&[]);
        let sockets = ["east", "west"].map(|name| product.path(&format!("{name}.sock")));
        let east = captured(sockets[0].clone(), &["taro", "hana"]);
        let west = captured(sockets[1].clone(), &["yamada", "suzuki"]);
        product.write("config.yml", &config(&east, &west));
        product.write("manifest.yml", MANIFEST);
        product.write(
            "secret.yml",
            &format!(
                "credentials:\n  directory: {{value: {READER_PASSWORD}}}\n  \
                 admin: {{value: {ADMIN_PASSWORD}}}\n"
            ),
        );
        done(&product, &["password", "keys", "new"]);
        let shims = [
            Shim::start(&product, "shim-east", &sockets[0]),
            Shim::start(&product, "shim-west", &sockets[1]),
        ];
        let daemon = Daemon::start(&product);
        until("users are known", || daemon.count("RN001") > 0);
        Self { daemon, _shims: shims, east, west, product }
    }

    /// Deliveries to the east and to the west, and echoes that were recognised.
    fn counts(&self) -> [usize; 3] {
        let echoes = self.daemon.count("PW023");
        [told(&self.daemon, "PW010", "to-east"), told(&self.daemon, "PW010", "to-west"), echoes]
    }
}

#[test]
fn n16_o02_passwords_flow_both_ways_and_none_comes_back() {
    let world = World::new();
    assert!(reset(&world.east, "taro", JAPANESE));
    until("it is in the west", || binds(&world.west, "yamada", JAPANESE));
    // The west's overlay saw our own write.
    until("the echo is recognised", || world.counts() == [0, 1, 1]);
    // The other way, by the user herself, and with the same password for somebody else.
    assert!(change_own(&world.west, "yamada", JAPANESE, EMOJI));
    until("it is in the east", || binds(&world.east, "taro", EMOJI));
    until("the echo is recognised", || world.counts() == [1, 1, 2]);
    assert!(reset(&world.east, "hana", EMOJI));
    until("it is in the west", || binds(&world.west, "suzuki", EMOJI));
    until("the echo is recognised", || world.counts() == [1, 2, 3]);
    // L-11: back to the password of before is a change like every other.
    assert!(reset(&world.east, "taro", JAPANESE));
    until("it is in the west again", || binds(&world.west, "yamada", JAPANESE));
    until("the echo is recognised", || world.counts() == [1, 3, 4]);
    // What was captured before these is decided by then: nothing goes round.
    for (here, there, uid, other) in
        [(&world.east, &world.west, "hana", "suzuki"), (&world.west, &world.east, "suzuki", "hana")]
    {
        let password = format!("the last from {uid}");
        assert!(reset(here, uid, &password));
        until("it is there", || binds(there, other, &password));
    }
    until("all echoes are recognised", || world.counts() == [2, 4, 6]);
    until("nothing waits", || nothing_waits(&world.product));
    assert_eq!(world.counts(), [2, 4, 6], "{}", world.daemon.text());
    assert_eq!(world.daemon.count("PW025"), 0);
    assert!(binds(&world.east, "taro", JAPANESE) && binds(&world.west, "yamada", JAPANESE));
    assert!(!binds(&world.east, "taro", FIRST) && !binds(&world.west, "yamada", FIRST));
    let delivered = audit(&world.product, "yamada", "to-east");
    let count = delivered.iter().filter(|what| *what == "DELIVERED").count();
    assert_eq!(count, 1, "{delivered:?}");
}

#[test]
fn n16_i01_a_burst_of_changes_ends_with_the_last_one_on_both_sides() {
    let world = World::new();
    // Several are delivered before the echo of the first is heard of.
    for number in 1..=5 {
        assert!(reset(&world.east, "taro", &format!("number-{number}")));
        // What is asked for holds at every pace; at this one several are on their way at once.
        sleep(PACE);
    }
    until("the last one is in the west", || binds(&world.west, "yamada", "number-5"));
    until("nothing waits", || nothing_waits(&world.product));
    let audit = audit(&world.product, "taro", "to-west");
    let west = audit.iter().filter(|what| *what == "DELIVERED").count();
    assert!(west > 0, "{audit:?}");
    until("all echoes are recognised", || world.counts() == [0, west, west]);
    // Whatever came from the west before this is decided by then.
    assert!(reset(&world.west, "suzuki", EMOJI));
    until("it is in the east", || binds(&world.east, "hana", EMOJI));
    until("the echo is recognised", || world.counts() == [1, west, west + 1]);
    until("nothing waits", || nothing_waits(&world.product));
    assert!(binds(&world.east, "taro", "number-5"));
    assert!(binds(&world.west, "yamada", "number-5"));
}
