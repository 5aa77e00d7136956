//! Python environments of what the tests start. In: a list of packages below `tests/requirements`.
//! Out: an environment in `<target>/venv`, made anew only when the list has changed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};
use crate::step::Log;
use crate::{packages, workspace};

/// The SCIM server that the tests deliver to.
const SCIM_SERVER: &str = "tests/requirements/scim2-server.txt";

/// The mail server that the tests write to.
const MAIL_SERVER: &str = "tests/requirements/smtp.txt";

/// Copy of the list from which an environment was made; written last, so it marks a whole one.
const MADE_FROM: &str = "made-from.txt";

/// The first Python that can make environments is taken: the user's own, then Debian's.
const PYTHONS: [&str; 2] = ["python3", "/usr/bin/python3"];

/// Sees to it that the SCIM server is there; gives a word on what was done.
pub fn scim_server(log: &mut Log) -> Result<String> {
    ensure(SCIM_SERVER, "scim2-server", log)
}

/// Sees to it that the mail server is there; gives a word on what was done.
pub fn mail_server(log: &mut Log) -> Result<String> {
    ensure(MAIL_SERVER, "smtp", log)
}

/// Sees to it that an environment is there; gives a word on what was done.
///
/// Takes: its list of packages, from the root of the repository, and its name.
pub fn ensure(requirements: &str, name: &str, log: &mut Log) -> Result<String> {
    let wanted = fs::read(workspace::root().join(requirements))
        .map_err(|error| Failure::new(format!("cannot read `{requirements}`: {error}")))?;
    let folder = workspace::target()?.join("venv").join(name);
    if fs::read(folder.join(MADE_FROM)).is_ok_and(|made_from| made_from == wanted) {
        return Ok("there already".into());
    }
    make(&folder, requirements, log)?;
    fs::write(folder.join(MADE_FROM), &wanted)
        .map_err(|error| Failure::new(format!("cannot write `{MADE_FROM}`: {error}")))?;
    Ok("made".into())
}

fn make(folder: &Path, requirements: &str, log: &mut Log) -> Result<()> {
    // Making it anew empties it, and behind a link that would be somebody else's.
    if folder.is_symlink() {
        let message = format!("`{}` is a link to another environment", folder.display());
        return Err(Failure::new(message).hint("remove the link; an own one is made then"));
    }
    let python = match python() {
        Some(python) => python,
        None => {
            packages::install(&["python3-venv"], "")?;
            python().ok_or_else(|| Failure::new("python3 still cannot make environments"))?
        }
    };
    log.run(Command::new(python).args(["-m", "venv", "--clear"]).arg(folder))?;
    log.run(
        Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--requirement", requirements])
            .current_dir(workspace::root()),
    )
}

fn python() -> Option<&'static str> {
    PYTHONS.into_iter().find(|python| {
        Command::new(python)
            .args(["-c", "import ensurepip, venv"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_leads_to_is_not_emptied() {
        let scratch = std::env::temp_dir().join(format!("kakehi-venv-{}", std::process::id()));
        let theirs = scratch.join("theirs");
        fs::create_dir_all(&theirs).unwrap();
        fs::write(theirs.join("kept"), "").unwrap();
        std::os::unix::fs::symlink(&theirs, scratch.join("ours")).unwrap();
        let mut log = Log::create(scratch.join("log")).unwrap();
        let refused = make(&scratch.join("ours"), SCIM_SERVER, &mut log).unwrap_err();
        assert!(refused.to_string().contains("is a link"), "{refused}");
        assert!(theirs.join("kept").exists());
        fs::remove_dir_all(scratch).unwrap();
    }
}
