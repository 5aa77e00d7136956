//! What hangs on a rule: the state and a rule set flow in; what the rule wins and loses, who would
//! take over, and who reads what it writes flows out.
//!
//! Counted from the stored lineage: it is exact about what is, and an estimate of what would be.
//! `kakehi plan --candidate` tells that exactly.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::{CsId, CsObject, MvId};
use kakehi_engine::flow::{Contribution, Kept};
use kakehi_engine::object::{AttributeName, ClassName, ConnectorName};
use kakehi_engine::precedence::{LineageEntry, Role, lineage};
use kakehi_engine::rule::{ConnectorKind, Direction, LinkType, Rule, RuleId, RuleSet};
use serde_json::{Value as Json, json};

use crate::report::words;
use crate::store::{CheckedView, Store, StoreError};

/// Objects that are looked at together.
const OBJECTS_AT_ONCE: usize = 500;

/// What the rule has of one attribute.
#[derive(Default)]
struct Share {
    wins: u64,
    /// By rule that wins instead.
    loses: BTreeMap<String, u64>,
    /// It said nothing: NULL, or IgnoreThisFlow.
    silent: u64,
    /// By rule that would win: how many, and for how many of them the value would be the same.
    falls_to: BTreeMap<Option<String>, (u64, u64)>,
}

/// What the rule has altogether.
#[derive(Default)]
struct Counted {
    applies: u64,
    links: u64,
    /// Metaverse objects that nothing else would keep.
    only_keeper: u64,
    /// Objects some value of which would be another.
    changes: u64,
    /// Target objects that would be written to.
    exports: u64,
    shares: BTreeMap<AttributeName, Share>,
}

/// Takes the rules of one name: one for each of its connectors.
pub fn impact(store: &dyn Store, rules: &RuleSet, meant: &[RuleId]) -> Result<Json, StoreError> {
    let mut counted = Counted::default();
    let readers = readers(rules, meant);
    let about = |class: &ClassName| meant.iter().any(|id| rules.rule(*id).is_about(class));
    let classes: BTreeSet<ClassName> =
        rules.rules.iter().map(|rule| rule.mv_class.clone()).filter(about).collect();
    let inbound = meant.iter().any(|id| rules.rule(*id).direction == Direction::Inbound);
    for class in &classes {
        let ids = store.mv_of_class(class)?;
        for ids in ids.chunks(OBJECTS_AT_ONCE) {
            let view = store.view()?;
            counted.take(&*view, ids, rules, meant, &readers);
            view.check()?;
        }
    }
    let rule = meant.first().map(|id| rules.rule(*id));
    Ok(json!({
        "rule": rule.map(|rule| &rule.name),
        "direction": rule.map(|rule| words::direction(rule.direction)),
        "on": meant.iter().map(|id| rule_json(rules.rule(*id))).collect::<Json>(),
        "applies_to": counted.applies,
        "links": counted.links,
        "only_keeper_of": inbound.then_some(counted.only_keeper),
        "if_disabled": {
            "objects": counted.changes,
            "exports_at_most": counted.exports,
        },
        "attributes": counted
            .shares
            .iter()
            .map(|(name, share)| share.to_json(name, readers.get(name)))
            .collect::<Json>(),
    }))
}

fn rule_json(rule: &Rule) -> Json {
    json!({"connector": rule.connector.as_str(), "precedence": rule.precedence})
}

/// Outbound rules that look at what the rules write, by attribute: rule, connector and for what.
fn readers(
    rules: &RuleSet,
    meant: &[RuleId],
) -> BTreeMap<AttributeName, Vec<(String, ConnectorName, &'static str)>> {
    let mut readers: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let inbound = meant.iter().map(|id| rules.rule(*id));
    let inbound = inbound.filter(|rule| rule.direction == Direction::Inbound);
    let written: BTreeSet<&AttributeName> =
        inbound.flat_map(|rule| rule.contract.writes.keys()).collect();
    for rule in rules.rules.iter().filter(|rule| rule.direction == Direction::Outbound) {
        for name in &written {
            let of = |purpose| (rule.name.clone(), rule.connector.clone(), purpose);
            let mut add = |purpose| readers.entry((*name).clone()).or_default().push(of(purpose));
            if rule.contract.reads.contains(*name) {
                add("reads");
            }
            if rule.scope.attributes().any(|attribute| attribute == *name) {
                add("scope");
            }
            if rule.join.iter().flatten().any(|clause| clause.mv == **name) {
                add("join");
            }
        }
    }
    readers
}

// === impl Counted ===

impl Counted {
    fn take(
        &mut self,
        view: &(dyn CheckedView + '_),
        ids: &[MvId],
        rules: &RuleSet,
        meant: &[RuleId],
        readers: &BTreeMap<AttributeName, Vec<(String, ConnectorName, &'static str)>>,
    ) {
        let linked = view.linked(ids);
        let all: Vec<CsId> = linked.values().flatten().map(|linked| linked.cs).collect();
        let mut objects: BTreeMap<CsId, CsObject> =
            view.cs_objects(&all).into_iter().map(|object| (object.id, object)).collect();
        for links in linked.values() {
            let own = links.iter().filter_map(|linked| objects.remove(&linked.cs));
            let is_target = |object: &CsObject| {
                let connector = rules.connector(&object.connector);
                connector.is_some_and(|connector| connector.kind == ConnectorKind::Target)
            };
            let (targets, mut sources): (Vec<CsObject>, Vec<CsObject>) = own.partition(is_target);
            let order = |object: &CsObject| rules.connector(&object.connector).map(|one| one.order);
            sources.sort_by_key(|object| (order(object), object.anchor.clone()));
            for object in sources.iter().chain(&targets) {
                self.object(object, rules, meant);
            }
            self.keeper(&sources, rules, meant);
            let changed = self.lineage(&sources, rules, meant);
            let written = |target: &&CsObject| {
                let reads = |name| readers.get(name).into_iter().flatten();
                let mut all = changed.iter().flat_map(reads);
                all.any(|(_, connector, _)| *connector == target.connector)
            };
            let mut exports = targets.iter().filter(written).count() as u64;
            let mut changes = !changed.is_empty();
            for target in &targets {
                let changed = self.lineage(std::slice::from_ref(target), rules, meant);
                exports += u64::from(!changed.is_empty());
                changes |= !changed.is_empty();
            }
            self.exports += exports;
            self.changes += u64::from(changes);
        }
    }

    fn object(&mut self, object: &CsObject, rules: &RuleSet, meant: &[RuleId]) {
        let ours = |tag| rules.by_tag(tag).is_some_and(|id| meant.contains(&id));
        let says = object.contributions.iter().any(|contribution| {
            ours(&contribution.rule) && matches!(contribution.outcome, Kept::Flows(_))
        });
        self.applies += u64::from(says);
        self.links += u64::from(object.link.as_ref().is_some_and(|link| ours(&link.rule)));
    }

    fn keeper(&mut self, sources: &[CsObject], rules: &RuleSet, meant: &[RuleId]) {
        let keepers: Vec<RuleId> = sources
            .iter()
            .filter_map(|object| rules.by_tag(&object.link.as_ref()?.rule))
            .filter(|id| rules.rule(*id).link != LinkType::Join)
            .collect();
        let only = !keepers.is_empty() && keepers.iter().all(|id| meant.contains(id));
        self.only_keeper += u64::from(only);
    }

    /// Counts the attributes of one object. Gives those that would have another value.
    fn lineage(
        &mut self,
        objects: &[CsObject],
        rules: &RuleSet,
        meant: &[RuleId],
    ) -> Vec<AttributeName> {
        let mut changed = vec![];
        for (name, entries) in lineage(objects, rules) {
            let Some(own) = entries.iter().find(|entry| meant.contains(&entry.rule)) else {
                continue;
            };
            let share = self.shares.entry(name.clone()).or_default();
            match own.role {
                Role::Winner | Role::Merged => {
                    share.wins += 1;
                    if !share.fall(own, &entries, rules, meant) {
                        changed.push(name);
                    }
                }
                Role::Blocks => {
                    share.wins += 1;
                    changed.push(name);
                }
                Role::Nothing | Role::Ignored => share.silent += 1,
                Role::Outranked | Role::Blocked => {
                    let decides =
                        |entry: &&LineageEntry| matches!(entry.role, Role::Winner | Role::Blocks);
                    let winner = entries.iter().find(decides);
                    let winner = winner.map(|entry| rules.rule(entry.rule).name.clone());
                    *share.loses.entry(winner.unwrap_or_default()).or_default() += 1;
                }
            }
        }
        changed
    }
}

// === impl Share ===

impl Share {
    /// Who would win without the rule; whether the value would be the same.
    fn fall(
        &mut self,
        own: &LineageEntry,
        entries: &[LineageEntry],
        rules: &RuleSet,
        meant: &[RuleId],
    ) -> bool {
        let others = entries.iter().filter(|entry| !meant.contains(&entry.rule));
        let mut speaking = others.filter(|entry| {
            matches!(entry.contribution, Contribution::Values(_) | Contribution::Block)
        });
        let next = speaking.next();
        let same = next.is_some_and(|next| next.contribution == own.contribution);
        let name = next
            .filter(|next| matches!(next.contribution, Contribution::Values(_)))
            .map(|next| rules.rule(next.rule).name.clone());
        let entry = self.falls_to.entry(name).or_default();
        entry.0 += 1;
        entry.1 += u64::from(same);
        same
    }

    fn to_json(
        &self,
        name: &AttributeName,
        readers: Option<&Vec<(String, ConnectorName, &'static str)>>,
    ) -> Json {
        let falls = self
            .falls_to
            .iter()
            .map(|(rule, (count, same))| json!({"rule": rule, "count": count, "same_value": same}));
        let loses = self.loses.iter().map(|(rule, count)| json!({"rule": rule, "count": count}));
        let read = readers.into_iter().flatten().map(|(rule, connector, purpose)| {
            json!({"rule": rule, "connector": connector.as_str(), "for": purpose})
        });
        json!({
            "attribute": name.as_str(),
            "wins": self.wins,
            "silent": self.silent,
            "loses_to": loses.collect::<Vec<_>>(),
            "falls_to": falls.collect::<Vec<_>>(),
            "read_by": read.collect::<Vec<_>>(),
        })
    }
}
