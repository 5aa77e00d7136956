//! Passwords (password.md 13): how many captures are acknowledged, how many passwords are
//! delivered, and how long one takes when nothing else is to be done. In: a number of users. Out:
//! figures.
//!
//! Captures are sealed before anything is measured: agents do that, each on its own machine. An
//! acknowledgement stands for a commit that survives a power cut.

mod agents;
mod target;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use self::agents::Agents;
use self::target::Target;
use super::{BenchError, Result};

/// What `bench passwords` is to do.
#[derive(Debug, PartialEq)]
pub struct Wanted {
    pub count: usize,
    /// Users that are worked on at once.
    pub concurrency: usize,
    pub kakehi: Option<PathBuf>,
}

/// Connections over which captures arrive.
const CONNECTIONS: usize = 32;
/// Single passwords whose way is timed.
const SINGLES: usize = 300;
/// Nothing takes so long on a machine that works.
const PATIENCE: Duration = Duration::from_secs(600);

/// The service, ended with the benchmark.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn run(wanted: &Wanted) -> Result<()> {
    let folder = tempfile::tempdir().map_err(|error| BenchError::io("make a folder", error))?;
    let kakehi = match &wanted.kakehi {
        Some(path) => path.clone(),
        None => beside_us()?,
    };
    let target = Target::start().map_err(|error| BenchError::io("start a target", error))?;
    configure(folder.path(), &target.base_url(), wanted.concurrency)?;
    command(&kakehi, folder.path(), &["password", "keys", "new"])?;
    let agents = Agents::new(folder.path())?;
    let sealed = agents.seal(0, wanted.count)?;
    let singles = agents.seal(wanted.count, SINGLES)?;
    let service = start(&kakehi, folder.path())?;
    let socket = folder.path().join("state/password.sock");
    wait("the intake", || socket.exists())?;

    command(&kakehi, folder.path(), &["password", "pause", "--all"])?;
    let begun = Instant::now();
    agents.send(&socket, &sealed, CONNECTIONS)?;
    let captured = begun.elapsed();
    command(&kakehi, folder.path(), &["password", "resume", "--all"])?;
    let begun = Instant::now();
    wait("the deliveries", || target.set() >= wanted.count)?;
    let delivered = begun.elapsed();

    let mut ways = vec![];
    for (number, capture) in singles.iter().enumerate() {
        let before = wanted.count + number;
        let begun = Instant::now();
        agents.send(&socket, std::slice::from_ref(capture), 1)?;
        wait("one delivery", || target.set() > before)?;
        ways.push(begun.elapsed());
    }
    ways.sort_unstable();
    drop(service);
    if target.set() != wanted.count + SINGLES {
        let what = format!("{} passwords were set", target.set());
        return Err(BenchError::answer("the target", what));
    }
    report(wanted, captured, delivered, &ways);
    Ok(())
}

fn report(wanted: &Wanted, captured: Duration, delivered: Duration, ways: &[Duration]) {
    let rate = |took: Duration| wanted.count as f64 / took.as_secs_f64();
    let way = |percent: usize| ways[(ways.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    println!("passwords: {} users, {} at once", wanted.count, wanted.concurrency);
    println!(
        "  captures acknowledged  {:>8.0} /s   ({:.1} s over {CONNECTIONS} connections)",
        rate(captured),
        captured.as_secs_f64()
    );
    println!(
        "  passwords delivered    {:>8.0} /s   ({:.1} s)",
        rate(delivered),
        delivered.as_secs_f64()
    );
    println!(
        "  one, idle queue        {:>8.1} ms median, {:.1} ms p99   ({} of them)",
        way(50),
        way(99),
        ways.len()
    );
}

fn beside_us() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(|error| BenchError::io("find the program", error))?;
    Ok(own.with_file_name("kakehi"))
}

fn configure(folder: &Path, base_url: &str, concurrency: usize) -> Result<()> {
    let config = format!(
        "state: {{path: state}}
targets:
  cloud: {{base_url: '{base_url}', credential: token}}
credentials:
  token: {{kind: scim_bearer}}
log: {{level: warn}}
password:
  mail: off
  intake: {{per_agent_per_minute: 10000000, per_user_per_hour: 1000000}}
  agents: {{bench: {{source: corp}}}}
  targets: {{cloud: {{concurrency: {concurrency}, per_second: 1000000}}}}
"
    );
    let write = |name: &str, text: &str| fs::write(folder.join(name), text);
    let secrets = folder.join("secret.yml");
    write("config.yml", &config)
        .and_then(|()| write("secret.yml", "credentials: {token: {value: bench}}\n"))
        .and_then(|()| fs::set_permissions(secrets, fs::Permissions::from_mode(0o600)))
        .map_err(|error| BenchError::io("write a configuration", error))
}

fn command(kakehi: &Path, folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(kakehi)
        .arg("--config")
        .arg(folder.join("config.yml"))
        .args(arguments)
        .output()
        .map_err(|error| BenchError::io("start the program", error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(BenchError::Ended {
        program: format!("kakehi {}", arguments.join(" ")),
        status: output.status.to_string(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn start(kakehi: &Path, folder: &Path) -> Result<Service> {
    let child = Command::new(kakehi)
        .arg("--config")
        .arg(folder.join("config.yml"))
        .arg("run")
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| BenchError::io("start the program", error))?;
    Ok(Service(child))
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > PATIENCE {
            let what = format!("{what} did not come");
            return Err(BenchError::answer("the service", what));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
