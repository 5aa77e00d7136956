//! A SCIM server that says what a test wants it to say: a request line flows in, a scripted answer
//! flows out. It plays servers that no honest receiver can be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A scripted answer: status, extra header lines, body.
pub type Answer = (u16, &'static str, String);

/// A running stub; it stops when it is dropped.
pub struct ScimStub {
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ScimStub {
    /// Starts a stub that answers each request line, such as `GET /Users?count=1`, by `script`.
    pub fn start(script: impl FnMut(&str) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("the socket is bound");
        let log = Arc::new(Mutex::new(vec![]));
        let stopping = Arc::new(AtomicBool::new(false));
        let (seen, stop) = (log.clone(), stopping.clone());
        let thread = std::thread::spawn(move || serve(&listener, script, &seen, &stop));
        Self { address, log, stopping, thread: Some(thread) }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The request lines so far, in order.
    pub fn requests(&self) -> Vec<String> {
        self.log.lock().expect("no request panicked").clone()
    }
}

impl Drop for ScimStub {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Only a connection wakes a listener up.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: &TcpListener,
    mut script: impl FnMut(&str) -> Answer,
    log: &Mutex<Vec<String>>,
    stopping: &AtomicBool,
) {
    for stream in listener.incoming().map_while(Result::ok) {
        if stopping.load(Ordering::SeqCst) {
            return;
        }
        // A client that hangs up early is a test's affair.
        let _ = answer(stream, &mut script, log);
    }
}

fn answer(
    stream: TcpStream,
    script: &mut impl FnMut(&str) -> Answer,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let request = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    log.lock().expect("no request panicked").push(request.clone());
    let (status, headers, body) = script(&request);
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    reader.get_mut().write_all(answer.as_bytes())
}
