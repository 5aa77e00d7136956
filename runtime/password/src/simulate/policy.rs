//! The policy of a script: lines with the keys of `config.yml` flow in, a policy flows out.

use std::time::Duration;

use kakehi_engine::password::expiry::expiry;
use kakehi_engine::password::{InitialPassword, MailMode, Policy, Preset, StateKind, Triggers};

use super::script::{Read, Wrong, duration, parsed, wrong};

/// Keys, each with what may stand behind it.
const KEYS: &[(&str, &str)] = &[
    ("preset", "`balanced`, `counted` or `evented`"),
    ("poll", "seconds between two polls of the source, as in `poll 60`"),
    ("expiry", "minutes as in `config.yml`; `-1`: never"),
    ("hard_max_age", "a time as in `72h`, or `off`"),
    ("expiry_states", "any of `ready not_found rejected unavailable quarantined`, or `none`"),
    ("pause_freezes_expiry", "`yes` or `no`"),
    ("rejected.triggers", "`timer`, `event`, both, or `none`"),
    ("rejected.max", "how many retries are granted, or `none` for any number"),
    ("rejected.interval", "a time as in `60s`"),
    ("unavailable.triggers", "`timer`, `event`, both, or `none`"),
    ("unavailable.initial", "a time as in `5s`"),
    ("unavailable.max", "a time as in `5m`"),
    ("unavailable.jitter", "percent, as in `20`"),
    ("not_found.action", "`drop` or `hold`"),
    ("not_found.triggers", "`timer`, `event`, both, or `none`"),
    ("not_found.interval", "a time as in `60s`"),
    ("poison_after", "a number"),
    ("mail", "`episode`, `every_attempt` or `off`"),
    ("skew_window", "a time as in `300s`"),
    ("uncertain_grace", "a time as in `30s`"),
    ("echo_ttl", "a time as in `10m`"),
    ("max_flips_per_user_per_hour", "a number"),
    ("initial_password", "`none`, `policy_default`, `random` or `cached_first`"),
    ("breaker_after", "a number"),
    ("breaker_open", "a time as in `30s`"),
];

/// What was read of it so far.
#[derive(Default)]
pub(super) struct PolicyLines {
    preset: Option<Preset>,
    poll_seconds: Option<u64>,
    expiry: Option<String>,
    /// Key and words; applied on the preset in the order in which they stand.
    others: Vec<(&'static str, Vec<String>)>,
}

// === impl PolicyLines ===

impl PolicyLines {
    pub fn takes(&self, key: &str) -> bool {
        KEYS.iter().any(|(known, _)| *known == key)
    }

    pub fn line(&mut self, key: &str, words: &[&str]) -> Read<()> {
        let Some((key, hint)) = KEYS.iter().find(|(known, _)| *known == key) else {
            return wrong(format!("`{key}` is no key of the policy"), "see `config.yml`");
        };
        match (*key, words) {
            ("preset", [word]) => {
                self.preset = Some(match *word {
                    "balanced" => Preset::Balanced,
                    "counted" => Preset::Counted,
                    "evented" => Preset::Evented,
                    _ => return wrong(format!("there is no preset `{word}`"), *hint),
                });
            }
            ("poll", [word]) => self.poll_seconds = Some(parsed(word, hint)?),
            ("expiry", [word]) => self.expiry = Some((*word).to_owned()),
            _ => {
                // Tried on a policy of no account, so that a mistake is told with its line.
                apply(&mut Policy::preset(Preset::Balanced, None), key, words, hint)?;
                let words = words.iter().map(|&word| word.to_owned()).collect();
                self.others.push((*key, words));
            }
        }
        Ok(())
    }

    pub fn finish(&self) -> Read<Policy> {
        let preset = self.preset.unwrap_or(Preset::Balanced);
        let counts = self.others.iter().any(|(key, _)| *key == "rejected.max");
        if preset == Preset::Counted && !counts {
            return wrong(
                "the preset `counted` does not say how often it tries again",
                "write `rejected.max 3`, or another number",
            );
        }
        let mut policy = Policy::preset(preset, self.poll_seconds);
        if let Some(written) = &self.expiry {
            policy.expiry = expiry(Some(written), self.poll_seconds);
        }
        for (key, words) in &self.others {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            apply(&mut policy, key, &words, "")?;
        }
        Ok(policy)
    }
}

fn apply(policy: &mut Policy, key: &str, words: &[&str], hint: &str) -> Read<()> {
    match key {
        "expiry_states" => policy.expiry_states = states(words, hint)?.into_iter().collect(),
        "rejected.triggers" => policy.rejected.triggers = triggers(words, hint)?,
        "unavailable.triggers" => policy.unavailable.triggers = triggers(words, hint)?,
        "not_found.triggers" => policy.not_found.triggers = triggers(words, hint)?,
        _ => {
            let [word] = words else {
                return wrong(format!("`{key}` takes one word"), hint);
            };
            apply_word(policy, key, word, hint)?;
        }
    }
    Ok(())
}

fn apply_word(policy: &mut Policy, key: &str, word: &str, hint: &str) -> Read<()> {
    let time = || duration(word).map_err(|Wrong { what, .. }| Wrong { what, hint: hint.into() });
    let off = |or_off: Read<Duration>| match word {
        "off" => Ok(None),
        _ => or_off.map(Some),
    };
    let unknown = || format!("`{word}` is nothing that `{key}` can be");
    match (key, word) {
        ("hard_max_age", _) => policy.hard_max_age = off(time())?,
        ("pause_freezes_expiry", "yes" | "no") => policy.pause_freezes_expiry = word == "yes",
        ("rejected.max", "none") => policy.rejected.max = None,
        ("rejected.max", _) => policy.rejected.max = Some(parsed(word, hint)?),
        ("rejected.interval", _) => policy.rejected.interval = time()?,
        ("unavailable.initial", _) => policy.unavailable.backoff.initial = time()?,
        ("unavailable.max", _) => policy.unavailable.backoff.max = time()?,
        ("unavailable.jitter", _) => {
            policy.unavailable.backoff.jitter_percent = parsed(word, hint)?;
        }
        ("not_found.action", "drop" | "hold") => policy.not_found.drop = word == "drop",
        ("not_found.interval", _) => policy.not_found.interval = time()?,
        ("poison_after", _) => policy.poison_after = parsed(word, hint)?,
        ("mail", "episode") => policy.mail = MailMode::Episode,
        ("mail", "every_attempt") => policy.mail = MailMode::EveryAttempt,
        ("mail", "off") => policy.mail = MailMode::Off,
        ("skew_window", _) => policy.skew_window = time()?,
        ("uncertain_grace", _) => policy.uncertain_grace = time()?,
        ("echo_ttl", _) => policy.echo_ttl = time()?,
        ("max_flips_per_user_per_hour", _) => {
            policy.max_flips_per_user_per_hour = parsed(word, hint)?;
        }
        ("initial_password", "none") => policy.initial_password = InitialPassword::None,
        ("initial_password", "policy_default") => {
            policy.initial_password = InitialPassword::PolicyDefault;
        }
        ("initial_password", "random") => policy.initial_password = InitialPassword::Random,
        ("initial_password", "cached_first") => {
            policy.initial_password = InitialPassword::CachedFirst;
        }
        ("breaker_after", _) => policy.breaker_after = parsed(word, hint)?,
        ("breaker_open", _) => policy.breaker_open = time()?,
        _ => return wrong(unknown(), hint),
    }
    Ok(())
}

fn triggers(words: &[&str], hint: &str) -> Read<Triggers> {
    let mut triggers = Triggers::default();
    for word in words {
        match *word {
            "timer" => triggers.timer = true,
            "event" => triggers.event = true,
            "none" if words.len() == 1 => {}
            _ => return wrong(format!("`{word}` starts no attempt"), hint),
        }
    }
    match words.is_empty() {
        true => wrong("no trigger is named", hint),
        false => Ok(triggers),
    }
}

fn states(words: &[&str], hint: &str) -> Read<Vec<StateKind>> {
    let mut states = vec![];
    for word in words {
        states.push(match *word {
            "ready" => StateKind::Ready,
            "not_found" => StateKind::NotFound,
            "rejected" => StateKind::Rejected,
            "unavailable" => StateKind::Unavailable,
            "quarantined" => StateKind::Quarantined,
            "none" if words.len() == 1 => continue,
            _ => return wrong(format!("`{word}` is no state that can expire"), hint),
        });
    }
    Ok(states)
}
