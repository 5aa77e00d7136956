//! What tests of agents share: an intake that answers as it is told, a clock that stands still, an
//! agent between the two.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kakehi_engine::time::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use super::client::Address;
use super::{Agent, Options};
use crate::door::Clock;
use crate::envelope::{self, Envelope, Suite};
use crate::keys::{self, KeyRing};
use crate::spool::SpoolLimits;

/// 2026-11-22.
pub const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_334_400);

/// Stands still unless it is put forward.
pub struct FakeClock(AtomicI64);

impl FakeClock {
    pub fn forward_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Folders, key and clock of an agent.
pub struct World {
    pub folder: TempDir,
    pub clock: Arc<FakeClock>,
    pub limits: SpoolLimits,
}

impl World {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let key = keys::new(&folder.path().join("keys"), Suite::X25519ChaCha, NOW).expect("a key");
        std::fs::write(folder.path().join("key.pub"), key.to_string()).expect("a new file");
        let clock = Arc::new(FakeClock(AtomicI64::new(NOW.0)));
        Self { folder, clock, limits: SpoolLimits::default() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn socket(&self) -> PathBuf {
        self.path("intake.sock")
    }

    /// As after a restart: another process on the same folders.
    pub fn agent(&self) -> Agent {
        let options = Options {
            source: "corp".into(),
            agent: "dc1".into(),
            key: self.path("key.pub"),
            spool: self.path("spool"),
            limits: self.limits,
            intake: Address::Socket(self.socket()),
        };
        Agent::new(&options, self.clock.clone()).expect("an agent")
    }

    /// What an envelope says, in one line: `operation key login sequence password`.
    pub fn told(&self, envelope: &Envelope) -> String {
        let ring = KeyRing::load(&self.path("keys")).expect("a key ring");
        let password = envelope::open(&ring, envelope).expect("it was sealed for this key");
        let it = envelope.metadata();
        let (operation, sequence) = (it.operation, it.sequence);
        let (key, login, password) = (&it.user_key, &it.login, password.expose());
        format!("{operation:?} {key} {login} {sequence} {password}")
    }

    /// What waits in the spool, oldest first.
    pub fn spooled(&self, agent: &Agent) -> Vec<String> {
        let all = agent.spool().oldest(1000).expect("a spool");
        all.iter().map(|spooled| self.told(spooled.envelope())).collect()
    }
}

/// One answer: status, a header if any, body.
pub type Scripted = (u16, Option<(&'static str, &'static str)>, &'static str);

pub const QUEUED: Scripted = (202, None, r#"{"status":"queued"}"#);

/// An intake on a Unix socket. It answers from a script, and `queued` when that is over.
pub struct FakeIntake {
    got: Arc<Mutex<Vec<Vec<u8>>>>,
    script: Arc<Mutex<VecDeque<Scripted>>>,
    _tasks: JoinSet<()>,
}

impl FakeIntake {
    pub fn listen(socket: &Path, script: &[Scripted]) -> Self {
        // What an earlier one left.
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket).expect("a new socket");
        let script = Arc::new(Mutex::new(script.iter().copied().collect::<VecDeque<_>>()));
        let got = Arc::new(Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, script.clone(), got.clone()));
        Self { got, script, _tasks: tasks }
    }

    /// The envelopes that it took, in their order.
    pub fn got(&self) -> Vec<Envelope> {
        let got = self.got.lock().expect("no test panicked");
        got.iter().map(|bytes| Envelope::parse(bytes.clone()).expect("an envelope")).collect()
    }

    pub fn say(&self, answer: Scripted) {
        self.script.lock().expect("no test panicked").push_back(answer);
    }
}

async fn serve(
    listener: UnixListener,
    script: Arc<Mutex<VecDeque<Scripted>>>,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
) {
    loop {
        let (stream, _) = listener.accept().await.expect("a socket");
        let service = service_fn(|request: Request<Incoming>| {
            let (script, got) = (script.clone(), got.clone());
            async move {
                let path = request.uri().path().to_owned();
                let body = request.into_body().collect().await.expect("a whole body").to_bytes();
                let next = script.lock().expect("no test panicked").pop_front();
                let (status, header, text) = next.unwrap_or(QUEUED);
                if status == 202 && path == "/v1/password-changes" {
                    got.lock().expect("no test panicked").push(body.to_vec());
                }
                let mut response = Response::builder().status(status);
                if let Some((name, value)) = header {
                    response = response.header(name, value);
                }
                let body = Full::new(Bytes::from_static(text.as_bytes()));
                Ok::<_, Infallible>(response.body(body).expect("a response"))
            }
        });
        // A client that hangs up is not this test's concern.
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

/// Takes what comes over one connection.
pub async fn answer_queued(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(|_: Request<Incoming>| async {
        let body = Full::new(Bytes::from_static(QUEUED.2.as_bytes()));
        Ok::<_, Infallible>(Response::builder().status(202).body(body).expect("a response"))
    });
    let http = hyper::server::conn::http1::Builder::new();
    // A client that hangs up is not this test's concern.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}
