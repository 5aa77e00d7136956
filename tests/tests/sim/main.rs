//! The simulation: the engine against a store, directories and targets that exist in memory only.
//!
//! `model` makes histories by seed, `world` keeps the state as the store's contract says,
//! `rulebook` answers for the rule modules, `remote` and `faults` are the targets. `properties`
//! says what must hold after any history, `stories` what must hold after certain ones.

mod faults;
mod life;
mod model;
mod picture;
mod properties;
mod remote;
mod rulebook;
mod scenario;
mod shrink;
mod stage;
mod stories;
mod world;
