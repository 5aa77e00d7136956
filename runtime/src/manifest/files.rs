//! The files that a manifest is made of: each is read once, so that what is checked is what is
//! compared, run and kept.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use kakehi_host::{LoadError, SIGNATURE_SUFFIX};
use sha2::{Digest as _, Sha256};

use crate::config::{as_text, read_file};

/// Everything that was read, or tried to be read, for one manifest.
pub struct Files {
    /// The manifest itself, as it was named.
    main: PathBuf,
    folder: PathBuf,
    /// By path below the folder.
    read: BTreeMap<String, Content>,
}

/// A file that could not be read belongs to the picture too: once it is there, the picture is
/// another one.
#[derive(Clone)]
struct Content {
    kind: Kind,
    bytes: Result<Arc<[u8]>, LoadError>,
}

/// How a file is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Module,
    /// Of the module without the suffix.
    Signature,
}

// === impl Files ===

impl Files {
    /// Nothing is read yet. `manifest`: the main file.
    pub fn of(manifest: &Path) -> Self {
        let folder = match manifest.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        Self { main: manifest.to_owned(), folder: folder.to_owned(), read: BTreeMap::new() }
    }

    /// The manifest itself.
    pub fn main(&self) -> &Path {
        &self.main
    }

    /// The manifest's name below its folder.
    pub fn main_name(&self) -> String {
        self.main.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The folder that everything lies in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of text that a file of this manifest names. Errors: why not, in words.
    pub fn text(&mut self, path: &Path) -> Result<String, String> {
        let name = self.name(path).ok_or_else(|| self.outside())?;
        let content = self.read.entry(name).or_insert_with(|| text_file(path));
        let bytes = content.bytes.as_ref().map_err(|error| error.message.clone())?;
        as_text(bytes.to_vec())
    }

    /// A module that a rule of `file` names, relative to that file.
    ///
    /// Errors: K0501.
    pub fn module(&mut self, file: &Path, path: &str) -> Result<Arc<[u8]>, LoadError> {
        let name = self.module_name(file, path)?;
        let folder = &self.folder;
        let content = self.read.entry(name).or_insert_with_key(|name| module_file(folder, name));
        content.bytes.clone()
    }

    /// The signature beside that module. Errors: K0515.
    pub fn signature(&mut self, file: &Path, path: &str) -> Result<String, LoadError> {
        let name = format!("{}{SIGNATURE_SUFFIX}", self.module_name(file, path)?);
        let folder = &self.folder;
        let content = self.read.entry(name).or_insert_with_key(|name| signature_file(folder, name));
        let bytes = content.bytes.clone()?;
        as_text(bytes.to_vec()).map_err(|why| LoadError::new("K0515", why))
    }

    /// Whether anybody may put another module in the place of this one: by writing to the file, or
    /// to a folder that it lies in (rules.md 14).
    pub fn is_open_to_all(&self, file: &Path, path: &str) -> bool {
        let Ok(name) = self.module_name(file, path) else { return false };
        let writable = |path: PathBuf| {
            // In a folder with the sticky bit only the owner of a file replaces it.
            std::fs::metadata(path)
                .is_ok_and(|metadata| metadata.mode() & 0o002 != 0 && metadata.mode() & 0o1000 == 0)
        };
        Path::new(&name).ancestors().any(|part| writable(self.folder.join(part)))
    }

    fn module_name(&self, file: &Path, path: &str) -> Result<String, LoadError> {
        let below = file.parent().unwrap_or(Path::new("")).join(path);
        self.name(&below).ok_or_else(|| {
            let message = format!("cannot read the module `{path}`: {}", self.outside());
            LoadError::new("K0501", message)
                .with_hint("copy the module into the folder and name it by a relative path")
        })
    }

    /// SHA-256 over names and contents of all files, in lower-case hexadecimal: a manifest with
    /// another digest is another one.
    pub fn digest(&self) -> String {
        digest(&self.read)
    }

    /// The digest that the same files have now.
    pub fn digest_now(&self) -> String {
        let again = self.read.iter().map(|(name, content)| {
            let content = match content.kind {
                Kind::Text => text_file(&self.folder.join(name)),
                Kind::Module => module_file(&self.folder, name),
                Kind::Signature => signature_file(&self.folder, name),
            };
            (name.clone(), content)
        });
        digest(&again.collect())
    }

    /// Every folder in which one of the files lies, down from the manifest's own: where a change
    /// of any of them can be seen.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.clone()];
        for name in self.read.keys() {
            let below = Path::new(name).ancestors().skip(1).filter(|part| *part != Path::new(""));
            folders.extend(below.map(|part| self.folder.join(part)));
            // Where links lead to, as in a mounted ConfigMap, the file itself may change.
            let real = self.folder.join(name).canonicalize().ok();
            folders.extend(real.and_then(|real| Some(real.parent()?.to_owned())));
        }
        folders.sort();
        folders.dedup();
        folders
    }

    /// Name below the folder and content of each file that could be read.
    pub fn contents(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.read
            .iter()
            .filter_map(|(name, content)| Some((name.as_str(), &**content.bytes.as_ref().ok()?)))
    }

    /// The path below the folder, without detours; `None` if it leads out of it.
    fn name(&self, path: &Path) -> Option<String> {
        let mut parts: Vec<&str> = vec![];
        let folder = self.folder.components().filter(|part| *part != Component::CurDir);
        let mut below = path.components().filter(|part| *part != Component::CurDir);
        for part in folder {
            (below.next()? == part).then_some(())?;
        }
        for part in below {
            match part {
                Component::Normal(part) => parts.push(part.to_str()?),
                Component::ParentDir => {
                    parts.pop()?;
                }
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        Some(parts.join("/"))
    }

    fn outside(&self) -> String {
        "it is outside the manifest's folder".to_owned()
    }
}

fn text_file(path: &Path) -> Content {
    let bytes = read_file(path).map_err(|why| LoadError::new("K0501", why));
    Content { kind: Kind::Text, bytes: bytes.map(Arc::from) }
}

fn module_file(folder: &Path, name: &str) -> Content {
    Content { kind: Kind::Module, bytes: kakehi_host::read_module(folder, name).map(Arc::from) }
}

fn signature_file(folder: &Path, name: &str) -> Content {
    let module = name.strip_suffix(SIGNATURE_SUFFIX).unwrap_or(name);
    let text = kakehi_host::read_signature(folder, module);
    Content { kind: Kind::Signature, bytes: text.map(|text| text.into_bytes().into()) }
}

fn digest(read: &BTreeMap<String, Content>) -> String {
    let mut digest = Sha256::new();
    for (name, content) in read {
        digest.update((name.len() as u64).to_be_bytes());
        digest.update(name);
        match &content.bytes {
            Ok(bytes) => digest.update(Sha256::digest(bytes)),
            // Why it cannot be read does not matter, and may read otherwise tomorrow.
            Err(_) => digest.update([0]),
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_stay_inside_the_folder_and_are_made_straight() {
        let files = Files::of(Path::new("/etc/kakehi/manifest.yml"));
        for (path, name) in [
            ("/etc/kakehi/rules/a.yml", Some("rules/a.yml")),
            ("/etc/kakehi/rules/../b.wasm", Some("b.wasm")),
            ("/etc/kakehi/./c.wasm", Some("c.wasm")),
            ("/etc/kakehi/../passwd", None),
            ("/etc/passwd", None),
            ("relative", None),
        ] {
            assert_eq!(files.name(Path::new(path)).as_deref(), name, "{path}");
        }
        let here = Files::of(Path::new("manifest.yml"));
        assert_eq!(here.name(Path::new("./rules/a.yml")).as_deref(), Some("rules/a.yml"));
        assert_eq!(here.name(Path::new("rules/a.yml")).as_deref(), Some("rules/a.yml"));
    }

    #[test]
    fn the_digest_follows_every_file_that_was_asked_for_also_one_that_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let main = folder.path().join("manifest.yml");
        fs::write(&main, "version: 1").unwrap();
        fs::create_dir(folder.path().join("rules")).unwrap();
        let mut files = Files::of(&main);
        assert_eq!(files.text(&main).as_deref(), Ok("version: 1"));
        let rule = folder.path().join("rules/rule.yml");
        assert!(files.module(&rule, "rule.wasm").is_err());
        let before = files.digest();
        assert_eq!(files.digest_now(), before);
        fs::write(folder.path().join("rules/rule.wasm"), "new").unwrap();
        let with_module = files.digest_now();
        assert_ne!(with_module, before);
        fs::write(&main, "version: 1 ").unwrap();
        assert_ne!(files.digest_now(), with_module);
        // What was read once stays as it was read.
        assert_eq!(files.digest(), before);
        assert_eq!(files.text(&main).as_deref(), Ok("version: 1"));
        assert!(
            files.folders().starts_with(&[folder.path().to_owned(), folder.path().join("rules")])
        );
        assert_eq!(files.contents().collect::<Vec<_>>(), [("manifest.yml", &b"version: 1"[..])]);
    }
}
