//! Source objects that nobody is linked to, and why.

use std::collections::BTreeMap;

use kakehi_engine::connector_space::{CsId, CsObject, Presence};
use kakehi_engine::object::ConnectorName;
use kakehi_engine::preview::{self, Found, GroupTest, JoinTest, Linking};
use kakehi_engine::problem::Problem;
use kakehi_engine::rule::{Direction, LinkType, Rule, RuleId, RuleSet};
use kakehi_engine::view::View;
use serde_json::{Value as Json, json};

use super::as_view;
use crate::report::words;
use crate::service::overheard::{InForce, Session, State, Verdict, verdicts};
use crate::store::{Store, StoreError};

/// Candidates that are told by name.
const CANDIDATES_TOLD_MAX: usize = 5;

/// Ids that a join clause is told to have found.
const IDS_TOLD_MAX: usize = 100;

/// Every source object without a link, with the reason: `count`, `reasons` (how many of each kind),
/// `objects` (at most `shown`).
pub fn all(
    store: &dyn Store,
    connector: Option<&ConnectorName>,
    in_force: InForce<'_>,
    shown: usize,
) -> Result<Json, StoreError> {
    let ids = store.unlinked_sources(connector)?;
    let mut problems: BTreeMap<CsId, Vec<Problem>> = BTreeMap::new();
    for problem in store.problems()? {
        problems.entry(problem.object).or_default().push(problem);
    }
    let view = store.view()?;
    let (mut counts, mut told) = (BTreeMap::<String, u64>::new(), vec![]);
    for id in &ids {
        for object in view.cs_objects(&[*id]) {
            let own = problems.get(id).map_or(&[][..], Vec::as_slice);
            let reason = why(as_view(&*view), &object, in_force, own);
            let kind = reason["kind"].as_str().unwrap_or_default().to_owned();
            *counts.entry(kind).or_default() += 1;
            if told.len() < shown {
                let mut body = super::object_json(&object);
                body["not_linked"] = reason;
                told.push(body);
            }
        }
    }
    view.check()?;
    Ok(json!({"count": ids.len(), "reasons": counts, "objects": told}))
}

/// Why an object is not linked: `kind`, `reason` in words, and what belongs to the kind.
pub fn why(
    view: &dyn View,
    object: &CsObject,
    in_force: InForce<'_>,
    problems: &[Problem],
) -> Json {
    let rules = in_force.rules;
    if object.presence == Presence::Placeholder {
        return reason("placeholder", "it is only known because others refer to it".to_owned());
    }
    let own = problems.iter().find(|problem| problem.object == object.id);
    let attributes = preview::seen_inbound(object);
    let of_class: Vec<(RuleId, &Rule)> = rules
        .of(Direction::Inbound, &object.connector)
        .filter(|(_, rule)| rule.cs_class == object.class)
        .collect();
    if of_class.is_empty() {
        let (class, connector) = (&object.class, &object.connector);
        let text = format!("no rule is about objects of the type `{class}` of `{connector}`");
        return reason("no-rule", text);
    }
    let mut session = Session::new(view, in_force);
    let (said, outcome) = session.inbound(object.id);
    let told = verdicts(of_class.iter().map(|(_, rule)| *rule), &attributes, &said);
    let now = outcome.problems.iter().flat_map(|(_, _, problems)| problems).next();
    if let Some(problem) = own.or(now) {
        return of_problem(problem, view, rules, &attributes);
    }
    let applying: Vec<RuleId> = of_class
        .iter()
        .zip(&told)
        .filter(|(_, verdict)| verdict.state == State::Applies)
        .map(|((id, _), _)| *id)
        .collect();
    match preview::linking(&applying, rules) {
        Linking::One(id) => no_match(view, rules.rule(id), &attributes),
        Linking::Conflict(_) | Linking::None => out_of_scope(&told),
    }
}

fn reason(kind: &str, text: String) -> Json {
    json!({"kind": kind, "reason": text})
}

fn out_of_scope(told: &[Verdict<'_>]) -> Json {
    let linking = told.iter().filter(|verdict| preview::can_link(verdict.rule));
    let texts: Vec<String> = linking
        .map(|verdict| {
            let (rule, state) = (&verdict.rule.name, verdict.state.as_str());
            format!("`{rule}` {state}: {}", verdict.reason)
        })
        .collect();
    match texts.is_empty() {
        true => reason("no-rule", "no rule of its type joins or provisions".to_owned()),
        false => {
            let mut body = reason("out-of-scope", texts.join("; "));
            body["rules"] = told.iter().map(Verdict::to_json).collect();
            body
        }
    }
}

fn of_problem(
    problem: &Problem,
    view: &dyn View,
    rules: &RuleSet,
    attributes: &kakehi_engine::object::AttributeMap,
) -> Json {
    let mut body = reason(problem.kind.as_str(), words::visible(&problem.message).into_owned());
    body["rule"] = json!(problem.rule.as_ref().map(ToString::to_string));
    let rule = problem.rule.as_ref().and_then(|tag| rules.by_tag(tag)).map(|id| rules.rule(id));
    if let Some(rule) = rule.filter(|rule| !rule.join.is_empty()) {
        let groups = preview::join_inbound(view, rule, attributes);
        let candidates: Vec<_> = groups.iter().flat_map(|group| group.found.clone()).collect();
        let named = view.mv_objects(&candidates);
        let named = named.iter().take(CANDIDATES_TOLD_MAX);
        body["candidates"] = named
            .map(|mv| json!({"id": mv.id.0, "type": mv.class.as_str(), "name": words::mv_name(mv)}))
            .collect();
        body["join"] = join_json(&groups, |mv| mv.0);
    }
    body
}

fn no_match(
    view: &dyn View,
    rule: &Rule,
    attributes: &kakehi_engine::object::AttributeMap,
) -> Json {
    let groups = preview::join_inbound(view, rule, attributes);
    let looked: Vec<String> = groups
        .iter()
        .flat_map(|group| &group.clauses)
        .map(|test| format!("{} = {}", test.clause.mv, words::values(&test.values)))
        .collect();
    let (name, looked) = (&rule.name, looked.join(", "));
    let mut body = match preview::find(view, rule, attributes) {
        Found::None { present: false } => {
            reason("no-key", format!("`{name}` has nothing to look by: {looked}"))
        }
        Found::None { .. } if rule.link != LinkType::Provision => {
            reason("no-match", format!("`{name}` finds nobody by {looked}, and does not create"))
        }
        Found::None { .. } | Found::One(_) | Found::Several(_) => reason(
            "not-evaluated",
            format!("it was not looked at yet: the next run links it by `{name}`"),
        ),
    };
    body["rule"] = json!(rule.tag.to_string());
    body["join"] = join_json(&groups, |mv| mv.0);
    body
}

/// Join groups with what each clause looked for and found; `number`: that of whom was found.
pub fn join_json<Id>(groups: &[GroupTest<Id>], number: impl Fn(&Id) -> i64) -> Json {
    let ids = |ids: &[Id]| ids.iter().take(IDS_TOLD_MAX).map(&number).collect::<Vec<_>>();
    let clause = |test: &JoinTest<Id>| {
        json!({
            "cs": test.clause.cs.as_str(),
            "mv": test.clause.mv.as_str(),
            "case_sensitive": test.clause.case_sensitive,
            "values": words::values_json(&test.values),
            "found": ids(&test.found),
        })
    };
    let group = |group: &GroupTest<Id>| {
        let clauses: Vec<Json> = group.clauses.iter().map(clause).collect();
        json!({"clauses": clauses, "found": ids(&group.found)})
    };
    groups.iter().map(group).collect()
}
