//! Debian packages. In: names. Out: they are installed, or one line says what a person has to do.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};

/// Debian asks this program whether an installed service may be started.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// 101 is "action forbidden by policy" in Debian's interface of `invoke-rc.d`.
const POLICY_FORBIDS: &str = "#!/bin/sh\nexit 101\n";

/// Folders where Debian puts servers, and which an ordinary user's `PATH` does not name.
const SERVER_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// Installs packages with apt.
///
/// Takes: package names, and another command that would do instead, for the hint.
/// Errors: this is not Debian, we are not root, or apt failed.
pub fn install(packages: &[&str], otherwise: &str) -> Result<()> {
    let names = packages.join(" ");
    let line = format!("apt-get install --no-install-recommends {names}");
    if !(has_program("apt-get") && is_root()) {
        let by_apt = format!("on Debian as root: `{line}`");
        let hint = match otherwise {
            "" => by_apt,
            otherwise => format!("`{otherwise}`, or {by_apt}"),
        };
        return Err(Failure::new(format!("missing: {names}")).hint(hint));
    }
    println!("      installing {names}");
    let _forbidden = forbid_service_start()
        .map_err(|error| Failure::new(format!("cannot write `{POLICY}`: {error}")))?;
    // A fresh image has no package lists, and old lists name files that are gone: both are cured by
    // an update, which is slow and so is not done unasked.
    if apt_install(packages).is_ok() {
        return Ok(());
    }
    apt(&["update"])?;
    apt_install(packages)
}

/// Whether a program is there, in `PATH` or where Debian keeps servers.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(SERVER_FOLDERS.iter().map(PathBuf::from))
        .any(|folder| folder.join(name).is_file())
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn apt_install(packages: &[&str]) -> Result<()> {
    apt(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .arg("--quiet")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::new(format!("cannot start apt-get: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("`apt-get {}` failed: {}", arguments.join(" "), said.trim_end())))
}

/// Keeps Debian from starting an installed server by itself, until the result is dropped. A policy
/// that is already there is its owner's wish and is left alone.
fn forbid_service_start() -> io::Result<Option<Policy>> {
    let path = Path::new(POLICY);
    if path.exists() {
        return Ok(None);
    }
    fs::write(path, POLICY_FORBIDS)?;
    let policy = Policy;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(Some(policy))
}

/// Our policy file, as long as it is wanted.
struct Policy;

impl Drop for Policy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(POLICY) {
            eprintln!("warning: cannot remove `{POLICY}`: {error}");
        }
    }
}
