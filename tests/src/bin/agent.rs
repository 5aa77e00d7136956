//! Capture agents as programs of their own, for servers that start programs: what they hand over
//! flows in, what the agent answers flows out.
//!
//! `agent samba-hook FOLDER` and `agent precheck FOLDER`; the folder is one of
//! [`kakehi_tests::agents::Office`].

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use kakehi_password::agent::{Outcome, precheck, samba};
use kakehi_password::precheck::Rules;
use kakehi_tests::agents::Office;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["samba-hook", folder] => samba_hook(Path::new(folder)),
        ["precheck", folder] => precheck(Path::new(folder)),
        _ => Outcome { code: 2, text: "usage: agent samba-hook|precheck FOLDER".into() },
    };
    let written = writeln!(std::io::stdout(), "{}", outcome.text);
    ExitCode::from(if written.is_ok() { outcome.code } else { 1 })
}

fn samba_hook(folder: &Path) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let agent = Office::at(folder).agent("samba");
    let options = samba::Options { state: folder.join("samba.db") };
    runtime.block_on(samba::samba_hook(&agent, &options, &mut std::io::stdin()))
}

/// At least as many characters as the file `length-min` says. Without the file there are no rules.
fn precheck(folder: &Path) -> Outcome {
    let path = folder.join("length-min");
    let rules = move || {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let length_min = text.trim().parse().map_err(|_| "no number".to_owned())?;
        Ok(vec![Rules { length_min: Some(length_min), ..Rules::default() }])
    };
    let environment = |name: &str| std::env::vars_os().find(|(key, _)| key == name);
    let environment = |name: &str| environment(name)?.1.into_string().ok();
    precheck::precheck(std::io::stdin(), rules, environment)
}
