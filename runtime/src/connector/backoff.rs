//! How long a source is left alone after a failure: exponential back-off with full jitter (L-25).

use std::time::Duration;

/// Ceiling of the first pause: a restarted server is back within about a second.
pub const PAUSE_MS_MIN: u64 = 1_000;
/// Ceiling of the longest pause: data is never staler than this once the server is back.
pub const PAUSE_MS_MAX: u64 = 60_000;

/// Counts failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Gives the pause after one more failure: anything between zero and a ceiling that doubles
    /// with each failure.
    ///
    /// Takes: a uniformly random number; clients that failed together must not return together.
    pub fn failed(&mut self, random: u64) -> Duration {
        let ceiling = PAUSE_MS_MIN
            .checked_shl(self.failures)
            .map_or(PAUSE_MS_MAX, |pause| pause.min(PAUSE_MS_MAX));
        // Seven doublings pass the largest ceiling, so counting on would only overflow the shift.
        self.failures = (self.failures + 1).min(7);
        Duration::from_millis(random % (ceiling + 1))
    }

    /// A poll succeeded: the next failure is a first one.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The random number that is the ceiling itself gives the longest pause.
    fn longest(backoff: &mut Backoff, ceiling: u64) -> Duration {
        backoff.failed(ceiling)
    }

    #[test]
    fn l25_the_ceiling_doubles_up_to_a_minute_and_resets_after_success() {
        let mut backoff = Backoff::default();
        for ceiling in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000] {
            assert_eq!(longest(&mut backoff, ceiling), Duration::from_millis(ceiling));
        }
        backoff.succeeded();
        assert_eq!(longest(&mut backoff, 1_000), Duration::from_secs(1));
    }

    #[test]
    fn l25_the_jitter_is_full_and_stays_below_the_ceiling() {
        for random in [0, 1, 999, 1_001, u64::MAX] {
            let pause = Backoff::default().failed(random);
            assert!(pause <= Duration::from_millis(PAUSE_MS_MIN), "{pause:?} of {random}");
        }
        assert_eq!(Backoff::default().failed(0), Duration::ZERO);
    }
}
