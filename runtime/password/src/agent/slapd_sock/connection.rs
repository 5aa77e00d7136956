//! One connection of slapd's, which carries one message. Its bytes flow in, the answer flows out.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::Shim;
use super::message::{Message, Reader};
use crate::agent::ldif::{Line, Lines};

/// slapd writes a message at once; whoever does not, is not slapd.
const MESSAGE_TIME_MAX: Duration = Duration::from_secs(10);

/// Largest message that is read for a password: slapd takes 16 MiB from users who are logged in,
/// and base64 adds a third.
const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What slapd is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Continue,
    /// The client sees error 52, "Server is unavailable".
    Unavailable,
}

// === impl Reply ===

impl Reply {
    fn text(self) -> &'static [u8] {
        match self {
            Self::Continue => b"CONTINUE\n",
            Self::Unavailable => b"RESULT\ncode: 52\ninfo: password changes cannot be kept now\n\n",
        }
    }
}

/// Serves a connection to its end.
///
/// Takes: its number among all connections, in the order slapd made them.
pub async fn serve(shim: Arc<Shim>, mut stream: UnixStream, arrival: u64) {
    let read = tokio::time::timeout(MESSAGE_TIME_MAX, read(&mut stream)).await;
    let reply = match read {
        Ok(Ok(Some(Message::Result { id, code }))) => {
            shim.ended(id, code, arrival).await;
            return;
        }
        Ok(Ok(Some(Message::Write { id, write }))) => shim.capture(id, write).await,
        Ok(Ok(Some(Message::Nothing { id, useless }))) => {
            if let Some(useless) = useless {
                shim.not_captured(id, useless);
            }
            Reply::Continue
        }
        // Too long: the write is none of our business.
        Ok(Ok(None)) => {
            tracing::warn!(
                target: "kakehi::password",
                "a write of more than {MESSAGE_BYTES_MAX} bytes was not looked at"
            );
            Reply::Continue
        }
        Ok(Err(error)) => {
            tracing::debug!(target: "kakehi::password", "a message of slapd's broke off: {error}");
            return;
        }
        Err(_) => {
            tracing::warn!(target: "kakehi::password", "a message of slapd's did not end in time");
            return;
        }
    };
    if let Err(error) = stream.write_all(reply.text()).await {
        // The operation then fails at slapd, and its capture is dropped for want of a result.
        tracing::warn!(target: "kakehi::password", "slapd did not wait for the answer: {error}");
    }
}

/// Reads one message. `None`: it is too long, and was read to its end.
async fn read(stream: &mut UnixStream) -> std::io::Result<Option<Message>> {
    let (mut lines, mut reader) = (Lines::default(), Reader::default());
    let mut piece = Zeroizing::new([0; 8192]);
    let (mut total, mut over) = (0_usize, false);
    while !over {
        let length = stream.read(&mut piece[..]).await?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        total = total.saturating_add(length);
        let too_long = total > MESSAGE_BYTES_MAX;
        lines.feed(&piece[..length], &mut |line| match line {
            Line::Empty => over = true,
            _ if too_long => {}
            line => reader.line(&line),
        });
    }
    Ok((total <= MESSAGE_BYTES_MAX).then(|| reader.end()))
}
