//! Staging mode: everything but sending (provisioning.md 11.13). Set once, seen everywhere, also in
//! the middle of a delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Cheap to clone; all clones have one switch.
#[derive(Clone, Debug, Default)]
pub struct Staging {
    /// The configuration says so; no switch says otherwise.
    configured: bool,
    switched: Arc<AtomicBool>,
}

// === impl Staging ===

impl Staging {
    pub fn new(configured: bool, switched: bool) -> Self {
        Self { configured, switched: Arc::new(AtomicBool::new(switched)) }
    }

    /// The same switch under a configuration that may say otherwise.
    #[must_use]
    pub fn configured(&self, configured: bool) -> Self {
        Self { configured, switched: Arc::clone(&self.switched) }
    }

    pub fn switch(&self, on: bool) {
        self.switched.store(on, Ordering::SeqCst);
    }

    pub fn is_on(&self) -> bool {
        self.configured || self.switched.load(Ordering::SeqCst)
    }
}
