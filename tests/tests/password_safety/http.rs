//! An HTTP server that says what a test wants it to say: requests flow in, whole; a scripted answer
//! flows out. It outlives its clients, and carries out what a dead client asked for.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kakehi_tests::daemon::until;

/// One request, as it arrived.
pub struct Seen {
    pub method: String,
    pub path: String,
    pub body: Vec<u8>,
}

pub enum Act {
    /// Status, further header lines, body.
    Say(u16, String, String),
    /// The connection ends without an answer.
    HangUp,
}

pub struct Server {
    address: SocketAddr,
    /// Connections that may still bring a request.
    listening: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

// === impl Server ===

impl Server {
    /// Each connection has a thread of its own, so a script may take its time.
    pub fn start(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("the socket is bound");
        let (listening, stopping) =
            (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (open, stop, script) = (listening.clone(), stopping.clone(), Arc::new(script));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                open.fetch_add(1, Ordering::SeqCst);
                let (open, script) = (open.clone(), script.clone());
                std::thread::spawn(move || {
                    // A client that hangs up early is a test's affair.
                    let _ = serve(stream, &*script, &open);
                });
            }
        });
        Self { address, listening, stopping }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until everything has arrived that clients sent which are gone now. What is still being
    /// worked on is not waited for.
    pub fn hear_out(&self) {
        // Whoever connected before this connection is counted when it ends.
        let mut last = TcpStream::connect(self.address).expect("it listens");
        last.shutdown(Shutdown::Write).expect("it is open");
        let _ = last.read_to_end(&mut vec![]);
        until("all clients are heard out", || self.listening.load(Ordering::SeqCst) == 0);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Only a connection wakes a listener up.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(
    stream: TcpStream,
    script: &dyn Fn(&Seen) -> Act,
    listening: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let read = read(&mut reader);
        listening.fetch_sub(1, Ordering::SeqCst);
        let Some(seen) = read? else { return Ok(()) };
        let act = script(&seen);
        listening.fetch_add(1, Ordering::SeqCst);
        let written = match act {
            Act::HangUp => Err(std::io::ErrorKind::ConnectionAborted.into()),
            Act::Say(status, headers, body) => {
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
                reader.get_mut().write_all(format!("{head}{headers}\r\n{body}").as_bytes())
            }
        };
        if written.is_err() {
            listening.fetch_sub(1, Ordering::SeqCst);
            return written;
        }
    }
}

/// `None`: the client has nothing more to ask.
fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut parts = line.split_whitespace().map(str::to_owned);
    let (method, path) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Seen { method, path, body }))
}

// === SCIM ===

impl Seen {
    /// The user that is looked up: the value of the filter, as far as the first blank.
    pub fn looked_up(&self) -> Option<&str> {
        self.path.split_once("%20eq%20%22")?.1.split_once("%22").map(|(value, _)| value)
    }

    /// The id at the end of the path.
    pub fn id(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The password that is to be set.
    pub fn password(&self) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        Some(body["Operations"][0]["value"].as_str()?.to_owned())
    }
}

pub fn say(status: u16, body: impl Into<String>) -> Act {
    Act::Say(status, String::new(), body.into())
}

/// What a look-up gives: the user, whose id is its name.
pub fn found(name: &str) -> Act {
    let user = serde_json::json!({ "id": name, "userName": name });
    say(200, serde_json::json!({ "totalResults": 1, "Resources": [user] }).to_string())
}

pub fn nobody() -> Act {
    say(200, r#"{"totalResults": 0}"#)
}

/// A user that is read; passwords are never shown.
pub fn user(name: &str) -> Act {
    say(200, serde_json::json!({ "id": name, "userName": name }).to_string())
}

pub fn invalid_value(detail: &str) -> Act {
    say(400, serde_json::json!({ "scimType": "invalidValue", "detail": detail }).to_string())
}
