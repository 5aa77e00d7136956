//! Changes of a text: edits by position flow in, the text with them and a replaced file flow out.

use std::fs;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use tempfile::NamedTempFile;

use super::Refusal;

/// What stands in a range of bytes from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub range: Range<usize>,
    pub text: String,
}

/// Takes edits in any order, of which none touches another; the same edit may be there twice.
pub fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    edits.dedup();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Edit { range, text: new } in edits {
        if let Some(before) = text.get(at..range.start) {
            out.push_str(before);
            out.push_str(&new);
            at = range.end;
        }
    }
    out.push_str(&text[at..]);
    out
}

/// Replaces a file in one step: whoever reads it sees the old text or the new one. It keeps its
/// mode and its owner, and a link stays a link.
pub fn replace(path: &Path, text: &str) -> Result<(), Refusal> {
    write_beside(path, text).map_err(|error| Refusal {
        usage: false,
        code: "K0924",
        message: format!("cannot write `{}`: {error}", path.display()),
        hint: "the file and its folder must be writable for you; it is as it was".into(),
    })
}

fn write_beside(path: &Path, text: &str) -> io::Result<()> {
    let path = path.canonicalize()?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let old = fs::metadata(&path)?;
    let mut beside = NamedTempFile::new_in(folder)?;
    beside.write_all(text.as_bytes())?;
    let new = beside.as_file().metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        chown(beside.path(), Some(old.uid()), Some(old.gid()))?;
    }
    beside.as_file().set_permissions(old.permissions())?;
    beside.as_file().sync_all()?;
    beside.persist(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn edits_are_made_from_front_to_back_and_once() {
        let edit = |range, text: &str| Edit { range, text: text.into() };
        let edits =
            vec![edit(4..5, "five"), edit(0..1, "one"), edit(4..5, "five"), edit(2..2, "+")];
        assert_eq!(edited("1 3 5 7", edits), "one +3 five 7");
        assert_eq!(edited("as it was", vec![]), "as it was");
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.yml"), folder.path().join("link.yml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real.yml", &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        let refused = replace(&folder.path().join("no.yml"), "x").unwrap_err();
        assert_eq!(refused.code, "K0924");
    }
}
