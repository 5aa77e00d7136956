//! `kakehi rules lock`.

use std::io::Write;
use std::path::Path;

use super::{FAILED, Meant};
use crate::authoring::lock::{self, Pin};
use crate::authoring::select::Selection;
use crate::authoring::{Trouble, words};
use crate::cli::{Error, Outcome};

#[derive(clap::Args)]
pub struct Lock {
    /// A rule of the installation, a file of rules or its folder; otherwise all rules
    #[arg(value_name = "RULE|FILE|DIR")]
    rules: Option<String>,
    /// Write nothing; end with 78 if something would be written
    #[arg(long)]
    check: bool,
}

impl Lock {
    pub fn execute(self, config: &Path) -> Outcome {
        let meant = Meant::new(self.rules.as_deref(), config)?;
        let rule = match &meant.selection {
            Selection::Rule(name) => Some(name.as_str()),
            Selection::All | Selection::File(_) => None,
        };
        let lock = lock::Lock::of(&meant.manifest, rule)?;
        if !self.check {
            lock.write().map_err(Trouble::from)?;
        }
        let mut out = anstream::stdout().lock();
        print(&lock, self.check, &mut out).map_err(Error::Output)?;
        Ok(if self.check && lock.changes() > 0 { FAILED } else { 0 })
    }
}

fn print(lock: &lock::Lock, check: bool, out: &mut dyn Write) -> std::io::Result<()> {
    for pin in &lock.pins {
        let Pin { rule, file, module, old, new } = pin;
        let file = file.display();
        match (pin.changed(), old) {
            (false, _) => writeln!(out, "{rule}  {module}  {} unchanged", words::short(new))?,
            (true, Some(old)) => {
                writeln!(out, "{rule}  {module}  {old} -> {new}, in {file}")?;
            }
            (true, None) => writeln!(out, "{rule}  {module}  none -> {new}, in {file}")?,
        }
    }
    match (lock.pins.len(), lock.changes(), check) {
        (0, ..) => writeln!(out, "no rule names a module file"),
        (all, 0, _) => writeln!(out, "ok: {} as pinned", words::counted(all, "module")),
        (all, changes, true) => {
            writeln!(
                out,
                "{changes} of {all} modules differ: review them, then `kakehi rules lock`"
            )
        }
        (all, changes, false) => {
            writeln!(out, "{changes} of {} written", words::counted(all, "pin"))
        }
    }
}
