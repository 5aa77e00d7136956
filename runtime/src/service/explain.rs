//! Why does a person look as they do, and why are they not somewhere? The stored lineage flows in;
//! the whole story flows out as one JSON document, told with the rules that are in force.

pub mod disconnectors;
mod lineage;
mod references;
mod target;

pub(crate) use self::lineage::attribute;
use kakehi_engine::connector_space::{CsObject, Presence};
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::{ConnectorKind, Direction, RuleSet};
use kakehi_engine::view::View;
use serde_json::{Value as Json, json};

use crate::report::words;
pub use crate::service::overheard::InForce;
use crate::service::overheard::{self, Verdict, verdicts};
use crate::store::{CheckedView, Explained, RunRecord, Store, StoreError};

/// What a story is told with.
pub struct Teller<'a> {
    view: &'a dyn View,
    rules: &'a RuleSet,
    in_force: InForce<'a>,
    /// The newest run, which may have been stopped by a limit.
    last_run: Option<RunRecord>,
}

/// Everything known of what was found, as `explain --json` shows it.
///
/// Takes what the store found and the rules in force with their modules. Gives for each an object
/// with `name`, `metaverse`, `attributes` (by name: values, winner, losers), `sources`, `targets`
/// and `problems`.
pub fn stories(
    store: &dyn Store,
    found: &[Explained],
    in_force: InForce<'_>,
) -> Result<Vec<Json>, StoreError> {
    let last_run = store.runs(1)?.pop();
    let view = store.view()?;
    let teller = Teller { view: as_view(&*view), rules: in_force.rules, in_force, last_run };
    let stories = found.iter().map(|found| teller.story(found)).collect();
    view.check()?;
    Ok(stories)
}

pub(crate) fn as_view<'a>(view: &'a (dyn CheckedView + 'a)) -> &'a dyn View {
    view
}

// === impl Teller ===

impl Teller<'_> {
    fn story(&self, found: &Explained) -> Json {
        let (sources, targets) = self.sides(found);
        let attributes = match &found.mv {
            Some(mv) => self.attributes(mv, &sources, &found.problems),
            None => serde_json::Map::new(),
        };
        let told_targets = match &found.mv {
            Some(mv) => self.targets(mv, &targets, found),
            None => targets.iter().map(|object| self.lone_target(object, found)).collect(),
        };
        json!({
            "name": name(found),
            "metaverse": found.mv.as_ref().map(|mv| json!({
                "id": mv.id.0, "type": mv.class.as_str(), "alive": mv.alive,
            })),
            "attributes": attributes,
            "sources": sources
                .iter()
                .map(|object| self.source(object, &found.problems))
                .collect::<Vec<_>>(),
            "targets": told_targets,
            "problems": found.problems.iter().map(problem_json).collect::<Vec<_>>(),
        })
    }

    /// Source objects in order of evaluation, and target objects.
    fn sides(&self, found: &Explained) -> (Vec<CsObject>, Vec<CsObject>) {
        let order = |object: &CsObject| self.rules.connector(&object.connector).map(|c| c.order);
        let is_target = |object: &CsObject| {
            let connector = self.rules.connector(&object.connector);
            connector.is_some_and(|connector| connector.kind == ConnectorKind::Target)
        };
        let (mut targets, mut sources): (Vec<CsObject>, Vec<CsObject>) =
            found.objects.iter().cloned().partition(is_target);
        sources.sort_by_key(|object| (order(object), object.anchor.clone()));
        targets.sort_by_key(|object| (order(object), object.anchor.clone()));
        (sources, targets)
    }

    /// Where each inbound rule of its type stands to a source object.
    fn verdicts(&self, object: &CsObject, problems: &[Problem]) -> Vec<Verdict<'_>> {
        let mut said = overheard::kept_said(&object.contributions);
        let own = problems.iter().filter(|problem| problem.object == object.id);
        overheard::add_failures(&mut said, &own.cloned().collect::<Vec<_>>());
        let rules = self.rules.of(Direction::Inbound, &object.connector);
        let of_class = rules.map(|(_, rule)| rule).filter(|rule| rule.cs_class == object.class);
        verdicts(of_class, &kakehi_engine::preview::seen_inbound(object), &said)
    }

    fn source(&self, object: &CsObject, problems: &[Problem]) -> Json {
        let mut body = object_json(object);
        let verdicts = self.verdicts(object, problems);
        let mut rules: Vec<Json> = verdicts.iter().map(Verdict::to_json).collect();
        rules.extend(self.forgotten(object));
        body["rules"] = Json::Array(rules);
        body["presence"] = json!(match object.presence {
            Presence::Deleted => "deleted in the directory, not recalled yet",
            Presence::Placeholder => "only known because others refer to it",
            _ => "imported",
        });
        if object.link.is_none() {
            let lone = disconnectors::why(self.view, object, self.in_force, problems);
            body["not_linked"] = lone;
        }
        body
    }

    /// Rules that an object still has answers of, and that the rule set no longer has.
    fn forgotten(&self, object: &CsObject) -> Vec<Json> {
        let unknown = object.contributions.iter().map(|contribution| &contribution.rule);
        unknown
            .filter(|tag| self.rules.by_tag(tag).is_none())
            .map(|tag| {
                json!({
                    "rule": tag.to_string(), "in_scope": false, "known": false,
                    "state": "gone", "reason": "the rule set has no such rule any more",
                })
            })
            .collect()
    }
}

/// What a person is called.
fn name(found: &Explained) -> String {
    match (&found.mv, found.objects.first()) {
        (Some(mv), _) => words::mv_name(mv),
        (None, Some(object)) => words::cs_name(object),
        (None, None) => String::new(),
    }
}

/// One line about each hit: enough to ask again more exactly.
pub fn hit(found: &Explained) -> String {
    let objects: Vec<String> = found
        .objects
        .iter()
        .map(|object| format!("{}/{} {}", object.connector, object.class, words::cs_name(object)))
        .collect();
    let whole = match &found.mv {
        Some(mv) => format!("{} {}", mv.class, mv.id.0),
        None => "not in the metaverse".into(),
    };
    format!("{} ({whole}): {}", name(found), objects.join(", "))
}

pub(crate) fn label(object: &CsObject) -> Json {
    let anchor = object.anchor.as_ref().map(ToString::to_string);
    json!({
        "connector": object.connector.as_str(),
        "type": object.class.as_str(),
        "dn": (!object.dn.is_empty()).then_some(&object.dn),
        "anchor": anchor,
    })
}

pub(crate) fn object_json(object: &CsObject) -> Json {
    let mut body = label(object);
    body["id"] = json!(object.id.0);
    body["name"] = json!(words::cs_name(object));
    body["link"] = match &object.link {
        Some(link) => json!({
            "rule": link.rule.to_string(), "origin": words::origin(link.origin), "mv": link.mv.0,
        }),
        None => Json::Null,
    };
    body
}

fn problem_json(problem: &Problem) -> Json {
    json!({
        "kind": problem.kind.as_str(),
        "object": problem.object.0,
        "rule": problem.rule.as_ref().map(ToString::to_string),
        "attribute": problem.attribute.as_ref().map(ToString::to_string),
        "message": problem.message,
    })
}
