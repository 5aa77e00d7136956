//! The shim with messages as slapd writes them, over a real socket.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::pending::{PENDING_MS_MAX, QUIET_MS};
use super::*;
use crate::agent::testing::{FakeIntake, World};

const USER: &str = "uid=u1,ou=people,dc=x";

/// A shim that listens, until it is stopped.
struct Running {
    tasks: JoinSet<()>,
    stop: oneshot::Sender<()>,
    shim: Arc<Shim>,
}

fn options(world: &World) -> Options {
    Options {
        listen: Listen::Path { path: world.path("slapd.sock"), mode: MODE },
        pending: world.path("spool/pending"),
        when_full: WhenFull::Refuse,
    }
}

fn start_with(world: &World, options: &Options) -> Running {
    let (shim, listener) = open(world.agent(), options).expect("it can listen");
    let (stop, stopped) = oneshot::channel();
    let mut tasks = JoinSet::new();
    let serving = shim.clone();
    tasks.spawn(async move {
        serving.serve(listener, async move { drop(stopped.await) }).await;
    });
    Running { tasks, stop, shim }
}

fn start(world: &World) -> Running {
    start_with(world, &options(world))
}

impl Running {
    async fn stop(mut self) {
        drop(self.stop);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Waits until the shim holds so many undecided captures.
    async fn until_pending(&self, expected: u64) {
        until("the captures are decided", || self.shim.pending().len() == expected).await;
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen");
}

/// What slapd does: one connection, one message, one answer to its end.
async fn say(world: &World, message: &str) -> String {
    let mut stream = UnixStream::connect(world.path("slapd.sock")).await.expect("a listener");
    stream.write_all(message.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it writes text");
    answer
}

fn head(connection: u64) -> String {
    format!("msgid: 2\nbinddn: cn=admin,dc=x\nconnid: {connection}\nsuffix: dc=x\n")
}

fn modify(connection: u64, password: &str) -> String {
    let (head, password) = (head(connection), STANDARD.encode(password));
    format!("MODIFY\n{head}dn: {USER}\nreplace: userPassword\nuserPassword:: {password}\n-\n\n")
}

fn result(connection: u64, code: u32) -> String {
    format!("RESULT\n{}code: {code}\n\n", head(connection))
}

/// The files of a folder that are captures.
fn captures(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name of ours"));
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".kkpw")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn l06_1_slapd_goes_on_when_the_capture_is_on_disk() {
    let world = World::new();
    let running = start(&world);
    assert_eq!(say(&world, &modify(7, "ひみつ😀-Marker")).await, "CONTINUE\n");
    let pending = world.path("spool/pending");
    assert_eq!(captures(&pending), ["7-2-1.kkpw"]);
    let bytes = std::fs::read(pending.join("7-2-1.kkpw")).unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"Marker"));
    running.stop().await;
}

#[tokio::test]
async fn o04_only_what_the_directory_took_is_captured() {
    let world = World::new();
    let running = start(&world);
    let agent = world.agent();
    // Refused; taken; an overlay's inner search first, then refused; nothing heard at all.
    for (connection, results) in [(1, &[32][..]), (2, &[0]), (3, &[0, 19]), (4, &[])] {
        assert_eq!(
            say(&world, &modify(connection, &format!("pw-{connection}"))).await,
            "CONTINUE\n"
        );
        for &code in results {
            assert_eq!(say(&world, &result(connection, code)).await, "");
        }
    }
    // Not before it is sure that no later result comes.
    assert!(agent.spool().is_empty().unwrap());
    world.clock.forward_ms(QUIET_MS);
    running.until_pending(1).await;
    let taken = format!("Reset {USER} u1 2 pw-2");
    assert_eq!(world.spooled(&agent), [taken.as_str()]);
    world.clock.forward_ms(PENDING_MS_MAX);
    running.until_pending(0).await;
    assert_eq!(world.spooled(&agent), [taken.as_str()]);
    assert_eq!(captures(&world.path("spool/pending")), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn the_last_result_counts_in_the_order_that_slapd_sent_them() {
    let world = World::new();
    let (shim, _listener) = open(world.agent(), &options(&world)).unwrap();
    let id = OperationId { connection: 1, message: 2 };
    let write = || Write {
        dn: USER.into(),
        login: "u1".into(),
        operation: kakehi_engine::password::Operation::Reset,
        password: zeroize::Zeroizing::new(b"secret".to_vec()),
    };
    // Read side by side: the later one is noted first.
    for (codes, kept) in [([(19, 8), (0, 7)], 0), ([(0, 12), (19, 11)], 1)] {
        assert_eq!(shim.capture(id, write()).await, Reply::Continue);
        for (code, arrival) in codes {
            shim.ended(id, code, arrival).await;
        }
        world.clock.forward_ms(QUIET_MS);
        shim.settle().await;
        assert_eq!(world.agent().spool().len().unwrap(), kept);
    }
}

#[tokio::test]
async fn changes_leave_in_their_order_whichever_result_is_noted_first() {
    let world = World::new();
    let running = start(&world);
    for connection in [1, 2, 3] {
        let password = format!("pw-{connection}");
        assert_eq!(say(&world, &modify(connection, &password)).await, "CONTINUE\n");
    }
    say(&world, &result(3, 0)).await;
    world.clock.forward_ms(10);
    say(&world, &result(2, 0)).await;
    let id = OperationId { connection: 3, message: 2 };
    let almost = Timestamp(running.shim.now().0 + QUIET_MS - 5);
    assert!(running.shim.pending().holds(id));
    assert_eq!(running.shim.pending().decided(almost), []);
    world.clock.forward_ms(QUIET_MS);
    // The first one never hears of its end; nobody waits for it.
    running.until_pending(1).await;
    let expected = [format!("Reset {USER} u1 2 pw-2"), format!("Reset {USER} u1 3 pw-3")];
    assert_eq!(world.spooled(&world.agent()), expected);
    running.stop().await;
}

#[tokio::test]
async fn what_is_pending_survives_a_restart_and_so_does_its_result() {
    let world = World::new();
    let running = start(&world);
    for connection in [1, 2, 3] {
        assert_eq!(
            say(&world, &modify(connection, &format!("pw-{connection}"))).await,
            "CONTINUE\n"
        );
    }
    say(&world, &result(1, 0)).await;
    say(&world, &result(2, 50)).await;
    let pending = world.path("spool/pending");
    until("the results are noted", || {
        captures(&pending) == ["1-2-1-0.kkpw", "2-2-2-50.kkpw", "3-2-3.kkpw"]
    })
    .await;
    running.stop().await;
    std::fs::write(pending.join("README"), "not ours").unwrap();
    let running = start(&world);
    // Its result comes to the new process.
    say(&world, &result(3, 0)).await;
    until("the result is noted", || captures(&pending).contains(&"3-2-3-0.kkpw".into())).await;
    world.clock.forward_ms(QUIET_MS);
    running.until_pending(0).await;
    let expected = [format!("Reset {USER} u1 1 pw-1"), format!("Reset {USER} u1 3 pw-3")];
    assert_eq!(world.spooled(&world.agent()), expected);
    assert!(pending.join("README").exists());
    running.stop().await;
}

#[tokio::test]
async fn a_full_spool_refuses_the_write_and_drops_nothing() {
    let mut world = World::new();
    world.limits.records_max = 2;
    let running = start(&world);
    for connection in [1, 2] {
        assert_eq!(say(&world, &modify(connection, "secret")).await, "CONTINUE\n");
        say(&world, &result(connection, 0)).await;
    }
    let refused = say(&world, &modify(3, "secret")).await;
    assert!(refused.starts_with("RESULT\ncode: 52\ninfo: "), "{refused}");
    let noted =
        || captures(&world.path("spool/pending")).iter().all(|name| name.ends_with("-0.kkpw"));
    until("the results are noted", noted).await;
    world.clock.forward_ms(QUIET_MS);
    running.until_pending(0).await;
    assert_eq!(world.agent().spool().len().unwrap(), 2);
    assert!(say(&world, &modify(4, "secret")).await.starts_with("RESULT\ncode: 52"));
    // A write without a password is none of its business.
    let other = format!("MODIFY\n{}dn: {USER}\nreplace: mail\nmail: a\n-\n\n", head(5));
    assert_eq!(say(&world, &other).await, "CONTINUE\n");
    running.stop().await;
    let let_pass = Options { when_full: WhenFull::LetPass, ..options(&world) };
    let running = start_with(&world, &let_pass);
    assert_eq!(say(&world, &modify(6, "secret")).await, "CONTINUE\n");
    assert_eq!(world.agent().spool().len().unwrap(), 2);
    running.stop().await;
}

#[tokio::test]
async fn o12_the_intake_is_of_no_account_to_a_write_and_gets_all_when_it_is_back() {
    let world = World::new();
    let running = start(&world);
    for connection in [1, 2] {
        let password = format!("pw-{connection}");
        assert_eq!(say(&world, &modify(connection, &password)).await, "CONTINUE\n");
        say(&world, &result(connection, 0)).await;
    }
    let noted =
        || captures(&world.path("spool/pending")).iter().all(|name| name.ends_with("-0.kkpw"));
    until("the results are noted", noted).await;
    world.clock.forward_ms(QUIET_MS);
    running.until_pending(0).await;
    let fake = FakeIntake::listen(&world.socket(), &[]);
    until("the spool is shipped", || fake.got().len() == 2).await;
    let got: Vec<_> = fake.got().iter().map(|envelope| world.told(envelope)).collect();
    assert_eq!(got, [format!("Reset {USER} u1 1 pw-1"), format!("Reset {USER} u1 2 pw-2")]);
    running.stop().await;
}

#[tokio::test]
async fn an_extended_operation_is_one_capture() {
    let world = World::new();
    let running = start(&world);
    let head = head(1).replace("cn=admin,dc=x", USER);
    let value = "MB+BDkV4b3AtVHJhY2VyLTIygg1FeG9wLVNlbGYtMzMz";
    let exop = format!("EXTENDED\n{head}oid: 1.3.6.1.4.1.4203.1.11.1\nvalue: {value}\n\n");
    assert_eq!(say(&world, &exop).await, "CONTINUE\n");
    // slapd shows what it makes of it: a hash, or the password itself where it does not hash.
    assert_eq!(say(&world, &modify(1, "{SSHA}OHJ5+jU8Sin5AqPTq")).await, "CONTINUE\n");
    assert_eq!(captures(&world.path("spool/pending")), ["1-2-1.kkpw"]);
    assert_eq!(say(&world, &modify(1, "Exop-Self-333")).await, "CONTINUE\n");
    assert_eq!(captures(&world.path("spool/pending")), ["1-2-2.kkpw"]);
    running.stop().await;
}

#[tokio::test]
async fn slapd_that_counts_anew_does_not_push_another_users_capture_out() {
    let world = World::new();
    let running = start(&world);
    assert_eq!(say(&world, &modify(1, "one")).await, "CONTINUE\n");
    say(&world, &result(1, 0)).await;
    let pending = world.path("spool/pending");
    until("the result is noted", || captures(&pending) == ["1-2-1-0.kkpw"]).await;
    let other = modify(1, "two").replace(USER, "uid=u2,ou=people,dc=x");
    assert_eq!(say(&world, &other).await, "CONTINUE\n");
    world.clock.forward_ms(QUIET_MS);
    running.until_pending(1).await;
    assert_eq!(world.spooled(&world.agent()), [format!("Reset {USER} u1 1 one")]);
    running.stop().await;
}

#[tokio::test]
async fn what_is_no_text_passes_without_a_capture() {
    let world = World::new();
    let running = start(&world);
    let binary = modify(1, "x").replace(&STANDARD.encode("x"), "/////w==");
    assert_eq!(say(&world, &binary).await, "CONTINUE\n");
    assert_eq!(running.shim.pending().len(), 0);
    // A message that breaks off is no message.
    let mut stream = UnixStream::connect(world.path("slapd.sock")).await.unwrap();
    stream.write_all(modify(2, "secret").trim_end().as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = vec![];
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.is_empty() && running.shim.pending().len() == 0);
    running.stop().await;
}

#[tokio::test]
async fn a_socket_that_nobody_serves_is_taken_over_and_another_is_not() {
    let world = World::new();
    let running = start(&world);
    let taken = open(world.agent(), &options(&world)).err().unwrap();
    assert!(taken.to_string().starts_with("another process listens on `"), "{taken}");
    running.stop().await;
    let nothing = Listen::Inherited.open().err().unwrap();
    assert!(nothing.to_string().starts_with("systemd gave no Unix socket"), "{nothing}");
    let mode = std::os::unix::fs::PermissionsExt::mode;
    let running = start(&world);
    let status = std::fs::metadata(world.path("slapd.sock")).unwrap();
    assert_eq!(mode(&status.permissions()) & 0o777, 0o660);
    assert_eq!(say(&world, &modify(1, "secret")).await, "CONTINUE\n");
    running.stop().await;
}
