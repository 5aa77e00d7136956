//! References that do not arrive: values of a metaverse object flow in; what each leads to, and
//! what becomes of it at the targets, flows out.

use kakehi_engine::connector_space::{CsId, MvId, Presence};
use kakehi_engine::object::{ReferenceKey, Value};
use serde_json::{Value as Json, json};

use super::Teller;
use crate::report::words;

/// References of one attribute that are told by name; of more only the number.
const REFERENCES_TOLD_MAX: usize = 50;

// === impl Teller ===

impl Teller<'_> {
    /// Nothing for an attribute without references. `count`, how many are `unresolved` (of which
    /// some by name), and by target how many are `omitted` or `deferred`, with names.
    pub(super) fn references(&self, values: &[Value]) -> Option<Json> {
        let keys: Vec<ReferenceKey> = values
            .iter()
            .filter_map(|value| match value {
                Value::Reference(key) => ReferenceKey::parse(key),
                _ => None,
            })
            .collect();
        if keys.is_empty() {
            return None;
        }
        let answers = self.view.resolve(&keys);
        let (mut unresolved, mut lost, mut found) = (vec![], 0_usize, vec![]);
        for (key, answer) in keys.iter().zip(answers) {
            let reason = match answer {
                Some(resolved) => match resolved.mv {
                    Some(mv) => {
                        found.push(mv);
                        continue;
                    }
                    None => "its object is not linked",
                },
                None => "no object with this name was imported",
            };
            lost += 1;
            if unresolved.len() < REFERENCES_TOLD_MAX {
                let key = words::visible(&key.to_string()).into_owned();
                unresolved.push(json!({"to": key, "reason": reason}));
            }
        }
        let targets: serde_json::Map<String, Json> = self
            .rules
            .targets()
            .map(|target| {
                let homes = self.view.targets_of(&found, &target.name);
                (target.name.to_string(), self.at_target(&found, &homes))
            })
            .collect();
        Some(json!({
            "count": keys.len(),
            "unresolved": {"count": lost, "some": unresolved},
            "targets": targets,
        }))
    }

    fn at_target(&self, found: &[MvId], homes: &[Option<CsId>]) -> Json {
        let absent: Vec<MvId> =
            found.iter().zip(homes).filter(|(_, home)| home.is_none()).map(|(mv, _)| *mv).collect();
        let there: Vec<CsId> = homes.iter().flatten().copied().collect();
        let mut coming = self.view.cs_objects(&there);
        coming.retain(|object| object.presence == Presence::ExportOnly);
        let deferred: Vec<MvId> =
            coming.iter().filter_map(|object| Some(object.link.as_ref()?.mv)).collect();
        json!({"omitted": self.named(&absent), "deferred": self.named(&deferred)})
    }

    fn named(&self, ids: &[MvId]) -> Json {
        let shown = &ids[..ids.len().min(REFERENCES_TOLD_MAX)];
        let names: Vec<String> = self.view.mv_objects(shown).iter().map(words::mv_name).collect();
        json!({"count": ids.len(), "some": names})
    }
}
