//! Flow control: how requests ended flows in, how many may be under way at once flows out
//! (delivery.md 9). Additive increase, multiplicative decrease.

use std::sync::Mutex;

/// Requests under way at the start: enough to learn quickly, few enough for the weakest server.
const WINDOW_START: usize = 4;

/// How many writes the share of server errors is taken over.
const RECENT_WRITES: u32 = 32;

/// From this share of the recent writes on (in percent), a 500 says something of the server and
/// nothing of the object. A server that was overrun answered 31 % of its writes so.
const ERRORS_HIGH_PERCENT: u32 = 25;

/// Fewer writes than these say nothing of the server: one bad object may be the first of a run.
const RECENT_WRITES_MIN: u32 = 8;

pub struct Window {
    max: usize,
    state: Mutex<State>,
}

struct State {
    size: usize,
    /// Requests without loss since the window last changed.
    clean: usize,
    /// Counts the losses. A request that began before the newest one says nothing new.
    epoch: u64,
    /// The last writes, the newest in the lowest bit; set: a 500.
    errors: u32,
    writes: u32,
}

/// When a request began, in losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

// === impl Window ===

impl Window {
    /// A window that grows to `max` at most and never closes.
    pub fn new(max: usize) -> Self {
        let max = max.max(1);
        let size = WINDOW_START.min(max);
        Self { max, state: Mutex::new(State { size, clean: 0, epoch: 0, errors: 0, writes: 0 }) }
    }

    /// How many requests should be under way at once.
    pub fn size(&self) -> usize {
        self.lock().size
    }

    pub fn begin(&self) -> Epoch {
        Epoch(self.lock().epoch)
    }

    /// A request was answered: one more request after each full window.
    pub fn answered(&self) {
        let mut state = self.lock();
        state.clean += 1;
        if state.clean >= state.size {
            state.clean = 0;
            state.size = (state.size + 1).min(self.max);
        }
    }

    /// A request was lost or turned away for load: half as many. Losses of one burst count once.
    pub fn lost(&self, began: Epoch) {
        let mut state = self.lock();
        if began.0 == state.epoch {
            state.epoch += 1;
            state.clean = 0;
            state.size = (state.size / 2).max(1);
        }
    }

    /// A write ended with a 500 (`true`) or otherwise.
    pub fn wrote(&self, server_error: bool) {
        let mut state = self.lock();
        state.errors = (state.errors << 1) | u32::from(server_error);
        state.writes = (state.writes + 1).min(RECENT_WRITES);
    }

    /// Whether so many writes end with a 500 that it is the server that is ill, not the object.
    pub fn errors_are_frequent(&self) -> bool {
        let state = self.lock();
        state.writes >= RECENT_WRITES_MIN
            && state.errors.count_ones() * 100 >= ERRORS_HIGH_PERCENT * state.writes
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_by_one_per_window_and_halves_once_per_burst() {
        let window = Window::new(6);
        for expected in [5, 6, 6] {
            (0..window.size()).for_each(|_| window.answered());
            assert_eq!(window.size(), expected);
        }
        let began = window.begin();
        (0..5).for_each(|_| window.lost(began));
        assert_eq!(window.size(), 3);
        for expected in [1, 1] {
            window.lost(window.begin());
            assert_eq!(window.size(), expected);
        }
    }

    #[test]
    fn the_window_stays_within_its_bounds() {
        for max in [0, 1, 2, 16] {
            let window = Window::new(max);
            for step in 0..1_000_u32 {
                if step % 97 == 0 {
                    window.lost(window.begin())
                } else {
                    window.answered()
                }
                assert!((1..=max.max(1)).contains(&window.size()));
            }
        }
    }

    #[test]
    fn one_bad_object_is_no_ill_server() {
        let window = Window::new(4);
        window.wrote(true);
        assert!(!window.errors_are_frequent());
        (0..9).for_each(|_| window.wrote(false));
        assert!(!window.errors_are_frequent());
        (0..3).for_each(|_| window.wrote(true));
        assert!(window.errors_are_frequent());
    }
}
