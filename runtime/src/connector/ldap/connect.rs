//! Connections: the options of a source flow in, a secured, bound and guarded connection flows out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, StdStream};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::ber;
use super::fault::{Failure, Fault, FaultKind, of_bind, shown};
use super::guard::{FaultSlot, Frame, Guard, Inbox, Write};
use super::message::{self, Message};
use super::options::{Bind, LdapOptions, Limits};
use super::tls;
use super::url::{Place, ServerUrl};

/// Keepalive of idle connections (L-24): first probe, distance, and how many may stay unanswered.
const KEEPALIVE_IDLE_S: u64 = 30;
const KEEPALIVE_INTERVAL_S: u64 = 10;
const KEEPALIVE_PROBES: u32 = 3;
/// How long sent bytes may stay unacknowledged.
const UNACKNOWLEDGED_S_MAX: u64 = 60;
/// STARTTLS (RFC 4511 4.14).
const STARTTLS: &str = "1.3.6.1.4.1.1466.20037";

/// A bound connection with one operation at a time (L-29). Its tasks end when it is dropped.
pub struct Connection {
    /// Encodes requests; hears the answers to binds only.
    pub ldap: Ldap,
    /// Answers to the search under way.
    pub frames: mpsc::UnboundedReceiver<Frame>,
    /// Ends the search with this message id, and the connection.
    pub abandon: mpsc::UnboundedSender<i32>,
    writes: mpsc::UnboundedSender<Write>,
    /// Message id of the next write.
    next_write: i32,
    fault: FaultSlot,
    pub url: ServerUrl,
    /// How the stream is secured, for people.
    pub security: String,
    /// Whether nobody else can read it: TLS, or a Unix socket.
    pub protected: bool,
    pub limits: Limits,
}

/// Message id of the first write: `ldap3` counts its own from 1 and never gets here.
const WRITE_ID_FIRST: i32 = 1 << 30;

/// A write without an answer.
pub struct LostWrite {
    pub failure: Failure,
    /// Whether any of it was sent: it may have been carried out.
    pub sent: bool,
}

/// What a network stream must be able to do.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connection {
    /// Connects to the first server that can be reached and binds there. A refused bind or an
    /// untrusted certificate is final: the next server would count it as one more attempt (L-22).
    pub async fn open(options: &LdapOptions) -> Result<Self, Failure> {
        let mut last = Failure::Config {
            message: "no server is named".to_owned(),
            hint: "`urls` is a list of servers".to_owned(),
        };
        for text in &options.urls {
            let url = ServerUrl::parse(text)?;
            match open_at(&url, options).await.map_err(|failure| failure.at(&url.to_string())) {
                Err(failure @ Failure::Unavailable(_)) => last = failure,
                result => return result,
            }
        }
        Err(last)
    }

    /// What ended the connection. Where `ldap3` only says that there is nothing more, this says
    /// why.
    pub fn ended(&self) -> Failure {
        let closed = Fault { kind: FaultKind::Closed, id: 0, offset: 0 };
        self.fault.get().cloned().unwrap_or(closed).into()
    }

    /// Sends a message that sets a password, made for a message id, and waits for its answer. The
    /// connection is of no use after an error.
    pub async fn write(
        &mut self,
        request: impl FnOnce(i32) -> Zeroizing<Vec<u8>>,
        limit: Duration,
    ) -> Result<Frame, LostWrite> {
        let (id, sent) = (self.next_write, Arc::new(AtomicBool::new(false)));
        self.next_write += 1;
        let request = Write { bytes: request(id), sent: Arc::clone(&sent) };
        let answer = match self.writes.send(request) {
            Ok(()) => timeout(limit, self.frames.recv()).await,
            // The guard is gone.
            Err(_) => Ok(None),
        };
        let failure = match answer {
            Ok(Some(frame)) => match Message::parse(&frame.bytes) {
                Ok(message) if message.id == id => return Ok(frame),
                _ => Failure::Protocol("the answer is to another request".to_owned()),
            },
            Ok(None) => self.ended(),
            Err(_) => late("the answer", limit),
        };
        Err(LostWrite { failure, sent: sent.load(Ordering::SeqCst) })
    }

    async fn bind(&mut self, bind: &Bind) -> Result<(), Failure> {
        let answer = match bind {
            Bind::Anonymous => return Ok(()),
            // RFC 4513 5.1.2: servers take a name without a password as anonymous and say success.
            Bind::Simple { password, .. } if password.open().is_empty() => {
                return Err(Failure::Refused("the bind password is empty".to_owned()));
            }
            Bind::Simple { dn, password } => {
                timeout(self.limits.bind, self.ldap.simple_bind(dn, password.open())).await
            }
            Bind::External => timeout(self.limits.bind, self.ldap.sasl_external_bind()).await,
        };
        match answer {
            Err(_) => Err(late("the bind", self.limits.bind)),
            Ok(Err(_)) => Err(self.ended()),
            Ok(Ok(result)) if result.rc == 0 => Ok(()),
            Ok(Ok(result)) => Err(of_bind(result.rc, &result.text)),
        }
    }
}

/// An answer that did not come in time.
pub fn late(what: &str, limit: Duration) -> Failure {
    Failure::Unavailable(format!("{what} took longer than {} ms", limit.as_millis()))
}

async fn open_at(url: &ServerUrl, options: &LdapOptions) -> Result<Connection, Failure> {
    let limit = options.limits.connect;
    let (stream, security) = timeout(limit, reach(url, options))
        .await
        .unwrap_or_else(|_| Err(late("connecting", limit)))?;
    let mut connection = guarded(stream, url, security, options.limits).await?;
    connection.protected = !url.is_plain() || options.starttls;
    connection.bind(&options.bind).await?;
    Ok(connection)
}

/// Connects and secures the stream.
async fn reach(
    url: &ServerUrl,
    options: &LdapOptions,
) -> Result<(Box<dyn Stream>, String), Failure> {
    match &url.place {
        Place::Ldapi(path) => {
            let stream = UnixStream::connect(path).await.map_err(|error| unreachable(&error))?;
            Ok((Box::new(stream), "Unix socket".to_owned()))
        }
        Place::Ldaps { host, port } => {
            let stream = dial(host, *port).await?;
            secured(handshake(host, stream, options).await?)
        }
        Place::Ldap { host, port } if options.starttls => {
            let stream = starttls(dial(host, *port).await?, options.limits.message_bytes).await?;
            secured(handshake(host, stream, options).await?)
        }
        Place::Ldap { host, port } => {
            if !url.is_local() && !options.insecure {
                return Err(Failure::Config {
                    message: "the connection would not be encrypted".to_owned(),
                    hint: "use `ldaps://` or `starttls: true`; else say `insecure: true`"
                        .to_owned(),
                });
            }
            Ok((Box::new(dial(host, *port).await?), "not encrypted".to_owned()))
        }
    }
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| unreachable(&error))?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(KEEPALIVE_IDLE_S))
        .with_interval(Duration::from_secs(KEEPALIVE_INTERVAL_S))
        .with_retries(KEEPALIVE_PROBES);
    let socket = SockRef::from(&stream);
    socket
        .set_tcp_keepalive(&keepalive)
        .and_then(|()| socket.set_tcp_user_timeout(Some(Duration::from_secs(UNACKNOWLEDGED_S_MAX))))
        .and_then(|()| stream.set_nodelay(true))
        .map_err(|error| unreachable(&error))?;
    Ok(stream)
}

fn unreachable(error: &std::io::Error) -> Failure {
    Failure::Unavailable(format!("cannot connect: {error}"))
}

async fn handshake(
    host: &str,
    stream: TcpStream,
    options: &LdapOptions,
) -> Result<TlsStream<TcpStream>, Failure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Failure::Config {
        message: format!("`{host}` is no name that a certificate could carry"),
        hint: "use the server's DNS name or IP address".to_owned(),
    })?;
    let connector = tls::connector(&options.tls)?;
    connector.connect(name, stream).await.map_err(|error| tls::failure(&error))
}

fn secured(stream: TlsStream<TcpStream>) -> Result<(Box<dyn Stream>, String), Failure> {
    let session = stream.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str());
    let version = version.unwrap_or("TLS").replace("TLSv1_", "TLS 1.");
    let certificate = session.peer_certificates().and_then(<[_]>::first).map(tls::fingerprint);
    let security = format!("{version}, certificate sha256 {}", certificate.unwrap_or_default());
    Ok((Box::new(stream), security))
}

/// Asks for STARTTLS. Not a byte may follow the answer before the handshake: it would come from
/// somebody in between and be taken for the server's word (L-37).
async fn starttls(mut stream: TcpStream, message_bytes_max: usize) -> Result<TcpStream, Failure> {
    let name = ber::put(0x80, STARTTLS.as_bytes());
    let body = [ber::put_integer(1), ber::put(message::EXTENDED, &name)].concat();
    let request = ber::put(ber::SEQUENCE, &body);
    stream.write_all(&request).await.map_err(|error| unreachable(&error))?;
    let mut inbox = Inbox::new(stream, message_bytes_max);
    let fault = |kind| Failure::from(Fault { kind, id: 1, offset: 0 });
    let answer: Bytes = inbox.next().await.map_err(fault)?;
    if inbox.has_more() {
        return Err(fault(FaultKind::Injection));
    }
    ber::check(&answer)?;
    let answer = Message::parse(&answer)?;
    answer.check()?;
    if answer.id != 1 || answer.tag != message::EXTENDED_ANSWER {
        return Err(fault(FaultKind::Unasked));
    }
    let outcome = answer.outcome()?;
    if outcome.code != 0 {
        let text = shown(outcome.text);
        return Err(Failure::Tls(format!("STARTTLS was refused ({}): `{text}`", outcome.code)));
    }
    Ok(inbox.reader)
}

/// Puts the guard between the network and `ldap3`, and starts both.
async fn guarded(
    stream: Box<dyn Stream>,
    url: &ServerUrl,
    security: String,
    limits: Limits,
) -> Result<Connection, Failure> {
    let local = |error: std::io::Error| Failure::Unavailable(format!("no socket pair: {error}"));
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(local)?;
    ours.set_nonblocking(true).map_err(local)?;
    let (frames, received) = mpsc::unbounded_channel();
    let (abandon, abandoned) = mpsc::unbounded_channel();
    let (writes, to_write) = mpsc::unbounded_channel();
    let fault = FaultSlot::default();
    let guard = Guard {
        local: UnixStream::from_std(ours).map_err(local)?,
        frames,
        abandon: abandoned,
        writes: to_write,
        fault: Arc::clone(&fault),
        message_bytes_max: limits.message_bytes,
        window_bytes: limits.window_bytes,
    };
    // No path is opened, since the stream is given.
    let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
    let (driver, ldap) = LdapConnAsync::with_settings(settings, "ldapi://guard")
        .await
        .map_err(|error| Failure::Unavailable(format!("no client: {error}")))?;
    spawn(async move { guard.run(stream).await });
    // Its error says no more than the guard's fault does.
    spawn(async move { drop(driver.drive().await) });
    Ok(Connection {
        ldap,
        frames: received,
        abandon,
        writes,
        next_write: WRITE_ID_FIRST,
        fault,
        url: url.clone(),
        security,
        protected: false,
        limits,
    })
}

/// Both tasks of a connection end with it: dropping the `ldap3` handle ends its driver, which
/// closes the socket pair, which ends the guard. A panic in one of them is a lost connection
/// (L-39).
#[expect(clippy::disallowed_methods, reason = "the tasks end with the connection that owns them")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}
