//! The product as it is measured. In: a source, a target, a folder. Out: a configuration with the
//! benchmark rule set (performance.md 5) and runs of `kakehi once`.
//!
//! Every safety setting is as delivered; only the concurrency is the benchmark's (performance.md
//! 7).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::measure::{self, Finished};
use super::sink::Sink;
use super::slapd::{ADMIN, PASSWORD, Slapd};
use super::{BenchError, Result};

/// What the product reads, and with it everybody who is compared to it.
pub const BASE: &str = "ou=people,dc=example,dc=com";
pub const CLASS: (&str, &str) = ("objectClass", "inetOrgPerson");

/// Attributes that the rules below read: what `ldapsearch` and the bare reader ask for too.
pub const ATTRIBUTES: &[&str] = &[
    "objectClass",
    "entryUUID",
    "uid",
    "displayName",
    "sn",
    "givenName",
    "title",
    "mail",
    "employeeNumber",
    "employeeType",
    "departmentNumber",
    "l",
];

/// The attribute that scenario `one` changes, and that reaches the target under the same name.
pub const CHANGED_ATTRIBUTE: &str = "title";

/// One inbound flow rule, one filter, one outbound rule, six declared attributes each.
const MANIFEST: &str = r#"version: 1
connectors:
  - {name: directory, kind: ldap, order: 1}
  - {name: sink, kind: scim, order: 2}
rules:
  - name: In from directory - Person
    precedence: 10
    connector: directory
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    module: builtin:declarative
    config:
      flows:
        - {to: uid, from: uid}
        - {to: displayName, from: displayName}
        - {to: sn, from: sn}
        - {to: givenName, from: givenName}
        - {to: title, from: title}
        - {to: mail, from: mail}
  - name: In from directory - Filter
    precedence: 20
    connector: directory
    direction: inbound
    from: inetOrgPerson
    to: person
    link: join
    module: builtin:declarative
    config:
      flows:
        - to: cloudFiltered
          expr: >-
            IIF(IsPresent([uid]) && IsPresent([mail]) && IsPresent([employeeNumber]) &&
            IsPresent([employeeType]) && IsPresent([departmentNumber]) && IsPresent([l]),
            NULL, True)
  - name: Out to sink - User
    precedence: 10
    connector: sink
    direction: outbound
    from: person
    to: User
    link: provision
    scope: [[{attr: cloudFiltered, op: NOTEQUAL, value: "True"}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: uid}
        - {to: userName, from: mail}
        - {to: displayName, from: displayName}
        - {to: name.familyName, from: sn}
        - {to: name.givenName, from: givenName}
        - {to: title, from: title}
"#;

/// An installation of the product for one round.
pub struct Product {
    binary: PathBuf,
    configuration: PathBuf,
}

/// One finished run.
pub struct Run {
    pub finished: Finished,
    /// What `--json` printed; null if it was no JSON.
    pub answer: Value,
}

impl Product {
    /// The binary to measure. Errors: it is not there.
    pub fn binary(wanted: Option<&Path>) -> Result<PathBuf> {
        let binary = match wanted {
            Some(binary) => binary.to_owned(),
            None => std::env::current_exe()
                .map_err(|error| BenchError::io("find the product", error))?
                .with_file_name("kakehi"),
        };
        if binary.is_file() {
            return Ok(binary);
        }
        let what = format!("`{}` is not there: build it, or say `--kakehi PATH`", binary.display());
        Err(BenchError::answer("the product", what))
    }

    /// Writes the three files of a fresh installation into `folder`.
    pub fn install(binary: &Path, folder: &Path, source: &Slapd, target: &Sink) -> Result<Product> {
        Self::install_with(binary, folder, (source, BASE), target, MANIFEST)
    }

    /// The same with rules of its own, on a part of the directory.
    pub fn install_with(
        binary: &Path,
        folder: &Path,
        source: (&Slapd, &str),
        target: &Sink,
        manifest: &str,
    ) -> Result<Product> {
        let configuration = folder.join("config.yml");
        let secret = folder.join("secret.yml");
        let secrets = format!(
            "credentials:\n  directory-bind: {{value: {PASSWORD}}}\n  sink-token: {{value: none}}\n"
        );
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&configuration, configure(folder, source, target)))
            .and_then(|()| fs::write(folder.join("manifest.yml"), manifest))
            .and_then(|()| fs::write(&secret, secrets))
            .and_then(|()| fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)))
            .map_err(|error| BenchError::io("write the configuration", error))?;
        Ok(Product { binary: binary.to_owned(), configuration })
    }

    /// Other rules from the next run on.
    pub fn with_rules(&self, manifest: &str) -> Result<()> {
        fs::write(self.configuration.with_file_name("manifest.yml"), manifest)
            .map_err(|error| BenchError::io("write the rules", error))
    }

    /// What the product keeps on disk, in bytes.
    pub fn state_bytes(&self) -> u64 {
        let state = self.configuration.with_file_name("state");
        let files = fs::read_dir(state).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    }

    /// Runs one cycle; `full` reads the whole source whatever is known of it.
    pub fn once(&self, full: bool) -> Result<Run> {
        let mut command = Command::new(&self.binary);
        command.arg("once").arg("--config").arg(&self.configuration).arg("--json");
        if full {
            command.arg("--full");
        }
        let finished = measure::run(&mut command)?.expect_success("kakehi once")?;
        let answer = serde_json::from_str(&finished.stdout).unwrap_or(Value::Null);
        Ok(Run { finished, answer })
    }
}

fn configure(folder: &Path, (source, base): (&Slapd, &str), target: &Sink) -> String {
    let folder = folder.display();
    let (source, target) = (source.url(), target.url());
    format!(
        "manifest: manifest.yml
state: {{path: {folder}/state}}
rules: {{cache: {folder}/cache}}
sources:
  directory:
    ldap:
      kind: openldap
      urls: ['{source}']
      bind: {{dn: '{ADMIN}', credential: directory-bind}}
      bases: ['{base}']
targets:
  sink:
    base_url: {target}
    credential: sink-token
    concurrency: {{max: 32}}
credentials:
  directory-bind: {{kind: ldap_bind}}
  sink-token: {{kind: scim_bearer}}
"
    )
}
