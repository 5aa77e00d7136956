//! The other end of the control socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{Answer, LINE_BYTES_MAX, Request};
use crate::service::failure::{Failure, Kind};

/// Asks the service behind a socket; `None` if there is none.
///
/// Errors: it is there, but cannot be asked.
pub fn ask(socket: &Path, request: &Request) -> Result<Option<Answer>, Failure> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("cannot ask the service at `{}`: {error}", socket.display());
        Failure::new(Kind::Temporary, "K0217", message)
    };
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => return Ok(None),
        Err(error) if error.kind() == PermissionDenied => {
            let message = format!("`{}` is not open to you", socket.display());
            return Err(Failure::new(Kind::Permission, "K0218", message)
                .hint("run the command as the user of the service"));
        }
        Err(error) => return Err(failed(&error)),
    };
    let mut line = serde_json::to_string(request).map_err(|error| failed(&error))?;
    line.push('\n');
    stream.write_all(line.as_bytes()).map_err(|error| failed(&error))?;
    let mut said = String::new();
    let mut answer = BufReader::new(stream.take(LINE_BYTES_MAX));
    answer.read_line(&mut said).map_err(|error| failed(&error))?;
    if said.is_empty() {
        return Err(failed(&"it ended before it answered"));
    }
    serde_json::from_str(&said).map(Some).map_err(|error| failed(&error))
}
