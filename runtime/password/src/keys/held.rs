//! The key pairs of a running service: read at its start, and again when somebody says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::{KeyRing, KeysError};

pub struct HeldKeys {
    folder: PathBuf,
    ring: RwLock<Arc<KeyRing>>,
}

// === impl HeldKeys ===

impl HeldKeys {
    /// Errors: see [`KeyRing::load`].
    pub fn load(folder: &Path) -> Result<Self, KeysError> {
        let ring = RwLock::new(Arc::new(KeyRing::load(folder)?));
        Ok(Self { folder: folder.to_owned(), ring })
    }

    /// What is held now; whoever works with it keeps it until done.
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the folder again. Errors: it cannot be used; what is held stays.
    pub fn reload(&self) -> Result<(), KeysError> {
        let ring = Arc::new(KeyRing::load(&self.folder)?);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }
}
