//! New rules: a language and a name go in, a folder with everything that a rule is built from comes
//! out. All files are part of the program, so nothing is fetched and versions cannot part.

pub mod configuration;
mod languages;

use std::io;
use std::path::{Path, PathBuf};

pub use languages::{LANGUAGES, language};

/// Stands in templates for the name of the rule.
const NAME: &str = "{{name}}";
/// Stands in the manifest fragment for the file of the module.
const MODULE: &str = "{{module}}";

/// Longest name of a rule that is made here: it becomes a package name in several languages.
pub const NAME_CHARS_MAX: usize = 64;

/// A language that rules can be written in, and what a new rule in it consists of.
#[derive(Debug)]
pub struct Language {
    /// The word of the command line.
    pub word: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// How to get its tools, once.
    pub install: Option<&'static str>,
    /// The one line that makes `module`, for a shell in the rule's folder. `None`: the source is
    /// the module.
    pub build: Option<&'static str>,
    /// The file that the manifest names.
    pub module: &'static str,
    /// What belongs to the SDK, under the same names for every rule.
    pub sdk: &'static [File],
    /// The rule itself.
    pub template: &'static [File],
}

/// A file of a new rule.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// From the folder of the rule.
    pub path: &'static str,
    pub text: &'static str,
}

/// Why there is no new rule.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    #[error("`{}` is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("`{0}` cannot be the name of a rule: {1}")]
    Name(String, &'static str),
    #[error("cannot write `{}`: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Makes a rule in a folder that does not exist yet, or is empty.
///
/// Takes: the name of the rule. Gives: the paths written, from the folder, in order of writing.
/// Errors: before anything is written, if the folder holds something or the name cannot be one.
pub fn write(
    language: &Language,
    name: &str,
    folder: &Path,
) -> Result<Vec<&'static str>, ScaffoldError> {
    check_name(name)?;
    let failed = |path: &Path, source| ScaffoldError::Io { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let mut entries = std::fs::read_dir(folder).map_err(|error| failed(folder, error))?;
    if entries.next().is_some() {
        return Err(ScaffoldError::NotEmpty(folder.to_owned()));
    }
    let files = language.template.iter().chain(language.sdk);
    files
        .map(|file| {
            let path = folder.join(file.path);
            let text = file.text.replace(NAME, name).replace(MODULE, language.module);
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
            std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
            Ok(file.path)
        })
        .collect()
}

/// A name must do as a package name in every language.
fn check_name(name: &str) -> Result<(), ScaffoldError> {
    let refused = |why| Err(ScaffoldError::Name(name.to_owned(), why));
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return refused("it does not begin with a small letter");
    }
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
        return refused("it holds more than small letters, digits and hyphens");
    }
    if name.len() > NAME_CHARS_MAX {
        return refused("it has more than 64 characters");
    }
    // Packages of these names would hide what they are made of.
    if ["core", "std", "kakehi-guest", "rule", "test"].contains(&name) {
        return refused("a part of the tools has this name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g01_every_language_of_the_sdks_can_be_begun() {
        let words: Vec<&str> = LANGUAGES.iter().map(|language| language.word).collect();
        assert_eq!(
            words,
            [
                "rust",
                "c",
                "zig",
                "assemblyscript",
                "javascript",
                "typescript",
                "python",
                "go",
                "wat"
            ]
        );
        for known in LANGUAGES {
            assert_eq!(language(known.word).map(|found| found.title), Some(known.title));
            let folder = tempfile::tempdir().unwrap();
            let into = folder.path().join("deep/user-names");
            let written = write(known, "user-names", &into).unwrap();
            for path in ["rule.yml", "cases.yml", "README.md", ".gitignore"] {
                assert!(written.contains(&path), "{}: {path}", known.word);
            }
            for path in written {
                let text = std::fs::read_to_string(into.join(path)).unwrap();
                let whole = !text.contains(NAME) && !text.contains(MODULE);
                assert!(whole, "{}: {path}", known.word);
            }
            let fragment = std::fs::read_to_string(into.join("rule.yml")).unwrap();
            assert!(fragment.contains("  - name: user-names\n"));
            assert!(fragment.contains(&format!("module: {{path: {}}}", known.module)));
        }
        assert!(language("cobol").is_none());
    }

    #[test]
    fn a_readme_has_the_very_lines_that_install_and_build() {
        for language in LANGUAGES {
            let readme = language.template.iter().find(|file| file.path == "README.md").unwrap();
            for line in [language.install, language.build].into_iter().flatten() {
                assert!(readme.text.lines().any(|text| text == line), "{}: {line}", language.word);
            }
        }
    }

    #[test]
    fn a_folder_that_holds_something_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine"), "").unwrap();
        let error = write(&LANGUAGES[0], "names", folder.path()).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is not empty", folder.path().display()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_name_must_do_in_every_language_and_nothing_is_written_for_another() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("new");
        let long = "a".repeat(NAME_CHARS_MAX + 1);
        for (name, why) in [
            ("", "does not begin"),
            ("Names", "does not begin"),
            ("1names", "does not begin"),
            ("user_names", "small letters, digits"),
            ("../names", "does not begin"),
            ("n/ames", "small letters, digits"),
            ("std", "has this name"),
            (long.as_str(), "more than 64"),
        ] {
            let error = write(&LANGUAGES[0], name, &into).unwrap_err().to_string();
            assert!(error.contains(why), "{name}: {error}");
            assert!(!into.exists());
        }
        write(&LANGUAGES[0], &long[1..], &into).unwrap();
    }
}
