//! A target in our own process: it knows everybody, takes every password and counts them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub struct Target {
    address: SocketAddr,
    set: Arc<AtomicUsize>,
}

// === impl Target ===

impl Target {
    /// Serves until the process ends.
    pub fn start() -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let set = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&set);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(serve(listener, counted)));
        Ok(Self { address, set })
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v2", self.address)
    }

    /// Passwords that were set so far.
    pub fn set(&self) -> usize {
        self.set.load(Ordering::SeqCst)
    }
}

async fn serve(listener: std::net::TcpListener, set: Arc<AtomicUsize>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Without it, small answers wait for the peer's acknowledgement.
        let _ = stream.set_nodelay(true);
        let set = Arc::clone(&set);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(request, Arc::clone(&set)));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    set: Arc<AtomicUsize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let _ = body.collect().await;
    let (status, text) = match head.method {
        Method::PATCH => {
            set.fetch_add(1, Ordering::SeqCst);
            (StatusCode::NO_CONTENT, String::new())
        }
        _ => (StatusCode::OK, found(&head.uri)),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let scim = "application/scim+json".parse().expect("a constant media type");
    response.headers_mut().insert("content-type", scim);
    Ok(response)
}

/// The user that a filter asks for, or that a path names.
fn found(uri: &hyper::Uri) -> String {
    let query = percent_decode_str(uri.query().unwrap_or_default()).decode_utf8_lossy();
    let user = |name: &str| format!(r#"{{"id":"{name}","userName":"{name}"}}"#);
    match query.split('"').nth(1) {
        Some(name) => format!(r#"{{"totalResults":1,"Resources":[{}]}}"#, user(name)),
        None => user(uri.path().rsplit('/').next().unwrap_or_default()),
    }
}
