//! Capture agents against real servers: an OpenLDAP whose sock overlay speaks to the shim, a Samba
//! domain controller that hands passwords to the hook (password.md 8.2, 8.3).

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use kakehi_password::agent::flush;
use kakehi_password::agent::slapd_sock::{self, Listen, MODE, Shim, WhenFull};
use kakehi_tests::agents::Office;
use kakehi_tests::daemon::until;
use kakehi_tests::samba::Samba;
use kakehi_tests::slapd::{self, ADMIN, ADMIN_PASSWORD, PEOPLE, SUFFIX, Slapd};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const LONG: &str = "ひみつ😀Aa1-long-enough-to-be-folded-by-whoever-writes-it-as-LDIF-with-lines";

// === OpenLDAP ===

/// A server, and the shim that it speaks to.
struct Directory {
    slapd: Slapd,
    office: Office,
    _folder: TempDir,
}

/// The shim while it runs.
struct Running {
    tasks: JoinSet<()>,
    stop: oneshot::Sender<()>,
}

impl Directory {
    /// With two users, `u1` and `u2`, whose password is `old-password`.
    fn new() -> Self {
        let folder = TempDir::with_prefix("kakehi-test-").expect("a folder");
        let office = Office::new(folder.path());
        let policy = format!("cn=policy,{SUFFIX}");
        let mut ldif = format!(
            "dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: e\ndc: example\n\n\
             dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n\n\
             dn: {policy}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n\
             pwdAttribute: userPassword\npwdCheckQuality: 2\npwdMinLength: 8\n\n"
        );
        for user in ["u1", "u2"] {
            ldif += &format!("{}userPassword: old-password\n\n", person(user));
        }
        let capture = Some(office.path("slapd.sock"));
        let options = slapd::Options { capture, policy: Some(policy), ..slapd::Options::default() };
        Self { slapd: Slapd::with_options(&options, &ldif), office, _folder: folder }
    }

    fn shim(&self) -> Running {
        let options = slapd_sock::Options {
            listen: Listen::Path { path: self.office.path("slapd.sock"), mode: MODE },
            pending: self.office.path("slapd/pending"),
            when_full: WhenFull::Refuse,
        };
        let opened = slapd_sock::open(self.office.agent("slapd"), &options);
        let (shim, listener): (Arc<Shim>, _) = opened.expect("it can listen");
        let (stop, stopped) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(shim.serve(listener, async move { drop(stopped.await) }));
        Running { tasks, stop }
    }

    /// What was captured, when everything is decided.
    fn captured(&self) -> Vec<String> {
        until("everything is decided", || self.pending() == 0);
        self.office.spooled("slapd")
    }

    fn pending(&self) -> usize {
        let files = std::fs::read_dir(self.office.path("slapd/pending")).expect("a folder");
        files.filter(|file| file.as_ref().is_ok_and(|it| it.path().is_file())).count()
    }

    /// Carries out change records as the administrator; gives the code that the server answers.
    fn modify(&self, ldif: &str) -> i32 {
        let path = self.office.path("change.ldif");
        std::fs::write(&path, ldif).expect("a new file");
        let mut command = self.client("ldapmodify", ADMIN, ADMIN_PASSWORD);
        code(&command.arg("-f").arg(path).output().expect("it is installed"))
    }

    fn set(&self, user: &str, password: &str) -> i32 {
        let dn = dn(user);
        let change = "changetype: modify\nreplace: userPassword\nuserPassword";
        self.modify(&format!("dn: {dn}\n{change}: {password}\n"))
    }

    /// The extended operation of RFC 3062.
    fn passwd(&self, who: &str, password: &str, arguments: &[&str]) -> i32 {
        let mut command = self.client("ldappasswd", who, password);
        code(&command.args(arguments).output().expect("it is installed"))
    }

    fn client(&self, program: &str, who: &str, password: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-x", "-H", &self.slapd.url(), "-D", who, "-w", password]);
        command
    }
}

impl Running {
    async fn stop(mut self) {
        drop(self.stop);
        while self.tasks.join_next().await.is_some() {}
    }
}

fn dn(user: &str) -> String {
    format!("uid={user},{PEOPLE}")
}

fn person(user: &str) -> String {
    let dn = dn(user);
    format!("dn: {dn}\nobjectClass: inetOrgPerson\nuid: {user}\ncn: {user}\nsn: {user}\n")
}

/// The result code in what a client said: `Constraint violation (19)`.
fn code(output: &Output) -> i32 {
    if output.status.success() {
        return 0;
    }
    let said = said(output);
    let told = said.lines().find_map(|line| line.rsplit_once('(')?.1.strip_suffix(')'));
    told.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn o03_openldap_every_kind_of_change_is_captured_and_o04_refused_ones_are_not() {
    let directory = Directory::new();
    let running = directory.shim();
    let (u1, u2) = (dn("u1"), dn("u2"));
    assert_eq!(directory.set("u1", "by-the-administrator"), 0);
    assert_eq!(directory.passwd(ADMIN, ADMIN_PASSWORD, &["-s", "by-exop-of-admin", &u1]), 0);
    let own = ["-a", "by-exop-of-admin", "-s", "by-the-user-herself"];
    assert_eq!(directory.passwd(&u1, "by-exop-of-admin", &own), 0);
    let new =
        format!("{}userPassword: {LONG}\n", person("u3").replacen('\n', "\nchangetype: add\n", 1));
    assert_eq!(directory.modify(&new), 0);
    // Refused: no such entry, an entry that is there already, a password that the policy forbids.
    assert_eq!(directory.set("nobody", "never-captured"), 32);
    assert_eq!(directory.modify(&new), 68);
    assert_eq!(directory.passwd(&u2, "old-password", &["-a", "old-password", "-s", "short"]), 19);
    // Taken, and not captured: a hash, and a password that the server makes up.
    assert_eq!(directory.set("u2", "{SSHA}OHJ5+jU8Sin5AqPTqRCOkS0IP3WsNpCS"), 0);
    assert_eq!(directory.passwd(ADMIN, ADMIN_PASSWORD, &[&u2]), 0);
    assert_eq!(directory.set("u2", "the-last-of-all"), 0);
    assert_eq!(
        directory.captured(),
        [
            "Reset u1 by-the-administrator".to_owned(),
            "Reset u1 by-exop-of-admin".into(),
            "Change u1 by-the-user-herself".into(),
            format!("Create u3 {LONG}"),
            "Reset u2 the-last-of-all".into(),
        ]
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn o12_openldap_writes_without_a_runtime_and_the_runtime_gets_all_later() {
    let directory = Directory::new();
    let running = directory.shim();
    for number in 0..20 {
        assert_eq!(directory.set("u1", &format!("password-{number}")), 0);
    }
    assert_eq!(directory.captured().len(), 20);
    let intake = directory.office.intake();
    until("the intake has all", || directory.office.taken(&intake).len() == 20);
    let expected: Vec<_> = (0..20).map(|number| format!("Reset u1 password-{number}")).collect();
    assert_eq!(directory.office.taken(&intake), expected);
    // From now on at once.
    assert_eq!(directory.set("u2", "one-more-time"), 0);
    until("the intake has it", || directory.office.taken(&intake).len() == 21);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openldap_refuses_while_nobody_listens_and_goes_on_afterwards() {
    let directory = Directory::new();
    let running = directory.shim();
    assert_eq!(directory.set("u1", "first-password"), 0);
    running.stop().await;
    assert_eq!(directory.set("u1", "second-password"), 80);
    let running = directory.shim();
    assert_eq!(directory.set("u1", "third-password"), 0);
    let expected = ["Reset u1 first-password", "Reset u1 third-password"];
    assert_eq!(directory.captured(), expected);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l03_openldap_refuses_what_no_longer_fits_into_the_spool() {
    let mut directory = Directory::new();
    directory.office.limits.records_max = 2;
    let running = directory.shim();
    assert_eq!(directory.set("u1", "first-password"), 0);
    assert_eq!(directory.set("u1", "second-password"), 0);
    assert_eq!(directory.set("u1", "third-password"), 52);
    let mail = format!("dn: {}\nchangetype: modify\nreplace: mail\nmail: a@b\n", dn("u1"));
    assert_eq!(directory.modify(&mail), 0);
    assert_eq!(directory.captured(), ["Reset u1 first-password", "Reset u1 second-password"]);
    let outcome = flush::run(&directory.office.agent("slapd")).await;
    assert_eq!(outcome.code, 75, "{outcome:?}");
    let intake = directory.office.intake();
    until("there is room again", || directory.office.taken(&intake).len() == 2);
    assert_eq!(directory.set("u1", "fourth-password"), 0);
    until("it arrives", || directory.office.taken(&intake).len() == 3);
    running.stop().await;
}

// === Samba ===

/// The file that Samba's daemon starts: it passes no arguments.
fn wrapper(folder: &Path) -> PathBuf {
    let path = folder.join("samba-hook");
    let agent = env!("CARGO_BIN_EXE_agent");
    let text = format!("#!/bin/sh\nexec '{agent}' samba-hook '{}'\n", folder.display());
    std::fs::write(&path, text).expect("a new file");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a file of ours");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn o03_samba_every_kind_of_change_is_captured_once() {
    let samba = Samba::start();
    let folder = TempDir::with_prefix("kakehi-test-").unwrap();
    let office = Office::new(folder.path());
    let sync = samba.sync_passwords(&wrapper(folder.path()));
    let pass = || {
        let output = sync.pass();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    pass();
    assert_eq!(office.spooled("samba"), Vec::<String>::new());
    samba.create("hana", LONG);
    pass();
    samba.reset("hana", "Reset-by-admin-ひ1");
    pass();
    let changed = samba.change("hana", "Reset-by-admin-ひ1", "Own-Änderung-😀1");
    assert!(changed.status.success(), "{}", said(&changed));
    pass();
    // Two while nobody looked: the newest counts.
    samba.reset("hana", "Overwritten-2");
    samba.reset("hana", "Newest-of-two-3");
    pass();
    // Told of, and nothing to do.
    samba.rename("hana", "hanako");
    assert!(pass().contains("DONE-EXIT: nothing to do"));
    samba.modify(&format!(
        "dn: {}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 0\n",
        samba.dn("hana")
    ));
    assert!(pass().contains("DONE-EXIT: nothing to do"));
    // The name is the present one.
    samba.reset("hana", "After-the-rename-4");
    pass();
    samba.delete("hana");
    assert!(pass().contains("DONE-EXIT: deleted"));
    let expected = [
        format!("Create hana {LONG}"),
        "Change hana Reset-by-admin-ひ1".into(),
        "Change hana Own-Änderung-😀1".into(),
        "Change hana Newest-of-two-3".into(),
        "Change hanako After-the-rename-4".into(),
    ];
    assert_eq!(office.spooled("samba"), expected);
    // The runtime is back.
    let intake = office.intake();
    assert_eq!(flush::run(&office.agent("samba")).await.code, 0);
    samba.create("taro", "Straight-through-5");
    assert!(pass().contains("DONE-EXIT: queued"));
    assert_eq!(office.taken(&intake)[..5], expected);
    assert_eq!(office.taken(&intake)[5..], ["Create taro Straight-through-5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn l06_1_samba_waits_with_a_password_that_nobody_takes() {
    let samba = Samba::start();
    let folder = TempDir::with_prefix("kakehi-test-").unwrap();
    let office = Office::new(folder.path());
    let sync = samba.sync_passwords(&wrapper(folder.path()));
    assert!(sync.pass().status.success());
    samba.create("hana", "First-password-1");
    // Where the spool should be is a file.
    let spool = office.path("samba");
    std::fs::rename(&spool, office.path("elsewhere")).unwrap();
    std::fs::write(&spool, "").unwrap();
    for _ in 0..2 {
        let output = sync.pass();
        assert!(!output.status.success(), "{}", said(&output));
        assert!(!said(&output).contains("First-password-1"));
    }
    std::fs::remove_file(&spool).unwrap();
    std::fs::rename(office.path("elsewhere"), &spool).unwrap();
    let output = sync.pass();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(office.spooled("samba"), ["Create hana First-password-1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn o35_samba_asks_before_it_takes_a_password_and_does_not_depend_on_it() {
    let folder = TempDir::with_prefix("kakehi-test-").unwrap();
    let office = Office::new(folder.path());
    std::fs::write(office.path("length-min"), "12").unwrap();
    let agent = env!("CARGO_BIN_EXE_agent");
    let samba = Samba::with(|_| {
        format!("check password script = {agent} precheck {}", folder.path().display())
    });
    samba.create("hana", "Long-enough-12");
    let refused = samba.try_reset("hana", "Short-1");
    assert!(!refused.status.success());
    assert!(said(&refused).contains("Constraint violation"), "{}", said(&refused));
    samba.reset("hana", "ひみつ-Long-enough-1");
    // Without rules everything passes.
    std::fs::remove_file(office.path("length-min")).unwrap();
    samba.reset("hana", "Short-1");
    // And nothing of it was captured.
    assert!(!office.path("samba").exists());
}
