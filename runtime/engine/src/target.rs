//! What a target object should hold, and the export that brings it there.

mod merged;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use self::merged::Merged;
use crate::connector_space::{CsId, CsObject, MvId, Presence};
use crate::export::{AttributeChange, Export, ExportOp};
use crate::flow::{Kept, RuleContribution};
use crate::object::{AttributeName, ClassName, Value};
use crate::precedence::{self, Contributor, Resolution};
use crate::rule::{Merge, OnScopeExit, RuleId, RuleSet, RuleTag, TargetClass, ValueType};

/// What rules want of one target object.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    /// Every managed attribute; an empty list: it is to have no value. References are metaverse ids
    /// until they are [resolved](Self::resolve).
    attributes: BTreeMap<AttributeName, Vec<Value>>,
    /// The rule that decided each of them.
    by: BTreeMap<AttributeName, RuleTag>,
    /// Managed attributes that others may write as well.
    merged: BTreeMap<AttributeName, Merged>,
    /// What rules said that left scope, as long as the target holds a value of it that is to be
    /// cleared.
    leftovers: Vec<RuleContribution>,
    /// The object was taken out of service, and the target is not yet known to have it back.
    pub revives: bool,
}

/// Values that the target's schema has no place for.
#[derive(Debug, PartialEq)]
pub(crate) struct Misfit {
    pub rule: RuleId,
    pub attribute: AttributeName,
    pub message: String,
}

// === impl Desired ===

impl Desired {
    /// Takes: the object as the target holds it, and what the rules in scope answered.
    pub fn of(
        object: &CsObject,
        contributions: &[RuleContribution],
        class: &TargetClass,
        rules: &RuleSet,
    ) -> Result<Self, Misfit> {
        let mut desired = Self::default();
        for (name, contributors) in precedence::contributors([(object, contributions)], rules) {
            let contributors = due(contributors, name, object, rules);
            if contributors.is_empty() {
                continue;
            }
            let merge = precedence::merge_of(name, &contributors, rules);
            let form = |values: &[Value], _: &CsObject| values.to_vec();
            let (said, winner) = match precedence::resolve(&contributors, merge, form) {
                Resolution::Keep => continue,
                Resolution::Remove => (vec![], None),
                Resolution::Values { values, winner } => (values, Some(winner)),
            };
            let decided = rules.rule(contributors[winner.unwrap_or(0)].rule).tag.clone();
            desired.by.insert(name.clone(), decided);
            let values = fit(said.clone(), name, class).map_err(|message| Misfit {
                rule: contributors[winner.unwrap_or(0)].rule,
                attribute: name.clone(),
                message,
            })?;
            if merge == Merge::Update {
                desired.attributes.insert(name.clone(), values);
            } else {
                let speaks = |rule: &_| merged::speaks(rule, contributions, rules);
                let merged = Merged::of(object, name, merge, (&said, values), class, speaks);
                desired.merged.insert(name.clone(), merged);
            }
        }
        desired.clear_left(object, contributions, class, rules);
        desired.revive(object, class);
        Ok(desired)
    }

    /// Values of rules that left scope and asked for them to be cleared (11.5 step 5).
    fn clear_left(
        &mut self,
        object: &CsObject,
        now: &[RuleContribution],
        class: &TargetClass,
        rules: &RuleSet,
    ) {
        let written: BTreeSet<AttributeName> =
            self.attributes.keys().chain(self.merged.keys()).cloned().collect();
        for kept in &object.contributions {
            let in_scope = now
                .iter()
                .any(|other| other.rule == kept.rule && matches!(other.outcome, Kept::Flows(_)));
            let Some(rule) = rules.by_tag(&kept.rule).map(|id| rules.rule(id)) else { continue };
            let Kept::Flows(flows) = &kept.outcome else { continue };
            if in_scope || rule.on_scope_exit != OnScopeExit::Clear {
                continue;
            }
            let merge = |name: &AttributeName| {
                rule.contract.writes.get(name).map_or(Merge::Update, |policy| policy.merge)
            };
            let (held, merged): (Vec<&AttributeName>, Vec<_>) = flows
                .iter()
                .map(|flow| &flow.attribute)
                .filter(|name| object.attributes.contains_key(*name) && !written.contains(*name))
                .partition(|name| merge(name) == Merge::Update);
            for name in merged {
                let merged = Merged::of(object, name, merge(name), (&[], vec![]), class, |_| true);
                self.merged.entry(name.clone()).or_insert(merged);
                self.by.entry(name.clone()).or_insert_with(|| kept.rule.clone());
            }
            if !held.is_empty() {
                self.by.extend(held.iter().map(|name| ((*name).clone(), kept.rule.clone())));
                self.attributes.extend(held.into_iter().map(|name| (name.clone(), vec![])));
                self.leftovers.push(kept.clone());
            }
        }
    }

    /// What is remembered of the object's rules: what those in scope said, and what others said
    /// that is still to be cleared. In order of precedence.
    pub fn with_leftovers(
        &self,
        mut now: Vec<RuleContribution>,
        object: &CsObject,
        rules: &RuleSet,
    ) -> Vec<RuleContribution> {
        if !self.leftovers.is_empty() {
            now.retain(|other| !self.leftovers.iter().any(|left| left.rule == other.rule));
            now.extend(self.leftovers.iter().cloned());
            now.sort_by_key(|contribution| rules.by_tag(&contribution.rule));
        }
        now.extend(self.still_withdrawing(object));
        now
    }

    /// Metaverse objects that the object is to refer to.
    pub fn referenced(&self) -> impl Iterator<Item = MvId> {
        let merged = self.merged.values().flat_map(Merged::referenced);
        self.attributes.values().flatten().chain(merged).filter_map(|value| match value {
            Value::Reference(id) => id.parse().ok().map(MvId),
            _ => None,
        })
    }

    /// Turns references to metaverse objects into references to their places at the target. Those
    /// that have none there are left out. Gives their number.
    pub fn resolve(&mut self, homes: &BTreeMap<MvId, CsId>) -> u64 {
        let plain = self.attributes.values_mut().map(|values| to_homes(values, homes));
        let merged = self.merged.values_mut().map(|merged| merged.resolve(homes));
        plain.chain(merged).sum()
    }

    /// An object that was taken out of service by us and is wanted again is enabled, also where no
    /// rule writes the attribute that disables.
    fn revive(&mut self, object: &CsObject, class: &TargetClass) {
        let Some((attribute, Value::Boolean(disabled))) = &class.disable else { return };
        if object.deprovisioned && !self.attributes.contains_key(attribute) {
            let enabled = vec![Value::Boolean(!disabled)];
            self.revives = object.attributes.get(attribute) != Some(&enabled);
            self.attributes.insert(attribute.clone(), enabled);
        }
    }

    /// The export that makes `object` as desired; `None` where it is so already.
    pub fn export(
        &self,
        object: &CsObject,
        class: &TargetClass,
        not_persisted: &BTreeSet<(ClassName, AttributeName)>,
        mv: MvId,
    ) -> Option<Export> {
        let held =
            |name: &AttributeName| object.attributes.get(name).map_or(&[][..], Vec::as_slice);
        let plain =
            self.attributes.iter().map(|(name, wanted)| (name, Cow::Borrowed(wanted.as_slice())));
        let merged =
            self.merged.iter().map(|(name, merged)| (name, Cow::Owned(merged.wanted(held(name)))));
        let mut changes: Vec<AttributeChange> = plain
            .chain(merged)
            .filter(|(name, _)| !not_persisted.contains(&(object.class.clone(), (*name).clone())))
            .filter_map(|(name, wanted)| change(name, held(name), &wanted, class))
            .collect();
        changes.sort_by(|a, b| a.attribute.cmp(&b.attribute));
        let adds = object.presence == Presence::ExportOnly;
        if changes.is_empty() && !adds {
            return None;
        }
        let (anchor, match_key) = names(object, class, &self.attributes);
        let by = changes.iter().map(|change| self.by.get(&change.attribute).cloned()).collect();
        Some(Export {
            connector: object.connector.clone(),
            object: object.id,
            class: object.class.clone(),
            mv: Some(mv),
            op: if adds { ExportOp::Add } else { op(&changes, object, class) },
            changes,
            anchor,
            match_key,
            rank: class.rank,
            type_change: false,
            by,
        })
    }
}

/// A reference to a metaverse object as one to its place at the target; any other value as it is.
fn home(value: Value, homes: &BTreeMap<MvId, CsId>) -> Option<Value> {
    let Value::Reference(id) = &value else { return Some(value) };
    let home = homes.get(&MvId(id.parse().ok()?))?;
    Some(Value::Reference(home.0.to_string()))
}

/// As [`home`] for all of them. Gives the number of those that have none and were left out.
fn to_homes(values: &mut Vec<Value>, homes: &BTreeMap<MvId, CsId>) -> u64 {
    let before = values.len();
    *values = std::mem::take(values).into_iter().filter_map(|value| home(value, homes)).collect();
    (before - values.len()) as u64
}

/// Brings values into the types of the target: only lossless conversions (rules.md 3.1).
fn fit(
    values: Vec<Value>,
    name: &AttributeName,
    class: &TargetClass,
) -> Result<Vec<Value>, String> {
    if values.len() > 1 && !class.multi_valued.contains(name) {
        return Err(format!("{} values for an attribute that takes one", values.len()));
    }
    values.into_iter().map(|value| convert(value, kind_of(name, class))).collect()
}

fn kind_of(name: &AttributeName, class: &TargetClass) -> ValueType {
    class.types.get(name).copied().unwrap_or(ValueType::Text)
}

/// Apply-once flows count only for an object that is still to be created (11.5 step 7).
fn due<'a>(
    contributors: Vec<Contributor<'a>>,
    name: &AttributeName,
    object: &CsObject,
    rules: &RuleSet,
) -> Vec<Contributor<'a>> {
    let once = |contributor: &Contributor<'_>| {
        let policy = rules.rule(contributor.rule).contract.writes.get(name);
        policy.is_some_and(|policy| policy.apply_once)
    };
    let created = object.presence != Presence::ExportOnly;
    contributors.into_iter().filter(|contributor| !(created && once(contributor))).collect()
}

pub(crate) fn change(
    name: &AttributeName,
    held: &[Value],
    wanted: &[Value],
    class: &TargetClass,
) -> Option<AttributeChange> {
    let attribute = name.clone();
    if !class.multi_valued.contains(name) {
        let replace = Some(wanted.to_vec());
        return (held != wanted).then(|| AttributeChange {
            attribute,
            add: vec![],
            remove: vec![],
            replace,
        });
    }
    let (have, want): (BTreeSet<&Value>, BTreeSet<&Value>) =
        (held.iter().collect(), wanted.iter().collect());
    let add: Vec<Value> = want.difference(&have).map(|value| (*value).clone()).collect();
    let remove: Vec<Value> = have.difference(&want).map(|value| (*value).clone()).collect();
    let differs = !add.is_empty() || !remove.is_empty();
    differs.then_some(AttributeChange { attribute, add, remove, replace: None })
}

pub(crate) fn op(changes: &[AttributeChange], object: &CsObject, class: &TargetClass) -> ExportOp {
    let touches = |name: &AttributeName| changes.iter().find(|change| change.attribute == *name);
    if let Some((attribute, value)) = &class.disable {
        let disables = touches(attribute)
            .and_then(|change| change.replace.as_ref())
            .is_some_and(|values| values[..] == [value.clone()]);
        if disables {
            return ExportOp::Disable;
        }
    }
    // A first name is no new name: an object whose name is not known is not renamed.
    let renames = class
        .naming
        .as_ref()
        .is_some_and(|name| object.attributes.contains_key(name) && touches(name).is_some());
    if renames { ExportOp::Rename } else { ExportOp::Update }
}

/// The anchor and the name of an object for people: from what is wanted, else from what is held.
pub(crate) fn names(
    object: &CsObject,
    class: &TargetClass,
    wanted: &BTreeMap<AttributeName, Vec<Value>>,
) -> (String, String) {
    let text = |name: &AttributeName| {
        let value = wanted
            .get(name)
            .and_then(|values| values.first())
            .or_else(|| object.attributes.get(name)?.first());
        value.and_then(Value::as_text).map(std::borrow::Cow::into_owned)
    };
    let remote = || object.anchor.as_ref().map(ToString::to_string);
    let anchor = class.match_by.first().and_then(text).or_else(remote).unwrap_or_default();
    let name = class.naming.as_ref().and_then(text).or_else(remote).unwrap_or_default();
    (anchor, name)
}

fn convert(value: Value, kind: ValueType) -> Result<Value, String> {
    let fits = match (value, kind) {
        (value @ Value::Text(_), ValueType::Text)
        | (value @ Value::Binary(_), ValueType::Binary)
        | (value @ Value::Integer(_), ValueType::Integer)
        | (value @ Value::Boolean(_), ValueType::Boolean)
        | (value @ Value::Reference(_), ValueType::Reference) => Ok(value),
        (Value::Integer(number), ValueType::Text) => Ok(Value::Text(number.to_string())),
        (Value::Boolean(flag), ValueType::Text) => {
            Ok(Value::text(if flag { "True" } else { "False" }))
        }
        (Value::Text(text), ValueType::Integer) => match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => Ok(Value::Integer(number)),
            _ => Err(Value::Text(text)),
        },
        (Value::Text(text), ValueType::Boolean) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            _ => Err(Value::Text(text)),
        },
        (other, _) => Err(other),
    };
    fits.map_err(|value| {
        format!("a {} value for an attribute of type {}", found(&value), wanted(kind))
    })
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "text",
        Value::Binary(_) => "binary",
        Value::Integer(_) => "integer",
        Value::Boolean(_) => "boolean",
        Value::Reference(_) => "reference",
    }
}

fn wanted(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Text => "text",
        ValueType::Binary => "binary",
        ValueType::Integer => "integer",
        ValueType::Boolean => "boolean",
        ValueType::Reference => "reference",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Contribution;
    use crate::object::AttributeMap;
    use crate::rule::{ConnectorKind, Direction, Rule, WritePolicy};
    use crate::testing::{attributes, cs_object, rule, rule_set, said, values, writes};

    /// Single-valued `name`, `login` (the name of the object), `boss`; multi-valued `members`,
    /// `tags`.
    fn class() -> TargetClass {
        let types = [
            ("active", ValueType::Boolean),
            ("age", ValueType::Integer),
            ("boss", ValueType::Reference),
            ("members", ValueType::Reference),
        ];
        TargetClass {
            naming: Some("login".into()),
            disable: Some(("active".into(), Value::Boolean(false))),
            multi_valued: ["members", "tags"].map(AttributeName::from).into(),
            types: types.into_iter().map(|(name, kind)| (name.into(), kind)).collect(),
            rank: 0,
            match_by: vec!["login".into()],
        }
    }

    /// Two rules, the first of lower number, that write everything the same way.
    fn rules(policy: WritePolicy) -> RuleSet {
        let all = ["name", "login", "tags", "boss", "members", "active", "age"];
        let all = all.map(|name| (name, policy));
        let made = |tag, number| writes(rule(tag, Direction::Outbound, number), &all);
        rule_set(ConnectorKind::Target, vec![made("first", 1), made("second", 2)])
    }

    fn v(texts: &[&str]) -> Contribution {
        Contribution::Values(values(texts))
    }

    fn reference(id: i64) -> Value {
        Value::Reference(id.to_string())
    }

    fn holding(held: AttributeMap) -> CsObject {
        CsObject { attributes: held, ..cs_object(1) }
    }

    fn export_of(
        object: &CsObject,
        said: &[RuleContribution],
        rules: &RuleSet,
        homes: &[(i64, i64)],
    ) -> Option<Export> {
        let class = class();
        let mut desired = Desired::of(object, said, &class, rules).unwrap();
        let homes = homes.iter().map(|(mv, cs)| (MvId(*mv), CsId(*cs))).collect();
        desired.resolve(&homes);
        desired.export(object, &class, &BTreeSet::new(), MvId(1))
    }

    /// What the object holds, what the first and the second rule say of `name`; the new value.
    fn check_name(
        held: &[&str],
        first: Contribution,
        second: Contribution,
        expected: Option<&[&str]>,
    ) {
        let object = holding(attributes(held));
        let said = [said("first", &[("name", first)]), said("second", &[("name", second)])];
        let export = export_of(&object, &said, &rules(WritePolicy::default()), &[]);
        let change = export.map(|export| export.changes[0].replace.clone().unwrap());
        assert_eq!(change, expected.map(values), "{said:?} where {held:?}");
    }

    #[test]
    fn null_keep_and_block_mean_outbound_what_they_mean_inbound() {
        use Contribution::{Block, Keep, None as Null};
        check_name(&["name=a"], v(&["b"]), v(&["c"]), Some(&["b"]));
        check_name(&["name=a"], v(&["a"]), v(&["c"]), None);
        check_name(&["name=a"], Null, v(&["c"]), Some(&["c"]));
        check_name(&["name=a"], Null, Null, Some(&[]));
        check_name(&["name=a"], Keep, Null, None);
        check_name(&["name=a"], Keep, v(&["c"]), Some(&["c"]));
        check_name(&["name=a"], Block, v(&["c"]), Some(&[]));
        check_name(&[], Block, v(&["c"]), None);
    }

    /// The policy of both rules, whether the object exists; the change of `tags`.
    fn check_tags(policy: WritePolicy, presence: Presence, expected: Option<(&[&str], &[&str])>) {
        let object = CsObject { presence, ..holding(attributes(&["tags=a", "tags=b"])) };
        let said =
            [said("first", &[("tags", v(&["b", "c"]))]), said("second", &[("tags", v(&["d"]))])];
        let export = export_of(&object, &said, &rules(policy), &[]);
        let change = export.map(|e| (e.changes[0].add.clone(), e.changes[0].remove.clone()));
        assert_eq!(change, expected.map(|(add, remove)| (values(add), values(remove))));
    }

    #[test]
    fn several_values_change_by_difference_and_apply_once_only_at_creation() {
        let once = WritePolicy { apply_once: true, ..WritePolicy::default() };
        check_tags(WritePolicy::default(), Presence::Imported, Some((&["c"], &["a"])));
        check_tags(once, Presence::ExportOnly, Some((&["c"], &["a"])));
        check_tags(once, Presence::Imported, None);
    }

    /// One rule's values for an attribute; the values as the target takes them, or the complaint.
    fn check_fit(name: &str, given: &[Value], expected: Result<&[Value], &str>) {
        let fitted = fit(given.to_vec(), &name.into(), &class());
        let expected = expected.map(<[Value]>::to_vec).map_err(str::to_owned);
        assert_eq!(fitted, expected, "{given:?} into {name}");
    }

    #[test]
    fn values_are_converted_without_loss_or_refused() {
        let text = |text: &str| vec![Value::text(text)];
        check_fit("name", &[Value::Integer(7)], Ok(&text("7")));
        check_fit("name", &[Value::Boolean(true)], Ok(&text("True")));
        check_fit("age", &text("-7"), Ok(&[Value::Integer(-7)]));
        check_fit("age", &text("07"), Err("a text value for an attribute of type integer"));
        check_fit("active", &text("TRUE"), Ok(&[Value::Boolean(true)]));
        check_fit("active", &text("yes"), Err("a text value for an attribute of type boolean"));
        check_fit("name", &[reference(1)], Err("a reference value for an attribute of type text"));
        check_fit("boss", &text("x"), Err("a text value for an attribute of type reference"));
    }

    #[test]
    fn p17_several_values_for_one_place_are_an_error_never_a_pick() {
        let complaint = Err("2 values for an attribute that takes one");
        check_fit("name", &values(&["a", "b"]), complaint);
        check_fit("boss", &[reference(1), reference(2)], complaint);
        check_fit("tags", &values(&["a", "b"]), Ok(&values(&["a", "b"])));
    }

    #[test]
    fn references_lead_to_places_at_the_target_and_those_without_one_are_counted() {
        let members = Contribution::Values(vec![reference(5), reference(6), reference(7)]);
        let said = [said("first", &[("members", members)])];
        let rules = rules(WritePolicy::default());
        let mut desired = Desired::of(&cs_object(1), &said, &class(), &rules).unwrap();
        assert_eq!(desired.referenced().collect::<Vec<_>>(), [MvId(5), MvId(6), MvId(7)]);
        let homes = BTreeMap::from([(MvId(5), CsId(50)), (MvId(7), CsId(70))]);
        assert_eq!(desired.resolve(&homes), 1);
        let export = desired.export(&cs_object(1), &class(), &BTreeSet::new(), MvId(1)).unwrap();
        assert_eq!(export.changes[0].add, [reference(50), reference(70)]);
    }

    /// What the object holds, what a rule says; the operation.
    fn check_op(held: AttributeMap, flows: &[(&str, Contribution)], expected: Option<ExportOp>) {
        let said = [said("first", flows)];
        let export = export_of(&holding(held), &said, &rules(WritePolicy::default()), &[]);
        assert_eq!(export.map(|export| export.op), expected, "{flows:?}");
    }

    #[test]
    fn p19_an_export_is_named_after_the_gravest_thing_it_does() {
        let flag = |flag| Contribution::Values(vec![Value::Boolean(flag)]);
        let named = || attributes(&["login=taro", "name=a"]);
        check_op(named(), &[("name", v(&["b"]))], Some(ExportOp::Update));
        check_op(named(), &[("login", v(&["jiro"]))], Some(ExportOp::Rename));
        check_op(attributes(&[]), &[("login", v(&["jiro"]))], Some(ExportOp::Update));
        let gravest = [("login", v(&["jiro"])), ("active", flag(false))];
        check_op(named(), &gravest, Some(ExportOp::Disable));
        check_op(named(), &[("active", flag(true))], Some(ExportOp::Update));
        check_op(named(), &[("name", v(&["a"]))], None);
    }

    #[test]
    fn an_object_that_was_taken_out_of_service_is_enabled_until_the_target_shows_it() {
        let rules = rules(WritePolicy::default());
        for (held, pending) in [(Some(false), true), (None, true), (Some(true), false)] {
            let held = held.map(|flag| ("active".into(), vec![Value::Boolean(flag)]));
            let object = holding(held.into_iter().collect());
            let object = CsObject { deprovisioned: true, ..object };
            let desired = Desired::of(&object, &[], &class(), &rules).unwrap();
            assert_eq!(desired.revives, pending);
            assert_eq!(export_of(&object, &[], &rules, &[]).is_some(), pending);
        }
    }

    #[test]
    fn values_of_a_rule_that_left_scope_are_cleared_until_the_target_shows_it() {
        let clears = |exit| {
            let mut rules = rules(WritePolicy::default());
            rules.rules[1] = Rule { on_scope_exit: exit, ..rules.rules[1].clone() };
            rules
        };
        let left = said("second", &[("name", v(&["a"])), ("login", v(&["x"]))]);
        let now = [said("first", &[("login", v(&["taro"]))])];
        for (exit, held, cleared) in [
            (OnScopeExit::Clear, attributes(&["login=taro", "name=a"]), true),
            (OnScopeExit::Clear, attributes(&["login=taro"]), false),
            (OnScopeExit::Release, attributes(&["login=taro", "name=a"]), false),
        ] {
            let object = CsObject { contributions: vec![left.clone()], ..holding(held) };
            let rules = clears(exit);
            let desired = Desired::of(&object, &now, &class(), &rules).unwrap();
            let remembered = desired.with_leftovers(now.to_vec(), &object, &rules);
            assert_eq!(remembered.contains(&left), cleared);
            assert_eq!(export_of(&object, &now, &rules, &[]).is_some(), cleared);
        }
    }
}
