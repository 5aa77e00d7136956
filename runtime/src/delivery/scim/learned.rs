//! What a target taught us while it was written to: refusals flow in, the words that work flow out.
//! Kept for the life of the process, since a wrong memory costs one refused request and a lost one
//! too.

use std::sync::{Mutex, PoisonError};

use super::profile::{Profile, RemoveStyle};

/// In which words an object's attributes are changed. The later ones cost more and presume less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// PATCH by attribute path.
    Path,
    /// GET, then PATCH of whole attributes.
    Merged,
    /// GET, merge, PUT.
    Put,
}

pub struct Learned(Mutex<State>);

struct State {
    dialect: Dialect,
    removal: RemoveStyle,
    /// A list of values was seen to remove those members and no others.
    value_array_is_proven: bool,
    /// Most members in one request.
    chunk: usize,
}

// === impl Learned ===

impl Learned {
    pub fn new(profile: &Profile) -> Self {
        let removal = profile.members.remove;
        Self(Mutex::new(State {
            dialect: if profile.put_only { Dialect::Put } else { Dialect::Path },
            removal,
            value_array_is_proven: removal == RemoveStyle::ValueArray,
            chunk: profile.members.max_per_request.max(1),
        }))
    }

    pub fn dialect(&self) -> Dialect {
        self.lock().dialect
    }

    /// The server will never take simpler words than these.
    pub fn raise_dialect(&self, to: Dialect) {
        let mut state = self.lock();
        state.dialect = state.dialect.max(to);
    }

    /// The ways of removing members, the one that worked last first.
    pub fn removals(&self) -> Vec<RemoveStyle> {
        let first = self.lock().removal;
        let all = [RemoveStyle::Filter, RemoveStyle::ValueArray, RemoveStyle::Replace];
        let others = all.into_iter().filter(|style| *style != first);
        std::iter::once(first).chain(others).collect()
    }

    pub fn removal_worked(&self, style: RemoveStyle) {
        let mut state = self.lock();
        state.removal = style;
        state.value_array_is_proven |= style == RemoveStyle::ValueArray;
    }

    pub fn value_array_is_proven(&self) -> bool {
        self.lock().value_array_is_proven
    }

    pub fn chunk(&self) -> usize {
        self.lock().chunk
    }

    /// So many members were too many for one request.
    pub fn halve_chunk(&self, refused: usize) {
        let mut state = self.lock();
        state.chunk = state.chunk.min(refused / 2).max(1);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dialect {
    /// The next one to try; `None` after the last.
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Path => Some(Self::Merged),
            Self::Merged => Some(Self::Put),
            Self::Put => None,
        }
    }
}
