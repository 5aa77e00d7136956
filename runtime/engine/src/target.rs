//! What a target object should hold, and the export that brings it there.

use std::collections::{BTreeMap, BTreeSet};

use crate::connector_space::{CsId, CsObject, MvId, Presence};
use crate::export::{AttributeChange, Export, ExportOp};
use crate::flow::{Contribution, Kept, RuleContribution};
use crate::object::{AttributeName, ClassName, Value};
use crate::precedence::{self, Contributor, Resolution};
use crate::rule::{OnScopeExit, RuleId, RuleSet, TargetClass, ValueType};

/// What rules want of one target object.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    /// Every managed attribute; an empty list: it is to have no value.
    attributes: BTreeMap<AttributeName, Vec<Value>>,
    /// References to objects that the target does not have.
    pub omitted: u64,
}

/// Rule, attribute, and what is wrong with its values.
type Misfit = (RuleId, AttributeName, String);

// === impl Desired ===

impl Desired {
    /// Takes: the object as the target holds it, what the rules in scope answered, and where references
    /// lead. Errors: values that the target's schema has no place for.
    pub fn of(
        object: &CsObject,
        contributions: &[RuleContribution],
        class: &TargetClass,
        rules: &RuleSet,
        homes: &BTreeMap<MvId, CsId>,
    ) -> Result<Self, Misfit> {
        let mut desired = Self::default();
        for (name, contributors) in precedence::contributors([(object, contributions)], rules) {
            let contributors = due(contributors, name, object, rules);
            if contributors.is_empty() {
                continue;
            }
            let merge = precedence::merge_of(name, &contributors, rules);
            let form = |values: &[Value], _: &CsObject| values.to_vec();
            match precedence::resolve(&contributors, merge, form) {
                Resolution::Keep => {}
                Resolution::Remove => {
                    desired.attributes.insert(name.clone(), vec![]);
                }
                Resolution::Values { values, winner } => {
                    let values = desired
                        .fit(values, name, class, homes)
                        .map_err(|message| (contributors[winner].rule, name.clone(), message))?;
                    desired.attributes.insert(name.clone(), values);
                }
            }
        }
        desired.clear_left(object, contributions, rules);
        desired.revive(object, class);
        Ok(desired)
    }

    /// Brings values into the types of the target: only lossless conversions (rules.md 3.1).
    fn fit(
        &mut self,
        values: Vec<Value>,
        name: &AttributeName,
        class: &TargetClass,
        homes: &BTreeMap<MvId, CsId>,
    ) -> Result<Vec<Value>, String> {
        let kind = class.types.get(name).copied().unwrap_or(ValueType::Text);
        let mut fitted = vec![];
        for value in values {
            let value = match convert(value, kind)? {
                Value::Reference(id) => match home(&id, homes) {
                    Some(id) => Value::Reference(id.0.to_string()),
                    None => {
                        self.omitted += 1;
                        continue;
                    }
                },
                other => other,
            };
            fitted.push(value);
        }
        // Two metaverse objects may share one target object; a set has it once.
        if kind == ValueType::Reference {
            let mut seen = BTreeSet::new();
            fitted.retain(|value| seen.insert(value.clone()));
        }
        if fitted.len() > 1 && !class.multi_valued.contains(name) {
            return Err(format!("{} values for an attribute that takes one", fitted.len()));
        }
        Ok(fitted)
    }

    /// Values of rules that left scope and asked for them to be cleared (11.5 step 5).
    fn clear_left(&mut self, object: &CsObject, now: &[RuleContribution], rules: &RuleSet) {
        for kept in &object.contributions {
            let in_scope = now
                .iter()
                .any(|other| other.rule == kept.rule && matches!(other.outcome, Kept::Flows(_)));
            let Some(id) = rules.by_tag(&kept.rule) else { continue };
            if in_scope || rules.rule(id).on_scope_exit != OnScopeExit::Clear {
                continue;
            }
            if let Kept::Flows(flows) = &kept.outcome {
                for flow in flows {
                    self.attributes.entry(flow.attribute.clone()).or_default();
                }
            }
        }
    }

    /// An object that was disabled by us and is wanted again is enabled, also where no rule writes the
    /// attribute that disables.
    fn revive(&mut self, object: &CsObject, class: &TargetClass) {
        let Some((attribute, Value::Boolean(disabled))) = &class.disable else { return };
        if object.deprovisioned && !self.attributes.contains_key(attribute) {
            self.attributes.insert(attribute.clone(), vec![Value::Boolean(!disabled)]);
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
        let mut changes = vec![];
        for (name, wanted) in &self.attributes {
            if not_persisted.contains(&(object.class.clone(), name.clone())) {
                continue;
            }
            let held = object.attributes.get(name).map_or(&[][..], Vec::as_slice);
            changes.extend(change(name, held, wanted, class));
        }
        let adds = object.presence == Presence::ExportOnly;
        if changes.is_empty() && !adds {
            return None;
        }
        let (anchor, match_key) = names(object, class, &self.attributes);
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
        })
    }
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

fn change(
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

fn op(changes: &[AttributeChange], object: &CsObject, class: &TargetClass) -> ExportOp {
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

fn home(id: &str, homes: &BTreeMap<MvId, CsId>) -> Option<CsId> {
    homes.get(&MvId(id.parse().ok()?)).copied()
}

/// Metaverse objects that a contribution refers to.
pub(crate) fn referenced(contribution: &RuleContribution) -> Vec<MvId> {
    let Kept::Flows(flows) = &contribution.outcome else { return vec![] };
    let values = flows.iter().filter_map(|flow| match &flow.contribution {
        Contribution::Values(values) => Some(values),
        _ => None,
    });
    values
        .flatten()
        .filter_map(|value| match value {
            Value::Reference(id) => id.parse().ok().map(MvId),
            _ => None,
        })
        .collect()
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
