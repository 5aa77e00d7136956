//! Building: a guest's files go into a folder of their own, its README's line runs there, and the
//! module is kept as long as nothing that it was made of changes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kakehi::scaffold::Language;

use super::toolbox::{self, Missing};
use super::{root, target};
use crate::sha256;

/// What a module was made of, as one hash, and how many milliseconds it took.
const MADE_FROM: &str = "made-from.txt";

/// The versions of packages that rules in Rust are built with.
const CRATES: &str = "Cargo.lock";

/// A rule to be built.
pub struct Guest {
    pub language: &'static Language,
    /// Which of the language's guests it is.
    pub name: &'static str,
    /// Path in its folder, and text.
    pub files: Vec<(String, String)>,
}

/// A rule that was built.
pub struct Built {
    pub bytes: Vec<u8>,
    /// How long building took when it was last done.
    pub took: Duration,
}

/// The SDK of a language, as an author has it.
pub fn sdk(language: &Language) -> Vec<(String, String)> {
    language.sdk.iter().map(|file| (file.path.to_owned(), file.text.to_owned())).collect()
}

/// Every file of a folder and its folders, in order of path.
pub fn read_folder(folder: &Path) -> Vec<(String, String)> {
    let mut found = vec![];
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("a folder of sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("found inside").display().to_string();
            found.push((name, fs::read_to_string(&path).expect("sources are text")));
        }
    }
    found.sort();
    found
}

// === impl Guest ===

impl Guest {
    /// The folder in which it is built.
    pub fn folder(&self) -> PathBuf {
        target().join("guests").join(self.language.word).join(self.name)
    }

    /// The line that builds it; none if the source is the module.
    pub fn build_line(&self) -> &'static str {
        self.language.build.unwrap_or("true")
    }

    /// Builds it, unless that was done already.
    ///
    /// Errors: a tool is missing. Panics if the tools are there and do not build it.
    pub fn build(&self) -> Result<Built, Missing> {
        self.build_with(self.build_line())
    }

    /// Like [`Guest::build`], by another line.
    pub fn build_with(&self, line: &str) -> Result<Built, Missing> {
        let folder = self.folder();
        fs::create_dir_all(&folder).expect("a folder in the target folder");
        // Rules in Rust share one target folder, and tests run side by side.
        let lock = File::create(folder.with_file_name("lock")).expect("a file for the lock");
        lock.lock().expect("the lock can be had");
        let mut shell = toolbox::shell(self.language.word, &folder)?;
        let wanted = self.made_from(line);
        let module = folder.join(self.language.module);
        if let Some(built) = kept(&folder, &module, &wanted) {
            return Ok(built);
        }
        self.stage(&folder).expect("the files of a guest can be written");
        let began = Instant::now();
        let output = shell.args(["-c", line]).output().expect("a shell");
        let took = began.elapsed();
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{} in {}: `{line}`\n{}\n{}",
            self.language.title,
            folder.display(),
            said(&output.stdout),
            said(&output.stderr)
        );
        let bytes = fs::read(&module).expect("the line makes the module");
        // Written last, so that it marks a whole one.
        let note = format!("{wanted} {}", took.as_millis());
        fs::write(folder.join(MADE_FROM), note).expect("a file in its folder");
        Ok(Built { bytes, took })
    }

    fn stage(&self, folder: &Path) -> io::Result<()> {
        fs::remove_dir_all(folder)?;
        for (path, text) in &self.files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a file lies in a folder"))?;
            fs::write(path, text)?;
        }
        match self.language.word {
            "rust" => {
                // The versions that the workspace has, and its standard library for WebAssembly.
                fs::copy(root().join(CRATES), folder.join(CRATES))?;
                symlink(target().join("guest"), folder.join("target"))
            }
            "assemblyscript" | "javascript" | "typescript" => {
                symlink(toolbox::node_modules(), folder.join("node_modules"))
            }
            _ => Ok(()),
        }
    }

    fn made_from(&self, line: &str) -> String {
        let mut all = line.to_owned();
        for (path, text) in &self.files {
            all += &format!("\n{path} {}\n{text}", text.len());
        }
        // Another version of the tools may build other bytes.
        let tools = match self.language.word {
            "rust" => CRATES,
            "assemblyscript" | "javascript" | "typescript" => toolbox::NODE_LIST,
            _ => toolbox::PYTHON_LIST,
        };
        all += &fs::read_to_string(root().join(tools)).expect("a list of tools");
        sha256(all.as_bytes())
    }
}

fn kept(folder: &Path, module: &Path, wanted: &str) -> Option<Built> {
    let note = fs::read_to_string(folder.join(MADE_FROM)).ok()?;
    let (made_from, took) = note.split_once(' ')?;
    let took = Duration::from_millis(took.parse().ok()?);
    (made_from == wanted).then_some(())?;
    Some(Built { bytes: fs::read(module).ok()?, took })
}
