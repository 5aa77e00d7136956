//! What every story needs: a slapd with people, an agent's process, and short ways to ask who may
//! log in with what.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::product::Product;
use kakehi_tests::slapd::{
    self, ADMIN, ADMIN_PASSWORD, PEOPLE, READER, READER_PASSWORD, SUFFIX, Slapd,
};
use serde_json::Value as Json;
use tempfile::NamedTempFile;

/// Full of what is escaped somewhere, and with characters beyond the first plane.
pub const JAPANESE: &str = "ひみつの言葉 <&'\"\\%> パスワード";
pub const EMOJI: &str = "🔑🗝️👩‍💻-Ä1-long enough";
/// What everybody has at the beginning.
pub const FIRST: &str = "first-password-1";

/// `kakehi password slapd-sock`, which ends with the test.
pub struct Shim(Child);

// === people ===

pub fn dn(uid: &str) -> String {
    format!("uid={uid},{PEOPLE}")
}

/// A person as an LDIF record, without the empty line behind it.
pub fn person(uid: &str, number: usize, password: &str) -> String {
    let dn = dn(uid);
    format!(
        "dn: {dn}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: 山田\ngivenName: {uid}\n\
         mail: {uid}@example.test\nemployeeNumber: {number:06}\ndepartmentNumber: 1\ntitle: staff\n\
         userPassword: {password}\n"
    )
}

/// Suffix, the account that reads and writes, and people with [`FIRST`]; more may follow.
pub fn tree(people: &[&str]) -> String {
    let mut ldif = format!(
        "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: e\ndc: example\n\n\
         dn: {READER}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
         cn: reader\nuserPassword: {READER_PASSWORD}\n\n\
         dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n\n"
    );
    for (number, uid) in people.iter().enumerate() {
        ldif += &person(uid, number + 1, FIRST);
        ldif.push('\n');
    }
    ldif
}

/// A directory whose passwords are captured at `socket`.
pub fn captured(socket: PathBuf, people: &[&str]) -> Slapd {
    let options = slapd::Options { capture: Some(socket), ..slapd::Options::default() };
    Slapd::with_options(&options, &tree(people))
}

/// A directory that takes no password shorter than 8, and hashes those it takes.
pub fn strict(people: &[&str]) -> Slapd {
    let policy = format!("cn=policy,{SUFFIX}");
    let entry = format!(
        "dn: {policy}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n\
         pwdAttribute: userPassword\npwdCheckQuality: 2\npwdMinLength: 8\n"
    );
    let options = slapd::Options { policy: Some(policy), ..slapd::Options::default() };
    Slapd::with_options(&options, &(tree(people) + &entry))
}

// === talking to a directory ===

/// Carries out a change record as the administrator; gives whether the server did.
pub fn change(slapd: &Slapd, ldif: &str) -> bool {
    let mut file = NamedTempFile::new().expect("a new file");
    file.write_all(ldif.as_bytes()).expect("a file of ours");
    let mut command = client(slapd, "ldapmodify", ADMIN, ADMIN_PASSWORD);
    output(command.arg("-f").arg(file.path())).status.success()
}

/// An administrator writes another password.
pub fn reset(slapd: &Slapd, uid: &str, password: &str) -> bool {
    let dn = dn(uid);
    let what = "changetype: modify\nreplace: userPassword\nuserPassword";
    change(slapd, &format!("dn: {dn}\n{what}: {password}\n"))
}

/// The extended operation of RFC 3062 by an administrator.
pub fn reset_by_exop(slapd: &Slapd, uid: &str, password: &str) -> bool {
    let mut command = client(slapd, "ldappasswd", ADMIN, ADMIN_PASSWORD);
    output(command.args(["-s", password, &dn(uid)])).status.success()
}

/// The user changes her own password.
pub fn change_own(slapd: &Slapd, uid: &str, old: &str, new: &str) -> bool {
    let mut command = client(slapd, "ldappasswd", &dn(uid), old);
    output(command.args(["-a", old, "-s", new])).status.success()
}

/// Whether somebody can log in, by the word of another client.
pub fn binds(slapd: &Slapd, uid: &str, password: &str) -> bool {
    let mut file = NamedTempFile::new().expect("a new file");
    file.write_all(password.as_bytes()).expect("a file of ours");
    let mut command = Command::new("ldapwhoami");
    command.args(["-x", "-H", &slapd.url(), "-D", &dn(uid), "-y"]).arg(file.path());
    output(&mut command).status.success()
}

fn client(slapd: &Slapd, program: &str, who: &str, password: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-x", "-H", &slapd.url(), "-D", who, "-w", password]);
    command
}

pub fn output(command: &mut Command) -> Output {
    command.output().expect("it is installed: run cargo verify")
}

pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

// === impl Shim ===

impl Shim {
    /// Starts it, and waits until slapd may write.
    pub fn start(product: &Product, agent: &str, socket: &Path) -> Self {
        let spool = product.path(&format!("spool-{agent}")).display().to_string();
        let listen = socket.display().to_string();
        let log = File::create(product.path(&format!("{agent}.log"))).expect("a log file");
        let mut command = product.command(&["password", "slapd-sock", "--agent", agent]);
        command.args(["--spool", &spool, "--listen", &listen]);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        let mut shim = Self(child);
        until("the shim listens", || {
            let ended = shim.0.try_wait().expect("it is ours");
            let log = product.read(&format!("{agent}.log"));
            assert!(ended.is_none(), "the shim ended: {log}");
            socket.exists()
        });
        shim
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        // What it has is in its spool.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === asking the product ===

/// How often an event was logged for a target.
pub fn told(daemon: &Daemon, id: &str, target: &str) -> usize {
    let of = |event: &&Json| event["event_id"] == id && event["target.name"] == target;
    daemon.events().iter().filter(of).count()
}

/// The categories of the rejections of a target, in order.
pub fn rejections(daemon: &Daemon, target: &str) -> Vec<String> {
    let of = |event: &&Json| event["event_id"] == "PW032" && event["target.name"] == target;
    let events = daemon.events();
    let category = |event: &Json| event["category"].as_str().unwrap_or_default().to_owned();
    events.iter().filter(of).map(category).collect()
}

/// What waits for a target: state and rejections of each slot.
pub fn waiting(product: &Product, target: &str) -> Vec<(String, u64)> {
    let list = product.json(&["password", "list", "--json", "--target", target]);
    let slot = |slot: &Json| {
        let state = slot["state"].as_str().expect("a state").to_owned();
        (state, slot["rejects"].as_u64().expect("a record"))
    };
    list.as_array().expect("a list").iter().map(slot).collect()
}

pub fn nothing_waits(product: &Product) -> bool {
    product.json(&["password", "list", "--json"]).as_array().is_some_and(Vec::is_empty)
}

/// What became of a user's passwords at a target, oldest first.
pub fn audit(product: &Product, user: &str, target: &str) -> Vec<String> {
    let shown = product.json(&["password", "show", user, "--json"]);
    let audit = shown["audit"].as_array().expect("a list");
    let of = audit.iter().filter(|entry| entry["target"] == target);
    of.map(|entry| entry["what"].as_str().expect("a word").to_owned()).collect()
}

/// A command that is expected to end well.
pub fn done(product: &Product, arguments: &[&str]) {
    let answer = product.run(arguments);
    assert_eq!(answer.code, 0, "{arguments:?}: {answer}");
}
