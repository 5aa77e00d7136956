//! The end of a target object: disabled, deleted or let go (provisioning.md 11.3), and the end of a
//! metaverse object that nothing keeps.

use crate::connector_space::{CsObject, Presence};
use crate::export::{AttributeChange, Export, ExportOp};
use crate::metaverse::MvObject;
use crate::outbound::is_target;
use crate::rule::{Connector, LinkType, OnDelete, RuleSet, TargetClass};
use crate::target;
use crate::view::{CsUpdate, IndexKey, Outcome, View};

/// How an object leaves its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    Disable,
    Delete,
    /// It was only joined, or the rule says so: it is left as it is and the link is forgotten.
    LetGo,
    /// It was never created.
    Cancel,
}

// === impl Departure ===

impl Departure {
    /// Only a link of an outbound Provision rule ends in more than letting go. A rule that is no longer in
    /// the set cannot say what to do: the object is left alone.
    pub fn of(object: &CsObject, target: &Connector, rules: &RuleSet) -> Self {
        if object.presence == Presence::ExportOnly {
            return Self::Cancel;
        }
        let Some(link) = &object.link else { return Self::LetGo };
        let Some(id) = rules.by_tag(&link.rule) else { return Self::LetGo };
        let rule = rules.rule(id);
        if rule.link != LinkType::Provision {
            return Self::LetGo;
        }
        let can_disable =
            target.classes.get(&object.class).is_some_and(|class| class.disable.is_some());
        match rule.on_delete {
            OnDelete::Disable if can_disable => Self::Disable,
            // Without a way to disable, an object that may come back is better kept than deleted.
            OnDelete::Disable | OnDelete::Keep => Self::LetGo,
            OnDelete::Delete => Self::Delete,
        }
    }
}

/// Takes a target object out of service. `stays_linked`: it remains the place of its metaverse object,
/// which may be wanted there again.
pub(crate) fn leave(
    mut object: CsObject,
    departure: Departure,
    stays_linked: bool,
    target: &Connector,
    rules: &RuleSet,
    outcome: &mut Outcome,
) {
    if !stays_linked {
        outcome.repoint_mv.extend(object.link.as_ref().map(|link| link.mv));
    }
    if departure == Departure::Cancel {
        outcome.exports.push((object.id, None));
        outcome.cs.push(CsUpdate::Forget { id: object.id });
        return;
    }
    let class = target.classes.get(&object.class).cloned().unwrap_or_default();
    let export = match departure {
        Departure::Disable => disable(&object, &class),
        Departure::Delete => Some(export(&object, &class, ExportOp::Delete, vec![])),
        Departure::LetGo | Departure::Cancel => None,
    };
    outcome.exports.push((object.id, export));
    let deprovisioned = departure != Departure::LetGo;
    if stays_linked && object.deprovisioned == deprovisioned && object.contributions.is_empty() {
        return;
    }
    let unlinked = if stays_linked { vec![] } else { unlinked_keys(&object, rules) };
    if !stays_linked {
        object.link = None;
    }
    object.contributions = vec![];
    object.deprovisioned = deprovisioned;
    outcome.cs.push(CsUpdate::Target { object, unlinked });
}

/// Takes down metaverse objects that nothing keeps: their targets leave, their other sources wait again.
pub(crate) fn take_down(
    view: &dyn View,
    dying: &[MvObject],
    rules: &RuleSet,
    outcome: &mut Outcome,
) {
    let ids: Vec<_> = dying.iter().map(|object| object.id).collect();
    let linked = view.linked(&ids);
    for id in ids {
        outcome.delete_mv(id);
        let objects: Vec<_> =
            linked.get(&id).into_iter().flatten().map(|linked| linked.cs).collect();
        for object in view.cs_objects(&objects) {
            if is_target(rules, &object.connector) {
                let target = rules.connector(&object.connector).expect("a target is a connector");
                let departure = Departure::of(&object, target, rules);
                leave(object, departure, false, target, rules, outcome);
            } else {
                outcome.repoint_cs.push(object.id);
                outcome.dirty_cs.insert(object.id);
                outcome.cs.push(CsUpdate::Source {
                    id: object.id,
                    link: None,
                    contributions: vec![],
                    waiting: vec![],
                });
            }
        }
    }
}

/// `None` where the object is disabled already.
fn disable(object: &CsObject, class: &TargetClass) -> Option<Export> {
    let (attribute, value) = class.disable.clone()?;
    if object.attributes.get(&attribute).is_some_and(|values| values[..] == [value.clone()]) {
        return None;
    }
    let replace = Some(vec![value]);
    let change = AttributeChange { attribute, add: vec![], remove: vec![], replace };
    Some(export(object, class, ExportOp::Disable, vec![change]))
}

fn export(
    object: &CsObject,
    class: &TargetClass,
    op: ExportOp,
    changes: Vec<AttributeChange>,
) -> Export {
    let (anchor, match_key) = target::names(object, class, &object.attributes);
    Export {
        connector: object.connector.clone(),
        object: object.id,
        class: object.class.clone(),
        mv: object.link.as_ref().map(|link| link.mv),
        op,
        changes,
        anchor,
        match_key,
        rank: class.rank,
    }
}

/// Keys by which outbound join rules find the object again once it is not linked.
pub(crate) fn unlinked_keys(object: &CsObject, rules: &RuleSet) -> Vec<IndexKey> {
    let mut keys = std::collections::BTreeSet::new();
    for (_, rule) in rules.of(crate::rule::Direction::Outbound, &object.connector) {
        if rule.cs_class != object.class {
            continue;
        }
        for clause in rule.join.iter().flatten() {
            for value in object.attributes.get(&clause.cs).into_iter().flatten() {
                keys.extend(IndexKey::new(&clause.cs, clause.case_sensitive, value));
            }
        }
    }
    keys.into_iter().collect()
}
