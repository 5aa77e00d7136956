//! The end of a target object: disabled, deleted or let go (provisioning.md 11.3), and the end of a
//! metaverse object that nothing keeps.

use crate::connector_space::{CsObject, Presence};
use crate::export::{AttributeChange, Export, ExportOp};
use crate::metaverse::MvObject;
use crate::rule::{Connector, ConnectorKind, LinkType, OnDelete, RuleSet, TargetClass};
use crate::target;
use crate::vacancy::Released;
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
    /// Only a link of an outbound Provision rule ends in more than letting go. A rule that is no
    /// longer in the set cannot say what to do: the object is left alone.
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

/// Takes a target object out of service. `stays_linked`: it remains the place of its metaverse
/// object, which may be wanted there again. Gives the object as it is then, with the keys by which
/// it is found again, if it is free for others now.
pub(crate) fn leave(
    mut object: CsObject,
    departure: Departure,
    stays_linked: bool,
    target: &Connector,
    rules: &RuleSet,
    outcome: &mut Outcome,
) -> Option<(CsObject, Vec<IndexKey>)> {
    if !stays_linked {
        outcome.repoint_mv.extend(object.link.as_ref().map(|link| link.mv));
    }
    if departure == Departure::Cancel {
        outcome.exports.push((object.id, None));
        outcome.cs.push(CsUpdate::Forget { id: object.id });
        return None;
    }
    let class = target.classes.get(&object.class).cloned().unwrap_or_default();
    let export = match departure {
        Departure::Disable => disable(&object, &class),
        Departure::Delete => Some(export(&object, &class, ExportOp::Delete, vec![])),
        Departure::LetGo | Departure::Cancel => None,
    };
    outcome.exports.push((object.id, export));
    let deprovisioned = departure != Departure::LetGo;
    if stays_linked {
        if object.deprovisioned != deprovisioned || !object.contributions.is_empty() {
            object.contributions = vec![];
            object.deprovisioned = deprovisioned;
            outcome.cs.push(CsUpdate::Target { object, unlinked: vec![] });
        }
        return None;
    }
    let unlinked = unlinked_keys(&object, rules);
    object.link = None;
    object.contributions = vec![];
    object.deprovisioned = deprovisioned;
    outcome.cs.push(CsUpdate::Target { object: object.clone(), unlinked: unlinked.clone() });
    Some((object, unlinked))
}

/// Takes down metaverse objects that nothing keeps: their targets leave, their other sources wait
/// again. Gives the target objects that are free now, in order of `dying`.
pub(crate) fn take_down(
    view: &dyn View,
    dying: &[MvObject],
    rules: &RuleSet,
    outcome: &mut Outcome,
) -> Vec<Released> {
    let ids: Vec<_> = dying.iter().map(|object| object.id).collect();
    let linked = view.linked(&ids);
    let mut released = vec![];
    for mv in ids {
        outcome.delete_mv(mv);
        let objects: Vec<_> =
            linked.get(&mv).into_iter().flatten().map(|linked| linked.cs).collect();
        outcome.repoint_mv.push(mv);
        for mut object in view.cs_objects(&objects) {
            let connector = rules.connector(&object.connector);
            if let Some(target) = connector.filter(|c| c.kind == ConnectorKind::Target) {
                let departure = Departure::of(&object, target, rules);
                let by = object.link.take().map(|link| link.rule);
                let left = leave(object, departure, false, target, rules, outcome);
                if let Some((_, Some(export))) = outcome.exports.last_mut() {
                    export.by = vec![by];
                }
                released.extend(left.map(|(object, keys)| Released { mv, object, keys }));
            } else {
                disconnect(&object, outcome);
            }
        }
    }
    released
}

/// A source object that was only joined to a metaverse object that died: it may join another.
fn disconnect(object: &CsObject, outcome: &mut Outcome) {
    outcome.repoint_cs.push(object.id);
    outcome.dirty_cs.insert(object.id);
    let (link, contributions, waiting) = (None, vec![], vec![]);
    outcome.cs.push(CsUpdate::Source { id: object.id, link, contributions, waiting });
}

/// `None` where the object is disabled already.
pub(crate) fn disable(object: &CsObject, class: &TargetClass) -> Option<Export> {
    let (attribute, value) = class.disable.clone()?;
    if object.attributes.get(&attribute).is_some_and(|values| values[..] == [value.clone()]) {
        return None;
    }
    let replace = Some(vec![value]);
    let change = AttributeChange { attribute, add: vec![], remove: vec![], replace };
    Some(export(object, class, ExportOp::Disable, vec![change]))
}

pub(crate) fn export(
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
        type_change: false,
        by: vec![object.link.as_ref().map(|link| link.rule.clone())],
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector_space::{Link, LinkOrigin, MvId};
    use crate::object::Value;
    use crate::rule::{Direction, RuleTag};
    use crate::testing::{cs_object, rule, rule_set};

    fn check(link: LinkType, on_delete: OnDelete, can_disable: bool, expected: Departure) {
        let made = rule("out", Direction::Outbound, 1);
        let made = crate::rule::Rule { link, on_delete, ..made };
        let mut rules = rule_set(ConnectorKind::Target, vec![made]);
        let disable = can_disable.then(|| ("active".into(), Value::Boolean(false)));
        let class = TargetClass { disable, ..TargetClass::default() };
        rules.connectors[0].classes.insert("user".into(), class);
        let mut object = cs_object(1);
        let (rule, origin) = (RuleTag("out".into()), LinkOrigin::Provisioned);
        object.link = Some(Link { mv: MvId(1), rule, origin });
        let target = &rules.connectors[0];
        let of = |object: &CsObject| Departure::of(object, target, &rules);
        assert_eq!(of(&object), expected, "{link:?} {on_delete:?} {can_disable}");
        object.presence = Presence::ExportOnly;
        assert_eq!(of(&object), Departure::Cancel, "what was never created");
    }

    #[test]
    fn only_a_provision_rule_ends_in_more_than_letting_go() {
        use LinkType::{Join, Provision, StickyJoin};
        check(Provision, OnDelete::Disable, true, Departure::Disable);
        check(Provision, OnDelete::Disable, false, Departure::LetGo);
        check(Provision, OnDelete::Delete, true, Departure::Delete);
        check(Provision, OnDelete::Keep, true, Departure::LetGo);
        for link in [Join, StickyJoin] {
            for action in [OnDelete::Disable, OnDelete::Delete, OnDelete::Keep] {
                check(link, action, true, Departure::LetGo);
            }
        }
    }

    #[test]
    fn an_object_whose_rule_is_gone_is_left_alone() {
        let rules = rule_set(ConnectorKind::Target, vec![]);
        let mut object = cs_object(1);
        let (rule, origin) = (RuleTag("gone".into()), LinkOrigin::Provisioned);
        object.link = Some(Link { mv: MvId(1), rule, origin });
        assert_eq!(Departure::of(&object, &rules.connectors[0], &rules), Departure::LetGo);
    }
}
