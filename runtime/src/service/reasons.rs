//! Why a plan does what it does: pending exports on a copy of the state flow in; what is written,
//! what was there before, which rule wants it and what had changed flows out, as documents.

pub mod document;
mod moves;

use std::collections::BTreeMap;

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::export::{AttributeChange, Export, ExportOp};
use kakehi_engine::flow::Contribution;
use kakehi_engine::metaverse::{MvAttribute, MvObject};
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::precedence::{LineageEntry, Role, lineage};
use kakehi_engine::preview::{self, ScopeTest};
use kakehi_engine::rule::{ConnectorKind, Direction, LinkType, RuleSet, RuleTag};
use kakehi_engine::view::View;
use serde_json::{Value as Json, json};

use crate::report::words;
use crate::store::{Store, StoreError};

pub use self::moves::Moves;

/// Why an object goes.
pub struct Why {
    pub text: String,
    /// The same for all who go for one reason.
    pub cause: String,
}

/// Values of one attribute of the metaverse that are told; of more only the number.
const VALUES_TOLD_MAX: usize = 20;

/// What reasons are found with.
pub struct Reasons<'a> {
    store: &'a dyn Store,
    rules: &'a RuleSet,
    /// Source objects that left their metaverse object, as they were, by what they left.
    left: BTreeMap<MvId, Vec<CsObject>>,
}

// === impl Reasons ===

impl<'a> Reasons<'a> {
    /// Looks at everything that the dry run changed, once. Gives also what moved: scopes and links.
    pub fn new(store: &'a dyn Store, rules: &'a RuleSet) -> Result<(Self, Moves), StoreError> {
        let mut moves = Moves::default();
        let mut left: BTreeMap<MvId, Vec<CsObject>> = BTreeMap::new();
        for ids in store.changed_objects()?.chunks(moves::OBJECTS_AT_ONCE) {
            let before = store.objects_before(ids)?;
            let view = store.view()?;
            let mut now: BTreeMap<CsId, CsObject> =
                view.cs_objects(ids).into_iter().map(|object| (object.id, object)).collect();
            view.check()?;
            drop(view);
            for (id, before) in ids.iter().zip(before) {
                let now = now.remove(id);
                moves.take(before.as_ref(), now.as_ref(), rules);
                let source = before.filter(|object| is_source(object, rules));
                let Some((mut object, link)) = source.and_then(|object| {
                    let link = object.link.clone()?;
                    Some((object, link))
                }) else {
                    continue;
                };
                let stays = now.and_then(|now| now.link).is_some_and(|now| now.mv == link.mv);
                if !stays {
                    object.contributions.clear();
                    left.entry(link.mv).or_default().push(object);
                }
            }
        }
        Ok((Self { store, rules, left }, moves))
    }

    /// One export with everything that is known of it.
    pub fn export(&self, export: &Export) -> Result<Json, StoreError> {
        let before = self.store.objects_before(&[export.object])?.pop().flatten();
        let link = before.as_ref().and_then(|object| object.link.clone());
        let mv = export.mv.or(link.as_ref().map(|link| link.mv));
        let mv_before = match mv {
            Some(mv) => self.store.mv_before(mv)?,
            None => None,
        };
        let names = self.names(export)?;
        let view = self.store.view()?;
        let object = view.cs_objects(&[export.object]).pop();
        let person = mv.and_then(|mv| view.mv_objects(&[mv]).pop());
        let link_rule = link.or_else(|| object.as_ref()?.link.clone()).map(|link| link.rule);
        let story = match &object {
            Some(object) => lineage(std::slice::from_ref(object), self.rules),
            None => BTreeMap::new(),
        };
        let held = |name: &AttributeName| -> &[Value] {
            let values = object.as_ref().and_then(|object| object.attributes.get(name));
            values.map_or(&[][..], Vec::as_slice)
        };
        let names = Names { names, old: self.old_names(&*view, export, &held) };
        let changes: Vec<Json> = export
            .changes
            .iter()
            .map(|change| {
                let entries = story.get(&change.attribute).map_or(&[][..], Vec::as_slice);
                self.change(change, held(&change.attribute), entries, &names)
            })
            .collect();
        let mut body = json!({
            "connector": export.connector.as_str(),
            "op": export.op.as_str(),
            "class": export.class.as_str(),
            "anchor": export.anchor,
            "match": export.match_key,
            "object": export.object.0,
            "mv": mv.map(|mv| mv.0),
            "name": person.as_ref().or(mv_before.as_ref()).map(words::mv_name),
            "rule": link_rule.as_ref().map(|tag| self.rule_name(tag)),
            "changes": changes,
        });
        if let Some(moved) = moved(mv_before.as_ref(), person.as_ref()) {
            body["metaverse"] = moved;
        }
        let why = match export.op {
            ExportOp::Delete | ExportOp::Disable => {
                let who = (mv, mv_before.as_ref(), person.as_ref());
                self.departure(&*view, export, who, link_rule.as_ref(), &story)
            }
            ExportOp::Add | ExportOp::Update | ExportOp::Rename => None,
        };
        view.check()?;
        if let Some(why) = why {
            body["reason"] = json!(why.text);
            body["cause"] = json!(why.cause);
        }
        Ok(body)
    }

    fn change(
        &self,
        change: &AttributeChange,
        held: &[Value],
        entries: &[LineageEntry],
        names: &Names,
    ) -> Json {
        let list =
            |values: &[Value]| values.iter().map(|value| names.json(value)).collect::<Json>();
        let mut body = json!({
            "attribute": change.attribute.as_str(),
            "add": list(&change.add),
            "remove": list(&change.remove),
            "replace": change.replace.as_deref().map_or(json!([]), list),
            "clear": change.replace.as_ref().is_some_and(Vec::is_empty),
        });
        match change.replace {
            Some(_) => body["old"] = list(held),
            // A group may have any number of members: what goes and what comes is told anyway.
            None => body["old_count"] = json!(held.len()),
        }
        let (winners, losers): (Vec<_>, Vec<_>) =
            entries.iter().partition(|entry| matches!(entry.role, Role::Winner | Role::Merged));
        if let Some(winner) = winners.first() {
            body["rule"] = json!(self.rules.rule(winner.rule).name);
            body["precedence"] = json!(self.rules.rule(winner.rule).precedence);
        }
        if !losers.is_empty() {
            body["losers"] = losers.iter().map(|entry| self.loser(entry)).collect();
        }
        body
    }

    fn loser(&self, entry: &LineageEntry) -> Json {
        let rule = self.rules.rule(entry.rule);
        let values = match &entry.contribution {
            Contribution::Values(values) => {
                words::values_json(&values[..values.len().min(VALUES_TOLD_MAX)])
            }
            _ => json!([]),
        };
        let reason = match entry.role {
            Role::Outranked => "a lower precedence number has a value",
            Role::Nothing => "NULL",
            Role::Ignored => "IgnoreThisFlow",
            Role::Blocks => "AuthoritativeNull: there is to be no value",
            Role::Blocked => "behind an AuthoritativeNull",
            Role::Winner | Role::Merged => "",
        };
        json!({
            "rule": rule.name, "precedence": rule.precedence, "values": values, "reason": reason,
        })
    }

    fn rule_name(&self, tag: &RuleTag) -> String {
        match self.rules.by_tag(tag) {
            Some(id) => self.rules.rule(id).name.clone(),
            None => tag.to_string(),
        }
    }

    /// What the objects are called that an export refers to.
    fn names(&self, export: &Export) -> Result<BTreeMap<CsId, String>, StoreError> {
        let values = export.changes.iter().flat_map(|change| {
            let replaced = change.replace.iter().flatten();
            change.add.iter().chain(&change.remove).chain(replaced)
        });
        let ids: Vec<CsId> = values.filter_map(reference).collect();
        let names = self.store.target_names(&ids)?;
        Ok(ids.into_iter().zip(names).collect())
    }

    /// What the objects are called that a single value refers to which is replaced.
    fn old_names<'v>(
        &self,
        view: &dyn View,
        export: &Export,
        held: &impl Fn(&AttributeName) -> &'v [Value],
    ) -> BTreeMap<CsId, String> {
        let replaced = export.changes.iter().filter(|change| change.replace.is_some());
        let values = replaced.flat_map(|change| held(&change.attribute));
        let ids: Vec<CsId> = values.filter_map(reference).collect();
        let objects = view.cs_objects(&ids);
        objects.iter().map(|object| (object.id, words::cs_name(object))).collect()
    }

    /// Why an object goes, or is taken out of service.
    fn departure(
        &self,
        view: &dyn View,
        export: &Export,
        (mv, mv_before, person): (Option<MvId>, Option<&MvObject>, Option<&MvObject>),
        link_rule: Option<&RuleTag>,
        story: &BTreeMap<AttributeName, Vec<LineageEntry>>,
    ) -> Option<Why> {
        if export.op == ExportOp::Disable
            && let Some(why) = self.by_flow(export, mv_before, person, story)
        {
            return Some(why);
        }
        let Some(person) = person.filter(|person| person.alive) else {
            return Some(self.end(view, mv?));
        };
        out_of_scope(view, self.rules, person, &export.connector, link_rule)
    }

    /// A rule that says so, and what had changed of what the rule reads.
    fn by_flow(
        &self,
        export: &Export,
        before: Option<&MvObject>,
        now: Option<&MvObject>,
        story: &BTreeMap<AttributeName, Vec<LineageEntry>>,
    ) -> Option<Why> {
        let (rule, attribute) = export.changes.iter().find_map(|change| {
            let entries = story.get(&change.attribute)?;
            let wins = |entry: &&LineageEntry| entry.role == Role::Winner;
            let rule = self.rules.rule(entries.iter().find(wins)?.rule);
            let flag = matches!(change.replace.as_deref(), Some([Value::Boolean(_)]));
            flag.then_some((rule, &change.attribute))
        })?;
        let cause = format!("`{}` sets {attribute}", rule.name);
        let values = |object: Option<&MvObject>, name: &AttributeName| {
            let held = object.and_then(|object| object.attributes.get(name));
            words::values(held.map_or(&[][..], |held| held.values.as_slice()))
        };
        // A flag comes from a flag, or from who knows what.
        let is_flag = |name: &AttributeName| {
            let attribute = now.and_then(|object| object.attributes.get(name));
            attribute.is_some_and(|held| matches!(held.values[..], [Value::Boolean(_)]))
        };
        let moved: Vec<(&AttributeName, String, String)> = rule
            .contract
            .reads
            .iter()
            .filter(|_| before.is_some())
            .map(|name| (name, values(before, name), values(now, name)))
            .filter(|(_, old, new)| old != new)
            .collect();
        let flags = moved.iter().any(|(name, ..)| is_flag(name));
        let mut text = cause.clone();
        for (name, old, new) in moved.iter().filter(|(name, ..)| !flags || is_flag(name)) {
            text.push_str(&format!("; {name} changes from {old} to {new}"));
        }
        Some(Why { text, cause })
    }

    /// Why a metaverse object came to its end: what its source objects did.
    fn end(&self, view: &dyn View, mv: MvId) -> Why {
        let left = self.left.get(&mv).map_or(&[][..], Vec::as_slice);
        // Those that were only joined left because it ended, not the other way round.
        let kept: Vec<&CsObject> = left.iter().filter(|object| self.kept(object)).collect();
        let told: Vec<Why> = kept
            .into_iter()
            .map(|before| {
                let connector = &before.connector;
                let Some(now) = view.cs_objects(&[before.id]).pop() else {
                    let name = words::cs_name(before);
                    return Why {
                        text: format!("`{name}` is no longer in `{connector}`"),
                        cause: format!("no longer in `{connector}`"),
                    };
                };
                let (name, left) = (words::cs_name(&now), self.source_left(&now, before));
                Why {
                    text: format!("`{name}` of `{connector}` left: {}", left.text),
                    cause: left.cause,
                }
            })
            .collect();
        match told.is_empty() {
            true => Why::alone("nothing keeps it in the metaverse any more".into()),
            false => Why::together(told),
        }
    }

    /// Whether the link of an object kept its metaverse object alive.
    fn kept(&self, before: &CsObject) -> bool {
        let rule = before.link.as_ref().and_then(|link| self.rules.by_tag(&link.rule));
        rule.is_none_or(|id| self.rules.rule(id).link != LinkType::Join)
    }

    fn source_left(&self, now: &CsObject, before: &CsObject) -> Why {
        let Some(link) = &before.link else { return Why::alone("it was not linked".into()) };
        let Some(id) = self.rules.by_tag(&link.rule) else {
            return Why::alone(format!("there is no rule `{}` any more", link.rule));
        };
        let rule = self.rules.rule(id);
        let test = preview::scope(&rule.scope, &preview::seen_inbound(now));
        match test.holds {
            true => Why::alone(format!("`{}` does not link it any more", rule.name)),
            false => Why::out_of(&rule.name, &test),
        }
    }
}

// === impl Why ===

impl Why {
    fn alone(cause: String) -> Self {
        Self { text: cause.clone(), cause }
    }

    fn out_of(rule: &str, test: &ScopeTest) -> Self {
        Self {
            text: format!("out of scope of `{rule}`: {}", words::why_out(test)),
            cause: format!("out of scope of `{rule}`: {}", words::cause(test)),
        }
    }

    fn together(all: Vec<Self>) -> Self {
        let (texts, causes): (Vec<String>, Vec<String>) =
            all.into_iter().map(|why| (why.text, why.cause)).unzip();
        Self { text: texts.join("; "), cause: causes.join("; ") }
    }
}

/// Why the rules that could keep an object at a target do not; nothing where one does.
pub fn out_of_scope(
    view: &dyn View,
    rules: &RuleSet,
    person: &MvObject,
    connector: &kakehi_engine::object::ConnectorName,
    link_rule: Option<&RuleTag>,
) -> Option<Why> {
    let seen = preview::seen_outbound(view, person);
    let mut told = vec![];
    if let Some(tag) = link_rule.filter(|tag| rules.by_tag(tag).is_none()) {
        told.push(Why::alone(format!("there is no rule `{tag}` any more")));
    }
    for (_, rule) in rules.of(Direction::Outbound, connector) {
        if !rule.is_about(&person.class) || !preview::can_link(rule) {
            continue;
        }
        let test = preview::scope(&rule.scope, &seen);
        if !test.holds {
            told.push(Why::out_of(&rule.name, &test));
        }
    }
    (!told.is_empty()).then(|| Why::together(told))
}

pub(crate) fn is_source(object: &CsObject, rules: &RuleSet) -> bool {
    let connector = rules.connector(&object.connector);
    connector.is_none_or(|connector| connector.kind == ConnectorKind::Source)
}

/// What changed of a metaverse object, by attribute; nothing where nothing did.
fn moved(before: Option<&MvObject>, now: Option<&MvObject>) -> Option<Json> {
    let empty = BTreeMap::new();
    let of = |object: Option<&MvObject>| object.map(|object| object.attributes.clone());
    let (old, new) = (of(before)?, of(now).unwrap_or_else(|| empty.clone()));
    let told = |attribute: Option<&MvAttribute>| -> Json {
        let values = attribute.map_or(&[][..], |attribute| attribute.values.as_slice());
        words::values_json(&values[..values.len().min(VALUES_TOLD_MAX)])
    };
    let names: std::collections::BTreeSet<&AttributeName> = old.keys().chain(new.keys()).collect();
    let mut moved = vec![];
    for name in names {
        let (was, is) = (old.get(name), new.get(name));
        let differs = was.map(|was| &was.values) != is.map(|is| &is.values);
        if differs {
            moved.push(json!({
                "attribute": name.as_str(),
                "old": told(was),
                "new": told(is),
                "rule": is.map(|is| is.winner.rule.to_string()),
            }));
        }
    }
    (!moved.is_empty()).then_some(Json::Array(moved))
}

/// How references are called.
struct Names {
    names: BTreeMap<CsId, String>,
    old: BTreeMap<CsId, String>,
}

// === impl Names ===

impl Names {
    fn json(&self, value: &Value) -> Json {
        let name =
            reference(value).and_then(|id| self.names.get(&id).or_else(|| self.old.get(&id)));
        match name {
            Some(name) => json!(name),
            None => words::value_json(value),
        }
    }
}

fn reference(value: &Value) -> Option<CsId> {
    match value {
        Value::Reference(id) => id.parse().ok().map(CsId),
        _ => None,
    }
}
