//! The policy of the state machine: a preset, and what was written over it.

use std::time::Duration;

use kakehi_engine::password::{
    InitialPassword, MailMode, Policy, Preset, StateKind, Triggers, expiry,
};

use super::super::check::{Bounds, within};
use super::super::finding::Findings;
use super::super::quantity::Span;
use super::super::raw::password::{
    InitialModeRaw, MailModeRaw, NotFoundActionRaw, PasswordRaw, PresetRaw, StateRaw, TriggerRaw,
};

/// A pause between attempts.
const PAUSE: Bounds<Span> =
    Bounds { default: Span::from_secs(60), min: Span::from_secs(1), max: Span::from_secs(86_400) };
/// Attempts granted after a rejection.
const RETRIES: Bounds<u32> = Bounds { default: 3, min: 0, max: 1_000 };
const POISON: Bounds<u32> = Bounds { default: 5, min: 1, max: 1_000 };
const SKEW: Bounds<Span> =
    Bounds { default: Span::from_secs(300), min: Span::from_millis(0), max: Span::from_secs(3600) };
const GRACE: Bounds<Span> =
    Bounds { default: Span::from_secs(30), min: Span::from_millis(0), max: Span::from_secs(3600) };
const ECHO: Bounds<Span> = Bounds {
    default: Span::from_secs(600),
    min: Span::from_millis(0),
    max: Span::from_secs(86_400),
};
const FLIPS: Bounds<u32> = Bounds { default: 6, min: 0, max: 10_000 };
const JITTER: Bounds<f64> = Bounds { default: 0.2, min: 0.0, max: 1.0 };
const BREAKER_AFTER: Bounds<u32> = Bounds { default: 5, min: 1, max: 1_000 };
const BREAKER_OPEN: Bounds<Span> =
    Bounds { default: Span::from_secs(30), min: Span::from_secs(1), max: Span::from_secs(3600) };
/// A trigger that starts nothing may be named, but a limit that ends nothing is a mistake.
const MAX_MISSING: &str = "K0267";

pub(super) fn preset_name(raw: PresetRaw) -> &'static str {
    match raw {
        PresetRaw::Balanced => "balanced",
        PresetRaw::Counted => "counted",
        PresetRaw::Evented => "evented",
    }
}

/// Nothing but an event starts another attempt for some of what waits.
pub(super) fn waits_for_events_only(policy: &Policy) -> bool {
    let only = |triggers: Triggers| triggers.event && !triggers.timer;
    only(policy.rejected.triggers)
        || only(policy.unavailable.triggers)
        || (only(policy.not_found.triggers) && !policy.not_found.drop)
}

/// Takes what was typed, and the poll interval in seconds, if anything is polled.
pub(super) fn policy(
    raw: &mut PasswordRaw,
    polled: Option<u64>,
    findings: &mut Findings,
) -> Policy {
    let preset = match raw.preset {
        PresetRaw::Balanced => Preset::Balanced,
        PresetRaw::Counted => Preset::Counted,
        PresetRaw::Evented => Preset::Evented,
    };
    let mut policy = Policy::preset(preset, polled);
    if let Some(written) = &raw.expiry {
        policy.expiry = expiry::expiry(written.value.0.as_deref(), polled);
    }
    if let Some(age) = &raw.hard_max_age {
        policy.hard_max_age = age.value.0;
    }
    if let Some(states) = &raw.expiry_states {
        policy.expiry_states = states.iter().map(|state| state_kind(*state)).collect();
    }
    policy.pause_freezes_expiry = raw.pause_freezes_expiry.unwrap_or(policy.pause_freezes_expiry);
    retries(&mut policy, raw, findings);
    if preset == Preset::Counted && policy.rejected.max.is_none() {
        findings
            .error(MAX_MISSING, "the preset `counted` needs a limit of attempts")
            .hint("write `retry: {rejected: {max: 3}}` under `password`");
    }
    if let Some(mail) = raw.mail {
        policy.mail = match mail {
            MailModeRaw::EveryAttempt => MailMode::EveryAttempt,
            MailModeRaw::Episode => MailMode::Episode,
            MailModeRaw::Off => MailMode::Off,
        };
    }
    policy.skew_window = span(findings, "skew_window", raw.skew_window.take(), &SKEW);
    policy.uncertain_grace = span(findings, "uncertain_grace", raw.uncertain_grace.take(), &GRACE);
    policy.echo_ttl = span(findings, "echo_ttl", raw.echo_ttl.take(), &ECHO);
    policy.max_flips_per_user_per_hour = within(
        findings,
        "password.max_flips_per_user_per_hour",
        raw.max_flips_per_user_per_hour.take(),
        &FLIPS,
    );
    policy.breaker_after =
        within(findings, "password.breaker.after", raw.breaker.after.take(), &BREAKER_AFTER);
    policy.breaker_open = span(findings, "breaker.open", raw.breaker.open.take(), &BREAKER_OPEN);
    policy.initial_password = match raw.initial_password.mode {
        InitialModeRaw::None => InitialPassword::None,
        InitialModeRaw::PolicyDefault => InitialPassword::PolicyDefault,
        InitialModeRaw::Random => InitialPassword::Random,
    };
    policy
}

fn retries(policy: &mut Policy, raw: &mut PasswordRaw, findings: &mut Findings) {
    let retry = &mut raw.retry;
    if let Some(triggers) = &retry.rejected.triggers {
        policy.rejected.triggers = of(triggers);
    }
    if let Some(max) = retry.rejected.max.take() {
        let max = within(findings, "password.retry.rejected.max", Some(max), &RETRIES);
        policy.rejected.max = Some(max);
    }
    policy.rejected.interval =
        span(findings, "retry.rejected.interval", retry.rejected.interval.take(), &PAUSE);
    if let Some(triggers) = &retry.unavailable.triggers {
        policy.unavailable.triggers = of(triggers);
    }
    let backoff = &mut policy.unavailable.backoff;
    let written = &mut retry.unavailable.backoff;
    let bounds = |default: Duration| Bounds { default: Span(default), ..PAUSE };
    let key = "retry.unavailable.backoff";
    backoff.initial =
        span(findings, &format!("{key}.initial"), written.initial.take(), &bounds(backoff.initial));
    backoff.max = span(findings, &format!("{key}.max"), written.max.take(), &bounds(backoff.max));
    let jitter =
        within(findings, &format!("password.{key}.jitter"), written.jitter.take(), &JITTER);
    // From 0 to 1, so it fits.
    backoff.jitter_percent = (jitter * 100.0).round() as u32;
    if let Some(action) = retry.not_found.action {
        policy.not_found.drop = matches!(action, NotFoundActionRaw::Drop);
    }
    if let Some(triggers) = &retry.not_found.triggers {
        policy.not_found.triggers = of(triggers);
    }
    policy.not_found.interval =
        span(findings, "retry.not_found.interval", retry.not_found.interval.take(), &PAUSE);
    policy.poison_after =
        within(findings, "password.retry.poison_after", retry.poison_after.take(), &POISON);
}

fn span(
    findings: &mut Findings,
    key: &str,
    given: Option<super::super::yaml::At<Span>>,
    bounds: &Bounds<Span>,
) -> Duration {
    within(findings, &format!("password.{key}"), given, bounds).0
}

fn of(triggers: &[TriggerRaw]) -> Triggers {
    Triggers {
        timer: triggers.contains(&TriggerRaw::Timer),
        event: triggers.contains(&TriggerRaw::Event),
    }
}

fn state_kind(raw: StateRaw) -> StateKind {
    match raw {
        StateRaw::Ready => StateKind::Ready,
        StateRaw::NotFound => StateKind::NotFound,
        StateRaw::Rejected => StateKind::Rejected,
        StateRaw::Unavailable => StateKind::Unavailable,
        StateRaw::Quarantined => StateKind::Quarantined,
    }
}
