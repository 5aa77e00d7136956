//! A private Samba AD domain controller for one test: lines of smb.conf flow in, a running server
//! on a loopback address of its own flows out. Its files lie in a folder that vanishes with it.
//!
//! The ports of a domain controller cannot be changed, so each instance has another address.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;

use crate::certificates::{self, Bearer};
use crate::daemon::until;
use crate::guests;

pub const REALM: &str = "AD.EXAMPLE.TEST";
pub const BASE: &str = "DC=ad,DC=example,DC=test";
/// May do everything; binds with [`ADMIN_PASSWORD`].
pub const ADMIN: &str = "administrator@ad.example.test";
pub const ADMIN_PASSWORD: &str = "Adm1n-of-the-domain";
const DOMAIN: &str = "ADTEST";
/// On all addresses of 127/8 it is the LDAP port that tells whether an address is free.
const LDAP_PORT: u16 = 389;
const LDAPS_PORT: u16 = 636;
/// What `password hash gpg key ids` names.
const GPG_USER: &str = "password sync of tests";
const MISSING: &str = "samba is not installed: run cargo verify";

pub struct Samba {
    folder: TempDir,
    address: String,
    process: Option<Child>,
}

/// `samba-tool user syncpasswords`, set up for one script.
pub struct Sync<'a> {
    samba: &'a Samba,
    cache: PathBuf,
}

// === impl Samba ===

impl Samba {
    /// Starts a new domain with its standard accounts.
    ///
    /// Panics if Samba is not installed, or this is not root: a test cannot go on without it.
    pub fn start() -> Self {
        Self::with(|_| String::new())
    }

    /// As [`Samba::start`], with lines of one's own for `[global]`; they are told the folder, in
    /// which scripts may be put.
    pub fn with(global: impl FnOnce(&Path) -> String) -> Self {
        let template = template();
        let folder = TempDir::with_prefix("kakehi-samba-").expect("a temporary folder");
        // Keeps modes and extended attributes.
        let from = template.join(".");
        run(Command::new("cp").arg("-a").arg(from).arg(folder.path()));
        let mut samba = Self { folder, address: free_address(), process: None };
        let tls = samba.path("tls");
        fs::create_dir(&tls).expect("a folder in a new folder");
        certificates::authority(&tls);
        let names = format!("IP:{},DNS:{},DNS:localhost", samba.address, samba.host());
        certificates::sign(&tls, &Bearer::Server, &names);
        fs::set_permissions(tls.join("server.key"), fs::Permissions::from_mode(0o600))
            .expect("a file of ours");
        let own = global(samba.folder.path());
        fs::write(samba.conf(), samba.configuration(&own)).expect("a new file");
        samba.restart();
        samba
    }

    /// Its name in its domain; not resolvable.
    pub fn host(&self) -> String {
        "dc1.ad.example.test".into()
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn url(&self) -> String {
        format!("ldap://{}", self.address)
    }

    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}", self.address)
    }

    /// The authority that signed the server's certificate.
    pub fn ca(&self) -> PathBuf {
        self.path("tls/ca.pem")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn dn(&self, name: &str) -> String {
        format!("CN={name},CN=Users,{BASE}")
    }

    /// Makes an account that may log in.
    pub fn create(&self, name: &str, password: &str) {
        let (dn, value) = (self.dn(name), unicode_password(password));
        self.modify(&format!(
            "dn: {dn}
changetype: add
objectClass: user
sAMAccountName: {name}
userPrincipalName: {name}@ad.example.test
userAccountControl: 512
unicodePwd:: {value}
"
        ));
    }

    /// An administrator sets another password.
    pub fn reset(&self, name: &str, password: &str) {
        let said = self.try_reset(name, password);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }

    /// As [`Samba::reset`], where it may be refused.
    pub fn try_reset(&self, name: &str, password: &str) -> Output {
        let (dn, value) = (self.dn(name), unicode_password(password));
        let ldif =
            format!("dn: {dn}\nchangetype: modify\nreplace: unicodePwd\nunicodePwd:: {value}\n-\n");
        self.ldapmodify(ADMIN, ADMIN_PASSWORD, &ldif)
    }

    /// The user changes it, knowing the old one.
    pub fn change(&self, name: &str, old: &str, new: &str) -> Output {
        let dn = self.dn(name);
        let (was, value) = (unicode_password(old), unicode_password(new));
        let ldif = format!(
            "dn: {dn}\nchangetype: modify\ndelete: unicodePwd\nunicodePwd:: {was}\n-\n\
             add: unicodePwd\nunicodePwd:: {value}\n-\n"
        );
        self.ldapmodify(&format!("{name}@ad.example.test"), old, &ldif)
    }

    /// Another sAMAccountName; the entry stays where it is.
    pub fn rename(&self, name: &str, account: &str) {
        let dn = self.dn(name);
        self.modify(&format!(
            "dn: {dn}\nchangetype: modify\nreplace: sAMAccountName\nsAMAccountName: {account}\n-\n"
        ));
    }

    pub fn delete(&self, name: &str) {
        self.modify(&format!("dn: {}\nchangetype: delete\n", self.dn(name)));
    }

    /// The value of one attribute of an account.
    pub fn attribute(&self, name: &str, attribute: &str) -> Option<String> {
        let output = run(self
            .ldap("ldapsearch", ADMIN, ADMIN_PASSWORD)
            .args(["-LLL", "-o", "ldif-wrap=no", "-s", "base", "-b"])
            .args([self.dn(name).as_str(), attribute]));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{attribute}: ")));
        value.map(str::to_owned)
    }

    /// Carries out LDIF change records as the administrator.
    pub fn modify(&self, ldif: &str) {
        let output = self.ldapmodify(ADMIN, ADMIN_PASSWORD, ldif);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ldapmodify refused: {said}");
    }

    fn ldapmodify(&self, who: &str, password: &str, ldif: &str) -> Output {
        let mut command = self.ldap("ldapmodify", who, password);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect(MISSING);
        let mut input = child.stdin.take().expect("a piped input");
        // A refused bind ends it before it reads.
        let _ = input.write_all(ldif.as_bytes());
        drop(input);
        child.wait_with_output().expect("a child")
    }

    fn ldap(&self, program: &str, who: &str, password: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LDAPTLS_CACERT", self.ca());
        command.args(["-x", "-H", &self.ldaps_url(), "-D", who, "-w", password]);
        command
    }

    /// Prepares `syncpasswords`, which hands every account whose password may be another one to
    /// `script`: LDIF on its input.
    pub fn sync_passwords(&self, script: &Path) -> Sync<'_> {
        let sync = Sync { samba: self, cache: self.path("sync-cache.ldb") };
        let socket = self.path("private/ldap_priv/ldapi").display().to_string();
        run(sync
            .command()
            .args(["--cache-ldb-initialize", "--decrypt-samba-gpg"])
            .arg(format!("--URL=ldapi://{}", socket.replace('/', "%2F")))
            .arg(format!("--script={}", script.display()))
            .arg(
                "--attributes=objectGUID,objectSid,sAMAccountName,userPrincipalName,pwdLastSet,\
                 msDS-KeyVersionNumber,virtualClearTextUTF8",
            ));
        sync
    }

    /// Starts on the same data and the same address.
    pub fn restart(&mut self) {
        self.stop();
        let log = fs::File::create(self.path("log")).expect("a new file");
        let mut command = Command::new(server_program("samba"));
        // In the foreground, and in a process group of its own, which ends with it.
        command.arg("-F").arg("-s").arg(self.conf());
        command.env("GNUPGHOME", self.path("gnupg"));
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect(MISSING));
        until("samba answers", || {
            let process = self.process.as_mut().expect("it was started");
            let ended = process.try_wait().expect("a child");
            assert!(ended.is_none(), "samba ended: {}", self.said());
            TcpStream::connect((self.address.as_str(), LDAPS_PORT)).is_ok() && self.answers()
        });
    }

    fn answers(&self) -> bool {
        let mut command = self.ldap("ldapsearch", ADMIN, ADMIN_PASSWORD);
        command.args(["-o", "nettimeout=5", "-LLL", "-s", "base", "-b", BASE, "dn"]);
        command.output().expect(MISSING).status.success()
    }

    fn said(&self) -> String {
        let log = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("{}{}", log("log"), log("log.samba"))
    }

    /// Ends it and its children.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let group = format!("-{}", process.id());
        // They are gone already if it ended by itself.
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = process.wait();
    }

    fn conf(&self) -> PathBuf {
        self.path("etc/smb.conf")
    }

    fn configuration(&self, own: &str) -> String {
        let (folder, address) = (self.folder.path().display(), &self.address);
        let key = fs::read_to_string(self.path("gpg-key-id")).expect("a file of the template");
        format!(
            "[global]
netbios name = DC1
realm = {REALM}
workgroup = {DOMAIN}
server role = active directory domain controller
server services = ldap, rpc, kdc, drepl
dcerpc endpoint servers = epmapper, samr, lsarpc, netlogon, drsuapi
# Without the length of the prefix it finds no interface, and listens nowhere.
interfaces = {address}/8
bind interfaces only = yes
ldap server require strong auth = no
tls enabled = yes
tls cafile = {folder}/tls/ca.pem
tls certfile = {folder}/tls/server.pem
tls keyfile = {folder}/tls/server.key
password hash gpg key ids = {key}
private dir = {folder}/private
lock directory = {folder}
state directory = {folder}/state
cache directory = {folder}/cache
pid directory = {folder}/run
ncalrpc dir = {folder}/ncalrpc
ntp signd socket directory = {folder}/ntp
winbindd socket directory = {folder}/winbindd
log file = {folder}/log.%m
log level = 1
load printers = no
printing = bsd
disable spoolss = yes
ldb:nosync = yes
{own}
"
        )
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        self.stop();
        stop_gpg(&self.path("gnupg"));
    }
}

// === impl Sync ===

impl Sync<'_> {
    /// Hands out what changed since the last pass that went well.
    pub fn pass(&self) -> Output {
        self.command().arg("--no-wait").output().expect(MISSING)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("samba-tool");
        command.args(["user", "syncpasswords"]).env("GNUPGHOME", self.samba.path("gnupg"));
        command.arg(format!("--cache-ldb={}", self.cache.display()));
        command.arg(format!("--configfile={}", self.samba.conf().display()));
        command
    }
}

/// A domain that never ran, and a key for its passwords; made once for all tests. Every copy of it
/// is the same domain.
fn template() -> PathBuf {
    let target = guests::target();
    let template = target.join("samba-template");
    let lock = fs::File::create(target.join("samba-template.lock")).expect("a file of ours");
    lock.lock().expect("a lock");
    if !template.is_dir() {
        let making = target.join("samba-template.making");
        // What an interrupted run left.
        let _ = fs::remove_dir_all(&making);
        fs::create_dir_all(making.join("etc")).expect("a new folder");
        provision(&making);
        make_key(&making);
        fs::rename(&making, &template).expect("a folder of ours");
    }
    template
}

fn provision(folder: &Path) {
    // Keeps the configuration of the system out of it.
    let none = folder.join("none.conf");
    fs::write(&none, "").expect("a new file");
    let option = |name: &str, value: &str| format!("--{name}={value}");
    run(Command::new("samba-tool")
        .args(["domain", "provision", "--server-role=dc", "--dns-backend=NONE"])
        .args(["--host-name=dc1", "--host-ip=127.0.0.1"])
        .arg("--option=vfs objects=acl_xattr xattr_tdb")
        .arg(option("configfile", &none.display().to_string()))
        .arg(option("targetdir", &folder.display().to_string()))
        .arg(option("realm", REALM))
        .arg(option("domain", DOMAIN))
        .arg(option("adminpass", ADMIN_PASSWORD)));
    // Users may change their passwords as often as tests want.
    run(Command::new("samba-tool")
        .args(["domain", "passwordsettings", "set", "--min-pwd-age=0", "--history-length=0"])
        .arg(option("configfile", &folder.join("etc/smb.conf").display().to_string()))
        .arg(option("URL", &folder.join("private/sam.ldb").display().to_string())));
    for name in ["run", "ncalrpc", "cache"] {
        fs::create_dir_all(folder.join(name)).expect("a folder of ours");
    }
}

/// A key without a passphrase. In a folder with a short path, since its agent listens in there.
fn make_key(folder: &Path) {
    let home = TempDir::with_prefix("kakehi-gpg-").expect("a temporary folder");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).expect("a folder of ours");
    let gpg = |arguments: &[&str]| {
        run(Command::new("gpg").arg("--homedir").arg(home.path()).args(arguments))
    };
    let new = ["--quick-generate-key", GPG_USER, "rsa2048", "encrypt", "never"];
    gpg(&[&["--batch", "--passphrase", ""], &new[..]].concat());
    let listed = gpg(&["--list-keys", "--with-colons"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let key = listed.lines().find_map(|line| line.strip_prefix("pub:"));
    let id = key.and_then(|line| line.split(':').nth(3)).expect("a key was made");
    fs::write(folder.join("gpg-key-id"), id).expect("a new file");
    stop_gpg(home.path());
    let to = folder.join("gnupg");
    fs::DirBuilder::new().mode(0o700).create(&to).expect("a new folder");
    run(Command::new("cp").arg("-a").arg(home.path().join(".")).arg(&to));
}

/// gpg starts an agent by itself, which would stay.
fn stop_gpg(home: &Path) {
    let mut command = Command::new("gpgconf");
    command.arg("--homedir").arg(home).args(["--kill", "all"]);
    let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// An address of 127/8 on which nobody is a directory server, and no other test will be soon.
fn free_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = format!("127.{}.{low}.{next}", 16 + high % 200);
        match TcpListener::bind((address.as_str(), LDAP_PORT)) {
            Ok(_) => return address,
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("a domain controller needs root on Linux: {error}"),
        }
    }
}

/// As Active Directory wants it: in quotes, UTF-16, base64.
fn unicode_password(password: &str) -> String {
    let units = format!("\"{password}\"").encode_utf16().collect::<Vec<_>>();
    STANDARD.encode(units.into_iter().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
}

fn server_program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    assert!(path.exists(), "{MISSING}");
    path
}

/// Runs a program to its end. Panics with what it said if it fails.
fn run(command: &mut Command) -> Output {
    let output = command.output().expect(MISSING);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
    output
}
