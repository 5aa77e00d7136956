//! What a cycle did: counted while it runs, kept as its run record.

use std::collections::BTreeMap;
use std::time::Duration;

use kakehi_engine::guard::Trip;
use kakehi_engine::object::ConnectorName;
use kakehi_engine::plan::{Counts, Plan, PlanId};
use kakehi_engine::problem::ProblemKind;
use kakehi_engine::rule::Measure;
use kakehi_engine::time::Timestamp;
use kakehi_engine::view::Counters;
use serde_json::{Value as Json, json};

use crate::edge::{DirectoryError, TargetError};
use crate::store::{Staged, Troubles};
use crate::sync::cost::RuleCosts;
use crate::sync::meter::Meter;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageName {
    Import,
    Synchronize,
    Match,
    Plan,
    Deliver,
}

impl StageName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Synchronize => "synchronize",
            Self::Match => "match",
            Self::Plan => "plan",
            Self::Deliver => "deliver",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    pub wall: Duration,
    /// Of the whole process while the stage ran.
    pub cpu: Duration,
}

/// How a cycle ended (provisioning.md 12). The worst that happened decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Success,
    ObjectErrors,
    /// A source or a target could not be reached.
    Unavailable,
    /// A source or a target refused our credential.
    Refused,
    ErrorLimit,
    RuleBroken,
    ImportShrank,
    /// A plan would change more of this kind than it may.
    Threshold(Measure),
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ObjectErrors => "completed-object-errors",
            Self::Unavailable => "completed-unavailable",
            Self::Refused => "completed-credential-refused",
            Self::ErrorLimit => "stopped-error-limit",
            Self::RuleBroken => "stopped-rule-broken",
            Self::ImportShrank => "stopped-import-shrank",
            Self::Threshold(measure) => match measure {
                Measure::Removals | Measure::Deletes | Measure::Disables => {
                    "stopped-deletion-threshold-exceeded"
                }
                Measure::Renames => "stopped-rename-threshold-exceeded",
                Measure::TypeChanges => "stopped-type-change-threshold-exceeded",
                Measure::MemberRemovals => "stopped-member-removal-threshold-exceeded",
                Measure::Clears => "stopped-attribute-clear-threshold-exceeded",
            },
        }
    }

    /// service.md 2.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::ObjectErrors => 4,
            Self::Unavailable => 75,
            Self::Refused => 77,
            Self::ErrorLimit | Self::RuleBroken | Self::ImportShrank | Self::Threshold(_) => 5,
        }
    }
}

/// What happened to the exports of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub done: u64,
    pub held: u64,
    /// Wait for other objects, or for the target.
    pub waiting: u64,
    pub in_doubt: u64,
}

#[derive(Clone, Debug)]
pub struct Report {
    pub started: Timestamp,
    pub ended: Timestamp,
    pub status: Status,
    /// What is to be told besides the counts, each a sentence: failures, limits, what to do.
    pub notes: Vec<String>,
    /// The first plan; what its delivery brought to light has plans of its own.
    pub plan: Option<PlanId>,
    pub further_plans: Vec<PlanId>,
    pub counts: BTreeMap<ConnectorName, Counts>,
    /// Entries received, and what staging did with them, per source.
    pub imported: BTreeMap<ConnectorName, (u64, Staged)>,
    pub counters: Counters,
    /// Objects that were looked through because other rules might concern them.
    pub sifted: u64,
    /// Of every rule that was asked.
    pub costs: RuleCosts,
    pub problems: u64,
    pub delivered: Delivered,
    pub stages: BTreeMap<StageName, Stage>,
    /// Staging mode: nothing was sent.
    pub staging: bool,
    /// The plan takes another one back.
    pub(crate) undoes: bool,
    target_failed: bool,
}

// === impl Report ===

impl Report {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            started: now,
            ended: now,
            status: Status::Success,
            notes: vec![],
            plan: None,
            further_plans: vec![],
            counts: BTreeMap::new(),
            imported: BTreeMap::new(),
            counters: Counters::default(),
            sifted: 0,
            costs: RuleCosts::new(),
            problems: 0,
            delivered: Delivered::default(),
            stages: BTreeMap::new(),
            staging: false,
            undoes: false,
            target_failed: false,
        }
    }

    pub(crate) fn finish(&mut self, now: Timestamp) {
        self.ended = now;
        if self.problems > 0 || self.delivered.held > 0 {
            self.worsen(Status::ObjectErrors);
        }
    }

    /// What there is now, from earlier cycles too: an object that is held has failed.
    pub(crate) fn troubles(&mut self, troubles: Troubles) {
        self.problems = troubles.problems;
        self.delivered.held = troubles.held;
        self.delivered.in_doubt = troubles.in_doubt;
    }

    pub(crate) fn worsen(&mut self, status: Status) {
        self.status = self.status.max(status);
    }

    pub(crate) fn note(&mut self, status: Status, text: impl Into<String>) {
        self.worsen(status);
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// A safety limit was reached: nothing may be sent any more.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.status, Status::ErrorLimit | Status::RuleBroken | Status::ImportShrank)
    }

    pub(crate) fn failed_target(&self) -> bool {
        self.target_failed
    }

    pub(crate) fn measured(&mut self, name: StageName, meter: &Meter) {
        let (wall, cpu) = meter.read();
        let stage = self.stages.entry(name).or_default();
        stage.wall += wall;
        stage.cpu += cpu;
    }

    pub(crate) fn count(&mut self, plan: &Plan) {
        match &self.plan {
            None => self.plan = Some(plan.id.clone()),
            Some(_) if plan.exports() > 0 => self.further_plans.push(plan.id.clone()),
            Some(_) => {}
        }
        for (connector, counts) in &plan.counts {
            self.counts.entry(connector.clone()).or_default().add(counts);
        }
    }

    pub(crate) fn trips(&mut self, trips: Vec<Trip>) {
        for trip in trips {
            let text = format!(
                "{trip}: nothing was sent there; review with `kakehi plan -o plan.json`, \
                 then release with `kakehi apply plan.json`"
            );
            self.note(Status::Threshold(trip.measure), text);
        }
    }

    pub(crate) fn stage(&mut self, staging: bool, plan: &Plan) {
        self.staging = staging;
        if staging && plan.exports() > 0 {
            let text = "staging mode: nothing was sent; `kakehi plan` shows what waits, \
                        `kakehi staging off` lets it go";
            self.note(Status::Success, text);
        }
    }

    /// Exports that came or changed after the plan was reviewed.
    pub(crate) fn unreviewed(&mut self, number: usize) {
        let text = format!("{number} exports came or changed after the review: they were not sent");
        self.note(Status::Success, text);
    }

    /// What could not be taken back.
    pub(crate) fn left(&mut self, number: usize) {
        if number > 0 {
            let text = format!("of {number} objects not everything could be taken back");
            self.note(Status::ObjectErrors, text);
        }
    }

    pub(crate) fn repeated(&mut self, number: usize) {
        let text = format!(
            "{number} changes come again and again ({}, {}): they are held; \
             `kakehi explain OBJECT` tells why",
            ProblemKind::Flapping,
            ProblemKind::ExportedChangeNotReimported
        );
        self.note(Status::ObjectErrors, text);
    }

    pub(crate) fn source_failed(&mut self, error: &DirectoryError) {
        let status = match error {
            DirectoryError::Refused { .. } | DirectoryError::Tls { .. } => Status::Refused,
            _ => Status::Unavailable,
        };
        let text = match error {
            DirectoryError::Limit { hint, .. } | DirectoryError::Config { hint, .. } => {
                format!("{error}; {hint}")
            }
            _ => error.to_string(),
        };
        self.note(status, text);
    }

    pub(crate) fn target_failed(&mut self, error: &TargetError) {
        self.target_failed = true;
        let status = match error {
            TargetError::Refused { .. } => Status::Refused,
            _ => Status::Unavailable,
        };
        self.note(status, error.to_string());
    }

    pub(crate) fn diverged(&mut self, target: &ConnectorName, class: &str, attribute: &str) {
        self.note(
            Status::ObjectErrors,
            format!(
                "{}: target `{target}` does not keep `{attribute}` of {class}; \
                 it is not written any more",
                ProblemKind::ExportedChangeNotReimported
            ),
        );
    }

    /// Whether the cycle did anything worth a record (PF-11).
    pub fn is_empty(&self) -> bool {
        matches!(self.status, Status::Success | Status::ObjectErrors)
            && self.counters.evaluated + self.counters.resolved == 0
            // What waits in staging mode was recorded when it came.
            && (self.staging || self.counts.values().all(|counts| counts.exports() == 0))
            && self.imported.values().all(|(_, staged)| staged.changed + staged.deleted == 0)
    }

    pub(crate) fn cost(&mut self, costs: RuleCosts) {
        for (tag, cost) in costs {
            self.costs.entry(tag).or_default().add(cost);
        }
    }

    /// The record of the run as JSON: counts and costs, no names and no values.
    pub fn to_json(&self) -> Json {
        let counts: serde_json::Map<String, Json> = self
            .counts
            .iter()
            .map(|(connector, counts)| (connector.to_string(), counts_json(counts)))
            .collect();
        let imported: serde_json::Map<String, Json> = self
            .imported
            .iter()
            .map(|(source, (entries, staged))| {
                let body = json!({
                    "entries": entries, "changed": staged.changed,
                    "unchanged": staged.unchanged, "deleted": staged.deleted,
                });
                (source.to_string(), body)
            })
            .collect();
        let stages: serde_json::Map<String, Json> = self
            .stages
            .iter()
            .map(|(name, stage)| {
                let (wall, cpu) = (millis(stage.wall), millis(stage.cpu));
                (name.as_str().to_owned(), json!({"wall_ms": wall, "cpu_ms": cpu}))
            })
            .collect();
        let calls: serde_json::Map<String, Json> =
            self.costs.iter().map(|(tag, cost)| (tag.to_string(), json!(cost.asked))).collect();
        let times: serde_json::Map<String, Json> = self
            .costs
            .iter()
            .map(|(tag, cost)| (tag.to_string(), json!(cost.wall.as_secs_f64())))
            .collect();
        let trapped = self.costs.iter().filter(|(_, cost)| cost.traps > 0);
        let traps: serde_json::Map<String, Json> =
            trapped.map(|(tag, cost)| (tag.to_string(), json!(cost.traps))).collect();
        json!({
            "status": self.status.as_str(),
            "started": self.started.rfc3339(),
            "duration_ms": self.ended.0 - self.started.0,
            "plan": self.plan.as_ref().map(|id| id.0.clone()),
            "further_plans": self.further_plans.iter().map(|id| &id.0).collect::<Vec<_>>(),
            "counts": counts,
            "imported": imported,
            "staged": self.imported.values().map(|(_, staged)| staged.changed).sum::<u64>(),
            "sifted": self.sifted,
            "evaluated": self.counters.evaluated,
            "resolved": self.counters.resolved,
            "rule_calls": calls,
            "rule_seconds": times,
            "rule_traps": traps,
            "contributions_reused": self.counters.reused,
            "omitted_references": self.counters.omitted_references,
            "problems": self.problems,
            "delivered": {
                "done": self.delivered.done, "held": self.delivered.held,
                "waiting": self.delivered.waiting, "in_doubt": self.delivered.in_doubt,
            },
            "stages": stages,
            "staging": self.staging,
            "notes": self.notes,
        })
    }
}

/// `{"add": n, "update": n, ...}` in the fixed order.
pub fn counts_json(counts: &Counts) -> Json {
    let pairs = counts.named().into_iter().map(|(name, number)| (name.to_owned(), json!(number)));
    Json::Object(pairs.collect())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
