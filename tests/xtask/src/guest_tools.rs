//! The tools that rules are built with in other languages than Rust.
//! In: `tests/requirements/guest-tools.txt` and `tests/requirements/guest-tools/`. Out:
//! `<target>/venv/guest-tools` and `<target>/guest-tools/node_modules`, made anew only when their
//! list has changed. Measured: 740 MB from pip, 170 MB from npm.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::step::Log;
use crate::{packages, python, workspace};

const PYTHON_LIST: &str = "tests/requirements/guest-tools.txt";
const NODE_FOLDER: &str = "tests/requirements/guest-tools";
/// The second pins what the first asks for, each with its hash.
const NODE_LISTS: [&str; 2] = ["package.json", "package-lock.json"];

/// Copy of the list from which the modules were installed; written last, so it marks a whole set.
const MADE_FROM: &str = "made-from.json";

/// Sees to it that the tools are there; gives a word on what was done.
pub fn ensure(log: &mut Log) -> Result<String> {
    let python = python::ensure(PYTHON_LIST, "guest-tools", log)?;
    let node = node(log)?;
    Ok(format!("Python packages {python}, Node packages {node}"))
}

fn node(log: &mut Log) -> Result<&'static str> {
    let folder = workspace::target()?.join("guest-tools");
    let from = workspace::root().join(NODE_FOLDER);
    let wanted = read(&from.join(NODE_LISTS[1]))?;
    if fs::read(folder.join(MADE_FROM)).is_ok_and(|made_from| made_from == wanted) {
        return Ok("there already");
    }
    if !packages::has_program("npm") {
        packages::install(&["npm"], "")?;
    }
    let failed = |what: &str, error| Failure::new(format!("cannot {what}: {error}"));
    fs::create_dir_all(&folder).map_err(|error| failed("make a folder for npm", error))?;
    for list in NODE_LISTS {
        fs::copy(from.join(list), folder.join(list))
            .map_err(|error| failed(&format!("copy `{list}`"), error))?;
    }
    // Not `ci`: that wants every optional package of every platform in the list.
    log.run(
        Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--no-update-notifier"])
            .current_dir(&folder),
    )?;
    fs::write(folder.join(MADE_FROM), &wanted)
        .map_err(|error| failed(&format!("write `{MADE_FROM}`"), error))?;
    Ok("installed")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", path.display())))
}
