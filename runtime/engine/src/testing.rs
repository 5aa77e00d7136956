//! Small parts for the engine's own tests.

use std::collections::BTreeMap;

use crate::connector_space::{CsId, CsObject, Presence};
use crate::flow::{Contribution, Fingerprint, Flow, Kept, RuleContribution};
use crate::object::{Anchor, AttributeMap, Value};
use crate::rule::{
    Compat, Connector, ConnectorKind, Contract, Direction, JoinClause, LinkType, ModuleIdentity,
    OnDelete, OnScopeExit, Rule, RuleSet, RuleTag, Thresholds, WritePolicy,
};
use crate::scope::Scope;

pub fn values(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| Value::text(*text)).collect()
}

/// Attributes as `name=value`; a name that comes twice has two values.
pub fn attributes(texts: &[&str]) -> AttributeMap {
    let mut attributes = AttributeMap::new();
    for text in texts {
        let (name, value) = text.split_once('=').unwrap();
        attributes.entry(name.into()).or_default().push(Value::text(value));
    }
    attributes
}

/// An object of `forest-a` without attributes.
pub fn cs_object(id: i64) -> CsObject {
    CsObject {
        id: CsId(id),
        connector: "forest-a".into(),
        class: "user".into(),
        anchor: Some(Anchor(id.to_string().into_bytes())),
        dn: format!("CN=u{id},DC=a"),
        presence: Presence::Imported,
        attributes: AttributeMap::new(),
        link: None,
        contributions: vec![],
        deprovisioned: false,
    }
}

/// A Join rule of `forest-a` without criteria.
pub fn rule(tag: &str, direction: Direction, precedence: u32) -> Rule {
    let module = ModuleIdentity {
        source: "test".into(),
        sha256: "0".repeat(64),
        config_sha256: "0".repeat(64),
    };
    Rule {
        tag: RuleTag(tag.into()),
        name: tag.into(),
        description: String::new(),
        direction,
        connector: "forest-a".into(),
        cs_class: "user".into(),
        mv_class: "person".into(),
        precedence,
        link: LinkType::Join,
        scope: Scope::default(),
        join: vec![],
        on_scope_exit: OnScopeExit::Release,
        on_delete: OnDelete::Keep,
        contract: Contract::default(),
        parameters: BTreeMap::new(),
        module,
    }
}

/// Join clause on attributes of these names.
pub fn clause(cs: &str, mv: &str) -> JoinClause {
    JoinClause { cs: cs.into(), mv: mv.into(), case_sensitive: false }
}

/// Rules as they come, all of `forest-a`, which is a connector of this kind.
pub fn rule_set(kind: ConnectorKind, rules: Vec<Rule>) -> RuleSet {
    let connector = Connector {
        name: "forest-a".into(),
        kind,
        order: 1,
        classes: BTreeMap::new(),
        thresholds: Thresholds::default(),
    };
    RuleSet::new(vec![connector], rules, Compat::default(), BTreeMap::new())
}

/// Lets a rule write these attributes.
pub fn writes(mut rule: Rule, attributes: &[(&str, WritePolicy)]) -> Rule {
    rule.contract.writes =
        attributes.iter().map(|(name, policy)| ((*name).into(), *policy)).collect();
    rule
}

pub fn said(rule: &str, flows: &[(&str, Contribution)]) -> RuleContribution {
    let flow = |(attribute, contribution): &(&str, Contribution)| Flow {
        attribute: (*attribute).into(),
        contribution: contribution.clone(),
    };
    RuleContribution {
        rule: RuleTag(rule.into()),
        input: Fingerprint::default(),
        outcome: Kept::Flows(flows.iter().map(flow).collect()),
    }
}
