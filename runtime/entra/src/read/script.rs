//! Format B: the script that the rules editor exports flows in, rules flow out.
//!
//! A script is data here and is never run. What it may hold is what the editor writes: rules, their
//! mappings, conditions and groups, put together by variables. Anything else is refused with its
//! line, since a rule that is read in part does something else than the whole one.

mod lex;
mod statement;

use std::collections::BTreeMap;

use self::lex::Token;
use self::statement::{Call, Expr, Statement};
use super::Counted;
use crate::fault::{Fault, SCRIPT};
use crate::model::{
    Direction, Flow, FlowSource, JoinClause, LinkType, MergeType, NO_ID, Origin, Rule, ScopeClause,
    boolean, guid, operator,
};

/// What an expression of the script stands for.
#[derive(Clone, Debug)]
enum Value {
    Null,
    Text(String),
    Boolean(bool),
    List(Vec<Value>),
    /// Index of a rule that the script began.
    Rule(usize),
    Scope(ScopeClause),
    Join(JoinClause),
}

/// The state of a script while it is read.
struct Reader<'a> {
    file: &'a str,
    /// By name in lower case.
    variables: BTreeMap<String, Value>,
    /// Each with whether it was added in the end.
    rules: Vec<(Rule, bool)>,
    expressions: usize,
}

/// Why a statement means nothing here.
struct Refusal {
    line: u32,
    message: String,
    hint: &'static str,
}

type Read<T> = Result<T, Refusal>;

const NOT_RUN: &str = "scripts are read and never run: keep only what the rules editor exports";

/// Commands that change no rule: the editor ends with one, people begin with another.
const WITHOUT_EFFECT: [&str; 2] = ["get-adsyncrule", "import-module"];

/// Reads the rules of a script. Faults are noted; with one, nothing is made of the script.
pub(super) fn rules(
    file: &str,
    text: &str,
    counted: &mut Counted,
    faults: &mut Vec<Fault>,
) -> Vec<Rule> {
    let mut reader = Reader { file, variables: BTreeMap::new(), rules: vec![], expressions: 0 };
    let before = faults.len();
    let mut note = |refusal: Refusal| {
        let fault = Fault::new(SCRIPT, refusal.message).at(file, refusal.line);
        faults.push(fault.hint(refusal.hint));
    };
    match lex::tokens(text) {
        Err(refusal) => note(refusal),
        Ok(tokens) => {
            for statement in statement::statements(&tokens) {
                if let Err(refusal) = statement.and_then(|statement| reader.run(&statement)) {
                    note(refusal);
                }
            }
        }
    }
    for (rule, added) in &reader.rules {
        counted.rules += 1;
        counted.flows += rule.flows.len();
        if !added {
            note(Refusal {
                line: rule.origin.line,
                message: format!("the rule `{}` is never added", rule.name),
                hint: "the script was cut short: `Add-ADSyncRule -SynchronizationRule ...` \
                       ends a rule",
            });
        }
    }
    counted.expressions += reader.expressions;
    if faults.len() > before {
        vec![]
    } else {
        reader.rules.into_iter().map(|(rule, _)| rule).collect()
    }
}

// === impl Refusal ===

impl Refusal {
    fn new(line: u32, message: impl Into<String>) -> Self {
        Self { line, message: message.into(), hint: NOT_RUN }
    }

    fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// Reads one statement: a command, or a variable that takes what a command gives.
    fn run(&mut self, statement: &Statement<'_>) -> Read<()> {
        let value = match &statement.right {
            Expr::Call(call) => self.call(call)?,
            other => self.value(other, statement.line)?,
        };
        match &statement.variable {
            Some(name) => {
                self.variables.insert(name.to_lowercase(), value);
            }
            // A lone value does nothing; only the variables of a script are written like this.
            None if matches!(statement.right, Expr::Call(_)) => {}
            None => return Err(Refusal::new(statement.line, "a value without a command")),
        }
        Ok(())
    }

    fn call(&mut self, call: &Call<'_>) -> Read<Value> {
        let mut arguments = Arguments::new(call)?;
        let value = match call.command.to_lowercase().as_str() {
            "new-adsyncrule" => self.new_rule(&mut arguments)?,
            "add-adsyncattributeflowmapping" => self.add_flow(&mut arguments)?,
            "new-object" => self.new_object(&mut arguments)?,
            "add-adsyncscopeconditiongroup" => self.add_scope(&mut arguments)?,
            "add-adsyncjoinconditiongroup" => self.add_join(&mut arguments)?,
            "add-adsyncrule" => {
                let rule = self.rule_of(&mut arguments)?;
                self.rules[rule].1 = true;
                Value::Rule(rule)
            }
            other if WITHOUT_EFFECT.contains(&other) => return Ok(Value::Null),
            _ => {
                let message = format!("unknown command `{}`", call.command);
                return Err(Refusal::new(call.line, message));
            }
        };
        if let Some(name) = arguments.take("OutVariable") {
            let name = self.text(&name, call.line)?;
            if name.starts_with('+') {
                return Err(Refusal::new(call.line, "`-OutVariable` that appends"));
            }
            self.variables.insert(name.to_lowercase(), Value::List(vec![value.clone()]));
        }
        arguments.done()?;
        Ok(value)
    }

    fn new_rule(&mut self, arguments: &mut Arguments<'_, '_>) -> Read<Value> {
        let line = arguments.line;
        let mut text = |name: &'static str| self.argument_text(arguments, name);
        let rule = Rule {
            origin: Origin { file: self.file.to_owned(), line },
            name: required(line, "Name", text("Name")?)?,
            id: id(line, "Identifier", &required(line, "Identifier", text("Identifier")?)?)?,
            internal_id: None,
            version: None,
            description: text("Description")?.unwrap_or_default(),
            immutable_tag: text("ImmutableTag")?.unwrap_or_default(),
            direction: word(line, "Direction", text("Direction")?, Direction::from_word)?,
            connector: id(line, "Connector", &required(line, "Connector", text("Connector")?)?)?,
            source_type: required(line, "SourceObjectType", text("SourceObjectType")?)?,
            target_type: required(line, "TargetObjectType", text("TargetObjectType")?)?,
            link: word(line, "LinkType", text("LinkType")?, LinkType::from_word)?,
            precedence: number(line, &required(line, "Precedence", text("Precedence")?)?)?,
            precedence_after: place(line, "PrecedenceAfter", text("PrecedenceAfter")?)?,
            precedence_before: place(line, "PrecedenceBefore", text("PrecedenceBefore")?)?,
            soft_delete: match text("SoftDeleteExpiryInterval")?.as_deref() {
                None | Some("" | "0") => "00:00:00".to_owned(),
                Some(span) => span.to_owned(),
            },
            disabled: self.switch(arguments, "Disabled")?,
            password_sync: self.switch(arguments, "EnablePasswordSync")?,
            flows: vec![],
            scope: vec![],
            join: vec![],
            unknown: vec![],
        };
        self.rules.push((rule, false));
        Ok(Value::Rule(self.rules.len() - 1))
    }

    fn add_flow(&mut self, arguments: &mut Arguments<'_, '_>) -> Read<Value> {
        let line = arguments.line;
        let rule = self.rule_of(arguments)?;
        let sources = match arguments.take("Source") {
            None => vec![],
            Some(source) => self.texts(&source, line)?,
        };
        let expression = self.argument_text(arguments, "Expression")?;
        let kind = self.argument_text(arguments, "FlowType")?.unwrap_or_default();
        let source = match (kind.to_lowercase().as_str(), expression) {
            ("expression", Some(text)) if !text.trim().is_empty() => {
                self.expressions += 1;
                FlowSource::Expression { text, listed: sources }
            }
            ("expression", _) => return Err(missing(line, "Expression")),
            ("direct", _) if sources.is_empty() => return Err(missing(line, "Source")),
            ("direct", _) => FlowSource::Direct(sources),
            ("constant", _) => FlowSource::Constant(sources.into_iter().next().unwrap_or_default()),
            _ => {
                let message = format!("unknown `-FlowType`: `{kind}`");
                return Err(Refusal::new(line, message)
                    .hint("known are `Direct`, `Constant` and `Expression`"));
            }
        };
        let merge = match self.argument_text(arguments, "ValueMergeType")? {
            None => MergeType::Update,
            some => word(line, "ValueMergeType", some, MergeType::from_word)?,
        };
        let to = required(line, "Destination", self.argument_text(arguments, "Destination")?)?;
        let once = self.switch(arguments, "ExecuteOnce")?;
        self.rules[rule].0.flows.push(Flow { to, source, merge, once, once_as: None });
        Ok(Value::Rule(rule))
    }

    fn new_object(&mut self, arguments: &mut Arguments<'_, '_>) -> Read<Value> {
        let line = arguments.line;
        let kind = required(line, "TypeName", self.argument_text(arguments, "TypeName")?)?;
        let list = arguments.take("ArgumentList").ok_or_else(|| missing(line, "ArgumentList"))?;
        let Value::List(values) = self.value(&list, line)? else {
            return Err(Refusal::new(line, "`-ArgumentList` is no list"));
        };
        let kind = kind.rsplit('.').next().unwrap_or_default();
        match (kind, &values[..]) {
            // The value stands before the operator.
            ("ScopeCondition", [attribute, value, operator_word]) => {
                Ok(Value::Scope(ScopeClause {
                    attribute: plain(line, attribute)?,
                    operator: operator(&plain(line, operator_word)?),
                    value: match value {
                        Value::Null => String::new(),
                        value => plain(line, value)?,
                    },
                }))
            }
            ("JoinCondition", [cs, mv, case]) => Ok(Value::Join(JoinClause {
                cs: plain(line, cs)?,
                mv: plain(line, mv)?,
                case_sensitive: flag(line, case)?,
            })),
            ("ScopeCondition" | "JoinCondition", _) => {
                let message = format!("`{kind}` takes 3 arguments, found {}", values.len());
                Err(Refusal::new(line, message))
            }
            _ => Err(Refusal::new(line, format!("unknown kind of object `{kind}`"))),
        }
    }

    fn add_scope(&mut self, arguments: &mut Arguments<'_, '_>) -> Read<Value> {
        let rule = self.rule_of(arguments)?;
        let clauses = self.conditions(arguments, "ScopeConditions")?.into_iter();
        let group = clauses.map(|condition| match condition {
            Value::Scope(clause) => Ok(clause),
            _ => Err(Refusal::new(arguments.line, "`-ScopeConditions` holds something else")),
        });
        let group = group.collect::<Read<_>>()?;
        self.rules[rule].0.scope.push(group);
        Ok(Value::Rule(rule))
    }

    fn add_join(&mut self, arguments: &mut Arguments<'_, '_>) -> Read<Value> {
        let rule = self.rule_of(arguments)?;
        let clauses = self.conditions(arguments, "JoinConditions")?.into_iter();
        let group = clauses.map(|condition| match condition {
            Value::Join(clause) => Ok(clause),
            _ => Err(Refusal::new(arguments.line, "`-JoinConditions` holds something else")),
        });
        let group = group.collect::<Read<_>>()?;
        self.rules[rule].0.join.push(group);
        Ok(Value::Rule(rule))
    }

    fn conditions(
        &self,
        arguments: &mut Arguments<'_, '_>,
        name: &'static str,
    ) -> Read<Vec<Value>> {
        let line = arguments.line;
        let list = arguments.take(name).ok_or_else(|| missing(line, name))?;
        Ok(match self.value(&list, line)? {
            Value::List(items) => items,
            single => vec![single],
        })
    }

    fn rule_of(&self, arguments: &mut Arguments<'_, '_>) -> Read<usize> {
        let line = arguments.line;
        let name = "SynchronizationRule";
        let expr = arguments.take(name).ok_or_else(|| missing(line, name))?;
        match self.value(&expr, line)? {
            Value::Rule(rule) => Ok(rule),
            Value::List(items) => match items[..] {
                [Value::Rule(rule)] => Ok(rule),
                _ => Err(Refusal::new(line, "`-SynchronizationRule` is no rule")),
            },
            _ => Err(Refusal::new(line, "`-SynchronizationRule` is no rule")),
        }
    }

    fn value(&self, expr: &Expr<'_>, line: u32) -> Read<Value> {
        match expr {
            Expr::Text(text) => Ok(Value::Text(text.to_string())),
            Expr::List(items) => {
                let values = items.iter().map(|item| self.value(item, line));
                values.collect::<Read<_>>().map(Value::List)
            }
            Expr::Variable { name, index } => {
                match (name.to_lowercase().as_str(), index) {
                    ("true", None) => return Ok(Value::Boolean(true)),
                    ("false", None) => return Ok(Value::Boolean(false)),
                    ("null", None) => return Ok(Value::Null),
                    _ => {}
                }
                let unknown = || Refusal::new(line, format!("`${name}` was given no value before"));
                let value = self.variables.get(&name.to_lowercase()).ok_or_else(unknown)?;
                match (value, index) {
                    (value, None) => Ok(value.clone()),
                    (Value::List(items), Some(index)) => {
                        let none = || Refusal::new(line, format!("`${name}` has no item {index}"));
                        items.get(*index).cloned().ok_or_else(none)
                    }
                    // PowerShell takes a single value for a list of one.
                    (value, Some(0)) => Ok(value.clone()),
                    (_, Some(index)) => {
                        Err(Refusal::new(line, format!("`${name}` has no item {index}")))
                    }
                }
            }
            Expr::Call(call) => Err(Refusal::new(call.line, "a command inside a value")),
        }
    }

    fn text(&self, expr: &Expr<'_>, line: u32) -> Read<String> {
        plain(line, &self.value(expr, line)?)
    }

    fn texts(&self, expr: &Expr<'_>, line: u32) -> Read<Vec<String>> {
        match self.value(expr, line)? {
            Value::Null => Ok(vec![]),
            Value::List(items) => items.iter().map(|item| plain(line, item)).collect(),
            single => plain(line, &single).map(|text| vec![text]),
        }
    }

    fn argument_text(
        &self,
        arguments: &mut Arguments<'_, '_>,
        name: &'static str,
    ) -> Read<Option<String>> {
        let line = arguments.line;
        match arguments.take(name) {
            None => Ok(None),
            Some(expr) => match self.value(&expr, line)? {
                Value::Null => Ok(None),
                value => plain(line, &value).map(Some),
            },
        }
    }

    /// `-Disabled`, `-Disabled:$true`.
    fn switch(&self, arguments: &mut Arguments<'_, '_>, name: &'static str) -> Read<bool> {
        let line = arguments.line;
        match arguments.take_switch(name) {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(expr)) => flag(line, &self.value(&expr, line)?),
        }
    }
}

/// The arguments of one command; each must be taken by it.
struct Arguments<'c, 'a> {
    line: u32,
    left: Vec<(&'a str, Option<&'c Expr<'a>>)>,
}

// === impl Arguments ===

impl<'c, 'a> Arguments<'c, 'a> {
    fn new(call: &'c Call<'a>) -> Read<Self> {
        let mut left: Vec<(&str, Option<&Expr<'_>>)> = vec![];
        for (name, value) in &call.arguments {
            if left.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                return Err(Refusal::new(call.line, format!("`-{name}` stands twice")));
            }
            left.push((name, value.as_ref()));
        }
        Ok(Self { line: call.line, left })
    }

    fn take_switch(&mut self, name: &str) -> Option<Option<Expr<'a>>> {
        let at = self.left.iter().position(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(self.left.remove(at).1.cloned())
    }

    fn take(&mut self, name: &str) -> Option<Expr<'a>> {
        self.take_switch(name).flatten()
    }

    /// Errors: an argument that nobody took would change what the rule means.
    fn done(&self) -> Read<()> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(Refusal::new(self.line, format!("unknown or empty argument `-{name}`")))
            }
        }
    }
}

fn missing(line: u32, name: &str) -> Refusal {
    Refusal::new(line, format!("`-{name}` is missing")).hint("export the rule again, all of it")
}

fn required(line: u32, name: &str, text: Option<String>) -> Read<String> {
    text.filter(|text| !text.trim().is_empty()).ok_or_else(|| missing(line, name))
}

fn id(line: u32, name: &str, text: &str) -> Read<String> {
    let message = || Refusal::new(line, format!("`-{name}` is no identifier: `{text}`"));
    guid(text).ok_or_else(message)
}

/// The rule that this one was put beside; an empty text is none.
fn place(line: u32, name: &str, text: Option<String>) -> Read<String> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(NO_ID.to_owned()),
        Some(text) => id(line, name, &text),
    }
}

fn number(line: u32, text: &str) -> Read<u32> {
    let message = format!("`-Precedence` is no whole number from 0: `{text}`");
    text.parse().map_err(|_| Refusal::new(line, message))
}

fn word<T>(line: u32, name: &str, text: Option<String>, read: fn(&str) -> Option<T>) -> Read<T> {
    let text = required(line, name, text)?;
    read(&text).ok_or_else(|| Refusal::new(line, format!("unknown `-{name}`: `{text}`")))
}

fn plain(line: u32, value: &Value) -> Read<String> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Boolean(flag) => Ok(if *flag { "True" } else { "False" }.to_owned()),
        _ => Err(Refusal::new(line, "something else stands where a text is expected")),
    }
}

fn flag(line: u32, value: &Value) -> Read<bool> {
    match value {
        Value::Boolean(flag) => Ok(*flag),
        Value::Text(text) => {
            let message = || Refusal::new(line, format!("`{text}` is neither true nor false"));
            boolean(text).ok_or_else(message)
        }
        _ => Err(Refusal::new(line, "something else stands where `$true` is expected")),
    }
}

/// Whether a token ends a statement.
fn ends(token: &Token<'_>) -> bool {
    matches!(token, Token::End)
}

#[cfg(test)]
mod tests;
