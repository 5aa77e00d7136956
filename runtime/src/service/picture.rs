//! What the files of an installation looked like when they were last read: by it a change is
//! noticed, whatever the clock or the editor did to them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::config::SECRETS;
use crate::manifest::files::Files;

#[derive(Clone)]
pub struct Picture {
    config: PathBuf,
    /// Of `config.yml` and `secret.yml`.
    outer: String,
    /// Everything that belongs to the manifest.
    pub files: Arc<Files>,
}

// === impl Picture ===

impl Picture {
    /// `outer`: what [`outer`] gave before the configuration was read.
    pub fn new(config: &Path, outer: String, files: Arc<Files>) -> Self {
        Self { config: config.to_owned(), outer, files }
    }

    /// Whether something is other than it was.
    pub fn has_changed(&self) -> bool {
        self.outer != outer(&self.config) || self.files.digest() != self.files.digest_now()
    }

    /// Whether both saw the same.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.outer == other.outer && self.files.digest() == other.files.digest()
    }

    /// Every folder in which a change could be seen.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders = self.files.folders();
        folders.push(match self.config.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        });
        folders.sort();
        folders.dedup();
        folders
    }
}

/// Digest of the configuration's two files as they are now, in lower-case hexadecimal. It never
/// leaves the memory: it is one of secrets too.
pub fn outer(config: &Path) -> String {
    let mut digest = Sha256::new();
    for path in [config.to_owned(), config.with_file_name(SECRETS)] {
        match crate::config::read_file(&path) {
            Ok(bytes) => digest.update(Sha256::digest(bytes)),
            Err(_) => digest.update([0]),
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
