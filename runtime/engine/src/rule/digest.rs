//! Digests of rules: everything that decides a result flows in, 64 hexadecimal digits flow out.

use sha2::{Digest as _, Sha256};

use super::{Compat, Connector, Contract, Rule, RuleSet, RulesetDigest, TargetClass, Thresholds};
use crate::object::{AttributeName, ClassName, Value};

/// Every structure is taken apart field by field, so that a new field is not forgotten here.
pub(super) fn of(rules: &RuleSet) -> RulesetDigest {
    let RuleSet { digest: _, tags: _, connectors, rules, compat, grace_seconds } = rules;
    let mut parts = Parts(Sha256::new());
    self::compat(&mut parts, compat);
    parts.list(connectors, |parts, connector| {
        self::connector(parts, connector);
        thresholds(parts, &connector.thresholds);
    });
    parts.list(rules, rule);
    parts.list(grace_seconds, |parts, (class, seconds)| {
        parts.text(class.as_str());
        parts.shown(seconds);
    });
    RulesetDigest(parts.finish())
}

/// Of behaviour that concerns every object.
pub(super) fn of_compat(rules: &RuleSet) -> String {
    digest(|parts| compat(parts, &rules.compat))
}

/// Of the object types of a target.
pub(super) fn of_classes(target: &Connector) -> String {
    digest(|parts| connector(parts, target))
}

/// Of what the join index holds of metaverse objects of one type.
pub(super) fn of_index(rules: &RuleSet, class: &ClassName) -> String {
    digest(|parts| {
        parts.list(rules.join_attributes(class), |parts, (name, case_sensitive)| {
            parts.text(name.as_str());
            parts.shown(&case_sensitive);
        });
    })
}

/// Digests of one rule, apart by the work that a change of each asks for.
pub(super) struct Aspects {
    pub answers: String,
    pub scope: String,
    pub join: String,
    pub link: String,
    pub policies: String,
    pub leaving: String,
}

pub(super) fn of_aspects(rule: &Rule) -> Aspects {
    let Contract { writes, .. } = &rule.contract;
    Aspects {
        answers: digest(|parts| answers(parts, rule)),
        scope: digest(|parts| scope(parts, rule)),
        join: digest(|parts| join(parts, rule)),
        link: digest(|parts| parts.shown(&rule.link)),
        policies: digest(|parts| {
            parts.list(writes, |parts, (name, policy)| {
                parts.text(name.as_str());
                parts.shown(&(policy.merge, policy.apply_once));
            });
        }),
        leaving: digest(|parts| parts.shown(&(rule.on_scope_exit, rule.on_delete))),
    }
}

fn digest(content: impl FnOnce(&mut Parts)) -> String {
    let mut parts = Parts(Sha256::new());
    content(&mut parts);
    parts.finish()
}

/// Texts with their lengths, so that neighbours stay apart.
struct Parts(Sha256);

// === impl Parts ===

impl Parts {
    fn finish(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text);
    }

    /// A number, a flag or the name of a variant.
    fn shown(&mut self, value: &impl std::fmt::Debug) {
        self.text(&format!("{value:?}"));
    }

    fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut part: impl FnMut(&mut Self, T),
    ) {
        let items = items.into_iter();
        self.0.update((items.len() as u64).to_be_bytes());
        items.for_each(|item| part(self, item));
    }

    fn names<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a AttributeName, IntoIter: ExactSizeIterator>,
    ) {
        self.list(names, |parts, name| parts.text(name.as_str()));
    }
}

fn compat(parts: &mut Parts, compat: &Compat) {
    let Compat { multiple_match_provisions } = compat;
    parts.shown(multiple_match_provisions);
}

fn thresholds(parts: &mut Parts, thresholds: &Thresholds) {
    let Thresholds { removals_max, removals_percent, removals_floor } = thresholds;
    parts.shown(&(removals_max, removals_percent, removals_floor));
}

fn connector(parts: &mut Parts, connector: &Connector) {
    let Connector { name, kind, order, classes, thresholds: _ } = connector;
    parts.text(name.as_str());
    parts.shown(&(kind, order));
    parts.list(classes, |parts, (name, class)| {
        let TargetClass { naming, disable, multi_valued, types, rank, match_by } = class;
        parts.text(name.as_str());
        parts.names(naming.iter().collect::<Vec<_>>());
        parts.list(disable.iter(), |parts, (name, value)| {
            parts.text(name.as_str());
            self::value(parts, value);
        });
        parts.names(multi_valued);
        parts.list(types, |parts, (name, value_type)| {
            parts.text(name.as_str());
            parts.shown(value_type);
        });
        parts.shown(rank);
        parts.names(match_by);
    });
}

fn value(parts: &mut Parts, value: &Value) {
    parts.shown(value);
}

fn rule(parts: &mut Parts, rule: &Rule) {
    let Rule {
        tag,
        name,
        // Words for people decide nothing.
        description: _,
        direction,
        connector,
        cs_class,
        mv_class,
        precedence,
        link,
        scope: _,
        join: _,
        on_scope_exit,
        on_delete,
        contract,
        parameters: _,
        module: _,
    } = rule;
    for text in [&*tag.0, name, connector.as_str(), cs_class.as_str(), mv_class.as_str()] {
        parts.text(text);
    }
    parts.shown(&(direction, precedence, link, on_scope_exit, on_delete));
    scope(parts, rule);
    join(parts, rule);
    answers(parts, rule);
    parts.list(&contract.writes, |parts, (name, policy)| {
        parts.text(name.as_str());
        parts.shown(&(policy.merge, policy.apply_once));
    });
}

fn scope(parts: &mut Parts, rule: &Rule) {
    parts.list(&rule.scope.groups, |parts, group| {
        parts.list(group, |parts, clause| {
            parts.text(clause.attribute.as_str());
            parts.text(&clause.value);
            parts.shown(&(clause.operator, clause.case_sensitive));
        });
    });
}

fn join(parts: &mut Parts, rule: &Rule) {
    parts.list(&rule.join, |parts, group| {
        parts.list(group, |parts, clause| {
            parts.text(clause.cs.as_str());
            parts.text(clause.mv.as_str());
            parts.shown(&clause.case_sensitive);
        });
    });
}

/// Everything that decides what the module says of an object.
fn answers(parts: &mut Parts, rule: &Rule) {
    let Contract { reads, reads_imported, parameters, writes, volatile, recheck_seconds } =
        &rule.contract;
    parts.names(reads);
    parts.names(reads_imported);
    parts.list(parameters, |parts, name| parts.text(name));
    parts.list(writes, |parts, (name, policy)| {
        parts.text(name.as_str());
        parts.shown(&policy.enabled);
    });
    parts.shown(&(volatile, recheck_seconds));
    parts.list(&rule.parameters, |parts, (name, value)| {
        parts.text(name);
        parts.text(value);
    });
    for text in [&rule.module.source, &rule.module.sha256, &rule.module.config_sha256] {
        parts.text(text);
    }
}
