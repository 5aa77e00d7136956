//! A small SCIM 2.0 service provider in memory: requests flow in over real HTTP on the loopback
//! address, objects and a log of the requests stay for whoever started it. `kakehi demo` delivers
//! to it, and tests script its faults.
//!
//! It is honest: it does what RFC 7644 says, reads paths strictly and refuses what it does not
//! know.

mod http;
mod resources;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::resources::Resources;

/// A running receiver; it stops when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    pub method: String,
    /// Path below the base URL, with its query: `/Users?count=1`.
    pub path: String,
    pub body: Vec<u8>,
}

/// What goes wrong with one request.
#[derive(Debug)]
pub enum Fault {
    /// Answers with this status and these headers, and does nothing.
    Status(u16, Vec<(&'static str, String)>),
    /// Refuses with this status and this `scimType`, and does nothing.
    Refuse(u16, &'static str),
    /// Closes the connection and does nothing.
    DropBefore,
    /// Does what was asked and closes the connection.
    DropAfter,
    /// Does what was asked and answers when told to, or when the other end is dropped.
    Hold(oneshot::Receiver<()>),
    /// Says yes, shows the object as it was, and does nothing.
    Lie,
    /// Does what was asked and answers 200 with a page for people.
    Html,
}

struct Shared {
    token: String,
    resources: Resources,
    log: Vec<LoggedRequest>,
    /// With each: the method it waits for.
    faults: VecDeque<(String, Fault)>,
}

// === impl Receiver ===

impl Receiver {
    /// Starts a receiver on a free port. It has its own thread, so that it answers even while the
    /// caller's tasks are busy.
    ///
    /// Errors: those of binding a socket or starting a thread.
    pub fn start(token: &str) -> std::io::Result<Self> {
        Self::with(token, Resources::default())
    }

    /// Starts a receiver that holds what [`Receiver::state`] gave.
    ///
    /// Errors: those of [`Receiver::start`].
    pub fn resume(token: &str, state: &Json) -> std::io::Result<Self> {
        Self::with(token, Resources::restored(state))
    }

    fn with(token: &str, resources: Resources) -> std::io::Result<Self> {
        let shared = Arc::new(Mutex::new(Shared {
            token: token.to_owned(),
            resources,
            log: vec![],
            faults: VecDeque::new(),
        }));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (stop, stopped) = oneshot::channel();
        let seen = shared.clone();
        let thread = std::thread::Builder::new()
            .name("scim-receiver".into())
            .spawn(move || runtime.block_on(serve(listener, seen, stopped)))?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// What a target's base URL is: `http://127.0.0.1:PORT/v2`.
    pub fn base_url(&self) -> String {
        format!("http://{}{}", self.address, http::BASE_PATH)
    }

    /// All requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.shared).log.clone()
    }

    /// Everything it holds: `Users` and `Groups`, each a list of objects.
    pub fn state(&self) -> Json {
        serde_json::json!({ "Users": self.users(), "Groups": self.groups() })
    }

    /// All users, in the order in which they were created.
    pub fn users(&self) -> Vec<Json> {
        lock(&self.shared).resources.all("Users")
    }

    /// All groups, in the order in which they were created.
    pub fn groups(&self) -> Vec<Json> {
        lock(&self.shared).resources.all("Groups")
    }

    /// Lets the next request with this method go wrong; several faults wait in order.
    pub fn fail_next(&self, method: &str, fault: Fault) {
        lock(&self.shared).faults.push_back((method.to_owned(), fault));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A receiver that panicked is as stopped as one that ended.
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes connections until the sending end of `stopped` is dropped. They all live in this one
/// future, and end with it.
async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Mutex<Shared>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            Ok((stream, _)) = listener.accept() => connections.push(http::serve(stream, &shared)),
            Some(()) = connections.next() => {}
        }
    }
}
