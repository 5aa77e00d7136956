//! `password` and `mail` with everything that holds, for people.

use std::collections::BTreeSet;
use std::time::Duration;

use kakehi_engine::password::{InitialPassword, MailMode, Policy, StateKind, Triggers};
use serde_json::{Value, json};

use super::mapping;
use crate::config::mail::Mail;
use crate::config::password::{Agent, Find, Password, PasswordTarget, PlacedAt};
use crate::config::quantity::{Retention, Span};

pub fn password(password: &Password) -> Value {
    let intake = &password.intake;
    let mut shown = policy(&password.policy);
    let rest = json!({
        "preset": password.preset,
        "authority": password.authority.as_str(),
        "keys": password.keys,
        "queue": {
            "max_records": password.records_max,
            "max_bytes": password.bytes_max.to_string(),
        },
        "intake": {
            "socket": intake.socket,
            "allow_uids": intake.allow_uids,
            "allow_gids": intake.allow_gids,
            "listen": intake.remote.as_ref().map(|remote| remote.listen.to_string()),
            "certificate": intake.remote.as_ref().map(|remote| &remote.certificate),
            "key": intake.remote.as_ref().map(|remote| &remote.key),
            "client_ca": intake.remote.as_ref().map(|remote| &remote.client_ca),
            "opaque_status": intake.opaque_status,
            "per_agent_per_minute": intake.per_agent_per_minute,
            "per_user_per_hour": intake.per_user_per_hour,
        },
        "agents": mapping(&password.agents, String::as_str, agent),
        "targets": mapping(&password.targets, |name| name.as_str(), target),
        "exclude": password.exclude.as_ref().map(|(attribute, value)| {
            json!({ "attribute": attribute, "value": value })
        }),
        "contact": { "address": password.contact.0, "name": password.contact.1 },
    });
    if let (Value::Object(shown), Value::Object(rest)) = (&mut shown, rest) {
        shown.extend(rest);
    }
    shown
}

pub fn mail(mail: &Mail) -> Value {
    json!({
        "host": mail.host,
        "port": mail.port,
        "security": mail.security.as_str(),
        "ca": mail.ca,
        "user": mail.user,
        "credential": mail.credential,
        "from": mail.from,
        "admins": mail.admins,
        "templates": mail.templates,
        "contact": mail.contact,
        "utc_offset_minutes": mail.utc_offset_minutes,
        "per_hour": mail.per_hour,
        "per_user_per_day": mail.per_user_per_day,
    })
}

fn policy(policy: &Policy) -> Value {
    let backoff = &policy.unavailable.backoff;
    json!({
        "expiry": policy.expiry.map_or_else(|| "-1".to_owned(), |kept| {
            (kept.as_secs() / 60).to_string()
        }),
        "hard_max_age": Retention(policy.hard_max_age).to_string(),
        "expiry_states": states(&policy.expiry_states),
        "pause_freezes_expiry": policy.pause_freezes_expiry,
        "retry": {
            "rejected": {
                "triggers": triggers(policy.rejected.triggers),
                "max": policy.rejected.max,
                "interval": span(policy.rejected.interval),
            },
            "unavailable": {
                "triggers": triggers(policy.unavailable.triggers),
                "backoff": {
                    "initial": span(backoff.initial),
                    "max": span(backoff.max),
                    "jitter": f64::from(backoff.jitter_percent) / 100.0,
                },
            },
            "not_found": {
                "action": if policy.not_found.drop { "drop" } else { "hold" },
                "triggers": triggers(policy.not_found.triggers),
                "interval": span(policy.not_found.interval),
            },
            "poison_after": policy.poison_after,
        },
        "mail": match policy.mail {
            MailMode::Off => "off",
            MailMode::Episode => "episode",
            MailMode::EveryAttempt => "every_attempt",
        },
        "skew_window": span(policy.skew_window),
        "uncertain_grace": span(policy.uncertain_grace),
        "echo_ttl": span(policy.echo_ttl),
        "max_flips_per_user_per_hour": policy.max_flips_per_user_per_hour,
        "initial_password": { "mode": match policy.initial_password {
            InitialPassword::None => "none",
            InitialPassword::PolicyDefault => "policy_default",
            InitialPassword::Random => "random",
            InitialPassword::CachedFirst => "cached_first",
        } },
        "breaker": { "after": policy.breaker_after, "open": span(policy.breaker_open) },
    })
}

fn agent(agent: &Agent) -> Value {
    json!({ "source": agent.source, "uid": agent.uid })
}

fn target(target: &PasswordTarget) -> Value {
    let ldap = match &target.at {
        PlacedAt::Scim => Value::Null,
        PlacedAt::Ldap(ldap) => super::ldap(ldap),
    };
    json!({
        "display_name": target.display_name,
        "match": { "source": target.match_source, "target": target.match_target },
        "find": match target.find {
            Find::Always => "always",
            Find::Cached => "cached",
        },
        "style": target.style.as_str(),
        "deliver_as": target.deliver_as,
        "charset": target.charset,
        "length": { "min": target.length_min, "max": target.length_max },
        "classify": target.classify.len(),
        "concurrency": target.concurrency,
        "per_second": target.per_second,
        "ldap": ldap,
        "system": target.system(),
    })
}

fn triggers(triggers: Triggers) -> Vec<&'static str> {
    let named = [(triggers.timer, "timer"), (triggers.event, "event")];
    named.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect()
}

fn states(states: &BTreeSet<StateKind>) -> Vec<&'static str> {
    let name = |state: &StateKind| match state {
        StateKind::Ready => "ready",
        StateKind::NotFound => "not_found",
        StateKind::Rejected => "rejected",
        StateKind::Unavailable => "unavailable",
        StateKind::Quarantined => "quarantined",
    };
    states.iter().map(name).collect()
}

fn span(time: Duration) -> String {
    Span(time).to_string()
}
