//! A service that a test starts, watches and stops.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::product::Product;

/// Longest wait for something that takes a fraction of a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// `kakehi run`, with its log in a file of the installation.
pub struct Daemon {
    child: Child,
    log: std::path::PathBuf,
}

/// Waits until something holds.
///
/// Panics with `what` if it does not come to pass.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// === impl Daemon ===

impl Daemon {
    /// Starts it and waits until it is ready.
    pub fn start(product: &Product) -> Self {
        let log = product.path("daemon.log");
        let to = File::options().create(true).append(true).open(&log).expect("a log file");
        let mut command = product.command(&["run"]);
        command.stdout(Stdio::null()).stderr(to);
        let before = events(&log).len();
        let child = command.spawn().expect("the program starts");
        let mut daemon = Self { child, log };
        until("ready", || {
            assert!(daemon.is_running(), "it ended: {}", daemon.text());
            daemon.events().iter().skip(before).any(|event| event["event_id"] == "SV002")
        });
        daemon
    }

    /// Waits until something holds.
    ///
    /// Panics with `what` and everything it logged if it does not come to pass.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "{what} did not happen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()), "cannot send {name}");
    }

    /// Everything that it logged so far.
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn events(&self) -> Vec<Json> {
        events(&self.log)
    }

    /// How often an event was logged.
    pub fn count(&self, id: &str) -> usize {
        self.events().iter().filter(|event| event["event_id"] == id).count()
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let digits: String =
            line.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a number of KiB")
    }

    /// The value of a metric without labels; the service has `http: {listen: '127.0.0.1:0'}`.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = self.get("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    pub fn get(&self, path: &str) -> String {
        let told = self.events().into_iter().rev().find(|event| event["event_id"] == "SV014");
        let address = told.and_then(|event| event["address"].as_str().map(str::to_owned));
        let address = address.expect("it says where it answers");
        let mut stream = TcpStream::connect(&address).expect("it answers");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it talks text");
        text
    }

    /// Asks it to end; gives its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.child.wait().expect("it is ours").code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It is gone already if the test ended well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn events(log: &std::path::Path) -> Vec<Json> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    // The last line may still be written.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
