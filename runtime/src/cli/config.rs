//! `kakehi config`.

use std::io::Write;
use std::path::Path;

use crate::cli::{Error, Outcome};
use crate::service::failure::Failure;
use crate::service::world;

#[derive(clap::Subcommand)]
pub enum Config {
    /// Say everything that is wrong with the configuration, the manifest and the rules
    Check {
        /// Also connect to the sources and look whether they answer
        #[arg(long)]
        online: bool,
    },
    /// Every value in force, defaults included; never a secret
    Show,
    /// The JSON Schema of the configuration, or of the manifest
    Schema {
        /// Of the manifest
        #[arg(long)]
        manifest: bool,
    },
}

impl Config {
    pub fn execute(self, config: &Path) -> Outcome {
        let mut out = anstream::stdout().lock();
        let written = match self {
            Self::Check { online } => return check(config, online, &mut out),
            Self::Show => {
                let (config, _) = crate::config::load(config).map_err(Failure::of_findings)?;
                writeln!(out, "{:#}", config.show())
            }
            Self::Schema { manifest: true } => writeln!(out, "{:#}", crate::manifest::schema()),
            Self::Schema { manifest: false } => writeln!(out, "{:#}", crate::config::schema()),
        };
        written.map_err(Error::Output)?;
        Ok(0)
    }
}

fn check(config: &Path, online: bool, out: &mut impl Write) -> Outcome {
    let world = world::load(config)?;
    let mut print = || -> std::io::Result<()> {
        for warning in &world.warnings {
            writeln!(out, "{warning}")?;
        }
        let rules = &world.generation.rules;
        let connectors = rules.connectors.len();
        writeln!(out, "ok: {connectors} connectors, {} rules", rules.rules.len())
    };
    print().map_err(Error::Output)?;
    if online {
        for line in world.probe()? {
            writeln!(out, "{line}").map_err(Error::Output)?;
        }
    }
    Ok(0)
}
