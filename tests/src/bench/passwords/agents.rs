//! Agents: users flow in, sealed captures flow out, and over the socket of the intake.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use kakehi_engine::password::Operation;
use kakehi_password::envelope::{self, KeyType, Metadata};
use kakehi_password::keys::PublicKey;
use kakehi_password::secret::Password;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::bench::{BenchError, Result};

pub struct Agents {
    key: PublicKey,
    runtime: tokio::runtime::Runtime,
}

// === impl Agents ===

impl Agents {
    /// With the key that the installation in `folder` made.
    pub fn new(folder: &Path) -> Result<Self> {
        let known = kakehi_password::keys::list(&folder.join("state/password-keys"));
        let key = known.ok().and_then(|known| known.into_iter().find(|key| key.current));
        let key = key.map(|key| key.public).ok_or_else(|| answer("there is no key"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| BenchError::io("start agents", error))?;
        Ok(Self { key, runtime })
    }

    /// One capture for each of `count` users, from the number `first` on.
    pub fn seal(&self, first: usize, count: usize) -> Result<Vec<Bytes>> {
        (first..first + count).map(|number| self.sealed(number)).collect()
    }

    fn sealed(&self, number: usize) -> Result<Bytes> {
        let login = format!("user{number:06}");
        let metadata = Metadata {
            source: "corp".into(),
            key_type: KeyType::Login,
            user_key: login.clone(),
            login,
            agent: "bench".into(),
            agent_epoch: 1,
            sequence: number as u64 + 1,
            // Long enough ahead of nobody's clock: what counts is the number.
            captured_at_ms: now_ms(),
            operation: Operation::Change,
        };
        let password = Password::new(format!("Passw0rd-{number}").into());
        let sealed = envelope::seal(&self.key, &metadata, &password);
        sealed
            .map(|envelope| Bytes::from(envelope.into_bytes()))
            .map_err(|error| answer(&error.to_string()))
    }

    /// Sends captures over so many connections at once; returns when all are acknowledged.
    pub fn send(&self, socket: &Path, captures: &[Bytes], connections: usize) -> Result<()> {
        self.runtime.block_on(async {
            let mut senders = JoinSet::new();
            let share = captures.len().div_ceil(connections);
            for captures in captures.chunks(share.max(1)) {
                senders.spawn(send(socket.to_owned(), captures.to_vec()));
            }
            while let Some(ended) = senders.join_next().await {
                ended.map_err(|_| answer("an agent died"))??;
            }
            Ok(())
        })
    }
}

async fn send(socket: std::path::PathBuf, captures: Vec<Bytes>) -> Result<()> {
    let failed = |error: hyper::Error| answer(&error.to_string());
    let stream = UnixStream::connect(socket).await;
    let stream = stream.map_err(|error| BenchError::io("reach the intake", error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    for capture in captures {
        let request = Request::post("/v1/password-changes")
            .header("host", "kakehi")
            .header("content-type", "application/vnd.kakehi.password-change")
            .body(Full::new(capture))
            .map_err(|error| answer(&error.to_string()))?;
        let response = sender.send_request(request).await.map_err(failed)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(failed)?.to_bytes();
        if status != 202 {
            return Err(answer(&format!("{status}: {}", String::from_utf8_lossy(&body))));
        }
    }
    Ok(())
}

fn answer(what: &str) -> BenchError {
    BenchError::answer("the intake", what)
}

fn now_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}
