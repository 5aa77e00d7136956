//! The product as its users have it: a folder with its configuration, and the program.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

/// The program that the test run built.
///
/// Panics with the remedy where it is missing: it is built beside the tests, not by them.
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("a running program has a path");
    let folder = tests.ancestors().nth(2).expect("tests lie in <profile>/deps");
    let program = folder.join("kakehi");
    assert!(program.is_file(), "the program is not built: run `cargo build --workspace`");
    program
}

/// One installation in a folder of its own.
pub struct Product {
    pub folder: TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

// === impl Product ===

impl Product {
    /// Writes the files of an installation. `files`: path and content, `secret.yml` among them.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("kakehi-test-").expect("a folder for the test");
        let product = Self { folder };
        for (path, text) in files {
            product.write(path, text);
        }
        product
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        // Renamed into place: a source waits with a file that may still be written.
        let beside = path.with_extension("new");
        std::fs::write(&beside, text).expect("the file can be written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&beside, mode).expect("the mode can be set");
        std::fs::rename(&beside, &path).expect("the file can be renamed");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("the file can be read")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--config").arg(self.path("config.yml")).args(arguments);
        command.env_remove("KAKEHI_CONFIG").stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().expect("the program starts"))
    }

    /// Runs a command that is expected to end well, and reads its JSON.
    pub fn json(&self, arguments: &[&str]) -> Json {
        let answer = self.run(arguments);
        assert_eq!(answer.code, 0, "{arguments:?}: {answer}");
        answer.json()
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
    }
}

// === impl Answer ===

impl Answer {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn json(&self) -> Json {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON document ({error}): {self}"))
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Name and content of every file of a folder, in order of name.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = vec![];
    let Ok(entries) = std::fs::read_dir(folder) else { return files };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    files.sort();
    files
}
