//! One step of `cargo verify`. In: commands to run. Out: a line when it begins, a sign of life now
//! and then, a line with its seconds when it ends, and all that the commands said in a log file.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// A silent step looks hung; a line at every command would bury the result.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_secs(20);

/// Last lines shown of a step that failed: room for one compiler message or assertion.
const SHOWN_LINES_MAX: usize = 40;

/// Longest part of a line shown as a sign of life, in characters.
const SIGN_OF_LIFE_CHARS_MAX: usize = 72;

/// Runs one step: prints its heading, lets `work` do it, prints the seconds it took.
///
/// Takes: its number of `steps`, a name, the folder of logs, and the work, which gives a word on
/// what it found. Errors: those of the work, with the name of the step and its last lines.
pub fn step(
    (number, steps): (usize, usize),
    name: &str,
    logs: &Path,
    work: impl FnOnce(&mut Log) -> Result<String>,
) -> Result<()> {
    println!("[{number}/{steps}] {name}");
    let began = Instant::now();
    let mut log = Log::create(logs.join(format!("{number}.log")))?;
    match work(&mut log) {
        Ok(found) => {
            println!("      {found} ({:.1} s)", began.elapsed().as_secs_f64());
            Ok(())
        }
        Err(failure) => {
            log.show_end();
            Err(failure.in_step(name))
        }
    }
}

/// What the commands of a step said.
pub struct Log {
    path: PathBuf,
    file: File,
    end: VecDeque<String>,
    /// When something was last shown on the terminal.
    shown: Instant,
    began: Instant,
}

impl Log {
    pub fn create(path: PathBuf) -> Result<Log> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let file = fs::create_dir_all(folder)
            .and_then(|()| File::create(&path))
            .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))?;
        let now = Instant::now();
        Ok(Log { path, file, end: VecDeque::new(), shown: now, began: now })
    }

    /// Runs a command to its end.
    ///
    /// Errors: it could not be started, or ended with another code than 0.
    pub fn run(&mut self, command: &mut Command) -> Result<()> {
        self.run_reading(command, |_| ())
    }

    /// Like [`Log::run`]; `read` is given each line of both outputs, in the order they came.
    pub fn run_reading(&mut self, command: &mut Command, mut read: impl FnMut(&str)) -> Result<()> {
        let program = command.get_program().to_string_lossy().into_owned();
        let broken = |error| Failure::new(format!("cannot run `{program}`: {error}"));
        let (output, writer) = std::io::pipe().map_err(broken)?;
        command.stdin(Stdio::null());
        command.stdout(writer.try_clone().map_err(broken)?).stderr(writer);
        let mut child = command.spawn().map_err(broken)?;
        // The command holds writing ends of its own: as long as one is open, reading never ends.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        for line in BufReader::new(output).split(b'\n') {
            let line = String::from_utf8_lossy(&line.map_err(broken)?).into_owned();
            read(&line);
            self.keep(line);
        }
        let status = child.wait().map_err(broken)?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("`{program}` ended with {status}")))
    }

    fn keep(&mut self, line: String) {
        // A full disk must not hide what the command says: the terminal still gets its end.
        let _ = writeln!(self.file, "{line}");
        if self.shown.elapsed() >= SIGN_OF_LIFE_EVERY {
            let start: String = line.trim().chars().take(SIGN_OF_LIFE_CHARS_MAX).collect();
            println!("      {:.0} s: {start}", self.began.elapsed().as_secs_f64());
            self.shown = Instant::now();
        }
        if self.end.len() == SHOWN_LINES_MAX {
            self.end.pop_front();
        }
        self.end.push_back(line);
    }

    fn show_end(&self) {
        for line in &self.end {
            eprintln!("      | {line}");
        }
        eprintln!("      whole output: {}", self.path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("kakehi-{name}-{}.log", std::process::id()))
    }

    #[test]
    fn both_outputs_are_read_and_a_bad_end_is_an_error() {
        let path = scratch("outputs");
        let mut log = Log::create(path.clone()).unwrap();
        let mut lines = Vec::new();
        let outcome = log.run_reading(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            |line| lines.push(line.to_owned()),
        );
        assert!(outcome.is_err());
        assert_eq!(lines, ["out", "err"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "out\nerr\n");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn only_the_last_lines_are_kept_for_the_terminal() {
        let path = scratch("end");
        let mut log = Log::create(path.clone()).unwrap();
        (0..SHOWN_LINES_MAX + 2).for_each(|number| log.keep(number.to_string()));
        assert_eq!(log.end.len(), SHOWN_LINES_MAX);
        assert_eq!(log.end.front().map(String::as_str), Some("2"));
        fs::remove_file(path).unwrap();
    }
}
