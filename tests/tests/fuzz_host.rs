//! Hostile modules and answers, a fixed number of each, from fixed seeds (rules.md 15.14).

use kakehi_tests::fuzz::{Answers, Modules, Report, Target};

fn run(target: &dyn Target, seeds: std::ops::Range<u64>) -> Report {
    let mut report = Report::default();
    for seed in seeds {
        report.execute(target, seed, None);
    }
    println!("{report}");
    assert!(report.broken.is_empty(), "{report}");
    report
}

#[test]
fn g09_mutated_modules_are_refused_or_do_no_harm() {
    let report = run(&Modules::new(), 0..8_000);
    // If nearly all ended at the first parser, nothing behind it would be tried.
    let loaded: u64 = report
        .outcomes
        .iter()
        .filter(|((_, outcome), _)| !outcome.starts_with('K'))
        .map(|(_, count)| count)
        .sum();
    assert!(loaded > 1_000, "{loaded} of {} were loaded", report.executions);
    for code in ["K0503", "K0504", "K0506", "K0509"] {
        let reached = report.outcomes.contains_key(&("module", code.to_owned()));
        assert!(reached, "no module ended in {code}");
    }
}

/// Found by ten minutes of fuzzing: a component on which a parser of ours panics.
#[test]
fn g09_a_reader_that_panics_costs_the_module_and_nothing_else() {
    run(&Modules::new(), 20_307_113..20_307_114);
}

#[test]
fn g06_hostile_answers_never_pass_the_contract() {
    let report = run(&Answers::new(), 0..300_000);
    for outcome in ["flows", "skip", "fail", "trap abi", "bad contribution", "describe contract"] {
        let reached = report.outcomes.contains_key(&("answer", outcome.to_owned()));
        assert!(reached, "no answer ended in {outcome}");
    }
}

#[test]
fn g05_a_seed_decides_the_outcome() {
    let outcomes = || {
        let mut report = Report::default();
        let answers = Answers::new();
        (0..2_000).for_each(|seed| report.execute(&answers, seed, None));
        report.outcomes
    };
    assert_eq!(outcomes(), outcomes());
}
