//! No password can be read anywhere but where it is sent (password.md 7.3, M7, M8; S-22).
//!
//! The targets answer in every way there is, and tell the password back in six encodings. Then
//! everything is searched that the product left, and its memory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use kakehi_tests::daemon::{Daemon, until};
use kakehi_tests::installation::{LDIF_MANIFEST, TOKEN, ldif_config};
use kakehi_tests::product::{Answer, Product, contents};
use kakehi_tests::receiver::InProcess;
use kakehi_tests::smtp::{Offer, SmtpServer};

use crate::forms::{self, password};
use crate::http::{self, Act, Seen, Server};
use crate::office;

/// How each target answers, which is also its name.
const MANNERS: [&str; 7] =
    ["good", "rejecting", "failing", "cutting", "unknown", "redirecting", "refusing"];

const QUIET: [&str; 4] = ["good", "rejecting", "failing", "cutting"];

/// Those that nothing more is sent to for a while after such an answer.
const BREAKING: [&str; 2] = ["redirecting", "refusing"];

/// So much memory is looked at at once.
const CHUNK: usize = 1 << 20;
/// And so much of the next: no form of the marker is longer.
const OVERLAP: usize = 256;

/// Who was to get a password where.
type Asked = Arc<Mutex<BTreeSet<(String, String)>>>;

/// Everything that was said, for the search.
#[derive(Default)]
struct Heard(Vec<(String, Vec<u8>)>);

// === impl Heard ===

impl Heard {
    fn answer(&mut self, what: &str, answer: &Answer) {
        self.0.push((format!("{what}, stdout"), answer.stdout.clone().into()));
        self.0.push((format!("{what}, stderr"), answer.stderr.clone().into()));
    }

    /// Runs a command; gives what it printed.
    fn run(&mut self, product: &Product, arguments: &[&str]) -> String {
        let answer = product.run(arguments);
        self.answer(&arguments.join(" "), &answer);
        format!("{}{}", answer.stdout, answer.stderr)
    }

    fn send(&mut self, product: &Product, user: &str, password: &str) -> String {
        let answer = office::send(product, &format!("login:{user}"), password);
        self.answer("send", &answer);
        assert_eq!(answer.code, 0, "{answer}");
        answer.stdout
    }

    /// Everything that may be asked of the queue, and of a service.
    fn look(&mut self, product: &Product, daemon: &Daemon) {
        for arguments in [
            &["password", "status"][..],
            &["password", "status", "--json"],
            &["password", "list", "--all"],
            &["password", "list", "--json"],
            &["password", "show", "taro"],
            &["password", "show", "--json", "taro"],
            &["password", "keys", "list", "--json"],
            &["password", "doctor"],
            &["password", "doctor", "--json"],
            &["status"],
            &["config", "show"],
        ] {
            self.run(product, arguments);
        }
        for path in ["/metrics", "/healthz", "/readyz"] {
            self.0.push((path.to_owned(), daemon.get(path).into()));
        }
    }

    /// What is found in it, and in all files of the installation.
    fn search(&self, product: &Product) -> Vec<String> {
        let needles = forms::needles();
        let files = contents(product.folder.path());
        let files = files.iter().map(|(path, bytes)| (path.display().to_string(), bytes));
        let said = self.0.iter().map(|(what, bytes)| (what.clone(), bytes));
        said.chain(files)
            .flat_map(|(what, bytes)| {
                let found = forms::search(bytes, &needles);
                found.into_iter().map(move |found| format!("{what}: {found}")).collect::<Vec<_>>()
            })
            .collect()
    }
}

/// All targets in one server. `echo`: whether they tell passwords back.
fn targets(echo: bool) -> (Server, Asked) {
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    let server = Server::start(move |seen| {
        let manner = seen.path.split('/').nth(1).unwrap_or_default();
        match (seen.method.as_str(), seen.looked_up()) {
            ("GET", Some(_)) if manner == "unknown" => http::nobody(),
            ("GET", Some(name)) => http::found(name),
            ("GET", None) => http::user(seen.id()),
            _ => {
                let whose = (manner.to_owned(), seen.id().to_owned());
                noted.lock().expect("nobody panicked").insert(whose);
                set(manner, seen, echo)
            }
        }
    });
    (server, asked)
}

fn set(manner: &str, seen: &Seen, echo: bool) -> Act {
    let password = seen.password().expect("a password");
    let told = match echo {
        true => forms::echoes(&password),
        false => "no".to_owned(),
    };
    match manner {
        "good" => http::say(204, ""),
        "rejecting" => http::invalid_value(&told),
        "failing" => http::say(500, format!("<html><body>{told}</body></html>")),
        "redirecting" => {
            let header = told.escape_default().to_string();
            let place = format!("Location: http://127.0.0.1:1/?{header}\r\nX-Said: {header}\r\n");
            Act::Say(302, place, told)
        }
        "refusing" => http::say(401, told),
        _ => Act::HangUp,
    }
}

fn config(server: &Server, manners: &[&'static str], policy: &str) -> String {
    let address = |manner: &&'static str| (*manner, format!("{}/{manner}", server.base_url()));
    let targets: Vec<(&str, String)> = manners.iter().map(address).collect();
    office::config("debug", &targets, policy)
}

/// Waits until every target has answered for a user, or is not asked.
fn until_settled(product: &Product, user: &str, manners: &[&str]) {
    until("every target has answered", || {
        let waiting = office::waiting(product);
        let of_user = waiting.iter().filter(|slot| slot["login"] == user);
        let mut settled: Vec<&str> = of_user
            .filter(|slot| {
                let breaking = slot["target"].as_str().is_some_and(|it| BREAKING.contains(&it));
                let state = slot["state"].as_str().unwrap_or_default();
                state.starts_with("WAIT") || (breaking && state == "READY")
            })
            .filter_map(|slot| slot["target"].as_str())
            .collect();
        settled.push("good");
        manners.iter().all(|manner| settled.contains(manner)) && settled.len() == manners.len()
    });
}

#[test]
fn m7_m8_o06_i05_no_password_is_readable_anywhere() {
    let (server, asked) = targets(true);
    let policy = "  breaker: {after: 1000}\n";
    let product = office::product(&config(&server, &MANNERS, policy));
    let mut heard = Heard::default();
    let daemon = Daemon::start(&product);
    // In every way that a target answers; then superseded, then purged.
    for number in 1..=2 {
        assert_eq!(heard.send(&product, "taro", &password(number)), "queued\n");
        until("all are asked", || asked.lock().unwrap().len() == MANNERS.len() - 1);
        until_settled(&product, "taro", &MANNERS);
    }
    heard.look(&product, &daemon);
    heard.run(&product, &["password", "retry", "--user", "taro"]);
    until_settled(&product, "taro", &MANNERS);
    heard.run(&product, &["password", "purge", "--user", "taro"]);
    assert!(office::waiting(&product).is_empty());
    // Spooled and flushed.
    daemon.stop();
    assert!(heard.send(&product, "hanako", &password(3)).starts_with("spooled"));
    let in_spool = contents(&product.path("spool"));
    assert!(in_spool.iter().any(|(path, _)| path.extension().is_some_and(|it| it == "kkpw")));
    assert_eq!(heard.search(&product), Vec::<String>::new());
    let daemon = Daemon::start(&product);
    let spool = product.path("spool");
    heard.run(&product, &["password", "flush", "--spool", spool.to_str().unwrap()]);
    until_settled(&product, "hanako", &MANNERS);
    // What nobody can open any more.
    heard.run(&product, &["password", "pause", "--all"]);
    assert_eq!(heard.send(&product, "jiro", &password(4)), "queued\n");
    heard.look(&product, &daemon);
    daemon.stop();
    std::fs::rename(product.state().join("password-keys"), product.path("lost")).unwrap();
    heard.run(&product, &["password", "keys", "new"]);
    let daemon = Daemon::start(&product);
    heard.run(&product, &["password", "resume", "--all"]);
    until("nothing of jiro's can be opened", || {
        let waiting = office::waiting(&product);
        let quarantined = |slot: &&serde_json::Value| slot["state"] == "QUARANTINED";
        waiting.iter().filter(|slot| slot["login"] == "jiro").filter(quarantined).count() == 6
    });
    heard.look(&product, &daemon);
    daemon.stop();
    // Too old.
    product.write("config.yml", &config(&server, &MANNERS, "  hard_max_age: 1ms\n"));
    let daemon = Daemon::start(&product);
    until("everything is too old", || office::waiting(&product).is_empty());
    heard.look(&product, &daemon);
    let log = daemon.text();
    daemon.stop();
    for event in ["PW010", "PW030", "PW031", "PW032", "PW036", "PW040", "PW050"] {
        assert!(log.contains(event), "{event} is missing");
    }
    // What the servers said is there, as far as it may be.
    assert!(log.contains("the server said: ") && log.contains("raw [password]"), "{log}");
    assert_eq!(heard.search(&product), Vec::<String>::new());
}

#[test]
fn m7_the_memory_of_an_idle_service_holds_no_password() {
    let (server, _) = targets(false);
    let policy = "  breaker: {after: 1000}\n";
    let product = office::product(&config(&server, &QUIET, policy));
    let daemon = Daemon::start(&product);
    for number in 0..20 {
        let user = format!("user-{}", number % 4);
        assert_eq!(office::send(&product, &format!("login:{user}"), &password(number)).code, 0);
    }
    for user in 0..4 {
        until_settled(&product, &format!("user-{user}"), &QUIET);
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    daemon.signal("-STOP");
    let Some((tokens, found)) = memory(&daemon) else { return };
    // The token is there by right, and shows that the memory was seen.
    assert!(tokens > 0, "the heap was not seen");
    assert!(found.is_empty(), "{} copies:\n{}", found.len(), found.join("\n"));
}

#[test]
fn m8_n20_a_mail_about_a_rejection_holds_neither_the_password_nor_what_the_server_said() {
    let (server, _) = targets(true);
    let (cloud, smtp) = (InProcess::start(), SmtpServer::start(Offer::Clear));
    let vault = format!("{}/rejecting", server.base_url());
    let config = ldif_config(&cloud.base_url()).replace(
        "credentials:",
        &format!(
            "  vault: {{base_url: '{vault}', credential: cloud-token}}
log: {{level: debug}}
http: {{listen: '127.0.0.1:0'}}
mail: {{host: 127.0.0.1, port: {}, security: none, from: no-reply@example.test}}
password: {{agents: {{local: {{source: hr}}}}, targets: {{vault: {{match: {{source: uid}}}}}}}}
credentials:",
            smtp.port()
        ),
    );
    let rules = "  - {name: cloud, kind: scim, order: 2}\n";
    let manifest = format!("{rules}  - {{name: vault, kind: scim, order: 3}}\n");
    let (title, mail) = ("from: title}", "from: title}, {to: mail, from: mail}");
    let product = Product::new(&[
        ("config.yml", &config),
        ("secret.yml", &format!("credentials:\n  cloud-token: {{value: {TOKEN}}}\n")),
        ("manifest.yml", &LDIF_MANIFEST.replace(rules, &manifest).replacen(title, mail, 1)),
        (
            "hr.ldif",
            "dn: uid=taro\nobjectClass: inetOrgPerson\nuid: taro\nmail: taro@example.test\n",
        ),
    ]);
    let mut heard = Heard::default();
    heard.run(&product, &["password", "keys", "new"]);
    let daemon = Daemon::start(&product);
    until("taro is known", || cloud.users() == ["taro"]);
    let sent = office::send(&product, "dn:uid=taro", &password(1));
    heard.answer("send", &sent);
    assert_eq!(sent.code, 0, "{sent}");
    until("there is a mail", || !smtp.mails().is_empty());
    heard.look(&product, &daemon);
    daemon.stop();
    let [mail] = <[_; 1]>::try_from(smtp.mails()).expect("one mail");
    assert_eq!(mail.to, ["taro@example.test"]);
    let text = format!("{:?}{}", mail.headers, mail.body);
    assert!(!text.contains("raw [password]") && !text.contains("wide"), "{text}");
    heard.0.push(("mail".into(), text.into()));
    heard.0.push(("on the wire".into(), smtp.heard_in_the_clear().into()));
    assert_eq!(heard.search(&product), Vec::<String>::new());
}

/// Everything in the memory of a process that a core file could hold, and what it keeps out of one.
/// Gives how often the token was seen, and where the marker was.
///
/// `None`, with a word on the standard error: we are not let in.
fn memory(daemon: &Daemon) -> Option<(usize, Vec<String>)> {
    let folder = PathBuf::from(format!("/proc/{}", daemon.pid()));
    let mut memory = match File::open(folder.join("mem")) {
        Ok(memory) => memory,
        Err(error) => {
            // Nobody but an administrator may look into it (7.3).
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
            eprintln!("the memory was not searched, that takes an administrator: {error}");
            return None;
        }
    };
    let needles = forms::needles();
    let (mut tokens, mut found) = (0, vec![]);
    let mut chunk = vec![0; CHUNK + OVERLAP];
    for line in std::fs::read_to_string(folder.join("maps")).unwrap().lines() {
        let Some((from, to)) = readable(line) else { continue };
        for at in (from..to).step_by(CHUNK) {
            let length = usize::try_from(to - at).unwrap().min(CHUNK + OVERLAP);
            let chunk = &mut chunk[..length];
            memory.seek(SeekFrom::Start(at)).unwrap();
            // Pages of the kernel's own, and devices, cannot be read.
            if memory.read_exact(chunk).is_err() || chunk.iter().all(|byte| *byte == 0) {
                continue;
            }
            tokens += forms::places(chunk, TOKEN.as_bytes()).len();
            let there = forms::search(chunk, &needles).into_iter();
            found.extend(there.map(|found| format!("{line} +{:#x}: {found}", at - from)));
        }
    }
    Some((tokens, found))
}

/// The range of a mapping, as the kernel lists it.
fn readable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let bounds = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
    rest.starts_with('r').then_some(bounds)
}
