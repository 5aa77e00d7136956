//! One attribute flow: from an object to a contribution.

use kakehi_expr::{Environment, Expression, Outcome, Shape, Val};
use kakehi_guest::{Entry, Value, block, keep, none, set};

/// One entry of `flows`.
pub(crate) struct Flow {
    pub to: String,
    pub source: Source,
}

/// Where its value comes from (R27).
pub(crate) enum Source {
    Constant(Vec<Value>),
    /// The attribute of this name, as it is.
    Direct(String),
    /// `Trim([name])`, the most frequent expression of all, without a tree to walk. The expression
    /// is kept for values that are no texts.
    Trim(String, Box<Expression>),
    Expression(Box<Expression>),
}

/// An entry, as expressions see it.
struct Object<'a>(&'a Entry);

// === impl Source ===

impl Source {
    pub fn of(expression: Expression) -> Self {
        match expression.shape() {
            Shape::Trim(name) => Self::Trim(name.to_owned(), Box::new(expression)),
            Shape::Other => Self::Expression(Box::new(expression)),
        }
    }

    pub fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Trim(_, expression) | Self::Expression(expression) => Some(expression),
            Self::Constant(_) | Self::Direct(_) => None,
        }
    }
}

// === impl Flow ===

impl Flow {
    /// Errors: why the expression has no value for this object.
    pub fn apply(&self, entry: &Entry) -> Result<kakehi_guest::Flow, String> {
        let to = self.to.as_str();
        let expression = match &self.source {
            Source::Constant(values) => return Ok(set(to, values.as_slice())),
            Source::Direct(name) => return Ok(set(to, entry.values(name))),
            Source::Trim(name, expression) => match trimmed(entry.values(name)) {
                Some(values) => return Ok(set(to, values)),
                None => expression,
            },
            Source::Expression(expression) => expression,
        };
        match expression.evaluate(&Object(entry)).map_err(|error| error.to_string())? {
            Outcome::Null => Ok(none(to)),
            Outcome::AuthoritativeNull => Ok(block(to)),
            Outcome::IgnoreThisFlow => Ok(keep(to)),
            Outcome::Values(values) => {
                let values = values.into_iter().map(outgoing).collect::<Result<Vec<_>, _>>()?;
                Ok(set(to, values))
            }
        }
    }
}

// === impl Object ===

impl Environment for Object<'_> {
    fn attribute(&self, name: &str) -> Vec<Val> {
        self.0.values(name).iter().map(incoming).collect()
    }

    fn imported(&self, name: &str) -> Vec<Val> {
        self.0.confirmed(name).iter().map(incoming).collect()
    }

    fn parameter(&self, name: &str) -> Option<String> {
        self.0.param(name).map(str::to_owned)
    }

    fn now(&self) -> i64 {
        kakehi_guest::now()
    }

    fn value_count(&self, name: &str) -> usize {
        self.0.values(name).len()
    }
}

/// Most values that are trimmed here: with more, the limits of the language are near.
const TRIMMED_MAX: usize = 1000;

/// Texts without the white space around them, and without those that are only that; an empty list
/// is NULL. `None` where some value is no text.
fn trimmed(values: &[Value]) -> Option<Vec<Value>> {
    if values.len() > TRIMMED_MAX {
        return None;
    }
    let texts = values.iter().map(|value| match value {
        Value::Text(text) => Some(text.trim()),
        _ => None,
    });
    let texts: Vec<&str> = texts.collect::<Option<_>>()?;
    let kept = texts.into_iter().filter(|text| !text.is_empty());
    Some(kept.map(|text| Value::Text(text.to_owned())).collect())
}

fn incoming(value: &Value) -> Val {
    match value {
        Value::Text(text) => Val::Text(text.clone()),
        Value::Binary(bytes) => Val::Binary(bytes.clone()),
        Value::Integer(number) => Val::Number(*number),
        Value::Boolean(flag) => Val::Boolean(*flag),
        Value::Reference(text) => Val::Reference(text.clone()),
    }
}

fn outgoing(value: Val) -> Result<Value, String> {
    match value {
        Val::Text(text) => Ok(Value::Text(text)),
        Val::Binary(bytes) => Ok(Value::Binary(bytes)),
        Val::Number(number) => Ok(Value::Integer(number)),
        Val::Boolean(flag) => Ok(Value::Boolean(flag)),
        Val::Reference(text) => Ok(Value::Reference(text)),
        Val::Instant(_) => {
            Err("the value is a date, which no attribute can hold: use `FormatDateTime`".into())
        }
    }
}
