//! Guests: rules built from source by the tools of their languages. What flows in: a language and
//! the author's files. What flows out: a module under `<target>/guests`, and what it answers.

pub mod build;
pub mod cases;
pub mod run;
pub mod toolbox;

use std::path::{Path, PathBuf};

use kakehi::scaffold::{self, Language};

pub use build::{Built, Guest};
pub use toolbox::Missing;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie below the root")
}

/// The target folder, found from the program that runs.
pub fn target() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    own.ancestors().find(marked).expect("the program lies in a target folder").to_owned()
}

/// The word for "in CI none may be skipped" (rules.md 12).
const REQUIRE_ALL: &str = "KAKEHI_TESTS_REQUIRE_ALL";

/// Says that a test is skipped, and why, by name.
///
/// Panics where every test must run.
pub fn skip(what: &str, missing: &Missing) {
    let required = std::env::var_os(REQUIRE_ALL).is_some_and(|value| value == "1");
    assert!(!required, "{what}: {missing}");
    println!("skipped: {what}: {missing}");
}

/// A language of the SDKs.
pub fn language(word: &str) -> &'static Language {
    scaffold::language(word).expect("a language of the table")
}

/// The conformance rule in a language: its sources in `tests/guests`, with the SDK.
pub fn conformance(word: &str) -> Guest {
    let language = language(word);
    let folder = root().join("tests/guests").join(word);
    let mut files = build::read_folder(&folder);
    files.extend(build::sdk(language));
    Guest { language, name: "conformance", files }
}
