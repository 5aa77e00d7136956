//! The wish to end: set once, seen everywhere (service.md 8).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    state: Arc<(AtomicBool, Notify)>,
}

// === impl Stop ===

impl Stop {
    pub fn set(&self) {
        self.state.0.store(true, Ordering::SeqCst);
        self.state.1.notify_waiters();
    }

    pub fn is_set(&self) -> bool {
        self.state.0.load(Ordering::SeqCst)
    }

    /// Returns once it is set; at once if it is set already.
    pub async fn wait(&self) {
        loop {
            let woken = self.state.1.notified();
            if self.is_set() {
                return;
            }
            woken.await;
        }
    }
}
