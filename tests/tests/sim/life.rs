//! A world that lives through a history, in one of several ways.

use std::collections::BTreeSet;

use crate::faults::Faults;
use crate::model::{FORESTS, Forests, History, Step};
use crate::picture::{self, Picture};
use crate::remote::Remote;
use crate::rulebook::Rulebook;
use crate::scenario::rulebook;
use crate::world::World;

/// How a history is lived through.
pub struct Manner {
    /// Objects in one pass.
    pub batch: usize,
    /// Faults on the way to the targets, in all.
    pub faults: u32,
}

pub const PLAIN: Manner = Manner { batch: 100, faults: 0 };

pub struct Life {
    pub forests: Forests,
    pub world: World,
    pub remote: Remote,
    pub rules: Rulebook,
    pub batch: usize,
    faults: Faults,
}

// === impl Life ===

impl Life {
    pub fn new(history: &History, manner: &Manner) -> Self {
        Self {
            forests: Forests::default(),
            world: World::default(),
            remote: Remote::default(),
            rules: rulebook(0),
            batch: manner.batch,
            faults: Faults::seeded(history.seed, manner.faults),
        }
    }

    /// Lives through the whole history, then until nothing is left to do.
    pub fn through(history: &History, manner: &Manner) -> Self {
        let mut life = Self::new(history, manner);
        for step in &history.steps {
            life.step(*step);
        }
        life.settle();
        life
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Rules { variant } => self.rules = rulebook(variant),
            Step::Import { forest } => self.import(forest),
            Step::Sync => self.sync(),
            Step::Deliver => self.deliver(),
            other => self.forests.change(other),
        }
    }

    pub fn import(&mut self, forest: usize) {
        self.world.import(&FORESTS[forest].into(), self.forests.entries(forest));
    }

    pub fn sync(&mut self) {
        self.world.sync(&self.rules, self.batch);
    }

    /// Delivers what is pending, again and again until nothing went wrong. A crash is followed by a
    /// restart, which looks first at what is in doubt.
    pub fn deliver(&mut self) {
        // What was queued when a plan is made is evaluated first, as in a run.
        self.sync();
        loop {
            let before = self.faults.left();
            if self.remote.deliver(&mut self.world, &self.rules, &mut self.faults).is_err() {
                self.remote.recover(&mut self.world, &self.rules);
                self.sync();
            }
            if self.faults.left() == before {
                return;
            }
        }
    }

    /// Imports, synchronizes and delivers without faults until nothing is pending.
    pub fn settle(&mut self) {
        for forest in 0..FORESTS.len() {
            self.import(forest);
        }
        self.faults = Faults::none();
        self.deliver();
        self.sync();
        self.deliver();
    }

    pub fn picture(&self) -> Picture {
        let mut picture = picture::of_world(&self.world, &self.rules);
        picture.extend(picture::of_remote(&self.remote));
        picture
    }
}

/// Says how two pictures differ.
pub fn same(before: &Picture, after: &Picture, what: &str) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (before.iter().collect(), after.iter().collect());
    let lines = |mark: char, lines: Vec<&&String>| {
        lines.iter().map(|line| format!("  {mark} {line}\n")).collect::<String>()
    };
    Err(format!(
        "{what} differ:\n{}{}",
        lines('-', old.difference(&new).collect()),
        lines('+', new.difference(&old).collect())
    ))
}
