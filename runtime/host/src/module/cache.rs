//! Compiled modules on disk. What lies there is machine code that will be run, so the folder is
//! used only if it is ours and nobody else may write to it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::pack::PREVIEW1_STUB;

/// Of all files together: code of sixty rules in Python, of thousands in Rust. Every change of a
/// rule leaves some behind.
const CACHE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Permission bits by which somebody else could write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Tells apart files that one process makes.
static UNIQUE: AtomicU64 = AtomicU64::new(0);

/// A cache folder that was found trustworthy.
pub(crate) struct Cache {
    folder: PathBuf,
    owner: u32,
}

// === impl Cache ===

impl Cache {
    /// Opens a folder, making it if it is missing. Errors: why it cannot be used.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let refused = |why: &dyn std::fmt::Display| {
            format!("the module cache `{}` is not used: {why}", folder.display())
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| refused(&error))?;
        let owner = our_user(folder).map_err(|error| refused(&error))?;
        let metadata = fs::metadata(folder).map_err(|error| refused(&error))?;
        if !is_private(&metadata, owner) {
            return Err(refused(&"others own it or may write to it"));
        }
        Ok(Self { folder: folder.into(), owner })
    }

    /// The compiled form of a module, if it is there and whole.
    #[expect(unsafe_code, reason = "machine code cannot be checked, only trusted")]
    pub(crate) fn load(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let file = self.file(engine, sha256);
        let metadata = fs::symlink_metadata(&file).ok()?;
        if !metadata.is_file() || !is_private(&metadata, self.owner) {
            return None;
        }
        // SAFETY: the file must be what `Component::serialize` wrote and must not change while it
        // is mapped. It lies in a folder to which only our own user can write, belongs to that
        // user, and is only ever replaced by renaming, never written to. wasmtime itself refuses
        // what another version or configuration wrote.
        let component = unsafe { Component::deserialize_file(engine, &file) }.ok()?;
        // Where that cannot be noted, it merely goes earlier.
        let _ = note_use(&file);
        Some(component)
    }

    /// Keeps the compiled form of a module, replacing one that could not be loaded.
    pub(crate) fn save(
        &self,
        engine: &Engine,
        sha256: &str,
        component: &Component,
    ) -> Result<(), String> {
        let file = self.file(engine, sha256);
        let fault = |why: &dyn std::fmt::Display| {
            format!("the compiled module `{}` is not kept: {why}", file.display())
        };
        let bytes = component.serialize().map_err(|error| fault(&error))?;
        let new = unique(&self.folder, "new");
        let written = create(&new)
            .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&new, &file));
        written.map_err(|error| {
            // Half a file is of no use; if it cannot be removed either, it is only litter.
            let _ = fs::remove_file(&new);
            fault(&error)
        })?;
        self.forget_oldest(CACHE_BYTES_MAX);
        Ok(())
    }

    /// Removes what was not used for the longest time, until no more than so many bytes are left;
    /// the newest file stays in any case. Code that runs keeps its file as long as it does.
    fn forget_oldest(&self, bytes_max: u64) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        files.pop();
        let mut newest_first = files.into_iter().rev();
        let mut bytes: u64 = 0;
        let beyond = newest_first.find(|(_, length, _)| {
            bytes = bytes.saturating_add(*length);
            bytes > bytes_max
        });
        for (_, _, file) in beyond.into_iter().chain(newest_first) {
            // Another process may have been faster; otherwise the next one tries again.
            let _ = fs::remove_file(file);
        }
    }

    fn file(&self, engine: &Engine, sha256: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // The component depends on how we pack, too.
        (env!("CARGO_PKG_VERSION"), PREVIEW1_STUB).hash(&mut hasher);
        self.folder.join(format!("{sha256}-{:016x}.cwasm", hasher.finish()))
    }
}

/// What was used last goes last.
#[expect(clippy::disallowed_methods, reason = "the age of a file of ours, not a fact of any data")]
fn note_use(file: &Path) -> io::Result<()> {
    File::open(file)?.set_modified(SystemTime::now())
}

/// The user that we write files as: the owner of one that we make.
fn our_user(folder: &Path) -> io::Result<u32> {
    let probe = unique(folder, "probe");
    let owner = create(&probe)?.metadata()?.uid();
    fs::remove_file(&probe)?;
    Ok(owner)
}

fn is_private(metadata: &Metadata, owner: u32) -> bool {
    metadata.uid() == owner && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

fn create(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)
}

fn unique(folder: &Path, kind: &str) -> PathBuf {
    let number = UNIQUE.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(".{}-{number}.{kind}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::fixture::{Guest, options, spec};
    use crate::{Host, Limits, LoadedModule, ModuleSpec, Options};

    fn load(folder: &Path, wat: &str) -> LoadedModule {
        let options = Options { cache: Some(folder.into()), ..options() };
        Host::new(options).unwrap().load(&spec(wat.as_bytes())).unwrap()
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn compiled_code_is_kept_found_again_and_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (Guest::default().wat(), format!("{} ", Guest::default().wat()));
        assert!(load(folder.path(), &one).warnings.is_empty());
        let kept = files(folder.path());
        assert_eq!(kept.len(), 1);
        // Code of a volatile rule under the hash of another proves that it is not compiled
        // again.
        let describe = "(i32.store8 (i32.const 164) (i32.const 1)) (i32.const 128)";
        let volatile = Guest { describe, ..Guest::default() }.wat();
        let elsewhere = tempfile::tempdir().unwrap();
        load(elsewhere.path(), &volatile);
        fs::rename(&files(elsewhere.path())[0], &kept[0]).unwrap();
        assert!(load(folder.path(), &one).contract.volatile);
        assert!(!load(folder.path(), &other).contract.volatile);
    }

    #[test]
    fn a_corrupt_file_is_replaced_and_a_metered_engine_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let wat = Guest::default().wat();
        load(folder.path(), &wat);
        let file = files(folder.path()).remove(0);
        let good = fs::read(&file).unwrap();
        for corrupt in [&b""[..], b"garbage", &good[..good.len() / 2]] {
            fs::remove_file(&file).unwrap();
            fs::write(&file, corrupt).unwrap();
            assert!(load(folder.path(), &wat).warnings.is_empty());
            assert_eq!(fs::read(&file).unwrap().len(), good.len());
        }
        let options = Options { cache: Some(folder.path().into()), ..options() };
        let limits = Limits { fuel: Some(1_000), ..Limits::default() };
        let spec = ModuleSpec { limits, ..spec(wat.as_bytes()) };
        Host::new(options).unwrap().load(&spec).unwrap();
        assert_eq!(files(folder.path()).len(), 2);
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_when_there_is_too_much() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        for (name, age) in [("old", 300), ("older", 400), ("new", 100), ("newest", 0)] {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_len(10).unwrap();
            let then = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000 - age);
            file.set_modified(then).unwrap();
        }
        let names = || {
            let mut names: Vec<_> = files(folder.path())
                .iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        cache.forget_oldest(30);
        assert_eq!(names().len(), 4);
        cache.forget_oldest(20);
        assert_eq!(names(), ["new", "newest", "old"]);
        cache.forget_oldest(0);
        assert_eq!(names(), ["newest"]);
    }

    #[test]
    fn k0514_a_folder_that_others_may_write_to_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let wat = Guest::default().wat();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o770)).unwrap();
        let warnings = load(folder.path(), &wat).warnings;
        assert!(warnings[0].ends_with("others own it or may write to it (K0514)"), "{warnings:?}");
        assert!(files(folder.path()).is_empty());
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(load(&file, &wat).warnings[0].ends_with("(K0514)"));
    }
}
