//! The way to the intake (password.md 7.4). A sealed capture flows in, what the intake made of it
//! flows out, or why it did not take it. Every wait has an end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::envelope::Envelope;

/// Longest wait for one request, from connecting to the last byte of the answer. An intake commits
/// in milliseconds; a directory hook may wait for this.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// Largest answer: a status, or a key, or a line of text.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// So much of what the intake says is shown.
const SHOWN_CHARS_MAX: usize = 200;

/// What the body of a request is.
pub const CONTENT_TYPE_CHANGE: &str = "application/vnd.kakehi.password-change";

const CHANGES: &str = "/v1/password-changes";
const KEYS: &str = "/v1/password-keys";

/// Where the intake is, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The Unix socket of a runtime on this host.
    Socket(PathBuf),
    /// `https://host[:port]`, without a path.
    Https { url: String, tls: TlsFiles },
}

/// PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who may vouch for the intake; nobody else does.
    pub ca: PathBuf,
    /// What the agent shows; its subject alternative name is the agent's id.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A way to the intake, ready to be used.
#[derive(Clone)]
pub struct Intake {
    place: Place,
    time_max: Duration,
}

#[derive(Clone)]
enum Place {
    Socket(PathBuf),
    Https { host: String, port: u16, name: ServerName<'static>, tls: Arc<ClientConfig> },
}

/// What became of a capture that the intake took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status(pub String);

/// Why a capture is not with the intake.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It will be another time: nobody answers, or 429, or a server error.
    #[error("the intake is away: {why}")]
    Away { why: String, retry_after: Option<Duration> },
    /// It will be refused again, as it is.
    #[error("the intake refused with {status}: {text}")]
    Refused { status: u16, text: String },
}

/// The way to the intake cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("`{url}` is no address of an intake: it must be `https://HOST` or `https://HOST:PORT`")]
    Url { url: String },
    #[error("cannot read `{}`: {source}", path.display())]
    Pem { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("`{}` holds no certificate", path.display())]
    Empty { path: PathBuf },
    #[error("certificate or key cannot be used: {0}")]
    Tls(#[from] rustls::Error),
}

// === impl Intake ===

impl Intake {
    /// Reads what the address needs.
    ///
    /// Errors: files that are missing or no PEM, an address that is none. Nothing is connected.
    pub fn new(address: &Address) -> Result<Self, AddressError> {
        let place = match address {
            Address::Socket(path) => Place::Socket(path.clone()),
            Address::Https { url, tls } => {
                let (host, port) = host_and_port(url)?;
                let bad = |_| AddressError::Url { url: url.clone() };
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
                let name = name.map_err(bad)?;
                Place::Https { host, port, name, tls: Arc::new(tls.load()?) }
            }
        };
        Ok(Self { place, time_max: REQUEST_TIME_MAX })
    }

    /// With another bound on the time of a request.
    pub fn within(mut self, time_max: Duration) -> Self {
        self.time_max = time_max;
        self
    }

    /// Hands a capture over. When it returns well, the intake has it durably.
    pub async fn send(&self, envelope: &Envelope) -> Result<Status, SendError> {
        let body = Bytes::copy_from_slice(envelope.as_bytes());
        let request = Request::post(CHANGES).header(CONTENT_TYPE, CONTENT_TYPE_CHANGE);
        let answer = self.ask(request, body).await?;
        match answer.status {
            StatusCode::ACCEPTED => answer.accepted(),
            _ => Err(answer.refusal()),
        }
    }

    /// The public key line that captures are to be sealed with from now on.
    pub async fn public_key(&self) -> Result<String, SendError> {
        let answer = self.ask(Request::get(KEYS), Bytes::new()).await?;
        match answer.status {
            StatusCode::OK => Ok(String::from_utf8_lossy(&answer.body).trim().to_owned()),
            _ => Err(answer.refusal()),
        }
    }

    async fn ask(
        &self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<Answer, SendError> {
        let host = match &self.place {
            Place::Socket(_) => "localhost".to_owned(),
            Place::Https { host, port: 443, .. } => host.clone(),
            Place::Https { host, port, .. } => format!("{host}:{port}"),
        };
        let request = request.header(HOST, host).body(Full::new(body)).map_err(away)?;
        let asked = tokio::time::timeout(self.time_max, self.connect_and_ask(request)).await;
        asked.map_err(|_| away(format!("no answer within {} ms", self.time_max.as_millis())))?
    }

    async fn connect_and_ask(&self, request: Request<Full<Bytes>>) -> Result<Answer, SendError> {
        match &self.place {
            Place::Socket(path) => {
                let stream = UnixStream::connect(path).await;
                talk(stream.map_err(|error| unreachable_at(&path.display(), &error))?, request)
                    .await
            }
            Place::Https { host, port, name, tls } => {
                let bare = host.trim_matches(['[', ']']);
                let stream = TcpStream::connect((bare, *port)).await;
                let at = format!("{host}:{port}");
                let stream = stream.map_err(|error| unreachable_at(&at, &error))?;
                let connector = TlsConnector::from(tls.clone());
                let stream = connector.connect(name.clone(), stream).await;
                talk(stream.map_err(|error| unreachable_at(&at, &error))?, request).await
            }
        }
    }
}

/// One request over one connection: captures are rare, and a broken connection is not met twice.
async fn talk<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, SendError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(away)?;
    let asked = async {
        let response = sender.send_request(request).await.map_err(away)?;
        Answer::read(response).await
    };
    tokio::pin!(asked, connection);
    tokio::select! {
        answer = &mut asked => answer,
        // It may end before everything that it brought was read.
        ended = &mut connection => match (asked.await, ended) {
            (Err(_), Err(error)) => Err(away(error)),
            (answer, _) => answer,
        },
    }
}

/// An answer, whole.
struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

// === impl Answer ===

impl Answer {
    async fn read(response: Response<Incoming>) -> Result<Self, SendError> {
        let status = response.status();
        // In seconds only: our intake writes no dates.
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(away)?.to_bytes();
        Ok(Self { status, retry_after, body })
    }

    /// Any web server may answer 202; only an intake tells a status, and only then is it kept.
    fn accepted(&self) -> Result<Status, SendError> {
        #[derive(serde::Deserialize)]
        struct Accepted {
            status: String,
        }
        match serde_json::from_slice::<Accepted>(&self.body) {
            Ok(Accepted { status }) => Ok(Status(shown(&status))),
            Err(_) => Err(away("its 202 carries no status: that is not the intake")),
        }
    }

    fn refusal(&self) -> SendError {
        let status = self.status;
        let for_now = status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
        if for_now {
            let why = format!("{} {}", status.as_u16(), self.text());
            return SendError::Away { why, retry_after: self.retry_after };
        }
        SendError::Refused { status: status.as_u16(), text: self.text() }
    }

    fn text(&self) -> String {
        shown(String::from_utf8_lossy(&self.body).trim())
    }
}

/// A peer's words: without control characters, cut short.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn away(why: impl ToString) -> SendError {
    SendError::Away { why: why.to_string(), retry_after: None }
}

fn unreachable_at(place: &impl std::fmt::Display, error: &std::io::Error) -> SendError {
    away(format!("`{place}`: {error}"))
}

/// `https://[::1]:8443/` -> `[::1]`, 8443.
fn host_and_port(url: &str) -> Result<(String, u16), AddressError> {
    let bad = || AddressError::Url { url: url.to_owned() };
    let uri: hyper::Uri = url.parse().map_err(|_| bad())?;
    let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let authority = uri.authority().ok_or_else(bad)?;
    if uri.scheme_str() != Some("https") || !plain || authority.as_str().contains('@') {
        return Err(bad());
    }
    Ok((authority.host().to_owned(), authority.port_u16().unwrap_or(443)))
}

// === impl TlsFiles ===

impl TlsFiles {
    fn load(&self) -> Result<ClientConfig, AddressError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&self.ca)? {
            roots.add(certificate)?;
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|source| AddressError::Pem { path: self.key.clone(), source })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(&self.certificate)?, key)?;
        Ok(config)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    let bad = |source| AddressError::Pem { path: path.to_owned(), source };
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(bad)?.collect();
    match all.map_err(bad)? {
        none if none.is_empty() => Err(AddressError::Empty { path: path.to_owned() }),
        all => Ok(all),
    }
}

#[cfg(test)]
mod tests;
