//! Files of an export on their way in, and of a manifest on their way out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kakehi_entra::{File, Output};

use crate::service::failure::{Failure, Kind};

/// Folders of an export that are read.
const PARTS: [&str; 3] = ["SynchronizationRules", "Connectors", "GlobalSettings"];
/// Formats of files that are read from a folder itself.
const FORMATS: [&str; 3] = ["ps1", "json", "xml"];
/// Most files of one import: several of the largest installations together.
const FILES_MAX: usize = 5_000;
/// Largest file, checked before it is read; the reader knows the same limit.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

const UNREADABLE: &str = "K0950";
const TOO_MANY: &str = "K0961";
const NOT_EMPTY: &str = "K0962";
const NOT_WRITTEN: &str = "K0963";

/// Reads what was named: files as they are, and of folders the parts of an export.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<File>, Failure> {
    let mut found = vec![];
    for path in paths {
        if path.is_dir() {
            list(path, &mut found)?;
            for part in PARTS.map(|part| path.join(part)) {
                if part.is_dir() {
                    list(&part, &mut found)?;
                }
            }
        } else {
            found.push(path.clone());
        }
    }
    if found.len() > FILES_MAX {
        let message = format!("there are {} files, at most {FILES_MAX}", found.len());
        return Err(Failure::new(Kind::Usage, TOO_MANY, message).hint("name one export"));
    }
    found.iter().map(|path| one(path)).collect()
}

/// The files of a folder that have a format of exports, in order of name.
fn list(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut entries = entries().map_err(|error| unreadable(folder, &error))?;
    entries.retain(|path| {
        let end = path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
        path.is_file() && end.is_some_and(|end| FORMATS.contains(&end.as_str()))
    });
    entries.sort();
    found.extend(entries);
    Ok(())
}

fn one(path: &Path) -> Result<File, Failure> {
    let bytes = || -> io::Result<Vec<u8>> {
        let length = fs::metadata(path)?.len();
        if length > FILE_BYTES_MAX {
            let message = format!("it has {length} bytes, at most {FILE_BYTES_MAX}");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        fs::read(path)
    };
    let bytes = bytes().map_err(|error| unreadable(path, &error))?;
    Ok(File { name: path.display().to_string(), bytes })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => Kind::Permission,
        _ => Kind::Usage,
    };
    Failure::new(kind, UNREADABLE, format!("cannot read `{}`: {error}", path.display()))
        .hint("name the folder of an export, a `.ps1` script or a `.json` file")
}

/// A folder that holds something is left alone: an import over an earlier one would mix both.
pub(super) fn refuse_full(folder: &Path) -> Result<(), Failure> {
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unwritten(folder, &error)),
    };
    if entries.next().is_some() {
        let message = format!("the folder `{}` is not empty", folder.display());
        return Err(
            Failure::new(Kind::Usage, NOT_EMPTY, message).hint("name one that does not exist yet")
        );
    }
    Ok(())
}

/// Writes files below a folder, which is made.
pub(super) fn write(folder: &Path, files: &[Output]) -> Result<(), Failure> {
    for file in files {
        let path = folder.join(&file.path);
        let written = || -> io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, &file.text)
        };
        written().map_err(|error| unwritten(&path, &error))?;
    }
    Ok(())
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => Kind::Permission,
        _ => Kind::Usage,
    };
    Failure::new(kind, NOT_WRITTEN, format!("cannot write `{}`: {error}", path.display()))
        .hint("name a folder that can be written")
}
