//! Files that are there after a crash, or not there at all: bytes flow in, and the call returns
//! when they are on disk.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// How unfinished files begin. One that is left over was never promised to anybody.
pub(crate) const UNFINISHED: &str = ".new-";

/// Makes a folder, and what is missing above it, for its owner only. One that is there stays as
/// it is: packages and administrators may have decided otherwise.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a new file for its owner only.
/// Errors: also when there is one of this name already; then nothing changed.
pub(crate) fn write_new(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(folder.join(name))?;
    sync_folder(folder)
}

/// A name is as durable as its folder.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a file so that its old bytes are overwritten first, as far as the disk writes in place.
pub(crate) fn shred(path: &Path) -> io::Result<()> {
    let length = fs::metadata(path)?.len();
    let mut file = File::options().write(true).open(path)?;
    io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
    file.sync_all()?;
    fs::remove_file(path)
}
