//! What can be wrong between rules: all rules of a manifest flow in, findings flow out (11.11).

use std::collections::{BTreeMap, BTreeSet};

use kakehi_engine::rule::{ANY_CLASS, Direction, LinkType};
use kakehi_engine::scope::{Operator, Scope};

use super::codes::{
    ANY_TYPE_JOINS, NO_ANCHOR, NO_KEEPER, SAME_NAME, SAME_PRECEDENCE, UNKNOWN_TYPE,
};
use super::raw::ManifestRaw;
use super::{Manifest, ManifestRule};
use crate::config::finding::Findings;

/// Notes every fault between the rules of a manifest.
pub(super) fn check(manifest: &Manifest, findings: &mut Findings) {
    same_precedence(&manifest.rules, findings);
    same_name(&manifest.rules, findings);
    keepers(&manifest.rules, findings);
    anchors(&manifest.rules, findings);
}

/// Notes metaverse types that rules name and the manifest does not, where it names any.
pub(super) fn types(raw: &ManifestRaw, rules: &[ManifestRule], findings: &mut Findings) {
    let known: BTreeSet<&str> =
        raw.metaverse.types.0.iter().map(|(name, _)| name.value.as_str()).collect();
    let mut told = BTreeSet::new();
    for ManifestRule { draft, .. } in rules {
        let any = draft.mv_class == ANY_CLASS;
        let joins = draft.direction == Direction::Inbound
            && draft.link == LinkType::Join
            && !draft.join.is_empty();
        if any && !joins {
            let message = "a rule about every metaverse type can only join, inbound";
            draft
                .spot()
                .error(findings, ANY_TYPE_JOINS, message, draft.origin.mark)
                .hint("give it `link: join` and `join`, or name one type");
        }
        let unknown = !any && !known.is_empty() && !known.contains(draft.mv_class.as_str());
        if unknown && told.insert(&draft.origin.mark) {
            let message = format_args!("unknown metaverse type `{}`", draft.mv_class);
            draft
                .spot()
                .error(findings, UNKNOWN_TYPE, message, draft.origin.mark)
                .hint_nearest(&draft.mv_class, known.iter().copied());
        }
    }
}

fn same_precedence(rules: &[ManifestRule], findings: &mut Findings) {
    let mut seen = BTreeMap::<(Direction, u32), &ManifestRule>::new();
    for rule in rules {
        let Some(first) = seen.insert((rule.draft.direction, rule.precedence), rule) else {
            continue;
        };
        let message = format_args!(
            "the precedence `{}` is that of `{}` on `{}` already",
            rule.precedence, first.draft.name, first.connector
        );
        rule.draft
            .spot()
            .error(findings, SAME_PRECEDENCE, message, rule.draft.origin.mark)
            .hint("equal numbers would leave the winner to chance; groups count from 100");
    }
}

fn same_name(rules: &[ManifestRule], findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for rule in rules {
        let Some(first) = seen.insert((&rule.draft.tag, &rule.connector), rule) else { continue };
        let message =
            format_args!("there are two rules `{}` on `{}`", rule.draft.tag, rule.connector);
        let origin = &first.draft.origin;
        rule.draft.spot().error(findings, SAME_NAME, message, rule.draft.origin.mark).hint(
            format!(
                "the other stands in {}:{}; give one of them a `tag`",
                origin.file.display(),
                origin.mark.line
            ),
        );
    }
}

/// Without a rule that keeps them, objects of a type could never come to be.
fn keepers(rules: &[ManifestRule], findings: &mut Findings) {
    let reads = |rule: &&ManifestRule| rule.draft.direction == Direction::Inbound && !rule.idle;
    let inbound = || rules.iter().filter(reads);
    let mut told = BTreeSet::new();
    for rule in inbound() {
        let mv_class = &rule.draft.mv_class;
        let keeps = |other: &ManifestRule| {
            other.draft.mv_class == *mv_class && other.draft.link != LinkType::Join
        };
        let some = mv_class != ANY_CLASS;
        if some && told.insert(mv_class) && !inbound().any(keeps) {
            let message = format_args!("no rule creates or keeps objects of the type `{mv_class}`");
            rule.draft
                .spot()
                .error(findings, NO_KEEPER, message, rule.draft.origin.mark)
                .hint("give one inbound rule of the type `link: provision` or `link: sticky-join`");
        }
    }
}

/// An outbound rule that creates objects for whatever has no anchor creates them twice.
fn anchors(rules: &[ManifestRule], findings: &mut Findings) {
    for rule in rules {
        let creates =
            rule.draft.direction == Direction::Outbound && rule.draft.link == LinkType::Provision;
        if creates && !is_anchored(&rule.scope) {
            let message = "the rule creates objects without asking for an anchor";
            rule.draft
                .spot()
                .warning(findings, NO_ANCHOR, message, rule.draft.origin.mark)
                .hint("add `{attr: sourceAnchor, op: ISNOTNULL}` to every group of its scope");
        }
    }
}

fn is_anchored(scope: &Scope) -> bool {
    let asks = |clause: &kakehi_engine::scope::Clause| {
        let name = clause.attribute.as_str().to_ascii_lowercase();
        name.contains("anchor") && matches!(clause.operator, Operator::IsNotNull | Operator::Equal)
    };
    !scope.groups.is_empty() && scope.groups.iter().all(|group| group.iter().any(asks))
}
