//! A configuration for people and for its digest: every value with its defaults, no secret ever
//! (S-08).

mod password;

use kakehi_engine::rule::{Limit, Measure, Thresholds};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::credential::{Credential, SecretSource};
use super::source::{Bind, Ldap, Ldif, Source};
use super::target::Target;
use super::{Config, limits, rules};

impl Config {
    /// Every value that holds, also where a default stands for it; of a secret only where it is.
    pub fn show(&self) -> Value {
        let mut shown = self.meaning();
        let rest = json!({
            "manifest": self.manifest,
            "state": { "path": self.state.path },
            "credentials": mapping(&self.credentials, |name| name.as_str(), credential),
            "audit": { "secret": names(&self.audit.secret) },
            "log": { "level": self.log.level.as_str() },
            "control": { "socket": self.control },
            "http": { "listen": self.http.map(|address| address.to_string()) },
        });
        if let (Value::Object(shown), Value::Object(rest)) = (&mut shown, rest) {
            shown.extend(rest);
        }
        shown["rules"] = rules(&self.rules);
        shown["run"] = run(&self.run);
        let [password, mail] = self.passwords_and_mail();
        shown["password"] = password;
        shown["mail"] = mail;
        shown
    }

    /// What is configured of passwords and of mails, to be compared: neither is taken by a running
    /// service.
    pub fn passwords_and_mail(&self) -> [Value; 2] {
        [
            self.password.as_ref().map_or(Value::Null, password::password),
            self.mail.as_ref().map_or(Value::Null, password::mail),
        ]
    }

    /// SHA-256 of what decides results, in lower-case hexadecimal. Neither secrets nor their places
    /// belong to it, nor intervals, limits of the wire and logs: a plan stays valid when they
    /// change.
    pub fn digest(&self) -> String {
        // Keys are in the order of the program and of sorted maps: one meaning, one text.
        let mut meaning = self.meaning();
        prune(&mut meaning);
        let text = meaning.to_string();
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn meaning(&self) -> Value {
        let shrink = self.import.max_shrink;
        json!({
            "sources": mapping(&self.sources, |name| name.as_str(), source),
            "targets": mapping(&self.targets, |name| name.as_str(), target),
            "rules": { "policy": self.rules.policy.as_str(), "trusted_keys": keys(&self.rules) },
            "import": { "max_shrink": { "objects": shrink.objects, "percent": shrink.percent } },
            "run": { "max_errors": self.run.max_errors },
        })
    }
}

/// Keys of sources and targets that change how something is reached, not what is found there.
const OF_THE_WIRE: [&str; 5] = ["timeouts", "limits", "tls", "ca", "concurrency"];

fn prune(value: &mut Value) {
    if let Value::Object(entries) = value {
        entries.retain(|key, _| !OF_THE_WIRE.contains(&key.as_str()));
        entries.values_mut().for_each(prune);
    }
}

fn mapping<K, V>(
    entries: &std::collections::BTreeMap<K, V>,
    name: impl Fn(&K) -> &str,
    show: impl Fn(&V) -> Value,
) -> Value {
    let shown = entries.iter().map(|(key, value)| (name(key).to_owned(), show(value)));
    Value::Object(shown.collect::<Map<_, _>>())
}

fn source(source: &Source) -> Value {
    match source {
        Source::Ldap(source) => json!({ "ldap": ldap(source) }),
        Source::Ldif(Ldif { path, anchor, links }) => json!({
            "ldif": { "path": path, "anchor": anchor.as_str(), "links": names(links) },
        }),
    }
}

fn ldap(source: &Ldap) -> Value {
    let bind = match &source.bind {
        Bind::Anonymous => Value::Null,
        Bind::Simple { dn, credential } => json!({ "dn": dn, "credential": credential }),
        Bind::External => json!({ "external": true }),
    };
    let pin = source
        .pin_sha256
        .map(|pin| pin.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let limits = &source.limits;
    json!({
        "kind": source.kind.as_str(),
        "urls": source.urls,
        "starttls": source.starttls,
        "tls": { "ca": source.ca, "pin_sha256": pin },
        "insecure": source.insecure,
        "bind": bind,
        "bases": source.bases,
        "filter": source.filter,
        "links": names(&source.links),
        "limits": {
            "page": limits.page_entries,
            "message": limits.message.to_string(),
            "window": limits.window.to_string(),
        },
        "timeouts": {
            "connect": limits.connect.to_string(),
            "bind": limits.bind.to_string(),
            "first_answer": limits.first_answer.to_string(),
            "next_answer": limits.next_answer.to_string(),
            "page": limits.page.to_string(),
        },
    })
}

fn names(names: &std::collections::BTreeSet<kakehi_engine::object::AttributeName>) -> Vec<&str> {
    names.iter().map(|name| name.as_str()).collect()
}

fn target(target: &Target) -> Value {
    json!({
        "base_url": target.base_url,
        "credential": target.credential,
        "profile": target.profile,
        "ca": target.ca,
        "concurrency": { "max": target.concurrency_max },
        "timeouts": {
            "connect": target.connect_timeout.to_string(),
            "total": target.total_timeout.to_string(),
        },
        "thresholds": thresholds(&target.thresholds),
        "types": mapping(&target.types, String::as_str, |names| {
            json!({ "resource": names.resource, "attributes": names.attributes })
        }),
    })
}

fn thresholds(thresholds: &Thresholds) -> Value {
    let mut shown = Map::new();
    for measure in Measure::ALL {
        let Limit { max, percent, floor } = thresholds.of(measure);
        for (name, figure) in [("max", max), ("percent", percent), ("floor", floor)] {
            shown.insert(format!("{measure}_{name}"), json!(figure));
        }
    }
    Value::Object(shown)
}

fn credential(credential: &Credential) -> Value {
    let secret = match &credential.source {
        SecretSource::Value => json!("value"),
        SecretSource::File(path) => json!({ "file": path }),
        SecretSource::Env(variable) => json!({ "env": variable }),
    };
    json!({ "kind": credential.kind.as_str(), "secret": secret })
}

fn rules(rules: &rules::Rules) -> Value {
    json!({
        "policy": rules.policy.as_str(),
        "trusted_keys": keys(rules),
        "cache": rules.cache,
        "batch": rules.batch,
        "limits": {
            "memory": rules.memory.to_string(),
            "time": rules.time.to_string(),
            "output": rules.output.to_string(),
        },
        "reload": {
            "watch": rules.reload.watch,
            "debounce": rules.reload.debounce.to_string(),
            "max_changes": rules.reload.max_changes.to_string(),
            "keep": rules.reload.keep,
        },
    })
}

fn keys(rules: &rules::Rules) -> Value {
    let keys = rules.trusted_keys.iter().map(|(name, key)| (name.clone(), json!(key)));
    Value::Object(keys.collect::<Map<_, _>>())
}

fn run(run: &limits::Run) -> Value {
    json!({
        "poll": run.poll.to_string(),
        "drain": run.drain.to_string(),
        "max_errors": run.max_errors,
        "staging": run.staging,
        "journal": run.journal.to_string(),
        "breaker": { "failures": run.breaker.failures, "percent": run.breaker.percent },
        "flapping": {
            "flips": run.flapping.flips,
            "window": run.flapping.window.to_string(),
        },
        "confirm_retries": run.confirm_retries,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const TARGET: &str = "targets: {portal: {base_url: https://x.example, credential: t}}\n";
    const CREDENTIAL: &str = "credentials: {t: {kind: scim_bearer}}\n";

    fn digest(config: &str, secret: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yml");
        fs::write(&path, format!("{TARGET}{CREDENTIAL}{config}")).unwrap();
        let secrets = folder.path().join("secret.yml");
        fs::write(&secrets, format!("credentials: {{t: {{value: {secret}}}}}\n")).unwrap();
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).unwrap();
        match crate::config::load(&path) {
            Ok((config, _)) => config.digest(),
            Err(findings) => panic!("{}", findings[0]),
        }
    }

    #[test]
    fn the_digest_follows_the_meaning_and_neither_secrets_nor_logs() {
        let plain = digest("", "one");
        assert_eq!(plain.len(), 64);
        for (config, secret) in [
            ("", "two"),
            ("log: {level: debug}", "one"),
            ("run: {poll: 5m}", "one"),
            ("state: {path: elsewhere}", "one"),
            ("import: {max_shrink: {percent: 10}}", "one"),
            ("rules: {batch: 10, limits: {time: 50ms}}", "one"),
        ] {
            assert_eq!(digest(config, secret), plain, "{config}");
        }
        for config in [
            "import: {max_shrink: {percent: 9}}",
            "sources: {hr: {ldif: {path: /feed.ldif, anchor: id}}}",
            "rules: {policy: open}",
        ] {
            assert_ne!(digest(config, "one"), plain, "{config}");
        }
    }
}
