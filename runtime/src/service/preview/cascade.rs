//! What would be taken away as a consequence: deleted, disabled, let go, disconnected, cleared.

use std::collections::BTreeSet;

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::export::{AttributeChange, Export, ExportOp};
use kakehi_engine::object::Value;
use kakehi_engine::view::View;
use serde_json::{Value as Json, json};

use super::Evaluation;
use crate::report::words;
use crate::service::reasons::{is_source, out_of_scope};

// === impl Evaluation ===

impl Evaluation<'_> {
    /// The gravest first.
    pub(super) fn cascade(&self) -> Vec<Json> {
        let mut told = vec![];
        for mv in &self.people {
            self.ending(*mv, &mut told);
        }
        let mut ids: BTreeSet<CsId> = self.session.overlay.changed_cs().collect();
        ids.extend(self.session.overlay.exports().map(|(id, _)| id));
        for id in ids {
            let before = self.below.cs_objects(&[id]).pop();
            let after = self.session.overlay.cs_objects(&[id]).pop();
            let export = self.session.overlay.export(id).and_then(Option::as_ref);
            if let Some(export) = export {
                self.exported(export, before.as_ref().or(after.as_ref()), &mut told);
            }
            self.unlinked(before.as_ref(), after.as_ref(), export, &mut told);
        }
        let rank = |one: &Json| {
            let kinds = ["end", "delete", "disable", "let-go", "disconnect", "remove", "clear"];
            kinds.iter().position(|kind| one["kind"] == *kind).unwrap_or(kinds.len())
        };
        told.sort_by_key(rank);
        told
    }

    /// A metaverse object that nothing keeps.
    fn ending(&self, mv: MvId, told: &mut Vec<Json>) {
        let before = self.below.mv_objects(&[mv]).pop();
        let after = self.session.overlay.mv_objects(&[mv]).pop();
        let waits = after.as_ref().is_some_and(|after| after.alive && after.orphaned.is_some());
        let ends = after.is_none_or(|after| !after.alive);
        let Some(before) = before else { return };
        let name = words::mv_name(&before);
        if waits && before.orphaned.is_none() {
            told.push(json!({
                "kind": "end", "object": name,
                "text": format!(
                    "{} {} `{name}` ends after its period of grace: nothing keeps it",
                    before.class, mv.0
                ),
            }));
        }
        if ends {
            told.push(json!({
                "kind": "end", "object": name,
                "text": format!("{} {} `{name}` ends: nothing keeps it", before.class, mv.0),
            }));
        }
    }

    fn exported(&self, export: &Export, object: Option<&CsObject>, told: &mut Vec<Json>) {
        let name = match export.match_key.is_empty() {
            true => object.map(words::cs_name).unwrap_or_default(),
            false => words::visible(&export.match_key).into_owned(),
        };
        let whole = format!("{}/{} `{name}`", export.connector, export.class);
        let mut add = |kind: &str, text: String| {
            told.push(json!({"kind": kind, "object": name, "text": text}));
        };
        match export.op {
            ExportOp::Delete => {
                add("delete", format!("{whole} is deleted{}", self.because(export)))
            }
            ExportOp::Disable => {
                add("disable", format!("{whole} is disabled{}", self.because(export)));
            }
            ExportOp::Add | ExportOp::Update | ExportOp::Rename => {}
        }
        for change in &export.changes {
            let attribute = &change.attribute;
            if !change.remove.is_empty() {
                let gone = self.named(&change.remove).join(", ");
                add("remove", format!("{whole} loses {gone} from {attribute}"));
            }
            let held = object.and_then(|object| object.attributes.get(attribute));
            let cleared = change.replace.as_ref().is_some_and(Vec::is_empty);
            if let (true, Some(held)) = (cleared, held) {
                let held = self.named(held).join(", ");
                add("clear", format!("{whole}: {attribute} is cleared, it was {held}"));
            }
        }
    }

    fn because(&self, export: &Export) -> String {
        let Some(person) = export.mv.and_then(|mv| self.session.overlay.mv_objects(&[mv]).pop())
        else {
            return String::new();
        };
        let rules = self.session.rules;
        match out_of_scope(&self.session.overlay, rules, &person, &export.connector, None) {
            Some(why) if person.alive => format!(": {}", why.text),
            _ => String::new(),
        }
    }

    fn unlinked(
        &self,
        before: Option<&CsObject>,
        after: Option<&CsObject>,
        export: Option<&Export>,
        told: &mut Vec<Json>,
    ) {
        let Some(before) = before.filter(|object| object.link.is_some()) else { return };
        if after.is_some_and(|after| after.link.is_some()) {
            return;
        }
        let name = words::cs_name(before);
        let whole = format!("{}/{} `{name}`", before.connector, before.class);
        let goes = export.is_some_and(|e| matches!(e.op, ExportOp::Delete | ExportOp::Disable));
        let (kind, text) = match (is_source(before, self.session.rules), after) {
            (true, None) => ("disconnect", format!("{whole} is gone, with all it contributed")),
            (true, Some(_)) => {
                ("disconnect", format!("{whole} is disconnected, and all it contributed recalled"))
            }
            (false, _) if goes => return,
            (false, _) => ("let-go", format!("{whole} is let go: it stays as it is")),
        };
        told.push(json!({"kind": kind, "object": name, "text": text}));
    }

    /// An export with what was there before.
    pub(super) fn export_json(&self, export: &Export, object: &CsObject) -> Json {
        let list = |values: &[Value]| self.named_json(values);
        let change = |change: &AttributeChange| {
            let held = object.attributes.get(&change.attribute).map_or(&[][..], Vec::as_slice);
            let mut body = json!({
                "attribute": change.attribute.as_str(),
                "add": list(&change.add),
                "remove": list(&change.remove),
                "replace": change.replace.as_deref().map_or(json!([]), list),
                "clear": change.replace.as_ref().is_some_and(Vec::is_empty),
            });
            if change.replace.is_some() {
                body["old"] = list(held);
            }
            body
        };
        json!({
            "connector": export.connector.as_str(),
            "op": export.op.as_str(),
            "class": export.class.as_str(),
            "match": export.match_key,
            "changes": export.changes.iter().map(change).collect::<Json>(),
        })
    }

    /// References by the names of those they lead to.
    fn named_json(&self, values: &[Value]) -> Json {
        let told = values.iter().map(|value| match value {
            Value::Reference(id) => {
                let object = id.parse().ok().map(CsId);
                let object = object.and_then(|id| self.session.overlay.cs_objects(&[id]).pop());
                match object {
                    Some(object) => json!(self.place_name(&object)),
                    None => json!(id),
                }
            }
            other => words::value_json(other),
        });
        told.collect()
    }

    fn named(&self, values: &[Value]) -> Vec<String> {
        match self.named_json(values) {
            Json::Array(told) => told.iter().map(words::told).collect(),
            _ => vec![],
        }
    }

    /// What a target object is called: one that is still to be created as its person is.
    fn place_name(&self, object: &CsObject) -> String {
        let person = object.link.as_ref().filter(|_| object.attributes.is_empty());
        let person = person.and_then(|link| self.session.overlay.mv_objects(&[link.mv]).pop());
        person.map_or_else(|| words::cs_name(object), |person| words::mv_name(&person))
    }
}
