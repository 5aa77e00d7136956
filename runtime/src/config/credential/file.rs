//! `secret.yml`: the file flows in, its entries flow out, if nobody else may read it.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::{Zeroize as _, Zeroizing};

use crate::config::finding::{Findings, FlawCodes, SECRET_FILE_OPEN, key_path};
use crate::config::raw::{SecretFileRaw, SecretRaw};
use crate::config::yaml::{self, At, Flaw, FlawKind, Node, Shape};

/// Largest `secret.yml`: hundreds of the largest secrets.
const SECRET_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Read and write, or read, for the owner alone.
const MODES: [u32; 2] = [0o600, 0o400];

const CODES: FlawCodes = FlawCodes {
    unreadable: "K0101",
    syntax: "K0102",
    unknown_key: "K0121",
    doubled_key: "K0104",
    missing_key: "K0105",
    value: "K0106",
};

/// What stands in `secret.yml`, by name of the credential.
#[derive(Default)]
pub(in crate::config) struct SecretFile {
    pub path: PathBuf,
    pub secrets: BTreeMap<String, At<SecretRaw>>,
}

/// Reads `secret.yml`, which may be absent.
///
/// Notes: a mode other than 0600 or 0400, another owner, and every flaw, all without a word of
/// content.
pub(in crate::config) fn read(path: &Path, findings: &mut Findings) -> SecretFile {
    let nothing = SecretFile { path: path.to_owned(), secrets: BTreeMap::new() };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return nothing,
        Ok(metadata) => guard(&metadata, findings),
        Err(_) => {}
    }
    let text = match bytes(path, SECRET_FILE_BYTES_MAX).and_then(|bytes| {
        std::str::from_utf8(&bytes)
            .map(|text| Zeroizing::new(text.to_owned()))
            .map_err(|_| "it is not UTF-8".to_owned())
    }) {
        Ok(text) => text,
        Err(reason) => {
            findings.error(CODES.unreadable, format_args!("cannot read the file: {reason}"));
            return nothing;
        }
    };
    let mut node = match yaml::parse(&text) {
        Ok(node) => node,
        Err(error) => {
            // The parser's message may quote the text.
            let draft = findings.error(CODES.syntax, "the file is no valid YAML");
            if let Some(mark) = error.mark {
                let _ = draft.at(mark);
            }
            return nothing;
        }
    };
    let (raw, flaws) = yaml::decode::<SecretFileRaw>(&mut node);
    wipe(&mut node);
    for flaw in flaws.into_iter().map(without_content) {
        let what = (!flaw.path.is_empty()).then(|| format!("key `{}`", key_path(&flaw.path)));
        findings.flaw(flaw, CODES, what);
    }
    let entries = raw.unwrap_or_default().credentials.0;
    let secrets = entries.into_iter().map(|(name, secret)| (name.value, secret)).collect();
    SecretFile { secrets, ..nothing }
}

/// Whether others than the owner may read a file.
pub(super) fn is_open(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
}

/// Reads a whole file, if it has at most `limit` bytes.
pub(super) fn bytes(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let told = |error: std::io::Error| format!("`{}`: {error}", path.display());
    let file = std::fs::File::open(path).map_err(told)?;
    let mut bytes = Zeroizing::new(vec![]);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(told)?;
    match bytes.len() as u64 > limit {
        true => Err(format!("`{}` has more than {limit} bytes", path.display())),
        false => Ok(bytes),
    }
}

fn guard(metadata: &std::fs::Metadata, findings: &mut Findings) {
    let mode = metadata.mode() & 0o7777;
    if !MODES.contains(&mode) {
        findings
            .error(SECRET_FILE_OPEN, format_args!("its mode is `{mode:04o}`"))
            .hint("set it to 0600 or 0400: nobody else may read secrets");
    }
    if let Some(user) = effective_user().filter(|user| *user != metadata.uid()) {
        let owner = metadata.uid();
        findings
            .error(
                SECRET_FILE_OPEN,
                format_args!("it belongs to the user `{owner}`, not to `{user}`"),
            )
            .hint("run as its owner, or give it to the user of the service");
    }
}

/// The user this process acts as; `None` where the system does not show it.
///
/// Source: proc(5), `/proc/pid/status`: `Uid:` lists real, effective, saved and file system user.
fn effective_user() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

/// A flaw told without the value and without an unknown key, either of which may be the secret
/// itself.
fn without_content(mut flaw: Flaw) -> Flaw {
    flaw.message = match flaw.kind {
        FlawKind::UnknownKey => {
            flaw.path.pop();
            "only secrets and where they are stand in this file: unknown key".to_owned()
        }
        FlawKind::DoubledKey => {
            flaw.path.pop();
            "a key stands twice".to_owned()
        }
        FlawKind::MissingKey => flaw.message,
        FlawKind::Value => "a value has the wrong form".to_owned(),
    };
    flaw
}

/// Overwrites every text of a tree.
fn wipe(node: &mut Node) {
    match &mut node.shape {
        Shape::Text(text) => text.zeroize(),
        Shape::List(items) => items.iter_mut().for_each(wipe),
        Shape::Map(entries) => entries.iter_mut().for_each(|(_, value)| wipe(value)),
        _ => {}
    }
}
