//! What a stage costs: wall time and the CPU time of this process.

use std::time::{Duration, Instant};

/// A running measurement.
pub(crate) struct Meter {
    began: Instant,
    cpu: Duration,
}

// === impl Meter ===

impl Meter {
    pub fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu_time() }
    }

    /// (wall, CPU) since the start.
    pub fn read(&self) -> (Duration, Duration) {
        (self.began.elapsed(), cpu_time().saturating_sub(self.cpu))
    }
}

/// User and system time of all threads of this process, in the kernel's ticks of 10 ms; zero where
/// `/proc` cannot be read.
fn cpu_time() -> Duration {
    const TICK_MS: u64 = 10;
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return Duration::ZERO };
    // The command name stands in brackets and may hold anything, brackets and blanks included.
    let after = stat.rsplit(')').next().unwrap_or("");
    let fields: Vec<&str> = after.split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
    Duration::from_millis((ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)) * TICK_MS)
}
