//! What is counted of passwords; never with users in the labels.

use std::time::Duration;

use kakehi_engine::object::ConnectorName;
use kakehi_engine::password::{Answer, AuditEntry};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const SLOTS: &str = "kakehi_password_slots";
const OLDEST: &str = "kakehi_password_oldest_age_seconds";
const ATTEMPTS: &str = "kakehi_password_attempts_total";
pub const DELIVERY: &str = "kakehi_password_delivery_seconds";
const INTAKE: &str = "kakehi_password_intake_total";
const OUTCOMES: &str = "kakehi_password_outcomes_total";

/// From an idle queue to an outage of hours.
pub const DELIVERY_BUCKETS: [f64; 9] = [0.01, 0.03, 0.1, 0.3, 1.0, 10.0, 60.0, 600.0, 3600.0];

/// Says what the names mean, once counting has begun.
pub fn describe() {
    describe_gauge!(SLOTS, "Passwords that wait or are under way, by state");
    describe_gauge!(OLDEST, "Age of the oldest password that waits");
    describe_counter!(ATTEMPTS, "Answers of targets to attempts");
    describe_histogram!(DELIVERY, "From the capture of a password to its delivery");
    describe_counter!(INTAKE, "Captures that arrived, by agent and answer");
    describe_counter!(OUTCOMES, "What became of passwords");
}

/// How many slots are in a state.
pub fn slots(state: &'static str, count: u64) {
    gauge!(SLOTS, "state" => state).set(count as f64);
}

pub fn oldest(age: Duration) {
    gauge!(OLDEST).set(age.as_secs_f64());
}

pub fn attempt(target: &ConnectorName, answer: &Answer) {
    let result = match answer {
        Answer::Ok => "ok",
        Answer::Rejected(_) => "rejected",
        Answer::NotFound => "not_found",
        Answer::Ambiguous => "ambiguous",
        Answer::Refused => "refused",
        Answer::Unavailable { .. } => "unavailable",
        Answer::Uncertain => "uncertain",
    };
    counter!(ATTEMPTS, "target" => target.to_string(), "result" => result).increment(1);
}

pub fn delivered(after: Duration) {
    histogram!(DELIVERY).record(after.as_secs_f64());
}

pub(crate) fn intake(agent: &str, answer: &crate::intake::Answer) {
    let status = match answer.status {
        202 => answer.text.clone(),
        status => status.to_string(),
    };
    counter!(INTAKE, "agent" => agent.to_owned(), "status" => status).increment(1);
}

pub(crate) fn outcome(entry: &AuditEntry) {
    counter!(OUTCOMES, "outcome" => entry.kind.as_str()).increment(1);
}
