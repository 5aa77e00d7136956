//! Where things are: the repository, the target folder, and the cargo that started us.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};

/// The root of the repository: this crate stands in `tests/xtask`.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("the manifest of this crate lies two folders below the root")
}

/// The cargo that runs this command, at work in the root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The folder of binaries of the dev profile. This command is one of them, which finds the folder
/// without reading cargo's configuration.
pub fn binaries() -> Result<PathBuf> {
    let own = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find the target folder: {error}")))?;
    own.parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::new("cannot find the target folder: the command has no folder"))
}

/// The target folder.
pub fn target() -> Result<PathBuf> {
    let binaries = binaries()?;
    binaries
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::new("cannot find the target folder: it has no parent"))
}
