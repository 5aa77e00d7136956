//! A plan, for people and as JSON. Exports pass by one at a time: a plan may be larger than memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use kakehi_engine::connector_space::CsId;
use kakehi_engine::export::{AttributeChange, Export, ExportOp};
use kakehi_engine::object::Value;
use kakehi_engine::plan::{Counts, export_mark};
use serde_json::{Map, Value as Json, json};

use crate::cli::Error;
use crate::cli::render::undo;
use crate::service::StoreError;
use crate::service::explain::value_json;
use crate::service::once::Planned;
use crate::service::{counts_json, exports_of};

/// The plan as one document: `plan`, `counts`, `limits`, `notes`, `exports`, `problems`.
pub fn plan_json(planned: &Planned, out: &mut impl Write) -> Result<(), Error> {
    let Planned { plan, report, store, .. } = planned;
    let counts: Map<String, Json> = plan
        .counts
        .iter()
        .map(|(connector, counts)| (connector.to_string(), counts_json(counts)))
        .collect();
    let limits: Vec<String> = plan.trips.iter().map(ToString::to_string).collect();
    let head = json!({
        "plan": plan.id.0,
        "parent": plan.basis.parent.as_ref().map(|id| &id.0),
        "ruleset": plan.basis.ruleset.0,
        "config": plan.basis.config,
        "undoes": plan.basis.undoes.as_ref().map(|id| &id.0),
        "left": undo::left_json(planned),
        "counts": counts,
        "limits_exceeded": limits,
        "notes": report.notes,
    });
    let head = head.to_string();
    let problems = problems(planned)?;
    let names = names(planned)?;
    let mut written = write!(out, "{},\"exports\":[", head.trim_end_matches('}'));
    let mut first = true;
    exports_of(&**store, report, &mut |pending| {
        if written.is_ok() {
            let comma = if first { "" } else { "," };
            written = write!(out, "{comma}\n{}", export_json(&pending.export, &names));
            first = false;
        }
    })?;
    written.and_then(|()| writeln!(out, "],\"problems\":{problems}}}")).map_err(Error::Output)
}

/// The plan as an administrator reads it.
pub fn plan_text(planned: &Planned, out: &mut impl Write) -> Result<(), Error> {
    let Planned { plan, report, store, .. } = planned;
    let names = names(planned)?;
    let mut written = Ok(());
    exports_of(&**store, report, &mut |pending| {
        if written.is_ok() {
            written = export_text(&pending.export, &names, out);
        }
    })?;
    written.map_err(Error::Output)?;
    let mut foot = || -> std::io::Result<()> {
        writeln!(out, "plan {}", plan.id)?;
        for (target, counts) in &plan.counts {
            writeln!(out, "  {target:<16} {}", counts_text(counts))?;
        }
        for trip in &plan.trips {
            writeln!(out, "  limit: {trip}")?;
        }
        for note in &report.notes {
            writeln!(out, "  note: {note}")?;
        }
        undo::foot(planned, out)
    };
    foot().map_err(Error::Output)?;
    for problem in problem_list(planned)? {
        writeln!(
            out,
            "  problem: {} {}: {}",
            problem["kind"].as_str().unwrap_or(""),
            problem["object"].as_str().unwrap_or(""),
            problem["message"].as_str().unwrap_or("")
        )
        .map_err(Error::Output)?;
    }
    Ok(())
}

/// `3 add, 1 rename`, or `nothing to do`.
pub fn counts_text(counts: &Counts) -> String {
    let parts: Vec<String> = counts
        .named()
        .into_iter()
        .filter(|(_, number)| *number > 0)
        .map(|(name, number)| format!("{number} {}", name.replace('_', " ")))
        .collect();
    if parts.is_empty() { "nothing to do".into() } else { parts.join(", ") }
}

/// What the objects are called that exports refer to.
fn names(planned: &Planned) -> Result<BTreeMap<CsId, String>, StoreError> {
    let mut ids = BTreeSet::new();
    exports_of(&*planned.store, &planned.report, &mut |pending| {
        for change in &pending.export.changes {
            let values = change.add.iter().chain(&change.remove);
            ids.extend(values.chain(change.replace.iter().flatten()).filter_map(reference));
        }
    })?;
    let ids: Vec<CsId> = ids.into_iter().collect();
    let names = planned.store.target_names(&ids)?;
    Ok(ids.into_iter().zip(names).collect())
}

fn reference(value: &Value) -> Option<CsId> {
    match value {
        Value::Reference(id) => id.parse().ok().map(CsId),
        _ => None,
    }
}

fn named(value: &Value, names: &BTreeMap<CsId, String>) -> Json {
    match reference(value).and_then(|id| names.get(&id)) {
        Some(name) => json!(name),
        None => value_json(value),
    }
}

fn export_json(export: &Export, names: &BTreeMap<CsId, String>) -> Json {
    let list = |values: &[Value]| values.iter().map(|value| named(value, names)).collect::<Json>();
    let changes: Vec<Json> = export
        .changes
        .iter()
        .map(|change| {
            json!({
                "attribute": change.attribute.as_str(),
                "add": list(&change.add),
                "remove": list(&change.remove),
                "replace": change.replace.as_deref().map_or(json!([]), list),
                "clear": change.replace.as_ref().is_some_and(Vec::is_empty),
            })
        })
        .collect();
    json!({
        "mark": export_mark(export),
        "connector": export.connector.as_str(),
        "op": export.op.as_str(),
        "type_change": export.type_change,
        "class": export.class.as_str(),
        "anchor": export.anchor,
        "match": export.match_key,
        "changes": changes,
    })
}

fn export_text(
    export: &Export,
    names: &BTreeMap<CsId, String>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let sign = match export.op {
        ExportOp::Add => '+',
        ExportOp::Delete => '-',
        ExportOp::Update | ExportOp::Rename | ExportOp::Disable => '~',
    };
    let (op, class) = (export.op.as_str(), &export.class);
    writeln!(out, "{sign} {op:<8} {}/{class} {}", export.connector, export.match_key)?;
    for change in &export.changes {
        change_text(change, names, out)?;
    }
    Ok(())
}

/// Values of one attribute that are shown in full; of more only the number.
const VALUES_SHOWN_MAX: usize = 8;

fn change_text(
    change: &AttributeChange,
    names: &BTreeMap<CsId, String>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let name = change.attribute.as_str();
    let text = |values: &[Value]| {
        let shown: Vec<String> = values
            .iter()
            .take(VALUES_SHOWN_MAX)
            .map(|value| named(value, names).to_string())
            .collect();
        match values.len().checked_sub(VALUES_SHOWN_MAX) {
            Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
            _ => shown.join(", "),
        }
    };
    match &change.replace {
        Some(values) if values.is_empty() => writeln!(out, "      {name}: cleared")?,
        Some(values) => writeln!(out, "      {name} = {}", text(values))?,
        None => {}
    }
    if !change.add.is_empty() {
        writeln!(out, "      {name} + {}", text(&change.add))?;
    }
    if !change.remove.is_empty() {
        writeln!(out, "      {name} - {}", text(&change.remove))?;
    }
    Ok(())
}

fn problems(planned: &Planned) -> Result<Json, StoreError> {
    Ok(Json::Array(problem_list(planned)?))
}

fn problem_list(planned: &Planned) -> Result<Vec<Json>, StoreError> {
    let problems = planned.store.problems()?;
    let ids: Vec<CsId> = problems.iter().map(|problem| problem.object).collect();
    let labels = planned.store.labels(&ids)?;
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
