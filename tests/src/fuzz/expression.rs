//! Expressions: made by chance or changed from vectors, for objects made by chance. In: a text and
//! the seed of an object. Out: what came of it; a panic, a limit that was passed, a read beyond the
//! contract or two answers to one question break a promise.

use std::cell::Cell;
use std::collections::BTreeMap;

use kakehi_expr::{
    Analysis, Compare, Computed, Environment, EvalError, Expression, Fault,
    PRODUCED_VALUE_BYTES_MAX, PRODUCED_VALUES_MAX, Position, Reads, STEPS_MAX, Share, Val,
};

use super::Target;
use super::random::Random;

/// The golden vectors, whose expressions are changed.
const VECTORS: [&str; 10] = [
    include_str!("../../../rules/expr/tests/golden/choice.txt"),
    include_str!("../../../rules/expr/tests/golden/dates.txt"),
    include_str!("../../../rules/expr/tests/golden/defaults.txt"),
    include_str!("../../../rules/expr/tests/golden/encodings.txt"),
    include_str!("../../../rules/expr/tests/golden/lists.txt"),
    include_str!("../../../rules/expr/tests/golden/names.txt"),
    include_str!("../../../rules/expr/tests/golden/numbers.txt"),
    include_str!("../../../rules/expr/tests/golden/operators.txt"),
    include_str!("../../../rules/expr/tests/golden/search.txt"),
    include_str!("../../../rules/expr/tests/golden/texts.txt"),
];

const ATTRIBUTES: [&str; 6] = ["x", "y", "p", "q", "n", "sn;lang-ja"];
const VARIABLES: [&str; 3] = ["$v", "$w", "$x"];
const OPERATORS: [&str; 14] =
    ["=", "<>", "<", "<=", ">", ">=", "&", "&", "+", "-", "*", "/", "&&", "||"];
const WORDS: [&str; 12] = [
    "True",
    "False",
    "NULL",
    "CRLF",
    "IgnoreThisFlow",
    "AuthoritativeNull",
    "CaseInsensitive",
    "vbTextCompare",
    "Unicode",
    "UTF8",
    "ASCII",
    "%p%",
];
/// Between numbers, names and signs, what cannot begin or end anything.
const STRAYS: [&str; 16] =
    ["(", ")", ",", "\"", "[", "]", "%", "$", "&H", "//", "\n", "\\", "\"\"", "筧", "\u{0}", "'"];
const TEXTS: [&str; 24] = [
    "",
    " ",
    "a",
    "SMTP:a@x",
    "smtp:b@x",
    "TRUE",
    "false",
    "12",
    "-7",
    "9223372036854775807",
    "&HFF",
    "cn=a\\,b, ou = c ,dc=x+dc=y",
    "cn=\"a,b\"",
    "2013-01-10 4:00 PM -8",
    "12/25/2007",
    "00112233-4455-6677-8899-aabbccddeeff",
    "SGVsbG8=",
    "a:b,c:",
    "yyyyMMddHHmmss.0Z",
    "筧の水",
    "İıßŉ",
    "😀e\u{301}",
    "\\n\\t",
    ",",
];
/// Most values of a list: beyond what a list may be made of.
const VALUES_MAX: usize = 11_000;

/// Longest expression that is made; the limit of the language is tried by repetition.
const LEVELS_MAX: usize = 5;

pub struct Expressions {
    corpus: Vec<&'static str>,
    functions: Vec<&'static str>,
}

// === impl Expressions ===

impl Expressions {
    pub fn new() -> Self {
        let lines = VECTORS.iter().flat_map(|text| text.lines());
        Self {
            corpus: lines.filter_map(|line| line.strip_prefix("= ")).collect(),
            functions: kakehi_expr::functions().collect(),
        }
    }

    fn text(&self, random: &mut Random) -> String {
        if random.once_in(2) {
            return self.made(LEVELS_MAX, random);
        }
        let (text, other) = (random.pick(&self.corpus), random.pick(&self.corpus));
        let mut tokens = tokens(text);
        for _ in 0..random.below(4) {
            let at = random.below(tokens.len() + 1);
            match random.below(6) {
                0 if at < tokens.len() => drop(tokens.remove(at)),
                1 => tokens.insert(at, (*random.pick(&STRAYS)).to_owned()),
                2 => tokens.insert(at, self.made(1, random)),
                3 if at < tokens.len() => tokens[at] = self.made(2, random),
                4 => {
                    let lent = self::tokens(other);
                    let from = random.below(lent.len());
                    tokens.splice(at..at, lent.into_iter().skip(from).take(3));
                }
                _ if at < tokens.len() => {
                    let repeated = tokens[at].repeat(1 + random.below(80));
                    tokens[at] = repeated;
                }
                _ => {}
            }
        }
        tokens.concat()
    }

    /// An expression that is well-formed more often than not.
    fn made(&self, levels: usize, random: &mut Random) -> String {
        let part = |random: &mut Random| self.made(levels - 1, random);
        if levels == 0 || random.once_in(4) {
            return leaf(random);
        }
        match random.below(8) {
            0 => format!("({})", part(random)),
            1 => format!("-{}", part(random)),
            2 | 3 => {
                let operator = *random.pick(&OPERATORS);
                let (left, right) = (part(random), part(random));
                format!("{left} {operator} {right}")
            }
            4 => {
                let function = *random.pick(&["Select", "Where", "With"]);
                let variable = *random.pick(&VARIABLES);
                format!("{function}({variable}, {}, {})", part(random), part(random))
            }
            5 => {
                let function = *random.pick(&["IIF", "Switch"]);
                format!("{function}({}, {}, {})", part(random), part(random), part(random))
            }
            _ => {
                let function = *random.pick(&self.functions);
                let count = random.below(4);
                let arguments: Vec<String> = (0..count).map(|_| part(random)).collect();
                format!("{function}({})", arguments.join(", "))
            }
        }
    }
}

impl Default for Expressions {
    fn default() -> Self {
        Self::new()
    }
}

fn leaf(random: &mut Random) -> String {
    match random.below(6) {
        0 | 1 => format!("[{}]", random.pick(&ATTRIBUTES)),
        2 => random.odd().to_string(),
        3 => format!("\"{}\"", random.pick(&TEXTS).replace('"', "\"\"").replace('\\', "\\\\")),
        4 => (*random.pick(&WORDS)).to_owned(),
        _ => (*random.pick(&VARIABLES)).to_owned(),
    }
}

/// Runs of letters and digits, and everything else letter by letter.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = false;
    for letter in text.chars() {
        match tokens.last_mut() {
            Some(last) if word && letter.is_alphanumeric() => last.push(letter),
            _ => tokens.push(letter.to_string()),
        }
        word = letter.is_alphanumeric();
    }
    tokens
}

/// An object made by chance, which counts how it is looked at.
struct Object {
    attributes: BTreeMap<&'static str, Vec<Val>>,
    looked: Cell<usize>,
    /// What the expression said it reads, and the first name that it did not say.
    reads: Reads,
    beyond: Cell<Option<String>>,
}

// === impl Object ===

impl Object {
    fn new(random: &mut Random, reads: Reads) -> Self {
        let mut attributes = BTreeMap::new();
        for name in ATTRIBUTES {
            let count = match random.below(12) {
                0..3 => 0,
                3..8 => 1,
                8..11 => random.below(5),
                _ if random.once_in(30) => random.below(VALUES_MAX),
                _ => random.below(100),
            };
            let kind = random.below(8);
            attributes.insert(name, (0..count).map(|_| value(kind, random)).collect());
        }
        Self { attributes, looked: Cell::new(0), reads, beyond: Cell::new(None) }
    }

    fn get(&self, name: &str, said: bool) -> Vec<Val> {
        self.looked.set(self.looked.get() + 1);
        if !said {
            self.beyond.set(Some(name.to_owned()));
        }
        self.attributes.get(name).cloned().unwrap_or_default()
    }

    fn values(&self) -> usize {
        self.attributes.values().map(Vec::len).sum()
    }
}

impl Environment for Object {
    fn attribute(&self, name: &str) -> Vec<Val> {
        self.get(name, self.reads.attributes.contains(name))
    }

    fn imported(&self, name: &str) -> Vec<Val> {
        self.get(name, self.reads.imported.contains(name))
    }

    fn parameter(&self, name: &str) -> Option<String> {
        if !self.reads.parameters.contains(name) {
            self.beyond.set(Some(name.to_owned()));
        }
        (name == "p").then(|| "value".to_owned())
    }

    fn now(&self) -> i64 {
        if !self.reads.volatile {
            self.beyond.set(Some("Now()".to_owned()));
        }
        1_769_817_600
    }
}

fn value(kind: usize, random: &mut Random) -> Val {
    match kind {
        0..4 => Val::from(*random.pick(&TEXTS)),
        4 => Val::Number(random.next().cast_signed() >> random.below(64)),
        5 => Val::Boolean(random.once_in(2)),
        6 => Val::Binary((0..random.below(20)).map(|_| random.byte()).collect()),
        _ => Val::Reference((*random.pick(&TEXTS)).to_owned()),
    }
}

impl Target for Expressions {
    fn name(&self) -> &'static str {
        "expression"
    }

    /// The text, a zero, and the seed of the object.
    fn input(&self, random: &mut Random) -> Vec<u8> {
        let mut input = self.text(random).into_bytes();
        input.push(0);
        input.extend(random.next().to_be_bytes());
        input
    }

    fn execute(&self, input: &[u8]) -> Result<String, String> {
        let (text, seed) =
            input.split_at_checked(input.len().saturating_sub(9)).unwrap_or_default();
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let seed = seed.iter().fold(0_u64, |seed, byte| seed << 8 | u64::from(*byte));
        let analysis = Analysis::of(text);
        if format!("{analysis:?}") != format!("{:?}", Analysis::of(text)) {
            return Err("two analyses differ".into());
        }
        check_analysis(text, &analysis)?;
        let Some(expression) = analysis.expression else {
            let kind = analysis.errors.first().map(|error| error.fault.kind());
            return kind
                .map(|kind| format!("refused {kind}"))
                .ok_or("refused without a word".into());
        };
        let typed = if analysis.errors.is_empty() { "" } else { " untyped" };
        let mut random = Random::new(seed);
        let object = Object::new(&mut random, expression.reads().clone());
        let mode = if random.once_in(2) { Compare::Text } else { Compare::Binary };
        let expression = expression.comparing(mode);
        let computed = expression.compute(&object);
        check_work(&object)?;
        let outcome = check_computed(text, &computed, &object)?;
        if computed != expression.compute(&object) {
            return Err("two evaluations differ".into());
        }
        check_explained(&expression, &object, &computed)?;
        Ok(format!("{outcome}{typed}"))
    }
}

/// Places lie in the text, messages are short and say something.
fn check_analysis(text: &str, analysis: &Analysis) -> Result<(), String> {
    let inside = |position: Position| {
        let line = text.split('\n').nth(position.line as usize - 1);
        line.is_some_and(|line| position.column as usize <= line.chars().count() + 1)
    };
    for error in &analysis.errors {
        if !inside(error.position) {
            return Err(format!("an error outside of the text: {error}"));
        }
    }
    for warning in &analysis.warnings {
        if !inside(warning.position) {
            return Err(format!("a warning outside of the text: {warning:?}"));
        }
    }
    let ordered = |positions: Vec<Position>| positions.is_sorted();
    let errors = analysis.errors.iter().map(|error| error.position).collect();
    let warnings = analysis.warnings.iter().map(|warning| warning.position).collect();
    let both = ordered(errors) && ordered(warnings);
    both.then_some(()).ok_or("out of order".into())
}

fn check_work(object: &Object) -> Result<(), String> {
    if let Some(name) = object.beyond.take() {
        return Err(format!("`{name}` was read and not named"));
    }
    match object.looked.get() {
        looked if looked > STEPS_MAX => Err(format!("{looked} looks at the object")),
        _ => Ok(()),
    }
}

fn check_computed(
    text: &str,
    computed: &Result<Computed, EvalError>,
    object: &Object,
) -> Result<String, String> {
    let values = match computed {
        Err(EvalError { fault: Fault::Raised(words), .. }) if !text.contains("Error") => {
            return Err(format!("words that no rule spoke: {words}"));
        }
        Err(error) => {
            let fault = format!("{:?}", error.fault);
            return Ok(fault.split(['(', ' ']).next().unwrap_or_default().to_owned());
        }
        Ok(Computed::One(value)) => std::slice::from_ref(value),
        Ok(Computed::Many(values)) if values.is_empty() => return Err("an empty list".into()),
        Ok(Computed::Many(values)) => values,
        Ok(_) => return Ok("nothing".into()),
    };
    if values.len() > PRODUCED_VALUES_MAX.max(object.values()) {
        return Err(format!("{} values", values.len()));
    }
    let long = |value: &&Val| match value {
        Val::Text(text) | Val::Reference(text) => text.len() > PRODUCED_VALUE_BYTES_MAX,
        Val::Binary(bytes) => bytes.len() > PRODUCED_VALUE_BYTES_MAX,
        _ => false,
    };
    match values.iter().find(long) {
        Some(_) => Err("a value beyond the limit".into()),
        None => Ok("values".into()),
    }
}

/// What is told of the whole is what is computed; only of small objects, since each part is
/// computed anew.
fn check_explained(
    expression: &Expression,
    object: &Object,
    computed: &Result<Computed, EvalError>,
) -> Result<(), String> {
    if object.values() > 1000 {
        return Ok(());
    }
    let told = match expression.explain(object).share {
        Share::Value(value) => Ok(value),
        Share::Failed(error) => Err(error),
        Share::Skipped => return Err("the whole is told as skipped".into()),
    };
    if told == *computed { Ok(()) } else { Err(format!("told {told:?}, computed {computed:?}")) }
}
