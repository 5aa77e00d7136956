//! Why an expression has its value: the tree once more, with what each part came to.
//!
//! Every part is evaluated by the evaluator itself, so that what is told cannot differ from what
//! is done; here is only said which parts it did not look at, and which decided.

use crate::builtin::{Body, Lazy};
use crate::error::{EvalError, Position};
use crate::evaluate::Evaluation;
use crate::syntax::{Kind, Logic, Node};
use crate::value::{Data, Val};
use crate::{Compare, Computed, Environment, STEPS_MAX};

/// Most parts that are told of; what lies below the last is left out.
const PARTS_MAX: usize = 1000;

/// Most work that is done for telling: a part is evaluated once for each part around it.
const TOLD_STEPS_MAX: usize = 4 * STEPS_MAX;

/// Most values of a list whose round of `Select` or `Where` is told.
const ROUNDS_MAX: usize = 5;

/// One part of an expression and what it did.
#[derive(Clone, Debug)]
pub struct Explained {
    pub position: Position,
    /// The part as it stands there, without its own parts: `IIF`, `[sn]`, `<>`.
    pub text: String,
    pub share: Share,
    /// It chose the value of what is around it.
    pub decides: bool,
    /// The variable of this round of `Select` or `Where`.
    pub round: Option<(String, Val)>,
    /// In the order of evaluation.
    pub parts: Vec<Self>,
    /// Parts or rounds that are not told of.
    pub left_out: usize,
}

/// What a part had to do with the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    Value(Computed),
    Failed(EvalError),
    /// Not evaluated: another part had decided, or failed.
    Skipped,
}

pub(crate) fn explain(root: &Node, environment: &dyn Environment, compare: Compare) -> Explained {
    Explainer { environment, compare, bound: Vec::new(), told: 0, steps: 0 }.node(root)
}

struct Explainer<'e> {
    environment: &'e dyn Environment,
    compare: Compare,
    /// Variables in force with their values, innermost last.
    bound: Vec<(&'e Node, Data)>,
    told: usize,
    steps: usize,
}

// === impl Explainer ===

impl<'e> Explainer<'e> {
    fn value(&mut self, node: &'e Node) -> Result<Data, EvalError> {
        let mut evaluation = Evaluation::new(self.environment, self.compare);
        for (variable, data) in &self.bound {
            evaluation.bind(variable, data.clone());
        }
        let value = evaluation.node(node);
        self.steps = self.steps.saturating_add(evaluation.steps());
        value
    }

    fn node(&mut self, node: &'e Node) -> Explained {
        self.told += 1;
        let share = match self.value(node) {
            Ok(data) => Share::Value(data.into()),
            Err(error) => Share::Failed(error),
        };
        let mut explained = told(node, share);
        if self.told >= PARTS_MAX || self.steps > TOLD_STEPS_MAX {
            explained.left_out = node.parts().len();
            return explained;
        }
        match &node.kind {
            Kind::Logic(logic, parts) => self.logic(&mut explained, *logic, parts),
            Kind::Call(function, arguments) => match function.body {
                Body::Lazy(lazy) => self.lazy(&mut explained, lazy, arguments),
                Body::Read(_) => {}
                _ => self.in_turn(&mut explained, arguments.iter()),
            },
            _ => self.in_turn(&mut explained, node.parts().into_iter()),
        }
        explained
    }

    /// Parts that are all evaluated, as long as none fails. Gives whether none did.
    fn in_turn(&mut self, around: &mut Explained, parts: impl Iterator<Item = &'e Node>) {
        let mut failed = false;
        for part in parts {
            let explained = if failed { told(part, Share::Skipped) } else { self.node(part) };
            failed |= explained.failed();
            around.parts.push(explained);
        }
    }

    fn logic(&mut self, around: &mut Explained, logic: Logic, parts: &'e [Node]) {
        let decisive = logic == Logic::Or;
        let mut done = false;
        for part in parts {
            if done {
                around.parts.push(told(part, Share::Skipped));
                continue;
            }
            let mut explained = self.node(part);
            explained.decides = self.holds(part) == Some(decisive);
            done = explained.decides || explained.failed();
            around.parts.push(explained);
        }
    }

    fn holds(&mut self, condition: &'e Node) -> Option<bool> {
        self.value(condition).ok().and_then(|data| data.holds().ok())
    }

    fn lazy(&mut self, around: &mut Explained, lazy: Lazy, arguments: &'e [Node]) {
        match (lazy, arguments) {
            (Lazy::Iif, [condition, then, otherwise]) => {
                self.iif(around, condition, [then, otherwise]);
            }
            (Lazy::Switch, pairs) => self.switch(around, pairs),
            (Lazy::With, [variable, value, body]) => {
                let data = self.value(value);
                let mut explained = self.node(value);
                explained.text = format!("{} is {}", label(variable), explained.text);
                around.parts.push(explained);
                match data {
                    Ok(data) => {
                        let body = self.bound(variable, data, body);
                        around.parts.push(body);
                    }
                    Err(_) => around.parts.push(told(body, Share::Skipped)),
                }
            }
            (_, [variable, list, body]) => self.rounds(around, variable, list, body),
            _ => {}
        }
    }

    /// Of a condition with several values, each chooses its own branch.
    fn iif(&mut self, around: &mut Explained, condition: &'e Node, branches: [&'e Node; 2]) {
        let data = self.value(condition);
        let mut explained = self.node(condition);
        explained.decides = true;
        around.parts.push(explained);
        let chosen: Vec<bool> = match &data {
            Ok(Data::Many(values)) if values.len() > 1 => {
                values.iter().filter_map(|value| value.boolean().ok()).collect()
            }
            Ok(data) => data.holds().into_iter().collect(),
            Err(_) => vec![],
        };
        for (branch, wanted) in branches.into_iter().zip([true, false]) {
            let evaluated = chosen.contains(&wanted);
            let part = if evaluated { self.node(branch) } else { told(branch, Share::Skipped) };
            around.parts.push(part);
        }
    }

    fn switch(&mut self, around: &mut Explained, pairs: &'e [Node]) {
        let mut done = false;
        for pair in pairs.chunks(2) {
            let holds = !done && self.holds(&pair[0]) == Some(true);
            for (index, part) in pair.iter().enumerate() {
                let evaluated = !done && (index == 0 || holds);
                let mut explained =
                    if evaluated { self.node(part) } else { told(part, Share::Skipped) };
                explained.decides = index == 0 && holds;
                done |= explained.failed() || (index == 1 && holds);
                around.parts.push(explained);
            }
        }
    }

    fn rounds(
        &mut self,
        around: &mut Explained,
        variable: &'e Node,
        list: &'e Node,
        body: &'e Node,
    ) {
        around.parts.push(self.node(list));
        let values = self.value(list).and_then(|data| {
            data.into_values().map_err(|fault| EvalError { position: list.position, fault })
        });
        let values = values.unwrap_or_default();
        if values.is_empty() {
            around.parts.push(told(body, Share::Skipped));
        }
        around.left_out += values.len().saturating_sub(ROUNDS_MAX);
        for value in values.into_iter().take(ROUNDS_MAX) {
            let mut explained = self.bound(variable, Data::One(value.clone()), body);
            explained.round = Some((label(variable), value));
            let failed = explained.failed();
            around.parts.push(explained);
            if failed {
                return;
            }
        }
    }

    fn bound(&mut self, variable: &'e Node, data: Data, body: &'e Node) -> Explained {
        self.bound.push((variable, data));
        let explained = self.node(body);
        self.bound.pop();
        explained
    }
}

// === impl Explained ===

impl Explained {
    fn failed(&self) -> bool {
        matches!(self.share, Share::Failed(_))
    }
}

fn told(node: &Node, share: Share) -> Explained {
    Explained {
        position: node.position,
        text: label(node),
        share,
        decides: false,
        round: None,
        parts: Vec::new(),
        left_out: 0,
    }
}

/// A part as it stands in the expression, without its own parts.
fn label(node: &Node) -> String {
    match &node.kind {
        Kind::Constant(Data::One(Val::Text(text))) => format!("\"{}\"", text.replace('"', "\"\"")),
        Kind::Constant(Data::One(Val::Number(number))) => number.to_string(),
        Kind::Constant(Data::One(Val::Boolean(true))) => "True".to_owned(),
        Kind::Constant(Data::One(Val::Boolean(false))) => "False".to_owned(),
        Kind::Constant(_) => "NULL".to_owned(),
        Kind::Result(special) => special.name().to_owned(),
        Kind::Word(word) => (*word).to_owned(),
        Kind::Attribute(name) => format!("[{name}]"),
        Kind::Parameter(name) => format!("%{name}%"),
        Kind::Variable(name) => format!("${name}"),
        Kind::Negate(_) => "-".to_owned(),
        Kind::Logic(logic, _) => logic.symbol().to_owned(),
        Kind::Compare(_, steps) => symbols(steps.iter().map(|step| step.operator.symbol())),
        Kind::Arithmetic(_, steps) => symbols(steps.iter().map(|step| step.operator.symbol())),
        Kind::Call(function, arguments) => match (function.body, arguments.first()) {
            (Body::Read(_), Some(name)) => format!("{}({})", function.name, label(name)),
            _ => function.name.to_owned(),
        },
        Kind::Refused(_) => "?".to_owned(),
    }
}

/// The operators of a chain; once, if they are all the same.
fn symbols<'s>(symbols: impl Iterator<Item = &'s str>) -> String {
    let mut all: Vec<&str> = symbols.collect();
    if all.iter().all(|symbol| *symbol == all[0]) {
        all.truncate(1);
    }
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::Expression;
    use crate::testing::{Object, computed};

    fn check(expression: &str, attributes: &str, expected: Expect) {
        let parsed = Expression::parse_untyped(expression).unwrap();
        let mut lines = String::new();
        write(&parsed.explain(&Object::read(attributes)), 0, &mut lines);
        expected.assert_eq(&lines);
    }

    fn write(explained: &Explained, depth: usize, lines: &mut String) {
        let share = match &explained.share {
            Share::Value(value) => computed(value),
            Share::Failed(error) => format!("error: {error}"),
            Share::Skipped => "not evaluated".to_owned(),
        };
        let round = match &explained.round {
            Some((name, _)) => format!("{name}: "),
            None => String::new(),
        };
        let decides = if explained.decides { " (decides)" } else { "" };
        *lines += &format!("{}{round}{} -> {share}{decides}\n", "  ".repeat(depth), explained.text);
        explained.parts.iter().for_each(|part| write(part, depth + 1, lines));
        if explained.left_out > 0 {
            *lines += &format!("{}... {}\n", "  ".repeat(depth + 1), explained.left_out);
        }
    }

    #[test]
    fn c02_what_decided_is_marked_and_what_was_not_looked_at_is_told() {
        check(
            "IIF(IsPresent([a]) || [b] = \"x\" || Error(\"no\"), [b] & 1, NULL)",
            "b='x'",
            expect![[r#"
                IIF -> 'x1'
                  || -> True (decides)
                    IsPresent -> False
                      [a] -> NULL
                    = -> True (decides)
                      [b] -> 'x'
                      "x" -> 'x'
                    Error -> not evaluated
                  & -> 'x1'
                    [b] -> 'x'
                    1 -> 1
                  NULL -> not evaluated
            "#]],
        );
        check(
            "Switch([a]=1,\"one\",[a]=2,\"two\",True,\"many\")",
            "a=2",
            expect![[r#"
                Switch -> 'two'
                  = -> False
                    [a] -> 2
                    1 -> 1
                  "one" -> not evaluated
                  = -> True (decides)
                    [a] -> 2
                    2 -> 2
                  "two" -> 'two'
                  True -> not evaluated
                  "many" -> not evaluated
            "#]],
        );
    }

    #[test]
    fn variables_are_told_round_by_round_and_faults_where_they_happen() {
        check(
            "With($n, 1, Select($v, [p], CNum($v) + $n))",
            "p='1'|'x'|'3'",
            expect![[r#"
                With -> error: `x` is not a number at 1:29
                  $n is 1 -> 1
                  Select -> error: `x` is not a number at 1:29
                    [p] -> '1' | 'x' | '3'
                    $v: + -> 2
                      CNum -> 1
                        $v -> '1'
                      $n -> 1
                    $v: + -> error: `x` is not a number at 1:29
                      CNum -> error: `x` is not a number at 1:29
                        $v -> 'x'
                      $n -> not evaluated
            "#]],
        );
        let many = "p=1|2|3|4|5|6|7";
        check(
            "Where($v,[p],True)",
            many,
            expect![[r#"
                Where -> 1 | 2 | 3 | 4 | 5 | 6 | 7
                  [p] -> 1 | 2 | 3 | 4 | 5 | 6 | 7
                  $v: True -> True
                  $v: True -> True
                  $v: True -> True
                  $v: True -> True
                  $v: True -> True
                  ... 2
            "#]],
        );
    }

    #[test]
    fn the_number_of_parts_told_of_is_limited() {
        let nested = (0..8).fold("1".to_owned(), |inner, n| format!("Select($v{n},[p],{inner})"));
        let parsed = Expression::parse(&nested).unwrap();
        let explained = parsed.explain(&Object::read("p=1|2|3|4"));
        fn count(explained: &Explained) -> usize {
            1 + explained.parts.iter().map(count).sum::<usize>()
        }
        assert!(count(&explained) < 2 * PARTS_MAX, "{}", count(&explained));
    }
}
