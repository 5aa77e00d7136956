//! Asking a module about single objects and seeing what it costs: for rule tests and benchmarks
//! (G-20). In: one object at a time. Out: the outcome that the engine would get, with time, fuel,
//! memory and size of the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kakehi_engine::flow::{RuleInput, RuleOutcome};
use kakehi_engine::rule::Rule;
use kakehi_engine::time::Timestamp;

use crate::abi::latest;
use crate::convert::{count_values, outcome, with_entry};
use crate::fault::trapped;
use crate::instance::{Instance, Now};
use crate::module::LoadedModule;

/// One answer and what it cost.
#[derive(Clone, Debug)]
pub struct Measured {
    pub outcome: RuleOutcome,
    /// From the engine's input to the engine's outcome, without starting an instance.
    pub time: Duration,
    /// Instructions, roughly; only modules that were loaded with a fuel limit count them.
    pub fuel: Option<u64>,
    /// Linear memory of the instance after the call; 0 if there was no instance.
    pub memory_bytes: usize,
    /// The answer as `output` limits it; `None` if there was none.
    pub output_bytes: Option<usize>,
}

/// A module that is asked about one object after the other.
pub struct Trial {
    module: Arc<LoadedModule>,
    tag: Arc<str>,
    idle: Option<Instance>,
    start_time: Option<Duration>,
}

// === impl LoadedModule ===

impl LoadedModule {
    /// A trial of this module; its instances log under the rule's tag. No instance is started yet.
    pub fn trial(self: &Arc<Self>, rule: &Rule) -> Trial {
        Trial { module: self.clone(), tag: rule.tag.0.clone(), idle: None, start_time: None }
    }
}

// === impl Trial ===

impl Trial {
    /// Asks about one object, in the instance of the last call if it is still usable.
    ///
    /// `now` is for volatile rules; one that gets none and asks for it traps.
    pub fn ask(&mut self, rule: &Rule, input: &RuleInput<'_>, now: Option<Timestamp>) -> Measured {
        let mut instance = match self.instance() {
            Ok(instance) => instance,
            Err(outcome) => {
                let (time, memory_bytes) = (Duration::ZERO, 0);
                return Measured { outcome, time, fuel: None, memory_bytes, output_bytes: None };
            }
        };
        let now = match now {
            _ if !self.module.contract.volatile => Now::NotVolatile,
            Some(now) => Now::At(now.unix_seconds()),
            None => Now::NotGiven,
        };
        let began = Instant::now();
        let values = count_values(input);
        let verdict = with_entry(input, |entry| instance.apply(entry, values, now));
        let answered = began.elapsed();
        let (fuel, memory_bytes) = (instance.fuel_used(), instance.memory_bytes());
        let output_bytes = verdict.as_ref().ok().map(output_bytes);
        let began = Instant::now();
        let outcome = match verdict {
            Ok(verdict) => {
                self.idle = Some(instance);
                outcome(verdict, &self.module.contract, rule, input)
            }
            Err(fault) => trapped(fault),
        };
        Measured { outcome, time: answered + began.elapsed(), fuel, memory_bytes, output_bytes }
    }

    /// The next object meets a fresh instance.
    pub fn renew(&mut self) {
        self.idle = None;
    }

    /// How long the last instance took to start and to describe itself; `None` before the first.
    pub fn start_time(&self) -> Option<Duration> {
        self.start_time
    }

    fn instance(&mut self) -> Result<Instance, RuleOutcome> {
        if let Some(instance) = self.idle.take() {
            return Ok(instance);
        }
        let began = Instant::now();
        let instance = self.module.start(self.tag.clone()).map_err(trapped)?;
        self.start_time = Some(began.elapsed());
        Ok(instance)
    }
}

/// What the limit on output counts: every text byte by byte, every list by the size that its
/// elements have on our side.
fn output_bytes(verdict: &latest::Verdict) -> usize {
    match verdict {
        latest::Verdict::Flow(flows) => {
            size_of_val(flows.as_slice()) + flows.iter().map(flow_bytes).sum::<usize>()
        }
        latest::Verdict::Skip(reason) => reason.len(),
        latest::Verdict::Fail(latest::Failure { attribute, message }) => {
            attribute.as_ref().map_or(0, String::len) + message.len()
        }
    }
}

fn flow_bytes(latest::Flow { attribute, contribution }: &latest::Flow) -> usize {
    let values = match contribution {
        latest::Contribution::Values(values) => values.as_slice(),
        latest::Contribution::None | latest::Contribution::Block | latest::Contribution::Keep => {
            &[]
        }
    };
    let inside = values.iter().map(|value| match value {
        latest::Value::Text(text) | latest::Value::Reference(text) => text.len(),
        latest::Value::Binary(bytes) => bytes.len(),
        latest::Value::Integer(_) | latest::Value::Boolean(_) => 0,
    });
    attribute.len() + size_of_val(values) + inside.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use kakehi_engine::flow::{Contribution, Flow, Trap};
    use kakehi_engine::object::{AttributeName, Value};
    use kakehi_engine::rule::Direction;

    use super::*;
    use crate::fixture::{COPY, Guest, HOST, NOW, host, object, rule, spec};
    use crate::{Limits, ModuleSpec};

    /// Answers with the number of calls of its instance, and traps for class `abuse`.
    const COUNT: &str = "
        (if (i32.eq (local.get $class_len) (i32.const 5)) (then (unreachable)))
        (i64.store (i32.const 520) (i64.add (i64.const 1) (i64.load (i32.const 520))))
        (i32.store8 (i32.const 512) (i32.const 2))
        (i32.store (i32.const 300) (i32.const 512)) (i32.store (i32.const 304) (i32.const 1))
        (i32.const 256)";

    fn trial(limits: Limits, wat: &str) -> (Trial, Rule) {
        let module = host().load(&ModuleSpec { limits, ..spec(wat.as_bytes()) }).unwrap();
        let rule = rule(Direction::Inbound, &[("displayName", true)]);
        (Arc::new(module).trial(&rule), rule)
    }

    fn ask(trial: &mut Trial, rule: &Rule, class: &str, now: Option<Timestamp>) -> Measured {
        let (dn, values) = (AttributeName::from("dn"), [Value::text("CN=Taro")]);
        trial.ask(rule, &object(class, &dn, &values), now)
    }

    fn number(measured: &Measured) -> i64 {
        match &measured.outcome {
            RuleOutcome::Flows(flows) => match &flows[0].contribution {
                Contribution::Values(values) => match values[0] {
                    Value::Integer(number) => number,
                    ref other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_instance_is_used_again_until_it_is_renewed_or_fails() {
        let (mut trial, rule) =
            trial(Limits::default(), &Guest { apply: COUNT, ..Guest::default() }.wat());
        assert_eq!(trial.start_time(), None);
        let count = |trial: &mut Trial| number(&ask(trial, &rule, "user", None));
        assert_eq!([count(&mut trial), count(&mut trial)], [1, 2]);
        assert!(trial.start_time().is_some());
        trial.renew();
        assert_eq!(count(&mut trial), 1);
        let measured = ask(&mut trial, &rule, "abuse", None);
        assert!(matches!(measured.outcome, RuleOutcome::Trapped { trap: Trap::Trap, .. }));
        assert_eq!((measured.output_bytes, measured.memory_bytes), (None, 65_536));
        assert_eq!(number(&ask(&mut trial, &rule, "user", None)), 1);
    }

    #[test]
    fn g20_fuel_memory_and_output_are_told() {
        let wat = Guest::default().wat();
        let (mut plain, rule) = trial(Limits::default(), &wat);
        let measured = ask(&mut plain, &rule, "user", None);
        let contribution = Contribution::Values(vec![Value::text("CN=Taro")]);
        let flow = Flow { attribute: "displayName".into(), contribution };
        assert_eq!(measured.outcome, RuleOutcome::Flows(vec![flow]));
        assert_eq!((measured.fuel, measured.memory_bytes), (None, 65_536));
        assert!(measured.time > Duration::ZERO);
        let (mut metered, rule) = trial(Limits { fuel: Some(u64::MAX), ..Limits::default() }, &wat);
        let fuel = ask(&mut metered, &rule, "user", None).fuel.unwrap();
        assert!((10..10_000).contains(&fuel), "{fuel}");
    }

    /// What is told as output is what the limit counts, to the byte.
    #[test]
    fn g09_the_output_told_is_the_output_limited() {
        let wat = Guest::default().wat();
        let (mut unlimited, rule) = trial(Limits::default(), &wat);
        let output_bytes = ask(&mut unlimited, &rule, "user", None).output_bytes.unwrap();
        // The contract, too, is an answer; it is smaller than what fits here.
        for (output_bytes, fits) in [(output_bytes, true), (output_bytes - 1, false)] {
            let (mut trial, rule) = trial(Limits { output_bytes, ..Limits::default() }, &wat);
            let outcome = ask(&mut trial, &rule, "user", None).outcome;
            let trapped = matches!(outcome, RuleOutcome::Trapped { trap: Trap::Output, .. });
            assert_eq!(trapped, !fits, "{output_bytes}: {outcome:?}");
        }
    }

    #[test]
    fn a_volatile_rule_without_an_instant_traps_when_it_asks() {
        let describe = "(i32.store8 (i32.const 164) (i32.const 1)) (i32.const 128)";
        let apply = format!("(drop (call $now)) {COPY}");
        let wat = Guest { imports: HOST, describe, apply: &apply, ..Guest::default() }.wat();
        let (mut trial, rule) = trial(Limits::default(), &wat);
        let outcome = ask(&mut trial, &rule, "user", None).outcome;
        let message = "called `now`, but there is no instant to tell: give this case a `now`";
        assert_eq!(outcome, RuleOutcome::Trapped { trap: Trap::Now, message: message.into() });
        let outcome = ask(&mut trial, &rule, "user", Some(NOW)).outcome;
        assert!(matches!(outcome, RuleOutcome::Flows(_)), "{outcome:?}");
    }
}
