//! An immutable generation of loaded modules, and how it answers the engine: batches in, each on a
//! fresh instance and spread over worker threads; outcomes out, in the order of the objects.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use kakehi_engine::flow::{RuleInput, RuleOutcome, Rules};
use kakehi_engine::rule::{Rule, RuleId};
use kakehi_engine::time::Timestamp;

use crate::convert::{count_values, outcome, with_entry};
use crate::fault::trapped;
use crate::instance::{Instance, Now};
use crate::module::LoadedModule;

/// The modules of one rule set. Whoever runs with it keeps it; a newer one takes nothing away from
/// it.
pub struct Generation {
    modules: Vec<Arc<LoadedModule>>,
}

impl Generation {
    /// Takes the module of each rule of a rule set: the index is the [`RuleId`].
    pub fn new(modules: Vec<Arc<LoadedModule>>) -> Self {
        Self { modules }
    }

    /// The rules at one instant, which stands still for the whole run.
    pub fn at(&self, now: Timestamp) -> RunRules<'_> {
        RunRules { generation: self, now }
    }
}

/// A [`Generation`] at one instant.
pub struct RunRules<'a> {
    generation: &'a Generation,
    now: Timestamp,
}

impl Rules for RunRules<'_> {
    fn apply(&self, id: RuleId, rule: &Rule, inputs: &[RuleInput<'_>]) -> Vec<RuleOutcome> {
        let module = &self.generation.modules[id.0 as usize];
        let now = match module.contract.volatile {
            true => Now::At(self.now.unix_seconds()),
            false => Now::NotVolatile,
        };
        let job = Job { module, rule, now };
        let options = module.options();
        let batches: Vec<_> = inputs.chunks(options.batch_objects_max.max(1)).collect();
        match options.workers.min(batches.len()) {
            0 | 1 => batches.into_iter().flat_map(|batch| job.run(batch)).collect(),
            workers => run_on_threads(&job, &batches, workers),
        }
    }
}

/// Each thread takes the next batch that nobody has taken, so a slow one holds up only itself.
fn run_on_threads(job: &Job<'_>, batches: &[&[RuleInput<'_>]], workers: usize) -> Vec<RuleOutcome> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = vec![];
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            match batches.get(index) {
                Some(batch) => done.push((index, job.run(batch))),
                None => return done,
            }
        }
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().flat_map(|(_, outcomes)| outcomes).collect()
}

/// One rule of one run.
struct Job<'a> {
    module: &'a LoadedModule,
    rule: &'a Rule,
    now: Now,
}

impl Job<'_> {
    /// Judges one batch on a fresh instance; after a fault the next object gets another one.
    fn run(&self, batch: &[RuleInput<'_>]) -> Vec<RuleOutcome> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut idle = None;
        for input in batch {
            let started = match idle.take() {
                Some(instance) => Ok(instance),
                None => self.module.start(self.rule.tag.0.clone()),
            };
            let mut instance: Instance = match started {
                Ok(instance) => instance,
                Err(fault) => {
                    // It would fail again for each of the others.
                    let rest = batch.len() - outcomes.len();
                    outcomes.extend(std::iter::repeat_n(trapped(fault), rest));
                    break;
                }
            };
            let values = count_values(input);
            match with_entry(input, |entry| instance.apply(entry, values, self.now)) {
                Ok(verdict) => {
                    outcomes.push(outcome(verdict, &self.module.contract, self.rule, input));
                    idle = Some(instance);
                }
                Err(fault) => outcomes.push(trapped(fault)),
            }
        }
        outcomes
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::Mutex;
    use std::time::Duration;

    use expect_test::{Expect, expect};
    use kakehi_engine::flow::{Contribution, Flow, Trap};
    use kakehi_engine::object::Value;

    use super::*;
    use crate::fixture::{COPY, Guest, HOST, NOW, ask, host, load, options, spec};
    use crate::{GuestLog, Host, Limits, Options};

    /// Little time, but enough for the neighbours of a guest that never ends.
    const IMPATIENT: Limits = Limits {
        memory_bytes: 1024 * 1024,
        time: Duration::from_millis(500),
        output_bytes: 1024,
        fuel: None,
    };

    /// Does something to objects of class `abuse` and copies `dn` of all others.
    fn abusing(imports: &str, extra: &str, abuse: &str) -> String {
        let apply =
            format!("(if (i32.eq (local.get $class_len) (i32.const 5)) (then {abuse})) {COPY}");
        Guest { imports, extra, apply: &apply, ..Guest::default() }.wat()
    }

    fn copied(dn: &str) -> RuleOutcome {
        flow(Contribution::Values(vec![Value::text(dn)]))
    }

    fn flow(contribution: Contribution) -> RuleOutcome {
        RuleOutcome::Flows(vec![Flow { attribute: "displayName".into(), contribution }])
    }

    /// The abused object fails as expected, and its neighbours never notice (G-08).
    fn check_with(limits: Limits, wat: &str, trap: Trap, message: &Expect) {
        let module = host().load(&crate::ModuleSpec { limits, ..spec(wat.as_bytes()) }).unwrap();
        let outcomes = ask(module, &["user", "abuse", "user"]);
        assert_eq!(outcomes[0], copied("user 0"));
        assert_eq!(outcomes[2], copied("user 2"));
        let RuleOutcome::Trapped { trap: found, message: said } = &outcomes[1] else {
            panic!("expected {trap:?}, got {:?}", outcomes[1]);
        };
        assert_eq!(*found, trap, "{said}");
        message.assert_eq(said);
    }

    fn check(wat: &str, trap: Trap, message: &Expect) {
        check_with(spec(&[]).limits, wat, trap, message);
    }

    #[test]
    fn g08_a_trap_blames_one_object() {
        for (abuse, message) in [
            ("(unreachable)", expect!["trapped: wasm `unreachable` instruction executed"]),
            ("(drop (i32.load (i32.const -8)))", expect!["trapped: out of bounds memory access"]),
            (
                "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
                expect!["trapped: integer divide by zero"],
            ),
        ] {
            check(&abusing("", "", abuse), Trap::Trap, &message);
        }
    }

    #[test]
    fn g09_an_endless_loop_meets_its_deadline() {
        let wat = abusing("", "", "(loop $again (br $again))");
        check_with(IMPATIENT, &wat, Trap::Deadline, &expect!["stopped after 500 ms"]);
    }

    #[test]
    fn g09_an_endless_loop_burns_its_fuel() {
        let limits = Limits { fuel: Some(1_000_000), ..spec(&[]).limits };
        let wat = abusing("", "", "(loop $again (br $again))");
        check_with(limits, &wat, Trap::Fuel, &expect!["used more than 1000000 units of fuel"]);
    }

    #[test]
    fn g09_endless_recursion_meets_the_stack_limit() {
        let extra = "(func $down (param i64) (result i64)
            (i64.add (i64.const 1) (call $down (local.get 0))))";
        let wat = abusing("", extra, "(drop (call $down (i64.const 0)))");
        check(&wat, Trap::Stack, &expect!["used more than 512 KiB of stack"]);
    }

    #[test]
    fn g09_memory_that_was_refused_is_the_cause_of_what_follows() {
        let grow =
            "(loop $more (br_if $more (i32.ne (i32.const -1) (memory.grow (i32.const 16)))))";
        for end in ["(unreachable)", "(return (i32.const -16))"] {
            let wat = abusing("", "", &format!("{grow} {end}"));
            check(&wat, Trap::Memory, &expect!["asked for more than 64 MiB of memory"]);
        }
    }

    #[test]
    fn g09_an_amplified_answer_meets_the_output_limit() {
        // 4,000 flows that all name the same 60 KB.
        let abuse = "(local.set $class (i32.const 131072))
            (drop (memory.grow (i32.const 8)))
            (loop $next
                (i32.store (local.get $class) (i32.const 65536))
                (i32.store offset=4 (local.get $class) (i32.const 60000))
                (i32.store8 offset=8 (local.get $class) (i32.const 1))
                (local.set $class (i32.add (local.get $class) (i32.const 20)))
                (br_if $next (i32.lt_u (local.get $class) (i32.const 211072))))
            (i32.store (i32.const 260) (i32.const 131072))
            (i32.store (i32.const 264) (i32.const 4000))
            (return (i32.const 256))";
        check(&abusing("", "", abuse), Trap::Output, &expect!["answered with more than 8 MiB"]);
    }

    #[test]
    fn g09_a_broken_answer_is_told_from_a_trap() {
        let text = |at, length| {
            format!(
                "(i32.store8 (i32.const 256) (i32.const 1)) (i32.store (i32.const 260) {at})
                 (i32.store (i32.const 264) {length}) (return (i32.const 256))"
            )
        };
        let bad_utf8 = format!(
            "(i32.store8 (i32.const 512) (i32.const 255)) {}",
            text("(i32.const 512)", "(i32.const 1)")
        );
        let tag = "(i32.store8 (i32.const 256) (i32.const 9)) (return (i32.const 256))";
        let outside = text("(i32.const 65535)", "(i32.const 2)");
        let huge = "(i32.store (i32.const 264) (i32.const -1)) (return (i32.const 256))";
        for (abuse, message) in [
            (
                "(return (i32.const -16))",
                expect!["broke the calling convention: pointer out of bounds of memory"],
            ),
            (
                "(return (i32.const 257))",
                expect!["broke the calling convention: return pointer not aligned"],
            ),
            (
                outside.as_str(),
                expect![
                    "broke the calling convention: string pointer/length out of bounds of memory"
                ],
            ),
            (
                bad_utf8.as_str(),
                expect![
                    "broke the calling convention: invalid utf-8 sequence of 1 bytes from index 0"
                ],
            ),
            (tag, expect!["broke the calling convention: unexpected discriminant: 9"]),
            (
                huge,
                expect![
                    "broke the calling convention: list pointer/length out of bounds of memory"
                ],
            ),
        ] {
            check(&abusing("", "", abuse), Trap::Abi, &message);
        }
    }

    #[test]
    fn a_rule_that_is_not_volatile_cannot_ask_for_the_instant() {
        let wat = abusing(HOST, "", "(drop (call $now))");
        check(&wat, Trap::Now, &expect!["called `now`, but its contract does not say `volatile`"]);
    }

    #[test]
    fn a_volatile_rule_is_told_the_frozen_instant() {
        let apply = "(i32.store8 (i32.const 512) (i32.const 2))
            (i64.store (i32.const 520) (call $now))
            (i32.store (i32.const 300) (i32.const 512)) (i32.store (i32.const 304) (i32.const 1))
            (i32.const 256)";
        let describe = "(i32.store8 (i32.const 164) (i32.const 1)) (i32.const 128)";
        let guest = Guest { imports: HOST, describe, apply, ..Guest::default() };
        let seconds = flow(Contribution::Values(vec![Value::Integer(NOW.unix_seconds())]));
        let outcomes = ask(load(&guest.wat()).unwrap(), &["user", "user"]);
        assert_eq!(outcomes, [seconds.clone(), seconds]);
    }

    #[test]
    fn an_undeclared_write_is_a_bad_contribution_of_that_object() {
        let abuse =
            "(i32.store (i32.const 288) (i32.const 16)) (i32.store (i32.const 292) (i32.const 2))";
        let restore =
            "(i32.store (i32.const 288) (i32.const 32)) (i32.store (i32.const 292) (i32.const 11))";
        let apply = format!(
            "{restore} (if (i32.eq (local.get $class_len) (i32.const 5)) (then {abuse})) {COPY}"
        );
        let guest = Guest { apply: &apply, ..Guest::default() };
        let outcomes = ask(load(&guest.wat()).unwrap(), &["abuse", "user"]);
        let RuleOutcome::BadContribution { attribute, .. } = &outcomes[0] else {
            panic!("got {:?}", outcomes[0]);
        };
        assert_eq!(attribute.as_str(), "dn");
        assert_eq!(outcomes[1], copied("user 1"));
    }

    #[test]
    fn a_changed_contract_stops_the_rest_of_the_batch() {
        let mut module = load(&Guest::default().wat()).unwrap();
        module.contract.volatile = true;
        for outcome in ask(module, &["user", "user"]) {
            assert!(
                matches!(outcome, RuleOutcome::Trapped { trap: Trap::ContractChanged, .. }),
                "{outcome:?}"
            );
        }
    }

    /// Answers with the number of calls of its instance, and traps for class `abuse`.
    fn counting() -> String {
        let apply = "(if (i32.eq (local.get $class_len) (i32.const 5)) (then (unreachable)))
            (i64.store (i32.const 520) (i64.add (i64.const 1) (i64.load (i32.const 520))))
            (i32.store8 (i32.const 512) (i32.const 2))
            (i32.store (i32.const 300) (i32.const 512)) (i32.store (i32.const 304) (i32.const 1))
            (i32.const 256)";
        Guest { apply, ..Guest::default() }.wat()
    }

    fn calls(options: Options, classes: &[&str]) -> String {
        let module = Host::new(options).unwrap().load(&spec(counting().as_bytes())).unwrap();
        let mut calls = String::new();
        for outcome in ask(module, classes) {
            match outcome {
                RuleOutcome::Flows(flows) => match &flows[0].contribution {
                    Contribution::Values(values) => {
                        write!(calls, "{} ", values[0].as_text().unwrap()).unwrap();
                    }
                    other => panic!("{other:?}"),
                },
                _ => calls.push_str("! "),
            }
        }
        calls
    }

    #[test]
    fn g08_every_batch_and_every_object_after_a_trap_meet_a_fresh_instance() {
        let options = Options { batch_objects_max: 3, ..options() };
        assert_eq!(calls(options.clone(), &["user"; 7]), "1 2 3 1 2 3 1 ");
        let classes = ["user", "user", "abuse", "abuse", "user", "user"];
        assert_eq!(calls(options.clone(), &classes), "1 2 ! ! 1 2 ");
        assert_eq!(calls(options, &[]), "");
    }

    #[test]
    fn g05_one_worker_and_many_give_the_same_in_the_same_order() {
        let classes = ["user", "abuse", "user", "user", "user"].repeat(40);
        let with = |workers| {
            let options = Options { workers, batch_objects_max: 7, ..options() };
            let module = Host::new(options)
                .unwrap()
                .load(&spec(abusing("", "", "(unreachable)").as_bytes()));
            ask(module.unwrap(), &classes)
        };
        let alone = with(1);
        assert_eq!(alone[199], copied("user 199"));
        assert_eq!(alone, with(4));
    }

    #[test]
    fn p09_whatever_the_objects_are_the_number_of_workers_decides_nothing() {
        let wat = abusing("", "", "(unreachable)");
        let with = |workers| {
            let options = Options { workers, batch_objects_max: 2, ..options() };
            Arc::new(Host::new(options).unwrap().load(&spec(wat.as_bytes())).unwrap())
        };
        let (one, several) = (with(1), with(3));
        for seed in 0..1000_u64 {
            // The bits of the seed say who is abused; its rest, how many there are.
            let class = |index: u64| if seed >> index & 1 == 1 { "abuse" } else { "user" };
            let classes: Vec<&str> = (0..seed % 11).map(class).collect();
            let (alone, together) = (ask(one.clone(), &classes), ask(several.clone(), &classes));
            assert_eq!(alone, together, "seed {seed}");
        }
    }

    #[test]
    fn a_log_flood_is_cut_counted_and_changes_nothing() {
        let seen = Arc::new(Mutex::new(vec![]));
        let sink = seen.clone();
        let log: crate::LogSink = Arc::new(move |line| sink.lock().unwrap().push(line));
        let options = Options { log: Some(log), ..options() };
        // 100 lines for each of two objects: `dn`, at level warn.
        let apply = format!(
            "(local.set $class (i32.const 100))
             (loop $next (call $log (i32.const 2) (i32.const 16) (i32.const 2))
                (br_if $next (local.tee $class (i32.sub (local.get $class) (i32.const 1)))))
             {COPY}"
        );
        let wat = Guest { imports: HOST, apply: &apply, ..Guest::default() }.wat();
        let module = Host::new(options).unwrap().load(&spec(wat.as_bytes())).unwrap();
        assert_eq!(ask(module, &["user", "user"]), [copied("user 0"), copied("user 1")]);
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 65);
        let GuestLog::Line(line) = &seen[0] else { panic!("{:?}", seen[0]) };
        assert_eq!(
            (&*line.rule, line.level.as_str(), &*line.text),
            ("rule@forest-a", "warn", "dn")
        );
        assert_eq!(seen[64], GuestLog::Dropped { rule: "rule@forest-a".into(), lines: 136 });
    }

    #[test]
    fn a_generation_outlives_its_host() {
        let wat = abusing("", "", "(loop $again (br $again))");
        let spec = crate::ModuleSpec { limits: IMPATIENT, ..spec(wat.as_bytes()) };
        let module = host().load(&spec).unwrap();
        let outcomes = ask(module, &["abuse", "user"]);
        assert!(matches!(outcomes[0], RuleOutcome::Trapped { trap: Trap::Deadline, .. }));
        assert_eq!(outcomes[1], copied("user 1"));
    }
}
