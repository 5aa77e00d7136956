//! Hostile answers: a guest gives raw bytes for its verdict, and for its contract.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kakehi_engine::flow::{Contribution, RuleInput, RuleOutcome};
use kakehi_engine::object::{AttributeName, Value};
use kakehi_engine::rule::{
    Contract, Direction, LinkType, ModuleIdentity, OnDelete, OnScopeExit, Rule, RuleTag,
    WritePolicy,
};
use kakehi_engine::scope::Scope;
use kakehi_host::{Host, Limits, LoadedModule, ModuleSpec, Options, Trial, check_contract};

use super::Target;
use super::corpus::{BASE, echo};
use super::module::check_text;
use super::random::Random;

/// Longest text of a guest that is shown.
const TEXT_BYTES_MAX: usize = 1024;

/// Longest contract that is tried: every execution loads it.
const CONFIG_BYTES_MAX: usize = 4 * 1024;

const LIMITS: Limits = Limits {
    memory_bytes: 8 * 1024 * 1024,
    time: Duration::from_secs(5),
    output_bytes: 64 * 1024,
    fuel: None,
};

pub struct Answers {
    host: Host,
    wat: String,
    module: Arc<LoadedModule>,
    trial: Mutex<Trial>,
    rules: [Rule; 2],
    attribute: AttributeName,
    reference: AttributeName,
}

// === impl Answers ===

impl Answers {
    pub fn new() -> Self {
        let host = Host::new(Options { workers: 1, ..Options::default() }).expect("a host");
        let wat = echo();
        let module = host.load(&spec(&wat, "{}")).expect("a guest of ours loads");
        let module = Arc::new(module);
        let rules = [Direction::Inbound, Direction::Outbound]
            .map(|direction| rule(direction, &["displayName", "dn"]));
        let trial = Mutex::new(module.trial(&rules[0]));
        let (attribute, reference) = ("bytes".into(), "reference".into());
        Self { host, wat, module, trial, rules, attribute, reference }
    }

    fn apply(&self, bytes: &[u8]) -> Result<String, String> {
        let rule = &self.rules[bytes.len() % 2];
        let (values, seen) = ([Value::Binary(bytes.to_vec())], [Value::Reference("seen".into())]);
        let input = RuleInput {
            class: "user",
            attributes: vec![
                (&self.attribute, values.as_slice().into()),
                (&self.reference, seen.as_slice().into()),
            ],
            imported: vec![],
            parameters: vec![],
        };
        // After a panic the trial starts a fresh instance.
        let mut trial = self.trial.lock().unwrap_or_else(PoisonError::into_inner);
        let measured = trial.ask(rule, &input, None);
        if measured.output_bytes.is_some_and(|bytes| bytes > LIMITS.output_bytes) {
            return Err(format!("an answer of {:?} bytes", measured.output_bytes));
        }
        check(&measured.outcome, rule, &input)
    }

    fn describe(&self, bytes: &[u8]) -> Result<String, String> {
        let mut config = String::with_capacity(bytes.len() * 2);
        for byte in bytes.iter().take(CONFIG_BYTES_MAX) {
            write!(config, "{byte:02x}").map_err(|error| error.to_string())?;
        }
        // So the code that is there is used again.
        let (loaded, _) = (self.host.load(&spec(&self.wat, &config)), &self.module);
        match loaded {
            Ok(module) => {
                let (errors, warnings) =
                    check_contract(&module.contract, Some(&BTreeSet::new()), &BTreeSet::new());
                for error in &errors {
                    check_text(&error.to_string(), 4 * TEXT_BYTES_MAX)?;
                }
                warnings.iter().try_for_each(|text| check_text(text, 4 * TEXT_BYTES_MAX))?;
                Ok(if errors.is_empty() { "contract".into() } else { "contract refused".into() })
            }
            Err(error) => {
                check_text(&error.to_string(), 4 * TEXT_BYTES_MAX)?;
                Ok(error.code.into())
            }
        }
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::new()
    }
}

fn spec<'a>(wat: &'a str, config: &'a str) -> ModuleSpec<'a> {
    ModuleSpec { name: "fuzz", bytes: wat.as_bytes(), config, limits: LIMITS, api: None }
}

impl Target for Answers {
    fn name(&self) -> &'static str {
        "answer"
    }

    fn input(&self, random: &mut Random) -> Vec<u8> {
        let mut layout = Layout { bytes: vec![0; 8] };
        let describing = random.once_in(8);
        let root = if describing { layout.contract(random) } else { layout.verdict(random) };
        layout.word(0, root);
        layout.spoil(random);
        layout.bytes.push(u8::from(describing));
        layout.bytes
    }

    fn execute(&self, input: &[u8]) -> Result<String, String> {
        match input.split_last() {
            Some((1, bytes)) => Ok(format!("describe {}", self.describe(bytes)?)),
            Some((_, bytes)) => self.apply(bytes),
            None => Ok("nothing".into()),
        }
    }
}

/// An answer as it lies in the guest's memory from [`BASE`] on (rules.md 11).
struct Layout {
    bytes: Vec<u8>,
}

// === impl Layout ===

impl Layout {
    /// Room for so many bytes. Gives: where it begins in `bytes`.
    fn room(&mut self, size: usize) -> usize {
        let at = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(at + size, 0);
        at
    }

    fn word(&mut self, at: usize, word: u32) {
        self.bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }

    /// Where a place is for the guest.
    fn pointer(at: usize) -> u32 {
        BASE + u32::try_from(at).expect("answers are small")
    }

    fn text(&mut self, at: usize, random: &mut Random) {
        const TEXTS: [&str; 8] =
            ["displayName", "dn", "", "seen", "山田太郎", "\u{1b}[31m\n\u{0}", "other", "a b"];
        let text = if random.once_in(20) {
            "長".repeat(random.below(2_000))
        } else {
            (*random.pick(&TEXTS)).to_owned()
        };
        let place = self.room(text.len());
        self.bytes[place..place + text.len()].copy_from_slice(text.as_bytes());
        self.word(at, Self::pointer(place));
        self.word(at + 4, text.len() as u32);
    }

    fn list(
        &mut self,
        at: usize,
        size: usize,
        random: &mut Random,
        item: impl Fn(&mut Self, usize, &mut Random),
    ) {
        let count = if random.once_in(30) { random.below(400) } else { random.below(5) };
        let place = self.room(size * count);
        for index in 0..count {
            item(self, place + index * size, random);
        }
        self.word(at, Self::pointer(place));
        self.word(at + 4, count as u32);
    }

    fn verdict(&mut self, random: &mut Random) -> u32 {
        let at = self.room(24);
        let tag = random.below(3);
        self.word(at, tag as u32);
        match tag {
            0 => self.list(at + 4, 20, random, Self::flow),
            1 => self.text(at + 4, random),
            _ => {
                let named = random.below(2) as u32;
                self.word(at + 4, named);
                self.text(at + 8, random);
                self.text(at + 16, random);
            }
        }
        Self::pointer(at)
    }

    fn flow(&mut self, at: usize, random: &mut Random) {
        self.text(at, random);
        let tag = random.below(4);
        self.word(at + 8, tag as u32);
        self.list(at + 12, 16, random, Self::value);
    }

    fn value(&mut self, at: usize, random: &mut Random) {
        let tag = random.below(5);
        self.word(at, tag as u32);
        match tag {
            2 | 3 => {
                let (low, high) = (random.odd(), random.odd());
                self.word(at + 8, low);
                self.word(at + 12, high);
            }
            _ => self.text(at + 8, random),
        }
    }

    fn contract(&mut self, random: &mut Random) -> u32 {
        let at = self.room(40);
        if random.once_in(6) {
            self.word(at, 1);
            self.text(at + 4, random);
        } else {
            for list in [4, 12, 20, 28] {
                self.list(at + list, 8, random, Self::text);
            }
            let volatile = random.below(2) as u32;
            self.word(at + 36, volatile);
        }
        Self::pointer(at)
    }

    /// Puts numbers that are likely trouble where pointers, lengths and tags stand.
    fn spoil(&mut self, random: &mut Random) {
        for _ in 0..random.below(4) {
            let at = random.below(self.bytes.len() / 4) * 4;
            let word = match random.below(4) {
                0 => Self::pointer(random.below(self.bytes.len())),
                1 => (2 * BASE).wrapping_sub(random.below(64) as u32),
                _ => random.odd(),
            };
            self.word(at, word);
        }
        if random.once_in(6) {
            let at = random.below(self.bytes.len());
            self.bytes[at] = random.byte();
        }
    }
}

/// A rule that may write these attributes.
pub fn rule(direction: Direction, writes: &[&str]) -> Rule {
    let writes = writes.iter().map(|name| ((*name).into(), WritePolicy::default()));
    Rule {
        tag: RuleTag("fuzz@forest".into()),
        name: "fuzz".into(),
        description: String::new(),
        direction,
        connector: "forest".into(),
        cs_class: "user".into(),
        mv_class: "person".into(),
        precedence: 100,
        link: LinkType::Join,
        scope: Scope::default(),
        join: vec![],
        on_scope_exit: OnScopeExit::Release,
        on_delete: OnDelete::Disable,
        contract: Contract { writes: writes.collect(), ..Contract::default() },
        parameters: BTreeMap::new(),
        module: ModuleIdentity {
            source: String::new(),
            sha256: String::new(),
            config_sha256: String::new(),
        },
    }
}

/// What the engine relies on, whatever the guest said. Gives: the kind of outcome.
pub fn check(outcome: &RuleOutcome, rule: &Rule, input: &RuleInput<'_>) -> Result<String, String> {
    match outcome {
        RuleOutcome::Flows(flows) => {
            let named: BTreeSet<_> = flows.iter().map(|flow| &flow.attribute).collect();
            if !named.iter().copied().eq(rule.contract.writes.keys()) {
                return Err(format!("flows of {named:?}"));
            }
            for flow in flows {
                if let Contribution::Values(values) = &flow.contribution {
                    check_values(values, rule, input)?;
                }
            }
            Ok("flows".into())
        }
        RuleOutcome::Skip(text) => check_text(text, TEXT_BYTES_MAX).map(|()| "skip".into()),
        RuleOutcome::Fail { attribute, message } => {
            check_text(message, TEXT_BYTES_MAX)?;
            if let Some(attribute) = attribute {
                check_text(attribute.as_str(), TEXT_BYTES_MAX)?;
            }
            Ok("fail".into())
        }
        RuleOutcome::Trapped { trap, message } => {
            check_text(message, 2 * TEXT_BYTES_MAX)?;
            Ok(format!("trap {}", trap.as_str()))
        }
        RuleOutcome::BadContribution { attribute, message } => {
            check_text(attribute.as_str(), TEXT_BYTES_MAX)?;
            check_text(message, TEXT_BYTES_MAX)?;
            Ok("bad contribution".into())
        }
    }
}

fn check_values(values: &[Value], rule: &Rule, input: &RuleInput<'_>) -> Result<(), String> {
    if values.is_empty() {
        return Err("no values where there must be one".into());
    }
    if values.iter().collect::<BTreeSet<_>>().len() != values.len() {
        return Err(format!("a value twice: {values:?}"));
    }
    let seen: Vec<_> = input.attributes.iter().flat_map(|(_, values)| values.iter()).collect();
    for value in values {
        match value {
            Value::Text(text) if text.is_empty() => return Err("an empty text".into()),
            Value::Reference(target) if target.is_empty() => {
                return Err("an empty reference".into());
            }
            Value::Reference(target)
                if rule.direction == Direction::Outbound && !seen.contains(&value) =>
            {
                return Err(format!("a reference to `{target}`"));
            }
            _ => {}
        }
    }
    Ok(())
}
