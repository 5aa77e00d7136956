//! `kakehi password`: passwords that wait, the keys they are sealed to, and those who capture them
//! (password.md 8, 11). Nothing here ever prints a password.

mod agents;
mod keys;
mod look;
mod operate;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::{Error, Outcome};
use crate::config::Config;
use crate::config::password::Password as Settings;
use crate::service::failure::{Failure, Kind};

#[derive(clap::Subcommand)]
pub enum Password {
    /// How many passwords wait, where, and since when
    Status(look::Status),
    /// The passwords that wait, one line for each user and target
    List(look::List),
    /// Everything that is known of one user's passwords, without the passwords
    Show(look::Show),
    /// Try again now
    Retry(operate::Meant),
    /// Remove passwords that wait
    Purge(operate::Meant),
    /// Deliver nothing; what is captured waits
    Pause(operate::Meant),
    /// Deliver again
    Resume(operate::Meant),
    /// How long passwords must be kept for a bulk change
    Sizing(look::Sizing),
    /// Key pairs
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Check configuration, keys, agents and directories
    Doctor(look::Doctor),
    /// Play a script through the state machine: no state, no server, a clock of its own
    Simulate {
        /// The script; `-` is the standard input
        script: PathBuf,
    },
    /// Tell of one changed password, read from the standard input
    Send(agents::Send),
    /// Bring what waits in the spool to the intake
    Flush(agents::Flush),
    /// Judge a password before it is set: for Samba's `check password script`
    Precheck(agents::Precheck),
    /// The script of `samba-tool user syncpasswords`
    SambaHook(agents::SambaHook),
    /// Answer slapd's sock overlay; run it as a service of its own
    SlapdSock(agents::SlapdSock),
}

impl Password {
    pub fn execute(self, config: &Path) -> Outcome {
        match self {
            Self::Status(verb) => verb.execute(config),
            Self::List(verb) => verb.execute(config),
            Self::Show(verb) => verb.execute(config),
            Self::Retry(meant) => operate::operate(config, operate::Verb::Retry, meant),
            Self::Purge(meant) => operate::operate(config, operate::Verb::Purge, meant),
            Self::Pause(meant) => operate::operate(config, operate::Verb::Pause, meant),
            Self::Resume(meant) => operate::operate(config, operate::Verb::Resume, meant),
            Self::Sizing(verb) => verb.execute(),
            Self::Keys(verb) => verb.execute(config),
            Self::Doctor(verb) => verb.execute(config),
            Self::Simulate { script } => simulate(&script),
            Self::Send(verb) => verb.execute(config),
            Self::Flush(verb) => verb.execute(config),
            Self::Precheck(verb) => verb.execute(config),
            Self::SambaHook(verb) => verb.execute(config),
            Self::SlapdSock(verb) => verb.execute(config),
        }
    }
}

/// The configuration of passwords, with all around it.
fn settings(config: &Path) -> Result<Config, Failure> {
    let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
    match config.password {
        Some(_) => Ok(config),
        None => Err(Failure::new(Kind::Config, "K0288", "no passwords are synchronized")
            .hint("add `password` to the configuration")),
    }
}

fn of(config: &Config) -> &Settings {
    config.password.as_ref().expect("it was there when the configuration was read")
}

fn simulate(script: &Path) -> Outcome {
    let text = match script.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()),
        _ => std::fs::read_to_string(script),
    };
    let text = text.map_err(|error| {
        let message = format!("cannot read `{}`: {error}", script.display());
        Failure::new(Kind::Usage, "K0289", message)
    })?;
    let told = kakehi_password::simulate::simulate(&text).map_err(|error| {
        let message = format!("`{}`: {error}", script.display());
        Failure::new(Kind::Usage, "K0289", message)
    })?;
    write!(anstream::stdout(), "{told}").map_err(Error::Output)?;
    Ok(0)
}
