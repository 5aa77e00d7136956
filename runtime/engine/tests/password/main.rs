//! The password lane in small: people, directories, a cloud service, workers and a process that
//! dies, against the state machine. Histories come by seed.
//!
//! `history` chooses what happens, `world` keeps what exists and carries out what the state machine
//! asks for, `server` answers as targets do, `watch` holds I1 to I9 against every single step.

mod history;
mod random;
mod server;
mod watch;
mod world;

use std::collections::BTreeSet;

use self::history::live;

/// Histories in one run, and the steps of each before everything is well again.
const SEEDS: u64 = 1000;
const STEPS: u32 = 220;

#[test]
fn i1_to_i9_hold_over_every_history_and_each_is_the_same_twice() {
    let chosen = std::env::var_os("SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let (first, last) = chosen.map_or((0, SEEDS - 1), |seed: u64| (seed, seed));
    let mut reached = BTreeSet::new();
    for seed in first..=last {
        let life = live(seed, STEPS);
        if let Err(broken) = &life.outcome {
            let story = life.told.join("\n");
            panic!("{story}\n\n{broken}\nSEED={seed} cargo test -p kakehi-engine --test password");
        }
        assert_eq!(life.told, live(seed, STEPS).told, "seed {seed} has two lives");
        reached.extend(life.reached);
    }
    if first != last {
        let missed: Vec<u8> = (1..=41).filter(|row| !reached.contains(row)).collect();
        assert!(missed.is_empty(), "rows that no history reached: {missed:?}");
    }
}
