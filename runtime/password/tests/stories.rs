//! Stories of passwords: a script in, everything that follows from it out. A script is a test; its
//! golden text stands beside it. `UPDATE_EXPECT=1` writes the texts anew.

use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use kakehi_password::simulate::simulate;

/// As many stories as there are files, or somebody lost one.
const STORIES: usize = 21;

#[test]
fn every_story_is_as_it_was_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let mut scripts: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    scripts.sort();
    assert_eq!(scripts.len(), STORIES, "stories: {scripts:?}");
    for script in scripts {
        let text = fs::read_to_string(&script).unwrap();
        let [told, again] = [simulate(&text), simulate(&text)];
        assert_eq!(told, again, "{} is told in two ways", script.display());
        let told = told.unwrap_or_else(|error| format!("{error}\n"));
        expect_file![script.with_extension("out")].assert_eq(&told);
    }
}
