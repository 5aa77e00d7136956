//! Running: a module and cases go in, verdicts as text come out, the same for every language.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kakehi_engine::flow::{Contribution, RuleOutcome, Rules as _};
use kakehi_engine::object::Value;
use kakehi_engine::rule::{
    Contract, Direction, LinkType, ModuleIdentity, OnDelete, OnScopeExit, Rule, RuleId, RuleTag,
    WritePolicy,
};
use kakehi_engine::scope::Scope;
use kakehi_host::{
    Generation, GuestLog, Host, Limits, LoadError, LoadedModule, ModuleSpec, Options,
};

use super::cases::Case;
use super::target;

/// A host whose guests' log lines can be read.
pub struct Stage {
    pub host: Host,
    lines: Arc<Mutex<Vec<String>>>,
}

/// A module that is ready to be asked.
pub struct Actor {
    pub contract: Contract,
    pub warnings: Vec<String>,
    module: Arc<LoadedModule>,
    generation: Generation,
    rule: Rule,
    lines: Arc<Mutex<Vec<String>>>,
}

/// What a rule costs for one object.
pub struct Cost {
    pub start: Duration,
    pub call: Duration,
    pub memory_bytes: usize,
}

// === impl Stage ===

impl Stage {
    /// Compiled modules are kept beside the guests: Python takes seconds to compile.
    pub fn new() -> Self {
        let cache = target().join("guests/cache");
        // As the host wants it: nobody else may write there.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&cache);
        made.expect("a folder in the target folder");
        let lines = Arc::new(Mutex::new(vec![]));
        let sink = lines.clone();
        let log = move |line: GuestLog| {
            let text = match line {
                GuestLog::Line(line) => format!("log {} {:?}", line.level.as_str(), line.text),
                GuestLog::Dropped { lines, .. } => format!("log dropped {lines}"),
            };
            sink.lock().expect("no writer panics").push(text);
        };
        let options = Options {
            cache: Some(cache),
            workers: 1,
            log: Some(Arc::new(log)),
            ..Options::default()
        };
        Self { host: Host::new(options).expect("a host"), lines }
    }

    /// Loads a module with a configuration, with time enough for a busy machine.
    pub fn load(&self, bytes: &[u8], config: &str) -> Result<Actor, LoadError> {
        let limits = Limits { time: Duration::from_secs(60), ..Limits::default() };
        let spec = ModuleSpec { name: "rule", bytes, config, limits, api: None };
        let module = self.host.load(&spec)?;
        Ok(Actor::new(module, self.lines.clone()))
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Actor ===

impl Actor {
    fn new(module: LoadedModule, lines: Arc<Mutex<Vec<String>>>) -> Self {
        let declared = module.contract.clone();
        let contract = Contract {
            reads: declared.reads.into_iter().collect(),
            reads_imported: declared.reads_imported.into_iter().collect(),
            parameters: declared.parameters.into_iter().collect(),
            writes: declared
                .writes
                .into_iter()
                .map(|name| (name, WritePolicy::default()))
                .collect(),
            volatile: declared.volatile,
            ..Contract::default()
        };
        let warnings = module.warnings.clone();
        let rule = rule(contract.clone());
        let module = Arc::new(module);
        let generation = Generation::new(vec![module.clone()]);
        Self { contract, warnings, module, generation, rule, lines }
    }

    /// Asks about every case in a fresh instance, then again about all in used ones, which must
    /// give the same (G-05). Gives: verdicts in the order of the cases, and the lines of the first
    /// time.
    pub fn ask(&self, cases: &[Case]) -> Vec<(RuleOutcome, Vec<String>)> {
        // Lines of used instances belong to no case.
        let lines = || std::mem::take(&mut *self.lines.lock().expect("no writer panics"));
        drop(lines());
        let fresh: Vec<_> = cases
            .iter()
            .map(|case| {
                let mut outcomes = self.ask_together(&[case]);
                (outcomes.remove(0), lines())
            })
            .collect();
        let mut instants: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (index, case) in cases.iter().enumerate() {
            instants.entry(case.now()).or_default().push(index);
        }
        for indices in instants.into_values() {
            // There and back again, so that each object follows others than before.
            let order: Vec<usize> = indices.iter().chain(indices.iter().rev()).copied().collect();
            let together: Vec<&Case> = order.iter().map(|index| &cases[*index]).collect();
            for (index, used) in order.into_iter().zip(self.ask_together(&together)) {
                assert_eq!(used, fresh[index].0, "used instance: {}", cases[index].name);
            }
        }
        fresh
    }

    /// Asks about cases of one instant in one instance.
    fn ask_together(&self, cases: &[&Case]) -> Vec<RuleOutcome> {
        let objects: Vec<_> = cases.iter().map(|case| case.object()).collect();
        let inputs: Vec<_> = objects.iter().map(super::cases::Object::input).collect();
        for input in &inputs {
            let read = |(name, _): &(&_, _)| self.contract.reads.contains(*name);
            assert!(input.attributes.iter().all(read), "a case holds more than the rule reads");
        }
        let now = cases.first().expect("at least one case").now();
        self.generation.at(now).apply(RuleId(0), &self.rule, &inputs)
    }

    /// What one object costs: the shortest start of an instance with `describe`, the shortest call
    /// in an instance that is in use, and its memory then.
    pub fn cost(&self, case: &Case, rounds: usize, calls: usize) -> Cost {
        let object = case.object();
        let mut cost = Cost { start: Duration::MAX, call: Duration::MAX, memory_bytes: 0 };
        let mut trial = self.module.trial(&self.rule);
        for _ in 0..rounds {
            trial.renew();
            for _ in 0..calls {
                let measured = trial.ask(&self.rule, &object.input(), Some(case.now()));
                cost.call = cost.call.min(measured.time);
                cost.memory_bytes = cost.memory_bytes.max(measured.memory_bytes);
            }
            cost.start = cost.start.min(trial.start_time().unwrap_or(Duration::MAX));
        }
        cost
    }

    /// What the contract says, in order of name.
    pub fn describe(&self) -> String {
        let names = |names: &mut dyn Iterator<Item = &str>| names.collect::<Vec<_>>().join(" ");
        let mut text = String::new();
        let contract = &self.contract;
        for (list, names) in [
            ("reads", names(&mut contract.reads.iter().map(|name| name.as_str()))),
            (
                "reads-imported",
                names(&mut contract.reads_imported.iter().map(|name| name.as_str())),
            ),
            ("parameters", names(&mut contract.parameters.iter().map(String::as_str))),
            ("writes", names(&mut contract.writes.keys().map(|name| name.as_str()))),
        ] {
            writeln!(text, "{}", format!("{list}: {names}").trim_end()).expect("text grows");
        }
        writeln!(text, "volatile: {}", contract.volatile).expect("text grows");
        text
    }

    /// Contract and verdicts as one text, for a golden file.
    pub fn perform(&self, cases: &[Case]) -> String {
        let mut text = self.describe();
        for (case, (outcome, lines)) in cases.iter().zip(self.ask(cases)) {
            writeln!(text, "\n# {}", case.name).expect("text grows");
            for line in lines {
                writeln!(text, "{line}").expect("text grows");
            }
            text.push_str(&render(&outcome));
        }
        text
    }

    /// What is different from what the cases expect, each with the name of its case.
    pub fn differences(&self, cases: &[Case]) -> Vec<String> {
        let writes: BTreeSet<_> = self.contract.writes.keys().cloned().collect();
        let writes: Vec<_> = writes.into_iter().collect();
        let answers = cases.iter().zip(self.ask(cases));
        answers
            .flat_map(|(case, (outcome, _))| {
                let name = case.name.clone();
                let differences = case.differences(&outcome, &writes);
                differences.into_iter().map(move |difference| format!("{name}: {difference}"))
            })
            .collect()
    }
}

fn rule(contract: Contract) -> Rule {
    Rule {
        tag: RuleTag("rule@corp".into()),
        name: "rule".into(),
        description: String::new(),
        direction: Direction::Inbound,
        connector: "corp".into(),
        cs_class: "user".into(),
        mv_class: "person".into(),
        precedence: 50,
        link: LinkType::Join,
        scope: Scope::default(),
        join: vec![],
        on_scope_exit: OnScopeExit::Release,
        on_delete: OnDelete::Disable,
        contract,
        parameters: BTreeMap::new(),
        module: ModuleIdentity {
            source: String::new(),
            sha256: String::new(),
            config_sha256: String::new(),
        },
    }
}

/// One verdict, a line per flow, in the order the rule gave them.
fn render(outcome: &RuleOutcome) -> String {
    let mut text = String::new();
    match outcome {
        RuleOutcome::Flows(flows) => {
            for flow in flows {
                let said = match &flow.contribution {
                    Contribution::Values(values) => {
                        values.iter().map(render_value).collect::<Vec<_>>().join(", ")
                    }
                    Contribution::None => "none".into(),
                    Contribution::Block => "block".into(),
                    Contribution::Keep => "keep".into(),
                };
                writeln!(text, "{} = {said}", flow.attribute).expect("text grows");
            }
        }
        RuleOutcome::Skip(reason) => writeln!(text, "skip {reason:?}").expect("text grows"),
        RuleOutcome::Fail { attribute, message } => {
            let attribute = attribute.as_ref().map_or("without attribute", |name| name.as_str());
            writeln!(text, "fail {attribute} {message:?}").expect("text grows");
        }
        other => writeln!(text, "{other:?}").expect("text grows"),
    }
    text
}

fn render_value(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("text {text:?}"),
        Value::Binary(bytes) => format!("binary {bytes:02x?}"),
        Value::Integer(number) => format!("integer {number}"),
        Value::Boolean(flag) => format!("boolean {flag}"),
        Value::Reference(target) => format!("reference {target:?}"),
    }
}
