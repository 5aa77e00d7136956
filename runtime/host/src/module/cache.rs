//! Compiled modules on disk. What lies there is machine code that will be run, so the folder is
//! used only if it is ours and nobody else may write to it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::pack::PREVIEW1_STUB;

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
        unsafe { Component::deserialize_file(engine, &file) }.ok()
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
        })
    }

    fn file(&self, engine: &Engine, sha256: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // The component depends on how we pack, too.
        (env!("CARGO_PKG_VERSION"), PREVIEW1_STUB).hash(&mut hasher);
        self.folder.join(format!("{sha256}-{:016x}.cwasm", hasher.finish()))
    }
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
