//! The files of the demo: what an administrator would have written, complete.

use std::io::{Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::builtin;

/// The token of the SCIM service in this process. It opens nothing else.
pub const TOKEN: &str = "demo-token";

const FOREST_A: &str = include_str!("../../../demo/forest-a.ldif");
const FOREST_R: &str = include_str!("../../../demo/forest-r.ldif");
const CONFIG: &str = include_str!("../../../demo/config.yml");
const MANIFEST: &str = include_str!("../../../demo/manifest.yml");

/// A default rule, or cases of one, under the name it has in `rules/default`.
macro_rules! fragment {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../rules/default/", $name)))
    };
}

/// The default rules that the demo uses.
const FRAGMENTS: &[(&str, &str)] = &[
    fragment!("in-from-ad-user-join.yml"),
    fragment!("cases/in-from-ad-user-join.yml"),
    fragment!("in-from-ad-user-account-enabled.yml"),
    fragment!("cases/in-from-ad-user-account-enabled.yml"),
    fragment!("in-from-ad-user-common-from-exchange.yml"),
    fragment!("cases/in-from-ad-user-common-from-exchange.yml"),
    fragment!("in-from-ad-user-common.yml"),
    fragment!("cases/in-from-ad-user-common.yml"),
    fragment!("in-from-ad-user-exchange.yml"),
    fragment!("in-from-ad-group-join.yml"),
    fragment!("cases/in-from-ad-group-join.yml"),
    fragment!("in-from-ad-group-common.yml"),
    fragment!("cases/in-from-ad-group-common.yml"),
    fragment!("out-to-scim-user-join.yml"),
    fragment!("cases/out-to-scim-user-join.yml"),
    fragment!("out-to-scim-user-common.yml"),
    fragment!("out-to-scim-user-exchange.yml"),
    fragment!("out-to-scim-group-join.yml"),
    fragment!("cases/out-to-scim-group-join.yml"),
    fragment!("out-to-scim-group-common.yml"),
];

pub fn config(folder: &Path) -> PathBuf {
    folder.join("config.yml")
}

/// What the SCIM service of a kept demo holds, between two starts.
pub fn service_state(folder: &Path) -> PathBuf {
    folder.join("service.json")
}

pub fn is_kept(folder: &Path) -> bool {
    service_state(folder).is_file()
}

/// Writes everything; `base_url` is where the SCIM service answers.
pub fn write(folder: &Path, base_url: &str) -> Result<()> {
    for sub in ["directory", "rules/cases"] {
        std::fs::create_dir_all(folder.join(sub))?;
    }
    put(&folder.join("directory/forest-a.ldif"), FOREST_A)?;
    put(&folder.join("directory/forest-r.ldif"), FOREST_R)?;
    for (name, text) in FRAGMENTS {
        put(&folder.join("rules").join(name), text)?;
    }
    std::fs::write(folder.join("rules/names.wasm"), builtin::NAMES)?;
    let digest: String =
        Sha256::digest(builtin::NAMES).iter().map(|byte| format!("{byte:02x}")).collect();
    put(&folder.join("manifest.yml"), &MANIFEST.replace("{{names_sha256}}", &digest))?;
    put(&config(folder), &CONFIG.replace("{{base_url}}", base_url))?;
    let mut options = std::fs::OpenOptions::new();
    let mut secret = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(folder.join("secret.yml"))?;
    writeln!(secret, "credentials:\n  cloud-token: {{value: {TOKEN}}}")
}

/// Replaces a file as an editor does: a reader sees the old text or the new one.
pub fn put(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, path)
}

/// Replaces a piece of a file. It must be there: the demo would show nothing otherwise.
pub fn edit(path: &Path, from: &str, to: &str) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    if !text.contains(from) {
        let message = format!("`{}` does not hold {from:?}", path.display());
        return Err(std::io::Error::other(message));
    }
    put(path, &text.replacen(from, to, 1))
}

/// Removes the LDIF record in which `line` stands.
pub fn remove_record(path: &Path, line: &str) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let records: Vec<&str> = text.split("\n\n").collect();
    let kept: Vec<&str> =
        records.iter().copied().filter(|record| !record.lines().any(|held| held == line)).collect();
    if kept.len() == records.len() {
        return Err(std::io::Error::other(format!("no record has the line {line:?}")));
    }
    put(path, &kept.join("\n\n"))
}
