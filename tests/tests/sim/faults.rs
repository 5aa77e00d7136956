//! What goes wrong on the way to a target, by seed.

use crate::model::Random;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Nothing was done, for no fault of the object.
    Unavailable,
    /// The target refuses this object, this time.
    Rejected,
    /// The process ends after it wrote its intent down and before the request.
    CrashBefore,
    /// The process ends after the request and before it wrote the outcome down.
    CrashAfter,
}

pub struct Faults {
    random: Random,
    /// How many are still to come: after them everything works.
    left: u32,
}

/// One request in so many meets a fault, as long as there are any.
const FAULT_EVERY: u32 = 4;

impl Faults {
    pub fn none() -> Self {
        Self { random: Random::new(0, "faults"), left: 0 }
    }

    pub fn seeded(seed: u64, count: u32) -> Self {
        Self { random: Random::new(seed, "faults"), left: count }
    }

    pub fn left(&self) -> u32 {
        self.left
    }

    pub fn next(&mut self) -> Option<Fault> {
        if self.left == 0 || !self.random.once_in(FAULT_EVERY) {
            return None;
        }
        self.left -= 1;
        let all = [Fault::Unavailable, Fault::Rejected, Fault::CrashBefore, Fault::CrashAfter];
        Some(self.random.choose(&all))
    }
}
