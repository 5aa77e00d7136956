//! Format C: the JSON of `Get-ADSyncRule | ConvertTo-Json` flows in, rules flow out.
//!
//! Windows PowerShell writes words as numbers of enumerations that are documented nowhere, and cuts
//! off what is nested deeper than `-Depth`. Neither is guessed at: both are told, with a way out.

use serde_json::{Map, Value};

use super::Counted;
use crate::fault::{Fault, JSON, RULE};
use crate::model::{
    Direction, Flow, FlowSource, JoinClause, LinkType, MergeType, NO_ID, Origin, Rule, ScopeClause,
    boolean, guid, operator,
};

const DEPTH_HINT: &str = "`ConvertTo-Json -Depth 8` writes all of it";
const NUMBER_HINT: &str = "numbers of words are not documented: write words by `ConvertTo-Json \
     -EnumsAsStrings` (PowerShell 7), or take the XML of `Get-ADSyncServerConfiguration -Path DIR`";

/// One object of the file and the way to it.
struct At<'a> {
    file: &'a str,
    /// ``rule 3 `In from AD - User Join` ``, for messages.
    place: String,
    object: &'a Map<String, Value>,
    faults: &'a mut Vec<Fault>,
}

/// Reads one rule or a list of them. Faults are noted; faulty rules are left out.
pub(super) fn rules(
    file: &str,
    text: &str,
    counted: &mut Counted,
    faults: &mut Vec<Fault>,
) -> Vec<Rule> {
    let json: Value = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(0);
            let message = format!("no JSON: {error}");
            let hint = "export it again: `Get-ADSyncRule | ConvertTo-Json -Depth 8`";
            faults.push(Fault::new(JSON, message).at(file, line).hint(hint));
            return vec![];
        }
    };
    let mut rules = vec![];
    for (index, rule) in list(&json).iter().enumerate() {
        counted.rules += 1;
        let Value::Object(object) = rule else {
            let message = format!("rule {} is no object", index + 1);
            faults.push(Fault::new(JSON, message).at(file, 0).hint(DEPTH_HINT));
            continue;
        };
        let name = object.get("Name").and_then(Value::as_str).unwrap_or("?");
        let place = format!("rule {} `{name}`", index + 1);
        rules.extend(At { file, place, object, faults }.rule(counted));
    }
    rules
}

/// A list, also where PowerShell 5 wrapped it in an object or left a single value alone.
fn list(json: &Value) -> Vec<Value> {
    match json {
        Value::Null => vec![],
        Value::Array(items) => items.clone(),
        Value::Object(object) => match (object.get("value"), object.get("Count")) {
            (Some(Value::Array(items)), Some(_)) => items.clone(),
            _ => vec![json.clone()],
        },
        single => vec![single.clone()],
    }
}

// === impl At ===

impl At<'_> {
    fn note(&mut self, code: &'static str, message: &str, hint: &str) {
        let message = format!("{}: {message}", self.place);
        self.faults.push(Fault::new(code, message).at(self.file, 0).hint(hint));
    }

    fn rule(mut self, counted: &mut Counted) -> Option<Rule> {
        let before = self.faults.len();
        let rule = Rule {
            origin: Origin { file: self.file.to_owned(), line: 0 },
            id: self.id("Identifier"),
            internal_id: None,
            version: self.object.get("Version").and_then(Value::as_i64).map(|it| it.to_string()),
            name: self.required("Name"),
            description: self.text("Description"),
            immutable_tag: self.text("ImmutableTag").trim().to_owned(),
            direction: self
                .word("Direction", Direction::WORDS, Direction::from_word)
                .unwrap_or(Direction::Inbound),
            disabled: self.boolean("Disabled"),
            connector: self.id("Connector"),
            source_type: self.required("SourceObjectType"),
            target_type: self.required("TargetObjectType"),
            link: self
                .word("LinkType", LinkType::WORDS, LinkType::from_word)
                .unwrap_or(LinkType::Join),
            precedence: self.precedence(),
            precedence_after: self.optional_id("PrecedenceAfter"),
            precedence_before: self.optional_id("PrecedenceBefore"),
            soft_delete: self.soft_delete(),
            password_sync: self.boolean("EnablePasswordSync"),
            flows: self.flows(counted),
            scope: self.scope(),
            join: self.join(),
            unknown: vec![],
        };
        (self.faults.len() == before).then_some(rule)
    }

    /// A text; absent and null are the empty one.
    fn text(&mut self, key: &str) -> String {
        match self.object.get(key) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(flag)) => if *flag { "True" } else { "False" }.to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => {
                self.note(RULE, &format!("`{key}` is no text"), "export the rule again");
                String::new()
            }
        }
    }

    fn required(&mut self, key: &str) -> String {
        let text = self.text(key).trim().to_owned();
        if text.is_empty() {
            self.note(RULE, &format!("`{key}` is missing"), "export the rule again, all of it");
        }
        text
    }

    /// A GUID is a text, or an object around one.
    fn id(&mut self, key: &str) -> String {
        let text = match self.object.get(key).and_then(|value| value.get("Guid")) {
            Some(Value::String(text)) => text.clone(),
            _ => self.required(key),
        };
        guid(&text).unwrap_or_else(|| {
            if !text.is_empty() {
                self.note(RULE, &format!("`{key}` is no identifier: `{text}`"), DEPTH_HINT);
            }
            text
        })
    }

    fn optional_id(&mut self, key: &str) -> String {
        match self.object.get(key) {
            None | Some(Value::Null) => NO_ID.to_owned(),
            Some(_) => self.id(key),
        }
    }

    fn word<T>(&mut self, key: &str, words: &[&str], read: fn(&str) -> Option<T>) -> Option<T> {
        if let Some(Value::Number(number)) = self.object.get(key) {
            self.note(RULE, &format!("`{key}` is the number {number}"), NUMBER_HINT);
            return None;
        }
        let text = self.required(key);
        let word = read(text.trim());
        if word.is_none() && !text.is_empty() {
            let hint = format!("known are `{}`", words.join("`, `"));
            self.note(RULE, &format!("unknown `{key}`: `{text}`"), &hint);
        }
        word
    }

    fn boolean(&mut self, key: &str) -> bool {
        let text = self.text(key);
        boolean(&text).unwrap_or_else(|| {
            if !text.is_empty() {
                self.note(RULE, &format!("`{key}` is no Boolean: `{text}`"), "true or false");
            }
            false
        })
    }

    fn precedence(&mut self) -> u32 {
        let text = self.required("Precedence");
        text.parse().unwrap_or_else(|_| {
            if !text.is_empty() {
                let message = format!("`Precedence` is no whole number from 0: `{text}`");
                self.note(RULE, &message, "lower numbers win; the default rules begin at 100");
            }
            0
        })
    }

    /// A time span is a text, or an object that counts in several units.
    fn soft_delete(&mut self) -> String {
        let key = "SoftDeleteExpiryInterval";
        match self.object.get(key) {
            Some(Value::Object(span)) => match span.get("Ticks").and_then(Value::as_i64) {
                Some(0) => "00:00:00".to_owned(),
                Some(ticks) => format!("{ticks} ticks"),
                None => {
                    self.note(RULE, &format!("`{key}` is no time span"), DEPTH_HINT);
                    String::new()
                }
            },
            _ => match self.text(key).trim() {
                "" | "0" => "00:00:00".to_owned(),
                text => text.to_owned(),
            },
        }
    }

    /// The objects of a list, each at its place.
    fn each<T>(&mut self, key: &str, mut read: impl FnMut(At<'_>) -> T) -> Vec<T> {
        let mut found = vec![];
        let items = self.object.get(key).map(list).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let Value::Object(object) = item else {
                let message = match item.as_str() {
                    Some(text) => format!("`{key}` was cut off: it holds only `{text}`"),
                    None => format!("`{key}` holds something else than objects"),
                };
                self.note(JSON, &message, DEPTH_HINT);
                continue;
            };
            let place = format!("{}, {key} {}", self.place, index + 1);
            found.push(read(At { file: self.file, place, object, faults: self.faults }));
        }
        found
    }

    fn flows(&mut self, counted: &mut Counted) -> Vec<Flow> {
        self.each("AttributeFlowMappings", |mut flow| {
            counted.flows += 1;
            let flow = flow.flow();
            let expression = matches!(flow.source, FlowSource::Expression { .. });
            counted.expressions += usize::from(expression);
            flow
        })
    }

    fn flow(&mut self) -> Flow {
        let sources = self.sources();
        let expression = self.text("Expression");
        let kinds = ["Direct", "Constant", "Expression"];
        let kind = self.word("FlowType", &kinds, |word| {
            ["Direct", "Constant", "Expression"]
                .into_iter()
                .find(|kind| kind.eq_ignore_ascii_case(word))
        });
        let source = match kind {
            Some("Expression") if expression.trim().is_empty() => {
                self.note(RULE, "`Expression` is missing", "export the rule again, all of it");
                FlowSource::Constant(String::new())
            }
            Some("Expression") => FlowSource::Expression { text: expression, listed: sources },
            Some("Direct") if sources.is_empty() => {
                self.note(RULE, "`Source` is missing", "export the rule again, all of it");
                FlowSource::Constant(String::new())
            }
            Some("Direct") => FlowSource::Direct(sources),
            _ => FlowSource::Constant(match sources.into_iter().next() {
                Some(text) => text,
                None => self.text("MappingSourceAsString"),
            }),
        };
        let merge = match self.object.get("ValueMergeType") {
            None => Some(MergeType::Update),
            Some(_) => self.word("ValueMergeType", MergeType::WORDS, MergeType::from_word),
        };
        Flow {
            to: self.required("Destination"),
            source,
            merge: merge.unwrap_or(MergeType::Update),
            once: self.boolean("ExecuteOnce"),
            once_as: None,
        }
    }

    fn sources(&mut self) -> Vec<String> {
        let items = self.object.get("Source").map(list).unwrap_or_default();
        let mut sources = vec![];
        for item in items {
            match item {
                Value::String(text) if text.starts_with("System.") => {
                    let message = format!("`Source` was cut off: it holds only `{text}`");
                    self.note(JSON, &message, DEPTH_HINT);
                }
                Value::String(text) => sources.push(text),
                _ => self.note(JSON, "`Source` holds something else than texts", DEPTH_HINT),
            }
        }
        sources
    }

    fn scope(&mut self) -> Vec<Vec<ScopeClause>> {
        self.each("ScopeFilter", |mut group| {
            group.each("ScopeConditionList", |mut clause| ScopeClause {
                attribute: clause.required("Attribute"),
                operator: clause
                    .word("ComparisonOperator", &crate::model::OPERATORS, |it| Some(operator(it)))
                    .unwrap_or_default(),
                value: clause.text("ComparisonValue"),
            })
        })
    }

    fn join(&mut self) -> Vec<Vec<JoinClause>> {
        self.each("JoinFilter", |mut group| {
            group.each("JoinConditionList", |mut clause| JoinClause {
                cs: clause.required("CSAttribute"),
                mv: clause.required("MVAttribute"),
                case_sensitive: clause.boolean("CaseSensitive"),
            })
        })
    }
}

#[cfg(test)]
mod tests;
