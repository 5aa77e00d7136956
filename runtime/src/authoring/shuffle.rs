//! Hunts for state between objects: cases and a seed flow in; cases are asked in many orders, and
//! each that answers otherwise than alone flows out, with the case that it remembers (G-05).

use std::sync::Arc;

use kakehi_engine::flow::RuleOutcome;
use kakehi_engine::rule::Rule;
use kakehi_host::LoadedModule;

use crate::manifest::cases::{Case, Difference, Runner, remembers};

/// Orders that are tried: what needs three certain cases in a row among ten is found all but
/// surely.
const ORDERS: usize = 200;

/// Calls of one hunt: with thousands of cases, fewer orders.
const CALLS_MAX: usize = 100_000;

/// Takes cases in any number. Gives one difference for each case that answered otherwise than
/// alone, in order; the same seed gives the same orders.
pub fn shuffle(
    cases: &[Case],
    rule: &Rule,
    module: &Arc<LoadedModule>,
    seed: u64,
) -> Vec<Difference> {
    let mut runner = Runner::new(rule, module);
    let alone: Vec<RuleOutcome> = cases.iter().map(|case| runner.fresh(case).outcome).collect();
    let mut found: Vec<Option<Difference>> = cases.iter().map(|_| None).collect();
    let mut order: Vec<usize> = (0..cases.len()).collect();
    let mut numbers = Numbers(seed);
    let rounds = ORDERS.min(CALLS_MAX / cases.len().max(1)).max(1);
    for _ in 0..rounds {
        numbers.shuffle(&mut order);
        runner.renew();
        for (place, index) in order.iter().enumerate() {
            let answer = runner.used(&cases[*index]).outcome;
            if answer == alone[*index] || found[*index].is_some() {
                continue;
            }
            let mut difference = remembers(rule, &alone[*index], &answer);
            let before = &order[..place];
            let culprit = culprit(&mut runner, cases, &alone, before, *index);
            let orders = "in an order of the others";
            let after = culprit.map_or(orders.to_owned(), |case| format!("after `{}`", case.name));
            difference.what = format!("{}: {}", difference.what, cases[*index].name);
            difference.got = difference.got.replace("after other objects", &after);
            found[*index] = Some(difference);
            // The instance has seen other orders meanwhile.
            break;
        }
    }
    found.into_iter().flatten().collect()
}

/// The one case before it that is enough.
fn culprit<'a>(
    runner: &mut Runner<'_>,
    cases: &'a [Case],
    alone: &[RuleOutcome],
    before: &[usize],
    index: usize,
) -> Option<&'a Case> {
    let mut enough = |earlier: usize| {
        runner.renew();
        runner.used(&cases[earlier]);
        runner.used(&cases[index]).outcome != alone[index]
    };
    before.iter().rev().find(|earlier| enough(**earlier)).map(|earlier| &cases[*earlier])
}

/// Numbers by seed, SplitMix64: the same on every machine.
struct Numbers(u64);

// === impl Numbers ===

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// Every order is as likely as any other (Fisher and Yates).
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            items.swap(last, other as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authoring::testing::{Desk, remembering};

    const CASES: &str = "- {name: plain, in: {dn: CN=A}, out: {displayName: CN=A}}\n\
         - {name: other, in: {dn: CN=B}, out: {displayName: CN=B}}\n\
         - {name: double, in: {dn: [CN=C, CN=D]}, out: {displayName: [CN=C, CN=D]}}\n";

    fn found(wat: Option<&str>, seed: u64) -> Vec<String> {
        let tests = "[{file: cases.yml}]";
        let desk = match wat {
            Some(wat) => Desk::with_module(wat, tests, CASES),
            None => Desk::new(tests, CASES),
        };
        let (book, ready) = desk.open();
        let found = shuffle(book.sheets[0].cases(), &ready.rule, &ready.module, seed);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn g05_state_between_objects_is_found_with_the_case_that_leaves_it() {
        let remembering = remembering();
        assert_eq!(
            found(Some(&remembering), 7),
            [
                "`the rule remembers: plain`: expected out: {displayName: \"CN=A\"}, \
                 got out: {displayName: {flow: block}} after `double`",
                "`the rule remembers: other`: expected out: {displayName: \"CN=B\"}, \
                 got out: {displayName: {flow: block}} after `double`",
            ]
        );
        assert_eq!(found(Some(&remembering), 7), found(Some(&remembering), 7));
        assert_eq!(found(None, 7), [""; 0]);
    }
}
