//! The frame guard: it alone reads and writes the network (L-30). A server's bytes flow in, checked
//! messages flow out: answers to a search to whoever reads it, all others to `ldap3`, which is safe
//! only behind this wall. Requests of `ldap3` flow the other way, and only those that read.
//! Passwords are written past `ldap3`, which would keep copies of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use zeroize::Zeroizing;

use super::ber;
use super::fault::{Fault, FaultKind, shown};
use super::message::{self, Message};

/// Free space before each read: a few TLS records, so that small entries come many at a time.
const READ_BYTES: usize = 64 * 1024;
/// How long Abandon and Unbind may take on a connection that is given up anyway.
const GOODBYE_MS_MAX: u64 = 1_000;
/// Message id of our own last messages: `ldap3` counts from 1 and never gets here.
const GOODBYE_ID: i32 = i32::MAX;
/// Notice of Disconnection (RFC 4511 4.4.1).
const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

/// One answer to a search, checked. While it exists it takes part of the window.
pub struct Frame {
    pub bytes: Bytes,
    /// Room in the window, given back on drop.
    _room: OwnedSemaphorePermit,
}

/// A whole message that sets a password.
pub struct Write {
    pub bytes: Zeroizing<Vec<u8>>,
    /// Becomes true before its first byte is on its way.
    pub sent: Arc<AtomicBool>,
}

/// Where the guard leaves the first fault (L-36).
pub type FaultSlot = Arc<OnceLock<Fault>>;

/// Complete messages out of a stream of bytes.
pub struct Inbox<R> {
    pub reader: R,
    buffer: BytesMut,
    message_bytes_max: usize,
    /// Bytes of all messages before the buffer.
    offset: u64,
}

pub struct Guard {
    /// The other end of `ldap3`'s stream.
    pub local: UnixStream,
    pub frames: mpsc::UnboundedSender<Frame>,
    /// A message id that comes in here is abandoned, and the connection with it (L-26).
    pub abandon: mpsc::UnboundedReceiver<i32>,
    pub writes: mpsc::UnboundedReceiver<Write>,
    pub fault: FaultSlot,
    pub message_bytes_max: usize,
    /// Bytes of search answers that may wait to be read (L-34).
    pub window_bytes: usize,
}

/// Requests under way: the operation of each message id (L-33).
type Operations = Mutex<BTreeMap<i32, u8>>;

/// What an answer is for.
enum Route {
    Search,
    Bind,
}

// === impl Guard ===

impl Guard {
    /// Runs until either side ends. The fault is in its slot before anybody can see an end.
    pub async fn run(mut self, stream: impl AsyncRead + AsyncWrite) {
        let (reader, writer) = tokio::io::split(stream);
        let (local_reader, local_writer) = self.local.split();
        let operations = Operations::default();
        let mut incoming = Incoming {
            inbox: Inbox::new(reader, self.message_bytes_max),
            local: local_writer,
            operations: &operations,
            frames: &self.frames,
            window: Arc::new(Semaphore::new(self.window_bytes)),
            window_bytes: self.window_bytes,
        };
        let mut outgoing = Outgoing {
            inbox: Inbox::new(local_reader, self.message_bytes_max),
            writer,
            operations: &operations,
            abandon: &mut self.abandon,
            writes: &mut self.writes,
        };
        let fault = tokio::select! {
            fault = incoming.run() => fault,
            fault = outgoing.run() => fault,
        };
        // Only the first one counts, and there is only one: a full slot cannot happen.
        let _ = self.fault.set(fault);
    }
}

/// From the server to us.
struct Incoming<'g, R, L> {
    inbox: Inbox<R>,
    local: L,
    operations: &'g Operations,
    frames: &'g mpsc::UnboundedSender<Frame>,
    window: Arc<Semaphore>,
    window_bytes: usize,
}

impl<R: AsyncRead + Unpin, L: AsyncWrite + Unpin> Incoming<'_, R, L> {
    async fn run(&mut self) -> Fault {
        loop {
            let offset = self.inbox.offset;
            let bytes = match self.inbox.next().await {
                Ok(bytes) => bytes,
                Err(kind) => return Fault { kind, id: 0, offset },
            };
            if let Err(kind) = self.pass_on(bytes.clone()).await {
                let id = Message::parse(&bytes).map_or(0, |message| message.id);
                return Fault { kind, id, offset };
            }
        }
    }

    async fn pass_on(&mut self, bytes: Bytes) -> Result<(), FaultKind> {
        ber::check(&bytes)?;
        let message = Message::parse(&bytes)?;
        message.check()?;
        if message.id == 0 {
            return unsolicited(&message);
        }
        match self.route(message.id, message.tag)? {
            Route::Bind => {
                self.local.write_all(&bytes).await.map_err(|error| broken(&error))?;
            }
            Route::Search => {
                // A message larger than the window passes once the window is empty.
                let room = bytes.len().min(self.window_bytes) as u32;
                let room = Arc::clone(&self.window).acquire_many_owned(room).await;
                let frame = Frame { bytes, _room: room.map_err(|_| FaultKind::Closed)? };
                self.frames.send(frame).map_err(|_| FaultKind::Closed)?;
            }
        }
        Ok(())
    }

    /// Which request an answer belongs to, and whether it may be an answer to it (L-33).
    fn route(&self, id: i32, tag: u8) -> Result<Route, FaultKind> {
        let mut operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = operations.get(&id).copied().ok_or(FaultKind::Unasked)?;
        if matches!(
            tag,
            message::BIND_ANSWER
                | message::DONE
                | message::MODIFY_ANSWER
                | message::EXTENDED_ANSWER
        ) {
            operations.remove(&id);
        }
        match (asked, tag) {
            (message::BIND, message::BIND_ANSWER) => Ok(Route::Bind),
            (
                message::SEARCH,
                message::ENTRY | message::REFERENCE | message::INTERMEDIATE | message::DONE,
            ) => Ok(Route::Search),
            // Taken up in the same way.
            (message::MODIFY, message::MODIFY_ANSWER)
            | (message::EXTENDED, message::EXTENDED_ANSWER) => Ok(Route::Search),
            _ => Err(FaultKind::Unasked),
        }
    }
}

/// From us to the server. Never waits for the window (L-35).
struct Outgoing<'g, L, W> {
    inbox: Inbox<L>,
    writer: W,
    operations: &'g Operations,
    abandon: &'g mut mpsc::UnboundedReceiver<i32>,
    writes: &'g mut mpsc::UnboundedReceiver<Write>,
}

impl<L: AsyncRead + Unpin, W: AsyncWrite + Unpin> Outgoing<'_, L, W> {
    async fn run(&mut self) -> Fault {
        loop {
            let result = tokio::select! {
                request = self.inbox.next() => match request {
                    Ok(bytes) => self.send(&bytes).await,
                    // `ldap3` is gone: so is everybody who could read an answer.
                    Err(_) => self.say_goodbye(None).await,
                },
                Some(request) = self.writes.recv() => self.set_password(&request).await,
                id = self.abandon.recv() => self.say_goodbye(id).await,
            };
            if let Err(kind) = result {
                return Fault { kind, id: 0, offset: self.inbox.offset };
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), FaultKind> {
        let request = Message::parse(bytes)?;
        if !matches!(request.tag, message::BIND | message::SEARCH) {
            return Err(FaultKind::Forbidden { tag: request.tag });
        }
        self.expect_answer(&request);
        write(&mut self.writer, bytes).await
    }

    async fn set_password(&mut self, request: &Write) -> Result<(), FaultKind> {
        let operation = Message::parse(&request.bytes)?;
        if !matches!(operation.tag, message::MODIFY | message::EXTENDED) {
            return Err(FaultKind::Forbidden { tag: operation.tag });
        }
        self.expect_answer(&operation);
        request.sent.store(true, Ordering::SeqCst);
        write(&mut self.writer, &request.bytes).await
    }

    fn expect_answer(&self, request: &Message<'_>) {
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(request.id, request.tag);
    }

    /// Abandons a search that nobody reads any more and leaves.
    async fn say_goodbye(&mut self, abandoned: Option<i32>) -> Result<(), FaultKind> {
        let mut bytes = vec![];
        if let Some(id) = abandoned {
            let mut abandon = ber::put_integer(id);
            abandon[0] = message::ABANDON;
            bytes.extend(ber::put(
                ber::SEQUENCE,
                &[ber::put_integer(GOODBYE_ID - 1), abandon].concat(),
            ));
        }
        let unbind = [ber::put_integer(GOODBYE_ID), ber::put(message::UNBIND, &[])].concat();
        bytes.extend(ber::put(ber::SEQUENCE, &unbind));
        let farewell = write(&mut self.writer, &bytes);
        // A frozen server must not keep the task alive.
        let _ = tokio::time::timeout(Duration::from_millis(GOODBYE_MS_MAX), farewell).await;
        Err(FaultKind::Closed)
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), FaultKind> {
    writer.write_all(bytes).await.map_err(|error| broken(&error))?;
    writer.flush().await.map_err(|error| broken(&error))
}

/// A message that answers nothing: the Notice of Disconnection ends the connection, every other one
/// is ignored (RFC 4511 4.4).
fn unsolicited(message: &Message<'_>) -> Result<(), FaultKind> {
    if message.tag != message::EXTENDED_ANSWER {
        return Err(FaultKind::Unasked);
    }
    let outcome = message.outcome()?;
    if outcome.name == Some(NOTICE_OF_DISCONNECTION) {
        return Err(FaultKind::Disconnected { code: outcome.code, text: shown(outcome.text) });
    }
    Ok(())
}

/// TLS reports a peer that left without a word as an early end: for us it is an end like any other.
fn broken(error: &std::io::Error) -> FaultKind {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => FaultKind::Closed,
        kind => FaultKind::Broken(kind),
    }
}

// === impl Inbox ===

impl<R: AsyncRead + Unpin> Inbox<R> {
    pub fn new(reader: R, message_bytes_max: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), message_bytes_max, offset: 0 }
    }

    /// The next message, whole but unchecked. Errors: the end of the stream, a header that
    /// announces no message or too large a one (L-31); then nothing more may be read.
    pub async fn next(&mut self) -> Result<Bytes, FaultKind> {
        loop {
            if let Some(length) = self.complete()? {
                self.offset += length as u64;
                return Ok(self.buffer.split_to(length).freeze());
            }
            // Grows with what really came, never with what was announced.
            self.buffer.reserve(READ_BYTES);
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(FaultKind::Closed),
                Ok(_) => {}
                Err(error) => return Err(broken(&error)),
            }
        }
    }

    /// Whether bytes came behind the last message.
    pub fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    fn complete(&self) -> Result<Option<usize>, FaultKind> {
        if self.buffer.first().is_some_and(|tag| *tag != ber::SEQUENCE) {
            return Err(FaultKind::Ber(ber::BerError::Unexpected("tag")));
        }
        let Some(header) = ber::header(&self.buffer)? else {
            return Ok(None);
        };
        let announced = header.head + header.content;
        if announced > self.message_bytes_max {
            return Err(FaultKind::TooLarge { announced, max: self.message_bytes_max });
        }
        Ok((announced <= self.buffer.len()).then_some(announced))
    }
}
