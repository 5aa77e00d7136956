//! OpenLDAP as the source and as a peer. In: a folder and a directory as LDIF. Out: a running
//! server on a free port of 127.0.0.1, ended when it is dropped. Needs no root.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::generate::SUFFIX;
use super::wire::{Connection, SEARCH_DONE, SEARCH_ENTRY, Scope, Search};
use super::{BenchError, Result};

/// The administrator of every server here, who may read everything and has no limits.
pub const ADMIN: &str = "cn=admin,dc=example,dc=com";
pub const PASSWORD: &str = "benchmark";

/// Where Debian keeps the server; elsewhere it is looked for in `PATH`.
const PROGRAM: &str = "/usr/sbin/slapd";

/// Longest time a server may take to answer its first bind.
const START_WITHIN: Duration = Duration::from_secs(30);

/// Longest time a replica may take: a million users need a few minutes.
const REPLICATION_WITHIN: Duration = Duration::from_secs(1_800);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Settings of both roles. `dbnosync` on both, so that their disk does not decide a comparison;
/// the product's own durability stays on.
const COMMON: &str = "\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
sizelimit unlimited
timelimit unlimited
loglevel none
threads 4
database mdb
suffix \"dc=example,dc=com\"
rootdn \"cn=admin,dc=example,dc=com\"
rootpw benchmark
maxsize 17179869184
index objectClass,uid,mail,entryCSN,entryUUID,modifyTimestamp eq
dbnosync
";

const PROVIDER: &str = "\
overlay syncprov
syncprov-checkpoint 100000 60
syncprov-sessionlog 100000
";

/// A running server.
pub struct Slapd {
    server: Child,
    port: u16,
}

impl Slapd {
    /// Loads a directory and serves it with syncprov.
    pub fn provider(folder: &Path, directory: &Path) -> Result<Slapd> {
        let configuration = configure(folder, PROVIDER)?;
        let output = slapd("slapadd")
            .args(["-q", "-w", "-f"])
            .arg(&configuration)
            .arg("-l")
            .arg(directory)
            .output()
            .map_err(|error| BenchError::io("start slapadd", error))?;
        if !output.status.success() {
            return Err(BenchError::Ended {
                program: "slapadd".into(),
                status: output.status.to_string(),
                said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        let server = start(&configuration)?;
        server.wait_for(START_WITHIN, |server| server.connect().is_ok())?;
        Ok(server)
    }

    /// Starts an empty server that copies `provider`, and returns when it has everything: a replica
    /// takes the provider's contextCSN over when its refresh is complete, and not before.
    pub fn replica(folder: &Path, provider: &Slapd) -> Result<Slapd> {
        let role = format!(
            "syncrepl rid=001 provider={} type=refreshAndPersist retry=\"5 +\"\n  \
             searchbase=\"{SUFFIX}\" filter=\"(objectClass=*)\" scope=sub attrs=\"*,+\"\n  \
             schemachecking=off bindmethod=simple binddn=\"{ADMIN}\" credentials={PASSWORD}\n",
            provider.url()
        );
        let server = start(&configure(folder, &role)?)?;
        server.wait_for(REPLICATION_WITHIN, |server| server.is_complete().unwrap_or(false))?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("ldap://{}", self.address())
    }

    pub fn process(&self) -> u32 {
        self.server.id()
    }

    /// Replaces the values of one attribute of one entry by one.
    pub fn replace(&self, dn: &str, attribute: &str, value: &str) -> Result<()> {
        self.modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n"
        ))
    }

    /// Adds one value to an attribute of one entry.
    pub fn add(&self, dn: &str, attribute: &str, value: &str) -> Result<()> {
        self.modify(&format!(
            "dn: {dn}\nchangetype: modify\nadd: {attribute}\n{attribute}: {value}\n"
        ))
    }

    fn modify(&self, change: &str) -> Result<()> {
        let file = tempfile::NamedTempFile::new()
            .and_then(|file| fs::write(file.path(), change).map(|()| file))
            .map_err(|error| BenchError::io("write a change", error))?;
        let output = Command::new("ldapmodify")
            .args(["-x", "-H", &self.url(), "-D", ADMIN, "-w", PASSWORD, "-f"])
            .arg(file.path())
            .output()
            .map_err(|error| BenchError::io("start ldapmodify", error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(BenchError::answer("slapd", String::from_utf8_lossy(&output.stderr).trim()))
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn connect(&self) -> io::Result<Connection> {
        let mut connection = Connection::open(&self.address())?;
        connection.bind(ADMIN, PASSWORD)?;
        Ok(connection)
    }

    fn is_complete(&self) -> io::Result<bool> {
        let mut connection = self.connect()?;
        connection.search(&Search {
            base: SUFFIX,
            scope: Scope::Base,
            equal: None,
            attributes: &["contextCSN"],
            page: None,
        })?;
        let (mut message, mut complete) = (Vec::new(), false);
        loop {
            let answer = connection.receive(&mut message)?;
            match answer.tag {
                SEARCH_DONE => return Ok(complete),
                SEARCH_ENTRY => {
                    let name = b"contextCSN";
                    complete = answer.rest.windows(name.len()).any(|window| window == name);
                }
                _ => {}
            }
        }
    }

    fn wait_for(&self, within: Duration, ready: impl Fn(&Slapd) -> bool) -> Result<()> {
        let began = Instant::now();
        while !ready(self) {
            if began.elapsed() > within {
                return Err(BenchError::answer("slapd", format!("not ready after {within:?}")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

impl Drop for Slapd {
    /// Its database is thrown away with its folder, so the server need not end in good order.
    fn drop(&mut self) {
        if self.server.kill().is_ok() {
            let _ = self.server.wait();
        }
    }
}

/// The server's program, under one of the names that make it a tool: `slapadd` is `slapd` too.
pub fn slapd(name: &str) -> Command {
    let known = Path::new(PROGRAM).with_file_name(name);
    Command::new(if known.is_file() { known } else { PathBuf::from(name) })
}

fn configure(folder: &Path, role: &str) -> Result<PathBuf> {
    let database = folder.join("db");
    let file = folder.join("slapd.conf");
    let text = format!("{COMMON}directory {}\n{role}", database.display());
    fs::create_dir_all(&database)
        .and_then(|()| fs::write(&file, text))
        .map_err(|error| BenchError::io(format!("write `{}`", file.display()), error))?;
    Ok(file)
}

/// Starts a server. With a debug level it stays our child instead of becoming a daemon.
fn start(configuration: &Path) -> Result<Slapd> {
    let port = free_port().map_err(|error| BenchError::io("find a free port", error))?;
    let server = slapd("slapd")
        .args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{port}"), "-f"])
        .arg(configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| BenchError::io("start slapd", error))?;
    Ok(Slapd { server, port })
}

/// A port nobody listens on now. Somebody else could take it before the server does; then the
/// server ends and the wait for it fails.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
