//! The benchmark's end of the sink. In: nothing but the benchmark's own binary. Out: a running
//! sink, its address, and what it counted; it ends when it is dropped.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::STATS_PATH;
use crate::bench::{BenchError, Result};

/// What the sink saw since its counts were last set to zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    pub reads: u64,
    pub creates: u64,
    pub changes: u64,
    pub deletes: u64,
    pub body_bytes: u64,
    /// Since the last request was complete. A duration, since the clocks of two processes that may
    /// only be compared by their distance need not agree.
    pub idle_us: u64,
}

impl Stats {
    /// Requests that change something.
    pub fn writes(&self) -> u64 {
        self.creates + self.changes + self.deletes
    }

    pub fn requests(&self) -> u64 {
        self.writes() + self.reads
    }

    /// What came since an earlier look.
    pub fn since(&self, earlier: &Stats) -> Stats {
        Stats {
            reads: self.reads - earlier.reads,
            creates: self.creates - earlier.creates,
            changes: self.changes - earlier.changes,
            deletes: self.deletes - earlier.deletes,
            body_bytes: self.body_bytes - earlier.body_bytes,
            idle_us: self.idle_us,
        }
    }

    /// When the last request was complete, if this look was just taken.
    pub fn last_complete(&self) -> Instant {
        Instant::now() - Duration::from_micros(self.idle_us)
    }
}

/// A running sink.
pub struct Sink {
    server: Child,
    address: String,
}

impl Sink {
    pub fn start() -> Result<Sink> {
        let broken = |error| BenchError::io("start the sink", error);
        let mut server = Command::new(std::env::current_exe().map_err(broken)?)
            .arg("sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let mut address = String::new();
        if let Some(stdout) = server.stdout.take() {
            BufReader::new(stdout).read_line(&mut address).map_err(broken)?;
        }
        Ok(Sink { server, address: address.trim_end().to_owned() })
    }

    /// Base URL of the service.
    pub fn url(&self) -> String {
        format!("http://{}/scim/v2", self.address)
    }

    pub fn process(&self) -> u32 {
        self.server.id()
    }

    pub fn stats(&self) -> Result<Stats> {
        self.ask("GET")
    }

    /// Forgets every resource and every count.
    pub fn reset(&self) -> Result<()> {
        self.ask("DELETE").map(drop)
    }

    fn ask(&self, method: &str) -> Result<Stats> {
        let answer =
            self.exchange(method).map_err(|error| BenchError::io("ask the sink", error))?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).map_err(|error| BenchError::answer("the sink", error))
    }

    fn exchange(&self, method: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "{method} {STATS_PATH} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.address
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if self.server.kill().is_ok() {
            let _ = self.server.wait();
        }
    }
}
