//! `kakehi password keys`: making, listing and retiring key pairs (password.md 6.2).

use std::io::Write as _;
use std::path::Path;

use kakehi_password::envelope::{KeyId, Suite};
use kakehi_password::keys;
use serde_json::json;

use super::{of, settings};
use crate::cli::{Error, Outcome};
use crate::service::control::{self, Request};
use crate::service::failure::{Failure, Kind};
use crate::service::passwords::operator::{self, Order, Verb};

#[derive(clap::Subcommand)]
pub enum Keys {
    /// Make a key pair; new captures are to be sealed to it from now on
    New {
        /// `x25519`, or `p256` where FIPS algorithms are asked for
        #[arg(long, default_value = "x25519")]
        suite: String,
    },
    /// The key pairs there are, and how many passwords wait that need them
    List {
        #[arg(long)]
        json: bool,
    },
    /// Destroy a private key: what was sealed to it can never be read again, not even in a backup
    Retire {
        /// As `list` shows it
        id: String,
    },
}

impl Keys {
    pub fn execute(self, config: &Path) -> Outcome {
        let config = settings(config)?;
        let folder = &of(&config).keys;
        let mut out = anstream::stdout();
        match self {
            Self::New { suite } => {
                let suite = Suite::from_text(&suite).ok_or_else(|| {
                    Failure::new(Kind::Usage, "K0291", format!("there is no suite `{suite}`"))
                        .hint("take `x25519` or `p256`")
                })?;
                let public = operator::new_key(folder, suite)?;
                tell(&config)?;
                writeln!(out, "{public}").map_err(Error::Output)?;
            }
            Self::List { json } => {
                let live = operator::live_keys(&config)?;
                let keys = keys::list(folder).map_err(operator::keys_failure)?;
                let rows: Vec<_> = keys
                    .iter()
                    .map(|key| {
                        json!({
                            "id": key.id.to_string(),
                            "suite": key.suite.as_str(),
                            "created": key.created.rfc3339(),
                            "current": key.current,
                            "waiting": live.get(&key.id.0).copied().unwrap_or(0),
                        })
                    })
                    .collect();
                if json {
                    writeln!(out, "{}", json!(rows)).map_err(Error::Output)?;
                } else {
                    for row in rows {
                        let current = if row["current"] == true { "  current" } else { "" };
                        let (id, suite) = (&row["id"], &row["suite"]);
                        let (id, suite) = (id.as_str(), suite.as_str());
                        writeln!(
                            out,
                            "{}  {:<7} made {}  {} waiting{current}",
                            id.unwrap_or_default(),
                            suite.unwrap_or_default(),
                            row["created"].as_str().unwrap_or_default(),
                            row["waiting"]
                        )
                        .map_err(Error::Output)?;
                    }
                }
            }
            Self::Retire { id } => {
                let id = KeyId::from_text(&id).ok_or_else(|| {
                    Failure::new(Kind::Usage, "K0291", format!("`{id}` is no key id"))
                        .hint("`kakehi password keys list` shows them")
                })?;
                operator::retire(&config, id)?;
                tell(&config)?;
                writeln!(out, "{id} is destroyed").map_err(Error::Output)?;
            }
        }
        Ok(0)
    }
}

/// A running service reads the keys again.
fn tell(config: &crate::config::Config) -> Result<(), Error> {
    let order = Order { verb: Verb::ReloadKeys, target: None, user: None };
    if let Some(answer) = control::ask(&config.control, &Request::Password(order))?
        && answer.exit != 0
    {
        anstream::eprintln!("warning: the running service goes on with its keys: {}", answer.text);
    }
    Ok(())
}
