//! What the service counts, under the names of service.md 6; never with ids of users.

use kakehi_engine::time::Timestamp;
use kakehi_password::metric;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::sync::Report;

const RELOAD: &str = "kakehi_config_last_reload_successful";
const RELOADED_AT: &str = "kakehi_config_last_reload_success_timestamp_seconds";
const GENERATION: &str = "kakehi_rules_generation";
const STAGING: &str = "kakehi_staging";
const BUILD: &str = "kakehi_build_info";
const RUNS: &str = "kakehi_runs_total";
const LAST_SUCCESS: &str = "kakehi_last_success_timestamp_seconds";
const CHANGES: &str = "kakehi_changes_total";
const CALLS: &str = "kakehi_rule_calls_total";
const SECONDS: &str = "kakehi_rule_duration_seconds";
const TRAPS: &str = "kakehi_rule_traps_total";
const FAILURES: &str = "kakehi_rule_failures_total";
const REUSED: &str = "kakehi_rule_contributions_reused_total";

/// From a fast rule on few attributes to one that comes close to its deadline.
const SECONDS_BUCKETS: [f64; 6] = [1e-5, 3e-5, 1e-4, 1e-3, 1e-2, 1e-1];

/// From here on everything is counted. Gives what renders the counts; `None` if counting began
/// already, in this process.
pub fn start() -> Option<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(SECONDS.into()), &SECONDS_BUCKETS)
        .and_then(|builder| {
            let delivery = Matcher::Full(metric::DELIVERY.into());
            builder.set_buckets_for_metric(delivery, &metric::DELIVERY_BUCKETS)
        })
        .expect("there are buckets");
    let handle = match builder.install_recorder() {
        Ok(handle) => handle,
        Err(BuildError::FailedToSetGlobalRecorder(_)) => return None,
        Err(error) => {
            tracing::warn!("nothing is counted: {error}");
            return None;
        }
    };
    describe_gauge!(RELOAD, "1 if the files on disk are in force, 0 if they were refused or held");
    describe_gauge!(RELOADED_AT, "When rules last came into force");
    describe_gauge!(GENERATION, "Number of the generation of rules in force");
    describe_gauge!(STAGING, "1 in staging mode: nothing is sent; else 0");
    describe_gauge!(BUILD, "1, with the version as a label");
    describe_counter!(RUNS, "Runs that did something, by outcome");
    describe_gauge!(LAST_SUCCESS, "When a run last ended well");
    describe_counter!(CHANGES, "Changes that targets confirmed, held back or left open");
    describe_counter!(CALLS, "Objects that a rule's module was asked about");
    describe_histogram!(SECONDS, "Time for one object, as the mean of each run");
    describe_counter!(TRAPS, "Objects on which a rule trapped or met a limit");
    describe_counter!(FAILURES, "Objects on which a rule failed, trapped or answered badly");
    describe_counter!(REUSED, "Answers of rules that were known already");
    metric::describe();
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Some(handle)
}

/// A reload took effect, or did not.
pub fn reloaded(successful: bool) {
    gauge!(RELOAD).set(if successful { 1.0 } else { 0.0 });
}

/// Another generation is in force.
pub fn generation(number: u64, now: Timestamp) {
    gauge!(GENERATION).set(number as f64);
    gauge!(RELOADED_AT).set(now.0 as f64 / 1000.0);
}

/// Staging mode is on, or off.
pub fn staging(on: bool) {
    gauge!(STAGING).set(if on { 1.0 } else { 0.0 });
}

/// One cycle that came to its end.
pub fn run(report: &Report) {
    if report.status.exit_code() == 0 {
        gauge!(LAST_SUCCESS).set(report.ended.0 as f64 / 1000.0);
    }
    if report.is_empty() {
        return;
    }
    counter!(RUNS, "outcome" => report.status.as_str()).increment(1);
    let delivered = &report.delivered;
    for (outcome, count) in [
        ("done", delivered.done),
        ("held", delivered.held),
        ("waiting", delivered.waiting),
        ("in_doubt", delivered.in_doubt),
    ] {
        counter!(CHANGES, "outcome" => outcome).increment(count);
    }
    let counters = &report.counters;
    counter!(REUSED).increment(counters.reused);
    for (tag, count) in &counters.failures {
        counter!(FAILURES, "rule" => tag.to_string()).increment(*count);
    }
    for (tag, cost) in &report.costs {
        let rule = tag.to_string();
        counter!(CALLS, "rule" => rule.clone()).increment(cost.asked);
        counter!(TRAPS, "rule" => rule.clone()).increment(cost.traps);
        let mean = cost.wall.as_secs_f64() / cost.asked.max(1) as f64;
        histogram!(SECONDS, "rule" => rule).record(mean);
    }
}
