//! A password as another program hands it over. Bytes flow in, a password flows out; what held them
//! is erased.

use std::io::{self, Read};

use zeroize::Zeroizing;

use crate::secret::{NotText, Password};

/// More than any password that can be sealed, less than would fill memory.
const PASSWORD_BYTES_MAX: usize = 8 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("the password cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("there is no password on the input")]
    Empty,
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    #[error(transparent)]
    NotText(#[from] NotText),
}

/// Reads to the end of the input.
pub fn bytes(input: &mut impl Read) -> Result<Zeroizing<Vec<u8>>, InputError> {
    // Never grown: growing would leave a copy behind.
    let mut bytes = Zeroizing::new(vec![0; PASSWORD_BYTES_MAX + 2]);
    let mut length = 0;
    while length < bytes.len() {
        match input.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if length == bytes.len() {
        return Err(InputError::TooLong);
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// One password from bytes.
pub fn password(bytes: Zeroizing<Vec<u8>>) -> Result<Password, InputError> {
    if bytes.is_empty() {
        return Err(InputError::Empty);
    }
    Ok(Password::from_utf8(bytes)?)
}

/// As an interactive shell or `echo` writes it: one newline at the end is not part of it.
pub fn line(input: &mut impl Read) -> Result<Password, InputError> {
    let mut bytes = bytes(input)?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    password(bytes)
}
