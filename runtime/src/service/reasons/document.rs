//! The document of a plan, its exports aside.

use kakehi_engine::connector_space::CsId;
use kakehi_engine::problem::Problem;
use serde_json::{Map, Value as Json, json};

use super::Moves;
use crate::service::once::Planned;
use crate::store::{Store, StoreError};
use crate::sync::{Status, counts_json};

/// What is told of a plan before its exports: `plan`, `parent`, `ruleset`, `config`, `counts`,
/// `limits_exceeded`, `notes`; when and by what it was made; what moves; who has problems.
///
/// A plan that failed part-way has no counts, and says so (P-18).
pub fn head(planned: &Planned, moves: &Moves) -> Result<Json, StoreError> {
    let Planned { plan, report, store, .. } = planned;
    let failed = failed(report.status);
    let counts: Map<String, Json> = match failed {
        true => Map::new(),
        false => plan
            .counts
            .iter()
            .map(|(connector, counts)| (connector.to_string(), counts_json(counts)))
            .collect(),
    };
    let limits: Vec<String> = plan.trips.iter().map(ToString::to_string).collect();
    let (came, went) = store.problems_moved()?;
    let (scopes, links) = moves.to_json();
    let mut head = json!({
        "plan": plan.id.0,
        "parent": plan.basis.parent.as_ref().map(|id| &id.0),
        "ruleset": plan.basis.ruleset.0,
        "config": plan.basis.config,
        "made": report.started.rfc3339(),
        "version": env!("CARGO_PKG_VERSION"),
        "status": report.status.as_str(),
        "counts": counts,
        "limits_exceeded": limits,
        "notes": report.notes,
        "scopes": scopes,
        "links": links,
        "problems": problems(&**store, &store.problems()?)?,
        "problems_new": problems(&**store, &came)?,
        "problems_fixed": problems(&**store, &went)?,
    });
    if failed {
        head["failed"] = json!(report.status.as_str());
        for key in ["scopes", "links", "limits_exceeded"] {
            head[key] = json!([]);
        }
    }
    Ok(head)
}

/// Whether a plan ended before it had seen everything, so that no number of it means anything.
pub fn failed(status: Status) -> bool {
    matches!(status, Status::RuleBroken | Status::Unavailable | Status::Refused)
}

fn problems(store: &dyn Store, problems: &[Problem]) -> Result<Vec<Json>, StoreError> {
    let ids: Vec<CsId> = problems.iter().map(|problem| problem.object).collect();
    let labels = store.labels(&ids)?;
    let rows = problems.iter().zip(labels).map(|(problem, label)| {
        json!({
            "kind": problem.kind.as_str(),
            "object": format!("{}: {}", label.connector, label.name),
            "rule": problem.rule.as_ref().map(ToString::to_string),
            "message": problem.message,
        })
    });
    Ok(rows.collect())
}
