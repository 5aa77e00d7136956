//! `cargo verify`: everything that must hold before a change is taken.
//! In: nothing. Out: a line per step, and one last line that counts the tests.
//!
//! It installs what the tests need and does not start their servers: each test starts its own.

use std::process::Command;

use crate::failure::{Failure, Result};
use crate::step::{Log, step};
use crate::tally::Tally;
use crate::{guest_tools, packages, python, wasm_path, workspace};

/// Programs the tests start, each with the Debian package it comes from; a path where a package has
/// no program of its own.
const PROGRAMS: [(&str, &str); 9] = [
    ("slapd", "slapd"),
    ("ldapsearch", "ldap-utils"),
    ("openssl", "openssl"),
    ("samba", "samba-ad-dc"),
    ("/usr/share/samba/setup/provision.ldif", "samba-ad-provision"),
    ("/usr/lib/python3/dist-packages/markdown/__init__.py", "python3-markdown"),
    // samba-tool opens passwords through it.
    ("/usr/lib/python3/dist-packages/gpg/__init__.py", "python3-gpg"),
    ("gpg", "gpg"),
    ("gpg-agent", "gpg-agent"),
];

/// Number of steps, for the headings.
const STEPS: usize = 10;

/// Runs every step in order and stops at the first that fails.
pub fn run() -> Result<()> {
    let logs = workspace::target()?.join("verify");
    let mut tally = Tally::default();
    step((1, STEPS), "packages of the tests", &logs, |_| install_programs())?;
    step((2, STEPS), "Python environment of the SCIM server", &logs, python::scim_server)?;
    step((3, STEPS), "Python environment of the mail server", &logs, python::mail_server)?;
    step((4, STEPS), "tools of the languages of rules", &logs, guest_tools::ensure)?;
    step((5, STEPS), "the way to build WebAssembly", &logs, |_| wasm_path::ensure())?;
    step((6, STEPS), "formatting", &logs, |log| {
        log.run(workspace::cargo().args(["fmt", "--all", "--check"]))?;
        Ok("clean".into())
    })?;
    step((7, STEPS), "clippy", &logs, |log| {
        let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        log.run(workspace::cargo().args(arguments))?;
        Ok("clean".into())
    })?;
    // Without this step the product's binary would be missing: `cargo test` builds only the test
    // harness of a package whose tests stand elsewhere.
    step((8, STEPS), "building the product and its tests", &logs, |log| {
        log.run(workspace::cargo().args(["build", "--workspace", "--all-targets"]))?;
        Ok("built".into())
    })?;
    step((9, STEPS), "tests", &logs, |log| test(log, &mut tally))?;
    // Counts are judged, never times, so that the benchmark cannot rot.
    step((10, STEPS), "benchmark, counts only", &logs, |log| {
        let bench = workspace::target()?.join("debug/bench");
        log.run(Command::new(bench).args(["e2e", "--users", "2000", "--rounds", "1"]))?;
        Ok("counts are right".into())
    })?;
    println!(
        "verify: {} tests passed, {} failed, {} ignored in {} suites; formatting and clippy clean",
        tally.passed, tally.failed, tally.ignored, tally.suites
    );
    Ok(())
}

fn install_programs() -> Result<String> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !packages::has_program(program))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok("there already".into());
    }
    packages::install(&missing, "")?;
    Ok(format!("installed {}", missing.join(" ")))
}

/// No test may be skipped for want of a tool: the steps before have installed them all.
fn all_tests() -> Command {
    let mut command = workspace::cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).env("KAKEHI_TESTS_REQUIRE_ALL", "1");
    command
}

/// Runs the tests to the last suite, whatever fails on the way.
fn test(log: &mut Log, tally: &mut Tally) -> Result<String> {
    let ended = log.run_reading(&mut all_tests(), |line| tally.read(line));
    let Err(failure) = ended else { return Ok(format!("{} passed", tally.passed)) };
    if tally.failed_names.is_empty() {
        return Err(failure);
    }
    tally.complaints.iter().for_each(|line| eprintln!("      | {line}"));
    Err(Failure::new(format!(
        "{} of {} tests failed: {}",
        tally.failed,
        tally.failed + tally.passed,
        tally.failed_names.join(", ")
    )))
}
