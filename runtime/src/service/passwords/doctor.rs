//! `kakehi password doctor`: everything that passwords need, looked at one by one, with what to do
//! about it. Nothing is written, and no password is touched.

use std::path::Path;
use std::time::Duration;

use kakehi_engine::password::Answer;
use kakehi_password::door::Lookup;
use kakehi_password::keys;
use kakehi_password::queue::Queue;
use kakehi_password::secret;
use tokio::net::UnixStream;

use super::parts;
use crate::config::Config;
use crate::config::password::Password;
use crate::edge::Clock as _;
use crate::service::clock::SystemClock;
use crate::service::failure::Failure;
use crate::service::once::runtime;
use crate::service::world::{self, World};

/// A user that no target has.
const NOBODY: &str = "kakehi-doctor-nobody";
/// An agent that was not heard of for so long may be dead.
const SILENCE: Duration = Duration::from_secs(7 * 86_400);

/// One finding.
pub struct Check {
    pub what: String,
    pub well: bool,
    pub said: String,
}

// === impl Check ===

impl Check {
    fn well(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self { what: what.into(), well: true, said: said.into() }
    }

    fn sick(what: impl Into<String>, said: impl Into<String>) -> Self {
        Self { what: what.into(), well: false, said: said.into() }
    }
}

/// Looks at everything.
///
/// Errors: the configuration cannot be used; then nothing else can be looked at.
pub fn checks(config: &Path) -> Result<Vec<Check>, Failure> {
    let world = world::load_to_look(config)?;
    let Some(password) = &world.config.password else {
        return Ok(vec![Check::sick("configuration", "no passwords are synchronized")]);
    };
    let mut checks = vec![Check::well("configuration", format!("preset {}", password.preset))];
    checks.push(memory());
    checks.push(keys_of(password));
    checks.extend(queue(&world.config, password));
    runtime()?.block_on(async {
        checks.push(intake(password).await);
        for name in password.targets.keys() {
            checks.push(target(&world, password, name).await);
        }
    });
    Ok(checks)
}

fn memory() -> Check {
    let what = "memory";
    match secret::harden_process().weak() {
        None => Check::well(what, "locked, and in no core file"),
        Some(weak) => Check::sick(what, format!("{weak}; raise LimitMEMLOCK of the unit")),
    }
}

fn keys_of(password: &Password) -> Check {
    let what = "keys";
    match keys::HeldKeys::load(&password.keys) {
        Ok(held) => {
            let ring = held.ring();
            let count = ring.public_keys().count();
            Check::well(what, format!("{count} key pairs; current is {}", ring.current().id()))
        }
        Err(error) => {
            let failure = parts::keys_failure(error);
            Check::sick(what, failure.message)
        }
    }
}

fn queue(config: &Config, password: &Password) -> Vec<Check> {
    let what = "queue";
    let read = Queue::open_read_only(&config.state.path).and_then(|reader| reader.status());
    let status = match read {
        Ok(status) => status,
        Err(error) => return vec![Check::sick(what, error.to_string())],
    };
    let full = status.records.saturating_mul(100) / password.records_max.max(1);
    let said = format!("{} passwords wait, {full} % of the room", status.records);
    let mut checks = vec![match full < 80 && status.set_aside == 0 {
        true => Check::well(what, said),
        false => Check::sick(what, format!("{said}; {} rows set aside", status.set_aside)),
    }];
    let now = SystemClock.now();
    for name in password.agents.keys() {
        let what = format!("agent `{name}`");
        let seen = status.agents.iter().find(|seen| *seen.agent == **name);
        checks.push(match seen {
            None => Check::sick(what, "never heard of; is it installed, and may it connect?"),
            Some(seen) if now.minus(SILENCE.as_secs()) > seen.seen_at => {
                Check::sick(what, format!("silent since {}", seen.seen_at.rfc3339()))
            }
            Some(seen) => {
                let numbers = match seen.missing {
                    0 => String::new(),
                    missing => format!(
                        "; {missing} numbers never seen: operations that the directory refused, \
                         or captures that were lost"
                    ),
                };
                Check::well(what, format!("last seen {}{numbers}", seen.seen_at.rfc3339()))
            }
        });
    }
    checks
}

async fn intake(password: &Password) -> Check {
    let socket = &password.intake.socket;
    match UnixStream::connect(socket).await {
        Ok(_) => Check::well("intake", format!("answers at {}", socket.display())),
        Err(error) => {
            let said = format!("no service answers at {}: {error}", socket.display());
            Check::sick("intake", said)
        }
    }
}

/// Looks somebody up that is not there: that shows address, certificate and credential.
async fn target(
    world: &World,
    password: &Password,
    name: &kakehi_engine::object::ConnectorName,
) -> Check {
    let what = format!("target `{name}`");
    let options = match parts::target(world, name, &password.targets[name]) {
        Ok(options) => options,
        Err(failure) => return Check::sick(what, failure.message),
    };
    let nobody = Lookup { value: NOBODY.to_owned(), remote_id: None };
    match options.target.find(&nobody).await {
        Err(reply) if reply.answer == Answer::NotFound => {
            Check::well(what, "answers, and knows who is not there")
        }
        Err(reply) => {
            let detail = reply.detail.unwrap_or_default();
            Check::sick(what, format!("{:?}: {detail}", reply.answer))
        }
        Ok(user) => {
            let said = format!("finds `{}` where nobody is: its filter cannot be trusted", user.id);
            Check::sick(what, said)
        }
    }
}
