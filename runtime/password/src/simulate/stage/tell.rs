//! What happened, as lines: transitions, requests, the log in both languages, the audit, mails.

use std::collections::BTreeMap;
use std::fmt::Write;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{
    Action, Answer, AuditEntry, Mail, Note, PasswordQueue, RecordId, Row, SlotKey, State,
};
use kakehi_engine::time::Timestamp;

use crate::simulate::script::Reply;
use crate::words::words;

pub(super) struct Teller {
    out: String,
    start: Timestamp,
    counts: BTreeMap<String, Counts>,
    mails: u32,
    last_sent: BTreeMap<SlotKey, RecordId>,
}

#[derive(Default)]
struct Counts {
    look_ups: u32,
    sent: u32,
}

// === impl Teller ===

impl Teller {
    pub fn new(start: Timestamp) -> Self {
        Self {
            out: String::new(),
            start,
            counts: BTreeMap::new(),
            mails: 0,
            last_sent: BTreeMap::new(),
        }
    }

    pub fn line(&mut self, line: &str) {
        self.say(&format!("> {line}"));
    }

    pub fn line_ends(&mut self) {
        self.say("");
    }

    fn say(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.out, "{line}");
    }

    pub fn rows(&mut self, now: Timestamp, rows: &[Row]) {
        let mut rest = rows;
        while let [first, ..] = rest {
            let same = rest.iter().take_while(|row| row.slot == first.slot).count();
            let names: Vec<String> =
                rest[..same].iter().map(|row| format!("T{:02}", row.number)).collect();
            let SlotKey { target, user } = &first.slot;
            let (from, to) = (first.from.as_str(), first.to.as_str());
            let time = self.elapsed(now);
            self.say(&format!("  {time} {target}/{user} {from} -> {to} ({})", names.join(" ")));
            rest = &rest[same..];
        }
    }

    pub fn action(&mut self, action: &Action) {
        match action {
            Action::Acknowledge(answer) => self.say(&format!("    answer {}", answer.as_str())),
            Action::Purge(record) => self.say(&format!("    purge #{}", record.0)),
            Action::Audit(entry) => self.audit(entry),
            Action::Note(note) => self.note(note),
            Action::Mail(mail) => self.mail(mail),
            Action::CloseConnection { target } => {
                self.say(&format!("    close the connection to {target}"));
            }
            Action::ForgetRemoteId { slot } => {
                self.say(&format!("    forget the id of {} at {}", slot.user, slot.target));
            }
            Action::SetInitialPassword { slot } => {
                self.say(&format!("    initial password for {} at {}", slot.user, slot.target));
            }
            Action::Wake { target } => self.say(&format!("    {target} answers again")),
            Action::Find { .. } | Action::Set { .. } | Action::StoreEcho { .. } => {}
        }
    }

    fn audit(&mut self, entry: &AuditEntry) {
        let record = entry.record.map_or(String::new(), |record| format!(" #{}", record.0));
        let SlotKey { target, user } = &entry.slot;
        let kind = entry.kind.as_str();
        self.say(&format!("    audit {target}/{user}{record} {kind}"));
    }

    fn note(&mut self, note: &Note) {
        let words = words(note);
        self.say(&format!("    {} {:<5} {}", words.code, words.level, words.en));
        self.say(&format!("                {}", words.ja));
    }

    fn mail(&mut self, mail: &Mail) {
        self.mails += 1;
        let SlotKey { target, user } = &mail.slot;
        let category = mail.category.map_or("", |category| category.as_str());
        let until = mail.expires.map(|at| format!("kept until {}", self.elapsed(at)));
        let details: Vec<&str> = [category, until.as_deref().unwrap_or_default()]
            .into_iter()
            .filter(|detail| !detail.is_empty())
            .collect();
        let details = match details.is_empty() {
            true => String::new(),
            false => format!(" ({})", details.join(", ")),
        };
        let kind = mail.kind.as_str();
        self.say(&format!("    mail {kind}, {target}/{user}{details}"));
    }

    pub fn looked_up(&mut self, target: &ConnectorName, login: &str, reply: &Reply) {
        self.counts.entry(target.as_str().to_owned()).or_default().look_ups += 1;
        self.say(&format!("    look up {login} at {target}: {}", reply_text(reply)));
    }

    pub fn sent(&mut self, slot: &SlotKey, record: RecordId, reply: &Reply) {
        let SlotKey { target, user } = slot;
        self.last_sent.insert(slot.clone(), record);
        if matches!(reply, Reply::Unopened) {
            return self.say(&format!("    #{} cannot be opened", record.0));
        }
        self.counts.entry(target.as_str().to_owned()).or_default().sent += 1;
        let reply = reply_text(reply);
        self.say(&format!("    send #{} for {user} to {target}: {reply}", record.0));
    }

    pub fn not_sent_again(&mut self, slot: &SlotKey) {
        self.say(&format!("    {} has this password already, nothing is sent", slot.target));
    }

    /// The record that was sent last for a slot, which may have left it since.
    pub fn last_sent(&self, slot: &SlotKey) -> Option<RecordId> {
        self.last_sent.get(slot).copied()
    }

    /// The end: what waits still, and what was sent in all.
    pub fn finish(mut self, queue: &PasswordQueue, now: Timestamp) -> String {
        self.say(&format!("= at the end, {}", self.elapsed(now)));
        for (key, slot) in queue.slots.iter().filter(|(_, slot)| slot.state != State::Empty) {
            let SlotKey { target, user } = key;
            let record = slot.record.as_ref();
            let (number, rejects) = record.map_or((0, 0), |record| (record.id.0, record.rejects));
            let paused = if queue.paused(key) { ", paused" } else { "" };
            let state = slot.state.as_str();
            self.say(&format!(
                "  {target}/{user} {state} #{number}, rejected {rejects} times{paused}"
            ));
        }
        for (target, Counts { look_ups, sent }) in std::mem::take(&mut self.counts) {
            self.say(&format!("  {target}: {look_ups} look-ups, {sent} passwords sent"));
        }
        self.say(&format!("  {} mails", self.mails));
        self.out
    }

    fn elapsed(&self, instant: Timestamp) -> String {
        let seconds = instant.unix_seconds() - self.start.unix_seconds();
        let (minutes, seconds) = (seconds.div_euclid(60), seconds.rem_euclid(60));
        format!("{}:{:02}:{seconds:02}", minutes.div_euclid(60), minutes.rem_euclid(60))
    }
}

fn reply_text(reply: &Reply) -> String {
    let answer = match reply {
        Reply::Answer(answer) => answer,
        Reply::Nothing => return "no answer yet".into(),
        Reply::Unopened => return "not opened".into(),
    };
    match answer {
        Answer::Ok => "ok".into(),
        Answer::Rejected(category) => format!("rejected, {}", category.as_str()),
        Answer::NotFound => "not found".into(),
        Answer::Ambiguous => "several match".into(),
        Answer::Refused => "refused".into(),
        Answer::Unavailable { server_error: true, .. } => "server error".into(),
        Answer::Unavailable { retry_after: Some(asked), .. } => {
            format!("unavailable, again after {} s", asked.as_secs())
        }
        Answer::Unavailable { .. } => "unavailable".into(),
        Answer::Uncertain => "sent, outcome unknown".into(),
    }
}
