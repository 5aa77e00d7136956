//! Format A: one `synchronizationRule` element flows in, one rule flows out, or all of its faults.

use std::collections::BTreeSet;

use roxmltree::Node;

use super::Counted;
use super::xml::{child, child_text, children, elements, fault, line, text};
use crate::fault::Fault;
use crate::model::{
    Direction, Flow, FlowSource, JoinClause, LinkType, MergeType, NO_ID, Origin, Rule, ScopeClause,
    boolean, guid, operator,
};

/// What an export of one rule holds; anything else is reported, since it would be lost.
const KNOWN: [&str; 20] = [
    "id",
    "internal-id",
    "version",
    "name",
    "description",
    "immutable-tag",
    "direction",
    "disabled",
    "connector",
    "sourceObjectType",
    "targetObjectType",
    "linkType",
    "precedence",
    "precedence-after",
    "precedence-before",
    "softDeleteExpiryInterval",
    "EnablePasswordSync",
    "attribute-mappings",
    "relationshipCriteria",
    "synchronizationCriteria",
];

/// What one mapping holds.
const KNOWN_IN_MAPPING: [&str; 4] = ["dest", "src", "expression", "valueMergeType"];

/// Reads the elements of one rule and gathers what is wrong with them.
struct Reader<'a> {
    file: &'a str,
    faults: &'a mut Vec<Fault>,
    /// Names of elements that this program does not know.
    unknown: BTreeSet<String>,
}

/// Takes the root of a file, which must be a rule. `None` with at least one fault noted.
pub(super) fn rule(
    file: &str,
    root: Node<'_, '_>,
    counted: &mut Counted,
    faults: &mut Vec<Fault>,
) -> Option<Rule> {
    let before = faults.len();
    let mut reader = Reader { file, faults, unknown: BTreeSet::new() };
    reader.unknown(root, &KNOWN);
    let internal_id = child_text(root, "internal-id");
    let rule = Rule {
        origin: Origin { file: file.to_owned(), line: line(root) },
        id: reader.guid(root, "id"),
        internal_id: guid(&internal_id),
        version: child(root, "version").map(text),
        name: reader.required(root, "name"),
        description: child_text(root, "description"),
        immutable_tag: child_text(root, "immutable-tag").trim().to_owned(),
        direction: reader
            .word(root, "direction", Direction::WORDS, Direction::from_word)
            .unwrap_or(Direction::Inbound),
        disabled: reader.boolean(root, "disabled"),
        connector: reader.guid(root, "connector"),
        source_type: reader.required(root, "sourceObjectType"),
        target_type: reader.required(root, "targetObjectType"),
        link: reader
            .word(root, "linkType", LinkType::WORDS, LinkType::from_word)
            .unwrap_or(LinkType::Join),
        precedence: reader.number(root, "precedence"),
        precedence_after: optional_id(root, "precedence-after"),
        precedence_before: optional_id(root, "precedence-before"),
        soft_delete: span(&child_text(root, "softDeleteExpiryInterval")),
        password_sync: reader.boolean(root, "EnablePasswordSync"),
        flows: reader.flows(root, counted),
        scope: reader.scope(root),
        join: reader.join(root),
        unknown: reader.unknown.into_iter().collect(),
    };
    (faults.len() == before).then_some(rule)
}

fn optional_id(root: Node<'_, '_>, name: &'static str) -> String {
    guid(&child_text(root, name)).unwrap_or_else(|| NO_ID.to_owned())
}

fn span(text: &str) -> String {
    match text.trim() {
        "" | "0" => "00:00:00".to_owned(),
        text => text.to_owned(),
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn note(&mut self, node: Node<'_, '_>, message: String, hint: &str) {
        self.faults.push(fault(self.file, node, message, hint));
    }

    fn unknown(&mut self, node: Node<'_, '_>, known: &[&str]) {
        let names = elements(node).map(|child| child.tag_name().name());
        self.unknown.extend(names.filter(|name| !known.contains(name)).map(str::to_owned));
    }

    /// The trimmed text of a child that must be there and not empty.
    fn required(&mut self, node: Node<'_, '_>, name: &'static str) -> String {
        let found = child_text(node, name).trim().to_owned();
        if found.is_empty() {
            let parent = node.tag_name().name();
            let message = format!("`{parent}` has no `{name}`");
            self.note(node, message, "the file is damaged or cut short: export it again");
        }
        found
    }

    fn guid(&mut self, node: Node<'_, '_>, name: &'static str) -> String {
        let found = self.required(node, name);
        match guid(&found) {
            Some(guid) => guid,
            None if found.is_empty() => found,
            None => {
                let message = format!("`{name}` is no identifier: `{found}`");
                self.note(node, message, "it is written as `{01234567-89ab-...}`");
                found
            }
        }
    }

    fn word<T>(
        &mut self,
        node: Node<'_, '_>,
        name: &'static str,
        words: &[&str],
        read: fn(&str) -> Option<T>,
    ) -> Option<T> {
        let found = self.required(node, name);
        let word = read(&found);
        if word.is_none() && !found.is_empty() {
            let message = format!("unknown `{name}`: `{found}`");
            self.note(node, message, &format!("known are `{}`", words.join("`, `")));
        }
        word
    }

    /// Absent is false.
    fn boolean(&mut self, node: Node<'_, '_>, name: &'static str) -> bool {
        let found = child_text(node, name);
        boolean(&found).unwrap_or_else(|| {
            if !found.trim().is_empty() {
                let message = format!("`{name}` is neither True nor False: `{}`", found.trim());
                self.note(node, message, "write one of the two");
            }
            false
        })
    }

    fn number(&mut self, node: Node<'_, '_>, name: &'static str) -> u32 {
        let found = self.required(node, name);
        found.parse().unwrap_or_else(|_| {
            if !found.is_empty() {
                let message = format!("`{name}` is no whole number from 0: `{found}`");
                self.note(node, message, "lower numbers win; the default rules begin at 100");
            }
            0
        })
    }

    fn flows(&mut self, root: Node<'_, '_>, counted: &mut Counted) -> Vec<Flow> {
        let mut flows = vec![];
        for mappings in children(root, "attribute-mappings") {
            for mapping in children(mappings, "mapping") {
                counted.flows += 1;
                let flow = self.flow(mapping);
                counted.expressions +=
                    usize::from(matches!(flow.source, FlowSource::Expression { .. }));
                flows.push(flow);
            }
        }
        flows
    }

    fn flow(&mut self, mapping: Node<'_, '_>) -> Flow {
        self.unknown(mapping, &KNOWN_IN_MAPPING);
        let source = child(mapping, "src");
        let listed: Vec<String> = source
            .into_iter()
            .flat_map(|source| children(source, "attr"))
            .map(|attr| text(attr).trim().to_owned())
            .collect();
        let expression = child_text(mapping, "expression");
        let source = if !expression.trim().is_empty() {
            FlowSource::Expression { text: expression, listed }
        } else if !listed.is_empty() {
            FlowSource::Direct(listed)
        } else {
            FlowSource::Constant(source.map(text).unwrap_or_default())
        };
        let merge = match child(mapping, "valueMergeType") {
            None => Some(MergeType::Update),
            Some(_) => self.word(mapping, "valueMergeType", MergeType::WORDS, MergeType::from_word),
        };
        let once = mapping.attribute("execute-once").unwrap_or_default();
        if boolean(once).is_none() && !once.is_empty() {
            let message = format!("`execute-once` is neither True nor False: `{once}`");
            self.note(mapping, message, "write one of the two");
        }
        Flow {
            to: self.required(mapping, "dest"),
            source,
            merge: merge.unwrap_or(MergeType::Update),
            once: boolean(once).unwrap_or(false),
            once_as: Some(once.to_owned()).filter(|once| !matches!(once.as_str(), "" | "True")),
        }
    }

    fn scope(&mut self, root: Node<'_, '_>) -> Vec<Vec<ScopeClause>> {
        let mut groups = vec![];
        for criteria in children(root, "synchronizationCriteria") {
            for group in children(criteria, "conditions") {
                let clause = |scope| ScopeClause {
                    attribute: self.required(scope, "csAttribute"),
                    operator: operator(&self.required(scope, "csOperator")),
                    value: child_text(scope, "csValue"),
                };
                groups.push(children(group, "scope").map(clause).collect());
            }
        }
        groups
    }

    fn join(&mut self, root: Node<'_, '_>) -> Vec<Vec<JoinClause>> {
        let mut groups = vec![];
        for criteria in children(root, "relationshipCriteria") {
            for group in children(criteria, "conditions") {
                let clause = |condition| JoinClause {
                    cs: self.required(condition, "csAttribute"),
                    mv: self.required(condition, "ilmAttribute"),
                    case_sensitive: self.boolean(condition, "caseSensitive"),
                };
                groups.push(children(group, "condition").map(clause).collect());
            }
        }
        groups
    }
}
