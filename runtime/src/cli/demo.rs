//! `kakehi demo`: two forests in LDIF, a SCIM service in this process, and the way a change takes
//! between them. Everything goes through the same code as `plan`, `once` and `explain`.

mod files;
mod tour;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::{Error, Outcome};
use crate::service::failure::{Failure, Kind};

#[derive(clap::Args)]
pub struct Demo {
    /// Leave configuration, manifest, rules, directories and state in this folder; run again with
    /// the same folder to have the service back and play on
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

impl Demo {
    pub fn execute(self) -> Outcome {
        match &self.keep {
            Some(folder) if files::is_kept(folder) => tour::serve(folder)?,
            Some(folder) => {
                empty(folder)?;
                tour::run(folder, true)?;
            }
            None => {
                let folder = TempDir::with_prefix("kakehi-demo-").map_err(Error::Output)?;
                tour::run(folder.path(), false)?;
            }
        }
        Ok(0)
    }
}

/// A folder that holds something else is left alone.
fn empty(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::Output)?;
    let mut entries = std::fs::read_dir(folder).map_err(Error::Output)?;
    if entries.next().is_some() {
        let message = format!("`{}` is not empty", folder.display());
        let failure = Failure::new(Kind::Usage, "K0910", message);
        return Err(failure.hint("name a folder that does not exist yet").into());
    }
    Ok(())
}
