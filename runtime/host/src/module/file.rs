//! A module's bytes: read once, from inside the manifest's folder, and held against their pin.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::LoadError;
use crate::text::size;

/// Largest module file: a rule in Python has 18.5 MiB.
pub const MODULE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Reads the module at `path`, which is relative to the folder of the manifest that names it.
///
/// Errors: K0501 if it is missing, unreadable, too large, or not inside the folder once links are
/// followed.
pub fn read_module(folder: &Path, path: &str) -> Result<Vec<u8>, LoadError> {
    read_inside(folder, path, MODULE_BYTES_MAX).map_err(|fault| {
        let (why, hint) = fault.into_parts();
        let error = LoadError::new("K0501", format!("cannot read the module `{path}`: {why}"));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    })
}

/// Why a file of a manifest cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadFault {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("it is outside the manifest's folder")]
    Outside,
    #[error("it is not a file")]
    NotAFile,
    #[error("it has {}, at most {}", size(usize::try_from(*.0).unwrap_or(usize::MAX)), size(*.1))]
    TooLarge(u64, usize),
}

impl ReadFault {
    /// What is wrong, and how to mend it if that can be told.
    pub(super) fn into_parts(self) -> (String, Option<&'static str>) {
        let hint = match self {
            Self::Outside => Some("copy it into the folder and name it by a relative path"),
            Self::Io(_) | Self::NotAFile | Self::TooLarge(..) => None,
        };
        (self.to_string(), hint)
    }
}

/// Reads a file that lies inside a folder once links are followed.
pub(super) fn read_inside(
    folder: &Path,
    path: &str,
    bytes_max: usize,
) -> Result<Vec<u8>, ReadFault> {
    let folder = folder.canonicalize()?;
    let file = folder.join(path).canonicalize()?;
    if !file.starts_with(&folder) {
        return Err(ReadFault::Outside);
    }
    // Looked at before it is opened: opening a pipe would wait for somebody to write to it.
    if !file.is_file() {
        return Err(ReadFault::NotAFile);
    }
    let file = File::open(&file)?;
    let told = file.metadata()?.len();
    if told > bytes_max as u64 {
        return Err(ReadFault::TooLarge(told, bytes_max));
    }
    let mut bytes = vec![];
    // One byte more than allowed, so that a file that grows meanwhile shows itself.
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(ReadFault::TooLarge(bytes.len() as u64, bytes_max));
    }
    Ok(bytes)
}

/// Holds a module against the hash in the manifest. Errors: K0502 if that is absent or another.
pub fn check_pin(bytes: &[u8], expected_sha256: Option<&str>) -> Result<(), LoadError> {
    let found = sha256(bytes);
    let message = match expected_sha256 {
        Some(expected) if expected.eq_ignore_ascii_case(&found) => return Ok(()),
        Some(expected) => {
            format!("the module has sha256 `{found}`, the manifest expects `{expected}`")
        }
        None => format!("the module has sha256 `{found}`, the manifest has none"),
    };
    Err(LoadError::new("K0502", message)
        .with_hint("review the module, then run `kakehi rules lock`"))
}

/// What is wrong with the size of a module, if anything is.
pub(crate) fn check_size(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > MODULE_BYTES_MAX {
        return Err(format!("it has {}, at most {}", size(bytes.len()), size(MODULE_BYTES_MAX)));
    }
    Ok(())
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn code<T>(result: Result<T, LoadError>) -> Option<&'static str> {
        result.err().map(|error| error.code)
    }

    #[test]
    fn k0501_only_files_inside_the_folder_are_read() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("rules");
        fs::create_dir_all(folder.join("sub")).unwrap();
        fs::write(folder.join("sub/good.wasm"), "good").unwrap();
        fs::write(outer.path().join("secret"), "secret").unwrap();
        symlink("sub/good.wasm", folder.join("link.wasm")).unwrap();
        symlink("../secret", folder.join("escape.wasm")).unwrap();
        for (path, expected) in [
            ("sub/good.wasm", None),
            ("link.wasm", None),
            ("sub/../sub/good.wasm", None),
            ("escape.wasm", Some("K0501")),
            ("../secret", Some("K0501")),
            ("/etc/hostname", Some("K0501")),
            ("missing.wasm", Some("K0501")),
            ("sub", Some("K0501")),
        ] {
            assert_eq!(code(read_module(&folder, path)), expected, "{path}");
        }
    }

    #[test]
    fn k0501_a_module_may_have_32_mib_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("big.wasm")).unwrap();
        for (length, expected) in [(MODULE_BYTES_MAX, None), (MODULE_BYTES_MAX + 1, Some("K0501"))]
        {
            file.set_len(length as u64).unwrap();
            assert_eq!(code(read_module(folder.path(), "big.wasm")), expected);
        }
    }

    #[test]
    fn k0501_a_huge_file_is_refused_by_its_size_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("huge.wasm")).unwrap();
        // Nobody could read so much in the time of a test.
        file.set_len(1 << 40).unwrap();
        let error = read_module(folder.path(), "huge.wasm").unwrap_err();
        let expected = "cannot read the module `huge.wasm`: it has 1048576 MiB, at most 32 MiB";
        assert_eq!(error.message, expected);
    }

    #[test]
    fn k0501_what_is_no_plain_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::net::UnixListener::bind(folder.path().join("socket.wasm")).unwrap();
        assert_eq!(code(read_module(folder.path(), "socket.wasm")), Some("K0501"));
    }

    #[test]
    fn k0502_the_pin_must_be_there_and_fit() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check_pin(b"abc", Some(hash)), Ok(()));
        assert_eq!(check_pin(b"abc", Some(&hash.to_uppercase())), Ok(()));
        let error = check_pin(b"abd", Some(hash)).unwrap_err();
        assert_eq!(error.code, "K0502");
        assert!(error.message.contains(hash) && error.message.contains(&sha256(b"abd")));
        assert_eq!(code(check_pin(b"abc", None)), Some("K0502"));
    }
}
