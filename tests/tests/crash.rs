//! `kill -9` at random points of a run against real servers (performance.md PF-08, delivery.md
//! W-19).

use std::collections::BTreeMap;
use std::time::Duration;

use kakehi_tests::company::{Company, user, user_dn};
use kakehi_tests::installation::openldap_to_scim;
use kakehi_tests::scim_server::ScimServer;
use kakehi_tests::slapd::Slapd;

const KILLS: u64 = 20;
const USERS: usize = 200;

/// Longest time before a kill: a run of this size takes about as long.
const KILL_AFTER_MS_MAX: u64 = 1500;

/// A repeatable sequence: the same seed gives the same points in time.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn pf08_after_twenty_kills_the_target_holds_every_user_exactly_once() {
    let company = Company { users: USERS, groups: 3, first_group: 50, members: 10 };
    let (slapd, server) = (Slapd::start(&company.ldif()), ScimServer::start());
    let product = openldap_to_scim(&slapd.url(), &server.base_url());
    let mut seed = 0x5eed_0001;
    for kill in 0..KILLS {
        let mut child = product.start(&["once"]);
        std::thread::sleep(Duration::from_millis(20 + random(&mut seed) % KILL_AFTER_MS_MAX));
        child.kill().expect("the run can be killed");
        child.wait().expect("the run has ended");
        let number = USERS + usize::try_from(kill).expect("a small number");
        slapd.modify(&format!("{}\n", user(number).replacen('\n', "\nchangetype: add\n", 1)));
        for other in 0..10 {
            let dn = user_dn((number * 7 + other) % USERS);
            slapd
                .modify(&format!("dn: {dn}\nchangetype: modify\nreplace: title\ntitle: t{kill}\n"));
        }
    }
    let run = product.run(&["once", "--json"]);
    assert_eq!(run.code, 0, "the next run needs no human: {run}");
    let total = USERS + usize::try_from(KILLS).expect("a small number");
    let expected = (0..total).filter(|number| number % 20 != 19).count();
    let mut by_anchor: BTreeMap<String, usize> = BTreeMap::new();
    for user in server.users() {
        *by_anchor.entry(user["externalId"].to_string()).or_default() += 1;
    }
    assert_eq!(by_anchor.len(), expected, "one user for every source user");
    assert!(by_anchor.values().all(|number| *number == 1), "none twice: {by_anchor:?}");
    let again = product.json(&["once", "--full", "--json"]);
    assert_eq!(again["delivered"]["done"], 0, "nothing was lost: {again:#}");
}
