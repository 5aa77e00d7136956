//! Runs a property over many seeds, each twice, and makes a failing history as short as it can be.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::model::{History, Step};
use crate::picture::Picture;

/// Seeds per run and property: enough to have met every fault that was found so far many times
/// over.
const SEEDS: u64 = 1000;

/// Steps per history, besides the first ones.
const STEPS: u32 = 40;

/// Tries while shortening: a failure is shown within seconds also where each try is slow.
const SHRINKS_MAX: usize = 2000;

/// A property gives the picture of the end state, for comparison, or says what is wrong.
pub type Property = fn(&History) -> Result<Picture, String>;

/// Holds a property against all seeds, or the one of the environment variable `SEED`.
pub fn check(name: &str, property: Property) {
    let seeds = seed_of_environment().map_or(0..SEEDS, |seed| seed..seed + 1);
    for seed in seeds {
        let history = History::generate(seed, STEPS);
        let Err(found) = attempt(&history, property) else { continue };
        let (steps, reason) = shrink(&history, property, found);
        let steps: Vec<String> = steps.iter().map(|step| format!("  {step:?}")).collect();
        panic!(
            "{reason}\nafter\n{}\nSEED={seed} cargo test -p kakehi-tests --test sim {name}",
            steps.join("\n")
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "the seed comes from whoever looks into a failure")]
fn seed_of_environment() -> Option<u64> {
    std::env::var("SEED").ok()?.parse().ok()
}

/// Lives twice: the same history must give the same end.
fn attempt(history: &History, property: Property) -> Result<(), String> {
    let once = guarded(history, property)?;
    let twice = guarded(history, property)?;
    crate::life::same(&once, &twice, "two runs of one history")
}

/// A panic is a failure like any other, so that it can be shortened too.
fn guarded(history: &History, property: Property) -> Result<Picture, String> {
    catch_unwind(AssertUnwindSafe(|| property(history))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(text.unwrap_or_else(|| "a panic without words".into()))
    })
}

/// Leaves out ever smaller runs of steps, as long as the history still fails.
fn shrink(history: &History, property: Property, reason: String) -> (Vec<Step>, String) {
    let (mut steps, mut reason) = (history.steps.clone(), reason);
    let (mut run, mut tries) = (steps.len() / 2, 0);
    while run > 0 {
        let (mut at, mut shorter) = (0, false);
        while at + run <= steps.len() && tries < SHRINKS_MAX {
            let mut fewer = steps.clone();
            fewer.drain(at..at + run);
            tries += 1;
            match attempt(&History { seed: history.seed, steps: fewer.clone() }, property) {
                Err(again) => (steps, reason, shorter) = (fewer, again, true),
                Ok(()) => at += run,
            }
        }
        if !shorter || tries >= SHRINKS_MAX {
            run /= 2;
        }
    }
    (steps, reason)
}
