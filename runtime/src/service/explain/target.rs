//! What a target holds of a person, or why it holds nothing.

use std::collections::BTreeSet;

use kakehi_engine::connector_space::{CsObject, Presence};
use kakehi_engine::flow::Kept;
use kakehi_engine::metaverse::MvObject;
use kakehi_engine::object::AttributeName;
use kakehi_engine::precedence::lineage;
use kakehi_engine::preview;
use kakehi_engine::rule::{Connector, Direction, Rule};
use serde_json::{Map, Value as Json, json};

use super::lineage::attribute;
use super::{Teller, object_json};
use crate::report::words;
use crate::service::overheard::{AllSaid, Session, State, Verdict, add_failures, verdicts};
use crate::store::{Explained, PendingExport};

// === impl Teller ===

impl Teller<'_> {
    /// One entry for every target, also for those that the object is not at.
    pub(super) fn targets(
        &self,
        mv: &MvObject,
        objects: &[CsObject],
        found: &Explained,
    ) -> Vec<Json> {
        let seen = preview::seen_outbound(self.view, mv);
        // What the rules would say now: an object that is not at a target has nothing stored of it.
        let mut session = Session::new(self.view, self.in_force);
        let (mut said, _) = session.outbound(mv.id);
        add_failures(&mut said, &found.problems);
        let mut told = vec![];
        for target in self.rules.targets() {
            let rules = self.rules.of(Direction::Outbound, &target.name).map(|(_, rule)| rule);
            let rules = rules.filter(|rule| rule.is_about(&mv.class));
            let verdicts = verdicts(rules, &seen, &said);
            let here: Vec<&CsObject> =
                objects.iter().filter(|object| object.connector == target.name).collect();
            for object in &here {
                told.push(self.present(object, found, &verdicts));
            }
            if here.is_empty() {
                told.push(self.absent(target, &verdicts, &session, mv, &said));
            }
        }
        told
    }

    /// A target object that belongs to nobody.
    pub(super) fn lone_target(&self, object: &CsObject, found: &Explained) -> Json {
        let mut body = self.present(object, found, &[]);
        body["why"] = json!([{
            "code": "not-linked",
            "reason": "nobody in the metaverse is linked to it: it is left as it is",
        }]);
        body
    }

    fn present(&self, object: &CsObject, found: &Explained, verdicts: &[Verdict<'_>]) -> Json {
        let mut body = object_json(object);
        let withdrawing = object.contributions.iter().filter_map(|kept| match &kept.outcome {
            Kept::Withdrawn(_) => Some(json!({"rule": kept.rule.to_string(), "withdrawing": true})),
            _ => None,
        });
        body["rules"] = verdicts.iter().map(Verdict::to_json).chain(withdrawing).collect();
        body["state"] = json!(match object.presence {
            Presence::ExportOnly => "to be created",
            _ if object.deprovisioned => "deprovisioned",
            _ => "present",
        });
        let objects = std::slice::from_ref(object);
        let story = lineage(objects, self.rules);
        let names: BTreeSet<&AttributeName> =
            object.attributes.keys().chain(story.keys()).collect();
        let attributes: Map<String, Json> = names
            .into_iter()
            .map(|name| {
                let values = object.attributes.get(name).map_or(&[][..], Vec::as_slice);
                let entries = story.get(name).map_or(&[][..], Vec::as_slice);
                let body = attribute(values, false, (name, entries), objects, self.rules);
                (name.to_string(), body)
            })
            .collect();
        body["attributes"] = Json::Object(attributes);
        let pending = found.exports.iter().find(|pending| pending.export.object == object.id);
        body["pending"] = pending.map_or(Json::Null, pending_json);
        body["why"] = Json::Array(self.waits(object, pending, verdicts));
        body
    }

    /// What keeps the target from being as the rules want it.
    fn waits(
        &self,
        object: &CsObject,
        pending: Option<&PendingExport>,
        verdicts: &[Verdict<'_>],
    ) -> Vec<Json> {
        let mut why = vec![];
        let mut add =
            |code: &str, reason: String| why.push(json!({"code": code, "reason": reason}));
        if object.deprovisioned {
            add("deprovisioned", "no rule wants it there any more".to_owned());
        }
        if let Some(pending) = pending {
            let op = pending.export.op;
            if let Some(hold) = &pending.hold {
                let (until, kind) = (hold.until.rfc3339(), hold.kind);
                let message = words::visible(&hold.message);
                add("held", format!("its {op} is held until {until}: {kind}: {message}"));
            } else if pending.in_doubt {
                add("in-doubt", format!("the outcome of its {op} is not known yet"));
            } else if let Some(limit) = self.limit(object.connector.as_str()) {
                add("limit", format!("its {op} was not sent: {limit}"));
            } else if object.presence == Presence::ExportOnly {
                add("waiting", "it is created with the next plan that is delivered".to_owned());
            }
        }
        if object.deprovisioned || object.link.is_none() {
            why.extend(verdicts.iter().filter_map(out));
        }
        why
    }

    /// The note of the newest run, if a limit stopped it before this target.
    fn limit(&self, target: &str) -> Option<String> {
        let run = self.last_run.as_ref()?;
        if run.status != "stopped-deletion-threshold-exceeded" {
            return None;
        }
        let details: Json = serde_json::from_str(&run.details).ok()?;
        let named = format!("`{target}`");
        let notes = details["notes"].as_array()?.iter().filter_map(Json::as_str);
        let note = notes.into_iter().find(|note| note.contains(&named))?;
        Some(format!("run {}: {note}", run.id.0))
    }

    fn absent(
        &self,
        target: &Connector,
        verdicts: &[Verdict<'_>],
        session: &Session<'_>,
        mv: &MvObject,
        said: &AllSaid,
    ) -> Json {
        let mut why: Vec<Json> = verdicts.iter().filter_map(out).collect();
        let reason = |code: &str, reason: String| json!({"code": code, "reason": reason});
        if verdicts.is_empty() {
            let class = &mv.class;
            why.push(reason(
                "no-rule",
                format!("no rule takes objects of the type `{class}` to `{}`", target.name),
            ));
        }
        let failed = verdicts.iter().any(|verdict| verdict.state == State::Failed);
        let phase = kakehi_engine::view::Phase::Outbound;
        let problems = session.overlay.problems(phase, mv.id.0).unwrap_or_default();
        if !failed && !said.is_empty() {
            for problem in problems {
                let text = words::visible(&problem.message).into_owned();
                why.push(reason("error", format!("{}: {text}", problem.kind)));
            }
        }
        let exports = session.overlay.exports();
        let comes = exports.filter_map(|(_, export)| export.as_ref());
        if comes.into_iter().any(|export| export.connector == target.name) {
            let text = "it was not looked at yet: the next run brings it there".to_owned();
            why.push(reason("waiting", text));
        }
        json!({
            "connector": target.name.as_str(),
            "type": Json::Null,
            "name": Json::Null,
            "link": Json::Null,
            "state": "absent",
            "rules": verdicts.iter().map(Verdict::to_json).collect::<Vec<_>>(),
            "attributes": {},
            "pending": Json::Null,
            "why": why,
        })
    }
}

/// Why a rule that could bring an object to the target, or keep it there, does not.
fn out(verdict: &Verdict<'_>) -> Option<Json> {
    let Rule { name, precedence, .. } = verdict.rule;
    let code = match verdict.state {
        State::OutOfScope => "out-of-scope",
        State::Skipped => "skipped",
        State::Failed => "error",
        State::Applies | State::NotAsked | State::Idle => return None,
    };
    if !preview::can_link(verdict.rule) {
        return None;
    }
    let reason = &verdict.reason;
    let text = format!("`{name}` ({precedence}) {}: {reason}", verdict.state.as_str());
    Some(json!({"code": code, "rule": verdict.rule.tag.to_string(), "reason": text}))
}

fn pending_json(pending: &PendingExport) -> Json {
    let changes = pending.export.changes.iter().map(|change| {
        json!({
            "attribute": change.attribute.as_str(),
            "add": words::values_json(&change.add),
            "remove": words::values_json(&change.remove),
            "replace": change.replace.as_deref().map(words::values_json),
        })
    });
    json!({
        "op": pending.export.op.as_str(),
        "attempts": pending.attempts,
        "in_doubt": pending.in_doubt,
        "changes": changes.collect::<Vec<_>>(),
        "held": pending.hold.as_ref().map(|hold| json!({
            "until": hold.until.rfc3339(), "kind": hold.kind.as_str(), "message": hold.message,
        })),
    })
}
