//! Expressions by chance, a fixed number from fixed seeds.

use kakehi_tests::fuzz::{Expressions, Report};

fn run(seeds: std::ops::Range<u64>) -> Report {
    let target = Expressions::new();
    let mut report = Report::default();
    for seed in seeds {
        report.execute(&target, seed, None);
    }
    println!("{report}");
    assert!(report.broken.is_empty(), "{report}");
    report
}

#[test]
fn r32_any_text_is_refused_or_evaluated_within_the_limits() {
    let report = run(0..20_000);
    // Each of these must be met, or what lies behind it was not tried.
    for outcome in ["values", "nothing", "values untyped", "WrongType", "refused syntax"] {
        let reached = report.outcomes.contains_key(&("expression", outcome.to_owned()));
        assert!(reached, "no expression ended in `{outcome}`\n{report}");
    }
    let evaluated: u64 = report
        .outcomes
        .iter()
        .filter(|((_, outcome), _)| !outcome.starts_with("refused"))
        .map(|(_, count)| count)
        .sum();
    assert!(evaluated > 5_000, "{evaluated} of {} were evaluated", report.executions);
}

#[test]
fn a_seed_decides_the_outcome() {
    assert_eq!(run(0..1_000).outcomes, run(0..1_000).outcomes);
}
