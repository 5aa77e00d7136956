//! scim2-server 0.8.3, the strict reading of the RFCs, as a process: a test starts one, talks to
//! it, and dropping it ends the process.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;
use tempfile::NamedTempFile;

use crate::scim::TOKEN;

/// The program that `cargo verify` installs, seen from this crate.
const PROGRAM: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../target/venv/scim2-server/bin/scim2-server");

/// How often a starting server is asked whether it is there, and how long it is left alone between.
/// Python on a busy machine takes seconds to start.
const START_TRIES_MAX: u32 = 600;
const START_PAUSE: Duration = Duration::from_millis(100);

/// A running scim2-server with no objects.
pub struct ScimServer {
    port: u16,
    process: Child,
    /// Its own log: a line for each request.
    log: NamedTempFile,
}

impl ScimServer {
    /// Starts a server on a free port and waits until it answers.
    pub fn start() -> Self {
        assert!(Path::new(PROGRAM).exists(), "scim2-server is not installed: run cargo verify");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = free.local_addr().expect("the socket is bound").port();
        drop(free);
        let log = NamedTempFile::new().expect("a file for the log");
        let process = Command::new(PROGRAM)
            .args(["--port", &port.to_string(), "--bearer-token", TOKEN])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.reopen().expect("the log can be opened again"))
            .spawn()
            .expect("scim2-server starts");
        let mut server = Self { port, process, log };
        for _ in 0..START_TRIES_MAX {
            if server.get("/ServiceProviderConfig").is_some() {
                return server;
            }
            let ended = server.process.try_wait().expect("the process is ours");
            assert_eq!(ended, None, "scim2-server ended while starting");
            std::thread::sleep(START_PAUSE);
        }
        panic!("scim2-server does not answer");
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v2", self.port)
    }

    /// All objects of an endpoint, `Users` or `Groups`: the server's own view, apart from ours.
    pub fn resources(&self, endpoint: &str) -> Vec<Json> {
        let mut all = vec![];
        loop {
            let page = format!("/{endpoint}?count=1000&startIndex={}", all.len() + 1);
            let list = self.get(&page).expect("the server runs");
            match list["Resources"].as_array() {
                Some(page) if !page.is_empty() => all.extend(page.iter().cloned()),
                _ => return all,
            }
        }
    }

    pub fn users(&self) -> Vec<Json> {
        self.resources("Users")
    }

    pub fn groups(&self) -> Vec<Json> {
        self.resources("Groups")
    }

    /// Method and path of every request so far that got an answer: `PATCH /v2/Users/1`.
    pub fn requests(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.log.path()).expect("the log can be read");
        let line = |line: &str| {
            let request = line.split('"').nth(1)?;
            Some(request.rsplit_once(" HTTP/")?.0.to_owned())
        };
        log.lines().filter_map(line).collect()
    }

    /// Whether a user has this password. The server shows none, but it compares them.
    pub fn has_password(&self, user: &str, password: &str) -> bool {
        let quoted = serde_json::json!(password);
        let filter = format!("userName eq \"{user}\" and password eq {quoted}");
        let encoded: String = filter.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let list = self.get(&format!("/Users?filter={encoded}")).expect("the server runs");
        list["totalResults"] == 1
    }

    fn get(&self, path: &str) -> Option<Json> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        let request = format!("GET /v2{path} HTTP/1.0\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }
}

impl Drop for ScimServer {
    fn drop(&mut self) {
        // It holds nothing worth a gentle end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
