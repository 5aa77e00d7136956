//! Files of private keys: who may have them, what is in them.
//!
//! One line: `kakehi-password-private-key-v1 <x25519|p256> <kid> <created> <base64>`, the time of
//! creation in milliseconds since 1970.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kakehi_engine::time::Timestamp;
use zeroize::Zeroizing;

use super::{KEYS_MAX, KeysError, PrivateKey, PublicKey, io_error};
use crate::durable;
use crate::envelope::{KeyId, PRIVATE_BYTES, Suite};
use crate::secret::Cell;

const WORD: &str = "kakehi-password-private-key-v1";

/// Longest file that is looked at; a key needs 130 bytes.
const FILE_BYTES_MAX: usize = 1024;

/// Bytes of a private key in base64.
const BASE64_BYTES: usize = PRIVATE_BYTES.div_ceil(3) * 4;

pub(super) fn private_name(id: KeyId) -> String {
    format!("{id}.key")
}

pub(super) fn public_name(id: KeyId) -> String {
    format!("{id}.pub")
}

/// Every `<kid>.key` of a folder, the newest last. Other files are not looked at: the folder may
/// be one that the service manager put several credentials into.
pub(super) fn read_all(folder: &Path) -> Result<Vec<PrivateKey>, KeysError> {
    let mut keys = Vec::new();
    let entries = fs::read_dir(folder).map_err(io_error("read the folder of keys", folder))?;
    for entry in entries {
        let entry = entry.map_err(io_error("read the folder of keys", folder))?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".key")) else { continue };
        let Some(id) = KeyId::from_text(id) else { continue };
        if keys.len() == KEYS_MAX {
            return Err(KeysError::TooMany { folder: folder.to_owned() });
        }
        keys.push(read(&entry.path(), id)?);
    }
    keys.sort_by_key(|key: &PrivateKey| (key.created, key.public.id()));
    Ok(keys)
}

/// Writes both files of a pair, the public one first: a private key is the last to appear, so one
/// that is loaded has its public half beside it.
pub(super) fn write(folder: &Path, key: &PrivateKey) -> Result<(), KeysError> {
    let id = key.public.id();
    let write = |name: String, text: &str| {
        let path = folder.join(&name);
        durable::write_new(folder, &name, text.as_bytes()).map_err(io_error("write", &path))
    };
    let mut encoded = Zeroizing::new([0; BASE64_BYTES]);
    STANDARD.encode_slice(key.bytes(), &mut *encoded).map_err(|_| KeysError::Random)?;
    // Made with room for all of it, so that nothing stays behind where it was before it grew.
    let mut line = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX));
    line.push_str(&format!("{WORD} {} {id} {} ", key.suite(), key.created.0));
    line.extend(encoded.iter().map(|byte| char::from(*byte)));
    line.push('\n');
    write(public_name(id), &format!("{}\n", key.public))?;
    write(private_name(id), &line)
}

fn read(path: &Path, id: KeyId) -> Result<PrivateKey, KeysError> {
    let malformed = |reason: &str| KeysError::Malformed {
        path: PathBuf::from(path),
        reason: reason.to_owned(),
    };
    let permission = |reason| KeysError::Permission { path: PathBuf::from(path), reason };
    // Looked at before it is opened, since opening a pipe would wait for somebody who writes to it.
    let before = fs::metadata(path).map_err(io_error("read the private key", path))?;
    if !before.is_file() {
        return Err(permission("it is not a regular file".to_owned()));
    }
    let mut file = File::open(path).map_err(io_error("read the private key", path))?;
    // Asked of the file that is open: the name may have come to mean another one.
    let status = file.metadata().map_err(io_error("read the private key", path))?;
    let us = rustix::process::geteuid().as_raw();
    if let Some(reason) = objection(status.mode(), status.uid(), status.gid(), us) {
        return Err(permission(reason));
    }
    let mut bytes = Zeroizing::new(vec![0; FILE_BYTES_MAX]);
    let mut length = 0;
    loop {
        match file.read(&mut bytes[length..]).map_err(io_error("read the private key", path))? {
            0 if length == FILE_BYTES_MAX => return Err(malformed("it is too long")),
            0 => break,
            more => length += more,
        }
    }
    let text = std::str::from_utf8(&bytes[..length]).map_err(|_| malformed("it is not text"))?;
    parse(text, id).map_err(malformed)
}

fn parse(text: &str, id: KeyId) -> Result<PrivateKey, &'static str> {
    let mut words = text.split_ascii_whitespace();
    if words.next() != Some(WORD) {
        return Err("it begins with something else");
    }
    let [Some(suite), Some(told), Some(created), Some(encoded), None] =
        std::array::from_fn(|_| words.next())
    else {
        return Err("it has another number of words");
    };
    let suite = Suite::from_text(suite).ok_or("its kind is neither `x25519` nor `p256`")?;
    let created = Timestamp(created.parse().map_err(|_| "its time of creation is no number")?);
    let mut bytes = Cell::zeroed(PRIVATE_BYTES);
    let length = STANDARD
        .decode_slice(encoded, bytes.bytes_mut())
        .map_err(|_| "its bytes are not base64 of a key")?;
    if length != PRIVATE_BYTES {
        return Err("its bytes are too few");
    }
    let public = suite.public_of(bytes.bytes()).ok_or("its bytes are no key of this kind")?;
    let public = PublicKey::of_pair(suite, public);
    if public.id() != id || KeyId::from_text(told) != Some(id) {
        return Err("its name, the key id in it and its bytes are not of one key");
    }
    Ok(PrivateKey { public, created, bytes })
}

/// Why a file of this mode and owner is not safe; `None`: it is.
///
/// Credentials of the service manager belong to root and let this one user read by an access list,
/// which the mode shows as readable for root's group; nobody else can put such a file there.
pub(crate) fn objection(mode: u32, owner: u32, group: u32, us: u32) -> Option<String> {
    let permissions = mode & 0o7777;
    if owner == us && permissions & 0o7077 == 0 {
        return None;
    }
    if us != 0 && owner == 0 && group == 0 && permissions & 0o7037 == 0 {
        return None;
    }
    if owner == us || owner == 0 {
        return Some(format!("its mode is {permissions:04o}"));
    }
    Some(format!("it belongs to user {owner}, and this process runs as user {us}"))
}
