//! A whole rule and what an object type holds flow in; the rule without what could never say
//! anything flows out (R4).
//!
//! Nothing here knows a rule by name. A flow is left out if none of its attributes is there and it
//! yields nothing without them; a join group, if one of its attributes is not there; a rule, if no
//! object can be in its scope or nothing of it is left.

use std::collections::BTreeSet;

use kakehi_expr::{Environment, Expression, Outcome, Val};

use super::File;
use super::template::Filled;
use crate::config::yaml::{self, Node, Shape};
use crate::edge::SourceSchema;

/// What every object has (rules.md 4).
const ALWAYS: [&str; 2] = ["dn", "objectclass"];

/// Operators that an absent attribute makes true (provisioning.md 5).
const TRUE_OF_NOTHING: [&str; 9] = [
    "NOTEQUAL",
    "NOTCONTAINS",
    "NOTSTARTSWITH",
    "NOTENDSWITH",
    "ISNOTIN",
    "ISBITNOTSET",
    "ISNOTBITSET",
    "ISNOTMEMBEROF",
    "ISNULL",
];

/// The attributes of one object type, in lower case.
#[derive(Clone, Debug)]
pub(super) struct Holding(BTreeSet<String>);

/// A rule as a directory needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The comment above it.
    pub header: String,
    /// From its name to its last flow.
    lines: Vec<String>,
    /// Its test cases; empty where there are none.
    cases: String,
    pub group: String,
    /// The object type that it writes.
    pub to: String,
    pub writes: BTreeSet<String>,
}

/// An item of a list: the lines of it, comments before it included.
type Item = Vec<String>;

/// A flow and what it needs.
struct Flow {
    lines: Item,
    to: String,
    needs: Needs,
}

#[derive(Default)]
struct Needs {
    attributes: BTreeSet<String>,
    imported: BTreeSet<String>,
    parameters: BTreeSet<String>,
    /// Whether it says something of an object without any attribute.
    speaks: bool,
}

/// An object without attributes, at a directory that has every parameter.
struct Nothing;

// === impl Holding ===

impl Holding {
    /// `None` if there is no such class; names are compared without case, as directories do.
    pub fn of(schema: &SourceSchema, class: &str) -> Option<Self> {
        let found = schema.classes.iter().find(|(name, _)| name.eq_ignore_ascii_case(class));
        let (_, attributes) = found?;
        let kept = schema.attributes.iter().filter(|(_, attribute)| attribute.operational);
        let names = attributes.iter().chain(kept.map(|(name, _)| name));
        Some(Self(names.map(|name| name.to_ascii_lowercase()).collect()))
    }

    pub fn of_metaverse(written: &BTreeSet<String>) -> Self {
        Self(written.iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    pub fn has(&self, attribute: &str) -> bool {
        let name = attribute.to_ascii_lowercase();
        ALWAYS.contains(&&*name) || self.0.contains(&name)
    }
}

/// Cuts a rule down to what objects of a type hold. `None`: nothing of it is left.
pub(super) fn cut(filled: &Filled, holding: &Holding) -> Option<Piece> {
    let whole = yaml::parse(&filled.text).ok()?;
    let Shape::List(rules) = &whole.get("rules")?.shape else { return None };
    let rule = rules.first()?;
    if !can_hold(rule.get("scope"), holding) {
        return None;
    }
    let lines: Vec<String> = filled.text.lines().map(str::to_owned).collect();
    let start = lines.iter().position(|line| line == "rules:")? + 1;
    let (header, lines) = (&lines[..start - 1], &lines[start..]);
    let (before, flows) = match lines.iter().position(|line| line == "      flows:") {
        Some(at) => (&lines[..=at], items(&lines[at + 1..], 8)),
        None => (lines, vec![]),
    };
    let had_flows = !flows.is_empty();
    let flows: Vec<Flow> =
        flows.into_iter().filter_map(flow).filter(|flow| flow.needs.are_met(holding)).collect();
    let (before, joins) = with_joins(before, holding);
    if flows.is_empty() && had_flows && !joins {
        return None;
    }
    let text = |key: &str| rule.get(key).and_then(Node::as_text).unwrap_or_default().to_owned();
    let mut lines = before;
    if flows.is_empty() {
        lines.retain(|line| line != "    config:" && line != "      flows:");
    }
    lines.extend(flows.iter().flat_map(|flow| flow.lines.iter().cloned()));
    Some(Piece {
        header: header.iter().map(|line| format!("{line}\n")).collect(),
        lines,
        cases: cases(&filled.cases, &flows),
        group: text("group"),
        to: text("to"),
        writes: flows.into_iter().map(|flow| flow.to).collect(),
    })
}

/// Whether some object of the type can be in scope.
fn can_hold(scope: Option<&Node>, holding: &Holding) -> bool {
    let Some(Shape::List(groups)) = scope.map(|scope| &scope.shape) else { return true };
    let holds = |clause: &Node| {
        let text = |key: &str| clause.get(key).and_then(Node::as_text).unwrap_or_default();
        TRUE_OF_NOTHING.contains(&text("op")) || holding.has(text("attr"))
    };
    groups.iter().any(|group| match &group.shape {
        Shape::List(clauses) => clauses.iter().all(holds),
        _ => true,
    })
}

/// The head of a rule with the join groups that can match, and whether any is left.
fn with_joins(lines: &[String], holding: &Holding) -> (Vec<String>, bool) {
    let Some(at) = lines.iter().position(|line| line == "    join:") else {
        return (lines.to_vec(), false);
    };
    let ends = |line: &String| line.starts_with("    ") && !line.starts_with("     ");
    let end = lines[at + 1..].iter().position(ends).map_or(lines.len(), |end| at + 1 + end);
    let outbound = lines.iter().any(|line| line == "    direction: outbound");
    // Which side of a pair belongs to the objects that the rule reads.
    let side = if outbound { "mv" } else { "cs" };
    let can_match = |item: &Item| {
        let Some(Node { shape: Shape::List(groups), .. }) = parsed(item) else { return true };
        let Some(Node { shape: Shape::List(pairs), .. }) = groups.first() else { return true };
        pairs.iter().filter_map(|pair| pair.get(side)?.as_text()).all(|name| holding.has(name))
    };
    let kept: Vec<Item> =
        items(&lines[at + 1..end], 6).into_iter().filter(|item| can_match(item)).collect();
    let mut head = lines[..at].to_vec();
    if !kept.is_empty() {
        head.push(lines[at].clone());
    }
    let any = !kept.is_empty();
    head.extend(kept.into_iter().flatten());
    head.extend_from_slice(&lines[end..]);
    (head, any)
}

/// The items of a list whose dashes stand behind so many blanks; a comment belongs to the item
/// after it.
fn items(lines: &[String], indent: usize) -> Vec<Item> {
    let blanks = " ".repeat(indent);
    let mut items: Vec<Item> = vec![];
    let mut commented = false;
    for line in lines {
        let own = line.strip_prefix(&blanks).unwrap_or_default();
        let comment = own.starts_with('#');
        if (comment || own.starts_with("- ")) && !commented {
            items.push(vec![]);
        }
        commented = comment;
        match items.last_mut() {
            Some(item) => item.push(line.clone()),
            None => items.push(vec![line.clone()]),
        }
    }
    items
}

fn parsed(item: &Item) -> Option<Node> {
    yaml::parse(&item.join("\n")).ok()
}

fn flow(lines: Item) -> Option<Flow> {
    let Shape::List(flows) = parsed(&lines)?.shape else { return None };
    let flow = flows.first()?;
    let text = |key: &str| flow.get(key).and_then(Node::as_text);
    let needs = match (text("from"), text("expr")) {
        (Some(from), _) => Needs { attributes: [from.to_owned()].into(), ..Needs::default() },
        (None, Some(source)) => Needs::of(source),
        (None, None) => Needs { speaks: true, ..Needs::default() },
    };
    Some(Flow { to: text("to")?.to_owned(), needs, lines })
}

// === impl Needs ===

impl Needs {
    fn of(source: &str) -> Self {
        // The templates' own test refuses what cannot be parsed.
        let Ok(expression) = Expression::parse(source) else { return Self::default() };
        let reads = expression.reads();
        let names = |names: &BTreeSet<String>| names.iter().cloned().collect();
        Self {
            attributes: names(&reads.attributes),
            imported: names(&reads.imported),
            parameters: names(&reads.parameters),
            speaks: !matches!(expression.evaluate(&Nothing), Ok(Outcome::Null)),
        }
    }

    fn are_met(&self, holding: &Holding) -> bool {
        self.speaks || self.attributes.iter().chain(&self.imported).any(|name| holding.has(name))
    }
}

impl Environment for Nothing {
    fn attribute(&self, _: &str) -> Vec<Val> {
        vec![]
    }

    fn imported(&self, _: &str) -> Vec<Val> {
        vec![]
    }

    fn parameter(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    fn now(&self) -> i64 {
        0
    }
}

/// The cases that the flows can still answer.
fn cases(text: &str, flows: &[Flow]) -> String {
    let needs = |part: fn(&Needs) -> &BTreeSet<String>| -> BTreeSet<&str> {
        flows.iter().flat_map(|flow| part(&flow.needs)).map(String::as_str).collect()
    };
    let known = [
        ("in", needs(|needs| &needs.attributes)),
        ("imported", needs(|needs| &needs.imported)),
        ("parameters", needs(|needs| &needs.parameters)),
        ("out", flows.iter().map(|flow| flow.to.as_str()).collect()),
    ];
    let fits = |item: &Item| {
        let Some(Node { shape: Shape::List(cases), .. }) = parsed(item) else { return false };
        known.iter().all(|(part, known)| {
            let Some(Shape::Map(named)) =
                cases.first().and_then(|case| case.get(part)).map(|node| &node.shape)
            else {
                return true;
            };
            named.iter().all(|(name, _)| known.contains(name.value.as_str()))
        })
    };
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let kept = items(&lines, 0).into_iter().filter(fits).flatten();
    kept.map(|line| format!("{line}\n")).collect()
}

// === impl Piece ===

impl Piece {
    /// The rule for one connector, else for each of its kind. `cases`: the file of its cases, if it
    /// has any.
    pub fn text(&self, connector: Option<&str>, cases: &str) -> String {
        let mut text = String::new();
        for line in &self.lines {
            match connector.filter(|_| line.starts_with("    for_each: ")) {
                Some(connector) => text.push_str(&format!("    connector: {connector}")),
                None => text.push_str(line),
            }
            text.push('\n');
        }
        if !self.cases.is_empty() {
            text.push_str(&format!("    tests: [{{file: {cases}}}]\n"));
        }
        text
    }

    pub fn cases_file(&self, path: &str) -> Option<File> {
        let file = File { path: path.to_owned(), text: self.cases.clone() };
        (!self.cases.is_empty()).then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const RULE: &str = r#"# Why.
rules:
  - name: In
    group: user
    for_each: {kind: ad}
    direction: inbound
    from: user
    to: person
    link: provision
    scope:
      - - {attr: alias, op: ISNOTNULL}
      - - {attr: hidden, op: NOTEQUAL, value: "True"}
    join:
      # First.
      - [{cs: sid, mv: sid}]
      - [{cs: mail, mv: mail}, {cs: sn, mv: sn}]
    module: builtin:declarative
    config:
      flows:
        - {to: sn, expr: 'Trim([sn])'}
        # Always says something.
        - to: type
          expr: |-
            // Of linked ones, nothing.
            IIF([kind] = 2, NULL, "User")
        # Two ways.
        - {to: name, expr: 'IIF(IsPresent([name]), [name], [cn])'}
        - {to: alias, from: alias}
        - {to: fixed, value: true}
"#;

    const CASES: &str = "# About names.
- {in: {sn: a}, out: {sn: a}}
- {in: {alias: a}, out: {alias: a}}
";

    fn check(text: &str, attributes: &[&str], expected: &Expect) {
        let filled = Filled { text: text.to_owned(), cases: CASES.to_owned() };
        let holding = Holding(attributes.iter().map(|name| (*name).to_owned()).collect());
        let shown = match cut(&filled, &holding) {
            Some(piece) => format!("{}rules:\n{}", piece.header, piece.text(Some("corp"), "c.yml")),
            None => "nothing".to_owned(),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn r04_a_rule_keeps_what_its_objects_can_say() {
        check(
            RULE,
            &["cn", "sid"],
            &expect![[r#"
                # Why.
                rules:
                  - name: In
                    group: user
                    connector: corp
                    direction: inbound
                    from: user
                    to: person
                    link: provision
                    scope:
                      - - {attr: alias, op: ISNOTNULL}
                      - - {attr: hidden, op: NOTEQUAL, value: "True"}
                    join:
                      # First.
                      - [{cs: sid, mv: sid}]
                    module: builtin:declarative
                    config:
                      flows:
                        # Always says something.
                        - to: type
                          expr: |-
                            // Of linked ones, nothing.
                            IIF([kind] = 2, NULL, "User")
                        # Two ways.
                        - {to: name, expr: 'IIF(IsPresent([name]), [name], [cn])'}
                        - {to: fixed, value: true}
            "#]],
        );
    }

    #[test]
    fn r04_a_rule_that_nothing_can_be_in_scope_of_is_left_out() {
        let scoped = RULE.replace("      - - {attr: hidden, op: NOTEQUAL, value: \"True\"}\n", "");
        check(&scoped, &["cn", "sid"], &expect!["nothing"]);
        assert_ne!(scoped, RULE);
        let plain = "rules:\n  - name: In\n    config:\n      flows:\n        - {to: a, from: a}\n";
        check(plain, &["b"], &expect!["nothing"]);
        check(
            plain,
            &["a"],
            &expect![[r#"
                rules:
                  - name: In
                    config:
                      flows:
                        - {to: a, from: a}
            "#]],
        );
    }

    #[test]
    fn cases_that_the_rule_can_no_longer_answer_go_with_its_flows() {
        let filled = Filled { text: RULE.to_owned(), cases: CASES.to_owned() };
        let holding = Holding(["sn".to_owned()].into());
        let piece = cut(&filled, &holding).unwrap();
        assert_eq!(piece.cases, "# About names.\n- {in: {sn: a}, out: {sn: a}}\n");
        assert_eq!(piece.cases_file("x").map(|file| file.path).as_deref(), Some("x"));
        assert!(piece.text(None, "x").ends_with("    tests: [{file: x}]\n"));
    }
}
