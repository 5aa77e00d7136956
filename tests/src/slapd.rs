//! A private OpenLDAP server for one test: LDIF flows in, a running slapd on 127.0.0.1 flows out.
//! All its files lie in a folder that vanishes with it.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::certificates::{self, Bearer};
use crate::daemon::until;

/// The suffix of the one database.
pub const SUFFIX: &str = "dc=example,dc=test";
/// May read everything, without limits.
pub const READER: &str = "cn=reader,dc=example,dc=test";
pub const READER_PASSWORD: &str = "reader-secret";
pub const ADMIN: &str = "cn=admin,dc=example,dc=test";
pub const ADMIN_PASSWORD: &str = "admin-secret";
/// Below it passwords are captured.
pub const PEOPLE: &str = "ou=people,dc=example,dc=test";
/// A server that does not answer after so many looks is not going to.
const LOOKS_MAX: u32 = 400;
const LOOK_MS: u64 = 50;

/// What a server has beyond the usual.
#[derive(Default)]
pub struct Options {
    /// A schema of its own, as slapd reads it.
    pub schema: String,
    /// Shows new passwords of [`PEOPLE`] to a program that listens on this socket; users may change
    /// their own. With memberof, whose inner searches report results too.
    pub capture: Option<PathBuf>,
    /// The entry of a password policy: slapd hashes then, and refuses what the policy forbids.
    pub policy: Option<String>,
}

pub struct Slapd {
    folder: TempDir,
    port: u16,
    tls_port: u16,
    process: Option<Child>,
}

impl Slapd {
    /// Loads `ldif` (the suffix entry included) and starts.
    ///
    /// Panics if slapd is not installed, or does not take the data: a test cannot go on without it.
    pub fn start(ldif: &str) -> Self {
        Self::with_schema("", ldif)
    }

    /// As [`Slapd::start`], with a schema of its own beside the usual ones, as slapd reads it.
    pub fn with_schema(schema: &str, ldif: &str) -> Self {
        Self::with_options(&Options { schema: schema.to_owned(), ..Options::default() }, ldif)
    }

    /// As [`Slapd::start`], with more than the usual.
    pub fn with_options(options: &Options, ldif: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut slapd = Self { folder, port: free_port(), tls_port: free_port(), process: None };
        for name in ["db", "tls"] {
            fs::create_dir(slapd.path(name)).expect("a folder in a new folder");
        }
        certificates::authority(&slapd.path("tls"));
        certificates::sign(&slapd.path("tls"), &Bearer::Server, "IP:127.0.0.1");
        fs::write(slapd.path("own.schema"), &options.schema).expect("a new file");
        fs::write(slapd.path("slapd.conf"), slapd.configuration(options)).expect("a new file");
        fs::write(slapd.path("data.ldif"), ldif).expect("a new file");
        let (conf, data) = (slapd.path("slapd.conf"), slapd.path("data.ldif"));
        run(Command::new(server_program("slapadd"))
            .arg("-q")
            .arg("-f")
            .arg(conf)
            .arg("-l")
            .arg(data));
        slapd.restart();
        slapd
    }

    pub fn url(&self) -> String {
        format!("ldap://127.0.0.1:{}", self.port)
    }

    pub fn ldaps_url(&self) -> String {
        format!("ldaps://127.0.0.1:{}", self.tls_port)
    }

    /// The same server by a name that its certificate does not carry.
    pub fn ldaps_url_by_name(&self) -> String {
        format!("ldaps://localhost:{}", self.tls_port)
    }

    pub fn ldapi_url(&self) -> String {
        let path = self.path("socket").display().to_string();
        format!("ldapi://{}", path.replace('/', "%2F"))
    }

    /// The authority that signed the server's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("tls/ca.pem")
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a running server").id()
    }

    /// Carries out LDIF change records.
    pub fn modify(&self, ldif: &str) {
        let mut command = Command::new("ldapmodify");
        command.args(["-x", "-H", &self.url(), "-D", ADMIN, "-w", ADMIN_PASSWORD]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect(MISSING);
        let mut input = child.stdin.take().expect("a piped input");
        input.write_all(ldif.as_bytes()).expect("a program that reads");
        drop(input);
        assert!(child.wait().expect("a child").success(), "ldapmodify refused:\n{ldif}");
    }

    /// Stops in an orderly way: the database knows its newest change number afterwards.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            run(Command::new("kill").arg("-TERM").arg(process.id().to_string()));
            process.wait().expect("a child");
        }
    }

    /// Ends it as a power cut would.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("a child");
            process.wait().expect("a child");
        }
    }

    /// Stops time for the server. Returns when it stands still, which is not at once.
    pub fn freeze(&self) {
        self.signal("-STOP");
        until("the server stands still", || self.threads().all(|state| state == "T"));
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        run(Command::new("kill").arg(signal).arg(self.pid().to_string()));
    }

    /// The state of each thread, as proc_pid_stat(5) writes it behind the name in brackets.
    fn threads(&self) -> impl Iterator<Item = String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        tasks.flatten().filter_map(|task| {
            let stat = fs::read_to_string(task.path().join("stat")).ok()?;
            Some(stat.rsplit_once(')')?.1.split_whitespace().next()?.to_owned())
        })
    }

    /// Starts again on the same data and the same ports. The session log is empty then.
    pub fn restart(&mut self) {
        self.stop();
        let urls = format!("{} {} {}", self.url(), self.ldaps_url(), self.ldapi_url());
        let log = fs::File::create(self.path("log")).expect("a new file");
        let process = Command::new(server_program("slapd"))
            // In the foreground, so that the process is ours to stop.
            .args(["-d", "0", "-f"])
            .arg(self.path("slapd.conf"))
            .args(["-h", &urls])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect(MISSING);
        self.process = Some(process);
        for _ in 0..LOOKS_MAX {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            sleep(Duration::from_millis(LOOK_MS));
        }
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        panic!("slapd does not answer: {log}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self, options: &Options) -> String {
        let (folder, schema) = (self.folder.path().display(), "/etc/ldap/schema");
        let (modules, own_passwords, overlays) = options.lines();
        let socket_admin = "gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth";
        format!(
            "include {schema}/core.schema
include {schema}/cosine.schema
include {schema}/inetorgperson.schema
include {schema}/nis.schema
include {folder}/own.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
{modules}pidfile {folder}/pid
TLSCACertificateFile {folder}/tls/ca.pem
TLSCertificateFile {folder}/tls/server.pem
TLSCertificateKeyFile {folder}/tls/server.key
attributeoptions lang- phonetic
sizelimit 500
threads 2
authz-regexp \"{socket_admin}\" \"{READER}\"
database mdb
suffix \"{SUFFIX}\"
rootdn \"{ADMIN}\"
rootpw {ADMIN_PASSWORD}
directory {folder}/db
maxsize 1073741824
envflags nosync
index objectClass,entryUUID,entryCSN eq
{own_passwords}access to attrs=userPassword by anonymous auth by * none
access to dn.subtree=\"ou=hidden,{SUFFIX}\" by * none
access to * by dn.exact=\"{READER}\" read by anonymous auth by users read
limits dn.exact=\"{READER}\" time=unlimited size=unlimited
overlay syncprov
syncprov-checkpoint 1000 60
syncprov-sessionlog 1000
{overlays}"
        )
    }
}

// === impl Options ===

impl Options {
    /// Modules, access rules, overlays. The overlay that is configured last sees an operation
    /// first: before another one hashes the password.
    fn lines(&self) -> (String, &str, String) {
        let (mut modules, mut rules, mut overlays) = (String::new(), "", String::new());
        if let Some(policy) = &self.policy {
            modules += "moduleload ppolicy\n";
            // The policy does not hold for the administrator: somebody else sets passwords.
            rules = "access to attrs=userPassword \
                     by dn.exact=\"cn=reader,dc=example,dc=test\" write \
                     by anonymous auth by * none\n";
            overlays +=
                &format!("overlay ppolicy\nppolicy_default \"{policy}\"\nppolicy_hash_cleartext\n");
        }
        if let Some(socket) = &self.capture {
            modules += "moduleload memberof\nmoduleload back_sock\n";
            rules = "access to attrs=userPassword by self write by anonymous auth by * none\n\
                     access to attrs=entry by self write by * read\n";
            overlays += &format!(
                "overlay memberof\noverlay sock\nextensions binddn peername ssf connid\n\
                 socketpath {}\nsockops add modify extended\nsockresps result\n\
                 sockdnpat \"{PEOPLE}$\"\n",
                socket.display()
            );
        }
        (modules, rules, overlays)
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        // Killed, not stopped: nobody reads the data any more, and a frozen server could not stop.
        self.kill9();
    }
}

const MISSING: &str = "slapd is not installed: run cargo verify";

/// Debian keeps server programs out of the path of ordinary users.
fn server_program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    assert!(path.exists(), "{MISSING}");
    path
}

/// Runs a program to its end. Panics with what it said if it fails.
fn run(command: &mut Command) {
    let output = command.output().expect(MISSING);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound listener").port()
}
