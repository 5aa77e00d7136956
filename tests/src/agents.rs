//! Where capture agents of a test work: a folder with keys, spools, and an intake that may be away.

use std::io::{BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use kakehi_engine::time::Timestamp;
use kakehi_password::agent::client::Address;
use kakehi_password::agent::{Agent, Options};
use kakehi_password::door::Clock;
use kakehi_password::envelope::{self, Envelope, Suite};
use kakehi_password::keys::{self, KeyRing};
use kakehi_password::spool::{Spool, SpoolLimits};

/// Folders and keys. Several processes may work in one.
pub struct Office {
    folder: PathBuf,
    pub limits: SpoolLimits,
}

/// The time of this machine.
struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let since = std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970");
        Timestamp(i64::try_from(since.as_millis()).expect("it is not that late"))
    }
}

// === impl Office ===

impl Office {
    /// Makes keys.
    pub fn new(folder: &Path) -> Self {
        let key = keys::new(&folder.join("keys"), Suite::X25519ChaCha, Wall.now());
        let key = key.expect("a new key");
        std::fs::write(folder.join("key.pub"), key.to_string()).expect("a new file");
        Self::at(folder)
    }

    /// One that another process made.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), limits: SpoolLimits::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// An agent with a spool named after it.
    pub fn agent(&self, name: &str) -> Agent {
        let options = Options {
            source: "corp".into(),
            agent: name.into(),
            key: self.path("key.pub"),
            spool: self.path(name),
            limits: self.limits,
            intake: Address::Socket(self.path("intake.sock")),
        };
        Agent::new(&options, Arc::new(Wall)).expect("an agent")
    }

    /// What waits in an agent's spool, oldest first, opened: operation, login name, password.
    pub fn spooled(&self, name: &str) -> Vec<String> {
        let spool = Spool::open(&self.path(name), self.limits).expect("a spool");
        let all = spool.oldest(1000).expect("a spool that can be read");
        all.iter().map(|spooled| self.told(spooled.envelope())).collect()
    }

    fn told(&self, envelope: &Envelope) -> String {
        let ring = KeyRing::load(&self.path("keys")).expect("keys");
        let password = envelope::open(&ring, envelope).expect("it is sealed for our key");
        let it = envelope.metadata();
        format!("{:?} {} {}", it.operation, it.login, password.expose())
    }

    /// An intake that takes everything; it ends with the process.
    pub fn intake(&self) -> Intake {
        let listener = UnixListener::bind(self.path("intake.sock")).expect("a new socket");
        let got = Arc::new(Mutex::new(vec![]));
        let to = got.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.expect("a socket"));
                let body = read_request(&mut stream);
                // Taken before it is told: the other order would be a lie.
                to.lock().expect("nobody panicked").push(body);
                let text = r#"{"status":"queued"}"#;
                let length = text.len();
                let head = format!("HTTP/1.1 202 Accepted\r\ncontent-length: {length}\r\n\r\n");
                // An agent that went away meanwhile sends it again.
                let _ = stream.get_mut().write_all(format!("{head}{text}").as_bytes());
            }
        });
        Intake { got }
    }

    /// What an intake took, as [`Office::spooled`] tells it.
    pub fn taken(&self, intake: &Intake) -> Vec<String> {
        let got = intake.got.lock().expect("nobody panicked");
        let parse = |bytes: &Vec<u8>| Envelope::parse(bytes.clone()).expect("an envelope");
        got.iter().map(|bytes| self.told(&parse(bytes))).collect()
    }
}

pub struct Intake {
    got: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// The body of one request.
fn read_request(stream: &mut impl std::io::BufRead) -> Vec<u8> {
    let (mut length, mut line) = (0, String::new());
    while stream.read_line(&mut line).expect("a request") > 2 {
        let header = line.to_ascii_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a whole body");
    body
}
