//! The wire: a request in SCIM's terms flows in, a sorted answer flows out. What every request must
//! hold to is here: addresses, limits, pauses, the token (delivery.md 9, 10, 14).

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use kakehi_engine::object::ConnectorName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value as Json;

use super::resolver::{Resolver, is_permitted};
use super::response::{self, Answer, Kind, Raw};
use super::retry::{self, Pause};
use super::sealed::Sealed;
use super::window::Window;
use super::{OptionsError, ScimOptions};
use crate::config::secret::Secret;
use crate::edge::{Clock, TargetError};

/// Largest accepted answer: a group of a hundred thousand members fits, an endless stream does not.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Pause after an overloaded server that names none: short, since the window halves as well.
const PAUSE_DEFAULT: Duration = Duration::from_secs(1);

/// How long a connection without traffic is kept, below what load balancers usually allow.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// What stands for itself in a URL (RFC 3986 section 2.3); everything else is encoded, `/` above
/// all.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How often an HTTP/2 connection is asked whether it still stands: a firewall that forgot it must
/// not be noticed first by a write.
const PING_INTERVAL: Duration = Duration::from_secs(20);

const SCIM_JSON: &str = "application/scim+json";
const ACCEPTED: &str = "application/scim+json, application/json";
const AGENT: &str = concat!("kakehi/", env!("CARGO_PKG_VERSION"));

/// One request. Its URL is made from these parts and from nothing a server said (DV-04).
#[derive(Debug)]
pub struct Request<'a> {
    pub method: Method,
    /// Segment below the base URL: `Users`.
    pub endpoint: &'static str,
    pub id: Option<&'a str>,
    pub query: Vec<(&'static str, String)>,
    /// The version that the object must have.
    pub if_match: Option<&'a str>,
    pub body: Option<Json>,
}

/// Why a request has no answer.
#[derive(Debug)]
pub enum Lost {
    /// Not a byte of its body was sent.
    NotSent { message: String, retry_after: Option<Duration> },
    /// The server's certificate, our token or the request itself cannot be used.
    Refused(String),
    /// It may have been carried out.
    Sent(String),
}

pub struct Client {
    pub name: ConnectorName,
    base: String,
    connecting: Connecting,
    /// Holds the connections. `None`: the next request makes new ones.
    http: Mutex<Option<reqwest::Client>>,
    token: RwLock<Arc<Secret>>,
    clock: Arc<dyn Clock>,
    pause: Pause,
    accept_on_delete: bool,
    pub window: Window,
}

/// What connections are made with.
struct Connecting {
    tls: rustls::ClientConfig,
    allow_loopback: bool,
    connect_timeout: Duration,
    total_timeout: Duration,
}

// === impl Connecting ===

impl Connecting {
    /// A client without connections.
    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .dns_resolver(Resolver { allow_loopback: self.allow_loopback })
            // A redirect would carry the token to wherever the server says.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            // Only the plan's executor knows what may be sent twice.
            .retry(reqwest::retry::never())
            .connect_timeout(self.connect_timeout)
            .timeout(self.total_timeout)
            .pool_idle_timeout(IDLE_MAX)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(self.connect_timeout)
            .build()
    }
}

// === impl Request ===

impl<'a> Request<'a> {
    pub fn new(method: Method, endpoint: &'static str) -> Self {
        Self { method, endpoint, id: None, query: vec![], if_match: None, body: None }
    }

    pub fn id(self, id: &'a str) -> Self {
        Self { id: Some(id), ..self }
    }

    pub fn query(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.query.push((key, value.into()));
        self
    }

    pub fn if_match(self, etag: Option<&'a str>) -> Self {
        Self { if_match: etag, ..self }
    }

    pub fn body(self, body: Json) -> Self {
        Self { body: Some(body), ..self }
    }

    fn kind(&self) -> Kind {
        match self.method {
            Method::GET => Kind::Read,
            Method::DELETE => Kind::Delete,
            _ => Kind::Write,
        }
    }

    /// The URL; `None` for an id that would change the path instead of ending it.
    fn url(&self, base: &str) -> Option<String> {
        let mut url = format!("{base}/{}", self.endpoint);
        if let Some(id) = self.id {
            if matches!(id, "" | "." | "..") {
                return None;
            }
            url.push('/');
            url.extend(utf8_percent_encode(id, ENCODED));
        }
        for (index, (key, value)) in self.query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(key);
            url.push('=');
            url.extend(utf8_percent_encode(value, ENCODED));
        }
        Some(url)
    }
}

// === impl Client ===

impl Client {
    /// Prepares a client; connects to nothing.
    ///
    /// Errors: [`OptionsError`] for a URL, certificate file or token that cannot be used.
    pub fn new(options: &ScimOptions) -> Result<Self, OptionsError> {
        let base = base_url(&options.base_url, options.allow_loopback)?;
        bearer(&options.token).ok_or(OptionsError::Token)?;
        let connecting = Connecting {
            tls: tls(options)?,
            allow_loopback: options.allow_loopback,
            connect_timeout: options.connect_timeout,
            total_timeout: options.total_timeout,
        };
        let http = connecting.client().map_err(OptionsError::Client)?;
        Ok(Self {
            name: options.name.clone(),
            base,
            connecting,
            http: Mutex::new(Some(http)),
            token: RwLock::new(options.token.clone()),
            clock: options.clock.clone(),
            pause: Pause::default(),
            accept_on_delete: options.profile.accept_on_delete,
            window: Window::new(options.profile.concurrency_max),
        })
    }

    /// The token of all requests from now on; those under way keep theirs (DV-14).
    pub fn set_token(&self, token: Arc<Secret>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// No later request uses a connection that is open now; those under way go on.
    pub fn close_connections(&self) {
        *self.http.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Sends one request, once.
    ///
    /// Gives what the server says of the object. Errors: what concerns the target; while it is
    /// paused nothing is sent.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, TargetError> {
        if let Some(left) = self.pause.left(self.clock.now()) {
            return Err(TargetError::Unavailable {
                target: self.name.to_string(),
                message: "it asked for a pause".into(),
                retry_after: Some(left),
            });
        }
        let kind = request.kind();
        let prepared = self.prepare(request)?;
        let began = self.window.begin();
        let raw = match self.exchange(prepared).await {
            Ok(raw) => raw,
            Err(error) => {
                if error.is_timeout() {
                    self.window.lost(began);
                }
                return Err(self.transport_error(kind, error));
            }
        };
        if matches!(raw.status, 429 | 503) {
            self.window.lost(began);
            let pause = raw.retry_after.unwrap_or(PAUSE_DEFAULT);
            self.pause.extend(self.clock.now(), pause);
        } else {
            self.window.answered();
        }
        if kind != Kind::Read {
            self.window.wrote(raw.status == 500);
            if raw.status == 500 && self.window.errors_are_frequent() {
                let message = "it fails too often (status 500)".into();
                return Err(response::unavailable(&self.name, message));
            }
        }
        response::classify(&self.name, kind, raw)
    }

    /// Sends one request, once, and gives its answer unsorted: for callers with rules of their own.
    /// `secret`: a body that nobody else may hold a copy of.
    ///
    /// Errors: there is no answer; while the target is paused nothing is sent.
    pub async fn call(&self, request: Request<'_>, secret: Option<Bytes>) -> Result<Raw, Lost> {
        if let Some(left) = self.pause.left(self.clock.now()) {
            let message = "it asked for a pause".into();
            return Err(Lost::NotSent { message, retry_after: Some(left) });
        }
        let mut prepared = self.prepare(request).map_err(|error| match error {
            TargetError::Unavailable { message, retry_after, .. } => {
                Lost::NotSent { message, retry_after }
            }
            other => Lost::Refused(other.to_string()),
        })?;
        let sealed = secret.map(Sealed::new);
        let sent = sealed.as_ref().map(Sealed::taken);
        if let Some(sealed) = sealed {
            prepared = prepared.header(CONTENT_TYPE, SCIM_JSON).body(reqwest::Body::wrap(sealed));
        }
        let raw = self.exchange(prepared).await.map_err(|error| {
            lost(error, sent.is_some_and(|sent| sent.load(std::sync::atomic::Ordering::SeqCst)))
        })?;
        if matches!(raw.status, 429 | 503) {
            self.pause.extend(self.clock.now(), raw.retry_after.unwrap_or(PAUSE_DEFAULT));
        }
        Ok(raw)
    }

    fn http(&self) -> Result<reqwest::Client, reqwest::Error> {
        let mut held = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = &*held {
            return Ok(http.clone());
        }
        let http = self.connecting.client()?;
        *held = Some(http.clone());
        Ok(http)
    }

    fn prepare(&self, request: Request<'_>) -> Result<RequestBuilder, TargetError> {
        let url = request.url(&self.base).ok_or_else(|| {
            let message = "an object's id is empty or a dot segment".into();
            response::protocol(&self.name, message)
        })?;
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner).clone();
        let bearer = bearer(&token).ok_or_else(|| TargetError::Refused {
            target: self.name.to_string(),
            message: "the token holds characters that no header can".into(),
        })?;
        let http = self.http().map_err(|error| {
            let message = format!("cannot set the HTTP client up: {}", cause(&error));
            response::unavailable(&self.name, message)
        })?;
        let mut builder = http.request(request.method.clone(), url);
        builder = builder.header(AUTHORIZATION, bearer).header(USER_AGENT, AGENT);
        if request.method != Method::DELETE || self.accept_on_delete {
            builder = builder.header(ACCEPT, ACCEPTED);
        }
        if let Some(etag) = request.if_match {
            builder = builder.header(IF_MATCH, etag);
        }
        if let Some(mut body) = request.body {
            // The same change gives the same bytes, however its JSON was put together (S-17).
            body.sort_all_objects();
            builder = builder.header(CONTENT_TYPE, SCIM_JSON).body(body.to_string());
        }
        Ok(builder)
    }

    async fn exchange(&self, prepared: RequestBuilder) -> Result<Raw, reqwest::Error> {
        let mut response = prepared.send().await?;
        let status = response.status();
        let retry_after = self.retry_after(&response);
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let mut body = Some(vec![]);
        if status != StatusCode::NO_CONTENT {
            while let Some(chunk) = response.chunk().await? {
                body = body.filter(|body: &Vec<u8>| body.len() + chunk.len() <= ANSWER_BYTES_MAX);
                let Some(body) = &mut body else { break };
                body.extend_from_slice(&chunk);
            }
        }
        Ok(Raw { status: status.as_u16(), retry_after, etag, body })
    }

    fn retry_after(&self, response: &Response) -> Option<Duration> {
        let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        retry::retry_after(header, self.clock.now())
    }

    /// No answer. Before the connection stood nothing was sent; afterwards a write may have
    /// arrived.
    fn transport_error(&self, kind: Kind, error: reqwest::Error) -> TargetError {
        if error.is_connect() {
            return response::unavailable(&self.name, format!("cannot connect: {}", cause(&error)));
        }
        let message = match error.is_timeout() {
            true => "no answer in time".into(),
            false => format!("the answer was lost: {}", cause(&error)),
        };
        match kind {
            Kind::Read => response::unavailable(&self.name, message),
            Kind::Write | Kind::Delete => response::in_doubt(&self.name, message),
        }
    }
}

fn lost(error: reqwest::Error, sent: bool) -> Lost {
    let message = match error.is_timeout() {
        true => "no answer in time".to_owned(),
        false => cause(&error),
    };
    if error.is_connect() && speaks_of_tls(&error) {
        Lost::Refused(format!("the TLS handshake failed: {message}"))
    } else if sent && !error.is_connect() {
        Lost::Sent(message)
    } else {
        Lost::NotSent { message, retry_after: None }
    }
}

/// Whether we, or the server, refused the handshake; not whether it was cut. What an
/// `std::io::Error` holds is no source of it, and one may hold another.
fn speaks_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>()
        || inside.is_some_and(|inner| speaks_of_tls(inner))
        || error.source().is_some_and(speaks_of_tls)
}

/// The innermost cause; the outer ones name the URL, and with it values.
fn cause(error: &reqwest::Error) -> String {
    let Some(mut innermost) = std::error::Error::source(error) else {
        return "the request failed".to_owned();
    };
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.open())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Checks a base URL and gives it without a slash at its end.
fn base_url(text: &str, allow_loopback: bool) -> Result<String, OptionsError> {
    let refused = |reason| OptionsError::BaseUrl { url: text.to_owned(), reason };
    let url = Url::parse(text).map_err(|_| refused("it is no URL"))?;
    let host = url.host_str().ok_or_else(|| refused("it has no host"))?;
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(refused("it must end with its path and hold no user"));
    }
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    if address.is_some_and(|address| !is_permitted(address, allow_loopback)) {
        return Err(refused("its address is not permitted for targets"));
    }
    let loopback = address.map_or(host == "localhost", |address| address.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if loopback && allow_loopback => {}
        "http" => return Err(refused("plain http is for permitted loopback addresses only")),
        _ => return Err(refused("it is neither https nor http")),
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn tls(options: &ScimOptions) -> Result<rustls::ClientConfig, OptionsError> {
    let mut roots = rustls::RootCertStore::empty();
    // A broken certificate in the system's store is no reason to trust none of the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &options.ca {
        let refused = |reason: String| OptionsError::Ca { path: path.clone(), reason };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| refused(error.to_string()))?;
        if certificates.is_empty() {
            return Err(refused("it holds no certificate".into()));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|error| refused(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(OptionsError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w27_an_id_is_one_segment_whatever_it_holds() {
        let url = |id| Request::new(Method::GET, "Users").id(id).url("https://x/v2");
        for (id, segment) in [
            ("42", "42"),
            ("a@b.example", "a%40b.example"),
            ("a/../b", "a%2F..%2Fb"),
            ("%2e%2e", "%252e%252e"),
            ("a b?c#d", "a%20b%3Fc%23d"),
            ("筧", "%E7%AD%A7"),
        ] {
            assert_eq!(url(id), Some(format!("https://x/v2/Users/{segment}")), "{id}");
        }
        for id in ["", ".", ".."] {
            assert_eq!(url(id), None, "{id}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        let request = Request::new(Method::GET, "Users").query("filter", r#"userName eq "a&b""#);
        let expected = "https://x/Users?filter=userName%20eq%20%22a%26b%22";
        assert_eq!(request.url("https://x").as_deref(), Some(expected));
    }

    #[test]
    fn w27_base_urls_are_checked() {
        for (url, loopback, accepted) in [
            ("https://scim.example.com/scim/v2/", false, true),
            ("https://[2001:db8::1]/v2", false, true),
            ("http://127.0.0.1:8080/v2", true, true),
            ("http://localhost:8080/v2", true, true),
            ("http://127.0.0.1:8080/v2", false, false),
            ("https://127.0.0.1/v2", false, false),
            ("http://scim.example.com/v2", true, false),
            ("https://169.254.169.254/v2", true, false),
            ("https://2852039166/v2", true, false),
            ("https://scim.example.com/v2?x=1", false, false),
            ("https://user@scim.example.com/v2", false, false),
            ("ftp://scim.example.com/v2", false, false),
            ("scim.example.com", false, false),
        ] {
            assert_eq!(base_url(url, loopback).is_ok(), accepted, "{url}");
        }
        let plain = base_url("https://scim.example.com/scim/v2/", false).unwrap();
        assert_eq!(plain, "https://scim.example.com/scim/v2");
    }
}
