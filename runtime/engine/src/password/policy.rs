//! How the state machine behaves: three presets and every knob (password.md 5.1).

use std::collections::BTreeSet;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Balanced,
    /// As the Oracle connector: rejections are retried by time and counted.
    Counted,
    /// As the NetIQ driver: retried when the user's object changes, until it expires.
    Evented,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// For how long a password is kept; `None`: for ever, as far as `hard_max_age` lets it.
    pub expiry: Option<Duration>,
    /// In which states `expiry` counts.
    pub expiry_states: BTreeSet<StateKind>,
    /// In every state; `None`: off.
    pub hard_max_age: Option<Duration>,
    pub pause_freezes_expiry: bool,
    pub rejected: Rejected,
    pub unavailable: Unavailable,
    pub not_found: NotFound,
    /// Server errors in a row for one slot, while the target serves others, that count as one
    /// rejection (T39).
    pub poison_after: u32,
    pub mail: MailMode,
    /// Captures of different agents that are closer than this are ordered by arrival.
    pub skew_window: Duration,
    /// For how long a server may carry out a request that we gave up (5.6).
    pub uncertain_grace: Duration,
    pub echo_ttl: Duration,
    pub max_flips_per_user_per_hour: u32,
    pub initial_password: InitialPassword,
    /// Unavailable answers in a row after which a target is left alone, and for how long.
    pub breaker_after: u32,
    pub breaker_open: Duration,
}

/// What starts another attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Triggers {
    pub timer: bool,
    pub event: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    pub triggers: Triggers,
    /// Attempts granted after the first one (D-01); `None`: any number.
    pub max: Option<u32>,
    pub interval: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Unavailable {
    pub triggers: Triggers,
    pub backoff: Backoff,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    pub initial: Duration,
    pub max: Duration,
    /// Part of the pause by which it may be longer or shorter, in percent.
    pub jitter_percent: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct NotFound {
    /// The record is dropped instead of held.
    pub drop: bool,
    pub triggers: Triggers,
    pub interval: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailMode {
    Off,
    Episode,
    EveryAttempt,
}

/// States as people name them in `expiry_states`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StateKind {
    Ready,
    NotFound,
    Rejected,
    Unavailable,
    Quarantined,
}

/// What a user gets that was created without a password of its own (5.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialPassword {
    None,
    PolicyDefault,
    Random,
    /// The waiting password goes into the request that creates the user.
    CachedFirst,
}

// === impl Policy ===

impl Policy {
    /// The policy of a preset, for a source that is polled every `poll_seconds`; without one, its
    /// expiry is as it was written.
    pub fn preset(preset: Preset, poll_seconds: Option<u64>) -> Self {
        let expiry = super::expiry::expiry(None, poll_seconds);
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let all = [
            StateKind::Ready,
            StateKind::NotFound,
            StateKind::Rejected,
            StateKind::Unavailable,
            StateKind::Quarantined,
        ];
        let event = Triggers { timer: false, event: true };
        let timer = Triggers { timer: true, event: false };
        let balanced = Self {
            expiry,
            expiry_states: [StateKind::NotFound, StateKind::Rejected].into(),
            hard_max_age: Some(Duration::from_secs(72 * 3600)),
            pause_freezes_expiry: false,
            rejected: Rejected { triggers: event, max: None, interval: minutes(1) },
            unavailable: Unavailable {
                triggers: Triggers { timer: true, event: true },
                backoff: Backoff {
                    initial: Duration::from_secs(5),
                    max: minutes(5),
                    jitter_percent: 20,
                },
            },
            not_found: NotFound { drop: false, triggers: event, interval: minutes(1) },
            poison_after: 5,
            mail: MailMode::Episode,
            skew_window: minutes(5),
            uncertain_grace: Duration::from_secs(30),
            echo_ttl: minutes(10),
            max_flips_per_user_per_hour: 6,
            initial_password: InitialPassword::None,
            breaker_after: 5,
            breaker_open: Duration::from_secs(30),
        };
        match preset {
            Preset::Balanced => balanced,
            Preset::Counted => Self {
                expiry: None,
                expiry_states: BTreeSet::new(),
                hard_max_age: None,
                rejected: Rejected { triggers: timer, ..balanced.rejected },
                unavailable: Unavailable { triggers: timer, ..balanced.unavailable },
                not_found: NotFound { drop: true, ..balanced.not_found },
                mail: MailMode::Off,
                ..balanced
            },
            Preset::Evented => Self {
                expiry_states: all.into(),
                hard_max_age: None,
                unavailable: Unavailable { triggers: event, ..balanced.unavailable },
                mail: MailMode::EveryAttempt,
                ..balanced
            },
        }
    }
}
