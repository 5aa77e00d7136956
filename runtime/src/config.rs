//! Configuration: `config.yml` and `secret.yml` flow in; what they mean flows out, or every
//! finding.
//!
//! What was typed (`raw`) and what it means (`source`, `target`, `limits` ...) are two sets of
//! types. Reading has two stages, and each tells all of its findings at once: the form of both
//! files, then their meaning. Nothing is bound or connected here.

pub mod check;
pub mod credential;
pub mod environment;
pub mod finding;
pub mod limits;
pub mod mail;
pub mod nearest;
pub mod password;
pub mod quantity;
mod raw;
pub mod rules;
pub(crate) mod schema;
pub mod secret;
mod show;
pub mod source;
pub mod system;
pub mod target;
pub mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use kakehi_engine::object::{AttributeName, ConnectorName};

use self::credential::{Credential, Credentials};
use self::finding::{Finding, Findings, FlawCodes, key_path};
use self::limits::{Import, Run};
use self::mail::Mail;
use self::password::Password;
use self::raw::password::PasswordRaw;
use self::raw::{ConfigRaw, LevelRaw};
use self::rules::Rules;
use self::source::Source;
use self::target::Target;
use self::yaml::{At, Flaw, FlawKind, Step};

/// Where the rules manifest lies beside the configuration.
pub const MANIFEST: &str = "manifest.yml";
/// Where secrets lie beside the configuration.
pub const SECRETS: &str = "secret.yml";
/// Where the service keeps its state.
pub const STATE: &str = "/var/lib/kakehi";
/// The control socket in the folder of the state.
pub const SOCKET: &str = "control.sock";
/// Largest configuration or manifest file: 100,000 rules, and no way of filling our memory.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

const PURPOSE: &str = "cannot load the configuration";
const PURPOSE_SECRETS: &str = "cannot load the secrets";
const SECRET_HERE: &str = "K0120";
const NAME_TWICE: &str = "K0132";
const BAD_NAME: &str = "K0133";
const CODES: FlawCodes = FlawCodes {
    unreadable: "K0101",
    syntax: "K0102",
    unknown_key: "K0103",
    doubled_key: "K0104",
    missing_key: "K0105",
    value: "K0106",
};
/// Keys under which people would write a secret; none of them is a key of `config.yml`.
const SECRET_KEYS: [&str; 8] =
    ["password", "token", "value", "secret", "bearer", "pass", "client_secret", "api_key"];

/// What the service is to do, complete and checked. Without `Debug` and `Clone`: it holds secrets.
pub struct Config {
    pub manifest: PathBuf,
    pub state: State,
    pub sources: BTreeMap<ConnectorName, Source>,
    pub targets: BTreeMap<ConnectorName, Target>,
    /// By the names that sources and targets use.
    pub credentials: BTreeMap<String, Credential>,
    pub rules: Rules,
    pub import: Import,
    pub run: Run,
    pub audit: Audit,
    pub log: Log,
    /// The Unix socket over which the service is told what to do.
    pub control: PathBuf,
    /// Where metrics and health are told.
    pub http: Option<SocketAddr>,
    /// `None`: passwords are not synchronized.
    pub password: Option<Password>,
    pub mail: Option<Mail>,
}

#[derive(Clone, Debug)]
pub struct State {
    pub path: PathBuf,
}

/// What the audit shows.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Attributes of targets whose values are shown as digests.
    pub secret: BTreeSet<AttributeName>,
}

#[derive(Clone, Copy, Debug)]
pub struct Log {
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

// === impl Level ===

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl From<LevelRaw> for Level {
    fn from(raw: LevelRaw) -> Self {
        match raw {
            LevelRaw::Error => Self::Error,
            LevelRaw::Warn => Self::Warn,
            LevelRaw::Info => Self::Info,
            LevelRaw::Debug => Self::Debug,
        }
    }
}

/// Reads `config.yml` and the `secret.yml` beside it.
///
/// Gives: the configuration and its warnings. Errors: everything that is wrong, warnings included,
/// in the order of the files; [`finding::exit_code`] says with which code a program refuses them.
/// Relative paths in a file are relative to its folder.
pub fn load(path: &Path) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let secret_path = folder.join(SECRETS);
    let mut findings = Findings::new(path, PURPOSE);
    let mut secret_findings = Findings::new(&secret_path, PURPOSE_SECRETS);

    let raw = read(path, &mut findings);
    let secrets = credential::read(&secret_path, &mut secret_findings);
    let raw = match raw {
        Some(raw) if !findings.has_errors() && !secret_findings.has_errors() => raw,
        _ => return Err(all(findings, secret_findings)),
    };

    let ConfigRaw {
        manifest,
        state,
        sources,
        targets,
        credentials,
        rules,
        import,
        run,
        audit,
        log,
        control,
        http,
        password,
        mail,
    } = raw;
    let state = folder.join(state.path.unwrap_or_else(|| STATE.into()));
    names(
        sources.0.iter().map(|(name, _)| name).chain(targets.0.iter().map(|(name, _)| name)),
        &mut findings,
    );
    let declared = Credentials::new(&credentials);
    let mut config = Config {
        manifest: folder.join(manifest.unwrap_or_else(|| MANIFEST.into())),
        control: control.socket.map_or_else(|| state.join(SOCKET), |path| folder.join(path)),
        http: http.listen.and_then(|listen| address(&listen, &mut findings)),
        state: State { path: state },
        sources: BTreeMap::new(),
        targets: BTreeMap::new(),
        credentials: BTreeMap::new(),
        rules: rules::rules(rules, folder, &mut findings),
        import: limits::import(import, &mut findings),
        run: limits::run(run, &mut findings),
        audit: Audit { secret: audit.secret.into_iter().map(Into::into).collect() },
        log: Log { level: log.level.into() },
        password: None,
        mail: mail.map(|raw| mail::mail(raw, folder, &declared, &mut findings)),
    };
    for (name, raw) in sources.0 {
        let source = source::source(&name, raw, folder, &declared, &mut findings);
        config.sources.insert(name.value.into(), source);
    }
    for (name, raw) in targets.0 {
        let target = target::target(&name, raw, folder, &declared, &mut findings);
        config.targets.insert(name.value.into(), target);
    }
    if let Some(raw) = password {
        config.password = Some(passwords(*raw, &config, folder, &declared, &mut findings));
    }
    config.credentials =
        credential::resolve(&credentials, secrets, &mut findings, &mut secret_findings);
    let failed = findings.has_errors() || secret_findings.has_errors();
    let findings = all(findings, secret_findings);
    if failed { Err(findings) } else { Ok((config, findings)) }
}

/// What was typed of passwords, beside everything else that was read.
fn passwords(
    raw: PasswordRaw,
    config: &Config,
    folder: &Path,
    credentials: &Credentials<'_>,
    findings: &mut Findings,
) -> Password {
    let around = password::Around {
        folder,
        state: &config.state.path,
        sources: &config.sources.keys().map(ToString::to_string).collect(),
        targets: &config.targets.keys().map(ToString::to_string).collect(),
        poll: config.run.poll,
        credentials,
    };
    password::password(raw, &around, findings)
}

// === impl Config ===

impl Config {
    /// Nothing is synchronized but passwords (O-37): no source, no rules.
    pub fn is_for_passwords_only(&self) -> bool {
        self.password.is_some() && self.sources.is_empty() && !self.manifest.exists()
    }
}

fn address(listen: &At<String>, findings: &mut Findings) -> Option<SocketAddr> {
    let address = match listen.value.parse::<SocketAddr>() {
        Ok(address) => address,
        Err(_) => {
            findings
                .error(CODES.value, format_args!("`http.listen` is `{}`, no address", listen.value))
                .at(listen.mark)
                .hint("write an address with its port, such as `127.0.0.1:9464`");
            return None;
        }
    };
    if !address.ip().is_loopback() {
        findings
            .warning(check::WEAKENED, "`http.listen` is open to other machines, without a password")
            .at(listen.mark)
            .hint("listen on 127.0.0.1 and let a proxy ask who comes");
    }
    Some(address)
}

/// JSON Schema (draft 2020-12) of `config.yml`.
pub fn schema() -> serde_json::Value {
    schema::of::<ConfigRaw>()
}

/// Reads a file, at most [`FILE_BYTES_MAX`] bytes. Errors: why not, in words.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let told = |error: std::io::Error| error.to_string();
    let file = std::fs::File::open(path).map_err(told)?;
    let mut bytes = vec![];
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(told)?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(format!("it has more than {FILE_BYTES_MAX} bytes")),
        false => Ok(bytes),
    }
}

/// The text of a file. Errors: where it is none.
pub(crate) fn as_text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes)
        .map_err(|error| format!("it is not UTF-8 (byte {})", error.utf8_error().valid_up_to()))
}

fn read(path: &Path, findings: &mut Findings) -> Option<ConfigRaw> {
    let text = match read_file(path).and_then(as_text) {
        Ok(text) => text,
        Err(reason) => {
            findings.error(CODES.unreadable, format_args!("cannot read the file: {reason}"));
            return None;
        }
    };
    let mut node = match yaml::parse(&text) {
        Ok(node) => node,
        Err(error) => {
            findings
                .error(CODES.syntax, format_args!("no valid YAML: {error}"))
                .at(error.mark.unwrap_or(yaml::Mark::START));
            return None;
        }
    };
    let (raw, flaws) = yaml::decode::<ConfigRaw>(&mut node);
    let (secret, flaws) = flaws.into_iter().partition::<Vec<_>, _>(is_secret_key);
    for flaw in secret {
        let path = key_path(&flaw.path);
        findings
            .error(SECRET_HERE, format_args!("`{path}`: secrets have no place in this file"))
            .at(flaw.mark)
            .hint(format!("put it into `{SECRETS}`: `credentials: {{NAME: {{value: ...}}}}`"));
    }
    for flaw in flaws.into_iter().map(without_secret) {
        let what = (!flaw.path.is_empty()).then(|| format!("key `{}`", key_path(&flaw.path)));
        findings.flaw(flaw, CODES, what);
    }
    raw
}

fn is_secret_key(flaw: &Flaw) -> bool {
    let named = |step: &Step| matches!(step, Step::Key(key) if SECRET_KEYS.contains(&&**key));
    flaw.kind == FlawKind::UnknownKey && flaw.path.last().is_some_and(named)
}

/// Somebody may have written a secret where a credential is described: its text is not repeated.
fn without_secret(mut flaw: Flaw) -> Flaw {
    let described = matches!(flaw.path.first(), Some(Step::Key(key)) if key == "credentials");
    if described && flaw.kind == FlawKind::Value && flaw.path.len() == 2 {
        flaw.message = "expected a mapping with the key `kind`".to_owned();
        flaw.hint = Some(format!("secrets stand in `{SECRETS}`"));
    }
    flaw
}

/// Connectors share one room of names, and their names stand in tags and references.
fn names<'a>(names: impl Iterator<Item = &'a At<String>>, findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for name in names {
        let plain =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        if name.value.is_empty() || !name.value.chars().all(plain) {
            findings
                .error(BAD_NAME, format_args!("`{}` is no name of a connector", name.value))
                .at(name.mark)
                .hint("use letters, digits, `-`, `_` and `.`");
        }
        if let Some(first) = seen.insert(name.value.as_str(), name.mark) {
            findings
                .error(NAME_TWICE, format_args!("`{}` is both a source and a target", name.value))
                .at(name.mark)
                .hint(format!("the source stands in line {}", first.line));
        }
    }
}

fn all(findings: Findings, secret_findings: Findings) -> Vec<Finding> {
    let mut all = findings.into_sorted();
    all.extend(secret_findings.into_sorted());
    all
}
