//! Limits of imports and runs: what was typed flows in, numbers in their range flow out.

use super::check::{Bounds, limit, within};
use super::finding::Findings;
use super::quantity::{Retention, Span};
use super::raw::{ImportRaw, RunRaw};

/// Objects that one complete listing may make vanish (provisioning.md 13, L-43).
pub const SHRINK_OBJECTS: Bounds<u64> = Bounds { default: 500, min: 0, max: u64::MAX };
/// The same in percent of the known ones; whichever is reached first holds the listing.
pub const SHRINK_PERCENT: Bounds<u64> = Bounds { default: 10, min: 0, max: 100 };
/// From one poll to the next: soon enough for people, seldom enough for servers.
pub const POLL: Bounds<Span> =
    Bounds { default: Span::from_secs(60), min: Span::from_secs(1), max: Span::from_secs(86_400) };
/// How long a stop waits for requests under way: service managers kill after 90 s.
pub const DRAIN: Bounds<Span> =
    Bounds { default: Span::from_secs(30), min: Span::from_secs(1), max: Span::from_secs(600) };
/// Failed objects that stop a run: beyond them the fault is not in the objects (provisioning.md
/// 13).
pub const ERRORS: Bounds<u64> = Bounds { default: 5_000, min: 1, max: u64::MAX };

/// How long is kept what was sent: mistakes are found within weeks.
pub const JOURNAL: Bounds<Retention> = Bounds {
    default: Retention::from_secs(30 * 86_400),
    min: Retention(None),
    max: Retention::from_secs(3_650 * 86_400),
};
/// Objects that a rule may fail on before it counts as broken (provisioning.md 11.10) ...
pub const BREAKER_FAILURES: Bounds<u64> = Bounds { default: 50, min: 0, max: u64::MAX };
/// ... and which part of those it saw.
pub const BREAKER_PERCENT: Bounds<u64> = Bounds { default: 5, min: 0, max: 100 };
/// How often a value may go to and fro: once more is flapping (provisioning.md 13) ...
pub const FLIPS: Bounds<u64> = Bounds { default: 3, min: 1, max: 1_000 };
/// ... within this time.
pub const FLAPPING_WINDOW: Bounds<Span> = Bounds {
    default: Span::from_secs(24 * 3600),
    min: Span::from_secs(60),
    max: Span::from_secs(30 * 86_400),
};
/// How often the same value is sent that does not stick (provisioning.md 13).
pub const CONFIRM_RETRIES: Bounds<u64> = Bounds { default: 3, min: 1, max: 1_000 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxShrink {
    pub objects: u64,
    pub percent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    pub max_shrink: MaxShrink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub poll: Span,
    pub drain: Span,
    pub max_errors: u64,
    pub staging: bool,
    pub journal: Retention,
    pub breaker: Breaker,
    pub flapping: Flapping,
    pub confirm_retries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    pub failures: u64,
    pub percent: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    pub flips: u64,
    pub window: Span,
}

pub(super) fn import(raw: ImportRaw, findings: &mut Findings) -> Import {
    let raw = raw.max_shrink;
    let objects = limit(findings, "import.max_shrink.objects", raw.objects, &SHRINK_OBJECTS);
    let percent = limit(findings, "import.max_shrink.percent", raw.percent, &SHRINK_PERCENT);
    Import { max_shrink: MaxShrink { objects, percent } }
}

pub(super) fn run(raw: RunRaw, findings: &mut Findings) -> Run {
    let (breaker, flapping) = (raw.breaker, raw.flapping);
    let (failures, percent) = (&BREAKER_FAILURES, &BREAKER_PERCENT);
    Run {
        poll: within(findings, "run.poll", raw.poll, &POLL),
        drain: within(findings, "run.drain", raw.drain, &DRAIN),
        max_errors: limit(findings, "run.max_errors", raw.max_errors, &ERRORS),
        staging: raw.staging,
        journal: within(findings, "run.journal", raw.journal, &JOURNAL),
        breaker: Breaker {
            failures: limit(findings, "run.breaker.failures", breaker.failures, failures),
            percent: limit(findings, "run.breaker.percent", breaker.percent, percent),
        },
        flapping: Flapping {
            flips: limit(findings, "run.flapping.flips", flapping.flips, &FLIPS),
            window: within(findings, "run.flapping.window", flapping.window, &FLAPPING_WINDOW),
        },
        confirm_retries: limit(
            findings,
            "run.confirm_retries",
            raw.confirm_retries,
            &CONFIRM_RETRIES,
        ),
    }
}
