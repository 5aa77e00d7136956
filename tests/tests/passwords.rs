//! Passwords beside a synchronization, and the doors they come in by, as administrators meet them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use kakehi_engine::password::Operation;
use kakehi_engine::time::Timestamp;
use kakehi_password::agent::client::{Address, Intake, SendError, TlsFiles};
use kakehi_password::door::Clock;
use kakehi_password::envelope::{self, Envelope, KeyType, Metadata, Suite};
use kakehi_password::keys::{self, PublicKey};
use kakehi_password::secret::Password;
use kakehi_tests::certificates::{self, Bearer};
use kakehi_tests::daemon::Daemon;
use kakehi_tests::installation::TOKEN;
use kakehi_tests::product::Product;
use kakehi_tests::receiver::InProcess;
use kakehi_tests::smtp::{Offer, SmtpServer};
use serde_json::Value as Json;

/// Who captures in most of these tests, and where it goes.
const LANE: &str = "password:
  agents: {local: {source: hr}}
  targets: {cloud: {}}
";

/// Persons with a mail address, and a department by which rules decide.
const MANIFEST: &str = r#"version: 1
connectors:
  - {name: hr, kind: ldif, order: 1}
  - {name: cloud, kind: scim, order: 2}
rules:
  - name: Join
    precedence: 100
    connector: hr
    direction: inbound
    from: inetOrgPerson
    to: person
    link: provision
    join: [[{cs: employeeNumber, mv: number}]]
    module: builtin:declarative
    config:
      flows:
        - {to: number, from: employeeNumber}
        - {to: account, from: uid}
        - {to: displayName, from: cn}
        - {to: mail, from: mail}
        - {to: complete, from: title}
        - {to: passwordTargets, expr: 'IIF([ou] = "secret", "nowhere", NULL)'}
  - name: Out
    precedence: 100
    connector: cloud
    direction: outbound
    from: person
    to: User
    link: provision
    scope: [[{attr: complete, op: ISNOTNULL}]]
    join: [[{cs: externalId, mv: number}]]
    module: builtin:declarative
    config:
      flows:
        - {to: externalId, from: number}
        - {to: userName, from: account}
        - {to: title, from: complete}
"#;

/// One entry of the directory: number, name, and lines of its own.
fn person(number: u32, name: &str, lines: &str) -> String {
    format!(
        "dn: uid={name},dc=x\nobjectClass: inetOrgPerson\nemployeeNumber: {number}\nuid: {name}\n\
         cn: {name} さん\nsn: x\nmail: {name}@example.test\n{lines}\n"
    )
}

struct Office {
    product: Product,
    server: InProcess,
}

// === impl Office ===

impl Office {
    /// A directory in a file, the receiver as its target; `more` is added to the configuration.
    fn new(people: &str, more: &str) -> Self {
        let server = InProcess::start();
        let config = format!(
            "manifest: manifest.yml
state: {{path: state}}
sources:
  hr: {{ldif: {{path: hr.ldif, anchor: employeeNumber}}}}
targets:
  cloud: {{base_url: '{}', credential: cloud-token}}
credentials:
  cloud-token: {{kind: scim_bearer}}
rules: {{cache: cache}}
run: {{poll: 1s}}
import: {{max_shrink: {{percent: 100}}}}
{more}",
            server.base_url()
        );
        let secrets = format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n");
        let product = Product::new(&[
            ("config.yml", &config),
            ("secret.yml", &secrets),
            ("manifest.yml", MANIFEST),
            ("hr.ldif", people),
        ]);
        let made = product.run(&["password", "keys", "new"]);
        assert_eq!(made.code, 0, "{made}");
        Self { product, server }
    }

    /// Nothing but passwords; `users` are at the target already.
    fn without_sync(more: &str) -> Self {
        let server = InProcess::start();
        let product = Product::new(&[]);
        let office = Self { product, server };
        let config = format!(
            "state: {{path: state}}
targets:
  cloud: {{base_url: '{}', credential: cloud-token}}
credentials:
  cloud-token: {{kind: scim_bearer}}
{more}",
            office.server.base_url()
        );
        office.product.write("config.yml", &config);
        let secrets = format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n");
        office.product.write("secret.yml", &secrets);
        let made = office.product.run(&["password", "keys", "new"]);
        assert_eq!(made.code, 0, "{made}");
        office
    }

    /// Tells of a password, as an agent on this machine does.
    fn send(&self, key: &str, login: &str, password: &str) -> Output {
        let spool = self.product.path("spool").display().to_string();
        let arguments =
            ["password", "send", "--user-key", key, "--login", login, "--spool", &spool];
        let mut command = self.product.command(&arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut input = child.stdin.take().expect("a piped input");
        input.write_all(password.as_bytes()).expect("a program that reads");
        drop(input);
        child.wait_with_output().expect("a program that ends")
    }

    fn told(&self, key: &str, login: &str, password: &str) -> String {
        let output = self.send(key, login, password);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Passwords that the target was given, in order, each with the path it was sent to.
    fn set(&self) -> Vec<(String, String)> {
        let requests = self.server.requests();
        let patches = requests.iter().filter(|request| request.method == "PATCH");
        patches
            .filter_map(|request| {
                let body: Json = serde_json::from_slice(&request.body).ok()?;
                let operation = &body["Operations"][0];
                let value = (operation["path"] == "password").then(|| operation["value"].as_str());
                Some((request.path.clone(), value??.to_owned()))
            })
            .collect()
    }

    fn passwords(&self) -> Vec<String> {
        self.set().into_iter().map(|(_, password)| password).collect()
    }

    /// State of each slot that is not empty, by name of its user.
    fn waiting(&self) -> Vec<(String, String)> {
        let listed = self.product.json(&["password", "list", "--json"]);
        let listed = listed.as_array().expect("a list").iter();
        let text = |slot: &Json, key: &str| slot[key].as_str().expect("a text").to_owned();
        listed.map(|slot| (text(slot, "login"), text(slot, "state"))).collect()
    }
}

#[test]
fn n12_n13_o10_o37_a_password_that_comes_before_its_user_is_set_right_after_the_add() {
    let office = Office::new("", LANE);
    let daemon = Daemon::start(&office.product);
    assert_eq!(office.told("guid:7", "taro", "first-Passw0rd"), "queued");
    daemon.until("it waits for its user", || daemon.count("PW030") == 1);
    office.product.write("hr.ldif", &person(7, "taro", "title: x\n"));
    daemon.until("it is delivered", || office.passwords() == ["first-Passw0rd"]);
    // N-04: the add first, then the password.
    let requests = office.server.requests();
    let at = |method: &str| requests.iter().position(|request| request.method == method);
    assert!(at("POST").expect("an add") < at("PATCH").expect("a password"), "{requests:?}");
    assert_eq!(office.waiting(), []);
    assert_eq!(daemon.count("PW010"), 1);
    daemon.stop();
}

#[test]
fn n14_n02_creation_is_blocked_until_the_data_are_complete_and_nothing_is_tried_before() {
    let office = Office::new(&person(7, "taro", ""), LANE);
    let daemon = Daemon::start(&office.product);
    assert_eq!(office.told("guid:7", "taro", "kept-Passw0rd"), "queued");
    daemon.until("it waits for its user", || {
        office.waiting() == [("taro".into(), "WAIT_USER".into())]
    });
    // The user changes, but is still not for the target: no event, no attempt.
    let looked = || office.server.requests().iter().filter(|it| it.method == "GET").count();
    office.product.write("hr.ldif", &person(7, "taro", "description: still no title\n"));
    let before = looked();
    office.product.write("hr.ldif", &person(7, "taro", "title: now\n"));
    daemon.until("it is delivered", || office.passwords() == ["kept-Passw0rd"]);
    assert!(before <= looked());
    assert_eq!(daemon.count("PW030"), 1, "it was tried once before, and once after the add");
    daemon.stop();
}

#[test]
fn t33_t34_a_rename_is_followed_and_a_deletion_purges() {
    let people = person(7, "taro", "title: x\n") + &person(8, "jiro", "title: x\n");
    let office = Office::new(&people, LANE);
    let daemon = Daemon::start(&office.product);
    daemon.until("both are there", || office.server.users().len() == 2);
    let paused = office.product.run(&["password", "pause", "--target", "cloud"]);
    assert_eq!(paused.code, 0, "{paused}");
    office.told("guid:7", "taro", "of-taro-Passw0rd");
    office.told("guid:8", "jiro", "of-jiro-Passw0rd");
    let renamed = person(7, "taro.new", "title: x\n");
    office.product.write("hr.ldif", &renamed);
    daemon.until("the rename and the deletion are known", || {
        office.waiting().iter().all(|(login, _)| login != "jiro")
    });
    let resumed = office.product.run(&["password", "resume", "--all"]);
    assert_eq!(resumed.code, 0, "{resumed}");
    daemon.until("it is delivered", || office.passwords() == ["of-taro-Passw0rd"]);
    let shown = office.product.json(&["password", "show", "jiro", "--json"]);
    let audit = shown["audit"].as_array().expect("a list");
    assert!(audit.iter().any(|line| line["what"] == "PURGED_USER_DELETED"), "{shown}");
    daemon.stop();
}

#[test]
fn m4_m12_rules_and_rights_decide_whose_passwords_go_where() {
    let people = person(7, "taro", "title: x\nou: secret\n")
        + &person(8, "root", "title: x\nadminCount: 1\n")
        + &person(9, "hana", "title: x\n");
    let office = Office::new(&people, LANE);
    let daemon = Daemon::start(&office.product);
    daemon.until("all are there", || office.server.users().len() == 3);
    assert_eq!(office.told("guid:7", "taro", "no-1-Passw0rd"), "filtered");
    assert_eq!(office.told("guid:8", "root", "no-2-Passw0rd"), "filtered");
    assert_eq!(office.told("guid:9", "hana", "yes-Passw0rd"), "queued");
    daemon.until("it is delivered", || office.passwords() == ["yes-Passw0rd"]);
    assert_eq!(daemon.count("PW024"), 2);
    daemon.stop();
}

#[test]
fn n14_new_users_without_a_password_get_the_initial_one_and_a_real_one_wins() {
    let lane = format!("{LANE}  initial_password: {{mode: random}}\n");
    let office = Office::new("", &lane);
    let daemon = Daemon::start(&office.product);
    office.product.write("hr.ldif", &person(7, "taro", "title: x\n"));
    daemon.until("the initial password is set", || office.passwords().len() == 1);
    assert!(office.passwords()[0].len() >= 32);
    assert_eq!(daemon.count("PW042"), 1);
    assert_eq!(office.told("guid:7", "taro", "own-Passw0rd"), "queued");
    daemon
        .until("the own password is set", || office.passwords().last().unwrap() == "own-Passw0rd");
    daemon.stop();
}

#[test]
fn n19_n20_d11_one_mail_tells_the_user_of_a_rejection() {
    let smtp = SmtpServer::start(Offer::Clear);
    let more = format!(
        "{LANE}mail: {{host: 127.0.0.1, port: {}, security: none, from: noreply@example.test, \
         utc_offset: '+09:00'}}\n",
        smtp.port()
    );
    let more = more.replace("cloud: {}", "cloud: {length: {min: 12}, display_name: クラウド}");
    let office = Office::new(&person(7, "taro", "title: x\n"), &more);
    let daemon = Daemon::start(&office.product);
    daemon.until("the user is there", || office.server.users().len() == 1);
    assert_eq!(office.told("guid:7", "taro", "too-short"), "queued");
    daemon.until("the mail is there", || !smtp.mails().is_empty());
    // The user changes: tried again, and not told again (D-11).
    office.product.write("hr.ldif", &person(7, "taro", "title: y\n"));
    daemon.until("it was tried again", || daemon.count("PW032") == 2);
    assert_eq!(office.told("guid:7", "taro", "long-enough-Passw0rd"), "queued");
    daemon.until("the next one arrives", || office.passwords() == ["long-enough-Passw0rd"]);
    let mails = smtp.mails();
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(mails[0].to, ["taro@example.test"]);
    let body = &mails[0].body;
    for wanted in ["taro さん", "クラウド", "+09:00"] {
        assert!(body.contains(wanted), "{wanted}: {body}");
    }
    assert!(!body.contains("too-short"), "{body}");
    daemon.stop();
}

#[test]
fn staging_mode_holds_passwords_back_as_it_does_everything_else() {
    let office = Office::new(&person(7, "taro", "title: x\n"), LANE);
    let daemon = Daemon::start(&office.product);
    daemon.until("the user is there", || office.server.users().len() == 1);
    let on = office.product.run(&["staging", "on"]);
    assert_eq!(on.code, 0, "{on}");
    assert_eq!(office.told("guid:7", "taro", "held-Passw0rd"), "queued");
    office.product.write("hr.ldif", &person(7, "taro", "title: y\n"));
    let runs = daemon.count("RN001");
    daemon.until("a run saw the change", || daemon.count("RN001") > runs);
    assert_eq!(office.waiting(), [("taro".to_owned(), "READY".to_owned())]);
    assert_eq!(office.passwords(), [""; 0]);
    let off = office.product.run(&["staging", "off"]);
    assert_eq!(off.code, 0, "{off}");
    daemon.until("it is delivered", || office.passwords() == ["held-Passw0rd"]);
    daemon.stop();
}

#[test]
fn a_script_is_played_without_state_and_server() {
    let product = Product::new(&[]);
    let story = concat!(env!("CARGO_MANIFEST_DIR"), "/../runtime/password/tests/stories");
    let played = product.run(&["password", "simulate", &format!("{story}/netiq_a_no_effect.txt")]);
    let wanted = fs::read_to_string(format!("{story}/netiq_a_no_effect.out")).unwrap();
    assert_eq!((played.code, played.stdout), (0, wanted));
    product.write("wrong.txt", "capture\n");
    let wrong = product.path("wrong.txt").display().to_string();
    let refused = product.run(&["password", "simulate", &wrong]);
    assert!(refused.code == 2 && refused.stderr.contains("line 1"), "{refused}");
}

#[test]
fn n10_commands_say_what_is_wrong_and_how_to_mend_it() {
    let office = Office::without_sync(LANE);
    let product = &office.product;
    let check = |arguments: &[&str], code: i32, said: &str| {
        let answer = product.run(arguments);
        assert_eq!(answer.code, code, "{arguments:?}: {answer}");
        let all = format!("{}{}", answer.stdout, answer.stderr);
        assert!(all.contains(said), "{arguments:?}: {answer}");
    };
    check(&["password", "sizing", "--count", "18000"], 0, "300");
    check(&["password", "retry"], 2, "`--all`");
    check(&["password", "retry", "--target", "clod"], 2, "`cloud`");
    check(&["password", "purge", "--user", "nobody"], 2, "no password of a user `nobody`");
    check(&["password", "show", "nobody"], 2, "list --all");
    check(&["password", "keys", "retire", "xyz"], 2, "no key id");
    check(&["password", "doctor"], 1, "FAIL intake");
    let key = keys::list(&product.path("state/password-keys")).unwrap().remove(0).id.to_string();
    check(&["password", "keys", "retire", &key], 5, "the only one");
    let output = office.send("taro", "", "x");
    assert_eq!(output.status.code(), Some(2), "what a user key is");
    // Nobody answers, and there is no spool that could take it.
    product.write("spool", "a file in the way");
    assert_eq!(office.send("login:taro", "", "x").status.code(), Some(75));
    // A private key that others may read: refused at the start (6.2).
    let file = product.path(&format!("state/password-keys/{key}.key"));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(&file, open).unwrap();
    check(&["run"], 77, "not safe");
}

#[test]
fn n07_o20_a_configuration_is_begun_with_what_was_answered() {
    let product = Product::new(&[]);
    let made = product.run(&["config", "init", "--preset", "counted", "--expiry", "90"]);
    assert_eq!(made.code, 0, "{made}");
    let text = product.read("config.yml");
    assert!(text.contains("expiry: 90") && text.contains("max: 3"), "{text}");
    assert!(text.contains("# For how many minutes"), "{text}");
    let again = product.run(&["config", "init"]);
    assert_eq!(again.code, 2, "what is there is not overwritten: {again}");
    let unknown = product.run(&["--config", "other.yml", "config", "init", "--preset", "x"]);
    assert_eq!(unknown.code, 2, "{unknown}");
}

#[test]
fn o02_an_authority_that_contradicts_itself_is_refused() {
    for (lane, code) in [
        ("password: {authority: target, agents: {a: {source: hr}}, targets: {cloud: {}}}", "K0260"),
        ("password: {authority: both, echo_ttl: 0s, targets: {cloud: {}}}", "K0261"),
        ("password: {targets: {}}", "K0265"),
        ("password: {preset: counted, targets: {cloud: {}}}", "K0267"),
        ("password: {targets: {clod: {}}}", "K0270"),
        ("password: {targets: {cloud: {style: exop}}}", "K0271"),
        ("password: {agents: {kakehi: {source: hr}}, targets: {cloud: {}}}", "K0279"),
        ("password: {intake: {listen: '127.0.0.1:0'}, targets: {cloud: {}}}", "K0269"),
    ] {
        let office = Office::without_sync(LANE);
        let config = office.product.read("config.yml").replace(LANE, lane);
        office.product.write("config.yml", &config);
        let checked = office.product.run(&["config", "check"]);
        assert_eq!(checked.code, 78, "{lane}: {checked}");
        assert!(checked.stderr.contains(code), "{lane}: {checked}");
    }
    let both = "password: {authority: both, agents: {a: {source: hr}}, targets: {cloud: {}}}";
    let office = Office::without_sync(LANE);
    let config = office.product.read("config.yml").replace(LANE, both);
    office.product.write("config.yml", &config);
    let checked = office.product.run(&["config", "check"]);
    assert!(checked.code == 0 && checked.stdout.contains("K0262"), "{checked}");
}

// === remote agents ===

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970");
        Timestamp(i64::try_from(since.as_millis()).expect("it is not that late"))
    }
}

/// A capture of `agent` for a user, with a number of its own.
fn capture(key: &PublicKey, agent: &str, source: &str, user: &str, sequence: u64) -> Envelope {
    let metadata = Metadata {
        source: source.into(),
        key_type: KeyType::Login,
        user_key: user.into(),
        login: user.into(),
        agent: agent.into(),
        agent_epoch: 1,
        sequence,
        captured_at_ms: u64::try_from(Fixed.now().0).unwrap_or(0),
        operation: Operation::Change,
    };
    let password = Password::new("remote-Passw0rd".to_owned().into());
    envelope::seal(key, &metadata, &password).expect("it is sealed")
}

/// A folder with an authority, and a certificate of a name.
fn certificate(folder: &Path, name: &str) -> TlsFiles {
    certificates::sign(folder, &Bearer::Client, &format!("DNS:{name}"));
    let keep = |from: &str, to: String| {
        fs::rename(folder.join(from), folder.join(&to)).expect("a new file");
        folder.join(to)
    };
    TlsFiles {
        ca: folder.join("ca.pem"),
        certificate: keep("client.pem", format!("{name}.pem")),
        key: keep("client.key", format!("{name}.key")),
    }
}

#[test]
fn m4_m15_remote_agents_speak_for_themselves_and_for_their_source_only() {
    let lane = "password:
  intake:
    listen: 127.0.0.1:0
    certificate: tls/server.pem
    key: tls/server.key
    client_ca: tls/ca.pem
    per_user_per_hour: 3
  agents: {dc1.example.test: {source: hr}, dc2.example.test: {source: other}}
  targets: {cloud: {system: other}}
";
    let office = Office::without_sync(lane);
    let tls = office.product.path("tls");
    fs::create_dir(&tls).unwrap();
    certificates::authority(&tls);
    certificates::sign(&tls, &Bearer::Server, "IP:127.0.0.1");
    let [dc1, dc2, stranger] =
        ["dc1.example.test", "dc2.example.test", "x.example.test"].map(|it| certificate(&tls, it));
    let daemon = Daemon::start(&office.product);
    let says = |event: &Json| event["message"].as_str().unwrap_or_default().to_owned();
    let said = daemon.events().iter().map(says).find(|it| it.contains("https://"));
    let said = said.expect("it says where it listens");
    let url = said.split(' ').find(|word| word.starts_with("https://")).unwrap().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let intake = |tls: &TlsFiles| {
        Intake::new(&Address::Https { url: url.clone(), tls: tls.clone() }).expect("usable files")
    };
    let (first, second, other) = (intake(&dc1), intake(&dc2), intake(&stranger));
    runtime.block_on(async {
        let line = first.public_key().await.expect("the key is told");
        let key = PublicKey::parse(line.trim()).expect("a key");
        let mine = |sequence| capture(&key, "dc1.example.test", "hr", "taro", sequence);
        let status = |code: u16| {
            move |error: &SendError| {
                matches!(error,
            SendError::Refused { status, .. } if *status == code)
            }
        };
        assert_eq!(first.send(&mine(1)).await.expect("it is taken").0, "queued");
        assert_eq!(first.send(&mine(1)).await.expect("it is known").0, "duplicate");
        // Another agent's name, another agent's source, a name that nobody has.
        let forged = second.send(&mine(2)).await.expect_err("a forged name");
        assert!(status(403)(&forged), "{forged:?}");
        let foreign = capture(&key, "dc1.example.test", "other", "taro", 3);
        let refused = first.send(&foreign).await.expect_err("a foreign source");
        assert!(status(403)(&refused), "{refused:?}");
        let unknown = capture(&key, "x.example.test", "hr", "taro", 1);
        let refused = other.send(&unknown).await.expect_err("an unknown agent");
        assert!(status(403)(&refused), "{refused:?}");
        // Sealed to a key that is not here.
        let folder = tempfile::tempdir().expect("a folder");
        let foreign = keys::new(folder.path(), Suite::X25519ChaCha, Fixed.now()).expect("a key");
        let unopened = capture(&foreign, "dc1.example.test", "hr", "taro", 4);
        let refused = first.send(&unopened).await.expect_err("a foreign key");
        assert!(status(400)(&refused), "{refused:?}");
        // M10: one user's captures are limited; others' go on.
        first.send(&mine(5)).await.expect("the third of taro");
        let limited = first.send(&mine(6)).await.expect_err("one too many");
        assert!(matches!(limited, SendError::Away { .. }), "{limited:?}");
        let hana = capture(&key, "dc1.example.test", "hr", "hana", 7);
        first.send(&hana).await.expect("another user");
    });
    daemon.stop();
}

#[test]
fn o32_o34_two_agents_one_stopped_and_the_newest_wins() {
    let lane = LANE.replace("local: {source: hr}", "dc1: {source: hr}, dc2: {source: hr}");
    let office = Office::without_sync(&lane);
    let daemon = Daemon::start(&office.product);
    let socket = office.product.path("state/password.sock");
    let intake = Intake::new(&Address::Socket(socket)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let key = PublicKey::parse(intake.public_key().await.unwrap().trim()).unwrap();
        // dc1 tells one and is gone; dc2 tells the next one.
        intake.send(&capture(&key, "dc1", "hr", "taro", 1)).await.unwrap();
        intake.send(&capture(&key, "dc2", "hr", "taro", 1)).await.unwrap();
        // dc1 is back and tells the old one again.
        assert_eq!(
            intake.send(&capture(&key, "dc1", "hr", "taro", 1)).await.unwrap().0,
            "duplicate"
        );
    });
    assert_eq!(daemon.count("PW022"), 1, "their clocks do not tell who was first");
    assert_eq!(office.waiting().len(), 1);
    daemon.stop();
}

#[test]
fn o07_o09_o18_o36_each_change_is_audited_though_only_the_newest_is_kept() {
    let lane = format!("{LANE}log: {{level: debug}}\n");
    let office = Office::without_sync(&lane);
    let daemon = Daemon::start(&office.product);
    office.product.run(&["password", "pause", "--all"]);
    for password in ["Passw0rd-1", "Passw0rd-2", "Passw0rd-3"] {
        assert_eq!(office.told("login:taro", "taro", password), "queued");
    }
    daemon.signal("-KILL");
    drop(daemon);
    // O-18: it is there after a crash; O-09: whoever works begins before anything arrives.
    let daemon = Daemon::start(&office.product);
    let events = daemon.events();
    let at = |id: &str| events.iter().rposition(|event| event["event_id"] == id);
    assert!(at("PW001") < at("PW002"), "{}", daemon.text());
    assert_eq!(office.waiting(), [("taro".to_owned(), "READY".to_owned())]);
    office.product.run(&["password", "resume", "--all"]);
    daemon.until("it was looked for", || daemon.count("PW030") == 1);
    let shown = office.product.json(&["password", "show", "taro", "--json"]);
    let audit = shown["audit"].as_array().expect("a list").iter();
    let told: Vec<&str> = audit.filter_map(|line| line["what"].as_str()).collect();
    let often = |what: &str| told.iter().filter(|said| **said == what).count();
    assert_eq!((often("queued"), often("SUPERSEDED")), (3, 2), "{told:?}");
    // O-36: what happened, and apart from it what the server said.
    for target in ["kakehi::password", "kakehi::password::detail"] {
        assert!(daemon.events().iter().any(|event| event["target"] == target), "{target}");
    }
    daemon.stop();
}

#[test]
fn a_full_queue_refuses_and_drops_nothing() {
    let lane = format!("{LANE}  queue: {{max_records: 2}}\n");
    let office = Office::without_sync(&lane);
    let daemon = Daemon::start(&office.product);
    office.product.run(&["password", "pause", "--all"]);
    assert_eq!(office.told("login:a", "a", "Passw0rd-1"), "queued");
    assert_eq!(office.told("login:b", "b", "Passw0rd-2"), "queued");
    let spooled = office.told("login:c", "c", "Passw0rd-3");
    assert!(spooled.starts_with("spooled"), "{spooled}");
    let names = |office: &Office| office.waiting().into_iter().map(|(name, _)| name);
    assert_eq!(names(&office).collect::<Vec<_>>(), ["a", "b"]);
    let purged = office.product.run(&["password", "purge", "--user", "a"]);
    assert_eq!(purged.code, 0, "{purged}");
    let spool = office.product.path("spool").display().to_string();
    let flushed = office.product.run(&["password", "flush", "--spool", &spool]);
    assert_eq!(flushed.code, 0, "{flushed}");
    assert_eq!(names(&office).collect::<Vec<_>>(), ["b", "c"]);
    daemon.stop();
}
