//! What one instance may use (rules.md 5.4): defaults, and the ceilings that a manifest cannot
//! raise a rule above.

use std::time::Duration;

use crate::text::size;

const MIB: usize = 1024 * 1024;

/// Linear memory of an instance, all its memories together: the largest language rests at 12.7 MiB,
/// and 50,000 values take 18 more.
const MEMORY_BYTES_DEFAULT: usize = 64 * MIB;

/// Two workers with so much each still leave half of the service's 2 GiB to everything else.
const MEMORY_BYTES_CEILING: usize = 512 * MIB;

/// Time for one object, without its values: 250 times what the slowest language needs.
const TIME_DEFAULT: Duration = Duration::from_millis(100);

/// A worker is never held longer by one object, and the circuit breaker still opens within the
/// hour.
const TIME_CEILING: Duration = Duration::from_secs(60);

/// What one call may answer: a group of 50,000 members needs 5 MiB.
const OUTPUT_BYTES_DEFAULT: usize = 8 * MIB;

/// A group of half a million members. It stands twice in our memory while it is checked.
const OUTPUT_BYTES_CEILING: usize = 64 * MIB;

/// What one instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory in bytes.
    pub memory_bytes: usize,
    /// Time per object, to which 10 us for each of its values are added.
    pub time: Duration,
    /// What one call may answer, in bytes as the interface counts them.
    pub output_bytes: usize,
    /// Instructions per object, roughly; `None`: not counted. It has no ceiling, since time has
    /// one; `u64::MAX` counts without limiting.
    pub fuel: Option<u64>,
}

/// A limit that no rule may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitFault {
    #[error("`{limit}` is {found}, at most {ceiling}")]
    TooHigh {
        /// As the manifest calls it: `memory`, `time`, `output`, `fuel`.
        limit: &'static str,
        found: String,
        ceiling: String,
    },
    #[error("`{limit}` is 0, with which every object would fail")]
    Zero { limit: &'static str },
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: MEMORY_BYTES_DEFAULT,
            time: TIME_DEFAULT,
            output_bytes: OUTPUT_BYTES_DEFAULT,
            fuel: None,
        }
    }
}

impl Limits {
    /// Whether a rule may have these limits. Errors: the first that is beyond its ceiling, or 0.
    pub fn check(&self) -> Result<(), LimitFault> {
        let too_high = |limit, found, ceiling| LimitFault::TooHigh { limit, found, ceiling };
        let bytes = |limit, found: usize, ceiling| match found {
            0 => Err(LimitFault::Zero { limit }),
            _ if found > ceiling => Err(too_high(limit, size(found), size(ceiling))),
            _ => Ok(()),
        };
        bytes("memory", self.memory_bytes, MEMORY_BYTES_CEILING)?;
        if self.time.is_zero() {
            return Err(LimitFault::Zero { limit: "time" });
        }
        if self.time > TIME_CEILING {
            let (found, ceiling) = (format!("{:?}", self.time), format!("{TIME_CEILING:?}"));
            return Err(too_high("time", found, ceiling));
        }
        bytes("output", self.output_bytes, OUTPUT_BYTES_CEILING)?;
        match self.fuel {
            Some(0) => Err(LimitFault::Zero { limit: "fuel" }),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(limits: Limits, expected: Option<&str>) {
        let found = limits.check().err().map(|fault| fault.to_string());
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn g09_a_limit_may_have_its_ceiling_and_not_one_more() {
        let default = Limits::default();
        check(default, None);
        let ceiling = Limits {
            memory_bytes: MEMORY_BYTES_CEILING,
            time: TIME_CEILING,
            output_bytes: OUTPUT_BYTES_CEILING,
            fuel: Some(u64::MAX),
        };
        check(ceiling, None);
        let time = TIME_CEILING + Duration::from_millis(1);
        for (limits, expected) in [
            (
                Limits { memory_bytes: MEMORY_BYTES_CEILING + 1, ..default },
                "`memory` is 513 MiB, at most 512 MiB",
            ),
            (Limits { time, ..default }, "`time` is 60.001s, at most 60s"),
            (
                Limits { output_bytes: OUTPUT_BYTES_CEILING + 1, ..default },
                "`output` is 65 MiB, at most 64 MiB",
            ),
        ] {
            check(limits, Some(expected));
        }
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        let default = Limits::default();
        for (limits, limit) in [
            (Limits { memory_bytes: 0, ..default }, "memory"),
            (Limits { time: Duration::ZERO, ..default }, "time"),
            (Limits { output_bytes: 0, ..default }, "output"),
            (Limits { fuel: Some(0), ..default }, "fuel"),
        ] {
            assert_eq!(limits.check(), Err(LimitFault::Zero { limit }));
        }
    }
}
