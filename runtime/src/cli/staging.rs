//! `kakehi staging`.

use std::io::Write;
use std::path::Path;

use crate::cli::{Error, Outcome, render};
use crate::service::control::{self, Request};
use crate::service::failure::Failure;
use crate::service::{staging, world};

#[derive(clap::Subcommand)]
pub enum Staging {
    /// Send nothing from now on, also after a restart; everything else goes on
    On,
    /// Send again
    Off,
    /// Whether anything is sent, and who wanted it so
    Status,
}

impl Staging {
    pub fn execute(self, config: &Path) -> Outcome {
        let on = match self {
            Self::On => true,
            Self::Off => false,
            Self::Status => return status(config),
        };
        let (loaded, _) = crate::config::load(config).map_err(Failure::of_findings)?;
        if let Some(answer) = control::ask(&loaded.control, &Request::Staging { on })? {
            return render::answer(&answer);
        }
        let text = staging::set(config, on)?;
        writeln!(anstream::stdout(), "{text}").map_err(Error::Output)?;
        Ok(0)
    }
}

fn status(config: &Path) -> Outcome {
    let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
    let switched = world::state_read_only(&config)?.staging()?;
    let text = staging::describe(&config, switched.as_ref());
    let text = text.unwrap_or_else(|| "staging mode is off".to_owned());
    writeln!(anstream::stdout(), "{text}").map_err(Error::Output)?;
    Ok(0)
}
