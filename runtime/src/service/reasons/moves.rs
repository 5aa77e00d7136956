//! What a dry run moves apart from values: objects as they were and as they are flow in; who enters
//! or leaves the scope of which rule, and which links come and go, flows out, counted.

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::connector_space::{CsObject, Link, LinkOrigin};
use kakehi_engine::flow::Kept;
use kakehi_engine::rule::{RuleSet, RuleTag};
use serde_json::{Value as Json, json};

use crate::report::words;

/// Objects that are looked at together.
pub const OBJECTS_AT_ONCE: usize = 500;

/// Objects of one kind that are told by name.
const NAMES_TOLD_MAX: usize = 50;

/// A number, and the names of some of those who were counted.
#[derive(Clone, Debug, Default)]
struct Counted {
    count: u64,
    some: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Moves {
    /// By rule: who enters, who leaves.
    scopes: BTreeMap<String, (Counted, Counted)>,
    /// By kind and rule.
    links: BTreeMap<(&'static str, String), Counted>,
}

// === impl Counted ===

impl Counted {
    fn add(&mut self, object: &CsObject) {
        self.count += 1;
        if self.some.len() < NAMES_TOLD_MAX {
            self.some.push(format!("{}: {}", object.connector, words::cs_name(object)));
        }
    }

    fn to_json(&self) -> Json {
        json!({"count": self.count, "some": self.some})
    }
}

// === impl Moves ===

impl Moves {
    /// Takes one object, as it was and as it is.
    pub fn take(&mut self, before: Option<&CsObject>, now: Option<&CsObject>, rules: &RuleSet) {
        let Some(named) = now.or(before) else { return };
        let (was, is) = (applying(before), applying(now));
        for tag in is.difference(&was) {
            self.scopes.entry(name(tag, rules)).or_default().0.add(named);
        }
        for tag in was.difference(&is) {
            self.scopes.entry(name(tag, rules)).or_default().1.add(named);
        }
        let link = |object: Option<&CsObject>| object.and_then(|object| object.link.clone());
        if let Some((kind, tag)) = link_move(link(before).as_ref(), link(now).as_ref()) {
            self.links.entry((kind, name(tag, rules))).or_default().add(named);
        }
    }

    /// `scopes` by rule, and `links` by kind and rule.
    pub fn to_json(&self) -> (Json, Json) {
        let scopes = self.scopes.iter().map(|(rule, (entering, leaving))| {
            json!({"rule": rule, "entering": entering.to_json(), "leaving": leaving.to_json()})
        });
        let links = self.links.iter().map(|((kind, rule), counted)| {
            let mut body = counted.to_json();
            (body["kind"], body["rule"]) = (json!(kind), json!(rule));
            body
        });
        (scopes.collect(), links.collect())
    }
}

/// The rules that say something of an object.
fn applying(object: Option<&CsObject>) -> BTreeSet<&RuleTag> {
    let contributions = object.into_iter().flat_map(|object| &object.contributions);
    contributions
        .filter(|contribution| matches!(contribution.outcome, Kept::Flows(_)))
        .map(|contribution| &contribution.rule)
        .collect()
}

fn name(tag: &RuleTag, rules: &RuleSet) -> String {
    match rules.by_tag(tag) {
        Some(_) => tag.to_string(),
        None => format!("{tag} (no longer a rule)"),
    }
}

fn link_move<'l>(
    before: Option<&'l Link>,
    now: Option<&'l Link>,
) -> Option<(&'static str, &'l RuleTag)> {
    match (before, now) {
        (None, Some(link)) => {
            let kind = match link.origin {
                LinkOrigin::Joined => "joined",
                LinkOrigin::Projected => "projected",
                LinkOrigin::Provisioned => "provisioned",
            };
            Some((kind, &link.rule))
        }
        (Some(link), None) => Some(("disjoined", &link.rule)),
        (Some(was), Some(is)) if was.mv != is.mv => Some(("moved to another identity", &is.rule)),
        _ => None,
    }
}
