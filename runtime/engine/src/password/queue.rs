//! The slots that an event is about, with what holds for all of them.

use std::collections::{BTreeMap, BTreeSet};

use super::breaker::Breaker;
use super::policy::Policy;
use super::slot::{Slot, SlotKey};
use crate::object::ConnectorName;

/// A working set: every slot that the next event speaks of, or all there are.
#[derive(Clone, Debug, PartialEq)]
pub struct PasswordQueue {
    pub policy: Policy,
    pub slots: BTreeMap<SlotKey, Slot>,
    /// Absent: healthy.
    pub targets: BTreeMap<ConnectorName, Breaker>,
    /// Everything is paused.
    pub paused: bool,
    pub paused_targets: BTreeSet<ConnectorName>,
}

// === impl PasswordQueue ===

impl PasswordQueue {
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            slots: BTreeMap::new(),
            targets: BTreeMap::new(),
            paused: false,
            paused_targets: BTreeSet::new(),
        }
    }
}
