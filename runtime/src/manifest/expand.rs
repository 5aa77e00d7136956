//! From rules that name groups and kinds to rules of one connector with one precedence (R36-R38).

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::rule::Direction;

use super::codes::{
    DIRECTION, DOUBLED, EITHER_OR, IDLE, NO_CONNECTOR, PRECEDENCE_RANGE, UNKNOWN_CONNECTOR,
    UNKNOWN_GROUP, UNUSED_GROUP,
};
use super::raw::ManifestRaw;
use super::read::Located;
use super::rule::{RuleDraft, Spot, direction};
use super::{ManifestConnector, ManifestRule, scope};
use crate::config::finding::Findings;
use crate::config::system::SystemKind;
use crate::config::yaml::At;

/// The first number of the blocks of precedence: custom rules go below it (R37).
pub const GROUPS_FROM: u32 = 100;
/// Largest precedence that can be written: room for every rule, and for counting on from it.
pub const PRECEDENCE_MAX: u32 = 1_000_000;

/// Takes the connectors of a manifest. Gives them in their order, each with all of its parameters.
pub(super) fn connectors(raw: &ManifestRaw, findings: &mut Findings) -> Vec<ManifestConnector> {
    let mut connectors: Vec<(u32, ManifestConnector)> = vec![];
    let mut names = BTreeSet::new();
    let mut orders = BTreeSet::new();
    let ordered = raw.connectors.iter().any(|connector| connector.order.is_some());
    for (connector, place) in raw.connectors.iter().zip(1u32..) {
        let name = &connector.name;
        if !names.insert(&name.value) {
            findings
                .error(DOUBLED, format_args!("the connector `{}` stands twice", name.value))
                .at(name.mark);
        }
        let order = connector.order.as_ref().map_or(place, |order| order.value);
        if ordered && !orders.insert(order) {
            let mark = connector.order.as_ref().map_or(name.mark, |order| order.mark);
            findings
                .error(DOUBLED, format_args!("two connectors have the order `{order}`"))
                .at(mark)
                .hint("a new connector goes last");
        }
        let mut parameters = BTreeMap::from([
            ("Connector.ID".to_owned(), name.value.clone()),
            ("Connector.Name".to_owned(), name.value.clone()),
        ]);
        for (key, value) in raw.parameters.0.iter().chain(&connector.parameters.0) {
            parameters.insert(key.value.clone(), value.0.clone());
        }
        connectors.push((
            order,
            ManifestConnector {
                name: name.value.as_str().into(),
                kind: connector.kind.value.into(),
                mark: name.mark,
                order,
                parameters,
            },
        ));
    }
    connectors.sort_by_key(|(order, _)| *order);
    connectors.into_iter().map(|(_, connector)| connector).collect()
}

/// Takes all rules in the order of the files. Gives one rule for each rule and connector; those of
/// groups are numbered group by group, rule by rule, connector by connector, so that a new
/// connector moves nobody past anybody. Disabled rules keep their numbers and are left out.
pub(super) fn rules(
    raw: &ManifestRaw,
    located: &[Located],
    connectors: &[ManifestConnector],
    findings: &mut Findings,
) -> Vec<ManifestRule> {
    let groups = groups(&raw.groups, located, findings);
    let mut rules = vec![];
    let mut next = GROUPS_FROM;
    let mut of_groups: Vec<(usize, &Located)> = vec![];
    for located in located {
        match place(located, &groups, findings) {
            Some(Place::Group(index)) => of_groups.push((index, located)),
            Some(Place::Precedence(precedence)) => {
                let draft = RuleDraft::new(located, findings);
                for (number, connector) in (precedence..).zip(meant(located, connectors, findings))
                {
                    push(located, &draft, connector, number, &mut rules, findings);
                }
            }
            // Its other faults are told as well.
            None => {
                RuleDraft::new(located, findings);
                meant(located, connectors, findings);
            }
        }
    }
    of_groups.sort_by_key(|(index, _)| *index);
    for (_, located) in of_groups {
        let draft = RuleDraft::new(located, findings);
        for connector in meant(located, connectors, findings) {
            push(located, &draft, connector, next, &mut rules, findings);
            next += 1;
        }
    }
    rules
}

enum Place {
    /// Index in `groups`.
    Group(usize),
    Precedence(u32),
}

fn groups<'a>(
    groups: &'a [At<String>],
    located: &[Located],
    findings: &mut Findings,
) -> Vec<&'a str> {
    let mut names = vec![];
    for group in groups {
        let name = group.value.as_str();
        if names.contains(&name) {
            findings.error(DOUBLED, format_args!("the group `{name}` stands twice")).at(group.mark);
        }
        let named = |located: &&Located| {
            located.raw.group.as_ref().is_some_and(|group| group.value == name)
        };
        if located.iter().find(named).is_none() {
            findings
                .warning(UNUSED_GROUP, format_args!("no rule is in the group `{name}`"))
                .at(group.mark);
        }
        names.push(name);
    }
    names
}

fn place(located: &Located, groups: &[&str], findings: &mut Findings) -> Option<Place> {
    let raw = &located.raw;
    let spot = Spot { file: &located.file, name: &raw.name.value, enabled: raw.enabled };
    match (&raw.group, &raw.precedence) {
        (Some(group), None) => {
            let index = groups.iter().position(|name| *name == group.value);
            if index.is_none() {
                let message = format_args!("unknown group `{}`", group.value);
                spot.error(findings, UNKNOWN_GROUP, message, group.mark)
                    .hint_nearest(&group.value, groups.iter().copied());
            }
            index.map(Place::Group)
        }
        (None, Some(precedence)) => {
            let value = precedence.value;
            if value > PRECEDENCE_MAX {
                let message = format_args!("the precedence `{value}` is out of range");
                spot.error(findings, PRECEDENCE_RANGE, message, precedence.mark)
                    .hint(format!("at most `{PRECEDENCE_MAX}`"));
            }
            (value <= PRECEDENCE_MAX).then_some(Place::Precedence(value))
        }
        (group, _) => {
            let message = match group {
                Some(_) => "a rule has both `group` and `precedence`",
                None => "a rule has neither `group` nor `precedence`",
            };
            spot.error(findings, EITHER_OR, message, raw.name.mark)
                .hint("give it one of the two: lower numbers win");
            None
        }
    }
}

/// The connectors a rule is for, in their order; noted are those that do not exist or do not fit.
fn meant<'a>(
    located: &Located,
    connectors: &'a [ManifestConnector],
    findings: &mut Findings,
) -> Vec<&'a ManifestConnector> {
    let raw = &located.raw;
    let spot = Spot { file: &located.file, name: &raw.name.value, enabled: raw.enabled };
    match (&raw.connector, &raw.for_each) {
        (Some(name), None) => {
            let found = connectors.iter().find(|known| known.name.as_str() == name.value);
            let Some(connector) = found else {
                let message = format_args!("unknown connector `{}`", name.value);
                spot.error(findings, UNKNOWN_CONNECTOR, message, name.mark).hint_nearest(
                    &name.value,
                    connectors.iter().map(|connector| connector.name.as_str()),
                );
                return vec![];
            };
            let wanted = direction(raw.direction);
            if raw.enabled && is_idle(connector, wanted) {
                let message = match wanted {
                    Direction::Inbound => "an inbound rule on a target does nothing yet",
                    Direction::Outbound => "an outbound rule on a source does nothing yet",
                };
                spot.warning(findings, IDLE, message, name.mark)
                    .hint("it is checked and shown; sources are read, targets are written");
            }
            vec![connector]
        }
        (None, Some(for_each)) => {
            let kind = SystemKind::from(for_each.value.kind);
            if (kind == SystemKind::Scim) != (direction(raw.direction) == Direction::Outbound) {
                let message = format_args!("the kind `{kind}` does not fit the direction");
                spot.error(findings, DIRECTION, message, for_each.mark)
                    .hint("inbound rules read sources, outbound rules write targets");
            }
            let meant: Vec<_> =
                connectors.iter().filter(|connector| connector.kind.is_a(kind)).collect();
            if meant.is_empty() {
                let message = format_args!("there is no connector of the kind `{kind}`");
                spot.warning(findings, NO_CONNECTOR, message, for_each.mark)
                    .hint("the rule does nothing");
            }
            meant
        }
        (connector, _) => {
            let message = match connector {
                Some(_) => "a rule has both `connector` and `for_each`",
                None => "a rule has neither `connector` nor `for_each`",
            };
            spot.error(findings, EITHER_OR, message, raw.name.mark)
                .hint("name one connector, or a kind: `for_each: {kind: ldap}`");
            vec![]
        }
    }
}

/// Whether a rule goes the way that its connector does not: imported sets have such rules.
fn is_idle(connector: &ManifestConnector, direction: Direction) -> bool {
    (connector.kind == SystemKind::Scim) != (direction == Direction::Outbound)
}

fn push(
    located: &Located,
    draft: &RuleDraft,
    connector: &ManifestConnector,
    precedence: u32,
    rules: &mut Vec<ManifestRule>,
    findings: &mut Findings,
) {
    let scope = scope::fill(&draft.scope, &connector.parameters, &draft.spot(), findings);
    if located.raw.enabled {
        rules.push(ManifestRule {
            draft: draft.clone(),
            connector: connector.name.clone(),
            order: connector.order,
            precedence,
            scope,
            parameters: connector.parameters.clone(),
            idle: is_idle(connector, draft.direction),
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::manifest::files::Files;
    use std::fs;

    use kakehi_engine::rule::Direction;

    const RULES: &str = "
groups: [user-join, user-common]
rules:
  - {name: common, group: user-common, for_each: {kind: ldap}, direction: inbound, from: user,
     to: person, link: join, module: \"builtin:declarative\"}
  - {name: join, group: user-join, for_each: {kind: ldap}, direction: inbound, from: user,
     to: person, link: provision, module: \"builtin:declarative\"}
  - {name: off, group: user-join, for_each: {kind: ad}, direction: inbound, from: user,
     to: person, link: join, enabled: false, module: \"builtin:declarative\"}
  - {name: own, precedence: 50, connector: a, direction: inbound, from: user,
     to: person, link: join, module: \"builtin:declarative\"}
";

    fn expanded(connectors: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.yml");
        fs::write(&path, format!("version: 1\nconnectors: {connectors}\n{RULES}")).unwrap();
        let (manifest, _) = crate::manifest::load(&mut Files::of(&path))
            .unwrap_or_else(|findings| panic!("{}", findings[0]));
        assert!(manifest.rules.iter().all(|rule| rule.draft.direction == Direction::Inbound));
        let shown = |rule: &crate::manifest::ManifestRule| {
            format!("{} {}@{}", rule.precedence, rule.draft.tag, rule.connector)
        };
        manifest.rules.iter().map(shown).collect()
    }

    #[test]
    fn r36_groups_are_numbered_rule_by_rule_and_connector_by_connector() {
        assert_eq!(
            expanded("[{name: a, kind: ad}, {name: b, kind: openldap}]"),
            ["50 own@a", "100 join@a", "101 join@b", "103 common@a", "104 common@b"]
        );
    }

    #[test]
    fn r38_a_third_forest_goes_last_in_each_group() {
        assert_eq!(
            expanded(
                "[{name: c, kind: ad, order: 9}, {name: a, kind: ad, order: 1}, \
                 {name: b, kind: openldap, order: 2}]"
            ),
            [
                "50 own@a",
                "100 join@a",
                "101 join@b",
                "102 join@c",
                "105 common@a",
                "106 common@b",
                "107 common@c",
            ]
        );
    }

    #[test]
    fn texts_are_compared_without_case_where_the_manifest_says_so_and_the_rule_does_not() {
        let rule = |number: u32, more: &str| {
            format!(
                "  - {{name: r{number}, precedence: {number}, connector: a, direction: inbound, \
                 from: user, to: person, link: provision, {more}}}\n"
            )
        };
        let rules = rule(1, "module: \"builtin:declarative\"")
            + &rule(2, "module: \"builtin:declarative\", config: {compare: binary}")
            + &rule(3, "module: \"builtin:names\"");
        for (compat, expected) in [
            ("text", [r#"{"compare":"text"}"#, r#"{"compare":"binary"}"#, "{}"]),
            ("binary", ["{}", r#"{"compare":"binary"}"#, "{}"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("manifest.yml");
            let head = format!("version: 1\ncompat: {{string_compare: {compat}}}\n");
            let text = format!("{head}connectors: [{{name: a, kind: ad}}]\nrules:\n{rules}");
            fs::write(&path, text).unwrap();
            let (manifest, _) = crate::manifest::load(&mut Files::of(&path))
                .unwrap_or_else(|findings| panic!("{}", findings[0]));
            let configs: Vec<&str> =
                manifest.rules.iter().map(|rule| rule.draft.config.as_str()).collect();
            assert_eq!(configs, expected, "{compat}");
        }
    }
}
