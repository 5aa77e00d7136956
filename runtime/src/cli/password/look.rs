//! `kakehi password status|list|show|sizing|doctor`: looking, beside a running service or without
//! one.

use std::io::Write as _;
use std::path::Path;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::State;
use kakehi_engine::time::Timestamp;
use kakehi_password::queue::{AuditLine, ListFilter, Listed, Queue, QueueReader};
use serde_json::{Value, json};

use super::{of, settings};
use crate::cli::{Error, Outcome};
use crate::service::failure::Failure;
use crate::service::passwords::{doctor, operator};

/// Lines of the audit that `show` gives.
const AUDIT_LINES: usize = 50;
/// Slots read at once.
const PAGE: usize = 500;
/// Time for one password by which N-10 reckons.
const SECONDS_EACH: u64 = 1;

#[derive(clap::Args)]
pub struct Status {
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct List {
    /// For this target only
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Also those of whom nothing waits
    #[arg(long)]
    all: bool,
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct Show {
    /// The name at the source, or the key that `list` shows
    user: String,
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct Sizing {
    /// How many passwords change at once
    #[arg(long)]
    count: u64,
}

#[derive(clap::Args)]
pub struct Doctor {
    #[arg(long)]
    json: bool,
}

fn reader(config: &crate::config::Config) -> Result<QueueReader, Failure> {
    Queue::open_read_only(&config.state.path).map_err(operator::failed)
}

impl Status {
    pub fn execute(self, config: &Path) -> Outcome {
        let config = settings(config)?;
        let status = reader(&config)?.status().map_err(operator::failed)?;
        let mut targets = serde_json::Map::new();
        for name in of(&config).targets.keys() {
            let states = status.slots.get(name);
            let count =
                |state: State| states.and_then(|states| states.get(&state)).copied().unwrap_or(0);
            let paused = status.paused || status.paused_targets.contains(name);
            targets.insert(
                name.to_string(),
                json!({
                    "ready": count(State::Ready),
                    "under_way": count(State::Finding) + count(State::Setting),
                    "wait_user": count(State::WaitUser),
                    "wait_rejected": count(State::WaitRejected),
                    "wait_unavailable": count(State::WaitUnavailable),
                    "quarantined": count(State::Quarantined),
                    "oldest": status.oldest.get(name).map(|oldest| oldest.rfc3339()),
                    "paused": paused,
                }),
            );
        }
        let agents: Vec<Value> = status
            .agents
            .iter()
            .map(|seen| {
                json!({
                    "agent": &*seen.agent,
                    "seen": seen.seen_at.rfc3339(),
                    "missing": seen.missing,
                })
            })
            .collect();
        let shown = json!({
            "records": status.records,
            "bytes": status.bytes,
            "paused": status.paused,
            "paused_users": status.paused_slots,
            "mails_waiting": status.mails_waiting,
            "set_aside": status.set_aside,
            "targets": targets,
            "agents": agents,
        });
        match self.json {
            true => line(&shown.to_string()),
            false => text(&shown),
        }
    }
}

/// The status for people.
fn text(shown: &Value) -> Outcome {
    line(&format!(
        "{} passwords wait, {} bytes; {} mails wait",
        shown["records"], shown["bytes"], shown["mails_waiting"]
    ))?;
    for (name, states) in shown["targets"].as_object().into_iter().flatten() {
        let mut said: Vec<String> = vec![];
        for (key, word) in [
            ("ready", "ready"),
            ("under_way", "under way"),
            ("wait_user", "wait for their user"),
            ("wait_rejected", "rejected"),
            ("wait_unavailable", "wait for the target"),
            ("quarantined", "quarantined"),
        ] {
            if states[key] != 0 {
                said.push(format!("{} {word}", states[key]));
            }
        }
        let states_said =
            if said.is_empty() { "nothing waits".to_owned() } else { said.join(", ") };
        let oldest = states["oldest"].as_str().map(|at| format!("; oldest of {at}"));
        let paused = if states["paused"] == true { "; PAUSED" } else { "" };
        line(&format!("  {name}: {states_said}{}{paused}", oldest.unwrap_or_default()))?;
    }
    for agent in shown["agents"].as_array().into_iter().flatten() {
        let missing = match agent["missing"].as_u64() {
            None | Some(0) => String::new(),
            Some(missing) => format!("; {missing} numbers never seen"),
        };
        let (name, seen) = (agent["agent"].as_str(), agent["seen"].as_str());
        let (name, seen) = (name.unwrap_or_default(), seen.unwrap_or_default());
        line(&format!("  agent {name}: last seen {seen}{missing}"))?;
    }
    if shown["set_aside"] != 0 {
        line(&format!("  {} rows could not be read and were set aside", shown["set_aside"]))?;
    }
    Ok(0)
}

impl List {
    pub fn execute(self, config: &Path) -> Outcome {
        let config = settings(config)?;
        let reader = reader(&config)?;
        let filter = ListFilter {
            target: self.target.as_deref().map(ConnectorName::from),
            empty: self.all,
            ..ListFilter::default()
        };
        let mut after = None;
        let mut rows = vec![];
        loop {
            let page = reader.list(&filter, after.as_ref(), PAGE).map_err(operator::failed)?;
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            rows.extend(page.iter().map(slot));
            // A large queue is printed as it is read.
            if !self.json {
                for row in rows.drain(..) {
                    line(&slot_line(&row))?;
                }
            }
        }
        if self.json { line(&json!(rows).to_string()) } else { Ok(0) }
    }
}

impl Show {
    pub fn execute(self, config: &Path) -> Outcome {
        let config = settings(config)?;
        let reader = reader(&config)?;
        let filter =
            ListFilter { user: Some(self.user.clone()), empty: true, ..ListFilter::default() };
        let found = reader.list(&filter, None, PAGE).map_err(operator::failed)?;
        if found.is_empty() {
            return Err(operator::unknown_user(&self.user).into());
        }
        let mut users: Vec<_> = found.iter().map(|listed| listed.key.user.clone()).collect();
        users.dedup();
        let mut audit: Vec<AuditLine> = vec![];
        for user in &users {
            let of_user = reader.audit(Some(user), Timestamp(0), AUDIT_LINES);
            audit.extend(of_user.map_err(operator::failed)?);
        }
        audit.sort_by_key(|entry| entry.at);
        let slots: Vec<Value> = found.iter().map(slot).collect();
        let audit: Vec<Value> = audit.iter().map(audited).collect();
        if self.json {
            return line(&json!({ "slots": slots, "audit": audit }).to_string());
        }
        for slot in &slots {
            line(&slot_line(slot))?;
        }
        for entry in &audit {
            line(&format!(
                "  {}  {}  {}",
                entry["at"].as_str().unwrap_or_default(),
                entry["target"].as_str().unwrap_or_default(),
                entry["what"].as_str().unwrap_or_default()
            ))?;
        }
        Ok(0)
    }
}

fn slot(listed: &Listed) -> Value {
    let slot = &listed.slot;
    let record = slot.record.as_ref();
    json!({
        "target": listed.key.target.as_str(),
        "user": &*listed.key.user.0,
        "login": slot.login,
        "state": slot.state.as_str(),
        "captured": record.map(|record| record.order.captured_at.rfc3339()),
        "rejects": record.map(|record| record.rejects),
        "uncertain": record.map(|record| record.uncertain),
        "next_waits": slot.next.is_some(),
        "due": slot.due.map(Timestamp::rfc3339),
        "paused": slot.paused,
    })
}

fn slot_line(slot: &Value) -> String {
    let text = |key: &str| slot[key].as_str().unwrap_or("-").to_owned();
    let rejects = match slot["rejects"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => ", rejected once".to_owned(),
        Some(rejects) => format!(", rejected {rejects} times"),
    };
    let paused = if slot["paused"] == true { ", PAUSED" } else { "" };
    format!(
        "{}  {}  {}  captured {}{rejects}{paused}  ({})",
        text("target"),
        text("login"),
        text("state"),
        text("captured"),
        text("user")
    )
}

fn audited(entry: &AuditLine) -> Value {
    json!({
        "at": entry.at.rfc3339(),
        "target": entry.slot.target.as_str(),
        "user": &*entry.slot.user.0,
        "episode": entry.episode,
        "what": entry.kind.as_str(),
    })
}

impl Sizing {
    /// N-10: a second for each password.
    pub fn execute(self) -> Outcome {
        let minutes = self.count.saturating_mul(SECONDS_EACH).div_ceil(60);
        line(&format!("{minutes}"))?;
        anstream::eprintln!(
            "{} passwords at one in a second: set `password.expiry` to {minutes} minutes or more",
            self.count
        );
        Ok(0)
    }
}

impl Doctor {
    pub fn execute(self, config: &Path) -> Outcome {
        let checks = doctor::checks(config)?;
        let sick = checks.iter().any(|check| !check.well);
        if self.json {
            let rows: Vec<Value> = checks
                .iter()
                .map(|check| json!({ "check": check.what, "well": check.well, "said": check.said }))
                .collect();
            line(&json!(rows).to_string())?;
        } else {
            for check in &checks {
                let mark = if check.well { "ok  " } else { "FAIL" };
                line(&format!("{mark} {}: {}", check.what, check.said))?;
            }
        }
        Ok(u8::from(sick))
    }
}

fn line(text: &str) -> Outcome {
    writeln!(anstream::stdout(), "{text}").map_err(Error::Output)?;
    Ok(0)
}
