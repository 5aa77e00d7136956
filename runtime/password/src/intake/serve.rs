//! HTTP for agents: over a Unix socket whose peers the kernel names, and over TLS with certificates
//! on both sides.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Answer, BODY_BYTES_MAX, Intake, Peer};

/// What a capture is sent as.
pub const CONTENT: &str = "application/vnd.kakehi.password-change";
/// Where captures go.
pub const CHANGES: &str = "/v1/password-changes";
/// Where the public key is.
pub const KEYS: &str = "/v1/password-keys";

/// Connections at once: many agents with several each, and no flood.
const CONNECTIONS_MAX: usize = 512;
/// A TLS handshake that takes longer is none.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Headers of a request that take longer are none; also for how long a connection may be idle.
const IDLE: Duration = Duration::from_secs(60);
/// A body that takes longer is none.
const BODY: Duration = Duration::from_secs(10);
/// Owner and group may write to the socket (7.4).
const SOCKET_MODE: u32 = 0o660;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on `{place}`")]
    Listen { place: String, source: std::io::Error },
    #[error("`{place}` is in use: another service answers there")]
    InUse { place: String },
    #[error("cannot use `{path}`: {reason}")]
    Certificate { path: PathBuf, reason: String },
}

/// The files of the remote door.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    pub listen: std::net::SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_ca: PathBuf,
}

/// Binds the socket. Gives what answers on it, which never ends by itself.
///
/// Errors: it cannot be bound, or another service answers there.
pub fn local(
    path: &Path,
    intake: Arc<Intake>,
) -> Result<impl Future<Output = ()> + use<>, ServeError> {
    let place = path.display().to_string();
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(ServeError::InUse { place });
    }
    // Left behind by a process that was killed.
    let _ = fs::remove_file(path);
    let listen = |source| ServeError::Listen { place: place.clone(), source };
    let listener = UnixListener::bind(path).map_err(listen)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE)).map_err(listen)?;
    Ok(async move {
        let limit = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let permit = limit.clone().acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(peer) = stream.peer_cred() else { continue };
            let (uid, gid) = (peer.uid(), peer.gid());
            if !intake.admits(uid, gid) {
                tracing::warn!(event_id = "PW053", peer.uid = uid, "a local peer was refused");
                continue;
            }
            let intake = Arc::clone(&intake);
            connections.spawn(async move {
                let _permit = permit;
                answer(stream, intake, Peer::Local { uid, gid }).await;
            });
            while connections.try_join_next().is_some() {}
        }
    })
}

/// Binds the address. Gives the address, and what answers there, which never ends by itself.
///
/// Errors: it cannot be bound, or a certificate cannot be used.
pub async fn remote(
    options: &RemoteOptions,
    intake: Arc<Intake>,
) -> Result<(std::net::SocketAddr, impl Future<Output = ()> + use<>), ServeError> {
    let acceptor = TlsAcceptor::from(Arc::new(tls(options)?));
    let place = options.listen.to_string();
    let failed = |source| ServeError::Listen { place: place.clone(), source };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let serving = async move {
        let limit = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let permit = limit.clone().acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let (acceptor, intake) = (acceptor.clone(), Arc::clone(&intake));
            connections.spawn(async move {
                let _permit = permit;
                let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
                let Ok(Ok(stream)) = handshake else {
                    tracing::debug!("a connection without a certificate of ours was refused");
                    return;
                };
                let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                let agents = certificate.map(|own| intake.named_by(own)).unwrap_or_default();
                answer(stream, intake, Peer::Remote { agents }).await;
            });
            while connections.try_join_next().is_some() {}
        }
    };
    Ok((address, serving))
}

fn tls(options: &RemoteOptions) -> Result<rustls::ServerConfig, ServeError> {
    let refused =
        |path: &Path, reason: String| ServeError::Certificate { path: path.to_owned(), reason };
    let certificates = |path: &Path| {
        CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| refused(path, error.to_string()))
    };
    let mut roots = rustls::RootCertStore::empty();
    for authority in certificates(&options.client_ca)? {
        let added = roots.add(authority);
        added.map_err(|error| refused(&options.client_ca, error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .map_err(|error| refused(&options.client_ca, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(&options.key)
        .map_err(|error| refused(&options.key, error.to_string()))?;
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| refused(&options.certificate, error.to_string()))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&options.certificate)?, key)
        .map_err(|error| refused(&options.certificate, error.to_string()))
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    intake: Arc<Intake>,
    peer: Peer,
) {
    let service = service_fn(|request| {
        let (intake, peer) = (Arc::clone(&intake), peer.clone());
        async move { Ok::<_, Infallible>(respond(request, &intake, &peer).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection of an agent ended: {error}");
    }
}

async fn respond(
    request: Request<Incoming>,
    intake: &Intake,
    peer: &Peer,
) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, CHANGES) => {
            let is_capture = request.headers().get(CONTENT_TYPE).is_some_and(|it| it == CONTENT);
            if !is_capture {
                return json(&Answer::refused(415, format!("the content type must be {CONTENT}")));
            }
            let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
            match tokio::time::timeout(BODY, body).await {
                Ok(Ok(body)) => json(&intake.take(peer, body.to_bytes().to_vec()).await),
                Ok(Err(_)) => {
                    json(&Answer::refused(413, format!("more than {BODY_BYTES_MAX} bytes")))
                }
                Err(_) => json(&Answer::refused(408, "the body did not come in time")),
            }
        }
        (&Method::GET, KEYS) => Response::new(Full::from(format!("{}\n", intake.public_key()))),
        _ => json(&Answer::refused(404, format!("there are {CHANGES} and {KEYS}"))),
    }
}

fn json(answer: &Answer) -> Response<Full<Bytes>> {
    let key = if answer.status == 202 { "status" } else { "error" };
    let body = serde_json::json!({ key: answer.text }).to_string();
    let mut response =
        Response::builder().status(answer.status).header(CONTENT_TYPE, "application/json");
    if let Some(wait) = answer.retry_after {
        response = response.header(RETRY_AFTER, wait.as_secs().max(1));
    }
    response.body(Full::from(body)).expect("numbers and a constant make a response")
}

// === impl Intake ===

impl Intake {
    /// The configured agents that a certificate is made out to (its names, RFC 5280 4.2.1.6).
    fn named_by(&self, certificate: &CertificateDer<'_>) -> BTreeSet<String> {
        let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return BTreeSet::new() };
        let is_for = |agent: &&String| {
            ServerName::try_from(agent.as_str())
                .is_ok_and(|name| rustls::client::verify_server_name(&parsed, &name).is_ok())
        };
        self.options.agents.keys().filter(is_for).cloned().collect()
    }
}
