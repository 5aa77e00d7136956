//! What an expression may say and hardly means. What flows in: a tree; what flows out: warnings.
//!
//! Only what is right for every object is said here: without a schema, much that looks odd is not.

use std::collections::BTreeMap;

use crate::builtin::{Body, Builtin, Lazy, Read};
use crate::error::Position;
use crate::syntax::{Arithmetic, Comparison, Kind, Logic, Node, Step};
use crate::value::{Data, Val};

/// Something that is allowed and probably not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub position: Position,
    /// Stable: a word for programs.
    pub kind: &'static str,
    pub message: String,
    /// How to mend it, as a phrase without final dot.
    pub hint: Option<&'static str>,
}

/// Attributes that hold several values in every directory that has them.
const LISTS: [&str; 9] = [
    "proxyAddresses",
    "member",
    "memberOf",
    "objectClass",
    "otherTelephone",
    "otherMailbox",
    "userCertificate",
    "directReports",
    "servicePrincipalName",
];

/// What a FILETIME of "never" is (provisioning.md 7).
const NEVER: [i64; 2] = [0, i64::MAX];

/// Warnings in order of place.
pub(crate) fn lint(root: &Node) -> Vec<Warning> {
    let mut linter = Linter::default();
    linter.node(root);
    linter.spellings();
    linter.warnings.sort_by_key(|warning| warning.position);
    linter.warnings
}

#[derive(Default)]
struct Linter<'e> {
    warnings: Vec<Warning>,
    attributes: Vec<(Position, &'e str)>,
}

// === impl Linter ===

impl<'e> Linter<'e> {
    fn node(&mut self, node: &'e Node) {
        match &node.kind {
            Kind::Attribute(name) => {
                self.attributes.push((node.position, name));
                if name.trim() != name {
                    let message = format!("the name of attribute `[{name}]` begins or ends blank");
                    self.warn(node.position, "blank-name", message, None);
                }
            }
            Kind::Logic(logic, parts) => self.logic(*logic, parts),
            Kind::Compare(first, steps) => self.comparison(first, steps),
            Kind::Arithmetic(_, steps) => self.arithmetic(steps),
            Kind::Call(function, arguments) => self.call(node.position, function, arguments),
            _ => {}
        }
        node.parts().into_iter().for_each(|part| self.node(part));
    }

    fn logic(&mut self, logic: Logic, parts: &'e [Node]) {
        for part in parts {
            if part.constant().is_some() {
                let message = format!("a constant beside `{}`", logic.symbol());
                let hint = "it decides for every object, or for none: leave it out";
                self.warn(part.position, "constant-condition", message, Some(hint));
            }
        }
    }

    fn comparison(&mut self, first: &'e Node, steps: &'e [Step<Comparison>]) {
        if let [_, second, ..] = steps {
            let message = "the result of a comparison is compared again".to_owned();
            let hint = "join two comparisons by `&&`";
            self.warn(second.position, "comparison-chain", message, Some(hint));
        }
        let mut left = first;
        for step in steps {
            let null = |node: &Node| matches!(node.constant(), Some(Data::Null));
            if null(left) || null(&step.right) {
                let message = match step.operator {
                    Comparison::Equal => "`= NULL` asks whether a value is absent",
                    Comparison::NotEqual => "`<> NULL` asks whether a value is not absent",
                    _ => "a value has no order with NULL: this is always False",
                };
                let hint = "`IsNull(...)` says so; `IsPresent(...)` counts \"\" as absent too";
                self.warn(step.position, "null-comparison", message.to_owned(), Some(hint));
            }
            for side in [left, &step.right] {
                if let Kind::Attribute(name) = &side.kind
                    && LISTS.contains(&name.as_str())
                {
                    let message = format!("`[{name}]` holds several values, each is compared");
                    let hint = "`Contains` searches a list, `Count` counts it";
                    self.warn(side.position, "list-comparison", message, Some(hint));
                }
            }
            left = &step.right;
        }
    }

    fn arithmetic(&mut self, steps: &'e [Step<Arithmetic>]) {
        let mut sum = false;
        for step in steps {
            match step.operator {
                Arithmetic::Add | Arithmetic::Subtract => sum = true,
                Arithmetic::Multiply if sum => {
                    let message = "computed from left to right: `2+3*5` is 25".to_owned();
                    let hint = "brackets make the order plain";
                    self.warn(step.position, "flat-arithmetic", message, Some(hint));
                }
                _ => {}
            }
        }
    }

    fn call(&mut self, position: Position, function: &'static Builtin, arguments: &'e [Node]) {
        match (function.body, function.name, arguments) {
            (Body::Lazy(Lazy::Iif), _, [condition, ..]) => self.condition(condition),
            (Body::Lazy(Lazy::Switch), _, pairs) => {
                // A last condition `True` is how one writes "otherwise".
                let last = pairs.len().saturating_sub(2);
                pairs[..last].iter().step_by(2).for_each(|condition| self.condition(condition));
            }
            (Body::Lazy(_), _, [variable, value, body]) => self.binding(variable, value, body),
            (Body::Read(Read::Now), ..) => {
                let message = "`Now()` makes the value change while the object stays the same";
                self.warn(position, "volatile", message.to_owned(), None);
            }
            (_, "DateFromNum", [number]) => self.date_from_number(number),
            (_, "FormatDateTime", [date, format]) => {
                self.never_a_date(date);
                self.format(format);
            }
            (_, "NumFromDate", [date]) | (_, "DateAdd", [_, _, date]) => self.never_a_date(date),
            (_, "IsBitSet", [_, mask]) => {
                if let Some(Data::One(Val::Number(mask_bits))) = mask.constant()
                    && mask_bits.count_ones() > 1
                {
                    let message = "the mask has several bits, and one of them is enough".to_owned();
                    let hint = "`BitAnd(value, mask) = mask` asks for all of them";
                    self.warn(mask.position, "several-bits", message, Some(hint));
                }
            }
            _ => {}
        }
    }

    fn condition(&mut self, condition: &'e Node) {
        if condition.constant().is_some() {
            let message = "a constant condition: one branch is never taken".to_owned();
            self.warn(condition.position, "constant-condition", message, None);
        }
    }

    fn binding(&mut self, variable: &'e Node, value: &'e Node, body: &'e Node) {
        let Kind::Variable(name) = &variable.kind else { return };
        if !uses(body, name) {
            let message = format!("variable `${name}` is never used");
            self.warn(variable.position, "unused-variable", message, None);
        }
        // A value of its own name is the outer variable, which is right and hard to read.
        if uses(value, name) {
            let message = format!("variable `${name}` hides another of its name");
            self.warn(variable.position, "hidden-variable", message, None);
        }
    }

    fn date_from_number(&mut self, number: &'e Node) {
        let message = match (&number.kind, number.constant()) {
            (_, Some(Data::One(Val::Number(ticks)))) if NEVER.contains(ticks) => {
                format!("{ticks} means \"never\" in a directory, and becomes a date here")
            }
            (Kind::Attribute(name), _) => format!(
                "where `[{name}]` is 0 or {}, which mean \"never\", it becomes a date too",
                i64::MAX
            ),
            _ => return,
        };
        let hint = "test for both numbers first, as in `IIF([x] = 0, NULL, ...)`";
        self.warn(number.position, "never-date", message, Some(hint));
    }

    fn never_a_date(&mut self, date: &'e Node) {
        if let Kind::Attribute(name) = &date.kind {
            let message =
                format!("attribute `[{name}]` is no date: dates exist in expressions only");
            let hint = "`CDate` reads a text, `DateFromNum` a number";
            self.warn(date.position, "no-date", message, Some(hint));
        }
    }

    /// Runs of a letter that .NET's formats would replace, and this one writes as it stands.
    fn format(&mut self, format: &'e Node) {
        let Some(Data::One(Val::Text(text))) = format.constant() else { return };
        let mut rest = text.as_str();
        while let Some(letter) = rest.chars().next() {
            let run = rest.len() - rest.trim_start_matches(letter).len();
            let known = match letter {
                'y' => run == 2 || run == 4,
                'M' | 'd' | 'H' | 'h' | 'm' | 's' | 't' => run == 2,
                'f' | 'F' | 'z' | 'K' => false,
                _ => true,
            };
            if !known {
                let message = format!("`{}` in a date is written as it stands", &rest[..run]);
                let hint = "the fields are yyyy yy MM dd HH hh mm ss tt";
                self.warn(format.position, "date-format", message, Some(hint));
            }
            rest = &rest[run..];
        }
    }

    /// One attribute in two spellings: names are case-sensitive (R31), so they are two attributes.
    fn spellings(&mut self) {
        let mut first: BTreeMap<String, &str> = BTreeMap::new();
        for (position, name) in std::mem::take(&mut self.attributes) {
            let known = *first.entry(name.to_lowercase()).or_insert(name);
            if known != name {
                let message = format!("`[{name}]` and `[{known}]` are two attributes");
                let hint = "names are case-sensitive";
                self.warn(position, "spelling", message, Some(hint));
            }
        }
    }

    fn warn(
        &mut self,
        position: Position,
        kind: &'static str,
        message: String,
        hint: Option<&'static str>,
    ) {
        self.warnings.push(Warning { position, kind, message, hint });
    }
}

/// Whether a variable of this name that is bound outside is used in a part.
fn uses(node: &Node, name: &str) -> bool {
    match &node.kind {
        Kind::Variable(used) => used == name,
        Kind::Call(function, arguments) => match (function.body, &arguments[..]) {
            (Body::Lazy(Lazy::With | Lazy::Select | Lazy::Where), [variable, value, body]) => {
                let hidden = matches!(&variable.kind, Kind::Variable(inner) if inner == name);
                uses(value, name) || (!hidden && uses(body, name))
            }
            _ => arguments.iter().any(|argument| uses(argument, name)),
        },
        _ => node.parts().into_iter().any(|part| uses(part, name)),
    }
}

#[cfg(test)]
mod tests {
    use crate::Analysis;

    /// Expression, and the place and kind of each warning.
    const CASES: &[(&str, &[&str])] = &[
        ("2+3*5", &["1:4 flat-arithmetic"]),
        ("2+(3*5)", &[]),
        ("2*3+5", &[]),
        ("Trim(1-2*3)", &["1:9 flat-arithmetic"]),
        ("[a] = NULL", &["1:5 null-comparison"]),
        ("NULL <> [a]", &["1:6 null-comparison"]),
        ("[a] = \"\"", &[]),
        ("IIF(True, 1, 2)", &["1:5 constant-condition"]),
        ("IIF([a], 1, 2)", &[]),
        ("Switch([a]=1,1,True,2)", &[]),
        ("Switch(True,1,[a]=1,2)", &["1:8 constant-condition"]),
        ("[a] || True", &["1:8 constant-condition"]),
        ("1 < [a] < 3", &["1:9 comparison-chain"]),
        ("[proxyAddresses] = \"x\"", &["1:1 list-comparison"]),
        ("[mail] & [Mail] & [mail]", &["1:10 spelling"]),
        ("[ sn]", &["1:1 blank-name"]),
        ("DateFromNum(0)", &["1:13 never-date"]),
        ("DateFromNum(9223372036854775807)", &["1:13 never-date"]),
        ("DateFromNum([accountExpires])", &["1:13 never-date"]),
        ("DateFromNum(129699324000000000)", &[]),
        ("FormatDateTime(CDate([a]),\"yyyy-MM-dd HH:mm\")", &[]),
        ("FormatDateTime(CDate([a]),\"d MMM yyyy\")", &["1:27 date-format", "1:27 date-format"]),
        ("FormatDateTime([a],\"yyyyMMddHHmmss.0Z\")", &["1:16 no-date"]),
        ("IsBitSet([a],6)", &["1:14 several-bits"]),
        ("IsBitSet([a],4)", &[]),
        ("Select($v,[a],1)", &["1:8 unused-variable"]),
        ("Select($v,[a],Select($v,[b],$v))", &["1:8 unused-variable"]),
        ("With($v,[a],With($v,$v,$v))", &["1:18 hidden-variable"]),
        ("Now() > CDate([a])", &["1:1 volatile"]),
    ];

    #[test]
    fn c01_what_is_hardly_meant_is_warned_of() {
        for (expression, expected) in CASES {
            let warnings = Analysis::of(expression).warnings;
            let found: Vec<String> = warnings
                .iter()
                .map(|warning| format!("{} {}", warning.position, warning.kind))
                .collect();
            assert_eq!(found, *expected, "{expression}");
        }
    }
}
