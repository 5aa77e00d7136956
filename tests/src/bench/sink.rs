//! The cheapest honest target: a SCIM-shaped server in a process of its own, one thread. In: what a
//! product sends. Out: what it sent, as a resource with an id, and counts at `/__stats`.
//!
//! It keeps everything in memory, checks no token, and knows no schema.

use std::convert::Infallible;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{BenchError, Result};

mod client;
mod patch;
mod resources;

pub use client::{Sink, Stats};
use resources::Resources;

/// Where counts are read with GET, and read and set to zero with DELETE.
const STATS_PATH: &str = "/__stats";

const SCIM: &str = "application/scim+json";

/// Serves until standard input ends, which is when the benchmark that started us ends. The first
/// line of standard output is the address.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .and_then(|runtime| runtime.block_on(serve()))
        .map_err(|error| BenchError::io("serve", error))
}

async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let state = Arc::new(Mutex::new(State::new()));
    let mut ended = tokio::task::spawn_blocking(|| io::stdin().read_to_end(&mut Vec::new()));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(converse(stream, Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
            _ = &mut ended => return Ok(()),
        }
    }
}

/// Answers the requests of one connection. That it breaks is no fault of ours.
async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) {
    // Without it, small answers wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(response(StatusCode::BAD_REQUEST, Bytes::new())),
    };
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    if head.uri.path() == STATS_PATH {
        let stats = state.stats();
        if head.method == Method::DELETE {
            *state = State::new();
        }
        return Ok(response(StatusCode::OK, stats.into()));
    }
    let (status, answer) =
        state.resources.answer(&head.method, head.uri.path(), head.uri.query(), body.clone());
    state.count(&head.method, body.len());
    Ok(response(status, answer))
}

fn response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", SCIM.parse().expect("a constant media type"));
    response
}

struct State {
    resources: Resources,
    reads: u64,
    creates: u64,
    changes: u64,
    deletes: u64,
    body_bytes: u64,
    /// When the last request was complete.
    last: Instant,
}

impl State {
    fn new() -> Self {
        State {
            resources: Resources::default(),
            reads: 0,
            creates: 0,
            changes: 0,
            deletes: 0,
            body_bytes: 0,
            last: Instant::now(),
        }
    }

    fn count(&mut self, method: &Method, bytes: usize) {
        let counter = match *method {
            Method::POST => &mut self.creates,
            Method::PATCH | Method::PUT => &mut self.changes,
            Method::DELETE => &mut self.deletes,
            _ => &mut self.reads,
        };
        *counter += 1;
        self.body_bytes += bytes as u64;
        self.last = Instant::now();
    }

    fn stats(&self) -> String {
        let stats = Stats {
            reads: self.reads,
            creates: self.creates,
            changes: self.changes,
            deletes: self.deletes,
            body_bytes: self.body_bytes,
            idle_us: self.last.elapsed().as_micros() as u64,
        };
        serde_json::to_string(&stats).expect("numbers are JSON")
    }
}
