//! A private mail server for one test: answers to give flow in, the mails that it took flow out.
//! It is aiosmtpd on 127.0.0.1; all its files lie in a folder that vanishes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::certificates::{self, Bearer};
use crate::daemon::until;

/// The environment that `cargo verify` makes, seen from this crate.
const PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/venv/smtp/bin/python");

/// What runs in it.
const SCRIPT: &str = include_str!("smtp/server.py");

/// The only login that the server knows.
pub const USER: &str = "kakehi";
pub const PASSWORD: &str = "mail-secret-MARKER-4711";

/// How the server wants to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// STARTTLS and then a login, before anything else.
    Starttls,
    /// TLS from the first byte; no login.
    Tls,
    /// Neither TLS nor a login.
    Clear,
}

/// What the server does from the next mail on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Take,
    /// 451 to every recipient.
    Busy,
    /// 550 to every recipient.
    Refuse,
    /// 550 to this one.
    RefuseOnly(&'static str),
    /// Reads the mail and never answers.
    Silent,
    /// Takes the mail and hangs up without a goodbye.
    HangUp,
}

/// A mail that the server answers for.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    pub from: String,
    /// As the envelope says.
    pub to: Vec<String>,
    pub tls: bool,
    pub login: bool,
    /// Decoded, in order.
    pub headers: Vec<(String, String)>,
    /// Decoded, lines ended by `\n`.
    pub body: String,
}

pub struct SmtpServer {
    folder: TempDir,
    port: u16,
    process: Child,
}

// === impl SmtpServer ===

impl SmtpServer {
    /// Starts and waits until it listens.
    ///
    /// Panics if aiosmtpd is not installed: a test cannot go on without it.
    pub fn start(offer: Offer) -> Self {
        Self::without(offer, &[])
    }

    /// As [`SmtpServer::start`], with some ways to log in left out: `PLAIN`, `LOGIN`.
    pub fn without(offer: Offer, mechanisms: &[&str]) -> Self {
        assert!(Path::new(PYTHON).exists(), "aiosmtpd is not installed: run cargo verify");
        let folder = TempDir::new().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        certificates::authority(folder.path());
        certificates::sign(folder.path(), &Bearer::Server, "IP:127.0.0.1");
        let (security, user) = match offer {
            Offer::Starttls => ("starttls", USER),
            Offer::Tls => ("tls", ""),
            Offer::Clear => ("none", ""),
        };
        let settings = json!({
            "certificate": at("server.pem"),
            "key": at("server.key"),
            "security": security,
            "user": user,
            "password": PASSWORD,
            "without": mechanisms,
        });
        let files = [("settings.json", settings.to_string()), ("server.py", SCRIPT.to_owned())];
        for (name, text) in files.iter().chain([&("answer", String::new())]) {
            fs::write(at(name), text).expect("a new file");
        }
        let log = fs::File::create(at("log")).expect("a new file");
        let mut process = Command::new(PYTHON)
            .arg(at("server.py"))
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("python starts");
        let mut port = None;
        until("a mail server that listens", || {
            let ended = process.try_wait().expect("the process is ours");
            let log = || fs::read_to_string(at("log")).unwrap_or_default();
            assert!(ended.is_none(), "the mail server ended: {}", log());
            port = fs::read_to_string(at("port")).ok().and_then(|text| text.parse().ok());
            port.is_some()
        });
        Self { port: port.expect("it was read"), folder, process }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that vouches for the server, as 127.0.0.1.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// From the next mail on.
    pub fn behave(&self, manner: Manner) {
        let answer = match manner {
            Manner::Take => String::new(),
            Manner::Busy => "451".into(),
            Manner::Refuse => "550".into(),
            Manner::RefuseOnly(address) => format!("550 {address}"),
            Manner::Silent => "silent".into(),
            Manner::HangUp => "rude".into(),
        };
        fs::write(self.folder.path().join("answer"), answer).expect("an own file");
    }

    /// The mails that it took, in order.
    pub fn mails(&self) -> Vec<Taken> {
        let text = fs::read_to_string(self.folder.path().join("mails.jsonl")).unwrap_or_default();
        text.lines().map(|line| taken(&serde_json::from_str(line).expect("JSON"))).collect()
    }

    /// Everything that was said to it without TLS.
    pub fn heard_in_the_clear(&self) -> String {
        let bytes = fs::read(self.folder.path().join("clear.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        // It holds nothing worth a gentle end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// === impl Taken ===

impl Taken {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

fn taken(json: &Json) -> Taken {
    let text = |value: &Json| value.as_str().expect("a text").to_owned();
    let list = |name: &str| json[name].as_array().expect("a list").iter();
    Taken {
        from: text(&json["from"]),
        to: list("to").map(text).collect(),
        tls: json["tls"] == true,
        login: json["login"] == true,
        headers: list("headers").map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        body: text(&json["body"]).replace("\r\n", "\n"),
    }
}
