//! Credentials: their kinds from `config.yml` and their secrets from `secret.yml` flow in, resolved
//! secrets flow out (credentials.md 3, 5.1, 5.2).
//!
//! Nothing of a secret ever enters a message: not its text, not a key that may be one.

mod file;
mod hygiene;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

pub(super) use self::file::{SecretFile, read};
use super::check::WEAKENED;
use super::environment;
use super::finding::Findings;
use super::raw::{CredentialKindRaw, CredentialRaw, SecretRaw};
use super::secret::Secret;
use super::yaml::{At, Entries, Mark};

/// Largest secret: no token comes near, a wrong file soon does.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

const NOT_DECLARED: &str = "K0123";
const NO_SECRET: &str = "K0124";
const UNREADABLE: &str = "K0125";
const UNCLEAN: &str = "K0126";
const SOURCES: &str = "K0127";
const UNKNOWN: &str = "K0130";
const WRONG_KIND: &str = "K0131";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A bearer token of a SCIM service.
    ScimBearer,
    /// The password of a simple bind.
    LdapBind,
    /// The password of our account at the mail server.
    Smtp,
    /// The password of users that were created and have none of their own.
    InitialPassword,
}

/// Where a secret came from: for reading it again, and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In `secret.yml` itself.
    Value,
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
}

pub struct Credential {
    pub kind: CredentialKind,
    pub source: SecretSource,
    pub secret: Arc<Secret>,
}

// === impl CredentialKind ===

impl CredentialKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScimBearer => "scim_bearer",
            Self::LdapBind => "ldap_bind",
            Self::Smtp => "smtp",
            Self::InitialPassword => "initial_password",
        }
    }
}

impl From<CredentialKindRaw> for CredentialKind {
    fn from(raw: CredentialKindRaw) -> Self {
        match raw {
            CredentialKindRaw::ScimBearer => Self::ScimBearer,
            CredentialKindRaw::LdapBind => Self::LdapBind,
            CredentialKindRaw::Smtp => Self::Smtp,
            CredentialKindRaw::InitialPassword => Self::InitialPassword,
        }
    }
}

/// The credentials that `config.yml` declares, for sources and targets to name.
pub(super) struct Credentials<'a> {
    declared: &'a Entries<CredentialRaw>,
}

// === impl Credentials ===

impl<'a> Credentials<'a> {
    pub(super) fn new(declared: &'a Entries<CredentialRaw>) -> Self {
        Self { declared }
    }

    /// Notes a name that is not declared, or of a kind that is of no use here.
    pub(super) fn claim(&self, name: &At<String>, wanted: CredentialKind, findings: &mut Findings) {
        let known = self.declared.0.iter().find(|(key, _)| key.value == name.value);
        let Some((_, raw)) = known else {
            let known = self.declared.0.iter().map(|(key, _)| key.value.as_str());
            findings
                .error(UNKNOWN, format_args!("unknown credential `{}`", name.value))
                .at(name.mark)
                .hint_nearest(&name.value, known);
            return;
        };
        let kind = CredentialKind::from(raw.kind);
        if kind != wanted {
            let (kind, wanted) = (kind.as_str(), wanted.as_str());
            findings
                .error(
                    WRONG_KIND,
                    format_args!("the credential `{}` is of the kind `{kind}`", name.value),
                )
                .at(name.mark)
                .hint(format!("name one of the kind `{wanted}`"));
        }
    }
}

/// Takes the declarations and the content of `secret.yml`. Gives every credential whose secret was
/// found and is clean; whatever else is noted, in the file that must be mended.
pub(super) fn resolve(
    declared: &Entries<CredentialRaw>,
    secrets: SecretFile,
    findings: &mut Findings,
    secret_findings: &mut Findings,
) -> BTreeMap<String, Credential> {
    let SecretFile { path, mut secrets } = secrets;
    let mut credentials = BTreeMap::new();
    for (name, raw) in &declared.0 {
        let Some(At { value: secret, mark }) = secrets.remove(&name.value) else {
            findings
                .error(NO_SECRET, format_args!("the credential `{}` has no secret", name.value))
                .at(name.mark)
                .hint(format!("add it to `{}` under `credentials`", path.display()));
            continue;
        };
        let kind = CredentialKind::from(raw.kind);
        if let Some(credential) = one(&name.value, kind, secret, mark, &path, secret_findings) {
            credentials.insert(name.value.clone(), credential);
        }
    }
    for (name, At { mark, .. }) in secrets {
        let known = declared.0.iter().map(|(key, _)| key.value.as_str());
        secret_findings
            .error(NOT_DECLARED, format_args!("`config.yml` declares no credential `{name}`"))
            .at(mark)
            .hint_nearest(&name, known);
    }
    credentials
}

fn one(
    name: &str,
    kind: CredentialKind,
    raw: SecretRaw,
    mark: Mark,
    secret_file: &Path,
    findings: &mut Findings,
) -> Option<Credential> {
    let what = format!("key `credentials.{name}`");
    let (source, bytes) = match raw {
        SecretRaw { value: Some(value), file: None, env: None } => {
            (SecretSource::Value, Ok(Zeroizing::new(value.into_bytes())))
        }
        SecretRaw { value: None, file: Some(file), env: None } => {
            let file = secret_file.parent().unwrap_or(Path::new("")).join(file);
            let bytes = file::bytes(&file, SECRET_BYTES_MAX);
            if file::is_open(&file) {
                findings
                    .warning(WEAKENED, format_args!("others may read `{}`", file.display()))
                    .at(mark)
                    .what(&what)
                    .hint("set its mode to 0600 or 0400, if whatever writes it lets you");
            }
            (SecretSource::File(file), bytes)
        }
        SecretRaw { value: None, file: None, env: Some(variable) } => {
            findings
                .warning(WEAKENED, format_args!("the secret stands in the variable `{variable}`"))
                .at(mark)
                .what(&what)
                .hint("every child process inherits it; prefer `file`");
            let bytes = from_environment(&variable);
            (SecretSource::Env(variable), bytes)
        }
        _ => {
            findings
                .error(SOURCES, "a secret needs exactly one of `value`, `file` and `env`")
                .at(mark)
                .what(&what);
            return None;
        }
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(reason) => {
            findings
                .error(UNREADABLE, format_args!("the secret cannot be read: {reason}"))
                .at(mark)
                .what(&what);
            return None;
        }
    };
    match hygiene::clean(bytes, kind) {
        Ok(text) => Some(Credential { kind, source, secret: Arc::new(Secret::new(text)) }),
        Err(reason) => {
            let draft = findings
                .error(UNCLEAN, format_args!("the secret cannot be used: {reason}"))
                .at(mark)
                .what(&what);
            if let Some(hint) = reason.hint() {
                draft.hint(hint);
            }
            None
        }
    }
}

fn from_environment(variable: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    match environment::text(variable) {
        Ok(text) => Ok(Zeroizing::new(text.into_bytes())),
        Err(std::env::VarError::NotPresent) => Err(format!("`{variable}` is not set")),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("`{variable}` is not UTF-8")),
    }
}
