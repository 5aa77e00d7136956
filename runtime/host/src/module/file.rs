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
    let fault = |why: &dyn std::fmt::Display| {
        LoadError::new("K0501", format!("cannot read the module `{path}`: {why}"))
    };
    let folder = folder.canonicalize().map_err(|error| fault(&error))?;
    let file = folder.join(path).canonicalize().map_err(|error| fault(&error))?;
    if !file.starts_with(&folder) {
        return Err(fault(&"it is outside the manifest's folder")
            .with_hint("copy the module into the folder and name it by a relative path"));
    }
    if !file.is_file() {
        return Err(fault(&"it is not a file"));
    }
    let mut bytes = vec![];
    // One byte more than allowed, so that too large a file shows itself and is not read on.
    File::open(&file)
        .and_then(|file| file.take(MODULE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| fault(&error))?;
    check_size(&bytes).map_err(|why| fault(&why))?;
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
        return Err(format!("it has more than {}", size(MODULE_BYTES_MAX)));
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
