//! The socket that slapd's overlay connects to.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// slapd runs as a user of its own: it is let in by a group.
pub const MODE: u32 = 0o660;

/// Where slapd finds us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A path, made here; whoever may write to the socket may forge captures.
    Path { path: PathBuf, mode: u32 },
    /// Opened by systemd: it stays open while we restart, and slapd waits instead of failing.
    Inherited,
}

#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("another process listens on `{}` already", path.display())]
    Taken { path: PathBuf },
    #[error("cannot listen on `{}`: {source}", path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error("systemd gave no Unix socket: start it through its `.socket` unit, or name a path")]
    Nothing,
    #[error("the socket given by systemd cannot be used: {0}")]
    Inherited(io::Error),
}

// === impl Listen ===

impl Listen {
    pub fn open(&self) -> Result<UnixListener, ListenError> {
        match self {
            Self::Path { path, mode } => bind(path, *mode),
            Self::Inherited => listenfd::ListenFd::from_env()
                .take_unix_listener(0)
                .map_err(ListenError::Inherited)?
                .ok_or(ListenError::Nothing),
        }
    }
}

/// The socket gets its name when its mode is right, so that nobody meets another one.
fn bind(path: &Path, mode: u32) -> Result<UnixListener, ListenError> {
    if UnixStream::connect(path).is_ok() {
        return Err(ListenError::Taken { path: path.to_owned() });
    }
    let bad = |source| ListenError::Path { path: path.to_owned(), source };
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(bad(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&new).map_err(bad)?;
    fs::set_permissions(&new, Permissions::from_mode(mode)).map_err(bad)?;
    fs::rename(&new, path).map_err(bad)?;
    Ok(listener)
}
