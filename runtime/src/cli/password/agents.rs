//! `kakehi password send|flush|precheck|samba-hook|slapd-sock`: those who capture (password.md 8).
//!
//! They hold a public key and no configuration is needed; where there is one on this machine, it
//! says what is not said on the command line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kakehi_engine::password::Operation;
use kakehi_password::agent::client::{Address, TlsFiles};
use kakehi_password::agent::{self, Agent, Options, flush, precheck, samba, send, slapd_sock};
use kakehi_password::secret;
use kakehi_password::spool::SpoolLimits;

use crate::cli::{Error, Outcome};
use crate::config::Config;
use crate::service::clock::SystemClock;
use crate::service::failure::{Failure, Kind};
use crate::service::once::runtime;
use crate::service::passwords::operator;
use crate::service::supervise::signalled;

/// Where agents keep what the intake does not take.
const SPOOL: &str = "/var/spool/kakehi";

/// Who captures, and where it goes.
#[derive(clap::Args)]
pub struct Who {
    /// The directory that is watched; by default the one of the configured agent
    #[arg(long, env = "KAKEHI_PASSWORD_SOURCE", value_name = "NAME")]
    source: Option<String>,
    /// The name of this agent; by default the only one that is configured
    #[arg(long, env = "KAKEHI_PASSWORD_AGENT", value_name = "NAME")]
    agent: Option<String>,
    /// The public key: a file of `kakehi password keys new`
    #[arg(long, env = "KAKEHI_PASSWORD_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where captures are kept while the intake is away
    #[arg(long, env = "KAKEHI_PASSWORD_SPOOL", default_value = SPOOL, value_name = "DIR")]
    spool: PathBuf,
    /// The socket of an intake on this machine
    #[arg(long, env = "KAKEHI_PASSWORD_SOCKET", value_name = "FILE", conflicts_with = "url")]
    socket: Option<PathBuf>,
    /// The address of an intake on another machine
    #[arg(
        long,
        env = "KAKEHI_PASSWORD_URL",
        value_name = "URL",
        requires_all = ["ca", "certificate", "certificate_key"]
    )]
    url: Option<String>,
    /// Of the intake's certificate: the authority, in PEM
    #[arg(long, env = "KAKEHI_PASSWORD_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// This agent's certificate, in PEM
    #[arg(long, env = "KAKEHI_PASSWORD_CERTIFICATE", value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The key of this agent's certificate, in PEM
    #[arg(long, env = "KAKEHI_PASSWORD_CERTIFICATE_KEY", value_name = "FILE")]
    certificate_key: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct Send {
    #[command(flatten)]
    who: Who,
    /// Whose password: `guid:...`, `dn:...` or `login:...`
    #[arg(long, value_name = "KEY")]
    user_key: String,
    /// What the user is called at the source, if the key does not say it
    #[arg(long, default_value = "", value_name = "NAME")]
    login: String,
    /// What happened: `change`, `reset` or `create`
    #[arg(long, default_value = "change", value_name = "WHAT")]
    op: Op,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Op {
    Change,
    Reset,
    Create,
}

#[derive(clap::Args)]
pub struct Flush {
    #[command(flatten)]
    who: Who,
}

#[derive(clap::Args)]
pub struct Precheck {
    /// What this target takes; by default what all of them take
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

#[derive(clap::Args)]
pub struct SambaHook {
    #[command(flatten)]
    who: Who,
    /// What was seen of each account; no passwords
    #[arg(long, default_value = "/var/lib/kakehi/samba-seen", value_name = "FILE")]
    seen: PathBuf,
}

#[derive(clap::Args)]
pub struct SlapdSock {
    #[command(flatten)]
    who: Who,
    /// The `socketpath` of slapd's overlay; without it, the socket that systemd opened
    #[arg(long, value_name = "FILE")]
    listen: Option<PathBuf>,
    /// Captures whose operation has not ended; by default in the spool
    #[arg(long, value_name = "DIR")]
    pending: Option<PathBuf>,
    /// When the spool is full: `refuse` the change, or `let-pass` it without capturing it
    #[arg(long, default_value = "refuse", value_name = "WHAT")]
    when_full: WhenFull,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub enum WhenFull {
    Refuse,
    LetPass,
}

// === impl Who ===

impl Who {
    /// What was said, and what the configuration says besides, if there is one.
    fn agent(&self, config: &Path) -> Result<Agent, Failure> {
        secret::harden_process();
        let configured = crate::config::load(config).ok().map(|(config, _)| config);
        let options = self.options(configured.as_ref())?;
        Agent::new(&options, Arc::new(SystemClock)).map_err(|error| {
            let kind = match error.code() {
                77 => Kind::Permission,
                75 => Kind::Temporary,
                1 => Kind::Internal,
                _ => Kind::Config,
            };
            Failure::new(kind, "K0292", error.to_string())
        })
    }

    fn options(&self, config: Option<&Config>) -> Result<Options, Failure> {
        let settings = config.and_then(|config| config.password.as_ref());
        let agents = settings.map(|settings| &settings.agents);
        let missing = |what: &str, hint: &str| {
            Failure::new(Kind::Usage, "K0293", format!("which {what}?")).hint(hint)
        };
        let (name, source) = match (&self.agent, &self.source) {
            (Some(agent), Some(source)) => (agent.clone(), source.clone()),
            (wanted, source) => {
                let of_source = |(name, agent): &(&String, &crate::config::password::Agent)| {
                    wanted.as_ref().is_none_or(|wanted| wanted == *name)
                        && source.as_ref().is_none_or(|source| *source == agent.source)
                };
                let mut fitting = agents.into_iter().flatten().filter(of_source);
                match (fitting.next(), fitting.next()) {
                    (Some((name, agent)), None) => (name.clone(), agent.source.clone()),
                    _ => {
                        let hint = "name `--agent` and `--source`, or configure one agent";
                        return Err(missing("agent", hint));
                    }
                }
            }
        };
        let key = match (&self.key, settings) {
            (Some(key), _) => key.clone(),
            (None, Some(settings)) => operator::current_key_file(&settings.keys)?,
            (None, None) => {
                return Err(missing("key", "name the file of the public key with `--key`"));
            }
        };
        let tls = (&self.ca, &self.certificate, &self.certificate_key);
        let intake = match (&self.url, &self.socket, tls) {
            (Some(url), _, (Some(ca), Some(certificate), Some(key))) => Address::Https {
                url: url.clone(),
                tls: TlsFiles {
                    ca: ca.clone(),
                    certificate: certificate.clone(),
                    key: key.clone(),
                },
            },
            (_, Some(socket), _) => Address::Socket(socket.clone()),
            _ => match settings {
                Some(settings) => Address::Socket(settings.intake.socket.clone()),
                None => return Err(missing("intake", "name `--socket` or `--url`")),
            },
        };
        let (spool, limits) = (self.spool.clone(), SpoolLimits::default());
        Ok(Options { source, agent: name, key, spool, limits, intake })
    }
}

impl Send {
    pub fn execute(self, config: &Path) -> Outcome {
        let (key_type, user_key) = send::parse_user_key(&self.user_key)
            .map_err(|error| Failure::new(Kind::Usage, "K0294", error))?;
        let agent = self.who.agent(config)?;
        let options = send::Options {
            key_type,
            user_key,
            login: self.login,
            operation: match self.op {
                Op::Change => Operation::Change,
                Op::Reset => Operation::Reset,
                Op::Create => Operation::Create,
            },
        };
        let mut input = std::io::stdin();
        let sent = send::send(&agent, &options, &mut input);
        told(&runtime()?.block_on(sent))
    }
}

impl Flush {
    pub fn execute(self, config: &Path) -> Outcome {
        let agent = self.who.agent(config)?;
        told(&runtime()?.block_on(flush::run(&agent)))
    }
}

impl SambaHook {
    pub fn execute(self, config: &Path) -> Outcome {
        let agent = self.who.agent(config)?;
        let options = samba::Options { state: self.seen };
        let mut input = std::io::stdin();
        let handled = samba::samba_hook(&agent, &options, &mut input);
        told(&runtime()?.block_on(handled))
    }
}

impl SlapdSock {
    pub fn execute(self, config: &Path) -> Outcome {
        crate::service::log::start("info");
        let agent = self.who.agent(config)?;
        let options = slapd_sock::Options {
            listen: match self.listen {
                Some(path) => slapd_sock::Listen::Path { path, mode: slapd_sock::MODE },
                None => slapd_sock::Listen::Inherited,
            },
            pending: self.pending.unwrap_or_else(|| self.who.spool.join("pending")),
            when_full: match self.when_full {
                WhenFull::Refuse => slapd_sock::WhenFull::Refuse,
                WhenFull::LetPass => slapd_sock::WhenFull::LetPass,
            },
        };
        let outcome: Result<agent::Outcome, Failure> =
            runtime()?.block_on(async { Ok(slapd_sock::run(agent, &options, signalled()?).await) });
        told(&outcome?)
    }
}

impl Precheck {
    pub fn execute(self, config: &Path) -> Outcome {
        secret::harden_process();
        let (config, target) = (config.to_owned(), self.target);
        let rules = move || operator::precheck_rules(&config, target.as_deref());
        let account = |name: &str| crate::config::environment::text(name).ok();
        told(&precheck::precheck(std::io::stdin(), rules, account))
    }
}

/// Says the one line that an agent's caller reads.
fn told(outcome: &agent::Outcome) -> Outcome {
    match outcome.code {
        0 => writeln!(anstream::stdout(), "{}", outcome.text).map_err(Error::Output)?,
        _ => anstream::eprintln!("{}", outcome.text),
    }
    Ok(outcome.code)
}
