//! The body of a request that holds a password: bytes flow in, and whether anybody took them flows
//! out. Only that decides whether a failed request may have been carried out.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

pub struct Sealed {
    bytes: Option<Bytes>,
    taken: Arc<AtomicBool>,
}

// === impl Sealed ===

impl Sealed {
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), taken: Arc::default() }
    }

    /// Becomes true when the bytes are on their way.
    pub fn taken(&self) -> Arc<AtomicBool> {
        self.taken.clone()
    }
}

impl Body for Sealed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.bytes.take();
        if bytes.is_some() {
            self.taken.store(true, Ordering::SeqCst);
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
