//! What is purged is gone: from the database and from its journal, whichever way a record went
//! (password.md 5.4 I5, 7.1), while the service runs.

use kakehi_password::agent::Agent;
use kakehi_password::envelope::Envelope;
use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::product::{Product, contents};

use crate::http::{self, Act, Seen, Server};
use crate::{forms, office};

/// How many bytes at the end of an envelope are looked for: ciphertext and tag.
const END: usize = 40;

const POLICY: &str = "  retry:
    rejected: {triggers: [timer], max: 0, interval: 1s}
    unavailable: {triggers: [timer], backoff: {initial: 1s, max: 1s}}
    not_found: {action: drop}
";

struct House {
    product: Product,
    daemon: Option<Daemon>,
    agent: Agent,
    /// What captures are answered by depends on the name of the user.
    server: Server,
}

// === impl House ===

impl House {
    /// A running service that delivers nothing for now.
    fn paused() -> Self {
        let server = Server::start(answer);
        let config = office::config("info", &[("cloud", server.base_url())], POLICY);
        let product = office::product(&config);
        let (daemon, agent) = (Some(Daemon::start(&product)), office::agent(&product));
        let house = Self { product, daemon, agent, server };
        house.run(&["pause", "--all"]);
        house
    }

    fn run(&self, arguments: &[&str]) {
        let answer = self.product.run(&[&["password"], arguments].concat());
        assert_eq!(answer.code, 0, "{arguments:?}: {answer}");
    }

    /// Hands a password over, and sees that it is kept.
    fn capture(&self, user: &str, number: u32) -> Envelope {
        let envelope = office::seal(&self.agent, user, &forms::password(number));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.agent.intake().send(&envelope)).expect("the intake takes it");
        assert!(self.is_kept(&envelope), "it is looked for in the wrong place");
        envelope
    }

    /// Whether ciphertext of it is in any file of the state.
    fn is_kept(&self, envelope: &Envelope) -> bool {
        let bytes = envelope.as_bytes();
        let end = &bytes[bytes.len() - END..];
        let files = contents(&self.product.state());
        files.iter().any(|(_, content)| !forms::places(content, end).is_empty())
    }

    fn until_gone(&self, envelope: &Envelope, fate: &str) {
        let user = envelope.metadata().login.clone();
        until(&format!("{fate} of {user}"), || {
            office::fates(&self.product, &user, "cloud").iter().any(|word| word == fate)
        });
        until(&format!("the end of what is {fate}"), || !self.is_kept(envelope));
    }

    fn restart_with(&mut self, policy: &str) {
        drop(self.daemon.take());
        let config = office::config("info", &[("cloud", self.server.base_url())], policy);
        self.product.write("config.yml", &config);
        self.daemon = Some(Daemon::start(&self.product));
    }
}

fn answer(seen: &Seen) -> Act {
    match (seen.method.as_str(), seen.looked_up()) {
        ("GET", Some("unknown")) => http::nobody(),
        ("GET", Some(name)) => http::found(name),
        ("GET", None) => http::user(seen.id()),
        _ if seen.id() == "rejected" => http::invalid_value("too short"),
        _ => http::say(204, ""),
    }
}

#[test]
fn i05_o21_o24_nothing_is_left_of_what_was_delivered_refused_or_dropped() {
    let house = House::paused();
    let captures = [
        (house.capture("good", 1), "DELIVERED"),
        (house.capture("rejected", 2), "MAX_RETRIES"),
        (house.capture("unknown", 3), "DROPPED_NOT_FOUND"),
    ];
    house.run(&["resume", "--all"]);
    for (envelope, fate) in &captures {
        house.until_gone(envelope, fate);
    }
    assert!(office::waiting(&house.product).is_empty());
}

#[test]
fn i05_t05_t36_nothing_is_left_of_what_was_superseded_or_purged() {
    let house = House::paused();
    let other = house.capture("other", 1);
    let first = house.capture("good", 2);
    let second = house.capture("good", 3);
    house.until_gone(&first, "SUPERSEDED");
    house.run(&["purge", "--user", "good"]);
    house.until_gone(&second, "PURGED_OPERATOR");
    // And only of that.
    assert!(house.is_kept(&other));
}

#[test]
fn i05_t31_nothing_is_left_of_what_expired_while_nobody_ran() {
    let mut house = House::paused();
    let envelope = house.capture("good", 1);
    house.restart_with("  hard_max_age: 1ms\n");
    house.until_gone(&envelope, "EXPIRED");
}

#[test]
fn i05_i08_a_killed_service_erases_what_it_left_half_erased() {
    let mut house = House::paused();
    let kept = house.capture("other", 1);
    let envelope = house.capture("good", 2);
    house.run(&["purge", "--user", "good"]);
    house.restart_with(POLICY);
    house.until_gone(&envelope, "PURGED_OPERATOR");
    assert!(house.is_kept(&kept));
}
