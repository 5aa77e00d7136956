//! Mark and sweep (L-41): one bit for each object that the running listing of a partition has
//! shown.
//!
//! The bits are in memory only: stamping an unchanged entry writes nothing (PF-12). A listing that
//! a restart cut short has no bits, so its end sweeps nothing; the next listing begins anew.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// The running listings, by row of `source_state`.
#[derive(Default)]
pub(super) struct Listings(RefCell<BTreeMap<i64, Listing>>);

struct Listing {
    generation: u64,
    /// By id of the object.
    seen: Vec<u64>,
}

/// The objects that a complete listing has shown.
pub(super) struct Seen(Vec<u64>);

// === impl Listings ===

impl Listings {
    /// The same generation again goes on where it was cut; another one starts over (L-42).
    pub(super) fn begin(&self, partition: i64, generation: u64) {
        let mut running = self.0.borrow_mut();
        if running.get(&partition).is_none_or(|listing| listing.generation != generation) {
            running.insert(partition, Listing { generation, seen: vec![] });
        }
    }

    pub(super) fn stamp(&self, partition: i64, object: i64) {
        if let Some(listing) = self.0.borrow_mut().get_mut(&partition) {
            let (word, bit) = place(object);
            if listing.seen.len() <= word {
                listing.seen.resize(word + 1, 0);
            }
            listing.seen[word] |= bit;
        }
    }

    /// Gives `None` if no listing of this generation runs: then nothing is known to be gone (L-05).
    pub(super) fn end(&self, partition: i64, generation: u64) -> Option<Seen> {
        let listing = self.0.borrow_mut().remove(&partition)?;
        (listing.generation == generation).then_some(Seen(listing.seen))
    }

    pub(super) fn forget(&self) {
        self.0.take();
    }
}

// === impl Seen ===

impl Seen {
    pub(super) fn contains(&self, object: i64) -> bool {
        let (word, bit) = place(object);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

/// Ids count up from 1, so the bits stay dense.
fn place(object: i64) -> (usize, u64) {
    ((object / 64) as usize, 1 << (object % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_stamped_is_seen() {
        let listings = Listings::default();
        listings.stamp(1, 5);
        listings.begin(1, 7);
        for object in [1, 63, 64, 200] {
            listings.stamp(1, object);
        }
        listings.stamp(2, 3);
        let seen = listings.end(1, 7).unwrap();
        let found: Vec<i64> = (1..300).filter(|object| seen.contains(*object)).collect();
        assert_eq!(found, [1, 63, 64, 200]);
    }

    #[test]
    fn l42_a_listing_goes_on_in_its_generation_and_starts_over_in_a_new_one() {
        let listings = Listings::default();
        listings.begin(1, 1);
        listings.stamp(1, 10);
        listings.begin(1, 1);
        assert!(listings.end(1, 1).unwrap().contains(10));
        listings.begin(1, 2);
        listings.stamp(1, 10);
        listings.begin(1, 3);
        assert!(!listings.end(1, 3).unwrap().contains(10));
    }

    #[test]
    fn the_end_of_another_listing_knows_nothing() {
        let listings = Listings::default();
        listings.begin(1, 1);
        assert!(listings.end(1, 2).is_none());
        assert!(listings.end(1, 1).is_none());
    }
}
