//! Secrets in memory: a text comes in once, is opened where it is sent, and leaves no trace behind.

use zeroize::Zeroizing;

/// A password, token or key (S-04).
///
/// It cannot be printed, copied, compared or serialised, and its memory is overwritten when it is
/// dropped. Share it as `Arc<Secret>`.
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself. Call this only where it is handed to a peer, never to keep or print it.
    pub fn open(&self) -> &str {
        &self.0
    }
}
